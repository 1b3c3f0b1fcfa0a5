"""Which window fits a data set: chosen class by class, from where the words are in their recordings."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from audioconv._types import Samples, StrPath
from audioconv.audio.endpoints import find_words
from audioconv.audio.read import Segment, blocks, probe
from audioconv.audio.window_begins import MIN_REST, Content
from audioconv.decision.classes import is_word
from audioconv.errors import DataError
from audioconv.io.parallel import evenly

MIN_WINDOW_SECONDS, MAX_WORD_WINDOW_SECONDS, MAX_WINDOW_SECONDS = 1.0, 3.0, 10.0
"""Windows that are chosen are no shorter; those of words and phrases, and of other sounds, no longer."""

MAX_TRIMMED_SECONDS = 2.0
"""A recording that is all word, with no silence around it, is no longer."""

SHARE_THAT_FITS = 0.95
"""Part of the words, or of the short recordings, that the window is as long as."""

TYPICAL = 0.75
"""Of the lengths of recordings of sounds that go on, the quantile that a window should have."""

MIN_WINDOWS = 10
"""Windows that the recordings of a class of sounds should give: of a single recording of 30 s they are 3 s long."""

PROBED, PROBED_OF_A_CLASS = 500, 20
"""Headers that are read to see what is usual: in all, and at least of each class."""

EXAMINED_OF_A_CLASS, EXAMINED_SECONDS = 16, 30.0
"""Long recordings of a class in which words are looked for, and how much of each."""

CLEAR_SHARE = 0.6
"""Part of a class's recordings that must be short or have words that stand out, for the class to be one of words."""


@dataclass(frozen=True)
class ClassPlan:
    """How the recordings of a class become windows.

    Attributes
    ----------
    content : {"words", "sounds"}
        Whether each holds words with silence around them, or sound that goes on.
    seconds : float
        The window that fits the class alone.
    longest : float
        The longest recording that was looked at, in seconds.
    total : float
        About how many seconds the recordings have together.
    words_found : bool
        Whether words were looked for in long recordings, and found.
    """

    content: Content
    seconds: float
    longest: float
    total: float = math.inf
    words_found: bool = False


