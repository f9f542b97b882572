"""Audit planted annotators: a judge labels pairs of responses under each principle, and the audit finds who follows which order.

Run it with a folder to write to: python examples/audit_discretion.py out
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from trueline.audits import DiscretionAudit, parse_principles
from trueline.knownworld.planted_pairs import PlantedJudge, planted_pairs
from trueline.stats import CI

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

# 1. A table of pairs. Here the truth is planted; yours has the columns prompt, response_0, response_1 and one or more of labels.
world = planted_pairs(n=600, k=6, seed=3)
pl.DataFrame(world.rows).write_csv(out / "pairs.csv")

# 2. Principles, one a line, and a judge. A real audit takes load_principles("core") and load_model("hf:..."); this judge errs on purpose.
principles = parse_principles("\n".join(f"{name}: {text}" for name, text in world.principles))
audit = DiscretionAudit(principles, PlantedJudge(position=0.05), {"human": "human", "other": "other"}, ci=CI(n_boot=200))
report = audit.run(out / "pairs.csv")

# 3. What was found: numbers, an HTML report, and a table that needs no judge any more.
found = report.document
for name, entry in found["annotators"].items():
    best = max(zip(entry["priority"]["w"], found["principles"], strict=True))[1]
    against = entry["arbitrariness"]["2"]
    share = f"{against['value']:.2f} [{against['low']:.2f}, {against['high']:.2f}]"
    print(f"{name}: goes against two or more agreeing principles in {share}; first comes {best}")
apart = found["discrepancies"][0]
print(f"orders of the two: discrepancy {apart['value']:.2f} [{apart['low']:.2f}, {apart['high']:.2f}]")
print(f"the judge followed the position in {found['flip_rate']['value']:.1%} of its choices")
print(report.write(out / "discretion.html"))
print(report.write_table(out / "judged.csv"))
