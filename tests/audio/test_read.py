"""Reading recordings: what real files hold, and one clear error for each that cannot be used."""

from __future__ import annotations

import io
import os
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audioconv.audio import read as module
from audioconv.audio.read import (
    AUDIO_SUFFIXES,
    Segment,
    fit_length,
    fitted_begin,
    probe,
    read,
    read_bytes,
    read_int16,
    read_window,
    resample,
    to_mono,
)
from audioconv.errors import ConfigError, DataError, ShapeError


def tone(sample_rate: int, seconds: float = 0.5, frequency: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def loudest_frequency(samples: np.ndarray, sample_rate: int) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * sample_rate / len(samples))


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_U8", 1e-2),
        ("wav", "PCM_16", 1e-4),
        ("wav", "PCM_24", 1e-6),
        ("wav", "PCM_32", 1e-6),
        ("wav", "FLOAT", 0),
        ("wav", "DOUBLE", 0),
        ("flac", "PCM_16", 1e-4),
        ("flac", "PCM_24", 1e-6),
        ("aiff", "PCM_16", 1e-4),
        ("ogg", "VORBIS", 0.05),
        ("ogg", "OPUS", 0.05),
        ("mp3", "MPEG_LAYER_III", 0.05),
    ],
)
def test_formats_and_depths(tmp_path: Path, suffix: str, subtype: str, tolerance: float) -> None:
    path = tmp_path / f"tone.{suffix}"
    expected = tone(16000)
    soundfile.write(path, expected, 16000, subtype=subtype)
    samples = read(path, 16000)
    assert samples.dtype == np.float32
    assert samples.flags.c_contiguous
    if tolerance < 0.01:
        np.testing.assert_allclose(samples, expected, rtol=0, atol=tolerance)
    else:  # lossy: an encoder's delay and padding may stay
        assert len(expected) <= len(samples) <= len(expected) + 2400
        assert loudest_frequency(samples, 16000) == pytest.approx(440, abs=2)


def test_content_tells_the_format(tmp_path: Path) -> None:
    path = tmp_path / "really-flac.wav"
    soundfile.write(path, tone(16000), 16000, format="FLAC")
    assert len(read(path, 16000)) == 8000


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (1000, channels)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    np.testing.assert_allclose(read(tmp_path / "a.wav", 16000), samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("sample_rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_any_rate_comes_to_the_models(tmp_path: Path, sample_rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(sample_rate), sample_rate, subtype="FLOAT")
    samples = read(tmp_path / "a.wav", 16000)
    assert len(samples) == pytest.approx(8000, abs=1)
    np.testing.assert_allclose(samples[500:7500], tone(16000)[500:7500], atol=2e-3)


def test_what_the_lower_rate_cannot_hold_is_filtered_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(192000, frequency=15000.0), 192000, subtype="FLOAT")
    assert np.abs(read(tmp_path / "a.wav", 16000)[500:-500]).max() < 1e-4


@pytest.mark.parametrize("sample_rate", [8000, 16000, 192000])
def test_one_sample(tmp_path: Path, sample_rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), sample_rate, subtype="FLOAT")
    samples = read(tmp_path / "a.wav", 16000)
    assert 1 <= len(samples) <= 2
    assert np.isfinite(samples).all()


def test_silence_is_a_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(1000), 16000)
    np.testing.assert_array_equal(read(tmp_path / "a.wav", 16000), np.zeros(1000))


def test_probe(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros((4410, 2)), 44100)
    info = probe(tmp_path / "a.flac")
    assert (info.sample_rate, info.channels, info.frames, info.duration) == (44100, 2, 4410, 0.1)


NAMES = [
    "with space.wav",
    'it\'s "quoted".wav',
    "🎤 ja.wav",
    "naïve-日本.wav",
    "-dash.wav",
    "new\nline.wav",
    "a%sb.wav",
]


@pytest.mark.parametrize("name", [*NAMES, os.fsdecode(b"caf\xe9.wav")])
def test_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    try:
        with open(path, "wb") as file:
            soundfile.write(file, tone(16000), 16000, format="WAV")
    except OSError:
        pytest.skip("this file system does not take such names")
    assert len(read(path, 16000)) == 8000
    assert probe(str(path)).frames == 8000
    path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read(path, 16000)
    assert str(caught.value).isprintable()


