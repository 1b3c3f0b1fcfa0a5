"""Data sets of synthetic speech, by espeak-ng or Kokoro."""

from __future__ import annotations

import os
import unicodedata
import wave
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from audioconv.datasets.build.folder import FolderNames, building, is_built, locked
from audioconv.datasets.collection import Item
from audioconv.datasets.manifest import MANIFEST_NAME, write_manifest
from audioconv.errors import ConfigError
from audioconv.tts.espeak import EspeakVoices
from audioconv.tts.kokoro import KokoroVoices
from audioconv.tts.voices import SAMPLE_RATE, TEST_SHARE, VoiceBank

Voices = Literal["espeak-ng", "kokoro"]

MAX_WORD_LETTERS = 100


def make(
    words: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    voices: Voices = "espeak-ng",
    language: str = "en",
    clips_per_word: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    on_download: Callable[[str, int, int | None], None] | None = None,
) -> Path:
    """Make a data set of spoken words, as a folder per class with a manifest.

    Each clip has a voice, an accent of the language, a speaking rate and a melody drawn at random. About a fifth of the
    voices, always the same, speak only in the test clips (split ``test``), the others only in the training clips.

    Parameters
    ----------
    words : sequence of str
        What to say; a word may be a phrase. They are the labels.
    folder : path-like
        The new folder; it appears when it is complete. Where it already has what was asked for, nothing is done.
    voices : {"espeak-ng", "kokoro"}
        Who speaks. espeak-ng, a formant synthesiser, has many timbres, speaks some 140 languages, and makes hundreds of
        clips a second. Kokoro, a neural network, sounds like people, speaks English, and makes a few clips a second;
        what learns from it understands people better.
    language : str
        One of `languages`: ``"en"`` takes all accents of English, ``"en-gb-scotland"`` one. Kokoro has ``"en"``,
        ``"en-us"`` and ``"en-gb"``.
    clips_per_word : int
        How many clips of each word to make, about a fifth of them for the test.
    seed : int
        The same arguments and version of the voices give the same clips: espeak-ng's to the bit, Kokoro's on the same
        kind of processor.
    progress : callable, optional
        Called with the number of clips that are done and of all.
    on_download : callable, optional
        Called as Kokoro's network comes in (120 MB, the first time), with what is done, the bytes so far and in all.

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
        If what speaks is not installed (extra ``synth`` or ``kokoro``).
    """
    words = checked_words(words)
    if clips_per_word < 1:
        raise ConfigError(f"clips_per_word must be at least 1; got {clips_per_word}")
    folder = Path(folder)
    with _voice_bank(voices, language, on_download) as speakers:
        recipe = {**speakers.identity, "words": words, "clips": clips_per_word, "seed": seed}
        if is_built(folder, recipe):
            return folder
        rng = np.random.default_rng(seed)
        items: list[Item] = []
        with locked(folder), building(folder, recipe) as work:
            folders = FolderNames()
            for word in words:
                name = folders.of(word)
                (work / name).mkdir()
                for_test = round(clips_per_word / TEST_SHARE)
                for split, count in (("train", clips_per_word - for_test), ("test", for_test)):
                    for clip in speakers.clips(word, count, rng, for_test=split == "test"):
                        path = work / name / f"{clip.voice}_{len(items)}.wav"
                        _write_wav(path, clip.samples)
                        items.append(Item(path, word, clip.speaker, split))
                        if progress:
                            progress(len(items), len(words) * clips_per_word)
            described = [replace(item, source=speakers.source, licence=speakers.licence) for item in items]
            write_manifest(work / MANIFEST_NAME, described)
    return folder


def _voice_bank(voices: str, language: str, on_download: Callable[[str, int, int | None], None] | None) -> VoiceBank:
    if voices == "espeak-ng":
        return EspeakVoices(language)
    if voices == "kokoro":
        return KokoroVoices(language, on_download)
    raise ConfigError(f"voices must be {' or '.join(get_args(Voices))}; got {voices!r}")


def checked_words(words: Sequence[str]) -> list[str]:
    """Return words as they are spoken; `ConfigError` for what cannot be, or is given twice."""
    if isinstance(words, str):
        raise ConfigError(f"words must be a list of words; got the text {words!r}")
    checked = [unicodedata.normalize("NFC", " ".join(word.split())) for word in words]
    if not checked or not all(checked):
        raise ConfigError(f"words must be given, and none of them empty; got {list(words)!r}")
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
