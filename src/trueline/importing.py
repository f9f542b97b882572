"""Generations made elsewhere (an API log, another tool's samples) become a run that every estimator reads whose needs they meet."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trueline.errors import InputError
from trueline.grading import SCHEMA as GRADES
from trueline.interop.logs import LOG_SUFFIXES, open_generations
from trueline.items import items_table
from trueline.tasks.generation_tables import GREEDY, SAMPLE, TABLE, with_reasoning
from trueline.tasks.generations import Origin, Piece
from trueline.tasks.graders import grade_all, load_grader
from trueline.tasks.item import Grader, Item, Task
from trueline.tasks.tables import BadLines, find_file
from trueline.tasks.thinking import Splitter, load_splitter
from trueline.traces.rundir import RunDirectory
from trueline.traces.schema import SCHEMA

if TYPE_CHECKING:
    from trueline.run import Run

#: Generations of one shard, about: whole items only.
SHARD_ROWS = 20_000
#: How answers are judged when the file gives no verdicts and no grader is named.
DEFAULT_GRADER = "contains"

Progress = Callable[[str, int, int], None]


def import_generations(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    mapping: Mapping[str, str] | None = None,
    samples: int | None = None,
    skip_bad: bool = False,
    grader: str | Grader | None = None,
    reasoning: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Import a file of generations as a run, in pieces, so that it need not fit into memory.

    Parameters
    ----------
    path : a log of Inspect AI (``.eval``, ``.json``), ``samples_*.jsonl`` of lm-evaluation-harness, or a ``.jsonl``, ``.csv`` or
        ``.parquet`` file in one of two layouts.
        One row an item: ``samples`` (list of texts), and where known ``id``, ``question``, ``reference(s)``, ``cluster``,
        ``sample_logprobs`` (a list of token log-probs a sample, nats), ``greedy``, ``greedy_logprobs``, ``temperature``, ``correct`` (one
        verdict for the answer, or one a sample); of reasoning models ``sample_reasoning``, ``sample_reasoning_logprobs``,
        ``greedy_reasoning``, ``greedy_reasoning_logprobs``. One row a generation: ``item_id``, ``text``, and where known ``draw``, ``kind``
        (greedy or sample), ``token_logprobs``, ``reasoning`` (what came before the answer), ``reasoning_logprobs``, ``temperature``,
        ``top_p``, ``top_k``, ``seed``, ``finish_reason``, ``correct``; what concerns the item (question, references, cluster) is taken from
        its first row. Lists in CSV cells are JSON.
    out : run directory; must not hold a run yet.
    mapping : role -> column for other names; of logs the roles are ``interop.logs.LOG_ROLES``.
    samples : keep the first so many samples of an item (by ``draw``).
    skip_bad : leave out unusable rows; their number goes into the manifest's ``notes``.
    grader : judges the answers (the greedy one, else sample 0). Default: the file's own verdicts, else ``contains``.
    reasoning : how it is told from the answer inside a text: ``auto`` (``<think>`` tags where there are some), ``think``,
        ``tags:OPEN,CLOSE``, ``cot``, ``regex:PATTERN``. Default: texts are answers, reasoning stands in a column of its own.
    progress : called with ("rows", rows read, 0).

    Raises
    ------
    InputError
        For a file, column or row that cannot be used, with its line: NaN or positive log-probs, lists of different lengths,
        duplicate ids; and when ``out`` is taken.
    """
    from trueline.run import Run

    if samples is not None and samples < 1:
        raise InputError(f"samples must be at least 1, got {samples}")
    source = find_file(Path(path), LOG_SUFFIXES)
    bad = BadLines(source, skip_bad)
    generations: Generations = open_generations(source, mapping, bad)
    spec = grader or ("given" if generations.labelled else DEFAULT_GRADER)
    judge = None if spec == "given" else load_grader(spec, Task(str(path), [Item("", "")]))
    splitter = None if reasoning in (None, "none") else load_splitter(str(reasoning))
    directory = RunDirectory(out)
    with directory.lock():
        _claim(directory)
        importer = _Importer(directory, samples, judge, splitter)
        if not importer.take(generations, progress):
            _clear(directory)
            importer = _Importer(directory, samples, judge, splitter, scattered=True)
            bad.count, bad.shown = 0, []
            importer.take(generations, progress)
            importer.regroup()
        if not importer.n_items:
            note = bad.note()
            raise InputError(f"{source} has no usable row{'' if note is None else f': {note}'}")
        importer.finish()
        name = spec if isinstance(spec, str) else getattr(spec, "__qualname__", "custom")
        directory.write_manifest(_manifest(source, importer, name, generations.origin(), bad.note()))
    return Run(directory)


class Generations(Protocol):
    """A file of generations: ``labelled`` where it says which answers are right."""

    labelled: bool

    def pieces(self) -> Iterator[Piece]:
        """Yield (items that are new, their and older items' rows as a table of ``generation_tables.TABLE``)."""
        ...

    def origin(self) -> Origin:
        """Where the generations come from; asked for after they were read."""
        ...


