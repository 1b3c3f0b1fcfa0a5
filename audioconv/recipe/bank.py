"""The bank of negatives: recordings that hold none of a classifier's words, to train with and to choose a threshold.

A bank is a folder of recordings. Transcripts beside them tell which of them hold a word of the classifier, and who
speaks; those recordings are left out, as are those that are trained or tested with, and copies. Speakers who choose the
threshold train nothing.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.audio.read import AUDIO_SUFFIXES, Segment, probe, read_int16
from audioconv.audio.samples import FULL_SCALE
from audioconv.datasets.catalogue import NEGATIVES, SOURCES
from audioconv.datasets.folder import files_below
from audioconv.datasets.left_out import counted
from audioconv.decision.classes import is_word
from audioconv.errors import DataError
from audioconv.io.files import cache_folder, display_path, where_missing
from audioconv.io.parallel import evenly, read_in_parallel
from audioconv.recipe.copies import without_copies
from audioconv.recipe.pronunciation import SoundAlikes, find_sound_alikes
from audioconv.recipe.transcripts import (
    NOTHING_KNOWN,
    Vocabulary,
    phrase_of,
    read_transcripts,
    words_of,
)

BANK_VARIABLE, NO_BANK = "AUDIOCONV_NEGATIVES", "none"
"""Environment variable with the folder of the bank that trainings use, or ``none``; default: `default_folder`."""

DOWNLOAD_COMMAND = "audioconv data get negatives"
"""Command that downloads the default bank."""

DOWNLOAD_GIGABYTES = sum(file.size or 0 for file in SOURCES[NEGATIVES].files) / 1e9
"""Size of that download."""

BY_SPELLING = (
    "without a working espeak-ng (pip install 'audioconv[synth]') the words of transcripts are compared by spelling "
    "only, and recordings with similar words are not drawn more often"
)

CALIBRATION_SHARE, MIN_SPEAKERS = 0.25, 4
"""Share of the speakers whose recordings choose the threshold; with fewer speakers it is the ends of all recordings."""

MAX_HOURS, PROBED = 3.0, 100
"""Of a larger bank, so many hours are read, evenly over its files; how long these are is learned from so many."""

MIN_SECONDS, MAX_SECONDS, PART_SECONDS = 60.0, 1800.0, 30.0
"""Seconds that are read of a long recording, at least and at most, and of its parts, which lie evenly in it."""

SIMILAR_WEIGHT = 2.0
"""Weight of a recording whose transcript has a word that sounds like one of the classifier's; other recordings have the
weight 1. With a weight of 1, all segments are drawn equally often."""


@dataclass(frozen=True, eq=False)
class NegativeRecording:
    """A negative recording, or a part of one: it holds none of the classifier's words.

    Attributes
    ----------
    samples : array (T,) float32, or int16 with the full scale 32768
    speaker : str
        Who speaks; the file's name where that is not known.
    weight : float
        How often its segments are drawn, compared with those of others.
    """

    samples: Array
    speaker: str
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class NegativeBank:
    """Recordings without the words of a classifier.

    Attributes
    ----------
    training, calibration : sequence of arrays (T,) float32 or int16
        Those to train with, and those to choose the threshold with.
    weights : sequence of float
        How often segments of each of those to train with are drawn.
    about : dict
        Name, hours, speakers and how many recordings were left out, JSON-compatible; see `describe`.
    failures : tuple of DataError
        Why some recordings could not be read.
    """

    training: Sequence[Array]
    calibration: Sequence[Array]
    weights: Sequence[float]
    about: Mapping[str, Any]
    failures: tuple[DataError, ...] = ()

    def describe(self) -> str:
        """Return in one line what it holds, and the first failure."""
        line = f"negatives: {describe(self.about)}"
        return f"{line}, such as {self.failures[0]}" if self.failures else line

    def notes(self) -> list[str]:
        """Return what a user is told of it: what it holds, and whether transcripts were compared by spelling only."""
        by_spelling = self.about["transcribed"] and not self.about["homophones"]
        return [self.describe(), *([BY_SPELLING] if by_spelling else [])]


def describe(about: object) -> str | None:
    """Return in a line what `NegativeBank.about` tells, as it is in a model's file; None where it tells nothing.

    >>> describe({"name": "talk", "recordings": 1200, "hours": 2.5, "speakers": 12, "left_out": 30, "homophones": True})
    '1,200 recordings of talk, 150 min, 12 speakers; left out: 30 with one of the words or a homophone'
    """
    if not isinstance(about, dict) or not isinstance(about.get("recordings"), int):
        return None
    counts = {name: value for name, value in about.items() if isinstance(value, int)}
    line = f"{counted(counts['recordings'], 'recording')} of {about.get('name')}"
    if isinstance(hours := about.get("hours"), float):
        line += f", {60 * hours:.0f} min"
    if speakers := counts.get("speakers"):
        line += f", {counted(speakers, 'speaker')}"
    sound = " or a homophone" if about.get("homophones") else ", by spelling (by sound, too, with the extra synth)"
    left_out = [
        f"{count:,} {what}"
        for name, what in (
            ("left_out", f"with one of the words{sound}"),
            ("trained_with", "to train or test with"),
            ("copies", "already there in a copy"),
            ("unreadable", "unreadable"),
        )
        if (count := counts.get(name))
    ]
    return f"{line}; left out: {', '.join(left_out)}" if left_out else line


def is_off() -> bool:
    """Return whether the environment variable AUDIOCONV_NEGATIVES says that trainings use no bank by default."""
    return os.environ.get(BANK_VARIABLE) == NO_BANK


def default_folder() -> Path | None:
    """Return the folder of the bank that trainings use unless they are told another one; None if there is none.

    Raises
    ------
    DataError
        If the environment variable AUDIOCONV_NEGATIVES names something else than a folder of recordings.
    """
    if is_off():
        return None
    if named := os.environ.get(BANK_VARIABLE):
        try:
            return checked_folder(named)
        except DataError as error:
            told = f"{BANK_VARIABLE}: {error}; name another folder, or {NO_BANK}, or unset it"
            raise DataError(told) from None
    folder = cache_folder(NEGATIVES)
    return folder if folder.is_dir() and any(_recordings(folder)) else None


def checked_folder(path: StrPath) -> Path:
    """Return the path of a bank, a folder of recordings or a recording; `DataError` if it is none."""
    folder = Path(path)
    shown = display_path(folder)
    if not folder.exists():
        where = where_missing(folder, f"{DOWNLOAD_COMMAND} fetches some")
        raise DataError(f"{shown}: no such folder of recordings to use as negatives; {where}")
    if folder.is_dir() and not any(_recordings(folder)):
        raise DataError(f"{shown}: holds no recordings to use as negatives")
    return folder


def read_bank(
    path: StrPath,
    words: Sequence[str],
    sample_rate: int,
    *,
    language: str | None = None,
    trained_with: Sequence[Path] = (),
    strict: bool = False,
    on_file: Callable[[int], object] | None = None,
) -> NegativeBank:
    """Read a bank.

    Parameters
    ----------
    path : path-like
        A recording, or a folder of recordings, perhaps with transcripts; see `transcripts.read_transcripts`.
    words : sequence of str
        The labels of the classifier; an underscore is a space. Recordings in whose transcripts one of them stands are
        left out; so are those with a word that sounds the same, if espeak-ng is installed.
    sample_rate : int
        Sample rate of what is returned, in Hz.
    language : str, optional
        Language of the transcripts. Default: English, see `pronunciation.find_sound_alikes`.
    trained_with : sequence of Path
        Files to train or test with; they and copies of them are left out.
    strict : bool
        Whether an unreadable recording ends it all, instead of being skipped.
    on_file : callable, optional
        Called with the number of all files after each.

    Raises
    ------
    DataError
        If there are no recordings, all of them are left out, or none can be read; if `strict`, if one cannot.
    """
    root = checked_folder(path)
    shown = display_path(root)
    files = list(_recordings(root)) if root.is_dir() else [root]
    distinct, copies = without_copies(files, trained_with)
    if not distinct:
        raise DataError(
            f"{shown}: all {len(files)} recordings are among those to train or test with; name a folder of others"
        )
    transcripts = read_transcripts(root, distinct) if root.is_dir() else {}
    labels = [word for word in words if is_word(word)]
    phrases = [phrase_of(word) for word in labels]
    texts = {file: transcript.text for file, transcript in transcripts.items() if transcript.text}
    alikes = find_sound_alikes(phrases, {word for text in texts.values() for word in words_of(text)}, language)
    vocabulary = Vocabulary(phrases, alikes.homophones if alikes else {})
    kept = [file for file in distinct if file not in texts or not vocabulary.is_in(texts[file])]
    if not kept:
        raise DataError(
            f"{shown}: all {len(distinct)} recordings hold one of the words {', '.join(labels)}, or one that sounds "
            "the same; name a folder of others"
        )
    similar = _with_similar_words(texts, alikes)
    speakers = {file: transcripts.get(file, NOTHING_KNOWN).speaker or os.path.relpath(file, root) for file in kept}
    recordings, failures = _read(speakers, similar, sample_rate, strict, on_file)
    if not recordings:
        raise DataError(f"{shown}: none of the {len(kept)} recordings can be read, such as {failures[0]}")
    training, calibration = _parts(list(recordings.values()))
    about = {
        "name": display_path(Path(os.path.abspath(root)).name),
        "recordings": len(recordings),
        "hours": round(
            sum(len(part.samples) for parts in recordings.values() for part in parts) / sample_rate / 3600, 3
        ),
        "speakers": len({part.speaker for parts in recordings.values() for part in parts}),
        "transcribed": sum(file in texts for file in recordings),
        "similar": sum(file in similar for file in recordings),
        "left_out": len(distinct) - len(kept),
        "homophones": alikes is not None,
        "trained_with": len(files) - len(distinct) - copies,
        "copies": copies,
        "unreadable": len(failures),
        "digest": _digest(root, recordings),
        "attribution": _attribution(root),
    }
    return NegativeBank(
        [part.samples for part in training],
        [part.samples for part in calibration],
        [part.weight for part in training],
        about,
        failures,
    )


def _recordings(folder: Path) -> Iterator[Path]:
    return (file for file in files_below(folder) if file.suffix.lower() in AUDIO_SUFFIXES)


def _with_similar_words(texts: Mapping[Path, str], alikes: SoundAlikes | None) -> set[Path]:
    """Return the recordings in which a word sounds like one of the classifier's."""
    if alikes is None or SIMILAR_WEIGHT == 1:
        return set()
    return {file for file, text in texts.items() if not alikes.similar.isdisjoint(words_of(text))}


