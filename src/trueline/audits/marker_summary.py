"""Findings of a marker audit from its tables of numbers: each marker, each class, three contrasts, a regression on all labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.audits.marker_answers import METRICS, Answers
from trueline.audits.marker_probes import Probes
from trueline.metrics.ece import ece
from trueline.metrics.marker_contrasts import Contrast, class_contrast, label_regression
from trueline.stats.engine import CI
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import wilson
from trueline.stats.multiplicity import holm
from trueline.tasks.markers import FLAGS, Marker

#: What is compared between classes.
COMPARED = ("accuracy", "sampled_accuracy", "prob_gold", "top3", "entropy", "entropy_rest", "distinct")
CLASSES = ("weakener", "strengthener", *FLAGS, "control")
CONTRASTS = ("certainty", "evidential", "factive")
_MEANING = {
    "certainty": "weakeners less strengtheners",
    "evidential": "evidentials less the others, controls left out",
    "factive": "factives less the others, controls left out",
}
_THIN = 0.5


def marker_document(probes: Probes, answers: Answers, *, ci: CI, legacy: bool) -> dict[str, Any]:
    """Findings as a JSON-safe record; see `trueline.audits.MarkerReport`."""
    tables = {name: answers.values[name] for name in COMPARED if name in answers.values}
    neutral = neutral_marker(probes.markers)
    document: dict[str, Any] = {
        "n_items": len(probes.items),
        "n_markers": len(probes.markers),
        "items": {"offered": probes.n_offered, "usable": probes.n_usable, "share_usable": probes.n_usable / probes.n_offered},
        "position": probes.position,
        "reading": answers.reading,
        "level": ci.level,
        "n_boot": ci.n_boot,
        "metrics": {name: METRICS[name] for name in tables},
        "baseline": None if neutral is None else probes.markers[neutral].marker,
        "markers": [_marker(k, neutral, probes, answers, tables, ci) for k in range(len(probes.markers))],
        "classes": {name: _class(name, probes, answers, tables, ci) for name in CLASSES if class_mask(name, probes.markers).any()},
        "contrasts": {name: contrasts(table, probes, ci=ci, legacy=legacy) for name, table in tables.items()},
        "meaning": _MEANING,
        "regression": {name: _regression(table, probes, answers, ci) for name, table in tables.items()},
        "spread": spread(tables["accuracy"], probes.markers),
        "failed_prompts": answers.n_failed,
        "counts": dict(answers.counts),
    }
    if "mass" in answers.values:
        document["covered_mass"] = float(np.nanmean(answers.values["mass"]))
    return document | {"warnings": _warnings(document, probes, answers)}


def neutral_marker(markers: Sequence[Marker]) -> int | None:
    """Position of the control that single markers are compared with: a neutral phrase, else no phrase; None without a control."""
    controls = [k for k, m in enumerate(markers) if m.is_control]
    return min(controls, key=lambda k: not markers[k].marker) if controls else None


def class_mask(name: str, markers: Sequence[Marker]) -> NDArray[np.bool_]:
    """(n_markers,) bool: the markers of a class."""
    return np.array([m.is_control if name == "control" else name in m.labels for m in markers], dtype=bool)


def contrasts(table: FloatArray, probes: Probes, *, ci: CI, legacy: bool = False) -> dict[str, Any]:
    """The three contrasts of one (n_items, n_markers) table, with p-values corrected for there being three (Holm)."""
    live = ~class_mask("control", probes.markers)
    sides = {"certainty": (class_mask("weakener", probes.markers), class_mask("strengthener", probes.markers))}
    for name in ("evidential", "factive"):
        inside = class_mask(name, probes.markers)
        sides[name] = (inside, live & ~inside)
    found: dict[str, Contrast] = {}
    for name, (first, second) in sides.items():
        if first.any() and second.any():
            found[name] = class_contrast(
                table[:, first], table[:, second],
                clusters=probes.clusters, level=ci.level, n_boot=ci.n_boot, seed=ci.seed, legacy=legacy,
            )  # fmt: skip
        else:
            absent = Estimate(math.nan, level=ci.level, reason="one of the two classes has no marker")
            found[name] = Contrast(absent, math.nan, (math.nan, math.nan), math.nan)
    tested = [name for name in found if math.isfinite(found[name].p)]
    adjusted = dict(zip(tested, holm([found[name].p for name in tested]), strict=True)) if tested else {}
    return {name: c.to_json() | {"p_holm": float(adjusted[name]) if name in adjusted else None} for name, c in found.items()}


def mean_estimate(columns: FloatArray, probes: Probes, ci: CI) -> Estimate:
    """Mean over items of the mean of some columns; Wilson's interval for single right-or-wrong columns of unrelated items."""
    columns = columns[:, None] if columns.ndim == 1 else columns
    known = columns[np.isfinite(columns).all(axis=1)]
    if columns.shape[1] == 1 and probes.clusters is None and len(known) and np.isin(known, (0.0, 1.0)).all():
        ends = wilson(float(known.sum()), len(known), ci.level)
        lost = len(columns) - len(known)
        return Estimate(float(known.mean()), ends.low, ends.high, ci.level, len(known), lost, ends.method, se=ends.se)
    return class_contrast(columns, np.zeros(len(columns)), clusters=probes.clusters, level=ci.level, n_boot=2).estimate