# ---- what cannot be used: one line that names the file


def refused(path: Path) -> str:
    """Return the message of the error that `path` gives, less the folder's name."""
    with pytest.raises(DataError) as caught:
        read(path, 16000)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(f"{path.parent}{os.sep}")


def test_missing(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.wav") == "a.wav: cannot be read (No such file or directory)"
    with pytest.raises(DataError, match=r"a\.wav: cannot be read"):
        probe(tmp_path / "a.wav")


def test_impossible_name() -> None:
    with pytest.raises(DataError, match=r"a\\x00b\.wav: cannot be read \(.*embedded null"):
        read("a\0b.wav", 16000)


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    assert refused(tmp_path / "a.wav") == "a.wav: is a folder, expected a recording"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_named_pipe_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    assert refused(tmp_path / "a.wav") == "a.wav: is not a regular file, expected a recording"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(16000), 16000)
    (tmp_path / "a.wav").chmod(0)
    assert refused(tmp_path / "a.wav") == "a.wav: cannot be read (Permission denied)"


def test_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert refused(tmp_path / "a.wav") == "a.wav: is empty (0 bytes), expected a recording"


def test_no_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 16000)
    assert refused(tmp_path / "a.wav") == "a.wav: holds no samples; record it again or remove it"


@pytest.mark.parametrize("suffix", ["wav", "au", "raw", "mp3", "vox"])
def test_text(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_text("These are words, not sound.\n" * 200)
    message = refused(path)
    assert message.startswith(f"a.{suffix}: not audio that can be read (")
    assert message.endswith("expected WAV, FLAC, OGG, Opus or MP3. Others can be converted: ffmpeg -i INPUT OUTPUT.wav")


@pytest.mark.parametrize("part", [0.0005, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "mp3"])
def test_cut_off(tmp_path: Path, suffix: str, part: float) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 48000), 16000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    message = refused(path)
    assert any(word in message for word in ("not audio", "damaged", "cut off", "no samples"))


def test_cut_off_stream_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.ogg", np.random.default_rng(0).uniform(-0.5, 0.5, 48000), 16000)
    whole = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(whole[: int(0.8 * len(whole))])
    assert 8000 < len(read(tmp_path / "a.ogg", 16000)) < 48000
    (tmp_path / "a.ogg").write_bytes(whole[:1000])
    refused(tmp_path / "a.ogg")


@pytest.mark.parametrize(("there", "announced"), [(9000, 16000), (1000, 2000)])
def test_cut_off_says_how_much(tmp_path: Path, there: int, announced: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(announced), 16000)
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(whole[: 44 + 2 * there])
    assert refused(tmp_path / "a.wav") == (
        f"a.wav: cut off, {there} of the {announced} samples that its header announces are there; "
        "copy or record it again"
    )


@pytest.mark.parametrize("announced", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 32000 + 44])
def test_headers_that_do_not_know_the_length(tmp_path: Path, announced: int) -> None:
    # Written into a pipe, or by a program that counts the header.
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[40:44] = struct.pack("<I", announced)
    (tmp_path / "a.wav").write_bytes(content)
    assert len(read(tmp_path / "a.wav", 16000)) == 16000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_not_finite(tmp_path: Path, value: float) -> None:
    samples = np.zeros((1000, 2))
    samples[500] = -value, value
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="DOUBLE")
    assert refused(tmp_path / "a.wav") == "a.wav: holds NaN or infinite samples; export it again, or remove it"


def test_absurd_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 3)
    assert refused(tmp_path / "a.wav") == ("a.wav: its header says 3 Hz, expected 1000 to 1000000; export it again")


# ---- real recordings


@pytest.mark.parametrize(
    ("name", "sample_rate", "channels", "frames"),
    [
        ("bus.opus", 48000, 1, 36682),
        ("mono_float64.wav", 44100, 1, 22),
        ("mono_int24.wav", 44100, 1, 22),
        ("mono_int32.wav", 44100, 1, 22),
        ("ms_adpcm.wav", 11024, 1, 895500),
        ("perfect-alley1.ogg", 44100, 2, 399396),
        ("signed_24bit.wav", 48000, 1, 54514),
        ("stereo_16bit.wav", 16000, 2, 17833),
        ("stereo_24bit.WAV", 16000, 2, 17833),
    ],
)
def test_odd_formats(test_data: Path, name: str, sample_rate: int, channels: int, frames: int) -> None:
    path = test_data / "odd-formats" / name
    info = probe(path)
    assert (info.sample_rate, info.channels, info.frames) == (sample_rate, channels, frames)
    samples = read(path, 16000)
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(frames * 16000 / sample_rate, abs=1)
    assert 1e-4 < np.abs(samples).max() <= 1.5