def _read(
    speakers: Mapping[Path, str],
    similar: set[Path],
    sample_rate: int,
    strict: bool,
    on_file: Callable[[int], object] | None,
) -> tuple[dict[Path, list[NegativeRecording]], tuple[DataError, ...]]:
    """Return the recordings in some of the files, at most `MAX_HOURS`, and why others cannot be read.

    `speakers` has who speaks in each of the files.
    """
    files = list(speakers)
    count, seconds = _allotted(files)
    some = evenly(files, count)

    def one(file: Path) -> list[Array]:
        return _read_parts(file, sample_rate, seconds)

    recordings: dict[Path, list[NegativeRecording]] = {}
    failures: list[DataError] = []
    room = round(MAX_HOURS * 3600 * sample_rate)
    step = None if on_file is None else lambda: on_file(len(some))
    for file, parts in zip(some, read_in_parallel(some, one, strict=strict, on_file=step), strict=True):
        if isinstance(parts, DataError):
            failures.append(parts)
            continue
        weight = SIMILAR_WEIGHT if file in similar else 1.0
        for part in parts:
            # Headers of a few files told how long they are: a rough guess, so there may be more than was wanted.
            if room > 0:
                recordings.setdefault(file, []).append(NegativeRecording(part[:room], speakers[file], weight))
                room -= len(part)
    return recordings, tuple(failures)


