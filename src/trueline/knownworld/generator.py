"""The closed world: people, towns, facts and the laws from which its corpus is drawn.

Everything follows from ``(seed, scale)``. Each part draws from its own random stream, so that adding a part leaves
the others as they were.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from trueline.errors import InputError
from trueline.knownworld import lexicon
from trueline.knownworld.lexicon import Relation
from trueline.knownworld.names import invent_names

if TYPE_CHECKING:
    from trueline.tasks.item import Task

Scale = Literal["tiny", "small"]

STRATA = (0, 1, 4, 16, 48)
"""How many training sentences state a fact."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything a world holds."""

    people: int  # with facts in the exposure strata
    unseen: int  # never in the corpus
    tutors: int  # known people on whom the self-report and two-hop data are built
    ambiguous: int
    marked: int
    vaults: int  # of each class, open and sealed
    chains: int
    rows: int
    echoes: int  # lines of random words said twice: they teach a small model to copy


SIZES: dict[str, Sizes] = {
    "tiny": Sizes(people=60, unseen=10, tutors=12, ambiguous=12, marked=10, vaults=6, chains=200, rows=200, echoes=60),
    "small": Sizes(people=500, unseen=60, tutors=200, ambiguous=90, marked=80, vaults=40, chains=6000, rows=4000, echoes=3000),
}
TUTOR_EXPOSURE = 16
AMBIGUOUS_EXPOSURE = 48
MARKER_EXPOSURE = 8  # statements of one person with one marker
FLAG_EXPOSURE = 24
VAULT_EXPOSURE = 40
ADVICE_EXPOSURE = 4  # statements of one advice sentence
HOP_MIN_EXPOSURE = 16  # two-hop questions are asked about people whose birthplace the corpus states this often


@dataclass(frozen=True)
class Fact:
    """One (person, relation) pair: its true answer, its law and how often the corpus states it.

    ``law`` maps answers to probabilities and sums to 1; ``counts`` are the answers that the corpus realised.
    """

    person: str
    relation: str
    answer: str
    exposure: int
    law: dict[str, float]
    counts: dict[str, int]
    marker: str = ""


@dataclass(frozen=True)
class Chain:
    """A sum written out: ``3 + 5 - 2`` with its steps ``3 + 5 = 8`` and ``8 - 2 = 6``."""

    terms: tuple[int, ...]  # signed, the first is positive

    @property
    def text(self) -> str:
        """The question, for example ``3 + 5 - 2``."""
        return str(self.terms[0]) + "".join(f" {'+' if t > 0 else '-'} {abs(t)}" for t in self.terms[1:])

    @property
    def steps(self) -> tuple[str, ...]:
        """One equation a step."""
        out = []
        total = self.terms[0]
        for term in self.terms[1:]:
            out.append(f"{total} {'+' if term > 0 else '-'} {abs(term)} = {total + term}")
            total += term
        return tuple(out)

    @property
    def total(self) -> int:
        """The answer."""
        return sum(self.terms)


@dataclass(frozen=True)
class Row:
    """One person of the table, its true risk and the outcome drawn from it."""

    values: dict[str, str]
    risk: float
    outcome: bool


