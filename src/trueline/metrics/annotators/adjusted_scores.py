r"""Uncertainty-adjusted version of every metric of scores and truth: AUROC, AURC, PRR, ECE, ... when annotators disagree about the truth.

Stutz et al., arXiv 2307.02191, section 4, for metrics that are no mean over cases: :math:`\mathrm{UA}\text{-}M = E_s\, M(\mathrm{scores},
\mathrm{truth}^s)`, the metric of all cases under each draw of the truth, averaged over draws. As for `ua_topk_accuracy`, this is what the
annotations alone support and not the true value: with few readers it lies nearer to chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.annotators.adjusted import Adjusted
from trueline.metrics.annotators.certainty import check_samples
from trueline.metrics.evaluate import evaluate, metric_record
from trueline.stats.engine import Metric
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import percentile
from trueline.stats.sample import as_vector, cluster_codes

_UNSTABLE = 0.05


def drawn_errors(predicted: ArrayLike, samples: ArrayLike) -> FloatArray:
    """Return (n, m) float64: 1 where the predicted class (n,) is not the top class of a draw (n, m, K); NaN for cases without readers."""
    draws = check_samples(samples)
    labels = np.asarray(predicted)
    if labels.shape != draws.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"predicted must be {draws.shape[0]} integers, a class a case; got shape {labels.shape}, dtype {labels.dtype}")
    wrong: FloatArray = np.not_equal(np.argmax(draws, axis=2), labels[:, None]).astype(np.float64)
    wrong[np.isnan(draws[:, 0]).any(axis=1)] = np.nan
    return wrong


def ua_evaluate(
    scores: ArrayLike,
    truths: ArrayLike,
    metrics: Sequence[str | Metric] = ("auroc", "auprc", "aurc", "prr"),
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
    n_boot: int = 500,
    seed: int = 0,
) -> dict[str, Adjusted]:
    """Evaluate metrics under drawn truths.

    Parameters
    ----------
    scores : (n,) float64
        As in `evaluate`: an uncertainty where truth is an error, a probability where truth is the event.
    truths : (n, m) float64
        Draws of the truth, such as `drawn_errors`; a case that is NaN throughout (no readers) is left out and counted.
    clusters : (n,), optional
        Cases that share a label are resampled together.
    n_boot, seed
        Replicates of the interval: each resamples the cases and takes one draw of their truth, so that it holds both uncertainties.
        It is wide for the mean over draws: simulated intervals of 95 % covered in 99 to 100 % of data sets.

    Returns
    -------
    dict of name to Adjusted: the mean over draws with a percentile interval, one value a draw in ``replicates``; ``items`` is empty, since
    these metrics have no value of one case.

    Raises
    ------
    InputError
        Shapes that do not fit, NaN in only some draws of a case, and whatever `evaluate` refuses.
    """
    s, drawn = as_vector(scores, "scores"), np.asarray(truths, dtype=np.float64)
    if drawn.ndim != 2 or drawn.shape[0] != len(s) or 0 in drawn.shape:
        raise InputError(f"truths must be ({len(s)}, m), a row a case and a column a draw; got shape {drawn.shape}")
    holes = np.isnan(drawn)
    known = np.asarray(~holes.all(axis=1))
    if holes[known].any():
        raise InputError(f"case {int(np.flatnonzero(known)[holes[known].any(axis=1)][0])} has NaN in some draws only; give all or none")
    if n_boot < 2 or not 0 < level < 1:
        raise InputError(f"n_boot is {n_boot} and level {level}; expected at least 2 replicates and a level in (0, 1)")
    records = [metric_record(m) for m in metrics]
    names = [r.name for r in records]
    missing = int((~known).sum())
    if not known.any():
        nothing = Estimate.undefined("no case has readers", n_missing=missing, level=level)
        return {name: Adjusted(nothing, np.empty(0)) for name in names}
    s, drawn = s[known], drawn[known]
    unit = np.arange(len(s)) if clusters is None else cluster_codes(clusters, len(known))[known]
    unit = np.unique(unit, return_inverse=True)[1]
    by_draw = np.array([_values(s, drawn[:, d], records, None) for d in range(drawn.shape[1])])
    rng = np.random.default_rng(seed)
    replicates = np.empty((n_boot, len(records)))
    for b in range(n_boot):
        counts = np.bincount(rng.integers(0, unit.max() + 1, unit.max() + 1), minlength=unit.max() + 1)[unit]
        replicates[b] = _values(s, drawn[:, rng.integers(drawn.shape[1])], records, counts.astype(np.float64))
    where = "cases" if clusters is None else "clusters"
    return {
        name: _adjusted(by_draw[:, i], replicates[:, i], level, f"percentile, {n_boot} replicates of {where} and truth", len(s), missing)
        for i, name in enumerate(names)
    }


def _values(scores: FloatArray, truth: FloatArray, records: Sequence[Metric], weights: FloatArray | None) -> list[float]:
    kept = slice(None) if weights is None else weights > 0
    given = None if weights is None else weights[kept]
    return [e.value for e in evaluate(scores[kept], truth[kept], records, weights=given, ci=None).values()]


def _adjusted(by_draw: FloatArray, replicates: FloatArray, level: float, method: str, n: int, missing: int) -> Adjusted:
    defined, good = by_draw[np.isfinite(by_draw)], replicates[np.isfinite(replicates)]
    if not len(defined):
        why = "the metric is undefined under every draw of the truth (one class only?)"
        return Adjusted(Estimate.undefined(why, n=n, n_missing=missing, level=level), np.empty(0), by_draw)
    value, reason = float(defined.mean()), None
    lost = 1 - min(len(defined) / len(by_draw), len(good) / len(replicates))
    if lost > _UNSTABLE:
        reason = f"unstable: undefined in {lost:.0%} of the draws or replicates, which are left out"
    if len(good) < 2:
        return Adjusted(Estimate(value, level=level, n=n, n_missing=missing, reason=reason), np.empty(0), by_draw)
    low, high = percentile(good, level)
    spread = float(good.std(ddof=1))
    estimate = Estimate(value, min(low, value), max(high, value), level, n, missing, method, se=spread, reason=reason)
    return Adjusted(estimate, np.empty(0), by_draw)
