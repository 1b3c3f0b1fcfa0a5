"""Extraction of the wanted recordings from archives, each once and unchanged."""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from audioconv.audio.read import fit_length, probe, read_bytes
from audioconv.datasets.archives.reader import Member
from audioconv.datasets.build.common_voice import SAMPLE_RATE
from audioconv.datasets.build.folder import NOISE_FOLDER, FolderNames, Journal
from audioconv.datasets.build.layouts import Layout, Options, silence_items
from audioconv.datasets.build.sampling import SILENCE, UNKNOWN, Chooser
from audioconv.datasets.build.sentences import single_word
from audioconv.datasets.collection import Item
from audioconv.errors import DataError
from audioconv.io.files import display_path

CLIP_SECONDS = 1.0
"""Length of a clip that is cut out of a longer recording."""

Format = Literal["wav", "flac"]


@dataclass(frozen=True)
class ExtractedClip:
    """Result of extracting a recording from the archive.

    Attributes
    ----------
    name : str
        In the archive.
    item : Item
        Its row of the manifest; its path is the file's name.
    word : str
        Its word, if the class is ``_unknown_``.
    content : bytes
        To be written; empty where it is written already.
    sha256 : str
        Hash of the bytes that are written.
    quiet : (begin, end) or None
        Seconds in which nothing is said.
    reason : str
        Reason why it is left out; empty if it is kept.
    """

    name: str
    item: Item
    word: str
    content: bytes = b""
    sha256: str = ""
    quiet: tuple[float, float] | None = None
    reason: str = ""


class Extraction:
    """Takes the files of archives, one after the other, and keeps what is wanted.

    Attributes
    ----------
    saved : dict of str to ExtractedClip
        Clips that are kept, by their path below the folder.
    left_out : list of ExtractedClip
        Clips that are left out.
    """

    AHEAD = 64
    """Clips that are looked at ahead of the one that is decided on."""

    def __init__(self, layout: Layout, options: Options, work: Path, convert: Format | None, journal: Journal) -> None:
        self._layout, self._work, self._convert, self._journal = layout, work, convert, journal
        self._before = {entry["name"]: entry for entry in journal.done}
        self._shard = options.shard
        self._chooser = Chooser(options.limit, {UNKNOWN: options.unknown} if options.unknown else {})
        self._looked_at: set[str] = set()
        self._paths: dict[str, str] = {}
        self._folders = FolderNames()
        self.saved: dict[str, ExtractedClip] = {}
        self.left_out: list[ExtractedClip] = []

    def take(self, members: Iterator[Member]) -> None:
        """Go through all files of an archive."""
        waiting: deque[Future[ExtractedClip]] = deque()
        with ThreadPoolExecutor(os.cpu_count() or 1, "audioconv-clips") as pool:
            try:
                for member in members:
                    clip = self._wanted(member)
                    if clip is None:
                        continue
                    again = self._from_before(clip)
                    content = None if again else member.read()
                    waiting.append(pool.submit(self._examine, again or clip, content))
                    if len(waiting) >= self.AHEAD:
                        self._decide(waiting.popleft().result())
                while waiting:
                    self._decide(waiting.popleft().result())
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _wanted(self, member: Member) -> ExtractedClip | None:
        """Return what a file is; None where it is not wanted."""
        if self._layout.is_noise(member.name):
            member.save(self._work / NOISE_FOLDER / member.name.name)
            return None
        item = self._layout.item(member.name)
        if item is None:
            self._layout.look(member)
            return None
        label, name = self._layout.label(item), member.name.as_posix()
        if self._shard is not None and not self._shard.has(name):
            return None
        if label is None or not self._chooser.would_keep(label, item.speaker, name):
            return None
        if name in self._looked_at:
            raise DataError(f"the archive is refused, it has {display_path(name)} twice")
        self._looked_at.add(name)
        return ExtractedClip(name, replace(item, label=label), item.label)

    def _from_before(self, clip: ExtractedClip) -> ExtractedClip | None:
        """Return what an earlier process, which was interrupted, made of a clip; None where that is not to be had."""
        entry = self._before.get(clip.name)
        if entry is None:
            return None
        if entry["reason"]:
            return replace(clip, reason=entry["reason"])
        path = self._work / entry["path"]
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            return None
        begin, end = entry["part"] or (None, None)
        return replace(
            clip,
            item=replace(clip.item, path=Path(path.name), begin=begin, end=end),
            sha256=entry["sha256"],
            quiet=entry["quiet"] and tuple(entry["quiet"]),
        )

    def _examine(self, clip: ExtractedClip, content: bytes | None) -> ExtractedClip:
        """Return the clip with what is to be written of it, or why it is of no use. Runs beside the reading."""
        if content is None:
            return clip
        if not content:
            return replace(clip, reason="is empty (0 bytes)")
        if self._layout.inspects:
            found = self._layout.inspect(clip.item, content)
            if isinstance(found, str):
                return replace(clip, reason=found)
            clip = replace(clip, item=found[0], quiet=_part(found[1]) if len(found) > 1 else None)
        if self._convert:
            clip, content = _converted(clip, content, self._convert)
        return replace(clip, content=content, sha256=hashlib.sha256(content).hexdigest())

    def _decide(self, clip: ExtractedClip) -> None:
        """Keep a clip, if it is still wanted, and write down what became of it."""
        if clip.reason:
            self.left_out.append(clip)
            if clip.name not in self._before:
                self._journal.write({"name": clip.name, "reason": clip.reason})
            return
        label, speaker = clip.item.label, clip.item.speaker
        if not self._chooser.would_keep(label, speaker, clip.name):
            return
        dropped = self._chooser.keep(label, speaker, clip.name)
        path = self._path(clip)
        if clip.content:
            (self._work / path).parent.mkdir(parents=True, exist_ok=True)
            (self._work / path).write_bytes(clip.content)
        self._paths[clip.name] = path
        self.saved[path] = replace(clip, content=b"")
        if dropped:
            gone = self._paths.pop(dropped)
            del self.saved[gone]
            (self._work / gone).unlink(missing_ok=True)
        if clip.content:
            self._journal.write(
                {
                    "name": clip.name,
                    "reason": "",
                    "path": path,
                    "sha256": clip.sha256,
                    "part": _part(clip.item),
                    "quiet": clip.quiet,
                }
            )

    def _path(self, clip: ExtractedClip) -> str:
        """Return where a clip goes, below the folder: a place where none is yet."""
        folder = self._folders.of(clip.item.label)
        if clip.item.label == UNKNOWN:
            word = single_word(clip.word)
            folder = f"{folder}/{self._folders.of(word)}" if word else folder
        name = clip.item.path
        path, number = f"{folder}/{name.name}", 2
        while path in self.saved:
            path, number = f"{folder}/{name.stem}-{number}{name.suffix}", number + 1
        return path


