"""`trueline audit annotators`: how certain do annotators who disagree leave the labels, and what do predictions deserve?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueline.cli.terminal import Json, ReportFile, annotator_lines, interval, out, plain, print_json

if TYPE_CHECKING:
    from trueline.metrics.annotators import Annotated as Answers

Rows = Sequence[tuple[int, Mapping[str, Any]]]


def annotators(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .jsonl or .parquet table, one row an item.")],
    annotations: Annotated[
        str | None, typer.Option(help="Column of all answers (labels, rankings, votes). Default: annotations, and columns annotator_NAME.")
    ] = None,
    prediction: Annotated[list[str] | None, typer.Option(metavar="COL", help="Column of predicted labels. Repeatable.")] = None,
    reliability: Annotated[
        float | None, typer.Option(help="Votes that the annotators of an item count for together. Default: each counts once.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Pseudo-votes of every label.")] = 0.01,
    method: Annotated[str, typer.Option(help="Of the aggregates in --cases: irn, pirn (with exact certainty) or plackett-luce.")] = "pirn",
    cases: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the aggregate of every item as JSON lines.")] = None,
    report: ReportFile = None,
    cluster: Annotated[str | None, typer.Option(help="Rows that share this value are not independent.")] = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap and of the sampler.")] = 0,
    json_: Json = False,
) -> None:
    """How certain do annotators who disagree leave each label, who of them is reliable, and what do predictions deserve?

    Example: trueline audit annotators votes.csv --prediction model_a --prediction model_b --report annotators.html
    """
    from trueline.errors import InputError
    from trueline.metrics.annotators import annotator_summary
    from trueline.reports.annotators import write_annotators
    from trueline.stats import CI
    from trueline.tasks.tables import BadLines, find_file, pick_column, read_rows

    if method not in ("irn", "pirn", "plackett-luce"):
        raise InputError(f"--method {method!r} is unknown; expected irn, pirn or plackett-luce")
    found = find_file(table)
    rows = list(read_rows(found, BadLines(found)))
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    named = list(dict.fromkeys(prediction or ()))
    mapping = {"annotations": annotations, "cluster": cluster} | {f"prediction {n}": n for n in named}
    roles = {role: name for role, name in mapping.items() if name}
    for role in roles:
        pick_column(role, (), columns, roles, found)
    column = pick_column("annotations", ("annotations",), columns, roles, found)
    data = _read(rows, column, found)
    document = annotator_summary(
        data,
        {name: _labels(rows, name, data.classes) for name in named},
        reliability=reliability,
        alpha=alpha,
        clusters=None if cluster is None else [str(row.get(cluster)) for _, row in rows],
        ci=CI(level=level, n_boot=n_boot, seed=seed),
    )
    if cases is not None:
        _write(cases, _cases(rows, data, method, reliability, alpha, seed))
    if report is not None:
        write_annotators(document, report, found.name)
    print_json(document) if json_ else _print(document, str(table))


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def _read(rows: Rows, column: str | None, path: Path) -> Answers:
    from trueline.errors import InputError
    from trueline.metrics.annotators import Annotated as Answers
    from trueline.tasks.annotations import PREFIX, annotations_of

    found = []
    for line, row in rows:
        try:
            found.append(annotations_of(row, column))
        except InputError as error:
            raise InputError(f"{path}, line {line}: {error}") from error
    if not any(found):
        raise InputError(f"{path} has no annotations; give a column `annotations` (--annotations COL) or columns {PREFIX}NAME")
    return Answers.from_readings(found)


def _labels(rows: Rows, column: str, classes: Sequence[str]) -> list[float]:
    """Numbers of predicted labels: -1 for one that no annotator names, NaN for none."""
    from trueline.tasks.tables import as_text

    code = {label: float(k) for k, label in enumerate(classes)}
    cells = [row.get(column) for _, row in rows]
    return [math.nan if c is None or c == "" or c != c else code.get(as_text(c).strip(), -1.0) for c in cells]


def _cases(rows: Rows, data: Answers, method: str, reliability: float | None, alpha: float, seed: int) -> list[dict[str, Any]]:
    """One record an item: the plausibility of each label that has any, and the certainty that it is the top one."""
    import numpy as np

    from trueline.metrics.annotators import PlackettLuce, irn, leave_one_reader_out_agreement

    agreement = leave_one_reader_out_agreement(data.rankings)
    share, certain = irn(data.rankings), None
    if method == "pirn":
        certain = data.certainties(reliability, alpha)
    elif method == "plackett-luce":
        read = data.rankings.n_readers > 0
        certain = np.full((len(rows), len(data.classes)), math.nan)
        share = np.full_like(certain, math.nan)
        for case, posterior in zip(np.flatnonzero(read), PlackettLuce().iterate(data.rankings.cases(read), seed), strict=True):
            certain[case], share[case] = posterior.certainty(), posterior.mean()
    out = []
    for k, (line, row) in enumerate(rows):
        known = not np.isnan(share[k]).any()
        order: list[int] = np.argsort(-share[k], kind="stable")[:20].tolist() if known else []
        out.append(
            {
                "id": row.get("id", row.get("item_id", row.get("case_id", f"line {line}"))),
                "n_annotators": int(data.rankings.n_readers[k]),
                "plausibility": {data.classes[c]: float(share[k, c]) for c in order if share[k, c] > 0},
                "certainty": {data.classes[c]: float(certain[k, c]) for c in order} if known and certain is not None else None,
                "agreement": None if math.isnan(agreement[k]) else float(agreement[k]),
            }
        )
    return out


def _print(document: Mapping[str, Any], title: str) -> None:
    console = out()
    console.print(plain(title, "bold"))
    for line in annotator_lines(document):
        console.print(plain(line), soft_wrap=True)
    for gap in document["differences"]:
        console.print(plain(f"{gap['first']} minus {gap['second']}, supported: {interval(gap, 3)}"), soft_wrap=True)
    for person in document["annotators"]:
        text = (
            f"annotator {person['annotator']}: names a top label of the others {interval(person['agreement'])} (n = {person['n_answers']})"
        )
        console.print(plain(text), soft_wrap=True)
    if document["n_single"]:
        console.print(plain(f"{document['n_single']} items have one annotator only; their certainty is too high", "yellow"), soft_wrap=True)
