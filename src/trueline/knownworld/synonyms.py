"""The synonym world: one-token answers in which a meaning has several wordings, so that likelihood alone must lose.

The design is that of the counter-example to G-NLL: a likely meaning that can be worded in eight ways has eight unlikely wordings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trueline.errors import InputError

N_WORDINGS = (1, 2, 4, 8)


@dataclass(frozen=True)
class SynonymWorld:
    """Items of the synonym world; log-probs are natural logs of wordings.

    Attributes
    ----------
    meaning_probs : (n_items, n_meanings) float64
        The law over meanings.
    n_wordings : (n_items, n_meanings) int64
        Wordings of each meaning, equally likely.
    greedy_meaning : (n_items,) int64
        Meaning of the most probable wording.
    greedy_logprob : (n_items,) float64
    sample_meaning, sample_wording : (n_items, n_samples) int64
        A wording's number counts within its meaning.
    sample_logprob : (n_items, n_samples) float64
    truth : (n_items,) int64
        The true meaning.
    """

    meaning_probs: NDArray[np.float64]
    n_wordings: NDArray[np.int64]
    greedy_meaning: NDArray[np.int64]
    greedy_logprob: NDArray[np.float64]
    sample_meaning: NDArray[np.int64]
    sample_wording: NDArray[np.int64]
    sample_logprob: NDArray[np.float64]
    truth: NDArray[np.int64]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """(n_items,) bool: the greedy meaning is not the true one."""
        return np.not_equal(self.greedy_meaning, self.truth)

    @property
    def oracle_uncertainty(self) -> NDArray[np.float64]:
        """(n_items,) float64: one minus the probability of the greedy meaning, the best score there is."""
        return 1.0 - self.meaning_probs[np.arange(len(self.truth)), self.greedy_meaning]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Trace records for ``traces.make_trace``; a text names its meaning and wording, ``m2 w5``."""
        for i in range(len(self.truth)):
            yield _row(i, "greedy", int(self.greedy_meaning[i]), 0, float(self.greedy_logprob[i]))
            for meaning, wording, logprob in zip(self.sample_meaning[i], self.sample_wording[i], self.sample_logprob[i], strict=True):
                row = _row(i, "sample", int(meaning), int(wording), float(logprob))
                yield {**row, "temperature": 1.0, "top_p": 1.0, "top_k": 0}


def meaning_of(text: str) -> str:
    """Equivalence key of a text of this world: its meaning."""
    return text.split(" ")[0]


def synonym_world(n_items: int, n_samples: int, rng: np.random.Generator, *, n_meanings: int = 5, own_law: float = 0.95) -> SynonymWorld:
    """Draw a synonym world.

    Each item has a law over meanings ~ Dirichlet(c, ..., c) with c = 10^U(-1.6, 0.5) and 1, 2, 4 or 8 wordings a meaning; its truth
    comes from that law with probability ``own_law``, else uniformly.

    Raises
    ------
    InputError
        For counts below 1 or ``own_law`` outside [0, 1].
    """
    if min(n_items, n_samples, n_meanings) < 1 or not 0.0 <= own_law <= 1.0:
        raise InputError(f"got {n_items} items, {n_samples} samples, {n_meanings} meanings, own_law={own_law}; expected >= 1, in [0, 1]")
    concentration = 10.0 ** rng.uniform(-1.6, 0.5, size=n_items)
    # A tiny concentration can underflow to exact zeros; they stay zeros and are never drawn.
    probs = np.stack([rng.dirichlet(np.full(n_meanings, c)) for c in concentration])
    n_wordings = rng.choice(N_WORDINGS, size=probs.shape)
    wording_probs = probs / n_wordings
    greedy = wording_probs.argmax(axis=1)
    drawn = _draw(probs, n_samples, rng)
    every = np.arange(n_items)
    own = rng.random(n_items) < own_law
    truth = np.where(own, _draw(probs, 1, rng)[:, 0], rng.integers(n_meanings, size=n_items))
    return SynonymWorld(
        probs,
        n_wordings,
        greedy,
        np.log(wording_probs[every, greedy]),
        drawn,
        rng.integers(n_wordings[every[:, None], drawn]),
        np.log(wording_probs[every[:, None], drawn]),
        truth,
    )


def _draw(probs: NDArray[np.float64], n_samples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n_items, n_samples) int64: draws by inverting each row's cumulative law."""
    edges = np.cumsum(probs, axis=1)[:, None, :-1]
    return np.asarray((rng.random((len(probs), n_samples, 1)) >= edges).sum(axis=2), dtype=np.int64)


def _row(index: int, kind: str, meaning: int, wording: int, logprob: float) -> dict[str, Any]:
    return {
        "item_id": f"synonym/{index}",
        "kind": kind,
        "text": f"m{meaning} w{wording}",
        "tokens": [8 * meaning + wording],
        "token_logprobs": [logprob],
        "logprob_law": "model",
        "finish_reason": "eos",
    }
