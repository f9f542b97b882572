"""`trueline audit`: one command an audit. `discretion`: what annotators do where principles agree, disagree or are silent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Json, clean, interval, out, plain, print_json

audit = typer.Typer(no_args_is_help=True, help="Audit a table or a run for one behaviour.")

PREFIX = "principle_"
_MISSING = {"", "nan", "null", "none", "na"}
Rows = Sequence[tuple[int, Mapping[str, Any]]]


@audit.callback()
def _audits() -> None:
    """Audit a table or a run for one behaviour."""


@audit.command()
def discretion(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .jsonl or .parquet table, one row a pair of responses.")],
    annotator: Annotated[
        list[str],
        typer.Option(metavar="COL", help="Column of 1 (first response), -1 (second), 0; or NAME=COL_0,COL_1 for scores. Repeatable."),
    ],
    principles: Annotated[
        str | None,
        typer.Option(help=f"Columns of 1, -1, 0 or empty, one a principle, with commas. Default: all that start with {PREFIX}."),
    ] = None,
    oracle: Annotated[str | None, typer.Option(help="The annotator that also judged the principles.")] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Rows that share this value are not independent. Default: cluster_id, if there.")
    ] = None,
    weight: Annotated[str | None, typer.Option(help="Column of weights. Default: weight, if there.")] = None,
    prior: Annotated[float, typer.Option(help="Pseudo-wins that make every priority finite; 0 is the plain fit.")] = 0.0,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    json_: Json = False,
) -> None:
    """How often do principles decide, who goes against all of them, and which principle wins?

    An `item_id` column, where there is one, must not repeat.

    Example: trueline audit discretion pairs.csv --annotator human --annotator reward=score_0,score_1
    """
    import numpy as np

    from trueline.errors import InputError
    from trueline.metrics.discretion_summary import discretion_summary
    from trueline.stats import CI
    from trueline.tasks.tables import BadLines, find_file, pick_column, read_rows

    found = find_file(table)
    rows = list(read_rows(found, BadLines(found)))
    if not rows:
        raise InputError(f"{found} has no rows")
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    chosen = _principles(principles, columns, found)
    _check_ids(rows, found)
    roles = {role: name for role, name in (("cluster", cluster), ("weight", weight)) if name}
    cluster = pick_column("cluster", ("cluster_id",), columns, roles, found)
    weight = pick_column("weight", ("weight",), columns, roles, found)
    document = discretion_summary(
        np.array([[_sign(row.get(name), name, line, found) for name in chosen] for line, row in rows]),
        _annotators(rows, annotator, columns, found),
        [name.removeprefix(PREFIX) for name in chosen],
        oracle=oracle,
        prior=prior,
        weights=None if weight is None else [_number(row.get(weight), weight, line, found) for line, row in rows],
        clusters=None if cluster is None else _labels(rows, cluster, found),
        ci=CI(level=level, n_boot=n_boot, seed=seed),
    )
    print_json(document) if json_ else _print(document, str(table))


def _principles(given: str | None, columns: Sequence[str], path: Path) -> list[str]:
    """The columns of the principles: those named, or those with the prefix."""
    from trueline.errors import InputError
    from trueline.tasks.tables import pick_column

    chosen = [n.strip() for n in given.split(",")] if given else [n for n in columns if n.startswith(PREFIX)]
    if not chosen:
        listing = ", ".join(map(repr, columns))
        raise InputError(f"{path} has no column that starts with {PREFIX!r}; name them with --principles; columns found: {listing}")
    for name in chosen:
        pick_column("a principle", (), columns, {"a principle": name}, path)
    if len(set(chosen)) < len(chosen):
        raise InputError(f"--principles names {next(n for n in chosen if chosen.count(n) > 1)!r} twice")
    return chosen


def _annotators(rows: Rows, given: Sequence[str], columns: Sequence[str], path: Path) -> dict[str, Any]:
    """Preferences by name: a column of signs, or two columns of scores."""
    from trueline.errors import InputError
    from trueline.metrics.discretion import score_preferences
    from trueline.tasks.tables import pick_column

    named: dict[str, Any] = {}
    for text in given:
        name, _, pair = text.partition("=")
        scores = [part.strip() for part in pair.split(",")] if pair else []
        if name in named:
            raise InputError(f"--annotator names {name!r} twice")
        if "=" in text and (not name or len(scores) != 2):
            raise InputError(f"--annotator {text}: expected COLUMN or NAME=COLUMN_0,COLUMN_1")
        for column in scores or [name]:
            pick_column(f"annotator {name}", (), columns, {f"annotator {name}": column}, path)
        read = _number if scores else _sign
        vectors = [[read(row.get(column), column, line, path) for line, row in rows] for column in scores or [name]]
        named[name] = score_preferences(*vectors) if scores else vectors[0]
    return named


def _number(cell: Any, column: str, line: int, path: Path) -> float:
    from trueline.errors import InputError

    if cell is None or str(cell).strip().lower() in _MISSING:
        return math.nan
    try:
        return float(cell)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}, line {line}: column {column!r} is {cell!r}; expected a number") from error


def _sign(cell: Any, column: str, line: int, path: Path) -> float:
    from trueline.errors import InputError

    value = _number(cell, column, line, path)
    if value not in (-1.0, 0.0, 1.0) and not math.isnan(value):
        raise InputError(f"{path}, line {line}: column {column!r} is {cell!r}; expected 1, -1, 0 or nothing (scores: NAME=COL_0,COL_1)")
    return value


def _check_ids(rows: Rows, path: Path) -> None:
    from trueline.errors import InputError

    seen: dict[str, int] = {}
    for line, row in rows:
        if (identity := row.get("item_id")) is not None and seen.setdefault(str(identity), line) != line:
            raise InputError(
                f"{path}, line {line}: the item_id {identity!r} stands on line {seen[str(identity)]} too; give each pair its own"
            )


def _labels(rows: Rows, column: str, path: Path) -> list[str]:
    from trueline.errors import InputError

    for line, row in rows:
        if row.get(column) is None or not str(row[column]).strip():
            raise InputError(f"{path}, line {line}: column {column!r} is empty; give every row a cluster (its own where it stands alone)")
    return [str(row[column]) for _, row in rows]


def _print(document: Mapping[str, Any], title: str) -> None:
    console = out()
    console.print(plain(title, "bold"))
    for name, share in document["regions"].items():
        console.print(plain(f"{name:>12}: {interval(share, 3)} of {document['n']} items"))
    names = list(document["annotators"])
    console.print(plain("\nAgainst every principle, where 1, 2 or 3 and more agree", "bold"))
    arbitrary = _table("annotator", ("usable", "1 or more", "2 or more", "3 or more"))
    for name, entry in document["annotators"].items():
        arbitrary.add_row(plain(name), str(entry["n_usable"]), *(interval(e) for e in entry["arbitrariness"].values()))
    console.print(arbitrary)
    console.print(plain("Priority of the principles (log-odds ± standard error)", "bold"))
    priorities = _table("principle", names)
    for c, principle in enumerate(document["principles"]):
        fits = (document["annotators"][name]["priority"] for name in names)
        priorities.add_row(plain(principle), *(_priority(fit["w"][c], fit["se"][c], fit["status"][c]) for fit in fits))
    console.print(priorities)
    if document["discrepancies"]:
        console.print(plain("Discrepancy of their orders: 0 same, .5 unrelated, 1 reversed", "bold"))
    for pair in document["discrepancies"]:
        why = f" ({pair['reason']})" if pair["value"] is None else f" over {pair['n_principles']} principles"
        console.print(plain(f"{pair['a']} and {pair['b']}: {interval(pair)}{why}"), soft_wrap=True)
    console.print(plain(f"value [{document['level']:.0%} interval]", "dim"))
    for warning in document["warnings"]:
        console.print(plain(warning, "yellow"), soft_wrap=True)


def _table(first: str, columns: Sequence[str]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first)
    for name in columns:
        table.add_column(plain(name), justify="right", no_wrap=True)
    return table


def _priority(w: float, se: float, status: str) -> str:
    words = {"always_wins": "wins all", "always_loses": "loses all", "no_games": "no conflict", "other_component": "not placed"}
    return words.get(status) or clean(f"{w:+.2f} ± {se:.2f}")
