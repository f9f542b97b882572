"""How answers hold up when the wording changes, and whether a skill appears at once or by degrees along a scale.

The questions are those of "Stochastic CHAOS" (Joshi et al., arXiv 2601.07239); the formulas are standard: the law of total variance, and
slopes of an accuracy curve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics._items import item_estimates
from trueline.metrics.distributional import NO_GREEDY, check_binary
from trueline.stats.engine import Metric, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import SortedSample, as_vector, sorted_sample

_OF_GREEDY = ("canonical_greedy_accuracy", "mean_variant_greedy_accuracy", "worst_variant_greedy_accuracy", "flip_rate", "illusion_gap")


@dataclass(frozen=True)
class Robustness:
    """Accuracy over V wordings of each item; wording 0 is the canonical one.

    Attributes
    ----------
    canonical_greedy_accuracy, mean_variant_greedy_accuracy, mean_sample_accuracy : Estimate
    worst_variant_greedy_accuracy : Estimate
        Share of items right under every wording; it falls with V by construction, so compare it only at equal V.
    worst_if_independent : float
        What it would be if wordings failed independently: the product of the accuracies of the wordings.
    flip_rate : Estimate
        Share of (item, wording > 0) whose greedy correctness differs from wording 0; undefined for V = 1.
    illusion_gap : Estimate
        Canonical greedy accuracy less the mean over wordings and samples.
    outcome_variance, sampling_part, prompt_part : Estimate
        mean_i p_i (1 - p_i) with p_i the item's mean, and its split into sampling (within a wording) and wording (between them).
    n_variants, n_samples : int
    """

    canonical_greedy_accuracy: Estimate
    mean_variant_greedy_accuracy: Estimate
    worst_variant_greedy_accuracy: Estimate
    worst_if_independent: float
    mean_sample_accuracy: Estimate
    flip_rate: Estimate
    illusion_gap: Estimate
    outcome_variance: Estimate
    sampling_part: Estimate
    prompt_part: Estimate
    n_variants: int
    n_samples: int


def robustness(
    sample_correct: ArrayLike,
    greedy_correct: ArrayLike | None,
    *,
    unbiased: bool = True,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> Robustness:
    """Measure accuracy over wordings, and split the outcome variance into sampling and wording.

    Per item with q_v the mean of wording v: p (1 - p) = mean_v q_v (1 - q_v) + Var_v(q_v), with denominators n and V. Unbiased, for V fixed
    wordings: sampling n / (n - 1), and the noise that n samples add to Var_v, (1 - 1/V) sampling / n, goes; the total is then their sum.

    Parameters
    ----------
    sample_correct : (n_items, V, n_samples) in {0, 1}
    greedy_correct : (n_items, V) in {0, 1}, or None
        Without greedy answers, whatever is made of them is undefined.

    Raises
    ------
    InputError
        Other shapes or entries; `unbiased` with one sample.
    """
    s = np.asarray(sample_correct, dtype=np.float64)
    g = None if greedy_correct is None else np.asarray(greedy_correct, dtype=np.float64)
    if s.ndim != 3 or not s.size or (g is not None and g.shape != s.shape[:2]):
        given = s.shape if g is None else f"{s.shape} and {g.shape}"
        raise InputError(f"expected (n_items, V, n_samples) and (n_items, V), none empty; got {given}")
    check_binary(s, "sample_correct")
    n_items, v, n = s.shape
    if unbiased and n < 2:
        raise InputError("one sample a wording cannot tell sampling from wording; give 2 or more, or unbiased=False")
    q = s.mean(axis=2)
    sampling, between = (q * (1 - q)).mean(axis=1), q.var(axis=1)
    if unbiased:
        sampling = sampling * n / (n - 1)
        between = between - (1 - 1 / v) * sampling / n
    columns = {
        "mean_sample_accuracy": q.mean(axis=1),
        "outcome_variance": sampling + between,
        "sampling_part": sampling,
        "prompt_part": between,
    }
    undefined = dict.fromkeys(_OF_GREEDY, NO_GREEDY)
    if g is not None:
        check_binary(g, "greedy_correct")
        undefined = {} if v > 1 else {"flip_rate": "one wording only: nothing to flip to"}
        columns |= {
            "canonical_greedy_accuracy": g[:, 0],
            "mean_variant_greedy_accuracy": g.mean(axis=1),
            "worst_variant_greedy_accuracy": g.min(axis=1),
            "illusion_gap": g[:, 0] - q.mean(axis=1),
        }
        columns |= {"flip_rate": (g[:, 1:] != g[:, :1]).mean(axis=1)} if v > 1 else {}
    found = item_estimates(columns, ci=ci, clusters=clusters, signed=["illusion_gap", "prompt_part"])
    found |= {name: Estimate.undefined(why, n=n_items) for name, why in undefined.items()}
    independent = math.nan if g is None else float(g.mean(axis=0).prod())
    return Robustness(**found, worst_if_independent=independent, n_variants=v, n_samples=n)


@dataclass(frozen=True)
class Transition:
    """Shape of an accuracy curve over a scale.

    Attributes
    ----------
    max_slope_per_decade : float
        Largest rise per factor of ten.
    at_interval : int
        Index of the interval with that slope (the first on ties).
    total_rise : float
        Last less first accuracy.
    jump_concentration : float
        Largest single rise over (max - min): 1 for a step, 1 / (m - 1) for even steps; NaN for a flat curve.
    reason : str or None
    """

    max_slope_per_decade: float
    at_interval: int
    total_rise: float
    jump_concentration: float
    reason: str | None = None


def transition(scale: ArrayLike, accuracy: ArrayLike) -> Transition:
    """Describe how suddenly accuracy rises along parameters, training steps, shots or support.

    Parameters
    ----------
    scale : (m,) float64
        Above 0, strictly rising, m >= 2.
    accuracy : (m,) float64 in [0, 1]
    """
    x, y = _check_scale(scale), as_vector(accuracy, "accuracy")
    if len(y) != len(x) or not ((y >= 0) & (y <= 1)).all():
        raise InputError(f"accuracy must be {len(x)} numbers in [0, 1], one a point of the scale; got {y.tolist()}")
    slope = np.diff(y) / np.diff(np.log10(x))
    jump = float(_concentration(y[None, :])[0])
    reason = "the curve is flat: there is no rise to concentrate" if math.isnan(jump) else None
    return Transition(float(slope.max()), int(slope.argmax()), float(y[-1] - y[0]), jump, reason)


@dataclass(frozen=True)
class TransitionDifference:
    """Stochastic less greedy: above 0 with the whole interval, sampling shows a rise that greedy decoding hides."""

    total_rise: Estimate
    jump_concentration: Estimate


def transition_difference(
    scale: ArrayLike, greedy: ArrayLike, stochastic: ArrayLike, *, clusters: ArrayLike | None = None, ci: CIArgument = "auto"
) -> TransitionDifference:
    """Compare the two curves on the same items; the bootstrap draws items, with their values at every point of the scale.

    Parameters
    ----------
    scale : (m,) float64
    greedy, stochastic : (n_items, m) float64 in [0, 1]
        For instance greedy correctness, and the pass@k or vote of each item. pass@k saturates: look at the vote as well.
    """
    x = _check_scale(scale)
    curves = [np.asarray(values, dtype=np.float64) for values in (greedy, stochastic)]
    for name, c in zip(("greedy", "stochastic"), curves, strict=True):
        if c.ndim != 2 or c.shape != curves[0].shape or c.shape[1] != len(x) or not len(c) or not ((c >= 0) & (c <= 1)).all():
            raise InputError(f"{name} must be (n_items, {len(x)}) numbers in [0, 1], of one shape with the other; got shape {c.shape}")

    def of_means(function: str) -> Metric:
        def value(sample: SortedSample, weights: FloatArray) -> FloatArray:
            rows = sample.scores.astype(np.int64)
            means = [np.einsum("bi,im->bm", weights, c[rows]) / weights.sum(axis=1, keepdims=True) for c in curves]
            before, after = (_concentration(m) if function == "jump" else m[:, -1] - m[:, 0] for m in means)
            return np.asarray(after - before)

        return Metric(
            function, value, truth="real", bounds=(-np.inf, np.inf), reason=lambda _: "a curve is flat: there is no rise to concentrate"
        )

    sample = sorted_sample(np.arange(len(curves[0])), np.zeros(len(curves[0])), clusters=clusters)
    found = estimates(sample, [of_means("rise"), of_means("jump")], ci)
    return TransitionDifference(found["rise"], found["jump"])


def _check_scale(scale: ArrayLike) -> FloatArray:
    x = as_vector(scale, "scale")
    if len(x) < 2 or not (np.isfinite(x) & (x > 0)).all() or not (np.diff(x) > 0).all():
        raise InputError(f"scale must be at least 2 finite numbers above 0, strictly rising; got {x.tolist()}")
    return x


def _concentration(curves: FloatArray) -> FloatArray:
    """Return largest rise / (max - min) of each row, NaN where it is flat."""
    span = np.ptp(curves, axis=1)
    return np.asarray(np.divide(np.diff(curves, axis=1).max(axis=1), span, out=np.full(len(curves), np.nan), where=span > 0))
