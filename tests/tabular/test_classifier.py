"""The classifier keeps scikit-learn's conventions and does what the scores say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import (
    check_estimator_cloneable,
    check_estimator_repr,
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_set_params,
)

from trueline.errors import InputError, ModelError
from trueline.knownworld.planted_table import PlantedRisk, planted_table
from trueline.metrics.risk import fit_threshold
from trueline.models.base import GenerationRequest, GenerationSettings, RequestResult
from trueline.tabular import RiskClassifier

PLANTED = planted_table(400, seed=5)
TASK = PLANTED.task
TRAIN, TEST = TASK.rows("train"), TASK.rows("test")
FRAME = pd.DataFrame({c.name: list(TASK.df[c.name]) for c in TASK.features})


def test_it_predicts_without_a_fit() -> None:
    classifier = RiskClassifier(PlantedRisk(), TASK)
    p = classifier.predict_proba(FRAME.iloc[TEST])
    np.testing.assert_allclose(p[:, 1], PLANTED.risk[TEST])
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(classifier.predict(FRAME.iloc[TEST]), (PLANTED.risk[TEST] >= 0.5).astype(int))
    assert classifier.classes_.tolist() == [0, 1]
    assert RiskClassifier(PlantedRisk(), TASK, threshold=0.0).predict(FRAME.iloc[:4]).tolist() == [1] * 4


def test_a_fit_finds_the_threshold_of_least_cost() -> None:
    rows = TRAIN[:100]
    classifier = RiskClassifier(PlantedRisk(), TASK)
    assert classifier.fit(FRAME.iloc[rows], TASK.y[rows], false_pos_cost=3) is classifier
    expected = fit_threshold(PLANTED.risk[rows], TASK.y[rows], false_pos_cost=3).threshold
    assert classifier.threshold_ == pytest.approx(expected)
    assert classifier.n_features_in_ == 4
    assert classifier.feature_names_in_.tolist() == ["work", "schooling", "house", "ward"]
    np.testing.assert_array_equal(classifier.predict(FRAME.iloc[TEST]), (PLANTED.risk[TEST] >= classifier.threshold_).astype(int))


def test_arrays_have_the_task_s_order() -> None:
    classifier = RiskClassifier(PlantedRisk(), TASK)
    np.testing.assert_allclose(classifier.predict_proba(FRAME.to_numpy()), classifier.predict_proba(FRAME))


@pytest.mark.parametrize(
    "check",
    [
        check_estimator_cloneable,
        check_estimator_repr,
        check_get_params_invariance,
        check_no_attributes_set_in_init,
        check_set_params,
    ],
)
def test_conventions(check: Any) -> None:
    check("RiskClassifier", RiskClassifier(PlantedRisk(), TASK))


def test_a_clone_shares_model_and_task_and_forgets_the_fit() -> None:
    classifier = RiskClassifier(PlantedRisk(), TASK).fit(FRAME.iloc[TRAIN[:50]], TASK.y[TRAIN[:50]])
    copy = clone(classifier)
    assert copy.model is classifier.model
    assert copy.task is TASK
    assert not hasattr(copy, "threshold_")


def test_it_works_inside_scikit_learn() -> None:
    classifier, y = RiskClassifier(PlantedRisk(), TASK), TASK.y.astype(int)
    p = cross_val_predict(classifier, FRAME, y, cv=3, method="predict_proba")
    np.testing.assert_allclose(p[:, 1], PLANTED.risk)
    piped = make_pipeline(FunctionTransformer(), classifier).fit(FRAME, y)
    assert piped.score(FRAME, y) > 0.6
    shifted = RiskClassifier(PlantedRisk(shift=2.0), TASK)
    mended = CalibratedClassifierCV(FrozenEstimator(shifted), method="sigmoid").fit(FRAME.iloc[TRAIN], y[TRAIN])
    before, after = shifted.predict_proba(FRAME)[:, 1].mean(), mended.predict_proba(FRAME)[:, 1].mean()
    assert before - y.mean() > 0.25
    assert abs(after - y.mean()) < 0.05
    fall = permutation_importance(classifier, FRAME.iloc[:200], y[:200], scoring="roc_auc", n_repeats=2, random_state=0)
    assert fall.importances_mean.argmax() == 0


def test_models_by_uri_and_answers_on_disk(tmp_path: Path) -> None:
    classifier = RiskClassifier("world:planted-risk", TASK, cache=tmp_path / "answers.sqlite")
    first = classifier.risk_scores(FRAME.iloc[:20])
    assert first.calls > 0
    assert classifier.risk_scores(FRAME.iloc[:20]).calls == 0
    assert roc_auc_score(TASK.y[:20], first.scores) > 0.5


class Mute(PlantedRisk):
    def generate(self, requests: list[GenerationRequest], settings: GenerationSettings) -> list[RequestResult]:  # type: ignore[override]
        return [RequestResult(error="mute") for _ in requests]


def test_bad_input() -> None:
    classifier = RiskClassifier(PlantedRisk(), TASK)
    with pytest.raises(InputError, match="labels 0 and 1"):
        classifier.fit(FRAME.iloc[:3], [0, 1, 2])
    with pytest.raises(InputError, match="3 rows but y has 2"):
        classifier.fit(FRAME.iloc[:3], [0, 1])
    with pytest.raises(InputError, match="same label"):
        classifier.fit(FRAME.iloc[:3], [1, 1, 1])
    with pytest.raises(InputError, match="no column 'work'"):
        classifier.predict(FRAME[["ward"]])
    with pytest.raises(ModelError, match="2 of 2 rows have no answer: mute"), pytest.warns(UserWarning, match="mute"):
        RiskClassifier(Mute(), TASK).predict_proba(FRAME.iloc[:2])
