"""What one deterministic answer hides: capability under sampling, voting, reasoning paths, emergence over a scale, robustness to wording.

The question is that of "Stochastic CHAOS" (Joshi et al., arXiv 2601.07239); the formulas are standard estimators, named at each function.
Greedy accuracy is always set beside what sampling shows. A pass@k is what an oracle verifier could pick and no deployable accuracy:
read it with the gain of a vote and with the curve of a guesser. Harm in the tail: `trueline.metrics.tail_risk`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics._items import item_estimates
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.mcnemar import McNemar, mcnemar
from trueline.stats.sample import as_vector

AnyArray = np.ndarray[Any, Any]


def any_at_k(events: Sequence[ArrayLike] | AnyArray, k: int) -> FloatArray:
    """Return the (n_items,) unbiased probability that at least one of k samples shows the event (pass@k, any-harm@k) of each item.

    1 - C(n - c, k) / C(n, k) with c events among n samples (Chen et al., arXiv 2107.03374, eq. 1), in exact integers. The plug-in
    1 - (1 - c/n)^k would be too low.

    Parameters
    ----------
    events : (n_items, n_samples) in {0, 1}, or one vector an item where the numbers of samples differ
    k : int
        1 to the smallest number of samples of an item.
    """
    return _any_at_k(counts(events, "events"), k)


def counts(events: Sequence[ArrayLike] | AnyArray, name: str) -> list[tuple[int, int]]:
    """Return (events, samples) of each item after checking that all entries are 0 or 1."""
    if not isinstance(events, Sequence | np.ndarray):
        raise InputError(f"{name} must hold one vector an item; got {type(events).__name__}")
    rows = [as_vector(row, f"{name} of item {i}") for i, row in enumerate(events)]
    if not rows:
        raise InputError(f"{name} is empty; at least one item is needed")
    for i, row in enumerate(rows):
        check_binary(row, f"{name} of item {i}")
    return [(int(row.sum()), len(row)) for row in rows]


def check_binary(values: FloatArray, name: str) -> None:
    """Raise `InputError` at the first entry that is neither 0 nor 1."""
    bad = np.argwhere((values != 0) & (values != 1))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        raise InputError(f"{name}: entry {at[0] if len(at) == 1 else at} is {values[at]}; expected 0 or 1")


def _any_at_k(tally: list[tuple[int, int]], k: int) -> FloatArray:
    least = min(n for _, n in tally)
    if k != int(k) or not 1 <= k <= least:
        raise InputError(f"k is {k}; expected 1 to {least}, the smallest number of samples of an item")
    return np.array([_any(c, n, int(k)) for c, n in tally])


@cache
def _any(c: int, n: int, k: int) -> float:
    return 1 - math.comb(n - c, k) / math.comb(n, k)


NO_GREEDY = "no greedy answer was given to compare with"


def greedy_outcomes(values: ArrayLike | None, n_items: int, name: str) -> FloatArray | None:
    """Return the checked 0/1 outcome of each item's greedy answer, None where there are none."""
    if values is None:
        return None
    greedy = as_vector(values, name)
    if len(greedy) != n_items:
        raise InputError(f"{name} has {len(greedy)} entries for {n_items} items; give one greedy outcome an item")
    check_binary(greedy, name)
    return greedy


def majority_at_k(answers: Sequence[Hashable], correct: Hashable, ks: Sequence[int]) -> dict[int, float]:
    """Return, for each k, the expected accuracy of a plurality vote over k of the n sampled answers; ties share the credit.

    Exact over all subsets of size k at any n: with t votes for the right answer, the others are counted through the coefficients of
    prod_a sum_{j <= t} C(n_a, j) x^j y^[j = t], where the power of y is the number of answers that tie.

    Raises
    ------
    InputError
        No answers, or a k outside 1..n.

    Examples
    --------
    >>> majority_at_k(["x", "x", "x", "y", "x", "y"], "y", [1, 5])
    {1: 0.3333333333333333, 5: 0.0}
    """
    n = len(answers)
    votes = Counter(answers)
    right = votes.pop(correct, 0)
    for k in ks:
        if k != int(k) or not 1 <= k <= n:
            raise InputError(f"k is {k}; expected 1 to {n}, the number of answers")
    return {k: _vote(right, sorted(votes.values()), n, int(k)) for k in ks}


