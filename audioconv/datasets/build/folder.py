"""The folder of a data set, which appears complete or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from audioconv.datasets.manifest import MANIFEST_NAME, read_manifest
from audioconv.errors import AudioconvError, DataError
from audioconv.io.files import display_path, exclusive, reason

COMPLETE_NAME = ".audioconv-complete.json"
"""File with the description that a folder was built from; written last."""

RECIPE_NAME = ".audioconv-recipe.json"
"""In an unfinished folder: what it is to become."""

JOURNAL_NAME = ".audioconv-journal.jsonl"
"""In an unfinished folder: what is done."""

NOISE_FOLDER = "_background_noise_"
"""Long recordings of noise, beside the classes."""

Description = Mapping[str, object]
"""Source and options that determine the content of a folder, as JSON-compatible data."""


def is_built(folder: Path, recipe: Description) -> bool:
    """Return True where `folder` is complete and of `recipe`, False where it is still to be built.

    Raises
    ------
    DataError
        If something else is there, or files of the manifest have gone since.
    """
    shown = display_path(folder)
    if not os.path.lexists(folder):
        return False
    if not folder.is_dir():
        raise DataError(f"{shown}: is not a folder; give the name of a new one")
    built_from = _read_json(folder / COMPLETE_NAME)
    if built_from is None and not any(folder.iterdir()):
        return False
    if built_from != _as_json(recipe):
        other = "was made with other settings" if built_from else "holds other files"
        raise DataError(f"{shown}: {other}; give the name of a new folder, or remove this one")
    try:
        read_manifest(folder / MANIFEST_NAME, minimum_classes=1)
    except DataError as error:
        raise DataError(f"{error}; the folder was complete once: remove it and run the command again") from None
    return True


@contextmanager
def building(folder: Path, recipe: Description, *, resumable: bool = False) -> Iterator[Path]:
    """Yield a folder beside `folder` to build in; it becomes `folder` at the end of the block.

    Where the block ends by an exception, nothing is left. What a killed process leaves does not count as built, and is
    cleared away by the next one. With `resumable`, that is there again the next time, if the recipe is the same, and
    so is what Ctrl-C or an error of the system leaves, such as that of a full disk; a `Journal` tells what of it is
    done.

    Raises
    ------
    DataError
        If the folder cannot be written. An OSError of the block that has nothing to do with the folder stays what it
        is.
    """
    work = folder.with_name(f".{folder.name}.unfinished")
    keep = False
    is_ours = True  # whether this function works, and not the block
    try:
        if os.path.lexists(work) and not (resumable and _read_json(work / RECIPE_NAME) == _as_json(recipe)):
            shutil.rmtree(work)
        work.mkdir(parents=True, exist_ok=True)
        (work / RECIPE_NAME).write_text(json.dumps(recipe), "utf-8")
        is_ours = False
        yield work
        is_ours = True
        for name in (RECIPE_NAME, JOURNAL_NAME):
            (work / name).unlink(missing_ok=True)
        (work / COMPLETE_NAME).write_text(json.dumps(recipe, indent=1), "utf-8")
        if folder.is_dir():
            folder.rmdir()  # empty, as `is_built` has checked; only POSIX would rename onto it
        os.replace(work, folder)
    except OSError as error:
        keep = resumable and not is_ours
        if not is_ours and not _is_of(error, work):
            raise
        place = display_path(error.filename) if isinstance(error.filename, str) else display_path(folder)
        goes_on = "; what is done is kept, and the same command goes on from there" if keep else ""
        raise DataError(f"{display_path(folder)}: could not be made ({reason(error)}: {place}){goes_on}") from error
    except BaseException as error:
        keep = resumable and (not isinstance(error, AudioconvError) or isinstance(error.__cause__, OSError))
        raise
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)


def _is_of(error: OSError, folder: Path) -> bool:
    """Return whether an error is about a file below `folder`, or about the disk where it does not say which file."""
    if isinstance(error.filename, str | bytes | os.PathLike):
        return Path(os.fsdecode(error.filename)).is_relative_to(folder)
    return error.errno in _OF_DISKS


_OF_DISKS = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS")}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time make `folder`: the block, and what it leaves for the next one, is its own.

    Raises
    ------
    DataError
        If another process makes it now, or the folder above it cannot be written.
    """
    shown = display_path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{shown}: could not be made ({reason(error)}: {display_path(folder.parent)})") from error
    told = f"{shown}: another audioconv is making it now; wait for that, or give another folder"
    with exclusive(folder.with_name(f".{folder.name}.lock"), told):
        yield


class Journal:
    """Log of the finished parts of a long task, one JSON value a line, which stays if the process ends.

    Parameters
    ----------
    folder : Path
        The folder that is being built.

    Attributes
    ----------
    done : list
        Values that an earlier process wrote.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL_NAME
        self.done: list[Any] = []
        whole = 0
        with suppress(FileNotFoundError):
            for line in self._path.read_bytes().splitlines(keepends=True):
                try:
                    self.done.append(json.loads(line))
                except ValueError:
                    break  # cut off in the middle
                if not line.endswith(b"\n"):
                    self.done.pop()
                    break
                whole += len(line)
            os.truncate(self._path, whole)
        self._file = self._path.open("ab")

    def __enter__(self) -> Journal:
        """Begin."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End."""
        self._file.close()

    def write(self, value: Any) -> None:
        """Write down that something is done."""
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()


class FolderNames:
    """Names that every file system takes for labels, each another one."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def of(self, label: str) -> str:
        """Return the folder's name for a label."""
        if label not in self._names:
            # Bytes, not letters, are what file systems count; dots are gone, so nothing is hidden or leads elsewhere.
            name = re.sub(r"[^\w' -]", "_", label).strip(" ").encode()[:100].decode(errors="ignore") or "_"
            taken = {used.casefold() for used in self._names.values()}
            while name.casefold() in taken or name == NOISE_FOLDER:
                name += "_"
            self._names[label] = name
        return self._names[label]


def _read_json(path: Path) -> Any:
    """Return the JSON value in a file; None if it cannot be read."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _as_json(recipe: Description) -> Any:
    return json.loads(json.dumps(recipe))