def test_common_voice(test_data: Path) -> None:
    paths = sorted((test_data / "common-voice-some" / "clips").glob("*.mp3"))
    assert paths
    for path in paths:
        samples = read(path, 16000)
        assert len(samples) / 16000 == pytest.approx(probe(path).duration, abs=0.05)
        assert 0.01 < np.abs(samples).max() <= 1.5


# ---- the parts


def test_to_mono() -> None:
    samples = np.array([[1, 3], [0, -1]], np.float32)
    np.testing.assert_array_equal(to_mono(samples), [2, -0.5])
    np.testing.assert_array_equal(to_mono(samples[:, 0]), [1, 0])
    assert to_mono(samples.astype(np.float64)).dtype == np.float32
    with pytest.raises(ShapeError, match=r"\(time,\) or \(time, channels\), got \(1, 2, 3\)"):
        to_mono(np.zeros((1, 2, 3)))


@pytest.mark.parametrize("rate", [0, 999, 1e7])
def test_resample_refuses_absurd_rates(rate: float) -> None:
    with pytest.raises(ConfigError, match="between 1000 and 1000000 Hz"):
        resample(np.zeros(10, np.float32), 16000, rate)


@given(size=st.integers(0, 12), length=st.integers(1, 12), seed=st.integers(0, 9))
def test_fit_length(size: int, length: int, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-2, 3, size).astype(np.float32)
    fitted = fit_length(samples, length)
    assert fitted.shape == (length,)
    assert fitted.dtype == np.float32
    if size <= length:
        before = (length - size) // 2
        np.testing.assert_array_equal(fitted, np.pad(samples, (before, length - size - before)))
    else:
        windows = np.lib.stride_tricks.sliding_window_view(samples, length)
        np.testing.assert_array_equal(fitted, windows[np.argmax((windows**2).sum(axis=1))])


def test_of_equally_loud_windows_the_earliest_is_kept() -> None:
    samples = np.tile(np.array([0.1, 0.3, 0.7], np.float32), 1000)
    np.testing.assert_array_equal(fit_length(samples, 300), samples[:300])


def test_fit_length_returns_a_copy() -> None:
    samples = np.ones(5, np.float32)
    for length in (3, 5):
        fit_length(samples, length)[:] = 0
    np.testing.assert_array_equal(samples, 1)


def test_fit_length_to_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one sample, got a length of 0"):
        fit_length(np.ones(3, np.float32), 0)


def test_suffixes() -> None:
    assert {".wav", ".flac", ".ogg", ".opus", ".mp3"} <= AUDIO_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in AUDIO_SUFFIXES)


# --- parts of a recording, and recordings in memory ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3"])
def test_a_part_lies_in_the_middle_of_what_surrounds_it(tmp_path: Path, name: str, rng: np.random.Generator) -> None:
    path = tmp_path / name
    samples = (0.3 * rng.standard_normal((48_000, 2))).astype(np.float32)
    opus = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    soundfile.write(path, samples, 16000, **opus)
    whole = read(path, 16000)
    found = read_window(Segment(path, 1.0, 1.25), 16000, 8000)
    np.testing.assert_allclose(found, whole[14_000:22_000], atol=1e-4 if name == "a.opus" else 1e-6)


def test_a_part_at_the_edge_stays_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.arange(1, 1001) / 2000, 1000, subtype="FLOAT")
    first = read_window(Segment(path, 0.0, 0.2), 1000, 400)
    np.testing.assert_allclose(first, np.concatenate([np.zeros(100), np.arange(1, 301) / 2000]), atol=1e-6)
    last = read_window(Segment(path, 0.8, 1.2), 1000, 600)
    np.testing.assert_allclose(last, np.concatenate([np.arange(701, 1001) / 2000, np.zeros(300)]), atol=1e-6)


