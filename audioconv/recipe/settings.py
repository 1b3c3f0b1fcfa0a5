"""Settings of training, and their defaults."""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from audioconv import architectures
from audioconv._types import StrPath
from audioconv.errors import ConfigError
from audioconv.model import Model
from audioconv.recipe.spoken_words import check_language

if TYPE_CHECKING:
    from audioconv.features.front_ends import FrontEnd

C = TypeVar("C", bound="Settings")

AUTO = "auto"
"""`Settings.arch`: the network that suits the input. `Settings.init`: the pretrained network that suits it, if any.
`Settings.negatives`: the bank on this machine, if any."""

SPEECH_EMBEDDING = "speech-embedding"
"""`Settings.init` and `Settings.arch`: the network that Google trained on speech; see `recipe.speech_embedding`."""

YAMNET = "yamnet"
"""`Settings.init` and `Settings.arch`: the network that Google trained on 521 kinds of sound; see `recipe.yamnet`."""

PUBLISHED = (SPEECH_EMBEDDING, YAMNET)

OPENWAKEWORD = "openwakeword"
"""`Settings.init`: the same network as openWakeWord computes it, whose layers do not learn; see `recipe.pretrained`."""

NO_NEGATIVES = "none"
"""`Settings.negatives`: no recordings."""


RENAMED = {
    "others": "negatives",
    "speak": "tts_language",
    "false_accepts": "false_accept_rate",
    "members": "ensemble_size",
}
"""Settings under their names of 0.1, which model files and callers may still use, and the present ones."""


def present_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, such as those in a model's provenance, under their present names."""
    return {RENAMED.get(name, name): value for name, value in settings.items()}


def accepts_old_names(cls: type[C]) -> type[C]:
    """Make the constructor of a class of settings take the old names, with a `DeprecationWarning`."""
    original = cls.__init__

    @functools.wraps(original)
    def construct(self: Settings, *arguments: Any, **settings: Any) -> None:
        original(self, *arguments, **_announced(settings))

    cls.__init__ = construct  # type: ignore[method-assign]
    return cls


def _announced(settings: Mapping[str, Any]) -> dict[str, Any]:
    for name in settings:
        if name in RENAMED:
            told = f"the setting {name} is called {RENAMED[name]} now; the old name goes with the next release"
            warnings.warn(told, DeprecationWarning, stacklevel=3)
    return present_names(settings)


