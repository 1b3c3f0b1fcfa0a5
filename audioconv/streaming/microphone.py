"""The microphone, through sounddevice and PortAudio, which the extra ``live`` installs."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from audioconv.errors import DataError, missing_extra

BLOCK_SECONDS = 0.05

WAITING_BLOCKS = 200
"""Blocks that wait while somebody else needs the processor; what comes then is lost, and counted."""

SILENT_SECONDS = 3.0
"""A device that sends nothing for so long has gone."""


@dataclass(frozen=True)
class Device:
    """A device that records.

    Attributes
    ----------
    number : int
    name : str
    channels : int
        At most.
    sample_rate : float
        Its usual one, in Hz.
    is_default : bool
    """

    number: int
    name: str
    channels: int
    sample_rate: float
    is_default: bool


def devices() -> list[Device]:
    """Return the devices that can record; `DataError` or `MissingExtraError` if they cannot be asked for."""
    sounddevice = _sounddevice()
    try:
        default = sounddevice.default.device[0]
        every = list(sounddevice.query_devices())
    except sounddevice.PortAudioError as error:
        raise DataError(f"the sound devices cannot be listed ({described(error)})") from None
    return [
        Device(number, one["name"], one["max_input_channels"], one["default_samplerate"], number == default)
        for number, one in enumerate(every)
        if one["max_input_channels"] > 0
    ]


class Microphone:
    """Blocks of a device's first channel, at its usual rate.

    Parameters
    ----------
    device : int or str, optional
        Its number, or part of its name; by default the system's.

    Attributes
    ----------
    name : str
    sample_rate : int
        In Hz.
    lost : int
        Blocks that were lost so far because nobody took them.

    Raises
    ------
    MissingExtraError
        If sounddevice is not installed.
    DataError
        If PortAudio is missing, or the device cannot be used.

    Examples
    --------
    >>> with Microphone() as microphone:  # doctest: +SKIP
    ...     for block in microphone:
    ...         detector.push(block)
    """

    def __init__(self, device: int | str | None = None) -> None:
        self._sounddevice = _sounddevice()
        try:
            found = self._sounddevice.query_devices(device, "input")
        except (self._sounddevice.PortAudioError, ValueError) as error:
            which = "there is no microphone" if device is None else f"there is no microphone {device!r}"
            raise DataError(
                f"{which} ({described(error)}); audioconv listen --list-devices shows what there is"
            ) from None
        self.name = str(found["name"])
        self.sample_rate = round(found["default_samplerate"])
        self.lost = 0
        self._device = device
        self._blocks: queue.Queue[NDArray[np.float32] | None] = queue.Queue(WAITING_BLOCKS)
        self._stream: Any = None

    def __enter__(self) -> Self:
        """Begin to record."""
        try:
            self._stream = self._sounddevice.InputStream(
                samplerate=self.sample_rate,
                blocksize=round(BLOCK_SECONDS * self.sample_rate),
                device=self._device,
                channels=1,
                dtype="float32",
                callback=self._take,
                finished_callback=self._end,
            )
            self._stream.start()
        except (self._sounddevice.PortAudioError, ValueError) as error:
            self.__exit__(None, None, None)
            raise DataError(f"{self.name}: cannot record ({described(error)})") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop recording."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        # Not stop(), which waits for a device that may have gone; where it has, there is nothing left to close.
        with contextlib.suppress(self._sounddevice.PortAudioError):
            stream.abort()
            stream.close()

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks (T,) as they come, until the device goes: then `DataError`."""
        while True:
            try:
                block = self._blocks.get(timeout=SILENT_SECONDS)
            except queue.Empty:
                raise DataError(
                    f"{self.name}: nothing has come for {SILENT_SECONDS:g} seconds; is it still plugged in?"
                ) from None
            if block is None:
                raise DataError(f"{self.name}: the device has stopped; is it still plugged in?")
            yield block

    def _take(self, samples: NDArray[np.float32], _frames: int, _time: object, status: Any) -> None:
        """Take a block from PortAudio's thread, which must not wait."""
        if getattr(status, "input_overflow", False):
            self.lost += 1
        try:
            self._blocks.put_nowait(samples[:, 0].copy())
        except queue.Full:
            self.lost += 1

    def _end(self) -> None:
        with contextlib.suppress(queue.Full):  # who takes the blocks finds nothing behind them
            self._blocks.put_nowait(None)


def _sounddevice() -> Any:
    return load_sounddevice("listening to a microphone")


def load_sounddevice(feature: str) -> Any:
    """Return the module sounddevice, which `feature` needs; `MissingExtraError` or `DataError` without it."""
    try:
        import sounddevice
    except ImportError:
        raise missing_extra(feature, "live") from None
    except OSError as error:  # the module is there, the C library is not
        raise DataError(
            f"PortAudio cannot be loaded ({error}); on Debian and Ubuntu: sudo apt-get install libportaudio2"
        ) from None
    return sounddevice


def described(error: Exception) -> str:
    """Return what PortAudio said, in one line."""
    return " ".join(str(error.args[0] if error.args else error).split()).rstrip(".")
