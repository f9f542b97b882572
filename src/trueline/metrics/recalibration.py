"""Recalibration of binary probabilities: temperature, Platt, isotonic, beta, histogram, Venn-ABERS; cross-fitted or on separate data.

Platt 1999 (smoothed targets), Zadrozny and Elkan 2001/2002 (histogram, isotonic), Kull et al. 2017 (beta), Guo et al. 2017 (temperature),
Vovk and Petej 2014 (Venn-ABERS). Class-wise methods for K classes are in `scaling`. A map is fitted on calibration data only: validating it
on the same rows is refused; `cross_fit` gives out-of-fold probabilities where no separate set exists.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.evaluate import evaluate
from trueline.stats.engine import Metric
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.logistic import fit_logistic, logit, sigmoid
from trueline.stats.sample import IntArray, as_vector, check_length, check_weights, cluster_codes

Method = Literal["temperature", "platt", "isotonic", "beta", "histogram", "venn-abers"]
_SMALL = 200


@dataclass(frozen=True)
class Recalibration:
    """A fitted map from probability to probability.

    Attributes
    ----------
    method : str
    parameters : dict
        Fitted numbers by name, such as ``{"a": 0.73, "b": -0.34}`` for Platt, or the knots of a step map.
    n : int
        Rows fitted on.
    """

    method: Method
    parameters: dict[str, Any]
    n: int
    _map: Callable[[FloatArray], FloatArray]
    _fingerprint: str

    def predict(self, p: ArrayLike) -> FloatArray:
        """Return recalibrated probabilities, (n,) float64 in [0, 1]; every method but the histogram is monotone."""
        return self._map(_probabilities(p, "p"))

    def evaluate(
        self, p: ArrayLike, y: ArrayLike, metrics: Sequence[str | Metric] = ("ece", "brier"), **settings: Any
    ) -> dict[str, Estimate]:
        """Evaluate the map on other data than it was fitted on (keyword arguments as in `evaluate`).

        Raises
        ------
        InputError
            If these are the rows of the fit: that flatters. Use `cross_fit` or held-out rows.
        """
        if _hash(_probabilities(p, "p"), as_vector(y, "y")) == self._fingerprint:
            raise InputError(
                f"these {self.n} rows are the ones the {self.method} map was fitted on; validate on other rows, or use cross_fit"
            )
        return evaluate(self.predict(p), y, metrics, **settings)


@dataclass(frozen=True)
class recalibrate:  # noqa: N801 - reads as a verb at the call site, recalibrate("platt").fit(p, y)
    """Settings of a recalibration.

    Attributes
    ----------
    method : {"temperature", "platt", "isotonic", "beta", "histogram", "venn-abers"}
    n_bins : int
        Equal-mass bins of the histogram.

    Examples
    --------
    >>> map_ = recalibrate("platt").fit([0.9, 0.8, 0.3, 0.2], [1, 0, 1, 0])
    >>> map_.predict([0.5]).round(3)
    array([0.487])
    """

    method: Method = "platt"
    n_bins: int = 15

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise InputError(f"recalibration {self.method!r} is unknown; expected one of {', '.join(get_args(Method))}")
        if self.n_bins < 1:
            raise InputError(f"n_bins is {self.n_bins}; at least one bin is needed")

    def fit(self, p: ArrayLike, y: ArrayLike, *, weights: ArrayLike | None = None) -> Recalibration:
        """Fit on calibration data.

        Parameters
        ----------
        p : (n,) float64 in [0, 1]
        y : (n,) in {0, 1}
        weights : (n,) float64, optional
            Frequency weights.

        Raises
        ------
        InputError
            On bad input, naming the first index.

        Warns
        -----
        UserWarning
            For isotonic and histogram on fewer than 200 rows, where they overfit.
        """
        scores, labels = _probabilities(p, "p"), _labels(y)
        check_length(len(labels), len(scores), "y")
        w = np.ones(len(scores)) if weights is None else check_weights(weights, len(scores))
        if len(scores) < _SMALL and self.method in ("isotonic", "histogram"):
            warnings.warn(
                f"{self.method} on {len(scores)} rows overfits; below {_SMALL} prefer 'platt' or 'beta'", UserWarning, stacklevel=2
            )
        parameters, mapping = _FITS[self.method](scores, labels, w, self.n_bins)
        return Recalibration(self.method, parameters, len(scores), mapping, _hash(scores, labels))


def cross_fit(
    method: Method, p: ArrayLike, y: ArrayLike, *, clusters: ArrayLike | None = None, n_folds: int = 5, n_bins: int = 15, seed: int = 0
) -> FloatArray:
    """Return (n,) out-of-fold recalibrated probabilities: each row's map has seen neither it nor its cluster."""
    scores, labels = _probabilities(p, "p"), _labels(y)
    check_length(len(labels), len(scores), "y")
    fold = folds(len(scores), clusters, n_folds, seed)
    out = np.empty(len(scores))
    for k in range(int(fold.max()) + 1):
        out[fold == k] = recalibrate(method, n_bins).fit(scores[fold != k], labels[fold != k]).predict(scores[fold == k])
    return out


