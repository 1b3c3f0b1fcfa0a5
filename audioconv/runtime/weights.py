"""The weights of a network as one vector: parameters, gradients and optimizer states are views of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from audioconv._types import Array
from audioconv.errors import ShapeError
from audioconv.runtime.program import aligned_with_slack, round_up_to_cache_lines

T = TypeVar("T")

State = dict[str, Array]


class WeightVector:
    """Trainable arrays side by side in one float32 vector, and the vector of their gradients.

    The arrays with weight decay come first: those with more than one axis, that is kernels and matrices, but neither
    biases nor the scales of a normalisation. The gaps that align the arrays hold zeros, which no optimiser changes.

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
    offsets : dict of str to int
        By path: the index in `values` at which each array begins.
    decayed : int
        The number of values, from the first on, that have weight decay.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        paths = sorted(arrays, key=lambda path: arrays[path].ndim <= 1)  # stable: keeps the network's order
        slices: dict[str, slice] = {}
        size = self.decayed = 0
        for path in paths:
            slices[path] = slice(size, size + arrays[path].size)
            size += round_up_to_cache_lines(arrays[path].size)
            if arrays[path].ndim > 1:
                self.decayed = size
        self._slices = slices
        self.offsets = {path: part.start for path, part in slices.items()}
        self.values = _zeros(size)
        self.gradient = _zeros(size)
        self.views = {path: self.values[self._slices[path]].reshape(array.shape) for path, array in arrays.items()}
        for path, array in arrays.items():
            self.views[path][...] = array

    def parts(self, key: Callable[[str], T]) -> list[tuple[slice, int, T]]:
        """Return stretches of the vector whose arrays have the same `key`.

        Parameters
        ----------
        key : callable
            Takes the path of an array.

        Returns
        -------
        list of (slice, int, key)
            Where a stretch lies in `values`, how many of its values, from its first on, have weight decay, and its key.
        """
        ordered = sorted(self.offsets, key=self.offsets.__getitem__)
        begins = [place for place, path in enumerate(ordered) if not place or key(path) != key(ordered[place - 1])]
        ends = [self.offsets[ordered[place]] for place in begins[1:]] + [self.values.size] * bool(begins)
        found = []
        for place, end in zip(begins, ends, strict=True):
            begin = self.offsets[ordered[place]]
            found.append((slice(begin, end), min(max(0, self.decayed - begin), end - begin), key(ordered[place])))
        return found

    def gather(self, gradients: Mapping[str, Array]) -> None:
        """Copy the gradients, by path, into `gradient`.

        Raises
        ------
        ShapeError
            If there is not exactly one for each array, of its shape.
        """
        if gradients.keys() != self.views.keys():
            raise ShapeError(f"gradients {sorted(gradients)} do not fit the trainable arrays {sorted(self.views)}")
        for path, gradient in gradients.items():
            if gradient.shape != self.views[path].shape:
                raise ShapeError(
                    f"gradient has shape {gradient.shape}, but the parameter {self.views[path].shape}", path=path
                )
            self.gradient[self._slices[path]] = gradient.reshape(-1)

    def clear_gradients(self, paths: Collection[str]) -> None:
        """Set the gradients of the arrays at these paths to 0."""
        for path in paths:
            self.gradient[self._slices[path]] = 0


def _zeros(size: int) -> Array:
    """Return zeros that kernels can read in full SIMD vectors."""
    zeros = aligned_with_slack(size)
    zeros.fill(0)
    return zeros
