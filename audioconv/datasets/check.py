"""Looking for what spoils a data set: leaks, wrong labels, unreadable files, clips that cannot be heard."""

from __future__ import annotations

import hashlib
import math
import os
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.read import Segment, probe, read, read_window
from audioconv.datasets.collection import SPLITS, Collection, Item
from audioconv.errors import DataError
from audioconv.files import display_path

LARGEST_RATIO = 10
"""The largest class may have this many times the clips of the smallest."""

FEWEST_CLIPS = 10
"""A class should have so many."""

CLIPPED_LEVEL, CLIPPED_RUN, CLIPPED_SHARE = 0.98, 3, 0.001
"""Samples beyond the level that are equal to their neighbours, so many in a row, are clipped; up to this share passes.

The level is below full scale because mu-law ends there, and because recordings are made quieter after they were cut.
"""

QUIET_PEAK = -40.0
"""dBFS; a clip that stays below has lost half of 16 bits and more of 8."""

LARGEST_OFFSET = 0.05
"""Of full scale; the mean of a recording is 0 unless its recorder is at fault."""

LENGTH_RATIO = 5
"""A clip is an outlier if it is this many times longer or shorter than the median."""

FLOOR = -120.0
"""dBFS; digital silence has this level, since minus infinity is no number that JSON knows."""

Names = Sequence[str] | Mapping[str, Any]

# What an empty split means to `training`.
_UNSPLIT = "train"


@dataclass(frozen=True, slots=True)
class Sound:
    """What was measured of a recording, or of the part of one that is the clip. The channels are averaged.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the decoded samples and their rate.
    seconds : float
        Its length.
    sample_rate : int
        In Hz.
    channels : int
        Of the file.
    loudness : float
        Root mean square without the offset, in dBFS: a full-scale square wave has 0.
    peak : float
        The largest sample without the offset, in dBFS.
    clipped : float
        Share of the samples that were cut off, 0 to 1.
    offset : float
        Mean of the samples; full scale is 1.
    """

    digest: bytes
    seconds: float
    sample_rate: int
    channels: int
    loudness: float
    peak: float
    clipped: float
    offset: float

    @property
    def is_empty(self) -> bool:
        """Whether all samples are equal."""
        return self.peak <= FLOOR


