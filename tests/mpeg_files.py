"""MP3 files as other encoders write them: without the frame that announces the length."""

from __future__ import annotations

from audioconv.audio.decoders import mpeg


def without_info(content: bytes) -> bytes:
    """Return an MP3 file that begins with its Xing or Info frame, without it."""
    assert b"Xing" in content[:64] or b"Info" in content[:64]
    parsed = mpeg.parse(int.from_bytes(content[:4]))
    assert parsed is not None
    return content[parsed[1] :]
