"""Voices of espeak-ng, a formant synthesiser of some 140 languages and accents.

espeak-ng is free software under the GNU General Public License 3; it comes with the extra ``synth`` (package
``espeakng-loader``) and runs as a program of its own beside audioconv, which is under the MIT licence. The sounds it
makes are its output, not a copy of it; see ``data/README.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.endpoints import MIN_SECONDS
from audioconv.errors import ConfigError, did_you_mean
from audioconv.tts.espeak_process import Speaker, Utterance, Voice
from audioconv.tts.voices import SAMPLE_RATE, SpokenClip, as_clip, is_kept_for_test

# Drawn evenly; words a minute, and espeak-ng's scales from 0 to 99 (50 is the voice's own).
RATES = (110, 230)
PITCHES = (25, 75)
PITCH_RANGES = (20, 80)

MIN_PEAK = 1000
"""A clip whose peak is lower (of 32767) holds no word: some voices do not speak some texts."""

ATTEMPTS = 20
LICENCE = "synthetic speech (made with espeak-ng, a program under GPL-3.0-or-later)"


class EspeakVoices:
    """All accents of a language, each in all timbres; a `voices.VoiceBank`.

    Each clip has a timbre, an accent, a speaking rate, a pitch and a pitch range drawn at random.

    Parameters
    ----------
    language : str
        One of `languages`: ``"en"`` takes all accents of English, ``"en-gb-scotland"`` one.

    Attributes
    ----------
    speaker : Speaker
        espeak-ng itself.
    accents : list of Voice

    Raises
    ------
    ConfigError
        If there is no such language.
    MissingExtraError
        If espeak-ng is not installed.
    """

    licence = LICENCE
    keeps_test_voices = True

    def __init__(self, language: str) -> None:
        self.speaker = Speaker()
        try:
            self.accents = accents_of(self.speaker.voices, language)
        except BaseException:
            self.speaker.close()
            raise
        self.source = f"espeak-ng {self.speaker.version}"
        self.identity: Mapping[str, object] = {"synth": self.speaker.version, "language": language}

    def __enter__(self) -> Self:
        """Return these voices."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End espeak-ng."""
        self.speaker.close()

    def clips(self, word: str, count: int, rng: np.random.Generator, *, for_test: bool) -> Iterator[SpokenClip]:
        """Yield `count` clips of `word`, by the timbres that are kept for a test or by the others."""
        timbres = [timbre for timbre in self.speaker.variants if is_kept_for_test(family(timbre)) == for_test]
        # Each timbre in turn, so that few clips have many of them.
        turns = cycle(rng.permutation(len(timbres)))
        for _ in range(count):
            for turn in islice(turns, ATTEMPTS):
                accent = self.accents[int(rng.integers(len(self.accents)))]
                rate, pitch, pitch_range = (int(rng.integers(*ends)) for ends in (RATES, PITCHES, PITCH_RANGES))
                utterance = Utterance(word, f"{accent.identifier}+{timbres[turn]}", rate, pitch, pitch_range)
                spoken = np.frombuffer(self.speaker.say(utterance), np.int16)
                samples = as_clip(spoken.astype(np.float32), self.speaker.sample_rate)
                if _is_sound(samples):
                    timbre = re.sub(r"[^A-Za-z0-9]", "_", timbres[turn])
                    yield SpokenClip(samples, f"{accent.tag}+{timbre}", family(timbres[turn]))
                    break
            else:
                raise ConfigError(
                    f"espeak-ng has no sound for {word!r} in {self.accents[0].name}; try another language"
                )


def _is_sound(samples: NDArray[np.int16]) -> bool:
    peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
    return peak >= MIN_PEAK and len(samples) >= MIN_SECONDS * SAMPLE_RATE


def family(timbre: str) -> str:
    """Return the name under which a timbre is filed: those that differ in a number only are near copies.

    >>> family("iven3"), family("f5")
    ('iven', 'f5')
    """
    stem = timbre.lower().rstrip("0123456789")
    return stem if len(stem) > 1 else timbre.lower()  # f1 to f5 and m1 to m8 are voices of their own


def languages() -> dict[str, str]:
    """Return what espeak-ng can speak: the name of each language or accent by its tag.

    Raises
    ------
    MissingExtraError
        If espeak-ng is not installed.
    """
    with Speaker() as speaker:
        return _names_by_tag(speaker.voices)


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
    known = [wanted] if wanted in tags else tags
    meant = did_you_mean(wanted, known, shown=lambda word: f"{tags[word]} ({names[tags[word]]})", most=4)
    return f"; {meant or 'audioconv data list --languages lists them'}"
