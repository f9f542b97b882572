"""The recogniser of markers: inflections, contractions, negation, and what is no marker."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.tasks.marker_tags import strongest, tag_markers
from trueline.tasks.markers import Marker, load_markers

#: Beginnings of a list's markers in other tenses, numbers and persons.
CHANGES = {
    "I think": ["she thinks", "they thought", "we are thinking", "he had thought"],
    "I believe": ["he believes", "we believed", "they were believing"],
    "I suspect": ["she suspects", "we suspected", "they had suspected"],
    "I would guess": ["she'd guess", "they would guess", "we would have guessed"],
    "I am inclined to say": ["he was inclined to say", "they're inclined to say"],
    "I am sure": ["he was sure", "they're quite sure", "we were sure", "she is very sure"],
    "I am positive": ["she was positive", "we're positive"],
    "I have no doubt": ["they had no doubt", "he has no doubt at all"],
    "I know": ["she knew", "they know", "it was known", "everybody knows"],
    "I realise": ["he realised", "they realize", "she was realizing"],
    "We understand": ["he understood", "they understand", "I am understanding"],
    "I would bet everything": ["she'd bet everything", "they would bet everything"],
    "The evidence proves": ["the evidence proved", "evidence has proven", "all the evidence proves"],
    "Several studies have shown": ["a study has shown", "studies had shown", "many studies have shown"],
    "The official record confirms": ["official records confirmed", "the official records confirm"],
    "The handbook establishes": ["handbooks established", "the handbook had established"],
    "Our measurements demonstrate": ["a measurement demonstrated", "their measurements were demonstrating"],
    "As the manual states,": ["the manuals stated", "as the manual stated,"],
    "Somebody told me": ["someone tells us", "they told him", "somebody had told her"],
    "I once heard": ["she once heard", "we once hear"],
    "A web page says": ["web pages said", "the web page says"],
    "An online forum claims": ["online forums claimed", "an online forum was claiming"],
    "Wikipedia reports": ["Wikipedia reported", "Wikipedia was reporting"],
    "The encyclopedia suggests": ["encyclopedias suggested", "the encyclopedia is suggesting"],
    "I read in an article": ["she read in articles", "they were reading in an article"],
    "I saw on a website": ["he has seen on websites", "they see on the website"],
    "From what I recall": ["from what she recalled", "from what we recall"],
    "If memory serves": ["if memory served", "if the memory serves"],
    "I am not sure,": ["she wasn't sure,", "they are not really sure,", "he isn't sure,"],
    "I have some doubt,": ["we had some doubts,", "she has some doubt,"],
    "It has to be": ["it had to be", "they have to be"],
    "There is a fair chance": ["there was a fair chance", "fair chances are"],
}
PLAIN = (
    "the ship left the harbour at noon", "Oslo is the capital of Norway", "he reads two books a week", "they live in a small house",
    "water boils at a hundred degrees", "the report came on Monday", "she likes long articles", "we went to the web shop",
    "the official opened the door", "it was cold and the record player broke", "a page fell out of the handbook", "he said nothing",
)  # fmt: skip


def sentences(n: int = 200) -> list[tuple[str, str]]:
    """Half of them hold a changed marker, the others none."""
    rng = np.random.default_rng(0)
    kinds = {m.marker: m.certainty for m in load_markers()}
    out = []
    for k in range(n):
        plain = PLAIN[int(rng.integers(len(PLAIN)))]
        if k % 2:
            out.append((f"{plain.capitalize()}, and {PLAIN[int(rng.integers(len(PLAIN)))]}.", "none"))
            continue
        start = list(CHANGES)[int(rng.integers(len(CHANGES)))]
        kind = next(c for m, c in kinds.items() if m.startswith(start))
        changed = CHANGES[start][int(rng.integers(len(CHANGES[start])))]
        forms = (f"{changed} it was Oslo, and {plain}", f"after that, {changed} that {plain}", f"{plain}, {changed}")
        out.append((forms[int(rng.integers(3))].capitalize() + ".", kind))
    return out


def test_changed_markers_are_recognised() -> None:
    labelled = sentences()
    said = [strongest(tag_markers(text)) for text, _ in labelled]
    scores = {}
    for kind in ("weakener", "strengthener"):
        hit = sum(a == b == kind for a, (_, b) in zip(said, labelled, strict=True))
        claimed, there = said.count(kind), sum(b == kind for _, b in labelled)
        scores[kind] = 2 * hit / (claimed + there)
    print(scores, [(a, b, text) for a, (text, b) in zip(said, labelled, strict=True) if a != b])
    assert min(scores.values()) >= 0.9


def test_every_marker_of_the_list_has_its_class() -> None:
    for marker in load_markers():
        assert strongest(tag_markers(f"{marker.marker} Oslo.")) == marker.certainty, marker.marker


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("She thought it was Oslo, but she wasn't sure.", [("thought", -1), ("n't sure", -1)]),
        ("I don't know.", [("n't know", -1)]),
        ("It is not certainly Oslo.", [("not certainly", -1)]),
        ("I\u2019m sure. Maybe not.", [("sure", 1), ("Maybe", -1)]),
        ("I like Oslo.", []),
        ("", []),
    ],
)
def test_places_and_negation(text: str, found: list[tuple[str, int]]) -> None:
    spans = tag_markers(text)
    assert [(s.text, s.certainty) for s in spans] == found
    assert all(text[s.start : s.end] == s.text for s in spans)


def test_other_languages_word_for_word() -> None:
    spans = tag_markers("Ich glaube, es ist Oslo.", [Marker("Ich glaube, es ist", "weakener")])
    assert [(s.text, s.certainty) for s in spans] == [("Ich glaube, es ist", -1)]


@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    spans = tag_markers(text)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(text[s.start : s.end] == s.text for s in spans)
