"""`trueline audit grey-area`: its table, its JSON, its report, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from trueline.cli import app as program
from trueline.knownworld.planted_markers import planted_markers

N = 30


def run(*arguments: object) -> Result:
    return CliRunner().invoke(program.app, ["audit", "grey-area", *map(str, arguments)], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("facts") / "facts.jsonl"
    rows = [{"question": f"Where is {name} ?", "answers": [place]} for name, place in planted_markers(n=N).facts]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.fixture(scope="module")
def markers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("markers") / "mine.csv"
    path.write_text(
        "marker,certainty,sourced\nIt is,none,0\nI think it is,weakener,0\nI am sure it is,strengthener,0\n<b>it is</b>,none,1\n"
    )
    return path


def model(n: int = N) -> tuple[Any, ...]:
    return ("world:planted-markers", "-O", f"n={n}", "--n-boot", 50)


def test_table_json_and_report(facts: Path, markers: Path, tmp_path: Path) -> None:
    where = ("--markers", markers, "--draws", 2, "--numeric", "--out", tmp_path / "run", "--report", tmp_path / "grey.html")
    shown = run(model()[0], facts, *model()[1:], *where)
    assert shown.exit_code == 0, shown.output
    for text in ("30 items under 4 markers", "certainty", ".30 [.30, .30]*", "strengthener (1)", "stated level", "Holm"):
        assert text in shown.stdout
    assert max(map(len, shown.stdout.splitlines()[2:8])) <= 80
    page = (tmp_path / "grey.html").read_text()
    assert "&lt;b&gt;it is&lt;/b&gt;" in page
    assert "<b>it is" not in page
    assert "<svg" in page
    again = run(model()[0], facts, *model()[1:], *where, "--json")
    document = json.loads(again.stdout)
    assert document["contrasts"]["prob_gold"]["certainty"]["value"] == pytest.approx(0.3)
    assert document["numeric"]["slope"]["prob_gold"]["value"] == pytest.approx(0)


def test_plan_asks_nothing(facts: Path) -> None:
    shown = run(model()[0], facts, *model()[1:], "--plan", "--draws", 5, "--json")
    assert json.loads(shown.stdout) == {
        "items": N,
        "markers": 54,
        "prompts": N * 54,
        "greedy_decodes": N * 54,
        "sampled_decodes": N * 54 * 5,
        "emission": {"items": 15, "shots": 8, "prompts": 45, "greedy_decodes": 45, "sampled_decodes": 0},
    }
    assert "emission: 15 items" in run(model()[0], facts, *model()[1:], "--plan").stdout
    assert "emission" not in run(model()[0], facts, *model()[1:], "--plan", "--no-emission").stdout


def test_what_it_emits_and_where_markers_stand(facts: Path, markers: Path, tmp_path: Path) -> None:
    texts = tmp_path / "posts.jsonl"
    texts.write_text("\n".join(json.dumps({"body": t}) for t in ("I am sure it is <i>so</i>?", "I think it is.", "It is. Is it?")))
    where = ("--markers", markers, "--corpus", texts, "--column", "body", "--out", tmp_path / "run", "--report", tmp_path / "grey.html")
    emitter = ("world:planted-emitter", facts, "-O", f"n={N}", "--n-boot", 50, "--scheme", "both", "--shots", 4)
    shown = run(*emitter, *where)
    assert shown.exit_code == 0, shown.output
    for text in ("emitted after 4 examples (both), 15 new questions", "accuracy, strengthener less weakener", "3 documents, 4 sentences"):
        assert text in shown.stdout
    page = (tmp_path / "grey.html").read_text()
    assert "Does it mean what it says?" in page
    assert "Markers in texts" in page
    again = json.loads(run(*emitter, *where, "--json").stdout)
    assert again["emission"]["classes"]["weakener"]["share"]["n"] == 15
    assert again["corpus"]["kinds"]["strengthener"]["asked"]["value"] == 1


def test_too_few_questions_leave_the_emission_out(markers: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(json.dumps({"question": f"Where is {n} ?", "answer": p}) for n, p in planted_markers(n=N).facts[:5]))
    shown = run(model()[0], few, *model()[1:], "--markers", markers)
    assert shown.exit_code == 0, shown.output
    assert "is left out: 5 items" in " ".join(shown.stdout.split())
    asked = run(model()[0], few, *model()[1:], "--markers", markers, "--emission")
    assert asked.exit_code == 2
    assert "8 examples and new questions need" in " ".join(asked.stderr.split())


def test_texts_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Surely it is Oslo? Maybe it is Rome. <script>")
    (tmp_path / "b.md").write_text("I know it is Rome.")
    shown = CliRunner().invoke(program.app, ["audit", "marker-corpus", str(tmp_path), "--report", str(tmp_path / "page.html")])
    assert shown.exit_code == 0, shown.output
    assert "2 documents, 4 sentences, 1 of them questions" in " ".join(shown.stdout.split())
    assert "<script>" not in (tmp_path / "page.html").read_text()
    for path, message in ((tmp_path / "none.txt", "cannot read"), (tmp_path / "page.html", "ends in '.html'")):
        refused = CliRunner().invoke(program.app, ["audit", "marker-corpus", str(path)])
        assert refused.exit_code == 2
        assert message in " ".join(refused.stderr.split())


def test_failed_prompts_end_in_exit_code_3(facts: Path, markers: Path) -> None:
    shown = run(model(20)[0], facts, *model(20)[1:], "--markers", markers)
    assert shown.exit_code == 3
    assert "names nothing that this world has" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--position", "middle"], "position is 'middle'"),
        (["--items", "0"], "n_items is 0"),
        (["--path", "sampled"], "with 0 draws"),
        (["--markers", "none.csv"], "cannot read the markers"),
        (["--level", "2"], "level is 2"),
        (["--multi-token", "--grader", "nope"], "unknown grader"),
        (["--emission", "--cut", "2"], "cut is 2"),
        (["--scheme", "shout"], "scheme is 'shout'"),
        (["--corpus", "none.txt"], "cannot read none.txt"),
    ],
)
def test_bad_input_is_one_line(facts: Path, arguments: list[str], message: str) -> None:
    shown = run(model()[0], facts, *model()[1:], *arguments)
    assert shown.exit_code == 2
    assert message in shown.stderr
    assert "Traceback" not in shown.output
