"""Pictures as input."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from audioconv import architectures
from audioconv._types import Array, StrPath
from audioconv.audio.clips import CHUNK
from audioconv.audio.negatives import NegativeClips
from audioconv.audio.read import Segment
from audioconv.audio.window_begins import Content
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import ALONE, Processes
from audioconv.datasets.collection import Kind
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.features.normalisation import Normalisation, normalised_input
from audioconv.images import augment as image_augment
from audioconv.images.read import read as read_picture
from audioconv.io.files import display_path
from audioconv.io.parallel import Loaded, load_many
from audioconv.layers.base import Shape
from audioconv.pipeline.input_spec import File, InputSpec, OnFile
from audioconv.pipeline.user_arrays import split_pictures
from audioconv.training.data import ArrayData, Dataset


@dataclass(frozen=True)
class ImageInput(InputSpec):
    """Pictures of one size, in grey or RGB, 0 to 1."""

    shape: Shape
    kind: ClassVar[Kind] = "images"

    @property
    def front_end(self) -> None:
        return None

    def read(self, example: File) -> Array:
        """Return the picture in a file, (H, W, C) float32."""
        if isinstance(example, Segment):
            raise DataError(f"{display_path(example.path)}: a picture has no begin and end; leave them out")
        height, width, channels = self.shape
        return read_picture(example, (height, width), channels)

    def convert(self, example: Array) -> Array:
        """Return `example` (H, W, C), or (H, W) where it is grey, as (H, W, C) float32; bytes become 0 to 1."""
        pixels = np.asarray(example)
        scale = 255 if pixels.dtype == np.uint8 else 1
        if (pixels if pixels.ndim == 3 else pixels[..., None]).shape != self.shape:
            raise ShapeError(f"pictures must have shape {self.shape}, got {pixels.shape}")
        return (pixels.reshape(self.shape) / scale).astype(np.float32)

    def split(self, array: Array, count: int | None = None, row_length: int | None = None) -> list[Array]:
        return split_pictures(array, self.shape, count)

    def from_array(self, array: Array, name: str, sample_rate: float | None) -> Array:
        try:
            return self.convert(array)
        except ShapeError as error:
            raise ShapeError(f"{name}: {error.message}") from None

    def from_bytes(self, content: bytes, name: str) -> Array:
        height, width, channels = self.shape
        return read_picture(io.BytesIO(content), (height, width), channels, name=name)

    def load(self, files: Sequence[File], contents: Sequence[Content], strict: bool, on_file: OnFile) -> Loaded[Array]:
        return load_many(files, self.read, self.shape, strict=strict, on_file=on_file)

    def collect(self, arrays: Sequence[Array], contents: Sequence[Content]) -> Loaded[Array]:
        return Loaded(np.stack([self.convert(array) for array in arrays]), np.arange(len(arrays)))

    def input_shape(self, arch: str) -> Shape:
        if architectures.input_kind(arch) != "spectrogram-2d":
            raise ConfigError(f"network {arch} takes sound; choose one for pictures, such as cnn")
        return self.shape

    def measure(self, x: Array | Windows, by_clip: bool | None = None, processes: Processes = ALONE) -> Normalisation:
        if by_clip:
            raise ConfigError("only sounds are normalised by the clip; these are pictures")
        return Normalisation.measure(x[begin : begin + CHUNK] for begin in range(0, len(x), CHUNK))

    def augmentation(self, noise: StrPath | None, seed: int, *, synthetic: bool) -> Any:
        return image_augment.augment

    def dataset(
        self, x: Array | Windows, labels: Array, scale: Normalisation, input_shape: Shape, augmentation: Any = None,
        negatives: NegativeClips | None = None,
    ) -> Dataset:  # fmt: skip
        assert negatives is None, "negatives are generated for sounds only"
        return ArrayData(normalised_input(x[:], scale, input_shape), labels, augmentation)
