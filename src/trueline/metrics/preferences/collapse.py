r"""Does a single reward exaggerate the majority, and which clear wishes of a group does it overrule?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trueline.errors import InputError
from trueline.metrics.preferences._checks import group_names, open_unit, probabilities, vote_table
from trueline.stats.estimate import Estimate, FloatArray
from trueline.stats.intervals import normal_quantile, wilson
from trueline.stats.logistic import fit_logistic, logit, sigmoid

_CLIP = 1e-6


@dataclass(frozen=True)
class Collapse:
    """Preference collapse of a model against pooled votes.

    Attributes
    ----------
    exaggeration : Estimate
        1 / slope of the votes on logit(q): above 1 the model is surer than people are of each other, below 1 less sure. It is also the
        temperature that would mend it. (Regressing logit(q) on the logit of few votes would be drawn to 0 by their noise.)
    entropy_model, entropy_people : float
        Mean entropy over items, nats; that of people corrected for few votes (Zhang 2012), still low below about five an item.
    lost : tuple of Estimate, one a group
        Of the items on which a group has a clear majority (one-sided lower bound of its rate above 1/2), the share where the model prefers
        the other response.
    """

    exaggeration: Estimate
    entropy_model: float
    entropy_people: float
    lost: tuple[Estimate, ...]


def preference_collapse(model_prob: ArrayLike, yes: ArrayLike, total: ArrayLike, *, level: float = 0.95) -> Collapse:
    """Compare how sure a model is with how united people are, and count the clear majorities of a group that it overrules.

    Parameters
    ----------
    model_prob : (n_items,) float64 in [0, 1]
        NaN is missing.
    yes, total : (n_items, n_groups) whole numbers
    level : float
        Coverage of the intervals, and the (one-sided) confidence of a clear majority.

    Raises
    ------
    InputError
        For tables that do not fit, or numbers out of range.
    """
    k, n = vote_table(yes, total)
    q = probabilities(model_prob, len(k))
    open_unit(level, "level")
    group_names(None, k.shape[1])
    pooled, votes = k.sum(axis=1), n.sum(axis=1)
    used = np.isfinite(q) & (votes > 0)
    entropy_people = math.nan
    if used.any():
        entropy_people = float(_vote_entropy(pooled[used], votes[used]).mean())
    return Collapse(
        _exaggeration(q[used], pooled[used], votes[used], level, int((~used).sum())),
        float(_entropy(q[used]).mean()) if used.any() else math.nan,
        entropy_people,
        tuple(_lost(q, k[:, g], n[:, g], level) for g in range(k.shape[1])),
    )


def _entropy(p: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(x > 0, -x * np.log(x), 0.0) for x in (p, 1 - p)]
    return np.asarray(parts[0] + parts[1])


def _vote_entropy(k: FloatArray, n: FloatArray) -> FloatArray:
    """Return sum over both responses of (k/n) (psi(n) - psi(k)) (Zhang 2012): a bias that vanishes exponentially in the votes."""
    from scipy.special import digamma

    parts = [np.where(c > 0, c / n * (digamma(n) - digamma(np.maximum(c, 1))), 0.0) for c in (k, n - k)]
    return np.asarray(parts[0] + parts[1])


def _exaggeration(q: FloatArray, pooled: FloatArray, votes: FloatArray, level: float, missing: int) -> Estimate:
    fit = temperature_fit(logit(q, _CLIP), pooled, votes)
    if fit is None:
        return Estimate.undefined(
            "votes do not follow the model's preferences, or follow them without exception", n=len(q), n_missing=missing
        )
    slope, se = fit
    z = normal_quantile(level)
    low, high = slope - z * se, slope + z * se
    return Estimate(
        1 / slope,
        1 / high,
        1 / low if low > 0 else math.inf,
        level,
        len(q),
        missing,
        "wald on the slope, items independent",
        se=se / slope**2,
    )


def temperature_fit(margin: FloatArray, yes: FloatArray, total: FloatArray) -> tuple[float, float] | None:
    """Return b of rate = sigmoid(b margin) and its standard error, robust to votes that hang together on an item; None without a b > 0.

    1/b is the temperature under which the margins are on the scale of people's preferences.
    """
    good = np.isfinite(margin) & (total > 0)
    x, k, n = margin[good], yes[good], total[good]
    if len(x) < 2 or not (x != 0).any():
        return None
    fit = fit_logistic(x[:, None], k / n, n)
    slope = float(fit.coefficients[0])
    if not fit.converged or not slope > 0:
        return None
    fitted = sigmoid(slope * x)
    bread = float((n * fitted * (1 - fitted) * x**2).sum())
    meat = float((((k - n * fitted) * x) ** 2).sum())
    return slope, math.sqrt(meat) / bread


def reward_probabilities(margin: ArrayLike, yes: ArrayLike, total: ArrayLike) -> tuple[FloatArray, float]:
    """Return sigmoid(margin / T) and the temperature T fitted on pooled votes, for rewards without a scale.

    Parameters
    ----------
    margin : (n_items,) float64
        Reward of the first response less that of the second; NaN is missing.
    yes, total : (n_items, n_groups) whole numbers

    Raises
    ------
    InputError
        When the votes do not follow the margins, so that no temperature fits.
    """
    k, n = vote_table(yes, total)
    m = np.asarray(margin, dtype=np.float64)
    if m.shape != (len(k),):
        raise InputError(f"margin has shape {m.shape}; expected one number an item, ({len(k)},)")
    fit = temperature_fit(m, k.sum(axis=1), n.sum(axis=1))
    if fit is None:
        raise InputError("no temperature fits: the votes go against the margins, or never do; give probabilities instead")
    out = np.full(len(m), np.nan)
    out[np.isfinite(m)] = sigmoid(fit[0] * m[np.isfinite(m)])
    return out, 1 / fit[0]


def _lost(q: FloatArray, k: FloatArray, n: FloatArray, level: float) -> Estimate:
    """Items whose majority in this group is clear, and of those the share that the model ranks the other way; q of 1/2 is no ranking."""
    from scipy.special import betaincinv

    majority = np.maximum(k, n - k)
    lower = betaincinv(np.maximum(majority, 1), n - majority + 1, 1 - level)
    clear = (n > 0) & (lower > 0.5) & np.isfinite(q) & (q != 0.5)
    count = int(clear.sum())
    if not count:
        return Estimate.undefined("no item on which this group has a clear majority", level=level, n_missing=len(q))
    against = int((clear & ((q > 0.5) != (2 * k > n))).sum())
    ends = wilson(against, count, level)
    return Estimate(against / count, ends.low, ends.high, level, count, len(q) - count, ends.method, float(count), ends.se)
