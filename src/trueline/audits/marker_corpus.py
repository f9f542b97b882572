"""Where expressions of certainty and doubt stand in a collection of texts: in questions, or in other sentences.

Zhou, Jurafsky and Hashimoto 2023 (arXiv 2302.13439) explain the harm of strengtheners by texts in which people are sure when they ask.
This looks at the texts that you have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trueline.errors import InputError
from trueline.stats.clusters import cluster_rate
from trueline.stats.differences import independent_difference
from trueline.stats.estimate import Estimate
from trueline.stats.intervals import wilson
from trueline.tasks.corpora import read_texts
from trueline.tasks.marker_tags import tag_markers
from trueline.tasks.markers import FLAGS, Marker, load_markers
from trueline.tasks.sentences import sentences

#: What is counted: sentences with any marker, with a form that weakens or strengthens, and with a marker of each label.
KINDS = ("any", "weakener", "strengthener", *FLAGS)
_QUESTION = re.compile(r"\?[\"'\u201d\u2019)\]*_]*$")
_BY_SIGN = {-1: "weakener", 1: "strengthener"}
_MOST_MARKERS = 200


@dataclass
class _Counts:
    """Of each document: sentences, and sentences of each kind; in questions and in others."""

    kinds: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    sentences: list[tuple[int, int]] = field(default_factory=list)
    markers: dict[str, list[int]] = field(default_factory=dict)
    empty: int = 0


def probe_corpus(
    source: str | Path | Iterable[str],
    *,
    column: str | None = None,
    markers: Sequence[Marker] | None = None,
    limit: int | None = None,
    skip_bad: bool = False,
    level: float = 0.95,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Count markers in questions and in other sentences.

    Parameters
    ----------
    source : a text file, a folder of them, a ``.jsonl``, ``.csv`` or ``.parquet`` table, ``hf-dataset:NAME[:config][@split]``, or texts
    column : str, optional
        Of a table, holds the texts. Default: ``text``, ``content`` or ``body``.
    markers : sequence of Marker, optional
        Default: the shipped list, whose inflections are found in English.
    limit : int, optional
        Only the first documents (files, rows).
    level : float
        Of the intervals: Wilson's, and over documents where there are several (sentences of one document are alike).

    Returns
    -------
    dict
        JSON-safe. ``kinds``: for each of ``KINDS`` the share of sentences with such a marker among questions (``questions``), among the
        others (``others``), their ``difference``, and the share of questions among the sentences with one (``asked``); ``contrast``:
        ``asked`` of strengtheners less weakeners; ``markers``: how often each occurs.

    Raises
    ------
    InputError
        Nothing to read, no sentence, an unknown column.

    Examples
    --------
    >>> found = probe_corpus(["I am sure it is Oslo. Is it certainly Oslo?", "I think it is Rome."])
    >>> found["n_sentences"], found["kinds"]["strengthener"]["asked"]["value"], found["kinds"]["weakener"]["asked"]["value"]
    (3, 0.5, 0.0)
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; expected at least 1")
    known = tuple(load_markers() if markers is None else markers)
    notes: list[str] = []
    given = isinstance(source, str | Path)
    texts = read_texts(source, column=column, skip_bad=skip_bad, notes=notes) if isinstance(source, str | Path) else source
    counts = _count(texts, known, limit, progress)
    if not counts.sentences:
        raise InputError(f"{source if given else 'the texts'} hold no sentence")
    asked, other = (sum(part) for part in zip(*counts.sentences, strict=True))
    kinds = {kind: _shares(rows, counts.sentences, level) for kind, rows in counts.kinds.items()}
    document = {
        "audit": "marker_corpus",
        "source": str(source) if given else "texts",
        "column": column,
        "n_documents": len(counts.sentences),
        "n_empty": counts.empty,
        "n_sentences": asked + other,
        "n_questions": asked,
        "level": level,
        "kinds": {kind: {name: e.to_json() for name, e in row.items()} for kind, row in kinds.items()},
        "contrast": _difference(kinds["strengthener"]["asked"], kinds["weakener"]["asked"]).to_json(),
        "markers": [
            {"marker": name, "questions": q, "others": o}
            for name, (q, o) in sorted(counts.markers.items(), key=lambda entry: (-sum(entry[1]), entry[0]))[:_MOST_MARKERS]
        ],
    }
    return document | {"warnings": [*notes, *_warnings(document)]}


def _count(texts: Iterable[str], markers: Sequence[Marker], limit: int | None, progress: Any) -> _Counts:
    counts = _Counts()
    for n, text in enumerate(_first(texts, limit), start=1):
        found = sentences(text)
        if found:
            _count_document(found, markers, counts)
        else:
            counts.empty += 1
        if progress is not None:
            progress("texts", n, 0)
    return counts


def _first(texts: Iterable[str], limit: int | None) -> Iterator[str]:
    for n, text in enumerate(texts):
        if limit is not None and n >= limit:
            return
        if not isinstance(text, str):
            raise InputError(f"text {n + 1} is {type(text).__name__}; expected str")
        yield text


def _count_document(found: Sequence[str], markers: Sequence[Marker], counts: _Counts) -> None:
    own = {kind: [0, 0] for kind in KINDS}
    sizes = [0, 0]
    for sentence in found:
        place = 0 if _QUESTION.search(sentence) else 1
        sizes[place] += 1
        spans = tag_markers(sentence, markers)
        kinds = {_BY_SIGN[s.certainty] for s in spans if s.certainty} | {flag for s in spans for flag in FLAGS if getattr(s.marker, flag)}
        for kind in kinds | ({"any"} if spans else set()):
            own[kind][place] += 1
        for span in spans:
            counts.markers.setdefault(span.marker.marker, [0, 0])[place] += 1
    counts.sentences.append((sizes[0], sizes[1]))
    for kind, (asked, other) in own.items():
        counts.kinds[kind].append((asked, other))


def _shares(rows: Sequence[tuple[int, int]], sizes: Sequence[tuple[int, int]], level: float) -> dict[str, Estimate]:
    hits, n = np.array(rows, dtype=np.float64), np.array(sizes, dtype=np.float64)
    questions = _rate(hits[:, 0], n[:, 0], "there is no question", level)
    others = _rate(hits[:, 1], n[:, 1], "there are questions alone", level)
    asked = _rate(hits[:, 0], hits.sum(axis=1), "there is no such marker", level)
    return {"questions": questions, "others": others, "difference": _difference(questions, others), "asked": asked}


def _rate(events: Any, trials: Any, empty: str, level: float) -> Estimate:
    """Wilson's interval; that over documents where more than one has any trial."""
    total = float(trials.sum())
    if not total:
        return Estimate(math.nan, level=level, reason=empty)
    if (trials > 0).sum() > 1:
        return cluster_rate(events, trials, level=level).rate
    ends = wilson(float(events.sum()), total, level)
    return Estimate(float(events.sum() / total), ends.low, ends.high, level, int(total), method=ends.method, se=ends.se)


def _difference(first: Estimate, second: Estimate) -> Estimate:
    if first.defined and second.defined:
        return independent_difference(first, second)
    return Estimate(math.nan, level=first.level, reason=first.reason or second.reason)


def _warnings(document: dict[str, Any]) -> list[str]:
    said = []
    if document["n_documents"] == 1 and document["n_sentences"] > 1:
        said.append("One document: its sentences are taken as independent, and the intervals are too narrow for other texts.")
    if document["n_empty"]:
        said.append(f"{document['n_empty']} documents hold no sentence.")
    if not document["n_questions"]:
        said.append("No sentence ends with a question mark.")
    return said
