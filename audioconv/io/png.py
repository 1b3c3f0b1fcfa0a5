"""PNG encoding by the standard library."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

# Matplotlib's "magma" (N. J. Smith and S. van der Walt, CC0), every sixteenth part.
_MAGMA = (
    "000004 0b0924 20114b 3b0f70 57157e 721f81 8c2981 a8327d c43c75 de4968 f1605d fa7f5e fe9f6d febf84 fddea0 fcfdbf"
)
_STOPS = np.array([[int(colour[i : i + 2], 16) for i in (0, 2, 4)] for colour in _MAGMA.split()], np.float64)
PALETTE = np.stack(
    [np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(_STOPS)), _STOPS[:, i]) for i in range(3)], axis=1
).round().astype(np.uint8)  # fmt: skip
"""256 colours from black to pale yellow, each lighter than the one before."""


def encode(
    pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None, opacity: NDArray[np.uint8] | None = None
) -> bytes:
    """Return a PNG file of `pixels`.

    Parameters
    ----------
    pixels : array (H, W, C) uint8
        C is 1 for grey (or numbers of the palette's colours), 3 for RGB.
    palette : array (256, 3) uint8, optional
        Red, green and blue of each number. Default: the pixels are grey or RGB.
    opacity : array (256,) uint8, optional
        Opacity of each colour of the palette, 255 is opaque. Default: all are opaque.

    References
    ----------
    Portable Network Graphics (PNG) Specification, W3C, section 11.
    """
    height, width, channels = pixels.shape
    colour_type = 3 if palette is not None else {1: 0, 3: 2}[channels]
    # Each row begins with the number of its filter: none.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)),
            b"" if palette is None else _chunk(b"PLTE", palette.tobytes()),
            b"" if opacity is None else _chunk(b"tRNS", opacity.tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def heat(values: NDArray[np.floating]) -> bytes:
    """Return `values` (H, W), 0 to 1, as a PNG file in the colours of `PALETTE`."""
    return encode(np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)[..., None], PALETTE)


def data_uri(content: bytes, media_type: str) -> str:
    """Return a file as an address that holds all of it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
