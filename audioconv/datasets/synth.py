"""Spoken keywords without recordings: espeak-ng says them in many voices.

espeak-ng is free software under the GNU General Public License 3; it comes with the extra ``synth`` (package
``espeakng-loader``) and runs as a program of its own beside audioconv, which is under the MIT licence. The sounds it
makes are its output, not a copy of it; see ``data/README.md``.
"""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
import wave
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioconv.datasets.building import FolderNames, building, is_built
from audioconv.datasets.collection import Item
from audioconv.datasets.espeak import Speaker, Utterance, Voice
from audioconv.datasets.manifest import MANIFEST_NAME, write_manifest
from audioconv.errors import ConfigError

SAMPLE_RATE = 16000
"""Of the recordings, in Hz."""

TEST_SHARE = 5
"""One in so many timbres and clips is for the test."""

# Drawn evenly; words a minute, and espeak-ng's scales from 0 to 99 (50 is the voice's own).
RATES = (110, 230)
PITCHES = (25, 75)
PITCH_RANGES = (20, 80)

SHORTEST_SECONDS = 0.1
QUIETEST_PEAK = 1000
"""What is shorter or quieter than this (of 32767) is no word: some voices do not speak some texts."""

ATTEMPTS = 20
LONGEST_WORD = 100
LICENCE = "synthetic speech (made with espeak-ng, a program under GPL-3.0-or-later)"


