"""Risk scores of a table whose risks are known: calibration, order of the options, a fitted threshold, what the model looks at.

Run it with a folder to write to: python examples/risk_scores.py out
"""

from __future__ import annotations

import sys
from pathlib import Path

from trueline.audits import audit_risk
from trueline.knownworld.planted_table import PlantedRisk, planted_table
from trueline.metrics.risk import fit_threshold
from trueline.tabular import RiskClassifier

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")

# 1. A task: here rows with known risks; yours is load_codebook("mine.json") or a TabularRiskTask of your data frame.
table = planted_table(1200, seed=1, split=(0.5, 0.0, 0.5))
task = table.task
print(task.ask(task.df.row(0)).text())

# 2. Three models: an honest one, one that is too sure, and one that prefers whatever is called A. Yours is load_model("hf:...").
for name, model in (("honest", PlantedRisk()), ("too sure", PlantedRisk(sharpness=3)), ("position", PlantedRisk(position=3))):
    found = audit_risk(model, task, limit=400)
    moved = found.document["asked"]["order_sensitivity"]["value"]
    print(f"\n{name}: AUC {found.report['roc_auc']}")
    print(f"confidence bias {found.report['confidence_bias']}; the order of the options moves the score by {moved:.2f}")
    for warning in found.scores.warnings:
        print(warning)
print(f"\nthe best possible AUC is {table.bayes_auc:.3f}")

# 3. A classifier for scikit-learn, with a threshold for false positives that cost twice.
classifier = RiskClassifier(PlantedRisk(), task)
rows = task.rows("train")[:100]
classifier.fit(task.df.take(rows), task.y[rows], false_pos_cost=2.0)
known = fit_threshold(table.risk[rows], task.y[rows], false_pos_cost=2.0).threshold
print(f"threshold {classifier.threshold_:.3f}, from the true risks {known:.3f}")

# 4. The report, with what the scores depend on.
report = audit_risk(PlantedRisk(sharpness=3), task, limit=200, importance=True)
falls = {name: e["value"] for name, e in report.document["importance"].items()}
print(f"the AUC falls most without: {max(falls, key=lambda name: falls[name])}")
print(report.write(out / "risk.html"))
