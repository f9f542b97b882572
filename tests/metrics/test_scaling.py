"""Class-wise scaling finds the distortion that made the logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics import fit_dirichlet, fit_temperature, fit_vector
from trueline.metrics.scaling import log_softmax, mean_nll


def world(n: int = 3000) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 3)) * 1.5
    return z, np.array([rng.choice(3, p=np.exp(row)) for row in log_softmax(z)])


def test_temperature_is_found() -> None:
    z, y = world()
    s = fit_temperature(3 * z, y)
    assert s.temperature == pytest.approx(3, rel=0.07)
    assert s.nll == pytest.approx(mean_nll(3 * z / s.temperature, y))
    assert s.predict(3 * z).sum(axis=1) == pytest.approx(np.ones(len(z)))
    assert (s.predict(3 * z).argmax(axis=1) == z.argmax(axis=1)).all()


def test_vector_scaling_is_found_and_never_worse_than_temperature() -> None:
    z, y = world()
    scale, shift = np.array([2.0, 0.5, 1.0]), np.array([0.5, -0.5, 0.0])
    s = fit_vector((z - shift) / scale, y)
    assert np.diag(s.matrix) == pytest.approx(scale, rel=0.12)
    assert s.shift - s.shift.mean() == pytest.approx(shift, abs=0.15)
    assert s.nll <= fit_temperature((z - shift) / scale, y).nll + 1e-9


def test_dirichlet_scaling_repairs_swapped_mass() -> None:
    z, y = world()
    p = np.exp(log_softmax(z))[:, [1, 0, 2]]
    s = fit_dirichlet(p, y)
    assert s.nll == pytest.approx(mean_nll(z, y), abs=0.01)
    assert mean_nll(np.log(p), y) > s.nll + 0.3
    assert abs(fit_dirichlet(p, y, penalty=100.0).matrix * (1 - np.eye(3))).max() < 0.01


@pytest.mark.parametrize(
    "call",
    [
        lambda: fit_temperature([[1.0, 2.0]], [2]),
        lambda: fit_temperature([[1.0, float("nan")]], [0]),
        lambda: fit_temperature([1.0, 2.0], [0]),
        lambda: fit_vector([[1.0, 2.0]], [0, 1]),
        lambda: fit_dirichlet([[-0.1, 1.1]], [0]),
        lambda: fit_temperature([[1.0, 2.0], [2.0, 1.0]], [0, 1]).predict([[1.0, 2.0, 3.0]]),
    ],
)
def test_bad_input(call: Any) -> None:
    with pytest.raises(InputError):
        call()
