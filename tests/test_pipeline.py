import numpy as np
import pytest
import soundfile

from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.pipeline import audio_input, inputs
from audioconv.recipe import choose_input


def test_rate_is_that_of_most_recordings_up_to_16_khz() -> None:
    def rate(rates: list[int]) -> int:
        return choose_input.choose_audio_input("cnn", rates, 1.0).front_end.sample_rate

    assert rate([8000, 8000, 44100]) == 8000
    assert rate([48000, 44100]) == 16000
    assert rate([]) == 16000


@pytest.mark.parametrize("seconds", [0.25, 1.0, 1.41, 10.0])
def test_clips_are_as_long_as_the_window(seconds: float) -> None:
    assert choose_input.choose_audio_input("cnn", [16000], seconds).clip_samples == round(16000 * seconds)


def test_front_end_follows_the_network() -> None:
    assert isinstance(choose_input.choose_audio_input("cnn", [16000], 1).front_end, LogMel)
    assert isinstance(choose_input.choose_audio_input("m5", [16000], 1).front_end, RawSamples)
    assert isinstance(choose_input.choose_audio_input(None, [16000], 1).front_end, LogMel)
    assert isinstance(choose_input.choose_audio_input(None, [16000], 1, front_end="raw").front_end, RawSamples)
    assert isinstance(choose_input.choose_audio_input("tc-resnet8", [16000], 1, front_end="mfcc").front_end, Mfcc)
    with pytest.raises(ConfigError, match="network m5 takes raw samples"):
        choose_input.choose_audio_input("m5", [16000], 1, front_end="log-mel")
    with pytest.raises(ConfigError, match="network cnn takes spectrograms"):
        choose_input.choose_audio_input("cnn", [16000], 1, front_end="raw")
    with pytest.raises(ConfigError, match="unknown front end 'mel'"):
        choose_input.choose_audio_input("cnn", [16000], 1, front_end="mel")


def test_input_shape_of_each_kind() -> None:
    audio = choose_input.choose_audio_input("cnn", [16000], 1)
    assert audio.input_shape("cnn") == (101, 40, 1)
    assert audio.input_shape("tc-resnet8") == (101, 40)
    assert inputs.ImageInput((28, 28, 1)).input_shape("cs231n") == (28, 28, 1)
    with pytest.raises(ConfigError, match="takes sound"):
        inputs.ImageInput((28, 28, 1)).input_shape("m5")


def test_audio_arrays_are_checked_and_fitted() -> None:
    source = inputs.AudioInput(LogMel(), 10)
    assert source.convert(np.ones(4)).tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert source.convert(np.array([[1.0, 3.0]] * 10)).tolist() == [2.0] * 10
    with pytest.raises(DataError, match="NaN"):
        source.convert(np.array([np.nan]))
    with pytest.raises(DataError, match="int16"):
        source.convert(np.ones(4, np.int16))
    with pytest.raises(ShapeError, match="time"):
        source.convert(np.ones(0))


def test_picture_arrays_are_checked_and_scaled() -> None:
    source = inputs.ImageInput((2, 2, 1))
    assert source.convert(np.full((2, 2), 255, np.uint8)).tolist() == [[[1], [1]], [[1], [1]]]
    with pytest.raises(ShapeError, match=r"must have shape \(2, 2, 1\)"):
        source.convert(np.ones((3, 2)))


def test_of_long_noise_the_beginning_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(audio_input, "LONG_NOISE_SECONDS", 0.5)
    monkeypatch.setattr(audio_input, "MAX_NOISE_SECONDS", 2.0)
    ramp = np.linspace(0, 0.9, 4 * 8000, dtype=np.float32)
    for name, samples in (("long.wav", ramp), ("short.wav", ramp[:8000])):
        soundfile.write(tmp_path / name, samples, 8000)
    long, short = inputs.read_noises(tmp_path, 8000)
    assert (len(long), long.dtype, len(short), short.dtype) == (16000, np.int16, 8000, np.int16)
    np.testing.assert_allclose(long / 32768, ramp[:16000], atol=1e-4)


def test_noises_come_from_a_file_or_a_folder(tmp_path) -> None:
    soundfile.write(tmp_path / "hum.wav", np.ones(100, np.float32) / 2, 16000)
    assert [len(n) for n in inputs.read_noises(tmp_path, 16000)] == [100]
    assert [len(n) for n in inputs.read_noises(tmp_path / "hum.wav", 8000)] == [50]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no recordings"):
        inputs.read_noises(tmp_path / "empty", 16000)
