"""The published networks that training begins with if the settings leave it open: one for words, one for sounds."""

from __future__ import annotations

from collections.abc import Sequence

from audioconv.recipe import speech_embedding, yamnet
from audioconv.recipe.labelled import Labelled
from audioconv.recipe.pretrained import Pretrained, SpeechEmbedding, Yamnet
from audioconv.recipe.settings import AUTO, SPEECH_EMBEDDING, YAMNET, Settings
from audioconv.recipe.window_plan import MAX_WORD_WINDOW_SECONDS, WindowPlan

WITHOUT_EMBEDDING = (
    "words are told apart better from Google's speech embedding network (Apache License 2.0); "
    f"{speech_embedding.INSTALL}, or init={SPEECH_EMBEDDING!r} (--init {SPEECH_EMBEDDING}), gets its "
    f"{speech_embedding.MEGABYTES:.1f} MB"
)

WITHOUT_YAMNET = (
    "sounds are told apart better from YAMNet, Google's network of 521 sounds (Apache License 2.0); init="
    f"{YAMNET!r} (--init {YAMNET}) downloads its {yamnet.MEGABYTES:.1f} MB"
)


def choose(
    settings: Settings, data: Labelled, rates: Sequence[int], windows: WindowPlan
) -> tuple[Pretrained | None, tuple[str, ...]]:
    """Return the network that suits recordings of these rates (Hz) and windows, and notes.

    It is None where none does, or it is not on this machine, which a note tells.
    """
    if _suits_embedding(settings, data, rates, windows):
        found = find_speech_embedding()
        return found, (WITHOUT_EMBEDDING,) if found is None else ()
    if _suits_yamnet(settings, data, rates, windows):
        found = find_yamnet()
        return found, (WITHOUT_YAMNET,) if found is None else ()
    return None, ()


def find_speech_embedding() -> Pretrained | None:
    """Return the speech embedding network if it is on this machine."""
    path = speech_embedding.find()
    return None if path is None else SpeechEmbedding(path, speech_embedding.read(path))


def find_yamnet() -> Pretrained | None:
    """Return YAMNet if it is on this machine."""
    path = yamnet.find()
    return None if path is None else Yamnet(path, yamnet.read(path))


def _suits_embedding(settings: Settings, data: Labelled, rates: Sequence[int], windows: WindowPlan) -> bool:
    """Return whether training begins with the speech embedding network if it is on this machine."""
    return (
        _is_free_to_begin(settings, data, SPEECH_EMBEDDING, speech_embedding.SAMPLE_RATE)
        and windows.holds_words
        and speech_embedding.MIN_SECONDS <= windows.seconds <= MAX_WORD_WINDOW_SECONDS
        and _typical(rates) >= speech_embedding.MIN_SAMPLE_RATE
    )


def _suits_yamnet(settings: Settings, data: Labelled, rates: Sequence[int], windows: WindowPlan) -> bool:
    """Return whether training begins with YAMNet if it is on this machine.

    Recordings at higher rates than `yamnet.MAX_SAMPLE_RATE` are of ultrasound, of which it takes nothing.
    """
    return (
        _is_free_to_begin(settings, data, YAMNET, yamnet.SAMPLE_RATE)
        and not windows.holds_words
        and windows.seconds >= yamnet.MIN_SECONDS
        and yamnet.SAMPLE_RATE <= _typical(rates) <= yamnet.MAX_SAMPLE_RATE
    )


def _is_free_to_begin(settings: Settings, data: Labelled, arch: str, sample_rate: int) -> bool:
    """Return whether the settings leave open what training begins with, and allow this network."""
    return (
        settings.init == AUTO
        and settings.arch in (AUTO, arch)
        and settings.front_end is None
        and settings.sample_rate in (None, sample_rate)
        and data.fixed_rate in (None, sample_rate)
    )


def _typical(rates: Sequence[int]) -> int:
    return sorted(rates)[len(rates) // 2] if rates else 0
