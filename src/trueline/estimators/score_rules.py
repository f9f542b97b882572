"""Total, aleatoric and epistemic uncertainty of a model under two proper scoring rules, given a posterior over models.

Source: Aichberger, Schweighofer, Hochreiter, arXiv 2412.15176. The zero-one score is 1 - [y = argmax p].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError


@dataclass(frozen=True)
class Decomposition:
    """total = aleatoric + epistemic. ``log_*`` in nats: cross-entropy, entropy, KL; ``zero_one_*`` are probabilities of error."""

    zero_one_total: float
    zero_one_aleatoric: float
    zero_one_epistemic: float
    log_total: float
    log_aleatoric: float
    log_epistemic: float


def score_rule_decomposition(probs: ArrayLike, evaluated: int = 0) -> Decomposition:
    """Decompose the uncertainty of model ``evaluated`` against all models of the posterior, equally weighted.

    probs: (n_models, n_outcomes) float64, rows sum to 1. Ties at the mode go to the lowest outcome. A model that gives 0 to an outcome the
    evaluated one allows makes the log score infinite. Raises ``InputError`` for another shape, rows that are no laws, or the index.
    """
    p = np.asarray(probs, dtype=np.float64)
    if p.ndim != 2 or not len(p) or not (p >= 0).all() or (np.abs(p.sum(axis=1) - 1.0) > 1e-6).any():
        raise InputError(f"probs of shape {p.shape} must be (n_models, n_outcomes) with rows of probabilities that sum to 1")
    if not 0 <= evaluated < len(p):
        raise InputError(f"evaluated={evaluated} names no model; there are {len(p)}")
    own = p[evaluated]
    zero_one = 1.0 - own[p.argmax(axis=1)]
    aleatoric, total = 1.0 - own.max(), zero_one.mean()
    possible = own > 0
    with np.errstate(divide="ignore"):
        cross = -(own[possible] * np.log(p[:, possible])).sum(axis=1)
    entropy, log_total = cross[evaluated], cross.mean()
    return Decomposition(
        float(total),
        float(aleatoric),
        float(max(total - aleatoric, 0.0)),
        float(log_total) + 0.0,
        float(entropy) + 0.0,
        float(max(log_total - entropy, 0.0)),
    )
