"""How far the next-token laws of the greedy answer are from uniform: self-certainty and two bounded relatives.

Sources: self-certainty, Kang et al., arXiv 2502.18581; Renyi divergence and Fisher-Rao distance, Darrin, Piantanida, Colombo,
arXiv 2212.09171. All three grow with certainty, so they are returned with the sign turned (LM-Polygraph turns only the first;
``compat="lm_polygraph"`` gives its values, which are LOWER for less certain laws: never rank with them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.inputs import OnEmpty, choice, greedy_column
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class SelfCertainty:
    r"""Minus the mean over tokens of :math:`KL(u \,\|\, p_t) = -\frac1V \sum_v \log p_t(v) - \log V`, in nats; at most 0.

    V counts the finite entries of the law, so masked tokens are left out.
    """

    on_empty: OnEmpty = "raise"

    @property
    def needs(self) -> Needs:
        """Mean log-prob and number of finite entries at each greedy step."""
        return Needs(greedy=frozenset({"token_mean_logp", "token_n_finite"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats. Raises ``EmptySequenceError``, ``LawError`` (greedy was sampled), ``InputError`` (NaN)."""
        mean_logp = greedy_column(trace, "token_mean_logp", self.on_empty)
        n_finite = greedy_column(trace, "token_n_finite", self.on_empty)
        return mean_logp.with_values(mean_logp.values + np.log(n_finite.values)).mean()


@dataclass(frozen=True)
class RenyiUncertainty:
    r"""Minus the mean Renyi divergence from uniform, alpha 0.5, of each law at temperature 2, in nats; at most 0 (as captured).

    ``compat="lm_polygraph"``: the sign is not turned, and - log V stands where the divergence has + log V: the divergence less 2 log V,
    V the vocabulary (here the finite entries of the law: equal unless tokens were masked). Lower = less certain.
    """

    on_empty: OnEmpty = "raise"
    compat: Literal["", "lm_polygraph"] = ""

    def __post_init__(self) -> None:
        """Refuse an unknown ``compat``."""
        choice("compat", self.compat, ("", "lm_polygraph"))

    @property
    def needs(self) -> Needs:
        """Renyi divergence at each greedy step; the size of the vocabulary for ``compat``."""
        return Needs(greedy=frozenset({"token_renyi", "token_n_finite"} if self.compat else {"token_renyi"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats. Raises as ``SelfCertainty.score``."""
        divergence = greedy_column(trace, "token_renyi", self.on_empty).mean()
        if not self.compat:
            return -divergence + 0.0
        size = greedy_column(trace, "token_n_finite", self.on_empty)
        return divergence - 2.0 * size.with_values(np.log(size.values)).mean()


@dataclass(frozen=True)
class FisherRaoUncertainty:
    r"""Minus the mean Fisher-Rao distance :math:`\frac{2}{\pi}\arccos\sum_v \sqrt{p'_t(v)/V}` from uniform at temperature 2; in [-1, 0].

    ``compat="lm_polygraph"``: the distance itself, lower = less certain.
    """

    on_empty: OnEmpty = "raise"
    compat: Literal["", "lm_polygraph"] = ""

    def __post_init__(self) -> None:
        """Refuse an unknown ``compat``."""
        choice("compat", self.compat, ("", "lm_polygraph"))

    @property
    def needs(self) -> Needs:
        """Fisher-Rao distance at each greedy step."""
        return Needs(greedy=frozenset({"token_fisher_rao"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64. Raises as ``SelfCertainty.score``."""
        distance = greedy_column(trace, "token_fisher_rao", self.on_empty).mean()
        return (distance if self.compat else -distance) + 0.0
