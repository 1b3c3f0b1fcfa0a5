"""Steps of changes to a project's folder, which can be undone, and go on after the process was killed.

A step moves files and changes rows of the manifest, nothing else: a removed file moves into the trash, a new one comes
out of it. So a step backwards is a step as well. It is written down before it is made.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioconv.errors import DataError
from audioconv.io.files import display_path, reason, write_atomic

LAB_FOLDER = ".lab"
"""The lab's own files, in the project's folder."""

MAX_STEPS = 200
MAX_TRASH_BYTES = 500_000_000

ORPHAN_SECONDS = 3600.0
"""What no step refers to is removed when it is so old."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """A change.

    Attributes
    ----------
    title : str
        What it does, such as ``deleted 3 clips of yes``.
    moves : sequence of (str, str)
        From where to where files and folders move, relative to the project's folder.
    removed, added : sequence of Row
        Rows of the manifest, see `Clip.to_row`.
    folders : sequence of str
        New folders.
    emptied : sequence of str
        Folders that go if nothing is left in them.
    """

    title: str
    moves: Sequence[tuple[str, str]] = ()
    removed: Sequence[Row] = ()
    added: Sequence[Row] = ()
    folders: Sequence[str] = ()
    emptied: Sequence[str] = ()

    def backwards(self) -> Step:
        """Return the step that undoes this one."""
        moves = [(to, of) for of, to in reversed(self.moves)]
        return Step(self.title, moves, self.added, self.removed, self.emptied, self.folders)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-compatible data."""
        return {
            "title": self.title,
            "moves": [list(move) for move in self.moves],
            "removed": list(self.removed),
            "added": list(self.added),
            "folders": list(self.folders),
            "emptied": list(self.emptied),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        """Return the step that `to_json` has described."""
        moves = [(str(of), str(to)) for of, to in data["moves"]]
        return cls(str(data["title"]), moves, data["removed"], data["added"], data["folders"], data["emptied"])

    def move(self, root: Path, *, again: bool = False) -> None:
        """Move the files.

        Parameters
        ----------
        root : Path
            The project's folder.
        again : bool
            Whether a process was killed meanwhile, so that some have been moved.

        Raises
        ------
        DataError
            If something is where a file should go, or cannot be moved. What was moved before is moved back.
        """
        done: list[tuple[Path, Path]] = []
        try:
            for name in self.folders:
                (root / name).mkdir(parents=True, exist_ok=True)
            for place, (of, to) in enumerate((root / of, root / to) for of, to in self.moves):
                if again and os.path.lexists(to) and (not os.path.lexists(of) or self._comes_later(place)):
                    continue
                if of.is_dir() and not to.is_symlink():
                    with suppress(OSError):
                        to.rmdir()  # an empty folder is in nobody's way
                if os.path.lexists(to):
                    raise DataError(f"{display_path(to)}: is there already, so that nothing was changed")
                to.parent.mkdir(parents=True, exist_ok=True)
                os.rename(of, to)
                done.append((of, to))
            for name in self.emptied:
                with suppress(OSError):
                    (root / name).rmdir()
        except (OSError, DataError) as error:
            for of, to in reversed(done):
                with suppress(OSError):
                    os.rename(to, of)
            if isinstance(error, DataError):
                raise
            where = display_path(error.filename) if error.filename else display_path(root)
            raise DataError(f"{where}: cannot be moved ({reason(error)}), so that nothing was changed") from None

    def _comes_later(self, place: int) -> bool:
        """Return whether a later move puts something where this one takes it from."""
        return self.moves[place][0] in (to for _, to in self.moves[place + 1 :])


class History:
    """The last steps of a project, on the disk.

    Parameters
    ----------
    root : Path
        The project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.folder = root / LAB_FOLDER
        self._steps, self._trash = self.folder / "steps", self.folder / "trash"
        self._pending = self.folder / "pending.json"

    def prepare(self) -> None:
        """Make the lab's folders; `DataError` if the project cannot be written to."""
        try:
            for folder in (self.folder, self._steps, self._trash):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise DataError(f"{display_path(self._root)}: cannot be written to ({reason(error)})") from None

    def place_in_trash(self, name: str) -> str:
        """Return where in the trash a file of this name can be, relative to the project's folder."""
        return f"{LAB_FOLDER}/trash/{secrets.token_hex(6)}-{name.rpartition('/')[2][-80:]}"

    # --- one step ---

    def begin(self, step: Step, undone: int | None = None) -> None:
        """Write down a step that is about to be made; `undone` is the number of the one that it undoes."""
        with write_atomic(self._pending, "w") as file:
            json.dump({"undone": undone, **step.to_json()}, file)

    def interrupted(self) -> tuple[Step, int | None] | None:
        """Return the step that was begun and not finished, and the number of the one that it undoes."""
        found = _read(self._pending)
        if found is None:
            return None
        try:
            return Step.from_json(found), found.get("undone")
        except (KeyError, TypeError, ValueError):
            self.abandon()
            return None

    def finish(self, step: Step, undone: int | None = None) -> None:
        """Keep a step that was made; a step backwards takes the undone one out instead."""
        if undone is None:
            number = max(self._numbers(), default=0) + 1
            os.replace(self._pending, self._path(number))
            self._prune()
        else:
            with suppress(OSError):
                self._path(undone).unlink()
            self.abandon()
            self._empty_trash([to for _, to in step.moves])

    def abandon(self) -> None:
        """Forget the step that was begun."""
        with suppress(OSError):
            self._pending.unlink()

    def last(self) -> tuple[int, Step] | None:
        """Return the number of the last step, and the step; None where there is none."""
        for number in sorted(self._numbers(), reverse=True):
            found = _read(self._path(number))
            try:
                if found is not None:
                    return number, Step.from_json(found)
            except (KeyError, TypeError, ValueError):
                pass
            self.forget(number)
        return None

    def forget(self, number: int) -> None:
        """Take a step out, with what it has in the trash."""
        found = _read(self._path(number))
        with suppress(OSError):
            self._path(number).unlink()
        if found is not None:
            with suppress(KeyError, TypeError, ValueError):
                self._empty_trash([to for _, to in Step.from_json(found).moves])

    # --- room ---

    def _numbers(self) -> Iterator[int]:
        return (int(path.stem) for path in self._steps.glob("*.json") if path.stem.isdecimal())

    def _path(self, number: int) -> Path:
        return self._steps / f"{number:06}.json"

    def _prune(self) -> None:
        numbers = sorted(self._numbers())
        while len(numbers) > MAX_STEPS:
            self.forget(numbers.pop(0))
        while len(numbers) > 1 and _size(self._trash) > MAX_TRASH_BYTES:
            self.forget(numbers.pop(0))

    def clean(self) -> None:
        """Remove from the trash what no step refers to, unless it is so new that another process may be adding it."""
        used: set[str] = set()
        for number in self._numbers():
            found = _read(self._path(number)) or {}
            used |= {place for move in found.get("moves", []) for place in move}
        for path in self._trash.iterdir():
            if f"{LAB_FOLDER}/trash/{path.name}" not in used:
                with suppress(OSError):
                    if time.time() - path.lstat().st_mtime > ORPHAN_SECONDS:
                        _remove(path)

    def _empty_trash(self, places: Sequence[str]) -> None:
        for place in places:
            if place.startswith(f"{LAB_FOLDER}/trash/"):
                _remove(self._root / place)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _read(path: Path) -> Any:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _size(folder: Path) -> int:
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(here, name)).st_size
    return total
