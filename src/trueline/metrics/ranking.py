"""AUROC, average precision and FPR at a TPR: how well a score ranks positives above negatives.

The positive class is truth 1. For an uncertainty score give the loss (1 = the answer is wrong), so that above 0.5 is good.
Fawcett 2006; Davis and Goadrich 2006 (why the precision curve is summed in steps, never by trapezoids); DeLong et al. 1988.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument, call
from trueline.stats.cells import rank_cells
from trueline.stats.delong import components, delong_interval, effective_pairs, separated_interval
from trueline.stats.engine import Metric, point
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import Interval
from trueline.stats.sample import NanPolicy, SortedSample, group_sums


def auroc(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    r"""Area under the ROC curve: P(score of a positive > score of a negative), ties one half.

    .. math:: A = \frac{1}{PN} \sum_g P_g (N_{<g} + N_g / 2)

    over groups g of equal scores; one sort, no threshold.

    Parameters
    ----------
    scores : (n,) float64
        Any real score, infinities allowed; higher should mean truth 1.
    truth : (n,) in {0, 1}
    weights : (n,) float64, optional
        Frequency weights.
    clusters : (n,), optional
        Labels of independent units; the interval then comes from a cluster bootstrap.
    ci : CI, str or None
        ``"auto"``: DeLong on the logit scale for independent rows, BCa for clusters.
    nan_policy : {"raise", "drop"}

    Returns
    -------
    Estimate
        NaN with a reason where only one class is present.

    Raises
    ------
    InputError
        On bad input, naming the first index.

    Examples
    --------
    >>> auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], ci=None).value
    0.75
    """
    return call(AUROC, scores, truth, weights, clusters, ci, nan_policy)


def auprc(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """Average precision: precision summed in steps of recall over distinct thresholds, from the highest score down.

    Arguments as in `auroc`. Its chance level is the prevalence of positives, which belongs beside it. NaN without a positive.

    Examples
    --------
    >>> round(auprc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], ci=None).value, 4)
    0.8333
    """
    return call(AUPRC, scores, truth, weights, clusters, ci, nan_policy)


def fpr_at_tpr(
    scores: ArrayLike,
    truth: ArrayLike,
    *,
    tpr: float = 0.95,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    nan_policy: NanPolicy = "raise",
) -> Estimate:
    """False-positive rate at the first threshold, from the top, whose true-positive rate reaches `tpr`; lower is better.

    Arguments as in `auroc`; `tpr` in (0, 1].

    Examples
    --------
    >>> fpr_at_tpr([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], ci=None).value
    0.5
    """
    return call(fpr_metric(tpr), scores, truth, weights, clusters, ci, nan_policy)


def fpr_metric(tpr: float = 0.95) -> Metric:
    """Return the metric record of `fpr_at_tpr`."""
    if not 0 < tpr <= 1:
        raise InputError(f"tpr is {tpr}; expected a rate in (0, 1]")

    def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
        pos, neg = _class_sums(sample, weights)
        tp, fp = _from_top(pos), _from_top(neg)
        with np.errstate(invalid="ignore", divide="ignore"):
            reached = tp / tp[:, :1] >= tpr - 1e-12
            # Groups rise with the score, so the first threshold from the top is the last group that reaches the rate.
            last = reached.shape[1] - 1 - np.argmax(reached[:, ::-1], axis=1)
            rate = np.take_along_axis(fp, last[:, None], axis=1)[:, 0] / fp[:, 0]
        return np.where(tp[:, 0] > 0, rate, np.nan)

    return Metric("fpr_at_tpr", value, both_classes=True, reason=one_class, bounds=(0, 1))


# Under a weight of zero a quotient 0/0 becomes 0; dividing by exact zeros would cost several times as much.
_NOTHING = 1e-300


def one_class(sample: SortedSample) -> str:
    """Return why a two-class metric is undefined on a sample."""
    used = sample.weights > 0
    ones = int(sample.multiplicity[sample.positive & used].sum())
    zeros = int(sample.multiplicity[used].sum()) - ones
    return f"only one class: {ones} with truth 1, {zeros} with truth 0"


def _class_sums(sample: SortedSample, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    pos = weights * sample.truth
    return group_sums(pos, sample.starts), group_sums(weights - pos, sample.starts)


def _from_top(per_group: FloatArray) -> FloatArray:
    """Sums over this group and all of higher score."""
    return np.cumsum(per_group[:, ::-1], axis=1)[:, ::-1]


def _auroc_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    pos, neg = _class_sums(sample, weights)
    below = np.cumsum(neg, axis=1)
    n_neg, n_pos = below[:, -1].copy(), pos.sum(axis=1)
    if len(sample.starts) != sample.n_rows:
        below -= 0.5 * neg
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.einsum("ij,ij->i", pos, below) / (n_pos * n_neg))


def _auprc_value(sample: SortedSample, weights: FloatArray) -> FloatArray:
    pos = group_sums(weights * sample.truth, sample.starts)
    both = group_sums(weights, sample.starts)
    # Sums from the top, as the total less what lies below: a reversed cumulative sum costs three times as much.
    below = np.cumsum(pos, axis=1)
    n_pos = below[:, -1:].copy()
    tp = n_pos - below + pos
    below = np.cumsum(both, axis=1)
    predicted = below[:, -1:] - below + both
    np.maximum(predicted, _NOTHING, out=predicted)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.einsum("ij,ij->i", pos, tp / predicted) / n_pos[:, 0])


def _auroc_jackknife(sample: SortedSample) -> tuple[FloatArray, FloatArray]:
    """Leave-one-out AUROCs from DeLong's components: (P A - w V)/(P - w) for a positive; clusters add their inner pairs back."""
    value, v = components(sample)
    w, y = sample.weights / sample.multiplicity, sample.positive
    n_pos, n_neg = float(sample.weights[y].sum()), float(sample.weights[~y].sum())
    size = np.where(y, n_pos, n_neg)
    with np.errstate(invalid="ignore", divide="ignore"):
        if sample.cluster is None:
            return (size * value - w * v) / (size - w), sample.multiplicity
        code, k = sample.cluster, sample.n_clusters
        pos_c, neg_c = np.bincount(code, w * y, k), np.bincount(code, w * ~y, k)
        lost = np.bincount(code, w * v * np.where(y, n_neg, n_pos), k) - _inner_pairs(sample, k)
        left: FloatArray = (n_pos * n_neg * value - lost) / ((n_pos - pos_c) * (n_neg - neg_c))
    return left, np.ones(k)


