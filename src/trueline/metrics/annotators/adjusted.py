r"""Uncertainty-adjusted metrics: the mean of a metric over the posterior of the plausibilities.

Stutz et al., arXiv 2307.02191, section 4: :math:`\mathrm{UA}\text{-}M = \mathrm{mean}_i\, E\, M(\mathrm{pred}_i, \lambda_i)`. It is the
accuracy that the annotations alone support, **not** the true accuracy: a posterior that knows few readers under-states a good model. Read
it beside `standard_topk_accuracy`, `aggregated_topk` (agreement with a fresh reader) and `annotation_certainty`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import accuracy
from trueline.metrics.annotators.certainty import check_samples, topk_weights
from trueline.stats.estimate import Estimate, FloatArray


@dataclass(frozen=True, eq=False)
class Adjusted:
    """A metric of all cases with both of its uncertainties.

    Attributes
    ----------
    estimate : Estimate
        Mean over cases; its interval is the sampling uncertainty (which cases were seen). Cases without readers count as missing.
    items : (n,) float64
        Value of each case, NaN without readers.
    replicates : (m,) float64 or None
        Mean over all cases of each posterior draw: the annotation uncertainty. None where the posterior was integrated exactly.
    """

    estimate: Estimate
    items: FloatArray
    replicates: FloatArray | None = None

    @property
    def annotation_sd(self) -> float:
        """Standard deviation over the posterior draws; NaN without draws."""
        return float("nan") if self.replicates is None else float(self.replicates.std())

    def minus(self, other: Adjusted, *, clusters: ArrayLike | None = None, ci: CIArgument = "auto") -> Adjusted:
        """Return the paired difference to another model on the same cases and, where both have them, the same posterior draws."""
        if other.items.shape != self.items.shape:
            raise InputError(f"a paired difference needs the same cases; got {len(self.items)} and {len(other.items)}")
        gap = self.items - other.items
        # the interval of a mean moves with shift and scale, so that of (gap + 1) / 2 in [0, 1] serves
        half = accuracy((gap + 1) / 2, clusters=clusters, ci=ci, nan_policy="drop")
        ends = {name: 2 * getattr(half, name) - 1 for name in ("value", "low", "high")}
        draws = None
        if self.replicates is not None and other.replicates is not None and len(self.replicates) == len(other.replicates):
            draws = self.replicates - other.replicates
        return Adjusted(replace(half, **ends, se=2 * half.se), gap, draws)


def ua_topk_accuracy(
    predictions: ArrayLike,
    posterior: ArrayLike,
    k: int = 1,
    *,
    ties: str = "split",
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> Adjusted:
    """Chance that the top class is among the prediction's k best.

    Parameters
    ----------
    predictions : (n, K) float64
        Higher = more likely; any scale.
    posterior : (n, K) or (n, m, K) float64
        Exact certainties P(argmax = c) (`DirichletIRN.certainty`), or draws of the plausibilities.
    ties : {"split", "lowest"}
        Among equal predictions (see `topk_weights`).
    clusters, ci
        As in `accuracy`.
    """
    p, law = np.asarray(predictions, dtype=np.float64), np.asarray(posterior, dtype=np.float64)
    chosen = topk_weights(_predictions(p, law), k, ties)
    if law.ndim == 2:
        return _adjusted(_dot(chosen, law), clusters, ci)
    draws = check_samples(law)
    return _from_draws(np.take_along_axis(chosen, np.argmax(draws, axis=2), axis=1), draws, clusters, ci)


def standard_topk_accuracy(
    predictions: ArrayLike,
    plausibilities: ArrayLike,
    k: int = 1,
    *,
    ties: str = "split",
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> Adjusted:
    """Usual evaluation: the truth is the argmax of the plausibilities (n, K), often tied; ties in either are split."""
    p, truth = np.asarray(predictions, dtype=np.float64), np.asarray(plausibilities, dtype=np.float64)
    return _adjusted(_dot(topk_weights(_predictions(p, truth), k, ties), topk_weights(truth, 1, ties)), clusters, ci)


def aggregated_topk(
    predictions: ArrayLike,
    plausibilities: ArrayLike,
    k: int = 1,
    *,
    ties: str = "split",
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> Adjusted:
    """Plausibility of the prediction's k best classes.

    plausibilities: (n, K), or draws (n, m, K). With shares of votes and k = 1 this estimates agreement with a fresh reader without bias.
    """
    p, law = np.asarray(predictions, dtype=np.float64), np.asarray(plausibilities, dtype=np.float64)
    chosen = topk_weights(_predictions(p, law), k, ties)
    if law.ndim == 2:
        return _adjusted(_dot(chosen, law), clusters, ci)
    return _from_draws(np.einsum("nk,nmk->nm", chosen, law), law, clusters, ci)


def ua_set_accuracy(
    predictions: ArrayLike, samples: ArrayLike, k: int, k_truth: int, *, clusters: ArrayLike | None = None, ci: CIArgument = "auto"
) -> Adjusted:
    """Chance that the prediction's k best and the k_truth most plausible classes of a draw (n, m, K) meet; ties to the lowest class."""
    draws = check_samples(samples)
    chosen = topk_weights(_predictions(np.asarray(predictions, dtype=np.float64), draws), k, "lowest")
    meets = (topk_weights(draws, k_truth, "lowest") * chosen[:, None, :]).max(axis=2)
    return _from_draws(meets, draws, clusters, ci)


