"""`Librosa`: features of librosa as a front end."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from audioconv._types import Features, Samples
from audioconv.errors import ConfigError
from audioconv.features.checks import as_batch, check_integer, check_sample_count
from audioconv.features.librosa_calls import FEATURES_OF, refusals, without_warnings
from audioconv.features.librosa_functions import (
    MAX_INTEGER,
    Axis,
    LibrosaFunction,
    Value,
    check_settings,
    function_named,
)
from audioconv.kernels.threads import thread_count

CHUNK_SAMPLES = 1 << 19
"""Samples of the clips that one call of librosa takes: bounds the memory of their spectra."""

MAX_SHAPES = 64
"""Shapes of features that are kept, so that they are computed once."""


@dataclass(frozen=True)
class Librosa:
    """Features that librosa computes: any frame-wise function of ``librosa.feature``, ``librosa.cqt`` or ``pcen``.

    Features are those of librosa, time first. What librosa gives in complex numbers or as energy is in decibels:
    ``amplitude_to_db(abs(cqt), amin=1e-3, top_db=None)`` of ``cqt`` and its kin, ``power_to_db(melspectrogram,
    amin=1e-6, top_db=None)``. ``pcen`` is ``librosa.pcen`` of ``melspectrogram(samples * 2**31, power=1)``.

    Each clip is computed from its own samples, whatever is in the batch. This is also true of windows of a stream:
    filters that are longer than a window, as of low notes, find zeros beyond it, and the smoothing of ``pcen`` begins
    anew in each window. So a window of a stream has the features of a clip with the same samples, to the bit, and each
    window costs as much as a clip.

    librosa is imported when features are computed. Exported files cannot contain it.

    Parameters
    ----------
    name : str
        One of `librosa_functions.FUNCTIONS`: ``"cqt"``, ``"pcen"``, ``"chroma_cqt"``, ``"spectral_contrast"``, ...
    settings : mapping of str to int, float, str, bool or None
        Keywords of the function, without the samples, their rate and the hop length; ``pcen`` takes those of its mel
        spectrogram as well. Kept as sorted pairs. Default: none, librosa's own defaults.
    sample_rate : int
        In Hz. Default: 16000.
    hop_length : int
        Samples from one frame to the next. Default: 256.

    Raises
    ------
    ConfigError
        If there is no such function or setting, or its value is of another kind. If librosa refuses a value, when
        features are computed for the first time.

    Examples
    --------
    >>> front_end = Librosa("spectral_contrast", {"n_bands": 4, "fmin": 300.0}, hop_length=160)
    >>> front_end(np.sin(np.arange(16000.0))).shape
    (1, 101, 5)
    """

    name: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    sample_rate: int = 16000
    hop_length: int = 256

    def __post_init__(self) -> None:
        """Check the settings."""
        function_named(self.name)
        kind = f"Librosa {self.name}"
        try:
            settings = dict(self.settings)
        except (TypeError, ValueError):
            raise ConfigError(f"{kind}: settings must map names to values, got {self.settings!r}") from None
        check_settings(self.name, settings)
        for name in ("sample_rate", "hop_length"):
            check_integer(kind, name, getattr(self, name))
        if self.hop_length > MAX_INTEGER:
            raise ConfigError(f"{kind}: hop_length must be at most {MAX_INTEGER:,}, got {self.hop_length:,}")
        object.__setattr__(self, "settings", tuple(sorted(settings.items())))  # what is frozen has a hash

    @classmethod
    def for_rate(cls, name: str, sample_rate: int, **settings: Any) -> Self:
        """Return the usual front end of a function at `sample_rate` Hz; `settings` replace its settings.

        Mel spectrograms have 40 bands of 25 ms every 10 ms. Notes begin at 65 Hz (C2) and end below 0.45 times the
        sample rate. What is made of a constant-Q transform has about 16 ms from one frame to the next, a power of two
        in samples; all else has 10 ms.

        Examples
        --------
        >>> Librosa.for_rate("chroma_cqt", 8000)
        Librosa(name='chroma_cqt', settings=(('fmin', 65.40639132514966), ('n_octaves', 5), ('tuning', 0.0)), \
sample_rate=8000, hop_length=128)
        """
        check_integer(f"Librosa {name}", "sample_rate", sample_rate)
        function = function_named(name)
        settings = {**function.defaults(sample_rate), **settings}
        return cls(name, settings, sample_rate, function.hop_length(sample_rate))

    @property
    def keywords(self) -> dict[str, Any]:
        """The settings as keywords of the function."""
        return dict(self.settings)

    @property
    def function(self) -> LibrosaFunction:
        """The function and what its values stand for."""
        return function_named(self.name)

    @property
    def axis(self) -> Axis:
        """What the values of a frame stand for."""
        return self.function.axis

    def out_shape(self, sample_count: int) -> tuple[int, int]:
        """Return ``(frames, bands)`` for a clip of `sample_count` samples, which librosa computes once of silence."""
        check_sample_count(sample_count)
        return _out_shape(self, sample_count)

    def __call__(self, samples: ArrayLike) -> Features:
        """Return the features of a batch of clips.

        Parameters
        ----------
        samples : array (N, T) or (T,), floating point
            Mono, at `sample_rate`, full scale being 1; one clip is a batch of one.

        Returns
        -------
        array (N, frames, bands) float32

        Raises
        ------
        ShapeError
            If there is no sample, or not one or two axes.
        DataError
            If the samples are integers.
        ConfigError
            If librosa refuses the settings.
        """
        batch = as_batch(samples)
        if not len(batch):
            return np.empty((0, *self.out_shape(batch.shape[1])), np.float32)
        with without_warnings(), refusals(self.name):
            return np.stack(list(self._computed(batch)))

    def _computed(self, batch: Samples) -> Iterator[Features]:
        """Yield the features of each clip; several threads compute them."""
        compute = functools.partial(FEATURES_OF.get(self.name, FEATURES_OF[""]), self)
        threads = min(thread_count(), len(batch))
        size = max(1, min(-(-len(batch) // threads), CHUNK_SAMPLES // batch.shape[1]))
        chunks = [batch[begin : begin + size] for begin in range(0, len(batch), size)]
        if len(chunks) == 1:
            yield from compute(chunks[0])
            return
        with ThreadPoolExecutor(threads) as pool:
            for features in pool.map(compute, chunks):
                yield from features


@functools.lru_cache(maxsize=MAX_SHAPES)
def _out_shape(front_end: Librosa, sample_count: int) -> tuple[int, int]:
    _, frames, bands = front_end(np.zeros(sample_count, np.float32)).shape
    return frames, bands
