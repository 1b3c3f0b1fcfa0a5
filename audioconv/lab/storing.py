"""Samples and foreign files as the files of clips."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Samples, StrPath
from audioconv.audio.endpoints import MARGIN_SECONDS, NoClearWordError, Stretch, find_words
from audioconv.audio.read import OpenRecording, Segment, blocks
from audioconv.audio.samples import FULL_SCALE, resample
from audioconv.errors import DataError
from audioconv.io.files import write_atomic

HIGHEST_FLAC_RATE = 48_000
"""Clips of higher rates are WAV files."""

MAX_UPLOAD_SECONDS = 3600.0
"""Of one recording that is added as a clip."""

MIN_SECONDS = 0.02
"""Of a clip."""

MAX_CUT_SECONDS = 600.0
"""Of one recording that is cut into words, all of which is in memory meanwhile."""

TAKE_MARGIN_SECONDS = 0.25
"""What a clip has before and after its word, where the recording has it and no other word lies there."""

DETECTION_RATE = 16_000
"""Words are looked for at this rate, in Hz, or a lower one: above it noise is louder than speech."""


def suffix_for(rate: int) -> str:
    """Return how the names of clips of this rate end."""
    return ".flac" if rate <= HIGHEST_FLAC_RATE else ".wav"


def encoded(samples: Samples, rate: int) -> bytes:
    """Return samples (T,), full scale 1, as a file of 16 bits, FLAC or WAV as `suffix_for` says."""
    return _encoded(samples, rate, "FLAC" if suffix_for(rate) == ".flac" else "WAV")


def as_wav(samples: Samples, rate: int) -> bytes:
    """Return samples (T,), full scale 1, as a WAV file of 16 bits."""
    return _encoded(samples, rate, "WAV")


def _encoded(samples: Samples, rate: int, kind: str) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, _integers(samples), rate, format=kind, subtype="PCM_16")
    return file.getvalue()


def _integers(samples: Samples) -> NDArray[np.int16]:
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    return np.asarray(np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1), np.int16)


def convert(recording: OpenRecording, path: Path) -> tuple[Path, float]:
    """Write a recording as a clip's file: mono, 16 bits, at its own rate.

    It is read twice and never in memory as a whole. One that exceeds full scale is made quieter.

    Parameters
    ----------
    recording : OpenRecording
        A foreign file.
    path : Path
        The new file without its suffix.

    Returns
    -------
    path : Path
        The new file.
    seconds : float

    Raises
    ------
    DataError
        If it cannot be read, is shorter than `MIN_SECONDS` or longer than `MAX_UPLOAD_SECONDS`, or cannot be written.
    """
    import soundfile

    peak = 0.0
    with blocks(recording, 1.0) as found:
        rate = found.info.sample_rate
        for block in found.mono():
            _check_length(recording.name, found.came / rate, MAX_UPLOAD_SECONDS)
            peak = max(peak, float(block.max()), -float(block.min()))
        seconds = found.came / rate
    if seconds < MIN_SECONDS:
        raise DataError(f"{recording.name}: is {seconds:.4f} s long; a clip has {MIN_SECONDS:g} s or more")
    gain = np.float32(1.0 if peak <= 1.0 else 1.0 / peak)
    path = path.with_name(path.name + suffix_for(rate))
    kind = "FLAC" if suffix_for(rate) == ".flac" else "WAV"
    with (
        blocks(recording, 1.0) as found,
        write_atomic(path) as file,
        soundfile.SoundFile(file, "w", rate, 1, "PCM_16", format=kind) as out,
    ):
        for block in found.mono():
            out.write(_integers(block * gain))
    return path, seconds


def in_memory(
    source: OpenRecording | StrPath | Segment, name: str, longest: float, keep: float = math.inf
) -> tuple[Samples, int]:
    """Return a recording, or its first `keep` seconds, as mono samples and its rate.

    Raises
    ------
    DataError
        If it cannot be read, or is longer than `longest` seconds.
    """
    parts = []
    with blocks(source, 1.0) as found:
        rate = found.info.sample_rate
        for block in found.mono():
            _check_length(name, found.came / rate, longest)
            parts.append(block)
            if found.came >= keep * rate:
                break
    return np.concatenate(parts), rate


def _check_length(name: str, seconds: float, longest: float) -> None:
    if seconds > longest:
        raise DataError(f"{name}: is longer than {longest / 60:g} minutes; cut it into parts")


def cut_into_takes(samples: Samples, rate: int) -> list[Samples]:
    """Return the words of a recording in which one word is said again and again, each with what lies around it.

    Raises
    ------
    NoClearWordError
        If there are no words.
    """
    return [samples[begin:end] for begin, end in with_margins(_words(samples, rate), len(samples), rate)]


def trimmed_to_words(samples: Samples, rate: int) -> Samples:
    """Return a recording from its first word to its last with what lies around; all of it if there is no word."""
    try:
        words = _words(samples, rate)
    except NoClearWordError:
        return samples
    (ends,) = with_margins([Stretch(words[0].begin, words[-1].end)], len(samples), rate)
    return samples[slice(*ends)]


def _words(samples: Samples, rate: int) -> list[Stretch]:
    if rate > DETECTION_RATE:
        return find_words(resample(samples, rate, DETECTION_RATE), DETECTION_RATE)
    return find_words(samples, rate)


def with_margins(words: list[Stretch], count: int, rate: float) -> list[tuple[int, int]]:
    """Return first and last sample, exclusive, of each word with a margin, which ends in the middle between two."""
    margin = TAKE_MARGIN_SECONDS - MARGIN_SECONDS
    ends = []
    for place, word in enumerate(words):
        first = word.begin - margin
        last = word.end + margin
        if place > 0:
            first = max(first, (words[place - 1].end + word.begin) / 2)
        if place + 1 < len(words):
            last = min(last, (word.end + words[place + 1].begin) / 2)
        ends.append((max(0, round(first * rate)), min(count, round(last * rate))))
    return ends


def size_of(file: BinaryIO) -> int:
    """Return how many bytes an open file has."""
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(0)
    return size
