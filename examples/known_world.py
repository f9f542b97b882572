"""What a score sees where the truth is known: facts shown often, seldom and never to the model, and questions with several right answers.

Usage: python examples/known_world.py [OUT]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

import trueline as tl


def main(out: Path) -> None:
    """Compare scores with what the model was shown, and with the true entropy of the answers."""
    facts = tl.measure("world:chat", "world:facts", ["sequence_nll", "semantic_entropy"], limit=300, out=out / "facts")
    table = facts.items.join(facts.scores, on="item_id").join(facts.grades, on="item_id")
    shown = pl.col("truth_exposure")
    band = pl.when(shown == 0).then(pl.lit("never")).when(shown <= 2).then(pl.lit("1-2 times")).otherwise(pl.lit("more often"))
    print(
        table.group_by(band.alias("shown to the model"))
        .agg(
            pl.len().alias("items"),
            pl.col("correct").mean().round(2).alias("share right"),
            pl.col("sequence_nll").mean().round(2),
            pl.col("semantic_entropy").mean().round(2),
        )
        .sort("share right")
    )

    ambiguous = tl.measure("world:chat", "world:ambiguous", ["semantic_entropy"], limit=150, out=out / "ambiguous")
    both = ambiguous.items.join(ambiguous.scores, on="item_id").select("truth_aleatoric", "semantic_entropy")
    correlation = np.corrcoef(both.to_numpy().T)[0, 1]
    print(f"semantic entropy against the true entropy of the answers: r = {correlation:.2f} on {len(both)} ambiguous questions")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/known_world"))
