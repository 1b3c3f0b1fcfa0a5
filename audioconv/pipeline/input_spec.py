"""Protocol of an input: from files and arrays to examples, and from examples to a network's data.

``file -> samples -> the model's length -> front end -> normalised -> network``, the same in training and in use; and
the same for pictures, with pixels for samples and no front end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from audioconv._types import Array, StrPath
from audioconv.audio.negatives import NegativeClips
from audioconv.audio.read import Segment
from audioconv.audio.window_begins import Content
from audioconv.audio.windows import Windows
from audioconv.cluster.processes import ALONE, Processes
from audioconv.datasets.collection import Kind
from audioconv.features.front_ends import FrontEnd
from audioconv.features.normalisation import Normalisation
from audioconv.io.parallel import Loaded
from audioconv.layers.base import Shape
from audioconv.training.data import Dataset

File = StrPath | Segment
OnFile = Callable[[], object] | None


class InputSpec(ABC):
    """Specification of one example of a data set or a model: an `AudioInput` or an `ImageInput`.

    The methods that are not abstract are those of examples that are not cut into windows.
    """

    kind: ClassVar[Kind]

    if TYPE_CHECKING:  # they are fields of subclasses, which properties of a base class would not let be set

        @property
        def shape(self) -> Shape:
            """Shape of one example, before the front end."""

        @property
        def front_end(self) -> FrontEnd | None:
            """Front end that computes features of samples; None for pictures."""

    @property
    def sample_rate(self) -> int | None:
        """Sample rate in Hz; None for pictures."""
        return None if self.front_end is None else self.front_end.sample_rate

    @property
    def content(self) -> Content | None:
        """Content of recordings; None for pictures."""
        return None

    @property
    def holds_a_word(self) -> bool:
        """True if a clip is so short that it holds a word; a longer one is a piece of a sound such as rain."""
        return False

    # --- from files and arrays to examples ---

    @abstractmethod
    def read(self, example: File) -> Array:
        """Return a file, or a part of it, as one example, float32; `DataError` if it cannot be read."""

    @abstractmethod
    def convert(self, example: Array) -> Array:
        """Return samples or pixels as one example, float32; `ShapeError` or `DataError` if they are something else."""

    def check(self, example: Array) -> Array:
        """Return samples or pixels as `convert` does, but samples of their own length."""
        return self.convert(example)

    @abstractmethod
    def split(self, array: Array, count: int | None = None, row_length: int | None = None) -> list[Array]:
        """Return the examples in an array; see `split_sound` and `split_pictures`."""

    @abstractmethod
    def from_array(self, array: Array, name: str, sample_rate: float | None) -> Array:
        """Return a user's array as `check` does; `name` is what errors call it."""

    @abstractmethod
    def from_bytes(self, content: bytes, name: str) -> Array:
        """Return a file in memory as `check` does."""

    @abstractmethod
    def load(
        self, files: Sequence[File], contents: Sequence[Content], strict: bool, on_file: OnFile
    ) -> Loaded[Windows] | Loaded[Array]:
        """Read files, or parts of them, as examples to learn from; see `io.parallel.load_many`."""

    @abstractmethod
    def collect(self, arrays: Sequence[Array], contents: Sequence[Content]) -> Loaded[Windows] | Loaded[Array]:
        """Return arrays in memory as examples to learn from."""

    # --- from examples to a network's data ---

    @abstractmethod
    def input_shape(self, arch: str) -> Shape:
        """Return the shape of one example as the network `arch` takes it; `ConfigError` if it takes something else."""

    @abstractmethod
    def measure(self, x: Array | Windows, by_clip: bool | None = None, processes: Processes = ALONE) -> Normalisation:
        """Return mean and deviation of each band or channel over examples (N, *shape), which the processes share.

        If `by_clip`, each clip is normalised by its own. Default: see `features.normalisation.WITHIN`.
        """

    @abstractmethod
    def augmentation(self, noise: StrPath | None, seed: int, *, synthetic: bool) -> Any:
        """Return the augmentation that `dataset` takes, with `noise` to mix in; `synthetic` voices get more of it."""

    @abstractmethod
    def dataset(
        self, x: Array | Windows, labels: Array, scale: Normalisation, input_shape: Shape, augmentation: Any = None,
        negatives: NegativeClips | None = None,
    ) -> Dataset:  # fmt: skip
        """Return examples with their class numbers, followed by negatives if there are any, as data for `fit`."""

    def model_fields(self) -> dict[str, Any]:
        """Return the fields of a `Model` that lead from an example to features."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what a resumed run must share, JSON-compatible."""
        return {"shape": self.shape}

    # --- in use ---

    def whole(self, example: File) -> Array | None:
        """Return a picture or a recording of its own length; None for one of more than a minute or two."""
        return self.read(example)

    def begins(self, example: Array) -> list[int]:
        """Return the first samples of the windows of a recording (T,) that are classified; ``[0]`` for a picture."""
        return [0]

    def window(self, example: Array, begin: int) -> Array:
        """Return the window of an example that begins at a sample."""
        return example

    def cut(self, path: Path) -> Iterator[tuple[Array, list[Any]]]:
        """Yield the clips (N, *shape) that a file is cut into, with their places (paths or `Segment`), part by part."""
        yield self.read(path)[np.newaxis], [path]
