"""Synthetic voices that add clips to a class."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from audioconv.errors import AudioconvError, ConfigError
from audioconv.lab.clips import Clip
from audioconv.lab.names import safe_stem
from audioconv.lab.project import NewClip, Project

MAX_SPOKEN = 200
"""Clips of one request."""


def are_there() -> bool:
    """Return whether there is anything that speaks."""
    try:
        return importlib.util.find_spec("espeakng_loader") is not None
    except ValueError:  # a name that was blocked
        return False


def listed() -> dict[str, Any]:
    """Return languages and voices; networks are among them if they are on this machine, since nothing is downloaded."""
    from audioconv.tts.espeak import languages
    from audioconv.tts.listing import listed as all_voices

    if not are_there():
        return {"languages": [], "engines": []}
    engines: list[dict[str, Any]] = [
        {"id": "espeak-ng", "title": "espeak-ng", "languages": None, "licence": "GPL-3.0-or-later (the program)"}
    ]
    try:
        networks = [voice for voice in all_voices() if voice.is_here]
    except AudioconvError:
        networks = []
    for name in dict.fromkeys(voice.voices for voice in networks):
        some = [voice for voice in networks if voice.voices == name]
        engines.append(
            {
                "id": name,
                "title": name.removeprefix("piper:"),
                "languages": [voice.language for voice in some],
                "licence": some[0].licence,
            }
        )
    return {
        "languages": [{"code": code, "name": name} for code, name in languages().items()],
        "engines": engines,
    }


def say(project: Project, label: str, text: object, language: object, count: object, engine: object) -> list[Clip]:
    """Add clips of a text that synthetic voices say, each another one, and return them.

    Parameters
    ----------
    project : Project
    label : str
        The class; it is made if it is not there.
    text : str
        What to say, such as the word.
    language : str
        See `tts.dataset.make`.
    count : int
        From 1 to `MAX_SPOKEN`.
    engine : str
        ``espeak-ng``, or one of the networks that `listed` names.

    Raises
    ------
    ConfigError
        If the text, the language, the count or the engine cannot be.
    MissingExtraError
        If what speaks is not installed.
    """
    from audioconv.tts.dataset import checked_words, voice_bank
    from audioconv.tts.voices import FULL_SCALE, SAMPLE_RATE

    if not isinstance(text, str) or not isinstance(language, str) or not isinstance(engine, str):
        raise ConfigError("text, language and engine must be texts")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_SPOKEN:
        raise ConfigError(f"count must be a whole number from 1 to {MAX_SPOKEN}; got {str(count)[:20]}")
    (word,) = checked_words([text])
    if engine != "espeak-ng" and engine not in {one["id"] for one in listed()["engines"]}:
        raise ConfigError(
            f"there is no voice {engine[:60]!r} on this machine; `audioconv data list --voices` lists all"
        )
    new = []
    with voice_bank(engine, language, None) as bank:
        for spoken in bank.clips(word, count, np.random.default_rng(), for_test=False):
            samples = spoken.samples.astype(np.float32) / np.float32(FULL_SCALE)
            source, licence = spoken.source or bank.source, spoken.licence or bank.licence
            stem = f"{safe_stem(spoken.voice)}_{safe_stem(word)}"
            new.append(NewClip(samples, SAMPLE_RATE, spoken.speaker[:60], source, licence, stem))
    return project.add_all(new, label, f"added {len(new):,} spoken clips to {label}")
