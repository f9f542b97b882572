"""The page of a comparison: it says what the document says, hostile names are text, undefined stays undefined."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import browser
import pytest

from trueline.reports.comparison import render_comparison, write_comparison


def entry(**changes: Any) -> dict[str, Any]:
    base = {
        "first": "A",
        "second": "B",
        "metric": "auroc",
        "estimator": "sequence_nll",
        "value": 0.12,
        "low": 0.05,
        "high": 0.2,
        "p": 0.004,
    }
    base |= {"p_adjusted": 0.008, "first_value": 0.8, "second_value": 0.68, "n": 90, "n_missing": 10, "detectable": 0.1, "n_needed": None}
    base |= {"better": "A", "less_is_better": False, "method": "delong", "reason": None, "conclusion": "A is better than B by 0.12"}
    return base | changes


def document(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    runs = [{"label": x, "path": f"runs/{x}", "model": f"world:{x}", "task": "t.csv", "n_items": 100} for x in "AB"]
    base = {"runs": runs, "n_common": 100, "n_clusters": None, "correction": "holm", "n_tests": 2, "level": 0.95, "warnings": []}
    return base | {"differences": list(entries)} | changes


UNTOLD = entry(
    metric="brier", value=-0.01, low=-0.03, high=0.02, p=0.5, p_adjusted=0.5, n_needed=1234, better=None, less_is_better=True,
    conclusion="cannot tell these apart with this data; you would need about n = 1,234",
)  # fmt: skip


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", html, flags=re.S)))


def test_the_page_says_what_was_found() -> None:
    text = words(render_comparison(document(entry(), UNTOLD, warnings=["Only the 100 common <items>."])))
    assert "1 of 2 differences are shown" in text
    assert "cannot tell these apart with this data; you would need about n = 1,234" in text
    assert "0.800 0.680 0.120 0.050 to 0.200 .004 .008 0.100 \u2013 90 10 missing" in text
    assert "1,234" in text
    assert "Only the 100 common &lt;items&gt;." in text
    assert "Holm" in text
    assert "p = .008" in text  # beside its line of the plot


def test_where_less_is_better_the_plot_is_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    from trueline.reports import charts

    seen: dict[str, Any] = {}
    plain = charts.forest

    def forest(names: Any, value: Any, low: Any, high: Any, **options: Any) -> Any:
        seen.update(names=names, value=list(value), low=list(low), high=list(high))
        return plain(names, value, low, high, **options)

    monkeypatch.setattr(charts, "forest", forest)
    render_comparison(document(entry(), UNTOLD))
    assert seen["value"] == [0.12, 0.01]
    assert seen["low"] == [0.05, -0.02]
    assert seen["high"] == [0.2, 0.03]


def test_undefined_differences_and_hostile_names_are_text() -> None:
    nothing = entry(
        value=None, low=None, high=None, p=None, p_adjusted=None, first_value=None, second_value=None, detectable=None, better=None
    )
    nothing |= {"estimator": "<script>\u202e", "reason": "only one <class>", "conclusion": "undefined: only one <class>"}
    html = render_comparison(document(nothing, runs=[]))
    assert "<script>" not in html
    assert "\u202e" not in html
    assert "Nothing is shown to differ" in html
    assert "undefined: only one &lt;class&gt;" in html
    assert "nan" not in words(html).lower().split()


def test_a_directory_takes_the_file(tmp_path: Path) -> None:
    assert write_comparison(document(entry()), tmp_path) == tmp_path / "comparison.html"
    assert (tmp_path / "comparison.html").stat().st_size > 5000


@pytest.mark.skipif(browser.find() is None and not os.environ.get("CI"), reason="no Chromium is installed (on CI its absence is an error)")
def test_the_page_fits_a_phone_and_asks_for_nothing(tmp_path: Path) -> None:
    binary = browser.find()
    assert binary is not None, "CI needs a Chromium for this test"
    page = write_comparison(document(entry(), UNTOLD, entry(estimator="x" * 300)), tmp_path / "c.html")
    with browser.Browser(binary, tmp_path / "profile") as tab:
        for width, dark in ((1280, False), (390, True)):
            tab.open(page, width=width, dark=dark)
            assert tab.requests == [page.resolve().as_uri()]
            assert tab.messages == []
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert tab.evaluate("document.querySelectorAll('figure svg[role=img]').length") == 1
