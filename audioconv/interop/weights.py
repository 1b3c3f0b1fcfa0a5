"""Arrays of a file onto a network: by their names, or by their shapes in order where names differ."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioconv import architectures
from audioconv import layers as L
from audioconv._types import Array, StrPath
from audioconv.errors import ConfigError, ModelFileError
from audioconv.interop.caffe import caffe_weights
from audioconv.interop.imported import Imported
from audioconv.interop.keras import keras_weights
from audioconv.interop.pytorch import pytorch_tensors
from audioconv.interop.safetensors_file import safetensors_tensors
from audioconv.io.files import display_path
from audioconv.layers.base import Layer, Shape, unflatten

_PREFIXES = ("module.", "model.", "network.", "net.", "_orig_mod.")
"""Prefixes that programs add to all names of a network."""


@dataclass(frozen=True, eq=False)
class Module:
    """The arrays of one layer in a file, by the names that our layers give theirs.

    Attributes
    ----------
    name : str
    arrays : dict of str to array
        Kernels as ``(*kernel, channels, filters)``, matrices as ``(features, units)``.
    channels_first : bool
        Whether features in front of a matrix were flattened as (C, H, W).
    """

    name: str
    arrays: dict[str, Array]
    channels_first: bool


def read_weights(
    path: StrPath, onto: str | Layer, in_shape: Sequence[int], *, classes: int | None = None, ignore: Sequence[str] = ()
) -> Imported:
    """Return a network with the arrays of a file as its parameters.

    Parameters
    ----------
    path : path-like
        ``.pt``, ``.pth`` or ``.safetensors`` with PyTorch's order of axes, ``.keras``, ``.h5`` or ``.caffemodel``.
    onto : str or Layer
        Name of an architecture, or a network.
    in_shape : sequence of int
        Shape of one example, channels last.
    classes : int, optional
        Number of classes of an architecture. Default: the number of units of its last layer in the file, by the name
        if the file has it, else the last in the file's order.
    ignore : sequence of str
        Layers of the file that are left out: those whose names begin so, such as an auxiliary head.

    Raises
    ------
    DataError, ModelFileError
        If the file cannot be read.
    ConfigError
        If the arrays do not fit the network, each used once: names the layer and the arrays that are left.
    """
    shown = display_path(path)
    modules = [module for module in _modules(path) if not module.name.startswith(tuple(ignore))]
    if not modules:
        raise ModelFileError(f"{shown}: holds no arrays of layers")
    shape = tuple(in_shape)
    if isinstance(onto, str):
        onto = architectures.build(onto, classes or _classes(modules, onto, shape))
    onto.out_shape(shape)
    try:
        flat, names = _matched(list(_leaves(onto, "", shape, None)), modules)
    except ConfigError as error:
        raise ConfigError(f"{shown}: {error}") from None
    return Imported(onto, unflatten(flat), shape, names)


def _classes(modules: list[Module], name: str, shape: Shape) -> int:
    """Return the number of units of an architecture's last layer in a file."""
    *_, leaf = _leaves(architectures.build(name, 2), "", shape, None)
    last = next((module for module in modules if module.name == leaf.path), modules[-1])
    return int(next(iter(last.arrays.values())).shape[-1])


def arrays_of(path: StrPath) -> dict[str, Array]:
    """Return the arrays in a file of weights by name, as they are there; for ``audioconv info``."""
    ending = Path(path).suffix.lower()
    if ending in (".pt", ".pth"):
        return pytorch_tensors(path)
    if ending == ".safetensors":
        return safetensors_tensors(path)
    if ending == ".caffemodel":
        return {
            f"{name}.{n}": array for name, (_, found) in caffe_weights(path).items() for n, array in enumerate(found)
        }
    layers = {name: found for name, found in keras_weights(path).items() if not name.startswith("/")}
    return {f"{name}/{n}": array for name, found in layers.items() for n, array in enumerate(found)}


# --- layers of files -----------------------------------------------------------------------------------------------


