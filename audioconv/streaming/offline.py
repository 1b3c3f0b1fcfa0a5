"""Detection in whole recordings, by the code for streams, with the same results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import ArrayLike

from audioconv._types import StrPath
from audioconv.audio import read
from audioconv.errors import DataError
from audioconv.io.files import display_path
from audioconv.model import Model
from audioconv.streaming.detector import Detection, Detector


def detect(model: Model | StrPath, source: StrPath | ArrayLike, **options: Any) -> list[Detection]:
    """Return the words in a recording, in the order of their times.

    Parameters
    ----------
    model : Model or path-like
    source : path-like or array
        A recording of any length, which is read in pieces; or samples, as `Detector.push` takes them.
    **options
        Of `Detector`; `sample_rate` for samples only.

    Raises
    ------
    DataError
        If the recording cannot be read or is damaged, or the samples are no sound.
    """
    if isinstance(source, str | os.PathLike):
        return [detection for found in detect_in_file(model, source, **options) for detection in found]
    detector = Detector(model, **options)
    return detector.push(source) + detector.flush()


def detect_in_file(
    model: Model | StrPath,
    source: StrPath | read.OpenRecording,
    *,
    on_seconds: Callable[[float, float], object] | None = None,
    **options: Any,
) -> Iterator[list[Detection]]:
    """Yield the words in a recording, as far as it has been read; `on_seconds` is told how far, and of how much."""
    shown = source.name if isinstance(source, read.OpenRecording) else display_path(source)
    with read.blocks(source) as blocks:
        detector = Detector(model, sample_rate=blocks.info.sample_rate, **options)
        try:
            for block in blocks:
                try:
                    found = detector.push(block)
                except DataError as error:
                    raise DataError(f"{shown}: after {detector.seconds:.0f} s: {error}") from None
                yield found
                if on_seconds is not None:
                    on_seconds(detector.seconds, max(detector.seconds, blocks.info.duration))
            yield detector.flush()
        except BaseException:  # a damaged recording, Ctrl-C, or a caller that has enough: what was found holds
            detector.finish_clips()
            raise
