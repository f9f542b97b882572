"""measure(): from a model and a task to a validated run, again and again into the same directory."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from lawmodel import LawModel, law, make_task

import trueline as tl
from trueline.errors import InputError, RunLocked, SettingsMismatch
from trueline.traces import RunDirectory

CHEAP = ["sequence_nll", "semantic_entropy", "self_consistency"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tl.measure(LawModel(), make_task(), CHEAP, samples=5, out=tmp_path_factory.mktemp("m") / "run")


def test_every_file_is_there(run):
    names = {p.name for p in run.path.iterdir() if not p.name.startswith(".")}
    assert names >= {"run.json", "items.parquet", "trace", "scores.parquet", "scores.json", "grades.parquet", "metrics.json"}
    assert run.manifest["status"] == "complete"
    assert run.manifest["counts"] == {"items": 40, "failed": 0, "generations": 240, "truncated": 0}


def test_scores_are_those_of_the_law(run):
    task = make_task()
    nll = dict(run.scores.select("item_id", "sequence_nll").iter_rows())
    for item in task.items:
        assert nll[item.id] == pytest.approx(-math.log(law(item.question).max()))


def test_grades_and_metrics(run):
    assert run.grades["correct"].sum() == 26  # two of three references are the likeliest answer
    document = json.loads((run.path / "metrics.json").read_text())
    accuracy = document["headline"]["accuracy"]
    assert accuracy["value"] == pytest.approx(26 / 40)
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    auroc = document["estimators"]["sequence_nll"]["metrics"]["auroc"]
    assert auroc["n"] == 40
    assert document["n_clusters"] == 20


def test_same_settings_change_nothing(run):
    before = (run.path / "trace" / "000000.parquet").read_bytes(), (run.path / "metrics.json").read_bytes()
    model = LawModel()
    tl.measure(model, make_task(), CHEAP, samples=5, out=run.path)
    assert model.generate_calls == []
    assert ((run.path / "trace" / "000000.parquet").read_bytes(), (run.path / "metrics.json").read_bytes()) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 6}, r"samples: 5 in the run, 6 asked now"),
        ({"seed": 1}, r"settings\.seed: 0 in the run, 1 asked now"),
        ({"temperature": 0.5, "estimators": ["self_consistency"]}, r"settings\.law\.temperature: 1\.0 in the run, 0\.5 asked now"),
        ({"model": LawModel(version=2)}, r"model\.fingerprint\.law: 1 in the run, 2 asked now"),
        ({"task": make_task(39)}, r"task\.items: 40 in the run, 39 asked now"),
        ({"estimators": ["p_true"]}, r"captured\.probes"),
    ],
)
def test_changed_settings_are_refused_and_named(run, change, message):
    settings = {"model": LawModel(), "task": make_task(), "estimators": CHEAP, "samples": 5} | change
    with pytest.raises(SettingsMismatch, match=message):
        tl.measure(settings.pop("model"), settings.pop("task"), settings.pop("estimators"), out=run.path, **settings)


def test_more_scores_from_the_same_trace(run):
    frame = run.score(["num_semantic_sets", "lexical_similarity"])
    assert set(frame.columns) >= {"item_id", *CHEAP, "num_semantic_sets", "lexical_similarity"}
    assert frame["num_semantic_sets"].min() >= 1


def test_scores_and_reasons_agree_after_a_rerun(tmp_path):
    """The trace has lost its samples: what needs them is left out with its reason, and its older column goes."""
    run = tl.measure(LawModel(), make_task(), CHEAP, samples=5, out=tmp_path / "run")
    run.score("lexical_similarity")
    for path in run.directory.shards():
        table = run.directory.read_shard(path)
        run.directory.write_table(f"trace/{path.name}", table.filter(pc.equal(table["kind"], "greedy")))
    run.score("all")
    info = run.score_info
    columns = set(run.scores.columns) - {"item_id"}
    assert "sequence_nll" in columns
    assert "lexical_similarity" in info
    assert columns == {name for name, entry in info.items() if "left_out" not in entry}
    assert "left_out" in info["semantic_entropy"]
    run.validate()
    run.report()


def test_items_captured_later_miss_the_earlier_scores(tmp_path):
    run = tl.measure(LawModel(), make_task(), CHEAP, samples=5, out=tmp_path / "run")
    whole = run.directory.read_table("scores.parquet")
    run.directory.write_table("scores.parquet", whole.slice(0, 30))
    run.score("mean_nll")
    assert run.scores["mean_nll"].is_nan().sum() == 0
    assert run.scores["sequence_nll"].is_nan().sum() == 10
    entry = run.score_info["sequence_nll"]
    assert entry["n_missing"] == 10
    assert entry["reasons"] == {"captured after this score was computed": 10}


def test_validation_reads_only_the_columns_it_needs(run, monkeypatch):
    asked = []
    real = RunDirectory.read_shard
    monkeypatch.setattr(RunDirectory, "read_shard", lambda self, path, columns=None: asked.append(columns) or real(self, path, columns))
    run.validate()
    run.failures  # noqa: B018
    assert asked
    assert all(columns is not None and "token_logprobs" not in columns for columns in asked)


def test_blocks_of_some_columns_hold_the_same_rows(run):
    full, part = (pa.concat_tables([b.table for b in run.blocks(columns=c)]) for c in (None, ["text", "no_such_column"]))
    assert part.column_names == ["item_id", "item_index", "kind", "draw", "text"]
    assert part.equals(full.select(part.column_names))


def test_locked_run(run):
    with RunDirectory(run.path).lock(), pytest.raises(RunLocked):
        tl.measure(LawModel(), make_task(), CHEAP, samples=5, out=run.path)


def test_batch_size_and_order_change_nothing(tmp_path, run):
    import dataclasses

    task = make_task()
    turned = dataclasses.replace(task, items=list(reversed(task.items)))
    other = tl.measure(LawModel(), turned, CHEAP, samples=5, out=tmp_path / "run", batch_size=3)
    a, b = (r.scores.sort("item_id").select("item_id", *CHEAP) for r in (run, other))
    assert a.equals(b)


def test_failed_items_are_counted_not_hidden(tmp_path):
    run = tl.measure(LawModel(), make_task(20, broken=(3, 4)), CHEAP, samples=3, out=tmp_path / "run")
    assert run.manifest["counts"]["failed"] == 2
    assert set(run.failures["item_id"]) == {"q3", "q4"}
    assert np.isnan(dict(run.scores.select("item_id", "sequence_nll").iter_rows())["q3"])
    info = run.score_info["sequence_nll"]
    assert info["n_missing"] == 2
    assert info["reasons"] == {"the greedy generation failed": 2}
    document = run.metrics
    assert document["n_graded"] == 18
    assert document["estimators"]["sequence_nll"]["metrics"]["auroc"]["n_missing"] == 2
    assert any("2 of 20" in w for w in document["warnings"])


def test_one_class_is_undefined_and_said_so(tmp_path):
    import dataclasses

    task = make_task(35)
    right = [dataclasses.replace(i, references=("Kelby", "Morva", "Tisk")) for i in task.items]
    run = tl.measure(LawModel(), dataclasses.replace(task, items=right), ["sequence_nll"], out=tmp_path / "run")
    metrics = run.metrics["estimators"]["sequence_nll"]["metrics"]
    assert metrics["auroc"]["value"] is None
    assert metrics["auroc"]["reason"]
    assert metrics["aurc"]["value"] == 0.0
    assert run.metrics["headline"]["accuracy"]["value"] == 1.0
    assert any("AUROC" in w for w in run.metrics["warnings"])


def test_no_reference_leaves_metrics_undefined_but_scores_there(tmp_path):
    import dataclasses

    task = make_task(12)
    bare = [dataclasses.replace(i, references=()) for i in task.items]
    run = tl.measure(LawModel(), dataclasses.replace(task, items=bare), ["sequence_nll"], out=tmp_path / "run")
    assert run.scores["sequence_nll"].is_nan().sum() == 0
    assert run.metrics["n_graded"] == 0
    assert run.metrics["estimators"]["sequence_nll"]["metrics"]["auroc"]["value"] is None


def test_limit_is_a_fixed_sample(tmp_path):
    one = tl.measure(LawModel(), make_task(), ["sequence_nll"], limit=7, out=tmp_path / "a")
    two = tl.measure(LawModel(), make_task(), ["sequence_nll"], limit=7, out=tmp_path / "b")
    assert one.items["item_id"].to_list() == two.items["item_id"].to_list()
    assert len(one.items) == 7


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": -1}, "samples"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"max_new_tokens": -1}, "max_new_tokens"),
        ({"limit": 0}, "limit"),
        ({"batch_size": 0}, "batch_size"),
        ({"estimators": ["sequence_nl"]}, "did you mean sequence_nll"),
        ({"estimators": ["semantic_entropy"], "samples": 1}, "at least 2 samples"),
        ({"estimators": ["predictive_entropy"], "temperature": 0.7}, "model's own law"),
    ],
)
def test_bad_settings_touch_no_file(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        tl.measure(LawModel(), make_task(), out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_plan_runs_no_model(capsys):
    model = LawModel()
    plan = tl.plan(model, make_task(), samples=5)
    assert model.generate_calls == []
    assert plan.calls["sampled_decodes"] == 200
    assert "sequence_nll" in plan.estimators
    assert json.dumps(plan.to_json())


def test_every_estimator_on_one_capture(tmp_path):
    run = tl.measure(LawModel(), make_task(), samples=5, out=tmp_path / "run")
    left = {k: v["left_out"] for k, v in run.score_info.items() if "left_out" in v}
    trained = {"mahalanobis", "relative_mahalanobis", "linear_probe", "saplma", "p_ik"}
    assert trained <= set(left)
    assert all("no fit yet" in left[name] for name in trained)
    # captured when named alone, and those that need more alternatives than this model shows
    others = {name for name in set(left) - trained if not name.startswith("perturb_")}
    named = {"selfcheck_prompt", "verbalized_topk", "verbalized_linguistic"}
    reasoned = {"race", "race_aa", "race_ca", "race_cc", "race_coh", "drm"}  # this model writes no reasoning
    assert others == {"sentence_max_entropy_topk", "sentence_avg_entropy_topk", *named, *reasoned}
    assert len(left) == len(trained) + len(others) + 6
    scores = run.scores.drop("item_id")
    for name in scores.columns:
        assert scores[name].is_nan().sum() == 0, name
    assert "ece_stated" in run.metrics["estimators"]["p_true"]["metrics"]
    assert "spearman_aleatoric" in run.metrics["estimators"]["sequence_nll"]["metrics"]


def test_similarities_are_named_kept_and_bought_by_the_plan(tmp_path):
    names = ["token_sar", "sar", "cocoa_mte", "selfcheck_bertscore", "ccp"]
    run = tl.measure(LawModel(), make_task(12), names, samples=3, out=tmp_path / "run")
    assert run.scores.select(names).null_count().sum_horizontal().item() == 0
    assert run.manifest["similarity"] == "char3"
    assert run.score_info["sar"]["similarity"] == "char3"
    assert run.score_info["ccp"]["similarity"] is None
    assert "similarity char3" in str(tl.plan(LawModel(), make_task(12), names, samples=3))
    assert "similarity" not in str(tl.plan(LawModel(), make_task(12), ["mean_nll"], samples=3))
    with pytest.raises(InputError, match="unknown similarity"):
        tl.measure(LawModel(), make_task(12), names, samples=3, similarity="char4", out=tmp_path / "other")
    with pytest.raises(InputError, match="unknown similarity"):
        run.score(["sar"], similarity="nothing")
