"""Data sets of synthetic speech, by espeak-ng, Kokoro or Piper."""

from __future__ import annotations

import logging
import os
import unicodedata
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioconv.cluster.shards import Shard
from audioconv.datasets.build.folder import FolderNames, building, is_built, locked
from audioconv.datasets.collection import Item
from audioconv.datasets.manifest import MANIFEST_NAME, write_manifest
from audioconv.errors import ConfigError
from audioconv.tts.espeak import EspeakVoices
from audioconv.tts.kokoro import KokoroVoices
from audioconv.tts.onnx_voices import OnDownload
from audioconv.tts.piper import PiperVoices
from audioconv.tts.piper_catalogue import chosen
from audioconv.tts.voices import SAMPLE_RATE, TEST_SHARE, VoiceBank

ESPEAK, KOKORO, PIPER = "espeak-ng", "kokoro", "piper"
ALSO_CALLED = {"espeak": ESPEAK}

MAX_WORD_LETTERS = 100

_LOG = logging.getLogger("audioconv")


def make(
    words: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    voices: str = ESPEAK,
    language: str | None = None,
    clips_per_word: int = 100,
    seed: int = 0,
    shard: Shard | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_download: OnDownload | None = None,
) -> Path:
    """Make a data set of spoken words, as a folder per class with a manifest.

    Each clip has a voice, an accent of the language, a speaking rate and a melody drawn at random. About a fifth of the
    voices, always the same, speak only in the test clips (split ``test``), the others only in the training clips. Of a
    Piper voice with one speaker there are training clips only.

    Parameters
    ----------
    words : sequence of str
        What to say; a word may be a phrase. They are the labels.
    folder : path-like
        The new folder; it appears when it is complete. Where it already has what was asked for, nothing is done.
    voices : str
        Who speaks. ``"espeak-ng"``, a formant synthesiser, has many timbres, speaks some 140 languages, and makes
        hundreds of clips a second. ``"kokoro"``, a neural network, sounds like people, speaks six languages, and makes
        a few clips a second; what learns from it understands people better. ``"piper"`` takes the usual one of Piper's
        voices for the language, a network for each; ``"piper:NAME"``, with several names separated by commas, takes
        these, and ``"piper:PATH.onnx"`` a voice in a file.
    language : str, optional
        Default: the language of the named Piper voices, else English. For espeak-ng one of `languages`: ``"en"`` takes
        all accents of English, ``"en-gb-scotland"`` one. Kokoro has those of `kokoro_letters.LANGUAGES`. Piper has
        those of its catalogue, ``"pt"`` or ``"pt-br"``.
    clips_per_word : int
        How many clips of each word to make, about a fifth of them for the test.
    seed : int
        The same arguments and version of the voices give the same clips: espeak-ng's to the bit, those of Kokoro and
        Piper on the same kind of processor.
    shard : Shard, optional
        Make only this part of the clips of each word. All shards together have `clips_per_word` of each, but other
        ones than without shards. Default: all.
    progress : callable, optional
        Called with the number of clips that are done and of all.
    on_download : callable, optional
        Called as a network comes in the first time, with what is done, the bytes so far and in all.

    Returns
    -------
    Path
        The folder. Its clips are WAV files, 16 kHz, mono, 16 bits, trimmed to the word.

    Raises
    ------
    ConfigError
        If a word, the voices, the language or the count is not possible.
    DataError
        If the folder holds something else or cannot be written, or a download fails.
    MissingExtraError
        If what speaks is not installed (extra ``synth``, ``kokoro`` or ``piper``).
    """
    words = checked_words(words)
    if clips_per_word < 1:
        raise ConfigError(f"clips_per_word must be at least 1; got {clips_per_word}")
    folder = Path(folder)
    with voice_bank(voices, language, on_download) as speakers:
        recipe = {**speakers.identity, "words": words, "clips": clips_per_word, "seed": seed}
        if shard is not None:
            recipe["shard"] = str(shard)
        if is_built(folder, recipe):
            return folder
        rng = np.random.default_rng(seed if shard is None else [seed, shard.number, shard.count])
        for_test = round(clips_per_word / TEST_SHARE) if speakers.keeps_test_voices else 0
        counts = {"train": clips_per_word - for_test, "test": for_test}
        if shard is not None:
            counts = {split: len(shard.range(count)) for split, count in counts.items()}
        items: list[Item] = []
        with locked(folder), building(folder, recipe) as work:
            folders = FolderNames()
            for word in words:
                name = folders.of(word)
                (work / name).mkdir()
                for split, count in counts.items():
                    for clip in speakers.clips(word, count, rng, for_test=split == "test"):
                        path = work / name / f"{clip.voice}_{len(items)}.wav"
                        _write_wav(path, clip.samples)
                        source, licence = clip.source or speakers.source, clip.licence or speakers.licence
                        items.append(Item(path, word, clip.speaker, split, source=source, licence=licence))
                        if progress:
                            progress(len(items), len(words) * sum(counts.values()))
            write_manifest(work / MANIFEST_NAME, items)
        if not speakers.keeps_test_voices:
            _LOG.warning("one speaker only: all clips are for training; test with recordings of somebody else")
    return folder


def parse_voices(voices: str) -> tuple[str, list[str]]:
    """Return the program that speaks, and the names of its voices; none where they were not named.

    Raises
    ------
    ConfigError
        If there is no such program.

    Examples
    --------
    >>> parse_voices("piper:de_DE-thorsten-medium, de_DE-mls-medium"), parse_voices("espeak")
    (('piper', ['de_DE-thorsten-medium', 'de_DE-mls-medium']), ('espeak-ng', []))
    """
    given, colon, rest = voices.partition(":")
    program = ALSO_CALLED.get(given.strip().lower(), given.strip().lower())
    names = [rest] if Path(rest).is_file() else [name.strip() for name in rest.split(",") if name.strip()]
    if program not in (ESPEAK, KOKORO, PIPER) or (colon and (program != PIPER or not names)):
        raise ConfigError(
            f"voices must be {ESPEAK}, {KOKORO}, {PIPER} or {PIPER}:NAME; got {voices!r}; "
            "`audioconv data list --voices` shows them"
        )
    return program, names


def voice_bank(voices: str, language: str | None, on_download: OnDownload | None) -> VoiceBank:
    """Return the voices of a program for a language, to be used in a ``with`` block; see `make`."""
    program, names = parse_voices(voices)
    if program == PIPER:
        return PiperVoices(chosen(names, language), on_download)
    language = "en" if language is None else language
    return KokoroVoices(language, on_download) if program == KOKORO else EspeakVoices(language)


def checked_words(words: Sequence[str]) -> list[str]:
    """Return words as they are spoken; `ConfigError` for what cannot be, or is given twice."""
    if isinstance(words, str):
        raise ConfigError(f"words must be a list of words; got the text {words!r}")
    checked = [unicodedata.normalize("NFC", " ".join(word.split())) for word in words]
    if not checked or not all(checked):
        raise ConfigError(f"words must be given, and none of them empty, such as yes,no,stop; got {list(words)!r}")
    for word in checked:
        if not word.isprintable() or len(word) > MAX_WORD_LETTERS or not any(c.isalnum() for c in word):
            raise ConfigError(
                f"cannot speak {word[:MAX_WORD_LETTERS]!r}: a word is of letters or digits, at most {MAX_WORD_LETTERS}"
            )
    folded = [word.casefold() for word in checked]
    twice = sorted({word for word, fold in zip(checked, folded, strict=True) if folded.count(fold) > 1})
    if twice:
        raise ConfigError(f"each word may be given once only; got {', '.join(twice)} several times")
    return checked


def _write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
