"""Voices of Kokoro-82M, a neural network with 54 voices and mixtures of them.

Kokoro (hexgrad, 2025, https://huggingface.co/hexgrad/Kokoro-82M) is under the Apache License 2.0, and learned from
recordings. ONNX Runtime runs it (extra ``kokoro``) in the form that kokoro-onnx publishes, whose two files are
downloaded once and verified. espeak-ng says how words are pronounced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.endpoints import MARGIN_SECONDS, NOISELESS, sounding
from audioconv.datasets.catalogue import Remote
from audioconv.datasets.download.mirror import obtain
from audioconv.errors import ConfigError, DataError, missing_extra
from audioconv.io.files import cache_folder, display_path
from audioconv.tts.espeak_process import Speaker
from audioconv.tts.voices import FULL_SCALE, SpokenClip, as_clip, is_kept_for_test

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

SPEEDS = (0.75, 1.4)
NEAREST = (0.5, 1.0)
"""How much of a voice is its speaker's, the rest somebody else's."""
ENDINGS = ("", ".", "!", "?", ",")
"""What stands behind a word and bends its melody."""

PEAK = 0.6

# Voices are called "am_adam": the first letter is the language they are of. Those of other languages than English
# speak it as Americans do, with a timbre of their own.
_BRITISH, _AMERICAN = "b", "a"
ACCENTS = {_AMERICAN: "gmw/en-US", _BRITISH: "gmw/en"}
LANGUAGES = {"en": "", "en-us": _AMERICAN, "en-gb": _BRITISH}
"""The language tags, and which voices are of that accent; empty for all."""

# The network's letters for sounds of English, and their numbers: a part of the table in the model's config.json.
LETTERS = {
    **dict(zip(";:,.!?", range(1, 7), strict=True)), " ": 16, "A": 24, "I": 25, "O": 31, "Q": 33, "W": 39, "Y": 41,
    "ᵊ": 42, "a": 43, "b": 44, "d": 46, "f": 48, "h": 50, "i": 51, "j": 52, "k": 53, "l": 54, "m": 55, "n": 56,
    "p": 58, "s": 61, "t": 62, "u": 63, "v": 64, "w": 65, "z": 68, "ɑ": 69, "ɒ": 71, "æ": 72, "ɔ": 76, "ð": 81,
    "ʤ": 82, "ə": 83, "ɛ": 86, "ɜ": 87, "ɡ": 92, "ɪ": 102, "ŋ": 112, "θ": 119, "ɹ": 123, "ɾ": 125, "ʃ": 131,
    "ʧ": 133, "ʊ": 135, "ʌ": 138, "ʒ": 147, "ˈ": 156, "ˌ": 157, "ː": 158, "ᵻ": 177,
}  # fmt: skip

# espeak-ng's letters in the network's, in this order. The network has one letter for each diphthong and affricate.
_SOUNDS = (
    ("e^ɪ", "A"), ("a^ɪ", "I"), ("a^ʊ", "W"), ("ɔ^ɪ", "Y"), ("t^ʃ", "ʧ"), ("d^ʒ", "ʤ"), ("ʔn\u0329", "tᵊn"),
    ("n\u0329", "ᵊn"), ("ə^l", "ᵊl"), ("ʔ", "t"), ("ɐ", "ə"), ("r", "ɹ"), ("x", "k"),
)  # fmt: skip
_AMERICAN_SOUNDS = (
    ("o^ʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɚɹ", "əɹ"), ("ɚ", "əɹ"), ("i^əɹ", "iɹ"), ("oː", "ɔ"), ("ː", ""),
)  # fmt: skip
_BRITISH_SOUNDS = (("ə^ʊ", "Q"), ("e^ə", "ɛː"), ("i^ə", "ɪə"), ("ʊ^ə", "ʊə"))


class _Request(NamedTuple):
    """What the network is to say, and how."""

    letters: str
    style: NDArray[np.float32]
    speed: float


class KokoroVoices:
    """All voices, each mixed with another; a `voices.VoiceBank`.

    Each clip has a voice in turn, a second one mixed into it, a speed and an ending drawn at random. The same seed
    gives the same clips on the same processor; on another they differ by rounding.

    Parameters
    ----------
    language : str
        One of `LANGUAGES`.
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

    def __init__(self, language: str, on_download: Callable[[str, int, int | None], None] | None = None) -> None:
        tag = language.strip().lower().replace("_", "-")
        if tag not in LANGUAGES:
            raise ConfigError(
                f"Kokoro speaks {', '.join(LANGUAGES)}; got {language!r}: take the voices of espeak-ng for others"
            )
        self.identity: Mapping[str, object] = {"synth": self.source, "language": tag}
        try:
            import onnxruntime
        except ImportError:
            raise missing_extra("Kokoro's voices", "kokoro") from None
        self.speaker = Speaker()
        try:
            folder = download_folder()
            network, styles = (
                obtain(file, folder, on_download and _named(on_download, "downloading Kokoro"))
                for file in (NETWORK, STYLES)
            )
            options = onnxruntime.SessionOptions()
            # A clip a thread: two threads on two clips are faster than on one, and the bits are always the same.
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 3
            with _readable(network):
                self._session = onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])
            with _readable(styles), styles.open("rb") as file, np.load(file) as voices:
                self.voices = {name: voices[name] for name in sorted(voices.files) if _speaks(name, LANGUAGES[tag])}
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
        spoken = {accent: self.letters(word, accent) for accent in ACCENTS}
        turns = cycle(rng.permutation(len(names)))
        speakers = [names[next(turns)] for _ in range(count)]
        requests = []
        for speaker in speakers:
            other = names[int(rng.integers(len(names)))]
            letters = spoken[accent_of(speaker)] + str(rng.choice(ENDINGS))
            nearest = np.float32(rng.uniform(*NEAREST))
            length = len(letters) - 1  # a voice has a style for each length of a text
            style = nearest * self.voices[speaker][length] + (1 - nearest) * self.voices[other][length]
            requests.append(_Request(letters, style, rng.uniform(*SPEEDS)))
        for speaker, samples in zip(speakers, self._threads.map(self._say, requests), strict=True):
            yield SpokenClip(as_clip(trimmed(samples), SAMPLE_RATE), speaker, speaker)

    def letters(self, word: str, accent: str) -> str:
        """Return the network's letters for a word, as Americans ('a') or British ('b') say it."""
        letters = to_letters(self.speaker.ipa(word, ACCENTS[accent]), accent)
        longest = min(len(voice) for voice in self.voices.values()) - max(map(len, ENDINGS))
        if not any(letter.isalpha() for letter in letters):
            raise ConfigError(f"Kokoro cannot say {word!r}: espeak-ng knows no sound of English for it")
        if len(letters) > longest:
            raise ConfigError(
                f"Kokoro cannot say {word!r}: of its {len(letters)} sounds {longest} are possible at most"
            )
        return letters

    def _say(self, request: _Request) -> NDArray[np.float32]:
        tokens = [0, *(LETTERS[letter] for letter in request.letters), 0]
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
    return _BRITISH if voice.startswith(_BRITISH) else _AMERICAN


