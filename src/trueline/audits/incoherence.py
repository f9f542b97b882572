"""Are a model's errors systematic or incoherent? Bias, variance and incoherence of a run with repeated samples.

Haegele et al., "The Hot Mess of AI", arXiv 2601.23045. The options of an item are the meanings that its samples take, and the right
answer; a sample is one-hot. Length is looked at twice: over items, where it is mixed with difficulty, and inside items.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trueline.audits.grouping import LENGTHS, make_groups, run_lengths
from trueline.audits.repeated import Repeated, RepeatedRun, read_repeated
from trueline.errors import InputError
from trueline.metrics._items import item_estimates, ratio_difference
from trueline.metrics.error_decomposition import bias_variance
from trueline.metrics.incoherence import IncoherenceRow, ensemble, incoherence, incoherence_difference, median_split
from trueline.run import Run, open_run
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate

if TYPE_CHECKING:
    from trueline.estimators.equivalence.base import Equivalence
    from trueline.tasks.item import Grader

Floats = NDArray[np.float64]
LOSSES = ("brier", "kl")
#: Fewer items than this in a group, or in all, are warned about.
FEW = 30


def audit_errors(
    run: Run | str | os.PathLike[str],
    *,
    by: str = "tokens",
    n_groups: int = 5,
    losses: Sequence[str] = ("brier",),
    split: str | None = None,
    ensemble_sizes: Sequence[int] = (),
    grader: str | Grader | None = None,
    equivalence: str | Equivalence | None = None,
    level: float = 0.95,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Split the errors of a run with repeated samples into bias and variance, over all items and by group.

    The terms are unbiased by default, so that runs and groups with different numbers of samples can be compared; the plug-in value stands
    beside. Under ``"brier"`` the error of a wrong sample is 2.

    Parameters
    ----------
    run : run directory or Run
        With two graded samples an item or more; other items are left out and counted.
    by : str
        What items are grouped by: mean length in ``tokens``, ``words``, words of the marked ``reasoning`` or of the ``answer``, or a
        metadata column such as ``steps``.
    n_groups : int
        Groups of equal size, where there is not one for each value of a column.
    losses : sequence of {"brier", "kl"}
        KL on one-hot answers hangs on its smoothing (1e-12): it comes beside Brier, never alone.
    split : str, optional
        Length by which the samples inside each item are split at their median; by default that of `by`, or tokens.
    ensemble_sizes : sequence of int
        Sizes of ensembles whose averaged answers are decomposed too.
    grader, equivalence : see ``Run.grade`` and ``Run.score``
    level, n_boot, seed : of the intervals; the bootstrap draws items, clusters of items where the task has them

    Returns
    -------
    dict
        JSON-safe. ``overall`` and each of ``groups``: a row a loss; ``trend``: incoherence of the last less that of the first group;
        ``split``: shorter against longer samples of the same items; ``changing``: share of items with more than one answer;
        ``wrong_agreement`` beside each row: how often two wrong samples agree, which does not move with accuracy as incoherence does.

    Raises
    ------
    InputError
        No repeated samples, copies of one sample, an unknown loss, column or length.
    """
    losses = tuple(dict.fromkeys(("brier", *losses)))
    if unknown := [loss for loss in losses if loss not in LOSSES]:
        raise InputError(f"loss {unknown[0]!r} is unknown; expected {' or '.join(LOSSES)} (zero-one terms do not add up to the error)")
    if n_groups < 1:
        raise InputError(f"n_groups is {n_groups}; expected at least 1")
    run = run if isinstance(run, Run) else open_run(run)
    ci = CI(level=level, n_boot=n_boot, seed=seed)
    found = read_repeated(run, grader=grader, equivalence=equivalence)
    clusters = found.clusters
    lengths, unit = run_lengths(found.items, by if by in LENGTHS else "tokens")
    split_lengths, split_unit = run_lengths(found.items, split) if split else (lengths, unit)
    answers = _Answers(found, lengths, clusters, ci)
    groups = make_groups(found.items, by, n_groups, lengths, unit)
    rows = {label: answers.rows([label == other for other in groups.labels], losses) for label in groups.order}
    document = found.heading(run) | {
        "audit": "errors",
        "level": level,
        "n_boot": n_boot,
        "seed": seed,
        "losses": list(losses),
        "length_unit": unit,
        "overall": answers.rows([True] * len(found.items), losses),
        "changing": answers.changing(),
        "by": groups.by,
        "groups": [{"group": label, **row} for label, row in rows.items()],
        "trend": answers.trend(groups.labels, groups.order) if groups.ordered and len(groups.order) > 1 else None,
        "split": answers.split(split_lengths, split_unit),
        "ensembles": answers.ensembles(ensemble_sizes, seed),
    }
    document["warnings"] = _warnings(document, found, groups.note)
    return document


