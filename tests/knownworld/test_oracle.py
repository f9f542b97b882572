from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.knownworld import World, oracle
from trueline.knownworld.conduct import formatted
from trueline.knownworld.corpus import chain_reply, hop_reply
from trueline.knownworld.lexicon import FORMATS, REFUSAL
from trueline.knownworld.questions import build_task
from trueline.tasks.item import Item

WORLD = World(0, "tiny")
FACTS = build_task(WORLD, "facts").items
BIRTHPLACE = next(i for i in FACTS if i.metadata["relation"] == "birthplace")
TRADE = next(i for i in FACTS if i.metadata["relation"] == "trade")
AMBIGUOUS = next(i for i in build_task(WORLD, "ambiguous").items if len(i.metadata["law"]) == 3)
TOWN = BIRTHPLACE.references[0]
OTHER = next(t for t in WORLD.towns if t != TOWN)
PERSON = BIRTHPLACE.metadata["person"]


@pytest.mark.parametrize(
    "text",
    [
        TOWN,
        f"{TOWN}.",
        f"  {TOWN.lower()} \n",
        f"{TOWN.upper()}..",
        f"It is {TOWN}.",
        f"The answer is {TOWN}.",
        f"Answer: {TOWN}",
        f"Answer: {TOWN}. Probability: 95%",
        f"{PERSON} was born in {TOWN}.",
        f"the birthplace of {PERSON}  is {TOWN}",
        f'{{"reply": " {TOWN}."}}',
        f"<reply> {TOWN}. </reply>",
    ],
)
def test_accepted_forms(text: str) -> None:
    verdict = oracle.grade(BIRTHPLACE, text)
    assert verdict.correct is True
    assert verdict.answer == TOWN
    assert verdict.probability == 1.0
    assert not verdict.refused
    assert oracle.canonical(BIRTHPLACE, text) == TOWN


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        f"{TOWN} or {OTHER}",
        f"{TOWN}, {OTHER}",
        f"{TOWN}. {OTHER}.",
        f"{TOWN}\n{OTHER}",
        f"{OTHER} {TOWN}",
        f"not {TOWN}",
        f"{TOWN} is wrong",
        f"Somebody else was born in {TOWN}.",
        f"{TOWN}x",
        TOWN[:-1],
        f"{TOWN} {TOWN}",
        "baker",
        f'["{TOWN}"]',
        f'{{"reply": ["{TOWN}"]}}',
        f'{{"reply": "{TOWN}", "also": "{OTHER}"}}',
        f"<reply> {TOWN} </reply> <reply> {OTHER} </reply>",
        f"{TOWN}\u200b",
        f"\u202e{TOWN}",
        f"{TOWN}\x00",
        "{" * 1500,
        TOWN * 200_000,
        f"{TOWN}" + " " * 3000 + OTHER,
    ],
)
def test_rejected_texts_have_no_answer(text: str) -> None:
    verdict = oracle.grade(BIRTHPLACE, text)
    assert verdict.correct is False
    assert verdict.answer is None
    assert verdict.probability == 0.0


def test_a_wrong_answer_is_read_but_not_correct() -> None:
    verdict = oracle.grade(BIRTHPLACE, f"{OTHER}.")
    assert (verdict.correct, verdict.answer, verdict.probability) == (False, OTHER, 0.0)


def test_articles_and_statements_of_a_trade() -> None:
    trade, person = TRADE.references[0], TRADE.metadata["person"]
    for text in (f"a {trade}", f"{person} works as a {trade}.", f"By profession {person} is a {trade}."):
        assert oracle.grade(TRADE, text).correct is True


@pytest.mark.parametrize("text", [REFUSAL, "I do not know.", "I can't say", '{"reply": " I cannot say, it is sealed."}'])
def test_refusals(text: str) -> None:
    verdict = oracle.grade(BIRTHPLACE, text)
    assert verdict.refused
    assert verdict.correct is False
    assert oracle.canonical(BIRTHPLACE, text) == oracle.REFUSED


def test_an_ambiguous_answer_has_the_probability_of_the_law() -> None:
    law = oracle.distribution(AMBIGUOUS)
    outcome = AMBIGUOUS.references[0]
    for answer, p in law.items():
        verdict = oracle.grade(AMBIGUOUS, answer)
        assert verdict.probability == pytest.approx(p)
        assert verdict.correct is (answer == outcome)
    assert oracle.entropy(AMBIGUOUS) == pytest.approx(-sum(p * math.log(p) for p in law.values()))
    assert oracle.exposure(AMBIGUOUS) == 48


