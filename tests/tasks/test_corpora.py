"""Texts from files, folders, tables and data sets."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trueline.errors import InputError
from trueline.tasks.corpora import read_texts


def test_a_folder_is_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b" / "c.md").write_text("\ufefftwo")
    (tmp_path / "d.jsonl").write_text("\n".join(json.dumps({"text": t}) for t in ("three", "four")))
    (tmp_path / "e.csv").write_text("id,content\n1,five\n")
    pq.write_table(pa.table({"body": ["six"]}), tmp_path / "f.parquet")
    (tmp_path / "picture.png").write_bytes(b"\x89")
    (tmp_path / "empty.txt").write_text("")
    assert list(read_texts(tmp_path)) == ["one", "two", "three", "four", "five", "six"]


def test_a_column_by_name(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text('{"post": "a", "text": "b"}\n')
    assert list(read_texts(path, column="post")) == ["a"]
    with pytest.raises(InputError, match="no column 'pots'"):
        list(read_texts(path, column="pots"))
    path.write_text('{"words": "a"}\n')
    with pytest.raises(InputError, match="--column"):
        list(read_texts(path))


def test_a_data_set(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(str(tmp_path / "set"))
    assert list(read_texts(f"hf-dataset:{tmp_path / 'set'}")) == ["a", "b"]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no file ending in"):
        list(read_texts(tmp_path))
    with pytest.raises(InputError, match="cannot read"):
        list(read_texts(tmp_path / "none.txt"))
    (tmp_path / "x.pdf").write_bytes(b"%PDF")
    with pytest.raises(InputError, match=r"ends in '\.pdf'"):
        list(read_texts(tmp_path / "x.pdf"))
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="not UTF-8"):
        list(read_texts(tmp_path / "bad.txt"))
    notes: list[str] = []
    assert list(read_texts(tmp_path / "bad.txt", skip_bad=True, notes=notes)) == []
    assert "not UTF-8" in notes[0]
    (tmp_path / "bad.jsonl").write_text('{"text": 3}\n{"text": null}\n{"text": "ok"}\n')
    with pytest.raises(InputError, match="line 1: text is int"):
        list(read_texts(tmp_path / "bad.jsonl"))
    notes.clear()
    assert list(read_texts(tmp_path / "bad.jsonl", skip_bad=True, notes=notes)) == ["ok"]
    assert "skipped 2 bad lines" in notes[0]
