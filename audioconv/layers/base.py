"""The layer contract: what every layer is and does, and what one pass through a network carries.

A layer is frozen configuration. It holds no arrays and no mode, so one network serves many threads, and the same
parameters may be read-only. Everything that changes is passed in and returned.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from audioconv._types import Array
from audioconv.errors import ConfigError, ShapeError

Shape = tuple[int, ...]
Params = dict[str, Any]
"""Arrays by name; combinators nest the dictionaries of their parts under the parts' names."""

ParamShapes = dict[str, Any]
"""Shapes by name, nested like `Params`."""

MAX_UNDRAWN = 2**27
"""Largest number of values that `Layer.param_shapes` lets an `init` make: a damaged file may have any size."""


@dataclass
class Pass:
    """Settings of one pass through a network.

    Attributes
    ----------
    training : bool
        True to drop out, to use batch statistics, and to save what `Layer.backward` needs.
    rng : numpy.random.Generator, optional
        Source of randomness; needed by dropout while training.
    """

    training: bool = False
    rng: np.random.Generator | None = None

    def draw_seed(self) -> np.uint64:
        """Return a fresh seed for a layer that is random in training."""
        if self.rng is None:
            raise ConfigError("a pass with training=True through dropout needs a random generator: Pass(True, rng)")
        return np.uint64(self.rng.integers(2**63))


