"""Scores from attention maps of the answer: RAUQ, the attention score, and contextualised sequence likelihood (CSL).

Sources: RAUQ, arXiv 2505.20045; attention score, Sriramanan et al., "LLM-Check" (2024); CSL, Lin, Trivedi, Sun, arXiv 2406.01806.
LM-Polygraph adds 1 to RAUQ (``compat="lm_polygraph"``) and lets its layers run past the last one in models of 1 or 2 layers, where it
fails; here they stop at the last.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trueline.capture.needs import Needs
from trueline.errors import InputError
from trueline.estimators.fitting import Fit, both_classes, hash_ids, labels, state_for
from trueline.estimators.inputs import OnEmpty, choice, generations, greedy_logprobs, round_scores
from trueline.traces.insides import maps
from trueline.traces.trace import Trace

#: Heads that a fit of CSL keeps.
N_HEADS = 10


@dataclass(frozen=True)
class RAUQ:
    r"""Recurrent confidence along the answer, carried by the attention of each token to the one before it; the worst middle layer counts.

    Layers floor(L / 3) to ceil(2 L / 3) inclusive, never past the last; in each the head that looks back most. In nats.
    """

    alpha: float = 0.2  # weight of the token's own probability; the authors take 0.5 for instruct models
    on_empty: OnEmpty = "raise"
    compat: Literal["", "lm_polygraph"] = ""  # adds 1

    def __post_init__(self) -> None:
        """Refuse alpha outside (0, 1] (at 0 one head without attention makes the score infinite) and an unknown ``compat``."""
        choice("compat", self.compat, ("", "lm_polygraph"))
        if not 0 < self.alpha <= 1:
            raise InputError(f"alpha={self.alpha} must be in (0, 1]")

    @property
    def needs(self) -> Needs:
        """Greedy token log-probs and the attention of each token to the one before it."""
        return Needs(greedy=frozenset({"token_logprobs", "attn_prev"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an empty answer. Raises ``MissingTraceField``, ``InputError``, ``EmptySequenceError``."""
        logprobs = greedy_logprobs(trace, self.on_empty)
        scores = np.full(trace.n_items, np.nan)
        for i, attention in maps(generations(trace, "greedy"), "attn_prev"):
            if len(logprobs[i]):
                scores[i] = rauq(logprobs[i], attention, self.alpha)
        return scores + 1.0 if self.compat else scores


