"""Where each estimator wins and loses: every entry of the catalog on the known world, where the true uncertainty is at hand.

    python -m trueline.standings --docs docs/proofs/standings.md

measures all of them on the same captures and rewrites the record that ``trueline catalog --proofs`` prints and the table of the proof page.
Nothing is selected: an estimator that cannot be scored stands there with the reason.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from trueline.errors import InputError
from trueline.tasks.item import Item, Task

#: column -> (task, metric, heading). Synonyms are a world of their own, without a model.
COLUMNS = {
    "auroc_facts": ("facts", "auroc", "AUROC facts"),
    "auroc_shift": ("shift", "auroc", "AUROC shift"),
    "auroc_synonyms": ("synonyms", "auroc", "AUROC synonyms"),
    "total": ("ambiguous", "spearman_total", "true total"),
    "aleatoric": ("ambiguous", "spearman_aleatoric", "true aleatoric"),
    "epistemic": ("facts", "spearman_epistemic", "true epistemic"),
}
MODEL = "world:chat"
#: name -> (task of the known world, items); a fifth of the people of each are kept for fitting.
TASKS = {"facts": ("world:facts", 700), "shift": ("world:facts_distractor", 500), "ambiguous": ("world:ambiguous", 360)}
SAMPLES = 10
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


def load_standings() -> dict[str, Any]:
    """The shipped record: ``rows`` (one an estimator, each value an estimate as JSON), what was measured and when."""
    text = resources.files("trueline.catalog").joinpath("standings.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def measure_standings(folder: Path, *, scale: float = 1.0, seed: int = 0) -> dict[str, Any]:
    """Measure every estimator of the catalog; runs go to ``folder``. ``scale`` shrinks the tasks.

    Trained estimators are fitted on the answers about one fifth of the people of ``world:facts`` and scored on the others.
    """
    from trueline.capture.needs import BY_NAME
    from trueline.catalog import all_entries
    from trueline.estimators.loading import load_estimators
    from trueline.measuring import measure, plan
    from trueline.models.loading import load_model
    from trueline.tasks.loading import load_task

    names = [entry.name for entry in all_entries() if entry.kind == "estimator"]
    loaded = load_estimators(names)
    trained = [name for name, estimator in loaded.items() if estimator.needs.unfitted]
    model, runs = load_model(MODEL), {}
    fit = measure(model, by_people(load_task("world:facts"), fit=True), trained, out=folder / "fit", samples=0, seed=seed)
    offered = plan(model, by_people(load_task("world:facts"), fit=False), "all", samples=SAMPLES).left_out
    left_out = {k: why for k, why in offered.items() if k not in trained and not loaded[k].needs.probes & BY_NAME}
    left_out |= {k: "these answers have no reasoning" for k, estimator in loaded.items() if "reasoning" in estimator.needs.greedy}
    chosen = [f"{name}(fit={fit.path})" if name in trained else name for name in names if name not in left_out]
    for key, (uri, items) in TASKS.items():
        task, limit = by_people(load_task(uri), fit=False), max(int(items * scale), 40)
        run = measure(model, task, chosen, out=folder / key, samples=SAMPLES, limit=limit, seed=seed, validate=False)
        found = run.validate(seed=seed)
        runs[key] = {**found, "estimators": {name.partition("(fit=")[0]: e for name, e in found["estimators"].items()}}
    synonyms = _on_synonyms(max(int(3000 * scale), 200), seed)
    rows = [_row(name, runs, synonyms, left_out) for name in names]
    return {
        "measured": datetime.now(UTC).date().isoformat(),
        "model": {"uri": MODEL, "fingerprint": model.fingerprint().get("weights") or model.fingerprint()},
        "tasks": {key: {"task": uri, "items": runs[key]["n_items"]} for key, (uri, _) in TASKS.items()},
        "samples": SAMPLES,
        "rows": rows,
    }


def by_people(task: Task, *, fit: bool) -> Task:
    """The items about one fifth of the people, or about the others: whole people, by their name alone."""
    import hashlib

    def chosen(item: Item) -> bool:
        return hashlib.blake2b((item.cluster or item.id).encode(), digest_size=2).digest()[0] % 5 == 0

    return dataclasses.replace(task, items=tuple(item for item in task.items if chosen(item) == fit))


def _on_synonyms(n_items: int, seed: int) -> dict[str, Any]:
    """AUROC of every estimator that texts and sequence log-probs can serve, in the world of synonyms."""
    import numpy as np

    from trueline.catalog import all_entries
    from trueline.errors import TruelineError
    from trueline.estimators.engine import judge_trace, score_trace
    from trueline.estimators.loading import load_equivalence, load_estimators
    from trueline.knownworld.synonyms import meaning_of, synonym_world
    from trueline.metrics import auroc
    from trueline.traces import make_trace

    world = synonym_world(n_items, SAMPLES, np.random.default_rng(seed))
    trace = make_trace(list(world.rows()))
    trace = trace.with_judgements(judge_trace(trace, load_equivalence("oracle", canonical=lambda _item, text: meaning_of(text))))
    found: dict[str, Any] = {}
    for entry in all_entries():
        if entry.kind != "estimator":
            continue
        try:
            scores = score_trace(trace, load_estimators([entry.name]))[entry.name]
        except TruelineError as error:
            found[entry.name] = {"value": None, "reason": str(error).partition(": ")[2] or str(error)}
            continue
        found[entry.name] = auroc(scores, world.wrong, nan_policy="drop").to_json()
    return found


def _row(name: str, runs: Mapping[str, Any], synonyms: Mapping[str, Any], left_out: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for column, (task, metric, _) in COLUMNS.items():
        if task == "synonyms":
            values[column] = synonyms.get(name, {"value": None, "reason": "not scored"})
            continue
        scored = runs[task]["estimators"].get(name)
        left = left_out.get(name, "not scored")
        missing = {"value": None, "reason": "; ".join((scored or {}).get("reasons", {})) or left}
        values[column] = (scored or {"metrics": {}})["metrics"].get(metric) or missing
    return {"name": name, "values": values}


# -- showing ------------------------------------------------------------------------------------------------------------


def table(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """One mapping an estimator: name, cost, and each column as ``value [low, high]``, or ``-`` where it cannot be scored."""
    from trueline.catalog import all_entries

    costs = {entry.name: entry.cost for entry in all_entries()}
    return [
        {"name": row["name"], "cost": costs.get(row["name"], ""), **{c: _cell(row["values"].get(c)) for c in COLUMNS}}
        for row in document["rows"]
    ]


def _cell(estimate: Mapping[str, Any] | None) -> str:
    value = None if estimate is None else estimate.get("value")
    if value is None or not math.isfinite(value):
        return "-"
    low, high = (estimate or {}).get("low"), (estimate or {}).get("high")
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.2f}, {high:.2f}]"


def markdown(document: Mapping[str, Any]) -> str:
    """The table of the proof page, best AUROC on facts first."""
    rows = sorted(table(document), key=lambda row: row["auroc_facts"], reverse=True)
    rows = [row for row in rows if row["auroc_facts"] != "-"] + [row for row in rows if row["auroc_facts"] == "-"]
    headings = ["estimator", "cost", *(heading for _, _, heading in COLUMNS.values())]
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lines += ["| " + " | ".join([f"`{row['name']}`", row["cost"] or "0", *(row[c] for c in COLUMNS)]) + " |" for row in rows]
    items = ", ".join(f"{t['items']} of `{t['task']}`" for t in document["tasks"].values())
    return (
        f"Measured {document['measured']}: `{document['model']['uri']}`, {items}; {document['samples']} samples an item.\n\n"
        + "\n".join(lines)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and rewrite the record and the proof page."""
    parser = argparse.ArgumentParser(description="Measure where each estimator wins and loses.")
    parser.add_argument("--record", type=Path, default=Path("src/trueline/catalog/standings.json"))
    parser.add_argument("--docs", type=Path, default=None, help="page with a measured block to rewrite")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the runs (default: thrown away)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        document = measure_standings(given.keep or Path(temporary), scale=given.scale)
    given.record.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if given.docs is not None:
        text = given.docs.read_text(encoding="utf-8")
        if _BEGIN not in text or _END not in text:
            raise InputError(f"{given.docs} has no block between {_BEGIN} and {_END}")
        head, tail = text.partition(_BEGIN)[0], text.partition(_END)[2]
        given.docs.write_text(f"{head}{_BEGIN}\n{markdown(document)}\n{_END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
