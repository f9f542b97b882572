"""`trueline catalog`: what exists, what it needs and costs, where it comes from and where it is proved."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueline.cli.terminal import Json, bare_table, out, plain, print_json

if TYPE_CHECKING:
    from trueline.catalog import Entry


def catalog(
    name: Annotated[str | None, typer.Argument(help="One entry in full.", show_default=False)] = None,
    kind: Annotated[str | None, typer.Option(help="Only entries of one kind, such as estimator.", show_default=False)] = None,
    proofs: Annotated[bool, typer.Option("--proofs", help="Where each estimator wins and loses, on the known world.")] = False,
    json_: Json = False,
) -> None:
    """List what trueline can do, or show one entry in full.

    Example: trueline catalog semantic_entropy
    """
    from trueline.catalog import all_entries
    from trueline.errors import InputError, nearest

    entries = {entry.name: entry for entry in all_entries()}
    if proofs:
        _show_standings(name, json_)
        return
    if name is not None:
        if name not in entries:
            raise InputError(f"nothing called {name!r} in the catalog{nearest(name, entries)} (trueline catalog lists all)")
        record = describe(entries[name])
        print_json(record) if json_ else _print_one(record)
        return
    kinds = sorted({entry.kind for entry in entries.values()})
    if kind is not None and kind not in kinds:
        raise InputError(f"no kind {kind!r} in the catalog; kinds: {', '.join(kinds)}{nearest(kind, kinds)}")
    chosen = [entry for entry in entries.values() if kind in (None, entry.kind)]
    if json_:
        print_json([asdict(entry) for entry in chosen])
    else:
        _print_all(chosen)


def _show_standings(name: str | None, json_: bool) -> None:

    from trueline.errors import InputError, nearest
    from trueline.standings import COLUMNS, load_standings, table

    document = load_standings()
    known = [row["name"] for row in document["rows"]]
    if name is not None and name not in known:
        raise InputError(f"{name!r} has no standing{nearest(name, known)} (trueline catalog --proofs lists all)")
    document["rows"] = [row for row in document["rows"] if name in (None, row["name"])]
    if json_:
        print_json(document)
        return
    shown = bare_table()
    for heading in ("estimator", "cost", *(heading for _, _, heading in COLUMNS.values())):
        shown.add_column(heading, overflow="fold", no_wrap=heading == "estimator")
    for row in sorted(table(document), key=lambda row: (row["auroc_facts"] != "-", row["auroc_facts"]), reverse=True):
        shown.add_row(*(plain(cell) for cell in (row["name"], row["cost"], *(row[c] for c in COLUMNS))))
    console = out()
    console.print(shown)
    items = ", ".join(f"{t['items']} of {t['task']}" for t in document["tasks"].values())
    console.print(plain(f"{document['model']['uri']}: {items}; measured {document['measured']}; 95 % intervals; - cannot be scored", "dim"))
    console.print(plain("AUROC: wrong answers above right ones, .5 is chance; true: rank correlation with the true uncertainty", "dim"))


def describe(entry: Entry) -> dict[str, Any]:
    """An entry with the needs of its estimator and the first paragraph of its documentation."""
    import importlib
    import inspect

    module, _, attribute = entry.target.partition(":")
    target = getattr(importlib.import_module(module), attribute)
    record: dict[str, Any] = {**asdict(entry), "documentation": inspect.getdoc(target) or ""}
    if entry.kind == "estimator":
        needs = target(**entry.settings).needs
        found = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in vars(needs).items()}
        record["needs"] = {k: v for k, v in found.items() if v}
    return record


def _print_all(entries: list[Entry]) -> None:

    console = out()
    for kind in sorted({entry.kind for entry in entries}):
        table = bare_table()
        rows = [(entry.name, entry.color, entry.cost, entry.summary) for entry in entries if entry.kind == kind]
        shown = [k for k in range(4) if any(row[k] for row in rows)]  # a kind without costs has no cost column
        for k in shown:
            table.add_column((kind, "works with", "cost", "what")[k], overflow="fold", no_wrap=k == 0)
        for row in rows:
            table.add_row(*(plain(row[k]) for k in shown))
        console.print(table)
        console.print()
    console.print(plain("works with: white (weights), logprobs (an API that gives them), black (texts alone)", "dim"))
    console.print(plain("cost beyond the greedy answer: D decodes, F forward passes, N judged pairs, M samples", "dim"))


def _print_one(record: dict[str, Any]) -> None:
    console = out()
    console.print(plain(record["name"], "bold"))
    console.print(plain(record["summary"]))
    needs = "; ".join(f"{k}: {', '.join(map(str, v)) if isinstance(v, list) else v}" for k, v in record.get("needs", {}).items())
    rows = {
        "kind": record["kind"],
        "needs": needs,
        "works with": record["color"],
        "cost": record["cost"],
        "source": record["source"],
        "proof": f"docs/{record['proof']}" if record["proof"] else "",
        "object": record["target"],
    }
    for label, value in rows.items():
        if value:
            console.print(plain(f"  {label:<11}{value}"), soft_wrap=True)
    if record["documentation"]:
        console.print()
        for line in record["documentation"].splitlines():
            console.print(plain(line), soft_wrap=True)
