"""Five words of Speech Commands to know, and the others not to."""

from __future__ import annotations

from pathlib import Path

from audioconv.datasets.collection import Item
from audioconv.datasets.folder import files_below, speaker_in_name
from audioconv.datasets.manifest import MANIFEST_NAME, write_manifest
from audioconv.datasets.splits import speech_commands_split

WORDS = ("down", "go", "left", "right", "up")
SOURCE, LICENCE = "Speech Commands v0.01", "CC BY 4.0"


def write_words(recordings: Path, folder: Path) -> None:
    """Make a `folder` whose manifest has the clips of `WORDS`.

    The official rule puts each speaker into one part. Its validation part is tested with here, since the recordings at
    hand have none of its test part.
    """
    folder.mkdir()
    items = []
    for word in WORDS:
        (folder / word).symlink_to(recordings / word)
        for path in files_below(folder / word):
            split = "train" if speech_commands_split(path) == "train" else "test"
            items.append(Item(path, word, speaker_in_name(path), split, source=SOURCE, licence=LICENCE))
    write_manifest(folder / MANIFEST_NAME, items)


def link_words(recordings: Path, folder: Path) -> None:
    """Make a `folder` with the words that are not among `WORDS`."""
    folder.mkdir()
    for path in sorted(recordings.iterdir()):
        if path.is_dir() and path.name not in WORDS:
            (folder / path.name).symlink_to(path)
