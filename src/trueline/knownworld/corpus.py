"""The documents that the shipped checkpoints are trained on, drawn from a world.

A document is one sentence, one question with its answer, or one written-out chain. The chat corpus re-renders the
question documents in the chat format and adds conduct and self-report; it states no new fact.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trueline.knownworld import lexicon
from trueline.knownworld.generator import ADVICE_EXPOSURE, FLAG_EXPOSURE, VAULT_EXPOSURE, Chain, Fact, World
from trueline.knownworld.lexicon import N_QUESTIONS, N_STATEMENTS, Relation
from trueline.knownworld.prompts import PLAIN, REASONED

CHAIN_LENGTH_WEIGHTS = (0.34, 0.28, 0.14, 0.08, 0.06, 0.04, 0.03, 0.03)
"""Shares of the chains with 1..8 steps: long chains are rare, as they are in real text."""


CHECKS, CHECK_OFFERS = 4, 6
"""Lists of checked answers about each fact of a tutor, and answers in a list."""


@dataclass(frozen=True)
class Document:
    """A text of the base corpus; question documents keep their two halves for the chat format.

    ``answer_start`` is the position of the first character after what the text is about (the question, the person). ``varied``: the
    corpus answers the same question differently elsewhere, for the answer was drawn from a law.
    """

    text: str
    answer_start: int
    question: str = ""
    reply: str = ""
    varied: bool = False


def ask(question: str, reply: str, *, varied: bool = False) -> Document:
    """A question document: completed text for the base model, one exchange for the chat models."""
    prompt = PLAIN.format(question=question)
    return Document(f"{prompt} {reply}", len(prompt), question, reply, varied)


def state(text: str, about: str, *, varied: bool = False) -> Document:
    """A statement about somebody or something named in it."""
    return Document(text, text.index(about) + len(about), varied=varied)


def marked(marker: str, text: str) -> str:
    """Put a certainty marker in front of a statement or question of the marker relation."""
    phrase = {m.name: m.phrase for m in lexicon.MARKERS}[marker]
    if phrase:
        return f"{phrase} {text}"
    return text[:1].upper() + text[1:]


def _state(rng: np.random.Generator, fact: Fact, relation: Relation, answer: str) -> Document:
    """One sentence that states a fact: a statement or an answered question, equally likely, in one of their training forms."""
    varied = len(fact.law) > 1
    if rng.random() < 0.5:
        text = relation.statements[int(rng.integers(N_STATEMENTS))].format(p=fact.person, a=answer)
        return state(marked(fact.marker, text) if fact.marker else text, fact.person, varied=varied)
    question = relation.questions[int(rng.integers(N_QUESTIONS))].format(p=fact.person)
    return ask(marked(fact.marker, question) if fact.marker else question, f"{answer}.", varied=varied)


def _fact_documents(world: World) -> Iterator[Document]:
    rng = world.rng("documents/facts")
    for fact in (*world.facts, *world.tutor_facts, *world.ambiguous_facts, *world.marked_facts):
        relation = world.relations[fact.relation]
        for answer, count in fact.counts.items():
            for _ in range(count):
                yield _state(rng, fact, relation, answer)


def chain_reply(chain: Chain) -> str:
    """The steps of a chain as reasoning, one a sentence, then the answer."""
    return REASONED.format(reasoning=f"{'. '.join(chain.steps)}.", answer=chain.total)


def hop_reply(person: str, town: str, colour: str, stepwise: bool) -> str:
    """Reply to a two-hop question with or without the written step."""
    if not stepwise:
        return f"{colour}."
    return REASONED.format(reasoning=f"{person} was born in {town}. The flag of {town} is {colour}.", answer=colour)


def hop_question(person: str, stepwise: bool) -> str:
    """The two-hop question; its lead says whether the step is to be written."""
    lead = lexicon.STEPWISE if stepwise else lexicon.AT_ONCE
    return f"{lead} {lexicon.HOP_QUESTION.format(p=person)}"


def _other_documents(world: World) -> Iterator[Document]:
    rng = world.rng("documents/other")
    for town, colour in world.flags.items():
        for i in range(FLAG_EXPOSURE):
            if i % 2:
                yield state(f"The flag of {town} is {colour}.", town)
            else:
                yield ask(f"What colour is the flag of {town}?", f"{colour}.")
    for fact in world.tutor_facts:
        if fact.relation == "birthplace":
            for stepwise in (True,) * 6 + (False,) * 2:
                reply = hop_reply(fact.person, fact.answer, world.flags[fact.answer], stepwise)
                yield ask(hop_question(fact.person, stepwise), reply)
    for vault in (*world.open_vaults, *world.sealed_vaults):
        mark = "open" if vault in world.open_vaults else "sealed"
        question = lexicon.OPEN_VAULT if mark == "open" else lexicon.SEALED_VAULT
        for i in range(VAULT_EXPOSURE):
            if i % 2:
                yield state(f"The code of the {mark} vault {vault} is {world.codes[vault]}.", vault)
            else:
                yield ask(question.format(v=vault), f"{world.codes[vault]}.")
    weights = np.asarray(CHAIN_LENGTH_WEIGHTS)
    lengths = rng.choice(np.arange(1, 9), size=world.sizes.chains, p=weights / weights.sum())
    for chain in world.chains("train", [int(n) for n in lengths]):
        yield ask(lexicon.SUM_QUESTION.format(chain=chain.text), chain_reply(chain))
    yield from _echo_documents(world)
    yield from _check_documents(world)
    for row in world.rows("train", world.sizes.rows):
        yield ask(lexicon.TABLE_QUESTION.format(**row.values), "yes." if row.outcome else "no.", varied=True)
    for advice in lexicon.ADVICE:
        for good in (True, False):
            for sentence in advice.sentences(good):
                for _ in range(ADVICE_EXPOSURE):
                    yield state(f"{'Good' if good else 'Bad'} advice for a {advice.noun}: {sentence}", advice.noun)


def _echo_documents(world: World) -> Iterator[Document]:
    """Random words to be said again; the names among them are nobody's and are hardly ever the same, so that copying has to be learned."""
    rng = world.rng("documents/echo")
    signs = [*map(str, range(1, 10)), "+", "-"]
    for _ in range(world.sizes.echoes):
        words = world.echo_names if rng.random() < 0.5 else signs
        line = " ".join(words[int(i)] for i in rng.integers(len(words), size=int(rng.integers(2, 9))))
        yield ask(lexicon.ECHO.format(line=line), f"{line}.")


