"""Shifts of images at five severities, for `perturbation_report`.

Kinds and levels after Hendrycks and Dietterich, arXiv 1903.12261 (blur: their levels for images of 32 pixels; occlusion is ours). A level
is the same change for every model, not the same harm, and a pixel of blur is not the same change for every size: where images are large,
give `Shift` levels of your own.
"""

from __future__ import annotations

import numpy as np

from trueline.errors import InputError
from trueline.perception.shift import Shift
from trueline.stats.estimate import FloatArray

# ITU-T T.81, tables K.1 and K.2
_LUMINANCE = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92], [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
_CHROMINANCE = np.full((8, 8), 99)
_CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
_BLOCK = 8


def gaussian_noise(images: FloatArray, level: float, rng: np.random.Generator) -> FloatArray:
    """Add normal noise of that standard deviation to every pixel.

    images: (n, height, width) or (n, height, width, channels) float64 in [0, 1], as is the result; so for every shift of this module.
    Raises ``InputError`` for other shapes or values.
    """
    x = check_images(images)
    return np.asarray(np.clip(x + rng.normal(0, level, x.shape), 0, 1))


def blur(images: FloatArray, level: float, rng: np.random.Generator) -> FloatArray:
    """Gaussian blur; level: its standard deviation in pixels."""
    from scipy.ndimage import gaussian_filter

    x = check_images(images)
    return np.asarray(np.clip(gaussian_filter(x, (0, level, level, *([0] * (x.ndim - 3))), mode="nearest"), 0, 1))


def brightness(images: FloatArray, level: float, rng: np.random.Generator) -> FloatArray:
    """Add a level to every pixel."""
    return np.asarray(np.clip(check_images(images) + level, 0, 1))


def contrast(images: FloatArray, level: float, rng: np.random.Generator) -> FloatArray:
    """Draw every pixel towards the mean of its image and channel; level: share of the distance kept."""
    x = check_images(images)
    mean = x.mean(axis=(1, 2), keepdims=True)
    return np.asarray(mean + level * (x - mean))


def jpeg(images: FloatArray, level: float, rng: np.random.Generator) -> FloatArray:
    """What JPEG loses at a quality in [1, 100]: quantised cosine transforms of 8 x 8 blocks, colours at full resolution.

    Images of 1 channel (or none) and of 3 (red, green, blue).
    """
    x = check_images(images)
    if not 1 <= level <= 100:
        raise InputError(f"the quality is {level}; expected 1 to 100")
    scale = 5000 / level if level < 50 else 200 - 2 * level
    tables = [np.clip(np.floor((t * scale + 50) / 100), 1, 255) for t in (_LUMINANCE, _CHROMINANCE)]
    if x.ndim == 3 or x.shape[3] == 1:
        return np.asarray(np.clip(_quantised(np.round(x.reshape(x.shape[:3]) * 255) - 128, tables[0]) + 128, 0, 255).reshape(x.shape) / 255)
    if x.shape[3] != 3:
        raise InputError(f"JPEG knows images of 1 or 3 channels; got {x.shape[3]}")
    ycc = np.round(x * 255) @ _TO_YCC.T - np.array([128, 0, 0])
    kept = np.stack([_quantised(np.round(ycc[..., c]), tables[min(c, 1)]) for c in range(3)], axis=-1)
    return np.asarray(np.clip((kept + np.array([128, 0, 0])) @ np.linalg.inv(_TO_YCC).T, 0, 255) / 255)


def _quantised(plane: FloatArray, table: FloatArray) -> FloatArray:
    """(n, height, width) after rounding its blocks' cosine coefficients to multiples of the table; the edge is repeated to full blocks."""
    from scipy.fft import dctn, idctn

    n, height, width = plane.shape
    full = np.pad(plane, ((0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK)), mode="edge")
    blocks = full.reshape(n, full.shape[1] // _BLOCK, _BLOCK, full.shape[2] // _BLOCK, _BLOCK)
    coefficients = np.moveaxis(dctn(blocks, axes=(2, 4), norm="ortho"), 3, 2)
    kept = np.moveaxis(np.round(coefficients / table) * table, 2, 3)
    return np.asarray(np.round(idctn(kept, axes=(2, 4), norm="ortho")).reshape(full.shape)[:, :height, :width])


def occlusion(images: FloatArray, level: float, rng: np.random.Generator) -> FloatArray:
    """Cover a square at a random place in each image with grey; level: share of the shorter side squared, in (0, 1]."""
    x = check_images(images).copy()
    height, width = x.shape[1:3]
    side = max(1, round(min(height, width) * level**0.5))
    for image, top, left in zip(x, rng.integers(0, height - side + 1, len(x)), rng.integers(0, width - side + 1, len(x)), strict=True):
        image[top : top + side, left : left + side] = 0.5
    return x


def check_images(images: FloatArray) -> FloatArray:
    """Return the images as float64, or raise `InputError`."""
    x = np.asarray(images, dtype=np.float64)
    if x.ndim not in (3, 4) or not x.size:
        raise InputError(f"images must be (n, height, width) or (n, height, width, channels), not empty; got shape {x.shape}")
    bad = np.flatnonzero(~((x >= 0) & (x <= 1)).reshape(len(x), -1).all(axis=1))
    if len(bad):
        raise InputError(f"image {bad[0]} has pixels outside [0, 1]; scale them first")
    return x


#: The six kinds, at five severities each.
IMAGE_SHIFTS: tuple[Shift, ...] = (
    Shift("gaussian_noise", gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38)),
    Shift("blur", blur, (0.4, 0.6, 0.7, 0.8, 1.0)),
    Shift("brightness", brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
    Shift("contrast", contrast, (0.4, 0.3, 0.2, 0.1, 0.05)),
    Shift("jpeg", jpeg, (25, 18, 15, 10, 7)),
    Shift("occlusion", occlusion, (0.05, 0.1, 0.2, 0.3, 0.4)),
)
