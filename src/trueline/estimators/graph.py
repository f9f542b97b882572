"""Graph scores: the answers as nodes, their similarity as weights, the spread read off the graph (Lin, Trivedi, Sun, arXiv 2305.19187).

The symmetric weights get a diagonal of 1 as in the authors' code (zlin7/UQ-NLG); verdicts are used at temperature 1. With
``compat="lm_polygraph"`` the diagonal is what the judge says about (text, text), and two empty texts share no words.
A judge that names classes gives hard verdicts: weight 1 within a class and 0 between classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.clusters import BLOCK, sample_clusters, verdict_blocks
from trueline.estimators.inputs import choice, round_scores, sample_texts
from trueline.traces.trace import Trace

Weight = Literal["jaccard", "entail", "contra"]
Compat = Literal["", "lm_polygraph"]
WEIGHTS = ("jaccard", "entail", "contra")
ECC_THRESHOLD = 0.9  # eigenvectors above it belong to no shared meaning (UQ-NLG's value)

Blocks = Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]


def _needs(weight: str) -> Needs:
    verdicts = frozenset[str]() if weight == "jaccard" else frozenset({"samples"})
    return Needs(samples=2, sample_columns=frozenset({"text"}), equivalence=verdicts)


@dataclass(frozen=True)
class EigenValue:
    r"""EigV: :math:`\sum_k \max(0, 1 - \lambda_k)` over the eigenvalues of the normalised Laplacian.

    A continuous number of meanings, in [1, M].
    """

    weight: Weight = "jaccard"
    compat: Compat = ""

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choice("weight", self.weight, WEIGHTS)
        choice("compat", self.compat, ("", "lm_polygraph"))

    @property
    def needs(self) -> Needs:
        """Texts of two samples; verdicts among them unless the weight is ``jaccard``."""
        return _needs(self.weight)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField``, ``InputError`` (no item with 2)."""
        score = np.full(trace.n_items, np.nan)
        for items, w in weights(trace, self.weight, self.compat):
            score[items] = np.maximum(0.0, 1.0 - np.linalg.eigvalsh(laplacian(w))).sum(axis=1)
        return round_scores(score)


@dataclass(frozen=True)
class Degree:
    r"""Deg: :math:`\mathrm{trace}(M I - D) / M^2`, 1 - the mean weight of all ordered pairs (with themselves); in [0, 1)."""

    weight: Weight = "jaccard"
    compat: Compat = ""

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choice("weight", self.weight, WEIGHTS)
        choice("compat", self.compat, ("", "lm_polygraph"))

    @property
    def needs(self) -> Needs:
        """Texts of two samples; verdicts among them unless the weight is ``jaccard``."""
        return _needs(self.weight)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples. Raises as ``EigenValue.score``."""
        score = np.full(trace.n_items, np.nan)
        for items, w in weights(trace, self.weight, self.compat):
            score[items] = 1.0 - w.mean(axis=(1, 2))
        return round_scores(score)


@dataclass(frozen=True)
class Eccentricity:
    r"""Ecc: :math:`\|(v'_1 \ldots v'_M)\|_F`, the spread of the answers in the eigenvectors with eigenvalue below 0.9, centred."""

    weight: Weight = "jaccard"
    compat: Compat = ""

    def __post_init__(self) -> None:
        """Refuse unknown options."""
        choice("weight", self.weight, WEIGHTS)
        choice("compat", self.compat, ("", "lm_polygraph"))

    @property
    def needs(self) -> Needs:
        """Texts of two samples; verdicts among them unless the weight is ``jaccard``."""
        return _needs(self.weight)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples. Raises as ``EigenValue.score``."""
        score = np.full(trace.n_items, np.nan)
        for items, w in weights(trace, self.weight, self.compat):
            score[items] = np.sqrt((eccentricity(w) ** 2).sum(axis=1))
        return round_scores(score)


def degree_confidence(w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Confidence of each answer, its mean weight D_jj / M: (n, M, M) float64 -> (n, M) float64."""
    return np.asarray(w.mean(axis=2), dtype=np.float64)


def eccentricity(w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each answer from the centre, ||v'_j|| (its negative is the confidence): (n, M, M) float64 -> (n, M) float64."""
    values, vectors = np.linalg.eigh(laplacian(w))
    kept = vectors * (values < ECC_THRESHOLD)[:, None, :]
    centred = kept - kept.mean(axis=1, keepdims=True)
    return np.asarray(np.sqrt((centred**2).sum(axis=2)), dtype=np.float64)


def laplacian(w: NDArray[np.float64]) -> NDArray[np.float64]:
    """I - D^-1/2 W D^-1/2 of symmetric weights (n, M, M) float64; a node without any weight stays alone (its row is the identity's)."""
    degree = w.sum(axis=2)
    scale = 1.0 / np.sqrt(np.where(degree > 0, degree, 1.0))
    return np.asarray(np.eye(w.shape[1]) - w * scale[:, :, None] * scale[:, None, :], dtype=np.float64)


def symmetric_weights(probs: NDArray[np.float64], weight: Weight = "entail", compat: Compat = "") -> NDArray[np.float64]:
    """Weights from verdicts: (n, M, M, 3) float64 -> (n, M, M) float64, P(entail) or 1 - P(contradict), averaged over both directions."""
    raw = probs[..., 0] if weight == "entail" else 1.0 - probs[..., 2]
    w = (raw + np.swapaxes(raw, 1, 2)) / 2.0
    return w if compat else _unit_diagonal(w)


def weights(trace: Trace, weight: Weight, compat: Compat = "") -> Blocks:
    """Blocks of items with equal M >= 2: (items (n,) int64, symmetric weights (n, M, M) float64)."""
    if weight == "jaccard":
        yield from _jaccard_blocks(trace, compat)
        return
    for items, probs in verdict_blocks(trace, sample_clusters(trace).counts, least=2):
        yield items, symmetric_weights(probs, weight, compat)


def _unit_diagonal(w: NDArray[np.float64]) -> NDArray[np.float64]:
    w[:, np.arange(w.shape[1]), np.arange(w.shape[1])] = 1.0
    return w


def _jaccard_blocks(trace: Trace, compat: Compat) -> Blocks:
    pending: dict[int, tuple[list[int], list[NDArray[np.float64]]]] = {}
    for i, texts in sample_texts(trace):
        items, matrices = pending.setdefault(len(texts), ([], []))
        items.append(i)
        matrices.append(jaccard(texts, compat))
        if len(items) == BLOCK:
            yield np.array(items), np.stack(matrices)
            del pending[len(texts)]
    for items, matrices in pending.values():
        yield np.array(items), np.stack(matrices)


def jaccard(texts: list[str], compat: Compat = "") -> NDArray[np.float64]:
    """(M, M) float64 shared share of lower-cased words; 1 on the diagonal, and between two empty texts unless ``compat``."""
    distinct = {text: k for k, text in enumerate(dict.fromkeys(texts))}
    sets = [frozenset(text.lower().split()) for text in distinct]
    small = np.eye(len(sets))
    for a, one in enumerate(sets):
        for b in range(a):
            both = len(one & sets[b])
            small[a, b] = small[b, a] = both / (len(one) + len(sets[b]) - both) if one or sets[b] else float(not compat)
        if compat and not one:
            small[a, a] = 0.0
    index = np.array([distinct[text] for text in texts])
    return np.asarray(_unit_diagonal(small[np.ix_(index, index)][None])[0], dtype=np.float64)
