"""A small exact model: each question has a known law over whole answers, so that captures can be checked without weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trueline.models.base import (
    TOKEN_STATS,
    Generation,
    GenerationRequest,
    GenerationSettings,
    ModelShape,
    OptionScores,
    Prompt,
    RequestResult,
)
from trueline.tasks.item import Item, Task
from trueline.traces.insides import HIDDEN_COLUMNS, INSIDE_COLUMNS, layer_at

ANSWERS = ("Kelby", "Morva", "Tisk")


def law(question: str) -> np.ndarray:
    """The answer law of a question, from its text alone."""
    weights = np.array([1 + (sum(question.encode()) * (k + 3)) % 7 for k in range(len(ANSWERS))], dtype=float) ** 2
    return weights / weights.sum()


class LawModel:
    """Answers from ``law``; fails on questions that hold the word BROKEN."""

    uri = "test:law"
    capabilities = frozenset({"greedy", "samples", "logprobs", "token_stats", "topk", "score", "chat", "prior", "hidden", "attention"})
    shape = ModelShape(n_layers=2, n_heads=3, width=4)

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.generate_calls: list[int] = []

    def fingerprint(self) -> Mapping[str, object]:
        return {"law": self.version, "versions": {"python": "any"}}

    def _inside(self, k: int, p: np.ndarray, settings: GenerationSettings, greedy: bool) -> dict[str, Any]:
        """States and maps that follow from the answer and its probability alone."""
        columns = (settings.greedy_columns if greedy else settings.sample_columns) & set(INSIDE_COLUMNS)
        if not columns:
            return {}
        layers = sorted({layer_at(depth, self.shape.n_layers) for depth in settings.hidden_depths})
        state = np.array([[layer * p[k], np.sin(k + layer), p.max(), k] for layer in layers], dtype=np.float32)
        maps = np.full((2, 3, 2), p[k] / 2, dtype=np.float32)
        known = {
            "prior_logprobs": np.array([np.log(1 / len(ANSWERS)), -0.5]),
            **{name: state for name in HIDDEN_COLUMNS},
            "attn_prev": maps[..., :1],
            "attn_diag_logsum": np.log(maps).sum(-1).mean(-1).astype(np.float64),
            "csl_attention": maps,
        }
        return {"n_layers": self.shape.n_layers, "hidden_layers": layers or None, **{name: known[name] for name in columns}}

    def _answer(self, k: int, p: np.ndarray, settings: GenerationSettings, greedy: bool = False) -> Generation:
        logs = np.array([np.log(p[k]), 0.0])
        stats = {name: np.array([float(-(p * np.log(p)).sum()), 0.0]) for name in TOKEN_STATS}
        stats |= {"token_n_finite": np.full(2, 3.0), "token_mean_logp": np.array([np.log(p).mean(), -30.0])}
        top = np.stack([np.sort(np.log(p))[::-1], np.array([0.0, -50.0, -60.0])])
        return Generation(
            text=" " + ANSWERS[k],
            tokens=[k, 9],
            token_texts=[ANSWERS[k], ""],
            token_logprobs=logs,
            stats={n: v for n, v in stats.items() if n in settings.greedy_columns},
            topk_ids=np.array([[0, 1, 2], [0, 1, 2]], dtype=np.int32),
            topk_logprobs=top,
            topk_texts=[[ANSWERS[j] for j in range(3)], ["", ANSWERS[0], ANSWERS[1]]],
            inside=self._inside(k, p, settings, greedy),
            finish_reason="eos",
            n_prompt_tokens=5,
        )

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        self.generate_calls.append(len(requests))
        results = []
        for request in requests:
            question = request.prompt.messages[-1].content
            if "BROKEN" in question:
                results.append(RequestResult(error="the question is broken"))
                continue
            p = law(question)
            if "supported" in question:
                results.append(RequestResult(greedy=Generation(text=("Yes", "No")[len(question) % 2], finish_reason="eos")))
                continue
            if "G1:" in question:
                results.append(RequestResult(greedy=Generation(text="G1: Kelby\nP1: 0.6\nG2: Morva\nP2: 0.3", finish_reason="eos")))
                continue
            if "almost certain" in question:
                results.append(RequestResult(greedy=Generation(text="Answer: Kelby\nConfidence: likely", finish_reason="eos")))
                continue
            if "robability" in question:
                results.append(RequestResult(greedy=Generation(text="Answer: Kelby\nProbability: 0.75", finish_reason="eos")))
                continue
            uniforms = [np.random.Generator(np.random.Philox(s)).random() for s in request.sample_seeds]
            draws = [min(int(np.searchsorted(np.cumsum(p), u)), len(p) - 1) for u in uniforms]
            greedy = self._answer(int(p.argmax()), p, settings, greedy=True)
            results.append(RequestResult(greedy, tuple(self._answer(k, p, settings) for k in draws)))
        return results

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        out = []
        for prompt, names in zip(prompts, options, strict=True):
            text = prompt.messages[-1].content
            p = 0.2 + 0.6 * (sum(text.encode()) % 10) / 10
            out.append(OptionScores(np.log(np.array([p, 1 - p])[: len(names)])))
        return out


def make_task(n: int = 40, broken: tuple[int, ...] = ()) -> Task:
    """``n`` questions whose reference is the likeliest answer for two of three of them."""
    items = []
    for k in range(n):
        question = f"Where is place {k}?" + (" BROKEN" if k in broken else "")
        best = int(law(question).argmax())
        right = ANSWERS[best] if k % 3 else ANSWERS[(best + 1) % 3]
        items.append(Item(id=f"q{k}", question=question, references=(right,), cluster=f"c{k // 2}", truth={"aleatoric": k / n}))
    return Task(name="test:places", items=items, max_new_tokens=8)
