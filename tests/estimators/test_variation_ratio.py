"""Variation ratios of samples and of perturbed answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trueline.errors import InputError, MissingTraceField
from trueline.estimators.loading import load_estimator
from trueline.estimators.variation_ratio import (
    POINTS,
    PerturbVR,
    PerturbVRO,
    SampleVR,
    SampleVRO,
    variation_ratio,
    variation_ratio_original,
)
from trueline.traces import Trace, make_trace
from trueline.traces.schema import PERTURBATIONS


def trace_of(greedy: str | None, texts: list[str | None], kind: str = "sample") -> Trace:
    rows = [*((kind, text) for text in texts), ("greedy", greedy)]
    return make_trace([{"item_id": "q", "kind": k, "text": t, "error": "failed" if t is None else None} for k, t in rows])


@given(arrays(np.float64, (4, 4), elements=st.floats(0, 2)))
def test_both_orders_of_a_pair_count_alike(matrix: np.ndarray) -> None:
    assert variation_ratio(matrix) == pytest.approx(variation_ratio((matrix + matrix.T) / 2), abs=1e-12)
    assert variation_ratio_original(matrix[0]) == pytest.approx(1 - np.mean(1 - matrix[0]), abs=1e-12)


@pytest.mark.parametrize("bad", [[[0.0]], [], [[0, 1]], [[0, np.nan], [1, 0]], [[0, -1], [1, 0]], [0.5, 0.5]])
def test_what_is_no_matrix_of_distances_is_refused(bad: object) -> None:
    with pytest.raises(InputError):
        variation_ratio(bad)


@pytest.mark.parametrize("bad", [[], [np.inf], [-0.1], [[0.1]]])
def test_what_is_no_row_of_distances_is_refused(bad: object) -> None:
    with pytest.raises(InputError):
        variation_ratio_original(bad)


def test_identical_outputs_score_zero_and_one_sample_has_no_ratio() -> None:
    same = trace_of("paris", ["paris"] * 3)
    assert SampleVR().score(same)[0] == 0.0
    assert SampleVRO().score(same)[0] == 0.0
    one = trace_of("paris", ["rome"])
    assert SampleVRO(distance="exact").score(one)[0] == 1.0
    with pytest.raises(MissingTraceField):
        SampleVR().score(one)


def test_asymmetric_distances_see_sample_first_and_original_second() -> None:
    def first_longer(a: str, b: str) -> float:
        return float(len(a) > len(b))

    trace = trace_of("aa", ["a", "aaa", "aaa"])
    assert SampleVRO(distance=first_longer).score(trace)[0] == pytest.approx(2 / 3)
    assert SampleVR(distance=first_longer).score(trace)[0] == pytest.approx(2 / 6)


def test_failed_generations_are_left_out() -> None:
    trace = trace_of("x", ["x", None, "y", "y"])
    assert SampleVR(distance="exact").score(trace)[0] == pytest.approx(2 / 3)
    assert SampleVRO(distance="exact").score(trace)[0] == pytest.approx(2 / 3)
    assert np.isnan(SampleVRO().score(trace_of(None, ["x", "y"]))[0])


@pytest.mark.parametrize("point", POINTS)
def test_perturbed_answers_are_scored_at_their_point(point: str) -> None:
    kind = f"perturb_{point}"
    assert kind in PERTURBATIONS
    trace = trace_of("x", ["x", "y"], kind)
    assert PerturbVR(point, "exact").score(trace)[0] == 1.0
    assert PerturbVRO(point, "exact").score(trace)[0] == 0.5
    with pytest.raises(MissingTraceField, match=kind):
        PerturbVR(point).score(trace_of("x", ["x", "y"]))


def test_the_number_of_alternatives_is_a_choice() -> None:
    kind = "perturb_max_entropy"
    trace = trace_of("a", ["a", "b", "b", "b", "b", "b"], kind)
    assert PerturbVRO(distance="exact", n_alternatives=1).score(trace)[0] == 0
    assert PerturbVRO(distance="exact", n_alternatives=2).score(trace)[0] == 0.5
    assert PerturbVRO(distance="exact").score(trace)[0] == 0.75
    assert PerturbVRO(distance="exact", n_alternatives=6).score(trace)[0] == pytest.approx(5 / 6)
    assert PerturbVR(distance="exact", n_alternatives=2).score(trace)[0] == 1
    with pytest.raises(MissingTraceField, match="holds 6 alternatives"):
        PerturbVRO(n_alternatives=7).score(trace)
    assert load_estimator("perturb_vr_max_entropy(n_alternatives=8)")[1].needs.alternatives == 8
    for make, least in ((PerturbVR, 1), (PerturbVRO, 0)):
        with pytest.raises(InputError, match="n_alternatives is"):
            make(n_alternatives=least)


def test_settings_by_name() -> None:
    _, estimator = load_estimator("sample_vro(distance=rouge1)")
    assert estimator == SampleVRO(distance="rouge1")
    with pytest.raises(InputError, match="unknown distance"):
        load_estimator("sample_vr(distance=cosine)")
    with pytest.raises(InputError, match="point="):
        PerturbVR(point="middle")
