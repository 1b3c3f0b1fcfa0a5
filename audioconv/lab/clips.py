"""Clips of a project: rows of its manifest, and the files in its folder."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from audioconv.audio.read import AUDIO_SUFFIXES
from audioconv.datasets.collection import Item, Kind, label_of
from audioconv.datasets.folder import speaker_in_name
from audioconv.datasets.manifest import MANIFEST_NAME, listed_items, write_rows
from audioconv.datasets.table import read_table
from audioconv.images.read import IMAGE_SUFFIXES
from audioconv.io.files import display_path
from audioconv.lab.names import MODELS_FOLDER

NOT_CLASSES = frozenset({MODELS_FOLDER, "__MACOSX", "__pycache__"})
"""Folders beside the classes that are none."""

_COLUMNS = frozenset({"#", "path", "label", "speaker", "split", "begin", "end", "source", "licence", "license"})


@dataclass(frozen=True)
class Clip:
    """A clip of a project.

    Attributes
    ----------
    item : Item
    listed : str
        Its path as the manifest has it: relative to the folder, with slashes; absolute for a file elsewhere.
    more : mapping of str to str
        Further columns of its row.
    """

    item: Item
    listed: str
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Which clip it is: the path, and the part of the recording where it is one; it can always be printed."""
        shown = display_path(self.listed)
        return shown if self.item.begin is None else f"{shown}#{self.item.begin:.6g}-{self.item.end:.6g}"

    @property
    def is_inside(self) -> bool:
        """Whether its file lies in the project's folder."""
        return not os.path.isabs(self.listed) and not self.listed.startswith("../")

    @property
    def editable(self) -> bool:
        """Whether the file is the clip's own and may be changed, moved and removed."""
        return self.is_inside and self.item.begin is None

    @property
    def folder(self) -> str:
        """The folder of its file, as in `listed`."""
        return self.listed.rpartition("/")[0]

    def to_row(self) -> dict[str, Any]:
        """Return the row as JSON-compatible data, for the history."""
        item = self.item
        row: dict[str, Any] = {"path": self.listed, "label": item.label, "speaker": item.speaker, "split": item.split}
        row |= {"begin": item.begin, "end": item.end, "source": item.source, "licence": item.licence}
        return {name: value for name, value in row.items() if value is not None} | {"more": dict(self.more)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any], folder: Path) -> Clip:
        """Return the clip of what `to_row` has returned."""
        fields = {name: row.get(name) for name in ("speaker", "split", "begin", "end", "source", "licence")}
        return cls(Item(folder / row["path"], row["label"], **fields), row["path"], row.get("more", {}))

    def changed(self, folder: Path, listed: str | None = None, **fields: Any) -> Clip:
        """Return the clip with another path or other fields of its item."""
        listed = self.listed if listed is None else listed
        return replace(self, item=replace(self.item, path=folder / listed, **fields), listed=listed)


def read_clips(folder: Path) -> list[Clip]:
    """Return the rows of a folder's manifest, whether their files exist or not; `DataError` if it cannot be read."""
    path = folder / MANIFEST_NAME
    table = read_table(path)
    items, _ = listed_items(table, path)
    clips = []
    for row, item in zip(table.rows, items, strict=True):
        more = {name: value for name, value in row.items() if name not in _COLUMNS}
        clips.append(Clip(item, listed_path(item.path, folder), more))
    return clips


def listed_path(path: Path, folder: Path) -> str:
    """Return a path as the manifest of a folder has it: relative to it where it is inside."""
    text = os.path.normpath(path)
    base = os.path.normpath(folder)
    if text.startswith(base + os.sep):
        return text[len(base) + 1 :].replace(os.sep, "/")
    return os.path.abspath(text).replace(os.sep, "/")


def write_clips(folder: Path, clips: Sequence[Clip]) -> None:
    """Write the manifest of a folder."""
    names = sorted({name for clip in clips for name in clip.more})
    more = {name: [clip.more.get(name, "") for clip in clips] for name in names}
    write_rows(folder / MANIFEST_NAME, [clip.listed for clip in clips], [clip.item for clip in clips], more)


@dataclass(frozen=True)
class Scan:
    """What is in a folder.

    Attributes
    ----------
    files : dict of str to Kind
        Recordings and pictures, by their paths relative to the folder.
    top : tuple of str
        Its subfolders that may be classes.
    folders : dict of str to int
        When each folder in it was changed, in ns; "" is the folder itself.
    """

    files: dict[str, Kind]
    top: tuple[str, ...]
    folders: dict[str, int]


def scan(folder: Path) -> Scan:
    """Return what is in a folder; hidden files and folders, and what is no class, are left out."""
    files: dict[str, Kind] = {}
    folders: dict[str, int] = {}
    top: list[str] = []

    def look(here: str, above: frozenset[str]) -> None:
        path = folder / here if here else folder
        real = os.path.realpath(path)
        if real in above:
            return
        try:
            folders[here] = os.stat(path).st_mtime_ns
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
        except OSError:  # it has just gone, or may not be read
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{here}/{entry.name}" if here else entry.name
            if entry.is_dir():
                if here or entry.name not in NOT_CLASSES:
                    if not here:
                        top.append(entry.name)
                    look(name, above | {real})
            elif here and (kind := kind_of_name(entry.name)):
                files[name] = kind

    look("", frozenset())
    return Scan(files, tuple(top), folders)


def kind_of_name(name: str) -> Kind | None:
    """Return what a file is by the ending of its name, None for neither a recording nor a picture."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in AUDIO_SUFFIXES:
        return "audio"
    return "images" if suffix in IMAGE_SUFFIXES else None


def has_changed(folder: Path, known: Mapping[str, int]) -> bool:
    """Return whether files came or went in any of the folders since `scan`."""
    for name, changed in known.items():
        try:
            if os.stat(folder / name if name else folder).st_mtime_ns != changed:
                return True
        except OSError:
            return True
    return False


def class_folders(found: Scan, clips: Iterable[Clip]) -> dict[str, str]:
    """Return the folders that are classes, by label: those with clips of their own name, and those without clips."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if clip.is_inside:
            labels[clip.listed.partition("/")[0]].add(clip.item.label)
    folders: dict[str, str] = {}
    for name in found.top:
        label = label_of(name)
        if name not in labels or label in labels[name]:
            folders.setdefault(label, name)
    return folders


def new_clips(
    folder: Path, found: Scan, clips: Sequence[Clip], left_out: frozenset[str], kind: Kind | None
) -> list[Clip]:
    """Return clips for the files that no row lists: of the class whose folder they are in, or of their neighbours'."""
    listed = {clip.listed for clip in clips}
    folders = class_folders(found, clips)
    by_name = {name: label for label, name in folders.items()}
    neighbours: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        neighbours[clip.folder][clip.item.label] += 1
    new = []
    for name, its_kind in found.files.items():
        if name in listed or name in left_out or (kind is not None and its_kind != kind):
            continue
        place, top = name.rpartition("/")[0], name.partition("/")[0]
        label = by_name.get(top)
        if label is None and len(neighbours[place]) == 1:
            label = next(iter(neighbours[place]))
        if label is not None:
            path = folder / name
            new.append(Clip(Item(path, label, speaker_in_name(path)), name))
    return new


def in_folder(clips: Iterable[Clip], name: str) -> Iterator[Clip]:
    """Yield the clips whose files are in a folder or below it."""
    return (clip for clip in clips if clip.is_inside and clip.listed.startswith(f"{name}/"))
