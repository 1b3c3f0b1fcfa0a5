"""What comes through a pipe: raw samples, or a WAV file, whose header is right; anything else is told."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from audioconv.errors import ConfigError, DataError
from audioconv.streaming.pcm import read_pipe


class Pipe:
    """A pipe that brings so many bytes at a time."""

    def __init__(self, content: bytes, at_once: int) -> None:
        self._file, self._at_once = io.BytesIO(content), at_once

    def read1(self, size: int) -> bytes:
        return self._file.read(min(size, self._at_once))


def wav(samples: np.ndarray, rate: int = 48000, subtype: str = "PCM_16", form: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def through(content: bytes, at_once: int = 1000, **options: object) -> tuple[np.ndarray, int, list[str]]:
    reader = read_pipe(Pipe(content, at_once), **options)
    blocks = np.concatenate(list(reader))
    if blocks.dtype == np.int16:
        blocks = blocks.astype(np.float32) / 32768
    return blocks, reader.sample_rate, reader.notes


@pytest.fixture
def stereo(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-0.9, 0.9, (700, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("subtype", "tolerance"),
    [("PCM_U8", 0.01), ("PCM_16", 1e-4), ("PCM_24", 1e-6), ("PCM_32", 1e-6), ("FLOAT", 0), ("DOUBLE", 0)],
)
@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("at_once", [1, 7, 100_000])
def test_a_wav_file(stereo: np.ndarray, subtype: str, tolerance: float, form: str, at_once: int) -> None:
    samples, rate, notes = through(wav(stereo, 48000, subtype, form), at_once)
    np.testing.assert_allclose(samples, stereo, rtol=0, atol=tolerance)
    assert (rate, notes) == (48000, [])


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_file_of_unknown_length(stereo: np.ndarray, size: int) -> None:
    content = bytearray(wav(stereo))
    content[4:8] = content[40:44] = struct.pack("<I", size)
    np.testing.assert_allclose(through(bytes(content))[0], stereo, rtol=0, atol=1e-4)


def test_chunks_around_the_samples_are_no_sound(stereo: np.ndarray) -> None:
    content = wav(stereo)
    lists = b"LIST" + struct.pack("<I", 5001) + bytes(range(250)) * 20 + b"xx"
    content = content[:12] + lists + content[12:] + lists
    for at_once in (3, 2801, 100_000):
        np.testing.assert_allclose(through(content, at_once)[0], stereo, rtol=0, atol=1e-4)


def test_options_that_contradict_the_header_are_told(stereo: np.ndarray) -> None:
    samples, rate, notes = through(wav(stereo), sample_rate=16000, channels=1, format="s16")
    assert (rate, samples.shape) == (48000, (700, 2))
    assert notes == [
        "standard input is a WAV file whose header says 48000; --rate 16000 is not used",
        "standard input is a WAV file whose header says 2; --channels 1 is not used",
    ]
    assert through(wav(stereo), sample_rate=48000, channels=2)[2] == []


def test_raw_samples(stereo: np.ndarray) -> None:
    raw = (stereo * 32767).astype("<i2")
    samples, rate, notes = through(raw.tobytes(), channels=2)
    np.testing.assert_array_equal(samples, raw / np.float32(32768))
    assert (rate, notes) == (16000, [])
    assert len(through(b"RIFX"[:2] + raw.tobytes())[0]) == 1401  # only two bytes of a name that is known


def test_raw_samples_that_look_like_an_mp3_header() -> None:
    assert len(through(b"\xff\xfb\x90\x64" + bytes(4000))[0]) == 2002


def test_raw_samples_come_at_once() -> None:
    class Slow:
        def __init__(self) -> None:
            self.parts = [b"\1\0\2\0", None]

        def read1(self, size: int) -> bytes:
            part = self.parts.pop(0)
            assert part is not None, "asked for more than is needed"
            return part

    np.testing.assert_array_equal(next(iter(read_pipe(Slow()))), [[1], [2]])


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"fLaC" + bytes(100), "FLAC"),
        (b"OggS" + bytes(100), "Ogg"),
        (b"ID3\4" + bytes(100), "MP3"),
        (b"\x1aE\xdf\xa3" + bytes(100), "WebM"),
        (b"\0\0\0\x20ftypisom" + bytes(100), "MP4"),
        (b"RIFF\0\1\0\0AVI LIST" + bytes(100), "a RIFF file, but not WAV"),
    ],
)
def test_compressed_recordings_are_told(content: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=rf"^standard input: is {kind}, expected raw PCM or WAV; convert it: ffmpeg "):
        read_pipe(Pipe(content, 5))


def test_mp3_is_told() -> None:
    content = wav(np.zeros(16000), 16000, "MPEG_LAYER_III", "MP3")
    with pytest.raises(DataError, match="is MP3, expected raw PCM or WAV"):
        read_pipe(Pipe(content, 100))


@pytest.mark.parametrize("subtype", ["ULAW", "IMA_ADPCM", "GSM610"])
def test_compressed_wav_files_are_told(subtype: str) -> None:
    with pytest.raises(DataError, match=r"standard input: a WAV header of .* expected PCM of 8, 16, 24 or 32 bits or"):
        read_pipe(Pipe(wav(np.zeros(1000), 8000, subtype), 100))


@pytest.mark.parametrize("cut", [12, 20, 36])
def test_a_wav_header_that_ends(stereo: np.ndarray, cut: int) -> None:
    with pytest.raises(DataError, match="a WAV header that ends before the samples"):
        read_pipe(Pipe(wav(stereo)[:cut], 100))


def test_a_header_of_an_absurd_rate(stereo: np.ndarray) -> None:
    with pytest.raises(DataError, match="its WAV header says 3 Hz, expected 1000 to 1000000"):
        read_pipe(Pipe(wav(stereo, 3), 100))


def test_a_wav_file_without_samples(stereo: np.ndarray) -> None:
    with pytest.raises(DataError, match="ended before the first sample"):
        list(read_pipe(Pipe(wav(stereo[:0]), 100)))


def test_formats_that_are_not_known() -> None:
    with pytest.raises(ConfigError, match="unknown format 's24'; known are s16, f32"):
        read_pipe(Pipe(b"", 1), format="s24")
    with pytest.raises(ConfigError, match="at least one channel, got 0"):
        read_pipe(Pipe(b"", 1), channels=0)
