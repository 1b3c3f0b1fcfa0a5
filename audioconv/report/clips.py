"""Misclassified clips, as spectrograms and sounds, or as pictures."""

from __future__ import annotations

import dataclasses
import heapq
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.audio.read import Segment
from audioconv.decision.classes import is_word
from audioconv.errors import AudioconvError
from audioconv.evaluation import Evaluation, Scored, percent
from audioconv.features.front_ends import LogMel
from audioconv.features.mel import hertz_to_mel
from audioconv.io.png import data_uri, encode, heat
from audioconv.model import Model
from audioconv.pipeline import inputs
from audioconv.pipeline.predict import decisive_clip
from audioconv.report.html import Html, join, tag
from audioconv.report.svg import Axis, Plot

MAX_CLIPS_SHOWN = 12
MAX_SOUND_BYTES = 2_000_000
"""Size of all sounds and pictures in one list; later clips have none."""

BANDS, RANGE_DB = 80, 70.0
"""Mel bands of the spectrograms, and their range below the loudest point."""

_LIKELIEST = 3
_PICTURE_PIXELS = 160


@dataclass(frozen=True)
class Case:
    """A clip that went wrong.

    Attributes
    ----------
    name : str
        Its label, or its origin.
    answer : str
        Label that the model gave it.
    accepted : bool
        True if its score reaches the model's threshold.
    scores : tuple of (str, float)
        The likeliest labels.
    example : path or Segment
        Its place.
    """

    name: str
    answer: str
    accepted: bool
    scores: tuple[tuple[str, float], ...]
    example: Any

    @property
    def told(self) -> str:
        """Its outcome in words."""
        if self.accepted:
            return f"taken for {self.answer}"
        return "rejected" if self.answer == self.name else f"rejected, likeliest {self.answer}"


def worst_mistakes(evaluation: Evaluation, most: int = MAX_CLIPS_SHOWN) -> list[Case]:
    """Return the labelled clips that went worst: wrong and accepted, then words missed, each by what it was sure of."""
    scored = evaluation.scored
    if scored is None or not len(scored):
        return []
    answers = evaluation.answers(scored)
    codes = scored.names.numbers({label: code for code, label in enumerate(evaluation.labels)})

    def badness(i: int) -> tuple[int, float] | None:
        is_right, name = answers.codes[i] == codes[i], scored.names[i]
        if not is_right and answers.accepted[i]:
            return 3, float(answers.scores[i])
        if is_word(name) and not answers.accepted[i]:
            return (1 if is_right else 2), -float(scored.table[i][codes[i]])
        return None if is_right else (0, float(answers.scores[i]))

    ranked = ((bad, i) for i in range(len(scored)) if (bad := badness(i)) is not None)
    # As `sorted` does: of clips that are as bad, the first ones.
    order = heapq.nlargest(most, ranked, key=lambda ranked: ranked[0])
    return [_case(evaluation, scored, i) for _, i in order]


def accepted_negatives(evaluation: Evaluation, most: int = MAX_CLIPS_SHOWN) -> list[Case]:
    """Return the accepted negatives with the highest scores, one of each file."""
    negatives = evaluation.negatives
    if negatives is None or not len(negatives):
        return []
    answers = evaluation.answers(negatives)
    accepted = np.flatnonzero(answers.accepted)
    first_of_file: dict[str, int] = {}
    for place in np.argsort(-answers.scores[accepted], kind="stable"):
        i = int(accepted[place])
        first_of_file.setdefault(os.fspath(_file(negatives.examples[i])), i)
        if len(first_of_file) == most:
            break
    return [_case(evaluation, negatives, i) for i in first_of_file.values()]


def gallery(model: Model, cases: Sequence[Case]) -> Html:
    """Return the clips side by side."""
    return tag("ol", list(_items(model, cases)), class_="gallery")


