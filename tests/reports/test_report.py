"""The whole report: complete, self-contained, small, and honest about what is not there."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from trueline.errors import InputError
from trueline.reports import charts, report, write_report
from trueline.reports.html import el

VOID = {"meta", "link", "br", "hr"}
SECTIONS = ("headline", "method", "estimators", "calibration", "curves", "truth", "items", "failures")


class Structure(HTMLParser):
    """Checks that every tag is closed by its own end tag, and collects ids and links."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"] or "")
        if tag == "a":
            self.links.append(found["href"] or "")
        self.loads += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "xlink:href", "action", "data", "poster") and tag != "a"]
        self.problems += [f"{tag} {k}" for k in found if k.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def check(html: str) -> Structure:
    """Everything that holds for any report whatever."""
    seen = Structure(html)
    assert not seen.problems
    assert not seen.open
    assert len(seen.ids) == len(set(seen.ids)), "an id is used twice"
    assert {link.removeprefix("#") for link in seen.links} <= set(seen.ids), "a link leads nowhere"
    assert set(seen.loads) <= {"data:,"}, "the page loads something"
    assert not re.findall(r"url\((?!#)", html)
    assert "@import" not in html
    assert not seen.tags & {"script", "iframe", "object", "embed", "img", "form", "base"}
    assert "Content-Security-Policy" in html
    assert "default-src &#x27;none&#x27;" in html
    assert len(html.encode()) < report.MAX_BYTES
    return seen


@pytest.fixture
def plain_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts are a word each: for tests of all the rest, which need not wait for drawings."""
    monkeypatch.setattr(charts, "render", lambda chart, *, label, prefix: el("span", f"chart: {label}"))


def write(run: Any, path: Path | None = None) -> Structure:
    return check(write_report(run, path).read_text(encoding="utf-8"))


def test_a_full_report_has_every_section_and_its_numbers(make_run: Any) -> None:
    run = make_run(n=80, known=True)
    accuracy = run.metrics["headline"]["accuracy"]
    seen = write(run)
    assert (run.path / "report.html").exists()
    assert {f"run1-{s}" for s in SECTIONS} | {"glossary"} <= set(seen.ids)
    assert f"Right on {100 * accuracy['value']:.0f}\u202f% of 80 questions (95\u202f% interval" in seen.text
    assert "trueline measure world:chat questions.csv --samples 5 --seed 0 --temperature 1.0" in seen.text
    assert "79700fe3646a" in seen.text
    assert "temperature 1.0, no nucleus cut" in seen.text
    for name in ("mean_nll", "semantic_entropy", "verbalized_1s"):
        assert name in seen.text
    for words in (
        "ROC curves",
        "Risk-coverage curves",
        "Confidence that the model states",
        "by how often it saw the fact",
        "Rank correlation",
    ):
        assert words in seen.text
    assert "Nothing failed: all 80 items have an answer" in seen.text


def test_the_report_of_the_same_run_is_the_same_file(make_run: Any, tmp_path: Path) -> None:
    run = make_run(n=40)
    first, second = write_report(run, tmp_path / "a.html"), write_report(run, tmp_path / "b.html")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.usefixtures("plain_charts")
def test_what_a_model_writes_is_shown_and_not_run(make_run: Any) -> None:
    nasty = ["<script>alert(1)</script>", "\u202egpj.exe \x1b[31m", "</bdi></article><img src=x onerror=alert(1)>", "שלום مرحبا"]

    def change(rows: list[dict[str, Any]]) -> None:
        for k, row in enumerate(rows):
            row["text"] = nasty[k % 4]
            if row["kind"] == "greedy":
                row["token_texts"] = [nasty[k % 4], nasty[(k + 1) % 4], ""]

    run = make_run(n=12, changes=change, question="<b>{person}</b> & <style>*{{display:none}}</style> javascript:alert(1)?")
    seen = write(run)
    assert "<script>alert(1)</script>" in seen.text
    assert "<img src=x onerror=alert(1)>" in seen.text
    assert "<b>Mirela Tosk 0</b> & <style>*{display:none}</style>" in seen.text
    assert "RLO" in seen.text
    assert "ESC" in seen.text
    assert "שלום" in seen.text
    html = (run.path / "report.html").read_text(encoding="utf-8")
    assert not set("\u202e\x1b") & set(html)
    assert html.count("<style") == 1


@pytest.mark.usefixtures("plain_charts")
def test_hostile_names_and_reasons_are_only_text(make_run: Any) -> None:
    model = {"uri": "<script>m</script>", "fingerprint": {"x": "</style><script>"}}
    run = make_run(n=20, names=("<i>est</i>", "b\u202e"), model=model, task={"name": '"><script>t', "items": 20}, trueline="<u>")
    seen = write(run)
    assert "<i>est</i>" in seen.text
    assert "<script>m</script>" in seen.text
    assert not seen.tags & {"i", "u"}


@pytest.mark.usefixtures("plain_charts")
def test_megabytes_of_answers_are_cut_with_a_note(make_run: Any) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["text"] = "word " * 200_000
            row["token_texts"] = None if row["item_id"] == "q00000" else ["word "] * 3000
            row["token_logprobs"] = [-0.1] * 3000

    run = make_run(n=3, n_samples=1, changes=change)
    seen = write(run)
    assert "more tokens left out" in seen.text
    assert "998,000 more characters left out" in seen.text
    assert (run.path / "report.html").stat().st_size < 500_000


@pytest.mark.usefixtures("plain_charts")
def test_a_small_budget_leaves_out_items_first_and_says_so(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(n=60)
    assert "18 of 60 items are shown" in check(report.render([run])).text
    monkeypatch.setattr(report, "_BUDGET", 17_000)
    html = report.render([run])
    shown = re.search(r"(\d+) of 60 items are shown", check(html).text)
    assert shown is not None
    assert 0 < int(shown.group(1)) < 18
    assert report._size([html]) < 17_000 + len(report.page("", el("p"))) + 10_000  # the page around the runs: style, glossary
    monkeypatch.setattr(report, "_BUDGET", 11_500)
    assert "The items are left out to keep this file small" in check(report.render([run])).text
    monkeypatch.setattr(report, "_BUDGET", 3000)
    assert "The rest of this run is left out to keep this file under 5 MB" in check(report.render([run])).text


def test_several_runs_have_a_summary_and_a_section_each(make_run: Any, tmp_path: Path) -> None:
    runs = [make_run(n=40), make_run(n=30, seed=1, known=True, task={"name": "other.csv", "items": 30, "grader": "contains"})]
    seen = write(runs, tmp_path / "both.html")
    assert {"summary", "run1", "run2", "run1-items", "run2-items"} <= set(seen.ids)
    assert seen.text.count("world:chat on other.csv") >= 3
    assert seen.text.count("How to read this") == 2  # link and heading
    assert not runs[0].path.joinpath("report.html").exists()


@pytest.mark.usefixtures("plain_charts")
@pytest.mark.usefixtures("plain_charts")
def test_a_heading_has_the_name_of_a_checkpoint_and_not_its_folders(make_run: Any) -> None:
    run = make_run(n=5, model={"uri": "hf:/home/someone/models/of/many/kinds/chat-7b", "fingerprint": {}})
    seen = write(run)
    assert "hf:\u2026/chat-7b on questions.csv" in seen.text
    assert "hf:/home/someone/models/of/many/kinds/chat-7b" in seen.text  # in full where it says what was measured


def test_a_directory_takes_the_file(make_run: Any, tmp_path: Path) -> None:
    assert write_report(make_run(n=10, names=("mean_nll",)), tmp_path) == tmp_path / "report.html"


def test_no_run_is_an_error() -> None:
    with pytest.raises(InputError, match="at least one run"):
        write_report([])


@pytest.mark.usefixtures("plain_charts")
def test_one_class_is_undefined_with_the_reason(make_run: Any) -> None:
    seen = write(make_run(n=30, correct=[True] * 30))
    assert "AUROC is undefined: only one class" in seen.text
    assert "No curves: all 30 judged answers are right" in seen.text
    assert "undefined" in seen.text
    assert "nan" not in re.findall(r"\bnan\b", seen.text.lower())
    assert "Right on 100\u202f% of 30 questions" in seen.text


@pytest.mark.usefixtures("plain_charts")
def test_answers_without_verdict_are_counted_with_the_reason(make_run: Any) -> None:
    seen = write(make_run(n=20, correct=[None] * 20))
    assert "Accuracy is undefined: no answer could be graded" in seen.text
    assert "No answer has a verdict" in seen.text
    assert "not judged" in seen.text
    assert "20" in seen.text


@pytest.mark.usefixtures("plain_charts")
def test_a_run_that_was_not_scored_says_so_everywhere(make_run: Any) -> None:
    seen = write(make_run(n=10, scored=False, status="running"))
    assert "Nothing was validated" in seen.text
    assert "trueline score" in seen.text
    assert "The run is not complete" in seen.text
    assert "No estimator has scored this run yet" in seen.text
    assert "No item has a score" in seen.text


@pytest.mark.usefixtures("plain_charts")
def test_a_run_without_items(make_run: Any) -> None:
    seen = write(make_run(n=0))
    assert "0 items" in seen.text
    assert {f"run1-{s}" for s in SECTIONS} <= set(seen.ids)


def test_a_run_that_was_not_validated_is_validated_now(make_run: Any) -> None:
    run = make_run(n=1, known=True, validated=False)
    seen = write(run)
    assert (run.path / "metrics.json").exists()
    assert "Only one item has a score" in seen.text
    assert "1 of 1 items are shown" in seen.text


@pytest.mark.usefixtures("plain_charts")
def test_an_imported_run_with_a_bare_manifest(make_run: Any) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row.update(token_texts=None, token_logprobs=None, finish_reason=None)

    bare: dict[str, Any] = {"model": {"uri": None}, "settings": {}, "counts": {}, "versions": {}, "trueline": None}
    seen = write(make_run(n=30, changes=change, status="imported", created=None, notes=["2 lines <skipped>"], **bare))
    assert "2 lines <skipped>" in seen.text
    assert "Probability the model gave each token" not in seen.text
    assert "None" not in seen.text
    assert "questions.csv (generations made elsewhere)" in seen.text
    assert "not recorded" in seen.text
    assert "trueline import questions.csv" in seen.text
    assert "whether answers were cut off is not recorded" in seen.text


@pytest.mark.usefixtures("plain_charts")
def test_failures_are_grouped_with_their_reasons(make_run: Any) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows[::7]:
            row.update(text=None, token_texts=None, token_logprobs=None, finish_reason=None, error="RuntimeError: out of <memory>")
        rows[1].update(text=None, token_logprobs=None, error="other\u202e")

    run = make_run(n=30, changes=change)
    seen = write(run)
    assert re.search(r"RuntimeError: out of <memory>\s*26", seen.text)
    assert "Failed generations" in seen.text


@pytest.mark.usefixtures("plain_charts")
def test_truncated_answers_are_warned_about(make_run: Any) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        for row in rows[::10]:
            row["finish_reason"] = "length"

    seen = write(make_run(n=30, changes=change))
    assert "Warnings" in seen.text
    assert "10\u202f% of the answers were cut off at the token limit" in seen.text
    assert "18 of 180 answers were cut off there" in seen.text


@pytest.mark.usefixtures("plain_charts")
def test_the_known_world_section_says_why_it_is_empty(make_run: Any) -> None:
    assert "The true uncertainty of these questions is not known" in write(make_run(n=20)).text


@pytest.mark.usefixtures("plain_charts")
def test_no_winner_is_named_where_none_is_clear(make_run: Any) -> None:
    run = make_run(n=12, correct=[bool(i % 2) for i in range(12)])
    assert "No score clearly tells right from wrong" in write(run).text


@pytest.mark.usefixtures("plain_charts")
def test_estimators_that_cannot_be_served_are_listed_by_reason(make_run: Any) -> None:
    run = make_run(n=12)
    info = json.loads((run.path / "scores.json").read_text(encoding="utf-8"))
    info |= {name: {"left_out": f"{name}: no greedy <rows>"} for name in ("perplexity", "luq")}
    (run.path / "scores.json").write_text(json.dumps(info), encoding="utf-8")
    assert re.search(r"no greedy <rows>luq, perplexity", write(run).text)


@pytest.mark.usefixtures("plain_charts")
def test_scores_that_are_newer_than_the_metrics_are_undefined_with_the_reason(make_run: Any) -> None:
    run = make_run(n=30)
    document = run.metrics
    del document["estimators"]["mean_nll"]
    (run.path / "metrics.json").write_text(json.dumps(document), encoding="utf-8")
    assert "not in metrics.json; validate the run again" in write(run).text


@pytest.mark.usefixtures("plain_charts")
def test_runs_share_the_budget(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [make_run(n=20) for _ in range(3)]
    around = len(report.page("", report.glossary()).encode())
    monkeypatch.setattr(report, "_BUDGET", 45_000)
    html = report.render(runs)
    assert len(html.encode()) < 45_000 + around + 2000
    assert {"run1-headline", "run2-headline", "run3-headline"} <= set(check(html).ids)


def test_fingerprints_differ_with_any_part_but_the_versions() -> None:
    from trueline.reports.sections import short_fingerprint

    one = {"config": "a" * 64, "weights": "b" * 64, "versions": {"torch": "1"}}
    assert short_fingerprint(one) == short_fingerprint({**one, "versions": {"torch": "2"}})
    assert short_fingerprint(one) != short_fingerprint({**one, "weights": "c" * 64})
    assert short_fingerprint("sha256:" + "d" * 64) == "d" * 12
