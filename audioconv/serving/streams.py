"""Words in a stream of raw samples, by one or more models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from audioconv.audio.samples import HIGHEST_RATE, LOWEST_RATE
from audioconv.errors import ConfigError
from audioconv.model import Model
from audioconv.serving.limits import MAX_CHANNELS
from audioconv.serving.models import ServedModel
from audioconv.streaming import Detection, Detector
from audioconv.streaming.pcm import decode

WIDTHS = {"u8": 1, "s16": 2, "s24": 3, "s32": 4}
"""Bytes of one sample in each format."""

NewDetector = Callable[[Model, int], Detector]
"""Makes a detector of a model for a sample rate in Hz."""


@dataclass(frozen=True)
class NamedDetection:
    """A detected word.

    Attributes
    ----------
    name : str
        Of the word, as its clients know it.
    model : str
        Name of the model.
    detection : Detection
    """

    name: str
    model: str
    detection: Detection


class WordStream:
    """Words in one stream of raw samples, whatever the size of its parts.

    Parameters
    ----------
    words : mapping
        Model and label of each name; see `ServedModels.words`.
    sample_rate : int
        In Hz.
    channels : int
        Interleaved.
    format : {"u8", "s16", "s24", "s32"}
        Of the samples, little-endian.
    new_detector : callable

    Attributes
    ----------
    sample_rate, channels, format

    Raises
    ------
    ConfigError
        If a number is out of its range.
    """

    def __init__(
        self,
        words: Mapping[str, tuple[ServedModel, str]],
        sample_rate: int,
        channels: int,
        format: str,
        new_detector: NewDetector,
    ) -> None:
        if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
            raise ConfigError(f"the sample rate must be {LOWEST_RATE} to {HIGHEST_RATE} Hz, got {sample_rate}")
        if not 1 <= channels <= MAX_CHANNELS:
            raise ConfigError(f"a stream has 1 to {MAX_CHANNELS} channels, got {channels}")
        self.sample_rate, self.channels, self.format = sample_rate, channels, format
        self._size = WIDTHS[format] * channels
        self._kept = b""
        names: dict[ServedModel, dict[str, str]] = {}
        for name, (served, label) in words.items():
            names.setdefault(served, {})[label] = name
        self._detectors = [
            (served.name, labels, new_detector(served.model, sample_rate)) for served, labels in names.items()
        ]
        self._frames = 0

    @property
    def seconds(self) -> float:
        """How much of the stream has come."""
        return self._frames / self.sample_rate

    def push(self, data: bytes) -> list[NamedDetection]:
        """Take the next bytes; return the words that are certain now, in the order of their times."""
        kept = self._kept + data
        whole = len(kept) - len(kept) % self._size
        self._kept = kept[whole:]
        block = decode(kept[:whole], self.format, self.channels)
        self._frames += len(block)
        return self._detections(lambda detector: detector.push(block))

    def flush(self) -> list[NamedDetection]:
        """End the stream; return the words that were still to come."""
        return self._detections(lambda detector: detector.flush())

    def _detections(self, call: Callable[[Detector], list[Detection]]) -> list[NamedDetection]:
        found = [
            NamedDetection(labels[one.label], model, one)
            for model, labels, detector in self._detectors
            for one in call(detector)
            if one.label in labels
        ]
        return sorted(found, key=lambda one: one.detection.start)
