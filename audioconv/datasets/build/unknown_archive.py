"""Archives that the catalogue does not list, read by their folders."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from audioconv.datasets.archives.reader import Archive, Progress
from audioconv.datasets.arrangement import FileRole, Parts, arrange, split_of
from audioconv.datasets.build.layouts import Layout, Options
from audioconv.datasets.collection import Item, kind_of, label_of
from audioconv.datasets.folder import NOT_CLASSES, speaker_in_name
from audioconv.datasets.left_out import counted
from audioconv.io.files import display_path

_LOG = logging.getLogger("audioconv")


class Folders(Layout):
    """Any archive: each folder of recordings or pictures is a class.

    Folders above the classes or below them that are called like splits are splits, by the same rule as in a folder, see
    `arrangement.arrange`. Other splits are left to the training, unless speakers are to be kept apart.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._places: dict[PurePosixPath, FileRole] = {}

    def prepare(self, archives: Sequence[Archive], progress: Progress | None = None) -> None:
        """Look which folders there are."""
        names = [
            member.name
            for archive in archives
            for member in archive.members(progress)
            if kind_of(Path(member.name)) and not self.is_noise(member.name)
            and not any(part.startswith(".") or part in NOT_CLASSES for part in member.name.parts)
        ]  # fmt: skip
        files = [name.parts for name in names]
        while _is_wrapped(files):
            files = [parts[1:] for parts in files]
        arranged = arrange(files, display_path(archives[0].path))
        for note in arranged.notes:
            _LOG.warning("%s", note)
        self._places = {name: place for name, place in zip(names, arranged.places, strict=True) if place}
        stray = [name for name, place in zip(names, arranged.places, strict=True) if not place]
        if stray and self._places:
            told = counted(len(stray), "file is", "files are")
            _LOG.warning("%s in no class folder and left out, such as %s", told, display_path(stray[0]))

    def item(self, name: PurePosixPath) -> Item | None:
        """Return what a file is by the folders that it is in."""
        place = self._places.get(name)
        if place is None:
            return None
        speaker = place.speaker or speaker_in_name(Path(place.name))
        return Item(Path(name.name), label_of(place.classes[-1]), speaker, place.split)

    def finish(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items as they are, or split by speaker."""
        return super().finish(items) if self.split == "speaker" else iter(items)


def _is_wrapped(files: Sequence[Parts]) -> bool:
    """Return whether a single folder stands around the classes or splits, perhaps with a few files beside them."""
    if len({parts[0] for parts in files}) != 1 or split_of(files[0][0]) or min(map(len, files)) < 2:
        return False
    deep = [parts for parts in files if len(parts) > 2]
    return len(deep) == len(files) or (len({parts[1] for parts in deep}) > 1 and 2 * len(deep) > len(files))