def _modules(path: StrPath) -> list[Module]:
    ending = Path(path).suffix.lower()
    if ending in (".pt", ".pth"):
        return _of_pytorch(pytorch_tensors(path))
    if ending == ".safetensors":
        tensors = safetensors_tensors(path)  # their order in the file is the alphabet's: layers.10 before layers.2
        return _of_pytorch({name: tensors[name] for name in sorted(tensors, key=_by_numbers)})
    if ending in (".keras", ".h5", ".hdf5"):
        return _of_keras(keras_weights(path))
    if ending == ".caffemodel":
        return _of_caffe(caffe_weights(path))
    raise ConfigError(f"{display_path(path)}: weights are read from .pt, .pth, .safetensors, .keras, .h5, .caffemodel")


def _by_numbers(name: str) -> list[tuple[bool, int, str]]:
    """Return what sorts names by the numbers in them."""
    parts = re.findall(r"([0-9]{1,9})|([^0-9]+|[0-9])", name)
    return [(not number, int(number or 0), text) for number, text in parts]


def _of_pytorch(tensors: dict[str, Array]) -> list[Module]:
    grouped: dict[str, dict[str, Array]] = {}
    for path, array in tensors.items():
        if array.dtype.kind == "f":
            name, _, kind = path.rpartition(".")
            moved = array.transpose(*range(2, array.ndim), 1, 0) if array.ndim > 1 else array
            grouped.setdefault(name, {})[kind] = moved
    prefix = next((p for p in _PREFIXES if grouped and all(f"{name}.".startswith(p) for name in grouped)), "")
    order = ("weight", "bias", "running_mean", "running_var")
    return [
        Module(f"{name}."[len(prefix) :].removesuffix("."), _sorted(arrays, order), channels_first=True)
        for name, arrays in grouped.items()
    ]


def _sorted(arrays: dict[str, Array], order: Sequence[str]) -> dict[str, Array]:
    return dict(sorted(arrays.items(), key=lambda entry: order.index(entry[0]) if entry[0] in order else len(order)))


def _of_keras(weights: dict[str, list[Array]]) -> list[Module]:
    modules = []
    names = [name for name in weights if not name.startswith("/")] or list(weights)
    for name in names:
        arrays = weights[name]
        if len(arrays) == 4 and all(array.ndim == 1 for array in arrays):
            kinds = ("weight", "bias", "running_mean", "running_var")
            modules.append(Module(name, dict(zip(kinds, arrays, strict=True)), channels_first=False))
        elif (
            len(arrays) > 1 and arrays[0].ndim > 2 and arrays[1].ndim == arrays[0].ndim
        ):  # separable: two layers of ours
            modules.append(Module(f"{name}, depthwise", {"weight": arrays[0]}, channels_first=False))
            rest = dict(zip(("weight", "bias"), arrays[1:], strict=False))
            modules.append(Module(f"{name}, pointwise", rest, channels_first=False))
        elif arrays:
            modules.append(Module(name, dict(zip(("weight", "bias"), arrays, strict=False)), channels_first=False))
    return modules


def _of_caffe(weights: dict[str, tuple[str, list[Array]]]) -> list[Module]:
    modules: list[Module] = []
    for name, (kind, blobs) in weights.items():
        if kind == "BatchNorm" and len(blobs) == 3:
            factor = np.float32(0 if blobs[2].reshape(-1)[0] == 0 else 1 / blobs[2].reshape(-1)[0])
            mean, variance = (blob.reshape(-1) * factor for blob in blobs[:2])
            arrays = {"weight": np.ones_like(mean), "bias": np.zeros_like(mean)}
            modules.append(Module(name, {**arrays, "running_mean": mean, "running_var": variance}, channels_first=True))
        elif kind == "Scale" and modules and "running_mean" in modules[-1].arrays and len(blobs) == 2:
            modules[-1].arrays.update(weight=blobs[0].reshape(-1), bias=blobs[1].reshape(-1))
        else:
            weight = blobs[0].reshape(blobs[0].shape[-2:]) if kind == "InnerProduct" else blobs[0]
            weight = weight.transpose(*range(2, weight.ndim), 1, 0) if weight.ndim > 1 else weight
            arrays = {"weight": weight}
            if len(blobs) > 1:
                arrays["bias"] = blobs[1].reshape(-1)
            modules.append(Module(name, arrays, channels_first=True))
    return modules


