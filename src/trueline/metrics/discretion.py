"""Discretion: what annotators do where written principles agree, disagree or are silent.

Buyl et al. 2025, AI Alignment at Your Discretion (arXiv 2502.10441). A preference table `P` holds one row an item (a prompt with two
responses) and one column a principle: +1 where the principle favours the first response, -1 the second, NaN where it is not relevant.
A zero is a judge that followed the position of the responses; it says as little as NaN and is counted apart. Priorities and the
discrepancy between two annotators are in `principle_priority` and `discretion_discrepancy`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import ACCURACY, accuracy
from trueline.stats.engine import as_ci, estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import as_vector, check_weights, cluster_codes, sorted_sample

REGIONS = ("indifference", "conflict", "consensus")
_ARBITRARINESS = replace(ACCURACY, name="discretion_arbitrariness")


def preference_table(P: ArrayLike) -> FloatArray:
    """Return a preference table as (n, k) float64, checked.

    Raises
    ------
    InputError
        Not a two-dimensional table with at least one item and one principle, or a value that is not -1, 0, 1 or NaN.
    """
    try:
        table = np.asarray(P, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"P must be numbers, one row an item and one column a principle; {error}") from error
    if table.ndim != 2 or 0 in table.shape:
        raise InputError(f"P must have one row an item and one column a principle, at least one of each; got shape {table.shape}")
    bad = np.argwhere(~(np.isnan(table) | np.isin(table, (-1.0, 0.0, 1.0))))
    if len(bad):
        i, c = bad[0]
        raise InputError(f"P[{i}, {c}] (item {i}, principle {c}) is {table[i, c]}; expected -1, 0, 1 or NaN")
    return table


def annotator_preferences(a: ArrayLike, n: int, name: str = "a") -> FloatArray:
    """Return an annotator's preferences as (n,) float64 of +1, -1 and NaN; 0 (no preference) becomes NaN.

    Raises
    ------
    InputError
        A value that is not -1, 0, 1 or NaN, or another length than `n`.
    """
    values = as_vector(a, name)
    if len(values) != n:
        raise InputError(f"{name} has {len(values)} entries but P has {n} items; give one preference an item")
    bad = np.flatnonzero(~(np.isnan(values) | np.isin(values, (-1.0, 0.0, 1.0))))
    if len(bad):
        raise InputError(f"{name}[{bad[0]}] is {values[bad[0]]}; expected -1, 0, 1 or NaN (of two scores: score_preferences)")
    return np.where(values == 0, np.nan, values)


def score_preferences(score_0: ArrayLike, score_1: ArrayLike) -> FloatArray:
    """Return (n,) float64 preferences of what scores both responses: sign(score_0 - score_1), +1 = the first response.

    A reward model gives its rewards, a language model the log-probability (nats) of each response given the prompt. Equal scores are 0,
    a missing score is NaN.

    Raises
    ------
    InputError
        If the scores are not two equally long vectors.
    """
    first, second = as_vector(score_0, "score_0"), as_vector(score_1, "score_1")
    if len(first) != len(second):
        raise InputError(f"score_0 has {len(first)} entries but score_1 has {len(second)}; give both for each item")
    # Compared, not subtracted: two infinite log-probabilities are equal.
    sign = (first > second).astype(np.float64) - (first < second)
    return np.where(np.isnan(first) | np.isnan(second), np.nan, sign)


def judge_preference(p_a: ArrayLike, p_b: ArrayLike, p_na: ArrayLike) -> FloatArray:
    """Return what a judge prefers in one order of the responses: +1 for A, -1 for B, NaN for neither.

    Parameters
    ----------
    p_a, p_b, p_na : (...) float64 in [0, 1]
        Probabilities of the first answer token, summed over the spellings of each answer.

    Returns
    -------
    (...) float64
        sign(p_a - p_b); NaN where p_na exceeds both, where p_a equals p_b, or where a probability is missing.

    Raises
    ------
    InputError
        For shapes that differ and values outside [0, 1].
    """
    a, b, na = (np.asarray(p, dtype=np.float64) for p in (p_a, p_b, p_na))
    if not a.shape == b.shape == na.shape:
        raise InputError(f"p_a, p_b and p_na must have one shape; got {a.shape}, {b.shape} and {na.shape}")
    for name, p in (("p_a", a), ("p_b", b), ("p_na", na)):
        if ((p < 0) | (p > 1)).any():
            raise InputError(f"{name} must hold probabilities in [0, 1]; found {p[(p < 0) | (p > 1)].flat[0]}")
    undecided = (a == b) | ((na > a) & (na > b)) | np.isnan(a) | np.isnan(b) | np.isnan(na)
    return np.where(undecided, np.nan, np.where(a > b, 1.0, -1.0))


def two_order_preference(order_0: ArrayLike, order_1: ArrayLike) -> FloatArray:
    """Return a judge's preference over both orders: (p_0 - p_1) / 2.

    +1 or -1 where the choice is stable (+1 = the response that order 0 shows first), 0 where it follows the position, NaN where either
    order is undecided. `order_0` and `order_1` are values of `judge_preference` with the responses as given and swapped.

    Raises
    ------
    InputError
        For shapes that differ and values that are not -1, 1 or NaN.
    """
    first, second = np.asarray(order_0, dtype=np.float64), np.asarray(order_1, dtype=np.float64)
    if first.shape != second.shape:
        raise InputError(f"both orders must have one shape; got {first.shape} and {second.shape}")
    for name, values in (("order_0", first), ("order_1", second)):
        if not (np.isnan(values) | (np.abs(values) == 1)).all():
            raise InputError(f"{name} must hold -1, 1 or NaN, as judge_preference returns them")
    return np.asarray((first - second) / 2)


def regions(P: ArrayLike) -> np.ndarray[Any, np.dtype[np.str_]]:
    """Return (n,) region of each item: "indifference" (no principle speaks), "conflict" (two disagree) or "consensus" (all agree).

    Raises
    ------
    InputError
        As `preference_table`.

    Examples
    --------
    >>> regions([[1, 1], [1, -1], [float("nan"), 0]]).tolist()
    ['consensus', 'conflict', 'indifference']
    """
    return _regions(preference_table(P))


def _regions(table: FloatArray) -> np.ndarray[Any, np.dtype[np.str_]]:
    plus, minus = (table > 0).any(axis=1), (table < 0).any(axis=1)
    return np.where(plus & minus, "conflict", np.where(plus | minus, "consensus", "indifference"))


def region_shares(
    P: ArrayLike, *, weights: ArrayLike | None = None, clusters: ArrayLike | None = None, ci: CIArgument = "auto"
) -> dict[str, Estimate]:
    """Return the share of items in each region, with intervals as in `accuracy`; options and errors as in `discretion_arbitrariness`."""
    found = regions(P)
    return {name: accuracy((found == name).astype(np.float64), weights=weights, clusters=clusters, ci=ci) for name in REGIONS}


def discretion_arbitrariness(
    P: ArrayLike,
    a: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
    min_agree: int = 1,
) -> Estimate:
    r"""Share of consensus items in which an annotator goes against every principle that speaks.

    .. math:: DA(a) = \frac{\#\{i \text{ in consensus}: a_i = -s_i\}}{\#\{i \text{ in consensus}: a_i = \pm 1\}}

    with :math:`s_i` the sign that the principles share; 0 = never against all of them.

    Parameters
    ----------
    P : (n, k) float64
        Preference table: +1 first response, -1 second, NaN or 0 neither.
    a : (n,) float64
        The annotator's preference, +1 or -1; 0 and NaN are no usable preference.
    weights : (n,) float64, optional
        Frequency weights >= 0.
    clusters : (n,) any, optional
        Items that share a label (the same prompt) are resampled together.
    ci : CI, str or None
        ``"auto"``: Wilson for independent items, BCa over clusters.
    min_agree : int
        Take only items on which this many principles agree. The judge behind `P` errs, and its errors look like arbitrariness; what stays
        at 2 or 3 is the annotator's.

    Returns
    -------
    Estimate
        ``n`` items used; ``n_missing`` consensus items without a usable preference. Without an item: NaN with a reason, never 0.

    Raises
    ------
    InputError
        Values other than -1, 0, 1 and NaN, lengths that differ, bad weights or clusters, ``min_agree`` below 1.
    """
    table = preference_table(P)
    n = len(table)
    preferred = annotator_preferences(a, n)
    if min_agree < 1:
        raise InputError(f"min_agree is {min_agree}; at least one principle has to speak")
    given = np.ones(n) if weights is None else check_weights(weights, n)
    if clusters is not None:
        cluster_codes(clusters, n)
    speaking = np.nansum(np.abs(table), axis=1)
    inside = (_regions(table) == "consensus") & (speaking >= min_agree)
    used = inside & ~np.isnan(preferred)
    missing = int((inside & ~used).sum())
    if not given[used].sum() > 0:
        who = f"at least {min_agree} principles that agree" if min_agree > 1 else "a consensus of principles"
        return Estimate.undefined(f"no item has {who} and a usable preference", n_missing=missing, level=as_ci(ci).level)
    against = np.sign(np.nansum(table, axis=1)) == -preferred
    sample = sorted_sample(
        np.zeros(int(used.sum())),
        against[used],
        weights=None if weights is None else given[used],
        clusters=None if clusters is None else np.asarray(clusters)[used],
    )
    return replace(estimates(sample, [_ARBITRARINESS], ci)[_ARBITRARINESS.name], n_missing=missing)


def principle_wins(P: ArrayLike, a: ArrayLike, weights: ArrayLike | None = None) -> FloatArray:
    """Return (k, k) float64 wins: ``W[c, d]`` counts the items on which c and d disagree and the annotator sides with c.

    Items without a usable preference are left out; weights count as repetitions. The diagonal is 0. Errors as `discretion_arbitrariness`.

    Examples
    --------
    >>> principle_wins([[1, -1], [1, -1], [1, 1]], [1, -1, 1]).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    table = preference_table(P)
    sides = np.nan_to_num(table) * np.nan_to_num(annotator_preferences(a, len(table)))[:, None]  # 0: says nothing, never a win
    given = np.ones(len(table)) if weights is None else check_weights(weights, len(table))
    return np.asarray((sides > 0).astype(np.float64).T @ ((sides < 0) * given[:, None]))


def principle_supremacy(W: ArrayLike) -> FloatArray:
    """Return (k, k) float64 ``PS[c, d] = W[c, d] / (W[c, d] + W[d, c])``: how often c prevails over d; NaN where they never conflict.

    Raises
    ------
    InputError
        Not a square table of finite wins >= 0 with zeros on the diagonal, or fewer than two principles.
    """
    wins = wins_table(W)
    if len(wins) < 2:
        raise InputError("W has one principle (column 0) only; supremacy compares at least two")
    games = wins + wins.T
    return np.asarray(np.divide(wins, games, out=np.full(wins.shape, np.nan), where=games > 0))


def wins_table(W: ArrayLike) -> FloatArray:
    """Return wins as (k, k) float64, checked; errors as `principle_supremacy`, one principle is allowed."""
    try:
        wins = np.asarray(W, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"W must be numbers, wins of the row's principle over the column's; {error}") from error
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1] or not wins.size:
        raise InputError(f"W must be a square table of wins, one row and column a principle; got shape {wins.shape}")
    bad = np.argwhere(~np.isfinite(wins) | (wins < 0))
    if len(bad):
        c, d = bad[0]
        raise InputError(f"W[{c}, {d}] is {wins[c, d]}; wins must be finite and not negative")
    if np.diag(wins).any():
        c = int(np.flatnonzero(np.diag(wins))[0])
        raise InputError(f"W[{c}, {c}] is {wins[c, c]}; a principle does not meet itself, the diagonal must be 0")
    return wins


