"""Logistic regression against scikit-learn and under separation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from trueline.stats.logistic import fit_logistic, logit, sigmoid


def test_equals_unpenalised_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    y = (rng.random(300) < sigmoid(x @ [1.0, -0.5] + 0.3)).astype(float)
    w = rng.integers(1, 4, 300).astype(float)
    ours = fit_logistic(np.column_stack([x, np.ones(300)]), y, w)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y, w)
    assert ours.converged
    assert ours.coefficients == pytest.approx([*theirs.coef_[0], theirs.intercept_[0]], abs=1e-5)


def test_standard_error_of_a_proportion() -> None:
    y = np.r_[np.ones(30), np.zeros(70)]
    fit = fit_logistic(np.ones((100, 1)), y, np.ones(100))
    assert fit.coefficients[0] == pytest.approx(np.log(3 / 7))
    assert fit.se[0] == pytest.approx(1 / np.sqrt(100 * 0.3 * 0.7))


def test_separation_and_collinearity_do_not_converge() -> None:
    x = np.column_stack([np.arange(10.0), np.ones(10)])
    assert not fit_logistic(x, (np.arange(10) > 4).astype(float), np.ones(10)).converged
    assert not fit_logistic(np.ones((4, 2)), np.array([0.0, 1, 0, 1]), np.ones(4)).converged


def test_sigmoid_and_logit_are_inverse_and_never_overflow() -> None:
    p = np.array([0.0, 1e-9, 0.3, 0.5, 1 - 1e-9, 1.0])
    assert sigmoid(logit(p)) == pytest.approx(p, abs=1e-11)
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]
