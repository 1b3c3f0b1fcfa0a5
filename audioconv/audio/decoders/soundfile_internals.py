"""Every private name of soundfile that audioconv uses; no other module uses one.

With them one call of libsndfile opens a file, and one reads it. soundfile's own class makes a dozen calls, opens one
file at a time, and lets another Python thread run at each of them, which costs clips of a second a fifth of their
decoding. If one of the names is missing, or the environment variable `AUDIOCONV_PLAIN_SOUNDFILE` is 1, files are read
through ``soundfile.SoundFile`` alone, with the same results.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

VARIABLE = "AUDIOCONV_PLAIN_SOUNDFILE"
"""Environment variable; 1 reads through soundfile's public names alone."""

RELIED_ON = (
    "_ffi.new",
    "_ffi.from_buffer",
    "_snd.sf_open_fd",
    "_snd.sf_readf_float",
    "_snd.sf_readf_short",
    "_snd.sf_error",
    "_snd.sf_close",
    "_snd.SFM_READ",
    "LibsndfileError",
)
"""The names, in the module soundfile. A `DirectFile` also sets `_name`, `_mode`, `_info` and `_file` of its base."""

WAIT_SECONDS = 0.0005

_opening = deque[None]()
_alone = threading.Lock()


def are_there() -> bool:
    """Tell whether soundfile has the names."""
    try:
        for name in RELIED_ON:
            found: Any = soundfile
            for part in name.split("."):
                found = getattr(found, part)
    except AttributeError:
        return False
    return True


_is_direct = are_there() and os.environ.get(VARIABLE) != "1"


class DirectFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is open for reading, from front to back; `handle` and `info` are those of libsndfile."""

    _name, _mode = "", "r"

    def __init__(self, handle: Any, info: Any) -> None:
        self._info, self._file = info, handle

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
        handle, self._file = self._file, None
        if handle is not None:
            soundfile._snd.sf_close(handle)


def open_directly(descriptor: int) -> DirectFile | None:
    """Return the file with this descriptor, which stays open; None if libsndfile does not read it, or by `alone`."""
    if not _is_direct:
        return None
    _opening.append(None)
    try:
        if _alone.locked():
            return None
        info = soundfile._ffi.new("SF_INFO*")
        handle = soundfile._snd.sf_open_fd(descriptor, soundfile._snd.SFM_READ, info, 0)
    finally:
        _opening.pop()
    return DirectFile(handle, info) if handle else None


def alone(open_file: Callable[[], soundfile.SoundFile]) -> soundfile.SoundFile:
    """Return what `open_file` does, while no other thread opens a file: libsndfile has one last error for all."""
    with _alone:
        while _opening:  # those that began before
            time.sleep(WAIT_SECONDS)
        return open_file()
