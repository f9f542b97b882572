"""Perturbations change what they say and nothing else, and probing finds the frailty that a judge has."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.metrics.preferences import FAMILIES, Pair, flip_robustness, probe_flips, rewritten, suffixed

PAIRS = [
    Pair(f"Which of the answers about the town of number {i} is better?", "short", f"a much longer answer of {i} words") for i in range(60)
]


def quality(text: str) -> float:
    return 1.0 if "longer" in text else 0.0


def honest(pairs: Sequence[Pair]) -> list[float]:
    return [quality(p.first) - quality(p.second) for p in pairs]


def first_lover(pairs: Sequence[Pair]) -> list[float]:
    return [1.0 for _ in pairs]


def flatterer(pairs: Sequence[Pair]) -> list[float]:
    return [
        quality(p.first) - quality(p.second) + 3 * (f'is "{p.first}"' in p.prompt) - 3 * (f'is "{p.second}"' in p.prompt) for p in pairs
    ]


def rates(prefer) -> dict[str, float]:  # type: ignore[no-untyped-def]
    probed = probe_flips(prefer, PAIRS)
    return {f.family: f.rate.value for f in flip_robustness(probed.flip, probed.families, margin=probed.margin).families}


def test_each_frailty_shows_in_its_own_family() -> None:
    assert set(rates(honest).values()) == {0.0}
    assert rates(first_lover) == {name: float(name == "order_swap") for name in FAMILIES}
    found = rates(flatterer)
    assert 0.2 < found.pop("sycophantic_preface") < 0.8
    assert set(found.values()) == {0.0}


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=40), st.text(max_size=40), st.integers(0, 1000))
def test_any_text_can_be_perturbed_and_the_same_seed_gives_the_same(prompt: str, first: str, second: str, seed: int) -> None:
    pair = Pair(prompt, first, second)
    for family in FAMILIES.values():
        one, two = (family(pair, np.random.default_rng(seed)) for _ in range(2))
        assert one == two
    typed = FAMILIES["typos"](pair, np.random.default_rng(seed))
    assert sorted(typed.prompt.replace(" ", "")) == sorted(prompt.replace(" ", ""))
    assert (typed.first, typed.second) == (first, second)
    swapped = FAMILIES["order_swap"](pair, np.random.default_rng(seed))
    assert (swapped.first, swapped.second, swapped.swapped) == (second, first, True)


def test_own_families_and_several_draws() -> None:
    families = {"upper": rewritten(str.upper), "suffix": suffixed([" !!", " ??"]), **FAMILIES}
    probed = probe_flips(honest, PAIRS, families, draws=2)
    assert probed.flip.shape == (60, 2 * len(families))
    assert probed.families[:4] == ("upper", "upper", "suffix", "suffix")
    fewer = probe_flips(honest, PAIRS[:5], families, draws=2)
    np.testing.assert_array_equal(fewer.flip, probed.flip[:5])
    # no preference after the rewriting: nothing can be said
    assert np.isnan(probed.flip[:, 0]).all()
    assert not np.isnan(probed.flip[:, 2]).any()
    turned = Pair("p", "first", "longer", swapped=True)
    assert probe_flips(honest, [turned], {"order_swap": FAMILIES["order_swap"]}).flip[0, 0] == 0
    prompts = rewritten(str.upper, responses=False)(Pair("p", "a", "b"), np.random.default_rng(0))
    assert (prompts.prompt, prompts.first) == ("P", "a")


def test_no_preference_is_no_flip_and_missing_stays_missing() -> None:
    probed = probe_flips(lambda pairs: [0.0, math.nan, 1.0][: len(pairs)], PAIRS[:3], {"typos": FAMILIES["typos"]})
    assert np.isnan(probed.flip[:2]).all()
    assert probed.flip[2, 0] == 0


def test_refusals() -> None:
    with pytest.raises(InputError, match="0 pairs"):
        probe_flips(honest, [])
    with pytest.raises(InputError, match="0 draws"):
        probe_flips(honest, PAIRS, draws=0)
    with pytest.raises(InputError, match="shape"):
        probe_flips(lambda pairs: [1.0], PAIRS)
    with pytest.raises(InputError, match="suffix"):
        suffixed([])
