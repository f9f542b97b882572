from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trueline.errors import InputError, MissingExtra
from trueline.tasks import Task
from trueline.tasks.files import load_file, load_hf_dataset
from trueline.tasks.loading import load_task
from trueline.tasks.tables import as_text, as_texts


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_usual_names_in_each_format(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "question": "1+1?", "answer": "2", "cluster": "sums"},
        {"id": "b", "question": "Capital?", "answer": "Rome", "cluster": "geo"},
    ]
    jsonl(tmp_path / "q.jsonl", *rows)
    pl.DataFrame(rows).write_csv(tmp_path / "q.csv")
    pl.DataFrame(rows).write_parquet(tmp_path / "q.parquet")
    tasks = [load_file(tmp_path / f"q.{kind}") for kind in ("jsonl", "csv", "parquet")]
    assert tasks[0].items == tasks[1].items == tasks[2].items
    first = tasks[0].items[0]
    assert (first.id, first.question, first.references, first.cluster) == ("a", "1+1?", ("2",), "sums")


@pytest.mark.parametrize("name", ["question", "prompt", "input", "Question"])
@pytest.mark.parametrize("answer", ["answer", "answers", "reference", "references", "target"])
def test_aliases(tmp_path: Path, name: str, answer: str) -> None:
    item = load_file(jsonl(tmp_path / "q.jsonl", {name: "x?", answer: ["y", "z"]})).items[0]
    assert (item.question, item.references) == ("x?", ("y", "z"))


def test_mapping_and_metadata(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "q.jsonl", {"Frage": "x?", "Antwort": 7, "level": 3, "bad": float("nan")})
    item = load_file(path, mapping={"question": "Frage", "answer": "Antwort"}).items[0]
    assert (item.id, item.question, item.references) == ("row-000001", "x?", ("7",))
    assert item.metadata == {"level": 3, "bad": None}
    with pytest.raises(InputError, match=r"no column 'Frag' .*columns found: 'Frage', 'Antwort', 'level', 'bad'; did you mean Frage"):
        load_file(path, mapping={"question": "Frag"})
    with pytest.raises(InputError, match=r"cannot map 'questoin'.*did you mean question"):
        load_file(path, mapping={"questoin": "Frage"})


@pytest.mark.parametrize(
    ("cell", "references"),
    [
        ("Rome", ("Rome",)),
        (["a", "b", "a", "", None], ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("['a', \"b's\"]", ("a", "b's")),
        ("[not a list", ("[not a list",)),
        (3, ("3",)),
        (0.5, ("0.5",)),
        (None, ()),
        ("", ()),
        (float("nan"), ()),
        ({"value": "Rome", "aliases": ["Roma", "Rome"]}, ("Rome", "Roma")),
        ({"text": ["x"], "answer_start": [4]}, ("x",)),
    ],
)
def test_reference_cells(cell: Any, references: tuple[str, ...]) -> None:
    assert as_texts(cell) == references


def test_messages_nested_as_text_and_as_input(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "?"}]},
    ]
    path = jsonl(tmp_path / "q.jsonl", {"messages": turns}, {"messages": json.dumps(turns)}, {"messages": None, "input": turns})
    for item in load_file(path).items:
        assert item.messages == (("system", "Be brief."), ("user", "Hi?"))
        assert item.question == "Hi?"
    with pytest.raises(InputError, match=r"line 1: messages: expected a list of"):
        load_file(jsonl(path, {"messages": [{"content": "x"}]}))


def test_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    jsonl(tmp_path / "questions.jsonl", {"question": "x"})
    with pytest.raises(InputError, match=r"no file .*question.jsonl; did you mean questions.jsonl"):
        load_file(tmp_path / "question.jsonl")
    with pytest.raises(InputError, match="there is no folder"):
        load_file(tmp_path / "nowhere" / "q.csv")
    with pytest.raises(InputError, match="is a folder"):
        load_file(tmp_path)
    (tmp_path / "q.txt").write_text("x")
    with pytest.raises(InputError, match=r"ends in '.txt'"):
        load_file(tmp_path / "q.txt")


