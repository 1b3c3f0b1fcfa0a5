"""What is wrong with the clips of a project: `data check`, in the background, for what is new."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from audioconv.datasets.check.class_findings import Finding, split_of_item
from audioconv.datasets.check.findings import Duplicates, find_duplicates, find_errors, find_warnings
from audioconv.datasets.check.measure import Measurements, Picture, Sound, measure_picture, measure_sound
from audioconv.datasets.collection import Collection
from audioconv.errors import DataError
from audioconv.lab.clips import Clip
from audioconv.lab.events import EventHub
from audioconv.lab.headers import Header, stamp_of
from audioconv.lab.names import role_of
from audioconv.lab.project import Project

WAIT_SECONDS = 0.5
"""A check begins so long after the last change."""

TOLD_CLIPS = 500
"""After so many clips the findings so far are told."""

Measured = Sound | Picture | DataError
Fault = dict[str, Any]

OF_BACKGROUND = frozenset({"unreadable", "empty", "clipped", "label-conflict", "duplicates"})
"""Findings that count for background; its pieces may be long and quiet."""


class Checker:
    """Checks a project in a thread, after each change of it.

    Parameters
    ----------
    project : Project
    events : EventHub
        Is told when findings have changed.
    """

    def __init__(self, project: Project, events: EventHub) -> None:
        self._project, self._events = project, events
        self._measured: dict[str, tuple[tuple[int, int], Measured]] = {}
        self._wake, self._stop = threading.Event(), threading.Event()
        self._found: dict[str, Any] = {"clips": {}, "findings": [], "unchecked": 0}
        self._thread = threading.Thread(target=self._work, name="audioconv-check", daemon=True)

    def start(self) -> None:
        """Begin to check."""
        self._project.on_change.append(self._wake.set)
        self._wake.set()
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._wake.set()
        self._thread.join()
        self._project.headers.save(self._project.clips())

    def to_json(self) -> dict[str, Any]:
        """Return the findings: those of each clip by its id, those of the whole, and how many clips are unchecked."""
        return self._found

    def _work(self) -> None:
        while True:
            self._wake.wait()
            if self._stop.wait(WAIT_SECONDS):
                return
            self._wake.clear()
            # `close` may have set both between the pause and here, and wakes nobody again.
            if self._stop.is_set():
                return
            with suppress(DataError):  # of a folder that has just gone
                self._check()

    def _check(self) -> None:
        clips, kind = self._project.clips(), self._project.kind
        new = [clip for clip in clips if not self._is_measured(clip)]
        for count, clip in enumerate(new):
            if self._stop.is_set():
                return
            stamp, found = stamp_of(clip.item.path), _measure(clip, kind or "audio")
            self._measured[clip.id] = stamp, found
            if isinstance(found, Sound) and clip.item.begin is None:
                self._project.headers.put(clip, Header(stamp, round(found.seconds, 4), found.sample_rate))
            else:
                self._project.header(clip)
            if count % TOLD_CLIPS == TOLD_CLIPS - 1:
                self._tell(len(new) - count - 1)
        there = {clip.id for clip in clips}
        self._measured = {name: found for name, found in self._measured.items() if name in there}
        measured = [self._measured[clip.id][1] for clip in clips]
        faults: dict[str, list[Fault]] = {}
        findings: list[Fault] = []
        if clips:
            collection = Collection(tuple(clip.item for clip in clips), kind or "audio", self._project.name)
            faults, findings = find_faults(clips, collection, measured)
        self._project.set_faults(faults)
        self._found = {"clips": faults, "findings": findings, "unchecked": 0}
        if new:
            self._project.headers.save(clips)
        self._tell(0)

    def _is_measured(self, clip: Clip) -> bool:
        found = self._measured.get(clip.id)
        return found is not None and found[0] == stamp_of(clip.item.path)

    def _tell(self, left: int) -> None:
        self._found = {**self._found, "unchecked": left}
        faulty = len(self._found["clips"])
        self._events.publish({"type": "check", "revision": self._project.revision, "clips": faulty, "unchecked": left})


def _measure(clip: Clip, kind: str) -> Measured:
    measure: Callable[[Any], Measured] = measure_picture if kind == "images" else measure_sound
    try:
        return measure(clip.item.example)
    except DataError as error:
        return error


def find_faults(
    clips: list[Clip], collection: Collection, measured: list[Measured]
) -> tuple[dict[str, list[Fault]], list[Fault]]:
    """Return the faults of each clip by its id, and the findings about the whole.

    Parameters
    ----------
    clips : list of Clip
    collection : Collection
        The rows of the same clips, in the same order.
    measured : list of Sound, Picture or DataError
        What was measured of each, or why it cannot be read.
    """
    faults: defaultdict[str, list[Fault]] = defaultdict(list)
    duplicates = list(find_duplicates(collection, Measurements.of(measured, collection.kind)))
    for place, fault in _same_clips(clips, duplicates):
        faults[clips[place].id].append(fault)
    whole: list[Fault] = []
    words = [place for place, clip in enumerate(clips) if role_of(clip.item.label) != "background"]
    others = [place for place, clip in enumerate(clips) if role_of(clip.item.label) == "background"]
    for places, is_background in ((words, False), (others, True)):
        if not places:
            continue
        part = Collection(tuple(clips[place].item for place in places), collection.kind, collection.name)
        of_part = Measurements.of([measured[place] for place in places], collection.kind)
        findings = [*find_errors(part, of_part, ()), *find_warnings(part, of_part, ())]
        for finding in findings:
            if is_background and finding.kind not in OF_BACKGROUND:
                continue
            if finding.items:
                for place, fault in _of_clips(finding):
                    faults[clips[places[place]].id].append(fault)
            else:
                whole.append({"kind": finding.kind, "message": finding.message})
    return dict(faults), whole


def _of_clips(finding: Finding) -> Iterator[tuple[int, Fault]]:
    """Yield the place of each clip of a finding, with what is wrong with it."""
    for place, line in zip(finding.items, finding.where, strict=True):
        what = MESSAGES.get(finding.kind, "{}")
        number = line.rpartition(": ")[2]
        yield place, {"kind": finding.kind, "message": line if finding.kind == "unreadable" else what.format(number)}


MESSAGES: Mapping[str, str] = {
    "empty": "all samples or pixels are equal: it is silent, or of one colour",
    "quiet": "very quiet: its peak is at {}",
    "clipped": "clipped: {} of its samples are cut off flat; record at a lower level",
    "offset": "off zero by {}: check the microphone",
    "length": "{} long, far from the median of all clips",
}
"""What is wrong with one clip, by the kind of finding; ``{}`` is its number."""


def _same_clips(clips: list[Clip], duplicates: list[Duplicates]) -> Iterator[tuple[int, Fault]]:
    """Yield the place of each clip that is there more than once, with what that means."""
    for group in duplicates:
        for place in group.items:
            others = [clips[other] for other in group.items if other != place]
            item = clips[place].item
            elsewhere = [other for other in others if other.item.label != item.label]
            apart = [other for other in others if split_of_item(other.item) != split_of_item(item)]
            if elsewhere:
                message = f"the same clip is in the class {elsewhere[0].item.label}: {elsewhere[0].id}"
                yield place, {"kind": "label-conflict", "message": message}
            elif apart:
                message = f"the same clip is in the split {split_of_item(apart[0].item)}: {apart[0].id}"
                yield place, {"kind": "leak", "message": message}
            else:
                message = f"the same clip is there as {others[0].id}, and counts twice"
                yield place, {"kind": "duplicates", "message": message}
