"""Is one item's error systematic or a matter of luck? Bias and variance of repeated runs.

Haegele et al., "The Hot Mess of AI", arXiv 2601.23045. Each item is run R times; the expected error splits into the error of the mean
prediction (bias) and the scatter around it (variance). Labels count as right: no noise term. `unbiased=True` takes off what a mean
over few runs adds to the plug-in bias and hides from the variance; the paper uses plug-in values with R >= 30. For whole sets see
`trueline.metrics.incoherence`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.estimate import FloatArray

Loss = Literal["kl", "brier", "zero_one"]
_SUM_TOLERANCE = 1e-3
_ONE_RUN = "one run only: its variance is unknown"


@dataclass(frozen=True)
class BiasVariance:
    """The two parts of one item's expected error.

    Attributes
    ----------
    bias2, variance, error : float
        ``error = bias2 + variance``, except under the zero-one loss. Nats for ``"kl"``, 0 to 2 for ``"brier"``. An unbiased `bias2` may
        fall below 0 on a single item; it is not clipped, since sums over items would then be biased.
    n_runs : int
    accuracy : float
        Share of runs whose largest entry (lowest index on ties) is the target; of runs that pass every test, for coverage; else NaN.
    reason : str or None
        Why a part is NaN.
    """

    bias2: float
    variance: float
    error: float
    n_runs: int
    accuracy: float = math.nan
    reason: str | None = None


def bias_variance(
    probs: ArrayLike, target: int, loss: Loss = "kl", *, delta: float = 1e-12, unbiased: bool = False, item: int | None = None
) -> BiasVariance:
    """Split the expected error of one item with C options.

    - ``"kl"``: after f <- (f + delta) / (1 + C delta), the mean cross-entropy is KL(y || fbar) + mean_r KL(fbar || f_r) with fbar the
      normalised geometric mean; bias2 = -ln fbar[target], variance = -ln of the normaliser. On one-hot answers the value hangs on
      `delta`: report Brier beside it. Unbiased: leave-one-run-out jackknife of the variance, which removes the bias to first order in 1/R.
    - ``"brier"``: squared distances to the arithmetic mean. Unbiased: variance R / (R - 1), bias2 the rest of the error.
    - ``"zero_one"`` (Domingos 2000): bias2 = [mode is wrong], variance = share of runs that differ from the mode, error = share of wrong
      runs. Variance helps where the mode is wrong, so the terms do not add up and give no incoherence; `unbiased` is refused.

    Parameters
    ----------
    probs : (n_runs, C) float64
        A probability vector a run; a chosen option is one-hot. Rows sum to 1 within 1e-3 and are used as they are.
    target : int
        Index of the right option.
    item : int, optional
        Position of the item, for messages.

    Raises
    ------
    InputError
        Unknown loss, target out of range, negative or NaN probabilities, rows that do not sum to 1, fewer than one run or two options.
    """
    if loss not in get_args(Loss):
        raise InputError(f"loss {loss!r} is unknown; expected one of {', '.join(get_args(Loss))}")
    p, target = check_probs(probs, target, item)
    accuracy = float((p.argmax(axis=1) == target).mean())
    if loss == "zero_one":
        if unbiased:
            raise InputError("the zero-one loss has no unbiased form; use 'brier', or unbiased=False")
        mode = int(p.mean(axis=0).argmax())
        return BiasVariance(float(mode != target), float((p.argmax(axis=1) != mode).mean()), 1 - accuracy, len(p), accuracy)
    if loss == "brier":
        return _squared(p, np.eye(p.shape[1])[target], None, unbiased, accuracy)
    return _kl(p, target, delta, unbiased, accuracy)


def coverage_bias_variance(passed: ArrayLike, *, unbiased: bool = False) -> BiasVariance:
    """Split the error of runs of one task that pass or fail each of T unit tests; the target is to pass them all.

    error = mean (1 - y)^2, bias2 = mean_j (1 - ybar_j)^2, variance = mean (y - ybar_j)^2, with means over runs and tests.

    Parameters
    ----------
    passed : (n_runs, T) in {0, 1}
    """
    y = _matrix(passed, "passed")
    if not np.isin(y, (0.0, 1.0)).all():
        raise InputError("passed must hold only 0 and 1, one row a run and one column a unit test")
    found = _squared(y, np.ones(y.shape[1]), None, unbiased, float(y.all(axis=1).mean()))
    t = y.shape[1]
    return BiasVariance(found.bias2 / t, found.variance / t, found.error / t, found.n_runs, found.accuracy, found.reason)


def squared_bias_variance(pred: ArrayLike, target: ArrayLike, metric: ArrayLike | None = None, *, unbiased: bool = False) -> BiasVariance:
    """Split the squared error of predicted vectors, in the norm x^T A x where a matrix A is given.

    Parameters
    ----------
    pred : (n_runs, d) float64
    target : (d,) float64
    metric : (d, d) float64, optional
        Symmetric and positive semi-definite.
    """
    x, y = _matrix(pred, "pred"), np.atleast_1d(np.asarray(target, dtype=np.float64))
    if y.shape != (x.shape[1],) or not np.isfinite(y).all():
        raise InputError(f"target must be {x.shape[1]} finite numbers, as many as pred has columns; got shape {y.shape}")
    if metric is None:
        return _squared(x, y, None, unbiased, math.nan)
    a = np.asarray(metric, dtype=np.float64)
    if a.shape != (len(y), len(y)) or not np.isfinite(a).all() or not np.allclose(a, a.T):
        raise InputError(f"metric must be a finite symmetric ({len(y)}, {len(y)}) matrix; got shape {a.shape}")
    least = float(np.linalg.eigvalsh(a)[0])
    if least < -1e-10 * max(1.0, float(np.abs(a).max())):
        raise InputError(f"metric must be positive semi-definite; its least eigenvalue is {least:.3g}")
    return _squared(x, y, a, unbiased, math.nan)


def embedding_variance(embeddings: ArrayLike, *, unbiased: bool = False) -> float:
    """Return the mean squared distance of R answers' embeddings to their mean; open answers have no target, hence no bias.

    Embed the final answer alone, without the reasoning. Unbiased: times R / (R - 1), NaN for one run.

    Parameters
    ----------
    embeddings : (n_runs, d) float64
    """
    x = _matrix(embeddings, "embeddings")
    variance = float(((x - x.mean(axis=0)) ** 2).sum(axis=1).mean())
    if not unbiased:
        return variance
    return variance * len(x) / (len(x) - 1) if len(x) > 1 else math.nan


def check_probs(probs: ArrayLike, target: int, item: int | None = None) -> tuple[FloatArray, int]:
    """Return checked (n_runs, C) probabilities and target, or raise `InputError` that names the run."""
    where = "probs" if item is None else f"item {item}: probs"
    p = _matrix(probs, where)
    if p.shape[1] < 2:
        raise InputError(f"{where} has {p.shape[1]} option(s); at least 2 are needed")
    bad = np.flatnonzero((p < 0).any(axis=1) | (np.abs(p.sum(axis=1) - 1) > _SUM_TOLERANCE))
    if len(bad):
        raise InputError(f"{where}: run {bad[0]} is {p[bad[0]].tolist()}; expected entries >= 0 that sum to 1 within {_SUM_TOLERANCE}")
    if isinstance(target, bool) or not isinstance(target, int | np.integer) or not 0 <= target < p.shape[1]:
        raise InputError(f"{where}: target {target!r} is no index of its {p.shape[1]} options (0..{p.shape[1] - 1})")
    return p, int(target)


def _matrix(values: ArrayLike, name: str) -> FloatArray:
    try:
        x = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers, as many in each run; {error}") from error
    if x.ndim != 2 or not x.size:
        raise InputError(f"{name} must be (n_runs, width), both at least 1; got shape {x.shape}")
    if not np.isfinite(x).all():
        raise InputError(f"{name}: run {np.flatnonzero(~np.isfinite(x).all(axis=1))[0]} holds a number that is not finite")
    return x


def _squared(x: FloatArray, y: FloatArray, metric: FloatArray | None, unbiased: bool, accuracy: float) -> BiasVariance:
    def norm2(d: FloatArray) -> FloatArray:
        return np.asarray((d * (d if metric is None else d @ metric)).sum(axis=-1))

    n_runs, mean = len(x), x.mean(axis=0)
    error, variance, bias2 = float(norm2(y - x).mean()), float(norm2(x - mean).mean()), float(norm2(y - mean))
    if not unbiased:
        return BiasVariance(bias2, variance, error, n_runs, accuracy)
    if n_runs < 2:
        return BiasVariance(math.nan, math.nan, error, n_runs, accuracy, _ONE_RUN)
    variance *= n_runs / (n_runs - 1)
    return BiasVariance(error - variance, variance, error, n_runs, accuracy)


def _kl(p: FloatArray, target: int, delta: float, unbiased: bool, accuracy: float) -> BiasVariance:
    if not 0 < delta < 1:
        raise InputError(f"delta is {delta}; expected a small number above 0, such as 1e-12")
    n_runs, c = p.shape
    logs = np.log((p + delta) / (1 + c * delta))
    total = logs.sum(axis=0)
    error, variance = -float(logs[:, target].mean()), float(_scatter(total / n_runs))
    if unbiased and n_runs < 2:
        return BiasVariance(math.nan, math.nan, error, n_runs, accuracy, _ONE_RUN)
    if unbiased:
        variance = n_runs * variance - (n_runs - 1) * float(_scatter((total - logs) / (n_runs - 1)).mean())
    return BiasVariance(error - variance, variance, error, n_runs, accuracy)


def _scatter(mean_logs: FloatArray) -> FloatArray:
    """Return -ln sum_c exp(mean log f) over the last axis, held at 0 against rounding."""
    top = mean_logs.max(axis=-1, keepdims=True)
    return np.asarray(np.maximum(0.0, -(top[..., 0] + np.log(np.exp(mean_logs - top).sum(axis=-1)))))
