"""Everything that a table of a classifier's outputs can say about how far to trust it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from trueline.errors import InputError
from trueline.metrics._call import CIArgument
from trueline.metrics.accuracy import accuracy
from trueline.metrics.classifiers.classwise_temperature import FEW_FOR_ECE, ClasswiseTemperature, FittedClasswiseTemperature, ScaledResult
from trueline.metrics.classifiers.miscalibration import Miscalibration, miscalibration_score
from trueline.metrics.classifiers.ood_report import OODReport, ood_report
from trueline.metrics.classifiers.overfit_gap import OverfitGap, overfit_gap
from trueline.metrics.ranking import auroc
from trueline.metrics.risk_coverage import aurc
from trueline.metrics.trust_index import excess_optimal_risk, trust_index
from trueline.perception.classifier_table import SPLITS, ClassifierTable
from trueline.perception.failure_scores import max_softmax
from trueline.perception.perturbation_report import PerturbationReport, Predictions, compare_predictions
from trueline.stats.engine import as_ci
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.multiplicity import holm
from trueline.stats.sample import IntArray

#: Classes that findings name.
_MOST_CLASSES = 10


@dataclass(frozen=True)
class SafetyReport:
    """What `safety_report` found.

    Attributes
    ----------
    counts : mapping of split to int
        Rows without a perturbation.
    accuracy : Estimate
    miscalibration : Miscalibration
    class_risk, predicted_risk : tuple of K Estimates
        Share wrong of the items whose true class is k, and of those predicted as k; undefined for a class without such items.
    confusion : (n_pairs, 3) int64
        True class, predicted class and number of items, for each pair that occurs. All of these on test rows.
    failures : mapping of score -> metric -> Estimate
        How well each score finds errors: auroc, trust_index, excess_optimal_risk, aurc.
    recalibration : FittedClasswiseTemperature or None
        Fitted on validation rows.
    scaled : mapping of scaling to ScaledResult
        The test rows under it; empty without validation rows.
    foreign : mapping of score to OODReport
    overfit : OverfitGap or None
    perturbations : PerturbationReport or None
    findings : tuple of str
        What needs attention. A side of confidence or a fall is named where its interval shows it, a class after Holm's correction.
    left_out : mapping of part to reason
    """

    counts: Mapping[str, int]
    accuracy: Estimate
    miscalibration: Miscalibration
    class_risk: tuple[Estimate, ...]
    predicted_risk: tuple[Estimate, ...]
    confusion: IntArray
    failures: Mapping[str, Mapping[str, Estimate]]
    recalibration: FittedClasswiseTemperature | None
    scaled: Mapping[str, ScaledResult]
    foreign: Mapping[str, OODReport]
    overfit: OverfitGap | None
    perturbations: PerturbationReport | None
    findings: tuple[str, ...]
    left_out: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """Return a JSON-safe record of all of it."""
        found: dict[str, Any] = _plain(self)
        return found


def safety_report(table: ClassifierTable, *, normalise: Any = "max", ci: CIArgument = "auto") -> SafetyReport:
    """Audit a classifier from its outputs; parts whose rows are not there are left out, and named.

    Parameters
    ----------
    table : ClassifierTable
        Test rows without a perturbation are needed; validation rows of logits give a recalibration, ood rows the detection of foreign
        inputs, train rows the overfitting gap, perturbed rows of the same test items (``item_id``) the curves.
    normalise
        As in `ClasswiseTemperature`; selected by ECE from 1000 validation rows on, by NLL below.
    ci
        As in `auroc`.

    Raises
    ------
    InputError
        Without test rows, or where a perturbation does not hold the test items.
    """
    clean = table.take(table.perturbation == "")
    parts = {name: clean.take(clean.split == name) for name in SPLITS}
    test = parts["test"]
    if not len(test):
        raise InputError("the table has no test rows without a perturbation (split empty or 'test')")
    p = test.probabilities()
    predicted = p.argmax(axis=1)
    right = predicted == test.labels
    clusters = test.clusters()
    scores = test.uncertainty()
    failures = {name: _failure(values, right, clusters, ci) for name, values in scores.items()}
    left_out: dict[str, str] = {}
    fitted, scaled = _recalibrated(parts["validation"], test, normalise, ci, left_out)
    foreign = {}
    if len(parts["ood"]):
        outside = parts["ood"].uncertainty()
        foreign = {name: ood_report(values, outside[name], correct_in=right, ci=ci) for name, values in scores.items() if name in outside}
    else:
        left_out["foreign"] = "no rows of split ood"
    overfit = _overfit(parts["train"], test, ci, left_out)
    if test.are_logits and "energy" not in scores:
        left_out["energy, max_logit"] = "the logits are log-probabilities, which have lost their scale"
    perturbations = _perturbations(table, test, clusters, ci, left_out)
    miscalibration = miscalibration_score(p, test.labels, clusters=clusters, ci=ci)
    findings = tuple(_findings(table.classes, miscalibration, failures, scaled, overfit, perturbations))
    counts = {name: len(part) for name, part in parts.items()}
    overall = accuracy(right, clusters=clusters, ci=ci)
    of_true, of_predicted = (_risk(right, codes, len(table.classes), clusters, ci) for codes in (test.labels, predicted))
    pairs, n = np.unique(np.stack([test.labels, predicted], axis=1), axis=0, return_counts=True)
    return SafetyReport(
        counts, overall, miscalibration, of_true, of_predicted, np.column_stack([pairs, n]), failures, fitted, scaled, foreign,
        overfit, perturbations, findings, left_out
    )  # fmt: skip


def _risk(right: Any, codes: IntArray, k: int, clusters: Any, ci: CIArgument) -> tuple[Estimate, ...]:
    """Share wrong of the items of each code."""
    found = []
    for c in range(k):
        here = codes == c
        units = None if clusters is None else clusters[here]
        nothing = Estimate.undefined("no such item", level=as_ci(ci).level)
        found.append(accuracy(~right[here], clusters=units, ci=ci) if here.any() else nothing)
    return tuple(found)


def _failure(score: FloatArray, right: Any, clusters: Any, ci: CIArgument) -> dict[str, Estimate]:
    return {
        "auroc": auroc(score, ~right, clusters=clusters, ci=ci),
        "trust_index": trust_index(score, right, clusters=clusters, ci=ci),
        "excess_optimal_risk": excess_optimal_risk(score, right, clusters=clusters, ci=ci),
        "aurc": aurc(score, ~right, clusters=clusters, ci=ci),
    }


def _recalibrated(
    validation: ClassifierTable, test: ClassifierTable, normalise: Any, ci: CIArgument, left_out: dict[str, str]
) -> tuple[FittedClasswiseTemperature | None, Mapping[str, ScaledResult]]:
    if not len(validation) or not validation.are_logits:
        left_out["recalibration"] = "it needs logits" if len(validation) else "no rows of split validation"
        return None, {}
    fitted = ClasswiseTemperature(normalise, "ece" if len(validation) >= FEW_FOR_ECE else "nll").fit(validation.outputs, validation.labels)
    return fitted, fitted.report(test.outputs, test.labels, clusters=test.clusters(), ci=ci)


def _overfit(train: ClassifierTable, test: ClassifierTable, ci: CIArgument, left_out: dict[str, str]) -> OverfitGap | None:
    if not len(train):
        left_out["overfit"] = "no rows of split train"
        return None
    sides = [(p := rows.probabilities(), p[np.arange(len(rows)), rows.labels], p.argmax(axis=1) == rows.labels) for rows in (train, test)]
    (a, given_a, right_a), (b, given_b, right_b) = sides
    return overfit_gap(given_a, given_b, correct=(right_a, right_b), confidence=(a.max(axis=1), b.max(axis=1)), ci=ci)


def _perturbations(
    table: ClassifierTable, test: ClassifierTable, clusters: Any, ci: CIArgument, left_out: dict[str, str]
) -> PerturbationReport | None:
    shifted = table.take((table.perturbation != "") & (table.split == "test"))
    if not len(shifted):
        left_out["perturbations"] = "no rows with a perturbation"
        return None
    position = {item: k for k, item in enumerate(test.item_id)}
    if len(position) < len(test):
        raise InputError("an item_id repeats among the test rows without a perturbation; curves need one row an item")
    curves: dict[str, list[tuple[float, Predictions]]] = {}
    for name in dict.fromkeys(shifted.perturbation):
        own = shifted.take(shifted.perturbation == name)
        curves[name] = [(float(s), _predictions(_aligned(own.take(own.severity == s), position))) for s in np.unique(own.severity)]
    return compare_predictions(_predictions(test), curves, clusters=clusters, ci=ci)


def _aligned(rows: ClassifierTable, position: Mapping[str, int]) -> ClassifierTable:
    """Rows in the order of the clean items."""
    what = f"perturbation {rows.perturbation[0]!r}, severity {rows.severity[0]}"
    unknown = [item for item in rows.item_id if item not in position]
    if unknown or len(rows) != len(position) or len(set(rows.item_id)) < len(rows):
        why = f"{unknown[0]!r} is not among them" if unknown else f"it has {len(rows)} rows for {len(position)} items"
        raise InputError(f"{what} must hold every test item once, by item_id: {why}")
    return rows.take(np.argsort([position[item] for item in rows.item_id]))


def _predictions(rows: ClassifierTable) -> Predictions:
    p = rows.probabilities()
    return Predictions(p, rows.labels, max_softmax(logits=rows.outputs) if rows.are_logits else max_softmax(probabilities=p))


def _findings(
    classes: tuple[str, ...],
    found: Miscalibration,
    failures: Mapping[str, Mapping[str, Estimate]],
    scaled: Mapping[str, ScaledResult],
    overfit: OverfitGap | None,
    perturbations: PerturbationReport | None,
) -> Iterator[str]:
    """Sentences on what is shown; an interval that reaches across the bar shows nothing."""
    if found.signed.low > 0 or found.signed.high < 0:
        yield f"the model is {_side(found.signed)}: signed level {found.signed}"
    yield from _class_findings(classes, found.predicted_class_signed)
    if failures["max_softmax"]["auroc"].high < 0.7:
        yield f"the largest probability hardly finds errors: AUROC {failures['max_softmax']['auroc']}"
    if scaled:
        one, many = scaled["temperature"].miscalibration, scaled["classwise"].miscalibration
        if many.gap.value > one.gap.value:
            yield f"temperatures by class leave the classes further off than one temperature: {one.gap.value:.3g} -> {many.gap.value:.3g}"
    if overfit is not None and overfit.auroc.low > 0.5:
        yield f"training items are recognised: AUROC {overfit.auroc} against test items"
    worst = {} if perturbations is None else {shifted.shift: shifted for shifted in perturbations.perturbed}
    for shifted in worst.values():
        rise = shifted.changes["signed_level"]
        if shifted.changes["accuracy"].high < 0 < rise.low:
            yield f"{shifted.shift} {shifted.severity}: accuracy falls and confidence does not follow, signed level rises by {rise}"


def _class_findings(classes: tuple[str, ...], levels: tuple[Estimate, ...]) -> Iterator[str]:
    """The classes whose level is shown, by Holm; of many those furthest off, and how many more there are."""
    known = [k for k, e in enumerate(levels) if e.se > 0]
    p = holm([math.erfc(abs(levels[k].value) / levels[k].se / math.sqrt(2)) for k in known]) if known else ()
    shown = sorted((k for k, adjusted in zip(known, p, strict=True) if adjusted < 0.05), key=lambda k: -abs(levels[k].value))
    for k in shown[:_MOST_CLASSES]:
        yield f"on items predicted {classes[k]} it is {_side(levels[k])}: signed level {levels[k]}"
    if rest := shown[_MOST_CLASSES:]:
        over = sum(levels[k].value > 0 for k in rest)
        yield f"so it is on those predicted as {len(rest)} further classes: over-confident on {over}, under-confident on {len(rest) - over}"


def _side(level: Estimate) -> str:
    return "over-confident" if level.value > 0 else "under-confident"


def _plain(value: Any) -> Any:
    """Estimates as their own records, other records by field, arrays as lists; NaN is None."""
    if isinstance(value, Estimate):
        return value.to_json()
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and value != value else value
