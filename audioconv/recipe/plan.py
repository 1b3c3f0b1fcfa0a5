"""The plan of a training run: every choice that settings, file headers and a pretrained model make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from audioconv.audio.windows import Content
from audioconv.errors import ConfigError
from audioconv.features.front_ends import Mfcc, RawSamples
from audioconv.pipeline.inputs import AudioInput, InputSpec, of_model
from audioconv.recipe.choose_input import choose_audio_input
from audioconv.recipe.labelled import Labelled
from audioconv.recipe.pretrained import Pretrained
from audioconv.recipe.settings import AUTO, Settings, check
from audioconv.recipe.window_plan import WindowPlan
from audioconv.training.data import batch_count

EPOCHS, LEARNING_RATE, MIXUP = 60, 5e-3, 0.0
"""What a network is trained with unless the user says otherwise; docs/recipes.md has what it was chosen by."""

MIN_STEPS, MAX_EPOCHS = 300, 300
"""With few examples there are more than `EPOCHS`, until there are so many steps."""

MIN_SPEAKERS = 20
"""With fewer known speakers, (1) the network is trained again with the validation examples, whose voices would be
missing, and (2) rejection is off by default: on FSDD (6 speakers) it rejected the voices that it had not learned."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a training run does.

    Two choices need samples and are left to `setup.prepare`: the scale of the input, and with it whether training
    begins with one of the package's own pretrained models. The default number of epochs needs the number of windows;
    see `epoch_count`.

    Attributes
    ----------
    settings : Settings
        The user's.
    spec : InputSpec
        What one example is.
    windows : WindowPlan or None
        How recordings become windows; None for pictures.
    pretrained : Pretrained or None
        The model that the user named to begin with.
    arch : str
        Name of the network.
    input_shape : tuple of int
        Shape of one example as the network takes it.
    epochs : int or None
        None: see `epoch_count`.
    batch_size : int
    learning_rate : float
        The greatest of the one-cycle schedule.
    mixup : float
        See `training.fit`.
    ensemble_size : int
        Networks whose logits are averaged.
    rejects : bool
        Whether the model learns to reject.
    refits : bool
        Whether the network is trained a second time, with the validation examples.
    """

    settings: Settings
    spec: InputSpec
    windows: WindowPlan | None
    pretrained: Pretrained | None
    arch: str
    input_shape: tuple[int, ...]
    epochs: int | None
    batch_size: int
    learning_rate: float
    mixup: float
    ensemble_size: int
    rejects: bool
    refits: bool

    def epoch_count(self, examples: int) -> int:
        """Return the number of epochs for so many examples in an epoch."""
        if self.epochs is not None:
            return self.epochs
        return min(MAX_EPOCHS, max(EPOCHS, math.ceil(MIN_STEPS / batch_count(examples, self.batch_size))))

    def content(self, label: str, split: str | None) -> Content:
        """Return how a recording becomes windows; one that tests may not be cut by its label."""
        if self.windows is None or split == "test":
            return self.spec.content or "words"
        return self.windows.content(label)


def resolve(settings: Settings, data: Labelled, pretrained: Pretrained | None = None) -> Plan:
    """Return the plan for training on `data`, of which only headers are read, and a few recordings.

    Parameters
    ----------
    settings : Settings
    data : Labelled
    pretrained : Pretrained, optional
        The model that `settings.init` names; see `pretrained.load_named`.

    Raises
    ------
    ConfigError
        If a setting cannot work.
    DataError
        If the data cannot be used.
    """
    check(settings, data.kind)
    spec, windows = _choose_input(settings, data, pretrained)
    few_speakers = have_few_speakers(data.speakers, data.splits)
    return choose(settings, spec, windows, pretrained, few_speakers=few_speakers, is_split="validation" in data.splits)


def choose(
    settings: Settings,
    spec: InputSpec,
    windows: WindowPlan | None = None,
    pretrained: Pretrained | None = None,
    *,
    few_speakers: bool = False,
    is_split: bool = False,
) -> Plan:
    """Return the plan for examples of `spec`.

    `few_speakers`: there are fewer than `MIN_SPEAKERS`. `is_split`: the data say which examples validate; those are not
    trained on by default.
    """
    arch = settings.arch if pretrained is None else pretrained.arch
    if arch == AUTO:
        arch = choose_architecture(spec)
    return Plan(
        settings=Settings(**settings.get_params()),
        spec=spec,
        windows=windows,
        pretrained=pretrained,
        arch=arch,
        input_shape=spec.input_shape(arch),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=LEARNING_RATE if settings.learning_rate is None else settings.learning_rate,
        mixup=MIXUP if settings.mixup is None else settings.mixup,
        ensemble_size=settings.ensemble_size,
        rejects=shall_reject(settings, spec, few_speakers),
        refits=few_speakers and not is_split if settings.refit is None else settings.refit,
    )


def choose_architecture(spec: InputSpec) -> str:
    """Return the network that ``auto`` means for such an input; docs/recipes.md has what it was chosen by."""
    if spec.kind == "images" or isinstance(spec.front_end, Mfcc):
        return "cnn"
    if isinstance(spec.front_end, RawSamples):
        return "m5-32"
    return "tc-cnn-l" if spec.holds_a_word else "tc-cnn-events"


def shall_reject(settings: Settings, spec: InputSpec, few_speakers: bool) -> bool:
    """Return whether negatives are generated: if asked for, or if the classes are words that many people say."""
    if spec.kind == "images":
        return False
    if settings.reject is not None:
        return settings.reject
    # A network that has learned few voices takes the words of other people for negatives.
    return bool(settings.negatives or settings.tts_language) or (spec.holds_a_word and not few_speakers)


def have_few_speakers(speakers: Sequence[str | None], splits: Sequence[str | None]) -> bool:
    """Return whether all speakers that may be learned from are known, and fewer than `MIN_SPEAKERS`."""
    known = {speaker for speaker, split in zip(speakers, splits, strict=True) if split != "test"}
    return None not in known and len(known) < MIN_SPEAKERS


def _choose_input(
    settings: Settings, data: Labelled, pretrained: Pretrained | None
) -> tuple[InputSpec, WindowPlan | None]:
    """Return what one example is, and how recordings become windows; None for pictures."""
    if pretrained is None:
        if data.kind == "images":
            return data.image_spec(settings.image_size), None
        rates, windows = data.window_plan(settings.clip_seconds)
        spec = choose_audio_input(
            None if settings.arch == AUTO else settings.arch,
            rates,
            windows.seconds,
            front_end=settings.front_end,
            sample_rate=settings.sample_rate,
            content=_content(windows),
        )
        return spec, windows
    model = pretrained.model
    if model.kind != data.kind:
        takes = "pictures" if model.kind == "images" else "sound"
        raise ConfigError(f"{settings.init}: is a model of {takes}, but {data.name} holds {data.kind}")
    if model.front_end is None or model.clip_samples is None:
        return of_model(model), None
    _, windows = data.window_plan(model.clip_samples / model.front_end.sample_rate)
    return AudioInput(model.front_end, model.clip_samples, _content(windows)), windows


def _content(windows: WindowPlan) -> Content:
    return "words" if windows.holds_words else "sounds"
