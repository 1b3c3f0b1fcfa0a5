"""Convolution algorithms other than the register tile, and the choice between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import opcodes
from audioconv.runtime.copies import in_strides, out_strides
from audioconv.runtime.few_channels import FewChannels
from audioconv.runtime.program import Border, Buffer, Fixed, Operand, Section
from audioconv.runtime.winograd import Winograd1d, Winograd2d

if TYPE_CHECKING:
    from audioconv.runtime.convolution import Convolution


class Algorithm(Protocol):
    """An algorithm for a convolution and its gradients.

    Attributes
    ----------
    fuses_pool : bool
        Whether a max-pool of 2 x 2 can be fused into it.
    has_input_gradient : bool
        Whether it computes the gradient by the input, too.
    partial_size : int
        Elements of a task's partial sums of the gradient by the weights.
    """

    fuses_pool: bool
    has_input_gradient: bool
    partial_size: int

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return the border that the algorithm needs if a convolution with these outputs needs `border`."""

    def forward(
        self, section: Section, x: Buffer, weight: Fixed, bias: Fixed, z: Buffer, slope: float, pooled: bool
    ) -> None:
        """Emit ``z = x * weight + bias`` with an activation; if `pooled`, z gets the maximum of each 2 x 2."""

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Emit the addition of this example's gradient by the weights to the task's `partial`."""

    def input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, accumulate: int) -> None:
        """Emit the gradient by the input, which overwrites dx or, by `accumulate`, is added to it."""

    def kernels(self, weight: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return trained kernels as the algorithm multiplies them, or None if it takes them as they are."""


class DepthwiseRows:
    """A depthwise convolution of 3 x 3 that computes line by line.

    Parameters
    ----------
    conv : Convolution
        One that it `fits`.
    """

    fuses_pool, has_input_gradient = False, True

    def __init__(self, conv: Convolution) -> None:
        self._conv = conv
        self.partial_size = 9 * conv.filters

    @staticmethod
    def fits(conv: Convolution) -> bool:
        """Tell whether `conv` is depthwise, of 3 x 3, with stride and dilation 1."""
        return conv.depthwise and conv.is_plain_3x3

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return `border`."""
        return border

    def forward(
        self, section: Section, x: Buffer, weight: Fixed, bias: Fixed, z: Buffer, slope: float, pooled: bool
    ) -> None:
        """Emit ``z = x * weight + bias`` with an activation."""
        assert not pooled
        self._emit(section, self._conv.corner(x), x, weight, bias, z, False, opcodes.NEVER, slope)

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Emit the addition of this example's gradient by the weights to the task's `partial`."""
        height, width, channels = dz.shape
        section.emit(
            opcodes.DEPTHWISE_GRADIENT, x=self._conv.corner(x), dy=dz.at(), sums=partial.at(), channels=channels,
            out_height=height, out_width=width, **in_strides(x), **out_strides(dz),
        )  # fmt: skip

    def input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, accumulate: int) -> None:
        """Emit the gradient by the input, which overwrites dx or, by `accumulate`, is added to it."""
        bias = section.constants.zeros(dx.shape[2])
        self._emit(section, self._conv.gradient_corner(dz), dz, weight, bias, dx, True, accumulate, 1.0)

    def _emit(
        self, section: Section, corner: Operand, x: Buffer, weight: Fixed, bias: Fixed, y: Buffer, flipped: bool,
        accumulate: int, slope: float,
    ) -> None:  # fmt: skip
        height, width, channels = y.shape
        section.emit(
            opcodes.DEPTHWISE, x=corner, weight=weight.at(), bias=bias.at(), y=y.at(), channels=channels,
            out_height=height, out_width=width, **in_strides(x), **out_strides(y), flipped=flipped,
            accumulate=accumulate, slope=slope,
        )  # fmt: skip

    def kernels(self, weight: NDArray[np.float32]) -> None:
        """Return None: the kernels are taken as they are."""


def algorithm_for(conv: Convolution) -> Algorithm | None:
    """Return the algorithm for a convolution, or None for the register tile."""
    for algorithm in (FewChannels, Winograd2d, Winograd1d, DepthwiseRows):
        if algorithm.fits(conv):
            return algorithm(conv)
    return None