@dataclass
class _Importer:
    """Collects rows and writes shards at item boundaries; in ``scattered`` mode an item's rows may come in any order."""

    directory: RunDirectory
    samples: int | None
    judge: Grader | None
    splitter: Splitter | None = None
    scattered: bool = False
    n_items: int = 0
    n_shards: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"generations": 0, "failed": 0, "truncated": 0, "most_samples": 0})
    laws: set[tuple[Any, ...]] = field(default_factory=set)
    items: list[pa.Table] = field(default_factory=list)
    grades: list[pa.Table] = field(default_factory=list)
    staged: list[Path] = field(default_factory=list)

    def take(self, generations: Generations, progress: Progress | None) -> bool:
        """Read the file. False: an item's rows do not lie together, so the file must be read again in scattered mode."""
        pending: list[pa.Table] = []
        items: list[Item] = []
        size = read = first = 0
        for new, table in generations.pieces():
            index = table["item_index"].to_numpy()
            if not self.scattered and index.min() < first:
                return False
            pending.append(table)
            items += new
            size += len(table)
            read += len(table)
            if progress is not None:
                progress("rows", read, 0)
            if size >= SHARD_ROWS:
                whole = pa.concat_tables(pending)
                # the last item may go on in the next piece
                last = self.n_items + len(items) - 1
                keep = np.full(len(whole), self.scattered) | (whole["item_index"].to_numpy() < last)
                done = len(items) if self.scattered else last - self.n_items
                if keep.any():
                    self._flush(whole.filter(pa.array(keep)), items[:done])
                    pending, items, first = [whole.filter(pa.array(~keep))], items[done:], last
                    size = len(pending[0])
        if size:
            self._flush(pa.concat_tables(pending), items)
        return True

    def _flush(self, table: pa.Table, items: list[Item]) -> None:
        start, self.n_items = self.n_items, self.n_items + len(items)
        if items:
            part = items_table(items)
            position = part.schema.get_field_index("item_index")
            self.items.append(part.set_column(position, "item_index", pa.array(range(start, self.n_items), pa.int64())))
        if self.scattered:
            path = self.directory.trace_dir / f".tmp-staged-{len(self.staged)}.parquet"
            pq.write_table(table, path)
            self.staged.append(path)
        else:
            self._store(table, {item.id: item for item in items})

    def regroup(self) -> None:
        """Second step of scattered mode: bring the rows of each item together, a range of items a shard."""
        sizes = np.zeros(self.n_items, dtype=np.int64)
        for path in self.staged:
            index = pq.read_table(path, columns=["item_index"])["item_index"].to_numpy()
            sizes += np.bincount(index, minlength=self.n_items)
        bucket_of = (np.cumsum(sizes) - sizes) // SHARD_ROWS
        buckets = [self.directory.trace_dir / f".tmp-bucket-{k}.parquet" for k in range(int(bucket_of[-1]) + 1 if self.n_items else 0)]
        writers = [pq.ParquetWriter(path, TABLE) for path in buckets]
        for path in self.staged:
            table = pq.read_table(path)
            place = bucket_of[table["item_index"].to_numpy()]
            for k in np.unique(place):
                writers[int(k)].write_table(table.filter(pa.array(place == k)))
            path.unlink()
        for writer in writers:
            writer.close()
        items = pa.concat_tables(self.items, promote_options="default") if self.items else None
        for k, path in enumerate(buckets):
            inside = np.flatnonzero(bucket_of == k)
            if items is not None and len(inside):
                part = items.slice(int(inside[0]), len(inside)).to_pylist()
                known = {r["item_id"]: Item(r["item_id"], r["question"], references=tuple(r["references"])) for r in part}
                self._store(pq.read_table(path), known)
            path.unlink()

    def _store(self, table: pa.Table, items: Mapping[str, Item]) -> None:
        table = with_reasoning(_ordered(table, self.samples), self.splitter)
        self.directory.write_shard(self.n_shards, table.select(SCHEMA.names))
        self.n_shards += 1
        self.grades.append(_given_grades(table) if self.judge is None else _judged(table, items, self.judge))
        self.counts["generations"] += len(table)
        self.counts["failed"] += len(pc.unique(table["item_id"].filter(pc.is_valid(table["error"]))))
        self.counts["truncated"] += int(pc.sum(pc.equal(table["finish_reason"], "length")).as_py() or 0)
        sampled = table.filter(pc.equal(table["kind_code"], SAMPLE))
        if len(sampled):
            self.counts["most_samples"] = max(self.counts["most_samples"], int(pc.max(sampled["draw"]).as_py()) + 1)
            laws = sampled.select(["temperature", "top_p", "top_k"]).group_by(["temperature", "top_p", "top_k"]).aggregate([])
            self.laws.update(tuple(row.values()) for row in laws.to_pylist())

    def finish(self) -> None:
        """Write the items and the verdicts."""
        self.directory.write_table("items.parquet", pa.concat_tables(self.items, promote_options="default"))
        self.directory.write_table("grades.parquet", pa.concat_tables(self.grades))