def test_of_a_part_that_is_too_long_the_loudest_window_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.zeros(1000)
    samples[[100, 600]] = 1.0, 0.5
    soundfile.write(path, samples, 1000, subtype="FLOAT")
    found = read_window(Segment(path, 0.2, 1.0), 1000, 300)  # without the loudest sample: it is not in the part
    assert found.max() == 0.5


def test_a_part_is_resampled(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(48_000, 2.0), 48_000)
    found = read_window(Segment(path, 0.5, 0.9), 16000, 16000)
    assert found.shape == (16000,)
    assert loudest_frequency(found, 16000) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3"])
def test_a_part_behind_the_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(16000, 1.0), 16000)
    with pytest.raises(DataError, match=rf"{name}: ends before the part from 3 to 3.5 s begins"):
        read_window(Segment(path, 3.0, 3.5), 16000, 16000)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_an_open_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(16000, 25), 16000)
    told: list[float] = []
    for open_one in (path.open, lambda _mode: io.BytesIO(path.read_bytes())):
        with open_one("rb") as file:
            file.seek(100)
            recording = module.OpenRecording(file, "an upload", path.stat().st_size, told.append)
            for _ in range(2):  # from its beginning, each time
                with module.blocks(recording) as found:
                    samples = np.concatenate(list(found.mono()))
                np.testing.assert_array_equal(samples, read(path, 16000))
            assert not file.closed
    assert told[:3] == pytest.approx([10, 20, 25], abs=0.15)


def test_an_open_file_that_cannot_be_read(tmp_path: Path) -> None:
    for content, message in ((b"", "an upload: is empty"), (b"text", "an upload: not audio that can be read")):
        recording = module.OpenRecording(io.BytesIO(content), "an upload", len(content))
        with pytest.raises(DataError, match=message), module.blocks(recording):
            pass
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(16000, 25), 16000)

    def enough(seconds: float) -> None:
        if seconds > 15:
            raise InterruptedError(f"after {seconds} s")

    with (
        open(path, "rb") as file,
        module.blocks(module.OpenRecording(file, "an upload", path.stat().st_size, enough)) as found,
        pytest.raises(InterruptedError, match="after 20"),
    ):
        list(found)


def test_content_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16000), 16000)
    np.testing.assert_array_equal(read_bytes(path.read_bytes(), "a.wav", 8000), read(path, 8000))
    with pytest.raises(DataError, match=r"^clips/b\.mp3: not audio that can be read"):
        read_bytes(b"text", "clips/b.mp3", 16000)


@pytest.mark.parametrize(("size", "length"), [(4, 5), (5, 4), (5, 5), (1, 9), (9, 1)])
def test_fitted_begin_is_where_the_samples_are(size: int, length: int) -> None:
    samples = np.arange(1, size + 1, dtype=np.float32)
    begin, fitted = fitted_begin(samples, length), fit_length(samples, length)
    assert len(fitted) == length
    for place, value in enumerate(fitted):
        assert value == (samples[begin + place] if 0 <= begin + place < size else 0)


# --- in blocks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_long_recording_is_read_as_a_short_one(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (44100 * 3, 2)), 44100)
    whole = read(path, 16000)
    assert len(whole) == pytest.approx(48000, abs=1200)
    monkeypatch.setattr(module, "MAX_BLOCK", 5000)
    # A decoder of MP3 or Vorbis may round otherwise.
    np.testing.assert_allclose(read(path, 16000), whole, atol=1e-6)


def test_integers_are_the_same_recording(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (44100, 2)), 44100)
    samples, scale = read_int16(path, 16000)
    np.testing.assert_allclose(samples * np.float32(scale), read(path, 16000), rtol=0, atol=0.51 / 32768)
    part, scale = read_int16(Segment(path, 0.5, 0.75), 44100)
    np.testing.assert_allclose(part * np.float32(scale), read(path, 44100)[22050:33075], rtol=0, atol=0.51 / 32768)
    assert len(read_int16(Segment(path, 0.75, 9.0), 16000)[0]) == 4000
    with pytest.raises(DataError, match=r"a\.wav: ends before the part from 3 to 4 s begins"):
        read_int16(Segment(path, 3, 4), 16000)
