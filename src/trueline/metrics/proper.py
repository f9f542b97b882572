"""Proper scores of probabilities: Brier, negative log-likelihood, Brier skill, and Murphy's decomposition.

Brier 1950; Murphy 1973. Binary Brier is (p - y)^2, half of the two-class sum; the multi-class sum is in `multiclass`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument, call
from trueline.metrics.accuracy import additive_jackknife, mean_influence
from trueline.stats.cells import rank_cells
from trueline.stats.engine import Metric, as_ci, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import NanPolicy, SortedSample, group_sums, sorted_sample, weighted_sum


def brier(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Mean of (p - y)^2 for probabilities p of y = 1; lower is better. Arguments as in `ece`.

    Examples
    --------
    >>> round(brier([0.8, 0.3], [1, 0], ci=None).value, 3)
    0.065
    """
    return call(BRIER, scores, truth, weights, clusters, ci, nan_policy)


def nll(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    clip: float = 0.0,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Mean negative log-likelihood in nats; infinite where a certain probability is wrong, and the reason counts those rows.

    ``clip=e`` moves probabilities into [e, 1 - e] first. Other arguments as in `ece`.
    """
    return call(nll_metric(clip), scores, truth, weights, clusters, ci, nan_policy)


def brier_skill(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """1 - Brier / Brier of the base rate: 1 perfect, 0 no better than the base rate. NaN for one class. Arguments as in `ece`."""
    return call(BRIER_SKILL, scores, truth, weights, clusters, ci, nan_policy)


@dataclass(frozen=True)
class Murphy:
    """Brier = reliability - resolution + uncertainty, exactly."""

    reliability: Estimate
    resolution: Estimate
    uncertainty: Estimate
    brier: Estimate


def murphy(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Murphy:
    """Murphy's decomposition of the Brier score over distinct forecasts. With few rows a forecast it flatters; `corp` does not.

    Arguments as in `ece`.
    """
    sample = sorted_sample(scores, truth, weights=weights, clusters=clusters, nan_policy=nan_policy)
    return Murphy(**estimates(sample, MURPHY, as_ci(ci)))


def nll_metric(clip: float = 0.0) -> Metric:
    """Return the metric record of `nll`."""
    if not 0 <= clip < 0.5:
        raise InputError(f"clip is {clip}; expected a small probability in [0, 0.5)")
    return Metric(
        "nll",
        partial(_nll_value, clip=clip),
        scores="probability",
        jackknife=lambda sample: additive_jackknife(sample, _nll_rows(sample, clip)),
        influence=partial(mean_influence, per_row=lambda sample: _nll_rows(sample, clip)),
        reason=lambda sample: f"infinite: {count_infinite(sample)} rows have a certain probability that is wrong",
        bounds=(0, np.inf),
    )


def count_infinite(sample: SortedSample) -> int:
    """Return how many rows have probability 0 for what happened."""
    wrong = ((sample.scores == 0) & (sample.truth == 1)) | ((sample.scores == 1) & (sample.truth == 0))
    return int(sample.multiplicity[wrong & (sample.weights > 0)].sum())


def _nll_rows(sample: SortedSample, clip: float) -> FloatArray:
    p = np.clip(sample.scores, clip, 1 - clip) if clip else sample.scores
    with np.errstate(divide="ignore"):
        return np.asarray(-np.where(sample.positive, np.log(p), np.log1p(-p)))


def _nll_value(sample: SortedSample, weights: FloatArray, *, clip: float) -> FloatArray:
    rows = _nll_rows(sample, clip)
    infinite = np.isinf(rows)
    value = weighted_sum(weights, np.where(infinite, 0.0, rows)) / weights.sum(axis=1)
    return np.where((weights[:, infinite] > 0).any(axis=1), np.inf, value)


def _brier_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    return np.asarray(weighted_sum(weights, (sample.scores - sample.truth) ** 2) / weights.sum(axis=1))


def _skill_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    rate = weighted_sum(weights, sample.truth) / weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        skill = 1 - _brier_value(sample, weights) / (rate * (1 - rate))
    return np.where((rate > 0) & (rate < 1), skill, np.nan)


def _murphy_value(sample: SortedSample, weights: FloatArray, *, part: str) -> FloatArray:
    mass, ones = group_sums(weights, sample.starts), group_sums(weights * sample.truth, sample.starts)
    total = mass.sum(axis=1)
    rate = ones.sum(axis=1) / total
    if part == "uncertainty":
        return np.asarray(rate * (1 - rate))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(mass > 0, ones / mass, 0.0)
    against = sample.scores[sample.starts] if part == "reliability" else rate[:, None]
    return np.asarray((mass * (mean - against) ** 2).sum(axis=1) / total)


BRIER = Metric(
    "brier",
    _brier_value,
    scores="probability",
    jackknife=lambda sample: additive_jackknife(sample, (sample.scores - sample.truth) ** 2),
    influence=partial(mean_influence, per_row=lambda sample: (sample.scores - sample.truth) ** 2),
    bounds=(0, 1),
    cells=rank_cells,
)
NLL = nll_metric()
BRIER_SKILL = Metric(
    "brier_skill",
    _skill_value,
    scores="probability",
    both_classes=True,
    reason=lambda s: "only one class: the base rate is certain",
    cells=rank_cells,
)
MURPHY = [
    # Noise within a forecast adds to reliability and resolution alike; the basic interval takes it off.
    Metric("reliability", partial(_murphy_value, part="reliability"), scores="probability", bounds=(0, 1), prefers="basic"),
    Metric("resolution", partial(_murphy_value, part="resolution"), scores="probability", bounds=(0, 1), prefers="basic"),
    Metric("uncertainty", partial(_murphy_value, part="uncertainty"), scores="probability", bounds=(0, 1)),
    BRIER,
]
