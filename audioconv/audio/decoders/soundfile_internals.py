"""Every private name of soundfile that audioconv uses; no other module uses one.

With them one call of libsndfile opens a file, and one reads it. The class of soundfile makes a dozen calls, and opens
one file at a time. For clips of a second that takes a sixth as long as their decoding. Where a name is missing or has
changed, or where the environment variable `AUDIOCONV_PLAIN_SOUNDFILE` is 1, files are read through
``soundfile.SoundFile`` alone, with the same results.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

VARIABLE = "AUDIOCONV_PLAIN_SOUNDFILE"
"""Environment variable; 1 reads through soundfile's public names alone."""

RELIED_ON = {
    "sf_open_fd": "struct SNDFILE_tag *(*)(int, int, struct SF_INFO *, int)",
    "sf_readf_float": "int64_t(*)(struct SNDFILE_tag *, void *, int64_t)",
    "sf_readf_short": "int64_t(*)(struct SNDFILE_tag *, void *, int64_t)",
    "sf_error": "int(*)(struct SNDFILE_tag *)",
    "sf_close": "int(*)(struct SNDFILE_tag *)",
}
"""Functions in ``soundfile._snd``, and their types. ``soundfile._ffi`` is used too, and what `DirectFile` sets."""

READ = 0x10
"""The mode in which libsndfile opens a file to be read."""

WAIT_SECONDS = 0.0005

_names: dict[int, tuple[str, str]] = {}
"""Format and subtype of each code that libsndfile gave."""

_opening = deque[None]()
_alone = threading.Lock()


class DirectFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is open for reading, from front to back; `handle` and `info` are those of libsndfile."""

    _name, _mode = "", "r"

    def __init__(self, handle: Any, info: Any) -> None:
        self.__dict__.update(_info=info, _file=handle)  # which the class would look at one by one

    @property
    def format(self) -> str:
        """The major format."""
        return self._names()[0]

    @property
    def subtype(self) -> str:
        """The kind of the samples."""
        return self._names()[1]

    def _names(self) -> tuple[str, str]:
        code = self._info.format
        if code not in _names:
            _names[code] = super().format, super().subtype
        return _names[code]

    def read(self, frames: int, dtype: str = "float32", **_options: Any) -> NDArray[Any]:
        """Return at most so many samples (T, channels), fewer at the end; `dtype` is "float32" or "int16"."""
        samples = np.empty((frames, self._info.channels), dtype)
        if dtype == "int16":
            came = soundfile._snd.sf_readf_short(self._file, soundfile._ffi.from_buffer("short[]", samples), frames)
        else:
            came = soundfile._snd.sf_readf_float(self._file, soundfile._ffi.from_buffer("float[]", samples), frames)
        error = soundfile._snd.sf_error(self._file)
        if error:
            raise soundfile.LibsndfileError(error)
        return samples[:came]

    def close(self) -> None:
        """Close it; the second time nothing is done."""
        handle, self.__dict__["_file"] = self._file, None
        if handle is not None:
            soundfile._snd.sf_close(handle)


def difference() -> str | None:
    """Return what is not as it is relied on; None if all is."""
    try:
        for name, expected in RELIED_ON.items():
            found = soundfile._ffi.typeof(getattr(soundfile._snd, name)).cname
            if found != expected:
                return f"soundfile._snd.{name} is {found}, expected {expected}"
        made_up = DirectFile(None, SimpleNamespace(samplerate=8000, channels=2, frames=3, seekable=1, format=0x170002))
        facts = made_up.samplerate, made_up.frames, made_up.format, made_up.subtype, made_up.closed, made_up.seekable()
        if facts != (8000, 3, "FLAC", "PCM_16", True, True):
            return f"soundfile.SoundFile describes a file otherwise: {facts}"
    except Exception as error:  # whatever another version raises
        return f"{type(error).__name__}: {error}"
    return None


_is_direct = os.environ.get(VARIABLE) != "1" and difference() is None


def open_directly(descriptor: int) -> DirectFile | None:
    """Return the file with this descriptor, which stays open; None where it has to be opened by `alone`."""
    if not _is_direct:
        return None
    _opening.append(None)
    try:
        if _alone.locked():
            return None
        info = soundfile._ffi.new("SF_INFO*")
        handle = soundfile._snd.sf_open_fd(descriptor, READ, info, 0)
    finally:
        _opening.pop()
    return DirectFile(handle, info) if handle else None


def alone(open_file: Callable[[], soundfile.SoundFile]) -> soundfile.SoundFile:
    """Return what `open_file` does, while no other thread opens a file: libsndfile has one last error for all."""
    with _alone:
        while _opening:  # those that began before
            time.sleep(WAIT_SECONDS)
        return open_file()
