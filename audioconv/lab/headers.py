"""Lengths, rates and sizes of clips, read once for each file and kept in the project's folder."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioconv.audio.read import probe
from audioconv.datasets.collection import Kind
from audioconv.errors import DataError
from audioconv.io.files import write_atomic
from audioconv.lab.clips import Clip
from audioconv.lab.history import LAB_FOLDER

CACHE_NAME = "headers.json"


@dataclass(frozen=True, slots=True)
class Header:
    """What a file's header says.

    Attributes
    ----------
    stamp : (int, int)
        Size in bytes and time of the last change in ns: a file with another stamp is read again.
    seconds, rate
        Length in seconds and sample rate in Hz of a recording; 0 if it cannot be read.
    width, height
        Size of a picture in pixels; 0 if it cannot be read.
    fault : str or None
        Why it cannot be read.
    """

    stamp: tuple[int, int]
    seconds: float = 0.0
    rate: int = 0
    width: int = 0
    height: int = 0
    fault: str | None = None


class Headers:
    """The headers of a project's files. Its methods may be called from any thread.

    Parameters
    ----------
    root : Path
        The project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / LAB_FOLDER / CACHE_NAME
        self._lock = threading.Lock()
        self._known: dict[str, Header] = {}
        self._is_saved = True
        with suppress(OSError, ValueError, TypeError, AttributeError):
            for name, values in json.loads(self._path.read_text("utf-8")).items():
                size, changed, *rest = values
                self._known[str(name)] = Header((int(size), int(changed)), *rest)

    def known(self, clip: Clip) -> Header | None:
        """Return the header of a clip's file if it has been read before, without a look at the file."""
        return self._known.get(clip.listed)

    def of(self, clip: Clip, kind: Kind) -> Header:
        """Return the header of a clip's file, read anew if the file has changed."""
        stamp = stamp_of(clip.item.path)
        found = self._known.get(clip.listed)
        if found is None or found.stamp != stamp:
            found = _read(clip.item.path, kind, stamp)
            self.put(clip, found)
        return found

    def put(self, clip: Clip, header: Header) -> None:
        """Keep the header of a clip's file, which was read elsewhere."""
        with self._lock:
            self._known[clip.listed] = header
            self._is_saved = False

    def save(self, present: Iterable[Clip]) -> None:
        """Write down the headers of the clips that there are; without a word where that is not possible."""
        if self._is_saved or not self._path.parent.is_dir():
            return
        names = {clip.listed for clip in present}
        with self._lock:
            self._known = {name: header for name, header in self._known.items() if name in names}
            self._is_saved = True
            content = {
                name: [*one.stamp, one.seconds, one.rate, one.width, one.height, one.fault]
                for name, one in self._known.items()
            }
        with suppress(DataError), write_atomic(self._path, "w") as file:
            json.dump(content, file)


def stamp_of(path: Path) -> tuple[int, int]:
    """Return the size of a file and when it was changed, in ns; zeros if it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _read(path: Path, kind: Kind, stamp: tuple[int, int]) -> Header:
    try:
        if kind == "images":
            from audioconv.lab.pictures import picture_size

            width, height = picture_size(path)
            return Header(stamp, width=width, height=height)
        info = probe(path)
    except DataError as error:
        return Header(stamp, fault=str(error))
    return Header(stamp, round(info.duration, 4), info.sample_rate)


def clip_json(clip: Clip, header: Header, kind: Kind, faults: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return a clip as the page gets it."""
    item = clip.item
    seconds = header.seconds
    if item.begin is not None and item.end is not None:
        seconds = min(item.end, seconds or item.end) - item.begin
    about: dict[str, Any] = {
        "id": clip.id,
        "class": item.label,
        "name": clip.id.rpartition("/")[2],
        "speaker": item.speaker,
        "seconds": max(0.0, seconds),
        "rate": header.rate,
        "editable": clip.editable,
        "added": header.stamp[1] / 1e9,
        "faults": list(faults),
    }
    if header.fault is not None and not any(fault["kind"] == "unreadable" for fault in about["faults"]):
        about["faults"].insert(0, {"kind": "unreadable", "message": header.fault})
    if kind == "images":
        about |= {"width": header.width, "height": header.height}
    return about
