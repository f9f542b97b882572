"""EigenScore: spread of the hidden states of the sampled answers (INSIDE, Chen et al., arXiv 2402.03744)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError


def eigenscore(states: ArrayLike, alpha: float = 1e-3) -> float:
    r"""Mean of the log of the M eigenvalues of :math:`E J E^\top + \alpha I`, J centring each state over its d features.

    states: (M, d) float64, one hidden state a sample (middle layer, last token in the paper).
    Raises ``InputError`` for M < 2, NaN, alpha <= 0.
    """
    e = np.asarray(states, dtype=np.float64)
    if e.ndim != 2 or len(e) < 2 or not np.isfinite(e).all() or alpha <= 0:
        raise InputError(f"states of shape {e.shape} and alpha={alpha}; expected finite (M, d) with M >= 2 and alpha > 0")
    centred = e - e.mean(axis=1, keepdims=True)
    values = np.linalg.eigvalsh(centred @ centred.T + alpha * np.eye(len(e)))
    return float(np.log(np.maximum(values, np.finfo(np.float64).tiny)).mean())
