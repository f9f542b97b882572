"""Reading one answer: the class of its marker, where the answer begins, its probability and entropy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.audits.marker_reading import read_emitted
from trueline.tasks.markers import Marker, load_markers

MARKERS = load_markers()


@pytest.mark.parametrize(
    ("text", "kind", "answer"),
    [
        ("I think it is Oslo", "weakener", "Oslo"),
        (" I am sure it is  Oslo.", "strengthener", "Oslo."),
        ("Oslo", "none", "Oslo"),
        ("It is Oslo", "none", "Oslo"),
        ("i THINK it is Oslo", "weakener", "Oslo"),
        ("She thought it was Oslo", "weakener", "Oslo"),
        ("I'm not sure, but it could be Oslo", "weakener", "could be Oslo"),
        ("Surely: Oslo", "strengthener", "Oslo"),
        ("Oslo, I think", "weakener", "Oslo"),
        ("The answer is probably Oslo", "none", "The answer is probably Oslo"),  # not of the shipped list
        ("", "none", ""),
        ("I think it is", "weakener", ""),
        ("I think it isn't Oslo", "weakener", "isn't Oslo"),
    ],
)
def test_marker_and_answer(text: str, kind: str, answer: str) -> None:
    found = read_emitted(text, MARKERS)
    assert (found.kind, found.answer) == (kind, answer)
    assert math.isnan(found.probability)


def test_only_the_answers_own_tokens_count() -> None:
    texts = [" I", " think", " it", " is", " Os", "lo", ""]
    logs = [-0.5, -0.1, -0.1, -0.1, -0.7, -0.2, -3.0]
    law = np.log([0.5, 0.25, 0.25])
    topk = [list(np.log([0.9, 0.1])), *[[-0.1]] * 3, list(law), [-0.1], [-0.1]]
    found = read_emitted("I think it is Oslo", MARKERS, token_texts=texts, token_logprobs=logs, topk_logprobs=topk)
    assert found.probability == pytest.approx(math.exp(-0.9))
    assert found.entropy == pytest.approx(1.5 * math.log(2))


def test_tokens_that_are_not_of_the_text_give_nothing() -> None:
    assert math.isnan(read_emitted("Oslo", MARKERS, token_texts=["Ro"], token_logprobs=[-0.1]).probability)
    assert math.isnan(read_emitted("Oslo", MARKERS, token_texts=["Os", "lo"], token_logprobs=[-0.1]).probability)


def test_markers_of_other_languages_are_found_word_for_word() -> None:
    found = read_emitted("Ich glaube, es ist Oslo", [Marker("Ich glaube, es ist", "weakener")])
    assert (found.kind, found.answer) == ("weakener", "Oslo")


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    found = read_emitted(text, MARKERS, token_texts=list(text), token_logprobs=[-0.1] * len(text))
    assert found.kind in ("weakener", "strengthener", "none")
    assert found.answer in text
