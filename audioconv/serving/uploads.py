"""Answers for whole recordings that clients send."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from audioconv.audio.decoders.pieces import new_in_memory
from audioconv.audio.read import OpenRecording
from audioconv.pipeline.predict import score_recording
from audioconv.pipeline.prediction import describe
from audioconv.serving.limits import Budget, Limits, RefusedError
from audioconv.serving.models import ServedModel
from audioconv.streaming.offline import detect_in_file

NAME = "the recording"
"""What errors call an upload."""


class Upload:
    """A recording in memory, which is taken until `close`.

    Parameters
    ----------
    memory : Budget
        Of all uploads together.

    Attributes
    ----------
    file : binary file
    size : int
        In bytes.
    """

    def __init__(self, memory: Budget) -> None:
        self.file, self.size, self._memory = new_in_memory(), 0, memory

    def add(self, chunk: bytes, limits: Limits) -> None:
        """Add the next bytes.

        Raises
        ------
        RefusedError
            If the recording is larger than an upload may be, or all together take too much memory.
        """
        if self.size + len(chunk) > limits.upload_bytes:
            raise too_large(limits)
        self._memory.take(len(chunk))
        self.size += len(chunk)
        self.file.write(chunk)

    def close(self) -> None:
        """Give the memory back; nobody may be reading any more, since the file's number may be that of another then."""
        self.file.close()
        self._memory.give_back(self.size)


async def receive(chunks: AsyncIterator[bytes], limits: Limits, memory: Budget) -> Upload:
    """Receive a recording into memory; errors as of `Upload.add`."""
    upload = Upload(memory)
    try:
        async for chunk in chunks:
            upload.add(chunk, limits)
    except BaseException:
        upload.close()
        raise
    return upload


def too_large(limits: Limits) -> RefusedError:
    """Return the error for a recording that is larger than an upload may be."""
    return RefusedError(
        413, f"the recording is larger than {limits.upload_bytes:,} bytes; send a part of it, or compress it"
    )


def watch(deadline: float, limits: Limits, stopping: threading.Event) -> Callable[[float], None]:
    """Return a function that raises `RefusedError` (503) once it is later than `deadline`, or the service ends."""

    def look(_seconds: float) -> None:
        if stopping.is_set():
            raise RefusedError(503, "the service is stopping")
        if time.monotonic() > deadline:
            raise RefusedError(503, f"it took longer than {limits.seconds:g} s; send a shorter recording, or try later")

    return look


def answer(
    served: ServedModel,
    upload: Upload,
    look: Callable[[float], None],
    *,
    top: int | None,
    threshold: float | None,
    hop_seconds: float,
) -> dict[str, Any]:
    """Return what the model makes of a recording, as JSON-compatible data; a long one has detections as well.

    Parameters
    ----------
    served : ServedModel
    upload : Upload
    look : callable
        Called now and then; what it raises ends the work.
    top : int, optional
        How many of the likeliest labels to give. Default: all.
    threshold, hop_seconds
        Of the detections; see `Detector`.

    Raises
    ------
    DataError
        If the recording cannot be read.
    """
    seconds = 0.0

    def on_seconds(read: float) -> None:
        nonlocal seconds
        seconds = read
        look(read)

    look(0.0)
    recording = OpenRecording(upload.file, NAME, upload.size, on_seconds)
    prediction = describe(served.model, [score_recording(served.model, served.spec, recording)])[0]
    result = {"model": served.name, "seconds": seconds, **prediction.to_json(top)}
    if prediction.windows:
        found = detect_in_file(served.model, recording, threshold=threshold, hop_seconds=hop_seconds)
        result["detections"] = [one.to_json() for some in found for one in some]
    return result
