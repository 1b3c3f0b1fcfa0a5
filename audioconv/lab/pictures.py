"""Small pictures of clips: spectrograms of recordings, thumbnails of pictures."""

from __future__ import annotations

import io
import math
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples
from audioconv.audio.read import Segment, blocks
from audioconv.errors import DataError, missing_extra
from audioconv.io.files import display_path, reason
from audioconv.io.png import encode

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {"BMP": ".bmp", "GIF": ".gif", "JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "PPM": ".ppm", "TIFF": ".tif",
           "WEBP": ".webp"}  # fmt: skip
"""The formats of pictures that are taken, by Pillow's names, and the ending of their files."""

MAX_PIXELS = 40_000_000
"""Of one picture."""

MAX_SHOWN = 1024
"""Width and height of a picture that is shown large."""

INK = {False: (0x1F, 0x5D, 0x9C), True: (0x86, 0xB8, 0xEE)}
"""Colour of spectrograms on a light and on a dark page, that of words in the report; loudness is opacity."""

RANGE_DB = 60.0
"""Below the loudest by more than this, nothing is drawn."""

MIN_RANGE_DB = 25.0
"""Above the background, so that noise alone is pale."""

MAX_SECONDS = 30.0
"""Of a longer recording the beginning is drawn."""

_LOWEST, _HIGHEST = 60.0, 8000.0
_LONGEST_WINDOW_SECONDS = 0.032


def spectrogram(source: Path | Segment, width: int, height: int, *, dark: bool) -> bytes:
    """Return a PNG file with a log-mel spectrogram of a recording on a transparent background.

    Parameters
    ----------
    source : Path or Segment
    width, height : int
        In pixels.
    dark : bool
        Whether it is for a dark page.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    parts: list[Samples] = []
    with blocks(source, 5.0) as found:
        rate = found.info.sample_rate
        for block in found.mono():
            parts.append(block)
            if found.came >= MAX_SECONDS * rate:
                break
    shown = loudness_picture(np.concatenate(parts), rate, width, height)
    pixels = np.round(255 * shown).astype(np.uint8)[..., None]
    palette = np.tile(np.array(INK[dark], np.uint8), (256, 1))
    return encode(pixels, palette, np.arange(256, dtype=np.uint8))


def loudness_picture(samples: Samples, rate: int, width: int, height: int) -> NDArray[np.float64]:
    """Return the loudness of bands (height, width) of samples (T,), 0 to 1, high frequencies first.

    By NumPy alone: the kernels of front ends take seconds to load, and this is for a glance.
    """
    from audioconv.features.mel import mel_filters

    window = 1 << max(6, round(math.log2(_LONGEST_WINDOW_SECONDS * rate)))
    padded = np.zeros(max(len(samples), 1) + window, np.float32)
    padded[window // 2 : window // 2 + len(samples)] = samples
    begins = np.linspace(0, max(0, len(samples) - 1), width).astype(np.int64)
    frames = padded[begins[:, None] + np.arange(window)] * np.hanning(window).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    filters = mel_filters(rate, window, height, _LOWEST, min(_HIGHEST, rate / 2))
    # A narrow band may lie between two bins.
    empty = np.flatnonzero(filters.sum(axis=1) == 0)
    if len(empty):
        full = np.flatnonzero(filters.sum(axis=1))
        filters[empty] = filters[full[np.abs(full[:, None] - empty).argmin(axis=0)]]
    decibels = 10 * np.log10(power @ filters.T + 1e-12)
    loudest = float(decibels.max())
    floor = max(loudest - RANGE_DB, min(float(np.median(decibels)), loudest - MIN_RANGE_DB))
    shown: NDArray[np.float64] = np.clip((decibels - floor) / max(loudest - floor, 1e-6), 0, 1).T[::-1]
    return shown


# --- pictures ---


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height of a picture as it stands upright, without decoding it; `DataError` if it is none."""
    with _opened(path, display_path(path)) as picture:
        width, height = picture.size
        return (height, width) if picture.getexif().get(0x0112, 1) >= 5 else (width, height)


def checked_picture(file: BinaryIO, name: str) -> str:
    """Return the ending of names for a picture, all of which is decoded; `DataError` if it cannot be."""
    file.seek(0)
    with _opened(file, name) as picture:
        kind = picture.format or ""
        picture.load()
    return FORMATS[kind]


def thumbnail(path: Path, width: int, height: int) -> bytes:
    """Return a PNG file of a picture that fits into so many pixels."""
    return _scaled(path, width, height, "PNG")


def large(path: Path) -> tuple[bytes, str]:
    """Return a picture to look at, decoded and encoded again, and its media type."""
    return _scaled(path, MAX_SHOWN, MAX_SHOWN, "PNG"), "image/png"


def _scaled(path: Path, width: int, height: int, kind: str) -> bytes:
    from PIL import Image, ImageOps

    shown = display_path(path)
    with _opened(path, shown) as picture:
        picture.draft("RGB", (2 * width, 2 * height))
        upright = ImageOps.exif_transpose(picture)
        upright = upright.convert("RGBA" if "A" in upright.getbands() or "transparency" in upright.info else "RGB")
        upright.thumbnail((width, height), Image.Resampling.BILINEAR)
        out = io.BytesIO()
        upright.save(out, kind)
    return out.getvalue()


@contextmanager
def _opened(source: Path | BinaryIO, shown: str) -> Iterator[Image.Image]:
    """Open a picture of a known format and size; whatever Pillow raises of it is a `DataError`."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise missing_extra("reading pictures", "images") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Pillow opens MPO files as JPEG, and knows no format of that name to open.
            with Image.open(source, formats=[kind for kind in FORMATS if kind != "MPO"]) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise DataError(
                        f"{shown}: has {picture.width} x {picture.height} pixels; at most {MAX_PIXELS:,} are read"
                    )
                yield picture
    except (UnidentifiedImageError, Image.DecompressionBombError):
        raise DataError(f"{shown}: is no picture that can be read ({', '.join(FORMATS)})") from None
    except MemoryError:
        raise DataError(f"{shown}: there is not enough memory to decode it") from None
    except (OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, struct.error) as error:
        cause = reason(error) if isinstance(error, OSError) else str(error)
        raise DataError(f"{shown}: the picture cannot be read ({cause})") from None


def etag(stamp: tuple[int, int], *more: object) -> str:
    """Return what identifies a picture of a file in this state."""
    return '"' + "-".join(format(one, "x") if isinstance(one, int) else str(one) for one in (*stamp, *more)) + '"'