def make(
    words: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    language: str = "en",
    clips_per_word: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make a data set of spoken words, as a folder per class with a manifest.

    Each clip has a timbre, an accent of the language, a speaking rate, a pitch and a pitch range drawn at random.
    About a fifth of the timbres, always the same, speak only in the test clips (split ``test``), the others only in
    the training clips. The manifest's speaker is the family of the timbre.

    Parameters
    ----------
    words : sequence of str
        What to say; a word may be a phrase. They are the labels.
    folder : path-like
        The new folder; it appears when it is complete. Where it already has what was asked for, nothing is done.
    language : str
        One of `languages`: ``"en"`` takes all accents of English, ``"en-gb-scotland"`` one.
    clips_per_word : int
        How many clips of each word to make, about a fifth of them for the test.
    seed : int
        The same arguments and version of espeak-ng give the same bytes.
    progress : callable, optional
        Called with the number of clips that are done and of all.

    Returns
    -------
    Path
        The folder. Its clips are WAV files, 16 kHz, mono, 16 bits, trimmed to the word.

    Raises
    ------
    ConfigError
        If a word, the language or the count is not possible.
    DataError
        If the folder holds something else or cannot be written.
    MissingExtraError
        If espeak-ng is not installed.
    """
    words = checked_words(words)
    if clips_per_word < 1:
        raise ConfigError(f"clips_per_word must be at least 1; got {clips_per_word}")
    folder = Path(folder)
    with Speaker() as speaker:
        accents = accents_of(speaker.voices, language)
        recipe = {
            "synth": speaker.version, "words": words, "language": language, "clips": clips_per_word, "seed": seed
        }  # fmt: skip
        if is_built(folder, recipe):
            return folder
        rng = np.random.default_rng(seed)
        items: list[Item] = []
        with building(folder, recipe) as work:
            folders = FolderNames()
            for word in words:
                name = folders.of(word)
                (work / name).mkdir()
                for_test = round(clips_per_word / TEST_SHARE)
                for split, count in (("train", clips_per_word - for_test), ("test", for_test)):
                    for clip in clips_of(word, speaker, accents, count, rng, for_test=split == "test"):
                        timbre = re.sub(r"[^A-Za-z0-9]", "_", clip.timbre)
                        path = work / name / f"{clip.accent}+{timbre}_{len(items)}.wav"
                        _write_wav(path, clip.samples)
                        items.append(Item(path, word, family(clip.timbre), split))
                        if progress:
                            progress(len(items), len(words) * clips_per_word)
            source = f"espeak-ng {speaker.version}"
            write_manifest(work / MANIFEST_NAME, [replace(item, source=source, licence=LICENCE) for item in items])
    return folder


def languages() -> dict[str, str]:
    """Return what `make` can speak: the name of each language or accent by its tag.

    Raises
    ------
    MissingExtraError
        If espeak-ng is not installed.
    """
    with Speaker() as speaker:
        return _names_by_tag(speaker.voices)


def family(timbre: str) -> str:
    """Return the name under which a timbre is filed: those that differ in a number only are near copies.

    >>> family("iven3"), family("f5")
    ('iven', 'f5')
    """
    stem = timbre.lower().rstrip("0123456789")
    return stem if len(stem) > 1 else timbre.lower()  # f1 to f5 and m1 to m8 are voices of their own


def is_for_test(timbre: str) -> bool:
    """Return whether a timbre is kept for the test: by a hash of its family, so that it is in every data set made."""
    return zlib.crc32(family(timbre).encode()) % TEST_SHARE == 0


def checked_words(words: Sequence[str]) -> list[str]:
    """Return words as they are spoken; `ConfigError` for what cannot be, or is given twice."""
    if isinstance(words, str):
        raise ConfigError(f"words must be a list of words; got the text {words!r}")
    checked = [unicodedata.normalize("NFC", " ".join(word.split())) for word in words]
    if not checked or not all(checked):
        raise ConfigError(f"words must be given, and none of them empty; got {list(words)!r}")
    for word in checked:
        if not word.isprintable() or len(word) > LONGEST_WORD or not any(c.isalnum() for c in word):
            raise ConfigError(
                f"cannot speak {word[:LONGEST_WORD]!r}: a word is of letters or digits, at most {LONGEST_WORD}"
            )
    folded = [word.casefold() for word in checked]
    twice = sorted({word for word, fold in zip(checked, folded, strict=True) if folded.count(fold) > 1})
    if twice:
        raise ConfigError(f"each word may be given once only; got {', '.join(twice)} several times")
    return checked


def _names_by_tag(voices: Sequence[Voice]) -> dict[str, str]:
    """Return the name of each language tag, that of its usual voice."""
    names: dict[str, tuple[int, str]] = {}
    for voice in voices:
        for tag, rank in voice.languages:
            # A tag that is not the voice's own is that of the language without the accent.
            name = voice.name.strip() if tag == voice.tag else voice.name.partition(" (")[0]
            names[tag] = min(names.get(tag, (rank, name)), (rank, name))
    return {tag: names[tag][1] for tag in sorted(names)}


def accents_of(voices: Sequence[Voice], language: str) -> list[Voice]:
    """Return the voices that speak `language`: all accents of it, written in its usual script.

    `ConfigError` if there are none.
    """
    wanted = language.strip().lower().replace("_", "-")
    speaking = [voice for voice in voices if wanted in (tag.lower() for tag, _ in voice.languages)]
    if not speaking:
        raise ConfigError(f"espeak-ng has no language {language!r}{_meant(_names_by_tag(voices), wanted)}")
    usual = min(speaking, key=lambda voice: min(rank for tag, rank in voice.languages if tag.lower() == wanted))
    base = usual.tag.partition("-")[0]
    return [
        voice
        for voice in voices
        if (voice in speaking or voice.tag.lower().startswith(f"{wanted}-"))
        # "zh" is Mandarin, not Cantonese too; and an accent for another script would spell the letters.
        and (voice.tag.partition("-")[0], _script(voice)) == (base, _script(usual))
    ]


def _script(voice: Voice) -> str:
    """Return the script that a voice reads, four letters; empty for the language's usual one."""
    match = re.search(r"-([A-Za-z]{4})(?:-|$)", voice.identifier)
    return match[1] if match else ""


def _meant(names: dict[str, str], wanted: str) -> str:
    """Return which languages may have been meant by a tag or name that there is not."""
    tags = {**{name.lower(): tag for tag, name in names.items()}, **{tag.lower(): tag for tag in names}}
    close = [wanted] if wanted in tags else difflib.get_close_matches(wanted, tags, n=4)
    near = dict.fromkeys(tags[word] for word in close)
    return f"; did you mean {' or '.join(f'{tag} ({names[tag]})' for tag in near)}?" if near else ""


@dataclass(frozen=True)
class Clip:
    """A word as one voice says it.

    Attributes
    ----------
    samples : array (T,) int16
        At `SAMPLE_RATE`.
    timbre, accent : str
    """

    samples: NDArray[np.int16]
    timbre: str
    accent: str


def clips_of(
    word: str, speaker: Speaker, accents: Sequence[Voice], count: int, rng: np.random.Generator, *, for_test: bool
) -> Iterator[Clip]:
    """Yield `count` clips of `word`, by the timbres that are kept for a test or by the others."""
    timbres = [timbre for timbre in speaker.variants if is_for_test(timbre) == for_test]
    # Each timbre in turn, so that few clips have many of them.
    turns = cycle(rng.permutation(len(timbres)))
    for _ in range(count):
        for turn in islice(turns, ATTEMPTS):
            accent = accents[int(rng.integers(len(accents)))]
            rate, pitch, pitch_range = (int(rng.integers(*ends)) for ends in (RATES, PITCHES, PITCH_RANGES))
            voice = f"{accent.identifier}+{timbres[turn]}"
            samples = _resample(speaker.say(Utterance(word, voice, rate, pitch, pitch_range)), speaker.sample_rate)
            if _is_sound(samples):
                yield Clip(samples, timbres[turn], accent.tag)
                break
        else:
            raise ConfigError(f"espeak-ng says nothing for {word!r} in {accents[0].name}; try another language")


def _resample(spoken: bytes, sample_rate: int) -> NDArray[np.int16]:
    """Return what was spoken as 16-bit samples at our rate."""
    import soxr

    samples = np.frombuffer(spoken, np.int16).astype(np.float32)
    resampled = soxr.resample(samples, sample_rate, SAMPLE_RATE) if len(samples) else samples
    return np.clip(np.rint(resampled), -32768, 32767).astype(np.int16)


def _is_sound(samples: NDArray[np.int16]) -> bool:
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) >= QUIETEST_PEAK)
    return len(loud) > 0 and len(samples) >= SHORTEST_SECONDS * SAMPLE_RATE


def _write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
