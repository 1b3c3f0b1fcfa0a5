"""Archives from a mirror folder, or from the address of the data set."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from audioconv.datasets.archives.reader import Progress
from audioconv.datasets.catalogue import Remote
from audioconv.datasets.download.http import download
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path

MIRROR_VARIABLE = "AUDIOCONV_MIRROR"
"""Environment variable with a folder that is looked into before the network; archives have their upstream names."""


def obtain(remote: Remote, downloads: Path, progress: Progress | None) -> Path:
    """Return where a file is: in the mirror, in the folder for downloads, or there now because it was downloaded."""
    here = _in_mirror(remote.name)
    if here is not None:
        _check_hash(here, remote)
        return here
    path = downloads / remote.name
    if not path.exists():
        downloads.mkdir(parents=True, exist_ok=True)
        download(remote.url, path, size=remote.size, sha256=remote.sha256, md5=remote.md5, progress=progress)
    return path


def find_local(remote: Remote, downloads: Path) -> Path | None:
    """Return where a file is without a download: in the mirror or in the folder for downloads; None if in neither."""
    here = _in_mirror(remote.name)
    if here is None:
        path = downloads / remote.name
        here = path if path.is_file() else None
    if here is not None:
        _check_hash(here, remote)
    return here


def held(remote: Remote, downloads: Path) -> Path | None:
    """Return where a file of the right size is, in the mirror or in the folder for downloads, without reading it."""
    for path in (_in_mirror(remote.name), downloads / remote.name):
        if path is not None and path.is_file() and remote.size in (None, path.stat().st_size):
            return path
    return None


def _in_mirror(name: str) -> Path | None:
    """Return the file in the mirror; None if there is no mirror or it has not got it."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        return None
    if not Path(mirror).is_dir():
        raise ConfigError(f"{MIRROR_VARIABLE}={display_path(mirror)} is not a folder; correct it or unset it")
    path = Path(mirror, name)
    return path if path.is_file() else None


def _check_hash(path: Path, remote: Remote) -> None:
    for algorithm, expected in (("sha256", remote.sha256), ("md5", remote.md5)):
        if expected:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, algorithm).hexdigest()
            if found != expected:
                raise DataError(
                    f"{display_path(path)}: is not the file that {remote.name} should be "
                    f"({algorithm} {found[:12]}..., expected {expected[:12]}...); get it again"
                )
