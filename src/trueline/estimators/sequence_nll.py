"""Negative log-likelihood of the greedy answer (G-NLL) and its per-token kin: the cheapest useful scores, at no extra call.

Source: Aichberger, Schweighofer, Hochreiter, "Rethinking Uncertainty Estimation in Natural Language Generation", arXiv 2412.15176.
LM-Polygraph calls the mean NLL "Perplexity"; here ``Perplexity`` is its exponential. uqlm reports probabilities (confidences).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trueline.capture.needs import Needs
from trueline.estimators.inputs import OnEmpty, choice, greedy_logprobs
from trueline.traces.trace import Trace

_NEEDS = Needs(greedy=frozenset({"token_logprobs"}))


@dataclass(frozen=True)
class SequenceNLL:
    r"""G-NLL: :math:`-\sum_t \log p(y_t \mid x, y_{<t})` along the greedy path, in nats.

    It approximates the min-entropy of the output law, the aleatoric term of the zero-one score (arXiv 2412.15176). Trap: it grows
    with length; dividing by the length (``length_normalize=True``) breaks the tie to the scoring rule and is off by default.
    ``compat="uqlm"``: 1 - exp(-score), its sequence (or length-normalised) probability.

    >>> from trueline.traces import make_trace
    >>> SequenceNLL().score(make_trace([{"item_id": "a", "kind": "greedy", "token_logprobs": [-0.5, -0.25]}]))
    array([0.75])
    """

    length_normalize: bool = False
    on_empty: OnEmpty = "raise"  # "nan": an empty answer is missing instead of an error
    compat: Literal["", "uqlm"] = ""

    def __post_init__(self) -> None:
        """Refuse an unknown ``compat``."""
        choice("compat", self.compat, ("", "uqlm"))

    @property
    def needs(self) -> Needs:
        """Greedy token log-probs, of the whole answer unless ``length_normalize``."""
        return _NEEDS if self.length_normalize else _NEEDS | Needs(whole=frozenset({"greedy"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats. Raises ``EmptySequenceError``, ``LawError`` (greedy was sampled), ``InputError`` (bad log-probs)."""
        logprobs = greedy_logprobs(trace, self.on_empty)
        logprob = logprobs.mean() if self.length_normalize else logprobs.sum()
        return (-np.expm1(logprob) if self.compat else -logprob) + 0.0


@dataclass(frozen=True)
class Perplexity:
    r"""Perplexity of the greedy answer: :math:`\exp(-\frac1T \sum_t \log p_t)`; at least 1.

    ``compat="lm_polygraph"``: its log, the mean NLL.
    """

    on_empty: OnEmpty = "raise"
    compat: Literal["", "lm_polygraph"] = ""

    def __post_init__(self) -> None:
        """Refuse an unknown ``compat``."""
        choice("compat", self.compat, ("", "lm_polygraph"))

    @property
    def needs(self) -> Needs:
        """Greedy token log-probs."""
        return _NEEDS

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64. Raises as ``SequenceNLL.score``."""
        mean = greedy_logprobs(trace, self.on_empty).mean()
        return -mean + 0.0 if self.compat else np.exp(-mean)


@dataclass(frozen=True)
class MaxTokenNLL:
    r"""Largest token NLL of the greedy answer: :math:`\max_t -\log p_t`, in nats (the least probable token).

    ``compat="uqlm"``: 1 - the probability of that token.
    """

    on_empty: OnEmpty = "raise"
    compat: Literal["", "uqlm"] = ""

    def __post_init__(self) -> None:
        """Refuse an unknown ``compat``."""
        choice("compat", self.compat, ("", "uqlm"))

    @property
    def needs(self) -> Needs:
        """Greedy token log-probs."""
        return _NEEDS

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats. Raises as ``SequenceNLL.score``."""
        least = greedy_logprobs(trace, self.on_empty).min()
        return (-np.expm1(least) if self.compat else -least) + 0.0
