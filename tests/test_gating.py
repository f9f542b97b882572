"""The release gate: what an interval shows, shows to be false, or does not show; and its two files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from planted import places, planted_run

import trueline as tl
from trueline.errors import InputError
from trueline.gating import Requirement, judge, junit_xml, markdown_summary, parse_requirement
from trueline.stats.estimate import Estimate

HOSTILE = 'm|<script>alert(1)</script>&"`x`\x1b[31m\u202e@team https://evil.example'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tl.Run:
    """Right on 0.8 of 200 items, with an AUROC near 0.9."""
    return planted_run(tmp_path_factory.mktemp("gate") / "run", places(), 0.8, 2.5, seed=1)


@pytest.fixture(scope="module")
def perfect(tmp_path_factory: pytest.TempPathFactory) -> tl.Run:
    return planted_run(tmp_path_factory.mktemp("gate") / "perfect", places(0, 40), 1.1)


def only(document: dict[str, Any]) -> dict[str, Any]:
    (entry,) = document["requirements"]
    return entry  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auroc(sequence_nll) >= 0.75", Requirement("auroc", "sequence_nll", ">=", 0.75)),
        ("  ece<=.05 ", Requirement("ece", None, "<=", 0.05)),
        ("prr( my.plugin:score )>-1e-1", Requirement("prr", "my.plugin:score", ">", -0.1)),
        ("brier < 1", Requirement("brier", None, "<", 1.0)),
        ("accuracy \u2265 0.5", Requirement("accuracy", None, ">=", 0.5)),
    ],
)
def test_requirements_are_read(text: str, expected: Requirement) -> None:
    assert parse_requirement(text) == expected
    assert parse_requirement(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the requirement ''"),
        ("auroc", "expected METRIC"),
        ("auroc(sequence_nll >= 0.7", "cannot read"),
        ("auroc == 0.7", "cannot read"),
        ("auroc >= much", "'much' is not a finite number"),
        ("auroc >= nan", "'nan' is not a finite number"),
        ("auroc >= 0.7 and ece <= 0.1", "cannot read"),
        ("accuracy >= 80", "accuracy lies between 0 and 1; got 80"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        parse_requirement(text)


@pytest.mark.parametrize(
    ("op", "bound", "bounds", "point"),
    [
        (">=", 0.7, "pass", "pass"),
        (">", 0.7, "not shown", "pass"),
        (">=", 0.75, "not shown", "pass"),
        (">=", 0.85, "not shown", "fail"),
        (">=", 0.9, "not shown", "fail"),
        (">", 0.9, "fail", "fail"),
        (">=", 0.95, "fail", "fail"),
        ("<=", 0.9, "pass", "pass"),
        ("<", 0.9, "not shown", "pass"),
        ("<=", 0.75, "not shown", "fail"),
        ("<=", 0.7, "not shown", "fail"),
        ("<", 0.7, "fail", "fail"),
        (">", 0.8, "not shown", "fail"),
        ("<=", 0.8, "not shown", "pass"),
    ],
)
def test_verdicts(op: str, bound: float, bounds: str, point: str) -> None:
    requirement, estimate = Requirement("auroc", "s", op, bound), Estimate(0.8, 0.7, 0.9, n=100)
    assert judge(requirement, estimate) == bounds
    assert judge(requirement, estimate, "point") == point


def test_undefined_is_never_passed_nor_shown_false() -> None:
    for on in ("bound", "point"):
        assert judge(Requirement("auroc", "s", ">=", 0.0), Estimate.undefined("one class"), on) == "not shown"  # type: ignore[arg-type]
    assert judge(Requirement("auroc", "s", ">=", 0.0), Estimate(0.8)) == "not shown", "a value without an interval shows nothing"


def test_three_outcomes_of_a_run(run: tl.Run) -> None:
    document = tl.check_run(run, ["auroc(sequence_nll) >= 0.6", "accuracy >= 0.95", "accuracy >= 0.79", "ece <= 0.5"])
    assert [e["verdict"] for e in document["requirements"]] == ["pass", "fail", "not shown", "pass"]
    assert document["verdict"] == "fail"
    assert document["counts"] == {"pass": 2, "fail": 1, "not shown": 1}
    auroc = (run.metrics or {})["estimators"]["sequence_nll"]["metrics"]["auroc"]
    assert {k: document["requirements"][0][k] for k in auroc} == auroc, "the number is that of validate"
    assert tl.check_run(run.path, "accuracy >= 0.79")["verdict"] == "not shown"
    assert tl.check_run(run, "auroc >= 0.6")["verdict"] == "pass"
    json.dumps(document, allow_nan=False)


def test_not_shown_says_how_many_items_would_show_it(run: tl.Run) -> None:
    value = (run.metrics or {})["headline"]["accuracy"]["value"]
    entry = only(tl.check_run(run, f"accuracy >= {value - 0.01}"))
    assert re.search(r"about n = [\d,]{4,} would show it if the value stays \(n = 200 now\)", entry["why"])
    assert "itself is not beyond it" in only(tl.check_run(run, f"accuracy >= {value + 0.01}"))["why"]


def test_on_point_and_level(run: tl.Run) -> None:
    value = (run.metrics or {})["headline"]["accuracy"]["value"]
    text = f"accuracy >= {value - 0.01}"
    assert tl.check_run(run, text, on="point")["verdict"] == "pass"
    assert tl.check_run(run, f"accuracy >= {value + 0.01}", on="point")["verdict"] == "fail"
    assert tl.check_run(run, text)["verdict"] == "not shown"
    assert tl.check_run(run, text, level=0.2)["verdict"] == "pass"


def test_undefined_is_not_shown_with_its_reason(perfect: tl.Run, run: tl.Run) -> None:
    entry = only(tl.check_run(perfect, "auroc >= 0.5"))
    assert (entry["verdict"], entry["value"]) == ("not shown", None)
    assert entry["why"].startswith("undefined: ")
    assert "class" in entry["why"]
    assert only(tl.check_run(perfect, "auroc >= 0.5", on="point"))["verdict"] == "not shown"
    unknown = only(tl.check_run(run, "spearman_total >= 0.1"))
    assert unknown["verdict"] == "not shown"
    assert "known total" in unknown["why"]
    assert "states no probability" in only(tl.check_run(run, "ece_stated(mean_nll) <= 0.1"))["why"]


def test_no_refusal_is_a_rate_of_zero_with_an_interval(run: tl.Run) -> None:
    entry = only(tl.check_run(run, "refusal_rate <= 0.05"))
    assert (entry["verdict"], entry["value"]) == ("pass", 0)
    assert 0 < entry["high"] < 0.05


def test_a_stale_metrics_file_is_not_believed(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "run", places(0, 60), 0.3)
    document = run.metrics or {}
    document["headline"]["accuracy"] |= {"value": 0.99, "low": 0.98, "high": 1.0}
    run.directory.write_json("metrics.json", document)
    assert tl.check_run(run, "accuracy >= 0.9")["verdict"] == "fail"


@pytest.mark.parametrize(
    ("require", "options", "message"),
    [
        ([], {}, "nothing is required"),
        ("aurok >= 0.5", {}, "unknown metric 'aurok'; did you mean auroc"),
        ("auroc(sequence_nl) >= 0.5", {}, "no scores of 'sequence_nl'; did you mean sequence_nll"),
        ("auroc(semantic_entropy) >= 0.5", {}, "no scores of 'semantic_entropy'"),
        ("accuracy(mean_nll) >= 0.5", {}, "accuracy is a number of the whole run"),
        ("accuracy >= 0.5", {"on": "value"}, "expected 'bound' or 'point'"),
        ("accuracy >= 0.5", {"level": 0}, "level must lie between 0 and 1"),
    ],
)
def test_bad_requests_are_refused(run: tl.Run, require: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tl.check_run(run, require, **options)


def hostile() -> dict[str, Any]:
    """An outcome whose every text is hostile."""
    base = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "n_missing": 1}
    entries = [
        base | {"requirement": f"auroc({HOSTILE}) >= 0.5", "verdict": verdict, "why": f"{HOSTILE}\nsecond line"}
        for verdict in ("pass", "fail", "not shown")
    ]
    entries.append(entries[2] | {"value": None, "low": None, "high": None})
    return {"run": HOSTILE, "model": HOSTILE, "task": HOSTILE, "level": 0.95, "on": "bound", "verdict": "fail", "requirements": entries}


def test_junit(run: tl.Run) -> None:
    document = tl.check_run(run, ["auroc >= 0.6", "accuracy >= 0.95", "accuracy >= 0.79"])
    suite = ElementTree.fromstring(junit_xml(document)).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    cases = suite.findall("testcase")
    assert [c.get("name") for c in cases] == ["auroc(sequence_nll) >= 0.6", "accuracy >= 0.95", "accuracy >= 0.79"]
    assert [None if (f := c.find("failure")) is None else f.get("type") for c in cases] == [None, "shown false", "not shown"]


def test_junit_survives_hostile_text() -> None:
    text = junit_xml(hostile() | {"run": HOSTILE + "\x00\ud800\ufffe"})
    text.encode("utf-8")
    suite = ElementTree.fromstring(text).find("testsuite")
    assert suite is not None
    assert "<script>alert(1)</script>" in (suite.get("name") or ""), "shown as text"
    assert "\\u0000\\ud800\\ufffe" in (suite.get("name") or "")
    assert not suite.findall(".//script")
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_markdown(run: tl.Run) -> None:
    text = markdown_summary(tl.check_run(run, ["auroc >= 0.6", "accuracy >= 0.95"]))
    assert text.startswith("### trueline check: shown false\n")
    assert "| auroc(sequence\\_nll) &gt;= 0.6 | **pass** |" in text
    assert "judged by the 95 % intervals" in text
    assert "judged by the point values" in markdown_summary(tl.check_run(run, "accuracy >= 0.5", on="point"))


def test_markdown_survives_hostile_text() -> None:
    text = markdown_summary(hostile())
    for forbidden in ("<", "@", "://", "\x1b", "\u202e"):
        assert forbidden not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 6
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}, "no text opens a cell of its own"
