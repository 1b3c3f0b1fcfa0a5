"""From features to a network's input: the scale, of the training examples or each clip's own, and the shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array
from audioconv.errors import ConfigError, DataError, ShapeError

WITHIN = (0.5, 0.85)
"""Clips are normalised one by one if the share of the variance that lies within clips is in this range. Below it, as
for steady sounds, the differences between clips tell the classes apart. Above it, as for words cut out in silence,
clips hardly differ, and normalising them one by one does not help."""

MIN_DEVIATION = 0.3
"""Share of the training examples' deviation that is added to that of a clip, so that steady bands are not amplified."""


@dataclass(frozen=True, eq=False)
class Normalisation:
    """Shift and scale of each band or channel, the last axis.

    Parameters
    ----------
    mean, std : array (bands,) float32
        Mean and deviation of the training examples, in the features' unit.
    by_clip : bool
        Shift and scale the bands of each clip by its own mean and deviation over time, instead of those of the training
        examples. This removes the constant colouring by a microphone, a room or a voice, and the
        loudness. For spectrograms of sounds that change, such as words, not for steady ones, such as rain.

    Raises
    ------
    ShapeError
        If the arrays do not belong together.

    References
    ----------
    O. Viikki and K. Laurila, Cepstral domain segmental feature vector normalization for noise robust speech
    recognition, Speech Communication 25, 1998 (by clip).
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    by_clip: bool = False

    def __post_init__(self) -> None:
        """Check the arrays."""
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise ShapeError(
                f"Normalisation: mean and std must both be (bands,), got {self.mean.shape} and {self.std.shape}"
            )

    @classmethod
    def measure(cls, parts: Iterable[Array], by_clip: bool | None = False) -> Self:
        """Return the normalisation of features, which come in parts; a band that never changes is only shifted.

        Parameters
        ----------
        parts : iterable of arrays (N, ..., bands)
        by_clip : bool, optional
            None: where the share of the variance that lies within clips (N, time, bands) is in `WITHIN`.

        Raises
        ------
        DataError
            If there are none.
        """
        return cls.of_moments((moments(part, by_clip) for part in parts), by_clip)

    @classmethod
    def of_moments(cls, parts: Iterable[NDArray[np.float64]], by_clip: bool | None = False) -> Self:
        """Return the normalisation of features whose `moments` are `parts`; see `measure`."""
        added: NDArray[np.float64] | float = 0.0
        for part in parts:
            added = added + part
        if isinstance(added, float):
            raise DataError("there are no clips to measure")
        total, squares = added[2:].reshape(2, -1)
        count, within = int(added[0]), float(added[1])
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0)
        if by_clip is None:
            lowest, highest = (share * count * float(variance.sum()) for share in WITHIN)
            by_clip = lowest <= within <= highest
        std = np.sqrt(variance)
        std[std < 1e-6 * np.maximum(np.abs(mean), 1e-3)] = 1.0  # a constant, up to the rounding of the sums
        return cls(mean.astype(np.float32), std.astype(np.float32), by_clip)

    def __call__(self, features: Array) -> Array:
        """Return normalised `features` (..., bands); where it is by the clip, (..., time, bands)."""
        if not self.by_clip:
            normalised: Array = (features - self.mean) / self.std
            return normalised
        centred: Array = features - features.mean(axis=-2, keepdims=True)
        spread = np.sqrt(np.square(centred).mean(axis=-2, keepdims=True))
        centred /= spread + np.float32(MIN_DEVIATION) * self.std
        return centred


def moments(features: Array, by_clip: bool | None) -> NDArray[np.float64]:
    """Return of features (N, ..., bands) what `Normalisation.of_moments` adds up.

    That is the number of rows, the variance within clips times that number (if `by_clip` is None, else 0), and the sums
    and the sums of squares of the bands.
    """
    within = 0.0
    if by_clip is None:
        within = float(features.var(axis=1, dtype=np.float64).mean(axis=0).sum() * features[..., 0].size)
    rows = features.reshape(-1, features.shape[-1]).astype(np.float64)
    return np.concatenate([[len(rows), within], rows.sum(axis=0), np.square(rows).sum(axis=0)])


def check_normalisation(normalisation: Normalisation, bands: int, *, allow_by_clip: bool) -> None:
    """Raise `ConfigError` unless a normalisation, which may come from a file, fits features with so many `bands`."""
    for name, array in (("mean", normalisation.mean), ("std", normalisation.std)):
        if array.shape != (bands,) or array.dtype != np.float32 or not np.isfinite(array).all():
            raise ConfigError(
                f"the normalisation's {name} must be finite float32 of shape {(bands,)}, "
                f"got {array.dtype} of shape {array.shape}"
            )
    if not (normalisation.std > 0).all():
        raise ConfigError("the normalisation's std must be above 0")
    if normalisation.by_clip and not allow_by_clip:
        raise ConfigError("only sounds are normalised by the clip")


def normalised_input(
    features: Array,
    normalisation: Normalisation | None,
    input_shape: Sequence[int] | None = None,
    change: Callable[[Array], object] | None = None,
) -> Array:
    """Return a network's input for features or pixels, the same in training and in use.

    Parameters
    ----------
    features : array (N, ..., bands) float32
        As the front end gives them, or pictures.
    normalisation : Normalisation, optional
        Default: the features keep their scale.
    input_shape : sequence of int, optional
        The network's, without the batch axis. Default: the shape of the features.
    change : callable, optional
        Changes the normalised features (N, ..., bands) in place, as augmentation does.

    Returns
    -------
    array (N, *input_shape) float32

    Raises
    ------
    ShapeError
        If the features do not fill the input.
    """
    if normalisation is not None:
        features = normalisation(features)
    if change is not None:
        change(features)
    if input_shape is None:
        return features
    try:
        return features.reshape(len(features), *input_shape)
    except ValueError:
        raise ShapeError(
            f"features of shape {features.shape[1:]} do not fill the network's input of shape {tuple(input_shape)}"
        ) from None
