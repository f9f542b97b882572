r"""Variation ratios: how far sampled or perturbed outputs lie from each other (VR) and from the greedy output (VRO).

Source: Huang et al., arXiv 2307.10236. For outputs :math:`p_1, \dots, p_T`, the greedy output :math:`p_0` and a distance :math:`d`,
VR :math:`= 1 - \frac1T \sum_i \frac1{T-1} \sum_{j \ne i} (1 - d(p_i, p_j))` and VRO :math:`= 1 - \frac1T \sum_i (1 - d(p_i, p_0))`.
Whole texts are compared; the code published with the paper compares, for local models, what follows a swapped token with the whole greedy
text. Proof page: where these win, and that perturbation fails in a closed world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.capture.planner import N_ALTERNATIVES
from trueline.errors import InputError, MissingTraceField
from trueline.estimators.distances import ASYMMETRIC, Distance, load_distance
from trueline.estimators.inputs import choice, generations, require_two, round_scores
from trueline.traces.trace import Generations, Trace

#: Points of the greedy answer at which its token is replaced (``capture.perturbation``).
POINTS = ("max_entropy", "min_entropy", "max_increase")
_DEFAULT = "char3_cosine"


@dataclass(frozen=True)
class SampleVR:
    """Mean distance between two samples of an item; 0 = all alike.

    distance: a name of ``distances.DISTANCES``, ``embedding_cosine:DIRECTORY``, or a function (a, b) -> number. The paper samples 5 times
    at temperature 0.7 and top-p 0.95; any law is taken.
    """

    distance: str | Distance = _DEFAULT

    def __post_init__(self) -> None:
        """Refuse an unknown distance."""
        load_distance(self.distance)

    @property
    def needs(self) -> Needs:
        """Texts of two samples."""
        return Needs(samples=2, sample_columns=frozenset({"text"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField`` when none has 2."""
        return _among(generations(trace, "sample"), self.distance)