@dataclass(frozen=True)
class Layer:
    """One step of a network: shape inference, initial parameters, forward and backward pass.

    The dataclass fields of a layer are its whole configuration. Shapes exclude the batch axis; channels are last:
    ``(time, channels)``, ``(height, width, channels)`` or ``(features,)``.
    """

    kinds: ClassVar[dict[str, type[Layer]]] = {}
    """Every layer class by its name, for `from_config`."""

    def __init_subclass__(cls) -> None:
        if not cls.__name__.startswith("_"):
            Layer.kinds[cls.__name__] = cls

    def __post_init__(self) -> None:
        """Turn lists among the fields into tuples, so that the layer is hashable and equal to its reloaded self.

        NumPy's numbers, from code such as ``Dense(labels.max() + 1)``, become Python's, as JSON cannot hold them.
        """

        def frozen(value: Any) -> Any:
            if isinstance(value, np.generic):
                return value.item()
            return tuple(frozen(v) for v in value) if isinstance(value, list | tuple) else value

        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, frozen(getattr(self, field.name)))

    def out_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of this layer's output for an input of `in_shape`.

        Raises
        ------
        ShapeError
            If the layer cannot take such an input; names the layer's path.
        """
        try:
            return self.infer_shape(tuple(in_shape))
        except ShapeError as error:
            raise error.of(self.label()) from None

    def infer_shape(self, in_shape: Shape) -> Shape:
        """Return the output's shape; raise `ShapeError` without place. Implemented by each layer."""
        raise NotImplementedError

    def init(self, in_shape: Shape, rng: np.random.Generator) -> Params:
        """Return new parameters for an input of `in_shape`; raises `ShapeError` like `out_shape`."""
        self.out_shape(in_shape)
        return {}

    def param_shapes(self, in_shape: Shape) -> ParamShapes:
        """Return the shape of each parameter that `init` returns, under the same names and in the same order.

        The layers of this package compute the shapes. The default, for a layer that only has `init`, calls `init` with
        a generator that draws zeros, at most `MAX_UNDRAWN` of them.

        Raises
        ------
        ShapeError
            Like `out_shape`.
        ConfigError
            If the default would make more than `MAX_UNDRAWN` numbers.
        """
        if type(self).init is Layer.init:
            self.out_shape(in_shape)
            return {}
        return _shapes(self.init(in_shape, _Undrawn()))

    def forward(self, params: Params, x: Array, run: Pass) -> tuple[Array, Any]:
        """Return the output for the batch `x` and what `backward` needs (None unless ``run.training``)."""
        raise NotImplementedError

    def backward(self, params: Params, saved: Any, dy: Array, run: Pass) -> tuple[Array, Params]:
        """Return the gradient of the loss by the input and by the trainable parameters, given that by the output."""
        raise NotImplementedError

    def gradients(self, params: Params, saved: Any, dy: Array, run: Pass) -> Params:
        """Return the second part of `backward`, which suffices for a network's first layer, whose input is data."""
        return self.backward(params, saved, dy, run)[1]

    def updates(self, params: Params, saved: Any) -> Params:
        """Return new values of the parameters that are tracked rather than trained (running statistics)."""
        return {}

    def multiply_adds(self, in_shape: Shape) -> int:
        """Return the multiplications that a forward pass of one example takes, without activations and norms."""
        return 0

    def parts(self, in_shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        """Yield name, layer and input shape of each layer that this one is made of."""
        yield from ()

    def label(self) -> str:
        """Return a short name with the settings that matter, such as ``Conv(16, (3, 3), padding='same')``."""
        shown = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING:
                shown.append(repr(value))
            elif value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


class _Undrawn(np.random.Generator):
    """A generator for the shapes alone: it draws nothing and returns zeros."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))
        self._left = MAX_UNDRAWN

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        self._left -= math.prod(np.atleast_1d(1 if size is None else size).tolist())
        if self._left < 0:
            raise ConfigError(f"the network has more than {MAX_UNDRAWN:,} parameters: too many to try its init")
        return np.zeros(() if size is None else size, dtype)[()]

    random = standard_normal

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return self.standard_normal(size)

    uniform = normal  # type: ignore[assignment]


def _shapes(params: Params) -> ParamShapes:
    return {name: _shapes(value) if isinstance(value, dict) else value.shape for name, value in params.items()}


def spatial_axes(in_shape: Shape, kernel: int | Sequence[int] | None = None) -> int:
    """Return how many spatial axes `in_shape` has: one or two, and as many as `kernel`, where it is a tuple."""
    axes = len(in_shape) - 1
    wanted = (len(kernel),) if isinstance(kernel, Sequence) else (1, 2)
    if axes not in wanted or axes not in (1, 2):
        hint = "add a channel axis" if axes == max(wanted) - 1 else "shapes are (*spatial, channels)"
        needs = " or ".join(map(str, wanted))
        raise ShapeError(f"needs {needs} spatial axes, got input of shape {tuple(in_shape)}; {hint}")
    return axes


def check_axes(axes: Sequence[int], layer: str) -> None:
    """Raise `ConfigError` unless `axes` are different axes counted from the end, -1 for the channels."""
    if not axes or len(set(axes)) < len(axes) or not all(isinstance(axis, int) and axis < 0 for axis in axes):
        raise ConfigError(f"{layer}: axes are counted from the end, -1 for the channels, each once; got {tuple(axes)}")


def needs_axes(in_shape: Shape, axes: int) -> None:
    """Raise `ShapeError` if `in_shape` has fewer than so many axes."""
    if len(in_shape) < axes:
        raise ShapeError(f"needs at least {axes} axes, got input of shape {tuple(in_shape)}; add a channel axis")


def needs_channels(in_shape: Shape) -> None:
    """Raise `ShapeError` if `in_shape` has no axis."""
    if not in_shape:
        raise ShapeError("needs an axis of channels, got input of shape ()")


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Put the part's `name` before the path of a `ShapeError` that passes."""
    try:
        yield
    except ShapeError as error:
        raise error.inside(name) from None


def to_config(layer: Layer) -> dict[str, Any]:
    """Return the configuration of `layer` as JSON-compatible data; `from_config` is its inverse."""

    def plain(value: Any) -> Any:
        if isinstance(value, Layer):
            return to_config(value)
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        return value

    config = {field.name: plain(getattr(layer, field.name)) for field in dataclasses.fields(layer)}
    return {"layer": type(layer).__name__, **config}


def from_config(config: Any) -> Layer:
    """Return the layer that `to_config` described; `ConfigError` if it does not describe one."""

    def live(value: Any) -> Any:
        if isinstance(value, dict):
            return from_config(value)
        if isinstance(value, list):
            return tuple(live(v) for v in value)
        return value

    name = config.get("layer") if isinstance(config, dict) else config
    if not isinstance(config, dict) or not isinstance(name, str) or name not in Layer.kinds:
        raise ConfigError(f"unknown layer {name!r}; known are {', '.join(sorted(Layer.kinds))}")
    kind = Layer.kinds[name]
    try:
        return kind(**{name: live(value) for name, value in config.items() if name != "layer"})
    except TypeError as error:
        raise ConfigError(f"configuration of {kind.__name__} does not fit: {error}") from None


def flatten(params: Params, prefix: str = "") -> dict[str, Array]:
    """Return nested parameters as one dictionary with dotted paths, such as ``2.body.0.weight``."""
    flat: dict[str, Array] = {}
    for name, value in params.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def unflatten(flat: dict[str, Array]) -> Params:
    """Return the nested parameters of `flat`; the inverse of `flatten`."""
    params: Params = {}
    for path, value in flat.items():
        *parents, name = path.split(".")
        place = params
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return params
