"""Items held as columns are the items that were put in, in their order, whatever they hold."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.items import items_table, task_from, task_hash
from trueline.tasks.annotations import Reading
from trueline.tasks.files import load_file
from trueline.tasks.item import Item, Task
from trueline.tasks.item_table import BLOCK, ItemTable
from trueline.tasks.pictures import Picture

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ITEMS = st.builds(
    Item,
    id=TEXT,
    question=TEXT,
    prompt_text=st.none() | TEXT,
    messages=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
    references=st.lists(TEXT, max_size=3).map(tuple),
    cluster=st.none() | TEXT,
    metadata=st.dictionaries(TEXT, st.none() | st.booleans() | st.integers(-5, 5) | TEXT, max_size=2),
    truth=st.dictionaries(TEXT, st.floats(-10, 10), max_size=2),
    images=st.lists(st.builds(Picture, path=TEXT), max_size=2).map(tuple),
    annotations=st.lists(st.builds(Reading, st.lists(st.lists(TEXT, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple), TEXT)).map(
        tuple
    ),
)


@given(st.lists(ITEMS, max_size=6), st.integers(-8, 8), st.integers(-8, 8))
def test_what_goes_in_comes_out(items: list[Item], first: int, last: int) -> None:
    table = ItemTable(iter(items))
    assert list(table) == items
    assert table == items
    assert items == table
    assert [table[i] for i in range(-len(items), len(items))] == items + items
    assert table[first:last] == items[first:last]
    assert table[::-1] == items[::-1]
    assert copy.deepcopy(table) == items
    for outside in (len(items), -len(items) - 1):
        with pytest.raises(IndexError):
            table[outside]
    assert items_table(table).equals(items_table(items))
    ids = [item.id for item in items]
    again = next(((ids.index(ident), place) for place, ident in enumerate(ids) if ident in ids[:place]), None)
    assert table.repeated == again


def test_blocks_join_without_a_seam() -> None:
    n = 2 * BLOCK + 3
    items = [Item(id=f"q{i}", question=f"{i}?", references=("x",) * (i % 3)) for i in range(n)]
    table = ItemTable(items)
    assert len(table) == n
    assert table[BLOCK - 2 : 2 * BLOCK + 1] == items[BLOCK - 2 : 2 * BLOCK + 1]
    assert table.by_id()[f"q{2 * BLOCK}"] == items[2 * BLOCK]
    assert list(table.by_id()) == [item.id for item in items]
    assert table.repeated is None
    assert task_hash(Task("t", table)) == task_hash(Task("t", items))
    manifest = {"task": {"name": "t", "grader": "exact"}}
    assert task_from(manifest, items_table(table)).items == items


@pytest.mark.parametrize("hashed", [hash, len, lambda text: 0])
def test_items_are_found_by_their_ids_also_where_hashes_collide(hashed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trueline.tasks.item_table.hash", hashed, raising=False)
    items = [Item(id=f"q{i}", question=f"{i}?") for i in range(130)]
    found = ItemTable(items).by_id()
    assert [found[item.id] for item in items] == items
    assert len(found) == 130
    assert "q130" not in found
    with pytest.raises(KeyError):
        found["q"]


def test_a_repeated_id_is_refused() -> None:
    items = [Item("a", "1"), Item("b", "2"), Item("a", "3")]
    for held in (items, ItemTable(items)):
        with pytest.raises(InputError, match="id 'a' occurs more than once"):
            Task("t", held)
    with pytest.raises(InputError, match="has no items"):
        Task("t", ItemTable([]))


def test_items_are_small(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        "".join(json.dumps({"question": f"Where was person number {i} born?", "answer": "Kelby"}) + "\n" for i in range(20_000))
    )
    task = load_file(path)
    assert isinstance(task.items, ItemTable)
    assert sum(block.nbytes for block in task.items._blocks) / len(task) < 120  # bytes an item, of which the text is half
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.items[0].question = "other"  # type: ignore[misc]


def test_columns_that_begin_late_are_found(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"Text": "a?"}\n{"Text": "b?", "answer": "x", "cluster": 3}\n')
    task = load_file(path, mapping={"question": "Text"})
    assert [(i.references, i.cluster) for i in task.items] == [((), None), (("x",), "3")]
    assert load_file(path, mapping={"question": "Text"}, limit=1).items[0].references == ()
    with pytest.raises(InputError, match="limit must be at least 1"):
        load_file(path, mapping={"question": "Text"}, limit=0)
