"""How to train: what a user may set, and what is best where nothing is set."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from audioconv import architectures
from audioconv._types import StrPath
from audioconv.errors import ConfigError
from audioconv.features.front_ends import Mfcc, RawSamples
from audioconv.io.files import display_path
from audioconv.model import Model
from audioconv.pipeline.inputs import AudioInput, ImageInput
from audioconv.recipe.spoken_words import check_language
from audioconv.training.data import batch_count

AUTO = "auto"
"""Of `Settings.arch`: what fits the input. Of `Settings.init`: what fits, if there is something."""


@dataclass(eq=False)
class Settings:
    """How to train a classifier: the parameters of `Classifier`, which explains them. None: what `resolve` says."""

    arch: str = AUTO
    init: StrPath | None = AUTO
    epochs: int | None = None
    budget: float | None = None
    batch_size: int = 64
    learning_rate: float | None = None
    mixup: float | None = None
    front_end: str | None = None
    sample_rate: int | None = None
    clip_seconds: float | None = None
    image_size: tuple[int, int] | None = None
    normalise_clips: bool | None = None
    augment: bool = True
    noise: StrPath | None = None
    reject: bool | None = None
    keep_classes: bool = False
    others: StrPath | None = None
    speak: str | None = None
    false_accepts: float = 0.05
    validation_fraction: float = 0.1
    patience: int | None = None
    refit: bool | None = None
    members: int = 1
    seed: int = 0

    _estimator_type: ClassVar[str] = "classifier"  # how scikit-learn before 1.6 knows one

    @property
    def named_init(self) -> StrPath | None:
        """The model to begin with, where the user has named one."""
        return None if self.init == AUTO else self.init

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings, as scikit-learn's tools ask for them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(Settings)}

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator: that it classifies one label an example."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(one_d_array=True, three_d_array=True, string=True),
        )

    def set_params(self, **settings: Any) -> Self:
        """Change settings; `ConfigError` for one that there is not."""
        for name, value in settings.items():
            if name not in self.get_params():
                raise ConfigError(f"there is no setting {name!r}; there are {', '.join(self.get_params())}")
            setattr(self, name, value)
        return self


def stored_settings(model: Model) -> dict[str, Any]:
    """Return the settings that a model says it was trained with; those that this version does not have are left out."""
    stored = model.provenance.get("settings")
    known = {field.name for field in dataclasses.fields(Settings)}
    return {
        name: tuple(value) if isinstance(value, list) else value  # JSON has no tuples
        for name, value in (stored.items() if isinstance(stored, dict) else ())
        if name in known
    }


@dataclass(frozen=True)
class Recipe:
    """What every network is trained with unless the user says otherwise; docs/recipes.md has what it was chosen by.

    Attributes
    ----------
    epochs : int
    learning_rate : float
        The greatest of the one-cycle schedule.
    mixup : float
        See `training.fit`.
    """

    epochs: int = 60
    learning_rate: float = 5e-3
    mixup: float = 0.0


LEAST_STEPS, MOST_EPOCHS = 300, 300
"""Few examples are gone through more often than the recipe says, until there were so many steps."""


def choose_architecture(source: AudioInput | ImageInput) -> str:
    """Return the network that ``auto`` means for such an input; docs/recipes.md has what it was chosen by."""
    if isinstance(source, ImageInput) or isinstance(source.front_end, Mfcc):
        return "cnn"
    if isinstance(source.front_end, RawSamples):
        return "m5-32"
    return "tc-cnn-l" if source.holds_a_word else "tc-cnn-events"


def check(settings: Settings, kind: Literal["audio", "images"]) -> None:
    """Raise `ConfigError` for what cannot be, before anything is read."""
    if settings.arch != AUTO:
        architectures.input_kind(settings.arch)
    if settings.budget is not None and settings.epochs is not None:
        raise ConfigError("a budget chooses the number of epochs; give one of budget and epochs")
    if settings.budget is not None and not settings.budget > 0:
        raise ConfigError(f"the budget must be more than 0 seconds, got {settings.budget}")
    if settings.clip_seconds is not None and not settings.clip_seconds > 0:
        raise ConfigError(f"the clip must be longer than 0 seconds, got {settings.clip_seconds}")
    if not 0 < settings.false_accepts < 1:
        raise ConfigError(f"false_accepts is a share between 0 and 1, got {settings.false_accepts}")
    if settings.others is not None and (settings.reject is False or kind == "images"):
        raise ConfigError("recordings of other things are of use only where a classifier of sounds learns to reject")
    if settings.speak is not None:
        if settings.reject is False or kind == "images":
            raise ConfigError("synthetic voices are of use only where a classifier of sounds learns to reject")
        check_language(settings.speak)
    if settings.members < 1:
        raise ConfigError(f"there must be at least one network, got members={settings.members}")


def resolve(settings: Settings, examples: int, source: AudioInput | ImageInput) -> Settings:
    """Return the settings with nothing left to choose, for so many examples of this input to train on."""
    arch = settings.arch if settings.named_init is None else _architecture_of(settings.named_init)
    if arch == AUTO:
        arch = choose_architecture(source)
    recipe = Recipe()
    epochs = min(MOST_EPOCHS, max(recipe.epochs, math.ceil(LEAST_STEPS / batch_count(examples, settings.batch_size))))
    recipe = dataclasses.replace(recipe, epochs=epochs)
    chosen = {
        "arch": arch,
        **{
            field.name: getattr(recipe, field.name)
            for field in dataclasses.fields(Recipe)
            if getattr(settings, field.name) is None
        },
    }
    return Settings(**{**settings.get_params(), **chosen})


def recipe_of(settings: Settings) -> Recipe:
    """Return the recipe that is in settings from `resolve`."""
    assert settings.epochs is not None
    assert settings.learning_rate is not None
    assert settings.mixup is not None
    return Recipe(settings.epochs, settings.learning_rate, settings.mixup)


def _architecture_of(path: StrPath) -> str:
    made_with = Model.load(path).provenance.get("settings")
    if not isinstance(made_with, dict) or made_with.get("arch") not in architectures.NAMES:
        raise ConfigError(f"{display_path(path)}: does not say which network it is, so nothing can begin with it")
    return str(made_with["arch"])
