"""Confidence-aware label smoothing: against torch's own smoothing, gradients, class confidence, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trueline.errors import InputError
from trueline.objectives import ConfidenceLabelSmoothing, class_confidence


def data(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    return torch.randn(20, 4, generator=made, dtype=dtype), torch.randint(0, 4, (20,), generator=made)


def test_without_confidence_it_is_ordinary_smoothing() -> None:
    z, y = data()
    ordinary = torch.nn.functional.cross_entropy(z, y, label_smoothing=0.1)
    for loss in (ConfidenceLabelSmoothing(4), ConfidenceLabelSmoothing(4, 0.1, (0.9,) * 4, 1e15)):
        assert float(loss(z, y)) == pytest.approx(float(ordinary), abs=1e-12)
    plain = float(torch.nn.functional.cross_entropy(z, y))
    assert float(ConfidenceLabelSmoothing(4, 0.0)(z, y)) == pytest.approx(plain, abs=1e-12)


def test_targets_and_gradient() -> None:
    loss = ConfidenceLabelSmoothing(4, 0.1, (0.9, 0.1, 0.5, 0.5), 10.0)
    rows = loss.targets()
    assert rows.sum(axis=1) == pytest.approx(np.ones(4))
    assert rows[3, 0] > rows[3, 2] > rows[3, 1]  # confident classes get more
    z, y = data()
    z.requires_grad_()
    loss(z, y).backward()
    expected = (torch.softmax(z, 1) - torch.as_tensor(rows)[y]) / len(y)
    assert z.grad is not None
    assert torch.allclose(z.grad, expected, atol=1e-12)
    assert loss(data(torch.float32)[0], y).dtype == torch.float32


def test_class_confidence() -> None:
    assert class_confidence([[0.8, 0.2], [0.4, 0.6], [0.9, 0.1]], [0, 0, 1]) == pytest.approx((0.6, 0.1))
    with pytest.raises(InputError, match="class 1 has no items"):
        class_confidence([[0.8, 0.2]], [0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": 1}, "num_classes"),
        ({"num_classes": 3, "smoothing": 1.0}, "smoothing"),
        ({"num_classes": 3, "smoothing": float("nan")}, "smoothing"),
        ({"num_classes": 3, "confidence_weight": 0.0}, "confidence_weight"),
        ({"num_classes": 3, "class_confidence": (0.5, 0.5)}, "3 numbers"),
        ({"num_classes": 2, "class_confidence": (0.5, 1.5)}, "2 numbers"),
        ({"num_classes": 2, "class_confidence": (0.5, float("nan"))}, "2 numbers"),
    ],
)
def test_bad_settings(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConfidenceLabelSmoothing(**settings)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(torch.zeros(3, dtype=torch.int64), "shapes"), (torch.full((20,), 4), "whole numbers"), (torch.zeros(20), "whole numbers")],
)
def test_bad_labels(labels: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConfidenceLabelSmoothing(4)(data()[0], labels)