@dataclass(frozen=True)
class WindowPlan:
    """Which window fits a data set, and how the recordings of each class become windows.

    Attributes
    ----------
    seconds : float
        Length of the window.
    classes : mapping of str to ClassPlan
    is_given : bool
        Whether the length was given, by the user or by the model that training begins with.
    """

    seconds: float
    classes: Mapping[str, ClassPlan] = field(default_factory=dict)
    is_given: bool = False

    def content(self, label: str) -> Content:
        """Return what recordings of a class hold; where most classes are sounds, those of a few words are, too."""
        if not self.holds_words:
            return "sounds"
        return self.classes[label].content if label in self.classes else "words"

    @property
    def holds_words(self) -> bool:
        """Whether most classes, those of negatives left out, are words."""
        return _most_are_words(self.classes)

    @property
    def expected(self) -> Content:
        """What recordings hold, as far as their classes tell."""
        return "words" if self.holds_words else "sounds"

    def describe(self) -> str:
        """Return in one line which window it is, and why."""
        line = f"window of {self.seconds:g} s: "
        positive = {label: plan for label, plan in self.classes.items() if is_word(label)}
        of_words = [plan for plan in positive.values() if plan.content == "words"]
        found = [plan for plan in of_words if plan.words_found and plan.longest > 1.1 * self.seconds]
        if self.is_given:
            line += "as given"
        elif self.holds_words and found:
            longest = max(plan.longest for plan in found)
            line += f"where words stand out in recordings of up to {longest:.1f} s, they are no longer"
        elif self.holds_words:
            line += "so long are most of the recordings, or shorter"
        else:
            typical = sorted(plan.seconds for plan in positive.values())[len(positive) // 2]
            if self.seconds < typical and self.seconds < MAX_WINDOW_SECONDS:
                line += f"the recordings of a class then give at least {MIN_WINDOWS} windows"
            else:
                line += f"the typical length of the recordings, up to {MAX_WINDOW_SECONDS:g} s"
        cut = [label for label, plan in self.classes.items() if self._cuts(label, plan)]
        if cut:
            names = ", ".join(cut[:3]) + (", ..." if len(cut) > 3 else "")
            line += f"; longer recordings ({names}) give several windows each"
        return line

    def _cuts(self, label: str, plan: ClassPlan) -> bool:
        return self.content(label) == "sounds" and plan.longest >= (1 + MIN_REST) * self.seconds


def plan_windows(
    labels: Sequence[str],
    seconds_of: Callable[[int], float | None],
    samples_of: Callable[[int, float], tuple[Samples, int]],
    clip_seconds: float | None = None,
) -> WindowPlan:
    """Choose the window from where the words are in their recordings, class by class.

    Where most recordings of a class are no longer than a second, so is its window. In longer ones words and phrases are
    looked for, as sounds with silence around them. Where they stand out, the window is as long as they are, 1 to 3
    seconds. In recordings longer than 4.5 seconds, a sound of more than 1.8 seconds is none. Where nothing stands out,
    the window is as long as the recordings, up to 10 seconds, and shorter where there are so few that they would not
    give `MIN_WINDOWS`.

    The window of the data set is that of its words, if half of the classes (without those of negatives) are words;
    otherwise the median of those of the other classes. Classes such as ``_unknown_`` are only cut into windows.

    Parameters
    ----------
    labels : sequence of str
        The class of each recording.
    seconds_of : callable
        Takes the place of a recording; returns its length in seconds, None where it cannot be read.
    samples_of : callable
        Takes the place of a recording and a number of seconds; returns its first samples (T,) and their rate; raises
        `DataError`.
    clip_seconds : float, optional
        The window, instead of the chosen one.

    Returns
    -------
    WindowPlan
    """
    places: dict[str, array[int]] = {}  # numbers in lists would take five times the memory
    for place, label in enumerate(labels):
        places.setdefault(label, array("Q")).append(place)
    count = max(PROBED_OF_A_CLASS, PROBED // max(1, len(places)))
    classes = {}
    for label in sorted(places):
        some = evenly(places[label], count)
        lengths = {place: seconds for place in some if (seconds := seconds_of(place)) is not None}
        if lengths:
            found = _plan_class(label, lengths, samples_of, clip_seconds)
            total = sum(lengths.values()) * len(places[label]) / len(lengths)
            classes[label] = replace(found, total=total)
    if clip_seconds is not None:
        return WindowPlan(clip_seconds, classes, is_given=True)
    positive = [plan for label, plan in classes.items() if is_word(label)] or list(classes.values())
    if not positive:
        return WindowPlan(MIN_WINDOW_SECONDS, classes)
    if _most_are_words(classes):
        return WindowPlan(max(plan.seconds for plan in positive if plan.content == "words"), classes)
    needed = sorted(plan.seconds for plan in positive if plan.content == "sounds")
    totals = sorted(plan.total for plan in positive)
    enough = max(MIN_WINDOW_SECONDS, math.floor(10 * totals[len(totals) // 2] / MIN_WINDOWS) / 10)
    return WindowPlan(min(needed[len(needed) // 2], enough), classes)


def _plan_class(
    label: str,
    lengths: Mapping[int, float],
    samples_of: Callable[[int, float], tuple[Samples, int]],
    clip_seconds: float | None,
) -> ClassPlan:
    """Return how the recordings of a class become windows, of which some have these lengths in seconds."""
    longest = max(lengths.values())
    if not is_word(label):
        return ClassPlan("sounds", MIN_WINDOW_SECONDS, longest)
    least = clip_seconds or MIN_WINDOW_SECONDS
    long_ones = [place for place, seconds in lengths.items() if seconds > least]
    examined = evenly(long_ones, EXAMINED_OF_A_CLASS)
    words = {place: word for place in examined if (word := _longest_word(place, samples_of)) is not None}
    # A trimmed word has no silence to stand out of: it is as long as its recording.
    trimmed = {place: lengths[place] if lengths[place] <= MAX_TRIMMED_SECONDS else np.inf for place in examined}
    known = {place: words.get(place, trimmed[place]) for place in examined}
    needed = [seconds for place, seconds in lengths.items() if seconds <= least]
    needed += np.resize(list(known.values()), len(long_ones)).tolist()
    of_words = [seconds for seconds in needed if seconds <= MAX_WORD_WINDOW_SECONDS]
    if len(of_words) >= CLEAR_SHARE * len(needed):
        seconds = min(_ceiled(float(np.quantile(of_words, SHARE_THAT_FITS))), MAX_WORD_WINDOW_SECONDS)
        return ClassPlan("words", seconds, longest, words_found=bool(words))
    typical = _ceiled(float(np.quantile(list(lengths.values()), TYPICAL)))
    return ClassPlan("sounds", min(typical, MAX_WINDOW_SECONDS), longest)


def _longest_word(place: int, samples_of: Callable[[int, float], tuple[Samples, int]]) -> float | None:
    """Return how long the longest word in a recording is, in seconds; None where no word stands out."""
    try:
        return max(word.duration for word in find_words(*samples_of(place, EXAMINED_SECONDS)))
    except DataError:  # NoClearWordError, too
        return None


def _ceiled(seconds: float) -> float:
    """Return a length of at least the shortest window, rounded up to a tenth of a second."""
    return max(MIN_WINDOW_SECONDS, math.ceil(10 * seconds - 1e-6) / 10)


def _most_are_words(classes: Mapping[str, ClassPlan]) -> bool:
    positive = [plan for label, plan in classes.items() if is_word(label)]
    return 2 * sum(plan.content == "words" for plan in positive) >= len(positive)


def plan_for_files(
    labels: Sequence[str], files: Sequence[StrPath | Segment], clip_seconds: float | None = None
) -> tuple[list[int], WindowPlan]:
    """Return the sample rates in Hz of some of the recordings, and the window for them; see `plan_windows`."""
    rates: list[int] = []

    def seconds_of(place: int) -> float | None:
        file = files[place]
        try:
            info = probe(file.path if isinstance(file, Segment) else file)
        except DataError:
            return None
        rates.append(info.sample_rate)
        return file.duration if isinstance(file, Segment) else info.duration

    def samples_of(place: int, seconds: float) -> tuple[Samples, int]:
        with blocks(files[place], seconds) as found:
            return next(iter(found.mono()), np.zeros(0, np.float32)), found.info.sample_rate

    return rates, plan_windows(labels, seconds_of, samples_of, clip_seconds)
