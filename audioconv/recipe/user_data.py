"""From the examples that users give to `Classifier.fit` to labelled data: files, or samples and pixels in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from audioconv._types import Array
from audioconv.audio.read import probe_bytes, read_bytes
from audioconv.datasets.collection import Collection, Item, one_kind
from audioconv.datasets.folder import speaker_in_name
from audioconv.errors import DataError, ShapeError
from audioconv.pipeline.user_arrays import MAX_CHANNELS, MIN_CLIP_SAMPLES, names, samples_of
from audioconv.pipeline.user_examples import Example, content_of, file_name, paths_in
from audioconv.recipe.labelled import Labelled, LabelledArrays, LabelledFiles

MAX_PICTURE_RATIO = 16
"""Ratio of the sides of pictures, at most, where an array could also be a recording of several channels."""


def labelled(
    given: Sequence[Example], labels: Sequence[str], speakers: Sequence[str | None], sample_rate: int | None
) -> Labelled:
    """Return paths, or arrays and open files, with their labels as data to learn from.

    Parameters
    ----------
    given : sequence of paths, or of arrays and open files
    labels, speakers : sequence of str
        The class of each, and who speaks, None where that is not known.
    sample_rate : int, optional
        Of arrays of samples, in Hz; see `arrays_to_learn`.
    """
    paths = paths_in(given)
    if paths is None:
        kind, arrays, rate = arrays_to_learn(given, sample_rate)
        nowhere = [None] * len(arrays)
        return LabelledArrays(
            kind=kind, arrays=arrays, labels=labels, speakers=speakers, splits=nowhere, sample_rate=rate
        )
    items = tuple(
        Item(path, label, speaker or speaker_in_name(path))
        for path, label, speaker in zip(paths, labels, speakers, strict=True)
    )
    return LabelledFiles.of(Collection(items, one_kind(paths, "X"), "files"))


def arrays_to_learn(
    given: Sequence[Example], usual_rate: int | None = None
) -> tuple[Literal["audio", "images"], list[Array], int | None]:
    """Return samples (T,) or pixels (H, W[, C]) of arrays and of open files, and what they are.

    Parameters
    ----------
    given : sequence of arrays and open files
    usual_rate : int, optional
        The rate (Hz) of arrays, and of the samples that are returned. Default: that of most open files, at most 16000.

    Returns
    -------
    kind : {"audio", "images"}
    arrays : list of arrays
    sample_rate : int or None
        In Hz, of samples.
    """
    if not given:
        raise DataError("there are no examples to train on")
    name = names(len(given))
    contents = {n: content_of(x, name(n)) for n, x in enumerate(given) if not isinstance(x, np.ndarray)}
    titles = {n: file_name(given[n], name(n)) for n in contents}
    kinds = {("audio" if n in contents else _kind_of(x, name(n))): name(n) for n, x in enumerate(given)}  # type: ignore[arg-type]
    if len(kinds) == 2:
        raise ShapeError(f"X holds samples ({kinds['audio']}) and pictures ({kinds['images']}); training takes one")
    if "images" in kinds:
        return "images", [np.asarray(x) for x in given], None
    rate = usual_rate
    if rate is None:
        rates = Counter(probe_bytes(content, titles[n]).sample_rate for n, content in contents.items())
        rate = min(16000, rates.most_common(1)[0][0]) if rates and len(contents) == len(given) else 16000
    return (
        "audio",
        [
            read_bytes(contents[n], titles[n], rate) if n in contents else samples_of(np.asarray(x), name(n))
            for n, x in enumerate(given)
        ],
        rate,
    )


def _kind_of(array: Array, name: str) -> Literal["audio", "images"]:
    """Return whether an array is one recording or one picture; `ShapeError` where it could be both."""
    if array.ndim == 1:
        return "audio"
    if array.ndim == 3:
        return "images"
    if array.ndim != 2:
        raise ShapeError(
            f"{name}: an example is (time,), (time, channels), (height, width) or (height, width, colours), "
            f"got shape {array.shape}"
        )
    short, long = sorted(array.shape)
    if short <= MAX_CHANNELS and long >= MIN_CLIP_SAMPLES:
        return "audio"
    if long <= MAX_PICTURE_RATIO * short:
        return "images"
    raise ShapeError(
        f"{name} of shape {array.shape} could be a recording of {short} channels or a picture; write "
        f"x.mean(axis={int(array.shape[0] == long)}) for a recording, or x[..., None] for a picture"
    )
