"""Voices of Kokoro-82M, a neural network with 54 voices and mixtures of them.

Kokoro (hexgrad, 2025, https://huggingface.co/hexgrad/Kokoro-82M) is under the Apache License 2.0, and learned from
recordings. ONNX Runtime runs it (extra ``kokoro``) in the form that kokoro-onnx publishes, whose two files are
downloaded once and verified. espeak-ng says how words are pronounced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from audioconv.datasets.catalogue import Remote
from audioconv.datasets.download.mirror import obtain
from audioconv.errors import ConfigError
from audioconv.io.files import cache_folder
from audioconv.tts.espeak_process import Speaker
from audioconv.tts.kokoro_letters import ACCENTS, ALL_LETTERS, AMERICAN, BRITISH, ENGLISH, LANGUAGES, to_letters
from audioconv.tts.onnx_voices import (
    ENDINGS,
    SPEEDS,
    OnDownload,
    is_sound,
    named,
    open_session,
    readable,
    runtime,
    trimmed,
)
from audioconv.tts.voices import SpokenClip, as_clip, is_kept_for_test

_FILES = "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0/"
NETWORK = Remote(
    f"{_FILES}kokoro-v1.0.int8.onnx",
    size=92_361_271,
    sha256="6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
)
STYLES = Remote(
    f"{_FILES}voices-v1.0.bin",
    size=28_214_398,
    sha256="bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d",
)
SAMPLE_RATE = 24000
LICENCE = "synthetic speech (made with Kokoro-82M, a model under Apache-2.0)"

NEAREST = (0.5, 1.0)
"""How much of a voice is its speaker's, the rest somebody else's."""


class _Request(NamedTuple):
    """What the network is to say, and how."""

    letters: str
    style: NDArray[np.float32]
    speed: float


class KokoroVoices:
    """All voices, each mixed with another; a `voices.VoiceBank`.

    Each clip has a voice in turn, a second one mixed into it, a speed and an ending drawn at random. The same seed
    gives the same clips on the same processor; on another they differ by rounding. The voices of other languages speak
    English as Americans do. In another language than English all voices speak, and the second one is of that language,
    if one of its voices is on the same side, the test's or the other.

    Parameters
    ----------
    language : str
        One of `kokoro_letters.LANGUAGES`.
    on_download : callable, optional
        Called as the network comes in, 120 MB the first time, with what is done, and the bytes so far and in all.

    Raises
    ------
    ConfigError
        If there is no such language.
    DataError
        If the network cannot be downloaded.
    MissingExtraError
        If ONNX Runtime or espeak-ng are not installed.
    """

    licence = LICENCE
    source = "Kokoro-82M v1.0"
    keeps_test_voices = True

    def __init__(self, language: str, on_download: OnDownload | None = None) -> None:
        tag = language.strip().lower().replace("_", "-")
        if tag not in LANGUAGES:
            raise ConfigError(
                f"Kokoro speaks {', '.join(LANGUAGES)}; got {language!r}: `audioconv data list --voices` shows who "
                "speaks which language, and espeak-ng speaks most"
            )
        self.accents = LANGUAGES[tag]
        self.identity: Mapping[str, object] = {"synth": self.source, "language": tag}
        onnxruntime = runtime("speech by Kokoro", "kokoro")
        self.speaker = Speaker()
        try:
            folder = download_folder()
            network, styles = (
                obtain(file, folder, named(on_download, "downloading Kokoro")) for file in (NETWORK, STYLES)
            )
            # A clip a thread: two threads on two clips are faster than on one, and the bits are always the same.
            self._session = open_session(onnxruntime, network, threads=1)
            with readable(styles), styles.open("rb") as file, np.load(file) as voices:
                self.voices = {name: voices[name] for name in sorted(voices.files) if self._speaks(name)}
        except BaseException:
            self.speaker.close()
            raise
        self._threads = ThreadPoolExecutor(os.cpu_count())

    def __enter__(self) -> Self:
        """Return these voices."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the threads, once each is done with its clip, and espeak-ng."""
        self._threads.shutdown(cancel_futures=True)
        self.speaker.close()

    def clips(self, word: str, count: int, rng: np.random.Generator, *, for_test: bool) -> Iterator[SpokenClip]:
        """Yield `count` clips of `word`, by the voices that are kept for a test or by the others."""
        names = [name for name in self.voices if is_kept_for_test(name) == for_test]
        spoken = {accent: self.letters(word, accent) for accent in self.accents}
        own = [name for name in names if name.startswith(self.accents)]
        others = names if self.accents[0] in ENGLISH or not own else own
        turns = cycle(rng.permutation(len(names)))
        speakers = [names[next(turns)] for _ in range(count)]
        requests = []
        for speaker in speakers:
            other = others[int(rng.integers(len(others)))]
            letters = spoken[self._accent(speaker)] + str(rng.choice(ENDINGS))
            nearest = np.float32(rng.uniform(*NEAREST))
            length = len(letters) - 1  # a voice has a style for each length of a text
            style = nearest * self.voices[speaker][length] + (1 - nearest) * self.voices[other][length]
            requests.append(_Request(letters, style, rng.uniform(*SPEEDS)))
        for speaker, samples in zip(speakers, self._threads.map(self._say, requests), strict=True):
            yield SpokenClip(as_clip(trimmed(samples, SAMPLE_RATE), SAMPLE_RATE), speaker, speaker)

    def letters(self, word: str, accent: str) -> str:
        """Return the network's letters for a word in an accent, one of `kokoro_letters.ACCENTS`."""
        letters = to_letters(self.speaker.ipa(word, ACCENTS[accent]), accent)
        longest = min(len(voice) for voice in self.voices.values()) - max(map(len, ENDINGS))
        if not any(map(is_sound, letters)):
            raise ConfigError(f"Kokoro cannot say {word!r}: espeak-ng knows no sound of the language for it")
        if len(letters) > longest:
            raise ConfigError(
                f"Kokoro cannot say {word!r}: of its {len(letters)} sounds {longest} are possible at most"
            )
        return letters

    def _speaks(self, voice: str) -> bool:
        """Return whether a voice speaks: not if one accent of English is asked for, and it has the other."""
        return self.accents[0] not in ENGLISH or accent_of(voice) in self.accents

    def _accent(self, voice: str) -> str:
        return accent_of(voice) if self.accents[0] in ENGLISH else self.accents[0]

    def _say(self, request: _Request) -> NDArray[np.float32]:
        tokens = [0, *(ALL_LETTERS[letter] for letter in request.letters), 0]
        inputs = {
            "tokens": np.array([tokens], np.int64),
            "style": request.style.reshape(1, -1),
            "speed": np.array([request.speed], np.float32),
        }
        samples: NDArray[np.float32] = self._session.run(None, inputs)[0]
        return samples.ravel()


def download_folder() -> Path:
    """Return where the network is kept."""
    return cache_folder("kokoro")


def accent_of(voice: str) -> str:
    """Return how a voice speaks English: ``b`` as British, ``a`` as Americans do.

    >>> accent_of("bm_george"), accent_of("jf_alpha")
    ('b', 'a')
    """
    return BRITISH if voice.startswith(BRITISH) else AMERICAN