def _inner_pairs(sample: SortedSample, k: int) -> FloatArray:
    """Concordant weight of positive-negative pairs inside each cluster."""
    if sample.cluster is None:
        return np.zeros(k)
    group = np.zeros(sample.n_rows, dtype=np.int64)
    group[sample.starts[1:]] = 1
    order = np.lexsort((np.cumsum(group), sample.cluster))
    code, tie, w, y = sample.cluster[order], np.cumsum(group)[order], sample.weights[order], sample.positive[order]
    cells = np.flatnonzero(np.r_[True, (code[1:] != code[:-1]) | (tie[1:] != tie[:-1])])
    pos, neg = np.add.reduceat(w * y, cells), np.add.reduceat(w * ~y, cells)
    total = np.cumsum(neg)
    first = np.r_[True, code[cells][1:] != code[cells][:-1]]
    before = (total - neg)[first][np.cumsum(first) - 1]
    return np.asarray(np.bincount(code[cells], pos * (total - 0.5 * neg - before), k), dtype=np.float64)


def _auroc_influence(sample: SortedSample, weights: FloatArray) -> FloatArray:
    """DeLong's components under each weight vector, less the AUROC, over the weight of the row's own class."""
    pos, neg = _class_sums(sample, weights)
    below, above = np.cumsum(neg, axis=1) - 0.5 * neg, pos.sum(axis=1, keepdims=True) - np.cumsum(pos, axis=1) + 0.5 * pos
    n_pos, n_neg = pos.sum(axis=1, keepdims=True), neg.sum(axis=1, keepdims=True)
    size = np.diff(np.append(sample.starts, sample.n_rows))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.einsum("ij,ij->i", pos, below)[:, None] / (n_pos * n_neg)
        of_pos, of_neg = ((v - value) / n for v, n in ((below / n_neg, n_pos), (above / n_pos, n_neg)))
    return np.where(sample.positive, np.repeat(of_pos, size, axis=1), np.repeat(of_neg, size, axis=1))


def _auroc_fallback(sample: SortedSample, level: float) -> Interval:
    value = point(AUROC, sample)
    if value in (0.0, 1.0):
        return separated_interval(value, effective_pairs(sample), level)
    return Interval(value, value, 0.0, "constant")


AUROC = Metric(
    "auroc",
    _auroc_value,
    both_classes=True,
    jackknife=_auroc_jackknife,
    analytic=delong_interval,
    fallback=_auroc_fallback,
    influence=_auroc_influence,
    reason=one_class,
    bounds=(0, 1),
    cells=rank_cells,
)
AUPRC = Metric("auprc", _auprc_value, both_classes=True, reason=one_class, bounds=(0, 1), cells=rank_cells)