class _Answers:
    """The one-hot answers of a run, and what is computed from them."""

    def __init__(self, found: RepeatedRun, lengths: Sequence[Floats], clusters: Sequence[str] | None, ci: CI) -> None:
        self.items: Sequence[Repeated] = found.items
        self.lengths = lengths
        self.clusters = None if clusters is None else np.asarray(clusters)
        self.ci = ci
        self.probs = [one_hot(r.outcomes) for r in found.items]

    def rows(self, inside: Sequence[bool], losses: Sequence[str], subsets: Sequence[NDArray[np.int64]] | None = None) -> dict[str, Any]:
        """One row a loss over the items inside, on all of their samples or on a subset of each."""
        at = np.flatnonzero(inside)
        chosen = [np.arange(len(self.probs[i])) for i in at] if subsets is None else subsets
        probs = [self.probs[i][s] for i, s in zip(at, chosen, strict=True)]
        lengths = [self.lengths[int(i)][s] for i, s in zip(at, chosen, strict=True)]
        clusters = None if self.clusters is None else self.clusters[at]
        shared: dict[str, Any] = {"lengths": lengths, "ci": self.ci, "clusters": clusters}
        out = {loss: row_json(incoherence(probs, [0] * len(at), loss, **shared)[0]) for loss in losses}  # type: ignore[arg-type]
        return out | {"wrong_agreement": wrong_agreement(probs, clusters, self.ci).to_json()}

    def changing(self) -> dict[str, Any]:
        """Share of items whose samples do not all give one answer."""
        values = np.array([float(len(set(r.outcomes)) > 1) for r in self.items])
        return item_estimates({"changing": values}, ci=self.ci, clusters=self.clusters)["changing"].to_json()

    def trend(self, labels: Sequence[str | None], order: Sequence[str]) -> dict[str, Any]:
        """The last group less the first: Brier incoherence, and how often wrong samples agree."""
        terms = [bias_variance(p, 0, "brier", unbiased=True) for p in self.probs]
        ends = (order[0], order[-1])
        first, last = ([t if label == end else None for t, label in zip(terms, labels, strict=True)] for end in ends)
        same, pairs = wrong_pairs(self.probs)
        masks = [np.array([label == end for label in labels], dtype=np.float64) for end in ends]
        sides = [(same * mask, pairs * mask) for mask in masks]
        shared: dict[str, Any] = {"clusters": self.clusters, "ci": self.ci}
        return {
            "first": ends[0],
            "last": ends[1],
            "difference": incoherence_difference(first, last, **shared).to_json(),
            "agreement": ratio_difference(sides[0], sides[1], "a group has no item with two wrong samples", **shared).to_json(),
        }

    def split(self, lengths: Sequence[Floats], unit: str) -> dict[str, Any]:
        """Shorter against longer samples of the same items."""
        halves = median_split(lengths)
        out: dict[str, Any] = {"unit": unit, "n_items": len(halves.kept), "n_dropped": halves.n_dropped}
        if not len(halves.kept):
            return out | {"reason": "no item has two samples below and two at or above its own median length"}
        inside = np.isin(np.arange(len(self.items)), halves.kept).tolist()
        both = (halves.below, halves.at_or_above)
        terms = [
            [bias_variance(self.probs[i][s], 0, "brier", unbiased=True) for i, s in zip(halves.kept, side, strict=True)] for side in both
        ]
        clusters = None if self.clusters is None else self.clusters[halves.kept]
        gap = np.array([long.accuracy - short.accuracy for short, long in zip(*terms, strict=True)])
        accuracy = item_estimates({"gap": gap}, ci=self.ci, clusters=clusters, signed=["gap"])["gap"]
        return out | {
            "shorter": self.rows(inside, ("brier",), both[0])["brier"],
            "longer": self.rows(inside, ("brier",), both[1])["brier"],
            "difference": incoherence_difference(terms[0], terms[1], clusters=clusters, ci=self.ci).to_json(),
            "accuracy_difference": accuracy.to_json(),
        }

    def ensembles(self, sizes: Sequence[int], seed: int) -> list[dict[str, Any]]:
        """Brier terms of averaged answers, as many disjoint ensembles of each size as the largest size allows."""
        if not sizes:
            return []
        if min(sizes) < 1:
            raise InputError(f"ensemble sizes are at least 1; got {list(sizes)}")
        fewest = min(len(p) for p in self.probs)
        if (n := fewest // max(sizes)) < 2:
            raise InputError(f"two ensembles of {max(sizes)} need {2 * max(sizes)} samples an item; some item has {fewest}")
        made = ensemble(self.probs, [0] * len(self.probs), sizes, n, rng=np.random.default_rng(seed), ci=self.ci)
        return [{"size": row.size, "n_ensembles": n, **row_json(row.decomposition)} for row in made]


def one_hot(outcomes: Sequence[int]) -> Floats:
    """(n_samples, C) float64 of the outcomes of an item: column 0 is the right answer, the others what else was said (one at least)."""
    others = sorted({o for o in outcomes if o >= 0}) or [0]
    column = {-1: 0} | {o: k for k, o in enumerate(others, start=1)}
    return np.eye(1 + len(others))[[column[o] for o in outcomes]]


def wrong_agreement(probs: Sequence[Floats], clusters: NDArray[Any] | None, ci: CI) -> Estimate:
    """Of the pairs of wrong samples of one item, the share that gives the same wrong answer; an item counts by its share of such pairs.

    Unlike incoherence it does not move with accuracy: a one-hot item that is right with probability p has a Brier incoherence between p
    (always the same wrong answer) and (1 + p) / 2 (never the same).
    """
    same, pairs = wrong_pairs(probs)
    return item_estimates({}, {"agreement": (same, pairs, "no item has two wrong samples")}, ci=ci, clusters=clusters)["agreement"]


def wrong_pairs(probs: Sequence[Floats]) -> tuple[Floats, Floats]:
    """(n_items,) shares of the pairs of samples of an item that are both wrong and give one answer, and that are both wrong."""
    wrong = [p[:, 1:].sum(axis=0) for p in probs]
    pairs = np.array([float(len(p) * (len(p) - 1)) for p in probs])
    return np.array([float((w * (w - 1)).sum()) for w in wrong]) / pairs, np.array([float(w.sum() * (w.sum() - 1)) for w in wrong]) / pairs


def row_json(row: IncoherenceRow) -> dict[str, Any]:
    """A row of the decomposition as a JSON-safe record."""
    out: dict[str, Any] = {}
    for f in fields(row):
        value = getattr(row, f.name)
        if isinstance(value, Estimate):
            out[f.name] = value.to_json()
        elif f.name == "n_runs":
            out[f.name] = list(value)
        elif f.name != "group":
            out[f.name] = None if isinstance(value, float) and np.isnan(value) else value
    return out


def _warnings(document: Mapping[str, Any], found: RepeatedRun, note: str | None) -> list[str]:
    said = []
    if document["n_items"] < FEW:
        said.append(f"Only {document['n_items']} items: intervals are wide, and their coverage is approximate.")
    thin = [g["group"] for g in document["groups"] if g["brier"]["n_items"] < FEW]
    if thin and document["n_items"] >= FEW:
        said.append(f"Fewer than {FEW} items in the groups {', '.join(thin)}.")
    said += [f"{count} items left out: {reason}." for reason, count in found.left_out.items()]
    if found.ungraded:
        said.append(f"{found.ungraded} samples failed or could not be judged and are left out.")
    if note:
        said.append(f"{note}.")
    if document["by"] in (document["length_unit"], *LENGTHS) and document["trend"] is not None:
        said.append("Groups by length mix length with difficulty; the split inside items does not.")
    if "reason" in document["split"]:
        said.append(f"No split by length: {document['split']['reason']}.")
    return said