def sounds_of(accent: str) -> tuple[tuple[str, str], ...]:
    """Return what of espeak-ng's letters becomes what, in this order, in an accent: ``a`` or ``b``."""
    return _SOUNDS + (_BRITISH_SOUNDS if accent == _BRITISH else _AMERICAN_SOUNDS)


def to_letters(ipa: str, accent: str) -> str:
    """Return espeak-ng's International Phonetic Alphabet in the network's letters, without what it does not know.

    >>> to_letters("zˈi^əɹo^ʊ", "a"), to_letters("wˌʌn", "b")
    ('zˈiɹO', 'wˈʌn')
    """
    for theirs, ours in sounds_of(accent):
        ipa = ipa.replace(theirs, ours)
    if "ˈ" not in ipa:  # a word alone is stressed
        ipa = ipa.replace("ˌ", "ˈ", 1) if "ˌ" in ipa else f"ˈ{ipa}"
    known = "".join(letter for letter in ipa if letter in LETTERS)
    return re.sub(" +", " ", known).strip()


def trimmed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a word with `MARGIN_SECONDS` of the silence around it, `PEAK` of `FULL_SCALE` loud.

    Parameters
    ----------
    samples : array (T,) float32
        At `SAMPLE_RATE`.
    """
    peak = np.abs(samples).max(initial=0)
    if peak == 0:
        return samples[:0]
    begin, end = sounding(samples, SAMPLE_RATE, NOISELESS)
    margin = round(MARGIN_SECONDS * SAMPLE_RATE)
    return samples[max(0, begin - margin) : end + margin] * np.float32(PEAK * FULL_SCALE / peak)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Tell what to do about a file that is not what was downloaded: each library says that in a way of its own."""
    try:
        yield
    except Exception as error:
        raise DataError(
            f"{display_path(path)}: cannot be read ({error}); remove it, to have it downloaded again"
        ) from None


def _speaks(voice: str, accent: str) -> bool:
    return accent in ("", accent_of(voice))


def _named(show: Callable[[str, int, int | None], None], doing: str) -> Callable[[int, int | None], None]:
    return lambda done, total: show(doing, done, total)
