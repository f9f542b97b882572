from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.estimators.mahalanobis import fit_gaussian, relative_mahalanobis


def test_distance_under_the_sample_covariance() -> None:
    states = np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([1, 5, 0.1])
    gaussian = fit_gaussian(states)
    assert gaussian.jitter == 0.0
    h = np.array([[1.0, 2.0, 3.0]])
    gap = h[0] - states.mean(0)
    assert gaussian.distance(h)[0] == pytest.approx(np.sqrt(gap @ np.linalg.inv(np.cov(states.T)) @ gap))
    assert relative_mahalanobis(h, gaussian, gaussian).tolist() == [0.0]


def test_singular_covariance_gets_the_least_jitter() -> None:
    states = np.zeros((5, 3))
    states[:, 0] = np.arange(5)
    gaussian = fit_gaussian(states)
    assert 0 < gaussian.jitter <= 1e-14
    assert np.isfinite(gaussian.distance(states + 1)).all()


def test_refusals() -> None:
    for bad in (np.zeros((1, 3)), np.full((4, 2), np.nan), np.zeros(3)):
        with pytest.raises(InputError):
            fit_gaussian(bad)
    with pytest.raises(InputError, match="features"):
        fit_gaussian(np.random.default_rng(0).normal(size=(9, 2))).distance([[1.0, 2.0, 3.0]])
