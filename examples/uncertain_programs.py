"""Which score tells bad programs from good ones before they are run? A tiny model writes programs, hidden tests judge them.

Run it with a folder to write to: python examples/uncertain_programs.py out
"""

from __future__ import annotations

import sys
from pathlib import Path

import trueline as tl
from trueline.audits.quality import audit_quality
from trueline.knownworld.programs import program_task, train_programmer
from trueline.reports.quality import write_quality_report
from trueline.stats import CI

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")

# 1. A model and problems. Yours are load_model("hf:PATH") and load_task("code:humaneval.jsonl"); this model learned for a few seconds to
#    turn "add 3 then times 2" into Python, rare steps badly.
model, task = train_programmer(n_steps=300), program_task(80)

# 2. One greedy program and five samples each. allow_exec: the programs are run, each isolated, to see how many hidden tests they pass.
scores = ["sequence_nll", "sentence_max_nll(separators=code)", "sample_vro(distance=ast_edit)", "sample_vro(distance=edit)"]
run = tl.measure(model, task, scores, samples=5, temperature=0.7, top_p=0.95, out=out / "run", validate=False, allow_exec=True)

# 3. How each score relates to the share of tests passed.
found = audit_quality(run, ci=CI(n_boot=300))
print(f"{found.n_low} of {found.n} programs fail a test")
for row in found.rows:
    print(f"{row.name}: Spearman {row.spearman}, p = {row.p_spearman:.2g} (Holm); AUROC {row.auroc}")
print(write_quality_report({"run": "out/run", **found.to_json()}, out / "quality.html"))
