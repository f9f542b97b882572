"""Reasoning and answer told apart: tags, labels, patterns, hostile text, and the tokens they lie in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.tasks.thinking import Tags, for_replies, load_splitter, token_spans


def parts(spec: str, text: str) -> tuple[str | None, str | None]:
    found = load_splitter(spec).split(text)
    return found.reasoning, found.answer


@pytest.mark.parametrize(
    ("spec", "text", "expected"),
    [
        ("think", "<think>a. b.</think> C ", ("a. b.", "C")),
        ("think", "<think>x</think>y</think>z", ("x</think>y", "z")),
        ("think", "a. b.</think> C", ("a. b.", "C")),  # the template wrote the opening tag
        ("think", "\n<think>\n\n</think>\n\nC", ("", "C")),
        ("think", "<think>a</think>", ("a", "")),
        ("think", "<think>open without an end", (None, None)),
        ("think", "no marker at all", (None, None)),
        ("auto", " no marker at all ", (None, "no marker at all")),
        ("auto", " <think>open without an end", (None, None)),
        ("auto", "<think>a</think> b", ("a", "b")),
        ("none", " <think>a</think> b", (None, "<think>a</think> b")),
        ("tags:[[,]]", "[[a]] b", ("a", "b")),
        ("cot", "Thought: it is. Answer: yes. Answer: no", ("it is. Answer: yes.", "no")),
        ("cot:So", "P was born in T. So red.", ("P was born in T.", "red.")),
        ("cot", "nothing labelled", (None, None)),
        (r"regex:(?P<reasoning>.*)\bSo (?P<answer>\w+)", "A is B. So red.", ("A is B.", "red")),
        (r"regex:(?P<reasoning>x)(?P<answer>y)", "nothing", (None, None)),
    ],
)
def test_splits(spec: str, text: str, expected: tuple[str | None, str | None]) -> None:
    assert parts(spec, text) == expected


@pytest.mark.parametrize(
    "spec", ["thinks", "tags:", "tags:<a>", "cot:", "regex:", "regex:(", "regex:(?P<answer>a)", "regex:(?P<reasoning>a)", "", "none:x"]
)
def test_refuses_what_is_no_way_to_split(spec: str) -> None:
    with pytest.raises(InputError, match="reasoning"):
        load_splitter(spec)


def test_a_pattern_that_never_ends_is_an_output_without_an_answer() -> None:
    splitter = load_splitter(r"regex:(?P<reasoning>(?:a|aa)+)b(?P<answer>c)")
    assert splitter.split("a" * 200).answer is None


@given(st.text(), st.text(alphabet=st.characters(exclude_characters="<")), st.booleans())
def test_any_text_is_split_at_the_last_closing_tag(reasoning: str, answer: str, opened: bool) -> None:
    text = f"{'<think>' if opened else ''}{reasoning}</think>{answer}"
    found = load_splitter("think").split(text)
    assert found.answer == answer.strip()
    assert text[found.start :].startswith(found.answer)
    assert text[slice(*found.inside)] == found.reasoning


def test_tokens_of_reasoning_and_answer() -> None:
    pieces = ["<th", "ink>", " a", " is", " b", ".", " </", "think>", " b", ".", ""]
    found = token_spans(pieces, Tags())
    assert found is not None
    assert pieces[slice(*found.reasoning)] == [" a", " is", " b", "."]
    assert found.answer_start == 8


def test_a_token_across_the_tag_counts_on_both_sides() -> None:
    found = token_spans(["<think>a", "b</think>c", "d"], Tags())
    assert found is not None
    assert found.reasoning == (0, 2)
    assert found.answer_start == 1


@pytest.mark.parametrize(
    ("pieces", "reasoning", "start"),
    [
        (["<think>", "</think>", "b"], (1, 1), 2),
        (["<think>", "a", "</think>", ""], (1, 2), 3),  # an empty answer: the token of the end alone
        (["<think>", "a", "</think>"], (1, 2), 3),
    ],
)
def test_empty_parts(pieces: list[str], reasoning: tuple[int, int], start: int) -> None:
    found = token_spans(pieces, Tags())
    assert found is not None
    assert (found.reasoning, found.answer_start) == (reasoning, start)


def test_tokens_that_do_not_show_the_tags() -> None:
    assert token_spans(["only", " answer"], Tags()) is None
    assert token_spans([], Tags()) is None


def test_replies_to_probes_are_split_at_tags_alone() -> None:
    assert for_replies(load_splitter("think")).split("Probability: 3").answer == "Probability: 3"
    assert for_replies(load_splitter("think")).split("<think>hm</think>Probability: 3").answer == "Probability: 3"
    assert for_replies(load_splitter("cot")).split("Answer: 3").answer == "Answer: 3"
