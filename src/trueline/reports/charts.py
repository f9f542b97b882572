"""One function a chart: arrays in, an Altair chart out; `render` turns a chart into inline SVG that follows the page's colours.

Colours in the charts are stand-ins. `render` replaces them by ``currentColor`` and by CSS variables of the page, so that one SVG serves
light, dark and print. Hues are those of Okabe and Ito, told apart by every common form of colour vision; lines differ in dash as well.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.reports.html import Html, el, plain

Floats = NDArray[np.float64]

# stand-in -> what the page says
_INK, _FAINT, _GRID = "#010101", "#020202", "#030303"
_SERIES = tuple(f"#0500{i:02x}" for i in range(1, 7))
_PAGE = {_INK: "currentColor", _FAINT: "var(--faint)", _GRID: "var(--grid)"} | {c: f"var(--s{i})" for i, c in enumerate(_SERIES, start=1)}
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3])
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")

_TAGS = frozenset({"svg", "g", "path", "text", "tspan", "rect", "line", "circle", "clipPath", "defs"})
_ATTRIBUTES = {
    *("viewBox", "width", "height", "transform", "d", "x", "y", "x1", "y1", "x2", "y2", "r", "cx", "cy", "dx", "dy", "clip-path", "id"),
    *("fill", "stroke", "opacity", "fill-opacity", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-linecap"),
    *("stroke-miterlimit", "text-anchor", "dominant-baseline", "font-size", "font-weight", "font-style", "display"),
}
_NUMBER = re.compile(r"-?\d+\.\d{3,}")


_CONFIG = {
    "background": "transparent",
    "padding": 4,
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "gridColor": _GRID,
        "domainColor": _FAINT,
        "tickColor": _FAINT,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
}


@dataclass(frozen=True)
class Curve:
    """A named curve with a band. x, y, low, high: (n_points,) float64; NaN ends where there is no band."""

    name: str
    x: Floats
    y: Floats
    low: Floats
    high: Floats


def curve(name: str, x: Any, y: Any, low: Any = None, high: Any = None, *, cap: int = 160) -> Curve:
    """Return a curve thinned to at most ``cap`` points (first and last kept); missing bands become NaN."""
    xs = np.asarray(x, dtype=np.float64)
    columns = [
        xs if part is None and k == 0 else np.full(len(xs), np.nan) if part is None else np.asarray(part, dtype=np.float64)
        for k, part in enumerate((x, y, low, high))
    ]
    keep = np.unique(np.linspace(0, len(xs) - 1, min(cap, len(xs))).round().astype(np.int64)) if len(xs) else np.zeros(0, dtype=np.int64)
    return Curve(name, *(column[keep] for column in columns))


def _alt() -> Any:
    import altair

    return altair


def _rows(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    rows = []
    for c in curves:
        for x, y, low, high in zip(c.x, c.y, c.low, c.high, strict=True):
            if np.isfinite(x) and np.isfinite(y):
                rows.append({"x": _round(x), "y": _round(y), "low": _round(low), "high": _round(high), "series": plain(c.name)})
    return rows


def _round(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None


def _by_series(channel: str, names: Sequence[str], values: Sequence[Any]) -> Any:
    """An encoding of the series by colour, dash or shape. The key is HTML above the chart (`key`): it wraps on a phone."""
    alt = _alt()
    labels = [plain(n) for n in names]
    return getattr(alt, channel)("series:N", sort=labels, scale=alt.Scale(domain=labels, range=list(values[: len(labels)])), legend=None)


def _axis(title: str, **options: Any) -> Any:
    return _alt().Axis(title=title, labelFlush=False, **options)


def _data(rows: list[dict[str, Any]]) -> Any:
    alt = _alt()
    return alt.Data(values=rows)


def curves(
    lines: Sequence[Curve],
    *,
    x: str,
    y: str,
    x_domain: tuple[float, float] = (0, 1),
    y_domain: tuple[float, float] | None = (0, 1),
    chance: Sequence[tuple[float, float]] | None = None,
    percent: bool = True,
    step: bool = False,
    whole: bool = False,
) -> Any:
    """Lines with bands: ROC, risk-coverage, or any other curve of one variable.

    chance: points of a reference line. whole: x takes whole numbers alone, and only those are ticked.
    """
    alt = _alt()
    names = [c.name for c in lines]
    data = _data(_rows(lines))
    mark = {"format": "%"} if percent else {}
    ticks = {"values": list(range(int(x_domain[0]), int(x_domain[1]) + 1))} if whole and x_domain[1] <= 12 else {"tickCount": 5}
    interpolate = "step-after" if step else "linear"
    x_code = alt.X("x:Q", scale=alt.Scale(domain=list(x_domain), nice=False), axis=_axis(x, **ticks, **mark))
    scale = alt.Scale(domain=list(y_domain), nice=False) if y_domain else alt.Scale(zero=True)
    y_code = alt.Y("y:Q", scale=scale, axis=_axis(y, tickCount=5, **mark))
    band = alt.Chart(data).mark_area(opacity=0.13, interpolate=interpolate, clip=True)
    band = band.encode(
        x=x_code, y=alt.Y("low:Q", scale=scale, axis=_axis(y, tickCount=5, **mark)), y2="high:Q", color=_by_series("Color", names, _SERIES)
    )
    line = alt.Chart(data).mark_line(strokeWidth=1.8, interpolate=interpolate, clip=True)
    line = line.encode(x=x_code, y=y_code, color=_by_series("Color", names, _SERIES), strokeDash=_by_series("StrokeDash", names, _DASHES))
    layers = [band, line]
    if chance is not None:
        layers.insert(0, _reference(chance, x_code, y_code))
    return alt.layer(*layers).properties(width=300, height=240)


def _reference(points: Sequence[tuple[float, float]], x: Any = "x:Q", y: Any = "y:Q") -> Any:
    """A dashed line; ``x`` and ``y`` are the axes that it shares."""
    alt = _alt()
    data = _data([{"x": float(a), "y": float(b)} for a, b in points])
    return alt.Chart(data).mark_line(color=_FAINT, strokeDash=[3, 3], strokeWidth=1).encode(x=x, y=y)


def reliability(bins: Curve, counts: Any, smooth: Curve, *, x: str = "confidence") -> Any:
    """Reliability diagram: share right against mean confidence of each bin with its interval, and a smooth curve with its band.

    The area of a dot shows how many items its bin holds.
    """
    alt = _alt()
    rows = _rows([bins])
    finite = np.isfinite(bins.x) & np.isfinite(bins.y)
    for row, count in zip(rows, np.asarray(counts, dtype=np.float64)[finite], strict=True):
        row["n"] = float(count)
    unit = alt.Scale(domain=[0, 1], nice=False)
    data = _data(rows)
    x_code = alt.X("x:Q", scale=unit, axis=_axis(x, tickCount=5, format="%"))
    whisker = alt.Chart(data).mark_rule(color=_SERIES[0], strokeWidth=1.5)
    whisker = whisker.encode(x=x_code, y=alt.Y("low:Q", scale=unit, axis=_axis("share right", tickCount=5, format="%")), y2="high:Q")
    near = _data(_rows([smooth]))
    band = alt.Chart(near).mark_area(color=_SERIES[1], opacity=0.16, clip=True).encode(x="x:Q", y=alt.Y("low:Q", scale=unit), y2="high:Q")
    line = alt.Chart(near).mark_line(color=_SERIES[1], strokeWidth=1.8, clip=True).encode(x="x:Q", y=alt.Y("y:Q", scale=unit))
    size = alt.Size("n:Q", scale=alt.Scale(range=[25, 220], zero=True), legend=None)
    dot = alt.Chart(data).mark_point(color=_SERIES[0], filled=True, opacity=1).encode(x=x_code, y="y:Q", size=size)
    return alt.layer(_reference([(0, 0), (1, 1)]), band, line, whisker, dot).properties(width=260, height=260)


def histogram(counts: Sequence[int], *, x: str, y: str) -> Any:
    """Counts in equal bins of [0, 1]."""
    alt = _alt()
    edges = np.linspace(0, 1, len(counts) + 1)
    data = _data([{"low": _round(a), "high": _round(b), "n": int(n)} for a, b, n in zip(edges, edges[1:], counts, strict=False)])
    x_code = alt.X("low:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=_axis(x, tickCount=5, format="%"))
    bars = alt.Chart(data).mark_rect(color=_SERIES[0], opacity=0.75)
    zero = alt.Y("n:Q", scale=alt.Scale(zero=True), axis=_axis(y, tickCount=5))
    return bars.encode(x=x_code, x2="high:Q", y=zero, y2=alt.datum(0)).properties(width=260, height=230)


def forest(names: Sequence[str], value: Any, low: Any, high: Any, *, title: str, mark: float | None = None) -> Any:
    """Values with their intervals, one row an estimator in the given order. ``mark``: a vertical line, such as chance."""
    alt = _alt()
    labels = [plain(n) for n in names]
    columns = zip(labels, np.asarray(value, float), np.asarray(low, float), np.asarray(high, float), strict=True)
    rows = [{"name": n, "y": _round(v), "low": _round(a), "high": _round(b)} for n, v, a, b in columns if np.isfinite(v)]
    order = [row["name"] for row in rows]
    y_code = alt.Y("name:N", sort=order, axis=alt.Axis(title=None, labelLimit=190, ticks=False, domain=False, labelPadding=8))
    x_axis = alt.X("low:Q", scale=alt.Scale(zero=False, nice=True), axis=_axis(title, tickCount=5))
    data = _data(rows)
    rule = alt.Chart(data).mark_rule(color=_SERIES[0], strokeWidth=2, opacity=0.55).encode(y=y_code, x=x_axis, x2="high:Q")
    dot = alt.Chart(data).mark_point(color=_SERIES[0], filled=True, size=48, opacity=1).encode(y=y_code, x="y:Q")
    layers = [rule, dot]
    if mark is not None:
        layers.insert(0, alt.Chart(_data([{"x": mark}])).mark_rule(color=_FAINT, strokeDash=[3, 3]).encode(x="x:Q"))
    return alt.layer(*layers).properties(width=250, height={"step": 20})


def strata(points: Sequence[Curve], labels: Sequence[str], *, x: str, y: str, percent: bool) -> Any:
    """Several quantities with intervals in each of a few ordered strata; curve ``x`` holds the position in ``labels``."""
    alt = _alt()
    names = [c.name for c in points]
    rows = _rows(points)
    for row in rows:
        row["stratum"] = plain(labels[round(row["x"])])
    data = _data(rows)
    shift = alt.XOffset("series:N", sort=[plain(n) for n in names], scale=alt.Scale(paddingOuter=0.35))
    x_code = alt.X(
        "stratum:N", sort=[plain(label) for label in labels], axis=_axis(x, grid=False, labelAngle=0), scale=alt.Scale(paddingInner=0.3)
    )
    unit = alt.Scale(domain=[0, 1], nice=False)
    rule = alt.Chart(data).mark_rule(strokeWidth=2, opacity=0.55)
    rule = rule.encode(
        x=x_code,
        xOffset=shift,
        y=alt.Y("low:Q", scale=unit, axis=_axis(y, tickCount=5, **({"format": "%"} if percent else {}))),
        y2="high:Q",
        color=_by_series("Color", names, _SERIES),
    )
    dot = alt.Chart(data).mark_point(filled=True, size=60, opacity=1)
    dot = dot.encode(x=x_code, xOffset=shift, y="y:Q", color=_by_series("Color", names, _SERIES), shape=_by_series("Shape", names, _SHAPES))
    return alt.layer(rule, dot).properties(width=260, height=230)


def scatter(x: Any, y: Any, means: Curve | None, *, x_title: str, y_title: str) -> Any:
    """Single items as faint dots, and means of bins with intervals on top."""
    alt = _alt()
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    keep = np.isfinite(xs) & np.isfinite(ys)
    data = _data([{"x": _round(a), "y": _round(b)} for a, b in zip(xs[keep], ys[keep], strict=True)])
    x_code = alt.X("x:Q", scale=alt.Scale(nice=True, zero=False), axis=_axis(x_title, tickCount=5))
    y_code = alt.Y("y:Q", scale=alt.Scale(nice=True, zero=False), axis=_axis(y_title, tickCount=5))
    layers = [alt.Chart(data).mark_point(color=_SERIES[4], filled=True, size=14, opacity=0.4).encode(x=x_code, y=y_code)]
    if means is not None:
        binned = _data(_rows([means]))
        layers.append(alt.Chart(binned).mark_rule(color=_SERIES[0], strokeWidth=2).encode(x="x:Q", y="low:Q", y2="high:Q"))
        layers.append(alt.Chart(binned).mark_point(color=_SERIES[0], filled=True, size=60, opacity=1).encode(x="x:Q", y="y:Q"))
    return alt.layer(*layers).properties(width=260, height=230)


def heatmap(rows: Sequence[str], columns: Sequence[str], values: Any, *, domain: tuple[float, float], numbers: bool = True) -> Any:
    """A table of numbers as shades, the darkest at the top of ``domain``; (n_rows, n_columns) float64, a NaN stays an empty cell."""
    alt = _alt()
    table = np.asarray(values, dtype=np.float64)
    down, across = [plain(n) for n in rows], [plain(n) for n in columns]
    cells = [
        {"row": down[i], "column": across[j], "value": round(float(table[i, j]), 3), "text": f"{table[i, j]:.2f}".replace("0.", ".", 1)}
        for i, j in np.argwhere(np.isfinite(table))
    ]
    base = alt.Chart(_data(cells)).encode(
        x=alt.X(
            "column:N", sort=across, scale=alt.Scale(domain=across), axis=_axis("", labelAngle=-60, orient="top", ticks=False, domain=False)
        ),
        y=alt.Y("row:N", sort=down, scale=alt.Scale(domain=down), axis=_axis("", ticks=False, domain=False, labelLimit=190)),
    )
    shade = alt.Opacity("value:Q", scale=alt.Scale(domain=list(domain), range=[0.05, 0.75], clamp=True), legend=None)
    layers = [base.mark_rect(color=_SERIES[0]).encode(opacity=shade)]
    if numbers:
        layers.append(base.mark_text(color=_INK, fontSize=9).encode(text="text:N"))
    return alt.layer(*layers).properties(width={"step": 26}, height={"step": 20})


def render(chart: Any, *, label: str, prefix: str) -> Html:
    """Return a chart as inline SVG with an accessible name; ``prefix`` keeps its ids apart from those of other charts on the page."""
    import vl_convert

    # the configuration goes in after Altair is done: each of its own ``configure`` steps would copy all the data
    spec = chart.to_dict(validate=False) | {"config": _CONFIG}
    root = ET.fromstring(vl_convert.vegalite_to_svg(spec))
    _clean(root, _Ids(prefix))
    width = root.get("width", "400")
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.attrib |= {"role": "img", "aria-label": plain(label), "style": f"max-width:{float(width) * 1.12:.0f}px"}
    return Html(ET.tostring(root, encoding="unicode"))


class _Ids:
    """Own ids in order of appearance: the renderer counts on from chart to chart, so its own would differ between reports."""

    def __init__(self, prefix: str) -> None:
        self.prefix = re.sub(r"[^A-Za-z0-9_-]", "-", prefix)
        self.known: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        return self.known.setdefault(name, f"{self.prefix}-{len(self.known)}")


def _clean(node: ET.Element, own: _Ids) -> None:
    """Keep drawing alone: known elements and attributes, short numbers, the page's colours, own ids."""
    node.tag = node.tag.rpartition("}")[2]
    for name, value in list(node.attrib.items()):
        if name not in _ATTRIBUTES:
            del node.attrib[name]
        elif name in ("fill", "stroke"):
            node.attrib[name] = _PAGE.get(value, value)
        elif name == "id":
            node.attrib[name] = own(value)
        elif name == "clip-path":
            node.attrib[name] = f"url(#{own(value.removeprefix('url(#').removesuffix(')'))})"
        else:
            node.attrib[name] = _NUMBER.sub(lambda m: f"{float(m.group()):.2f}".rstrip("0").rstrip("."), value)
    for child in list(node):
        empty_path = child.tag.endswith("path") and not child.get("d")
        if child.tag.rpartition("}")[2] not in _TAGS or child.get("display") == "none" or empty_path:
            node.remove(child)
        else:
            _clean(child, own)


