"""`Project`: the folder, with its classes and clips, and all changes of them.

The folder is the truth, and other processes may change it at any time: each change takes the lock of the folder, reads
the manifest again if it is another one, and is made as one `history.Step`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from audioconv._types import Samples
from audioconv.audio.endpoints import NoClearWordError
from audioconv.audio.read import OpenRecording
from audioconv.datasets.build.folder import FolderNames
from audioconv.datasets.collection import Collection, Item, Kind, one_kind, one_spelling
from audioconv.datasets.folder import open_collection, speaker_in_name
from audioconv.datasets.manifest import MANIFEST_NAME
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path, exclusive, write_atomic
from audioconv.lab.clips import (
    Clip,
    Scan,
    class_folders,
    has_changed,
    in_folder,
    kind_of_name,
    new_clips,
    read_clips,
    scan,
    write_clips,
)
from audioconv.lab.headers import Header, Headers, clip_json, stamp_of
from audioconv.lab.history import LAB_FOLDER, History, Step
from audioconv.lab.names import checked_class, checked_speaker, free_path, new_stem, role_of, safe_stem, same_class
from audioconv.lab.storing import (
    MAX_CUT_SECONDS,
    convert,
    cut_into_takes,
    encoded,
    in_memory,
    size_of,
    suffix_for,
)
from audioconv.serving.limits import RefusedError

LOCK_SECONDS = 10.0
"""A change waits so long for another process that changes the folder."""

MAX_CLIPS_AT_ONCE = 20_000
"""Of one request."""

_LOG = logging.getLogger("audioconv")


@dataclass(frozen=True)
class NewClip:
    """Samples that are to become a clip.

    Attributes
    ----------
    samples : array (T,) float32
        Full scale is 1.
    rate : int
        In Hz.
    speaker, source, licence : str, optional
        See `Item`.
    stem : str, optional
        Beginning of the file's name. Default: the speaker (or ``take``) and the time.
    """

    samples: Samples
    rate: int
    speaker: str | None = None
    source: str | None = None
    licence: str | None = None
    stem: str | None = None


class Project:
    """A folder of clips with one subfolder a class. Its methods may be called from any thread.

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

    def to_json(self) -> dict[str, Any]:
        """Return the project as JSON-compatible data; of clips that were not read yet, no seconds are counted."""
        with self._lock:
            clips, labels = list(self._clips.values()), self.labels()
            revision, kind = self.revision, self.kind
        counts, seconds, measured = Counter[str](), Counter[str](), 0
        for clip in clips:
            counts[clip.item.label] += 1
            header = self.headers.known(clip)
            if header is not None:
                measured += 1
                seconds[clip.item.label] += _seconds(clip, header)  # type: ignore[assignment]
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
                    "seconds": round(float(seconds[label]), 2),
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
            before = self._clips, self._found.top
            self._load()
            if (self._clips, self._found.top) == before:
                return False
            self.revision += 1
        self._tell()
        return True

    def write_manifest(self) -> None:
        """Take in what came and went, and write the manifest, so that the command line reads the same clips."""
        with self._changing():
            self._load()
            self._write()

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
        self._left_out = left_out or frozenset()
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
            return frozenset((self._history.folder / "left-out.txt").read_text("utf-8", "surrogateescape").splitlines())
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
        """Hold the locks, with what others have changed taken in; afterwards tell of the change."""
        with self._lock:
            self._history.prepare()
            with self._folder_lock():
                self._finish_interrupted()
                if not self._manifest_is_known():
                    self._load()
                if self._read_left_out() is None:
                    with write_atomic(self._history.folder / "left-out.txt", "w") as file:
                        file.writelines(f"{name}\n" for name in sorted(self._left_out))
                yield
            self.revision += 1
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

    def _take(self, step: Step) -> None:
        """Change the rows as a step says."""
        for row in step.removed:
            self._clips.pop(Clip.from_row(row, self.folder).id, None)
        for row in step.added:
            clip = Clip.from_row(row, self.folder)
            self._clips[clip.id] = clip
        self._found = scan(self.folder)

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

    # --- classes ---

    def add_class(self, name: object) -> str:
        """Make a class, and return its name; nothing changes where it is there."""
        label = checked_class(name)
        with self._lock:
            there = same_class(label, self.labels())
        if there is not None:
            return there
        with self._changing():
            self._commit(Step(f"added the class {label}", folders=[self._folder_of(label)]))
        return label

    def rename_class(self, label: str, name: object) -> str:
        """Give a class another name, and return that."""
        new = checked_class(name)
        self._require(label)
        if new == label:
            return new
        with self._changing():
            there = same_class(new, [one for one in self.labels() if one != label])
            if there is not None:
                raise RefusedError(409, f"there is a class {there!r} already; move the clips there instead")
            of = class_folders(self._found, self.clips()).get(label)
            to = self._folder_of(new)
            clips = self.clips(label)
            added = []
            for clip in clips:
                inside = of is not None and clip.is_inside and clip.listed.startswith(f"{of}/")
                listed = f"{to}{clip.listed[len(of or '') :]}" if inside else clip.listed
                added.append(clip.changed(self.folder, listed, label=new))
            moves = [] if of is None else [(of, to)]
            self._commit(Step(f"renamed {label} to {new}", moves, _rows(clips), _rows(added)))
        return new

    def delete_class(self, label: str) -> int:
        """Remove a class with its clips, and return how many these were."""
        self._require(label)
        with self._changing():
            clips = self.clips(label)
            folder = class_folders(self._found, self.clips()).get(label)
            beside = [] if folder is None else [c for c in in_folder(self.clips(), folder) if c.item.label != label]
            moves = []
            if folder is not None and not beside:
                moves.append((folder, self._history.place_in_trash(folder)))
                clips_elsewhere = [clip for clip in clips if clip not in set(in_folder(clips, folder))]
            else:
                clips_elsewhere = clips
            moves += self._removals(clips_elsewhere)
            self._commit(Step(f"deleted the class {label}", moves, _rows(clips)))
        return len(clips)

    def _require(self, label: str) -> None:
        if label not in self.labels():
            raise RefusedError(404, f"there is no class {display_path(label[:100])!r}")

    def _folder_of(self, label: str) -> str:
        """Return the folder of a class, or that which a new one gets."""
        folders = class_folders(self._found, self.clips())
        if label in folders:
            return folders[label]
        with suppress(ConfigError):
            if checked_class(label) == label and label not in self._found.top:
                return label
        names = FolderNames()  # a label of a manifest that no folder can have
        name = names.of(label)
        while name in self._found.top:
            name += "_"
        return name

    # --- new clips ---

    def add_samples(self, samples: Samples, rate: int, label: str, speaker: str | None = None, **more: Any) -> Clip:
        """Store samples as a clip of a class; `more` are fields of `NewClip`."""
        return self.add_all([NewClip(samples, rate, speaker, **more)], label)[0]

    def add_all(self, new: Sequence[NewClip], label: str, title: str | None = None) -> list[Clip]:
        """Store samples as clips of a class, in one step.

        Parameters
        ----------
        new : sequence of NewClip
        label : str
            The class; it is made if it is not there.
        title : str, optional
            What undoing says. Default: ``added 3 clips to yes``.

        Returns
        -------
        list of Clip

        Raises
        ------
        ConfigError
            If the name of the class or of a speaker cannot be one.
        DataError
            If the project holds pictures, or a file cannot be written.
        """
        with self._lock:
            label = label if label in self.labels() else checked_class(label)
        self._check_kind("audio")
        if not new:
            return []
        self._history.prepare()
        staged = [self._stage(encoded(one.samples, one.rate), suffix_for(one.rate)) for one in new]
        items = [
            (
                staged_at,
                one.stem or new_stem(one.speaker),
                one.stem is None,
                Item(Path(), label, checked_speaker(one.speaker), source=one.source, licence=one.licence),
            )
            for staged_at, one in zip(staged, new, strict=True)
        ]
        return self._add_staged(items, label, title)

    def add_upload(
        self, file: BinaryIO, name: str, label: str, speaker: str | None = None, *, cut: bool = False
    ) -> tuple[list[Clip], list[dict[str, str]]]:
        """Store a foreign file as a clip of a class, or the words in it as clips.

        Parameters
        ----------
        file : binary file
            Seekable.
        name : str
            The file's name, which tells recordings from pictures.
        label : str
            The class; it is made if it is not there.
        speaker : str, optional
        cut : bool
            Whether it is one word again and again, which is cut into clips.

        Returns
        -------
        clips : list of Clip
        skipped : list of {name, message}
            The file, where no clip was made of it, and why.
        """
        with self._lock:
            label = label if label in self.labels() else checked_class(label)
        speaker = checked_speaker(speaker)
        base = name.replace("\\", "/").rpartition("/")[2]
        shown = display_path(base)[:120] or "the file"
        kind = kind_of_name(base)
        try:
            if kind is None:
                raise DataError(f"{shown}: is neither a recording nor a picture by its name")
            self._check_kind(kind)
            self._history.prepare()
            speaker = speaker or checked_speaker((speaker_in_name(Path(base)) or "")[:60])
            stem = _stem_of(base)
            if kind == "images":
                return self._add_picture(file, shown, stem, label, speaker), []
            recording = OpenRecording(file, shown, size_of(file))
            if cut:
                samples, rate = in_memory(recording, shown, MAX_CUT_SECONDS)
                takes = cut_into_takes(samples, rate)
                return self.add_all([NewClip(take, rate, speaker, stem=stem) for take in takes], label), []
            path, _ = convert(recording, self.folder / self._history.place_in_trash(stem))
            of = f"{LAB_FOLDER}/trash/{path.name}"
            return self._add_staged([(of, stem, False, Item(Path(), label, speaker))], label), []
        except NoClearWordError as error:
            return [], [{"name": shown, "message": f"{shown}: no words were found in it: {error}"}]
        except DataError as error:
            return [], [{"name": shown, "message": str(error)}]

    def _add_picture(self, file: BinaryIO, shown: str, stem: str, label: str, speaker: str | None) -> list[Clip]:
        from audioconv.lab.pictures import checked_picture

        suffix = checked_picture(file, shown)
        file.seek(0)
        return self._add_staged([(self._stage(file.read(), suffix), stem, False, Item(Path(), label, speaker))], label)

    def _check_kind(self, kind: Kind) -> None:
        if self.kind not in (None, kind):
            raise DataError(
                f"this project holds {'recordings' if kind == 'images' else 'pictures'}; "
                f"{'pictures' if kind == 'images' else 'recordings'} need a project of their own"
            )

    def _stage(self, content: bytes, suffix: str) -> str:
        """Write a new file where a step can take it from."""
        place = self._history.place_in_trash(f"new{suffix}")
        with write_atomic(self.folder / place) as file:
            file.write(content)
        return place

    def _add_staged(
        self, staged: Sequence[tuple[str, str, bool, Item]], label: str, title: str | None = None
    ) -> list[Clip]:
        """Add staged files, each with the beginning of its name and whether that gets a number."""
        with self._changing():
            folder = self._folder_of(label)
            moves, clips = [], []
            taken: list[Path] = []
            for of, stem, numbered, item in staged:
                suffix = of[of.rindex(".") :]
                path = free_path(self.folder / folder, stem, suffix, taken, numbered=numbered)
                taken.append(path)
                listed = f"{folder}/{path.name}"
                moves.append((of, listed))
                clips.append(Clip(item, listed).changed(self.folder))
            self._commit(Step(title or f"added {_counted(clips)} to {label}", moves, (), _rows(clips)))
        return clips

    # --- changes of clips ---

    def move(self, identifiers: Iterable[object], label: object) -> list[Clip]:
        """Put clips into another class; returns them with their new ids."""
        target = label if isinstance(label, str) and label in self.labels() else checked_class(label)
        with self._changing():
            clips = [clip for clip in self._chosen(identifiers) if clip.item.label != target]
            folders, to = class_folders(self._found, self.clips()), self._folder_of(target)
            moves, added = [], []
            taken: list[Path] = []
            for clip in clips:
                listed = clip.listed
                if clip.editable and clip.folder == folders.get(clip.item.label):
                    path = Path(listed)
                    free = free_path(self.folder / to, path.stem, path.suffix, taken, numbered=False)
                    taken.append(free)
                    listed = f"{to}/{free.name}"
                    moves.append((clip.listed, listed))
                added.append(clip.changed(self.folder, listed, label=target))
            if clips:
                self._commit(Step(f"moved {_counted(clips)} to {target}", moves, _rows(clips), _rows(added)))
        return added

    def set_speaker(self, identifiers: Iterable[object], speaker: object) -> list[Clip]:
        """Name who speaks in clips; an empty name takes the name away."""
        name = checked_speaker(speaker)
        with self._changing():
            clips = [clip for clip in self._chosen(identifiers) if clip.item.speaker != name]
            added = [clip.changed(self.folder, speaker=name) for clip in clips]
            if clips:
                title = f"named the speaker of {_counted(clips)}"
                self._commit(Step(title, (), _rows(clips), _rows(added)))
        return added

    def trim(self, identifier: str, begin: float, end: float) -> Clip:
        """Keep the part of a clip from `begin` to `end`, in seconds."""
        clip = self.clip(identifier)
        if not clip.editable or self.kind != "audio":
            raise RefusedError(409, "this clip is a part of a recording elsewhere, or a picture, and cannot be trimmed")
        samples, rate = in_memory(clip.item.path, clip.id, MAX_CUT_SECONDS)
        first, last = (round(min(max(second, 0.0), len(samples) / rate) * rate) for second in (begin, end))
        if last - first < 0.02 * rate:
            raise ConfigError(f"a clip must keep 0.02 s or more; got {begin:g} to {end:g} s")
        staged = self._stage(encoded(samples[first:last], rate), suffix_for(rate))
        with self._changing():
            (clip,) = self._chosen([identifier])
            path = Path(clip.listed)
            suffix = suffix_for(rate)
            listed = clip.listed
            if path.suffix != suffix:
                listed = f"{clip.folder}/{free_path(self.folder / clip.folder, path.stem, suffix, numbered=False).name}"
            moves = [(clip.listed, self._history.place_in_trash(clip.listed)), (staged, listed)]
            new = clip.changed(self.folder, listed)
            self._commit(Step(f"trimmed a clip of {clip.item.label}", moves, _rows([clip]), _rows([new])))
        return new

    def delete(self, identifiers: Iterable[object]) -> int:
        """Remove clips, and return how many these were."""
        with self._changing():
            clips = self._chosen(identifiers)
            if clips:
                labels = {clip.item.label for clip in clips}
                of = f" of {labels.pop()}" if len(labels) == 1 else ""
                self._commit(Step(f"deleted {_counted(clips)}{of}", self._removals(clips), _rows(clips)))
        return len(clips)

    def undo(self) -> str | None:
        """Undo the last change; return what it was, None where there is none."""
        if not self._history.folder.is_dir():
            return None
        with self._changing():
            last = self._history.last()
            if last is None:
                return None
            number, step = last
            try:
                self._commit(step.backwards(), undone=number)
            except DataError as error:
                self._history.forget(number)
                raise DataError(f"{step.title!r} cannot be undone: {error}") from None
        return step.title

    def _chosen(self, identifiers: Iterable[object]) -> list[Clip]:
        names = list(identifiers)
        if len(names) > MAX_CLIPS_AT_ONCE:
            raise ConfigError(f"at most {MAX_CLIPS_AT_ONCE:,} clips at once; got {len(names):,}")
        return [self.clip(str(name)) for name in dict.fromkeys(names)]

    def _removals(self, clips: Sequence[Clip]) -> list[tuple[str, str]]:
        """Return how the files of removed clips go: those of the project's own that no clip needs any more."""
        left = Counter(clip.listed for clip in self._clips.values())
        left.subtract(clip.listed for clip in clips)
        names = dict.fromkeys(clip.listed for clip in clips if clip.is_inside and not left[clip.listed])
        return [(name, self._history.place_in_trash(name)) for name in names if (self.folder / name).exists()]


def _rows(clips: Iterable[Clip]) -> list[dict[str, Any]]:
    return [clip.to_row() for clip in clips]


def _counted(clips: Sequence[Clip]) -> str:
    return f"{len(clips):,} clip" + ("" if len(clips) == 1 else "s")


def _is_file(clip: Clip) -> bool:
    return clip.item.path.is_file()


def _seconds(clip: Clip, header: Header) -> float:
    item = clip.item
    return header.seconds if item.begin is None or item.end is None else item.end - item.begin


def _stem_of(name: str) -> str:
    """Return the beginning of the name for a foreign file: its own, as far as every system takes it."""
    return safe_stem(name.rpartition(".")[0] or name)
