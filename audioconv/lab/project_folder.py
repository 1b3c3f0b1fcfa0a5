"""`ProjectFolder`: the clips of a folder, as its manifest and its files have them.

The folder is the truth, and other processes may change it at any time: each change takes the lock of the folder, reads
the manifest again if it is another one, and is made as one `history.Step`.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from audioconv.datasets.collection import Collection, Kind, one_kind, one_spelling
from audioconv.datasets.folder import open_collection
from audioconv.datasets.manifest import MANIFEST_NAME
from audioconv.errors import DataError
from audioconv.io.files import display_path, exclusive, write_atomic
from audioconv.lab.clips import (
    Clip,
    Scan,
    class_folders,
    has_changed,
    kind_of_name,
    new_clips,
    read_clips,
    scan,
    write_clips,
)
from audioconv.lab.headers import Header, Headers, clip_json, stamp_of
from audioconv.lab.history import History, Step
from audioconv.lab.names import role_of
from audioconv.serving.limits import RefusedError

LEFT_OUT_NAME = "left-out.txt"
"""Lists the files that are in class folders and that a manifest of others does not list."""

LOCK_SECONDS = 10.0
"""A change waits so long for another process that changes the folder."""

_LOG = logging.getLogger("audioconv")


class ProjectFolder:
    """The clips of a folder, and the way that changes take. Its methods may be called from any thread.

    Parameters
    ----------
    folder : Path
        It must exist.

    Attributes
    ----------
    revision : int
        Goes up with each change.
    on_change : list of callable
        Called without arguments after each change, from the thread that made it.
    headers : Headers

    Raises
    ------
    DataError
        If it holds what is no data set, such as recordings and pictures, or its manifest cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.revision = 0
        self.on_change: list[Callable[[], object]] = []
        self.headers = Headers(self.folder)
        self._lock = threading.RLock()
        self._history = History(self.folder)
        self._clips: dict[str, Clip] = {}
        self._found = Scan({}, (), {})
        self._left_out: frozenset[str] = frozenset()
        self._manifest_stamp = (0, 0)
        self._has_manifest = False
        self._faults: dict[str, list[dict[str, Any]]] = {}
        self._load(is_first=True)
        if self._history.folder.is_dir():
            with self._lock, self._folder_lock():
                self._finish_interrupted()
                self._history.clean()

    # --- reading ---

    @property
    def kind(self) -> Kind | None:
        """What the clips are; None while there is none."""
        with self._lock:
            return next((kind_of_name(clip.listed) or "audio" for clip in self._clips.values()), None)

    def clips(self, label: str | None = None) -> list[Clip]:
        """Return the clips of a class, or all, the newest last."""
        with self._lock:
            return [clip for clip in self._clips.values() if label is None or clip.item.label == label]

    def clip(self, identifier: str) -> Clip:
        """Return a clip by its `id`; `RefusedError` (404) if there is none: no path is ever made of it."""
        with self._lock:
            found = self._clips.get(identifier)
        if found is None:
            raise RefusedError(404, f"there is no clip {display_path(identifier[:200])!r}; it may have been moved")
        return found

    def labels(self) -> list[str]:
        """Return the classes, also those without clips: words first, each kind by name."""
        with self._lock:
            labels = {clip.item.label for clip in self._clips.values()} | class_folders(
                self._found, self.clips()
            ).keys()
        order = {"word": 0, "unknown": 1, "background": 2}
        return sorted(labels, key=lambda label: (order[role_of(label)], label.casefold(), label))

    def collection(self) -> Collection:
        """Return the clips as training reads them; `DataError` if there is none."""
        with self._lock:
            items = [clip.item for clip in self._clips.values()]
        if not items:
            raise DataError(f"{display_path(self.folder)}: holds no clips yet; record or add some")
        merged, _ = one_spelling(items)
        return Collection(merged, self.kind or "audio", self.name)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return display_path(self.folder.resolve().name or self.folder)

    def header(self, clip: Clip) -> Header:
        """Return length, rate or size of a clip."""
        return self.headers.of(clip, self.kind or "audio")

    def clip_json(self, clip: Clip) -> dict[str, Any]:
        """Return a clip as the page gets it."""
        return clip_json(clip, self.header(clip), self.kind or "audio", self._faults.get(clip.id, ()))

    def set_faults(self, faults: dict[str, list[dict[str, Any]]]) -> None:
        """Set what is wrong with clips, by their ids."""
        self._faults = faults

    def has_faults(self, clip: Clip) -> bool:
        """Return whether anything was found to be wrong with a clip."""
        return bool(self._faults.get(clip.id))

    def to_json(self) -> dict[str, Any]:
        """Return the project as JSON-compatible data; of clips that were not read yet, no seconds are counted."""
        with self._lock:
            clips, labels = list(self._clips.values()), self.labels()
            revision, kind = self.revision, self.kind
        counts, seconds, measured = Counter[str](), defaultdict[str, float](float), 0
        for clip in clips:
            counts[clip.item.label] += 1
            header = self.headers.known(clip)
            if header is not None:
                measured += 1
                seconds[clip.item.label] += _seconds(clip, header)
        return {
            "name": self.name,
            "folder": display_path(self.folder.resolve()),
            "kind": kind,
            "revision": revision,
            "classes": [
                {
                    "name": label,
                    "role": role_of(label),
                    "clips": counts[label],
                    "seconds": round(seconds[label], 2),
                }
                for label in labels
            ],
            "speakers": sorted({clip.item.speaker for clip in clips if clip.item.speaker and not clip.item.source}),
            "unmeasured": len(clips) - measured,
            "undo": self._undo_title(),
        }

    def _undo_title(self) -> str | None:
        with self._lock:
            last = self._history.last() if self._history.folder.is_dir() else None
        return None if last is None else last[1].title

    # --- what others changed ---

    def rescan(self) -> bool:
        """Take in what came and went in the folder; return whether anything did."""
        with self._lock:
            if self._manifest_is_known() and not has_changed(self.folder, self._found.folders):
                return False
            before = self.revision
            self._take_in()
            has_changed_here = self.revision != before
        if has_changed_here:
            self._tell()
        return has_changed_here

    def write_manifest(self) -> None:
        """Take in what came and went, and write the manifest, so that the command line reads the same clips."""
        with self._changing():
            self._take_in()
            self._write()

    def _take_in(self) -> None:
        """Read manifest and folder anew, and count it as a change if it is one."""
        before = self._clips, self._found.top
        self._load()
        if (self._clips, self._found.top) != before:
            self.revision += 1

    def _load(self, *, is_first: bool = False) -> None:
        """Read manifest and folder anew."""
        path = self.folder / MANIFEST_NAME
        found = scan(self.folder)
        stamp = stamp_of(path)
        self._has_manifest = path.is_file()
        left_out = self._read_left_out()
        if self._has_manifest:
            rows = read_clips(self.folder)
            listed = {clip.listed for clip in rows}
            if is_first and left_out is None:
                # What a manifest of others does not list is not meant to be used.
                left_out = frozenset(found.files) - listed
            clips = [clip for clip in rows if not clip.is_inside or clip.listed in found.files or _is_file(clip)]
        elif is_first and found.files:
            clips = self._first_clips(found)
        else:
            clips = [clip for clip in self._clips.values() if clip.listed in found.files or not clip.is_inside]
        if left_out is not None:
            self._left_out = left_out
        kind: Kind | None = one_kind((clip.item.path for clip in clips), display_path(self.folder)) if clips else None
        if kind is None and found.files:
            kind = one_kind((Path(name) for name in found.files), display_path(self.folder))
        clips += new_clips(self.folder, found, clips, self._left_out, kind)
        self._clips = {clip.id: clip for clip in clips}
        self._found, self._manifest_stamp = found, stamp

    def _first_clips(self, found: Scan) -> list[Clip]:
        """Return the clips of a folder without manifest, as training would read it."""
        try:
            collection = open_collection(self.folder, minimum_classes=1)
        except DataError:
            if all(name.startswith("_") for name in found.top):
                return []  # nothing but background yet
            raise
        base = len(self.folder.parts)
        return [Clip(item, "/".join(item.path.parts[base:])) for item in collection.items]

    def _read_left_out(self) -> frozenset[str] | None:
        try:
            return frozenset((self._history.folder / LEFT_OUT_NAME).read_text("utf-8", "surrogateescape").splitlines())
        except OSError:
            return None

    def _manifest_is_known(self) -> bool:
        return stamp_of(self.folder / MANIFEST_NAME) == self._manifest_stamp

    # --- changes ---

    @contextmanager
    def _folder_lock(self) -> Iterator[None]:
        """Let one process at a time change the folder."""
        until = time.monotonic() + LOCK_SECONDS
        message = f"{display_path(self.folder)}: another program is changing it; try again"
        while True:
            lock = exclusive(self._history.folder / "lock", message)
            try:
                lock.__enter__()
                break
            except DataError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the locks, with what others have changed taken in; afterwards tell of changes."""
        with self._lock:
            before = self.revision
            self._history.prepare()
            with self._folder_lock():
                if self._read_left_out() is None:
                    with write_atomic(self._history.folder / LEFT_OUT_NAME, "w") as file:
                        file.writelines(f"{name}\n" for name in sorted(self._left_out))
                self._finish_interrupted()
                if not self._manifest_is_known() or has_changed(self.folder, self._found.folders):
                    self._take_in()
                yield
                # The manifest that was just written is no change by others.
                with suppress(OSError):
                    self._found.folders[""] = os.stat(self.folder).st_mtime_ns
            was_changed = self.revision != before
        if was_changed:
            self._tell()

    def _tell(self) -> None:
        for call in self.on_change:
            call()

    def _commit(self, step: Step, undone: int | None = None) -> None:
        """Make a step; in `_changing`."""
        self._history.begin(step, undone)
        try:
            step.move(self.folder)
        except DataError:
            self._history.abandon()
            raise
        self._take(step)
        self._write()
        self._history.finish(step, undone)
        self.revision += 1

    def _take(self, step: Step) -> None:
        """Change the rows as a step says."""
        for row in step.removed:
            self._clips.pop(Clip.from_row(row, self.folder).id, None)
        for row in step.added:
            clip = Clip.from_row(row, self.folder)
            self._clips[clip.id] = clip
        self._found = scan(self.folder)
        clips = list(self._clips.values())
        for clip in new_clips(self.folder, self._found, clips, self._left_out, self.kind):
            self._clips[clip.id] = clip

    def _write(self) -> None:
        write_clips(self.folder, list(self._clips.values()))
        self._manifest_stamp, self._has_manifest = stamp_of(self.folder / MANIFEST_NAME), True

    def _finish_interrupted(self) -> None:
        """Go on with a step during which the process was killed."""
        found = self._history.interrupted()
        if found is None:
            return
        step, undone = found
        try:
            step.move(self.folder, again=True)
        except DataError as error:
            _LOG.warning("%s", error)
            self._history.abandon()
            self._load()
            return
        self._load()
        self._take(step)
        self._write()
        self._history.finish(step, undone)


def _is_file(clip: Clip) -> bool:
    return clip.item.path.is_file()


def _seconds(clip: Clip, header: Header) -> float:
    item = clip.item
    return header.seconds if item.begin is None or item.end is None else item.end - item.begin
