"""Planted preferences: pairs of responses whose merits under every principle are known, annotators with known strengths, and a judge.

A response keeps or breaks some of k rules, and its text says which, in the rules' made-up names. So a judge that reads can find out whom a
principle favours, and what it finds can be compared with the truth. `PlantedJudge` is such a judge, with faults on demand.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError
from trueline.models.base import Generation, GenerationRequest, GenerationSettings, OptionScores, Prompt, RequestResult

_RULES = ("drell", "voskin", "tamar", "pelgo", "hurn", "sabbet", "olmik", "quane", "ferrod", "wissel", "brenna", "yolt")
_PART = re.compile(r"<(principle|response_a|response_b)>\n(.*?)\n</\1>", re.DOTALL)
_ANSWERS = ("A", "NA", "B")


@dataclass(frozen=True, eq=False)
class PlantedPairs:
    """n pairs under k principles.

    principles: k (name, text). rows: columns ``item_id``, ``prompt``, ``response_0``, ``response_1``, ``human``, ``other``; the last two
    are labels of annotators of the strengths ``w`` and ``w_other``. P: (n, k) float64, the true preferences under each principle.
    """

    principles: tuple[tuple[str, str], ...]
    rows: tuple[Mapping[str, Any], ...]
    P: NDArray[np.float64]
    w: NDArray[np.float64]
    w_other: NDArray[np.float64]


def planted_pairs(n: int = 400, k: int = 8, seed: int = 0) -> PlantedPairs:
    """Plant pairs: each principle favours the first response, the second or neither with chances .15, .15, .70.

    An annotator follows the sign of the weighted sum plus standard logistic noise. Strengths are exp(N(0, 1)); those of the other annotator
    are the same in another order.

    Raises ``InputError`` for fewer than one pair, or principles outside 2 to 12.
    """
    if n < 1 or not 2 <= k <= len(_RULES):
        raise InputError(f"n is {n} and k is {k}; expected at least one pair and 2 to {len(_RULES)} principles")
    rng = np.random.default_rng(seed)
    w = np.exp(rng.normal(size=k))
    w_other = np.roll(w[np.argsort(w)], k // 2)[np.argsort(np.argsort(w))]
    P = rng.choice([1.0, -1.0, math.nan], p=[0.15, 0.15, 0.70], size=(n, k))
    pull = np.nan_to_num(P)
    labels = [np.where(pull @ strength + rng.logistic(size=n) > 0, 1, -1) for strength in (w, w_other)]
    rows = []
    for i in range(n):
        kept = [[_RULES[c] for c in range(k) if P[i, c] == sign] for sign in (1, -1)]
        responses = [_response(kept[side], kept[1 - side], i) for side in (0, 1)]
        rows.append(
            {
                "item_id": f"pair-{i}",
                "prompt": f"What do you make of case {i}?",
                "response_0": responses[0],
                "response_1": responses[1],
                "human": int(labels[0][i]),
                "other": int(labels[1][i]),
            }
        )
    principles = tuple((rule, f"A response keeps the rule of {rule}.") for rule in _RULES[:k])
    return PlantedPairs(principles, tuple(rows), P, w, w_other)


def _response(kept: Sequence[str], broken: Sequence[str], i: int) -> str:
    parts = [f"keeps {rule}" for rule in kept] + [f"breaks {rule}" for rule in broken]
    return f"On case {i}: this answer {' and '.join(parts) or 'says nothing of note'}."


@dataclass(frozen=True)
class PlantedJudge:
    """A model that reads the parts of a judge's prompt and answers A, B or NA by what the responses say of the principle's rule.

    Without a principle it counts rules kept and broken, by `strengths` (rule -> strength; 1 otherwise).

    position: share of the questions in which it answers A whatever is said. noise: share in which it answers the opposite.
    chatter: probability that it says something else than A, B or NA. samples: offers sampled answers instead of log-probs.
    """

    strengths: Mapping[str, float] | None = None
    position: float = 0.0
    noise: float = 0.0
    chatter: float = 0.0
    samples: bool = False

    @property
    def uri(self) -> str:
        """``planted:judge``."""
        return "planted:judge"

    @property
    def capabilities(self) -> frozenset[str]:
        """Scores, or samples alone."""
        return frozenset({"samples", "greedy", "chat"} if self.samples else {"score", "chat"})

    def fingerprint(self) -> Mapping[str, object]:
        """Its settings."""
        return {"judge": "planted", **{name: getattr(self, name) for name in ("strengths", "position", "noise", "chatter", "samples")}}

    def score(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[OptionScores]:
        """Log-probs of the options: an answer has its chance in its first spelling (with a blank), other spellings next to none."""
        found = []
        for prompt, texts in zip(prompts, options, strict=True):
            law = self._law(prompt)
            found.append(OptionScores(np.array([math.log(max(law.get(t[1:], 0.0) if t[:1] == " " else 0.0, 1e-12)) for t in texts])))
        return found

    def generate(self, requests: Sequence[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:
        """Draws from the same law; the greedy answer is its mode."""
        del settings
        results = []
        for request in requests:
            law = self._law(request.prompt) | {"I would rather not say": self.chatter}
            texts = [
                str(t) for seed in request.sample_seeds for t in np.random.default_rng(seed).choice(list(law), p=list(law.values()), size=1)
            ]
            greedy = Generation(max(law, key=lambda t: law[t])) if request.greedy else None
            results.append(RequestResult(greedy, tuple(Generation(text) for text in texts)))
        return results

    def _law(self, prompt: Prompt) -> dict[str, float]:
        text = prompt.text or ""
        parts = dict(_PART.findall(text))
        answer = self._answer(parts)
        luck = np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))
        if luck.random() < self.position:
            answer = "A"
        elif luck.random() < self.noise:
            answer = {"A": "B", "B": "A", "NA": "NA"}[answer]
        rest = (1 - self.chatter) * 0.05
        return {a: (1 - self.chatter) * 0.9 if a == answer else rest for a in _ANSWERS}

    def _answer(self, parts: Mapping[str, str]) -> str:
        rule = re.search(r"rule of (\w+)", parts.get("principle", ""))
        pull = self._merit(parts["response_a"], rule) - self._merit(parts["response_b"], rule)
        return "A" if pull > 0 else "B" if pull < 0 else "NA"

    def _merit(self, response: str, rule: re.Match[str] | None) -> float:
        strengths = self.strengths or {}
        said = [(verb, name) for verb, name in re.findall(r"(keeps|breaks) (\w+)", response) if rule is None or name == rule[1]]
        return sum((1 if verb == "keeps" else -1) * (1.0 if rule is not None else strengths.get(name, 1.0)) for verb, name in said)