@pytest.mark.parametrize("name", ["q.jsonl", "q.csv", "q.parquet"])
@pytest.mark.parametrize("content", ["", "\n\n", "question,answer\n"])
def test_empty_files(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=r"is empty|has no usable row|cannot be read as Parquet|not valid JSON"):
        load_file(tmp_path / name)


def test_no_question_column(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no column for question .*columns found: 'qestion', 'answer'; did you mean qestion.*--map question=COLUMN"
    ):
        load_file(jsonl(tmp_path / "q.jsonl", {"qestion": "x", "answer": "y"}))


def test_duplicate_ids_name_both_lines(tmp_path: Path) -> None:
    rows = [{"id": i, "question": "x"} for i in ("a", "b", "a")]
    for skip in (False, True):
        with pytest.raises(InputError, match="id 'a' occurs on lines 1 and 3"):
            load_file(jsonl(tmp_path / "q.jsonl", *rows), skip_bad=skip)


def test_a_broken_line_is_named_or_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b'{"question": "one"}\n{"question": "tw\n\n[1]\n{"question": ""}\n{"question": "caf\xe9"}\n{"question": "two"}\n')
    with pytest.raises(InputError, match=r"q.jsonl, line 2: not valid JSON .*--skip-bad"):
        load_file(path)
    with caplog.at_level(logging.WARNING, logger="trueline"):
        task = load_file(path, skip_bad=True)
    assert [(item.id, item.question) for item in task.items] == [("row-000001", "one"), ("row-000003", "two")]
    assert task.notes[0].startswith("skipped 4 bad lines")
    assert "line 4: expected an object" in task.notes[0]
    assert caplog.messages == list(task.notes)


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_bytes('{"question": "café"}\n'.encode("latin-1"))
    with pytest.raises(InputError, match="line 1: not UTF-8 at byte"):
        load_file(tmp_path / "q.jsonl")
    (tmp_path / "q.csv").write_bytes("question\nok\ncafé\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8 \(line 3"):
        load_file(tmp_path / "q.csv")


