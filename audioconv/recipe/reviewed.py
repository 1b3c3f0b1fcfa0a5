"""Clips that ``audioconv listen --save`` kept and a person has reviewed, as examples and negatives."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioconv._types import Samples, StrPath
from audioconv.audio.read import Segment, read
from audioconv.datasets.heard import CONFIRMED, CORRECTED, REFUSED, SKIPPED, TABLE_NAME, read_heard
from audioconv.decision.classes import is_word
from audioconv.errors import DataError
from audioconv.io.files import display_path

SHOWN = 3
"""How many missing clips an error names."""


@dataclass(frozen=True, eq=False)
class Reviewed:
    """The reviewed clips of a folder.

    Attributes
    ----------
    positives : sequence of (Segment, str)
        Where the word lies in each confirmed or corrected clip, and its label.
    refused : sequence of Path
        Clips that hold none of the words.
    about : dict
        Name of the folder, counts, and a digest of the answers, JSON-compatible.
    left_out : dict of str to int
        How many clips are not learned from, by the reason.
    """

    positives: Sequence[tuple[Segment, str]]
    refused: Sequence[Path]
    about: Mapping[str, Any]
    left_out: Mapping[str, int]

    def notes(self, *, rejects: bool) -> list[str]:
        """Return what is to be said before training, a line each; `rejects`: whether the model learns to reject."""
        about = self.about
        line = (
            f"reviewed clips of {about['name']}: {about['confirmed']:,} confirmed, {about['corrected']:,} corrected, "
            f"{about['refused']:,} refused"
        )
        left_out = [f"{count:,} {reason}" for reason, count in self.left_out.items() if count]
        notes = [line + (f"; left out: {', '.join(left_out)}" if left_out else "")]
        if self.refused and not rejects:
            notes.append(
                f"{len(self.refused):,} refused clips are not learned from: the model does not learn to reject"
            )
        return notes


def read_reviewed(folder: StrPath, labels: Sequence[str]) -> Reviewed:
    """Read the table of a folder of reviewed clips.

    Parameters
    ----------
    folder : path-like
        Of ``audioconv listen --save``.
    labels : sequence of str
        Of the data that are trained on: clips of other words are left out.

    Raises
    ------
    DataError
        If it is no such folder, a row is damaged, a clip is missing, or nothing in it has been reviewed.
    """
    root = Path(folder)
    rows = read_heard(root)
    used = [row for row in rows if row.is_positive or row.review == REFUSED]
    missing = [row.path for row in used if not (root / row.path).is_file()]
    if missing:
        some = ", ".join(map(display_path, missing[:SHOWN])) + (", ..." if len(missing) > SHOWN else "")
        raise DataError(
            f"{display_path(root / TABLE_NAME)}: {len(missing)} reviewed clips do not exist ({some}); "
            "restore them or delete their rows"
        )
    classes = {label for label in labels if is_word(label)}
    known = [row for row in used if row.review == REFUSED or row.word in classes]
    if not used:
        raise DataError(
            f"{display_path(root)}: none of its {len(rows)} clips has been reviewed; run audioconv review first"
        )
    counts = Counter(row.review for row in known)
    answers = hashlib.sha256()
    for row in sorted(known, key=lambda row: row.path):
        answers.update(f"{row.path}\0{row.review}\0{row.word}\n".encode("utf-8", "surrogateescape"))
    about = {
        "name": display_path(os.path.basename(os.path.abspath(root))),
        **{name: counts[name] for name in (CONFIRMED, CORRECTED, REFUSED)},
        "answers": answers.hexdigest()[:16],
    }
    strange = sorted({row.word for row in used if row.is_positive} - classes)
    left_out = {
        "skipped": sum(row.review == SKIPPED for row in rows),
        "not reviewed": sum(not row.review for row in rows),
        f"of words that are no classes of the data ({', '.join(strange[:SHOWN])})": len(used) - len(known),
    }
    return Reviewed(
        [(row.event_in(root), row.word) for row in known if row.is_positive],
        [root / row.path for row in known if row.review == REFUSED],
        about,
        left_out,
    )


def read_or_error(path: Path, sample_rate: int) -> Samples | DataError:
    """Return the samples of a clip at a rate in Hz, or why it cannot be read."""
    try:
        return read(path, sample_rate)
    except DataError as error:
        return error


def describe(about: object) -> str | None:
    """Return in a line what `Reviewed.about` tells, as it is in a model's file; None where it tells nothing.

    >>> describe({"name": "heard", "confirmed": 12, "corrected": 0, "refused": 5})
    '12 confirmed, 0 corrected, 5 refused clips of heard'
    """
    if not isinstance(about, dict):
        return None
    counts = {name: about.get(name) for name in (CONFIRMED, CORRECTED, REFUSED)}
    if not all(isinstance(count, int) for count in counts.values()):
        return None
    return f"{', '.join(f'{count:,} {name}' for name, count in counts.items())} clips of {about.get('name')}"
