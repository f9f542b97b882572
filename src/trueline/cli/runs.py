"""`trueline runs`: look after run directories: list, show, remove, compact."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from trueline.cli.terminal import Json, bare_table, out, plain, print_json, say
from trueline.errors import InputError

runs = typer.Typer(help="List, show, remove and compact run directories.", no_args_is_help=True)

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
    for heading in ("run", "status", "model", "task", "items", "failed", "MB", "created"):
        table.add_column(heading, overflow="fold", justify="right" if heading in ("items", "failed", "MB") else "left")
    for run in found:
        cells = [
            run["path"],
            run["status"],
            run["model"],
            run["task"],
            run["items"],
            run["failed"],
            f"{run['bytes'] / 1e6:.1f}",
            run["created"],
        ]
        table.add_row(*(plain("" if cell is None else cell) for cell in cells))
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
    for name, value in shown.items():
        if value is not None:
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) and name != "headline" else _text(value)
            out().print(plain(f"{name:<11}{text}"), soft_wrap=True)


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


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return "; ".join(
            f"{k} {v.get('value')} [{v.get('low')}, {v.get('high')}]" if isinstance(v, dict) else f"{k} {v}" for k, v in value.items()
        )
    return str(value)
