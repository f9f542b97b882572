"""Preference tables: three layouts, prompts of every form, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from trueline.errors import InputError
from trueline.tasks.preferences import conversation, dialogue, load_preferences

HEAD = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: How do I do it?\n\nAssistant:"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_hh_rlhf_is_split_at_the_last_answer_and_its_order_tells_nothing(tmp_path: Path) -> None:
    rows = [{"chosen": f"{HEAD} good {i}", "rejected": f"{HEAD} bad {i}"} for i in range(200)]
    table = load_preferences(write(tmp_path / "t.jsonl", rows))
    human = table.signs("human")
    for row, label in zip(table.rows, human, strict=True):
        chosen = row["response_0"] if label == 1 else row["response_1"]
        assert chosen.startswith("good")
    assert 60 < sum(label == 1 for label in human) < 140
    assert len(set(table.labels("cluster_id"))) == 1
    assert table.pairs()[0].turns == (("user", "Hi"), ("assistant", "Hello"), ("user", "How do I do it?"))


def test_hh_rlhf_order_does_not_hang_on_the_label(tmp_path: Path) -> None:
    one = load_preferences(write(tmp_path / "a.jsonl", [{"chosen": f"{HEAD} x", "rejected": f"{HEAD} y"}]))
    two = load_preferences(write(tmp_path / "b.jsonl", [{"chosen": f"{HEAD} y", "rejected": f"{HEAD} x"}]))
    assert one.rows[0]["response_0"] == two.rows[0]["response_0"]
    assert one.signs("human") == [-s for s in two.signs("human")]


def test_pku_saferlhf_counts_the_first_response_as_plus_one(tmp_path: Path) -> None:
    base = {"prompt": "p", "response_0": "a", "response_1": "b"}
    rows = [
        base | {"better_response_id": 0, "safer_response_id": 1},
        base | {"prompt": "q", "better_response_id": 1, "safer_response_id": None},
    ]
    table = load_preferences(write(tmp_path / "t.jsonl", rows))
    assert table.signs("better") == [1, -1]
    assert table.signs("safer")[0] == -1
    assert math.isnan(table.signs("safer")[1])
    assert len(set(table.labels("cluster_id"))) == 2


@pytest.mark.parametrize(
    ("prompt", "turns"),
    [
        ("plain", (("user", "plain"),)),
        (HEAD, (("user", "Hi"), ("assistant", "Hello"), ("user", "How do I do it?"))),
        ("say \n\nHuman: no", (("user", "say \n\nHuman: no"),)),
        ([{"role": "user", "content": "q"}], (("user", "q"),)),
        ('[{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]', (("system", "s"), ("user", "q"))),
        ("[{broken", (("user", "[{broken"),)),
    ],
)
def test_prompts_of_every_form(prompt: Any, turns: Any) -> None:
    assert conversation(prompt) == turns


def test_a_dialogue_is_read_back() -> None:
    turns = (("user", "a"), ("assistant", "b"), ("user", "c"))
    assert conversation(dialogue(turns)) == turns


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"chosen": "\n\nHuman: a\n\nAssistant: x", "rejected": "\n\nHuman: b\n\nAssistant: y"}], "line 1: the two dialogues differ"),
        ([{"chosen": "no turn", "rejected": f"{HEAD} y"}], "'chosen' holds no dialogue"),
        ([{"prompt": "p", "response_0": "a", "response_1": "b", "better_response_id": 2}], "'better_response_id' is 2; expected 0 or 1"),
    ],
)
def test_rows_that_do_not_fit_are_named_or_skipped(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_preferences(write(tmp_path / "t.jsonl", rows))
    good = {key: f"{HEAD} fine" if key in ("chosen", "rejected") else 0 if key.endswith("_id") else "x" for key in rows[0]}
    table = load_preferences(write(tmp_path / "t.jsonl", [*rows, good]), skip_bad=True)
    assert table.lines == (2,)
    assert table.note is not None
    assert "skipped 1 bad line" in table.note


def test_texts_are_needed_only_by_who_reads_them(tmp_path: Path) -> None:
    table = load_preferences(write(tmp_path / "t.jsonl", [{"who": 1}, {"who": None}]))
    assert table.numbers("who")[0] == 1
    with pytest.raises(InputError, match="no column for prompt"):
        table.pairs()
    table = load_preferences(write(tmp_path / "t.jsonl", [{"prompt": "p", "response_0": None, "response_1": "b"}]))
    with pytest.raises(InputError, match="line 1: column 'response_0' is empty"):
        table.pairs()
    table = load_preferences(write(tmp_path / "t.jsonl", [{"prompt": [1], "response_0": "a", "response_1": "b"}]))
    with pytest.raises(InputError, match="line 1: the prompt is a list"):
        table.pairs()


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{"who": 1}])
    with pytest.raises(InputError, match="layout is 'hh'"):
        load_preferences(path, layout="hh")
    with pytest.raises(InputError, match="limit must be"):
        load_preferences(path, limit=0)
