"""MNIST's array files as a folder of PNG pictures."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioconv.datasets.archives.safety import DamagedArchiveError
from audioconv.datasets.collection import Item
from audioconv.errors import DataError, missing_extra
from audioconv.io.files import display_path, reason

Picture = NDArray[np.uint8]
"""Shape (H, W)."""

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
"""Pictures and labels to train on, and to test with."""

DIGITS = tuple("0123456789")
CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array in a gzip-compressed IDX file of bytes.

    Raises
    ------
    DataError
        If it is not one.

    References
    ----------
    LeCun, Cortes, Burges: The MNIST database of handwritten digits.
    """
    shown = display_path(path.name)
    try:
        content = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DamagedArchiveError(f"{shown}: cannot be unpacked ({error}); get it again") from None
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)})") from error
    axes = content[3] if len(content) > 3 else 0
    begin = 4 + 4 * axes
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, begin, 4))
    if content[:3] != b"\0\0\x08" or not axes or len(content) != begin + int(np.prod(shape, dtype=np.int64)):
        raise DamagedArchiveError(f"{shown}: is not an IDX file of bytes; get it again")
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


def read_pictures(files: Sequence[Path], classes: Sequence[str]) -> Iterator[tuple[Item, Picture]]:
    """Yield the pictures of the four `FILES`, in that order, as ``{class}/{split}-{number}.png``.

    Raises
    ------
    DataError
        If a file is damaged, or pictures and labels do not belong together.
    """
    for split, first in (("train", 0), ("test", 2)):
        pictures, labels = read_idx(files[first]), read_idx(files[first + 1])
        if pictures.ndim != 3 or labels.shape != pictures.shape[:1] or labels.max(initial=0) >= len(classes):
            shown = display_path(files[first].name)
            raise DamagedArchiveError(f"{shown}: pictures and labels do not belong together; get them again")
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            yield Item(Path(classes[label], f"{split}-{number:05}.png"), classes[label], None, split), picture


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture (H, W) as PNG; `MissingExtraError` without the extra ``images``."""
    try:
        from PIL import Image
    except ImportError:
        raise missing_extra("writing pictures", "images") from None
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(path)
