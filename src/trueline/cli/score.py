"""`trueline score`: more estimators from a stored trace, without the model."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Alike, Json, TruncatedOption, bare_table, left_out_lines, out, plain, print_json


def score(
    run: Annotated[str, typer.Argument(help="Run directory or URL.", show_default=False)],
    estimators: Annotated[str, typer.Option(help="all (that the trace serves), or names with commas.")] = "all",
    equivalence: Annotated[str | None, typer.Option(help="Judge of same meaning: exact, normalised, oracle, nli:PATH, llm:MODEL.")] = None,
    similarity: Alike = None,
    truncated: TruncatedOption = "keep",
    json_: Json = False,
) -> None:
    """Compute more scores from what a run captured; no model is asked.

    Example: trueline score runs/facts --estimators eigv_jaccard,lexical_similarity
    """
    from trueline.run import open_run

    opened = open_run(run)
    settings: dict[str, Any] = {"equivalence": equivalence, "similarity": similarity, "truncated": truncated}
    frame = opened.score(estimators, **settings)
    info = opened.score_info
    summary = {name: {**_summary(frame[name].to_list()), **info.get(name, {})} for name in frame.columns if name != "item_id"}
    left_out = {name: entry["left_out"] for name, entry in info.items() if "left_out" in entry}
    if json_:
        print_json({"run": str(run), "n_items": len(frame), "estimators": summary, "left_out": left_out})
        return
    _print(run, len(frame), summary, left_out)


def _print(run: str, n_items: int, summary: dict[str, Any], left_out: dict[str, str]) -> None:

    table = bare_table()
    table.add_column("estimator", no_wrap=True)
    for name in ("least", "median", "most", "missing"):
        table.add_column(name, justify="right")
    for name, entry in summary.items():
        numbers = (entry[k] for k in ("least", "median", "most"))
        table.add_row(plain(name), *("\u2013" if v is None else f"{v:.4g}" for v in numbers), str(entry["n_missing"]))
    console = out()
    console.print(plain(f"{run}: scores of {n_items:,} items, higher = less certain", "bold"))
    console.print(table)
    for line in left_out_lines(left_out):
        console.print(plain(line, "yellow"), soft_wrap=True)
    for name, entry in summary.items():
        if entry.get("notes"):
            console.print(plain(f"{name}: {'; '.join(entry['notes'])}"), soft_wrap=True)


def _summary(values: list[float | None]) -> dict[str, Any]:
    known = sorted(v for v in values if v is not None and not math.isnan(v))
    missing = len(values) - len(known)
    if not known:
        return {"least": None, "median": None, "most": None, "n_missing": missing}
    return {"least": known[0], "median": known[len(known) // 2], "most": known[-1], "n_missing": missing}