def test_csv_quirks(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text('\ufeffquestion,answer\n"two\nlines",x\nshort\n"a, b",y\n', encoding="utf-8")
    with pytest.raises(InputError, match="line 4: 1 fields where the header has 2"):
        load_file(path)
    assert [i.question for i in load_file(path, skip_bad=True).items] == ["two\nlines", "a, b"]
    path.write_text("question,question\na,b\n")
    with pytest.raises(InputError, match="'question' twice"):
        load_file(path)
    path.write_text('question\n"never closed\n')
    with pytest.raises(InputError, match="not valid CSV"):
        load_file(path)


@pytest.mark.parametrize(
    "text", ["nul \x00 bell \x07 esc \x1b[31m", "مرحبا \u202e reversed", "x" * 1_000_000, "[red]markup[/red] <script>"]
)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_hostile_text_is_kept(tmp_path: Path, text: str, kind: str) -> None:
    path = tmp_path / f"q.{kind}"
    frame = pl.DataFrame({"question": [text], "answer": [text]})
    {"jsonl": frame.write_ndjson, "csv": frame.write_csv, "parquet": frame.write_parquet}[kind](path)
    item = load_file(path).items[0]
    assert item.question == text
    assert item.references == (text,)


def test_lone_surrogates_become_replacement_characters(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "a \\ud800 b \\ud83d\\ude00"}\n')
    assert load_file(tmp_path / "q.jsonl").items[0].question == as_text("a \ud800 b 😀") == "a \ufffd b 😀"


def test_limit_reads_no_further(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "one"}\nbroken\n')
    assert len(load_file(path, limit=1)) == 1
    with pytest.raises(InputError, match="at least 1"):
        load_file(path, limit=0)


def test_missing_id_value(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2: no value in the id column 'id'"):
        load_file(jsonl(tmp_path / "q.jsonl", {"id": "a", "question": "x"}, {"question": "y"}))


def test_damaged_parquet(tmp_path: Path) -> None:
    (tmp_path / "q.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        load_file(tmp_path / "q.parquet")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    return tmp_path


def test_hf_dataset_saved_to_disk(offline: Path) -> None:
    import datasets

    part = datasets.Dataset.from_dict({"question": ["a?", "b?"], "answers": [["x"], ["y", "z"]]})
    datasets.DatasetDict({"train": part, "test": part.select([1])}).save_to_disk(str(offline / "both"))
    task = load_hf_dataset(str(offline / "both"))
    assert [(i.question, i.references) for i in task.items] == [("b?", ("y", "z"))]
    assert len(load_hf_dataset(f"{offline / 'both'}@train", limit=5)) == 2
    with pytest.raises(InputError, match="no split 'tests'; splits: train, test; did you mean test"):
        load_hf_dataset(f"{offline / 'both'}@tests")


def test_hf_dataset_from_a_folder_of_files(offline: Path) -> None:
    folder = offline / "plain"
    folder.mkdir()
    jsonl(folder / "train.jsonl", {"Q": "a?", "target": "x"})
    task = load_hf_dataset(str(folder), mapping={"question": "Q"})
    assert task.items[0].references == ("x",)
    assert task.name == f"hf-dataset:{folder}"


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_hf_dataset_from_local_files_of_each_kind(offline: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    folder = offline / "data"
    folder.mkdir()
    for split, n in (("train", 3), ("test", 2)):
        frame = pl.DataFrame({"id": [f"{split}{i}" for i in range(n)], "question": ["a?"] * n, "answer": ["x"] * n, "hard": [True] * n})
        write = {"parquet": frame.write_parquet, "csv": frame.write_csv, "jsonl": frame.write_ndjson}[kind]
        write(folder / f"{split}.{kind}")
    assert [i.id for i in load_hf_dataset(str(folder)).items] == ["test0", "test1"]
    task = load_task(f"hf-dataset:{folder}@train", limit=2)
    assert [i.id for i in task.items] == ["train0", "train1"]
    assert task.items[0].references == ("x",)
    assert task.items[0].metadata == {"hard": True}
    assert "Generating" not in capfd.readouterr().err


def test_hf_dataset_labels_are_read_by_name(offline: Path) -> None:
    import datasets

    kinds = datasets.Features({"question": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    data = datasets.Dataset.from_dict({"question": ["a?", "b?", "c?"], "label": [0, 1, -1]}, features=kinds)
    data.save_to_disk(str(offline / "saved"))
    task = load_hf_dataset(str(offline / "saved"), mapping={"answer": "label"})
    assert [i.references for i in task.items] == [("no",), ("yes",), ()]
    with pytest.raises(InputError, match="no splits: it is one table"):
        load_hf_dataset(f"{offline / 'saved'}@test")


def test_hf_dataset_whose_file_is_broken(offline: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (offline / "bad").mkdir()
    (offline / "bad" / "train.jsonl").write_text('{"question": "a?"}\n{{{\n')
    with pytest.raises(InputError, match=r"cannot be loaded .*JSON"):
        load_hf_dataset(str(offline / "bad"))
    assert capfd.readouterr().err == ""


def test_hf_dataset_brings_no_code(offline: Path) -> None:
    (offline / "code").mkdir()
    (offline / "code" / "code.py").write_text(f"open({str(offline / 'ran')!r}, 'w')")
    (offline / "code" / "train.csv").write_text("question,answer\na?,x\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_hf_dataset(str(offline / "code"))
    assert not (offline / "ran").exists()


def test_hf_dataset_that_is_not_there(offline: Path) -> None:
    with pytest.raises(InputError, match="cannot be loaded"):
        load_hf_dataset(str(offline / "absent"))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'trueline\[datasets\]'"):
        load_hf_dataset("x")


def test_result_is_a_task(tmp_path: Path) -> None:
    task = load_file(str(jsonl(tmp_path / "q.jsonl", {"question": "x"})))
    assert isinstance(task, Task)
    assert task.name.endswith("q.jsonl")
    assert task.notes == ()