def _part(item: Item) -> tuple[float, float] | None:
    return None if item.begin is None or item.end is None else (item.begin, item.end)


def _converted(clip: ExtractedClip, content: bytes, form: Format) -> tuple[ExtractedClip, bytes]:
    """Return the clip cut out and encoded anew: its part in the middle of a second, or as long as it is."""
    import soundfile

    try:
        samples = read_bytes(content, display_path(clip.name), SAMPLE_RATE)
    except DataError as error:
        return replace(clip, reason=str(error)), b""
    begin, end = _part(clip.item) or (0.0, len(samples) / SAMPLE_RATE)
    around = max(0.0, (CLIP_SECONDS - (end - begin)) / 2)
    first, last = round((begin - around) * SAMPLE_RATE), round((end + around) * SAMPLE_RATE)
    cut = samples[max(first, 0) : last]
    if first < 0 or last > len(samples):
        cut = fit_length(np.pad(cut, (max(0, -first), max(0, last - len(samples)))), last - first)
    file = io.BytesIO()
    soundfile.write(file, cut, SAMPLE_RATE, subtype="PCM_16", format=form.upper())
    item = replace(clip.item, path=clip.item.path.with_suffix(f".{form}"), begin=None, end=None)
    return replace(clip, item=item, quiet=None), file.getvalue()


def silence(extraction: Extraction, items: Mapping[Path, Item], work: Path, count: int) -> list[Item]:
    """Return `count` stretches without speech: of the recordings of noise, or else beside the words."""
    if not count:
        return []
    noises = [(path, probe(path).duration) for path in sorted((work / NOISE_FOLDER).glob("*"))]
    if noises:
        return silence_items(noises, count)
    chooser = Chooser(count)
    chosen: dict[str, Item] = {}
    for path, clip in sorted(extraction.saved.items()):
        item = items[work / path]
        if clip.quiet and chooser.would_keep(SILENCE, item.speaker, path):
            dropped = chooser.keep(SILENCE, item.speaker, path)
            if dropped:
                del chosen[dropped]
            chosen[path] = replace(item, label=SILENCE, begin=clip.quiet[0], end=clip.quiet[1])
    return list(chosen.values())