@dataclass(frozen=True)
class SampleVRO:
    """Mean distance of an item's samples to its greedy answer; one sample is enough. distance: as in ``SampleVR``."""

    distance: str | Distance = _DEFAULT

    def __post_init__(self) -> None:
        """Refuse an unknown distance."""
        load_distance(self.distance)

    @property
    def needs(self) -> Needs:
        """Texts of the greedy answer and of one sample."""
        return Needs(greedy=frozenset({"text"}), samples=1, sample_columns=frozenset({"text"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item without a greedy answer or a sample. Raises ``MissingTraceField``."""
        return _to_greedy(trace, generations(trace, "sample"), self.distance)


@dataclass(frozen=True)
class PerturbVR:
    """Mean distance between the answers that follow when one greedy token is replaced by each of the next best tokens.

    point: where: ``max_entropy`` (the least certain token), ``min_entropy`` (the surest), ``max_increase`` (the largest rise of entropy).
    distance: as in ``SampleVR``. n_alternatives: next best tokens, at least 2 (the paper: 4). Trap: at ``min_entropy`` the alternatives are
    near-impossible tokens, so the score is noise.
    """

    point: str = "max_entropy"
    distance: str | Distance = _DEFAULT
    n_alternatives: int = N_ALTERNATIVES

    def __post_init__(self) -> None:
        """Refuse an unknown point or distance, and fewer than 2 alternatives."""
        choice("point", self.point, POINTS)
        load_distance(self.distance)
        _enough(self.n_alternatives, 2)

    @property
    def needs(self) -> Needs:
        """The perturbed answers at the point."""
        return Needs(probes=frozenset({f"perturb_{self.point}"}), alternatives=self.n_alternatives)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item with fewer than 2 perturbed answers. Raises ``MissingTraceField``."""
        return _among(_perturbed(trace, self.point, self.n_alternatives), self.distance)


@dataclass(frozen=True)
class PerturbVRO:
    """Mean distance of the perturbed answers to the greedy answer. point, distance, n_alternatives: as in ``PerturbVR``."""

    point: str = "max_entropy"
    distance: str | Distance = _DEFAULT
    n_alternatives: int = N_ALTERNATIVES

    def __post_init__(self) -> None:
        """Refuse an unknown point or distance, and fewer than 1 alternative."""
        choice("point", self.point, POINTS)
        load_distance(self.distance)
        _enough(self.n_alternatives, 1)

    @property
    def needs(self) -> Needs:
        """The greedy answer and the perturbed ones at the point."""
        return Needs(greedy=frozenset({"text"}), probes=frozenset({f"perturb_{self.point}"}), alternatives=self.n_alternatives)

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN for an item without a greedy or perturbed answer. Raises ``MissingTraceField``."""
        return _to_greedy(trace, _perturbed(trace, self.point, self.n_alternatives), self.distance)


def _enough(n: int, least: int) -> None:
    if not isinstance(n, int) or n < least:
        raise InputError(f"n_alternatives is {n!r}; expected a whole number of at least {least}")


def variation_ratio(distances: ArrayLike) -> float:
    """Mean distance over ordered pairs of different outputs. distances: (T, T) float64, T >= 2; the diagonal is not read.

    Raises ``InputError`` for one output, a matrix that is not square, or numbers that are no distances.

    >>> variation_ratio([[0, 0.2], [0.4, 0]])
    0.30000000000000004
    """
    matrix = _distances(distances, 2)
    n = len(matrix)
    if matrix.shape != (n, n) or n < 2:
        raise InputError(f"distances of shape {matrix.shape}; the variation ratio needs a square matrix of at least 2 outputs")
    return float(matrix[~np.eye(n, dtype=bool)].mean())


def variation_ratio_original(distances: ArrayLike) -> float:
    """Mean distance to the original output. distances: (T,) float64, T >= 1. Raises ``InputError`` as ``variation_ratio``."""
    row = _distances(distances, 1)
    if not len(row):
        raise InputError("no distance to the original output; at least one other output is needed")
    return float(row.mean())


def _distances(values: ArrayLike, ndim: int) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise InputError(f"distances have {array.ndim} dimensions; expected {ndim}")
    if not (np.isfinite(array) & (array >= 0)).all():
        raise InputError("distances must be finite and not negative")
    return array


def _perturbed(trace: Trace, point: str, n: int) -> Generations:
    """Rows of a perturbation, those of the ``n`` best alternatives. Raises ``MissingTraceField`` where the capture took fewer."""
    kind = f"perturb_{point}"
    rows = generations(trace, kind)
    most = int(rows.draw.max()) + 1 if len(rows) else 0
    if N_ALTERNATIVES <= most < n:  # fewer may be all there are, but four are what a capture takes unless it is told otherwise
        raise MissingTraceField(
            f"the trace holds {most} alternatives an item for {kind}, n_alternatives is {n}; measure again with an estimator that names {n}"
        )
    kept = rows.draw < n
    if kept.all():
        return rows
    import pyarrow as pa

    return replace(rows, table=rows.table.filter(pa.array(kept)), item=rows.item[kept], draw=rows.draw[kept])


def _present(rows: Generations) -> Iterator[tuple[int, list[str]]]:
    """(item position, texts that are there) of each item that has one."""
    texts = rows.texts
    for i in range(rows.n_items):
        found = [text for text in texts[rows.offsets[i] : rows.offsets[i + 1]] if text is not None]
        if found:
            yield i, found


def _among(rows: Generations, spec: str | Distance) -> NDArray[np.float64]:
    rows.require("text")
    distance = _Cached(spec)
    score = np.full(rows.n_items, np.nan)
    counts = np.zeros(rows.n_items, dtype=np.int64)
    for i, texts in _present(rows):
        counts[i] = len(texts)
        if len(texts) >= 2:
            score[i] = variation_ratio(distance.matrix(texts))
    require_two(counts)
    return round_scores(score)


def _to_greedy(trace: Trace, rows: Generations, spec: str | Distance) -> NDArray[np.float64]:
    greedy = generations(trace, "greedy")
    greedy.require("text")
    rows.require("text")
    distance = _Cached(spec)
    original = dict(zip(greedy.item.tolist(), greedy.texts, strict=True))
    score = np.full(rows.n_items, np.nan)
    for i, texts in _present(rows):
        first = original.get(i)
        if first is not None:
            score[i] = variation_ratio_original(distance.to(texts, first))
    return round_scores(score)


class _Cached:
    """A distance that compares equal pairs once."""

    def __init__(self, spec: str | Distance) -> None:
        self._distance: Any = load_distance(spec)
        self._symmetric = isinstance(spec, str) and spec not in ASYMMETRIC
        self._known: dict[tuple[str, str], float] = {}

    def __call__(self, a: str, b: str) -> float:
        key = (b, a) if self._symmetric and b < a else (a, b)
        if key not in self._known:
            self._known[key] = float(self._distance(*key))
        return self._known[key]

    def matrix(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n, n) distances of the texts in order; the diagonal is 0."""
        self._known.clear()
        distinct = list(Counter(texts))
        self._prepare(distinct)
        place = np.array([distinct.index(text) for text in texts])
        table = np.array([[self(a, b) for b in distinct] for a in distinct]).reshape(len(distinct), len(distinct))
        return np.asarray(table[place[:, None], place], dtype=np.float64)

    def to(self, texts: Sequence[str], original: str) -> list[float]:
        """Distances of the texts to the original, which is the second argument."""
        self._known.clear()
        self._prepare([*texts, original])
        return [self(text, original) for text in texts]

    def _prepare(self, texts: Sequence[str]) -> None:
        if prepare := getattr(self._distance, "prepare", None):
            prepare(texts)
