"""Arrangement of a folder: which of its subfolders are classes, and which are splits."""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioconv.datasets.collection import SPLITS
from audioconv.datasets.left_out import counted
from audioconv.datasets.manifest import SPLIT_ALIASES
from audioconv.errors import DataError
from audioconv.io.columns import View
from audioconv.io.files import display_path

Parts = tuple[str, ...]
"""A file's name with the folders that it is in, from the top."""

SHOWN = 4
"""Number of folders that a line names."""

_FOLD = re.compile(r"fold[ _-]?0*(\d{1,3})", re.IGNORECASE)

# UrbanSound8K: {source}-{class}-{occurrence}-{slice}.
_URBAN = re.compile(r"(?P<source>\d+)-(?P<label>\d+)-\d+-\d+\.[^.]+")

_DEVELOPMENT = frozenset({"dev", "development"})
_ALSO_SPLITS = {"train": "train", "validation": "validation", "development": "validation", "validate": "validation",
                "test": "test", "eval": "test", "evaluation": "test"}  # fmt: skip


@dataclass(frozen=True)
class FileRole:
    """Class, split and speaker of a file, by its folders and its name.

    Attributes
    ----------
    classes : tuple of str
        The folders that name its class, from the top; or the class alone, where the name of the file has it.
    name : str
        The file's name, without the class where that stands in it.
    split : {"train", "validation", "test"} or None
        Its split, where the folders are arranged by splits.
    speaker : str or None
        The source recording, where the name of the file has the class and the source.
    """

    classes: Parts
    name: str
    split: str | None = None
    speaker: str | None = None


@dataclass(frozen=True)
class Arrangement:
    """Roles of the files of a folder.

    Attributes
    ----------
    places : sequence of (FileRole or None)
        In the order of the files, each made when it is asked for; None for a file that is in no class folder.
    notes : tuple of str
        Assumptions, a line each.
    depth : int
        Number of folders above those of the classes.
    """

    places: Sequence[FileRole | None]
    notes: tuple[str, ...] = ()
    depth: int = 0


def split_of(folder: str) -> str | None:
    """Return the split that a folder is by its name, None for any other; a fold is for training.

    Examples
    --------
    >>> split_of("Training"), split_of("test_set"), split_of("fold 3"), split_of("tests")
    ('train', 'test', 'train', None)
    """
    if _fold(folder) is not None:
        return "train"
    name = _plain(folder)
    return _ALSO_SPLITS.get(name) or SPLIT_ALIASES.get(name)


def arrange(files: Sequence[Parts], shown: str) -> Arrangement:
    """Return what the recordings or pictures of a folder are, by the folders they are in.

    As a rule the folders at the top are the classes. They are splits if all of them are called so (``train``, ``val``,
    ``testing``, ``fold1`` and the like) and the classes stand below, or the classes are in the names of the files:
    ``label.name.wav``, as Edge Impulse exports them, or UrbanSound8K's ``source-class-n-n.wav`` in folds. Splits may
    also stand below all of the classes. The last fold is the test, and the one before it validates.

    Parameters
    ----------
    files : sequence of tuple of str
        Each file's name with the folders that it is in, below the folder that is arranged.
    shown : str
        Name of the folder in errors.

    Raises
    ------
    DataError
        If folders may be classes or splits.
    """
    tops = _by_folder(files)
    if not tops:
        return _flat(files)
    named = [top for top in tops if split_of(top)]
    if len(named) == len(tops):
        return _below_splits(files, tops, shown)
    for top in named:
        below = {parts[1] for parts in tops[top] if len(parts) > 2}
        if len(below) > 1 and all(len(parts) > 2 for parts in tops[top]):
            others = [other for other in tops if other not in named]
            raise DataError(
                f"{shown}: {_folders([top])} has the name of a split and folders like classes in it "
                f"({_some(sorted(below))}), but {_folders(others)} beside it {_is(others)} no split; move what is none "
                "elsewhere, or list the files in a manifest with the columns path,label,split"
            )
    if len(tops) == 1 and _wraps_splits(files):
        top = next(iter(tops))
        inside = tops[top]
        inner = arrange(View(len(inside), lambda place: inside[place][1:]), f"{shown}/{display_path(top)}")
        among = np.cumsum([len(parts) > 1 for parts in files]) - 1
        found = View(len(files), lambda place: inner.places[among[place]] if len(files[place]) > 1 else None)
        return Arrangement(found, inner.notes, inner.depth + 1)
    if all(len(parts) > 2 and split_of(parts[1]) for parts in files if len(parts) > 1):
        _check_depth(tops, shown)
        return _above_splits(files)
    return Arrangement(_roles(files, lambda parts: FileRole(parts[:-1], parts[-1])), _speakers_above(tops))


def _roles(
    files: Sequence[Parts], role: Callable[[Parts], FileRole | None], depth: int = 1
) -> Sequence[FileRole | None]:
    """Return the role of each file that is in so many folders at least."""

    def role_at(place: int) -> FileRole | None:
        parts = files[place]
        return role(parts) if len(parts) > depth else None

    return View(len(files), role_at)


