"""The sorted sample: order, merging, groups, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.stats import sorted_sample

NAN = float("nan")


def test_rows_are_sorted_by_score_then_truth() -> None:
    s = sorted_sample([0.5, 0.1, 0.5, 0.3], [1, 0, 0, 1])
    assert s.scores.tolist() == [0.1, 0.3, 0.5, 0.5]
    assert s.truth.tolist() == [0, 1, 0, 1]
    assert s.order.tolist() == [1, 3, 2, 0]
    assert s.starts.tolist() == [0, 1, 2]


def test_equal_rows_merge_only_without_weights_and_clusters() -> None:
    scores, truth = [0.1, 0.1, 0.1, 0.9, 0.9], [0, 0, 0, 1, 1]
    merged = sorted_sample(scores, truth)
    assert merged.scores.tolist() == [0.1, 0.9]
    assert merged.multiplicity.tolist() == [3, 2]
    assert merged.weights.tolist() == [3, 2]
    assert merged.n == 5
    assert merged.n_effective == 5
    assert sorted_sample(scores, truth, clusters=list("aabbc")).n_rows == 5
    assert sorted_sample(scores, truth, weights=[1, 2, 1, 1, 1]).n_rows == 5
    assert sorted_sample(scores, truth, merge=False).n_rows == 5


def test_first_bad_input_row_is_named_in_input_order() -> None:
    s = sorted_sample([0.9, 0.9, 0.1, 0.1, 0.1], [7, 7, 0, 0, 0])
    assert s.n_rows == 2
    assert s.first_input(s.truth > 1) == 0


def test_kish_count() -> None:
    assert sorted_sample([1, 2], [0, 1], weights=[1, 3]).n_effective == pytest.approx(16 / 10)


def test_dropping_counts_and_keeps_partners_together() -> None:
    s = sorted_sample([0.3, NAN, 0.1], [1, 1, NAN], weights=[5, 1, 1], clusters=["a", "b", "c"], nan_policy="drop")
    assert (s.n, s.n_missing, s.weights.tolist(), s.n_clusters) == (1, 2, [5.0], 1)


def test_cluster_labels_of_any_type() -> None:
    for labels in (["b", "a", "b"], [2.0, 1.0, 2.0], [(1, 2), None.__class__, (1, 2)], np.array(["x", "y", "x"])):
        array = np.empty(3, dtype=object)
        array[:] = labels
        s = sorted_sample([1, 2, 3], [0, 1, 0], clusters=array)
        assert s.cluster is not None
        assert s.cluster.tolist() == [0, 1, 0]


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("empty", {"scores": [], "truth": []}, "empty"),
    ("lengths", {"scores": [1, 2], "truth": [1]}, "index 1 has no partner"),
    ("nan score", {"scores": [1, NAN], "truth": [0, 1]}, "index 1"),
    ("nan truth", {"scores": [1, 2, 3], "truth": [0, 1, NAN]}, "index 2"),
    ("infinite truth", {"scores": [1, 2], "truth": [0, float("inf")]}, r"truth\[1\]"),
    ("negative weight", {"scores": [1, 2], "truth": [0, 1], "weights": [1, -1]}, r"weights\[1\]"),
    ("infinite weight", {"scores": [1, 2], "truth": [0, 1], "weights": [float("inf"), 1]}, r"weights\[0\]"),
    ("zero weights", {"scores": [1, 2], "truth": [0, 1], "weights": [0, 0]}, "all weights are zero"),
    ("weights length", {"scores": [1, 2], "truth": [0, 1], "weights": [1]}, "weights has 1 entries"),
    ("cluster length", {"scores": [1, 2], "truth": [0, 1], "clusters": ["a"]}, "clusters has 1 entries"),
    ("cluster missing", {"scores": [1, 2], "truth": [0, 1], "clusters": np.array(["a", None], dtype=object)}, r"clusters\[1\]"),
    ("cluster nan", {"scores": [1, 2], "truth": [0, 1], "clusters": [1.0, NAN]}, r"clusters\[1\]"),
    ("cluster shape", {"scores": [1, 2], "truth": [0, 1], "clusters": [[1], [2]]}, "one-dimensional"),
    ("two-dimensional", {"scores": [[1, 2]], "truth": [[0, 1]]}, "one-dimensional"),
    ("text", {"scores": ["a", "b"], "truth": [0, 1]}, "must be numbers"),
    ("policy", {"scores": [1, 2], "truth": [0, 1], "nan_policy": "ignore"}, "nan_policy"),
    ("all missing", {"scores": [NAN], "truth": [1], "nan_policy": "drop"}, "nothing is left"),
    ("only zero weights left", {"scores": [1, NAN], "truth": [1, 1], "weights": [0, 1], "nan_policy": "drop"}, "sum to zero"),
]


@pytest.mark.parametrize(("kw", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input(kw: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sorted_sample(**kw)
