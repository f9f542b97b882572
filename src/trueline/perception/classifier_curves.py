"""The curves behind a page about a classifier: reliability before and after recalibration, errors and foreign inputs by score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import accuracy
from trueline.metrics.curves import CurveBand, reliability, risk_coverage_band, roc_curve_band, smooth_reliability
from trueline.perception.classifier_table import ClassifierTable
from trueline.perception.safety_report import SafetyReport
from trueline.stats.engine import as_ci
from trueline.stats.estimate import FloatArray
from trueline.stats.sample import IntArray

_BINS, _COLUMNS, _MIXUPS = 10, 20, 20
#: Replicates behind a band at most: a band is looked at, not quoted.
_REPLICATES = 500


def classifier_curves(table: ClassifierTable, found: SafetyReport, *, ci: CIArgument = "auto") -> dict[str, Any]:
    """Return what there is to draw, as a JSON-safe record.

    Parameters
    ----------
    table : ClassifierTable
    found : SafetyReport
        What `safety_report` found in this table.
    ci
        As in `auroc`; bands are pointwise, from 500 replicates at most.

    Returns
    -------
    dict
        confidence: counts of the largest probability in 20 bins of [0, 1]. reliability: scaling -> bins (confidence, accuracy, low,
        high, count) and smooth curve (x, y, low, high). roc, risk: score -> curve of its errors, where two scores put the items in the
        same order the first alone. mixups: the 20 most frequent pairs of true and predicted class. foreign: score -> ROC of foreign
        inputs. A number that is undefined is None.
    """
    settings = as_ci(ci)
    settings = replace(settings, n_boot=min(settings.n_boot, _REPLICATES))
    clean = table.take(table.perturbation == "")
    test, outside = clean.take(clean.split == "test"), clean.take(clean.split == "ood")
    p = test.probabilities()
    wrong = (p.argmax(axis=1) != test.labels).astype(np.float64)
    own, foreign = test.uncertainty(), outside.uncertainty() if len(outside) else {}
    options: dict[str, Any] = {"clusters": test.clusters(), "ci": settings}
    scaled = {"unscaled": p} if found.recalibration is None else found.recalibration.scaled(test.outputs)
    out = np.r_[np.zeros(len(test)), np.ones(len(outside))]
    both = {name: np.r_[own[name], s] for name, s in foreign.items() if name in own}
    return {
        "confidence": np.histogram(_confidence(p), bins=_COLUMNS, range=(0, 1))[0].tolist(),
        "reliability": {name: _reliability(q, test.labels, options) for name, q in scaled.items()},
        "mixups": _mixups(found.confusion, p, test, ci),
        "roc": {name: _from_origin(roc_curve_band(own[name], wrong, **options)) for name in _distinct(own)},
        "risk": {name: _points(risk_coverage_band(own[name], wrong, **options)) for name in _distinct(own)},
        "foreign": {name: _from_origin(roc_curve_band(both[name], out, ci=settings)) for name in _distinct(both)},
    }


def _mixups(confusion: IntArray, p: FloatArray, test: ClassifierTable, ci: CIArgument) -> list[dict[str, Any]]:
    mixed = confusion[confusion[:, 0] != confusion[:, 1]]
    rows = []
    for true, predicted, n in mixed[np.argsort(-mixed[:, 2], kind="stable")[:_MIXUPS]].tolist():
        here = test.labels == true
        units = None if test.clusters() is None else test.cluster[here]
        share = accuracy(p[here].argmax(axis=1) == predicted, clusters=units, ci=ci)
        rows.append({"true": true, "predicted": predicted, "n": n, "share": share.to_json()})
    return rows


def _confidence(p: FloatArray) -> FloatArray:
    return np.asarray(np.minimum(p.max(axis=1), 1.0))  # rows may exceed 1 by rounding


def _distinct(scores: Mapping[str, FloatArray]) -> list[str]:
    """The scores whose order of the items is not that of an earlier one, as all of the softmax's are with two classes."""
    seen: dict[bytes, str] = {}
    for name, score in scores.items():
        _, ranks = np.unique(np.round(score, 12), return_inverse=True)
        seen.setdefault(ranks.tobytes(), name)
    return list(seen.values())


def _reliability(p: FloatArray, labels: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    confidence, right = _confidence(p), (p.argmax(axis=1) == labels).astype(np.float64)
    bins, smooth = reliability(confidence, right, n_bins=_BINS, **options), smooth_reliability(confidence, right, **options)
    dots = _listed(confidence=bins.confidence, accuracy=bins.accuracy, low=bins.low, high=bins.high)
    return {"bins": dots | {"count": bins.count.tolist()}, "smooth": _points(smooth)}


def _points(band: CurveBand) -> dict[str, Any]:
    return _listed(x=band.x, y=band.y, low=band.low, high=band.high)


def _from_origin(band: CurveBand) -> dict[str, Any]:
    """An ROC curve with its origin, where it is defined; the band's first point is the upper end of the step there."""
    first = 0.0 if band.summary.defined else None
    return {name: [first, *values] for name, values in _points(band).items()}


def _listed(**columns: FloatArray) -> dict[str, Any]:
    return {name: [float(v) if np.isfinite(v) else None for v in column] for name, column in columns.items()}
