"""P(True): ask the model whether its own answer is true and read the probability of the option (Kadavath et al., arXiv 2207.05221)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.inputs import choice, generations
from trueline.traces.trace import Trace

Form = Literal["two_way", "one_way"]
Compat = Literal["", "lm_polygraph", "uqlm"]
FORMS = ("two_way", "one_way")
COMPATS = ("", "lm_polygraph", "uqlm")


@dataclass(frozen=True)
class PTrue:
    """Uncertainty from the log-probs of the options "True" (first) and "False" (second) of the probe.

    form: ``two_way`` 1 - P(A) / (P(A) + P(B)) in [0, 1]; ``one_way`` 1 - P(A).
    ``compat="lm_polygraph"``: -log P(A). ``compat="uqlm"`` looks at the likelier option alone: 1 - P(A), or P(B) where B is likelier.
    """

    form: Form = "two_way"
    compat: Compat = ""

    def __post_init__(self) -> None:
        """Refuse unknown options, and a form beside ``compat``."""
        choice("form", self.form, FORMS)
        choice("compat", self.compat, COMPATS)
        if self.compat and self.form != "two_way":
            raise InputError(f"compat={self.compat!r} has its own form; leave form at its default")

    @property
    def needs(self) -> Needs:
        """An answer and the P(True) probe about it."""
        return Needs(answer=True, probes=frozenset({"p_true"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64; NaN where the probe failed. Raises ``MissingTraceField`` (no probe), ``InputError`` (bad log-probs)."""
        rows = generations(trace, "p_true")
        options = rows.ragged("option_logprobs")
        asked = options.lengths > 0
        wrong = asked & (options.lengths != 2)
        if wrong.any():
            bad = trace.item_ids[int(rows.item[wrong][0])]
            raise InputError(f"item {bad!r}: its P(True) probe has {options.lengths[wrong][0]} options; it needs two, true and false")
        pair = options.values.reshape(-1, 2)
        broken = np.isnan(pair).any(axis=1) | (pair > 1e-6).any(axis=1)
        if broken.any():
            bad = trace.item_ids[int(rows.item[asked][broken][0])]
            raise InputError(f"item {bad!r}: an option of its P(True) probe has log-prob {pair[broken][0].tolist()}; expected at most 0")
        score = np.full(trace.n_items, np.nan)
        score[rows.item[asked]] = p_true_uncertainty(pair[:, 0], pair[:, 1], self.form, self.compat)
        return score


def p_true_uncertainty(
    logprob_true: ArrayLike, logprob_false: ArrayLike, form: Form = "two_way", compat: Compat = ""
) -> NDArray[np.float64]:
    """Uncertainty from the log-probs (...) float64 of the two options, as in ``PTrue``; NaN when both are -inf (``two_way``)."""
    choice("form", form, FORMS)
    choice("compat", compat, COMPATS)
    true, false = np.asarray(logprob_true, dtype=np.float64), np.asarray(logprob_false, dtype=np.float64)
    if compat == "lm_polygraph":
        return -true + 0.0
    if compat == "uqlm":
        return np.where(true >= false, -np.expm1(np.minimum(true, 0.0)), np.exp(np.minimum(false, 0.0))) + 0.0
    if form == "one_way":
        return -np.expm1(np.minimum(true, 0.0))
    total = np.logaddexp(true, false)
    neither = np.isneginf(total)
    return np.where(neither, np.nan, np.exp(false - np.where(neither, 0.0, total)))
