"""The bank of negatives: recordings that hold none of a classifier's words, to train with and to choose a threshold.

A bank is a folder of recordings. Transcripts beside them tell which of them hold a word of the classifier, and who
speaks; those recordings are left out. Speakers who choose the threshold train nothing.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.audio.read import AUDIO_SUFFIXES, probe, read_int16
from audioconv.audio.samples import FULL_SCALE
from audioconv.datasets.folder import files_below
from audioconv.decision.classes import is_word
from audioconv.errors import DataError
from audioconv.io.files import cache_folder, display_path
from audioconv.io.parallel import evenly, read_in_parallel

BANK_VARIABLE = "AUDIOCONV_NEGATIVES"
"""Environment variable with the folder of the bank that trainings use; default: `default_folder`."""

CALIBRATION_SHARE, MIN_SPEAKERS = 0.25, 4
"""Share of the speakers whose recordings choose the threshold; with fewer speakers it is the ends of all recordings."""

MAX_HOURS, _PROBED = 3.0, 100
"""Of a larger bank, recordings of so many hours are drawn, evenly over its files."""

_PATH, _TEXT, _SPEAKER = ("file", "path"), ("text", "sentence", "transcript"), ("speaker", "client_id")
"""Names of the columns of a table of transcripts, in lower case."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True, eq=False)
class Transcript:
    """What is said in a recording, and by whom, where that is known."""

    text: str | None = None
    speaker: str | None = None


@dataclass(frozen=True, eq=False)
class NegativeRecording:
    """A recording that holds none of the words.

    Attributes
    ----------
    samples : array (T,) float32, or int16 with the full scale 32768
    speaker : str
        Who speaks; the file's name where that is not known.
    """

    samples: Array
    speaker: str


@dataclass(frozen=True, eq=False)
class NegativeBank:
    """Recordings without the words of a classifier.

    Attributes
    ----------
    training, calibration : sequence of arrays (T,) float32 or int16
        Those to train with, and those to choose the threshold with.
    about : dict
        Name, hours, speakers and how many recordings were left out, JSON-compatible.
    failures : tuple of DataError
        Why some recordings could not be read.
    """

    training: Sequence[Array]
    calibration: Sequence[Array]
    about: Mapping[str, Any]
    failures: tuple[DataError, ...] = ()

    def describe(self) -> str:
        """Return in one line what it holds."""
        about = self.about
        line = f"negatives: {about['recordings']:,} recordings of {about['name']}, {60 * about['hours']:.0f} min"
        if about["left_out"]:
            line += f"; {about['left_out']:,} more hold one of the words"
        if self.failures:
            line += f"; {len(self.failures):,} cannot be read, such as {self.failures[0]}"
        return line


def default_folder() -> Path | None:
    """Return the folder of the bank that trainings use unless they are told another one; None if there is none."""
    named = os.environ.get(BANK_VARIABLE)
    folder = Path(named) if named else cache_folder("negatives")
    if named and not folder.is_dir():
        raise DataError(f"{BANK_VARIABLE}={display_path(folder)} is not a folder; correct it or unset it")
    return folder if folder.is_dir() and any(_recordings(folder)) else None


def read_bank(
    path: StrPath, words: Sequence[str], sample_rate: int, *, on_file: Callable[[int], object] | None = None
) -> NegativeBank:
    """Read a bank.

    Parameters
    ----------
    path : path-like
        A recording, or a folder of recordings. Transcripts are tables with the columns ``file`` (or ``path``) and
        ``text`` (or ``sentence``), and perhaps ``speaker`` (or ``client_id``), or LibriSpeech's ``*.trans.txt``.
    words : sequence of str
        The labels of the classifier; an underscore is a space. Recordings in whose transcripts one of them stands are
        left out.
    sample_rate : int
        Of the samples that are returned, in Hz.
    on_file : callable, optional
        Called with the number of all files after each.

    Raises
    ------
    DataError
        If the folder holds no recordings, or all of them hold one of the words, or none can be read.
    """
    root = Path(path)
    files = [root] if root.is_file() else list(_recordings(root))
    if not files:
        raise DataError(f"{display_path(root)}: holds no recordings to use as negatives")
    told = read_transcripts(root) if root.is_dir() else {}
    phrases = [tokens for word in words if is_word(word) and (tokens := tuple(_tokens(word.replace("_", " "))))]
    transcripts = {file: told.get(_key(file, root), told.get(_key(file, file.parent), Transcript())) for file in files}
    kept = [file for file in files if not _holds(transcripts[file].text, phrases)]
    if not kept:
        raise DataError(f"{display_path(root)}: all {len(files)} recordings hold one of the words {', '.join(words)}")
    recordings, failures = _read(kept, transcripts, sample_rate, on_file)
    if not recordings:
        raise DataError(f"{display_path(root)}: none of the {len(kept)} recordings can be read, such as {failures[0]}")
    training, calibration = _parts(recordings)
    about = {
        "name": display_path(Path(os.path.abspath(root)).name),
        "recordings": len(recordings),
        "hours": round(sum(len(one.samples) for one in recordings) / sample_rate / 3600, 3),
        "speakers": len({one.speaker for one in recordings}),
        "left_out": len(files) - len(kept),
        "unreadable": len(failures),
        "attribution": _attribution(root),
    }
    return NegativeBank(training, calibration, about, failures)


def _recordings(folder: Path) -> Iterator[Path]:
    return (file for file in files_below(folder) if file.suffix.lower() in AUDIO_SUFFIXES)


