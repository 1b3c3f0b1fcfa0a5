"""Data sets that are made in shards: a folder for each, and the manifest of all of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from audioconv.cluster.shards import Shard
from audioconv.datasets.build.folder import COMPLETE_NAME
from audioconv.datasets.manifest import MANIFEST_NAME, read_manifest, write_manifest
from audioconv.io.files import make_folder

TEXTS = ("LICENCE.txt", "ATTRIBUTION.txt")
"""Files of origins and licences, the same in every shard."""


def shard_folder(folder: Path, shard: Shard) -> Path:
    """Return the folder of a shard of the data set `folder`, whose folder is made.

    >>> shard_folder(Path("words"), Shard(2, 8)).as_posix()  # doctest: +SKIP
    'words/shard-2-of-8'
    """
    make_folder(folder)
    return folder / f"shard-{shard.number}-of-{shard.count}"


def join_shards(folder: Path, count: int) -> int:
    """Write the manifest of the data set `folder` once all shards are there; return how many are missing.

    Whichever job ends last does so. Where two end at once, both write the same.
    """
    parts = [shard_folder(folder, Shard(number, count)) for number in range(1, count + 1)]
    missing = sum(not (part / COMPLETE_NAME).is_file() for part in parts)
    if missing:
        return missing
    items = [item for part in parts for item in read_manifest(part / MANIFEST_NAME, minimum_classes=1).items]
    for name in TEXTS:
        if (parts[0] / name).is_file():
            shutil.copyfile(parts[0] / name, folder / name)
    write_manifest(folder / MANIFEST_NAME, items)
    return 0
