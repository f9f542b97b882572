"""What RACE asks for beside the trace, each behind a small protocol: a judge of contradiction, an embedder, a proxy LM, entities.

The defaults are rules and hashed n-grams, which need no model; checkpoints are given by path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError, ModelError
from trueline.estimators.engine import ask_pairs
from trueline.estimators.equivalence.base import PairJudge
from trueline.estimators.equivalence.cache import PairCache
from trueline.estimators.race.signals import without_neutral
from trueline.estimators.race.steps import sentences


class Nli(Protocol):
    """P(contradiction) of (premise, hypothesis) pairs: (n,) in [0, 1]."""

    def __call__(self, premises: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.float64]: ...


class Embedder(Protocol):
    """(n, d) embeddings of texts. An attribute ``lexical = True`` says that texts are embedded by their letters, not their meaning."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]: ...


class Entities(Protocol):
    """The named entities of a text."""

    def __call__(self, text: str) -> list[str]: ...


class ProxyLM(Protocol):
    """A language model that reads the main steps. ``trueline.models.proxy.LocalProxy`` is one."""

    def entropies(self, prompt: str, continuations: Sequence[str]) -> list[NDArray[np.float64]]:
        """(t,) entropies, nats, of the next-token law at each token of each continuation; none for an empty one."""
        ...

    def attention_to(self, head: str, parts: Sequence[str], tail: str, reader: str) -> NDArray[np.float64] | None:
        """(len(parts),) attention of ``reader`` to each part of the text head, parts, tail, reader: a mean over layers, heads and tokens.

        None: unknown.
        """
        ...


@dataclass(frozen=True)
class SlotRules:
    """Contradiction by rule: the same statement with another value at its end, as in "P works at A." and "P works at B."

    A value follows one of a few function words or an equals sign and holds none itself. 1 when a sentence of the hypothesis contradicts
    the premise and none repeats it, else 0. It sees wording only: a paraphrase contradicts nothing.
    """

    def __call__(self, premises: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.float64]:
        """(n,) 0 or 1."""
        return np.array([float(_contradicts(p, h)) for p, h in zip(premises, hypotheses, strict=True)])


_SIGNS = re.compile(r"[^\W_]+(?:[.,]\d+)*|[-+*/=<>%]")
_BEFORE_A_VALUE = frozenset(["is", "are", "was", "were", "in", "at", "to", "of", "on", "by", "for", "=", "equals"])


def _contradicts(premise: str, hypothesis: str) -> bool:
    said = [_statement(s) for s in sentences(hypothesis)]
    clash = False
    for statement in map(_statement, sentences(premise)):
        clash |= statement not in said and any(_other_value(statement, other) for other in said)
    return clash


def _statement(sentence: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _SIGNS.findall(sentence))


def _other_value(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    same = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    values = (a[same:], b[same:])
    return same >= 2 and a[same - 1] in _BEFORE_A_VALUE and all(v and not _BEFORE_A_VALUE & set(v) for v in values)


def judged(judge: PairJudge, cache: PairCache | None) -> Nli:
    """A judge of pairs as an ``Nli``: neutral is dropped, and no pair is asked that the cache holds."""
    return partial(_judged, judge, cache)


def _judged(judge: PairJudge, cache: PairCache | None, premises: Sequence[str], hypotheses: Sequence[str]) -> NDArray[np.float64]:
    rendered = [judge.render("", p, h) for p, h in zip(premises, hypotheses, strict=True)]
    distinct = list(dict.fromkeys(rendered))
    if cache is None:
        with PairCache() as own:
            verdicts, _ = ask_pairs(judge, distinct, own)
    else:
        verdicts, _ = ask_pairs(judge, distinct, cache)
    found = dict(zip(distinct, without_neutral(verdicts.probs).tolist(), strict=True))
    return np.array([found[pair] for pair in rendered])


@dataclass(frozen=True)
class HashedNgrams:
    """Counts of a text's character n-grams, hashed into ``dim`` places. Lexical: equal letters, not equal meaning."""

    n: tuple[int, ...] = (2, 3)
    dim: int = 1024
    lexical: bool = True

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n_texts, dim) float64."""
        table = np.zeros((len(texts), self.dim))
        for row, text in zip(table, texts, strict=True):
            padded = f" {' '.join(text.lower().split())} "
            for size in self.n:
                for k in range(max(1, len(padded) - size + 1)):
                    row[crc32(padded[k : k + size].encode("utf-8", "surrogatepass")) % self.dim] += 1.0
        return table


@dataclass(frozen=True)
class SentenceEncoder:
    """A local encoder checkpoint (safetensors), mean-pooled over tokens; the authors use all-MiniLM-L6-v2."""

    path: str
    batch_size: int = 64
    lexical: bool = False
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n_texts, d) float64. Raises ``ModelError`` when the checkpoint cannot be loaded."""
        import torch

        tokenizer, model = self._model()
        rows = []
        with torch.inference_mode():
            for start in range(0, len(texts), self.batch_size):
                batch = tokenizer(list(texts[start : start + self.batch_size]), padding=True, truncation=True, return_tensors="pt")
                states = model(**batch).last_hidden_state.double()
                mask = batch["attention_mask"].unsqueeze(-1).double()
                rows.append(((states * mask).sum(1) / mask.sum(1).clamp_min(1.0)).numpy())
        return np.concatenate(rows) if rows else np.zeros((0, 0))

    def _model(self) -> tuple[Any, Any]:
        if "model" not in self._loaded:
            from safetensors import SafetensorError
            from transformers import AutoModel, AutoTokenizer

            from trueline.models.checkpoints import quiet

            if not Path(self.path).expanduser().is_dir():
                raise ModelError(f"no directory {self.path!r}; embedder takes the directory of an encoder checkpoint, or ngrams")
            folder = str(Path(self.path).expanduser())
            try:
                with quiet():
                    tokenizer = AutoTokenizer.from_pretrained(folder)
                    model = AutoModel.from_pretrained(folder, use_safetensors=True).float().eval()
            except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
                raise ModelError(f"{self.path} cannot be loaded as an encoder checkpoint: {error}") from error
            self._loaded["model"] = (tokenizer, model)
        loaded: tuple[Any, Any] = self._loaded["model"]
        return loaded


_NUMBERS_AND_DATES = re.compile(
    r"\b(?:(?:January|February|March|April|May|June|July|August|September|October|November|December)\s+\d{1,4}(?:,\s*\d{4})?"
    r"|\d{4}-\d{2}-\d{2}|\d+(?:[.,]\d+)*)\b"
)
_NAMES = re.compile(r"\b[A-Z][\w'’-]*(?:\s+(?:of\s+|the\s+|de\s+|van\s+|von\s+)?[A-Z][\w'’-]*)*")


@dataclass(frozen=True)
class RuleEntities:
    """Names by capitals, numbers and dates. A single capitalised word counts unless it begins a sentence."""

    def __call__(self, text: str) -> list[str]:
        """In the order of the text, repeats included."""
        found = _NUMBERS_AND_DATES.findall(text)
        for sentence in sentences(text):
            for match in _NAMES.finditer(_NUMBERS_AND_DATES.sub(" ", sentence)):
                name = match[0]
                if " " in name or match.start() > 0:
                    found.append(name)
        return found


def check_probabilities(values: NDArray[np.float64], n: int, what: str) -> NDArray[np.float64]:
    """(n,) float64 in [0, 1], or ``InputError``: a NaN is never averaged."""
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (n,) or not ((found >= 0) & (found <= 1)).all():
        raise InputError(f"{what} returned shape {found.shape} or values outside [0, 1] (or NaN) for {n} pairs")
    return found
