"""The report in a real browser: it asks for nothing, complains of nothing, runs nothing, and fits a phone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import browser
import pytest

from trueline.reports import write_report

NASTY = (
    "<script>document.title='run'</script>",
    "<img src=https://example.org/x.png onerror=document.title='run'>",
    "x" * 5000,
    "\u202eabc مرحبا",
)

pytestmark = pytest.mark.skipif(
    browser.find() is None and not os.environ.get("CI"), reason="no Chromium is installed (on CI its absence is an error)"
)


def hostile(rows: list[dict[str, Any]]) -> None:
    for k, row in enumerate(rows):
        row["text"] = NASTY[k % 4]
        if row["kind"] == "greedy" and k % 3:
            row["token_texts"] = [NASTY[k % 4], NASTY[(k + 1) % 4], "\n"]


def test_the_page_in_chromium(make_run: Any, tmp_path: Path) -> None:
    binary = browser.find()
    assert binary is not None, "CI needs a Chromium for this test"
    far = {"uri": "hf:/" + "a-very-long-folder/" * 6 + "model" * 12, "fingerprint": "x"}
    runs = [make_run(n=40, known=True, model=far), make_run(n=30, seed=1, changes=hostile, question="{person} " + "w" * 300)]
    page = write_report(runs, tmp_path / "report.html")
    with browser.Browser(binary, tmp_path / "profile") as tab:
        for width, dark in ((1280, False), (390, True)):
            tab.open(page, width=width, dark=dark)
            assert tab.requests == [page.resolve().as_uri()]
            assert tab.messages == []
            assert tab.evaluate("document.title") == "trueline report: 2 runs"
            assert tab.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
            assert tab.evaluate("document.querySelectorAll('figure svg[role=img]').length") >= 10
            background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(255, 255, 255)") is not dark
            ink = "getComputedStyle(document.querySelector('figure svg text')).fill"
            assert tab.evaluate(f"{ink} === getComputedStyle(document.body).color")
            assert tab.evaluate("[...document.querySelectorAll('figure svg')].every(s => s.getBoundingClientRect().width > 20)")


def test_the_policy_stops_a_script_that_got_in(tmp_path: Path, make_run: Any) -> None:
    binary = browser.find()
    assert binary is not None, "CI needs a Chromium for this test"
    page = write_report(make_run(n=5, names=("mean_nll",)), tmp_path / "report.html")
    text = page.read_text(encoding="utf-8")
    planted = "<script>document.title='run'</script><img src='https://example.org/x.png'></body>"
    page.write_text(text.replace("</body>", planted), encoding="utf-8")
    with browser.Browser(binary, tmp_path / "profile") as tab:
        tab.open(page)
        assert tab.evaluate("document.title").startswith("trueline report")
        assert len([m for m in tab.messages if "Content Security Policy" in m]) >= 2
