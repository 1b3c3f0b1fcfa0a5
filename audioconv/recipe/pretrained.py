"""What training begins with: a file that the user names, the speech embedding network, or a model of the package.

The package's models were trained on common words by synthetic voices, so that the sounds of speech need not be learned
from ten clips. `scripts/make_base` makes them; docs/recipes.md says how much they bring, and where they do not help.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from audioconv import architectures
from audioconv._types import StrPath
from audioconv.architectures.speech import speech_embedding as plain_embedding
from audioconv.datasets.collection import Kind
from audioconv.errors import ConfigError
from audioconv.features.front_ends import FrontEnd
from audioconv.features.normalisation import Normalisation
from audioconv.io.files import display_path
from audioconv.layers.base import Layer, Params, Shape, flatten, unflatten
from audioconv.model import Model
from audioconv.pipeline.inputs import AudioInput, ImageInput, InputSpec, of_model
from audioconv.recipe import speech_embedding, yamnet
from audioconv.recipe.imported_network import ImportedNetwork, is_network
from audioconv.recipe.labelled import Labelled
from audioconv.recipe.pretrained_base import Pretrained, rates_of_bodies
from audioconv.recipe.settings import AUTO, OPENWAKEWORD, PUBLISHED, SPEECH_EMBEDDING, YAMNET, Settings
from audioconv.recipe.transfer import begin_from
from audioconv.recipe.window_plan import WindowPlan

__all__ = ["Pretrained", "PretrainedModel", "SpeechEmbedding", "Yamnet", "find", "load_named"]


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
        if not isinstance(settings, dict) or settings.get("arch") not in (*architectures.NAMES, AUTO):
            raise ConfigError(
                f"{display_path(self.path)}: does not say which network it is, so nothing can begin with it"
            )
        return str(settings["arch"])

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return (self.model.kind,)

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

    def image_input(self, settings: Settings, data: Labelled) -> ImageInput:
        spec = of_model(self.model)
        assert isinstance(spec, ImageInput)
        return spec

    def input_shape(self, spec: InputSpec) -> Shape:
        return super().input_shape(spec) if self.arch != AUTO else self.model.input_shape

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        if self.arch == YAMNET:
            return rates_of_bodies(self.model.network, yamnet.RATE)
        return rates_of_bodies(self.model.network) if self.arch in (AUTO, SPEECH_EMBEDDING) else ()

    @property
    def about(self) -> Mapping[str, Any] | None:
        """What the model's own file says of what it began with."""
        found = self.model.provenance.get("pretrained")
        return found if isinstance(found, dict) else None


class _Source(Protocol):
    """A module that reads the file of a published network."""

    LICENCE: str
    MIN_SECONDS: float

    def front_end(self) -> FrontEnd: ...
    def normalisation(self) -> Normalisation: ...
    def find(self, *, download: bool) -> Path | None: ...
    def read(self, path: Path) -> Params: ...
    def sha256(self, path: Path) -> str: ...


@dataclass(frozen=True, eq=False)
class PublishedNetwork(Pretrained):
    """A network that other people published for anything of its kind, below a head for the classes."""

    path: Path
    params: Params = field(repr=False)

    source: ClassVar[_Source]
    """The module that reads its file."""

    @property
    @abstractmethod
    def arch(self) -> str: ...

    @property
    def name(self) -> str:
        return self.arch

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return ("audio",)

    @property
    def front_end(self) -> FrontEnd:
        return self.source.front_end()

    @property
    def normalisation(self) -> Normalisation:
        return self.source.normalisation()

    def audio_input(self, settings: Settings, rates: Sequence[int], windows: WindowPlan) -> AudioInput:
        if windows.seconds < self.source.MIN_SECONDS:
            raise ConfigError(
                f"the {self.name} network needs a window of at least {self.source.MIN_SECONDS} s, it is "
                f"{windows.seconds:g} s; give a longer clip_seconds, or begin with another network (init)"
            )
        return super().audio_input(settings, rates, windows)

    def build(self, classes: int) -> Layer:
        """Return the network, whose first layer is the published network, for so many classes."""
        return architectures.build(self.arch, classes)

    def begin(self, labels: Sequence[str], input_shape: Shape, rng: np.random.Generator) -> tuple[Layer, Params]:
        network = self.build(len(labels))
        known = {f"0.{path}": array for path, array in flatten(self.params).items()}
        return network, unflatten({**flatten(network.init(input_shape, rng)), **known})

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        return rates_of_bodies(self.build(2))

    @property
    def about(self) -> Mapping[str, Any]:
        return {"name": self.name, "licence": self.source.LICENCE, "sha256": self.source.sha256(self.path)}


