"""Charts: arrays in, clean inline SVG out."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from trueline.reports import charts
from trueline.reports.charts import curve

X = np.linspace(0, 1, 11)


def svg(chart: object) -> str:
    made = charts.render(chart, label="a <chart>", prefix="p1")
    ET.fromstring(made)  # well-formed
    return made


ALL = {
    "curves": lambda: charts.curves(
        [curve("a", X, X**2, X**2 - 0.1, X**2 + 0.1), curve("b<", X, X)], x="x", y="y", chance=[(0, 0), (1, 1)]
    ),
    "reliability": lambda: charts.reliability(
        curve("a", X, X, X - 0.1, X + 0.1), np.arange(11), curve("a", X, X**2, X**2 - 0.1, X**2 + 0.1)
    ),
    "forest": lambda: charts.forest(["a", "b"], [0.7, np.nan], [0.6, np.nan], [0.8, np.nan], title="AUROC", mark=0.5),
    "strata": lambda: charts.strata([curve("a", [0, 1], [0.2, 0.9], [0.1, 0.8], [0.3, 1])], ["0", "1 to 4"], x="x", y="y", percent=True),
    "scatter": lambda: charts.scatter(
        [0.1, np.nan, 0.5], [0.2, 0.3, 0.4], curve("m", [0.3], [0.3], [0.2], [0.4]), x_title="x", y_title="y"
    ),
}


@pytest.mark.parametrize("name", ALL)
def test_a_chart_follows_the_page_and_asks_for_nothing(name: str) -> None:
    made = svg(ALL[name]())
    assert 'aria-label="a &lt;chart&gt;"' in made
    assert 'role="img"' in made
    assert "currentColor" in made
    assert "var(--s1)" in made
    assert not re.search(r"href|xmlns|<style|<script|<image|\bon\w+=|font-family", made)
    assert not re.search(r"#0[0-9a-f]{5}", made), "a stand-in colour is left"
    assert set(re.findall(r"url\(#([^)]*)\)", made)) == set(re.findall(r'clipPath id="([^"]*)"', made))
    assert all(i.startswith("p1-") for i in re.findall(r' id="([^"]*)"', made))
    assert "viewBox" in made
    assert 'style="max-width:' in made


def test_a_band_is_drawn_only_where_there_is_one() -> None:
    with_band = svg(charts.curves([curve("a", X, X, X - 0.1, X + 0.1)], x="x", y="y"))
    without = svg(charts.curves([curve("a", X, X)], x="x", y="y"))
    longest = [max(len(d) for d in re.findall(r' d="([^"]*)"', made)) for made in (with_band, without)]
    assert longest[0] > 1.5 * longest[1]


def test_a_curve_is_thinned_and_keeps_its_ends() -> None:
    thinned = curve("a", np.arange(10_000.0), np.arange(10_000.0), cap=50)
    assert len(thinned.x) == 50
    assert (thinned.x[0], thinned.x[-1]) == (0, 9999)
    assert np.isnan(thinned.low).all()
    assert len(curve("a", [], []).x) == 0


def test_a_forest_leaves_out_what_has_no_value() -> None:
    made = svg(charts.forest(["kept", "gone"], [0.7, np.nan], [0.6, np.nan], [0.8, np.nan], title="AUROC"))
    assert ">kept<" in made
    assert ">gone<" not in made


def test_the_key_names_every_series_in_its_colour() -> None:
    made = charts.key(["a<", "b"], shapes=True)
    assert "a&lt;" in made
    assert "var(--s1)" in made
    assert "var(--s2)" in made
    assert charts.key(["a", "b"]).count("<line") == 2
