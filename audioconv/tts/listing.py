"""Which voices there are: who speaks which language, under which licence, and what of it is on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audioconv.datasets.download.mirror import held
from audioconv.errors import ConfigError, MissingExtraError
from audioconv.tts import espeak, kokoro, piper_catalogue
from audioconv.tts.espeak_process import Speaker
from audioconv.tts.kokoro_letters import LANGUAGES
from audioconv.tts.piper_catalogue import PiperVoice

KOKORO_VOICES = 54


@dataclass(frozen=True)
class ListedVoice:
    """Voices that are asked for by one name.

    Attributes
    ----------
    language : str
        The tag.
    voices : str
        What ``--voices`` takes.
    speakers : int or None
        How many; None for timbres that are nobody's.
    licence : str
        Of the recordings (Piper), of the network (Kokoro) or of the program (espeak-ng).
    recordings, begun_with : str
        As `PiperVoice` has them; empty for others.
    is_usual : bool
        Whether they speak where no voices are named but the program.
    download_bytes : int
        What there is to download; 0 where nothing is.
    is_here : bool
        Whether no download is needed.
    """

    language: str
    voices: str
    speakers: int | None
    licence: str
    recordings: str
    begun_with: str
    is_usual: bool
    download_bytes: int
    is_here: bool


def listed(language: str | None = None) -> list[ListedVoice]:
    """Return the voices that are networks, by language; or all that speak one language, espeak-ng's first.

    Raises
    ------
    ConfigError
        If nobody speaks the language.
    MissingExtraError
        If espeak-ng alone may speak it, and is not installed.
    """
    networks = sorted((*_kokoro(), *_piper()), key=lambda voice: (voice.language.partition("-")[0], voice.voices))
    if language is None:
        return networks
    speaking = [voice for voice in networks if _speaks(voice, language)]
    return [*_espeak(language, is_alone=not speaking), *speaking]


def is_here(voice: PiperVoice) -> bool:
    """Return whether a voice's files are on this machine, by their sizes."""
    return all(
        file.is_file() if isinstance(file, Path) else held(file, piper_catalogue.download_folder()) is not None
        for file in (voice.network, voice.config)
    )


def kokoro_folder() -> Path | None:
    """Return the folder with Kokoro's network; None if it is not on this machine."""
    found = [held(file, kokoro.download_folder()) for file in (kokoro.NETWORK, kokoro.STYLES)]
    return found[0].parent if found[0] and found[1] else None


def _kokoro() -> Iterator[ListedVoice]:
    size = sum(file.size or 0 for file in (kokoro.NETWORK, kokoro.STYLES))
    is_here = kokoro_folder() is not None
    for tag in LANGUAGES:
        if "-" not in tag:
            yield ListedVoice(tag, "kokoro", KOKORO_VOICES, "Apache-2.0", "", "", True, size, is_here)


def _piper() -> Iterator[ListedVoice]:
    for voice in piper_catalogue.catalogue():
        yield ListedVoice(
            voice.language,
            f"piper:{voice.name}",
            1 if voice.person else voice.speakers,
            voice.licence,
            voice.recordings,
            voice.begun_with,
            voice.is_usual,
            voice.download_bytes,
            is_here(voice),
        )


def _speaks(voice: ListedVoice, language: str) -> bool:
    tag = language.strip().lower().replace("_", "-")
    if voice.voices == "kokoro":
        return set(LANGUAGES.get(tag, "?")) <= set(LANGUAGES[voice.language])
    return piper_catalogue.speaks(piper_catalogue.find(voice.voices.partition(":")[2]), tag)


def _espeak(language: str, *, is_alone: bool) -> Iterator[ListedVoice]:
    """Yield espeak-ng's voices if it speaks a language; why it does not is an error if nobody else speaks it."""
    try:
        with Speaker() as speaker:
            espeak.accents_of(speaker.voices, language)
    except (ConfigError, MissingExtraError):
        if is_alone:
            raise
        return
    yield ListedVoice(
        language.strip().lower(), "espeak-ng", None, "GPL-3.0-or-later (the program)", "", "", True, 0, True
    )