def _vote(right: int, others: list[int], n: int, k: int) -> float:
    credit = 0.0
    for t in range(1, min(right, k) + 1):
        rest = k - t
        ways = {(0, 0): 1}  # (votes given away, answers that tie) -> number of subsets
        for size in others:
            grown: dict[tuple[int, int], int] = {}
            for (used, ties), number in ways.items():
                for j in range(min(size, t, rest - used) + 1):
                    key = (used + j, ties + (j == t))
                    grown[key] = grown.get(key, 0) + number * math.comb(size, j)
            ways = grown
        subsets = math.comb(n, k)
        for (used, ties), number in ways.items():
            if used == rest:
                credit += math.comb(right, t) * number / subsets / (1 + ties)
    return credit


@dataclass(frozen=True)
class Capability:
    """What sampling reaches beside the greedy answer; every share is of all items.

    Attributes
    ----------
    greedy_accuracy, mean_sample_accuracy : Estimate
    pass_at_k, gain_pass : dict of k to Estimate
        pass@k, and pass@k less greedy accuracy (item by item): what search with an oracle verifier could gain.
    majority_at_k, gain_vote : dict of k to Estimate
        Accuracy of a vote and its gain over greedy, which needs no verifier; undefined without answers.
    guess_at_k : dict of k to float
        1 - (1 - 1/C)^k of a uniform guesser; NaN without `n_options`. A pass@k is only worth something above it.
    reachable, fragile : Estimate
        Greedy wrong yet right in some sample; greedy right yet wrong in some sample.
    greedy_or_vote : McNemar or None
        Paired test of greedy against the vote over all samples; a tied vote counts as wrong.
    """

    greedy_accuracy: Estimate
    mean_sample_accuracy: Estimate
    pass_at_k: dict[int, Estimate]
    gain_pass: dict[int, Estimate]
    majority_at_k: dict[int, Estimate]
    gain_vote: dict[int, Estimate]
    guess_at_k: dict[int, float]
    reachable: Estimate
    fragile: Estimate
    greedy_or_vote: McNemar | None


