"""Data sets: folders and manifests of labelled files, splits, downloads and synthetic speech."""

from audioconv.datasets.collection import Collection, Item
from audioconv.datasets.folder import open_collection
from audioconv.datasets.manifest import read_manifest, write_manifest
from audioconv.datasets.splits import check_disjoint, speech_commands_split, split_validation

__all__ = [
    "Collection",
    "Item",
    "check_disjoint",
    "open_collection",
    "read_manifest",
    "speech_commands_split",
    "split_validation",
    "write_manifest",
]
