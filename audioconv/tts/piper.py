"""Voices of Piper: a network for each, in some thirty languages.

Piper (Michael Hansen and the Open Home Foundation, https://github.com/OHF-Voice/piper1-gpl) publishes networks of one
kind, VITS (Kim, Kong and Son, 2021, https://arxiv.org/abs/2106.06103), that people have trained with recordings of
speakers. Each is a file ``voice.onnx``, and ``voice.onnx.json`` beside it. ONNX Runtime runs them (extra ``piper``);
espeak-ng says how words are pronounced. The program Piper itself is not needed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from audioconv.datasets.catalogue import Remote
from audioconv.datasets.download.mirror import obtain
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path
from audioconv.tts.espeak_process import Speaker
from audioconv.tts.onnx_voices import (
    AGAIN,
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
from audioconv.tts.piper_catalogue import PiperVoice, download_folder
from audioconv.tts.piper_config import VoiceConfig, read_config
from audioconv.tts.voices import SpokenClip, as_clip, kept_for_test

SHOWN_SOUNDS = 12
"""At most so many sounds that a voice does not know are listed."""

_NOISE_SEED = 0
_LOG = logging.getLogger("audioconv")


class PiperVoices:
    """Speakers of one or more Piper voices of a language; a `voices.VoiceBank`.

    Each clip has a speaker in turn, a speed and an ending drawn at random; the network adds variation of its own, as
    much as the voice's makers advise. The same seed gives the same clips on the same processor.

    Parameters
    ----------
    voices : sequence of PiperVoice
        Whose; at least one.
    on_download : callable, optional
        Called as the files come in, with what is done, and the bytes so far and in all.

    Raises
    ------
    ConfigError
        If espeak-ng does not know the language of a voice.
    DataError
        If a voice cannot be downloaded or read.
    MissingExtraError
        If ONNX Runtime or espeak-ng are not installed.
    """

    source = "Piper"

    def __init__(self, voices: Sequence[PiperVoice], on_download: OnDownload | None = None) -> None:
        onnxruntime = runtime("speech by Piper", "piper")
        self._espeak = Speaker()
        try:
            # The networks draw their noise from the runtime's generators, which begin with this seed in each session.
            onnxruntime.set_seed(_NOISE_SEED)
            self._voices = [_Voice(voice, self._espeak, onnxruntime, on_download) for voice in voices]
        except BaseException:
            self._espeak.close()
            raise
        self.licence = "; ".join(dict.fromkeys(voice.licence for voice in self._voices))
        self.identity: Mapping[str, object] = {
            "synth": f"{self.source}, espeak-ng {self._espeak.version}",
            "voices": [f"{voice.about.name} {voice.digest}" for voice in self._voices],
        }
        speakers = [(voice, name) for voice in self._voices for name in voice.config.speakers]
        kept = kept_for_test(voice.about.speaker(name) for voice, name in speakers)
        self._speakers = {
            for_test: [(voice, name) for voice, name in speakers if (voice.about.speaker(name) in kept) == for_test]
            for for_test in (False, True)
        }
        self.keeps_test_voices = bool(kept)

    def __enter__(self) -> Self:
        """Return these voices."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End espeak-ng, and tell once of sounds that voices do not know."""
        self._espeak.close()
        for voice in self._voices:
            if voice.unknown and error is None:
                shown = ", ".join(f"{sound!r} ({times} x)" for sound, times in voice.unknown.most_common(SHOWN_SOUNDS))
                more = len(voice.unknown) - SHOWN_SOUNDS
                _LOG.warning(
                    "%s does not know these sounds, and left them out: %s%s",
                    voice.about.name, shown, f" and {more} more" if more > 0 else "",
                )  # fmt: skip

    def clips(self, word: str, count: int, rng: np.random.Generator, *, for_test: bool) -> Iterator[SpokenClip]:
        """Yield `count` clips of `word`, by the speakers who are kept for a test or by the others.

        `ConfigError` if a voice knows no sound of it, or nobody is kept for a test.
        """
        speakers = self._speakers[for_test]
        if count and not speakers:
            raise ConfigError("Piper's voices have one speaker only, and none for a test")
        turns = cycle(rng.permutation(len(speakers)))
        # One after the other: the noise of a clip follows from how many the session has made before it.
        for turn in [next(turns) for _ in range(count)]:
            voice, name = speakers[turn]
            ending, speed = str(rng.choice(ENDINGS)), rng.uniform(*SPEEDS)
            samples = trimmed(voice.say(word, name, ending, speed, self._espeak), voice.config.sample_rate)
            clip = as_clip(samples, voice.config.sample_rate)
            speaker = voice.about.speaker(name)
            # Names come from a file; this one becomes that of a file.
            yield SpokenClip(clip, re.sub(r"[^\w+-]", "_", speaker), speaker, voice.source, voice.licence)