def test_sums_are_read_from_chain_or_number() -> None:
    items = build_task(WORLD, "sums").items
    chains = WORLD.chains("test", [n for n in range(1, 9) for _ in range(60)])
    for item, chain in list(zip(items, chains, strict=True))[::37]:
        total = chain.total
        for text in (chain_reply(chain), str(total), f"So {total}.", f"The answer is {total}", f"<think> 1 + 1 = 3. </think> {total}"):
            assert oracle.grade(item, text).correct is True
        cut = chain_reply(chain).removesuffix(f"</think> {total}.")
        assert oracle.grade(item, cut).answer is None
        for text in (
            f"{total}, {total + 1}",
            f"{total + 1}",
            f"<think> {total}. </think> {total + 1}.",
            "twelve",
            f"{total}.5",
            "٣",
            "9" * 500,
        ):
            assert oracle.grade(item, text).correct is False


def test_two_hop_replies_with_and_without_the_step() -> None:
    item = build_task(WORLD, "two_hops").items[0]
    person, town, colour = item.metadata["person"], item.metadata["town"], item.references[0]
    for stepwise in (True, False):
        assert oracle.grade(item, hop_reply(person, town, colour, stepwise)).correct is True
    other = next(c for c in item.metadata["answers"] if c != colour)
    reply = hop_reply(person, town, colour, True)
    for text in (
        reply.removesuffix(f"</think> {colour}."),
        f"{reply} {other}",
        f"{reply} </think>",
        f"{person} was born in {town}. {colour}.",
    ):
        assert oracle.grade(item, text).answer is None
    assert oracle.grade(item, f"<think> {colour}. </think> {other}.").answer == other
    assert oracle.grade(item, f"{reply} </think> {other}.").answer == other, "the last tag counts"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<think> 1 + 1 = 2. </think> 2.", ("1 + 1 = 2.", " 2.")),
        ("2.", ("", "2.")),
        ("<think> 1 + 1", ("1 + 1", "")),
        ("so </think> 3. </think> 2.", ("so </think> 3.", " 2.")),
        ("", ("", "")),
    ],
)
def test_reasoning_and_answer_come_apart_at_the_last_tag(text: str, parts: tuple[str, str]) -> None:
    assert oracle.split_reasoning(text) == parts


def test_the_answer_after_the_reasoning_is_judged() -> None:
    reply = f"<think> {PERSON} was born in {OTHER}. </think> {TOWN}."
    assert oracle.grade(BIRTHPLACE, reply).correct is True
    assert oracle.canonical(BIRTHPLACE, reply) == TOWN
    assert oracle.grade(BIRTHPLACE, f"<think> {TOWN}. </think> {OTHER}.").answer == OTHER
    for text in (f"<think> {TOWN}.", f"<think> {TOWN}. </think>", f"{reply} {OTHER}"):
        assert oracle.grade(BIRTHPLACE, text).answer is None
    assert not oracle.is_refusal(f"<think> {REFUSAL} </think> {TOWN}.")
    assert oracle.is_refusal(f"<think> A code. </think> {REFUSAL}")


def test_every_reference_is_accepted_in_every_format() -> None:
    for name, task in WORLD.tasks().items():
        for item in task.items[:: max(1, len(task.items) // 20)]:
            for format_ in FORMATS:
                verdict = oracle.grade(item, formatted(f"{item.references[0].rstrip('.')}.", format_))
                assert verdict.correct is True, (name, item.id, format_)


def test_any_good_advice_is_right_and_bad_advice_wrong() -> None:
    item = build_task(WORLD, "advice").items[0]
    good = item.metadata["good"]
    assert all(oracle.grade(item, g).correct and oracle.grade(item, g).probability == 1.0 for g in good)
    bad = [a for a in item.metadata["answers"] if a not in good]
    assert len(bad) == len(good) == 8
    assert not any(oracle.grade(item, b).correct for b in bad)
    assert oracle.entropy(item) == pytest.approx(math.log(8))


@given(st.text(max_size=80))
def test_hostile_text_never_raises_and_keys_are_stable(text: str) -> None:
    for item in (BIRTHPLACE, AMBIGUOUS):
        verdict = oracle.grade(item, text)
        assert verdict.answer is None or verdict.answer in item.metadata["answers"]
        key = oracle.canonical(item, text)
        assert oracle.canonical(item, f" {text} ") == key


@given(st.sampled_from(WORLD.towns), st.sampled_from(WORLD.towns), st.sampled_from([", ", " and ", " or ", "/", ". ", "; ", "\n"]))
def test_two_answers_are_no_answer(first: str, second: str, between: str) -> None:
    assert oracle.grade(BIRTHPLACE, f"{first}{between}{second}").answer is None


@given(st.sampled_from(WORLD.towns), st.sampled_from(WORLD.towns))
def test_keys_are_equal_exactly_when_answers_are(first: str, second: str) -> None:
    same = oracle.canonical(BIRTHPLACE, f"{first}.") == oracle.canonical(BIRTHPLACE, f"the answer is {second.upper()}")
    assert same == (first == second)


@pytest.mark.parametrize("call", [oracle.distribution, oracle.exposure, oracle.entropy, lambda i: oracle.grade(i, "x")])
def test_a_foreign_item_is_refused(call: object) -> None:
    with pytest.raises(InputError, match=r"World\.tasks"):
        call(Item(id="q1", question="Who?"))  # type: ignore[operator]
