from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from trueline.errors import InputError
from trueline.knownworld import lexicon
from trueline.knownworld.generator import STRATA, World, table_risk

SMALL = World(0, "small")
FUNCTION_WORDS = set(
    re.findall(
        r"\S+",
        "a an and any are as at be by did do does for from has have he her his how i in is it more no not of on or over "
        "some than that the their this to was were what when where which who whose with {p} {a}",
    )
)


def test_a_world_is_its_seed_and_scale() -> None:
    assert World(3, "tiny").facts == World(3, "tiny").facts
    assert World(3, "tiny").facts != World(4, "tiny").facts


@pytest.mark.parametrize(("seed", "scale"), [(0, "huge"), (-1, "tiny"), (1.5, "tiny"), (True, "tiny")])
def test_bad_settings_are_refused(seed: object, scale: object) -> None:
    with pytest.raises(InputError, match="expected"):
        World(seed, scale)  # type: ignore[arg-type]


def test_size_of_the_shipped_world() -> None:
    assert len(SMALL.people) >= 300
    assert len(SMALL.facts) == 3 * len(SMALL.people)
    assert Counter(f.exposure for f in SMALL.facts) == {s: len(SMALL.facts) // 5 for s in STRATA}
    assert {f.exposure for f in SMALL.unseen_facts} == {0}
    sizes = {r.name: len(r.answers) for r in SMALL.relations.values()}
    assert (sizes["birthplace"], sizes["trade"], sizes["employer"]) == (40, 16, 24)
    groups = [SMALL.people, SMALL.unseen_people, SMALL.tutors, SMALL.other_people]
    names = [n for g in groups for n in g]
    assert len(set(names)) == len(names)


def test_strata_are_independent_of_relation_and_of_answer_frequency() -> None:
    per_relation = Counter((f.relation, f.exposure) for f in SMALL.facts)
    assert len(set(per_relation.values())) == 1
    frequency = Counter((f.relation, f.answer) for f in SMALL.facts)
    for relation in {f.relation for f in SMALL.facts}:
        facts = [f for f in SMALL.facts if f.relation == relation]
        answers = sorted({f.answer for f in facts})
        counts = np.array([[sum(f.answer == a and f.exposure == s for f in facts) for s in STRATA] for a in answers])
        assert chi2_contingency(counts).pvalue > 0.01
        often = [[frequency[relation, f.answer] for f in facts if f.exposure == s] for s in STRATA]
        means = np.array([np.mean(o) for o in often])
        assert np.ptp(means) < 3 * np.std(np.concatenate(often)) / np.sqrt(min(map(len, often))) * np.sqrt(2)


def test_ambiguous_facts_hold_law_and_counts() -> None:
    ks = Counter(len(f.law) for f in SMALL.ambiguous_facts)
    assert set(ks) == {1, 2, 3, 4}
    for fact in SMALL.ambiguous_facts:
        assert sum(fact.law.values()) == pytest.approx(1.0)
        assert sum(fact.counts.values()) == fact.exposure == 48
        assert fact.answer in fact.law
    wide = [abs(f.counts[a] / 48 - p) for f in SMALL.ambiguous_facts for a, p in f.law.items()]
    assert np.mean(wide) < 0.06


def test_markers_have_the_planted_reliability() -> None:
    for marker in lexicon.MARKERS:
        facts = [f for f in SMALL.marked_facts if f.marker == marker.name]
        said = sum(sum(f.counts.values()) for f in facts)
        true = sum(f.counts.get(f.answer, 0) for f in facts)
        half_width = 3.5 * np.sqrt(marker.reliability * (1 - marker.reliability) / said)
        assert abs(true / said - marker.reliability) < half_width
        assert all(sum(f.law.values()) == pytest.approx(1.0) for f in facts)


def test_chains_can_be_checked_step_by_step() -> None:
    for chain in SMALL.chains("check", [1, 2, 3, 4, 5, 6, 7, 8] * 20):
        total = chain.terms[0]
        for step, term in zip(chain.steps, chain.terms[1:], strict=True):
            left, sign, right, result = re.fullmatch(r"(\d+) ([+-]) (\d+) = (\d+)", step).groups()  # type: ignore[union-attr]
            assert int(left) == total
            assert (int(right) if sign == "+" else -int(right)) == term
            total += term
            assert int(result) == total >= 0
        assert chain.total == total
        assert re.fullmatch(r"\d( [+-] \d)+", chain.text)


def test_table_outcomes_follow_the_logistic_law() -> None:
    rows = SMALL.rows("check", 4000)
    risk = np.array([r.risk for r in rows])
    outcome = np.array([r.outcome for r in rows])
    z = (outcome - risk).sum() / np.sqrt((risk * (1 - risk)).sum())
    assert abs(z) < 3.5
    assert risk.std() > 0.15
    base = {"age": "grown", "schooling": "some", "work": "shop", "ward": "south"}

    def logit(p: float) -> float:
        return float(np.log(p / (1 - p)))

    assert logit(table_risk({**base, "age": "aged"})) - logit(table_risk(base)) == pytest.approx(1.2)


def _content(texts: tuple[str, ...]) -> set[str]:
    return {w for t in texts for w in re.findall(r"[a-z{}]+", t.lower())} - FUNCTION_WORDS


@pytest.mark.parametrize("relation", SMALL.relations.values(), ids=lambda r: r.name)
def test_held_out_questions_are_new_wordings_of_known_content_words(relation: lexicon.Relation) -> None:
    statements, questions = lexicon.N_STATEMENTS, lexicon.N_QUESTIONS
    assert (len(relation.statements), len(relation.questions)) == (statements + 2, questions + 4)
    assert all(s.count("{a}") == 1 for s in relation.statements)
    training = [re.findall(r"[a-z{}]+", q.lower()) for q in relation.questions[:questions]]
    known = _content(relation.statements[:statements] + relation.questions[:questions])
    for question in relation.questions[questions : questions + 2]:
        words = re.findall(r"[a-z{}]+", question.lower())
        # No training wording in another order, and none that a few words were added to or taken from.
        assert all(len(set(words) ^ set(other)) >= 2 for other in training)
        assert _content((question,)) - {"{p}"} & known
    foreign = _content(relation.questions[questions + 2 :]) - {"{p}"}
    assert foreign
    assert not foreign & known
