"""A classifier of digits, trained on noisy labels: who is too sure, what it does not know, what it has learnt by heart.

Run it with a folder to write to: python examples/classifier_audit.py out
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from trueline.metrics import accuracy, auroc, excess_optimal_risk, miscalibration_score, ood_report, overfit_gap, trust_index
from trueline.perception import IMAGE_SHIFTS, classifier_curves, failure_scores, load_classifier_table, perturbation_report, safety_report
from trueline.reports.classifier import write_classifier_report

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")

# 1. Digits 0 to 7 to learn, 8 and 9 as inputs that the model does not know; 20 % of the training labels are wrong.
rng = np.random.default_rng(0)
x, y = load_digits(return_X_y=True)
x = x / 16
known, foreign = np.flatnonzero(y < 8), np.flatnonzero(y >= 8)
train, test = np.split(rng.permutation(known), [700])
given = np.where(rng.random(len(y)) < 0.2, rng.integers(0, 8, len(y)), y)
model = MLPClassifier(256, learning_rate_init=2e-3, random_state=0)
for _ in range(120):
    model.partial_fit(x[train], given[train], classes=np.arange(8))

# 2. How sure, by class.
probabilities = model.predict_proba(x[test])
right = probabilities.argmax(axis=1) == y[test]
print("accuracy", accuracy(right))
print(miscalibration_score(probabilities, y[test]))

# 3. Errors and foreign inputs, by every score that probabilities allow.
rows = []
own, unknown = (failure_scores(probabilities=model.predict_proba(x[rows_])) for rows_ in (test, foreign))
for name in own:
    found = {
        "AUROC of errors": auroc(own[name], ~right),
        "trust index": trust_index(own[name], right),
        "excess optimal risk": excess_optimal_risk(own[name], right),
        "AUROC of foreign inputs": ood_report(own[name], unknown[name]).auroc,
    }
    print(f"\n{name}")
    for what, value in found.items():
        print(f"  {what}: {value}")
        rows.append([name, what, value.value, value.low, value.high, value.n])

# 4. What was learnt by heart: the probability of the given label, on training images and on others.
sides = [model.predict_proba(x[rows_])[np.arange(len(rows_)), given[rows_]] for rows_ in (train, test)]
print("\ntraining against held-out images:", overfit_gap(*sides).auroc)


# 5. Under noise, blur, ... at five severities: the height of each curve, and the fall at the worst severity.
def logits(images: np.ndarray) -> np.ndarray:
    return np.log(model.predict_proba(images.reshape(-1, 64)))


shifted = perturbation_report(logits, x[test].reshape(-1, 8, 8), y[test], IMAGE_SHIFTS, seed=0, ci="percentile")
for shift in IMAGE_SHIFTS:
    worst = [p for p in shifted.perturbed if p.shift == shift.name][-1]
    print(f"{shift.name}: mean accuracy {shifted.areas[shift.name]['accuracy']}, at the worst {worst.changes['accuracy']} from clean")

out.mkdir(parents=True, exist_ok=True)
with open(out / "scores.csv", "w", newline="", encoding="utf-8") as file:
    csv.writer(file).writerows([["score", "metric", "value", "low", "high", "n"], *rows])

# 6. The same from a table of outputs of any classifier, here against the labels as given, which is all that one mostly has. On the command
# line: trueline audit classifier out/outputs.jsonl --report out/classifier.html
splits = {"train": train, "test": test, "ood": foreign}
with open(out / "outputs.jsonl", "w", encoding="utf-8") as file:
    for split, items in splits.items():
        for item, row in zip(items, logits(x[items]), strict=True):
            file.write(json.dumps({"item_id": int(item), "split": split, "label": int(given[item]), "logits": row.tolist()}) + "\n")
table = load_classifier_table(out / "outputs.jsonl")
report = safety_report(table)
print("\nfindings:", *report.findings, sep="\n- ")
document = {"classes": table.classes, **report.document()}
print(write_classifier_report(document, classifier_curves(table, report), out / "classifier.html"))
