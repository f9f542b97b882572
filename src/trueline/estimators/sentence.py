r"""Single-inference scores by sentence: the largest or mean token NLL or entropy of each sentence, averaged over the sentences.

Source: Huang et al., arXiv 2307.10236 (max-prob, average-prob, max-ent, average-ent). With :math:`q_t` the probability of the chosen
token and :math:`H_t` the entropy of the next-token law in nats, a sentence s scores :math:`\max_{t \in s}` or
:math:`\frac{1}{|s|}\sum_{t \in s}` of :math:`-\log q_t` or :math:`H_t`.
Choice: the end-of-sequence token belongs to the last sentence; it is none of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError, MissingTraceField
from trueline.estimators.inputs import OnEmpty, choice, generations, greedy_column, greedy_logprobs, greedy_topk
from trueline.estimators.topk_margin import topk_entropy
from trueline.traces.ragged import Ragged
from trueline.traces.trace import Trace

#: What ends a sentence, by name.
SEPARATORS = {"text": (".", "!", "?"), "code": ("\n",)}
Reduce = Literal["max", "mean"]
Per = Literal["sentence", "output"]
Law = Literal["full", "topk", "upstream_top5"]


@dataclass(frozen=True)
class SentenceNLL:
    r"""Mean over sentences of the largest or mean :math:`-\log q_t`, in nats.

    reduce: ``"max"`` or ``"mean"`` within a sentence. separators: ``"text"`` (. ! ?), ``"code"`` (line breaks), or a tuple of strings.
    boundary: a separator counts only before a blank or at the end, so that "3.14" is no two sentences (see ``sentence_ends``).
    per: ``"output"`` takes the whole answer as one sentence.
    """

    reduce: Reduce = "max"
    separators: str | tuple[str, ...] = "text"
    boundary: bool = False
    per: Per = "sentence"
    on_empty: OnEmpty = "raise"

    def __post_init__(self) -> None:
        """Refuse unknown settings."""
        _check(self.reduce, self.per, self.separators)

    @property
    def needs(self) -> Needs:
        """Greedy token log-probs, and the texts of the tokens where sentences are cut."""
        return Needs(greedy=frozenset({"token_logprobs"} | _texts(self.per)))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an empty answer under ``on_empty="nan"``. Raises as ``SequenceNLL.score``."""
        logprobs = greedy_logprobs(trace, self.on_empty)
        return _scores(trace, logprobs.with_values(-logprobs.values), self)


