"""Where the file of a published network is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from audioconv.datasets.catalogue import Remote
from audioconv.datasets.download.mirror import find_local, obtain
from audioconv.io.files import cache_folder

Origin = Literal["package", "mirror", "cache"]


def find(remote: Remote, located: tuple[Path, Origin] | None, *, download: bool) -> Path | None:
    """Return where a file is, verified.

    Parameters
    ----------
    remote : Remote
    located : tuple or None
        Its place on this machine; see `locate`.
    download : bool
        Whether to download it into the cache where it is not on this machine.

    Returns
    -------
    path or None
        None where it is nowhere and may not be downloaded.

    Raises
    ------
    DataError
        If it cannot be downloaded, or is not the published file.
    """
    if located is not None:
        return located[0]
    return obtain(remote, cache_folder("pretrained"), None) if download else None


def locate(remote: Remote) -> tuple[Path, Origin] | None:
    """Return where a file is, verified, and in which of the places: the mirror or the cache; None if in neither.

    Raises
    ------
    DataError
        If it is not the published file.
    """
    cache = cache_folder("pretrained")
    local = find_local(remote, cache)
    if local is None:
        return None
    return local, "cache" if local.parent == cache else "mirror"
