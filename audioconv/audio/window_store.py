"""The clip store: windows of recordings on disk, as reading, resampling and cutting gave them, for later runs.

A store is a folder in the user's cache: files of about a gigabyte with the samples, and an index with where windows
lie. It is written beside its place and renamed. Its name is a hash of what it is made of: the files (by path, size and
time of change), how they are cut, and the versions of what reads them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv._types import StrPath
from audioconv._version import __version__
from audioconv.audio.mapped_samples import SAMPLE, MappedSamples, SampleWriter
from audioconv.audio.read import Segment
from audioconv.audio.window_begins import Content
from audioconv.audio.windows import Windows
from audioconv.errors import DataError, ModelFileError
from audioconv.io import tensor_file
from audioconv.io.files import cache_folder, display_path, reason

_LOG = logging.getLogger("audioconv")

FILE_SAMPLES = 1 << 29
"""Samples of a file, at most: a gibibyte. A longer piece has a file of its own."""

MAX_UNUSED_DAYS = 30
"""Stores that were not used for so long are removed when another one is written."""

INDEX, PART = "index.safetensors", ".part"

READERS = ("soundfile", "soxr", "av")
"""Packages whose version may change what is read."""

_DAY = 86_400


@dataclass(frozen=True)
class StoredClips:
    """A clip store on this machine.

    Attributes
    ----------
    folder : Path
    data : str
        The folder that holds all recordings.
    recordings, windows : int
    bytes : int
        Size on disk.
    used : float
        When it was last used, in seconds since 1970.
    """

    folder: Path
    data: str
    recordings: int
    windows: int
    bytes: int
    used: float


def stores_folder() -> Path:
    """Return the folder of all stores."""
    return cache_folder("clips")


def key_of(files: Iterable[StrPath | Segment], contents: Iterable[Content], sample_rate: int, length: int) -> str:
    """Return the name of the store of these files, cut into windows of `length` at `sample_rate` (Hz)."""
    digest = hashlib.sha256(f"{__version__} {_versions()} {sample_rate} {length}".encode())
    for file, content in zip(files, contents, strict=True):
        path, part = (file.path, f"{file.begin} {file.end}") if isinstance(file, Segment) else (file, "")
        try:
            status = os.stat(path)
            about = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            about = "missing"
        digest.update(os.fsencode(os.path.abspath(path)) + f"\0{about} {part} {content}\n".encode())
    return digest.hexdigest()[:32]


def _versions() -> str:
    found = []
    for name in READERS:
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name}-{importlib.metadata.version(name)}")
    return " ".join(found)


def open_store(key: str) -> Windows | None:
    """Return the windows in the store `key`; None if there is none, or it is damaged and has been removed."""
    folder = stores_folder() / key
    if not (folder / INDEX).exists():
        return None
    try:
        windows = _windows(folder)
    except (DataError, ModelFileError, KeyError, ValueError, TypeError) as error:
        _LOG.warning("stored clips are damaged and are made anew: %s", error)
        shutil.rmtree(folder, ignore_errors=True)
        return None
    with suppress(OSError):
        os.utime(folder / INDEX)
    return windows


def _windows(folder: Path) -> Windows:
    arrays, header = tensor_file.read(folder / INDEX, "clips")
    if header["digest"] != _digest(arrays):
        raise DataError(f"{display_path(folder / INDEX)}: a checksum differs")
    counts = [int(count) for count in header["samples"]]
    paths = [folder / _file_name(number) for number in range(len(counts))]
    for path, count in zip(paths, counts, strict=True):
        if path.stat().st_size != count * SAMPLE.itemsize:
            raise DataError(f"{display_path(path)}: has not the length that it was written with")
    remedy = f"remove it by audioconv cache --drop {folder.name}, and the recordings are read again"
    source = MappedSamples(paths, [arrays[f"checksums.{number}"] for number in range(len(counts))], remedy)
    return Windows(
        (source,), int(header["length"]), *(arrays[name] for name in ("begins", "ranges", "recordings", "scales"))
    )


def describe(key: str) -> str:
    """Return a line about the store `key` for a person."""
    folder = stores_folder() / key
    size = sum(size for _, size, _ in _contents(folder))
    return (
        f"the clips are stored for the next training in {display_path(folder)}, {size / 1e9:.1f} GB (audioconv cache)"
    )


class StoreWriter:
    """Writes a store; a `windows.SampleSink`.

    Parameters
    ----------
    key : str
        Its name; see `key_of`.
    data : str
        The folder that holds all recordings, to be shown by ``audioconv cache``.

    Raises
    ------
    DataError
        If it cannot be written. What is half-written is removed by `discard`.
    """

    def __init__(self, key: str, data: str) -> None:
        self._target, self._data = stores_folder() / key, data
        self._folder = self._target.with_name(f".{secrets.token_hex(6)}{PART}")
        self._stack = ExitStack()
        self._writers: list[SampleWriter] = []
        drop_unused(MAX_UNUSED_DAYS)
        with self._explained():
            self._folder.mkdir(parents=True)

    def append(self, samples: NDArray[np.int16]) -> None:
        """Write the next samples (T,), into one file."""
        try:
            if not self._writers or self._writers[-1].count + len(samples) > FILE_SAMPLES:
                self._stack.close()
                self._writers.append(SampleWriter(self._folder / _file_name(len(self._writers))))
                self._stack.callback(self._writers[-1].close)
            self._writers[-1].write(samples)
        except OSError as error:
            raise self._unwritable(error) from None

    def finish(self, windows: Windows) -> Windows:
        """Write the index of windows without a source, and return them with it; the store is complete."""
        with self._explained():
            self._stack.close()
        arrays: dict[str, Any] = {
            "begins": windows.begins,
            "ranges": windows.ranges,
            "recordings": windows.recordings,
            "scales": windows.scales,
            **{f"checksums.{number}": one.checksums() for number, one in enumerate(self._writers)},
        }
        header = {
            "samples": [one.count for one in self._writers],
            "length": windows.length,
            "digest": _digest(arrays),
            "data": self._data,
            "recordings": len(np.unique(windows.recordings)),
            "windows": len(windows),
        }
        with self._explained():
            tensor_file.write(self._folder / INDEX, "clips", arrays, header)
            try:
                self._folder.rename(self._target)
            except OSError:  # another process has written the same meanwhile
                if not (self._target / INDEX).exists():
                    raise
                self.discard()
        return replace(windows, sources=_windows(self._target).sources)

    def discard(self) -> None:
        """Remove what is half-written."""
        with suppress(OSError):
            self._stack.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(
            f"{display_path(self._target)}: the clips could not be stored ({reason(error)}); make room there "
            "(audioconv cache), or name another folder by the environment variable AUDIOCONV_CACHE_DIR"
        )


def _file_name(number: int) -> str:
    return f"samples-{number:03}.pcm"


def _digest(arrays: dict[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


# --- what there is, and its removal ---


def list_stores() -> list[StoredClips]:
    """Return the stores on this machine, the last used first; damaged ones, too."""
    found = []
    for folder in _folders():
        if folder.name.endswith(PART):
            continue
        try:
            header = tensor_file.read(folder / INDEX, "clips")[1]
        except ModelFileError:
            header = {}
        found.append(
            StoredClips(
                folder,
                str(header.get("data", "damaged")),
                int(header.get("recordings", 0)),
                int(header.get("windows", 0)),
                sum(size for _, size, _ in _contents(folder)),
                _last_use(folder),
            )
        )
    return sorted(found, key=lambda one: -one.used)


def drop(stores: Sequence[StoredClips]) -> list[StoredClips]:
    """Remove stores; return those that could not be removed, since they are in use on Windows, or not one's own."""
    for one in stores:
        shutil.rmtree(one.folder, ignore_errors=True)
    return [one for one in stores if one.folder.exists()]


def drop_unused(days: float) -> None:
    """Remove stores that were not used for so many days, and what killed processes left for more than a day."""
    now = time.time()
    for folder in _folders():
        allowed = 1.0 if folder.name.endswith(PART) else days
        if now - _last_use(folder) > allowed * _DAY:
            shutil.rmtree(folder, ignore_errors=True)


def _folders() -> list[Path]:
    try:
        return [path for path in stores_folder().iterdir() if path.is_dir()]
    except OSError:
        return []


def _contents(folder: Path) -> list[tuple[str, int, float]]:
    """Return name, size and time of change of the files in a folder."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                status = entry.stat()
                found.append((entry.name, status.st_size, status.st_mtime))
    return found


def _last_use(folder: Path) -> float:
    with suppress(OSError):
        return max([folder.stat().st_mtime, *(changed for _, _, changed in _contents(folder))])
    return time.time()