def read_transcripts(folder: Path) -> dict[str, Transcript]:
    """Return what is said in the recordings of a folder, by their names without suffix as the tables have them."""
    found: dict[str, Transcript] = {}
    for file in files_below(folder):
        name = file.name.lower()
        if name.endswith(".trans.txt"):
            for line in file.read_text("utf-8", "replace").splitlines():
                utterance, _, text = line.partition(" ")
                # A LibriSpeech name is speaker-chapter-number.
                found[_key(file.parent / utterance, folder)] = Transcript(text, utterance.partition("-")[0])
        elif name.endswith((".csv", ".tsv")):
            found.update(_of_table(file, folder))
    return found


def _of_table(file: Path, folder: Path) -> Iterator[tuple[str, Transcript]]:
    """Yield the transcripts of a table; nothing if it has not their columns."""
    with open(file, encoding="utf-8-sig", errors="replace", newline="") as text:
        rows = csv.reader(text, delimiter="\t" if file.suffix.lower() == ".tsv" else ",")
        names = [name.strip().lower() for name in next(rows, [])]
        columns = [next((names.index(name) for name in some if name in names), None) for some in (_PATH, _TEXT)]
        speaker = next((names.index(name) for name in _SPEAKER if name in names), None)
        path, said = columns
        if path is None or said is None:
            return
        for row in rows:
            if len(row) > max(path, said, speaker or 0):
                who = row[speaker].strip() if speaker is not None else ""
                # Common Voice's tables name files that lie in a folder beside them.
                for place in (file.parent / row[path], file.parent / "clips" / row[path]):
                    yield _key(place, folder), Transcript(row[said], who or None)


def _key(file: Path, folder: Path) -> str:
    """Return how a recording is named in `read_transcripts`: its path in the folder, without suffix."""
    return os.path.splitext(os.path.relpath(file, folder))[0].replace(os.sep, "/")


def _tokens(text: str) -> list[str]:
    """Return the words of a text.

    >>> _tokens("Don't go, LEFT!")
    ["don't", 'go', 'left']
    """
    return _WORD.findall(text.casefold())


def _holds(text: str | None, phrases: Sequence[tuple[str, ...]]) -> bool:
    """Return whether one of the phrases stands in a transcript.

    >>> _holds("UP THE HILL", [("up",)]), _holds("upon", [("up",)]), _holds("hey you view", [("hey", "view")])
    (True, False, False)
    """
    tokens = _tokens(text or "")
    return any(
        tuple(tokens[place : place + len(phrase)]) == phrase
        for phrase in phrases
        for place in range(len(tokens) - len(phrase) + 1)
    )


def _read(
    files: Sequence[Path],
    transcripts: Mapping[Path, Transcript],
    sample_rate: int,
    on_file: Callable[[int], object] | None,
) -> tuple[list[NegativeRecording], tuple[DataError, ...]]:
    """Return the recordings in some of the files, at most `MAX_HOURS`, and why others cannot be read."""

    def one(file: Path) -> Array:
        samples, scale = read_int16(file, sample_rate)
        return samples if scale == 1 / FULL_SCALE else samples * np.float32(scale)

    recordings: list[NegativeRecording] = []
    failures: list[DataError] = []
    room = round(MAX_HOURS * 3600 * sample_rate)
    some = evenly(files, _count_within(files, 3600 * MAX_HOURS))
    step = None if on_file is None else lambda: on_file(len(some))
    for file, found in zip(some, read_in_parallel(some, one, on_file=step), strict=True):
        if isinstance(found, DataError):
            failures.append(found)
            continue
        if room <= 0:
            continue
        found, room = found[:room], room - len(found)
        speaker = transcripts[file].speaker or os.fspath(file)
        recordings.append(NegativeRecording(found, speaker))
    return recordings, tuple(failures)


def _count_within(files: Sequence[Path], seconds: float) -> int:
    """Return about how many of the files take so many seconds, by the headers of a few."""
    lengths = []
    for file in evenly(files, _PROBED):
        with suppress(DataError):
            lengths.append(probe(file).duration)
    return math.ceil(seconds * len(lengths) / sum(lengths)) if sum(lengths) else len(files)


def _parts(recordings: Sequence[NegativeRecording]) -> tuple[list[Array], list[Array]]:
    """Return what trains and what chooses the threshold: whole speakers, or beginnings and ends of recordings."""
    speakers = sorted({one.speaker for one in recordings})
    if len(speakers) >= MIN_SPEAKERS:
        # Always the same ones, whatever the seed, so that models can be compared.
        order = np.random.default_rng(0).permutation(speakers).tolist()
        chosen = set(order[: round(CALIBRATION_SHARE * len(speakers))])
        parts = [one.samples for one in recordings if one.speaker not in chosen]
        return parts, [one.samples for one in recordings if one.speaker in chosen]
    cuts = [round((1 - CALIBRATION_SHARE) * len(one.samples)) for one in recordings]
    training = [one.samples[:cut] for one, cut in zip(recordings, cuts, strict=True) if cut]
    return training, [one.samples[cut:] for one, cut in zip(recordings, cuts, strict=True) if cut < len(one.samples)]


def _attribution(root: Path) -> str | None:
    """Return what the bank's own file ``ATTRIBUTION.txt`` says of its origins and licences."""
    try:
        return (root / "ATTRIBUTION.txt").read_text("utf-8", "replace").strip() or None
    except OSError:
        return None
