"""Layout of the bank of negatives: read speech, everyday sounds and noise, out of three public archives."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from audioconv.datasets.archives.reader import Archive, Member, Progress
from audioconv.datasets.archives.safety import DamagedArchiveError
from audioconv.datasets.build.layouts import Esc10, Layout, Options
from audioconv.datasets.catalogue import NEGATIVES, NOISE, SOUNDS, SPEECH, Source, find
from audioconv.datasets.collection import Item
from audioconv.errors import DataError
from audioconv.io.files import write_atomic

TRANSCRIPTS_NAME, TRANSCRIPT_COLUMNS = "transcripts.csv", ("file", "speaker", "text")
"""The table of transcripts, of the names of sounds, and of speakers."""

LICENCES_FOLDER = "licences"
"""Folder of the files in the archives that name authors and licences."""


class Negatives(Layout):
    """LibriSpeech's utterances, the sounds of ESC-10 and the background noises of Speech Commands; a class each.

    The classes are the parts of the source in the catalogue, and the wanted words choose among them.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._sounds = Esc10(Options())
        self._texts: dict[str, str] = {}
        self._licences: dict[str, bytes] = {}

    @property
    def _parts(self) -> Mapping[str, Source]:
        """The parts that are wanted."""
        words = self.options.words
        return {
            label: part
            for label, part in find(NEGATIVES).parts.items()
            if words is None or words.label(label) is not None
        }

    def prepare(self, archives: Sequence[Archive], progress: Progress | None = None) -> None:
        """Read the table of the sounds."""
        if SOUNDS in self._parts:
            # A ZIP file, as that of the sounds, has a directory: the others would be unpacked to look for the table.
            by_kind = sorted(archives, key=lambda archive: archive.path.suffix.lower() != ".zip")
            try:
                self._sounds.prepare(by_kind, progress)
            except DamagedArchiveError:
                raise
            except DataError:
                raise self._without([SOUNDS]) from None

    def item(self, name: PurePosixPath) -> Item | None:
        """Return what a recording is: speech by its speaker, a sound by its source, or noise."""
        if utterance := re.fullmatch(r"(\d+)-\d+-\d+\.flac", name.name):
            return self._of(SPEECH, name, utterance[1])
        if name.parent.name == "_background_noise_" and name.suffix.lower() in (".wav", ".flac"):
            return self._of(NOISE, name, None)
        sound = self._sounds.item(name)
        if sound is None:
            return None
        # What a sound is stands for what is said: a classifier of barking dogs must not learn to reject them.
        self._texts[name.stem] = sound.label.replace("_", " ")
        return self._of(SOUNDS, name, sound.speaker)

    def _of(self, label: str, name: PurePosixPath, speaker: str | None) -> Item:
        part = find(NEGATIVES).parts[label]
        return Item(Path(name.name), label, speaker, source=part.title, licence=part.licence)

    def is_noise(self, name: PurePosixPath) -> bool:
        """Return False: noise is a class here."""
        return False

    def look(self, member: Member) -> None:
        """Read transcripts, and the files that name authors."""
        name = member.name
        if name.name.endswith(".trans.txt"):
            for line in member.read().decode("utf-8", "replace").splitlines():
                utterance, _, text = line.partition(" ")
                self._texts[utterance] = text.strip()
        elif len(name.parts) <= 2 and re.fullmatch(r"(licen[cs]e|speakers)(\.txt|\.md)?", name.name, re.IGNORECASE):
            self._licences[f"{name.parent.name or 'speech-commands'}-{name.name}"] = member.read()

    def finish(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items without splits; `DataError` where a part that is wanted has none."""
        found = list(items)
        labels = {label: self.label(Item(Path(), label)) for label in self._parts}
        missing = [part for part, label in labels.items() if label not in {item.label for item in found}]
        if missing:
            raise self._without(missing)
        return (replace(item, split=None) for item in found)

    def _without(self, missing: Sequence[str]) -> DataError:
        others = ",".join(part for part in self._parts if part not in missing)
        way = f"do without, with --words {others}" if others else "give others"
        return DataError(f"{NEGATIVES}: the archives have no {' and no '.join(missing)}; add what has, or {way}")

    def write_more(self, folder: Path, items: Sequence[Item]) -> None:
        """Write the transcripts, and the files that name authors."""
        with write_atomic(folder / TRANSCRIPTS_NAME, "w") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(TRANSCRIPT_COLUMNS)
            for item in sorted(items, key=lambda item: item.path):
                path = item.path.relative_to(folder)
                writer.writerow([path.as_posix(), item.speaker or "", self._texts.get(path.stem, "")])
        for name, content in self._licences.items():
            (folder / LICENCES_FOLDER).mkdir(exist_ok=True)
            (folder / LICENCES_FOLDER / name).write_bytes(content)
