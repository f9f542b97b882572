"""Incoherence of a set of items: the share of their error that is scatter between runs, by group, by length and under ensembling.

Haegele et al., "The Hot Mess of AI", arXiv 2601.23045: incoherence = sum_i variance_i / sum_i error_i, a ratio of sums. The paper uses
plug-in terms; here unbiased ones are the default, because with few runs plug-in values lie far too low, and the plug-in value is reported
beside. Read it next to the error: a model can become more incoherent while it errs less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics._items import item_estimates, ratio_difference
from trueline.metrics.error_decomposition import (
    BiasVariance,
    bias_variance,
    check_probs,
    coverage_bias_variance,
    squared_bias_variance,
)
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import IntArray, as_vector

SetLoss = Literal["brier", "kl", "coverage", "squared"]
_LARGEST = {"brier": 2.0, "coverage": 1.0}  # error of an item that is wrong with certainty


@dataclass(frozen=True)
class IncoherenceRow:
    """Decomposition of one group of items.

    Attributes
    ----------
    group : int, str or None
        Label of the group; None for all items.
    incoherence : Estimate
        In [0, 1]; undefined where the total error is zero.
    bias2, variance, error, accuracy : Estimate
        Means over items; the accuracy is undefined for the squared loss.
    plug_in : float
        Incoherence from plug-in terms, which runs low: by about a third with 3 runs an item, by a few per cent with 30.
    n_items, n_without_error : int
        Items, and those whose every run was exactly right; they add nothing to either sum.
    n_runs : (int, int)
        Fewest and most runs of an item.
    mean_length : float
        Mean length over all runs; NaN without lengths.
    loss, delta : str, float
        What was decomposed; `delta` is NaN except for ``"kl"``, whose value depends on it.
    """

    group: Any
    incoherence: Estimate
    bias2: Estimate
    variance: Estimate
    error: Estimate
    accuracy: Estimate
    plug_in: float
    n_items: int
    n_without_error: int
    n_runs: tuple[int, int]
    mean_length: float
    loss: str
    delta: float


def incoherence(
    items: Sequence[ArrayLike],
    targets: Sequence[Any] | None = None,
    loss: SetLoss = "brier",
    *,
    unbiased: bool = True,
    groups: Sequence[Any] | None = None,
    lengths: Sequence[ArrayLike] | None = None,
    clusters: ArrayLike | None = None,
    delta: float = 1e-12,
    ci: CIArgument = "auto",
) -> tuple[IncoherenceRow, ...]:
    """Return the incoherence of all items, or of each group in order of first appearance of its label.

    The bootstrap draws items (clusters of items, where given), never runs.

    Parameters
    ----------
    items : sequence of (n_runs, C) float64
        Probabilities of each run (``"brier"``, ``"kl"``), passed unit tests (``"coverage"``) or predicted vectors (``"squared"``). Runs and
        options may differ between items.
    targets : sequence, optional
        Index of the right option, or the target vector for ``"squared"``; none for ``"coverage"``.
    groups : sequence of labels, optional
        One an item, for instance from `length_groups`.
    lengths : sequence of (n_runs,) float64, optional
        Length of each run, for `mean_length`.

    Raises
    ------
    InputError
        An item with fewer than 2 runs (its variance is 0 by construction), lengths that differ, or what `bias_variance` refuses.
    """
    terms, plain = _terms(items, targets, loss, unbiased, delta)
    labels = [None] * len(terms) if groups is None else list(groups)
    sizes = None if lengths is None else check_lengths(lengths)
    units = None if clusters is None else np.asarray(clusters)
    for name, count in (("groups", len(labels)), ("lengths", sizes and len(sizes)), ("clusters", None if units is None else len(units))):
        if count is not None and count != len(terms):
            raise InputError(f"{name} has {count} entries for {len(terms)} items; give one an item")
    if any(label != label for label in labels):
        raise InputError("groups holds NaN; give every item a label")
    rows = []
    for label in dict.fromkeys(labels):
        at = [i for i, other in enumerate(labels) if other == label]
        length = math.nan if sizes is None else float(np.concatenate([sizes[i] for i in at]).mean())
        own = None if units is None else units[at]
        row = _row([terms[i] for i in at], [plain[i] for i in at], _LARGEST.get(loss, math.inf), own, ci)
        rows.append(replace(row, group=label, mean_length=length, loss=loss, delta=delta if loss == "kl" else math.nan))
    return tuple(rows)


def check_lengths(lengths: Sequence[ArrayLike]) -> list[FloatArray]:
    """Return one finite, non-negative vector of run lengths an item."""
    sizes = [as_vector(values, f"lengths of item {i}") for i, values in enumerate(lengths)]
    if not sizes:
        raise InputError("lengths is empty; give one vector of run lengths an item")
    for i, values in enumerate(sizes):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise InputError(f"lengths of item {i} must be finite and not negative; got {values.tolist()}")
    return sizes


def length_groups(lengths: Sequence[ArrayLike], n_groups: int = 5) -> IntArray:
    """Return the difficulty group of each item: items in rising order of mean length, cut into groups of equal size.

    To compare models, take the lengths of one reference model for all of them, so that they share the groups. Ties keep the order of the
    items; the first groups get one more where the cut is not even.
    """
    means = np.array([values.mean() for values in check_lengths(lengths)])
    if not 1 <= n_groups <= len(means):
        raise InputError(f"n_groups is {n_groups}; expected 1 to {len(means)}, the number of items")
    group = np.empty(len(means), dtype=np.int64)
    for g, rows in enumerate(np.array_split(np.argsort(means, kind="stable"), n_groups)):
        group[rows] = g
    return group


@dataclass(frozen=True)
class MedianSplit:
    """Runs of each kept item below and at or above its own median length; `kept` are positions of items, the others were too thin."""

    kept: IntArray
    below: tuple[IntArray, ...]
    at_or_above: tuple[IntArray, ...]
    n_dropped: int


def median_split(lengths: Sequence[ArrayLike], *, min_runs: int = 2) -> MedianSplit:
    """Split the runs of every item at its median length: the same items, answered at less and at more length.

    This is the comparison in which length is not confounded with difficulty. Runs at the median go up; items with fewer than `min_runs` on
    a side are dropped. The sides may hold different numbers of runs, so compare them with unbiased terms.
    """
    if min_runs < 1:
        raise InputError(f"min_runs is {min_runs}; expected at least 1")
    low = [values < np.median(values) for values in check_lengths(lengths)]
    kept = np.array([i for i, m in enumerate(low) if min(m.sum(), (~m).sum()) >= min_runs], dtype=np.int64)
    sides = [tuple(np.flatnonzero(low[i] == side) for i in kept) for side in (True, False)]
    return MedianSplit(kept, sides[0], sides[1], len(low) - len(kept))


def incoherence_difference(
    first: Sequence[BiasVariance | None],
    second: Sequence[BiasVariance | None],
    *,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> Estimate:
    """Return the incoherence of the second set of terms less that of the first; the bootstrap draws items, with both their terms.

    Parameters
    ----------
    first, second : sequence of BiasVariance or None, one an item
        From `bias_variance`; None where the item is not part of a side. For a `median_split` both sides hold every item; for two groups
        of items each holds its own.

    Raises
    ------
    InputError
        Lengths that differ, or terms that are undefined.
    """
    if not len(first) or len(first) != len(second):
        raise InputError(f"both sides need one entry an item, None where it has none; got {len(first)} and {len(second)}")
    sides = []
    for name, terms in (("first", first), ("second", second)):
        pair = [np.array([0.0 if t is None else getattr(t, part) for t in terms]) for part in ("variance", "error")]
        if np.isnan(pair[0]).any():
            raise InputError(f"{name}: item {int(np.flatnonzero(np.isnan(pair[0]))[0])} has no variance; give it 2 runs or more, or None")
        sides.append((pair[0], pair[1]))
    return ratio_difference(sides[0], sides[1], "zero total error on one side", ci=ci, clusters=clusters)


@dataclass(frozen=True)
class EnsembleRow:
    """Decomposition of the answers of ensembles that average `size` runs each."""

    size: int
    n_ensembles: int
    decomposition: IncoherenceRow


def ensemble(
    items: Sequence[ArrayLike],
    targets: Sequence[int],
    sizes: Sequence[int],
    n_ensembles: int = 10,
    *,
    rng: np.random.Generator | None = None,
    loss: Literal["brier", "kl"] = "brier",
    unbiased: bool = True,
    ci: CIArgument = "auto",
) -> tuple[EnsembleRow, ...]:
    """Average the probabilities of `n_ensembles` disjoint ensembles of each size, then decompose across the ensembles.

    Under Brier the variance falls as 1 / size and the bias stays; under KL the bias falls a little too.

    Parameters
    ----------
    items : sequence of (n_runs, C) float64
        At least ``n_ensembles * max(sizes)`` runs an item.
    rng : Generator, optional
        Shuffles each item's runs before they are dealt out; without it, ensembles are consecutive blocks.

    Raises
    ------
    InputError
        Too few runs, fewer than 2 ensembles, a size below 1, or what `bias_variance` refuses.
    """
    if n_ensembles < 2 or not len(sizes) or min(sizes) < 1:
        raise InputError(f"expected at least 2 ensembles of sizes >= 1; got n_ensembles {n_ensembles}, sizes {list(sizes)}")
    if len(targets) != len(items):
        raise InputError(f"targets has {len(targets)} entries for {len(items)} items")
    checked = [check_probs(probs, target, i)[0] for i, (probs, target) in enumerate(zip(items, targets, strict=True))]
    for i, p in enumerate(checked):
        if len(p) < n_ensembles * max(sizes):
            raise InputError(f"item {i} has {len(p)} runs; {n_ensembles} ensembles of {max(sizes)} need {n_ensembles * max(sizes)}")
    dealt = checked if rng is None else [p[rng.permutation(len(p))] for p in checked]
    rows = []
    for size in sizes:
        blocks = [p[: n_ensembles * size].reshape(n_ensembles, size, -1).mean(axis=1) for p in dealt]
        rows.append(EnsembleRow(size, n_ensembles, incoherence(blocks, targets, loss, unbiased=unbiased, ci=ci)[0]))
    return tuple(rows)


@dataclass(frozen=True)
class LogLogSlope:
    """y = c x^alpha: least squares on log10 scales, with the share of variance explained."""

    alpha: Estimate
    r2: float


def loglog_slope(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> LogLogSlope:
    """Fit the power law of bias, variance or incoherence against model size.

    The interval is Student's t around the slope (none with two points). `r2` is NaN where all y are equal.

    Parameters
    ----------
    x, y : (n,) float64
        Above 0; at least two different x.
    """
    a, b = as_vector(x, "x"), as_vector(y, "y")
    if len(a) != len(b) or not ((a > 0) & np.isfinite(a)).all() or not ((b > 0) & np.isfinite(b)).all():
        raise InputError(f"x and y must be finite, above 0 and of one length; got {a.tolist()} and {b.tolist()}")
    CI(level=level)  # refuses a level outside (0, 1)
    u, v = np.log10(a), np.log10(b)
    du, dv = u - u.mean(), v - v.mean()
    square, n = float((du**2).sum()), len(u)
    if len(np.unique(a)) < 2:
        raise InputError("x holds one value only; a slope needs at least two")
    alpha, spread = float((du * dv).sum() / square), float((dv**2).sum())
    rest = float(((dv - alpha * du) ** 2).sum())
    r2 = 1 - rest / spread if len(np.unique(b)) > 1 else math.nan
    if n < 3:
        return LogLogSlope(Estimate(alpha, level=level, n=n, reason="no interval: two points fit any line"), r2)
    from scipy.special import stdtrit

    se = math.sqrt(rest / (n - 2) / square)
    half = float(stdtrit(n - 2, 0.5 + level / 2)) * se
    return LogLogSlope(Estimate(alpha, alpha - half, alpha + half, level=level, n=n, se=se, method="least squares, t"), r2)


def _terms(
    items: Sequence[ArrayLike], targets: Sequence[Any] | None, loss: str, unbiased: bool, delta: float
) -> tuple[list[BiasVariance], list[BiasVariance]]:
    """Return the terms of every item as asked, and plug-in."""
    if loss not in get_args(SetLoss):
        raise InputError(
            f"loss {loss!r} is unknown; expected one of {', '.join(get_args(SetLoss))} (zero-one terms do not add up to the error)"
        )
    if not len(items):
        raise InputError("items is empty; at least one item is needed")
    if (targets is None) != (loss == "coverage") or (targets is not None and len(targets) != len(items)):
        raise InputError(f"loss {loss!r} needs {'no targets' if loss == 'coverage' else f'{len(items)} targets, one an item'}")
    both: list[list[BiasVariance]] = []
    for correct in dict.fromkeys((unbiased, False)):
        found = []
        for i, runs in enumerate(items):
            if np.ndim(runs) == 2 and len(np.asarray(runs)) < 2:
                raise InputError(f"item {i} has 1 run; incoherence needs at least 2 samples an item (one alone has no variance)")
            if targets is None:
                found.append(coverage_bias_variance(runs, unbiased=correct))
            elif loss == "squared":
                found.append(squared_bias_variance(runs, targets[i], unbiased=correct))
            else:
                found.append(bias_variance(runs, targets[i], "kl" if loss == "kl" else "brier", delta=delta, unbiased=correct, item=i))
        both.append(found)
    return both[0], both[-1]


def _row(terms: list[BiasVariance], plain: list[BiasVariance], largest: float, clusters: Any, ci: CIArgument) -> IncoherenceRow:
    columns = {name: np.array([getattr(t, name) for t in terms]) for name in ("bias2", "variance", "error", "accuracy")}
    accuracy = columns.pop("accuracy")
    ratio = (columns["variance"], columns["error"], "zero total error")
    found = item_estimates(columns, {"incoherence": ratio}, ci=ci, clusters=clusters, largest=largest, signed=["bias2"])
    if np.isnan(accuracy).any():
        found["accuracy"] = Estimate.undefined("no accuracy under this loss", n=len(terms))
    else:
        found |= item_estimates({"accuracy": accuracy}, ci=ci, clusters=clusters)
    variance, error = sum(t.variance for t in plain), sum(t.error for t in plain)
    runs = [t.n_runs for t in terms]
    return IncoherenceRow(
        group=None,
        **found,
        plug_in=variance / error if error > 0 else math.nan,
        n_items=len(terms),
        n_without_error=int((columns["error"] == 0).sum()),
        n_runs=(min(runs), max(runs)),
        mean_length=math.nan,
        loss="",
        delta=math.nan,
    )