def folds(n: int, clusters: ArrayLike | None, n_folds: int, seed: int) -> IntArray:
    """Return a fold 0..n_folds-1 for each row, whole clusters together; fewer folds where there are fewer units.

    Raises
    ------
    InputError
        Fewer than two folds or two independent units.
    """
    codes = np.arange(n) if clusters is None else cluster_codes(clusters, n)
    units = int(codes.max()) + 1 if n else 0
    if n_folds < 2 or units < 2:
        raise InputError(f"cross-fitting needs at least 2 folds and 2 independent units; got {n_folds} folds, {units} units")
    place = np.random.default_rng(seed).permutation(units) % min(n_folds, units)
    return np.asarray(place[codes], dtype=np.int64)


def _probabilities(p: ArrayLike, name: str) -> FloatArray:
    values = as_vector(p, name)
    bad = np.flatnonzero(~((values >= 0) & (values <= 1)))
    if len(bad):
        raise InputError(f"{name}[{bad[0]}] is {values[bad[0]]}; probabilities must lie in [0, 1]")
    return values


def _labels(y: ArrayLike) -> FloatArray:
    values = as_vector(y, "y")
    bad = np.flatnonzero((values != 0) & (values != 1))
    if len(bad):
        raise InputError(f"y[{bad[0]}] is {values[bad[0]]}; labels must be 0 or 1")
    return values


def _hash(p: FloatArray, y: FloatArray) -> str:
    rows = np.stack([p, y], axis=1) if len(p) == len(y) else p[:, None]
    return hashlib.sha256(rows[np.lexsort(rows.T)].tobytes()).hexdigest()


Fitted = tuple[dict[str, Any], Callable[[FloatArray], FloatArray]]


def smoothed_targets(y: FloatArray, w: FloatArray) -> FloatArray:
    """Return Platt's targets (n1 + 1)/(n1 + 2) and 1/(n0 + 2), which keep the fit finite under separation."""
    ones, zeros = float(w @ y), float(w @ (1 - y))
    return np.where(y == 1, (ones + 1) / (ones + 2), 1 / (zeros + 2))


def _platt(p: FloatArray, y: FloatArray, w: FloatArray, _: int) -> Fitted:
    x = logit(p)
    fit = fit_logistic(np.stack([x, np.ones_like(x)], axis=1), smoothed_targets(y, w), w)
    a, b = (float(c) for c in fit.coefficients)
    return {"a": a, "b": b}, lambda q: sigmoid(a * logit(q) + b)


def _temperature(p: FloatArray, y: FloatArray, w: FloatArray, _: int) -> Fitted:
    from trueline.metrics.scaling import best_temperature

    x = logit(p)
    t = best_temperature(lambda temperature: float(w @ np.logaddexp(0, np.where(y == 1, -x, x) / temperature) / w.sum()))
    return {"temperature": t}, lambda q: sigmoid(logit(q) / t)


