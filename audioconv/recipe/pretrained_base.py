"""What a network to begin with tells the training: its input, its scale, its layers, and where it is from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audioconv.datasets.collection import Kind
from audioconv.features.front_ends import FrontEnd
from audioconv.features.normalisation import Normalisation
from audioconv.layers import Sum
from audioconv.layers.base import Layer, Params, Shape
from audioconv.pipeline.inputs import AudioInput, ImageInput, InputSpec
from audioconv.recipe.labelled import Labelled
from audioconv.recipe.settings import Settings
from audioconv.recipe.window_plan import WindowPlan

BODY_RATE = 0.05
"""Factor of the learning rate of pretrained layers below a new head; docs/recipes.md has what it was chosen by."""


class Pretrained(ABC):
    """A network with parameters to begin with."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages and model files call it."""

    @property
    @abstractmethod
    def arch(self) -> str:
        """Name of the network, `AUTO` for one of another framework; `ConfigError` if that is not known."""

    @property
    @abstractmethod
    def kinds(self) -> tuple[Kind, ...]:
        """What it takes: sound, pictures, or either."""

    @property
    @abstractmethod
    def front_end(self) -> FrontEnd | None:
        """What makes features of samples; None for pictures, and where that is chosen by the data."""

    @property
    def clip_samples(self) -> int | None:
        """Length of a clip that it needs; None if it takes clips of any length."""
        return None

    def audio_input(self, settings: Settings, rates: Sequence[int], windows: WindowPlan) -> AudioInput:
        """Return what one example is, for recordings of these rates (Hz) that such windows fit.

        Raises
        ------
        ConfigError
            If it cannot take such windows.
        """
        front_end = self.front_end
        assert front_end is not None, "it does not take sound"
        length = self.clip_samples or max(1, round(windows.seconds * front_end.sample_rate))
        return AudioInput(front_end, length, windows.expected)

    def image_input(self, settings: Settings, data: Labelled) -> ImageInput:
        """Return which pictures it takes; `ConfigError` if the data's cannot be."""
        raise AssertionError("it does not take pictures")

    def input_shape(self, spec: InputSpec) -> Shape:
        """Return the shape of one example as the network takes it."""
        return spec.input_shape(self.arch)

    @property
    @abstractmethod
    def normalisation(self) -> Normalisation | None:
        """The scale of the features that its layers have learned; None if it is not known."""

    @abstractmethod
    def begin(self, labels: Sequence[str], input_shape: Shape, rng: np.random.Generator) -> tuple[Layer, Params]:
        """Return the network for other labels, and the parameters to begin with; new ones are drawn with `rng`."""

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        """Factors of the learning rate; see `training.optimizers.AdamW`."""
        return ()

    def rates_for(self, *, are_few: bool) -> tuple[tuple[str, float], ...]:
        """Return the factors for training on few examples or on many; 0 freezes layers. Default: `rates` for both."""
        return self.rates

    @property
    def about(self) -> Mapping[str, Any] | None:
        """Origin and licence, if they are other people's; JSON-compatible."""
        return None


def describe(about: object) -> str | None:
    """Return in a line what `Pretrained.about` tells, as it is in a model's file; None where it tells nothing.

    >>> describe({"name": "network.onnx", "framework": "ONNX", "layer": "conv5", "sha256": "70d164290c1d095d"})
    'network.onnx up to conv5 (ONNX, SHA-256 70d164290c1d...), licence unknown'
    """
    if not isinstance(about, dict) or not about.get("name"):
        return None
    line = str(about["name"])
    if about.get("layer"):
        line += f" up to {about['layer']}"
    details = [str(about["framework"])] if about.get("framework") else []
    if about.get("sha256"):
        details.append(f"SHA-256 {str(about['sha256'])[:12]}...")
    if details:
        line += f" ({', '.join(details)})"
    return f"{line}, {about.get('licence') or 'licence unknown'}"


def rates_of_bodies(network: Layer, rate: float = BODY_RATE) -> tuple[tuple[str, float], ...]:
    """Return the learning rate's factor of the first layer of a chain, or of each chain whose outputs are summed.

    >>> from audioconv.layers import Chain, Dense
    >>> rates_of_bodies(Sum([Chain([Dense(4), Dense(2)]), Chain([Dense(4), Dense(2)])]))
    (('0.0.', 0.05), ('1.0.', 0.05))
    """
    if isinstance(network, Sum):
        return tuple((f"{number}.0.", rate) for number in range(len(network.branches)))
    return (("0.", rate),)
