"""The weights of a network as one vector: parameters, gradients and optimizer states are views of it."""

from __future__ import annotations

from collections.abc import Mapping

from audioconv._types import Array
from audioconv.errors import ShapeError
from audioconv.runtime.program import roomy, rounded

State = dict[str, Array]


class WeightVector:
    """Trainable arrays side by side in one float32 vector, and the vector of their gradients.

    Arrays with weight decay (those with more than one axis: kernels and matrices, but neither biases nor the scales
    of a normalisation) come first. The gaps that align the arrays hold zeros, which no optimiser changes.

    Parameters
    ----------
    arrays : mapping of str to array
        Initial values by path; they are copied.

    Attributes
    ----------
    values, gradient : (size,) float32 array
        All weights, and the gradient that `gather` put together.
    views : dict of str to array
        The weights by path, with their shapes; they share the memory of `values`.
    places : dict of str to int
        By path: where each array begins in `values`.
    decayed : int
        How many of the first values have weight decay.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        paths = sorted(arrays, key=lambda path: arrays[path].ndim <= 1)  # stable: keeps the network's order
        places: dict[str, slice] = {}
        size = self.decayed = 0
        for path in paths:
            places[path] = slice(size, size + arrays[path].size)
            size += rounded(arrays[path].size)
            if arrays[path].ndim > 1:
                self.decayed = size
        self._places = places
        self.places = {path: place.start for path, place in places.items()}
        self.values = _zeros(size)
        self.gradient = _zeros(size)
        self.views = {path: self.values[self._places[path]].reshape(array.shape) for path, array in arrays.items()}
        for path, array in arrays.items():
            self.views[path][...] = array

    def gather(self, gradients: Mapping[str, Array]) -> None:
        """Copy the gradients, by path, into `gradient`.

        Raises
        ------
        ShapeError
            If they are not one for each array, each of its array's shape.
        """
        if gradients.keys() != self.views.keys():
            raise ShapeError(f"gradients {sorted(gradients)} do not fit the trainable arrays {sorted(self.views)}")
        for path, gradient in gradients.items():
            if gradient.shape != self.views[path].shape:
                raise ShapeError(
                    f"gradient has shape {gradient.shape}, but the parameter {self.views[path].shape}", path=path
                )
            self.gradient[self._places[path]] = gradient.reshape(-1)


def _zeros(size: int) -> Array:
    """Return zeros that kernels can read in whole vectors."""
    zeros = roomy(size)
    zeros.fill(0)
    return zeros