@dataclass(frozen=True, eq=False)
class SpeechEmbedding(PublishedNetwork):
    """The speech embedding network; see `recipe.speech_embedding`."""

    source: ClassVar[_Source] = speech_embedding

    @property
    def arch(self) -> str:
        return SPEECH_EMBEDDING

    def rates_for(self, *, are_few: bool) -> tuple[tuple[str, float], ...]:
        frozen = [(f"0.{place}.", 0.0) for place in range(FROZEN_LAYERS)] if are_few else []
        return (*frozen, *self.rates)


@dataclass(frozen=True, eq=False)
class Yamnet(PublishedNetwork):
    """YAMNet, whose layers do not learn; see `recipe.yamnet`."""

    source: ClassVar[_Source] = yamnet

    @property
    def arch(self) -> str:
        return YAMNET

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        return rates_of_bodies(self.build(2), yamnet.RATE)


@dataclass(frozen=True, eq=False)
class OpenWakeWord(SpeechEmbedding):
    """The speech embedding network as openWakeWord computes it: of windows of 2 s, without context, and unchanged.

    openWakeWord computes the published network's embeddings once for all of its models, which are heads on 16 of them.
    So the network's layers do not learn here, and `audioconv.export` can write the head.
    """

    @property
    def name(self) -> str:
        return OPENWAKEWORD

    @property
    def clip_samples(self) -> int:
        return round(speech_embedding.OPENWAKEWORD_SECONDS * speech_embedding.SAMPLE_RATE)

    def build(self, classes: int) -> Layer:
        return plain_embedding(classes, context_frames=0)

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        return (("0.", 0.0),)

    @property
    def about(self) -> Mapping[str, Any]:
        return {**super().about, "name": SPEECH_EMBEDDING}


FROZEN_LAYERS = 10
"""Layers of the speech embedding network, up to its first pooling, that do not learn where clips are few. They are a
fifth of the multiplications, and a quarter of the time of a training step is their backward pass;
docs/experiments/speech-embedding.md has the effect."""

_DECIDED = ("front_end", "sample_rate", "clip_seconds", "image_size")
"""Settings that a model's file decides; the speech embedding network takes any window."""


_PUBLISHED: dict[str, type[PublishedNetwork]] = {
    SPEECH_EMBEDDING: SpeechEmbedding,
    OPENWAKEWORD: OpenWakeWord,
    YAMNET: Yamnet,
}
"""The networks that `Settings.init` names besides files."""


def load_named(settings: Settings) -> Pretrained | None:
    """Return what `Settings.init` names, or None.

    Raises
    ------
    ConfigError
        If the settings also choose what such a network decides, such as the sample rate.
    ModelFileError
        If the file is not a whole model, or network.
    DataError
        If the speech embedding network is named, but is not here and cannot be downloaded.
    """
    init = settings.named_init
    if init is None:
        return None
    if is_network(init):
        if settings.arch != AUTO:
            raise ConfigError(f"{display_path(init)}: is a network of its own; leave out arch={settings.arch!r}")
        return ImportedNetwork.read(init, settings.init_layer)
    if settings.init_layer is not None:
        raise ConfigError("init_layer says where to cut a network of another framework; leave it out for this init")
    if Path(init).suffix.lower() in (".pt", ".pth"):
        raise ConfigError(
            f"{display_path(init)}: holds weights without their network; write the network to an ONNX file "
            "(torch.onnx.export), and begin with that"
        )
    published = _PUBLISHED.get(os.fspath(init))
    takes_any = init in PUBLISHED
    given = [name for name in _DECIDED if getattr(settings, name) and not (takes_any and name == "clip_seconds")]
    if given:
        raise ConfigError(f"{given[0]} is what the model has that training begins with; leave it out")
    if published is None:
        return PretrainedModel(init, Model.load(init))
    arch = YAMNET if published is Yamnet else SPEECH_EMBEDDING
    if settings.arch not in (AUTO, arch):
        raise ConfigError(f"only the network {arch} begins with it; leave out arch={settings.arch!r}")
    path = published.source.find(download=True)
    assert path is not None, "it is here, or the download has failed"
    return published(path, published.source.read(path))


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
