"""Do "I think it is" and "I am sure it is" before an answer change whether it is right? On a world where the truth about that is planted.

Run it with a folder to write to: python examples/audit_grey_area.py out
"""

from __future__ import annotations

import sys
from pathlib import Path

from trueline.audits import Marker, MarkerAudit, load_markers
from trueline.knownworld.planted_markers import PlantedMarkerModel, planted_markers
from trueline.stats import CI

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

# 1. Questions with references, and a model. Yours are load_task("questions.jsonl") and load_model("hf:PATH"); this model speaks the truth
#    in 60 % after "I am sure it is", in 90 % after "I think it is", in 97 % after a named source.
task, model = planted_markers(n=60).task(), PlantedMarkerModel(n=60)

# 2. Markers: the shipped list, with one of our own.
markers = [*load_markers(), Marker("Trust me, it is", "strengthener", first_person=True)]

# 3. The audit: every item under every marker, a greedy answer and three samples each. The answers stay in the run directory.
report = MarkerAudit(task, markers, draws=3, ci=CI(n_boot=500)).run(model, out=out / "run")
for metric in ("accuracy", "sampled_accuracy", "prob_gold"):
    for name, found in report.document["contrasts"][metric].items():
        interval = f"{found['value']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
        print(f"{metric}, {report.document['meaning'][name]}: {interval}, p = {found['p_holm']:.3g} (Holm)")
print(report.write(out / "grey-area.html"))
