"""Files that are there twice, under other names or in other folders."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

_ENDS = 1 << 16
"""Two files of one size are the same if so many bytes at their beginnings and ends are."""


def without_copies(files: Sequence[Path], others: Sequence[Path]) -> tuple[list[Path], int]:
    """Return the files that are none of the others, each once, and how many were copies of these.

    Two speakers of the same recording would both train and choose the threshold.
    """
    sizes = [_size(file) for file in files]
    among = set(sizes)
    known = {_identity(file, size) for file in others if (size := _size(file)) in among}
    shared = {size for size, count in Counter([*sizes, *(size for size, _ in known)]).items() if count > 1}
    distinct, copies, seen = list[Path](), 0, set()
    for file, size in zip(files, sizes, strict=True):
        if size not in shared:
            distinct.append(file)
            continue
        identity = _identity(file, size)
        if identity in known:
            continue
        copies += identity in seen
        if identity not in seen:
            distinct.append(file)
        seen.add(identity)
    return distinct, copies


def _size(file: Path) -> int:
    """Return the size of a file in bytes; -1 for one that cannot be read, which reading will say."""
    try:
        return os.stat(file).st_size
    except OSError:
        return -1


def _identity(file: Path, size: int) -> tuple[int, str]:
    """Return what two files share only if they have the same content: size, and a hash of the beginning and the end."""
    digest = hashlib.sha256()
    try:
        with open(file, "rb") as content:
            digest.update(content.read(_ENDS))
            content.seek(max(0, size - _ENDS))
            digest.update(content.read(_ENDS))
    except OSError:
        digest.update(os.fsencode(file))
    return size, digest.hexdigest()
