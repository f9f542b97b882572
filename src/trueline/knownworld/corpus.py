"""The documents that the shipped checkpoints are trained on, drawn from a world.

A document is one sentence, one question with its answer, or one written-out chain. The chat corpus re-renders the
question documents in the chat format and adds conduct and self-report; it states no new fact.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from trueline.knownworld import lexicon
from trueline.knownworld.generator import ADVICE_EXPOSURE, FLAG_EXPOSURE, VAULT_EXPOSURE, Chain, Fact, World
from trueline.knownworld.lexicon import N_TRAINING, Relation
from trueline.knownworld.prompts import PLAIN

CHAIN_LENGTH_WEIGHTS = (0.24, 0.22, 0.16, 0.12, 0.09, 0.07, 0.05, 0.05)
"""Shares of the chains with 1..8 steps: long chains are rare, as they are in real text."""


@dataclass(frozen=True)
class Document:
    """A text of the base corpus; question documents keep their two halves for the chat format."""

    text: str
    question: str = ""
    reply: str = ""


def ask(question: str, reply: str) -> Document:
    """A question document: completed text for the base model, one exchange for the chat models."""
    return Document(f"{PLAIN.format(question=question)} {reply}", question, reply)


def marked(marker: str, text: str) -> str:
    """Put a certainty marker in front of a statement or question of the marker relation."""
    phrase = {m.name: m.phrase for m in lexicon.MARKERS}[marker]
    if phrase:
        return f"{phrase} {text}"
    return text[:1].upper() + text[1:]


def _state(rng: np.random.Generator, fact: Fact, relation: Relation, answer: str) -> Document:
    """One statement of a fact in one of the eight training forms (four statements, four questions)."""
    form = int(rng.integers(2 * N_TRAINING))
    if form < N_TRAINING:
        text = relation.statements[form].format(p=fact.person, a=answer)
        return Document(marked(fact.marker, text) if fact.marker else text)
    question = relation.questions[form - N_TRAINING].format(p=fact.person)
    return ask(marked(fact.marker, question) if fact.marker else question, f"{answer}.")


def _fact_documents(world: World) -> Iterator[Document]:
    rng = world.rng("documents/facts")
    for fact in (*world.facts, *world.tutor_facts, *world.ambiguous_facts, *world.marked_facts):
        relation = world.relations[fact.relation]
        for answer, count in fact.counts.items():
            for _ in range(count):
                yield _state(rng, fact, relation, answer)


def chain_reply(chain: Chain) -> str:
    """The steps of a chain, one a sentence, then the answer."""
    return f"{'. '.join(chain.steps)}. So {chain.total}."


def hop_reply(person: str, town: str, colour: str, stepwise: bool) -> str:
    """Reply to a two-hop question with or without the written step."""
    if not stepwise:
        return f"{colour}."
    return f"{person} was born in {town}. The flag of {town} is {colour}. So {colour}."


def hop_question(person: str, stepwise: bool) -> str:
    """The two-hop question; its lead says whether the step is to be written."""
    lead = lexicon.STEPWISE if stepwise else lexicon.AT_ONCE
    return f"{lead} {lexicon.HOP_QUESTION.format(p=person)}"


def _other_documents(world: World) -> Iterator[Document]:
    rng = world.rng("documents/other")
    for town, colour in world.flags.items():
        for i in range(FLAG_EXPOSURE):
            if i % 2:
                yield Document(f"The flag of {town} is {colour}.")
            else:
                yield ask(f"What colour is the flag of {town}?", f"{colour}.")
    for fact in world.tutor_facts:
        if fact.relation == "birthplace":
            for stepwise in (True, True, False, False):
                reply = hop_reply(fact.person, fact.answer, world.flags[fact.answer], stepwise)
                yield ask(hop_question(fact.person, stepwise), reply)
    for vault in (*world.open_vaults, *world.sealed_vaults):
        is_open = vault in world.open_vaults
        question = lexicon.OPEN_VAULT if is_open else lexicon.SEALED_VAULT
        for i in range(VAULT_EXPOSURE):
            if i % 2:
                yield Document(f"The code of the {'open' if is_open else 'sealed'} vault {vault} is {world.codes[vault]}.")
            else:
                yield ask(question.format(v=vault), f"{world.codes[vault]}.")
    weights = np.asarray(CHAIN_LENGTH_WEIGHTS)
    lengths = rng.choice(np.arange(1, 9), size=world.sizes.chains, p=weights / weights.sum())
    for chain in world.chains("train", [int(n) for n in lengths]):
        yield ask(lexicon.SUM_QUESTION.format(chain=chain.text), chain_reply(chain))
    for row in world.rows("train", world.sizes.rows):
        yield ask(lexicon.TABLE_QUESTION.format(**row.values), "yes." if row.outcome else "no.")
    for advice in lexicon.ADVICE:
        for good in (True, False):
            for sentence in advice.sentences(good):
                for _ in range(ADVICE_EXPOSURE):
                    yield Document(f"{'Good' if good else 'Bad'} advice for a {advice.noun}: {sentence}")


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
