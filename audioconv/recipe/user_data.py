"""From the examples that users give to what a model takes: files and arrays become samples at one rate, or pixels."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audioconv._types import Array, StrPath
from audioconv.audio.read import HIGHEST_RATE, LOWEST_RATE, probe_bytes, read_bytes, resample, to_mono
from audioconv.decision.classes import negatives_by_name
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.images.read import read as read_picture
from audioconv.io.files import display_path, reason
from audioconv.pipeline.inputs import AudioInput, ImageInput
from audioconv.pipeline.user_examples import MAX_CHANNELS, MIN_CLIP_SAMPLES, Example, names
from audioconv.recipe import choose_input
from audioconv.recipe.examples import Examples, of_arrays
from audioconv.recipe.settings import Settings, check

MAX_PICTURE_RATIO = 16
"""Ratio of the sides of pictures, at most, where an array could also be a recording of several channels."""

# Full scale and middle of samples, for each type of integer that files and devices have.
_FULL_SCALE = {"int16": (2.0**15, 0), "int32": (2.0**31, 0), "uint8": (2.0**7, 128)}


INSTEAD_OF_FOLDER = (
    "give predict_files the files in it, such as sorted(Path(folder).rglob('*.wav')), "
    "or evaluate the folder, which compares with its subfolders' names"
)


def read_pictures(given: Sequence[Example], source: ImageInput) -> NDArray[np.float32]:
    """Return pictures, given as paths, open files or arrays, as the model takes them, (N, *source.shape)."""
    name = names(len(given))
    return np.stack([_read_picture(example, source, name(place)) for place, example in enumerate(given)])


def read_sounds(
    given: Sequence[Example], source: AudioInput, rate: float | None
) -> tuple[dict[int, NDArray[np.float32]], dict[int, StrPath]]:
    """Return recordings that are given as arrays or open files as mono samples (T,), and the paths, by their places.

    Parameters
    ----------
    given : sequence of paths, open files and arrays
    source : AudioInput
    rate : float or None
        Sample rate of arrays, in Hz.
    """
    name = names(len(given))
    samples, paths = dict[int, NDArray[np.float32]](), dict[int, StrPath]()
    for place, example in enumerate(given):
        if isinstance(example, str | os.PathLike):
            check_is_file(example, INSTEAD_OF_FOLDER)
            paths[place] = example
        elif isinstance(example, np.ndarray):
            assert rate is not None
            samples[place] = samples_of(example, name(place), rate, source.front_end.sample_rate)
        else:
            own_name = file_name(example, name(place))
            samples[place] = read_bytes(content_of(example, own_name), own_name, source.front_end.sample_rate)
    return samples, paths


def check_rate(sample_rate: float | None, source: AudioInput | ImageInput) -> float | None:
    """Return the rate of samples in arrays, None for pictures; `ConfigError` for a rate that cannot be."""
    if isinstance(source, ImageInput):
        if sample_rate is not None:
            raise ConfigError("sample_rate is of sounds; this is a model of pictures")
        return None
    if sample_rate is None:
        return source.front_end.sample_rate
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | float | np.integer | np.floating):
        raise ConfigError(f"sample_rate must be a number in Hz, got {sample_rate!r}")
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise ConfigError(f"sample_rate lies between {LOWEST_RATE} and {HIGHEST_RATE} Hz, got {sample_rate}")
    return float(sample_rate)


def _read_picture(example: Example, source: ImageInput, name: str) -> Array:
    if isinstance(example, str | os.PathLike):
        check_is_file(example, INSTEAD_OF_FOLDER)
        return source.read(example)
    if not isinstance(example, np.ndarray):
        height, width, channels = source.shape
        return read_picture(io.BytesIO(content_of(example, name)), (height, width), channels, name=name)
    try:
        return source.convert(example)
    except ShapeError as error:
        raise ShapeError(f"{name}: {error.message}") from None


def samples_of(
    array: Array, name: str, from_rate: float | None = None, to_rate: float | None = None
) -> NDArray[np.float32]:
    """Return one recording in an array as mono samples (T,) with full scale 1.

    Parameters
    ----------
    array : array (T,), (T, channels) or (channels, T)
        Floating point with full scale 1, or int16, int32 or uint8 as files hold samples. Of two axes, the one that is
        longer is time.
    name : str
        What errors call it.
    from_rate, to_rate : float, optional
        In Hz. Default: the samples keep their rate.

    Raises
    ------
    ShapeError
        If it is not clear which axis is time.
    DataError
        If the samples are of another type, none, or not finite.
    """
    if not array.size:
        raise DataError(f"{name}: holds no samples (shape {array.shape})")
    if array.ndim == 2:
        T, channels = array.shape
        if T <= MAX_CHANNELS < channels:
            array = array.T
        elif channels > MAX_CHANNELS or channels >= T:
            raise ShapeError(
                f"{name} of shape {array.shape} is not one recording of up to {MAX_CHANNELS} channels: "
                "a recording is (time,) or (time, channels)"
            )
    elif array.ndim != 1:
        raise ShapeError(f"{name}: a recording is (time,) or (time, channels), got shape {array.shape}")
    kind = array.dtype.name
    if kind in _FULL_SCALE:
        scale, middle = _FULL_SCALE[kind]
        array = (array.astype(np.float64) - middle) / scale
    elif not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"{name}: samples must be floating point with full scale 1, or int16, int32 or uint8, got {array.dtype}; "
            "divide them by their full scale, such as x / 32768 for 16 bits"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        samples = to_mono(array)
    if not np.isfinite(samples).all():
        raise DataError(f"{name}: samples hold NaN or infinity")
    return samples if from_rate is None or to_rate is None else resample(samples, from_rate, to_rate)


def content_of(file: Any, name: str) -> bytes:
    """Return the content of an open file from its beginning, whose position stays; `DataError` if there is none."""
    name = file_name(file, name)
    try:
        if file.seekable():
            position = file.tell()
            file.seek(0)
            content = file.read()
            file.seek(position)
        else:
            content = file.read()
    except OSError as error:
        raise DataError(f"{name}: the open file cannot be read ({reason(error)})") from None
    except (AttributeError, ValueError) as error:  # ValueError: it is closed
        raise DataError(f"{name}: the open file cannot be read ({error})") from None
    if not isinstance(content, bytes | bytearray):
        raise DataError(f"{name}: the file is open as text; open it with mode 'rb'")
    if not content:
        raise DataError(f"{name}: is empty (0 bytes), expected a recording or a picture")
    return bytes(content)


def file_name(file: Any, name: str) -> str:
    """Return what errors call an open file: its own name where it has one."""
    own = getattr(file, "name", None)
    return display_path(own) if isinstance(own, str | os.PathLike) and os.fspath(own) else name


def check_is_file(path: StrPath, instead: str) -> None:
    """Raise `DataError` if `path` is a folder; `instead` says what to do."""
    if os.path.isdir(path):
        raise DataError(f"{display_path(path)}: is a folder, expected a file; {instead}")


# --- examples to learn from ---


def paths_in(given: Sequence[Example]) -> list[Path] | None:
    """Return the examples as paths where they are, and None where they are arrays or open files."""
    paths = [Path(example) for example in given if isinstance(example, str | os.PathLike)]
    if paths and len(paths) < len(given):
        raise DataError(
            f"X: {len(paths)} of the {len(given)} examples are paths, the others arrays or open files; "
            "training takes one of the two"
        )
    for path in paths:
        check_is_file(path, "Classifier.train takes folders")
    return paths or None


def examples_in_memory(
    settings: Settings, given: Sequence[Example], labels: Sequence[str], speakers: Sequence[str | None]
) -> Examples:
    """Return arrays and open files with their labels as examples to learn from."""
    kind, arrays, rate = arrays_to_learn(given, choose_input.rate_of_arrays(settings))
    check(settings, kind)
    if kind == "audio" and not settings.keep_classes:
        meant = negatives_by_name(labels)
        labels = [meant[label] for label in labels]
    source, plan = choose_input.for_arrays(settings, arrays, labels, rate)
    return of_arrays(source, plan, arrays, labels, speakers)


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
