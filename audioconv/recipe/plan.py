"""The plan of a training run: every choice that settings, file headers and a pretrained model make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from audioconv._types import StrPath
from audioconv.audio.window_begins import Content
from audioconv.errors import ConfigError
from audioconv.features.front_ends import Mfcc, RawSamples
from audioconv.features.librosa_front_end import Librosa
from audioconv.pipeline.inputs import InputSpec
from audioconv.recipe import published_networks
from audioconv.recipe.bank import DOWNLOAD_COMMAND, DOWNLOAD_GIGABYTES, checked_folder, default_folder, is_off
from audioconv.recipe.choose_input import choose_audio_input
from audioconv.recipe.labelled import REVIEWED, Labelled
from audioconv.recipe.pretrained import Pretrained
from audioconv.recipe.settings import AUTO, PUBLISHED, SPEECH_EMBEDDING, YAMNET, Settings, check
from audioconv.recipe.window_plan import WindowPlan
from audioconv.training.data import batch_count

EPOCHS, LEARNING_RATE, BATCH_SIZE, MIXUP = 60, 5e-3, 64, 0.0
"""What a network is trained with unless the user says otherwise; docs/recipes.md has what it was chosen by."""

EMBEDDING_EPOCHS, YAMNET_EPOCHS = 12, 20
PUBLISHED_LEARNING_RATE, PUBLISHED_BATCH_SIZE = 3e-3, 32
"""The same for a network that begins with the speech embedding or YAMNet."""

AVERAGED_EPOCHS = 0.75
"""Share of these epochs that each of several averaged runs has; docs/experiments/averaged-runs.md has its effect."""

FEW_FOR_EMBEDDING, FEW_FOR_YAMNET, FEW_EXPONENT = 2000, 300, 0.25
"""With fewer examples than that, such a network has more epochs, by this power of the ratio: of the speech embedding 31
for 50 examples."""

MIN_STEPS, MAX_EPOCHS = 300, 300
"""With few examples there are more epochs, until there are so many steps."""

MIN_SPEAKERS = 20
"""With fewer known speakers, (1) the network is trained again with the validation examples, whose voices would be
missing, and (2) rejection is off by default: on FSDD (6 speakers) it rejected the voices that it had not learned."""

MIN_POOLED_BANDS = 8
"""Fewer values a frame are gone after the three poolings of the network `cnn`."""

WITHOUT_BANK = (
    "other words and speech are rejected better with a bank of recorded negatives, which is not on this machine: "
    f"{DOWNLOAD_COMMAND} downloads {DOWNLOAD_GIGABYTES:.1f} GB, or name a folder with --negatives"
)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a training run does.

    Two choices need samples and are left to `setup.prepare`: the scale of the input, and with it whether training
    begins with one of the package's own models. The default number of epochs needs the number of windows; see
    `epoch_count`.

    Attributes
    ----------
    settings : Settings
        The user's.
    spec : InputSpec
        What one example is.
    windows : WindowPlan or None
        How recordings become windows; None for pictures.
    pretrained : Pretrained or None
        The network that the user named to begin with. For words it is the speech embedding network, for other sounds
        YAMNet, if it is on this machine.
    arch : str
        Name of the network; `AUTO` for one of another framework.
    input_shape : tuple of int
        Shape of one example as the network takes it.
    epochs : int or None
        None: see `epoch_count`.
    batch_size : int
        Examples in a batch of each replica.
    learning_rate : float
        The greatest of the one-cycle schedule for one replica; see `replicas.one_cycle`.
    mixup : float
        See `training.fit`.
    averaged_runs : int
        Runs from the same parameters that are averaged; see `recipe.runs`.
    ensemble_size : int
        Networks whose logits are averaged.
    rejects : bool
        Whether the model learns to reject.
    bank : path-like or None
        The negative recordings to learn to reject.
    refits : bool
        Whether the network is trained a second time, with the validation examples.
    notes : tuple of str
        Remarks for the user, a line each.
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
    averaged_runs: int
    ensemble_size: int
    rejects: bool
    bank: StrPath | None
    refits: bool
    notes: tuple[str, ...] = ()

    def epoch_count(self, examples: int) -> int:
        """Return the number of epochs for so many examples in an epoch."""
        if self.epochs is not None:
            return self.epochs
        if self.begins_with_published:
            usual, few = EMBEDDING_EPOCHS, FEW_FOR_EMBEDDING
            if self.arch == YAMNET:
                usual, few = YAMNET_EPOCHS, FEW_FOR_YAMNET
            epochs = math.ceil(usual * math.pow(max(1.0, few / max(1, examples)), FEW_EXPONENT))
            return epochs if self.averaged_runs == 1 else math.ceil(AVERAGED_EPOCHS * epochs)
        steps = batch_count(examples, self.batch_size * self.settings.replicas)
        return min(MAX_EPOCHS, max(EPOCHS, math.ceil(MIN_STEPS / steps)))

    @property
    def begins_with_published(self) -> bool:
        """Whether the network is a published one with its pretrained layers: the speech embedding, or YAMNet."""
        return self.pretrained is not None and self.arch in PUBLISHED

    @property
    def begins_with_embedding(self) -> bool:
        """Whether the network is the speech embedding network with its pretrained layers."""
        return self.begins_with_published and self.arch == SPEECH_EMBEDDING

    def content(self, label: str, split: str | None) -> Content:
        """Return how a recording becomes windows; one that tests may not be cut by its label."""
        if self.windows is None or split == "test":
            return self.spec.content or "words"
        return self.windows.content(label)


def resolve(
    settings: Settings, data: Labelled, pretrained: Pretrained | None = None, *, has_refused: bool = False
) -> Plan:
    """Return the plan for training on `data`, of which only headers are read, and a few recordings.

    Parameters
    ----------
    settings : Settings
    data : Labelled
    pretrained : Pretrained, optional
        The model that `settings.init` names; see `pretrained.load_named`.
    has_refused : bool
        Whether there are clips that a person has refused, or recordings of noise, to learn to reject.

    Raises
    ------
    ConfigError
        If a setting cannot work.
    DataError
        If the data cannot be used.
    """
    check(settings, data.kind)
    spec, windows, pretrained, notes = _choose_input(settings, data, pretrained)
    few_speakers = have_few_speakers(data.speakers, data.splits)
    plan = choose(
        settings,
        spec,
        windows,
        pretrained,
        few_speakers=few_speakers,
        is_split="validation" in data.splits,
        has_refused=has_refused,
    )
    if _lacks_bank(plan):
        notes += (WITHOUT_BANK,)
    return replace(plan, notes=notes)


def choose(
    settings: Settings,
    spec: InputSpec,
    windows: WindowPlan | None = None,
    pretrained: Pretrained | None = None,
    *,
    few_speakers: bool = False,
    is_split: bool = False,
    has_refused: bool = False,
) -> Plan:
    """Return the plan for examples of `spec`.

    `few_speakers`: there are fewer than `MIN_SPEAKERS`. `is_split`: the data say which examples validate; those are not
    trained on by default. `has_refused`: there are refused clips, or recordings of noise.
    """
    arch = settings.arch if pretrained is None else pretrained.arch
    if arch == AUTO and pretrained is None:
        arch = choose_architecture(spec)
    of_published = pretrained is not None and arch in PUBLISHED
    bank = None if spec.kind == "images" else bank_folder(settings)
    rejects = shall_reject(settings, spec, few_speakers and not has_refused, bank)
    usual_rate = PUBLISHED_LEARNING_RATE if of_published else LEARNING_RATE
    usual_batch = PUBLISHED_BATCH_SIZE if of_published else BATCH_SIZE
    return Plan(
        settings=Settings(**settings.get_params()),
        spec=spec,
        windows=windows,
        pretrained=pretrained,
        arch=arch,
        input_shape=spec.input_shape(arch) if pretrained is None else pretrained.input_shape(spec),
        epochs=settings.epochs,
        batch_size=usual_batch if settings.batch_size is None else settings.batch_size,
        learning_rate=usual_rate if settings.learning_rate is None else settings.learning_rate,
        mixup=MIXUP if settings.mixup is None else settings.mixup,
        averaged_runs=settings.averaged_runs,
        ensemble_size=settings.ensemble_size,
        rejects=rejects,
        bank=bank if rejects else None,
        refits=few_speakers and not is_split if settings.refit is None else settings.refit,
    )


def choose_architecture(spec: InputSpec) -> str:
    """Return the network that ``auto`` means for such an input; docs/recipes.md has what it was chosen by."""
    if spec.kind == "images" or isinstance(spec.front_end, Mfcc):
        return "cnn"
    if isinstance(spec.front_end, RawSamples):
        return "m5-32"
    if isinstance(spec.front_end, Librosa) and spec.front_end.axis not in ("notes", "mel"):
        # What has no neighbouring bands to pool is a channel each.
        return "cnn" if spec.input_shape("cnn")[1] >= MIN_POOLED_BANDS else "tc-resnet8"
    return "tc-cnn-l" if spec.holds_a_word else "tc-cnn-events"


def shall_reject(settings: Settings, spec: InputSpec, few_speakers: bool, bank: StrPath | None) -> bool:
    """Return whether the model learns to reject: if asked for, or if the classes are words that many people say."""
    if spec.kind == "images":
        return False
    if settings.reject is not None:
        return settings.reject
    # A network that has learned few voices takes the words of other people for negatives.
    asked = settings.named_negatives or settings.tts_language
    return bool(asked) or bank is not None or (spec.holds_a_word and not few_speakers)


def bank_folder(settings: Settings) -> StrPath | None:
    """Return where the negative recordings of a training are: those that the user names, or the bank, if any.

    Raises
    ------
    DataError
        If there are none where the user says.
    """
    if settings.negatives == AUTO and settings.reject is not False:
        return default_folder()
    named = settings.named_negatives
    return None if named is None else checked_folder(named)


def have_few_speakers(speakers: Sequence[str | None], splits: Sequence[str | None]) -> bool:
    """Return whether all speakers that may be learned from are known, and fewer than `MIN_SPEAKERS`."""
    known = {speaker for speaker, split in zip(speakers, splits, strict=True) if split not in ("test", REVIEWED)}
    return None not in known and len(known) < MIN_SPEAKERS


def _lacks_bank(plan: Plan) -> bool:
    """Return whether words learn to reject without a bank of negatives, although the user has not turned it off."""
    has_choice = plan.settings.negatives == AUTO and not is_off()
    return plan.rejects and plan.spec.holds_a_word and plan.bank is None and has_choice


def _choose_input(
    settings: Settings, data: Labelled, pretrained: Pretrained | None
) -> tuple[InputSpec, WindowPlan | None, Pretrained | None, tuple[str, ...]]:
    """Return what one example is, how recordings become windows (None for pictures), what it begins with, and notes."""
    if pretrained is not None and data.kind not in pretrained.kinds:
        takes = "sound" if "audio" in pretrained.kinds else "pictures"
        raise ConfigError(f"{settings.named_init}: is a model of {takes}, but {data.name} holds {data.kind}")
    if data.kind == "images":
        if pretrained is not None:
            return pretrained.image_input(settings, data), None, pretrained, ()
        return data.image_spec(settings.image_size), None, None, ()
    seconds = settings.clip_seconds
    if pretrained is not None and pretrained.front_end is not None and pretrained.clip_samples is not None:
        seconds = pretrained.clip_samples / pretrained.front_end.sample_rate
    rates, windows = data.window_plan(seconds)
    notes: tuple[str, ...] = ()
    if pretrained is None:
        pretrained, notes = published_networks.choose(settings, data, rates, windows)
    if pretrained is not None:
        spec = pretrained.audio_input(settings, rates, windows)
        seconds = spec.clip_samples / spec.sample_rate
        if abs(seconds - windows.seconds) > 1 / spec.sample_rate:  # the network needs another window
            rates, windows = data.window_plan(seconds)
        return spec, windows, pretrained, notes
    spec = choose_audio_input(
        None if settings.arch == AUTO else settings.arch,
        rates,
        windows.seconds,
        front_end=settings.front_end,
        sample_rate=settings.sample_rate,
        content=windows.expected,
    )
    return spec, windows, None, notes