@accepts_old_names
@dataclass(eq=False)
class Settings:
    """How to train a classifier: the parameters of `Classifier`, which explains them. None: see `plan.resolve`."""

    arch: str = AUTO
    init: StrPath | None = AUTO
    init_layer: str | None = None
    epochs: int | None = None
    budget: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    mixup: float | None = None
    front_end: str | FrontEnd | None = None
    sample_rate: int | None = None
    clip_seconds: float | None = None
    image_size: tuple[int, int] | None = None
    normalise_clips: bool | None = None
    augment: bool = True
    noise: StrPath | None = None
    reject: bool | None = None
    keep_classes: bool = False
    negatives: StrPath | None = AUTO
    tts_language: str | None = None
    reviewed: StrPath | None = None
    false_accept_rate: float = 0.05
    false_accepts_per_hour: float = 0.5
    validation_fraction: float = 0.1
    folds: int | None = None
    patience: int | None = None
    refit: bool | None = None
    averaged_runs: int = 1
    ensemble_size: int = 1
    stored_features: int = 200
    replicas: int = 1
    seed: int = 0

    _estimator_type: ClassVar[str] = "classifier"  # how scikit-learn before 1.6 knows one

    @property
    def fixed_rate(self) -> int | None:
        """The sample rate (Hz) of the model, if the settings decide it."""
        front_end = self.front_end
        if front_end is None or isinstance(front_end, str):
            return self.sample_rate
        rate: int | None = getattr(front_end, "sample_rate", None)  # what is no front end is refused later
        return rate

    @property
    def named_negatives(self) -> StrPath | None:
        """The negative recordings that the user has named."""
        return None if self.negatives in (None, AUTO, NO_NEGATIVES) else self.negatives

    @property
    def named_init(self) -> StrPath | None:
        """The file or published network to begin with, if the user has named one, also by its architecture."""
        if self.init == AUTO:
            return self.arch if self.arch in PUBLISHED else None
        return self.init

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

    def __getattr__(self, name: str) -> Any:
        if name in RENAMED:
            return getattr(self, RENAMED[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def set_params(self, **settings: Any) -> Self:
        """Change settings; `ConfigError` for one that there is not."""
        for name, value in _announced(settings).items():
            if name not in self.get_params():
                raise ConfigError(f"there is no setting {name!r}; there are {', '.join(self.get_params())}")
            setattr(self, name, value)
        return self


def stored_settings(model: Model) -> dict[str, Any]:
    """Return the settings that a model says it was trained with; those that this version does not have are left out."""
    stored = model.provenance.get("settings")
    known = {field.name for field in dataclasses.fields(Settings)}
    found = {
        name: tuple(value) if isinstance(value, list) else value  # JSON has no tuples
        for name, value in (present_names(stored).items() if isinstance(stored, dict) else ())
        if name in known
    }
    if isinstance(found.get("front_end"), dict):
        from audioconv.features.front_ends import front_end_from_config

        found["front_end"] = front_end_from_config(found["front_end"])
    return found


def check(settings: Settings, kind: Literal["audio", "images"]) -> None:
    """Raise `ConfigError` for settings that cannot work for such data, before anything is read."""
    if settings.arch != AUTO:
        architectures.input_kind(settings.arch)
    if settings.init_layer is not None and settings.named_init is None:
        raise ConfigError("init_layer says where to cut a network of another framework; name its file by init")
    if settings.budget is not None and settings.epochs is not None:
        raise ConfigError("a budget chooses the number of epochs; give one of budget and epochs")
    if settings.budget is not None and not settings.budget > 0:
        raise ConfigError(f"the budget must be more than 0 seconds, got {settings.budget}")
    if settings.clip_seconds is not None and not settings.clip_seconds > 0:
        raise ConfigError(f"the clip must be longer than 0 seconds, got {settings.clip_seconds}")
    if not 0 < settings.false_accept_rate < 1:
        raise ConfigError(f"false_accept_rate is a share between 0 and 1, got {settings.false_accept_rate}")
    if not 0 < settings.false_accepts_per_hour < math.inf:
        raise ConfigError(f"false_accepts_per_hour must be above 0, got {settings.false_accepts_per_hour}")
    if settings.stored_features < 0:
        raise ConfigError(f"stored_features must be 0 or more, got {settings.stored_features}")
    if settings.negatives == "":
        raise ConfigError(f"negatives are a folder or a recording, {AUTO!r} or {NO_NEGATIVES!r}; got an empty name")
    if settings.named_negatives is not None and (settings.reject is False or kind == "images"):
        raise ConfigError(
            "negatives need a classifier of sounds that learns to reject; leave them out, or do not turn rejection off"
        )
    if settings.reviewed is not None and kind == "images":
        raise ConfigError("reviewed clips need a classifier of sounds; leave them out")
    if settings.tts_language is not None:
        if settings.reject is False or kind == "images":
            raise ConfigError(
                "tts_language needs a classifier of sounds that rejects; leave it out or leave rejection on"
            )
        check_language(settings.tts_language)
    if settings.replicas < 1:
        raise ConfigError(f"there must be at least one replica, got replicas={settings.replicas}")
    if settings.folds is not None and settings.folds < 2:
        raise ConfigError(f"cross-validation needs at least 2 folds, got folds={settings.folds}")
    if settings.folds is not None and (settings.refit is False or settings.patience is not None):
        raise ConfigError("with folds the model is trained on all clips at the end; leave refit and patience out")
    if settings.averaged_runs < 1:
        raise ConfigError(f"there must be at least one run, got averaged_runs={settings.averaged_runs}")
    if settings.ensemble_size < 1:
        raise ConfigError(f"there must be at least one network, got ensemble_size={settings.ensemble_size}")
