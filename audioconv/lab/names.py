"""Names of classes and of the files of clips: none of them leads out of its folder, on any system."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from audioconv.datasets.build.folder import NOISE_FOLDER
from audioconv.datasets.collection import label_of, spelled_alike
from audioconv.decision.classes import SILENCE, UNKNOWN, is_word, negative_label
from audioconv.errors import ConfigError

MODELS_FOLDER = "models"
"""Folder of models and reports, which is no class."""

MAX_NAME = 60
"""Letters of a class or a speaker."""

_MAX_STEM = 60
_FORBIDDEN = re.compile(r'[\\/:*?"<>|]')
_OF_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)


def role_of(label: str) -> str:
    """Return what a class is for: ``word``, ``background`` or ``unknown``.

    >>> role_of("yes"), role_of("_background_noise_"), role_of("_unknown_")
    ('word', 'background', 'unknown')
    """
    if label == NOISE_FOLDER:
        return "background"
    return {UNKNOWN: "unknown", SILENCE: "background"}.get(negative_label(label) or label, "word")


def checked_class(name: object) -> str:
    """Return the name of a new class, which is the name of its folder.

    Raises
    ------
    ConfigError
        If it is no name for a folder on every system, or one with another meaning.
    """
    text = _text(name, "a class")
    if found := _FORBIDDEN.search(text):
        raise ConfigError(f"a class is a folder, whose name cannot have {found[0]!r}; leave it out")
    if text.startswith(".") or text.endswith("."):
        raise ConfigError("the name of a class must not begin or end with a dot")
    if _OF_WINDOWS.match(text) or text.casefold() in (MODELS_FOLDER, "__macosx", "__pycache__"):
        raise ConfigError(f"{text!r} has another meaning as a folder; choose another name")
    if not is_word(text) and text not in (NOISE_FOLDER, UNKNOWN, SILENCE):
        raise ConfigError(
            f"names that begin and end with an underscore are {NOISE_FOLDER}, {UNKNOWN} and {SILENCE}; "
            "choose another name"
        )
    return text


def checked_speaker(name: object) -> str | None:
    """Return the name of a speaker, None for an empty one; `ConfigError` for what cannot be one."""
    return _text(name, "a speaker") if name not in (None, "") else None


def _text(name: object, what: str) -> str:
    if not isinstance(name, str):
        raise ConfigError(f"the name of {what} must be a text; got {type(name).__name__}")
    text = " ".join(unicodedata.normalize("NFC", name).split())
    if not 0 < len(text) <= MAX_NAME or len(text.encode("utf-8", "replace")) > 200:
        raise ConfigError(f"the name of {what} has 1 to {MAX_NAME} letters; got {len(text)}")
    if not text.isprintable() or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ConfigError(f"the name of {what} has characters that cannot be printed")
    return text


def same_class(name: str, labels: Iterable[str]) -> str | None:
    """Return the one of `labels` that differs from `name` in case only, None where there is none."""
    wanted = spelled_alike(label_of(name))
    return next((label for label in labels if spelled_alike(label) == wanted), None)


def safe_stem(text: str) -> str:
    """Return letters, digits, dashes and underscores of `text`, for the name of a file.

    >>> safe_stem("../Anna B. <b>"), safe_stem("")
    ('Anna-B-b', 'take')
    """
    stem = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFC", text)).strip("-_")
    stem = stem.encode("utf-8", "ignore")[:_MAX_STEM].decode("utf-8", "ignore")
    return stem if stem and not _OF_WINDOWS.match(stem) else "take"


def new_stem(who: str | None) -> str:
    """Return the beginning of a clip's name: the speaker (or ``take``) and the time."""
    return f"{safe_stem(who or '')}_{time.strftime('%Y%m%d-%H%M%S')}"


def free_path(folder: Path, stem: str, suffix: str, taken: Iterable[Path] = (), *, numbered: bool = True) -> Path:
    """Return a path in `folder` at which nothing is: ``STEM_N.SUFFIX``, or without number where `numbered` is False.

    `taken` are paths that will be there soon.
    """
    soon = set(taken)
    number = 1
    path = folder / (f"{stem}_{number}{suffix}" if numbered else f"{stem}{suffix}")
    while path in soon or path.exists() or path.is_symlink():
        number += 1
        path = folder / f"{stem}_{number}{suffix}"
    return path
