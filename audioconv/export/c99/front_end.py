"""Front ends as C: tables, and the routines that make a row of features of windowed samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from audioconv._types import Array
from audioconv.export.c99 import text
from audioconv.export.description import check_front_end
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.features.spectrogram import cosine_basis, hann_window

BYTES = {"float": 4, "int16_t": 2}


@dataclass
class FrontEndCode:
    """A front end as source.

    Attributes
    ----------
    numbers : dict
        Of macros.
    tables : list of str
        Definitions of arrays.
    routines : list of str
        Of one row of features; none where the samples are the features.
    work : int
        Numbers of memory that they need.
    constant_bytes : int
    """

    numbers: dict[str, object] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    routines: list[str] = field(default_factory=list)
    work: int = 0
    constant_bytes: int = 0

    def table(self, kind: str, name: str, values: Array) -> None:
        """Add a constant array."""
        self.tables.append(text.array(kind, name, values.ravel().tolist() if kind != "float" else values))
        self.constant_bytes += BYTES[kind] * values.size


def lower(front_end: object) -> FrontEndCode:
    """Return a front end as C; `ExportError` if it is not one of audioconv's."""
    if type(front_end) is RawSamples:
        return FrontEndCode()
    check_front_end(front_end)
    assert isinstance(front_end, LogMel)
    code = FrontEndCode()
    length, used = front_end.fft_length, front_end.window_length
    begin = (length - used) // 2
    fast = length & (length - 1) == 0
    begins, lengths, weights = _filters(front_end, without_last=fast)
    bins = int((begins + lengths).max())
    roots = np.exp(-2j * np.pi * np.arange(length // 2 if fast else length) / length)
    code.table("float", "hann", hann_window(used, length)[begin : begin + used])
    code.table("float", "roots", np.stack([roots.real, roots.imag], axis=1))
    code.table("int16_t", "filter_begins", begins)
    code.table("int16_t", "filter_lengths", lengths)
    code.table("float", "filters", weights)
    width = front_end.mel_bands
    if isinstance(front_end, Mfcc):
        width = front_end.coefficients
        code.table("float", "basis", cosine_basis(front_end.mel_bands, width))
    code.numbers = {
        "FFT_LENGTH": length,
        "WINDOW_BEGIN": begin,
        "WINDOW_LENGTH": used,
        "BANDS": front_end.mel_bands,
        "WIDTH": width,
        "FLOOR": text.number(front_end.floor),
        "POWER_BEGIN": 0 if fast else length,
        "POWER_STEP": 2 if fast else 1,
    } | ({} if fast else {"BINS": bins})
    row = "features_cosine" if isinstance(front_end, Mfcc) else "features"
    code.routines = ["spectrum_fft" if fast else "spectrum_direct", row]
    code.work = length if fast else length + bins
    return code


def _filters(front_end: LogMel, *, without_last: bool) -> tuple[Array, Array, Array]:
    """Return where the weights of each band begin, how many there are, and all of them one behind the other."""
    filters = front_end.mel_filters()
    if without_last:  # the bin of half the rate, where the highest band ends: its weight is zero up to rounding
        filters[:, -1] = 0
    begins, lengths, weights = [], [], [np.zeros(0)]
    for band in filters:
        above = np.flatnonzero(band > 0)
        begins.append(int(above[0]) if len(above) else 0)
        lengths.append(len(above) and int(above[-1]) + 1 - begins[-1])
        weights.append(band[begins[-1] : begins[-1] + lengths[-1]])
    joined = np.concatenate(weights)
    return np.array(begins), np.array(lengths), joined if len(joined) else np.zeros(1)
