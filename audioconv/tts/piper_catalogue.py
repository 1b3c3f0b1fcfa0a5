"""Piper voices that can be fetched, with the licence of the recordings that each has learned from."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from audioconv.datasets.catalogue import Remote
from audioconv.errors import ConfigError, did_you_mean
from audioconv.io.files import cache_folder, display_path

REVISION = "c10ece1aade47bb51c153c893d14e5bf8e5b7117"
"""Of https://huggingface.co/rhasspy/piper-voices, where the voices are."""

UNSTATED = "?"
"""What a voice began with, where its makers do not tell."""

RESEARCH_ONLY = "en_US-lessac"
"""The voice that many began with; it has learned from recordings that are for research only (Blizzard 2013)."""

UNKNOWN = "licence not known"
"""Of a voice in a file without a model card."""

TABLE = Path(__file__).with_name("piper_voices.csv")
"""The voices. Sizes and MD5 are from the makers' own list, ``voices.json``. SHA-256 are from public projects that pin
the same file, where two or more agree. Licences are those of the makers' model cards, as public projects quote them."""

NETWORK_SUFFIX = ".onnx"


@dataclass(frozen=True)
class PiperVoice:
    """A voice: one network with one or more speakers.

    Attributes
    ----------
    name : str
        Such as ``de_DE-thorsten-medium``: locale, name and quality.
    network, config : Remote or Path
        Where its two files are.
    licence : str
        Of the recordings that it has learned from, by its SPDX identifier if it has one.
    recordings : str
        Where these are; empty where that is not known.
    begun_with : str
        The voice that its training began with; empty if with nothing, `UNSTATED` if that is not told.
    is_usual : bool
        Whether ``--voices piper`` takes it.
    person : str
        Who speaks, if that is not told by the name; for a voice of one person.
    speakers : int
        How many speak; 0 where only the file tells.
    """

    name: str
    network: Remote | Path
    config: Remote | Path
    licence: str
    recordings: str = ""
    begun_with: str = UNSTATED
    is_usual: bool = False
    person: str = ""
    speakers: int = 0

    @property
    def language(self) -> str:
        """The language's tag, such as ``de-de``; empty for a file that is not called as Piper's are."""
        match = re.match(r"([a-z]{2,3})_([A-Z]{2})-", self.name)
        return f"{match[1]}-{match[2].lower()}" if match else ""

    @property
    def download_bytes(self) -> int:
        """What there is to download, in bytes."""
        return sum(file.size or 0 for file in (self.network, self.config) if isinstance(file, Remote))

    def speaker(self, name: str) -> str:
        """Return whose voice it is: without the quality, since the same person speaks in all of them."""
        if self.person:
            return self.person
        whose = self.name.rpartition("-")[0] or self.name
        return f"{whose}-{name}" if name else whose


