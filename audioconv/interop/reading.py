"""One function for all formats, by the ending of the file's name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from audioconv._types import StrPath
from audioconv.errors import ConfigError, ModelFileError
from audioconv.interop.caffe import read_caffe
from audioconv.interop.imported import Imported
from audioconv.interop.keras import read_keras
from audioconv.interop.onnx import read_onnx
from audioconv.interop.weights import read_weights
from audioconv.io import tensor_file
from audioconv.io.files import display_path
from audioconv.layers.base import Layer, from_config, unflatten

NETWORKS = {".onnx": read_onnx, ".keras": read_keras, ".h5": read_keras, ".hdf5": read_keras, ".caffemodel": read_caffe}
"""Endings of files that hold a network, and what reads them."""

WEIGHTS = (".pt", ".pth", ".safetensors")
"""Endings of files that hold weights alone."""


def read(
    path: StrPath,
    *,
    until: str | None = None,
    shape: Sequence[int] | None = None,
    open_size: int | None = None,
    onto: str | Layer | None = None,
    in_shape: Sequence[int] | None = None,
    classes: int | None = None,
    ignore: Sequence[str] = (),
) -> Imported:
    """Return a network from a file of another framework, or from a model of audioconv.

    Parameters
    ----------
    path : path-like
        ``.onnx``, ``.keras``, ``.h5`` or ``.caffemodel``: network and weights. ``.pt``, ``.pth`` or ``.safetensors``:
        weights, which need `onto`; a model of audioconv does not.
    until, shape, open_size
        As in `read_onnx`: where to cut, and the shape of the input where the file leaves it open.
    onto, in_shape, classes, ignore
        As in `read_weights`: a network that takes the file's arrays, whatever network the file has.

    Raises
    ------
    DataError, ModelFileError, MissingExtraError
        If the file cannot be read, or holds what there is no layer for.
    ConfigError
        If its kind is not known, or the arguments do not fit it.
    """
    shown, ending = display_path(path), Path(path).suffix.lower()
    if onto is not None:
        if in_shape is None:
            raise ConfigError(f"{shown}: onto= needs in_shape=, the shape of one example")
        if until is not None:
            raise ConfigError(f"{shown}: until= cuts the file's own network; give one of until= and onto=")
        return read_weights(path, onto, in_shape, classes=classes, ignore=ignore)
    if ending in NETWORKS:
        return NETWORKS[ending](path, until=until, shape=shape, open_size=open_size)
    if ending == ".safetensors":
        try:
            arrays, header = tensor_file.read(path, "model")
        except ModelFileError as error:
            raise ModelFileError(
                f"{error}; weights of others need onto=, a network or an architecture's name"
            ) from None
        try:
            flat = {name: array for name, array in arrays.items() if "/" not in name}
            network = from_config(header["network"])
            return Imported(network, unflatten(flat), tuple(header["input_shape"]), {})
        except (KeyError, TypeError) as error:
            raise ModelFileError(f"{shown}: damaged model: {error}") from None
    if ending in WEIGHTS:
        raise ConfigError(
            f"{shown}: holds weights alone: give onto=, a network or an architecture's name, and in_shape="
        )
    raise ConfigError(f"{shown}: networks are read from {', '.join((*NETWORKS, *WEIGHTS))}")
