"""P(argmax) of a Dirichlet law: closed forms, draws, a finer grid, extreme parameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import betainc

from trueline.errors import InputError
from trueline.metrics.annotators import DirichletIRN, PartialRankings, dirichlet_argmax, dirichlet_irn, irn, rank_certainty

LISTS = [[[[0, 3], [2]], [[1], [0]]], [], [[[2], [0, 1]]]]


@pytest.mark.parametrize("pair", [(0.01, 0.02), (0.5, 0.1), (1.0, 3.0), (30.01, 29.01), (400.0, 390.0), (1e5, 1.001e5), (1e-4, 5.0)])
def test_two_classes_have_a_closed_form(pair: tuple[float, float]) -> None:
    a, b = pair
    assert dirichlet_argmax(pair) == pytest.approx([betainc(b, a, 0.5), betainc(a, b, 0.5)], abs=1e-15 * max(pair) + 1e-11)


@pytest.mark.parametrize("a", [[0.01] * 419, [1.01] + [0.01] * 418, [1e-3, 1e-3, 2e-3], [2.0, 5e3, 5.1e3, 0.1], [1e6] * 3])
def test_rows_sum_to_one_and_equal_classes_are_equal(a: list[float]) -> None:
    chances = dirichlet_argmax(a)
    assert chances.sum() == pytest.approx(1.0, abs=1e-15 * max(a) + 1e-11)
    for value in set(a):
        assert np.ptp(chances[np.array(a) == value]) == 0


def test_a_finer_grid_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a = np.random.default_rng(0).gamma(0.5, 4.0, (50, 7)) + 0.01
    coarse = dirichlet_argmax(a)
    monkeypatch.setattr(dirichlet_irn, "_STEP", dirichlet_irn._STEP / 3)
    np.testing.assert_allclose(dirichlet_argmax(a), coarse, atol=1e-12)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    a = np.array([[0.01, 0.5, 3.0], [200.0, 1.0, 199.0], [1e5, 1e5, 1.0], [np.nan] * 3])
    together = dirichlet_argmax(a)
    np.testing.assert_allclose(together[:3], [dirichlet_argmax(row) for row in a[:3]], atol=1e-12)
    assert np.isnan(together[3]).all()


def test_zero_drops_a_class_and_bad_parameters_are_refused() -> None:
    assert dirichlet_argmax([0.0, 2.0, 2.0]) == pytest.approx([0, 0.5, 0.5], abs=1e-12)
    for bad in ([-1.0, 1.0], [np.inf, 1.0], [0.0, 0.0]):
        with pytest.raises(InputError, match="concentration"):
            dirichlet_argmax(bad)
    for settings in ((0.0, 0.1), (1.0, -0.1), (np.inf, 0.1)):
        with pytest.raises(InputError, match="reliability"):
            DirichletIRN(*settings)


@pytest.mark.parametrize(("reliability", "alpha"), [(3.0, 0.01), (10.0, 0.5), (5.0, 0.0)])
def test_draws_agree_with_the_integral(reliability: float, alpha: float) -> None:
    r, settings = PartialRankings.from_lists(LISTS, 4), DirichletIRN(reliability, alpha)
    samples = settings.sample(r, 20_000, seed=1)
    assert samples.tobytes() == settings.sample(r, 20_000, seed=1).tobytes()
    known = [0, 2]
    np.testing.assert_allclose(samples[known].sum(axis=2), 1, atol=1e-12)
    np.testing.assert_allclose(rank_certainty(samples)[known], settings.certainty(r)[known], atol=0.015)
    a = settings.concentration(r)[known]
    np.testing.assert_allclose(samples[known].mean(axis=1), a / a.sum(axis=1, keepdims=True), atol=0.015)
    assert np.isnan(samples[1]).all()
    assert np.isnan(settings.certainty(r)[1]).all()


def test_more_reliable_readers_end_at_irn() -> None:
    r = PartialRankings.from_lists([[[[0], [1]], [[0], [2]]]], 4)
    chances = [DirichletIRN(t).certainty(r)[0, 0] for t in (1, 3, 10, 100, 1000)]
    assert np.all(np.diff(chances) > 0)
    assert chances[-1] == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(DirichletIRN(1e8).sample(r, 3, seed=0)[0], np.tile(irn(r), (3, 1)), atol=1e-3)
