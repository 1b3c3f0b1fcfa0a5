"""`Project`: the folder, with its classes and clips, and all changes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from audioconv._types import Samples
from audioconv.audio.endpoints import NoClearWordError
from audioconv.audio.read import OpenRecording
from audioconv.datasets.build.folder import FolderNames
from audioconv.datasets.collection import Item, Kind
from audioconv.datasets.folder import speaker_in_name
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path, write_atomic
from audioconv.lab.clips import Clip, class_folders, in_folder, kind_of_name
from audioconv.lab.history import LAB_FOLDER, Step
from audioconv.lab.names import checked_class, checked_speaker, free_path, new_stem, safe_stem, same_class
from audioconv.lab.project_folder import ProjectFolder
from audioconv.lab.storing import (
    MAX_CUT_SECONDS,
    MIN_SECONDS,
    convert,
    cut_into_takes,
    encoded,
    in_memory,
    size_of,
    suffix_for,
)
from audioconv.serving.limits import RefusedError

MAX_CLIPS_AT_ONCE = 20_000
"""Of one request."""


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


class Project(ProjectFolder):
    """A folder of clips with one subfolder a class, and all changes of it; see `ProjectFolder`."""

    # --- classes ---

    def checked_label(self, label: object) -> str:
        """Return the name of a class that is there, or that one may have; `ConfigError` for what cannot be one."""
        return label if isinstance(label, str) and label in self.labels() else checked_class(label)

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
                inside = {clip.id for clip in in_folder(clips, folder)}
                clips_elsewhere = [clip for clip in clips if clip.id not in inside]
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

    def _new(self, folder: str) -> list[str]:
        """Return a class's folder if it is not there: undoing takes it away again."""
        return [] if (self.folder / folder).exists() else [folder]

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
        label = self.checked_label(label)
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
        label = self.checked_label(label)
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
            title = title or f"added {_counted(clips)} to {label}"
            self._commit(Step(title, moves, (), _rows(clips), self._new(folder)))
        return clips

    # --- changes of clips ---

    def move(self, identifiers: Iterable[object], label: object) -> list[Clip]:
        """Put clips into another class; returns them with their new ids."""
        target = self.checked_label(label)
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
                title = f"moved {_counted(clips)} to {target}"
                self._commit(Step(title, moves, _rows(clips), _rows(added), self._new(to)))
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
        if last - first < MIN_SECONDS * rate:
            raise ConfigError(f"a clip must keep {MIN_SECONDS:g} s or more; got {begin:g} to {end:g} s")
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


def _stem_of(name: str) -> str:
    """Return the beginning of the name for a foreign file: its own, as far as every system takes it."""
    return safe_stem(name.rpartition(".")[0] or name)
