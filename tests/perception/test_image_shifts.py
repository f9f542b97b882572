"""Image shifts: what stays, what grows with severity, JPEG against its definition, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.errors import InputError
from trueline.perception import IMAGE_SHIFTS, Shift
from trueline.perception.image_shifts import blur, brightness, contrast, jpeg, occlusion


def picture(*shape: int) -> Any:
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.linspace(0, 0.5, shape[1]), np.linspace(0, 0.4, shape[2]))
    return np.clip(smooth.reshape(1, *shape[1:3], *([1] * (len(shape) - 3))) + rng.normal(0.05, 0.03, shape), 0, 1)


@pytest.mark.parametrize("shape", [(2, 8, 8), (3, 13, 21), (2, 16, 10, 1), (2, 9, 17, 3)])
def test_shape_range_input_untouched_and_growth(shape: tuple[int, ...]) -> None:
    x = picture(*shape)
    before = x.copy()
    for shift in IMAGE_SHIFTS:
        harm = []
        for level in shift.levels:
            found = shift.apply(x, level, np.random.default_rng(1))
            assert found.shape == x.shape
            assert found.min() >= 0
            assert found.max() <= 1
            assert np.array_equal(found, shift.apply(x, level, np.random.default_rng(1)))
            harm.append(float(np.abs(found - x).mean()))
        assert harm[-1] > 1.2 * harm[0] > 0, shift.name
    assert np.array_equal(x, before)


def test_by_hand() -> None:
    x, rng = np.array([[[0.2, 0.8], [0.4, 0.6]]]), np.random.default_rng(0)
    assert brightness(x, 0.3, rng) == pytest.approx(np.array([[[0.5, 1.0], [0.7, 0.9]]]))
    assert contrast(x, 0.5, rng) == pytest.approx(np.array([[[0.35, 0.65], [0.45, 0.55]]]))
    assert blur(np.ones((1, 5, 5, 3)) * [0.1, 0.5, 0.9], 2.0, rng)[0, 2, 2] == pytest.approx([0.1, 0.5, 0.9])
    covered = occlusion(np.zeros((4, 10, 20)), 0.09, rng)
    assert (covered == 0.5).sum(axis=(1, 2)).tolist() == [9] * 4


@given(st.integers(1, 100), st.integers(0, 255))
@settings(max_examples=25, deadline=None)
def test_jpeg_of_one_grey(quality: int, grey: int) -> None:
    """Only the mean of a block is left, rounded to an eighth of its table entry."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    step = min(max((16 * scale + 50) // 100, 1), 255)
    found = jpeg(np.full((1, 11, 9), grey / 255), quality, np.random.default_rng(0)) * 255
    wanted = np.clip(np.round((grey - 128) * 8 / step) * step / 8 + 128, 0, 255)
    assert np.ptp(found) == 0
    assert abs(found[0, 0, 0] - wanted) <= 0.5 + 1e-9 or abs((grey - 128) * 8 / step % 1 - 0.5) < 1e-9  # a tie may round either way


def test_jpeg_keeps_nearly_all_at_100_and_less_below() -> None:
    for shape in ((1, 24, 24), (1, 24, 24, 3)):
        x = picture(*shape)
        lost = [np.abs(jpeg(x, q, np.random.default_rng(0)) - x).max() for q in (100, 50, 5)]
        assert lost[0] < 4 / 255 < lost[1] < lost[2]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 3)), "shape"),
        (np.zeros((0, 3, 3)), "empty"),
        (np.full((2, 3, 3), 255.0), "image 0 has pixels outside"),
        (np.array([[[0.0]], [[np.nan]]]), "image 1 has pixels outside"),
    ],
)
def test_bad_images(images: Any, message: str) -> None:
    for shift in IMAGE_SHIFTS:
        with pytest.raises(InputError, match=message):
            shift.apply(images, shift.levels[0], np.random.default_rng(0))


def test_bad_settings() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="1 or 3 channels"):
        jpeg(np.zeros((1, 8, 8, 2)), 50, rng)
    with pytest.raises(InputError, match="quality"):
        jpeg(np.zeros((1, 8, 8)), 0, rng)
    for levels in ((), (np.nan,)):
        with pytest.raises(InputError, match="levels"):
            Shift("mine", blur, levels)
