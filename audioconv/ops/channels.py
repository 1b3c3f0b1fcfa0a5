"""Sums over all pixels of each channel, and what normalisation makes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audioconv.errors import ShapeError
from audioconv.kernels import norm
from audioconv.ops.arrays import Array, as_input, check_gradient
from audioconv.runtime.sums import MAX_PARTS


def _pixels(x: Array) -> Array:
    return as_input(x).reshape(-1, x.shape[-1])


def _parts(pixels: Array) -> int:
    blocks: int = -(-pixels.shape[0] // norm.BLOCK)
    return min(MAX_PARTS, blocks)


def channel_sums(x: Array) -> NDArray[np.float64]:
    """Return the sum over all axes but the last."""
    pixels = _pixels(x)
    partial = np.zeros((_parts(pixels), x.shape[-1]))
    norm.column_sums(pixels, partial)
    total: NDArray[np.float64] = partial.sum(axis=0)
    return total


def channel_moments(x: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and (biased) variance over all axes but the last."""
    pixels = _pixels(x)
    M, parts = pixels.shape[0], _parts(pixels)
    means, squares = np.empty((2, parts, x.shape[-1]))
    norm.moments(pixels, means, squares)
    counts = np.diff(np.arange(parts + 1) * M // parts)[:, None]
    mean = (counts * means).sum(axis=0) / M
    variance = (squares + counts * (means - mean) ** 2).sum(axis=0) / M
    return mean, variance


def channel_affine(x: Array, mean: ArrayLike, scale: ArrayLike, shift: ArrayLike) -> Array:
    """Return ``(x - mean) * scale + shift``, each given per channel."""
    factors = [as_input(v, 1, "a factor per channel") for v in (mean, scale, shift)]
    for factor in factors:
        if factor.shape != x.shape[-1:]:
            raise ShapeError(f"needs {factor.size} channels, got input of shape {x.shape[1:]}")
    y = np.empty(x.shape, np.float32)
    norm.scale_shift(_pixels(x), *factors, _pixels(y))
    return y


def batch_norm_gradients(
    x: Array, dy: Array, mean: NDArray[np.float64], inverse_std: NDArray[np.float64], weight: Array
) -> tuple[Array, Array, Array]:
    """Return the gradients of batch normalisation with batch statistics: by input, weight and bias.

    Ioffe and Szegedy, 2015, section 3, rearranged to ``dx = by_dy * dy + by_x * (x - mean) + shift``.
    """
    check_gradient(dy, x.shape)
    pixels, gradients = _pixels(x), _pixels(dy)
    M, C = pixels.shape
    sum_dy, sum_dy_x = np.empty((2, _parts(pixels), C))
    centre = np.asarray(mean, np.float32)
    norm.gradient_sums(pixels, gradients, centre, sum_dy, sum_dy_x)
    dbias = sum_dy.sum(axis=0)
    dweight = sum_dy_x.sum(axis=0) * inverse_std
    by_dy = weight * inverse_std
    by_x = -by_dy * dweight * inverse_std / M
    shift = -by_dy * dbias / M
    dx = np.empty(x.shape, np.float32)
    norm.input_gradient(pixels, gradients, centre, *(v.astype(np.float32) for v in (by_dy, by_x, shift)), _pixels(dx))
    return dx, dweight.astype(np.float32), dbias.astype(np.float32)
