"""What voices that ONNX Runtime runs have in common: files that may be damaged, sessions, and sound as it comes out."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audioconv.audio.endpoints import MARGIN_SECONDS, NOISELESS, sounding
from audioconv.errors import DataError, missing_extra
from audioconv.io.files import display_path
from audioconv.tts.voices import FULL_SCALE

PEAK = 0.6
"""How loud a clip is, of full scale."""

SPEEDS = (0.75, 1.4)
ENDINGS = ("", ".", "!", "?", ",")
"""What stands behind a word and bends its melody."""

OnDownload = Callable[[str, int, int | None], None]
"""Called with what is done, and the bytes so far and in all."""


def runtime(feature: str, extra: str) -> Any:
    """Return ONNX Runtime; `MissingExtraError` with the extra's name if it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        raise missing_extra(feature, extra) from None
    return onnxruntime


AGAIN = "remove it, to have it downloaded again"
"""What helps against a damaged file."""


def open_session(onnxruntime: Any, network: Path, threads: int, advice: str = AGAIN) -> Any:
    """Return a network as ONNX Runtime runs it, with so many threads for one run; `DataError` if it is damaged."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    with readable(network, advice):
        return onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])


@contextmanager
def readable(path: Path, advice: str = AGAIN) -> Iterator[None]:
    """Tell what to do about a file that is not what was downloaded: each library says that in a way of its own."""
    try:
        yield
    except Exception as error:
        raise DataError(f"{display_path(path)}: cannot be read ({error}); {advice}") from None


def is_sound(letter: str) -> bool:
    r"""Return whether a phonetic letter is a sound, and no mark of stress, length or melody.

    >>> [is_sound(letter) for letter in "a\u0283\u02c8\u02d0."]
    [True, True, False, False, False]
    """
    return unicodedata.category(letter[:1] or " ") in ("Ll", "Lo", "Lu")


def named(show: OnDownload | None, doing: str) -> Callable[[int, int | None], None] | None:
    """Return what a download calls: `show` with what is done."""
    return show and (lambda done, total: show(doing, done, total))


def trimmed(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Return a word with `MARGIN_SECONDS` of the silence around it, `PEAK` of `FULL_SCALE` loud.

    Parameters
    ----------
    samples : array (T,) float32
    sample_rate : int
        In Hz.
    """
    peak = np.abs(samples).max(initial=0)
    if peak == 0:
        return samples[:0]
    begin, end = sounding(samples, sample_rate, NOISELESS)
    margin = round(MARGIN_SECONDS * sample_rate)
    return samples[max(0, begin - margin) : end + margin] * np.float32(PEAK * FULL_SCALE / peak)
