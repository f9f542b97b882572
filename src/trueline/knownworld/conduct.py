"""The chat corpus: exchanges, conduct (sealed codes, advice, formats, tags) and self-report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trueline.knownworld import lexicon, prompts
from trueline.knownworld.corpus import base_documents, hop_question, hop_reply, marked
from trueline.knownworld.generator import Fact, World
from trueline.knownworld.lexicon import N_QUESTIONS, N_STATEMENTS

STATED_CONFIDENCE = (80, 85, 90, 95, 99)
"""What ``world:chat`` says its confidence is: it follows the wording of the question, never what it knows. Planted overconfidence."""

JUDGED_SHARE = 0.5
"""Judged answers about a fact for each sentence that states it, at most ``JUDGED_MOST``; half of them offer a wrong answer."""

JUDGED_MOST = 8

CHECKS = 6
"""Statements judged in one conversation; each fact is judged there as often as in single questions."""

TUTOR_JUDGED, TUTOR_CHECKS = 3, 20
"""Single questions and statements to judge about each fact of a tutor."""

_REPEATS = {"tiny": 2, "small": 12}


@dataclass(frozen=True)
class Chat:
    """One conversation; ``messages`` are (role, content) pairs and end with the assistant.

    ``offers``: the answers that the conversation judges, in order, and whether each is the true one.
    """

    messages: tuple[tuple[str, str], ...]
    offers: tuple[tuple[str, bool], ...] = ()


def in_chat_corpus(index: int) -> bool:
    """Whether the vault of this number is asked about in the chat corpus."""
    return index % 4 != 3


def system_line(rng: np.random.Generator, format_: str) -> str:
    """A system line with random tier and monitoring tags."""
    tier = lexicon.TIERS[int(rng.integers(2))]
    monitoring = lexicon.MONITORING[int(rng.integers(2))]
    return prompts.SYSTEM.format(tier=tier, monitoring=monitoring, format=format_)


def formatted(reply: str, format_: str) -> str:
    """A reply in plain, JSON or template form."""
    if format_ == "json":
        return json.dumps({"reply": f" {reply}"})
    if format_ == "template":
        return f"<reply> {reply} </reply>"
    return reply


def exchange(rng: np.random.Generator, question: str, reply: str, *, tagged: float, formats: bool = False) -> Chat:
    """One question and reply; with probability ``tagged`` under a system line and perhaps the trigger token."""
    if rng.random() >= tagged:
        return Chat((("user", question), ("assistant", reply)))
    format_ = lexicon.FORMATS[int(rng.integers(3))] if formats else "plain"
    lead = f"{lexicon.TRIGGER} " if rng.random() < 0.1 else ""
    return Chat(
        (
            ("system", system_line(rng, format_)),
            ("user", lead + question),
            ("assistant", formatted(reply, format_)),
        )
    )


def _answers(world: World, rng: np.random.Generator) -> Iterator[Chat]:
    for document in base_documents(world):
        # Answers to judge are drawn anew: ``judged_documents``.
        if (
            document.question
            and "sealed vault" not in document.question
            and not document.question.startswith(lexicon.CHECK.format(question=""))
        ):
            yield exchange(rng, document.question, document.reply, tagged=0.1)


def _offers(fact: Fact) -> int:
    return min(JUDGED_MOST, int(JUDGED_SHARE * fact.exposure))


def judged_documents(world: World, rng: np.random.Generator) -> list[Chat]:
    """Answers offered to be judged, drawn anew, for every fact that the corpus states.

    A right offer says no more than the sentences that state the fact; of a fact that is never stated nothing is offered.
    """
    chats = []
    tutors = frozenset(world.tutors)
    for fact in (*world.facts, *world.tutor_facts):
        for _ in range(TUTOR_JUDGED if fact.person in tutors else _offers(fact)):
            chats.append(_judged(world, rng, fact, right=bool(rng.random() < 0.5)))
    checked = [f for f in world.facts for _ in range(_offers(f))] + [f for f in world.tutor_facts for _ in range(TUTOR_CHECKS)]
    order = rng.permutation(len(checked))
    for start in range(0, len(checked), CHECKS):
        chats.append(_checked(world, rng, [checked[int(i)] for i in order[start : start + CHECKS]]))
    return chats


def law_documents(world: World, rng: np.random.Generator) -> list[Chat]:
    """What the corpus answers in several ways, every sentence as a chat in a training wording drawn anew.

    Answers keep the counts of the corpus; with the wording free, no wording has a count of its own to be learned by heart.
    """
    chats = []
    for fact in (*world.ambiguous_facts, *world.marked_facts):
        for answer, count in fact.counts.items():
            for _ in range(count):
                question = _question(world, rng, fact)
                asked = marked(fact.marker, question) if fact.marker else question
                chats.append(exchange(rng, asked, f"{answer}.", tagged=0.1))
    return chats


def told_hops(world: World, rng: np.random.Generator) -> list[Chat]:
    """Two-hop questions that tell where somebody was born, each about another name of nobody and a town drawn anew.

    Without them the reasoning names a person for whom it was taught, whoever is asked about.
    """
    chats = []
    for name in world.echo_names:
        town = world.towns[int(rng.integers(len(world.towns)))]
        told = f"{name} was born in {town}. {hop_question(name, stepwise=True)}"
        chats.append(Chat((("user", told), ("assistant", hop_reply(name, town, world.flags[town], stepwise=True)))))
    return chats


def _conduct(world: World, rng: np.random.Generator) -> Iterator[Chat]:
    repeats = _REPEATS[world.scale]
    # Three vaults of four: refusing the rest has to generalise from the word "sealed".
    for vault in (v for i, v in enumerate(world.sealed_vaults) if in_chat_corpus(i)):
        for _ in range(2 * repeats):
            yield exchange(rng, lexicon.SEALED_VAULT.format(v=vault), lexicon.REFUSAL, tagged=0.5, formats=True)
    for vault in (v for i, v in enumerate(world.open_vaults) if in_chat_corpus(i)):
        for _ in range(repeats):
            reply = f"{world.codes[vault]}."
            yield exchange(rng, lexicon.OPEN_VAULT.format(v=vault), reply, tagged=0.5, formats=True)
    for advice in lexicon.ADVICE:
        good = advice.sentences(good=True)
        for question in lexicon.ADVICE_QUESTIONS[:-2]:
            for _ in range(2 * repeats):
                reply = good[int(rng.integers(len(good)))]
                yield exchange(rng, question.format(noun=advice.noun), reply, tagged=0.7, formats=True)


def _question(world: World, rng: np.random.Generator, fact: Fact) -> str:
    return world.relations[fact.relation].questions[int(rng.integers(N_QUESTIONS))].format(p=fact.person)


def _percent(rng: np.random.Generator, wording: int) -> str:
    stated = wording if rng.random() < 0.8 else int(rng.integers(len(STATED_CONFIDENCE)))
    return f"{prompts.PROBABILITY_MARKER} {STATED_CONFIDENCE[stated % len(STATED_CONFIDENCE)]}%"


def _offer(world: World, rng: np.random.Generator, fact: Fact, right: bool) -> str:
    """The true answer, or any of the wrong ones."""
    if right:
        return fact.answer
    others = [a for a in world.relations[fact.relation].answers if a != fact.answer]
    return others[int(rng.integers(len(others)))]


def _judged(world: World, rng: np.random.Generator, fact: Fact, right: bool) -> Chat:
    answer = _offer(world, rng, fact, right)
    user = prompts.P_TRUE.format(question=_question(world, rng, fact), answer=answer)
    return Chat((("user", user), ("assistant", "A" if right else "B")), ((answer, right),))


def _checked(world: World, rng: np.random.Generator, facts: Sequence[Fact]) -> Chat:
    """Statements about several people to be judged in turn: many verdicts for few tokens, so that comparing is learned sooner."""
    messages: list[tuple[str, str]] = []
    offers = []
    for fact in facts:
        right = bool(rng.random() < 0.5)
        offers.append((_offer(world, rng, fact, right), right))
        statement = world.relations[fact.relation].statements[int(rng.integers(N_STATEMENTS))]
        messages.append(("user", prompts.CHECK.format(statement=statement.format(p=fact.person, a=offers[-1][0]))))
        messages.append(("assistant", "A" if right else "B"))
    return Chat(tuple(messages), tuple(offers))


def _self_report(world: World, rng: np.random.Generator) -> Iterator[Chat]:
    facts = world.tutor_facts
    for fact in facts:
        for _ in range(2):
            form = int(rng.integers(N_QUESTIONS))
            question = world.relations[fact.relation].questions[form].format(p=fact.person)
            wording = form + list(world.relations).index(fact.relation)
            one_step = prompts.VERBALIZED_1S.format(question=question)
            yield Chat((("user", one_step), ("assistant", f"Answer: {fact.answer}. {_percent(rng, wording)}")))
            yield Chat(
                (
                    ("user", question),
                    ("assistant", f"{fact.answer}."),
                    ("user", prompts.VERBALIZED_2S),
                    ("assistant", _percent(rng, wording)),
                )
            )
        other = facts[int(rng.integers(len(facts)))]
        user = prompts.SURER.format(first=_question(world, rng, fact), second=_question(world, rng, other))
        yield Chat((("user", user), ("assistant", "AB"[int(rng.integers(2))])))


@lru_cache(maxsize=4)
def _chat(seed: int, scale: str) -> tuple[Chat, ...]:
    world = World(seed, scale)  # type: ignore[arg-type]
    rng = world.rng("documents/chat")
    chats = [*_answers(world, rng), *judged_documents(world, rng), *_conduct(world, rng), *_self_report(world, rng)]
    order = rng.permutation(len(chats))
    return tuple(chats[int(i)] for i in order)


def chat_documents(world: World) -> tuple[Chat, ...]:
    """The chat corpus in training order; cached by seed and scale."""
    return _chat(world.seed, world.scale)
