"""How scores relate to quality: a planted relation is found, noise is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from trueline.audits.quality import audit_quality, quality_of
from trueline.errors import InputError
from trueline.importing import import_generations
from trueline.metrics import pearson
from trueline.reports.quality import render_quality
from trueline.run import Run
from trueline.stats import CI

FEW = CI(n_boot=200)


def run_of(folder: Path, n: int = 80, clusters: bool = False) -> Run:
    """Answers whose samples scatter the more, the worse they are."""
    rng = np.random.default_rng(4)
    rows = []
    for k in range(n):
        spoiled = rng.random()
        words = [f"w{i}" if rng.random() > spoiled else "no" for i in range(12)]
        samples = [" ".join(w if rng.random() > spoiled else f"x{rng.integers(9)}" for w in words) for _ in range(4)]
        reference = " ".join(f"w{i}" for i in range(12))
        row = {"id": f"q{k}", "question": "?", "reference": reference, "greedy": " ".join(words), "samples": samples}
        rows.append({**row, "correct": bool(spoiled < 0.4), "cluster": f"c{k // 4}" if clusters else None})
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = import_generations(path, folder / "run")
    run.score(["sample_vr", "sample_vro(distance=rouge1)", "sample_vro(distance=exact)"])
    return run


def test_a_planted_relation_is_found_and_a_constant_score_is_undefined(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    for quality in ("graded", "rouge1"):
        found = audit_quality(run, quality=quality, ci=FEW)
        table = {row.name: row for row in found.rows}
        best = table["sample_vro(distance=rouge1)"]
        assert best.pearson.high < 0 > best.spearman.high
        assert best.auroc.low > 0.5 < best.auroc.value
        assert best.prr.value > 0.2
        assert best.p_pearson <= 0.01
        assert found.n == 80
    x = run.scores["sample_vr"].to_numpy()
    row = table["sample_vr"]
    assert row.pearson.value == pytest.approx(stats.pearsonr(x, quality_of(run, "rouge1")).statistic)
    assert row.spearman.value == pytest.approx(stats.spearmanr(x, quality_of(run, "rouge1")).statistic)
    assert json.dumps(found.to_json())


def test_noise_is_not_called_a_relation(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    rng = np.random.default_rng(0)
    import pyarrow as pa

    noise = {f"noise{k}": rng.normal(size=80) for k in range(6)}
    run.directory.write_table("scores.parquet", pa.table({"item_id": run.items["item_id"].to_list(), **noise, "flat": np.ones(80)}))
    found = audit_quality(run, ci=FEW)
    assert found.n_tests == 12
    assert all(not (row.p_pearson < 0.05) and not (row.p_spearman < 0.05) for row in found.rows)
    flat = found.rows[-1]
    assert not flat.pearson.defined
    assert np.isnan(flat.p_pearson)


def test_clusters_take_the_bootstrap(tmp_path: Path) -> None:
    found = audit_quality(run_of(tmp_path, clusters=True), ["sample_vr"], ci=FEW)
    assert found.rows[0].p_pearson < 0.01
    assert "cluster" in found.rows[0].pearson.method


def test_what_cannot_be_related_is_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path, n=12)
    with pytest.raises(InputError, match="no score 'luq'"):
        audit_quality(run, ["luq"])
    with pytest.raises(InputError, match="unknown distance"):
        audit_quality(run, quality="beauty")
    with pytest.raises(InputError, match="at least 3"):
        audit_quality(run_of(tmp_path.joinpath("two").absolute() if (tmp_path / "two").mkdir() is None else tmp_path, n=2), ci=FEW)


def test_pearson_equals_scipy_and_knows_weights() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=30) + 1e6, rng.normal(size=30)
    assert pearson(x, y, ci=None).value == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)
    w = rng.integers(1, 4, size=30)
    assert pearson(x, y, weights=w, ci=None).value == pytest.approx(stats.pearsonr(np.repeat(x, w), np.repeat(y, w)).statistic, abs=1e-9)
    assert not pearson([1, 1, 1], [1, 2, 3], ci=None).defined


def test_the_command(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from trueline.cli.app import app

    run_of(tmp_path, n=24)
    shown = CliRunner().invoke(app, ["audit", "quality", str(tmp_path / "run"), "--n-boot", "100"])
    assert shown.exit_code == 0, shown.output
    assert "Holm over 6 tests" in shown.output or "Holm over 4 tests" in shown.output
    asked = CliRunner().invoke(app, ["audit", "quality", str(tmp_path / "run"), "--n-boot", "100", "--json"])
    assert json.loads(asked.stdout)["n"] == 24
    page = tmp_path / "page"
    page.mkdir()
    written = CliRunner().invoke(app, ["audit", "quality", str(tmp_path / "run"), "--n-boot", "100", "--report", str(page)])
    assert written.exit_code == 0, written.output
    assert (page / "quality.html").stat().st_size > 10_000
    assert CliRunner().invoke(app, ["audit", "quality", str(tmp_path / "none")]).exit_code == 2


def test_the_page(tmp_path: Path) -> None:
    document = audit_quality(run_of(tmp_path, n=40), ci=FEW).to_json()
    hostile = {**document, "run": "<script>alert(1)</script>", "scores": {"<b>score</b>": next(iter(document["scores"].values()))}}
    page = render_quality(hostile)
    assert "&lt;b&gt;score&lt;/b&gt;" in page
    assert "<script" not in page
    assert "<svg" in page
    none = {**document, "run": "r", "n_low": 0}
    assert "No answer is of low quality" in render_quality(none)
    with pytest.raises(InputError, match="not the record of a quality audit"):
        render_quality({"audit": "errors"})
