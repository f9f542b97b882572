"""Escaping: whatever a model wrote is shown as it is and does nothing."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.reports.html import Html, el, is_hidden, join, page, plain, quote, table, visible


class Text(HTMLParser):
    """Collects the tags and the text that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_script_is_shown_and_not_a_script() -> None:
    shown = Text(quote("<script>alert('x')</script>&amp;", 1000))
    assert shown.tags == ["bdi"]
    assert shown.text == "<script>alert('x')</script>&amp;"


def test_children_and_attributes_are_escaped_but_html_is_kept() -> None:
    made = el("p", "<b>", Html("<i></i>"), None, title='"><script>', cls="a", hidden=None, open=True)
    assert made == '<p class="a" title="&quot;&gt;&lt;script&gt;" open>&lt;b&gt;<i></i></p>'


@pytest.mark.parametrize(
    ("char", "name"),
    [
        ("\u202e", "RLO"),
        ("\x00", "NUL"),
        ("\x1b", "ESC"),
        ("\u2066", "U+2066"),
        ("\ufeff", "BOM"),
        ("\U000e0041", "U+E0041"),
        ("\r", "U+000D"),
    ],
)
def test_hidden_characters_become_visible(char: str, name: str) -> None:
    assert visible(f"a{char}b") == f'a<span class="ctl">{name}</span>b'
    assert plain(f"a{char}b") == f"a[{name}]b"


def test_what_scripts_need_is_left_alone() -> None:
    assert visible("שלום\nمی\u200cخواهم\t👩\u200d🔬") == "שלום\nمی\u200cخواهم\t👩\u200d🔬"
    assert visible("a\r\nb") == "a\nb"


def test_quoted_text_has_its_own_direction() -> None:
    assert quote("مرحبا", 100).startswith('<bdi class="quote" dir="auto">')


def test_long_text_is_cut_and_says_so() -> None:
    shown = quote("x" * 1_000_000, 2000)
    assert len(shown) < 2200
    assert "998,000 more characters left out" in shown


def test_a_lone_surrogate_can_be_written() -> None:
    assert "U+D800" in visible("\ud800")
    visible("\ud800").encode()


@given(st.text())
def test_any_text_is_only_text(raw: str) -> None:
    shown = visible(raw)
    seen = Text(shown)
    assert set(seen.tags) <= {"span"}
    assert "<" not in shown.replace('<span class="ctl">', "").replace("</span>", "")
    assert not any(is_hidden(c) for c in shown)
    shown.encode()
    if not any(is_hidden(c) for c in raw.replace("\r\n", "\n")):
        assert seen.text == raw.replace("\r\n", "\n")


def test_a_table_scrolls_by_itself_and_marks_numbers() -> None:
    made = table(["name", "n"], [["<a>", 3]], caption="Counts", numeric=1)
    assert made.startswith('<p class="caption">Counts</p><div class="scroll"')
    assert '<th scope="row">&lt;a&gt;</th><td class="num">3</td>' in made


def test_the_page_forbids_everything_from_outside() -> None:
    made = page("t<", join([el("p", "x")]))
    assert "default-src &#x27;none&#x27;; style-src &#x27;unsafe-inline&#x27;; img-src data:" in made
    assert "<title>t&lt;</title>" in made
    assert made.startswith("<!DOCTYPE html>")
