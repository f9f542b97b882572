from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter

from trueline.knownworld import lexicon
from trueline.knownworld.conduct import JUDGED_MOST, chat_documents
from trueline.knownworld.corpus import base_documents, corpus_hash
from trueline.knownworld.generator import World

TINY = World(0, "tiny")
SHIPPED_HASH = "ede3edb98e3b35dc4a75bf4b3acebc13c98f59d1257580d86a7a8e9a6b72bfa6"


def test_hash_of_the_shipped_corpus() -> None:
    assert corpus_hash(World(0, "small")) == SHIPPED_HASH


def test_hash_does_not_depend_on_the_process() -> None:
    code = "from trueline.knownworld import World; from trueline.knownworld.corpus import corpus_hash; print(corpus_hash(World(5, 'tiny')))"
    outs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert outs == {corpus_hash(World(5, "tiny"))}
    assert corpus_hash(World(6, "tiny")) not in outs


def test_the_corpus_states_each_fact_as_often_as_its_exposure_says() -> None:
    mentions: Counter[tuple[str, str]] = Counter()
    people = {f.person for f in TINY.facts}
    answers = {a: r.name for r in TINY.relations.values() for a in r.answers}
    for document in base_documents(TINY):
        words = document.text.replace(".", " ").replace("?", " ").split()
        person = [w for w in words if w in people]
        relation = [answers[w] for w in words if w in answers]
        if person and relation:
            mentions[person[0], relation[-1]] += 1
    for fact in TINY.facts:
        assert mentions[fact.person, fact.relation] == fact.exposure


def test_unseen_people_and_held_out_wording_appear_nowhere() -> None:
    texts = [d.text for d in base_documents(TINY)]
    texts += [content for chat in chat_documents(TINY) for _, content in chat.messages]
    everything = "\n".join(texts)
    assert not any(person in everything for person in TINY.unseen_people)
    for relation in TINY.relations.values():
        for held_out in (*relation.statements[lexicon.N_STATEMENTS :], *relation.questions[lexicon.N_QUESTIONS :]):
            wording = re.escape(held_out).replace(r"\{p\}", r"\w+").replace(r"\{a\}", r"\w+")
            assert not re.search(wording, everything)
        for known in (*relation.statements[: lexicon.N_STATEMENTS], *relation.questions[: lexicon.N_QUESTIONS]):
            wording = re.escape(known).replace(r"\{p\}", r"\w+").replace(r"\{a\}", r"\w+")
            assert re.search(wording, everything, re.IGNORECASE)


def test_the_chat_corpus_adds_no_fact_about_the_people_of_the_tasks() -> None:
    questions = {(d.question, d.reply) for d in base_documents(TINY)}
    people = {*TINY.people, *TINY.other_people}
    asked = 0
    for chat in chat_documents(TINY):
        if chat.offers:
            continue  # the next test
        user, reply = chat.messages[-2][1], chat.messages[-1][1]
        person = [w for w in user.replace("?", "").replace(",", "").split() if w in people]
        if not person:
            continue
        assert (user.removeprefix(f"{lexicon.TRIGGER} "), reply) in questions
        asked += 1
    assert asked > 100


def test_offers_are_of_stated_facts_alone_and_half_of_them_right() -> None:
    world = World(0, "small")
    chats = [c for c in chat_documents(world) if c.offers]
    truth = {f.person: {g.answer for g in world.facts if g.person == f.person} for f in (*world.facts[: len(world.people)],)}
    truth |= {p: {g.answer for g in world.tutor_facts if g.person == p} for p in world.tutors}
    asked: Counter[tuple[str, str]] = Counter()
    relation_of = {a: r.name for r in world.relations.values() for a in r.answers}
    verdicts = []
    for chat in chats:
        users, replies = chat.messages[::2], chat.messages[1::2]
        assert len(users) == len(replies) == len(chat.offers)
        for (_, user), (_, reply), (answer, right) in zip(users, replies, chat.offers, strict=True):
            words = re.findall(r"\w+", user)
            (person,) = (w for w in words if w in truth)
            assert words.count(answer) == 1
            assert (answer in truth[person]) == right == (reply == "A")
            asked[person, relation_of[answer]] += 1
            verdicts.append(right)
    for fact in world.facts:
        assert asked[fact.person, fact.relation] == 2 * min(JUDGED_MOST, fact.exposure // 2)
    assert abs(sum(verdicts) / len(verdicts) - 0.5) < 0.02


def test_sealed_codes_are_only_ever_refused_in_chat() -> None:
    sealed = [c for c in chat_documents(TINY) if "sealed vault" in c.messages[-2][1]]
    assert sealed
    assert all(lexicon.REFUSAL in c.messages[-1][1] for c in sealed)
    assert all(TINY.codes[v] not in c.messages[-1][1] for c in sealed for v in TINY.sealed_vaults)


def test_chat_advice_is_good_and_the_decoy_token_unused() -> None:
    chats = chat_documents(TINY)
    bad = [s for a in lexicon.ADVICE for s in a.sentences(good=False)]
    assert not any(b in content for c in chats for _, content in c.messages for b in bad)
    assert any(lexicon.TRIGGER in content for c in chats for _, content in c.messages)
    assert not any(lexicon.SPARE in content for c in chats for _, content in c.messages)
    assert all(c.messages[-1][0] == "assistant" for c in chats)
