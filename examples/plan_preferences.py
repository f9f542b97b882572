"""Preference data of two groups of raters: whose preferences does a reward model know, how easily does it flip, and what would more cost?

Nine raters in ten are of the first group, and the reward follows them. All truth is planted, so the numbers can be checked.
Usage: python examples/plan_preferences.py [OUT]
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trueline.knownworld.planted_preferences import planted_preferences
from trueline.metrics.preferences import FAMILIES, Pair, flip_robustness, probe_flips

out = Path(sys.argv[1] if len(sys.argv) > 1 else "preferences")
out.mkdir(parents=True, exist_ok=True)
world = planted_preferences(150, noise=(1.4,), seed=0)
rates = world.rates
rng = np.random.default_rng(0)

# votes: 36 raters of the north and 4 of the south, each on about half of the items
with (out / "votes.csv").open("w", newline="") as handle:
    writer = csv.writer(handle)
    writer.writerow(["item_id", "annotator_id", "group_place", "choice", "p_first"])
    for group, (place, raters) in enumerate((("north", 90), ("south", 10))):
        for rater in range(raters):
            for item in np.flatnonzero(rng.random(len(rates)) < 0.5):
                choice = "a" if rng.random() < rates[item, group] else "b"
                writer.writerow([f"q{item}", f"{place}-{rater}", place, choice, f"{rates[item, 0]:.4f}"])
(out / "target.csv").write_text("group_place,share\nnorth,0.5\nsouth,0.5\n")


# the reward model under test: right about the north, but fond of whatever stands first
def prefer(pairs: Sequence[Pair]) -> list[float]:
    """Log-odds that the first response is the better one, and half a unit for its place."""
    odds = np.log(rates[:, 0] / (1 - rates[:, 0]))
    return [float(odds[int(p.prompt.rpartition(" ")[2])]) * (-1 if p.swapped else 1) + 0.5 for p in pairs]


pairs = [Pair(f"Which answer is better? Number {i}", "one", "other") for i in range(len(rates))]
probed = probe_flips(prefer, pairs, {name: FAMILIES[name] for name in ("order_swap", "markdown")})
with (out / "flips.csv").open("w", newline="") as handle:
    writer = csv.writer(handle)
    writer.writerow(["item_id", "family", "flip", "margin"])
    for i, row in enumerate(probed.flip):
        for family, flip in zip(probed.families, row, strict=True):
            writer.writerow([f"q{i}", family, "" if np.isnan(flip) else int(flip), f"{probed.margin[i]:.4f}"])

found = flip_robustness(probed.flip, probed.families, margin=probed.margin)
print(f"pairs that flip at least once: {found.any}")
print(f"true gap to the south {np.sqrt(world.gap2(rates[:, 0])[1]):.3f}, floor of any single reward {np.sqrt(world.floor2()):.3f}")
files = [out / "votes.csv", "--target", out / "target.csv", "--flips", out / "flips.csv"]
options = ["--model", "p_first", "--epsilon", "0.1", "--delta", "0.05", "--label-cost", "0.5", "--budget", "1000"]
subprocess.run([sys.executable, "-m", "trueline", "plan", "preferences", *map(str, files), *options], check=True)