def ua_average_overlap(
    predictions: ArrayLike, samples: ArrayLike, depth: int, *, clusters: ArrayLike | None = None, ci: CIArgument = "auto"
) -> Adjusted:
    """Average overlap to `depth` of the prediction's ranking with that of each draw (n, m, K); ties to the lowest class."""
    draws = check_samples(samples)
    p = _predictions(np.asarray(predictions, dtype=np.float64), draws)
    if not 1 <= depth <= p.shape[1]:
        raise InputError(f"depth is {depth}; expected 1..{p.shape[1]}")
    place = np.argsort(np.argsort(-p, axis=1, kind="stable"), axis=1)
    best = np.argsort(-draws, axis=2, kind="stable")[:, :, :depth]
    predicted = np.take_along_axis(place, best.reshape(len(p), -1), axis=1).reshape(best.shape)
    both = np.maximum(predicted, np.arange(depth))
    # in both tops from depth max(place) + 1 on: the sum of 1/d over those depths
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, depth + 1))])
    gain = np.where(both < depth, harmonic[-1] - harmonic[np.minimum(both, depth)], 0.0)
    return _from_draws(gain.sum(axis=2) / depth, draws, clusters, ci)


def aggregated_coverage(sets: ArrayLike, plausibilities: ArrayLike) -> FloatArray:
    """Return the plausibility (n, K) that each prediction set (n, K) bool holds, clipped to [0, 1]: (n,), NaN without readers."""
    inside, law = np.asarray(sets), np.asarray(plausibilities, dtype=np.float64)
    if inside.shape != law.shape or law.ndim != 2 or not np.isin(inside, (0, 1)).all():
        raise InputError(f"expected sets of 0 and 1 and plausibilities, both (n, K); got shapes {inside.shape} and {law.shape}")
    return np.clip(_dot(inside.astype(np.float64), law), 0.0, 1.0)


def _predictions(p: FloatArray, law: FloatArray) -> FloatArray:
    if p.ndim != 2 or law.ndim not in (2, 3) or (law.shape[0], law.shape[-1]) != p.shape:
        raise InputError(f"predictions must be (n, K), the posterior (n, K) or (n, m, K); got shapes {p.shape} and {law.shape}")
    if np.isnan(p).any():
        raise InputError(f"predictions of case {int(np.argwhere(np.isnan(p))[0, 0])} hold NaN; leave such cases out first")
    return p


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("nk,nk->n", a, b))


def _adjusted(items: FloatArray, clusters: ArrayLike | None, ci: CIArgument, replicates: FloatArray | None = None) -> Adjusted:
    # sums of probabilities pass 1 by rounding
    items = np.clip(items, 0.0, 1.0)
    return Adjusted(accuracy(items, clusters=clusters, ci=ci, nan_policy="drop"), items, replicates)


def _from_draws(values: FloatArray, draws: FloatArray, clusters: ArrayLike | None, ci: CIArgument) -> Adjusted:
    unknown = np.isnan(draws[:, 0]).any(axis=1)
    if unknown.all():
        return _adjusted(np.full(len(values), np.nan), clusters, ci)
    items = np.where(unknown, np.nan, values.mean(axis=1))
    return _adjusted(items, clusters, ci, np.asarray(values[~unknown].mean(axis=0)))