def _marker(k: int, neutral: int | None, probes: Probes, answers: Answers, tables: Mapping[str, FloatArray], ci: CI) -> dict[str, Any]:
    marker = probes.markers[k]
    record: dict[str, Any] = {"marker": marker.marker, "labels": list(marker.labels), "control": marker.is_control}
    record["metrics"] = {name: mean_estimate(table[:, k], probes, ci).to_json() for name, table in tables.items()}
    if answers.fluency is not None:
        own = answers.fluency[:, k]
        record["fluency"] = float(np.nanmean(own)) if np.isfinite(own).any() else None
    if neutral is not None and neutral != k:
        record["difference"] = {
            name: class_contrast(table[:, k], table[:, neutral], clusters=probes.clusters, level=ci.level, n_boot=2).to_json()
            for name, table in tables.items()
        }
    return record


def _class(name: str, probes: Probes, answers: Answers, tables: Mapping[str, FloatArray], ci: CI) -> dict[str, Any]:
    mask = class_mask(name, probes.markers)
    record: dict[str, Any] = {"n_markers": int(mask.sum())}
    record |= {metric: mean_estimate(table[:, mask], probes, ci).to_json() for metric, table in tables.items()}
    if "confidence" in answers.values:
        record["ece"] = _ece(answers.values["confidence"][:, mask], answers.values["accuracy"][:, mask], probes, ci).to_json()
    return record


def _ece(confidence: FloatArray, correct: FloatArray, probes: Probes, ci: CI) -> Estimate:
    """Of the most likely token's probability, over all items and markers of a class; items are the units."""
    usable = np.isfinite(confidence) & np.isin(correct, (0.0, 1.0))
    if not usable.any():
        return Estimate(math.nan, level=ci.level, reason="no answer was right or wrong as a whole")
    labels = probes.clusters or [item.id for item in probes.items]
    rows = usable.nonzero()[0]
    enough = len(set(np.asarray(labels)[rows].tolist())) >= 20
    small = CI(kind=ci.kind if enough else "none", level=ci.level, n_boot=min(ci.n_boot, 500), seed=ci.seed)
    return ece(np.minimum(confidence[usable], 1.0), correct[usable], clusters=[labels[r] for r in rows], ci=small)


def _regression(table: FloatArray, probes: Probes, answers: Answers, ci: CI) -> dict[str, Any]:
    names = ("weakener", "strengthener", *FLAGS)
    labels: dict[str, Any] = {name: class_mask(name, probes.markers).astype(np.float64) for name in names}
    if answers.fluency is not None:
        labels["fluency"] = answers.fluency
    return {name: e.to_json() for name, e in label_regression(table, labels, clusters=probes.clusters, level=ci.level).items()}


def spread(accuracy: FloatArray, markers: Sequence[Marker]) -> dict[str, Any]:
    """The best and the worst marker by accuracy; the best of many is best by luck too, so there is no interval."""
    means = np.array([np.nanmean(column) if np.isfinite(column).any() else np.nan for column in accuracy.T])
    best, worst = int(np.nanargmax(means)), int(np.nanargmin(means))
    return {
        "best": markers[best].marker,
        "worst": markers[worst].marker,
        "highest": float(means[best]),
        "lowest": float(means[worst]),
        "difference": float(means[best] - means[worst]),
    }


def _warnings(document: Mapping[str, Any], probes: Probes, answers: Answers) -> list[str]:
    said = []
    if document["n_items"] < 20:
        said.append(f"Only {document['n_items']} items: no intervals for classes below 20, point values and exact tests alone.")
    usable, offered = probes.n_usable, probes.n_offered
    if usable < offered:
        said.append(f"{usable} of {offered} items have a usable reference; one-token references are biased towards frequent names.")
    if "prob_gold" not in answers.values:
        said.append("The model shows no probability of the right answers: accuracy alone.")
    if document.get("covered_mass", 1.0) < _THIN:
        said.append(
            f"The most likely tokens cover {document['covered_mass']:.0%} of the probability on average: entropies are far too low."
        )
    if answers.n_failed:
        said.append(f"{answers.n_failed} prompts failed and are left out with their items: {'; '.join(answers.errors[:3])}")
    if answers.fluency is None and probes.position == "answer_prefix":
        said.append("How natural each marker is to the model is unknown: a marker may act by its grammar, not by its meaning.")
    if all(c["p_holm"] is None for c in document["contrasts"]["accuracy"].values()) and document["n_items"] >= 20:
        said.append("No two classes of markers can be compared.")
    return said
