"""YAMNet's pretrained parameters: where they are found, and how they are read.

Google published YAMNet under the Apache License 2.0. It was trained on AudioSet, two million clips of videos with 521
kinds of sound: people, animals, machines, weather, music. The TFLite file of 4.1 MB is read here. Its weights are
integers of 8 bits with a scale for each filter, and become floating point numbers. Batch normalisation is folded in.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from audioconv._types import Array
from audioconv.architectures.sounds import YAMNET_BANDS, yamnet_layers
from audioconv.datasets.catalogue import Remote
from audioconv.errors import ModelFileError
from audioconv.features.front_ends import LogMel
from audioconv.features.normalisation import Normalisation
from audioconv.interop.flatbuffer import Table
from audioconv.io.files import display_path
from audioconv.layers import Conv, DepthwiseConv, Params
from audioconv.recipe import published_file
from audioconv.recipe.published_file import Origin

LICENCE = "YAMNet by Google, Apache License 2.0"

SHA256 = "10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de"
SIZE = 4_126_810
MEGABYTES = SIZE / 1e6
FILE = Remote(
    "https://storage.googleapis.com/download.tensorflow.org/models/tflite/task_library/audio_classification/android/"
    "lite-model_yamnet_classification_tflite_1.tflite",
    size=SIZE,
    sha256=SHA256,
)

SAMPLE_RATE, MAX_SAMPLE_RATE = 16000, 48000
"""The network's, in Hz, and the highest of recordings whose sounds are mostly in its bands."""

MIN_SECONDS = 0.5
"""The shortest window: half of those that the network was trained with."""

RATE = 0.0
"""Factor of the learning rate of its layers: they do not learn."""

_OPERATORS = {3: "CONV_2D", 4: "DEPTHWISE_CONV_2D"}
"""Numbers of the operators of TFLite that have weights."""

_DTYPES = {0: "<f4", 2: "<i4", 9: "<i1"}
"""Numbers of the types of TFLite."""

_NATURAL_PER_DB = math.log(10) / 20
"""The natural logarithm of a magnitude for each decibel."""

_MEAN_MAGNITUDE = math.sqrt(math.pi / 4)
"""Mean magnitude of noise over the root of its mean power."""


def front_end() -> LogMel:
    """Return the front end nearest to the one that the network was trained with.

    Its bands are the published ones: 64 from 125 to 7,500 Hz on HTK's scale. The published front end sums magnitudes of
    the spectrum, where this one sums powers; `normalisation` has the difference of their logarithms.
    """
    return LogMel(SAMPLE_RATE, mel_bands=YAMNET_BANDS, min_frequency=125.0, max_frequency=7500.0, mel_scale="htk")


def normalisation() -> Normalisation:
    """Return the scale that turns decibels of power into the published logarithm of magnitudes, the same for each clip.

    The two agree for noise, to 0.12. For a tone in a band of n frequencies, this value is higher, by up to
    ``log(n) / 2``. In recordings of ESC-10 the root of the mean squared difference is 0.11.
    """
    edges = front_end().band_edges()
    of_unit_area = front_end().mel_filters().sum(axis=1)
    of_unit_height = of_unit_area * (edges[2:] - edges[:-2]) / 2
    added = np.log(_MEAN_MAGNITUDE * of_unit_height) - np.log(of_unit_area) / 2
    scale = 1 / _NATURAL_PER_DB
    return Normalisation((-scale * added).astype(np.float32), np.full(len(added), scale, np.float32))


def find(*, download: bool = False) -> Path | None:
    """Return where the file is: in the mirror or in the cache; see `published_file.find`."""
    return published_file.find(FILE, locate(), download=download)


def locate() -> tuple[Path, Origin] | None:
    """Return where the file is, as `find` does, and in which of the places."""
    return published_file.locate(FILE)


def read(path: Path) -> Params:
    """Return the parameters of `architectures.sounds.yamnet_layers`.

    Raises
    ------
    ModelFileError
        If the file is not the published one.
    """
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelFileError(
            f"{display_path(path)}: is not the published YAMNet (SHA-256 {SHA256[:12]}... is expected); remove it, and "
            "train with --init yamnet, which downloads it again"
        )
    return arrays_of(content)


def sha256(path: Path) -> str:
    """Return the SHA-256 of the published file."""
    return SHA256


def arrays_of(content: bytes) -> Params:
    """Return the parameters in a TFLite file of this network."""
    layers = yamnet_layers().layers
    places = [place for place, layer in enumerate(layers) if isinstance(layer, Conv | DepthwiseConv)]
    params: Params = {str(place): {} for place in range(len(layers))}
    for place, (weight, bias) in zip(places, _convolutions(content), strict=True):
        params[str(place)] = {"weight": weight, "bias": bias}
    return params


def _convolutions(content: bytes) -> Iterator[tuple[Array, Array]]:
    """Yield weight (R, S, C, K) and bias (K,) of each convolution; C is 1 where it is depthwise."""
    model = Table.root(content)
    operators, buffers = model.tables(1), model.tables(4)
    (graph,) = model.tables(2)
    tensors = graph.tables(0)

    def array(number: int) -> Array:
        tensor = tensors[number]
        stored = np.frombuffer(buffers[tensor.integer(2)].data(0), _DTYPES[tensor.byte(1)])
        quantisation = tensor.table(4)
        scales = [] if quantisation is None else quantisation.floats(2)
        values = stored.reshape(tensor.integers(0)).astype(np.float32)
        if not scales:
            return values
        assert quantisation is not None
        shape = [1] * values.ndim
        shape[quantisation.integer(6)] = len(scales)
        return values * np.asarray(scales, np.float32).reshape(shape)

    for operator in graph.tables(3):
        kind = _OPERATORS.get(operators[operator.integer(0)].byte(0))
        if kind is not None:
            _, weight, bias = operator.integers(1)
            axes = (1, 2, 3, 0) if kind == "CONV_2D" else (1, 2, 0, 3)
            yield np.ascontiguousarray(array(weight).transpose(axes)), array(bias)
