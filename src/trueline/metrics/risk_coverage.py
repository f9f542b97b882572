"""Risk and coverage: AURC, E-AURC, AUGRC, PRR, selective risk, coverage at a risk.

One definition for the whole project. Rows are taken in rising uncertainty; r_k is the mean loss of the k most certain; inside a group of
equal scores every row has the group's mean loss (the expectation over random order). AURC = (1/n) sum_k r_k, a rectangle rule.
Geifman and El-Yaniv 2017; Geifman et al. 2019 (E-AURC, here with the exact finite oracle); Traub et al. 2024 (AUGRC); Malinin et al. 2020
(PRR).
LM-Polygraph's PRR differs: a shuffled instead of an exact random baseline, and ties in file order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument, call
from trueline.stats.cells import rank_cells
from trueline.stats.engine import Metric
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import NanPolicy, SortedSample, group_sums, weighted_sum

_TINY = 1e-9
_TABLE_END = 1e7


def aurc(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    r"""Area under the risk-coverage curve, :math:`\frac1n \sum_{k=1}^n r_k`; lower is better.

    Parameters
    ----------
    scores : (n,) float64
        Uncertainty, higher = less certain.
    truth : (n,) float64
        Loss: 1 = wrong and 0 = right, or 1 - quality.
    weights, clusters, ci, nan_policy
        As in `auroc`. A group of weight W and mean loss mu after weight V and loss S adds
        W mu + (S - V mu)(H(V + W) - H(V)), H the harmonic numbers, so that integer weights are exact repetition. The curve
        is not scale-free: scale importance weights to sum n before you give them.

    Examples
    --------
    >>> round(aurc([0.1, 0.2, 0.3], [0, 1, 0], ci=None).value, 6)
    0.277778
    """
    return call(AURC, scores, truth, weights, clusters, ci, nan_policy)


def e_aurc(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """AURC minus the AURC of the oracle order (losses rising); 0 for a perfect ranking. Arguments as in `aurc`."""
    return call(E_AURC, scores, truth, weights, clusters, ci, nan_policy)


def augrc(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Area under the generalised risk G_k / n over coverage k / n, by trapezoids from (0, 0); lower is better.

    Arguments as in `aurc`. For 0/1 loss it equals (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2.
    """
    return call(AUGRC, scores, truth, weights, clusters, ci, nan_policy)


