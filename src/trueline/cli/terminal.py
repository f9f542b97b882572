"""What every command shares: JSON on standard output, all else on standard error, and text from models made harmless."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from trueline.capture.planner import Plan

EXIT_GATE, EXIT_USAGE, EXIT_FAILED_ITEMS = 1, 2, 3

#: Heading and meaning of the metrics that tables show.
_HEADINGS = {
    "auroc": ("AUROC", "a wrong answer scores above a right one this often"),
    "prr": ("PRR", "gain of answering only where certain, 1 is perfect, 0 is chance"),
    "smooth_ece": ("cal. error", "gap between confidence and accuracy (smooth ECE), 0 is best"),
    "debiased_ece": ("debiased", "root mean squared gap, less what chance alone makes"),
    "spearman_total": ("true", "rank correlation with the true uncertainty"),
}

#: Options that several commands have, with one wording.
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else there.")]
Mapped = Annotated[
    list[str] | None, typer.Option("--map", metavar="ROLE=COLUMN", help="Which column plays a role, such as question=COL. Repeatable.")
]
Alike = Annotated[
    str | None, typer.Option("--similarity", help="How alike texts are: char3 (spelling), cross:DIR, encoder:DIR, bertscore:DIR.")
]
TruncatedOption = Annotated[
    str,
    typer.Option(
        "--truncated",
        help="Answers cut at the token limit, for scores of whole answers: keep (the score of the beginning), nan (missing), refuse.",
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write an HTML page with plots there; it opens offline.", show_default=False),
]
Tracked = Annotated[
    str | None, typer.Option("--mlflow", metavar="URI", help="Log the run to this MLflow store: http://..., sqlite:///FILE or a folder.")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out lines that cannot be used; they are counted and named.")]


def clean(text: object) -> str:
    """Text that cannot steer a terminal: control and direction characters are shown as escapes."""
    return "".join(
        c if c.isprintable() else " " if c.isspace() and c not in "\r\v\f\x1c\x1d\x1e\x1f\x85" else _escape(c) for c in str(text)
    )


def _escape(c: str) -> str:
    return f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}"


def plain(text: object, style: str = "") -> Text:
    """Untrusted text for rich: no markup, no control characters."""
    from rich.text import Text

    return Text(clean(text), style=style)


def bare_table() -> Table:
    """An empty table in the one style of this program: a line under the headings and no frame."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def out() -> Console:
    """Standard output."""
    from rich.console import Console

    return Console(highlight=False)


def err() -> Console:
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def show_error(message: str) -> None:
    """One error on standard error; further lines of the message are kept."""
    from rich.text import Text

    lines = [clean(line) for line in message.splitlines()] or [""]
    err().print(Text("error: ", style="bold red").append("\n".join(lines), style="red"), soft_wrap=True)


def say(message: str) -> None:
    """One remark on standard error."""
    err().print(plain(message), soft_wrap=True)


def check_store(store: str | None) -> None:
    """Raise where the MLflow store that was named cannot be used."""
    if store is not None:
        from trueline.interop.tracking import check_mlflow

        check_mlflow(store)


def track(run: Any, store: str | None) -> None:
    """Log a run to the MLflow store that was named, and say where it stands there."""
    if store is not None:
        from trueline.interop.tracking import track_mlflow

        say(f"MLflow run: {track_mlflow(run, store)}")


def print_json(document: Any) -> None:
    """One JSON document on standard output; NaN is null, infinities are strings."""
    sys.stdout.write(json.dumps(_json_safe(document), ensure_ascii=True, indent=2, allow_nan=False) + "\n")


