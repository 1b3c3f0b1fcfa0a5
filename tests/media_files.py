"""Recordings that FFmpeg writes, by the package of the extra ``media``."""

from __future__ import annotations

import io

import numpy as np


def encoded(form: str, codec: str, samples: np.ndarray) -> bytes:
    """Return mono `samples` (T,) at 48 kHz as a file of this format."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=48000)
        stream.layout = "mono"
        length = stream.frame_size or 960
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48000, frame_size=length)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = 48000
        for one in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(one))
        container.mux(stream.encode(None))
    return file.getvalue()
