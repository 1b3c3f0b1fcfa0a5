"""Sounds that training reads or makes beside the clips: a bank of negatives, noise, refused clips, synthetic voices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from audioconv._types import Samples
from audioconv.decision.classes import is_word
from audioconv.errors import DataError
from audioconv.recipe.backgrounds import Backgrounds
from audioconv.recipe.bank import NegativeBank, read_bank
from audioconv.recipe.examples import Examples
from audioconv.recipe.plan import Plan
from audioconv.recipe.reviewed import Reviewed, read_or_error
from audioconv.recipe.spoken_words import Spoken, speak
from audioconv.training.callbacks import Callback, ClipSpoken, NegativeRead, Noted


def read_negatives(
    plan: Plan, classes: Sequence[str], examples: Examples, callbacks: Sequence[Callback], strict: bool
) -> NegativeBank | None:
    """Return the negative recordings, if there are any."""
    if plan.bank is None or plan.spec.sample_rate is None:
        return None
    done = itertools.count(1)

    def tell(recordings: int) -> None:
        event = NegativeRead(next(done), recordings)
        for callback in callbacks:
            callback(event)

    bank = read_bank(
        plan.bank,
        classes,
        plan.spec.sample_rate,
        language=plan.settings.tts_language,
        trained_with=examples.files,
        strict=strict,
        on_file=tell,
    )
    for callback, note in itertools.product(callbacks, bank.notes()):
        callback(Noted(note))
    return bank


def read_backgrounds(plan: Plan, examples: Examples, callbacks: Sequence[Callback], strict: bool) -> Backgrounds | None:
    """Return the recordings of noise without words, if there are any."""
    rate = plan.spec.sample_rate
    if rate is None or not examples.backgrounds:
        return None
    found = Backgrounds.read(examples.backgrounds, rate, strict=strict)
    for callback in callbacks:
        callback(Noted(found.note(rejects=plan.rejects)))
    return found


def read_refused(reviewed: Reviewed | None, sample_rate: int, callbacks: Sequence[Callback]) -> list[Samples]:
    """Return the refused clips that can be read; the others are told."""
    if reviewed is None:
        return []
    found = [read_or_error(path, sample_rate) for path in reviewed.refused]
    failures = [one for one in found if isinstance(one, DataError)]
    for callback in callbacks if failures else ():
        callback(Noted(f"{len(failures):,} refused clips cannot be read, such as {failures[0]}"))
    return [one for one in found if not isinstance(one, DataError)]


def speak_words(plan: Plan, classes: Sequence[str], callbacks: Sequence[Callback]) -> Spoken | None:
    """Return words by synthetic voices, if they are asked for."""
    settings, rate = plan.settings, plan.spec.sample_rate
    if settings.tts_language is None or rate is None:
        return None

    def tell(done: int, clips: int) -> None:
        for callback in callbacks:
            callback(ClipSpoken(done, clips))

    words = [name for name in classes if is_word(name)]
    (length,) = plan.spec.shape
    return speak(words, settings.tts_language, sample_rate=rate, clip_samples=length, seed=settings.seed, progress=tell)