def _claim(directory: RunDirectory) -> None:
    """Refuse a directory that holds a run; clear what a killed import left."""
    if directory.at_url:
        raise InputError(f"an import is sorted on disk: make it in a folder of this machine, then copy it to {directory.where}")
    directory.prepare()
    if directory.read_json("run.json") is not None:
        raise InputError(f"{directory.path} holds a run already; give another --out, or delete it first")
    _clear(directory)


def _clear(directory: RunDirectory) -> None:
    for shard in directory.shards():
        shard.unlink()


def _ordered(table: pa.Table, samples: int | None) -> pa.Table:
    """Rows by item, greedy before samples, samples by draw and numbered from 0; only the first ``samples`` of them."""
    item, kind, draw, line = (table[c].to_numpy() for c in ("item_index", "kind_code", "draw", "line"))
    order = np.lexsort((line, draw, kind, item))
    item, kind, draw, line = item[order], kind[order], draw[order], line[order]
    same = (np.diff(item) == 0) & (np.diff(kind) == 0)
    twice = same & ((np.diff(draw) == 0) | (kind[1:] == GREEDY))
    if twice.any():
        k = int(np.flatnonzero(twice)[0])
        what = "two greedy rows" if kind[k] == GREEDY else f"two samples with draw {draw[k]}"
        raise InputError(f"item {table['item_id'][int(order[k])].as_py()!r} has {what}: lines {line[k]} and {line[k + 1]}")
    starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    keep = np.ones(len(order), dtype=bool) if samples is None else (kind != SAMPLE) | (rank < samples)
    table = table.take(pa.array(order[keep]))
    return table.set_column(table.schema.get_field_index("draw"), "draw", pa.array(rank[keep], pa.int32()))


def _answers(table: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(n_rows,) bool: the answer of each item, which in an ordered table is its first row."""
    item = table["item_index"].to_numpy()
    return np.concatenate([[True], item[1:] != item[:-1]])


def _given_grades(table: pa.Table) -> pa.Table:
    """The file's own verdicts: every labelled generation, and the answer of each item in any case."""
    answer = _answers(table)
    labelled = np.asarray(table["correct"].is_valid().to_numpy(zero_copy_only=False))
    table = table.filter(pa.array(answer | labelled))
    reason = pc.if_else(table["correct"].is_valid(), pa.scalar(None, pa.string()), pa.scalar("no verdict in the imported file"))
    columns: dict[str, Any] = {
        **{name: table[name] for name in ("item_id", "kind", "draw", "correct")},
        "refused": pc.fill_null(table["refused"], False),
        "answer": pc.coalesce(table["answer"], table["text"]),
        "probability": table["probability"],
        "score": table["score"],
        "reason": pc.coalesce(table["reason"], reason),
    }
    return pa.table([columns[f.name] if f.name in columns else pa.nulls(len(table), f.type) for f in GRADES], schema=GRADES)


def _judged(table: pa.Table, items: Mapping[str, Item], judge: Grader) -> pa.Table:
    """Verdicts of a grader on the answer of each item."""
    answers = table.filter(pa.array(_answers(table))).select(["item_id", "kind", "draw", "text"]).to_pylist()
    asked = [row for row in answers if row["text"] is not None]
    grades = iter(grade_all(judge, [items[row["item_id"]] for row in asked], [row["text"] for row in asked]))
    failed = {"correct": None, "refused": False, "reason": "no answer: the generation failed"}
    rows = [{**row, **(failed if row.pop("text") is None else vars(next(grades)))} for row in answers]
    return pa.Table.from_pylist(rows, schema=GRADES)


def _manifest(source: Path, importer: _Importer, grader: str, origin: Origin, note: str | None) -> dict[str, Any]:
    import trueline

    with source.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    laws = importer.laws if len(importer.laws) == 1 else {(None, None, None)}
    temperature, top_p, top_k = next(iter(laws))
    counts = {name: value for name, value in importer.counts.items() if name != "most_samples"}
    return {
        "status": "imported",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "trueline": trueline.__version__,
        "model": {"uri": f"imported:{origin.model}", "fingerprint": {"sha256": digest}},
        "task": {"name": origin.task, "items": importer.n_items, "limit": None, "hash": digest, "grader": grader},
        "settings": {
            "samples": importer.counts["most_samples"],
            "law": {"temperature": temperature, "top_p": top_p, "top_k": top_k},
            "seed": None,
            "max_new_tokens": None,
            "stop": [],
        },
        "judge": None,
        "counts": {"items": importer.n_items, **counts, **origin.counts},
        "notes": [*origin.notes, *([note] if note else [])],
        **({"source": {"file": source.name, **origin.details}} if origin.details else {}),
        "versions": dict(_versions()),
    }


def _versions() -> Iterator[tuple[str, str]]:
    from importlib.metadata import version

    for name in ("numpy", "pyarrow"):
        yield name, version(name)
