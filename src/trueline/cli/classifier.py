"""`trueline audit classifier`: how far can a classifier be trusted, from a table of its outputs?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Json, ReportFile, bare_table, interval, out, plain, print_json, say

#: Classes that the terminal shows; all of them are in the JSON.
_MAX_CLASSES = 12


def classifier(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .jsonl or .parquet table, one row an item.")],
    normalise: Annotated[str, typer.Option(help="Of the class levels before temperatures by class: max, min_max or none.")] = "max",
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    report: ReportFile = None,
    json_: Json = False,
) -> None:
    """Calibration by class, failures, foreign inputs, overfitting and perturbations of a classifier.

    Columns: label; logits or probabilities as a list, or logit_NAME / prob_NAME for each class. Where there are some: split (train,
    validation, test, ood), perturbation and severity, item_id, cluster_id.

    Example: trueline audit classifier outputs.parquet --report classifier.html
    """
    from trueline.perception import classifier_curves, load_classifier_table, safety_report
    from trueline.stats import CI

    data, ci = load_classifier_table(table), CI(level=level, n_boot=n_boot, seed=seed)
    found = safety_report(data, normalise=None if normalise == "none" else normalise, ci=ci)
    document = {"classes": list(data.classes), **found.document()}
    written = None
    if report is not None:
        from trueline.reports.classifier import write_classifier_report

        written = write_classifier_report(document, classifier_curves(data, found, ci=ci), report, title=table.name, level=level)
    print_json(document) if json_ else _print(document, str(table))
    if written is not None:
        say(f"report: {written}")


def _print(document: Mapping[str, Any], title: str) -> None:
    console = out()
    off = document["miscalibration"]
    console.print(plain(title, "bold"))
    counts = ", ".join(f"{n} {name}" for name, n in document["counts"].items() if n)
    console.print(plain(f"{counts}; {len(document['classes'])} classes"))
    numbers = {"accuracy": document["accuracy"], "signed level": off["signed"], "ECE": off["ece"]}
    console.print(plain("; ".join(f"{name} {interval(e, 3)}" for name, e in numbers.items())), soft_wrap=True)
    _classes(document)
    failures = {"auroc": "AUROC", "trust_index": "trust index", "excess_optimal_risk": "excess opt. risk"}
    _rows("errors found by", document["failures"], failures)
    _rows("foreign found by", document["foreign"], {"auroc": "AUROC", "auprc_out": "avg. precision", "fpr_at_95_in": "let in at 95 %"})
    scaled = {
        name: {"accuracy": r["accuracy"], "ece": r["miscalibration"]["ece"], "gap": r["miscalibration"]["gap"]}
        for name, r in document["scaled"].items()
    }
    _rows("scaling", scaled, {"accuracy": "accuracy", "ece": "ECE", "gap": "sum of class levels"})
    overfit = document["overfit"]
    if overfit is not None:
        parts = {"AUROC": overfit["auroc"], "accuracy gap": overfit["accuracy_gap"], "signed gap": overfit["signed_gap"]}
        console.print(plain("training against test: " + "; ".join(f"{k} {interval(e, 3)}" for k, e in parts.items())), soft_wrap=True)
    if document["perturbations"] is not None:
        every = [document["perturbations"]["clean"], *document["perturbations"]["perturbed"]]
        rows = {f"{p['shift']} {p['severity']}" if p["severity"] else "clean": p["values"] for p in every}
        _rows("perturbation", rows, {"accuracy": "accuracy", "signed_level": "signed level", "failure_auroc": "errors' AUROC"})
    for finding in document["findings"]:
        console.print(plain(finding, "yellow"), soft_wrap=True)
    for part, reason in document["left_out"].items():
        console.print(plain(f"left out: {part} ({reason})", "dim"))


def _classes(document: Mapping[str, Any]) -> None:
    """The riskiest classes: share of each that is missed, share wrong where it is predicted, and how sure the model is there."""
    found = zip(document["classes"], document["class_risk"], document["predicted_risk"], strict=True)
    level = document["miscalibration"]["predicted_class_signed"]
    rows = [(name, {"missed": a, "wrong": b, "level": e}) for (name, a, b), e in zip(found, level, strict=True)]
    rows.sort(key=lambda row: -1.0 if row[1]["missed"]["value"] is None else row[1]["missed"]["value"], reverse=True)
    shown = {name: values for name, values in rows[:_MAX_CLASSES]}
    _rows("class", shown, {"missed": "missed", "wrong": "wrong if predicted", "level": "signed level"})
    if len(rows) > len(shown):
        out().print(plain(f"{len(rows) - len(shown)} classes that are missed less often are not shown", "dim"))


def _rows(first: str, rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    if not rows:
        return
    table = bare_table()
    table.add_column(first)
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for name, values in rows.items():
        table.add_row(plain(name), *(interval(values[c], 4 if c == "excess_optimal_risk" else 3) for c in columns))
    out().print(table)