def _case(evaluation: Evaluation, scored: Scored, i: int) -> Case:
    row = scored.table[i]
    answers = evaluation.answers(scored.select(np.arange(len(scored)) == i))
    likeliest = np.argsort(-row, kind="stable")[:_LIKELIEST]
    return Case(
        scored.names[i],
        evaluation.labels[int(answers.codes[0])],
        bool(answers.accepted[0]),
        tuple((evaluation.labels[j], float(row[j])) for j in likeliest),
        scored.examples[i],
    )


def _items(model: Model, cases: Sequence[Case]) -> Iterator[Html]:
    spec, used = inputs.of_model(model), 0
    for case in cases:
        shown: Html | None = None
        if used < MAX_SOUND_BYTES:
            try:
                example, _ = decisive_clip(model, spec, case.example)
            except AudioconvError:  # the file has gone since it was evaluated
                shown = tag("p", "can no longer be read", class_="gone")
            else:
                rate = spec.sample_rate
                shown = _picture(example, case) if rate is None else _sound(example, rate, case)
                used += len(shown)
        bars = [
            tag(
                "li",
                tag("b" if label == case.name else "span", label),
                tag("span", percent(share)),
                style=f"--share:{share:.3f}",
            )
            for label, share in case.scores
        ]
        yield tag(
            "li",
            shown,
            tag(
                "h4", tag("b", case.name), " ", tag("span", case.told, class_="wrong" if case.accepted else "rejected")
            ),
            tag("ul", bars, class_="scores"),
            tag("p", _where(case.example), class_="where"),
            class_="clip",
        )


def _where(example: Any) -> str:
    """Return the last parts of a clip's path, which identify it; the rest depends on the machine."""
    path = _file(example)
    shown = "/".join(path.parts[-2:])
    return f"{shown}, {example.begin:.1f} to {example.end:.1f} s" if isinstance(example, Segment) else shown


def _file(example: Any) -> Path:
    return Path(example.path if isinstance(example, Segment) else example)


def _sound(samples: Array, rate: int, case: Case) -> Html:
    """Return a spectrogram with a time axis, and what plays it."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), rate, format="FLAC", subtype="PCM_16")
    what = f"{case.name}, {case.told}"
    player = tag(
        "audio", controls=True, preload="none", src=data_uri(file.getvalue(), "audio/flac"), aria_label=f"Play: {what}"
    )
    return join(_spectrogram(samples, rate, f"Spectrogram of {what}"), player)


def _spectrogram(samples: Array, rate: int, description: str) -> Html:
    # A long transform, so that every band has a bin of its own.
    front_end = LogMel.for_rate(rate, mel_bands=BANDS)
    front_end = dataclasses.replace(front_end, fft_length=max(2048, front_end.fft_length))
    decibels = front_end(samples[None])[0]
    loudest = float(decibels.max())
    heard = np.clip((decibels - loudest) / RANGE_DB + 1, 0, 1)
    seconds = len(samples) / rate
    step = next(step for step in (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0) if seconds / step <= 5 or step == 60.0)
    ticks = [(float(t), f"{t:g}") for t in np.arange(0, seconds + 1e-6, step)]
    ticks[-1] = (ticks[-1][0], f"{ticks[-1][0]:g} s")
    hertz = [h for h in (250, 1000, 4000, 16000) if h < rate / 2]
    heights = [(hertz_to_mel(h) / hertz_to_mel(rate / 2), f"{h} Hz" if h < 1000 else f"{h // 1000} kHz") for h in hertz]
    plot = Plot(Axis(0, seconds, ticks), Axis(0, 1, heights), 330, 176, left=52, bottom=26, top=6, right=14)
    plot.picture(data_uri(heat(heard.T[::-1]), "image/png"))
    return plot.render(description)


def _picture(pixels: Array, case: Case) -> Html:
    height, width = pixels.shape[:2]
    zoom = max(1, _PICTURE_PIXELS // max(height, width))
    content = encode(np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
    return tag(
        "img", src=data_uri(content, "image/png"), width=width * zoom, height=height * zoom, class_="picture",
        alt=f"{case.name}, {case.told}",
    )  # fmt: skip
