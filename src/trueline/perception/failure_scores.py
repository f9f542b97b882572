"""Uncertainty of a classifier from its outputs: scores that find its errors, and inputs that it does not know.

Hendrycks and Gimpel, arXiv 1610.02136 (largest probability); Hendrycks et al., arXiv 1911.11132 (largest logit); Liu et al.,
arXiv 2010.03759 (energy). Every score is an uncertainty: higher = less certain, so some have the opposite sign of the paper's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.multiclass import check_probabilities
from trueline.metrics.scaling import log_softmax
from trueline.stats.estimate import FloatArray

_ROUNDING = 1e-6


def max_softmax(*, logits: ArrayLike | None = None, probabilities: ArrayLike | None = None) -> FloatArray:
    """One minus the largest class probability, in [0, 1).

    Parameters
    ----------
    logits, probabilities : (n, K) float64
        One of the two, by name: rows of probabilities are not logits, and are refused as such only where one can tell.

    Returns
    -------
    (n,) float64
        Higher = less certain.

    Raises
    ------
    InputError
        If neither or both are given, a number is not finite, or a row of probabilities is no distribution.

    Examples
    --------
    >>> max_softmax(probabilities=[[0.5, 0.5], [0.75, 0.25]]).tolist()
    [0.5, 0.25]
    """
    # summing the others keeps what 1 - p would round away
    p = np.exp(_log_probabilities(logits, probabilities))
    return np.asarray(np.sort(p, axis=1)[:, :-1].sum(axis=1))


def softmax_entropy(*, logits: ArrayLike | None = None, probabilities: ArrayLike | None = None) -> FloatArray:
    """Entropy of the class distribution, nats. Arguments as in `max_softmax`."""
    logp = _log_probabilities(logits, probabilities)
    p = np.exp(logp)
    return np.asarray(-(p * np.where(p > 0, logp, 0.0)).sum(axis=1))


def softmax_margin(*, logits: ArrayLike | None = None, probabilities: ArrayLike | None = None) -> FloatArray:
    """One minus the distance of the two largest class probabilities, in [0, 1]. Arguments as in `max_softmax`."""
    top = np.sort(np.exp(_log_probabilities(logits, probabilities)), axis=1)
    return np.asarray(1 - (top[:, -1] - top[:, -2]))


def max_logit(*, logits: ArrayLike) -> FloatArray:
    """Negated largest logit. Arguments as in `max_softmax`; probabilities do not hold what it needs."""
    return np.asarray(-_checked_logits(logits).max(axis=1))


def energy(*, logits: ArrayLike, temperature: float = 1.0) -> FloatArray:
    r"""Free energy :math:`-T \log \sum_k e^{z_k / T}`, nats times T. Arguments as in `max_softmax`; probabilities will not do."""
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}; it must be positive")
    z = _checked_logits(logits) / temperature
    top = z.max(axis=1)
    return np.asarray(-temperature * (top + np.log(np.exp(z - top[:, None]).sum(axis=1))))


def failure_scores(*, logits: ArrayLike | None = None, probabilities: ArrayLike | None = None) -> dict[str, FloatArray]:
    """Return every score by name, (n,) float64 each; the two that need logits are left out where these are not at hand.

    Logits that are log-probabilities have no energy: it is 0 for every row.
    """
    given = {"logits": logits, "probabilities": probabilities}
    found = {f.__name__: f(**given) for f in (max_softmax, softmax_entropy, softmax_margin)}
    if logits is None or np.abs(free := energy(logits=logits)).max() <= _ROUNDING:
        return found
    return {**found, "max_logit": max_logit(logits=logits), "energy": free}


def _log_probabilities(logits: ArrayLike | None, probabilities: ArrayLike | None) -> FloatArray:
    if (logits is None) == (probabilities is None):
        raise InputError("give either logits=... or probabilities=...")
    if logits is not None:
        return log_softmax(_checked_logits(logits))
    p = check_probabilities(np.asarray(probabilities, dtype=np.float64))
    bad = np.flatnonzero(np.isnan(p).any(axis=1))
    if len(bad):
        raise InputError(f"row {bad[0]} of the probabilities holds NaN; leave such items out, and count them")
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p))


def _checked_logits(logits: ArrayLike) -> FloatArray:
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 2 or not z.shape[0] or z.shape[1] < 2:
        raise InputError(f"logits must be (n, K) with n >= 1 and K >= 2; got shape {z.shape}")
    bad = np.flatnonzero(~np.isfinite(z).all(axis=1))
    if len(bad):
        raise InputError(f"row {bad[0]} of the logits holds a number that is not finite")
    return z