def _json_safe(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _json_safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def mapping_of(pairs: Sequence[str] | None) -> dict[str, str]:
    """``--map question=COL`` as a mapping. Raises ``InputError`` for anything else."""
    from trueline.errors import InputError

    found: dict[str, str] = {}
    for pair in pairs or ():
        role, sign, column = pair.partition("=")
        if not (sign and role and column):
            raise InputError(f"--map {pair}: expected ROLE=COLUMN, such as --map question=COL")
        if role in found:
            raise InputError(f"--map names {role!r} twice")
        found[role] = column
    return found


def interval(estimate: Mapping[str, Any] | None, digits: int = 2) -> str:
    """``.83 [.79, .87]`` of an estimate in JSON form; an en dash where it is undefined."""
    if estimate is None or estimate.get("value") is None:
        return "\u2013"
    value, low, high = (estimate.get(k) for k in ("value", "low", "high"))
    shown = _number(value, digits)
    return shown if low is None or high is None else f"{shown} [{_number(low, digits)}, {_number(high, digits)}]"


def _number(value: Any, digits: int) -> str:
    # without the zero before the point three intervals fit beside a name into 80 columns
    return re.sub(r"^(-?)0(?=\.)", r"\1", f"{float(value):.{digits}f}")


def metrics_table(document: Mapping[str, Any], names: Sequence[str], top: int | None = None) -> Table:
    """The estimators of ``metrics.json``, best AUROC first (the ``top`` ones), at most 80 columns wide with three metrics."""

    table = bare_table()
    table.add_column("estimator", no_wrap=True)
    for name in names:
        table.add_column(_HEADINGS.get(name, (name, ""))[0], justify="right", no_wrap=True)
    rows = sorted(document["estimators"].items(), key=lambda pair: -_value(pair[1]["metrics"].get("auroc")))
    for estimator, entry in rows[:top]:
        table.add_row(plain(estimator), *(interval(entry["metrics"].get(name)) for name in names))
    return table


def _value(estimate: Mapping[str, Any] | None) -> float:
    value = (estimate or {}).get("value")
    return -math.inf if value is None else float(value)


def print_metrics(document: Mapping[str, Any], title: str = "", top: int | None = None) -> None:
    """Headline numbers, the table of estimators, and what a reader must know about them, on standard output."""
    console = out()
    if title:
        console.print(plain(title, "bold"))
    for name, estimate in document.get("headline", {}).items():
        console.print(plain(f"{name.replace('_', ' ')}: {interval(estimate, 3)}  (n = {estimate.get('n')})"))
    for line in annotator_lines(document.get("annotators")):
        console.print(plain(line), soft_wrap=True)
    known = any("spearman_total" in entry["metrics"] for entry in document["estimators"].values())
    names = ("auroc", "prr", "spearman_total" if known else "smooth_ece")
    console.print(metrics_table(document, names, top))
    if line := calibration_line(document):
        console.print(plain(line), soft_wrap=True)
    if top is not None and len(document["estimators"]) > top:
        console.print(plain(f"... and {len(document['estimators']) - top} more", "dim"))
    level = document.get("level", 0.95)
    meanings = "; ".join(f"{_HEADINGS[name][0]}: {_HEADINGS[name][1]}" for name in names)
    console.print(plain(f"value [{level:.0%} interval]. {meanings}", "dim"))
    for note in notes(document):
        console.print(plain(note, "yellow"), soft_wrap=True)


def calibration_line(document: Mapping[str, Any]) -> str:
    """The calibration errors of the score that is looked at where none is named, as in the report."""
    from trueline.validation import default_estimator

    if not document["estimators"]:
        return ""
    name = default_estimator(list(document["estimators"]))
    found = document["estimators"][name]["metrics"]
    smooth, debiased, binned = (found.get(key) for key in ("smooth_ece", "debiased_ece", "ece"))
    if smooth is None or smooth.get("value") is None:
        return ""
    shown = f"calibration error of {name}: {interval(smooth)} (smooth ECE), debiased {interval(debiased)}"
    return f"{shown}, binned {interval({'value': binned['value']})}" if binned else shown


def annotator_lines(summary: Mapping[str, Any] | None) -> list[str]:
    """What annotators who disagree say about the labels and about each prediction of them."""
    if summary is None:
        return []
    if "problem" in summary:
        return [f"annotators: {summary['problem']}"]
    lines = [
        f"annotators: {summary['n_answers']} answers on {summary['n_annotated']} items; certainty of the label "
        f"{interval(summary['certainty'])}, ambiguous {interval(summary['ambiguous'])}, agreement {interval(summary['agreement'])}"
    ]
    for name, e in summary["predictions"].items():
        lines.append(
            f"{name}: against the most voted label {interval(e['standard'])}, a fresh annotator {interval(e['votes'])}, "
            f"supported by the annotations {interval(e['adjusted'])}"
        )
    return lines


def print_plan(plan: Plan) -> None:
    """A plan on standard output: labels stand out, and what is left out has one line a reason."""
    import textwrap

    console = out()
    lines = [line for line in str(plan).splitlines() if not line.startswith("  left out")]
    lines += [f"  left out   {line.removeprefix('left out ')}" for line in left_out_lines(plan.left_out)]
    for line in map(clean, lines):
        hang = " " * (13 if line.startswith("  ") else 2)  # under the words, not under the label
        for part in textwrap.wrap(line, console.width, subsequent_indent=hang, break_on_hyphens=False):
            console.print(plain(part), soft_wrap=True)


def left_out_lines(left_out: Mapping[str, str]) -> list[str]:
    """One line a reason, with the names it holds for."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        short = reason.removeprefix(f"{name}: ")
        by_reason.setdefault(short, []).append(name)
    return [f"left out {', '.join(names)}: {reason}" for reason, names in by_reason.items()]


def notes(document: Mapping[str, Any]) -> list[str]:
    """Undefined metrics, missing scores and warnings, one line each, in words."""
    lines = [str(w) for w in document.get("warnings", ())]
    undefined: dict[str, list[str]] = {}
    for estimator, entry in document["estimators"].items():
        for metric in ("auroc", "prr", "smooth_ece"):
            estimate = entry["metrics"].get(metric)
            if estimate is not None and estimate.get("value") is None:
                undefined.setdefault(f"{_HEADINGS[metric][0]} undefined: {estimate.get('reason')}", []).append(estimator)
        if entry.get("n_missing"):
            reasons = "; ".join(f"{reason}: {count}" for reason, count in entry.get("reasons", {}).items())
            line = f"{estimator}: {entry['n_missing']} missing ({reasons})" if reasons else f"{estimator}: {entry['n_missing']} missing"
            if not any(estimator in w and "missing" in w for w in lines):
                lines.append(line)
    total = len(document["estimators"])
    for reason, estimators in undefined.items():
        lines.append(f"{reason} ({'all estimators' if len(estimators) == total else some(estimators)})")
    return lines


def some(names: Sequence[str], most: int = 4) -> str:
    """A list of names, cut where it is long."""
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
