"""Beginning with a network of another framework: its layers below a new head, on the input that its file asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from audioconv._types import StrPath
from audioconv.datasets.collection import Kind
from audioconv.errors import ConfigError
from audioconv.features.front_ends import FrontEnd, LogMel, Mfcc, RawSamples
from audioconv.interop import NETWORKS, Imported, read
from audioconv.interop.files import read_limited
from audioconv.io.files import display_path
from audioconv.layers import Chain, Dense, Dropout, GlobalAvgPool, Layer, Sigmoid, Softmax
from audioconv.layers.base import Params, Shape, flatten, unflatten
from audioconv.pipeline.inputs import AudioInput, ImageInput, InputSpec
from audioconv.recipe.choose_input import MIN_ENERGY, choose_front_end, choose_rate
from audioconv.recipe.labelled import Labelled
from audioconv.recipe.pretrained_base import Pretrained, rates_of_bodies
from audioconv.recipe.settings import AUTO, Settings
from audioconv.recipe.window_plan import WindowPlan

FRAMEWORKS = {".onnx": "ONNX", ".keras": "Keras", ".h5": "Keras", ".hdf5": "Keras", ".caffemodel": "Caffe"}
"""Of the endings of `interop.NETWORKS`."""

OPEN_SIZE = 2**16
"""Stands for a size that a file leaves open while it is read; nothing is computed at that size."""

SPARE_SECONDS = 0.05
"""By so much the window of a file may be shorter than that of the data: others count frames without padding."""

USUAL_BANDS = 40
"""Of a file that leaves their number open."""

DROPOUT = 0.2


@dataclass(frozen=True, eq=False)
class ImportedNetwork(Pretrained):
    """A network of another framework, cut at a layer, with a new head.

    Attributes
    ----------
    path : path-like
    layer : str or None
        Where the file's network is cut; None: before its last dense layer, if it ends in one.
    body : Imported
        The layers that are kept.
    sha256 : str
        SHA-256 of the file.
    """

    path: StrPath
    layer: str | None
    body: Imported = field(repr=False)
    sha256: str

    @classmethod
    def read(cls, path: StrPath, layer: str | None) -> Self:
        """Return the network in a file.

        Raises
        ------
        DataError, ModelFileError, MissingExtraError
            If the file cannot be read, is damaged, or holds what there is no layer for.
        ConfigError
            If it has no such layer: names those whose names are near. If its input is none that there is.
        """
        found = read(path, until=layer, open_size=OPEN_SIZE)
        if layer is None:
            found = _without_classifier(found)
        network = cls(path, layer, found, hashlib.sha256(read_limited(path)).hexdigest())
        if not network.kinds:
            raise ConfigError(
                f"{display_path(path)}: takes inputs of shape {network._shown}; training begins with networks of "
                "spectrograms (frames, bands) or (frames, bands, 1), of samples (samples, 1) and of pictures "
                "(height, width, 1 or 3), channels last"
            )
        if not flatten(found.params):
            raise ConfigError(f"{display_path(path)}: has no layer with parameters to begin with; cut it further on")
        return network

    @property
    def name(self) -> str:
        name = Path(self.path).name
        return name if self.layer is None else f"{name} up to {self.layer}"

    @property
    def arch(self) -> str:
        return AUTO

    @property
    def kinds(self) -> tuple[Kind, ...]:
        shape = self.body.in_shape
        if len(shape) == 2:
            return ("audio",)
        if len(shape) == 3:
            return {1: ("audio", "images"), 3: ("images",)}.get(shape[-1], ())  # type: ignore[return-value]
        return ()

    @property
    def front_end(self) -> FrontEnd | None:
        return None

    @property
    def normalisation(self) -> None:
        return None

    @property
    def rates(self) -> tuple[tuple[str, float], ...]:
        return rates_of_bodies(self.body.network)

    @property
    def about(self) -> Mapping[str, Any]:
        path = Path(self.path)
        return {
            "name": path.name,
            "framework": FRAMEWORKS[path.suffix.lower()],
            "layer": self.layer,
            "sha256": self.sha256,
            "licence": None,
        }

    # --- its input ---

    def audio_input(self, settings: Settings, rates: Sequence[int], windows: WindowPlan) -> AudioInput:
        front_end = self._front_end(settings, rates)
        rate = front_end.sample_rate
        length = max(1, round(windows.seconds * rate))
        if self._takes(self._features(front_end, length)):
            return AudioInput(front_end, length, windows.expected)
        # A layer needs the size that the file declares.
        size = self.body.in_shape[0]
        fixed = size if isinstance(front_end, RawSamples) else size * front_end.hop_length - front_end.hop_length // 2
        is_open = 0 in self.body.open_axes
        fits = not is_open and self._takes(self._features(front_end, fixed))
        if fits and not windows.is_given and fixed >= (windows.seconds - SPARE_SECONDS) * rate:
            return AudioInput(front_end, fixed, windows.expected)
        what = "samples" if isinstance(front_end, RawSamples) else "frames"
        shown, wanted = f"{display_path(self.path)}: takes {self._shown}", self._features(front_end, length)[0]
        window = f"the data's window of {windows.seconds:g} s has {wanted:,} {what} at {rate:,} Hz"
        if fits:
            raise ConfigError(
                f"{shown}, which is {size:,} {what} or {fixed / rate:.3g} s, but {window}; set clip_seconds="
                f"{fixed / rate:.6g}, or cut the network before the layer that needs this size (init_layer)"
            )
        raise ConfigError(
            f"{shown}, but {window}, which do not pass through its layers; give another clip_seconds, or cut the "
            "network earlier (init_layer)"
        )

    def image_input(self, settings: Settings, data: Labelled) -> ImageInput:
        *size, channels = self.body.in_shape
        declared = None if {0, 1} & {*self.body.open_axes} else (size[0], size[1])
        fixed = data.fixed_image_shape
        if fixed is None and settings.image_size is None and declared is not None:
            return ImageInput((*declared, channels))
        found = data.image_spec(settings.image_size).shape
        shape = (*found[:2], channels)
        if fixed is not None and fixed != shape:
            raise ConfigError(
                f"{display_path(self.path)}: takes {self._shown}, but the pictures are {fixed}; give them "
                f"{channels} channel{'s' * (channels > 1)}"
            )
        if not self._takes(shape):
            raise ConfigError(
                f"{display_path(self.path)}: takes pictures {self._shown}, but those of {data.name} would be {shape}; "
                "give them this size, or cut the network before the layer that needs it (init_layer)"
            )
        return ImageInput(shape)

    def input_shape(self, spec: InputSpec) -> Shape:
        if isinstance(spec, AudioInput):
            return self._features(spec.front_end, spec.clip_samples)
        return spec.shape

    def _front_end(self, settings: Settings, rates: Sequence[int]) -> FrontEnd:
        """Return the front end that gives the file's bands, at the data's rate."""
        rate = settings.fixed_rate or choose_rate(rates)
        takes_samples = len(self.body.in_shape) == 2 and self.body.in_shape[1] == 1
        name = settings.front_end or ("raw" if takes_samples else "log-mel")
        if takes_samples != (name == "raw" or isinstance(name, RawSamples)):
            takes = "samples" if takes_samples else "spectrograms"
            raise ConfigError(
                f"{display_path(self.path)}: takes {takes} {self._shown}, so the front end cannot be {name!r}"
            )
        if takes_samples:
            return RawSamples(rate)
        if name not in ("log-mel", "mfcc"):
            return choose_front_end(name, rate)
        bands = USUAL_BANDS if 1 in self.body.open_axes else self.body.in_shape[1]
        kind, setting = (LogMel, "mel_bands") if name == "log-mel" else (Mfcc, "coefficients")
        try:
            front_end = kind.for_rate(rate, floor=MIN_ENERGY, **{setting: bands})
            empty = np.count_nonzero(~front_end.mel_filters().any(axis=1))
        except ConfigError as error:
            raise ConfigError(f"{display_path(self.path)}: takes spectrograms {self._shown}: {error}") from None
        if empty:
            raise ConfigError(
                f"{display_path(self.path)}: takes spectrograms {self._shown} (frames, bands), but {empty} of {bands} "
                f"mel bands at {rate:,} Hz would be silent; if its bands come first, export it with its frames first"
            )
        return front_end

    def _features(self, front_end: FrontEnd, samples: int) -> Shape:
        features = front_end.out_shape(samples)
        return (*features, 1) if len(self.body.in_shape) == 3 else features

    def _takes(self, shape: Shape) -> bool:
        """Tell whether the layers with their parameters take an input of this shape."""
        network = self.body.network
        try:
            shapes = flatten(network.param_shapes(shape))
            network.out_shape(shape)
        except ConfigError:
            return False
        return shapes == {path: array.shape for path, array in flatten(self.body.params).items()}

    @property
    def _shown(self) -> str:
        """The shape of its input, as messages have it."""
        sizes = ("?" if axis in self.body.open_axes else str(size) for axis, size in enumerate(self.body.in_shape))
        return f"({', '.join(sizes)})"

    # --- its layers ---

    def begin(self, labels: Sequence[str], input_shape: Shape, rng: np.random.Generator) -> tuple[Layer, Params]:
        body = self.body.network
        pool = [GlobalAvgPool()] if len(body.out_shape(input_shape)) > 1 else []
        network = Chain([body, *pool, Dropout(DROPOUT), Dense(len(labels))])
        known = {f"0.{path}": array for path, array in flatten(self.body.params).items()}
        return network, unflatten({**flatten(network.init(input_shape, rng)), **known})


def is_network(path: StrPath) -> bool:
    """Tell by its name whether a file is one of a whole network of another framework."""
    return Path(path).suffix.lower() in NETWORKS


def _without_classifier(found: Imported) -> Imported:
    """Return a network without the softmax and the dense layer at its end, if it has them."""
    layers = list(found.network.layers) if isinstance(found.network, Chain) else [found.network]
    while layers and isinstance(layers[-1], Softmax | Sigmoid):
        layers.pop()
    if len(layers) > 1 and isinstance(layers[-1], Dense):
        layers.pop()
    kept = {str(number) for number in range(len(layers))}
    params = {number: array for number, array in found.params.items() if number in kept}
    names = {path: name for path, name in found.names.items() if path.partition(".")[0] in kept}
    return Imported(Chain(layers), params, found.in_shape, names, found.input_axes, open_axes=found.open_axes)
