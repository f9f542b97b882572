"""Certainties of ranks and groups, and the credit of ties."""

from __future__ import annotations

import numpy as np
import pytest

from trueline.errors import InputError
from trueline.metrics.annotators import annotation_certainty, group_certainty, rank_certainty, topk_weights


def test_ranks_of_given_draws() -> None:
    samples = np.array([[[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]], [[np.nan] * 3] * 2])
    assert rank_certainty(samples)[0].tolist() == [0.5, 0, 0.5]
    assert rank_certainty(samples, 2)[0].tolist() == [0, 1, 0]
    assert np.isnan(rank_certainty(samples)[1]).all()
    with pytest.raises(InputError, match="rank k is 4"):
        rank_certainty(samples, 4)


def test_groups_sum_their_classes() -> None:
    chances = np.array([[0.4, 0.35, 0.25]])
    assert annotation_certainty(chances).tolist() == [0.4]
    np.testing.assert_allclose(group_certainty(chances, [0, 1, 1]), [[0.4, 0.6]])
    np.testing.assert_allclose(annotation_certainty(chances, [0, 1, 1]), [0.6])
    for bad in ([0, 1], [0, 1, -1], [0.0, 1.0, 1.0]):
        with pytest.raises(InputError, match="groups"):
            group_certainty(chances, bad)


def test_ties_share_the_last_places() -> None:
    v = [0.1 + 0.2, 0.3, 0.3, 0.5]
    np.testing.assert_allclose(topk_weights(v, 2), [1 / 3, 1 / 3, 1 / 3, 1])
    assert topk_weights(v, 2, "lowest").tolist() == [1, 0, 0, 1]
    assert topk_weights(v, 4).tolist() == [1, 1, 1, 1]
    assert np.isnan(topk_weights([np.nan, 1.0], 1)).all()
    with pytest.raises(InputError, match="ties"):
        topk_weights(v, 1, "first")
    with pytest.raises(InputError, match="k is 5"):
        topk_weights(v, 5)
