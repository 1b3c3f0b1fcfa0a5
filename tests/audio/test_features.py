"""The front ends beside librosa, which defines them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import subprocess
import sys
import warnings

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioconv.audio.read import read
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.features import librosa_package
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples, front_end_from_config, front_end_to_config
from audioconv.features.spectrogram import hann_window

TOLERANCE_DB = 1e-3

RATES = [4000, 8000, 11025, 16000, 22050, 44100, 48000, 192000]


def librosa_features(front_end: LogMel, samples: np.ndarray) -> np.ndarray:
    """Return (..., frames, features) as librosa computes them."""
    librosa = librosa_package.load()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of clips shorter than the transform, and of bands without a bin
        mel = librosa.feature.melspectrogram(
            y=samples,
            sr=front_end.sample_rate,
            n_fft=front_end.fft_length,
            win_length=front_end.window_length,
            hop_length=front_end.hop_length,
            n_mels=front_end.mel_bands,
            fmin=front_end.min_frequency,
            fmax=front_end.max_frequency,
            center=True,
            pad_mode="constant",
        )
        values = librosa.power_to_db(mel, ref=1.0, amin=front_end.floor, top_db=None)
        if isinstance(front_end, Mfcc):
            values = librosa.feature.mfcc(S=values, n_mfcc=front_end.coefficients, dct_type=2, norm="ortho")
    return np.swapaxes(values, -1, -2)


def clips(seed: int, count: int, length: int) -> np.ndarray:
    """Return speech-like clips: noise that is loud at first and near silence at last."""
    rng = np.random.default_rng(seed)
    envelope = 10 ** np.linspace(0, -5, length)
    return (rng.standard_normal((count, length)) * envelope).astype(np.float32)


@st.composite
def log_mels(draw: st.DrawFn) -> LogMel:
    sample_rate = draw(st.sampled_from(RATES))
    fft_length = draw(st.one_of(st.sampled_from([64, 256, 512, 1024]), st.integers(2, 700)))
    top = draw(st.none() | st.floats(0.3, 0.5).map(lambda part: part * sample_rate))
    return LogMel(
        sample_rate=sample_rate,
        fft_length=fft_length,
        window_length=draw(st.integers(1, fft_length)),
        hop_length=draw(st.integers(1, 300)),
        mel_bands=draw(st.integers(1, 128)),
        min_frequency=draw(st.floats(0, 0.2).map(lambda part: part * sample_rate)),
        max_frequency=top,
        floor=draw(st.sampled_from([1e-10, 1e-5, 1e-14])),
    )


@settings(max_examples=150, deadline=None)
@given(front_end=log_mels(), count=st.integers(1, 5), length=st.integers(1, 2500), seed=st.integers(0, 99))
def test_log_mel_is_librosas(front_end: LogMel, count: int, length: int, seed: int) -> None:
    samples = clips(seed, count, length)
    ours = front_end(samples)
    theirs = librosa_features(front_end, samples)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape == (count, *front_end.out_shape(length))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE_DB)


@settings(max_examples=50, deadline=None)
@given(front_end=log_mels(), length=st.integers(1, 2500), seed=st.integers(0, 99), data=st.data())
def test_mfcc_is_librosas(front_end: LogMel, length: int, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, front_end.mel_bands), label="coefficients")
    mfcc = Mfcc(**dataclasses.asdict(front_end), coefficients=count)
    samples = clips(seed, 2, length)
    ours = mfcc(samples)
    assert ours.shape == (2, *mfcc.out_shape(length))
    np.testing.assert_allclose(ours, librosa_features(mfcc, samples), rtol=0, atol=TOLERANCE_DB)


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("kind", [LogMel, Mfcc])
def test_usual_front_end_is_librosas_at_any_rate(kind: type[LogMel], sample_rate: int) -> None:
    front_end = kind.for_rate(sample_rate)
    samples = clips(1, 2, sample_rate)
    np.testing.assert_allclose(front_end(samples), librosa_features(front_end, samples), rtol=0, atol=TOLERANCE_DB)


@pytest.mark.parametrize("kind", [LogMel, Mfcc])
def test_tones_and_silence_are_librosas(kind: type[LogMel]) -> None:
    # Bands 100 dB below a tone: where a transform in single precision would be noise.
    time = np.arange(16000) / 16000
    samples = np.stack([np.sin(2 * np.pi * 440 * time), np.ones(16000), np.zeros(16000)]).astype(np.float32)
    front_end = kind()
    np.testing.assert_allclose(front_end(samples), librosa_features(front_end, samples), rtol=0, atol=TOLERANCE_DB)


def test_real_recordings_are_librosas(test_data) -> None:
    paths = [
        *itertools.islice(sorted(test_data.glob("speech-commands-9/*/*.flac")), 0, None, 200),
        *sorted(test_data.glob("common-voice-some/clips/*.mp3"))[:3],
        test_data / "odd-formats" / "ms_adpcm.wav",
    ]
    assert len(paths) > 20
    for path, front_end in itertools.product(paths, [LogMel(), Mfcc(), LogMel.for_rate(48000)]):
        samples = read(path, front_end.sample_rate)[: 5 * front_end.sample_rate]
        # The last resampled a telephone band upwards: nearly empty above it.
        np.testing.assert_allclose(
            front_end(samples)[0], librosa_features(front_end, samples), rtol=0, atol=TOLERANCE_DB, err_msg=str(path)
        )


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
@pytest.mark.parametrize("bands", [1, 40, 128])
def test_mel_filters_are_librosas(sample_rate: int, bands: int) -> None:
    librosa = librosa_package.load()

    front_end = LogMel(sample_rate, fft_length=1024, mel_bands=bands, min_frequency=20.0, max_frequency=3900.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bands without a bin
        theirs = librosa.filters.mel(sr=sample_rate, n_fft=1024, n_mels=bands, fmin=20.0, fmax=3900.0, dtype=np.float64)
    np.testing.assert_allclose(front_end.mel_filters(), theirs, rtol=1e-9, atol=1e-15)
    edges = librosa.mel_frequencies(bands + 2, fmin=20.0, fmax=3900.0)
    np.testing.assert_allclose(front_end.band_edges(), edges, rtol=1e-9)


@pytest.mark.parametrize("length", [1, 2, 3, 400, 401])
def test_hann_window_is_scipys(length: int) -> None:
    librosa = librosa_package.load()

    theirs = librosa.util.pad_center(librosa.filters.get_window("hann", length), size=512)
    np.testing.assert_allclose(hann_window(length, 512), theirs, atol=1e-15)


def test_one_clip_is_a_batch_of_one() -> None:
    samples = clips(0, 3, 1000)
    for front_end in (LogMel(), Mfcc(), RawSamples()):
        np.testing.assert_array_equal(front_end(samples[1]), front_end(samples)[1:2])


@pytest.mark.parametrize("front_end", [LogMel(), Mfcc(), LogMel.for_rate(48000)])
def test_same_bits_on_any_thread_count_and_in_any_batch(front_end: LogMel) -> None:
    samples = clips(0, 12, 7777)
    threads = numba.get_num_threads()
    results = []
    try:
        for count in range(1, threads + 1):
            numba.set_num_threads(count)
            results.append(front_end(samples))
    finally:
        numba.set_num_threads(threads)
    results.append(np.concatenate([front_end(clip) for clip in samples]))
    for result in results[1:]:
        np.testing.assert_array_equal(results[0], result)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.astype(np.float64),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),  # read-only
        lambda x: x.tolist(),
    ],
    ids=["float64", "fortran", "strided", "read-only", "list"],
)
def test_any_layout_gives_the_same(change) -> None:
    samples = clips(0, 2, 900)
    np.testing.assert_array_equal(LogMel()(change(samples)), LogMel()(samples))


def test_no_clips_give_no_features() -> None:
    assert LogMel()(np.zeros((0, 1000), np.float32)).shape == (0, 7, 40)
    assert Mfcc()(np.zeros((0, 1000), np.float32)).shape == (0, 7, 13)


def test_inputs_stay_as_they_are() -> None:
    samples = clips(0, 2, 900)
    before = samples.copy()
    for front_end in (LogMel(), Mfcc(), RawSamples()):
        front_end(samples)[:] = 0
        np.testing.assert_array_equal(samples, before)


def test_loudest_and_quietest_values() -> None:
    quiet = LogMel()(np.zeros(16000, np.float32))
    np.testing.assert_array_equal(quiet, np.float32(-100))
    loud = LogMel()(np.full(16000, np.finfo(np.float32).max, np.float32))
    assert np.isfinite(loud).all()


@pytest.mark.parametrize("shape", [(), (2, 3, 4), (0,), (3, 0)])
def test_samples_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"takes samples of shape \(clips, time\) or \(time,\), got"):
        LogMel()(np.zeros(shape, np.float32))


def test_integer_samples_are_refused() -> None:
    with pytest.raises(DataError, match="must be floating point with full scale 1, got int16"):
        LogMel()(np.zeros(100, np.int16))


def test_raw_samples() -> None:
    front_end = RawSamples(8000)
    samples = clips(0, 2, 10)
    assert front_end.out_shape(10) == (10, 1)
    np.testing.assert_array_equal(front_end(samples), samples[:, :, None])


def test_for_rate() -> None:
    assert LogMel.for_rate(16000) == LogMel()
    assert LogMel.for_rate(44100, mel_bands=64) == LogMel(44100, 2048, 1102, 441, mel_bands=64)
    assert Mfcc.for_rate(8000, window_length=400) == Mfcc(8000, 512, 400, 80)


@pytest.mark.parametrize(
    "front_end", [LogMel(), LogMel.for_rate(8000, max_frequency=3800.0), Mfcc(), RawSamples(44100)]
)
def test_configuration_comes_back(front_end) -> None:
    config = json.loads(json.dumps(front_end_to_config(front_end)))
    assert front_end_from_config(config) == front_end


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_rate": 0}, "sample_rate must be an integer >= 1, got 0"),
        ({"sample_rate": 16000.0}, "sample_rate must be an integer >= 1, got 16000.0"),
        ({"hop_length": True}, "hop_length must be an integer >= 1, got True"),
        ({"fft_length": 1}, "fft_length must be an integer >= 2, got 1"),
        ({"window_length": 513}, "window_length 513 is longer than fft_length 512"),
        ({"max_frequency": 9000.0}, r"needs 0 <= min_frequency < max_frequency <= 8000 Hz .* got 0.0 and 9000.0"),
        ({"min_frequency": 300.0, "max_frequency": 300.0}, "needs 0 <= min_frequency < max_frequency"),
        ({"min_frequency": -1.0}, "needs 0 <= min_frequency"),
        ({"max_frequency": "high"}, "max_frequency must be a finite number, got 'high'"),
        ({"floor": 0.0}, "floor must be above 0, got 0.0"),
        ({"floor": float("nan")}, "floor must be a finite number, got nan"),
        ({"mel_bands": None}, "mel_bands must be an integer >= 1, got None"),
        ({"bands": 3}, "settings of LogMel do not fit: .*'bands'"),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        front_end_from_config({"front_end": "LogMel", **settings})


def test_too_many_coefficients_are_refused() -> None:
    with pytest.raises(ConfigError, match="Mfcc: 20 mel bands cannot give 21 coefficients"):
        Mfcc(mel_bands=20, coefficients=21)


@pytest.mark.parametrize("config", [None, {}, "LogMel", {"front_end": "Cqt"}, {"front_end": ["LogMel"]}])
def test_unknown_front_ends_are_refused(config) -> None:
    with pytest.raises(ConfigError, match=r"unknown front end .*; known are LogMel, Mfcc, RawSamples"):
        front_end_from_config(config)


def test_empty_bands_are_told(caplog: pytest.LogCaptureFixture) -> None:
    values = LogMel(fft_length=64, window_length=64, mel_bands=80)(clips(0, 1, 1000))
    assert "mel bands hold no frequency of the 64-point transform" in caplog.text
    assert (values == -100).all(axis=(0, 1)).any()


def test_features_do_without_librosa() -> None:
    # Its import takes most of a second, too long for classifying one clip.
    code = (
        "import sys, numpy as np\n"
        "from audioconv.audio import LogMel, Mfcc\n"
        "LogMel()(np.zeros(100, np.float32)); Mfcc()(np.zeros(100, np.float32))\n"
        "sys.exit('librosa' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