def _allotted(files: Sequence[Path]) -> tuple[int, float]:
    """Return how many of the files are read, and so many seconds of each at most: about `MAX_HOURS` in all."""
    most = 3600 * MAX_HOURS
    longest = min(MAX_SECONDS, most)
    lengths = []
    for file in evenly(files, PROBED):
        with suppress(DataError):
            lengths.append(probe(file).duration)
    if not sum(lengths):
        return len(files), longest
    low, high = min(MIN_SECONDS, most), longest
    for _ in range(30):  # halves the interval: to the second is more than enough
        seconds = (low + high) / 2
        total = len(files) * float(np.minimum(lengths, seconds).mean())
        low, high = (seconds, high) if total <= most else (low, seconds)
    return math.ceil(most / float(np.minimum(lengths, high).mean())), high


def _read_parts(file: Path, sample_rate: int, seconds: float) -> list[Array]:
    """Return a recording, or of one that is longer than so many seconds parts that lie evenly in it."""
    duration = probe(file).duration
    if duration <= seconds:
        return [_read_samples(file, sample_rate)]
    count = max(1, round(seconds / PART_SECONDS))
    length = seconds / count
    parts, fault = list[Array](), None
    for begin in np.linspace(0, duration - length, count).tolist():
        try:
            parts.append(_read_samples(Segment(file, begin, begin + length), sample_rate))
        except DataError as error:  # damaged there, or shorter than the header says
            fault = error
    if not parts and fault is not None:
        raise fault
    return parts