def _beta(p: FloatArray, y: FloatArray, w: FloatArray, _: int) -> Fitted:
    """sigmoid(a ln p - b ln(1 - p) + m) with a, b >= 0: a negative one is dropped and the rest refitted."""
    features = _beta_features(p)
    used = [0, 1]
    fit = fit_logistic(np.column_stack([features, np.ones(len(p))]), y, w)
    while used and min(fit.coefficients[: len(used)]) < 0:
        used.pop(int(np.argmin(fit.coefficients[: len(used)])))
        fit = fit_logistic(np.column_stack([features[:, used], np.ones(len(p))]), y, w)
    slope = np.zeros(2)
    slope[used] = fit.coefficients[:-1]
    m = float(fit.coefficients[-1])
    return {"a": float(slope[0]), "b": float(slope[1]), "m": m}, lambda q: sigmoid(_beta_features(q) @ slope + m)


def _beta_features(p: FloatArray) -> FloatArray:
    q = np.clip(p, 1e-12, 1 - 1e-12)
    return np.stack([np.log(q), -np.log1p(-q)], axis=1)


def _isotonic(p: FloatArray, y: FloatArray, w: FloatArray, _: int) -> Fitted:
    from trueline.metrics.corp import isotonic_fit

    x, fitted = isotonic_fit(p, y, w)
    return {"x": x, "y": fitted}, lambda q: np.asarray(np.interp(q, x, fitted), dtype=np.float64)


def _histogram(p: FloatArray, y: FloatArray, w: FloatArray, n_bins: int) -> Fitted:
    edges = np.unique(np.quantile(p, np.linspace(0, 1, n_bins + 1)))
    edges = edges if len(edges) > 1 else np.array([0.0, 1.0])
    k = len(edges) - 1
    code = np.searchsorted(edges[1:-1], p, "left")
    mass, ones = np.bincount(code, w, k), np.bincount(code, w * y, k)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(mass > 0, ones / mass, (edges[1:] + edges[:-1]) / 2)
    return {"edges": edges, "value": value}, lambda q: np.asarray(value[np.searchsorted(edges[1:-1], q, "left")])


def _venn_abers(p: FloatArray, y: FloatArray, w: FloatArray, _: int) -> Fitted:
    def point_value(q: FloatArray) -> FloatArray:
        low, high = venn_abers_interval(p, y, q, weights=w)
        return np.asarray(high / (1 - low + high))

    return {}, point_value


def venn_abers_interval(p: ArrayLike, y: ArrayLike, query: ArrayLike, *, weights: ArrayLike | None = None) -> tuple[FloatArray, FloatArray]:
    """Return Venn-ABERS intervals p0 <= p1: isotonic fits with each query added as label 0 and as label 1.

    Parameters
    ----------
    p, y : (n,) calibration probabilities and labels
    query : (m,) float64 in [0, 1]
    """
    from trueline.metrics.corp import isotonic_fit

    scores, labels, asked = _probabilities(p, "p"), _labels(y), _probabilities(query, "query")
    w = np.ones(len(scores)) if weights is None else check_weights(weights, len(scores))
    ends = np.empty((2, len(asked)))
    distinct, inverse = np.unique(asked, return_inverse=True)
    for label in (0.0, 1.0):
        found = np.empty(len(distinct))
        for i, q in enumerate(distinct):
            x, fitted = isotonic_fit(np.append(scores, q), np.append(labels, label), np.append(w, 1.0))
            found[i] = fitted[np.searchsorted(x, q)]
        ends[int(label)] = found[inverse]
    return ends[0], ends[1]


_FITS: dict[str, Callable[[FloatArray, FloatArray, FloatArray, int], Fitted]] = {
    "platt": _platt,
    "temperature": _temperature,
    "beta": _beta,
    "isotonic": _isotonic,
    "histogram": _histogram,
    "venn-abers": _venn_abers,
}
