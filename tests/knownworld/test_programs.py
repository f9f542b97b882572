"""The toy world of programs: right answers are right, samples that scatter tell bad ones (docs/proofs/look-before-you-leap.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trueline.audits.quality import audit_quality, quality_of
from trueline.knownworld.programs import program_task, train_programmer
from trueline.measuring import measure
from trueline.stats import CI
from trueline.tasks.code_quality import code_quality


def test_the_right_programs_pass_and_wrong_ones_do_not() -> None:
    task = program_task(4)
    for item in task.items:
        program = f"def f(x):\n    {item.references[0]}"
        assert code_quality(program, item.metadata["tests"], allow_exec=True) == 1.0
    assert code_quality("def f(x):\n    return 10 ** 9", task.items[0].metadata["tests"], allow_exec=True) == 0.5


@pytest.mark.slow
def test_samples_that_scatter_tell_bad_programs(tmp_path: Path) -> None:
    names = ["sample_vro(distance=ast_edit)", "sample_vr(distance=ast_edit)", "sample_vro(distance=edit)", "sample_vro(distance=codebleu)"]
    names += ["sentence_max_nll(separators=code)", "sentence_avg_nll(separators=code)", "sequence_nll"]
    names += [f"perturb_vro_{point}(distance=ast_edit)" for point in ("max_entropy", "min_entropy", "max_increase")]
    law = {"samples": 5, "temperature": 0.7, "top_p": 0.95}
    run = measure(train_programmer(), program_task(200), names, **law, out=tmp_path / "run", validate=False, allow_exec=True)
    y = quality_of(run)
    print(f"\nmean quality {y.mean():.3f}, all tests passed {np.mean(y == 1.0):.3f}, unparsable {np.mean(y == 0.0):.3f}")
    found = {row.name: row for row in audit_quality(run, ci=CI(n_boot=500)).rows}
    for name, row in found.items():
        print(f"{name:44s} pearson {row.pearson} spearman {row.spearman} auroc {row.auroc} p {row.p_spearman:.2g}")
    row = found["sample_vro(distance=ast_edit)"]
    assert row.spearman.value <= -0.3
    assert row.p_spearman < 0.01