@dataclass(frozen=True)
class Voices:
    """What a preference table says, by cell.

    first, second, position, silent: cells of +1, -1, 0 and NaN. flip_rate: share of position-following cells among those with an answer;
    it means something only for a table made from both orders of the responses. spoken: (k,) int64, items on which each principle speaks.
    """

    first: int
    second: int
    position: int
    silent: int
    flip_rate: Estimate
    spoken: np.ndarray[Any, np.dtype[np.int64]]


def voices(P: ArrayLike, *, clusters: ArrayLike | None = None, ci: CIArgument = "auto") -> Voices:
    """Count what the principles say; the flip rate is resampled by item (or by `clusters`), whose cells belong together.

    Raises
    ------
    InputError
        As `preference_table`; `clusters` of another length.
    """
    table = preference_table(P)
    label = np.arange(len(table)) if clusters is None else cluster_codes(clusters, len(table))
    answered = ~np.isnan(table)
    if answered.any():
        rate = accuracy((table[answered] == 0).astype(np.float64), clusters=label[np.nonzero(answered)[0]], ci=ci)
    else:
        rate = Estimate.undefined("no principle says anything", level=as_ci(ci).level)
    first, second, position = (int((table == value).sum()) for value in (1, -1, 0))
    return Voices(first, second, position, int((~answered).sum()), rate, (np.abs(table) == 1).sum(axis=0).astype(np.int64))


def principle_agreement(P: ArrayLike) -> FloatArray:
    """Return (k, k) float64 share of the items on which two principles both speak in which they agree; NaN where they never do.

    Near-copies (high agreement) speak twice in conflicts and wins; see `effective_principles`. Errors as `preference_table`.
    """
    signs = np.nan_to_num(preference_table(P))
    product, both = signs.T @ signs, np.abs(signs).T @ np.abs(signs)
    return np.asarray(np.divide((product + both) / 2, both, out=np.full(both.shape, np.nan), where=both > 0))


def effective_principles(P: ArrayLike) -> float:
    r"""Return how many unrelated principles the table amounts to: :math:`k^2 / \|C\|_F^2`, C the cosines between the principles' columns.

    k for principles that never say the same, 1 for copies of one (or its reverse). Silent principles do not count; NaN if all are.
    Errors as `preference_table`.
    """
    signs = np.nan_to_num(preference_table(P))
    signs = signs[:, signs.any(axis=0)]
    if not signs.size:
        return float("nan")
    columns = signs / np.linalg.norm(signs, axis=0)
    return float(columns.shape[1] ** 2 / np.sum((columns.T @ columns) ** 2))
