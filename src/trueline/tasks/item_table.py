"""Items of a large file, held as columns: a tenth of the memory of as many records, each made when it is looked at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

from trueline.tasks.annotations import from_json, to_json
from trueline.tasks.item import Item
from trueline.tasks.pictures import Picture

if TYPE_CHECKING:
    import pyarrow as pa

#: Items turned into columns, or back, at once.
BLOCK = 4096
_NAMES = ("item_id", "question", "references", "cluster", "metadata", "truth", "annotations", "prompt_text", "messages")


class ItemTable(Sequence[Item]):
    """A read-only sequence of items; two looks at one place give equal items, not the same one.

    ``images``: place -> images, of the items that have some.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._blocks: list[pa.RecordBatch] = []
        self._length = 0
        self.images: dict[int, tuple[Picture, ...]] = {}
        left = iter(items)
        while block := list(islice(left, BLOCK)):
            self._blocks.append(_columns(block))
            self.images |= {self._length + place: item.images for place, item in enumerate(block) if item.images}
            self._length += len(block)
        release_unused()

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            first, last, step = index.indices(self._length)
            if step != 1:
                return [self[i] for i in range(first, last, step)]
            return list(self._between(first, last))
        if not -self._length <= index < self._length:
            raise IndexError(f"item {index} of {self._length}")
        block, place = divmod(index % self._length, BLOCK)
        return self._made(self._blocks[block].slice(place, 1), index % self._length)[0]

    def __iter__(self) -> Iterator[Item]:
        return self._between(0, self._length)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def _between(self, first: int, last: int) -> Iterator[Item]:
        while first < last:
            block, place = divmod(first, BLOCK)
            part = self._blocks[block].slice(place, last - first)
            yield from self._made(part, first)
            first += len(part)

    def _made(self, block: pa.RecordBatch, first: int) -> list[Item]:
        items = _items(block)
        if self.images:
            return [replace(item, images=self.images.get(first + place, ())) for place, item in enumerate(items)]
        return items

    def by_id(self) -> Mapping[str, Item]:
        """The items by their ids."""
        return _ById(self)

    def ids(self) -> Iterator[str]:
        """The ids, in order."""
        return (ident for block in self._blocks for ident in block.column(0).to_pylist())

    def id_at(self, index: int) -> str:
        """The id at one place."""
        block, place = divmod(index, BLOCK)
        return str(self._blocks[block].column(0)[place].as_py())

    @cached_property
    def repeated(self) -> tuple[int, int] | None:
        """Places of the first id that occurs twice, or None."""
        import numpy as np
        import pyarrow as pa

        if not self._blocks:
            return None
        encoded = pa.concat_arrays([block.column(0) for block in self._blocks]).dictionary_encode()
        if len(encoded.dictionary) == self._length:
            return None
        codes = np.asarray(encoded.indices)
        again = np.ones(self._length, dtype=bool)
        again[np.unique(codes, return_index=True)[1]] = False
        second = int(again.argmax())
        return int((codes == codes[second]).argmax()), second

    def columns(self) -> pa.Table:
        """item_id, question, references, cluster, metadata, truth and annotations (JSON, null where there are none)."""
        import pyarrow as pa

        return pa.Table.from_batches(self._blocks, _schema()).select(list(_NAMES[:7]))


class _ById(Mapping[str, Item]):
    """Finds an item by the hash of its id: 16 bytes an item, where a dictionary of a million ids takes 160 MB."""

    def __init__(self, items: ItemTable) -> None:
        import numpy as np

        self._items = items
        hashes = np.fromiter((hash(ident) for ident in items.ids()), np.int64, len(items))
        self._places = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._places]

    def __getitem__(self, ident: str) -> Item:
        first, last = (int(self._hashes.searchsorted(hash(ident), side)) for side in ("left", "right"))
        alike: list[int] = self._places[first:last].tolist()
        for place in alike:
            if self._items.id_at(place) == ident:
                return self._items[place]
        raise KeyError(ident)

    def __iter__(self) -> Iterator[str]:
        return self._items.ids()

    def __len__(self) -> int:
        return len(self._items)


def release_unused() -> None:
    """Give back what Arrow keeps for later: half as much again as it holds, after a large file was read or written."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.list_(pa.string()) if name == "references" else pa.string()) for name in _NAMES])


def _columns(items: Sequence[Item]) -> pa.RecordBatch:
    import pyarrow as pa

    columns: list[Iterable[Any]] = [
        (item.id for item in items),
        (item.question for item in items),
        (item.references for item in items),
        (item.cluster for item in items),
        (json.dumps(dict(item.metadata), ensure_ascii=False, sort_keys=True) if item.metadata else "{}" for item in items),
        (json.dumps(dict(item.truth), sort_keys=True) if item.truth else "{}" for item in items),
        (to_json(item.annotations) if item.annotations else None for item in items),
        (item.prompt_text for item in items),
        (json.dumps(item.messages) if item.messages else None for item in items),
    ]
    schema = _schema()
    return pa.RecordBatch.from_arrays([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _items(block: pa.RecordBatch) -> list[Item]:
    names: dict[str, list[Any]] = {name: column.to_pylist() for name, column in zip(_NAMES, block.columns, strict=True)}
    return [
        item_of_columns(ident, question, references, cluster, metadata, truth, annotations, prompt, messages)
        for ident, question, references, cluster, metadata, truth, annotations, prompt, messages in zip(*names.values(), strict=True)
    ]


def item_of_columns(
    ident: str,
    question: str | None,
    references: Sequence[str] | None,
    cluster: str | None,
    metadata: str | None,
    truth: str | None,
    annotations: str | None,
    prompt: str | None = None,
    messages: str | None = None,
) -> Item:
    """The item of one stored row; the order of the columns is that of ``items.parquet``."""
    told: dict[str, Any] = {}
    if metadata not in (None, "", "{}"):
        told["metadata"] = json.loads(metadata)
    if truth not in (None, "", "{}"):
        told["truth"] = json.loads(truth)
    if annotations is not None:
        told["annotations"] = from_json(annotations)
    if messages is not None:
        told["messages"] = tuple((role, content) for role, content in json.loads(messages))
    return Item(ident, question or "", prompt, references=tuple(references or ()), cluster=cluster, **told)
