"""`PartialRankings`: what several readers said about each case, as flat columns; votes, ratings and opinions convert to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.stats.sample import IntArray

Annotations = Sequence[Sequence[Sequence[Sequence[int]]]]


@dataclass(frozen=True, eq=False)
class PartialRankings:
    """Every class that a reader named, one entry each, in order of case, reader and place.

    Attributes
    ----------
    case, reader, place, label : (n_entries,) int64
        Entry e says that reader `reader[e]` put class `label[e]` of case `case[e]` into group `place[e]` (1 = best; the next group is
        one further whatever the size of the group before). Readers are numbered through, 0..n_readers-1, not anew in each case.
    reader_case : (n_readers,) int64
        The case of each reader, rising.
    n_cases, num_classes : int
    """

    case: IntArray
    reader: IntArray
    place: IntArray
    label: IntArray
    reader_case: IntArray
    n_cases: int
    num_classes: int

    @classmethod
    def from_lists(cls, annotations: Annotations, num_classes: int) -> PartialRankings:
        """Read ``annotations[case][reader][group] = tied classes``, groups in falling rank.

        A case without readers is kept (its plausibilities are undefined).

        Raises
        ------
        InputError
            On a reader without groups, an empty group, a class named twice by a reader, or one outside 0..num_classes-1.
        """
        readers = [reader for case in annotations for reader in case]
        groups = [group for reader in readers for group in reader]
        per_case = np.array([len(case) for case in annotations], dtype=np.int64)
        per_reader = np.array([len(reader) for reader in readers], dtype=np.int64)
        per_group = np.array([len(group) for group in groups], dtype=np.int64)
        reader_case = np.repeat(np.arange(len(per_case)), per_case)
        group_reader = np.repeat(np.arange(len(per_reader)), per_reader)
        starts = np.cumsum(per_reader) - per_reader
        place = np.arange(len(groups)) - starts[group_reader] + 1
        first_reader = np.cumsum(per_case) - per_case

        def fail(reader: int, problem: str) -> InputError:
            case = int(reader_case[reader])
            return InputError(f"case {case}, reader {reader - int(first_reader[case])}: {problem}")

        for empty, what in ((np.flatnonzero(per_reader == 0), None), (np.flatnonzero(per_group == 0), group_reader)):
            if len(empty):
                which = int(empty[0] if what is None else what[empty[0]])
                raise fail(which, "names no class; leave the reader or group out" if what is None else "has an empty group; leave it out")
        label = _integers(list(chain.from_iterable(groups)))
        reader = np.repeat(group_reader, per_group)
        outside = np.flatnonzero((label < 0) | (label >= num_classes))
        if len(outside):
            raise fail(int(reader[outside[0]]), f"class {label[outside[0]]} is outside 0..{num_classes - 1}")
        keys = np.sort(reader * num_classes + label)
        twice = np.flatnonzero(keys[1:] == keys[:-1])
        if len(twice):
            key = int(keys[twice[0]])
            raise fail(key // num_classes, f"class {key % num_classes} is named twice")
        return cls(reader_case[reader], reader, np.repeat(place, per_group), label, reader_case, len(per_case), num_classes)

    @classmethod
    def from_jsonl(cls, path: str | Path, num_classes: int) -> PartialRankings:
        """Read a file of lines ``{"annotations": [reader, ...], ...}``, each reader a list of groups as in `from_lists`."""
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines if line.strip()]
        for number, record in enumerate(records):
            if "annotations" not in record:
                raise InputError(f"{path}: record {number} has no field 'annotations'; its fields are {sorted(record)}")
        return cls.from_lists([record["annotations"] for record in records], num_classes)

    @classmethod
    def from_votes(cls, counts: ArrayLike) -> PartialRankings:
        """Read votes: `counts` (n_cases, K) whole numbers; a vote is a reader who names one class."""
        votes = np.asarray(counts)
        if votes.ndim != 2 or not np.array_equal(votes, np.floor(votes)) or (votes < 0).any():
            raise InputError(f"counts must be (n_cases, K) whole numbers >= 0; got shape {votes.shape}, dtype {votes.dtype}")
        cell = np.repeat(np.arange(votes.size), votes.ravel().astype(np.int64))
        case, label = cell // votes.shape[1], cell % votes.shape[1]
        return cls(case, np.arange(len(cell)), np.ones(len(cell), dtype=np.int64), label, case, *votes.shape)

    @classmethod
    def from_ratings(cls, ratings: ArrayLike, levels: int) -> PartialRankings:
        """Read ratings on a scale: (n_cases, n_readers) in 0..levels-1, NaN where a reader did not rate; the levels are the classes."""
        given = np.asarray(ratings, dtype=np.float64)
        if given.ndim != 2:
            raise InputError(f"ratings must be (n_cases, n_readers); got shape {given.shape}")
        bad = np.argwhere(~np.isnan(given) & ((given != np.floor(given)) | (given < 0) | (given >= levels)))
        if len(bad):
            case, reader = bad[0].tolist()
            raise InputError(f"case {case}, reader {reader}: rating {given[case, reader]} is no whole number in 0..{levels - 1}")
        case, reader = np.nonzero(~np.isnan(given))
        label = given[case, reader].astype(np.int64)
        return cls(case, np.arange(len(case)), np.ones(len(case), dtype=np.int64), label, case, len(given), levels)

    @classmethod
    def from_opinions(cls, confidence: ArrayLike) -> PartialRankings:
        """Read opinions: `confidence` (n_cases, n_readers, K); classes rank by falling confidence, equal ones tie, 0 is not named.

        A reader whose row is NaN throughout did not answer.
        """
        given = np.asarray(confidence, dtype=np.float64)
        if given.ndim != 3 or (given < 0).any():
            raise InputError(f"confidence must be (n_cases, n_readers, K), not negative; got shape {given.shape}")
        holes = np.isnan(given)
        if (holes.any(axis=2) & ~holes.all(axis=2)).any():
            raise InputError("confidence of a reader holds NaN for some classes only; write 0 for a class that was not named")
        answers = [
            [
                [np.flatnonzero(row == value).tolist() for value in np.unique(row[row > 0])[::-1]]
                for row in readers
                if not np.isnan(row).all()
            ]
            for readers in given
        ]
        return cls.from_lists(answers, given.shape[2])

    @property
    def n_readers(self) -> IntArray:
        """(n_cases,) readers of each case."""
        return np.bincount(self.reader_case, minlength=self.n_cases)

    @property
    def reader_number(self) -> IntArray:
        """(n_readers,) number of each reader within its case, from 0."""
        counts = self.n_readers
        return np.asarray(np.arange(len(self.reader_case)) - (np.cumsum(counts) - counts)[self.reader_case])

    def cases(self, keep: ArrayLike) -> PartialRankings:
        """Return the cases of a mask (n_cases,), with all their readers."""
        mask = np.asarray(keep)
        if mask.shape != (self.n_cases,) or mask.dtype != np.bool_:
            raise InputError(f"keep must be ({self.n_cases},) bool; got shape {mask.shape}, dtype {mask.dtype}")
        new = np.cumsum(mask) - 1
        part = self.readers(mask[self.reader_case])
        return PartialRankings(
            new[part.case], part.reader, part.place, part.label, new[part.reader_case], int(mask.sum()), self.num_classes
        )

    def readers(self, keep: ArrayLike) -> PartialRankings:
        """Return the readers of a mask over all readers, such as ``r.reader_number % 2 == 0``; every case stays."""
        mask = np.asarray(keep)
        if mask.shape != self.reader_case.shape or mask.dtype != np.bool_:
            raise InputError(f"keep must be {self.reader_case.shape} bool; got shape {mask.shape}, dtype {mask.dtype}")
        entry = mask[self.reader]
        new = np.cumsum(mask) - 1
        return PartialRankings(
            self.case[entry],
            new[self.reader[entry]],
            self.place[entry],
            self.label[entry],
            self.reader_case[mask],
            self.n_cases,
            self.num_classes,
        )


def _integers(labels: list[int]) -> IntArray:
    values = np.array(labels) if labels else np.zeros(0, dtype=np.int64)
    if not np.issubdtype(values.dtype, np.integer):
        raise InputError(f"classes must be whole numbers; got {values.dtype} values such as {values[:3].tolist()}")
    return values.astype(np.int64)