def prr(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    max_rejection: float = 1.0,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Prediction-rejection ratio (AURC_random - AURC) / (AURC_random - AURC_oracle): 1 perfect, 0 random, below 0 worse.

    Arguments as in `aurc`. With ``max_rejection = rho`` < 1, all three areas are means of r_k over the rejections up to rho, that is over
    k > n - floor(rho n). NaN where all losses are equal.
    """
    return call(prr_metric(max_rejection), scores, truth, weights, clusters, ci, nan_policy)


def prr_unconditional(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """PRR on generalised risk, (mean loss / 2 - AUGRC) / (mean loss / 2 - AUGRC_oracle); 2 AUROC - 1 for 0/1 loss. As in `aurc`."""
    return call(PRR_UNCONDITIONAL, scores, truth, weights, clusters, ci, nan_policy)


def selective_risk(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    coverage: float = 0.8,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Mean loss of the k = max(1, ceil(coverage n)) most certain rows. Other arguments as in `aurc`."""
    return call(selective_risk_metric(coverage), scores, truth, weights, clusters, ci, nan_policy)


def coverage_at_risk(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    risk: float = 0.1,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Largest share of rows that a threshold can answer at mean loss <= `risk`; 0 if none. A threshold cannot split equal scores.

    Other arguments as in `aurc`.
    """
    return call(coverage_at_risk_metric(risk), scores, truth, weights, clusters, ci, nan_policy)


def prr_metric(max_rejection: float = 1.0) -> Metric:
    """Return the metric record of `prr`."""
    if not 0 < max_rejection <= 1:
        raise InputError(f"max_rejection is {max_rejection}; expected a share in (0, 1]")

    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        if max_rejection == 1:
            return _ratio(_mean_loss(sample, weights), _aurc_value(sample, weights), mean_risk(*by_loss(sample, weights)))
        mass = weights.sum(axis=1)
        first = np.ceil(mass - np.floor(max_rejection * mass + _TINY) - _TINY)
        own = mean_risk(*group_totals(sample, weights), first)
        best = mean_risk(*by_loss(sample, weights), first)
        return _ratio(_mean_loss(sample, weights), own, best)

    def reason(sample: SortedSample) -> str:
        if max_rejection * sample.weights.sum() < 1 - _TINY:
            return f"max_rejection {max_rejection:g} of {sample.n} rows is less than one row"
        return _equal_losses(sample)

    return Metric("prr", value, truth="real", reason=reason, bounds=(-np.inf, 1), cells=rank_cells)


def selective_risk_metric(coverage: float = 0.8) -> Metric:
    """Return the metric record of `selective_risk`."""
    if not 0 < coverage <= 1:
        raise InputError(f"coverage is {coverage}; expected a share in (0, 1]")

    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        w, s = group_totals(sample, weights)
        mass = w.sum(axis=1)
        return risk_at(w, s, np.minimum(np.maximum(1.0, np.ceil(coverage * mass - _TINY)), mass))

    return Metric("selective_risk", value, truth="real")


def coverage_at_risk_metric(risk: float = 0.1) -> Metric:
    """Return the metric record of `coverage_at_risk`."""

    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        w, s = group_totals(sample, weights)
        end, total = np.cumsum(w, axis=1), np.cumsum(s, axis=1)
        fine = (total <= risk * end + 1e-12 * np.maximum(1.0, end)) & (end > 0)
        return np.asarray(np.where(fine, end, 0.0).max(axis=1) / end[:, -1])

    return Metric("coverage_at_risk", value, truth="real", bounds=(0, 1))


def group_totals(sample: SortedSample, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight and summed loss of each tied group, most certain first."""
    return group_sums(weights, sample.starts), group_sums(weights * sample.truth, sample.starts)


def risk_at(w: FloatArray, s: FloatArray, k: FloatArray) -> FloatArray:
    """Mean loss of the k most certain, from group weights and summed losses, (n_replicates, n_groups); NaN where k is 0."""
    end, total = np.cumsum(w, axis=1), np.cumsum(s, axis=1)
    k = np.where(k > 0, k, np.nan)
    at = np.minimum((end < k[:, None] - _TINY).sum(axis=1), w.shape[1] - 1)[:, None]
    w_at, s_at = np.take_along_axis(w, at, 1)[:, 0], np.take_along_axis(s, at, 1)[:, 0]
    rest = np.take_along_axis(end, at, 1)[:, 0] - k
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((np.take_along_axis(total, at, 1)[:, 0] - rest * s_at / w_at) / k)


def by_loss(sample: SortedSample, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight and summed loss of each group of equal loss, smallest loss first: the oracle order."""
    levels = sample.truth[sample.truth_order][sample.truth_starts]
    if len(levels) == 2:
        high = weighted_sum(weights, (sample.truth == levels[1]).astype(np.float64))
        w = np.stack([weights.sum(axis=1) - high, high], axis=1)
    else:
        w = group_sums(weights[:, sample.truth_order], sample.truth_starts)
    return w, w * levels


def mean_risk(w: FloatArray, s: FloatArray, first: FloatArray | None = None) -> FloatArray:
    """Mean of r_k over k = first + 1 .. n, from group weights and summed losses."""
    end = np.cumsum(w, axis=1)
    mass = end[:, -1]
    before = np.cumsum(s, axis=1)
    # A group without weight has no loss either: 0 / tiny is its mean.
    mu = s / np.maximum(w, 1e-300)
    # G at the group's end less mu times its end: the part of G that the group's own slope does not explain.
    before -= end * mu
    low = np.zeros((len(w), 1)) if first is None else first[:, None]
    reach = np.concatenate([low, end if first is None else np.maximum(end, low)], axis=1)
    area = np.einsum("ij,ij->i", np.diff(reach), mu) + np.einsum("ij,ij->i", before, np.diff(_harmonic(reach)))
    count = mass - low[:, 0]
    return np.asarray(np.where(count > 0, area / np.where(count > 0, count, 1.0), np.nan))


def _harmonic(k: FloatArray) -> FloatArray:
    """Harmonic numbers H(k): from a table for integers, from digamma for real arguments."""
    top = float(k.max(initial=0.0))
    whole = k.astype(np.int64) if top < _TABLE_END else None
    if whole is not None and np.array_equal(whole, k):
        return _harmonic_table(1 << int(top).bit_length())[whole]
    from scipy.special import digamma

    return np.asarray(digamma(k + 1) + np.euler_gamma)


@lru_cache(maxsize=4)
def _harmonic_table(size: int) -> FloatArray:
    """H(0) .. H(size); sizes are powers of two, so that few tables are made."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1.0, size + 1))])


def _mean_loss(sample: SortedSample, weights: FloatArray) -> FloatArray:
    return np.asarray(weighted_sum(weights, sample.truth) / weights.sum(axis=1))


def _generalised(w: FloatArray, s: FloatArray) -> FloatArray:
    g = np.cumsum(s, axis=1)
    return np.asarray(np.einsum("ij,ij->i", w, g - 0.5 * s) / w.sum(axis=1) ** 2)


def _ratio(random: FloatArray, own: FloatArray, best: FloatArray) -> FloatArray:
    gap = random - best
    flat = np.abs(gap) <= 1e-14 * np.maximum(1.0, np.abs(random))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(flat, np.nan, (random - own) / gap))


def _aurc_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    # The metrics of one call see the same array of weights one after another: AURC, E-AURC and PRR share this part.
    held = sample.cache.get("aurc")
    if held is None or held[0] is not weights:
        held = sample.cache["aurc"] = weights, mean_risk(*group_totals(sample, weights))
    found: FloatArray = held[1]
    return found


def _e_aurc_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    return np.asarray(_aurc_value(sample, weights) - mean_risk(*by_loss(sample, weights)))


def _augrc_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    return _generalised(*group_totals(sample, weights))


def _prr_unconditional_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    half = _mean_loss(sample, weights) / 2
    return _ratio(half, _generalised(*group_totals(sample, weights)), _generalised(*by_loss(sample, weights)))


def _equal_losses(sample: SortedSample) -> str:
    return f"all {sample.n} losses are equal ({sample.truth[sample.weights > 0][0]:g}): nothing can be ranked"


def _loss_metric(name: str, value: Callable[[SortedSample, FloatArray], FloatArray], high: float = np.inf) -> Metric:
    return Metric(name, value, truth="real", reason=_equal_losses, bounds=(-np.inf, high), cells=rank_cells)


AURC = _loss_metric("aurc", _aurc_value)
E_AURC = _loss_metric("e_aurc", _e_aurc_value)
AUGRC = _loss_metric("augrc", _augrc_value)
PRR = prr_metric()
PRR_UNCONDITIONAL = _loss_metric("prr_unconditional", _prr_unconditional_value, 1.0)
