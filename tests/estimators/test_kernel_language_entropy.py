from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from trueline.errors import InputError
from trueline.estimators.kernel_language_entropy import KernelLanguageEntropy
from trueline.traces import ItemJudgement, Judgements


def von_neumann(kernel):
    values = np.linalg.eigvalsh(kernel)
    values = values[values > 1e-15]
    return -(values * np.log(values)).sum()


def judged(make, probs):
    m = len(probs)
    return make({"a": [str(k) for k in range(m)]}).with_judgements(Judgements("x", (ItemJudgement(np.arange(m), -1, probs),)))


@pytest.mark.parametrize("kernel", ["heat", "matern"])
def test_agrees_with_matrix_functions(make, kernel) -> None:
    probs = np.random.default_rng(3).dirichlet([1, 1, 1], size=(6, 6))
    g = np.array([1, 0.5, 0])[probs.argmax(-1)]
    w = (g + g.T) * (1 - np.eye(6))
    laplacian = np.diag(w.sum(1)) - w
    k = expm(-0.7 * laplacian) if kernel == "heat" else np.linalg.inv(2 * 1.0 / 4 * np.eye(6) + laplacian)
    k /= np.sqrt(np.outer(np.diag(k), np.diag(k))) * 6
    estimator = KernelLanguageEntropy(kernel, t=0.7, kappa=2.0)
    assert estimator.score(judged(make, probs))[0] == pytest.approx(von_neumann(k), abs=1e-8)


def test_all_different_is_log_m_and_agreement_is_less(make, exact) -> None:
    trace = make({"a": list("wxyz"), "b": list("wwww")}, judge=exact)
    scores = KernelLanguageEntropy().score(trace)
    assert scores[0] == pytest.approx(np.log(4), abs=1e-9)
    assert 0 < scores[1] < scores[0]
    assert KernelLanguageEntropy(compat="lm_polygraph").score(trace)[0] == 1.0


def test_cluster_kernel_alone_is_the_discrete_entropy(make, exact) -> None:
    trace = make({"a": list("wwxy")}, judge=exact)
    expected = -(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25))
    assert KernelLanguageEntropy(alpha=0.0).score(trace)[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("bad", [{"kernel": "rbf"}, {"t": 0.0}, {"alpha": 1.5}, {"nu": -1.0}, {"rule": "x"}, {"compat": "x"}])
def test_refusals(bad) -> None:
    with pytest.raises(InputError):
        KernelLanguageEntropy(**bad)
