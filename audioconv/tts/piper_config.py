"""The file ``voice.onnx.json`` of a Piper voice: how its network is asked, and the numbers of the sounds it knows."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioconv.errors import DataError
from audioconv.io.files import display_path, reason

BEGIN, PAD, END = "^", "_", "$"

ESPEAK, TEXT = "espeak", "text"
"""What a voice reads: espeak-ng's phonemes, or the letters themselves."""

RATES = (4000, 192_000)
"""Of the samples, in Hz: what is less or more is no sample rate."""


@dataclass(frozen=True)
class VoiceConfig:
    """What a voice tells of itself.

    Attributes
    ----------
    sample_rate : int
        In Hz.
    espeak_voice : str
        The language in which espeak-ng tells how a word is pronounced; empty where the voice reads letters.
    numbers : mapping of str to tuple of int
        What the network is given for a sound.
    replaced : mapping of str to tuple of str
        What stands for a sound before its numbers are looked up.
    clusters : frozenset of tuple of str
        Sounds that together are one.
    noise_scale, length_scale, noise_w : float
        How much the voice varies, how long it takes, and how much that varies.
    speakers : mapping of str to int
        The network's number of each speaker; one without a name for a voice of one speaker.
    """

    sample_rate: int
    espeak_voice: str
    numbers: Mapping[str, tuple[int, ...]]
    replaced: Mapping[str, tuple[str, ...]]
    clusters: frozenset[tuple[str, ...]]
    noise_scale: float
    length_scale: float
    noise_w: float
    speakers: Mapping[str, int]

    def sounds(self, phonemes: str) -> list[str]:
        """Return the sounds of phonemes or letters: decomposed characters (NFD), and clusters that are one sound."""
        decomposed = unicodedata.normalize("NFD", phonemes)
        letters = [each for letter in decomposed for each in self.replaced.get(letter, (letter,))]
        return _merged(letters, self.clusters) if self.clusters else letters

    def inputs(self, sounds: Iterable[str]) -> tuple[list[int], list[str]]:
        """Return the network's numbers for sounds, with padding between them, and the sounds that it does not know."""
        numbers = [*self.numbers[BEGIN], *self.numbers[PAD]]
        unknown = []
        for sound in sounds:
            if sound in self.numbers:
                numbers += [*self.numbers[sound], *self.numbers[PAD]]
            else:
                unknown.append(sound)
        return [*numbers, *self.numbers[END]], unknown


def read_config(path: Path) -> VoiceConfig:
    """Read a voice's configuration.

    Raises
    ------
    DataError
        If the file cannot be read, is no configuration of a voice, or asks for phonemes that espeak-ng does not tell.
    """
    shown = display_path(path)
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)}); it must lie beside the voice") from None
    except ValueError as error:
        raise DataError(f"{shown}: is no JSON ({error}); remove it, to have it downloaded again") from None
    try:
        return _config(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        told = f"has no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{shown}: is not the configuration of a Piper voice: {told}") from None


def _config(content: Any) -> VoiceConfig:
    if not isinstance(content, dict):
        raise ValueError(f"expected an object, got {type(content).__name__}")
    kind = content.get("phoneme_type") or ESPEAK
    if kind not in (ESPEAK, TEXT):
        raise ValueError(f"its phoneme_type is {kind!r}, of which espeak-ng knows nothing; it must be espeak or text")
    sample_rate = content["audio"]["sample_rate"]
    if not isinstance(sample_rate, int) or not RATES[0] <= sample_rate <= RATES[1]:
        raise ValueError(f"its sample_rate is {sample_rate!r}; it must be a number of {RATES[0]} to {RATES[1]} Hz")
    numbers = {sound: _numbers(sound, given) for sound, given in content["phoneme_id_map"].items()}
    for mark in (BEGIN, PAD, END):
        if mark not in numbers:
            raise ValueError(f"its phoneme_id_map has no {mark!r}")
    inference = content.get("inference") or {}
    return VoiceConfig(
        sample_rate=sample_rate,
        espeak_voice=_espeak_voice(content) if kind == ESPEAK else "",
        numbers=numbers,
        replaced={sound: tuple(map(str, given)) for sound, given in (content.get("phoneme_map") or {}).items()},
        clusters=frozenset(tuple(map(str, cluster)) for cluster in content.get("vowel_clusters") or ()),
        noise_scale=_scale(inference, "noise_scale", 0.667),
        length_scale=_scale(inference, "length_scale", 1.0),
        noise_w=_scale(inference, "noise_w", 0.8),
        speakers=_speakers(content),
    )


def _espeak_voice(content: Mapping[str, Any]) -> str:
    voice = content["espeak"]["voice"]
    if not isinstance(voice, str) or not voice:
        raise ValueError(f"its espeak voice is {voice!r}; it must be a language's name for espeak-ng")
    return voice


def _numbers(sound: str, given: Any) -> tuple[int, ...]:
    numbers = (given,) if isinstance(given, int) else tuple(given)
    if not numbers or not all(isinstance(number, int) and number >= 0 for number in numbers):
        raise ValueError(f"its phoneme_id_map has {given!r} for {sound!r}; it must be a list of numbers from 0")
    return numbers


def _scale(inference: Mapping[str, Any], name: str, default: float) -> float:
    value = inference.get(name, default)
    if not isinstance(value, int | float) or not 0 <= value < math.inf or (name == "length_scale" and value == 0):
        raise ValueError(f"its {name} is {value!r}; it must be a finite number that is not negative")
    return float(value)


def _speakers(content: Mapping[str, Any]) -> dict[str, int]:
    count = content.get("num_speakers", 1)
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"its num_speakers is {count!r}; it must be a number from 1")
    if count == 1:
        return {"": 0}
    named = {str(name): number for name, number in (content.get("speaker_id_map") or {}).items()}
    if not named:
        return {str(number): number for number in range(count)}
    if not all(isinstance(number, int) and 0 <= number < count for number in named.values()):
        raise ValueError(f"its speaker_id_map has numbers beyond 0 to {count - 1}")
    return named


def _merged(letters: Sequence[str], clusters: frozenset[tuple[str, ...]]) -> list[str]:
    """Return letters in which the longest cluster at each place is one."""
    lengths = sorted({len(cluster) for cluster in clusters}, reverse=True)
    merged, place = [], 0
    while place < len(letters):
        length = next((n for n in lengths if tuple(letters[place : place + n]) in clusters), 1)
        merged.append("".join(letters[place : place + length]))
        place += length
    return merged
