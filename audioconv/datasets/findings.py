"""What spoils a data set: each finding with what it is, how often, where, and what to do."""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any

from audioconv.audio.read import Segment
from audioconv.datasets.balance import LARGEST_RATIO
from audioconv.datasets.collection import SPLITS, Collection, Item
from audioconv.datasets.measure import CLIPPED_SHARE, Picture, Sound
from audioconv.datasets.splits import split_validation
from audioconv.errors import DataError
from audioconv.files import display_path

FEWEST_CLIPS = 10
"""A class should have so many."""
QUIET_PEAK = -40.0
"""dBFS; a clip that stays below has lost half of 16 bits and more of 8."""

LARGEST_OFFSET = 0.05
"""Of full scale; the mean of a recording is 0 unless its recorder is at fault."""

LENGTH_RATIO = 5
"""A clip is an outlier if it is this many times longer or shorter than the median."""

Names = Sequence[str] | Mapping[str, Any]

# What an empty split means to `training`.
_UNSPLIT = "train"


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


def find_duplicates(collection: Collection, measured: Sequence[Sound | Picture | None]) -> Iterator[Duplicates]:
    """Yield the groups of clips that are the same, without those in which nothing is to be heard or seen."""
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


def find_errors(
    collection: Collection, found: Sequence[Sound | Picture | DataError], duplicates: Sequence[Duplicates]
) -> list[Finding]:
    """Return what makes results wrong or training fail."""
    return [
        *_unreadable(found),
        *(finding for finding, is_error in _left_out(collection) if is_error),
        *_label_conflicts(collection, duplicates),
        *_leaks(collection, duplicates),
        *_shared_speakers(collection),
    ]


def find_warnings(
    collection: Collection, measured: Sequence[Sound | Picture | None], duplicates: Sequence[Duplicates]
) -> list[Finding]:
    """Return what may be meant so, and is worth a look; `measured` is None for clips that cannot be read."""
    warnings = [
        *(finding for finding, is_error in _left_out(collection) if not is_error),
        *_other_duplicates(collection, duplicates),
        *_balance(collection),
        *_unvalidated(collection),
        *_empty(collection, measured),
    ]
    if collection.kind == "audio":
        warnings += _sound_warnings(collection, measured)
    return warnings


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


def _left_out(collection: Collection) -> Iterator[tuple[Finding, bool]]:
    """Yield what stands in the folder and is not used, and whether it is an error: a class that loses most files."""
    left_out, counts = collection.left_out, collection.counts
    lost: Counter[str] = Counter()
    for label, _, files in left_out.unread:
        lost[label] += files
    if left_out.about_unread:
        where = tuple(f"{label}: {files:,} x {ending or 'no ending'}" for label, ending, files in left_out.unread)
        most_are_lost = any(lost[label] > counts.get(label, 0) for label in lost)
        yield Finding("not-read", left_out.about_unread, where), most_are_lost
    if left_out.about_empty:
        yield Finding("empty-folder", left_out.about_empty, left_out.empty), False
    if left_out.about_stray:
        yield Finding("stray", left_out.about_stray, left_out.stray), False


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


def _unvalidated(collection: Collection) -> Iterator[Finding]:
    """Yield a finding where training would set apart a part to validate with in which classes are missing."""
    if any(item.split == "validation" for item in collection.items):
        return  # said of the split
    items = [item for item in collection.items if item.split in (None, "train")]
    labels = [item.label for item in items]
    groups = [item.speaker for item in items] if any(item.speaker for item in items) else None
    try:
        _, validation = split_validation(labels, groups)
    except DataError as error:
        yield Finding("no-validation", str(error))
        return
    watched = {labels[place] for place in validation}
    missing = [label for label in sorted(set(labels)) if label not in watched]
    if missing:
        yield Finding(
            "no-validation",
            f"{_of_classes(missing, collection.counts)} no clips that training would validate with, so that nothing "
            "watches how well they are learned; add clips, of several speakers where they are known",
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
