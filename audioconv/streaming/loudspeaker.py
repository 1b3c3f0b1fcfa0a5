"""The loudspeaker, through sounddevice and PortAudio, which the extra ``live`` installs."""

from __future__ import annotations

from audioconv._types import Samples
from audioconv.errors import DataError
from audioconv.streaming.microphone import described, load_sounddevice


class Loudspeaker:
    """Plays samples on the system's default device.

    Raises
    ------
    MissingExtraError
        If sounddevice is not installed.
    DataError
        If PortAudio is missing, or there is no device that plays.
    """

    def __init__(self) -> None:
        self._sounddevice = load_sounddevice("playing clips")
        try:
            self._sounddevice.query_devices(None, "output")
        except (self._sounddevice.PortAudioError, ValueError) as error:
            raise DataError(f"there is no device that plays sound ({described(error)})") from None

    def play(self, samples: Samples, sample_rate: int) -> None:
        """Begin to play samples (T,) float32 instead of those before; `DataError` if the device fails."""
        try:
            self._sounddevice.play(samples, sample_rate)
        except (self._sounddevice.PortAudioError, ValueError) as error:
            raise DataError(f"the clip cannot be played ({described(error)})") from None

    def stop(self) -> None:
        """Stop playing."""
        try:
            self._sounddevice.stop()
        except self._sounddevice.PortAudioError:  # the device has gone: nothing plays
            return
