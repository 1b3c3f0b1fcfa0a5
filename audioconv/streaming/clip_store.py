"""`ClipStore`: keeps clips of events in a folder, up to a size."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Self

import numpy as np

from audioconv._types import StrPath
from audioconv.audio.samples import FULL_SCALE
from audioconv.datasets.heard import (
    CLIPS_NAME,
    TABLE_NAME,
    HeardClip,
    append_heard,
    held,
    read_heard,
    row_bytes,
    write_heard,
    write_words,
)
from audioconv.errors import DataError
from audioconv.io.files import display_path, reason, write_atomic
from audioconv.streaming.event_clips import EventClip

HIGHEST_FLAC_RATE = 48_000
"""Clips of higher rates are WAV files."""


class ClipStore:
    """Clips in a folder, each with a row in its table. `open` makes one.

    Attributes
    ----------
    folder : Path
    limit : int
        The bytes that clips and table may have together.
    bytes : int
        What they have.
    detections, near_misses : int
        Clips that were kept so far.
    is_full : bool
        Whether a clip was not kept, and none will be, since there was no room for it.
    failure : DataError or None
        Why a clip could not be written; none will be kept after it.
    """

    def __init__(self, folder: Path, limit: int, rows: Sequence[HeardClip]) -> None:
        self.folder, self.limit = folder, limit
        self.bytes = _size(folder)
        self.detections = self.near_misses = 0
        self.is_full = False
        self.failure: DataError | None = None
        numbers = [path.stem for path in (folder / CLIPS_NAME).iterdir()]
        self._number = max((int(stem) for stem in numbers if stem.isdecimal()), default=0)
        self._known = {_identity(row) for row in rows}

    @classmethod
    @contextmanager
    def open(cls, folder: StrPath, limit: int, words: Sequence[str]) -> Iterator[Self]:
        """Open or make a folder; no other process can write to it within the block.

        Parameters
        ----------
        folder : path-like
        limit : int
            The bytes that clips and table may have together, those of earlier runs included.
        words : sequence of str
            Those of the model.

        Raises
        ------
        DataError
            If the folder cannot be made, another process writes to it, or its table is damaged.
        """
        root = Path(folder)
        try:
            (root / CLIPS_NAME).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{display_path(root)}: the folder cannot be made ({reason(error)})") from None
        with held(root):
            yield cls(root, limit, _repaired(root, words))

    def add(self, clip: EventClip, source: str, *, once: bool = False) -> None:
        """Keep a clip; raises nothing, so that listening goes on: see `is_full` and `failure`.

        Parameters
        ----------
        clip : EventClip
        source : str
            The recording or the device.
        once : bool
            Whether a clip of the same place of this source is kept once, even in several runs.
        """
        if self.is_full or self.failure is not None:
            return
        rate = clip.sample_rate
        name = f"{self._number + 1:06}.{'flac' if rate <= HIGHEST_FLAC_RATE else 'wav'}"
        row = HeardClip(
            path=f"{CLIPS_NAME}/{name}",
            label=display_path(clip.label),
            score=float(clip.score),
            threshold=float(clip.threshold),
            fired=clip.fired,
            begin=clip.begin / rate,
            start=clip.start / rate,
            end=clip.end / rate,
            time=datetime.now().astimezone().isoformat(timespec="seconds"),
            source=display_path(source),
        )
        if once and _identity(row) in self._known:
            return
        content = _encoded(clip)
        if self.bytes + len(content) + len(row_bytes(row)) > self.limit:
            self.is_full = True
            return
        try:
            with write_atomic(self.folder / row.path) as file:
                file.write(content)
            # The row comes behind the clip: no row names a clip that is not there.
            length = append_heard(self.folder, row)
        except DataError as error:
            self.failure = error
            with suppress(OSError):
                (self.folder / row.path).unlink()
            return
        self._number += 1
        self.bytes += len(content) + length
        self._known.add(_identity(row))
        self.detections += clip.fired
        self.near_misses += not clip.fired


def _repaired(folder: Path, words: Sequence[str]) -> list[HeardClip]:
    """Return the table's rows; remove what a run that was killed has left half done."""
    table, clips = folder / TABLE_NAME, list[HeardClip]()
    is_there = table.exists()
    if is_there:
        clips = read_heard(folder)
    if not is_there or not table.read_bytes().endswith(b"\n"):
        write_heard(folder, clips)
    for part in [*folder.glob(".audioconv-*.part"), *(folder / CLIPS_NAME).glob(".audioconv-*.part")]:
        with suppress(OSError):
            part.unlink()
    write_words(folder, [display_path(word) for word in words])
    return clips


def _identity(row: HeardClip) -> tuple[str, str, str]:
    """Return what two clips of the same place of a recording share."""
    return row.source, row.label, f"{row.begin:.4f}"


def _encoded(clip: EventClip) -> bytes:
    """Return a clip as a file of 16 bits."""
    import soundfile

    integers = np.clip(np.rint(clip.samples * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    file = io.BytesIO()
    kind = "FLAC" if clip.sample_rate <= HIGHEST_FLAC_RATE else "WAV"
    soundfile.write(file, integers, clip.sample_rate, format=kind, subtype="PCM_16")
    return file.getvalue()


def _size(folder: Path) -> int:
    """Return the bytes of the table and of the files beside the clips, rows or not."""
    total = (folder / TABLE_NAME).stat().st_size
    with os.scandir(folder / CLIPS_NAME) as entries:
        return total + sum(entry.stat().st_size for entry in entries if entry.is_file())
