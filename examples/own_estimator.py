"""An estimator of your own, scored on a stored run and judged against the shipped ones.

The score here is the entropy of the law of the answer's first token: if the model is unsure how to begin, it may be unsure of the fact.
Usage: python examples/own_estimator.py [OUT]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import trueline as tl
from trueline.capture import Needs
from trueline.estimators.engine import score_trace
from trueline.estimators.inputs import greedy_column
from trueline.metrics import auroc
from trueline.traces.trace import Trace


@dataclass(frozen=True)
class FirstTokenEntropy:
    """Entropy of the next-token law at the first token of the greedy answer, in nats; higher = less certain."""

    @property
    def needs(self) -> Needs:
        """The entropies of the greedy answer."""
        return Needs(greedy=frozenset({"token_entropy"}))

    def score(self, trace: Trace) -> NDArray[np.float64]:
        """(n_items,) float64 nats; NaN where an item has no greedy answer."""
        entropies = greedy_column(trace, "token_entropy", on_empty="nan")
        scores = np.full(trace.n_items, np.nan)
        answered = entropies.lengths > 0
        scores[answered] = entropies.values[entropies.offsets[:-1][answered]]
        return scores


def main(out: Path) -> None:
    """Measure once, then add the new score from the stored trace."""
    run = tl.measure("world:chat", "world:facts", ["sequence_nll", "mean_token_entropy"], limit=150, out=out)
    own = score_trace(run.trace(), {"first_token_entropy": FirstTokenEntropy()})["first_token_entropy"]
    wrong = ~run.grades["correct"].to_numpy().astype(bool)
    for name, scores in {
        **{n: run.scores[n].to_numpy() for n in ("sequence_nll", "mean_token_entropy")},
        "first_token_entropy": own,
    }.items():
        found = auroc(scores, wrong)
        print(f"{name:22} AUROC of wrong answers {found.value:.3f} [{found.low:.3f}, {found.high:.3f}], n = {found.n}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/own_estimator"))