@dataclass(frozen=True, slots=True)
class Picture:
    """What was measured of a picture.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the pixels and their shape.
    height, width : int
        In pixels.
    channels : int
        1 for grey, 3 for colours.
    brightness : float
        Mean of the pixels, 0 to 1.
    contrast : float
        Standard deviation of the pixels in each channel, 0 to 0.5; the root of the mean square over channels.
    """

    digest: bytes
    height: int
    width: int
    channels: int
    brightness: float
    contrast: float

    @property
    def is_empty(self) -> bool:
        """Whether all pixels are equal."""
        return self.contrast == 0


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or may be.

    Attributes
    ----------
    kind : str
        A short name for programs, such as ``leak``.
    message : str
        What it is, how often, and what to do.
    where : tuple of str
        A line for each file, group of files, speaker or class that has it.
    items : tuple of int
        The places of the files in the collection; empty where it is not about single files.
    """

    kind: str
    message: str
    where: tuple[str, ...] = ()
    items: tuple[int, ...] = ()


@dataclass(frozen=True)
class Duplicates:
    """Clips that are the same.

    Attributes
    ----------
    items : tuple of int
        Their places in the collection, two or more.
    same_bytes : bool
        Whether they are copies of one file; else only what they decode to is the same.
    """

    items: tuple[int, ...]
    same_bytes: bool


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes
    ----------
    collection : Collection
        What was looked at.
    measured : tuple of (Sound, Picture or None)
        The numbers of each clip, in the order of the collection; None for those that cannot be read.
    failures : tuple of DataError
        Why some cannot be read; each message names its file.
    duplicates : tuple of Duplicates
        Clips that are the same, without those in which nothing is to be heard or seen.
    errors : tuple of Finding
        What makes results wrong or training fail.
    warnings : tuple of Finding
        What may be meant so, and is worth a look.
    """

    collection: Collection
    measured: tuple[Sound | Picture | None, ...]
    failures: tuple[DataError, ...]
    duplicates: tuple[Duplicates, ...]
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    @property
    def sounds(self) -> list[Sound]:
        """The numbers of the recordings that can be read."""
        return [found for found in self.measured if isinstance(found, Sound)]

    @property
    def pictures(self) -> list[Picture]:
        """The numbers of the pictures that can be read."""
        return [found for found in self.measured if isinstance(found, Picture)]

    @property
    def splits(self) -> tuple[str | None, ...]:
        """The splits that there are, None for clips without one."""
        there = {item.split for item in self.collection.items}
        return tuple(split for split in (*SPLITS, None) if split in there)

    @cached_property
    def clips(self) -> dict[str, dict[str | None, int]]:
        """How many clips each class has in each split that there is."""
        counts = Counter((item.label, item.split) for item in self.collection.items)
        return {label: {split: counts[label, split] for split in self.splits} for label in self.collection.classes}

    def as_json(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold: levels in dBFS, lengths in seconds, rates in Hz."""
        items = self.collection.items
        described: dict[str, Any] = {
            "kind": self.collection.kind,
            "count": len(items),
            "classes": {label: _named(counts) for label, counts in self.clips.items()},
            "splits": _named(Counter(item.split for item in items)),
            "speakers": len({item.speaker for item in items if item.speaker}),
            "errors": [self._finding_as_json(finding) for finding in self.errors],
            "warnings": [self._finding_as_json(finding) for finding in self.warnings],
            "duplicates": [
                {"same_bytes": group.same_bytes, "files": [_item_as_json(items[place]) for place in group.items]}
                for group in self.duplicates
            ],
            "unreadable": [str(failure) for failure in self.failures],
        }
        if sounds := self.sounds:
            described["seconds"] = _range([sound.seconds for sound in sounds])
            described["loudness"] = _range([sound.loudness for sound in sounds])
            described["peak"] = _range([sound.peak for sound in sounds])
            described["sample_rates"] = dict(Counter(sound.sample_rate for sound in sounds))
            described["channels"] = dict(Counter(sound.channels for sound in sounds))
        if pictures := self.pictures:
            described["sizes"] = dict(Counter(f"{picture.height}x{picture.width}" for picture in pictures))
            described["channels"] = dict(Counter(picture.channels for picture in pictures))
            described["brightness"] = _range([picture.brightness for picture in pictures])
        return described

    def _finding_as_json(self, finding: Finding) -> dict[str, Any]:
        files = [_item_as_json(self.collection.items[place]) for place in finding.items]
        return {"kind": finding.kind, "message": finding.message, "where": list(finding.where), "files": files}


def check(collection: Collection, on_file: Callable[[], object] | None = None) -> Report:
    """Read every clip of a data set once, and look for what spoils it.

    Errors: files that cannot be read; the same clip under two labels; the same clip in two splits; a speaker in two
    splits. Warnings: the same clip twice elsewhere; classes that are small, far larger than others or missing from a
    split; clips that are silent, very quiet, clipped or off zero; lengths far from the median; several sample rates.

    Clips are the same if they decode to the same samples or pixels, in whichever container. A copy that was resampled,
    cut or coded with loss is not found.

    Parameters
    ----------
    collection : Collection
        Recordings or pictures.
    on_file : callable, optional
        Called after each clip, for a progress bar.

    Returns
    -------
    Report

    Raises
    ------
    MissingExtraError
        If they are pictures and Pillow is not installed (extra ``images``).

    Examples
    --------
    >>> [finding.kind for finding in check(open_collection("recordings")).errors]  # doctest: +SKIP
    ['speakers']
    """
    found = list(_measure_all(collection, on_file))
    measured = tuple(None if isinstance(one, DataError) else one for one in found)
    duplicates = tuple(_duplicates(collection, measured))
    errors = [
        *_unreadable(found),
        *_label_conflicts(collection, duplicates),
        *_leaks(collection, duplicates),
        *_shared_speakers(collection),
    ]
    warnings = [*_other_duplicates(collection, duplicates), *_balance(collection), *_empty(collection, measured)]
    if collection.kind == "audio":
        warnings += _sound_warnings(collection, measured)
    failures = tuple(one for one in found if isinstance(one, DataError))
    return Report(collection, measured, failures, duplicates, tuple(errors), tuple(warnings))


# --- measuring ---


def _measure_all(collection: Collection, on_file: Callable[[], object] | None) -> Iterator[Sound | Picture | DataError]:
    """Yield what is measured of each clip, in order; of its samples nothing stays in memory."""
    measure = measure_picture if collection.kind == "images" else measure_sound

    def attempt(item: Item) -> Sound | Picture | DataError:
        try:
            return measure(item.example)
        except DataError as error:
            return error

    # The libraries that decode, and SHA-256, let other Python threads run meanwhile.
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        try:
            for one in pool.map(attempt, collection.items):
                yield one
                if on_file is not None:
                    on_file()
        except BaseException:  # Ctrl-C too: leaving the block would wait for all files to be read
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def measure_sound(example: Path | Segment) -> Sound:
    """Return the numbers of a recording or a part of one at its own rate; raises `DataError` as `audio.read` does."""
    header = probe(example.path if isinstance(example, Segment) else example)
    rate = header.sample_rate
    if isinstance(example, Segment):
        samples = read_window(example, rate, max(1, round(example.duration * rate)))
    else:
        samples = read(example, rate)
    offset = float(samples.mean(dtype=np.float64))
    # Rounding would give silence with an offset a sound.
    is_flat = np.ptp(samples) == 0
    spread = 0.0 if is_flat else float(samples.std(dtype=np.float64))
    peak = 0.0 if is_flat else max(float(samples.max()) - offset, offset - float(samples.min()))
    return Sound(
        hashlib.sha256(samples.tobytes() + rate.to_bytes(4, "little")).digest(),
        len(samples) / rate,
        rate,
        header.channels,
        _decibels(spread),
        _decibels(peak),
        _clipped_share(samples),
        offset,
    )


def measure_picture(example: Path | Segment) -> Picture:
    """Return the numbers of a picture; raises `DataError` as `images.read` does."""
    from audioconv.images.read import read as read_picture

    assert not isinstance(example, Segment), "pictures have no parts"
    pixels = read_picture(example)
    height, width, channels = pixels.shape
    return Picture(
        hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest(),
        height,
        width,
        channels,
        float(pixels.mean()),
        # As with silence: rounding would give equal pixels a contrast.
        float(np.sqrt(pixels.var(axis=(0, 1)).mean())) if np.ptp(pixels, axis=(0, 1)).any() else 0.0,
    )


def _clipped_share(samples: NDArray[np.float32]) -> float:
    """Return the share of `samples` (T,) in runs that are cut off flat near full scale."""
    high = np.flatnonzero(np.abs(samples) >= CLIPPED_LEVEL)
    if len(high) < CLIPPED_RUN:
        return 0.0
    # A run ends where the next high sample is not beside this one or not equal to it.
    ends = np.flatnonzero((np.diff(high) > 1) | (np.diff(samples[high]) != 0))
    lengths = np.diff(np.concatenate(([-1], ends, [len(high) - 1])))
    return float(lengths[lengths >= CLIPPED_RUN].sum()) / len(samples)


def _decibels(level: float) -> float:
    return max(FLOOR, 20 * math.log10(level)) if level > 0 else FLOOR


# --- errors ---


def _unreadable(found: Sequence[Sound | Picture | DataError]) -> Iterator[Finding]:
    places = tuple(place for place, one in enumerate(found) if isinstance(one, DataError))
    if places:
        yield Finding(
            "unreadable",
            f"{len(places):,} of {len(found):,} files cannot be read; mend or remove them",
            tuple(str(found[place]) for place in places),
            places,
        )


def _duplicates(collection: Collection, measured: Sequence[Sound | Picture | None]) -> Iterator[Duplicates]:
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, one in enumerate(measured):
        # Silence is the same in every silent clip; it has a warning of its own.
        if one is not None and not one.is_empty:
            groups[one.digest].append(place)
    for places in groups.values():
        if len(places) > 1:
            yield Duplicates(tuple(places), _are_copies([collection.items[place] for place in places]))


def _are_copies(items: Sequence[Item]) -> bool:
    """Return whether all of `items` are whole files with the same bytes."""
    if any(isinstance(item.example, Segment) for item in items):
        return False
    digests = set()
    for item in items:
        try:
            with open(item.path, "rb") as file:
                digests.add(hashlib.file_digest(file, "sha256").digest())
        except OSError:  # gone since it was read
            return False
    return len(digests) == 1


def _label_conflicts(collection: Collection, duplicates: Sequence[Duplicates]) -> Iterator[Finding]:
    groups = [group for group in duplicates if len({collection.items[place].label for place in group.items}) > 1]
    if groups:
        yield Finding(
            "label-conflict",
            f"{_many(len(groups), collection)} {_have(groups)} more than one label; keep each under the right one",
            tuple(_line(collection, group, lambda item: item.label) for group in groups),
            _places(groups),
        )


def _leaks(collection: Collection, duplicates: Sequence[Duplicates]) -> Iterator[Finding]:
    groups = [group for group in duplicates if len({_split(collection.items[place]) for place in group.items}) > 1]
    if groups:
        yield Finding(
            "leak",
            f"{_many(len(groups), collection)} {_are(groups)} in more than one split, so that results are too good; "
            "keep each in one",
            tuple(_line(collection, group, _split) for group in groups),
            _places(groups),
        )


def _shared_speakers(collection: Collection) -> Iterator[Finding]:
    shared, speakers = shared_speakers(collection), {item.speaker for item in collection.items if item.speaker}
    if shared:
        yield Finding(
            "speakers",
            f"{len(shared):,} of {len(speakers):,} speakers {_are(shared)} in more than one split ({_some(shared)}), "
            "so that results do not tell how others are understood; use a split of the data set that keeps each "
            "speaker in one, or leave the column split empty: training then sets whole speakers apart",
            tuple(f"{speaker}: {', '.join(splits)}" for speaker, splits in shared.items()),
        )


def shared_speakers(collection: Collection) -> dict[str, list[str]]:
    """Return the speakers that are in more than one split, and in which; a clip without one is trained on."""
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for item in collection.items:
        if item.speaker:
            splits[item.speaker].add(_split(item))
    return {speaker: sorted(names, key=SPLITS.index) for speaker, names in sorted(splits.items()) if len(names) > 1}


# --- warnings ---


def _other_duplicates(collection: Collection, duplicates: Sequence[Duplicates]) -> Iterator[Finding]:
    """Yield those within one class and one split."""
    groups = [
        group
        for group in duplicates
        if len({(collection.items[place].label, _split(collection.items[place])) for place in group.items}) == 1
    ]
    if groups:
        yield Finding(
            "duplicates",
            f"{_many(len(groups), collection)} {_are(groups)} there more than once in a class, and count more than "
            "others; keep one of each",
            tuple(_line(collection, group) for group in groups),
            _places(groups),
        )


def _balance(collection: Collection) -> Iterator[Finding]:
    counts = collection.counts
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[largest] > LARGEST_RATIO * counts[smallest]:
        yield Finding(
            "imbalance",
            f"class {largest!r} has {counts[largest]:,} files and {smallest!r} {counts[smallest]:,}, more than "
            f"{LARGEST_RATIO} times fewer; add files to the small classes, or use fewer of the large ones",
        )
    small = {label: count for label, count in counts.items() if count < FEWEST_CLIPS}
    if small:
        yield Finding(
            "few-clips",
            f"{_of_classes(small, counts)} fewer than {FEWEST_CLIPS} files; add some",
            tuple(f"{label}: {count}" for label, count in small.items()),
        )
    in_split = Counter((item.label, _split(item)) for item in collection.items)
    for split in sorted({split for _, split in in_split}, key=SPLITS.index):
        missing = [label for label in counts if not in_split[label, split]]
        if missing:
            yield Finding(
                "missing-class",
                f"{_of_classes(missing, counts)} no files in the split {split}; add some, or leave the class out",
                tuple(missing),
            )


def _empty(collection: Collection, measured: Sequence[Sound | Picture | None]) -> Iterator[Finding]:
    places = [place for place, one in enumerate(measured) if one is not None and one.is_empty]
    if places:
        what = "of one colour" if collection.kind == "images" else "silent: all samples are equal"
        yield Finding(
            "empty",
            f"{_many(len(places), collection)} {_are(places)} {what}; remove them, unless that is their class",
            tuple(_name(collection.items[place]) for place in places),
            tuple(places),
        )


def _sound_warnings(collection: Collection, measured: Sequence[Sound | Picture | None]) -> Iterator[Finding]:
    sounds = {place: one for place, one in enumerate(measured) if isinstance(one, Sound)}
    if not sounds:
        return
    median = statistics.median(sound.seconds for sound in sounds.values())

    def finding(kind: str, is_at_fault: Callable[[Sound], bool], message: str, number: str) -> Iterator[Finding]:
        """Yield the finding about the recordings at fault, each with the `number` that tells."""
        faulty = {place: sound for place, sound in sounds.items() if is_at_fault(sound)}
        if faulty:
            yield Finding(
                kind,
                f"{_many(len(faulty), collection)} {_are(faulty)} {message}",
                tuple(f"{_name(collection.items[place])}: {number.format(s=s)}" for place, s in faulty.items()),
                tuple(faulty),
            )

    yield from finding(
        "quiet",
        lambda sound: sound.peak < QUIET_PEAK and not sound.is_empty,
        f"very quiet (peaks below {QUIET_PEAK:g} dBFS); listen whether anything is to be heard",
        "{s.peak:.1f} dBFS",
    )
    yield from finding(
        "clipped",
        lambda sound: sound.clipped > CLIPPED_SHARE,
        f"clipped (more than {CLIPPED_SHARE:.1%} of the samples are cut off flat); record at a lower level",
        "{s.clipped:.2%}",
    )
    yield from finding(
        "offset",
        lambda sound: abs(sound.offset) > LARGEST_OFFSET,
        f"off zero (by more than {LARGEST_OFFSET:.0%} of full scale); check the recorder",
        "{s.offset:+.3f} of full scale",
    )
    yield from finding(
        "length",
        lambda sound: not median / LENGTH_RATIO <= sound.seconds <= median * LENGTH_RATIO,
        f"more than {LENGTH_RATIO} times longer or shorter than the median of {median:.2f} s; cut or remove them",
        "{s.seconds:.2f} s",
    )
    yield from _several_rates(collection, sounds)


def _several_rates(collection: Collection, sounds: Mapping[int, Sound]) -> Iterator[Finding]:
    rates = Counter(sound.sample_rate for sound in sounds.values())
    if len(rates) > 1:
        lowest = min(rates)
        yield Finding(
            "sample-rates",
            f"there are {len(rates)} sample rates; those at {lowest:,} Hz hold nothing above {lowest // 2:,} Hz, which "
            "a model may learn instead of the sound: set --sample-rate to the lowest",
            tuple(f"{rate:,} Hz: {count:,} files" for rate, count in sorted(rates.items())),
        )


# --- words and numbers ---


def _split(item: Item) -> str:
    return item.split or _UNSPLIT


def _name(item: Item) -> str:
    part = "" if item.begin is None or item.end is None else f" from {item.begin:g} to {item.end:g} s"
    return display_path(item.path) + part


def _line(collection: Collection, group: Duplicates, note: Callable[[Item], str] | None = None) -> str:
    """Return the names of a group's files, each with a note, and in what way they are the same."""
    items = [collection.items[place] for place in group.items]
    names = ", ".join(_name(item) + (f" ({note(item)})" if note else "") for item in items)
    same = "same file" if group.same_bytes else "same pixels" if collection.kind == "images" else "same samples"
    return f"{names}: {same}"


def _places(groups: Iterable[Duplicates]) -> tuple[int, ...]:
    return tuple(place for group in groups for place in group.items)


def _many(count: int, collection: Collection) -> str:
    what = "picture" if collection.kind == "images" else "recording"
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _are(things: Sized) -> str:
    return "is" if len(things) == 1 else "are"


def _have(things: Sized) -> str:
    return "has" if len(things) == 1 else "have"


def _of_classes(some: Names, counts: Mapping[str, int]) -> str:
    """Return ``3 of 35 classes (bed, bird, cat) have``."""
    return f"{len(some):,} of {len(counts):,} classes ({_some(some)}) {_have(some)}"


def _some(names: Names) -> str:
    return ", ".join(islice(names, 3)) + (", ..." if len(names) > 3 else "")


def _named(counts: Mapping[str | None, int]) -> dict[str, int]:
    return {split or "none": count for split, count in counts.items()}


def _item_as_json(item: Item) -> dict[str, Any]:
    described = {"path": display_path(item.path), "label": item.label, "speaker": item.speaker, "split": item.split}
    return described if item.begin is None else {**described, "begin": item.begin, "end": item.end}


def _range(values: Sequence[float]) -> dict[str, float]:
    return {"lowest": min(values), "median": statistics.median(values), "highest": max(values)}
