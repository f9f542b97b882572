"""`evaluate`: many metrics of one pair of scores and truth, from one sort and one shared set of replicates."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from trueline.errors import InputError, nearest
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import ACCURACY_OF_LOSS
from trueline.metrics.correlation import CONCORDANCE, KENDALL, PEARSON, SPEARMAN
from trueline.metrics.ece import DEBIASED_ECE, DEBIASED_SQUARED_ECE, ECE, MCE, SIGNED_ECE
from trueline.metrics.proper import BRIER, BRIER_SKILL, NLL
from trueline.metrics.ranking import AUPRC, AUROC, fpr_metric
from trueline.metrics.risk_coverage import (
    AUGRC,
    AURC,
    E_AURC,
    PRR,
    PRR_UNCONDITIONAL,
    coverage_at_risk_metric,
    selective_risk_metric,
)
from trueline.metrics.smooth_ece import SMOOTH_ECE
from trueline.stats.engine import Metric, estimates
from trueline.stats.estimate import Estimate
from trueline.stats.sample import NanPolicy, sorted_sample

METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        ACCURACY_OF_LOSS, AUROC, AUPRC, fpr_metric(), AURC, E_AURC, AUGRC, PRR, PRR_UNCONDITIONAL, selective_risk_metric(),
        coverage_at_risk_metric(), ECE, MCE, SIGNED_ECE, DEBIASED_ECE, DEBIASED_SQUARED_ECE, SMOOTH_ECE,
        BRIER, BRIER_SKILL, NLL, PEARSON, SPEARMAN, KENDALL, CONCORDANCE,
    )
}  # fmt: skip


def evaluate(
    scores: ArrayLike,
    truth: ArrayLike,
    metrics: Sequence[str | Metric] = ("auroc", "auprc", "aurc", "prr"),
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> dict[str, Estimate]:
    """Evaluate several metrics on the same rows, sharing one sort and the same replicates.

    Parameters
    ----------
    scores : (n,) float64
        High where truth is expected to be 1: an uncertainty (truth = loss, 1 = wrong), or a probability of y = 1.
    truth : (n,) float64
        0/1, or a real loss for the risk-coverage metrics and rank correlations.
    metrics : sequence of names or Metric
        Names in ``METRICS``, or records with other settings such as ``ece_metric(Bins(10))``. ``"accuracy"`` is 1 - mean truth, the
        accuracy behind a loss.
    weights, clusters, ci, nan_policy
        As in `auroc`.
    strata : (n,), optional
        Stratum of each row, where the number of rows (or clusters) in each was set by design, such as 50 questions a topic: replicates then
        draw within strata, and what differs between them no longer widens the interval. The bootstrap takes the place of exact theory.

    Returns
    -------
    dict of name to Estimate, in the order asked for.

    Raises
    ------
    InputError
        An unknown name (the nearest are named), a name given twice, or data that a metric cannot take.

    Examples
    --------
    >>> table = evaluate([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], ["auroc", "aurc"], ci=None)
    >>> [(name, round(e.value, 4)) for name, e in table.items()]
    [('auroc', 0.75), ('aurc', 0.3333)]
    """
    chosen = [metric_record(m) for m in metrics]
    names = [m.name for m in chosen]
    if len(set(names)) != len(names):
        raise InputError(f"a metric was asked for twice: {sorted(n for n in set(names) if names.count(n) > 1)}")
    sample = sorted_sample(scores, truth, weights=weights, clusters=clusters, strata=strata, nan_policy=nan_policy)
    return estimates(sample, chosen, ci)


def metric_record(metric: str | Metric) -> Metric:
    """Return a metric record from a record or a known name."""
    if isinstance(metric, Metric):
        return metric
    if metric not in METRICS:
        raise InputError(f"unknown metric {metric!r}{nearest(metric, METRICS)}; known: {', '.join(METRICS)}")
    return METRICS[metric]
