"""HTML from Python values: everything is escaped unless it already is HTML, and text of a model is shown, never run.

A report quotes text that somebody else wrote: a model's answers, a data set's questions. Two defences stand between that text and the
reader's browser: `el` escapes every child and attribute that is not `Html`, and the page carries a content security policy under which
neither a script nor a request to anywhere can happen.
"""

from __future__ import annotations

import html
import unicodedata
from importlib import resources

#: Nothing may be loaded or run; styles are inline, images (the empty icon) are data.
CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
#: Joiners that scripts and emoji need in order to be legible; every other format character is made visible.
_JOINERS = "\u200c\u200d"
_VOID = frozenset({"meta", "link", "br", "hr"})
_NAMES = {
    "\x00": "NUL",
    "\x1b": "ESC",
    "\x7f": "DEL",
    "\u200b": "ZWSP",
    "\u200e": "LRM",
    "\u200f": "RLM",
    "\u202d": "LRO",
    "\u202e": "RLO",
    "\ufeff": "BOM",
}


class Html(str):
    """A string that is HTML already; a plain ``str`` is text and gets escaped."""

    __slots__ = ()


def _name(char: str) -> str:
    return _NAMES.get(char, f"U+{ord(char):04X}")


def is_hidden(char: str) -> bool:
    """Whether a character has no shape of its own: controls, bidirectional overrides, zero-width marks, private or unassigned ones."""
    if char in "\n\t" or char in _JOINERS:
        return False
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def plain(text: object) -> str:
    """Return text with each hidden character written as ``[U+202E]``, for attributes, titles and chart labels."""
    return "".join(f"[{_name(c)}]" if is_hidden(c) else c for c in str(text))


def visible(text: object) -> Html:
    """Return text as HTML in which each hidden character is a small labelled box."""
    raw = str(text).replace("\r\n", "\n")
    if not any(is_hidden(c) for c in raw):
        return Html(html.escape(raw, quote=True))
    return Html("".join(f'<span class="ctl">{_name(c)}</span>' if is_hidden(c) else html.escape(c, quote=True) for c in raw))


def quote(text: object, limit: int, *, cls: str = "quote") -> Html:
    """Return foreign text in a block of its own direction, cut after ``limit`` characters with a note of how many are left out."""
    raw = "" if text is None else str(text)
    if not raw:
        return el("span", "(empty)", cls="faint")
    cut = raw[:limit]
    parts: list[object] = [el("bdi", visible(cut), cls=cls, dir="auto")]
    if len(raw) > limit:
        parts.append(el("span", f" \u2026 {len(raw) - limit:,} more characters left out", cls="faint"))
    return join(parts)


def el(tag: str, *children: object, cls: str | None = None, **attributes: object) -> Html:
    """Return one element.

    Children that are not `Html` are escaped; children and attributes that are None are left out; ``True`` makes a bare attribute.
    """
    given = {"class": cls, **attributes}
    parts = []
    for key, value in given.items():
        if value is None or value is False:
            continue
        name = key.rstrip("_").replace("_", "-")
        parts.append(f" {name}" if value is True else f' {name}="{html.escape(plain(value), quote=True)}"')
    start = f"<{tag}{''.join(parts)}>"
    return Html(start if tag in _VOID else f"{start}{join(children)}</{tag}>")


def join(children: object, separator: str = "") -> Html:
    """Return the children one after the other, escaped where they are not `Html`."""
    items = children if isinstance(children, list | tuple) else [children]
    return Html(separator.join(child if isinstance(child, Html) else visible(child) for child in items if child is not None))


def table(head: list[object], rows: list[list[object]], *, cls: str = "", caption: str | None = None, numeric: int | None = None) -> Html:
    """Return a table in a box that scrolls by itself.

    Columns from ``numeric`` on are set as numbers; the first cell of a row is its header.
    """

    def kind(i: int) -> str | None:
        return "num" if numeric is not None and i >= numeric else None

    header = el("tr", *[el("th", cell, scope="col", cls=kind(i)) for i, cell in enumerate(head)])
    body = []
    for row in rows:
        first = el("th", row[0], scope="row")
        body.append(el("tr", first, *[el("td", cell, cls=kind(i)) for i, cell in enumerate(row[1:], start=1)]))
    box = el("table", el("thead", header), el("tbody", *body), cls=cls or None)
    # the caption stands outside the scrolling box, so that it is never cut off on a phone
    above = None if caption is None else el("p", caption, cls="caption")
    return join([above, el("div", box, cls="scroll", tabindex="0", role="region", aria_label=caption or "table")])


def fold(summary: object, *children: object, opened: bool = False, cls: str | None = None) -> Html:
    """Return a folding section that works without a script."""
    return el("details", el("summary", summary), *children, cls=cls, open=opened)


def style() -> Html:
    """Return the style sheet of the package as a style element."""
    css = resources.files("trueline.reports").joinpath("style.css").read_text(encoding="utf-8")
    return Html(f"<style>\n{css}</style>")


def page(title: str, body: Html) -> str:
    """Return the whole document around a body."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=CSP),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="generator", content="trueline"),
        el("link", rel="icon", href="data:,"),
        el("title", plain(title)),
        style(),
    )
    return f"<!DOCTYPE html>\n{el('html', head, el('body', body), lang='en')}\n"
