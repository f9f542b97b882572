"""Difference of a metric between two systems: paired on the same rows, or on independent rows; interval, p-value, detectable difference.

The interval is always the paired bootstrap (one weight vector for both systems). Tests: DeLong for AUROC, mid-p McNemar for accuracy,
otherwise a sign-swap permutation (Good 2005): the two systems' scores are exchanged row by row, or cluster by cluster; p = (1 + #)/(1 + B).
Two models that answered the same questions have a truth each (which answers were right): it is exchanged together with the scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import ACCURACY
from trueline.metrics.evaluate import metric_record
from trueline.stats.delong import delong_test, delong_test_own_truths
from trueline.stats.differences import EXACT_FLIPS
from trueline.stats.engine import CI, Metric, as_ci, check, point, reported, weight_chunks
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import acceleration, basic, bca, percentile
from trueline.stats.jackknife import leave_out
from trueline.stats.mcnemar import mcnemar
from trueline.stats.multiplicity import minimum_detectable
from trueline.stats.sample import IntArray, NanPolicy, SortedSample, as_vector, check_length, cluster_codes, keep_rows, sorted_sample

Test = Literal["auto", "delong", "mcnemar", "permutation"]
_CHUNK_CELLS = 1 << 18


@dataclass(frozen=True)
class Difference:
    """First minus second.

    Attributes
    ----------
    value, low, high, level : float
        Difference and its paired bootstrap interval.
    p : float
        Two-sided, of "no difference"; NaN where the metric is undefined for either.
    method : str
        Test and interval, in words.
    first, second : float
        The metric of each system.
    n, n_missing : int
    detectable : float
        Difference that this many rows would find with 80 % power (2.80 standard errors): what a p above .05 does not rule out.
    """

    value: float
    low: float
    high: float
    level: float
    p: float
    method: str
    first: float
    second: float
    n: int
    n_missing: int
    se: float
    detectable: float
    reason: str | None = None


def compare(
    first: ArrayLike,
    second: ArrayLike,
    truth: ArrayLike,
    metric: str | Metric = "auroc",
    *,
    second_truth: ArrayLike | None = None,
    test: Test = "auto",
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    n_permutations: int = 10_000,
    nan_policy: NanPolicy = "raise",
) -> Difference:
    """Compare two systems on the same rows.

    Parameters
    ----------
    first, second : (n,) float64
        Scores of the two systems; for ``"accuracy"`` their answers, right where equal to the truth.
    truth : (n,) float64
    metric : str or Metric
        As in `evaluate`.
    second_truth : (n,) float64, optional
        Truth of the second system where it is not that of the first: whether its own answers to the same questions were right.
    test : {"auto", "delong", "mcnemar", "permutation"}
        ``"auto"``: DeLong for AUROC, mid-p McNemar for accuracy, else permutation; with clusters always permutation by cluster.
    clusters, ci, nan_policy
        As in `auroc`; a row missing in either system is missing in both.

    Raises
    ------
    InputError
        On bad input, or a test that does not fit the metric.
    """
    (a, b, t, u), codes, missing = _align(first, second, truth, truth if second_truth is None else second_truth, clusters, nan_policy)
    if metric == "accuracy":
        a, b = (a == t).astype(np.float64), (b == u).astype(np.float64)
    rows = a, b, t, u
    record, pair = _samples(metric, rows, codes)
    settings = as_ci(ci)
    if settings.kind == "studentised":
        raise InputError("a studentised interval is of one sample; for a difference use 'bca', 'percentile' or 'basic'")
    one, two = (reported(record, point(record, sample)) for sample in pair)
    nothing = math.nan
    base = Difference(one - two, nothing, nothing, settings.level, nothing, "none", one, two, len(t), missing, nothing, nothing)
    if not all(math.isfinite(v) for v in (one, two)):
        undefined = pair[0] if not math.isfinite(one) else pair[1]
        return replace(base, reason=record.reason(undefined) if record.reason is not None else "undefined for one of the two")
    p, how = _p_value(record, _which(test, record, codes), rows, pair, codes, n_permutations, settings.seed)
    if settings.kind == "none":
        return replace(base, p=p, method=how)
    low, high, se, kind = _interval(record, pair, settings, base.value)
    return replace(base, low=low, high=high, p=p, se=se, detectable=minimum_detectable(se, level=settings.level), method=f"{how}; {kind}")


def compare_unpaired(first: Estimate, second: Estimate) -> Difference:
    """Compare one metric of two independent sets of rows by a normal test on the two standard errors.

    Raises
    ------
    InputError
        If either estimate has no value or no standard error.
    """
    for name, e in (("first", first), ("second", second)):
        if not (math.isfinite(e.value) and math.isfinite(e.se)):
            raise InputError(f"the {name} estimate has no value or no standard error ({e}); make it with an interval")
    gap, se = first.value - second.value, math.hypot(first.se, second.se)
    z = abs(gap) / se if se > 0 else (math.inf if gap else 0.0)
    half = minimum_detectable(se, power=0.5, level=first.level)
    return Difference(
        gap, gap - half, gap + half, first.level, math.erfc(z / math.sqrt(2)), "normal test of independent estimates", first.value,
        second.value, first.n + second.n, first.n_missing + second.n_missing, se, minimum_detectable(se, level=first.level),
    )  # fmt: skip


# Scores of the first and the second system, truth of the first and of the second.
Rows = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


def _samples(metric: str | Metric, rows: Rows, codes: IntArray | None) -> tuple[Metric, tuple[SortedSample, SortedSample]]:
    """The metric and the two checked samples; for accuracy `a` and `b` are correctness, which then is the truth."""
    a, b, t, u = rows
    if metric == "accuracy":
        record, each = ACCURACY, [(np.zeros(len(t)), a), (np.zeros(len(t)), b)]
    else:
        record, each = metric_record(metric), [(a, t), (b, u)]
    one, two = (sorted_sample(s, y, clusters=codes, merge=False) for s, y in each)
    for sample in (one, two):
        check(record, sample)
    return record, (one, two)


def _align(
    first: ArrayLike, second: ArrayLike, truth: ArrayLike, second_truth: ArrayLike, clusters: ArrayLike | None, nan_policy: NanPolicy
) -> tuple[Rows, IntArray | None, int]:
    named = {"first": first, "second": second, "truth": truth, "second_truth": second_truth}
    a, b, t, u = (as_vector(values, name) for name, values in named.items())
    for name, values in (("second", b), ("truth", t), ("second_truth", u)):
        check_length(len(values), len(a), name)
    codes = None if clusters is None else cluster_codes(clusters, len(a))
    keep = keep_rows(np.isnan(a) | np.isnan(b) | np.isnan(t) | np.isnan(u), nan_policy, "first, second or truth")
    if keep is None:
        return (a, b, t, u), codes, 0
    codes = None if codes is None else np.unique(codes[keep], return_inverse=True)[1]
    return (a[keep], b[keep], t[keep], u[keep]), codes, len(a) - len(keep)


def _which(test: Test, metric: Metric, codes: IntArray | None) -> Test:
    if test == "auto":
        if codes is not None:
            return "permutation"
        return {"auroc": "delong", "accuracy": "mcnemar"}.get(metric.name, "permutation")  # type: ignore[return-value]
    wrong = (test == "delong" and metric.name != "auroc") or (test == "mcnemar" and metric.name != "accuracy")
    if wrong or test not in ("delong", "mcnemar", "permutation"):
        raise InputError(f"test {test!r} does not fit {metric.name}; delong is for auroc, mcnemar for accuracy, permutation for any metric")
    if codes is not None and test != "permutation":
        raise InputError(f"{test} takes rows as independent, but clusters were given; use test='permutation'")
    return test


Pair = tuple[SortedSample, SortedSample]


def _p_value(
    metric: Metric, test: Test, rows: Rows, pair: Pair, codes: IntArray | None, n_permutations: int, seed: int
) -> tuple[float, str]:
    a, b, t, u = rows
    if test == "delong":
        if min(min(one.positive.sum(), (~one.positive).sum()) for one in pair) < 2:
            return math.nan, "delong (too few rows of a class)"
        if np.array_equal(t, u):
            return delong_test(a, b, t).p, "delong"
        return delong_test_own_truths(a, t, b, u).p, "delong, own truths"
    if test == "mcnemar":
        return mcnemar(a, b).midp, "mcnemar mid-p"
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(4)[3])
    unit = "clusters" if codes is not None else "rows"
    n_units = len(t) if codes is None else int(codes.max()) + 1
    how = f"exact permutation of {unit}" if n_units <= EXACT_FLIPS else f"permutation of {unit}, {n_permutations} draws"
    return _permute(metric, rows, codes, n_permutations, rng), how


def _permute(metric: Metric, rows: Rows, codes: IntArray | None, draws: int, rng: np.random.Generator) -> float:
    """Share of swapped pairs whose difference is at least as large; both systems' rows lie in one sample, a swap is a weight vector."""
    a, b, t, u = rows
    n = len(t)
    if metric.name == "accuracy":
        pooled = sorted_sample(np.zeros(2 * n), np.concatenate([a, b]), merge=False)
    else:
        # Scores of two systems share no scale unless they are probabilities; ranks do.
        s = np.concatenate([a, b]) if metric.scores == "probability" else np.concatenate([_mid_ranks(a), _mid_ranks(b)])
        pooled = sorted_sample(s, np.concatenate([t, u]), merge=False)
    of_a, row = pooled.order < n, pooled.order % n
    unit = np.arange(n) if codes is None else codes
    n_units = int(unit.max()) + 1
    swaps = _swaps(n_units, draws, max(1, _CHUNK_CELLS // (2 * n)), rng)

    def gap(swap: Any) -> FloatArray:
        keep = (of_a != swap[:, row]).astype(np.float64)
        return metric.value(pooled, keep) - metric.value(pooled, 1 - keep)

    observed = abs(float(gap(np.zeros((1, n), dtype=bool))[0]))
    count, valid = 0, 0
    for swap in swaps:
        found = np.abs(gap(swap[:, unit]))
        valid += int(np.isfinite(found).sum())
        count += int((found >= observed - 1e-12).sum())
    # All patterns hold the observed one; random ones get it added.
    return count / valid if n_units <= EXACT_FLIPS else (1 + count) / (1 + valid)


def _swaps(n_units: int, draws: int, chunk: int, rng: np.random.Generator) -> Iterator[NDArray[np.bool_]]:
    """Which units are exchanged: every pattern for up to 14 units (by symmetry with the first one held), else random ones."""
    total = 1 << (n_units - 1) if n_units <= EXACT_FLIPS else draws
    for start in range(0, total, chunk):
        size = min(chunk, total - start)
        if n_units <= EXACT_FLIPS:
            yield (np.arange(start, start + size)[:, None] >> np.arange(n_units)) & 1 == 1
        else:
            yield rng.integers(0, 2, size=(size, n_units), dtype=np.int64).astype(bool)


def _mid_ranks(x: FloatArray) -> FloatArray:
    ordered = np.sort(x)
    return np.asarray((np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")) / 2)


def _paired_weights(pair: Pair, ci: CI) -> Iterator[tuple[FloatArray, FloatArray]]:
    """The same replicate weights in the row order of each sample."""
    back = np.empty(pair[0].n, dtype=np.int64)
    back[pair[0].order] = np.arange(pair[0].n)
    for weights in weight_chunks(pair[0], ci):
        yield weights, weights[:, back[pair[1].order]]


def _interval(metric: Metric, pair: Pair, ci: CI, value: float) -> tuple[float, float, float, str]:
    parts = []
    for w1, w2 in _paired_weights(pair, ci):
        v1, v2 = metric.value(pair[0], w1), metric.value(pair[1], w2)
        parts.append(metric.link(v1) - metric.link(v2) if metric.link is not None else v1 - v2)
    samples = np.concatenate(parts)
    samples = samples[np.isfinite(samples)]
    if len(samples) < 2:
        return math.nan, math.nan, math.nan, "no interval: hardly any replicate was defined"
    kind = "bca" if ci.kind in ("auto", "analytic", "bca") else ci.kind
    if kind == "bca" and metric.prefers != "bca" and ci.kind == "auto":
        kind = "basic"
    if kind == "bca":
        low, high = bca(samples, value, ci.level, _acceleration(metric, pair, ci))
    elif kind == "basic":
        low, high = basic(samples, value, ci.level)
    else:
        low, high = percentile(samples - samples.mean() + value if kind == "centred" else samples, ci.level)
    unit = "cluster replicates" if pair[0].cluster is not None else "replicates"
    return low, high, float(samples.std(ddof=1)), f"paired {kind}, {ci.n_boot} {unit}"


def _acceleration(metric: Metric, pair: Pair, ci: CI) -> float:
    """From leave-one-unit-out differences, the units of both systems put in one order; 0 where a metric has only random blocks."""
    left = [leave_out(metric, sample, ci.seed)[0] for sample in pair]
    units = pair[0].n_clusters
    if any(len(values) != units for values in left):
        return 0.0
    aligned = np.empty((2, units))
    for i, sample in enumerate(pair):
        if sample.cluster is None:
            aligned[i, sample.order] = left[i]
        else:
            by_row = np.empty(sample.n)
            by_row[sample.order] = left[i][sample.cluster]
            first_row = np.full(units, -1)
            rows = np.empty(pair[0].n, dtype=np.int64)
            rows[pair[0].order] = np.asarray(pair[0].cluster)
            first_row[rows] = np.arange(pair[0].n)
            aligned[i] = by_row[first_row]
    return acceleration(aligned[0] - aligned[1])
