"""`trueline runs`: look after run directories: list, show, remove, compact."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Json, bare_table, interval, out, plain, print_json, say
from trueline.errors import InputError

runs = typer.Typer(help="List, show, remove and compact run directories.", no_args_is_help=True)

#: What `runs show` says beside the summary of a run.
_DETAILS = ("settings", "counts", "versions", "estimators", "headline")

Where = Annotated[Path, typer.Argument(help="A run directory.", show_default=False)]


@runs.command("ls")
def list_runs(
    folder: Annotated[Path, typer.Argument(help="Folder to look under.")] = Path("runs"),
    json_: Json = False,
) -> None:
    """List the runs under a folder.

    Example: trueline runs ls runs
    """
    if not folder.is_dir():
        raise InputError(f"no folder at {folder}")
    found = [describe(path.parent) for path in sorted(folder.rglob("run.json"))]
    if json_:
        print_json(found)
        return

    table = bare_table()
    headings = [h for h in ("run", "status", "model", "task", "items", "failed", "MB", "created") if h != "failed" or _any_failed(found)]
    for heading in headings:
        table.add_column(
            heading,
            overflow="fold",
            justify="right" if heading in ("items", "failed", "MB") else "left",
            no_wrap=heading in ("items", "failed", "MB", "created"),
        )
    for run in found:
        cells = {**run, "run": run["path"], "MB": f"{run['bytes'] / 1e6:.1f}", "created": _minute(run["created"])}
        table.add_row(*(plain("" if cells[h] is None else cells[h]) for h in headings))
    out().print(table) if found else say(f"no runs under {folder}")


@runs.command("show")
def show_run(run: Where, json_: Json = False) -> None:
    """Show one run: what was asked, under which settings, and what was found.

    Example: trueline runs show runs/mine
    """
    from trueline.traces.rundir import RunDirectory

    directory = RunDirectory.open(run)
    summary, manifest = describe(run), directory.manifest()
    metrics = directory.read_json("metrics.json") or {}
    shown = {**summary, "settings": manifest.get("settings"), "counts": manifest.get("counts"), "versions": manifest.get("versions")}
    shown["estimators"] = (manifest.get("plan") or {}).get("estimators")
    shown["headline"] = metrics.get("headline")
    if json_:
        print_json(shown)
        return
    shown["created"], shown["size"] = _minute(shown["created"]), f"{shown.pop('bytes') / 1e6:.1f} MB"
    shown["headline"] = {name: interval(e, 3) for name, e in (shown["headline"] or {}).items()} or None
    for name in ("path", "status", "model", "task", "items", "failed", "created", "size", *_DETAILS):
        if shown[name] is not None:
            out().print(plain(f"{name:<11}{_text(shown[name])}"), soft_wrap=True)


@runs.command("rm")
def remove(
    run: Annotated[list[Path], typer.Argument(help="Run directories.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove runs. Only what is a run directory is touched, and none that is being written to.

    Example: trueline runs rm runs/old --yes
    """
    from trueline.traces.rundir import RunDirectory

    opened = [RunDirectory.open(path) for path in run]  # all or none: a wrong name removes nothing
    for directory in opened:
        size = _size(directory.path) / 1e6
        if not yes and not typer.confirm(f"remove {directory.path} ({size:.1f} MB)?"):
            continue
        with directory.lock():
            shutil.rmtree(directory.path)
        say(f"removed {directory.path}")


@runs.command("compact")
def compact_run(run: Where) -> None:
    """Merge the trace files of a finished run into few large ones; scores, resumption and reports work as before.

    Example: trueline runs compact runs/mine
    """
    from trueline.traces.compaction import compact
    from trueline.traces.rundir import RunDirectory

    before, after = compact(RunDirectory.open(run))
    say(f"{run}: {before} trace files became {after}" if before != after else f"{run}: {after} trace files, nothing to merge")


def describe(path: Path) -> dict[str, Any]:
    """One line about a run. A manifest that cannot be read is shown as what it is."""
    from trueline.traces.rundir import RunDirectory

    try:
        manifest = RunDirectory.open(path).manifest()
    except InputError as error:
        return dict.fromkeys(("model", "task", "items", "failed", "created")) | {
            "path": str(path), "status": f"unreadable: {error}", "bytes": _size(path),
        }  # fmt: skip
    counts, task = manifest.get("counts") or {}, manifest.get("task") or {}
    return {
        "path": str(path),
        "status": manifest.get("status"),
        "model": (manifest.get("model") or {}).get("uri"),
        "task": task.get("name"),
        "items": counts.get("items", task.get("items")),
        "failed": counts.get("failed"),
        "created": manifest.get("created"),
        "bytes": _size(path),
    }


def _any_failed(found: Sequence[Mapping[str, Any]]) -> bool:
    return any(run["failed"] for run in found)


def _minute(created: str | None) -> str | None:
    """The time of a manifest to the minute: 2026-11-24 16:25."""
    return None if created is None else created[:16].replace("T", " ")


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _text(value: Any) -> str:
    """Nested settings and lists in one line; what is empty is left out."""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return ", ".join(_text(v) if isinstance(v, dict) else f"{k} {_text(v)}" for k, v in value.items() if v not in ([], {}, None))
    return f"{value:g}" if isinstance(value, float) else str(value)
