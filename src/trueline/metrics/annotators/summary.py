"""All that disagreeing annotators say about a set of items, and about predictions of their labels, as one JSON-safe document.

Stutz et al., arXiv 2307.02191: inverse rank normalisation, probabilistic IRN with exact certainties, and uncertainty-adjusted accuracy. An
adjusted accuracy is what the annotations alone support, not the true one; beside it stand the accuracy against the most voted label and the
share of votes for the prediction, which estimates agreement with a fresh annotator without bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import accuracy
from trueline.metrics.annotators.adjusted import Adjusted
from trueline.metrics.annotators.agreement import leave_one_reader_out_agreement, reader_agreement
from trueline.metrics.annotators.certainty import annotation_certainty, topk_weights
from trueline.metrics.annotators.dirichlet_irn import dirichlet_argmax
from trueline.metrics.annotators.irn import irn
from trueline.metrics.annotators.rankings import PartialRankings
from trueline.metrics.evaluate import evaluate
from trueline.metrics.smooth_ece import SMOOTH_ECE
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.sample import IntArray

if TYPE_CHECKING:
    from trueline.tasks.annotations import Reading

#: Reliabilities that are shown beside "each annotator counts once".
SWEEP = (1.0, 3.0, 10.0, 30.0)
#: A case whose certainty is below this is called ambiguous, as in the paper.
CERTAIN = 0.99
_MOST_CLASSES = 1000
_BINS = 20


@dataclass(frozen=True, eq=False)
class Annotated:
    """Rankings with names: classes (K,), and the annotator of each reader (n_readers,), "" where nobody is named."""

    rankings: PartialRankings
    classes: tuple[str, ...]
    annotators: tuple[str, ...]

    @classmethod
    def from_readings(cls, cases: Sequence[Sequence[Reading]]) -> Annotated:
        """Number the labels of all cases. Raises ``InputError`` without any, or with more than 1,000: free text has no classes."""
        classes = sorted({label for case in cases for reading in case for group in reading.groups for label in group})
        if not 0 < len(classes) <= _MOST_CLASSES:
            raise InputError(f"the annotations name {len(classes):,} different labels; expected 1 to {_MOST_CLASSES:,} classes")
        code = {label: k for k, label in enumerate(classes)}
        lists = [[[[code[label] for label in group] for group in reading.groups] for reading in case] for case in cases]
        names = tuple(reading.annotator for case in cases for reading in case)
        return cls(PartialRankings.from_lists(lists, len(classes)), tuple(classes), names)

    def certainties(self, reliability: float | None = None, alpha: float = 0.01) -> FloatArray:
        """Return P(top class = c) under probabilistic IRN, (n, K); reliability None: each annotator of a case counts for one vote."""
        trust = self.rankings.n_readers if reliability is None else np.full(self.rankings.n_cases, reliability)
        return dirichlet_argmax(trust[:, None] * irn(self.rankings) + alpha)


def annotator_summary(
    data: Annotated,
    predictions: Mapping[str, ArrayLike] | None = None,
    *,
    reliability: float | None = None,
    alpha: float = 0.01,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> dict[str, Any]:
    """Summarise annotations, and predictions against them.

    Parameters
    ----------
    data : Annotated
    predictions : mapping of name to (n_cases,) float64, optional
        Number of the predicted class; -1: a label that no annotator names anywhere (never right); NaN: no prediction.
    reliability : float, optional
        How many votes the annotators of a case count for together; default: each counts once.
    alpha : float
        Pseudo-votes of every class.
    clusters, ci
        As in `accuracy`.

    Returns
    -------
    dict
        ``certainty``, ``ambiguous`` (share below 0.99), ``agreement`` (leave one out), ``histogram``, ``sweep``, ``annotators``,
        ``predictions`` (each with ``standard``, ``votes``, ``adjusted``, ``sweep``) and ``differences``; numbers are estimates as JSON.
    """
    if not (0 < alpha < np.inf) or not (reliability is None or 0 < reliability < np.inf):
        raise InputError(f"reliability and alpha must be positive and finite; got {reliability} and {alpha}")
    r, options = data.rankings, {"clusters": clusters, "ci": ci, "nan_policy": "drop"}
    law = {trust: data.certainties(trust, alpha) for trust in (reliability, *SWEEP)}
    certainty = annotation_certainty(law[reliability])
    counts = np.histogram(certainty[np.isfinite(certainty)], np.linspace(0, 1, _BINS + 1))[0]
    ambiguous = np.where(np.isnan(certainty), np.nan, certainty < CERTAIN)
    made = {name: _prediction(data, np.asarray(p, dtype=np.float64), law, reliability, options) for name, p in (predictions or {}).items()}
    return {
        "n_cases": r.n_cases,
        "n_annotated": int((r.n_readers > 0).sum()),
        "n_single": int((r.n_readers == 1).sum()),
        "n_answers": len(r.reader_case),
        "classes": list(data.classes),
        "reliability": reliability,
        "alpha": alpha,
        "certainty": _mean(certainty, options).to_json(),
        "ambiguous": _mean(ambiguous, options).to_json(),
        "agreement": _mean(leave_one_reader_out_agreement(r), options).to_json(),
        "histogram": counts.tolist(),
        "sweep": [{"reliability": t, "certainty": _mean(annotation_certainty(law[t]), options).to_json()} for t in SWEEP],
        "annotators": _annotators(data, ci),
        "predictions": {name: entry for name, (entry, _) in made.items()},
        "differences": _differences({name: items for name, (_, items) in made.items()}, options),
    }


def supported(certainties: FloatArray, prediction: ArrayLike) -> FloatArray:
    """Return P(the prediction is the top class) of each case, (n,): 0 for a class that nobody named, NaN without prediction or readers."""
    p = np.asarray(prediction, dtype=np.float64)
    if p.shape != certainties.shape[:1] or (p >= certainties.shape[1]).any():
        raise InputError(f"predictions must be ({len(certainties)},) class numbers below {certainties.shape[1]}; got shape {p.shape}")
    at = np.where(p >= 0, p, 0).astype(np.int64)
    found = np.clip(certainties[np.arange(len(p)), at], 0.0, 1.0)
    return np.where(np.isnan(p) | np.isnan(certainties[:, 0]), np.nan, np.where(p < 0, 0.0, found))


def adjusted_scores(
    scores: ArrayLike,
    support: ArrayLike,
    confidence: ArrayLike | None = None,
    *,
    clusters: ArrayLike | None = None,
    ci: CIArgument = "auto",
) -> dict[str, Estimate]:
    """Return uncertainty-adjusted metrics of an uncertainty score: the truth of an item is right with its own probability.

    scores: (n,) float64, higher = less certain. support: (n,) chance that the answer is right (`supported`). confidence: (n,) in [0, 1].
    ``ua_aurc``, ``ua_prr`` and ``ua_brier`` are exact means over the posterior, or ratios of such; ``ua_auroc`` is the ratio of expected
    counts; ``ua_smooth_ece`` holds the confidence against the support. NaN in either leaves the item out.
    """
    u, q = np.asarray(scores, dtype=np.float64), np.asarray(support, dtype=np.float64)
    keep = ~(np.isnan(u) | np.isnan(q))
    names = ("ua_auroc", "ua_aurc", "ua_prr", *(("ua_brier", "ua_smooth_ece") if confidence is not None else ()))
    missing = int((~keep).sum())
    if keep.sum() < 2:
        return {name: Estimate.undefined("fewer than two items have a score and annotations", n_missing=missing) for name in names}
    u, q, unit = u[keep], q[keep], np.arange(int(keep.sum())) if clusters is None else np.asarray(clusters)[keep]
    # each item as two rows, wrong and right, by their weights; the two stay together in every replicate
    halves = np.concatenate([np.ones(len(u)), np.zeros(len(u))])
    doubled: dict[str, Any] = {"weights": np.concatenate([1 - q, q]), "clusters": np.concatenate([unit, unit]), "ci": ci}
    auroc = evaluate(np.concatenate([u, u]), halves, ("auroc",), **doubled)["auroc"]
    out = {"ua_auroc": replace(auroc, n=len(u), n_effective=float(len(u)))}
    options: dict[str, Any] = {"clusters": None if clusters is None else unit, "ci": ci}
    out |= {f"ua_{name}": e for name, e in evaluate(u, 1 - q, ("aurc", "prr"), **options).items()}
    if confidence is not None:
        c = np.asarray(confidence, dtype=np.float64)[keep]
        out["ua_brier"] = accuracy(q * (1 - c) ** 2 + (1 - q) * c**2, nan_policy="drop", **options)
        smooth = replace(SMOOTH_ECE, truth="real")
        out["ua_smooth_ece"] = evaluate(c, q, (smooth,), nan_policy="drop", **options)["smooth_ece"]
    return {name: replace(e, n_missing=e.n_missing + missing) for name, e in out.items()}


def _mean(values: FloatArray, options: Mapping[str, Any]) -> Estimate:
    if np.isnan(values).all():
        return Estimate.undefined("no case has the annotators it takes", n_missing=len(values))
    return accuracy(values, **options)


def _prediction(
    data: Annotated, p: FloatArray, law: Mapping[float | None, FloatArray], reliability: float | None, options: Mapping[str, Any]
) -> tuple[dict[str, Any], FloatArray]:
    share = irn(data.rankings)
    items = supported(law[reliability], p)
    entry = {
        "standard": _mean(supported(topk_weights(share, 1), p), options).to_json(),
        "votes": _mean(supported(share, p), options).to_json(),
        "adjusted": _mean(items, options).to_json(),
        "sweep": [{"reliability": t, "adjusted": _mean(supported(law[t], p), options).to_json()} for t in SWEEP],
        "n_unnamed": int((p < 0).sum()),
    }
    return entry, items


def _differences(items: Mapping[str, FloatArray], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Paired differences in adjusted accuracy between predictions."""
    out = []
    for a, b in combinations(items, 2):
        gap = items[a] - items[b]
        if np.isnan(gap).all():
            e = Estimate.undefined("no case has both predictions", n_missing=len(gap))
        else:
            pair = [Adjusted(Estimate.undefined("part of a difference"), items[name]) for name in (a, b)]
            e = pair[0].minus(pair[1], clusters=options["clusters"], ci=options["ci"]).estimate
        out.append({"first": a, "second": b, **e.to_json()})
    return out


def _annotators(data: Annotated, ci: CIArgument) -> list[dict[str, Any]]:
    """How often each named annotator names a top class of the others; the cases are the independent units."""
    agrees, case = reader_agreement(data.rankings), data.rankings.reader_case
    names = np.array(data.annotators, dtype=object)
    out = []
    for name in sorted(set(data.annotators) - {""}):
        rows: IntArray = np.flatnonzero((names == name) & ~np.isnan(agrees))
        e = (
            accuracy(agrees[rows], clusters=case[rows] if len(set(case[rows].tolist())) < len(rows) else None, ci=ci)
            if len(rows)
            else Estimate.undefined("never annotates a case together with another")
        )
        out.append({"annotator": name, "n_answers": int((names == name).sum()), "agreement": e.to_json()})
    return out