# --- layers of a network -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Leaf:
    """A layer with parameters: its path, their shapes, and the shape that was flattened before it."""

    path: str
    layer: Layer
    expected: dict[str, Shape]
    flattened: Shape | None

    def taken(self, module: Module) -> dict[str, Array] | None:
        """Return the arrays of `module` in this layer's shapes, or None if they do not fit."""
        if module.arrays.keys() != self.expected.keys():
            return None
        found = {}
        for name, wanted in self.expected.items():
            array = module.arrays[name]
            if module.channels_first and self.flattened and name == "weight" and array.ndim == 2:
                *spatial, channels = self.flattened
                if len(array) != math.prod(self.flattened):
                    return None
                axes = array.reshape(channels, *spatial, -1)
                array = axes.transpose(*range(1, axes.ndim - 1), 0, axes.ndim - 1).reshape(array.shape)
            fitted = _fitted(array, wanted)
            if fitted is None:
                return None
            found[name] = fitted
        return found


def _fitted(array: Array, shape: Shape) -> Array | None:
    """Return `array` in `shape`, which may have other axes of size 1, or one channel a group."""
    if array.shape != shape:
        squeezed, wanted = (tuple(size for size in sizes if size != 1) for sizes in (array.shape, shape))
        is_depthwise = array.ndim == len(shape) > 2 and array.shape[:-2] == shape[:-2] and shape[-2] == 1
        is_depthwise = is_depthwise and array.shape[-2] * array.shape[-1] == shape[-1]
        if squeezed != wanted and not is_depthwise:
            return None
        array = array.reshape(shape)
    return np.array(array, np.float32, order="C")


def _leaves(layer: Layer, path: str, shape: Shape, flattened: Shape | None) -> Iterator[_Leaf]:
    """Yield the layers with parameters, in order."""
    parts = list(layer.parts(shape))
    if not parts:
        expected = layer.param_shapes(shape)
        if expected:
            yield _Leaf(path, layer, expected, flattened if isinstance(layer, L.Dense) else None)
        return
    for name, part, part_shape in parts:
        yield from _leaves(part, f"{path}.{name}" if path else name, part_shape, flattened)
        if isinstance(layer, L.Chain):
            if isinstance(part, L.Flatten) and len(part_shape) > 1:
                flattened = part_shape
            elif part.out_shape(part_shape) != part_shape or list(part.parts(part_shape)):
                flattened = None


def _matched(leaves: list[_Leaf], modules: list[Module]) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the parameters by path, and which layer of the file each came from."""
    by_name = {module.name: module for module in modules}
    if all(leaf.path in by_name for leaf in leaves):
        pairs = [(leaf, [by_name[leaf.path]]) for leaf in leaves]
    else:
        pairs = [(leaf, modules) for leaf in leaves]
    flat: dict[str, Array] = {}
    names: dict[str, str] = {}
    used: set[str] = set()
    for leaf, candidates in pairs:
        for module in candidates:
            arrays = None if module.name in used else leaf.taken(module)
            if arrays is not None:
                break
        else:
            wanted = ", ".join(f"{name} {shape}" for name, shape in leaf.expected.items())
            left = [module for module in candidates if module.name not in used][:3]
            found = "; ".join(f"{m.name or 'without a name'}: {_shapes(m)}" for m in left)
            raise ConfigError(f"nothing fits {leaf.path} {leaf.layer.label()} ({wanted}); left are {found or 'none'}")
        used.add(module.name)
        names[leaf.path] = module.name
        flat.update({f"{leaf.path}.{name}": array for name, array in arrays.items()})
    unused = [module.name for module in modules if module.name not in used]
    if unused:
        shown = ", ".join(unused[:5]) + (", ..." if len(unused) > 5 else "")
        raise ConfigError(
            f"{len(unused)} layers of the file are not in the network: {shown}; leave them out by ignore="
        )
    for path, array in flat.items():
        if not np.isfinite(array).all():
            raise ConfigError(f"the array for {path} holds NaN or infinity")
    return flat, names


def _shapes(module: Module) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in module.arrays.items())
