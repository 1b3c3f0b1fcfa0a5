"""Clips in memory as what a network trains on: samples in, augmented and normalised network input out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Features, Samples
from audioconv.audio.augment import Augmentation
from audioconv.audio.negatives import NegativeClips
from audioconv.audio.shared_windows import hold
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import ALONE, Processes
from audioconv.errors import ShapeError
from audioconv.features.front_ends import FrontEnd
from audioconv.features.normalisation import Normalisation, moments, normalised_input

# Clips whose features are held at a time while they are measured.
CHUNK = 256


def normalisation_of(
    samples: Samples | Windows, front_end: FrontEnd, by_clip: bool | None = False, processes: Processes = ALONE
) -> Normalisation:
    """Return the normalisation of what `front_end` makes of the clips `samples` (N, T); see `Normalisation.measure`.

    Each of the `processes` measures some of the clips.
    """
    count = -(-len(samples) // CHUNK)
    own = processes.share(count)
    hold(samples, range(own.start * CHUNK, min(len(samples), own.stop * CHUNK)))

    def of_chunks(part: slice) -> NDArray[np.float64]:
        places = range(part.start * CHUNK, part.stop * CHUNK, CHUNK)
        return np.stack([moments(front_end(samples[place : place + CHUNK]), by_clip) for place in places])

    return Normalisation.of_moments(processes.rows(count, 1, of_chunks) if count else (), by_clip)


def network_input(
    samples: Samples, front_end: FrontEnd, normalisation: Normalisation, input_shape: Sequence[int] | None = None
) -> Features:
    """Return what the network takes for the clips `samples` (N, T), the same in training and in use.

    Parameters
    ----------
    samples : array (N, T) float32
        At the front end's rate and of the model's length (`fit_length`).
    front_end, normalisation
        The model's.
    input_shape : sequence of int, optional
        The network's, without the batch axis: ``(frames, bands)`` where it is left out, ``(frames, bands, 1)`` for a
        2-D network.

    Returns
    -------
    array (N, *input_shape) float32
    """
    return normalised_input(front_end(samples), normalisation, input_shape)


@dataclass(frozen=True, eq=False)
class AudioClips:
    """Labelled clips, as `audioconv.training.fit` consumes them.

    Parameters
    ----------
    samples : array (N, T) float32, or Windows
        At the front end's rate. Windows of longer recordings are drawn anew where there is a generator.
    labels : array (N,) int64
        Class numbers.
    front_end : LogMel, Mfcc, RawSamples or Librosa
    normalisation : Normalisation
        Measured on the training clips, also where these clips are for validation.
    augmentation : Augmentation, optional
        For batches that are made with a generator.
    input_shape : tuple of int, optional
        The network's, without the batch axis; see `network_input`.
    """

    samples: Samples | Windows
    labels: NDArray[np.int64]
    front_end: FrontEnd
    normalisation: Normalisation
    augmentation: Augmentation | None = None
    input_shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check that the arrays belong together."""
        if len(self.samples.shape) != 2 or self.labels.shape != self.samples.shape[:1]:
            raise ShapeError(
                f"AudioClips: needs samples (clips, time) and one label each, got {self.samples.shape} and "
                f"{self.labels.shape}"
            )
        features = self.front_end.out_shape(self.samples.shape[1])
        shape = features if self.input_shape is None else tuple(self.input_shape)
        if np.prod(shape) != np.prod(features):
            raise ShapeError(f"AudioClips: features of shape {features} do not fill an input of shape {shape}")
        object.__setattr__(self, "input_shape", shape)

    def __len__(self) -> int:
        """Return the number of clips."""
        return len(self.samples)

    def batch(self, indices: NDArray[np.integer], rng: np.random.Generator | None = None) -> Features:
        """Return the network's input for the clips `indices`, augmented if there is a generator `rng`.

        Returns
        -------
        array (len(indices), *input_shape) float32
        """
        if rng is not None and isinstance(self.samples, Windows):
            return self.prepare(self.samples.draw(indices, rng), rng)
        return self.prepare(self.samples[indices], rng)

    def prepare(self, clips: Samples, rng: np.random.Generator | None = None) -> Features:
        """Return the network's input for any `clips` (n, T), which are overwritten, augmented if there is an `rng`."""
        augmentation = self.augmentation
        if rng is None or augmentation is None:
            return network_input(clips, self.front_end, self.normalisation, self.input_shape)
        for clip in clips:
            clip[:] = augmentation.augment_samples(clip, rng)

        def augment(features: Features) -> None:
            for spectrogram in features:
                spectrogram[:] = augmentation.augment_features(spectrogram, rng)

        return normalised_input(self.front_end(clips), self.normalisation, self.input_shape, augment)


class ClipsWithNegatives:
    """Clips of the classes, followed by negative clips, which are generated on demand; data for `training.fit`.

    With a random generator every negative is a new one; without one, the same number always gives the same clip.

    Parameters
    ----------
    clips : AudioClips
    negatives : NegativeClips

    Attributes
    ----------
    labels : array (N + negatives.count,) int64
    """

    def __init__(self, clips: AudioClips, negatives: NegativeClips) -> None:
        self._clips, self._negatives = clips, negatives
        self.labels = np.concatenate([clips.labels, np.full(negatives.count, negatives.label, np.int64)])

    def __len__(self) -> int:
        """Return the number of clips, negatives included."""
        return len(self.labels)

    def batch(self, indices: NDArray[np.integer], rng: np.random.Generator | None = None) -> Features:
        """Return the network's input for the clips `indices`, augmented if there is a generator `rng`."""
        return self._clips.prepare(self.samples(indices, rng), rng)

    def samples(self, indices: NDArray[np.integer], rng: np.random.Generator | None = None) -> Samples:
        """Return the clips `indices` as samples (n, T), a copy; with a generator `rng` the negatives are new ones."""
        own = self._clips.samples
        clips = np.empty((len(indices), own.shape[1]), np.float32)
        for place, index in enumerate(indices.tolist()):
            if index >= len(own):
                clips[place] = self._negatives.clip(index, rng)
            else:
                clips[place] = own[index] if rng is None or not isinstance(own, Windows) else own.draw([index], rng)[0]
        return clips
