"""Reading of pictures as float arrays, channels last."""

from __future__ import annotations

import os
import struct
import warnings
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import ConfigError, DataError, missing_extra
from audioconv.io.files import display_path, reason

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes, in lower case, of pictures."""


def read(
    path: str | os.PathLike[str] | BinaryIO,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    *,
    name: str = "picture",
) -> NDArray[np.float32]:
    """Read a picture, upright as its camera meant it.

    Parameters
    ----------
    path : path-like or binary file
        A file that Pillow can read, or one that is open at its beginning. Of an animation the first frame is taken;
        transparency is laid over black.
    size : (int, int), optional
        Height and width in pixels to scale to (bilinear with antialiasing, not keeping the aspect ratio); by default
        the picture's own.
    channels : {1, 3}, optional
        1 for grey (ITU-R 601 luma), 3 for RGB; by default what the file has.
    name : str
        Name of an open file in errors.

    Returns
    -------
    ndarray, shape (H, W, C), float32
        Values in 0..1.

    Raises
    ------
    DataError
        If the file is missing, unreadable or not a picture.
    ConfigError
        If `size` or `channels` is not possible.
    MissingExtraError
        If Pillow is not installed (extra ``images``).
    """
    if channels not in (None, 1, 3):
        raise ConfigError(f"channels must be 1 (grey) or 3 (RGB); got {channels!r}")
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ConfigError(f"size must be (height, width), each at least 1 pixel; got {size!r}")
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise missing_extra("reading pictures", "images") from None

    shown = display_path(path) if isinstance(path, str | os.PathLike) else name
    try:
        with warnings.catch_warnings():
            # Pillow warns before it refuses a picture that is far too large; for us both are a refusal.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                picture = ImageOps.exif_transpose(file)
                pixels = _pixels(picture, channels)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{shown}: {error}") from None
    except UnidentifiedImageError:
        raise DataError(f"{shown}: is not a picture that Pillow can read") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:  # what Pillow raises for broken files
        cause = reason(error) if isinstance(error, OSError) else str(error)
        raise DataError(f"{shown}: the picture cannot be read ({cause})") from None
    if size is not None and size != pixels.shape[:2]:
        pixels = _scale(pixels, size)
    return pixels


def _pixels(picture: Image.Image, channels: int | None) -> NDArray[np.float32]:
    """Return the pixels (H, W, C) in 0..1; modes of more than 8 bits keep their depth."""
    from PIL import Image, ImageChops

    if picture.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion to 8 bits would cut off
        deep = np.asarray(picture, dtype=np.float32)[..., None] / np.float32(65535)
        return np.repeat(np.clip(deep, 0, 1), channels or 1, axis=2)
    grey = picture.mode in ("1", "L", "LA")
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        # Premultiplied, so that what lies hidden under transparent pixels does not show.
        *colours, alpha = picture.convert("RGBA").split()
        picture = Image.merge("RGB", [ImageChops.multiply(colour, alpha) for colour in colours])
    picture = picture.convert("L" if channels == 1 or (channels is None and grey) else "RGB")
    array: NDArray[np.float32] = np.asarray(picture, dtype=np.float32) / np.float32(255)
    return array[..., None] if array.ndim == 2 else array


def _scale(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return `pixels` (H, W, C) scaled to `size`, each channel on its own in float."""
    from PIL import Image

    height, width = size
    scaled = [
        np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR))
        for channel in np.moveaxis(pixels, 2, 0).copy()
    ]
    return np.stack(scaled, axis=2)