class _Voice:
    """A voice whose files are here.

    Attributes
    ----------
    about : PiperVoice
    config : VoiceConfig
    digest : str
        Of the network's file.
    source, licence : str
        As the manifest has them.
    unknown : Counter
        How often which sounds had to be left out.
    """

    def __init__(self, about: PiperVoice, espeak: Speaker, onnxruntime: Any, on_download: OnDownload | None) -> None:
        self.about = about
        self.config: VoiceConfig = read_config(_here(about.config, about, on_download))
        self._path = _here(about.network, about, on_download)
        self._advice = AGAIN if isinstance(about.network, Remote) else "is it a Piper voice?"
        self._session = open_session(onnxruntime, self._path, threads=os.cpu_count() or 1, advice=self._advice)
        self._takes = _inputs(self._session, self.config, self._path)
        if self.config.espeak_voice and not espeak.ipa("a", self.config.espeak_voice):
            raise ConfigError(
                f"{about.name} has words pronounced as espeak-ng's {self.config.espeak_voice!r}, which espeak-ng "
                f"{espeak.version} does not have"
            )
        self.digest = about.network.md5 if isinstance(about.network, Remote) else _digest(self._path)
        self.source = f"Piper {about.name}" + (f" ({about.recordings})" if about.recordings else "")
        self.licence = f"synthetic speech (made with the Piper voice {about.name}: {about.licence})"
        self.unknown: Counter[str] = Counter()
        self._numbers: dict[tuple[str, str], list[int]] = {}

    def say(self, word: str, speaker: str, ending: str, speed: float, espeak: Speaker) -> NDArray[np.float32]:
        """Return samples (T,) of a word, float32 at the voice's rate."""
        numbers = self._numbers_of(word, ending, espeak)
        config = self.config
        inputs = {
            "input": np.array([numbers], np.int64),
            "input_lengths": np.array([len(numbers)], np.int64),
            "scales": np.array([config.noise_scale, config.length_scale / speed, config.noise_w], np.float32),
            "sid": np.array([config.speakers[speaker]], np.int64),
        }
        with readable(self._path, self._advice):
            samples = self._session.run(None, {name: inputs[name] for name in self._takes})[0]
        samples = np.asarray(samples, np.float32).ravel()
        if not np.isfinite(samples).all() or not np.any(samples):
            raise DataError(f"{display_path(self._path)}: makes no sound of {word!r}; is it a Piper voice?")
        return samples

    def _numbers_of(self, word: str, ending: str, espeak: Speaker) -> list[int]:
        """Return what the network is given for a word; sounds that it does not know are counted the first time."""
        if (word, ending) not in self._numbers:
            config = self.config
            phonemes = espeak.ipa(word, config.espeak_voice, tie=False) if config.espeak_voice else word
            if not config.espeak_voice and not set(config.sounds(word)) <= set(config.numbers):
                phonemes = word.casefold()  # a voice that reads letters may have the small ones only
            sounds = config.sounds(phonemes.strip())
            numbers, unknown = config.inputs([*sounds, *(ending if ending in config.numbers else "")])
            if not any(sound in config.numbers and is_sound(sound) for sound in sounds):
                raise ConfigError(f"{self.about.name} cannot say {word!r}: it knows none of its sounds")
            if all(said != word for said, _ in self._numbers):
                self.unknown.update(unknown)
            self._numbers[word, ending] = numbers
        return self._numbers[word, ending]


def _here(file: Remote | Path, about: PiperVoice, on_download: OnDownload | None) -> Path:
    if isinstance(file, Path):
        return file
    return obtain(file, download_folder(), named(on_download, f"downloading {about.name}"))


def _inputs(session: Any, config: VoiceConfig, path: Path) -> list[str]:
    """Return the names of a network's inputs; `DataError` if they are not those of a Piper voice."""
    names = [each.name for each in session.get_inputs()]
    needed = ["input", "input_lengths", "scales", *(["sid"] if len(config.speakers) > 1 else [])]
    if not set(needed) <= set(names) <= {*needed, "sid"}:
        raise DataError(
            f"{display_path(path)}: is not a Piper voice: it needs the inputs {', '.join(needed)}, and has "
            f"{', '.join(names) or 'none'}"
        )
    return names


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