@dataclass(frozen=True)
class SentenceEntropy:
    r"""Mean over sentences of the largest or mean :math:`H_t`, in nats. reduce, separators, boundary, per: as in ``SentenceNLL``.

    law: ``"full"``, the law over the vocabulary; ``"topk"``, the k most probable tokens renormalised, all that an API shows (a trace
    with fewer is refused, so k in the settings is what was used); ``"upstream_top5"``, as the code published with the paper does for APIs:
    the five largest probabilities, not renormalised, in bits. Trap: never pool these in one correlation.
    """

    reduce: Reduce = "max"
    separators: str | tuple[str, ...] = "text"
    boundary: bool = False
    per: Per = "sentence"
    law: Law = "full"
    k: int = 5
    on_empty: OnEmpty = "raise"

    def __post_init__(self) -> None:
        """Refuse unknown settings, and k < 2."""
        _check(self.reduce, self.per, self.separators)
        choice("law", self.law, ("full", "topk", "upstream_top5"))
        if self.k < 2:
            raise InputError(f"k={self.k}: the entropy of fewer than 2 alternatives says nothing; choose k >= 2")
        if self.law == "upstream_top5" and self.k != 5:
            raise InputError(f"k={self.k}: upstream_top5 takes the five largest probabilities; for another k take law=topk")

    @property
    def needs(self) -> Needs:
        """Greedy token entropies or alternatives, and the texts of the tokens where sentences are cut."""
        return Needs(greedy=frozenset({"token_entropy" if self.law == "full" else "topk_logprobs"} | _texts(self.per)))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats (bits for upstream_top5). Raises as ``TokenEntropy.score``, and for fewer than k alternatives."""
        if self.law == "full":
            return _scores(trace, greedy_column(trace, "token_entropy", self.on_empty), self)
        table, tokens = greedy_topk(trace, self.on_empty)
        table = -np.sort(-table, axis=1)
        if len(table) and (table.shape[1] < self.k or np.isneginf(table[:, : self.k]).any()):
            raise MissingTraceField(f"{self.k} alternatives a token are needed, some have fewer; capture more, or choose a smaller k")
        top = table[:, : self.k]
        return _scores(trace, tokens.with_values(topk_entropy(top) if self.law == "topk" else top_entropy_bits(top)), self)


def top_entropy_bits(logprobs: ArrayLike) -> NDArray[np.float64]:
    r""":math:`-\sum_k p_k \log_2 p_k` of the kept probabilities, not renormalised: (..., k) float64 natural log-probs -> (...) bits."""
    logp = np.asarray(logprobs, dtype=np.float64)
    return np.asarray(-(np.exp(logp) * logp).sum(axis=-1) / np.log(2.0) + 0.0)


def sentence_ends(tokens: Sequence[str], separators: Sequence[str], *, boundary: bool = False) -> NDArray[np.int64]:
    r"""Where sentences end: (n_sentences,) int64, one past the last token of each; none for no tokens.

    A token equal to a separator ends its sentence and belongs to it; without one at the end, the tail is a sentence. boundary: blanks at
    the token's ends do not count, and a separator counts only as the last token or before a token that begins with a space or a line
    break; where line breaks separate, any token that holds one does.

    >>> sentence_ends(["Yes", ".", "3", ".", "1"], [".", "!"]), sentence_ends(["3", ".", "1"], ["."], boundary=True)
    (array([2, 4, 5]), array([3]))
    """
    known, n = frozenset(separators), len(tokens)
    ends: list[int] = []
    for t, token in enumerate(tokens):
        if boundary:
            follows = t + 1 == n or tokens[t + 1].startswith((" ", "\n"))
            found = (token.strip(" ") in known and follows) or ("\n" in known and "\n" in token)
        else:
            found = token in known
        if found:
            ends.append(t + 1)
    return np.array(ends if not n or n in ends else [*ends, n], dtype=np.int64)


def sentence_score(values: ArrayLike, ends: ArrayLike, reduce: Reduce) -> float:
    """Mean over sentences of the largest or mean value. values: (T,) float64; ends: as of ``sentence_ends``. NaN for no sentence."""
    row, stops = np.asarray(values, dtype=np.float64), np.asarray(ends, dtype=np.int64)
    if not len(stops):
        return float("nan")
    starts = np.concatenate([[0], stops[:-1]])
    found = np.maximum.reduceat(row, starts) if reduce == "max" else np.add.reduceat(row, starts) / (stops - starts)
    return float(found.mean()) + 0.0


def _check(reduce: str, per: str, separators: str | tuple[str, ...]) -> None:
    choice("reduce", reduce, ("max", "mean"))
    choice("per", per, ("sentence", "output"))
    if isinstance(separators, str):
        choice("separators", separators, tuple(SEPARATORS))
    elif not separators or "" in separators:
        raise InputError(f"separators={separators!r}; give at least one string, none of them empty")


def _texts(per: str) -> set[str]:
    return {"token_texts"} if per == "sentence" else set()


def _scores(trace: Trace, values: Ragged, settings: SentenceNLL | SentenceEntropy) -> NDArray[np.float64]:
    if settings.per == "output":
        return values.max() if settings.reduce == "max" else values.mean()
    named = settings.separators
    separators = SEPARATORS[named] if isinstance(named, str) else named
    score = np.full(trace.n_items, np.nan)
    for i, texts, ended in _tokens(trace):
        row = values[i]
        if not len(row):
            continue
        if texts is None or len(texts) != len(row):
            raise InputError(f"item {trace.item_ids[i]!r}: {len(texts or ())} token texts for {len(row)} tokens; capture the item again")
        # the end token, once it is not alone, is part of what it ends
        ends = sentence_ends(texts[:-1] if ended and len(texts) > 1 else texts, separators, boundary=settings.boundary)
        ends[-1] = len(row)
        score[i] = sentence_score(row, ends, settings.reduce)
    return score


def _tokens(trace: Trace) -> list[tuple[int, list[str] | None, bool]]:
    """(item position, texts of its greedy tokens, whether the last one is the end-of-sequence token)."""
    rows = generations(trace, "greedy")
    rows.require("token_texts")
    none: list[None] = [None] * len(rows)
    reasons = rows.strings("finish_reason") if rows.has("finish_reason") else none
    texts = rows.nested("token_texts") if rows.has("token_texts") else none
    # servers end with "eos" too, but do not count the token
    return [(int(i), t, r == "eos" and bool(t) and not t[-1]) for i, t, r in zip(rows.item, texts, reasons, strict=True)]
