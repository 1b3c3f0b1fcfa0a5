"""How to train: what a user may set, and what is best where nothing is set."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from audioconv import architectures
from audioconv._types import StrPath
from audioconv.errors import ConfigError
from audioconv.model import Model
from audioconv.recipe.spoken_words import check_language

AUTO = "auto"
"""`Settings.arch`: the network that suits the input. `Settings.init`: the pretrained network that suits it, if any."""


@dataclass(eq=False)
class Settings:
    """How to train a classifier: the parameters of `Classifier`, which explains them. None: see `plan.resolve`."""

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
        """The model file to begin with, if the user has named one."""
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


def check(settings: Settings, kind: Literal["audio", "images"]) -> None:
    """Raise `ConfigError` for settings that cannot work for such data, before anything is read."""
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
