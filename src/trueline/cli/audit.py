"""`trueline audit`: one command an audit. `discretion`: what annotators do where principles agree, disagree or are silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache as cache_
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.annotators import annotators
from trueline.cli.classifier import classifier
from trueline.cli.progress import progress
from trueline.cli.terminal import EXIT_FAILED_ITEMS, Json, ReportFile, SkipBad, bare_table, clean, interval, out, plain, print_json, say

audit = typer.Typer(no_args_is_help=True, help="Audit a table or a run for one behaviour.")

PREFIX = "principle_"


@audit.callback()
def _audits() -> None:
    """Audit a table or a run for one behaviour."""


_Table = Annotated[Path, typer.Argument(metavar="TABLE", help="A .csv, .jsonl or .parquet table, one row a pair of responses.")]
_Annotator = Annotated[
    list[str],
    typer.Option(
        metavar="COL",
        help="Column of 1 (first response), -1 (second), 0; or NAME=COL_0,COL_1 for scores, NAME=judge:MODEL, NAME=likelihood:MODEL, "
        "NAME=reward:PATH. Repeatable.",
    ),
]
_Principles = Annotated[
    str | None,
    typer.Option(
        help=f"Columns of 1, -1, 0 or empty, one a principle, with commas (default: all that start with {PREFIX}). With --judge: a list of "
        "principles, collective (the default), core or a text file."
    ),
]
_Judge = Annotated[str | None, typer.Option(metavar="MODEL", help="Label the pairs under each principle with this model, such as hf:PATH.")]
_OneOrder = Annotated[bool, typer.Option("--one-order", help="Half the calls of --judge; its bias for a position goes unnoticed.")]
_Draws = Annotated[int, typer.Option(help="Sampled answers a call, where the judge gives no log-probs.")]
_Plan = Annotated[bool, typer.Option("--plan", help="Print how many model calls it takes, then stop.")]
_Layout = Annotated[str, typer.Option(help="table, hh-rlhf, pku-saferlhf, or auto: by the columns.")]
_Oracle = Annotated[str | None, typer.Option(help="The annotator that also judged the principles.")]
_Cluster = Annotated[str | None, typer.Option(help="Rows that share this value are not independent. Default: cluster_id, if there.")]
_Weight = Annotated[str | None, typer.Option(help="Column of weights. Default: weight, if there.")]
_Limit = Annotated[int | None, typer.Option(help="Only the first rows.", show_default=False)]
_Prior = Annotated[float, typer.Option(help="Pseudo-wins that make every priority finite; 0 is the plain fit.")]
_Cache = Annotated[
    Path | None, typer.Option(help="File of the judges' answers; the same command goes on where it was stopped.", show_default=False)
]
_Save = Annotated[Path | None, typer.Option(help="Write the table with a column a principle and an annotator.", show_default=False)]

audit.command()(annotators)
audit.command()(classifier)


@audit.command()
def discretion(
    table: _Table,
    annotator: _Annotator,
    principles: _Principles = None,
    judge: _Judge = None,
    one_order: _OneOrder = False,
    draws: _Draws = 10,
    plan: _Plan = False,
    layout: _Layout = "auto",
    oracle: _Oracle = None,
    cluster: _Cluster = None,
    weight: _Weight = None,
    limit: _Limit = None,
    skip_bad: SkipBad = False,
    prior: _Prior = 0.0,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    n_boot: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap and of sampled answers.")] = 0,
    cache: _Cache = None,
    report: ReportFile = None,
    save: _Save = None,
    json_: Json = False,
) -> None:
    """How often do principles decide, who goes against all of them, and which principle wins?

    The principles' preferences are columns of the table, or a judge model makes them (n x k x 2 calls). An `item_id` column, where there is
    one, must not repeat.

    Example: trueline audit discretion pairs.csv --annotator human --annotator reward=score_0,score_1
    """
    from trueline.audits.discretion import DiscretionAudit
    from trueline.estimators.equivalence.cache import PairCache
    from trueline.stats import CI
    from trueline.tasks.preferences import load_preferences

    found = load_preferences(table, layout=layout, skip_bad=skip_bad, limit=limit)
    models = {"oracle": None if judge is None else _model(judge), "annotators": _annotators(annotator), "both_orders": not one_order}
    columns = {"cluster": cluster, "weight": weight, "oracle_name": oracle}
    numbers = {"draws": draws, "seed": seed, "prior": prior, "ci": CI(level=level, n_boot=n_boot, seed=seed)}
    with progress() as advance, PairCache(cache) as answers:
        given: dict[str, Any] = models | columns | numbers | {"cache": answers, "progress": advance}
        settings = DiscretionAudit(_principles(principles, judge), **given)
        calls = settings.calls(len(found))
        if plan:
            print_json({"pairs": len(found), "calls": calls}) if json_ else out().print(f"{len(found)} pairs: {calls} model calls")
            return
        if calls:
            say(f"{len(found)} pairs: {calls} model calls")
        result = settings.run(found)
    _finish(result, table, report, save, json_)


def _finish(result: Any, table: Path, report: Path | None, save: Path | None, json_: bool) -> None:
    """Write what was asked for, print the findings, and say by the exit code whether calls failed."""
    if save is not None:
        say(f"table: {result.write_table(save)}")
    if report is not None:
        say(f"report: {result.write(report)}")
    print_json(result.document) if json_ else _print(result.document, str(table))
    if (result.document["oracle"] or {}).get("failed"):
        raise typer.Exit(EXIT_FAILED_ITEMS)


def _principles(given: str | None, judge: str | None) -> Sequence[Any]:
    """What the judge judges by, or the columns that hold its answers (none: all with the prefix)."""
    from trueline.audits.principles import load_principles

    if judge is not None:
        return load_principles(given or "collective")
    return [n.strip() for n in given.split(",")] if given else []


def _annotators(given: Sequence[str]) -> dict[str, Any]:
    """Annotators by name: a column of signs, two columns of scores, or a model."""
    from trueline.audits.preferring import Likelihood
    from trueline.errors import InputError

    named: dict[str, Any] = {}
    for text in given:
        name, sign, source = text.partition("=")
        kind, colon, rest = source.partition(":")
        scores = tuple(part.strip() for part in source.split(","))
        if name in named:
            raise InputError(f"--annotator names {name!r} twice")
        if not sign:
            named[name] = name
        elif name and colon and kind in ("judge", "likelihood", "reward"):
            from trueline.models.rewards import RewardCheckpoint

            makers: dict[str, Any] = {"judge": _model, "likelihood": lambda uri: Likelihood(_model(uri)), "reward": RewardCheckpoint}
            named[name] = makers[kind](rest)
        elif name and len(scores) == 2 and all(scores):
            named[name] = scores
        else:
            raise InputError(
                f"--annotator {text}: expected COLUMN, NAME=COLUMN_0,COLUMN_1, or NAME=judge:, likelihood: or reward: and a model"
            )
    return named


@cache_
def _model(uri: str) -> Any:
    from trueline.models.loading import load_model

    return load_model(uri)


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

    table = bare_table()
    table.add_column(first)
    for name in columns:
        table.add_column(plain(name), justify="right", no_wrap=True)
    return table


def _priority(w: float, se: float, status: str) -> str:
    words = {"always_wins": "wins all", "always_loses": "loses all", "no_games": "no conflict", "other_component": "not placed"}
    return words.get(status) or clean(f"{w:+.2f} ± {se:.2f}")