def _by_folder(files: Sequence[Parts]) -> dict[str, Sequence[Parts]]:
    """Return the files by the first of the folders that they are in, without those that are in none."""
    by_folder: defaultdict[str, array[int]] = defaultdict(lambda: array("Q"))
    for place, parts in enumerate(files):
        if len(parts) > 1:
            by_folder[parts[0]].append(place)

    def some(places: array[int]) -> Sequence[Parts]:
        return View(len(places), lambda place: files[places[place]])

    return {folder: some(places) for folder, places in by_folder.items()}


def _flat(files: Sequence[Parts]) -> Arrangement:
    """Arrange files that are in no folder: their classes are in their names, or unknown."""
    labels = _labels_in_names([parts[-1] for parts in files])
    if labels is None:
        return Arrangement([None] * len(files))
    return Arrangement([FileRole((label,), rest) for label, rest in labels], (_EDGE_IMPULSE,))


_EDGE_IMPULSE = "the class of each file is taken from its name, up to the first dot (label.name.wav)"


def _below_splits(files: Sequence[Parts], tops: Mapping[str, Sequence[Parts]], shown: str) -> Arrangement:
    """Arrange files whose topmost folders are all called like splits."""
    splits, note = _splits(list(tops))
    flat = [top for top, inside in tops.items() if all(len(parts) == 2 for parts in inside)]
    if len(flat) < len(tops):
        if flat:
            first = tops[flat[0]][0]
            others = [top for top in tops if top not in flat]
            raise DataError(
                f"{shown}: {_folders(others)} {'is a split' if len(others) == 1 else 'are splits'} with a folder for "
                "each class, but "
                f"{_folders(flat)} {'has' if len(flat) == 1 else 'have'} none: {display_path('/'.join(first))} has no "
                "class; move such files into class folders, or elsewhere"
            )
        _check_classes_in_common(tops, splits, shown)
        places = _roles(files, lambda parts: FileRole(parts[1:-1], parts[-1], splits[parts[0]]), depth=2)
        return Arrangement(places, (note,), depth=1)
    inside = [parts for parts in files if len(parts) > 1]
    if all(_fold(top) is not None for top in tops) and all(_URBAN.fullmatch(parts[-1]) for parts in inside):
        return Arrangement(
            _roles(files, lambda parts: _urban(parts, splits)),
            (note, "the class of each file is the second number in its name and the source recording the first "
                   "(source-class-n-n.wav, as in UrbanSound8K)"),
        )  # fmt: skip
    labels = _labels_in_names([parts[-1] for parts in inside])
    if labels is not None:
        by_file = dict(zip(inside, labels, strict=True))
        of = [(parts, *by_file.get(parts, ("", ""))) for parts in files]
        places = [FileRole((label,), rest, splits[parts[0]]) if label else None for parts, label, rest in of]
        return Arrangement(places, (note, _EDGE_IMPULSE))
    if len(tops) == 1:  # it may be a class
        return Arrangement(_roles(files, lambda parts: FileRole(parts[:-1], parts[-1])))
    raise DataError(
        f"{shown}: {_folders(tops)} may be splits or classes: recordings lie directly in them, and their names "
        f"({display_path(inside[0][-1])}, ...) do not begin with a class and a dot. If they are splits, put a folder "
        "for each class into each of them; if they are classes, list the files in a manifest with the columns "
        "path,label"
    )


def _urban(parts: Parts, splits: Mapping[str, str | None]) -> FileRole:
    match = _URBAN.fullmatch(parts[-1])
    assert match is not None
    return FileRole((match["label"],), parts[-1], splits[parts[0]], match["source"])


def _above_splits(files: Sequence[Parts]) -> Arrangement:
    """Arrange files whose classes have all their files in split folders."""
    splits, note = _splits(list(dict.fromkeys(parts[1] for parts in files if len(parts) > 1)))
    places = _roles(files, lambda parts: FileRole(parts[:1], parts[-1], splits[parts[1]]))
    return Arrangement(places, (f"below the classes {note}",))


def _wraps_splits(files: Sequence[Parts]) -> bool:
    """Return whether the single folder at the top holds split folders, and is not the only class."""
    below = [parts[1:] for parts in files if len(parts) > 2]
    if not below or not all(split_of(parts[0]) for parts in below):
        return False
    return (
        all(len(parts) > 2 for parts in below)
        or _labels_in_names([parts[-1] for parts in below]) is not None
        or all(_fold(parts[0]) is not None and _URBAN.fullmatch(parts[-1]) for parts in below)
    )


def _check_classes_in_common(tops: Mapping[str, Sequence[Parts]], splits: Mapping[str, str | None], shown: str) -> None:
    """Raise `DataError` where every class is in one split only, as if the splits were something else."""
    classes: defaultdict[str | None, set[str]] = defaultdict(set)
    for top, inside in tops.items():
        classes[splits[top]] |= {parts[1].strip().lower() for parts in inside if len(parts) > 2}
    if len(classes) > 1 and sum(map(len, classes.values())) == len(set().union(*classes.values())):
        told = "; ".join(f"{split or 'train'}: {_some(sorted(found))}" for split, found in classes.items())
        raise DataError(
            f"{shown}: {_folders(tops)} have the names of splits, but no class in common ({told}); put the same "
            "classes into each, or list the files in a manifest with the columns path,label,split"
        )


