"""Shifting attention to relevance: log-probs weighted by how much a token or a sample carries the meaning (Duan et al., arXiv 2307.01379).

The similarities g come from a cross-encoder in the paper (stsb-roberta-large) and are given here. As in the authors' code, p = exp(l) is
not length-normalised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import OnEmpty, generations, greedy_logprobs, require_two, round_scores, sample_logprobs, similarities
from trueline.traces.trace import Trace

TEMPERATURE = 0.001  # t of SentSAR in the paper's experiments


@dataclass(frozen=True)
class TokenSAR:
    r"""NLL of the greedy answer, each token weighted by how much the answer changes without it: :math:`-\sum_t \tilde R_t \log q_t`, nats.

    Special tokens have no text and so no weight. Where no token matters it is the mean NLL (the authors' code divides by zero).
    """

    on_empty: OnEmpty = "raise"

    @property
    def needs(self) -> Needs:
        """Greedy log-probs, the texts of its tokens, and its similarity to itself without each of them."""
        return Needs(greedy=frozenset({"token_logprobs", "token_texts"}), similarity=frozenset({"greedy_tokens"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an empty answer. Raises ``MissingTraceField``, ``EmptySequenceError``, ``InputError``."""
        logprobs = greedy_logprobs(trace, self.on_empty)
        trace.greedy.require("token_texts")
        scores = [
            np.nan if s is None or not len(logprobs[i]) else token_sar(logprobs[i], s)
            for i, s in enumerate(similarities(trace, "greedy_tokens"))
        ]
        return round_scores(np.array(scores, dtype=np.float64))


@dataclass(frozen=True)
class SentSAR:
    r"""Mean over samples of :math:`-\log(p_m + \frac1t \sum_{k \ne m} g_{mk} p_k)`, in nats: similar samples help each other."""

    t: float = TEMPERATURE
    on_empty: OnEmpty = "raise"

    @property
    def needs(self) -> Needs:
        """Two samples with log-probs and the similarities among them."""
        columns = frozenset({"text", "token_logprobs"})
        return Needs(samples=2, sample_columns=columns, similarity=frozenset({"samples"}), whole=frozenset({"sample"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField``, ``InputError``."""
        return _sentence_scores(trace, self.t, self.on_empty, None)


@dataclass(frozen=True)
class SAR:
    """SentSAR with the probabilities exp(-TokenSAR) of the samples, in nats."""

    t: float = TEMPERATURE
    on_empty: OnEmpty = "raise"

    @property
    def needs(self) -> Needs:
        """Two samples with log-probs and token texts, the similarities among them and to themselves without each token."""
        columns = frozenset({"text", "token_logprobs", "token_texts"})
        return Needs(samples=2, sample_columns=columns, similarity=frozenset({"samples", "sample_tokens"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField``, ``InputError``."""
        rows = generations(trace, "sample")
        rows.require("token_texts")
        relevance = _token_relevances(trace)
        return _sentence_scores(trace, self.t, self.on_empty, relevance)


def _token_relevances(trace: Trace) -> NDArray[np.float64]:
    """(n_rows,) float64 TokenSAR of every sampled row; NaN where it has no token."""
    rows = trace.samples
    logprobs, lengths = rows.ragged("token_logprobs"), np.array([len(p or ()) for p in rows.nested("token_texts")])
    scores = np.full(len(rows), np.nan)
    for i, values in enumerate(similarities(trace, "sample_tokens")):
        at = 0
        for row in range(int(rows.offsets[i]), int(rows.offsets[i + 1])):
            part = () if values is None else values[at : at + lengths[row]]
            at += int(lengths[row])
            if len(part) and len(logprobs[row]):
                scores[row] = token_sar(logprobs[row], part)
    return scores


def _sentence_scores(trace: Trace, t: float, on_empty: OnEmpty, relevance: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """SentSAR of every item, with the samples' own log-probs or minus their TokenSAR."""
    used = sample_logprobs(trace, on_empty)
    logp = used.logprob if relevance is None else -relevance[used.row]
    rows = trace.samples
    texts = np.array([text is not None for text in rows.texts], dtype=bool)
    place = np.cumsum(texts) - 1  # position among the samples with a text, which the pairs are made of
    start = np.searchsorted(used.item, np.arange(trace.n_items + 1))
    counts = np.zeros(trace.n_items, dtype=np.int64)
    scores = np.full(trace.n_items, np.nan)
    for i, values in enumerate(similarities(trace, "samples")):
        span = np.arange(start[i], start[i + 1])
        span = span[texts[used.row[span]] & ~np.isnan(logp[span])]
        counts[i] = len(span)
        if values is not None and len(span) >= 2:
            k = place[used.row[span]] - (place[rows.offsets[i]] + 1 - int(texts[rows.offsets[i]]))
            scores[i] = sentence_sar(logp[span], _square(values)[np.ix_(k, k)], t)
    require_two(counts)
    return round_scores(scores)


def _square(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Similarities of the pairs i < j as a symmetric matrix with ones on its diagonal."""
    m = int((1 + np.sqrt(1 + 8 * len(values))) / 2 + 0.5)
    matrix = np.eye(m)
    matrix[np.triu_indices(m, 1)] = values
    return matrix + np.triu(matrix, 1).T


def token_sar(token_logprobs: ArrayLike, token_similarity: ArrayLike) -> float:
    r"""TokenSAR of one answer: :math:`-\sum_t \tilde R_t \log q_t` in nats, R_t = 1 - g(x + y, x + y without t), scaled to sum 1.

    token_logprobs, token_similarity: (T,) float64. Where no token matters (all R_t = 0) the mean NLL. Raises ``InputError`` for shapes.
    """
    logprobs, similarity = np.asarray(token_logprobs, dtype=np.float64), np.asarray(token_similarity, dtype=np.float64)
    if logprobs.ndim != 1 or logprobs.shape != similarity.shape or not len(logprobs):
        raise InputError(
            f"token log-probs of shape {logprobs.shape} and similarities of shape {similarity.shape} must be equal and not empty"
        )
    relevance = 1.0 - similarity
    total = relevance.sum()
    return float(-(relevance * logprobs).sum() / total if total else -logprobs.mean()) + 0.0


def sentence_sar(sequence_logprobs: ArrayLike, similarity: ArrayLike, t: float = TEMPERATURE) -> float:
    r"""SentSAR: :math:`\frac1M \sum_m -\log(p_m + \frac1t \sum_{k \ne m} g_{mk} p_k)` in nats; similar samples help each other.

    sequence_logprobs: (M,) float64, sums over tokens; similarity: (M, M) float64 in [0, 1]. Raises ``InputError`` for shape, M < 2, t <= 0.
    """
    logp, g = np.asarray(sequence_logprobs, dtype=np.float64), np.asarray(similarity, dtype=np.float64)
    m = len(logp)
    if logp.ndim != 1 or m < 2 or g.shape != (m, m) or t <= 0:
        raise InputError(f"{logp.shape} log-probs, similarities of shape {g.shape}, t={t}; expected (M,), (M, M), M >= 2 and t > 0")
    weight = np.where(np.eye(m, dtype=bool), 1.0, g / t)
    top = logp.max()
    return float(-np.mean(np.log(weight @ np.exp(logp - top)) + top)) + 0.0


def sar(token_logprobs: list[ArrayLike], token_similarity: list[ArrayLike], similarity: ArrayLike, t: float = TEMPERATURE) -> float:
    """SAR: SentSAR with p_m = exp(-TokenSAR_m). token_logprobs, token_similarity: M sequences; similarity: (M, M) float64."""
    scores: NDArray[np.float64] = np.array([token_sar(a, b) for a, b in zip(token_logprobs, token_similarity, strict=True)])
    return sentence_sar(-scores, similarity, t)