@cache
def catalogue() -> tuple[PiperVoice, ...]:
    """Return all voices that can be fetched, by name."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(map(_voice, csv.DictReader(file)))


def _voice(row: dict[str, str]) -> PiperVoice:
    name = row["name"]
    locale, person, quality = name.split("-")
    folder = f"https://huggingface.co/rhasspy/piper-voices/resolve/{REVISION}/"
    folder += quote(f"{locale.partition('_')[0]}/{locale}/{person}/{quality}/{name}")
    return PiperVoice(
        name,
        _remote(f"{folder}.onnx", f"{name}.onnx", row, ""),
        _remote(f"{folder}.onnx.json", f"{name}.onnx.json", row, "config_"),
        row["licence"],
        row["recordings"],
        row["begun_with"],
        row["usual"] == "yes",
        row["person"],
        int(row["speakers"]),
    )


def _remote(url: str, name: str, row: dict[str, str], which: str) -> Remote:
    return Remote(url, int(row[f"{which}size"]), row[f"{which}sha256"] or None, row[f"{which}md5"], named=name)


def download_folder() -> Path:
    """Return where the voices are kept."""
    return cache_folder("piper")


def languages(voices: Iterable[PiperVoice]) -> list[str]:
    """Return the languages of voices: two or three letters each.

    >>> languages(catalogue())[:4]
    ['bg', 'ca', 'cs', 'cy']
    """
    return sorted({voice.language.partition("-")[0] for voice in voices} - {""})


def speaks(voice: PiperVoice, language: str) -> bool:
    """Return whether a voice speaks a language, given as ``de``, ``de-DE`` or ``de_DE``.

    >>> voice = find("no_NO-nvcc-medium")
    >>> [speaks(voice, tag) for tag in ("no", "nb", "no_NO", "de")]
    [True, True, True, False]
    """
    tag = language.strip().lower().replace("_", "-")
    if tag.partition("-")[0] == "nb":  # Bokmål, by its own tag
        tag = f"no{tag[2:]}"
    return tag in (voice.language, voice.language.partition("-")[0])


def usual(language: str) -> list[PiperVoice]:
    """Return the voices that speak a language where none is named.

    Raises
    ------
    ConfigError
        If there are none, which says who else speaks it.
    """
    speaking = [voice for voice in catalogue() if speaks(voice, language)]
    if found := [voice for voice in speaking if voice.is_usual]:
        return found
    if speaking:
        told = ", ".join(f"{voice.name} ({voice.licence})" for voice in speaking)
        raise ConfigError(
            f"Piper speaks {language!r} by voices only that ask for more than their makers' names: {told}; name those "
            f"that you want: --voices piper:{speaking[0].name}"
        )
    raise ConfigError(
        f"Piper has no voice for {language!r}; it speaks {', '.join(languages(catalogue()))}. espeak-ng speaks most "
        "other languages (--voices espeak-ng; see `audioconv data list --languages`)"
    )


def find(name: str) -> PiperVoice:
    """Return a voice by its name, or that in a file, by a path with ``.onnx``; `ConfigError` if there is none."""
    if name.lower().endswith(NETWORK_SUFFIX):
        return _local(Path(name))
    voices = {voice.name: voice for voice in catalogue()}
    if name not in voices:
        meant = did_you_mean(name, voices, cutoff=0.4)
        hint = f"; {meant}" if meant else "."
        raise ConfigError(
            f"no Piper voice is called {name!r}{hint} `audioconv data list --voices` shows those that can be fetched; "
            "others are taken as a file: piper:PATH.onnx"
        )
    return voices[name]


def _local(path: Path) -> PiperVoice:
    """Return the voice in a file, with the licence that its model card tells, if one lies beside it."""
    config = path.with_name(f"{path.name}.json")
    for file in (path, config):
        if not file.is_file():
            raise ConfigError(
                f"{display_path(file)}: is no file; a Piper voice is NAME.onnx and NAME.onnx.json beside it"
            )
    card = path.with_name("MODEL_CARD")
    text = card.read_text("utf-8", "replace") if card.is_file() else ""
    licence, url = (re.search(rf"^[\s*]*{key}:[ \t]*(\S.*?)\s*$", text, re.M) for key in ("License", "URL"))
    return PiperVoice(
        path.stem, path.absolute(), config.absolute(), licence[1] if licence else UNKNOWN, url[1] if url else ""
    )


def chosen(names: Sequence[str], language: str | None) -> list[PiperVoice]:
    """Return the named voices, or else the usual ones for a language, English if it is None.

    Raises
    ------
    ConfigError
        If there is no such voice, or it speaks another language.
    """
    if not names:
        return usual("en" if language is None else language)
    voices = list(dict.fromkeys(map(find, names)))
    spoken = languages(voices)
    if len(spoken) > 1:
        raise ConfigError(f"the voices speak several languages ({', '.join(spoken)}); make a data set for each")
    for voice in voices:
        if language is not None and voice.language and not speaks(voice, language):
            raise ConfigError(f"{voice.name} speaks {voice.language}, not {language!r}; leave --language out")
    return voices
