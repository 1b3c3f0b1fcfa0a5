"""What training begins with: a model that the user names, the speech embedding network, or a model of the package.

The package's models were trained on common words by synthetic voices, so that the sounds of speech need not be learned
from ten clips. `scripts/make_base` makes them; docs/recipes.md says how much they bring, and where they do not help.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audioconv import architectures
from audioconv._types import StrPath
from audioconv.datasets.collection import Kind
from audioconv.errors import ConfigError, DataError
from audioconv.features.front_ends import FrontEnd
from audioconv.features.normalisation import Normalisation
from audioconv.io.files import display_path
from audioconv.layers.base import Layer, Params, Shape, flatten, unflatten
from audioconv.model import Model
from audioconv.pipeline.inputs import InputSpec
from audioconv.recipe import speech_embedding
from audioconv.recipe.settings import AUTO, Settings
from audioconv.recipe.transfer import begin_from

EMBEDDING_RATE = 0.1
"""Factor of the learning rate of the speech embedding network's layers; docs/recipes.md has what it was chosen by."""


class Pretrained(ABC):
    """A network with parameters to begin with."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages and model files call it."""

    @property
    @abstractmethod
    def arch(self) -> str:
        """Name of the network; `ConfigError` if that is not known."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Whether it takes sound or pictures."""

    @property
    @abstractmethod
    def front_end(self) -> FrontEnd | None:
        """What makes features of samples; None for pictures."""

    @property
    def clip_samples(self) -> int | None:
        """Length of a clip that it needs; None if it takes clips of any length."""
        return None

    @property
    @abstractmethod
    def normalisation(self) -> Normalisation:
        """The scale of the features that its layers have learned."""

    @abstractmethod
    def begin(self, labels: Sequence[str], input_shape: Shape, rng: np.random.Generator) -> tuple[Layer, Params]:
        """Return the network for other labels, and the parameters to begin with; new ones are drawn with `rng`."""

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        """Factors of the learning rate; see `training.optimizers.AdamW`."""
        return (("0.", EMBEDDING_RATE),) if self.arch == speech_embedding.NAME else ()

    @property
    def about(self) -> Mapping[str, Any] | None:
        """Origin and licence, if they are other people's; JSON-compatible."""
        return None


@dataclass(frozen=True, eq=False)
class PretrainedModel(Pretrained):
    """A trained model, and the file that it was read from."""

    path: StrPath
    model: Model

    @property
    def name(self) -> str:
        return os.path.basename(os.fspath(self.path))

    @property
    def arch(self) -> str:
        settings = self.model.provenance.get("settings")
        if not isinstance(settings, dict) or settings.get("arch") not in architectures.NAMES:
            raise ConfigError(
                f"{display_path(self.path)}: does not say which network it is, so nothing can begin with it"
            )
        return str(settings["arch"])

    @property
    def kind(self) -> Kind:
        return self.model.kind

    @property
    def front_end(self) -> FrontEnd | None:
        return self.model.front_end

    @property
    def clip_samples(self) -> int | None:
        return self.model.clip_samples

    @property
    def normalisation(self) -> Normalisation:
        if self.model.normalisation is not None:
            return self.model.normalisation
        channels = self.model.feature_shape[-1]
        return Normalisation(np.zeros(channels, np.float32), np.ones(channels, np.float32))

    def begin(self, labels: Sequence[str], input_shape: Shape, rng: np.random.Generator) -> tuple[Layer, Params]:
        return begin_from(self.model, labels, rng)

    @property
    def about(self) -> Mapping[str, Any] | None:
        """What the model's own file says of what it began with."""
        found = self.model.provenance.get("pretrained")
        return found if isinstance(found, dict) else None


@dataclass(frozen=True, eq=False)
class SpeechEmbedding(Pretrained):
    """The speech embedding network; see `recipe.speech_embedding`."""

    path: Path
    params: Params = field(repr=False)

    @property
    def name(self) -> str:
        return speech_embedding.NAME

    @property
    def arch(self) -> str:
        return speech_embedding.NAME

    @property
    def kind(self) -> Kind:
        return "audio"

    @property
    def front_end(self) -> FrontEnd:
        return speech_embedding.front_end()

    @property
    def normalisation(self) -> Normalisation:
        return speech_embedding.normalisation()

    def begin(self, labels: Sequence[str], input_shape: Shape, rng: np.random.Generator) -> tuple[Layer, Params]:
        network = architectures.build(self.arch, len(labels))
        known = {f"0.{path}": array for path, array in flatten(self.params).items()}
        return network, unflatten({**flatten(network.init(input_shape, rng)), **known})

    @property
    def about(self) -> Mapping[str, Any]:
        return {"name": self.name, "licence": speech_embedding.LICENCE, "sha256": speech_embedding.SHA256}


def load_named(settings: Settings) -> Pretrained | None:
    """Return what `Settings.init` names, or None.

    Raises
    ------
    ConfigError
        If the settings also choose what such a model decides, such as the sample rate.
    ModelFileError
        If the file is not a whole model.
    DataError
        If the speech embedding network is named, but is not here and cannot be downloaded.
    """
    init = settings.named_init
    if init is None:
        return None
    of_speech = init == speech_embedding.NAME
    decided = ("front_end", "sample_rate", "image_size") if of_speech else _DECIDED
    given = [name for name in decided if getattr(settings, name)]
    if given:
        raise ConfigError(f"{given[0]} is what the model has that training begins with; leave it out")
    if not of_speech:
        return PretrainedModel(init, Model.load(init))
    if settings.arch not in (AUTO, speech_embedding.NAME):
        raise ConfigError(f"only the network {speech_embedding.NAME} begins with it; leave out arch={settings.arch!r}")
    path = speech_embedding.find(download=True)
    if path is None:
        raise DataError(f"the {speech_embedding.NAME} network is not on this machine; {speech_embedding.INSTALL}")
    return SpeechEmbedding(path, speech_embedding.read(path))


_DECIDED = ("front_end", "sample_rate", "clip_seconds", "image_size")


def find_speech_embedding() -> Pretrained | None:
    """Return the speech embedding network if it is on this machine."""
    path = speech_embedding.find()
    return None if path is None else SpeechEmbedding(path, speech_embedding.read(path))


def find(arch: str, spec: InputSpec) -> Pretrained | None:
    """Return the package's own model for words with the network `arch`, None if there is none.

    The front end of `spec` must be that of the model; a word may be shorter or longer.
    """
    if not spec.holds_a_word:
        return None
    for path in sorted(Path(__file__).parent.glob("*.safetensors")):
        found = PretrainedModel(path, Model.load(path))
        if found.arch == arch and found.model.front_end == spec.front_end:
            return found
    return None
