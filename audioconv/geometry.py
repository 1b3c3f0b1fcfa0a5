"""Sizes of convolution and pooling windows; integers only.

Everywhere, a window of ``kernel`` taps that are ``dilation`` apart spans ``extent = dilation * (kernel - 1) + 1``
inputs, and an axis of ``size`` inputs with ``before`` and ``after`` zeros added gives
``1 + floor((size + before + after - extent) / stride)`` outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

from audioconv.errors import ShapeError

Padding = int | Sequence[int] | Sequence[tuple[int, int]] | Literal["same", "valid"]
"""Zeros around the input: one number, one per axis, a (before, after) pair per axis, ``"same"`` or ``"valid"``."""


@dataclass(frozen=True)
class Window:
    """A sliding window over one or two spatial axes; every field has one entry an axis.

    Attributes
    ----------
    kernel, stride, dilation : tuple of int
        Taps, step between outputs, and distance between taps.
    padding : tuple of (int, int)
        Zeros before and after the input.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    @property
    def extent(self) -> tuple[int, ...]:
        """Number of inputs that the dilated kernel spans, per axis."""
        return tuple(extent(k, d) for k, d in zip(self.kernel, self.dilation, strict=True))

    def out_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return the number of outputs per axis for an input of `size`; `ShapeError` if there would be none."""
        if len(size) != len(self.kernel):
            raise ShapeError(
                f"needs {len(self.kernel)} spatial axes, got {len(size)} (size {tuple(size)}); "
                "a 1-D layer takes (time, channels), a 2-D layer (height, width, channels)"
            )
        return tuple(
            output_size(n, k, padding=p, stride=s, dilation=d)
            for n, k, p, s, d in zip(size, self.kernel, self.padding, self.stride, self.dilation, strict=True)
        )

    def lifted(self) -> Window:
        """Return the window over two axes that does the same: a 1-D window becomes 2-D with height 1."""
        if len(self.kernel) == 2:
            return self
        return Window((1, *self.kernel), (1, *self.stride), (1, *self.dilation), ((0, 0), *self.padding))


POINT = Window((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
"""The window of one pixel."""


def extent(kernel: int, dilation: int = 1) -> int:
    """Return the number of inputs that a kernel of `kernel` taps spans."""
    return dilation * (kernel - 1) + 1


def output_size(
    size: int, kernel: int, *, padding: int | tuple[int, int] = 0, stride: int = 1, dilation: int = 1
) -> int:
    """Return the number of outputs along one axis: ``D = 1 + floor((W - K + 2P) / S)``.

    Parameters
    ----------
    size : int
        Inputs, W.
    kernel : int
        Taps; K is their dilated extent.
    padding : int or (int, int)
        Zeros on each side, P, or before and after.
    stride, dilation : int
        Step between outputs, S, and distance between taps.

    Raises
    ------
    ShapeError
        If the padded input is smaller than the kernel.

    Examples
    --------
    >>> output_size(256, 3, padding=1, stride=3)
    86
    """
    before, after = (padding, padding) if isinstance(padding, int) else padding
    room = size + before + after - extent(kernel, dilation)
    if room < 0:
        raise ShapeError(
            f"a kernel that spans {extent(kernel, dilation)} does not fit an input of {size} "
            f"with padding {before} + {after}; use a smaller kernel, more padding or a longer input"
        )
    return 1 + room // stride


def per_axis(value: int | Sequence[int], axes: int, name: str, minimum: int = 1) -> tuple[int, ...]:
    """Return `value` as a tuple of `axes` integers, each at least `minimum`."""
    values: tuple[Any, ...] = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(values) != axes or not all(isinstance(v, Integral) and int(v) >= minimum for v in values):
        raise ShapeError(
            f"{name} must be an integer >= {minimum} or {axes} of them, one per spatial axis; got {value!r}"
        )
    return tuple(int(v) for v in values)


def window(
    kernel: int | Sequence[int],
    *,
    axes: int,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
) -> Window:
    """Return the checked `Window` for `axes` spatial axes.

    ``"same"`` adds ``extent - 1`` zeros, the odd one behind, so that with stride 1 the output has the input's size;
    with stride s it has ``ceil(size / s)``. ``"valid"`` adds none.
    """
    kernel = per_axis(kernel, axes, "kernel")
    stride = per_axis(stride, axes, "stride")
    dilation = per_axis(dilation, axes, "dilation")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ShapeError(f'padding must be "same", "valid" or numbers; got {padding!r}')
        zeros = [extent(k, d) - 1 if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        pairs = tuple((z // 2, z - z // 2) for z in zeros)
    else:
        sides: tuple[Any, ...] = tuple(padding) if isinstance(padding, Sequence) else (padding,) * axes
        if len(sides) != axes:
            raise ShapeError(f"padding must be one number or {axes}, one per spatial axis; got {padding!r}")
        pairs = tuple((b, a) for b, a in (per_axis(side, 2, "padding", 0) for side in sides))
    return Window(kernel, stride, dilation, pairs)
