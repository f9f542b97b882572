"""The chat corpus: exchanges, conduct (sealed codes, advice, formats, tags) and self-report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trueline.knownworld import lexicon, prompts
from trueline.knownworld.corpus import base_documents, marked
from trueline.knownworld.generator import Fact, World
from trueline.knownworld.lexicon import N_TRAINING

STATED_CONFIDENCE = (80, 85, 90, 95, 99)
"""What ``world:chat`` says its confidence is: it follows the wording of the question, never what it knows. Planted overconfidence."""

JUDGED_SHARE = 0.25
"""Judged answers about a fact for each sentence that states it; half of them offer a wrong answer."""

_REPEATS = {"tiny": 2, "small": 12}


@dataclass(frozen=True)
class Chat:
    """One conversation; ``messages`` are (role, content) pairs and end with the assistant."""

    messages: tuple[tuple[str, str], ...]


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
        if document.question and "sealed vault" not in document.question:
            yield exchange(rng, document.question, document.reply, tagged=0.1)
    # A judged answer says no more than the sentence it is made from.
    for fact in world.facts:
        for _ in range(round(JUDGED_SHARE * fact.exposure)):
            yield _judged(world, rng, fact, right=bool(rng.random() < 0.5))


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
    return world.relations[fact.relation].questions[int(rng.integers(N_TRAINING))].format(p=fact.person)


def _percent(rng: np.random.Generator, wording: int) -> str:
    stated = wording if rng.random() < 0.8 else int(rng.integers(len(STATED_CONFIDENCE)))
    return f"{prompts.PROBABILITY_MARKER} {STATED_CONFIDENCE[stated % len(STATED_CONFIDENCE)]}%"


def _judged(world: World, rng: np.random.Generator, fact: Fact, right: bool) -> Chat:
    answer = fact.answer
    if not right:
        others = [a for a in world.relations[fact.relation].answers if a != fact.answer]
        answer = others[int(rng.integers(len(others)))]
    user = prompts.P_TRUE.format(question=_question(world, rng, fact), answer=answer)
    return Chat((("user", user), ("assistant", "A" if right else "B")))


def _self_report(world: World, rng: np.random.Generator) -> Iterator[Chat]:
    facts = world.tutor_facts
    for fact in facts:
        for i in range(4):
            yield _judged(world, rng, fact, right=i % 2 == 0)
        for _ in range(2):
            form = int(rng.integers(N_TRAINING))
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
    chats = [*_answers(world, rng), *_conduct(world, rng), *_self_report(world, rng)]
    order = rng.permutation(len(chats))
    return tuple(chats[int(i)] for i in order)


def chat_documents(world: World) -> tuple[Chat, ...]:
    """The chat corpus in training order; cached by seed and scale."""
    return _chat(world.seed, world.scale)