def _read_samples(source: StrPath | Segment, sample_rate: int) -> Array:
    samples, scale = read_int16(source, sample_rate)
    return samples if scale == 1 / FULL_SCALE else samples * np.float32(scale)


def _parts(
    recordings: Sequence[Sequence[NegativeRecording]],
) -> tuple[list[NegativeRecording], list[NegativeRecording]]:
    """Return what trains and what chooses the threshold: whole speakers, or beginnings and ends of recordings."""
    parts = [part for recording in recordings for part in recording]
    speakers = sorted({part.speaker for part in parts})
    if len(speakers) >= MIN_SPEAKERS:
        # Always the same ones, whatever the seed, so that models can be compared.
        order = np.random.default_rng(0).permutation(speakers).tolist()
        chosen = set(order[: round(CALIBRATION_SHARE * len(speakers))])
        return [part for part in parts if part.speaker not in chosen], [
            part for part in parts if part.speaker in chosen
        ]
    training, calibration = list[NegativeRecording](), list[NegativeRecording]()
    for recording in recordings:
        cut = round((1 - CALIBRATION_SHARE) * sum(len(part.samples) for part in recording))
        for part in recording:
            first, rest = part.samples[: max(cut, 0)], part.samples[max(cut, 0) :]
            training += [NegativeRecording(first, part.speaker, part.weight)] if len(first) else []
            calibration += [NegativeRecording(rest, part.speaker, part.weight)] if len(rest) else []
            cut -= len(part.samples)
    return training, calibration


def _digest(root: Path, recordings: Mapping[Path, Sequence[NegativeRecording]]) -> str:
    """Return a hash of which recordings there are, how long and of what weight: a resumed run must have the same."""
    lines = [
        f"{os.path.relpath(file, root)} {[len(part.samples) for part in parts]} {parts[0].weight}"
        for file, parts in recordings.items()
    ]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:16]


def _attribution(root: Path) -> str | None:
    """Return what the bank's own file ``ATTRIBUTION.txt`` says of its origins and licences."""
    try:
        return (root / "ATTRIBUTION.txt").read_text("utf-8", "replace").strip() or None
    except OSError:
        return None