def key(names: Sequence[str], *, shapes: bool = False) -> Html:
    """Return the key of a chart of several series: a short line in the colour and dash of each, or its mark."""
    entries = []
    for i, name in enumerate(names):
        colour = f"var(--s{i + 1})"
        dash = " ".join(str(d) for d in _DASHES[i]) if _DASHES[i] != [1, 0] else None
        line = el("line", x1="1", y1="5", x2="27", y2="5", stroke=colour, stroke_width="2.2", stroke_dasharray=dash)
        mark = _MARKS[i](colour) if shapes else line
        entries.append(el("li", el("svg", mark, viewBox="0 0 28 10", width="28", height="10", aria_hidden="true"), el("code", plain(name))))
    return el("ul", *entries, cls="key")


def _polygon(points: str) -> Any:
    return lambda colour: el("path", d=f"M{points}Z", fill=colour)


#: The shapes of ``_SHAPES`` as they stand in a key.
_MARKS = (
    lambda colour: el("circle", cx="14", cy="5", r="4", fill=colour),
    _polygon("10,1H18V9H10"),
    _polygon("14,1L18.5,9H9.5"),
    _polygon("14,0L18,5L14,10L10,5"),
    _polygon("12.7,1H15.3V3.7H18V6.3H15.3V9H12.7V6.3H10V3.7H12.7"),
    _polygon("9.5,1H18.5L14,9"),
)


def figure(chart: Any, *, label: str, prefix: str, caption: object, above: Html | None = None) -> Html:
    """Return a chart with its key above and its caption below."""
    return el("figure", above or el("div"), render(chart, label=label, prefix=prefix), el("figcaption", caption))