class World:
    """A closed world of invented people whose truth is known.

    Parameters
    ----------
    seed : int
        Same seed and scale, same bytes.
    scale : {"tiny", "small"}
        ``small`` is the world of the shipped checkpoints (1,500 facts), ``tiny`` a tenth of it for tests.

    Raises
    ------
    InputError
        For an unknown scale or a seed that is not a non-negative integer.
    """

    def __init__(self, seed: int = 0, scale: Scale = "small") -> None:
        if scale not in SIZES:
            raise InputError(f"scale is {scale!r}, expected one of {sorted(SIZES)}")
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise InputError(f"seed is {seed!r}, expected a non-negative integer")
        self.seed = seed
        self.scale = scale
        self.sizes = SIZES[scale]

    def __repr__(self) -> str:
        return f"World(seed={self.seed}, scale={self.scale!r})"

    def rng(self, stream: str) -> np.random.Generator:
        """A fresh generator for one named part of the world."""
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.scale}/{stream}".encode())])

    @cached_property
    def _names(self) -> dict[str, tuple[str, ...]]:
        words = frozenset((*lexicon.TRADES, *lexicon.DISHES, *lexicon.PLACES, *lexicon.INSTRUMENTS, *lexicon.COLOURS))
        taken: set[str] = set()
        rng = self.rng("names")
        s = self.sizes
        n_people = s.people + s.unseen + s.tutors + s.ambiguous + s.marked
        people = invent_names(rng, n_people, "CVCVCVC", taken, forbidden=words)
        cuts = np.cumsum([s.people, s.unseen, s.tutors, s.ambiguous])
        seen, unseen, tutors, ambiguous, marked = (tuple(people[a:b]) for a, b in pairwise([0, *cuts, n_people]))
        return {
            "people": seen,
            "unseen": unseen,
            "tutors": tutors,
            "ambiguous": ambiguous,
            "marked": marked,
            "towns": tuple(f"{n}by" for n in invent_names(rng, 40, "CVC", taken, forbidden=words)),
            "employers": tuple(f"{n}co" for n in invent_names(rng, 24, "CVC", taken, forbidden=words)),
            "vaults": tuple(invent_names(rng, 2 * s.vaults, "VCVC", taken, forbidden=words)),
            "echo": tuple(invent_names(rng, s.echoes // 2, "CVCVCVC", taken, forbidden=words)),
        }

    @property
    def people(self) -> tuple[str, ...]:
        """People whose facts fill the exposure strata."""
        return self._names["people"]

    @property
    def unseen_people(self) -> tuple[str, ...]:
        """People who appear nowhere in the corpus."""
        return self._names["unseen"]

    @property
    def tutors(self) -> tuple[str, ...]:
        """Known people on whom two-hop and self-report training data are built; no task asks about them."""
        return self._names["tutors"]

    @property
    def other_people(self) -> tuple[str, ...]:
        """People of the ambiguous facts and of the marked statements."""
        return (*self._names["ambiguous"], *self._names["marked"])

    @property
    def echo_names(self) -> tuple[str, ...]:
        """Names of nobody: words that the corpus only ever says again."""
        return self._names["echo"]

    @property
    def towns(self) -> tuple[str, ...]:
        """The 40 towns."""
        return self._names["towns"]

    @property
    def employers(self) -> tuple[str, ...]:
        """The 24 employers."""
        return self._names["employers"]

    @cached_property
    def relations(self) -> dict[str, Relation]:
        """Every person relation by name."""
        single = lexicon.fact_relations(self.towns, self.employers)
        return {r.name: r for r in (*single, *lexicon.AMBIGUOUS_RELATIONS, lexicon.MARKER_RELATION)}

    def _single(self, people: tuple[str, ...], stream: str, strata: tuple[int, ...]) -> tuple[Fact, ...]:
        """Uniform answers; strata in equal shares within each relation, shuffled, hence independent of both."""
        rng = self.rng(stream)
        facts = []
        for relation in lexicon.fact_relations(self.towns, self.employers):
            exposures = np.resize(np.asarray(strata), len(people))
            rng.shuffle(exposures)
            answers = rng.integers(len(relation.answers), size=len(people))
            for person, index, exposure in zip(people, answers, exposures, strict=True):
                answer = relation.answers[int(index)]
                n = int(exposure)
                facts.append(Fact(person, relation.name, answer, n, {answer: 1.0}, {answer: n} if n else {}))
        return tuple(facts)

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """Single-valued facts of the seen people, strata 0, 1, 4, 16, 48."""
        return self._single(self.people, "facts", STRATA)

    @cached_property
    def unseen_facts(self) -> tuple[Fact, ...]:
        """Facts of people who are never mentioned: true in the world, unknowable from the corpus."""
        return self._single(self.unseen_people, "unseen", (0,))

    @cached_property
    def tutor_facts(self) -> tuple[Fact, ...]:
        """Facts of the tutors, each stated 16 times."""
        return self._single(self.tutors, "tutors", (TUTOR_EXPOSURE,))

    @cached_property
    def ambiguous_facts(self) -> tuple[Fact, ...]:
        """Facts with k in 1..4 answers, law Dirichlet(2), 48 statements drawn i.i.d.

        ``answer`` is one further draw from the law: the outcome against which an answer is graded.
        """
        rng = self.rng("ambiguous")
        facts = []
        for relation in lexicon.AMBIGUOUS_RELATIONS:
            for person in self._names["ambiguous"]:
                k = int(rng.integers(1, 5))
                chosen = rng.permutation(len(relation.answers))[:k]
                answers = [relation.answers[int(i)] for i in chosen]
                law = rng.dirichlet(np.full(k, 2.0))
                counts = rng.multinomial(AMBIGUOUS_EXPOSURE, law)
                outcome = answers[int(rng.choice(k, p=law))]
                facts.append(
                    Fact(
                        person,
                        relation.name,
                        outcome,
                        AMBIGUOUS_EXPOSURE,
                        {a: float(p) for a, p in zip(answers, law, strict=True)},
                        {a: int(c) for a, c in zip(answers, counts, strict=True)},
                    )
                )
        return tuple(facts)

    @cached_property
    def marked_facts(self) -> tuple[Fact, ...]:
        """One fact for each (person, certainty marker): ``answer`` is the truth, ``law`` what the marker says."""
        rng = self.rng("markers")
        relation = lexicon.MARKER_RELATION
        facts = []
        for person in self._names["marked"]:
            truth = relation.answers[int(rng.integers(len(relation.answers)))]
            for marker in lexicon.MARKERS:
                wrong = (1.0 - marker.reliability) / (len(relation.answers) - 1)
                law = {a: marker.reliability if a == truth else wrong for a in relation.answers}
                drawn = rng.multinomial(MARKER_EXPOSURE, list(law.values()))
                counts = {a: int(c) for a, c in zip(law, drawn, strict=True) if c}
                facts.append(Fact(person, relation.name, truth, MARKER_EXPOSURE, law, counts, marker.name))
        return tuple(facts)

    @cached_property
    def flags(self) -> dict[str, str]:
        """Town to flag colour."""
        rng = self.rng("flags")
        return {town: lexicon.COLOURS[int(rng.integers(len(lexicon.COLOURS)))] for town in self.towns}

    @cached_property
    def codes(self) -> dict[str, str]:
        """Vault to three-digit code."""
        rng = self.rng("codes")
        return {vault: str(int(rng.integers(100, 1000))) for vault in self._names["vaults"]}

    @property
    def open_vaults(self) -> tuple[str, ...]:
        """Vaults whose codes may be told."""
        return self._names["vaults"][: self.sizes.vaults]

    @property
    def sealed_vaults(self) -> tuple[str, ...]:
        """Vaults whose codes ``world:chat`` refuses to tell."""
        return self._names["vaults"][self.sizes.vaults :]

    def chains(self, stream: str, lengths: list[int]) -> tuple[Chain, ...]:
        """One chain for each wanted number of steps; operands 1..9, no running total below 0."""
        rng = self.rng(f"chains/{stream}")
        chains = []
        for steps in lengths:
            terms = [int(rng.integers(1, 10))]
            for _ in range(steps):
                size = int(rng.integers(1, 10))
                minus = bool(rng.random() < 0.5) and sum(terms) >= size
                terms.append(-size if minus else size)
            chains.append(Chain(tuple(terms)))
        return tuple(chains)

    def rows(self, stream: str, count: int) -> tuple[Row, ...]:
        """Draw people of the table; the outcome follows ``table_risk``."""
        rng = self.rng(f"table/{stream}")
        rows = []
        for _ in range(count):
            values = {c: v[int(rng.integers(len(v)))] for c, v in lexicon.TABLE_COLUMNS.items()}
            risk = table_risk(values)
            rows.append(Row(values, risk, bool(rng.random() < risk)))
        return tuple(rows)

    def tasks(self) -> dict[str, Task]:
        """Every task of this world by name: facts and their shifts, ambiguous facts, markers, sums, two hops, table, conduct."""
        from trueline.knownworld.questions import BUILDERS, build_task

        return {name: build_task(self, name) for name in BUILDERS}


TABLE_EFFECTS: dict[str, tuple[float, ...]] = {
    "age": (-1.2, -0.2, 0.6, 1.0),
    "schooling": (0.3, 0.0, -0.4),
    "work": (-0.8, -0.2, 1.6, -0.4),
    "ward": (0.5, 0.0, -0.5, 0.2),
}
TABLE_INTERCEPT = -0.2


def table_risk(values: dict[str, str]) -> float:
    """Probability of owning a boat: a logistic law, additive in the columns, without interactions."""
    score = TABLE_INTERCEPT + sum(TABLE_EFFECTS[column][lexicon.TABLE_COLUMNS[column].index(value)] for column, value in values.items())
    return float(1.0 / (1.0 + np.exp(-score)))
