"""Public data sets by name: where they are, what they hold, under which licence, and getting them."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from audioconv.datasets.archive import extract_tar
from audioconv.datasets.building import building, is_built
from audioconv.datasets.collection import Item
from audioconv.datasets.fetch import Progress, download
from audioconv.datasets.manifest import MANIFEST_NAME, write_manifest
from audioconv.errors import ConfigError, DataError
from audioconv.files import display_path

MIRROR_VARIABLE = "AUDIOCONV_MIRROR"
"""Environment variable with a folder that is looked into before the network; archives have their upstream names."""

LICENCE_NAME = "LICENCE.txt"


@dataclass(frozen=True)
class Source:
    """A public data set.

    Attributes
    ----------
    title, purpose : str
        What it is, and what it is good for.
    url, archive : str
        Where its archive is, and how that is called upstream.
    size : int
        Of the archive in bytes, about: hosts pack the same content differently.
    content : str
        SHA-256 over the lines ``{sha256 of the file}  {its path here}`` of all recordings, sorted by path.
    files, unpacked : int
        How many recordings there are, and their bytes together.
    language : str
        BCP 47 tag of what is spoken, empty for other sounds.
    licence, licence_url, attribution, citation : str
        The SPDX identifier, the text's address, who is to be named, and how to cite it.
    item : callable
        Gives for a path in the archive the recording's path in our folder, label, speaker and split; None for what is
        no recording.
    """

    title: str
    purpose: str
    url: str
    archive: str
    size: int
    content: str
    files: int
    unpacked: int
    language: str
    licence: str
    licence_url: str
    attribution: str
    citation: str
    item: Callable[[PurePosixPath], Item | None]


def _fsdd_item(path: PurePosixPath) -> Item | None:
    """``recordings/{digit}_{speaker}_{n}.wav``: n from 0 to 4 is the official test part."""
    match = re.fullmatch(r"(\d)_([a-z]+)_(\d+)\.wav", path.name)
    if match is None or path.parent.name != "recordings":
        return None
    digit, speaker, n = match.groups()
    return Item(Path(digit, path.name), digit, speaker, "test" if int(n) < 5 else "train")


_FSDD_COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"

SOURCES: Mapping[str, Source] = {
    "fsdd": Source(
        title="Free Spoken Digit Dataset",
        purpose="English digits by six speakers, 8 kHz: to try things out in minutes",
        url=f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{_FSDD_COMMIT}.tar.gz",
        archive=f"free-spoken-digit-dataset-{_FSDD_COMMIT}.tar.gz",
        size=15_571_679,
        content="2c129cf547ff08ee70ddd455a2840259ff26aebe7608e48d605f044d91c18dcf",
        files=3000,
        unpacked=21_128_848,
        language="en",
        licence="CC-BY-SA-4.0",
        licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
        attribution="Zohar Jackson, César Souza, Jason Flaks, Yuxin Pan, Hereman Nicolas and Adhish Thite",
        citation=(
            "Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas, A. Thite: Jakobovski/free-spoken-digit-dataset, "
            "v1.0.8, 2018. doi:10.5281/zenodo.1342401"
        ),
        item=_fsdd_item,
    ),
}
"""The data sets that `get` knows, by their names."""


def find(name: str) -> Source:
    """Return the source called `name`; `ConfigError` with what may have been meant if there is none."""
    if name in SOURCES:
        return SOURCES[name]
    near = difflib.get_close_matches(name.lower(), SOURCES, n=3)
    meant = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(SOURCES)}"
    raise ConfigError(f"no data set is called {name!r}; {meant}")


def get(name: str, folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
    """Get a public data set as a folder per class with a manifest; a second call does nothing.

    Parameters
    ----------
    name : str
        One of `SOURCES`.
    folder : path-like
        The new folder. It gets the recordings as ``{label}/{name}``, ``manifest.csv`` (path, label, speaker, split,
        source, licence) and ``LICENCE.txt``. It appears when it is complete, and not before.
    progress : callable, optional
        Called with the bytes that have been downloaded and their total (None where the server does not tell it).

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ConfigError
        If there is no such data set.
    DataError
        If it cannot be downloaded, is not what it should be, or the folder holds something else.

    Notes
    -----
    The archive is taken from the folder that the environment variable AUDIOCONV_MIRROR names, if it is there, and
    downloaded otherwise. Whatever its origin, the recordings must be those that this version knows.
    """
    source = find(name)
    folder = Path(folder)
    recipe = {"source": name, "content": source.content}
    if is_built(folder, recipe):
        return folder
    downloads = folder.with_name(f".{folder.name}.download")
    archive = _in_mirror(source)
    with building(folder, recipe) as work:
        if archive is None:
            downloads.mkdir(parents=True, exist_ok=True)
            archive = downloads / source.archive
            if not archive.exists():
                download(source.url, archive, progress=progress)
        try:
            items = _unpack(source, archive, work)
        except DataError:
            if archive.parent == downloads:
                archive.unlink()  # so that the next call downloads it again
            raise
        write_manifest(work / MANIFEST_NAME, items, {"source": source.title, "licence": source.licence})
        (work / LICENCE_NAME).write_text(_licence_text(source), "utf-8")
    shutil.rmtree(downloads, ignore_errors=True)
    return folder


def _in_mirror(source: Source) -> Path | None:
    """Return the archive in the mirror; None if there is no mirror or it has not got it."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        return None
    if not Path(mirror).is_dir():
        raise ConfigError(f"{MIRROR_VARIABLE}={display_path(mirror)} is not a folder; correct it or unset it")
    archive = Path(mirror, source.archive)
    return archive if archive.is_file() else None


def _unpack(source: Source, archive: Path, folder: Path) -> list[Item]:
    """Unpack the recordings into `folder`, check that they are the right ones, and return them in order."""
    items: dict[Path, Item] = {}

    def place(path: PurePosixPath) -> Path | None:
        item = source.item(path)
        if item is None:
            return None
        items[item.path] = item
        return item.path

    # Twice what is known: an archive also holds other files, and the content is checked anyway.
    hashes = extract_tar(archive, folder, place, max_bytes=2 * source.unpacked, max_files=2 * source.files)
    found = content_digest({path.as_posix(): digest for path, digest in hashes.items()})
    if found != source.content:
        raise DataError(
            f"{display_path(archive)}: does not hold the {source.files} recordings of {source.title} "
            f"({len(hashes)} recordings, content {found[:12]}..., expected {source.content[:12]}...); get it again"
        )
    return [replace(items[path], path=folder / path) for path in sorted(items)]


def content_digest(hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 for a set of files, whatever archive they came in.

    Parameters
    ----------
    hashes : mapping of str to str
        The SHA-256 of each file, in hexadecimal, by its path with forward slashes.
    """
    lines = (f"{digest}  {path}\n" for path, digest in sorted(hashes.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _licence_text(source: Source) -> str:
    return (
        f"{source.title}\nby {source.attribution}\n\n"
        f"Licence: {source.licence}, {source.licence_url}\nOrigin: {source.url}\nCite as: {source.citation}\n\n"
        "The recordings are unchanged; folders, file list and splits were put together by audioconv.\n"
    )
