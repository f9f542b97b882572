"""The recipes of docs/querying.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import trueline as tl

PAGE = Path(__file__).parent.parent / "docs" / "querying.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("querying")
    names = ["sequence_nll", "semantic_entropy"]
    tl.measure("world:small", "world:facts", names, samples=3, limit=30, out=folder / "runs" / "mine", validate=False)
    return folder


@pytest.mark.parametrize("block", BLOCKS, ids=["polars", "duckdb"])
def test_a_recipe_runs(block: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(block, names)
    if "surest_mistakes" in names:
        assert names["lengths"].height == 30  # type: ignore[attr-defined]
        assert names["surest_mistakes"]["sequence_nll"].is_sorted()  # type: ignore[index]
    else:
        shown = capsys.readouterr().out
        assert "times" in shown
        assert "accuracy" in shown
