"""Trained estimators: planted positives and negatives, refusals, and fits on disk."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from lawmodel import LawModel, make_task

import trueline as tl
from trueline.errors import InputError, MissingTraceField, NotFitted
from trueline.estimators import load_estimator, load_estimators
from trueline.estimators.attention import CSL
from trueline.estimators.fitting import Trained, load_fit, save_fit
from trueline.estimators.linear_probe import LinearProbe
from trueline.estimators.mahalanobis import Mahalanobis
from trueline.estimators.saplma import SAPLMA
from trueline.metrics import auroc
from trueline.traces import Trace, make_trace

WIDTH = 12
TRAINED = [Mahalanobis(), Mahalanobis(relative=True), LinearProbe(), LinearProbe("mean"), LinearProbe("prompt", depth=1.0), SAPLMA()]


def planted(n: int, *, shift: float, seed: int, prefix: str) -> tuple[Trace, np.ndarray]:
    """Greedy rows whose states of wrong answers are moved by ``shift`` in every feature."""
    rng = np.random.default_rng(seed)
    right = rng.random(n) < 0.6
    states = rng.normal(size=(n, 4, WIDTH)) + shift * ~right[:, None, None]
    rows = [
        {
            "item_id": f"{prefix}{k}",
            "kind": "greedy",
            "text": "x",
            "n_layers": 4,
            "hidden_layers": [1, 2, 3, 4],
            **{name: states[k].tolist() for name in ("hidden_last", "hidden_mean", "hidden_prompt")},
        }
        for k in range(n)
    ]
    return make_trace(rows), right.astype(float)


@pytest.mark.parametrize("estimator", TRAINED, ids=repr)
def test_planted_truth_is_found_and_noise_is_not(estimator: Trained) -> None:
    for shift, low, high in ((1.5, 0.9, 1.0), (0.0, 0.35, 0.65)):
        train, correct = planted(300, shift=shift, seed=1, prefix="train")
        test, right = planted(300, shift=shift, seed=2, prefix="test")
        scores = estimator.fit(train, correct).score(test)
        assert low <= auroc(scores, right == 0, ci=None).value <= high


@pytest.mark.parametrize("estimator", [*TRAINED, CSL()], ids=repr)
def test_same_data_same_fit_and_the_file_gives_it_back(estimator: Trained, tmp_path: Any) -> None:
    train, correct = _any_training(estimator)
    test = _any_test(estimator)
    one, two = estimator.fit(train, correct), estimator.fit(train, correct)
    scores = one.score(test)
    assert scores.tobytes() == two.score(test).tobytes()
    save_fit(one, tmp_path / "fit.safetensors")
    again = load_fit(estimator, tmp_path / "fit.safetensors")
    assert again.score(test).tobytes() == scores.tobytes()
    with pytest.raises(InputError, match="was used to fit"):
        again.score(train)
    assert estimator.state is None


def _any_training(estimator: Trained) -> tuple[Trace, np.ndarray]:
    return _csl_trace("train") if isinstance(estimator, CSL) else planted(40, shift=0.5, seed=1, prefix="train")


def _any_test(estimator: Trained) -> Trace:
    return _csl_trace("test")[0] if isinstance(estimator, CSL) else planted(10, shift=0.5, seed=2, prefix="test")[0]


def _csl_trace(prefix: str, n: int = 60) -> tuple[Trace, np.ndarray]:
    """The first token is unlikely when the answer is wrong; head (1, 0) alone looks at it, the others at the noisy second one."""
    rng = np.random.default_rng(len(prefix))
    right = np.arange(n) % 2
    rows = []
    for k in range(n):
        attention = np.tile([0.0, 1.0], (2, 6, 1))
        attention[1, 0] = [1.0, 0.0]
        logprobs = [-0.1 if right[k] else -2.0, -3 * rng.random()]
        row = {"item_id": f"{prefix}{k}", "kind": "greedy", "text": "x", "token_logprobs": logprobs, "csl_attention": attention.tolist()}
        rows.append(row)
    return make_trace(rows), right.astype(float)


def test_csl_keeps_the_heads_that_rank_best() -> None:
    train, correct = _csl_trace("train")
    test, right = _csl_trace("test")
    fitted = CSL().fit(train, correct)
    assert fitted.state is not None
    heads = fitted.state.arrays["heads"]
    assert len(heads) == 10
    assert 6 in heads  # layer 1, head 0
    assert auroc(fitted.score(test), right == 0, ci=None).value > auroc(CSL().score(test), right == 0, ci=None).value


@pytest.mark.parametrize("estimator", TRAINED, ids=repr)
def test_without_a_fit_there_is_no_score(estimator: Trained) -> None:
    with pytest.raises(NotFitted, match="fit=RUN"):
        estimator.score(planted(3, shift=0.0, seed=0, prefix="t")[0])
    assert estimator.needs.unfitted
    with pytest.raises(NotFitted, match="no fit to save"):
        save_fit(estimator, "never.safetensors")


@pytest.mark.parametrize("estimator", [LinearProbe(), SAPLMA(), CSL()], ids=repr)
def test_one_class_is_no_training(estimator: Trained) -> None:
    train, correct = _any_training(estimator)
    with pytest.raises(InputError, match="a fit needs both"):
        estimator.fit(train, np.ones_like(correct))


def test_bad_training_is_named() -> None:
    train, correct = planted(40, shift=0.0, seed=1, prefix="train")
    for label, message in ((correct[:-1], "shape"), (correct * 0.5, "1 \\(right\\)"), (correct * np.nan, "nothing to fit on")):
        with pytest.raises(InputError, match=message):
            LinearProbe().fit(train, label)
    with pytest.raises(InputError, match="n >= 2"):
        Mahalanobis().fit(train, np.where(np.arange(40) < 1, 1.0, 0.0))
    with pytest.raises(InputError, match="too few"):
        SAPLMA().fit(*planted(6, shift=0.0, seed=3, prefix="t"))
    with pytest.raises(MissingTraceField):
        LinearProbe().fit(make_trace([{"item_id": "a", "kind": "greedy", "text": "x"}]), [1])


def test_another_layer_or_width_does_not_fit() -> None:
    fitted = LinearProbe().fit(*planted(40, shift=0.5, seed=1, prefix="train"))
    narrow = {"item_id": "n", "kind": "greedy", "text": "x", "n_layers": 4, "hidden_layers": [2], "hidden_last": [[1.0, 2.0]]}
    with pytest.raises(InputError, match="do not fit"):
        fitted.score(make_trace([narrow]))


def test_a_background_of_general_text_counts_as_seen() -> None:
    train, correct = planted(60, shift=1.5, seed=1, prefix="train")
    background, _ = planted(60, shift=3.0, seed=5, prefix="general")
    fitted = Mahalanobis(relative=True).fit(train, correct, background)
    test, right = planted(60, shift=1.5, seed=2, prefix="test")
    assert auroc(fitted.score(test), right == 0, ci=None).value > 0.9
    with pytest.raises(InputError, match="general"):
        fitted.score(background)


@pytest.mark.parametrize("content", [b"", b"not a fit", pickle.dumps({"a": 1}), b"\xff" * 64])
def test_a_file_that_is_no_fit_is_refused(tmp_path: Any, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.safetensors"):
        load_fit(LinearProbe(), path)


def test_a_fit_of_other_settings_is_refused(tmp_path: Any) -> None:
    save_fit(LinearProbe().fit(*planted(40, shift=0.5, seed=1, prefix="train")), tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="settings"):
        load_fit(LinearProbe(depth=1.0), tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="settings"):
        load_fit(SAPLMA(), tmp_path / "x.safetensors")


def test_from_a_run_to_a_fit_to_scores(tmp_path: Any) -> None:
    """Named, an unfitted estimator is captured for; fitted, it scores other items and refuses its own."""
    import dataclasses

    task = make_task(60)
    first = dataclasses.replace(task, items=task.items[:40])
    names = ["linear_probe", "mahalanobis", "mean_nll"]
    fit_run = tl.measure(LawModel(), first, names, samples=0, out=tmp_path / "fit")
    assert fit_run.scores.columns == ["item_id", "mean_nll"]
    assert "captured for" in fit_run.manifest["plan"]["left_out"]["linear_probe"]
    bare = tl.measure(LawModel(), first, ["linear_probe"], samples=0, out=tmp_path / "bare")
    assert not (bare.path / "scores.parquet").exists()
    spec = f"linear_probe(fit={fit_run.path})"
    rest = dataclasses.replace(task, items=task.items[40:])
    scored = tl.measure(LawModel(), rest, [spec, "mean_nll"], samples=0, out=tmp_path / "rest")
    values = scored.scores[spec].to_numpy()
    assert np.isfinite(values).all()
    assert len(np.unique(values)) > 1
    name, estimator = load_estimator(spec)
    assert name == spec
    assert isinstance(estimator, Trained)
    save_fit(estimator, tmp_path / "probe.safetensors")
    stored = f"linear_probe(fit={tmp_path}/probe.safetensors)"
    np.testing.assert_array_equal(scored.score([stored])[stored].to_numpy(), values)
    with pytest.raises(InputError, match="was used to fit"):
        fit_run.score([spec])


def test_specs_that_name_no_fit_are_refused(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="takes no fit"):
        load_estimator("mean_nll(fit=x)")
    with pytest.raises(InputError):
        load_estimator(f"saplma(fit={tmp_path}/nowhere)")
    with pytest.raises(InputError, match="no option 'state'"):
        load_estimator("saplma(state=1)")


def test_all_leaves_the_unfitted_out() -> None:
    plan = tl.plan(LawModel(), make_task(4), "all")
    unfitted = {name for name, e in load_estimators("all").items() if e.needs.unfitted}
    assert unfitted == {"mahalanobis", "relative_mahalanobis", "linear_probe", "saplma", "p_ik"}
    assert unfitted <= set(plan.left_out)
    assert "hidden_prompt" not in plan.greedy_columns
