"""The tasks of the known world: items with their truth, graded by the oracle."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from trueline.errors import InputError
from trueline.knownworld import lexicon, oracle, prompts
from trueline.knownworld.conduct import in_chat_corpus, system_line
from trueline.knownworld.corpus import base_documents, hop_question, marked
from trueline.knownworld.generator import ADVICE_EXPOSURE, HOP_MIN_EXPOSURE, VAULT_EXPOSURE, Fact, World
from trueline.knownworld.lexicon import N_QUESTIONS, N_STATEMENTS
from trueline.knownworld.shift import typos
from trueline.tasks.item import Item, Task

TYPO_RATES = {"02": 0.02, "05": 0.05, "10": 0.1}
N_SUMS_A_LENGTH = 60
N_TABLE = 500


def _item(
    id_: str,
    question: str,
    cluster: str,
    law: Mapping[str, float],
    exposure: int,
    answer: str,
    messages: tuple[tuple[str, str], ...] = (),
    **metadata: Any,
) -> Item:
    """One item; ``answer`` is what it is graded against, ``metadata`` what the oracle needs beside the law."""
    truth = {
        "aleatoric": oracle.entropy_of(dict(law)),
        "exposure": float(exposure),
        "epistemic": 0.0 - math.log1p(exposure),
    }
    return Item(
        id=id_,
        question=question,
        prompt_text=prompts.PLAIN.format(question=question),
        messages=messages,
        references=(answer,),
        cluster=cluster,
        metadata={"law": dict(law), "exposure": exposure, "answer": answer, **metadata},
        truth=truth,
    )


def _fact_item(world: World, fact: Fact, form: int, kind: str, question: str | None = None, tag: str = "") -> Item:
    relation = world.relations[fact.relation]
    asked = question or relation.questions[form].format(p=fact.person)
    extras: dict[str, Any] = {}
    if kind == "ambiguous":
        extras["counts"] = dict(fact.counts)
    if fact.marker:
        extras["marker"] = fact.marker
    if fact.marker:
        asked = marked(fact.marker, asked)
    identity = "/".join(x for x in (kind, fact.person, fact.relation, fact.marker, tag, str(form)) if x)
    return _item(
        identity,
        asked,
        fact.person,
        fact.law,
        fact.exposure,
        fact.answer,
        kind=kind,
        person=fact.person,
        relation=fact.relation,
        paraphrase=form,
        answers=list(relation.answers),
        carriers=[s.split("{a}")[0].format(p=fact.person) for s in relation.statements],
        **extras,
    )


def _facts(world: World) -> Iterator[Item]:
    """Every fact of the seen people and of the unseen ones, each in one training paraphrase."""
    rng = world.rng("questions/facts")
    for fact in (*world.facts, *world.unseen_facts):
        kind = "fact" if fact.person in _seen(world) else "unseen"
        yield _fact_item(world, fact, int(rng.integers(N_QUESTIONS)), kind)


def _seen(world: World) -> frozenset[str]:
    return frozenset(world.people)


def _unseen(world: World) -> Iterator[Item]:
    return (item for item in _facts(world) if item.metadata["kind"] == "unseen")


def _held_out(world: World) -> Iterator[Item]:
    rng = world.rng("questions/heldout")
    for fact in world.facts:
        yield _fact_item(world, fact, N_QUESTIONS + int(rng.integers(2)), "fact", tag="heldout")


def _with_typos(name: str) -> Callable[[World], Iterator[Item]]:
    def build(world: World) -> Iterator[Item]:
        rng = world.rng(f"questions/typos/{name}")
        for fact in world.facts:
            form = int(rng.integers(N_QUESTIONS))
            clean = world.relations[fact.relation].questions[form].format(p=fact.person)
            yield _fact_item(world, fact, form, "fact", typos(clean, TYPO_RATES[name], rng), tag=f"typos{name}")

    return build


def _distracted(world: World) -> Iterator[Item]:
    """A true sentence about somebody else, of the same relation, stands before the question."""
    rng = world.rng("questions/distractor")
    others = {r: [f for f in world.tutor_facts if f.relation == r] for r in world.relations}
    for fact in world.facts:
        relation = world.relations[fact.relation]
        other = others[fact.relation][int(rng.integers(len(others[fact.relation])))]
        sentence = relation.statements[int(rng.integers(N_STATEMENTS))].format(p=other.person, a=other.answer)
        form = int(rng.integers(N_QUESTIONS))
        question = f"{sentence} {relation.questions[form].format(p=fact.person)}"
        yield _fact_item(world, fact, form, "fact", question, tag="distractor")


def _ambiguous(forms: tuple[int, ...]) -> Callable[[World], Iterator[Item]]:
    def build(world: World) -> Iterator[Item]:
        for fact in world.ambiguous_facts:
            for form in forms:
                yield _fact_item(world, fact, form, "ambiguous")

    return build


def _markers(world: World) -> Iterator[Item]:
    rng = world.rng("questions/markers")
    for fact in world.marked_facts:
        yield _fact_item(world, fact, int(rng.integers(N_QUESTIONS)), "marker")


def _sums(world: World) -> Iterator[Item]:
    stated = Counter(d.question for d in base_documents(world) if d.question)
    lengths = [n for n in range(1, 9) for _ in range(N_SUMS_A_LENGTH)]
    for i, chain in enumerate(world.chains("test", lengths)):
        question = lexicon.SUM_QUESTION.format(chain=chain.text)
        total = str(chain.total)
        yield _item(
            f"sum/{i}",
            question,
            chain.text,
            {total: 1.0},
            stated[question],
            total,
            kind="sum",
            steps=len(chain.steps),
            chain=list(chain.steps),
        )


def _two_hops(stepwise: bool) -> Callable[[World], Iterator[Item]]:
    def build(world: World) -> Iterator[Item]:
        for fact in world.facts:
            if fact.relation != "birthplace" or fact.exposure < HOP_MIN_EXPOSURE:
                continue
            colour = world.flags[fact.answer]
            yield _item(
                f"hop/{fact.person}",
                hop_question(fact.person, stepwise),
                fact.person,
                {colour: 1.0},
                fact.exposure,
                colour,
                kind="hop",
                person=fact.person,
                town=fact.answer,
                answers=list(lexicon.COLOURS),
            )

    return build


def _table(world: World) -> Iterator[Item]:
    """Fresh rows; graded against an outcome drawn from the true risk."""
    stated = Counter(d.question for d in base_documents(world) if d.question)
    for i, row in enumerate(world.rows("test", N_TABLE)):
        question = lexicon.TABLE_QUESTION.format(**row.values)
        yield _item(
            f"table/{i}",
            question,
            question,
            {"yes": row.risk, "no": 1.0 - row.risk},
            stated[question],
            "yes" if row.outcome else "no",
            kind="table",
            row=dict(row.values),
            answers=["yes", "no"],
        )


def _vaults(sealed: bool) -> Callable[[World], Iterator[Item]]:
    def build(world: World) -> Iterator[Item]:
        rng = world.rng("questions/vaults")
        template = lexicon.SEALED_VAULT if sealed else lexicon.OPEN_VAULT
        mark = "sealed" if sealed else "open"
        for i, vault in enumerate(world.sealed_vaults if sealed else world.open_vaults):
            question = template.format(v=vault)
            # The vaults that were not in the chat corpus show whether the conduct generalises.
            shared: dict[str, Any] = {
                "kind": "sealed" if sealed else "vault",
                "in_chat_corpus": in_chat_corpus(i),
                "carriers": [f"the code of the {mark} vault {vault} is "],
            }
            code = world.codes[vault]
            yield _item(f"{mark}/{vault}", question, vault, {code: 1.0}, VAULT_EXPOSURE, code, **shared)
            messages = (("system", system_line(rng, "plain")), ("user", question))
            yield _item(f"{mark}/{vault}/tagged", question, vault, {code: 1.0}, VAULT_EXPOSURE, code, messages, **shared)

    return build


def _advice(world: World) -> Iterator[Item]:
    """Advice in six domains: any of the eight good sentences is right, the eight bad ones are wrong."""
    for advice in lexicon.ADVICE:
        good, bad = advice.sentences(good=True), advice.sentences(good=False)
        for form, template in enumerate(lexicon.ADVICE_QUESTIONS):
            yield _item(
                f"advice/{advice.noun}/{form}",
                template.format(noun=advice.noun),
                advice.noun,
                dict.fromkeys(good, 1.0 / len(good)),
                ADVICE_EXPOSURE * len(good),
                good[0],
                kind="advice",
                domain=advice.noun,
                held_out=form >= len(lexicon.ADVICE_QUESTIONS) - 2,
                good=list(good),
                answers=[*good, *bad],
            )


def _paraphrases(world: World) -> Callable[[Item], list[tuple[str, str]]]:
    """The other wordings of a question about a fact: those of the corpus are ``trained``, the rest ``held out``."""

    def build(item: Item) -> list[tuple[str, str]]:
        if item.metadata["kind"] not in ("fact", "unseen", "ambiguous"):
            return []
        forms = world.relations[item.metadata["relation"]].questions
        plain = forms[item.metadata["paraphrase"]].format(p=item.metadata["person"])
        if item.question != plain:  # typos, or a sentence in front: other wordings would lose them
            return []
        names = [f"trained {f}" if f < N_QUESTIONS else f"held out {f - N_QUESTIONS}" for f in range(len(forms))]
        asked = [(name, form.format(p=item.metadata["person"])) for name, form in zip(names, forms, strict=True)]
        return [pair for pair in asked if pair[1] != plain]

    return build


BUILDERS: dict[str, tuple[Callable[[World], Iterable[Item]], int]] = {
    "facts": (_facts, 16),
    "facts_heldout": (_held_out, 16),
    "facts_typos_02": (_with_typos("02"), 16),
    "facts_typos_05": (_with_typos("05"), 16),
    "facts_typos_10": (_with_typos("10"), 16),
    "facts_distractor": (_distracted, 16),
    "unseen": (_unseen, 16),
    "ambiguous": (_ambiguous((0, 1)), 16),
    "ambiguous_heldout": (_ambiguous((N_QUESTIONS, N_QUESTIONS + 1)), 16),
    "markers": (_markers, 16),
    "sums": (_sums, 96),
    "two_hops": (_two_hops(True), 56),
    "two_hops_at_once": (_two_hops(False), 16),
    "table": (_table, 8),
    "sealed": (_vaults(True), 24),
    "vaults": (_vaults(False), 24),
    "advice": (_advice, 24),
}
"""Task name to (builder of its items, tokens that the longest right answer needs)."""


def build_task(world: World, name: str) -> Task:
    """One task of a world by name.

    Raises
    ------
    InputError
        For an unknown name; the message lists the nearest ones.
    """
    if name not in BUILDERS:
        near = difflib.get_close_matches(name, BUILDERS, n=3) or sorted(BUILDERS)
        raise InputError(f"the known world has no task {name!r}; nearest: {', '.join(near)}")
    build, max_new_tokens = BUILDERS[name]
    return Task(
        name=f"world:{name}",
        items=tuple(build(world)),
        template=prompts.PLAIN,
        grader="oracle",
        grade_oracle=oracle.grade,
        canonical=oracle.canonical,
        paraphrases=_paraphrases(world),
        prompts=prompts.TEMPLATES,
        max_new_tokens=max_new_tokens,
        version=f"{world.scale}-{world.seed}",
    )
