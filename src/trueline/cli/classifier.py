"""`trueline audit classifier`: how far can a classifier be trusted, from a table of its outputs?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Json, bare_table, interval, out, plain, print_json


def classifier(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .jsonl or .parquet table, one row an item.")],
    normalise: Annotated[str, typer.Option(help="Of the class levels before temperatures by class: max, min_max or none.")] = "max",
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    json_: Json = False,
) -> None:
    """Calibration by class, failures, foreign inputs, overfitting and perturbations of a classifier.

    Columns: label; logits or probabilities as a list, or logit_NAME / prob_NAME for each class. Where there are some: split (train,
    validation, test, ood), perturbation and severity, item_id, cluster_id.

    Example: trueline audit classifier outputs.parquet
    """
    from trueline.perception import load_classifier_table, safety_report
    from trueline.stats import CI

    data = load_classifier_table(table)
    found = safety_report(data, normalise=None if normalise == "none" else normalise, ci=CI(level=level, n_boot=n_boot, seed=seed))
    document = {"classes": list(data.classes), **found.document()}
    print_json(document) if json_ else _print(document, str(table))


def _print(document: Mapping[str, Any], title: str) -> None:
    console = out()
    off = document["miscalibration"]
    console.print(plain(title, "bold"))
    counts = ", ".join(f"{n} {name}" for name, n in document["counts"].items() if n)
    console.print(plain(f"{counts}; {len(document['classes'])} classes"))
    numbers = {"accuracy": document["accuracy"], "signed level": off["signed"], "ECE": off["ece"]}
    console.print(plain("; ".join(f"{name} {interval(e, 3)}" for name, e in numbers.items())), soft_wrap=True)
    _rows("errors found by", document["failures"], ("auroc", "trust_index", "excess_optimal_risk"))
    _rows("foreign inputs found by", document["foreign"], ("auroc", "auprc_out", "fpr_at_95_in"))
    scaled = {
        name: {"accuracy": r["accuracy"], "ECE": r["miscalibration"]["ece"], "sum of class levels": r["miscalibration"]["gap"]}
        for name, r in document["scaled"].items()
    }
    _rows("scaling", scaled, ("accuracy", "ECE", "sum of class levels"))
    overfit = document["overfit"]
    if overfit is not None:
        parts = {"AUROC": overfit["auroc"], "accuracy gap": overfit["accuracy_gap"], "signed gap": overfit["signed_gap"]}
        console.print(plain("training against test: " + "; ".join(f"{k} {interval(e, 3)}" for k, e in parts.items())), soft_wrap=True)
    if document["perturbations"] is not None:
        every = [document["perturbations"]["clean"], *document["perturbations"]["perturbed"]]
        rows = {f"{p['shift']} {p['severity']}" if p["severity"] else "clean": p["values"] for p in every}
        _rows("perturbation", rows, ("accuracy", "signed_level", "failure_auroc"))
    for finding in document["findings"]:
        console.print(plain(finding, "yellow"), soft_wrap=True)
    for part, reason in document["left_out"].items():
        console.print(plain(f"left out: {part} ({reason})", "dim"))


def _rows(first: str, rows: Mapping[str, Mapping[str, Any]], columns: tuple[str, ...]) -> None:
    if not rows:
        return
    table = bare_table()
    table.add_column(first)
    for name in columns:
        table.add_column(plain(name.replace("_", " ")), justify="right")
    for name, values in rows.items():
        table.add_row(plain(name), *(interval(values[c], 4 if c == "excess_optimal_risk" else 3) for c in columns))
    out().print(table)
