"""Where the file of a published network is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from audioconv.datasets.catalogue import Remote
from audioconv.datasets.download.mirror import find_local
from audioconv.io.files import cache_folder

Origin = Literal["package", "mirror", "cache"]


def downloads_folder() -> Path:
    """Return the folder of all downloaded networks."""
    return cache_folder("pretrained")


def locate(remote: Remote) -> tuple[Path, Origin] | None:
    """Return where a file is, verified, and in which of the places: the mirror or the cache; None if in neither.

    Raises
    ------
    DataError
        If it is not the published file.
    """
    cache = downloads_folder()
    local = find_local(remote, cache)
    if local is None:
        return None
    return local, "cache" if local.parent == cache else "mirror"