def capability(
    greedy_correct: ArrayLike | None,
    sample_correct: Sequence[ArrayLike] | AnyArray,
    ks: Sequence[int],
    *,
    answers: Sequence[Sequence[Hashable]] | None = None,
    references: Sequence[Hashable] | None = None,
    n_options: int | None = None,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> Capability:
    """Set greedy accuracy beside pass@k and the vote.

    Parameters
    ----------
    greedy_correct : (n_items,) in {0, 1}, or None
        Without greedy answers, whatever compares with them is undefined.
    sample_correct : (n_items, n_samples) in {0, 1}, or one vector an item
    ks : sequence of int
        Each at most the smallest number of samples.
    answers, references : one list of sampled answers an item, and its right answer; optional, for the vote
        Answers are compared as they are: bring equal meanings to one form first.
    n_options : int, optional
        Options of a multiple-choice item, for the curve of a guesser.

    Raises
    ------
    InputError
        Lengths that differ, entries other than 0 and 1, a k beyond the samples.
    """
    tally = counts(sample_correct, "sample_correct")
    greedy = greedy_outcomes(greedy_correct, len(tally), "greedy_correct")
    if n_options is not None and n_options < 1:
        raise InputError(f"n_options is {n_options}; expected at least 1")
    columns = {"sampled": np.array([c / n for c, n in tally])}
    if greedy is not None:
        some, failed = np.array([c > 0 for c, _ in tally]), np.array([c < n for c, n in tally])
        columns |= {"greedy": greedy, "reachable": (greedy == 0) & some, "fragile": (greedy == 1) & failed}
    votes = _votes(answers, references, tally, ks)
    for k in ks:
        reached = {"pass": _any_at_k(tally, k)} | ({"vote": np.array([vote[k] for vote in votes])} if votes else {})
        for name, values in reached.items():
            columns[f"{name} {k}"] = values
            if greedy is not None:
                columns[f"{name} gain {k}"] = values - greedy
    found = item_estimates(columns, ci=ci, clusters=clusters, signed=[name for name in columns if "gain" in name])
    no_vote, no_greedy = (Estimate.undefined(why, n=len(tally)) for why in ("no answers were given to vote over", NO_GREEDY))
    full_votes = [float(vote[n] == 1) for vote, (_, n) in zip(votes, tally, strict=True)] if votes else []
    return Capability(
        greedy_accuracy=found.get("greedy", no_greedy),
        mean_sample_accuracy=found["sampled"],
        pass_at_k={k: found[f"pass {k}"] for k in ks},
        gain_pass={k: found.get(f"pass gain {k}", no_greedy) for k in ks},
        majority_at_k={k: found.get(f"vote {k}", no_vote) for k in ks},
        gain_vote={k: found.get(f"vote gain {k}", no_greedy if votes else no_vote) for k in ks},
        guess_at_k={k: math.nan if n_options is None else 1 - (1 - 1 / n_options) ** k for k in ks},
        reachable=found.get("reachable", no_greedy),
        fragile=found.get("fragile", no_greedy),
        greedy_or_vote=mcnemar(greedy, full_votes) if votes and greedy is not None else None,
    )


def _votes(
    answers: Sequence[Sequence[Hashable]] | None, references: Sequence[Hashable] | None, tally: list[tuple[int, int]], ks: Sequence[int]
) -> list[dict[int, float]]:
    if answers is None and references is None:
        return []
    if answers is None or references is None or not len(answers) == len(references) == len(tally):
        raise InputError(f"a vote needs answers and references, one an item ({len(tally)})")
    for i, (given, (_, n)) in enumerate(zip(answers, tally, strict=True)):
        if len(given) != n:
            raise InputError(f"item {i} has {len(given)} answers but {n} graded samples; give one answer a sample")
    return [majority_at_k(given, ref, [*ks, len(given)]) for given, ref in zip(answers, references, strict=True)]


@dataclass(frozen=True)
class PathDiversity:
    """Reasoning paths among one item's samples; entropy in nats, NaN where n is too small."""

    n: int
    distinct_paths: int
    path_entropy: float
    effective_paths: float
    simpson_diversity: float
    distinct_correct_paths: int
    mixed_paths: int
    unseen_mass: float


def path_diversity(path_ids: Sequence[Hashable] | ArrayLike, correct: ArrayLike) -> PathDiversity:
    """Count the ways in which one item was solved.

    `path_entropy` is the plug-in entropy, `effective_paths` its exponential; `simpson_diversity` = 1 - sum n_j (n_j - 1) / (n (n - 1)),
    unbiased, NaN for one sample; `unseen_mass` = share of samples whose path came once (Good 1953): how much would still be new;
    `mixed_paths` lead to right and to wrong answers.

    Parameters
    ----------
    path_ids : (n_samples,) labels
        Cluster of each sample's reasoning.
    correct : (n_samples,) in {0, 1}
    """
    ids: list[Hashable] = path_ids.tolist() if isinstance(path_ids, np.ndarray) else list(path_ids)  # type: ignore[arg-type]
    right = as_vector(correct, "correct")
    if len(ids) != len(right):
        raise InputError(f"path_ids has {len(ids)} entries but correct has {len(right)}; give one a sample")
    check_binary(right, "correct")
    sizes = np.array(list(Counter(ids).values()), dtype=np.float64)
    n = len(ids)
    entropy = max(0.0, -float((sizes / n * np.log(sizes / n)).sum()))
    good, bad = ({p for p, ok in zip(ids, right, strict=True) if ok == wanted} for wanted in (1, 0))
    simpson = 1 - float((sizes * (sizes - 1)).sum()) / (n * (n - 1)) if n > 1 else math.nan
    return PathDiversity(n, len(sizes), entropy, math.exp(entropy), simpson, len(good), len(good & bad), float((sizes == 1).sum()) / n)
