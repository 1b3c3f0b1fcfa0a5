"""Keras models: ``.keras`` and ``.h5`` files, sequential or functional, of the layers that there is a counterpart for.

The configuration is read as data: custom layers, lambdas and whatever else would need code are refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from audioconv._types import StrPath
from audioconv.errors import ModelFileError
from audioconv.interop import hdf5
from audioconv.interop.errors import UnsupportedError
from audioconv.interop.files import member, open_archive, read_limited
from audioconv.interop.imported import Imported
from audioconv.interop.keras_graph import KerasGraph
from audioconv.interop.keras_layers import Weights
from audioconv.interop.network import network_of
from audioconv.io.files import display_path


def read_keras(
    path: StrPath, *, until: str | None = None, shape: Sequence[int] | None = None, open_size: int | None = None
) -> Imported:
    """Return the network in a Keras file as layers with its parameters.

    Parameters
    ----------
    path : path-like
        ``.keras``, or ``.h5`` that holds a whole model.
    until : str, optional
        Name of the layer where to cut. Default: the model's output.
    shape : sequence of int, optional
        Shape of the input without the batch, where the file leaves it open.
    open_size : int, optional
        As in `read_onnx`.

    Raises
    ------
    DataError, ModelFileError, MissingExtraError
        As `read_onnx`; the package is h5py.
    """
    shown = display_path(path)
    config, weights, version = _content(path, shown)
    if config is None:
        raise ModelFileError(f"{shown}: holds weights alone; read it onto a network: read(path, onto=...)")
    try:
        writer, outputs = KerasGraph(config, weights, version).nodes()
    except UnsupportedError as error:
        raise error.in_file(shown) from None
    except ModelFileError as error:
        raise ModelFileError(f"{shown}: {error}") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        message = " ".join(str(error).split())
        raise ModelFileError(f"{shown}: its configuration is damaged, or of another version: {message}") from None
    return network_of(writer.graph(outputs), until, shape, shown, open_size)


def keras_weights(path: StrPath) -> Weights:
    """Return the arrays of each layer in a Keras file, in the model's order, by the layer's name.

    A file of weights alone has an order within each class of layers only. There, dense layers are the last.
    """
    config, weights, _ = _content(path, display_path(path))
    inner = (config or {}).get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    if not isinstance(layers, list):
        return weights
    configs = [layer.get("config") for layer in layers if isinstance(layer, dict)]
    names = [str(settings.get("name")) for settings in configs if isinstance(settings, dict)]
    return {name: weights[name] for name in names if name in weights} | weights


def _content(path: StrPath, shown: str) -> tuple[dict[str, Any] | None, Weights, int]:
    """Return configuration, weights and Keras' major version of a file."""
    content = read_limited(path)
    if content[:2] == b"PK":
        with open_archive(path) as archive:
            config = _json(member(archive, "config.json", shown), shown)
            meta = (
                _json(member(archive, "metadata.json", shown), shown) if "metadata.json" in archive.namelist() else {}
            )
            weights = hdf5.opened(member(archive, "model.weights.h5", shown), shown, _new_weights)
        return config, weights, _major(meta.get("keras_version", "3"))

    def old(file: Any) -> tuple[dict[str, Any] | None, Weights, int]:
        if "layers" in file or "_layer_checkpoint_dependencies" in file:
            return None, _new_weights(file), 3
        text = file.attrs.get("model_config")
        config = None if text is None else _json(text if isinstance(text, bytes) else str(text).encode(), shown)
        return config, _old_weights(file), _major(file.attrs.get("keras_version", "2"))

    return hdf5.opened(content, shown, old)


def _json(content: bytes, shown: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ModelFileError(f"{shown}: its configuration is not JSON") from None
    if not isinstance(found, dict):
        raise ModelFileError(f"{shown}: its configuration is no object")
    return found


def _major(version: Any) -> int:
    text = version.decode() if isinstance(version, bytes) else str(version)
    return int(text[0]) if text[:1].isdigit() else 3


def _new_weights(file: Any) -> Weights:
    """Return the arrays of Keras 3: numbered, under each layer's class name."""
    found: Weights = {}
    parent = "layers" if "layers" in file else "_layer_checkpoint_dependencies"
    layers = hdf5.item(file, parent)
    for key in sorted(layers, key=_by_number):
        if "vars" not in hdf5.item(layers, key):
            continue
        variables = hdf5.item(layers, f"{key}/vars")
        name = variables.attrs.get("name", key)
        numbers = sorted(variables, key=int)
        arrays = [hdf5.array(hdf5.item(variables, number)) for number in numbers]
        found[name.decode() if isinstance(name, bytes) else str(name)] = arrays
        found.setdefault(f"/{key}", arrays)  # for files without names
    return found


def _by_number(key: str) -> tuple[bool, str, int]:
    """Return what sorts keys such as ``dense``, ``dense_1`` and ``dense_10`` by their numbers, dense layers last."""
    name, _, number = key.rpartition("_")
    name, count = (name, int(number)) if name and number.isdecimal() else (key, 0)
    return name == "dense", name, count


def _old_weights(file: Any) -> Weights:
    """Return the arrays of a legacy file: by the names that each layer lists."""
    root = hdf5.item(file, "model_weights") if "model_weights" in file else file
    found: Weights = {}
    for name in hdf5.texts(root.attrs["layer_names"]):
        group = hdf5.item(root, name)
        found[name] = [hdf5.array(hdf5.item(group, key)) for key in hdf5.texts(group.attrs["weight_names"])]
    return found