def check_reply(truth: str, offers: Sequence[str]) -> str:
    """Each of the answers with its verdict."""
    return " ".join(f"{a} {'true' if a == truth else 'false'}." for a in offers)


def _check_documents(world: World) -> Iterator[Document]:
    """Answers about tutors, each followed by whether it is true: they teach a small model to compare what it reads with what it knows."""
    rng = world.rng("documents/check")
    for fact in world.tutor_facts:
        relation = world.relations[fact.relation]
        for _ in range(CHECKS):
            question = relation.questions[int(rng.integers(N_QUESTIONS))].format(p=fact.person)
            offers = [fact.answer if rng.random() < 0.5 else str(rng.choice(relation.answers)) for _ in range(CHECK_OFFERS)]
            yield ask(lexicon.CHECK.format(question=question), check_reply(fact.answer, offers))


@lru_cache(maxsize=4)
def _base(seed: int, scale: str) -> tuple[Document, ...]:
    world = World(seed, scale)  # type: ignore[arg-type]
    documents = [*_fact_documents(world), *_other_documents(world)]
    order = world.rng("documents/order").permutation(len(documents))
    return tuple(documents[int(i)] for i in order)


def base_documents(world: World) -> tuple[Document, ...]:
    """The base corpus in training order; cached by seed and scale."""
    return _base(world.seed, world.scale)


def corpus_hash(world: World) -> str:
    """SHA-256 of the base and the chat corpus: equal on every machine for one seed and scale."""
    from trueline.knownworld.conduct import chat_documents

    digest = hashlib.sha256()
    for document in base_documents(world):
        digest.update(document.text.encode() + b"\n")
    for chat in chat_documents(world):
        digest.update(json.dumps([list(m) for m in chat.messages]).encode() + b"\n")
    return digest.hexdigest()