@dataclass(frozen=True)
class AttentionScore:
    r""":math:`-\frac1H \sum_h \sum_t \log A_h[t, t]` of the answer's tokens at layer floor(L / 2), counted from 0.

    Trap: a sum over tokens, so it grows with length.
    """

    @property
    def needs(self) -> Needs:
        """The sums of log A[t, t]."""
        return Needs(greedy=frozenset({"attn_diag_logsum"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an item without an answer. Raises ``MissingTraceField``, ``InputError``."""
        scores = np.full(trace.n_items, np.nan)
        for i, sums in maps(generations(trace, "greedy"), "attn_diag_logsum"):
            scores[i] = attention_score(sums[:, None])
        return scores


@dataclass(frozen=True)
class CSL:
    r"""Sequence likelihood with weights: :math:`-\sum_t a_t \log q_t`, in nats.

    a is the attention from the end of an eliciting prompt to the answer's tokens, averaged over heads and scaled to sum 1. Without a fit
    all heads count (a choice); ``csl(fit=RUN)`` keeps the 10 that rank right and wrong answers of that run best.
    """

    on_empty: OnEmpty = "raise"
    state: Fit | None = field(default=None, compare=False, repr=False)

    @property
    def needs(self) -> Needs:
        """Greedy token log-probs and the attention of the eliciting prompt."""
        return Needs(greedy=frozenset({"token_logprobs", "csl_attention"}))

    def fit(self, trace: Trace, correct: ArrayLike) -> Self:
        """Choose the heads. correct: (n_items,) 1, 0 or NaN. Raises ``InputError`` for labels of one class."""
        from sklearn.metrics import roc_auc_score

        label, logprobs = labels(trace, correct), greedy_logprobs(trace, "nan")
        wrong, rows, n_layers = [], [], 0
        for i, attention in maps(generations(trace, "greedy"), "csl_attention"):
            if not np.isnan(label[i]) and len(logprobs[i]):
                n_layers = len(attention)
                flat = attention.reshape(-1, attention.shape[-1])
                wrong.append(label[i] == 0.0)
                rows.append([csl(logprobs[i], head[None]) if head.sum() > 0 else np.nan for head in flat])
        both_classes(~np.array(wrong, dtype=bool))
        scores = np.array(rows)
        usable = np.flatnonzero(~np.isnan(scores).any(axis=0))
        if not len(usable):
            raise InputError("no head attends to every answer, so none can be chosen")
        auroc = np.array([roc_auc_score(wrong, scores[:, head]) for head in usable])
        heads = usable[np.argsort(-auroc, kind="stable")[:N_HEADS]]
        facts = {"items": len(wrong), "layers": n_layers, "heads": scores.shape[1] // n_layers}
        return dataclasses.replace(self, state=Fit({"heads": np.sort(heads).astype(np.float64)}, facts, hash_ids(trace.item_ids)))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN for an answer without text. Raises ``MissingTraceField``, ``InputError``, ``EmptySequenceError``."""
        chosen = None if self.state is None else state_for(self.state, trace)
        logprobs = greedy_logprobs(trace, self.on_empty)
        scores = np.full(trace.n_items, np.nan)
        for i, attention in maps(generations(trace, "greedy"), "csl_attention"):
            heads = attention.reshape(-1, attention.shape[-1])
            if chosen is not None:
                if attention.shape[:2] != (chosen.facts["layers"], chosen.facts["heads"]):
                    raise InputError(f"attention of {attention.shape[:2]} layers and heads does not fit the fit's; use one model")
                heads = heads[chosen.arrays["heads"].astype(np.int64)]
            if heads.sum() > 0:
                scores[i] = csl(logprobs[i], heads)
        return round_scores(scores)


def rauq(token_logprobs: ArrayLike, attention_to_previous: ArrayLike, alpha: float = 0.2) -> float:
    r"""RAUQ: the largest over the middle layers of :math:`-\frac1T \sum_t \log c_t`.

    c_1 = q_1, :math:`c_t = \alpha q_t + (1 - \alpha) a_t c_{t-1}` with a_t the attention of token t to the one before it, in the head that
    gives it most on average. token_logprobs: (T,) float64; attention_to_previous: (L, H, T - 1) float64. alpha 0.2 (0.5 for instruct
    models). Raises ``InputError`` for shapes and alpha outside [0, 1].
    """
    q = np.exp(np.asarray(token_logprobs, dtype=np.float64))
    a = np.asarray(attention_to_previous, dtype=np.float64)
    if q.ndim != 1 or not len(q) or a.ndim != 3 or a.shape[2] != len(q) - 1 or not 0 <= alpha <= 1:
        raise InputError(f"{q.shape} tokens, attention {a.shape}, alpha={alpha}; expected (T,), (L, H, T - 1) and alpha in [0, 1]")
    n_layers = len(a)
    layers = a[n_layers // 3 : min(math.ceil(2 * n_layers / 3), n_layers - 1) + 1]
    head = layers.mean(axis=2).argmax(axis=1) if len(q) > 1 else np.zeros(len(layers), dtype=np.int64)
    chosen = layers[np.arange(len(layers)), head]
    confidence = np.full(len(layers), q[0])
    total = np.log(confidence)
    for t in range(1, len(q)):
        confidence = alpha * q[t] + (1 - alpha) * chosen[:, t - 1] * confidence
        total = total + np.log(confidence)
    return float((-total / len(q)).max()) + 0.0


def attention_score(diagonal_logsum: ArrayLike) -> float:
    r""":math:`-\frac1H \sum_h \sum_t \log A_{h}[t, t]` at layer floor(L / 2), from (L, H) float64 sums over t of log A[t, t]."""
    sums = np.asarray(diagonal_logsum, dtype=np.float64)
    if sums.ndim != 2 or not sums.size:
        raise InputError(f"sums of shape {sums.shape}; expected (L, H)")
    return float(-sums[len(sums) // 2].mean()) + 0.0


def csl(token_logprobs: ArrayLike, attention: ArrayLike) -> float:
    r"""CSL: :math:`-\sum_t a_t \log q_t`, a the mean over the chosen heads of the attention from an eliciting prompt, scaled to sum 1.

    token_logprobs: (T,) float64; attention: (n_heads, T) float64. Raises ``InputError`` for shapes or attention that sums to 0.
    """
    logprobs = np.asarray(token_logprobs, dtype=np.float64)
    weights: NDArray[np.float64] = np.asarray(attention, dtype=np.float64)
    if logprobs.ndim != 1 or weights.ndim != 2 or weights.shape[1] != len(logprobs) or not weights.sum() > 0:
        raise InputError(f"attention of shape {weights.shape} must be (n_heads, {len(logprobs)}) with a positive sum")
    mean = weights.mean(axis=0)
    return float(-(mean * logprobs).sum() / mean.sum()) + 0.0
