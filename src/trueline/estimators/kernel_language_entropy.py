"""Kernel language entropy: von Neumann entropy of a semantic kernel over the sampled answers (Nikitin et al., arXiv 2405.20003).

LM-Polygraph uses soft verdicts and divides by log M (``compat="lm_polygraph"``). Trap: it is not 0 for full agreement, and it grows
with M; compare only scores over equally many samples. Hard verdicts of a judge that names classes serve as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.clusters import RULES, Rule, cluster, sample_clusters, verdict_blocks
from trueline.estimators.inputs import choice, round_scores
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class KernelLanguageEntropy:
    r"""KLE: :math:`-\sum_k \lambda_k \log \lambda_k` over the eigenvalues of the unit-trace kernel of the answers, in nats; at most log M.

    Weights: 1, 0.5, 0 for entailment, neutral, contradiction (argmax), both directions summed, no self loops; L = D - W.
    ``heat``: K = expm(-t L); ``matern``: K = (2 nu / kappa^2 I + L)^-nu; then K_ij / (sqrt(K_ii K_jj) M).
    ``alpha`` < 1 mixes in the cluster kernel (KLE-full): alpha K + (1 - alpha) K_c,
    K_c holding P(c) / n_c within cluster c, with the count share P(c).
    """

    kernel: Literal["heat", "matern"] = "heat"
    t: float = 0.3
    kappa: float = 1.0
    nu: float = 1.0
    alpha: float = 1.0
    rule: Rule = "strict"
    compat: Literal["", "lm_polygraph"] = ""

    def __post_init__(self) -> None:
        """Refuse unknown options and parameters out of range."""
        choice("kernel", self.kernel, ("heat", "matern"))
        choice("rule", self.rule, RULES)
        choice("compat", self.compat, ("", "lm_polygraph"))
        if not (self.t > 0 and self.kappa > 0 and self.nu > 0 and 0 <= self.alpha <= 1):
            raise InputError(f"t, kappa and nu must be positive and alpha in [0, 1]; got {self.t}, {self.kappa}, {self.nu}, {self.alpha}")

    @property
    def needs(self) -> Needs:
        """Two samples and verdicts among them."""
        return Needs(samples=2, sample_columns=frozenset({"text"}), equivalence=frozenset({"samples"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an item with fewer than 2 samples. Raises ``MissingTraceField``, ``InputError`` (none has 2)."""
        score = np.full(trace.n_items, np.nan)
        for items, probs in verdict_blocks(trace, sample_clusters(trace, self.rule).counts, least=2):
            kernel = self._kernel(probs)
            if self.alpha < 1.0:
                kernel = self.alpha * kernel + (1.0 - self.alpha) * _cluster_kernel(cluster(probs, self.rule))
            values = np.clip(np.linalg.eigvalsh(kernel), 0.0, None)
            entropy = -(values * np.log(np.where(values > 0, values, 1.0))).sum(axis=1)
            score[items] = entropy / np.log(kernel.shape[1]) if self.compat else entropy
        return round_scores(score)

    def _kernel(self, probs: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, M, M, 3) -> (n, M, M), trace 1."""
        soft = probs[..., 0] + probs[..., 1] / 2.0
        one_way = soft if self.compat else np.array([1.0, 0.5, 0.0])[probs.argmax(axis=-1)]
        w = one_way + np.swapaxes(one_way, 1, 2)
        m = w.shape[1]
        w[:, np.arange(m), np.arange(m)] = 0.0
        values, vectors = np.linalg.eigh(np.eye(m) * w.sum(axis=2)[:, None, :] - w)
        values = np.clip(values, 0.0, None)
        spectrum = np.exp(-self.t * values) if self.kernel == "heat" else (2.0 * self.nu / self.kappa**2 + values) ** -self.nu
        k = (vectors * spectrum[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        scale = 1.0 / np.sqrt(np.diagonal(k, axis1=1, axis2=2))
        return np.asarray(k * scale[:, :, None] * scale[:, None, :] / m, dtype=np.float64)


def _cluster_kernel(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, M) labels -> (n, M, M): P(c) / n_c = 1 / M within a cluster, 0 elsewhere."""
    return np.asarray((labels[:, :, None] == labels[:, None, :]) / labels.shape[1], dtype=np.float64)