def _check_depth(tops: Mapping[str, Sequence[Parts]], shown: str) -> None:
    """Raise `DataError` where the same folders are below the splits of several classes, as if those were no classes."""
    below = {top: {parts[2] for parts in inside if len(parts) > 3} for top, inside in tops.items()}
    counts = Counter(name for names in below.values() for name in names)
    shared = sorted(name for name, count in counts.items() if count > 1)
    if len(shared) > 1:
        raise DataError(
            f"{shown}: the classes may be {_folders(tops)}, with splits in them, or {_folders(shared)} in the splits; "
            "put the splits at the top, or list the files in a manifest with the columns path,label,split"
        )


def _splits(folders: Sequence[str]) -> tuple[dict[str, str | None], str]:
    """Return the split of each folder, and a note about it."""
    folds = sorted((number, folder) for folder in folders if (number := _fold(folder)) is not None)
    splits = {folder: split_of(folder) for folder in folders}
    if "test" in splits.values():
        named = {split: folder for folder, split in splits.items()}
        evaluating = [folder for folder, split in splits.items() if split == "test" and _plain(folder)[:4] == "eval"]
        if len(evaluating) < sum(split == "test" for split in splits.values()) and "validation" not in named:
            splits |= dict.fromkeys(evaluating, "validation")
        if "train" not in named:  # FSD50K and DCASE have `dev` to train on, and `eval`
            splits |= {folder: "train" for folder in folders if _plain(folder) in _DEVELOPMENT}
    if len(folds) == 1 and len(folders) == 1:
        return {folders[0]: None}, f"{_folders(folders)} is a fold"
    spare = [folder for _, folder in folds][1:]  # one is left to train on
    for split in ("test", "validation"):
        if spare and split not in splits.values():
            splits[spare.pop()] = split
    if len(folds) == len(folders):
        of = {split: folder for folder, split in splits.items() if split != "train"}
        told = [f"{display_path(of['test'])} tests"]
        told += [f"{display_path(of['validation'])} validates"] if "validation" in of else []
        return splits, f"{_folders([folder for _, folder in folds])} are folds: {', '.join(told)}"
    in_order = sorted(splits, key=lambda folder: (SPLITS.index(splits[folder] or "train"), folder))
    told = [f"{display_path(folder)}: {splits[folder]}" for folder in in_order if _plain(folder) != splits[folder]]
    are = "are splits" if len(folders) > 1 else "is a split"
    return splits, f"{_folders(in_order)} {are}" + (f" ({', '.join(told)})" if told else "")


def _speakers_above(tops: Mapping[str, Sequence[Parts]]) -> tuple[str, ...]:
    """Return a note where the folders below the topmost ones may be the classes: the same ones in several of them."""
    if len(tops) < 2 or any(len(parts) == 2 for inside in tops.values() for parts in inside):
        return ()
    below = Counter(name for inside in tops.values() for name in {parts[1] for parts in inside})
    shared = sorted(name for name, count in below.items() if count > 1)
    if len(shared) < 2:
        return ()
    return (
        f"{_folders(tops)} are the classes; {_folders(shared)} in several of them are not. If it is the other way "
        "round, list the files in a manifest with the columns path,label,speaker",
    )


def _labels_in_names(names: Sequence[str]) -> list[tuple[str, str]] | None:
    """Return class and rest of each name ``label.rest.ext``; None where the names are others.

    Several names begin with each of two labels at least: what stands in front of a dot may be anything else.
    """
    found = [(label, rest) for label, _, rest in (name.partition(".") for name in names)]
    if not all(label.strip() and "." in rest.strip(".") for label, rest in found):
        return None
    counts = Counter(label for label, _ in found)
    are_years = all(re.fullmatch(r"\d{4,}", label) for label in counts)
    if are_years or sum(count > 1 for count in counts.values()) < 2 or 2 * len(counts) > len(found):
        return None
    return found


def _fold(folder: str) -> int | None:
    match = _FOLD.fullmatch(folder.strip())
    return None if match is None else int(match[1])


def _plain(folder: str) -> str:
    """Return a folder's name without case, spaces and what is often put behind the name of a split."""
    name = re.sub(r"[\s_-]+", "", folder).lower()
    return re.sub(r"(set|data|split)$", "", name)


def _is(folders: Sequence[str]) -> str:
    return "is" if len(folders) == 1 else "are"


def _folders(folders: Iterable[str]) -> str:
    """Return ``the folders train and test``."""
    names = [display_path(folder) for folder in folders]
    if len(names) == 1:
        return f"the folder {names[0]}"
    if len(names) > SHOWN:
        return f"the {counted(len(names), 'folder')} {names[0]} to {names[-1]}"
    return f"the folders {', '.join(names[:-1])} and {names[-1]}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(display_path, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")
