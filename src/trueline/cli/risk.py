"""`trueline audit risk`: do a model's probabilities about the rows of a table mean anything?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.measure import BaseUrl, ModelArgument, ModelOption, options_of
from trueline.cli.progress import progress
from trueline.cli.terminal import EXIT_FAILED_ITEMS, Json, ReportFile, bare_table, interval, out, plain, print_json, say

_Table = Annotated[
    str,
    typer.Argument(
        metavar="TABLE",
        help="anes96, fair, randhie, breast-cancer, ACSIncome or another ACS task, a codebook .json, or a .csv, .jsonl or .parquet file.",
        show_default=False,
    ),
]
_Codebook = Annotated[
    Path | None, typer.Option(metavar="FILE", help="JSON: how the columns read, what is asked, what the outcome is.", show_default=False)
]
_Question = Annotated[str | None, typer.Option(help="choices, numeric or reasoned. Default: the table's own.", show_default=False)]
_Threshold = Annotated[str, typer.Option(help="A number, best (on these rows: flatters) or fit (on rows of the train split).")]
_Data = Annotated[Path, typer.Option(help="Folder of the ACS person files.")]
_Cache = Annotated[Path | None, typer.Option(help="File of answers; what was asked once is not asked again.", show_default=False)]
_SHOWN = {
    "roc_auc": "AUC",
    "brier_score_loss": "Brier score",
    "ece": "ECE",
    "smooth_ece": "smooth ECE",
    "signed_error": "signed error (mean score less share of outcomes)",
    "confidence_bias": "confidence bias (above 0: over-confident)",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
}
_OF_GROUPS = ("base_rate", "mean_score", "signed_error", "roc_auc")


_Limit = Annotated[int | None, typer.Option(help="At most so many rows.", show_default=False)]
_OneOrder = Annotated[bool, typer.Option("--one-order", help="Ask a choice once; the bias for a position goes unnoticed.")]
_Group = Annotated[str | None, typer.Option(metavar="COL", help="Compare groups. Default: the table's own.", show_default=False)]
_Importance = Annotated[bool, typer.Option("--importance", help="Shuffle each column: 5 more scores a row and column.")]
_Scores = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the scores as CSV.", show_default=False)]


def risk(
    model: ModelArgument,
    table: _Table,
    codebook: _Codebook = None,
    question: _Question = None,
    split: Annotated[str, typer.Option(help="test, validation, train or all.")] = "test",
    limit: _Limit = None,
    one_order: _OneOrder = False,
    threshold: _Threshold = "0.5",
    fit_rows: Annotated[int, typer.Option(help="Rows of --threshold fit.")] = 100,
    group: _Group = None,
    shots: Annotated[int, typer.Option(help="Worked examples from the train split.")] = 0,
    form: Annotated[str, typer.Option("--style", help="bullets, lines or sentence.")] = "bullets",
    order: Annotated[str, typer.Option("--features", help="Order of the columns: given, reversed or shuffled.")] = "given",
    raw_codes: Annotated[bool, typer.Option("--raw-codes", help="Show codes, not their meaning.")] = False,
    no_preamble: Annotated[bool, typer.Option("--no-preamble", help="Do not say what the data are.")] = False,
    importance: _Importance = False,
    data_dir: _Data = Path("data"),
    download: Annotated[bool, typer.Option("--download", help="Let folktables fetch missing ACS files.")] = False,
    truncate: Annotated[bool, typer.Option("--truncate", help="Cut the beginning of prompts that do not fit.")] = False,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 42,
    cache: _Cache = None,
    scores: _Scores = None,
    report: ReportFile = None,
    base_url: BaseUrl = None,
    model_option: ModelOption = None,
    json_: Json = False,
) -> None:
    """Ask a model for the probability of an uncertain outcome of each row, and see whether it means anything.

    Calibration, discrimination, over-confidence and fairness, with intervals; how far the order of the options moves the answer.

    Example: trueline audit risk hf:PATH anes96 --limit 200 --report risk.html
    """
    from trueline.stats import CI
    from trueline.tabular import PromptStyle

    style = PromptStyle(form, order, decode=not raw_codes, preamble=not no_preamble, shots=shots)  # type: ignore[arg-type]
    asking = {"split": split, "limit": limit, "question": question, "style": style, "order_average": not one_order, "truncate": truncate}
    judging = {"threshold": _threshold(threshold), "fit_rows": fit_rows, "importance": importance}
    task = _task(table, codebook, group, {"data_dir": data_dir, "download": download})
    options = options_of(model_option, base_url=base_url)
    found = _audit(model, options, task, cache, {**asking, **judging, "ci": CI(level=level, n_boot=n_boot, seed=seed)})
    if scores is not None:
        say(f"scores: {found.write_scores(scores)}")
    if report is not None:
        say(f"report: {found.write(report)}")
    print_json(found.document) if json_ else _print(found.document)
    if found.document["asked"]["failed"]:
        raise typer.Exit(EXIT_FAILED_ITEMS)


def _task(table: str, codebook: Path | None, group: str | None, places: dict[str, Any]) -> Any:
    from trueline.tabular import load_risk_task
    from trueline.tabular.acs import ACS_TASKS

    options = places if table.removeprefix("table:") in ACS_TASKS else {}
    return load_risk_task(table, codebook, **options, **({} if group is None else {"group": group}))


def _audit(model: str, options: dict[str, object], task: Any, cache: Path | None, settings: dict[str, Any]) -> Any:
    from trueline.audits.risk import audit_risk
    from trueline.models.loading import load_model
    from trueline.tabular import AnswerCache

    with progress() as advance, AnswerCache(cache) as answers:
        return audit_risk(load_model(model, **options), task, cache=answers, progress=advance, **settings)


def _threshold(text: str) -> Any:
    from trueline.errors import InputError

    if text in ("best", "fit"):
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--threshold {text}: expected a number, best or fit") from None


def _print(document: Mapping[str, Any]) -> None:
    console = out()
    task, asked, report = document["task"], document["asked"], document["report"]
    console.print(plain(f"{document['model']} on {task['name']}", "bold"))
    console.print(plain(f"{task['question']['kind']}: {task['question']['text']}"), soft_wrap=True)
    console.print(plain(f"{report['n']} rows of the {task['split']} split, {asked['calls']} calls, threshold {report['threshold']:.3f}"))
    for name, text in _SHOWN.items():
        console.print(plain(f"{text}: {interval(report['metrics'][name], 3)}"))
    if asked["order_sensitivity"] is not None:
        console.print(plain(f"order sensitivity: {interval(asked['order_sensitivity'], 3)}"))
    if report["groups"]:
        _print_groups(document)
    for name, e in sorted(document["importance"].items(), key=lambda pair: -pair[1]["value"]):
        console.print(plain(f"without {name} the AUC falls by {interval(e, 3)}"))
    console.print(plain(f"value [{document['level']:.0%} interval]", "dim"))
    for warning in document["warnings"]:
        console.print(plain(warning, "yellow"), soft_wrap=True)


def _print_groups(document: Mapping[str, Any]) -> None:

    shown = bare_table()
    shown.add_column(plain(document["task"]["group"]), max_width=24)
    for name in ("rows", *(metric.replace("_", " ") for metric in _OF_GROUPS)):
        shown.add_column(name, justify="right", no_wrap=True)
    for name, found in document["report"]["groups"].items():
        shown.add_row(plain(name), str(found["accuracy"]["n"]), *(interval(found[metric]) for metric in _OF_GROUPS))
    out().print(shown)
    fairness = document["report"]["fairness"]
    if fairness is not None:
        odds = interval(fairness["values"]["equalized_odds_diff"], 3)
        p = fairness["p_values"]["equalized_odds_diff"]
        told = "" if p is None else f" (p {p:.3f} against shuffled groups)"
        out().print(plain(f"equalized odds difference: {odds}{told}"))
