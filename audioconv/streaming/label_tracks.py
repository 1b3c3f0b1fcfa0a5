"""Label tracks of Audacity: a line a label, with begin, end and text between tabs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audioconv._types import StrPath
from audioconv.errors import DataError
from audioconv.io.files import display_path, reason, write_atomic

if TYPE_CHECKING:
    from audioconv.streaming.picker import Detection


@dataclass(frozen=True)
class Label:
    """A part of a recording and what it is; begin and end in seconds."""

    label: str
    start: float
    end: float


def write_labels(path: StrPath, detections: Iterable[Detection | Label]) -> None:
    """Write detections as a label track, which Audacity takes by File, Import, Labels; `DataError` if that fails."""
    with write_atomic(path, "w") as file:
        for one in detections:
            # A tab or a line's end would begin another field.
            file.write(f"{one.start:.6f}\t{one.end:.6f}\t{' '.join(one.label.split())}\n")


def read_labels(path: StrPath) -> list[Label]:
    r"""Return the labels in a track, in the order of their times.

    Raises
    ------
    DataError
        If it cannot be read, or a line is no label: says which.

    Notes
    -----
    Lines that begin with a backslash, the range of frequencies of the label before, are passed over.
    """
    shown = display_path(path)
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)})") from None
    except (UnicodeDecodeError, ValueError):
        raise DataError(f"{shown}: is no label track: it is not text in UTF-8") from None
    labels = [
        _label(line, f"{shown}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("\\")
    ]
    return sorted(labels, key=lambda label: (label.start, label.end))


def _label(line: str, place: str) -> Label:
    expected = "expected begin, end (in seconds) and the label, between tabs"
    fields = line.split("\t", 2)
    try:
        # Audacity writes the decimal comma where the language has it.
        start, end = (float(field.replace(",", ".")) for field in fields[:2])
    except ValueError:
        raise DataError(f"{place}: {expected}, got {line!r}") from None
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end):
        raise DataError(f"{place}: the begin must lie before the end and not before 0, got {line!r}")
    label = fields[2].strip() if len(fields) == 3 else ""
    if not label:
        raise DataError(f"{place}: {expected}, got {line!r}")
    return Label(label, start, end)
