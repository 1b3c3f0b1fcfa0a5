"""Forms that some convolutions of compiled networks take: kernels of their own instead of the tile's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from audioconv.kernels import interpreter as opcodes
from audioconv.runtime.copies import strides
from audioconv.runtime.few_channels import Narrow
from audioconv.runtime.program import Border, Buffer, Fixed, Place, Section
from audioconv.runtime.winograd import Lines, Planes

if TYPE_CHECKING:
    from audioconv.runtime.convolution import Convolution


class Form(Protocol):
    """A way to compute a convolution and its gradients.

    Attributes
    ----------
    pools : bool
        Whether a max-pool of 2 x 2 can be merged into it.
    turns : bool
        Whether the gradient by the input is computed so, too.
    partial_size : int
        Numbers of a task's partial sums of the gradient by the weights.
    """

    pools: bool
    turns: bool
    partial_size: int

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return the border that an image needs if a convolution with these outputs needs `border`."""

    def forward(
        self, section: Section, x: Buffer, weight: Fixed, start: Fixed, z: Buffer, slope: float, pooled: bool
    ) -> None:
        """Write ``z = x * weight + start``, activated; where `pooled`, z gets the largest of each 2 x 2."""

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Write how this example's gradient by the weights is added to the task's `partial`."""

    def input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, onward: int) -> None:
        """Write the gradient by the input, or add it to what is in dx."""

    def kernels(self, weight: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return trained kernels as they are multiplied, if that is not as they are."""


class Along:
    """A depthwise convolution of 3 x 3 that goes along its lines.

    Parameters
    ----------
    conv : Convolution
        For which it `fits`.
    """

    pools, turns = False, True

    def __init__(self, conv: Convolution) -> None:
        self._conv = conv
        self.partial_size = 9 * conv.filters

    @staticmethod
    def fits(conv: Convolution) -> bool:
        """Tell whether it is depthwise, of 3 x 3, and goes by single pixels."""
        window = conv.window
        return conv.depthwise and window.kernel == (3, 3) and window.stride == window.dilation == (1, 1)

    def border(self, border: Border, outputs: tuple[int, ...]) -> Border:
        """Return `border`."""
        return border

    def forward(
        self, section: Section, x: Buffer, weight: Fixed, start: Fixed, z: Buffer, slope: float, pooled: bool
    ) -> None:
        """Write ``z = x * weight + start``, activated."""
        assert not pooled
        self._go(section, self._conv.corner(x), x, weight, start, z, False, opcodes.NEVER, slope)

    def weight_gradient(self, section: Section, x: Buffer, dz: Buffer, partial: Fixed) -> None:
        """Write how this example's gradient by the weights is added to the task's `partial`."""
        integers = [dz.shape[2], *strides(x), *dz.shape[:2], *strides(dz)]
        section.emit(opcodes.DEPTHWISE_GRADIENT, [self._conv.corner(x), dz.at(), partial.at()], integers)

    def input_gradient(self, section: Section, dz: Buffer, weight: Fixed, dx: Buffer, onward: int) -> None:
        """Write the gradient by the input, or add it to what is in dx."""
        start = section.constants.zeros(dx.shape[2])
        self._go(section, self._conv.gradient_corner(dz), dz, weight, start, dx, True, onward, 1.0)

    def _go(
        self, section: Section, corner: Place, x: Buffer, weight: Fixed, start: Fixed, y: Buffer, turned: bool,
        onward: int, slope: float,
    ) -> None:  # fmt: skip
        height, width, channels = y.shape
        integers = [channels, *strides(x), height, width, *strides(y), int(turned), onward]
        section.emit(opcodes.DEPTHWISE, [corner, weight.at(), start.at(), y.at()], integers, [slope])

    def kernels(self, weight: NDArray[np.float32]) -> None:
        """Return None: they are taken as they are."""


def form_of(conv: Convolution) -> Form | None:
    """Return the form that suits a convolution, if one does."""
    for form in (Narrow, Planes, Lines, Along):
        if form.fits(conv):
            return form(conv)
    return None
