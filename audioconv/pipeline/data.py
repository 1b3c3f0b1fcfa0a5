"""The way of the data: from files, samples or pictures to what a network takes, the same in training and in use.

``file -> samples -> fitted to the model's length -> front end -> normalised -> network``, and the same for pictures
with pixels for samples and no front end.
"""

from __future__ import annotations

from typing import cast

from audioconv._types import Array
from audioconv.audio.augment import Augmentation
from audioconv.audio.clips import AudioClips
from audioconv.audio.windows import Windows
from audioconv.features.normalisation import Normalisation
from audioconv.images import augment as image_augment
from audioconv.pipeline.inputs import AudioInput, ImageInput
from audioconv.training.data import ArrayData, Dataset


def clips(
    source: AudioInput,
    x: Array | Windows,
    labels: Array,
    normalisation: Normalisation,
    shape: tuple[int, ...],
    augmentation: Augmentation | None = None,
) -> AudioClips:
    """Return the clips `x` (N, samples) as data for `training.fit`."""
    return AudioClips(x, labels, source.front_end, normalisation, augmentation, input_shape=shape)


def dataset(
    source: AudioInput | ImageInput,
    x: Array | Windows,
    labels: Array,
    normalisation: Normalisation,
    shape: tuple[int, ...],
    augmentation: Augmentation | None = None,
    augmented: bool = False,
) -> Dataset:
    """Return the examples `x` as data for `training.fit`; pictures are augmented by `images.augment`."""
    if isinstance(source, AudioInput):
        return cast(Dataset, clips(source, x, labels, normalisation, shape, augmentation if augmented else None))
    assert not isinstance(x, Windows), "pictures have no windows"
    return ArrayData(normalisation(x), labels, image_augment.augment if augmented else None)
