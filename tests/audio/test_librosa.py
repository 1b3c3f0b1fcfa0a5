"""`Librosa` gives what librosa gives when it is called directly."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest

from audioconv.audio import Librosa, front_end_from_config, front_end_to_config
from audioconv.errors import AudioconvError, ConfigError, DataError, ShapeError
from audioconv.features import librosa_package
from audioconv.features.librosa_functions import FUNCTIONS
from audioconv.kernels.locks import FileLock

RATE = 8000

NOT_OF_FRAMES = {"delta", "stack_memory", "tempo", "inverse"}
"""Names in ``librosa.feature`` that take other features, or give one number a recording."""


def clips() -> np.ndarray:
    """Return silence, a tone, noise, and noise after silence: (4, 6000)."""
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal((2, 6000))
    noise[1, :3000] = 0
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(6000) / RATE)
    return np.stack([np.zeros(6000), tone, *noise]).astype(np.float32)


def direct(front_end: Librosa, clip: np.ndarray) -> np.ndarray:
    """Return (frames, bands) as a user of librosa writes it."""
    librosa = librosa_package.load()
    name, keywords = front_end.name, front_end.keywords
    usual = {"sr": front_end.sample_rate, "hop_length": front_end.hop_length}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of clips shorter than a transform, and of the tuning of silence
        if name == "pcen":
            mel = {key: keywords.pop(key) for key in list(keywords) if key in ("n_fft", "win_length", "n_mels", "fmin")}
            energy = librosa.feature.melspectrogram(y=clip * 2.0**31, power=1, **usual, **mel)
            features = librosa.pcen(energy, **usual, **keywords)
        elif name in ("cqt", "vqt", "hybrid_cqt", "pseudo_cqt"):
            spectrum = getattr(librosa, name)(clip, **usual, **keywords)
            features = librosa.amplitude_to_db(np.abs(spectrum), amin=1e-3, top_db=None)
        elif name == "melspectrogram":
            energy = librosa.feature.melspectrogram(y=clip, **usual, **keywords)
            features = librosa.power_to_db(energy, amin=1e-6, top_db=None)
        else:
            if name in ("rms", "zero_crossing_rate", "spectral_flatness"):
                del usual["sr"]
            features = getattr(librosa.feature, name)(y=clip, **usual, **keywords)
            features = np.abs(features) if np.iscomplexobj(features) else features
    return features.T


OTHER_SETTINGS = [
    Librosa("cqt", {"fmin": 110.0, "n_bins": 30, "bins_per_octave": 24, "filter_scale": 0.5}, RATE, 100),
    Librosa("cqt", {"fmin": 110.0, "n_bins": 30, "tuning": None}, RATE, 128),
    Librosa("chroma_cqt", {"fmin": 110.0, "n_octaves": 4, "tuning": None}, RATE, 128),
    Librosa("chroma_cqt", {"fmin": 110.0, "n_octaves": 4, "tuning": 0.2, "bins_per_octave": None}, RATE, 128),
    Librosa("chroma_cqt", {"fmin": 110.0, "n_octaves": 4, "tuning": 0.0, "cqt_mode": "hybrid"}, RATE, 128),
    Librosa("chroma_cens", {"fmin": 110.0, "n_octaves": 4, "tuning": 0.0, "win_len_smooth": 5}, RATE, 128),
    Librosa("chroma_stft", {"n_chroma": 24, "tuning": None, "n_fft": 1024}, RATE, 200),
    Librosa("pcen", {"n_fft": 256, "n_mels": 20, "gain": 0.8, "time_constant": 0.1, "power": 0.3}, RATE, 80),
    Librosa("pcen", {"n_mels": 20, "fmin": 300.0, "bias": 10.0}, RATE, 80),
    Librosa("melspectrogram", {"n_mels": 10, "fmax": 3000.0, "htk": True, "norm": None, "power": 1.0}, RATE, 80),
    Librosa("mfcc", {"n_mfcc": 12, "n_fft": 256, "n_mels": 32}, RATE, 80),
    Librosa("spectral_contrast", {"n_bands": 3, "linear": True}, RATE, 80),
]


@pytest.mark.parametrize(
    "front_end", [*(Librosa.for_rate(name, RATE) for name in FUNCTIONS), *OTHER_SETTINGS], ids=lambda f: f.name
)
def test_it_is_librosas(front_end):
    samples = clips()
    ours = front_end(samples)
    theirs = np.stack([direct(front_end, clip) for clip in samples])
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape == (4, *front_end.out_shape(samples.shape[1]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3 if front_end.axis in ("notes", "mel") else 1e-5)
    assert np.isfinite(ours).all()


@pytest.mark.parametrize("name", ["cqt", "chroma_cqt", "pcen", "spectral_contrast"])
@pytest.mark.parametrize("sample_rate", [2000, 11025, 44100])
def test_the_usual_settings_are_for_any_rate(name, sample_rate):
    front_end = Librosa.for_rate(name, sample_rate)
    samples = 0.1 * np.random.default_rng(1).standard_normal(sample_rate // 2).astype(np.float32)
    theirs = direct(front_end, samples)
    np.testing.assert_allclose(front_end(samples)[0], theirs, rtol=1e-4, atol=1e-3)
    assert theirs.std() > 0


def test_every_function_of_frames_is_there_with_its_keywords():
    librosa = librosa_package.load()
    there = {name for name in dir(librosa.feature) if not name.startswith("_")}
    assert {name for name in FUNCTIONS if hasattr(librosa.feature, name)} == there - NOT_OF_FRAMES
    filters = {
        "chroma_stft": librosa.filters.chroma,
        "pcen": librosa.filters.mel,
        "melspectrogram": librosa.filters.mel,
    }
    more = {"pcen": [librosa.feature.melspectrogram], "mfcc": [librosa.feature.melspectrogram, librosa.filters.mel]}
    more["tonnetz"] = [librosa.feature.chroma_cqt]
    for name, function in FUNCTIONS.items():
        calls = [getattr(librosa.feature, name, None) or getattr(librosa, name), *more.get(name, [])]
        calls += [filters[name]] if name in filters else []
        keywords = set().union(*(inspect.signature(call).parameters for call in calls))
        assert function.settings <= keywords, name


# --- one clip and many ---


@pytest.mark.parametrize("name", ["cqt", "chroma_cqt", "chroma_stft", "pcen", "melspectrogram", "mfcc"])
def test_a_clip_has_the_same_features_in_any_batch(name):
    front_end, before = Librosa.for_rate(name, RATE), numba.get_num_threads()
    samples = np.concatenate([clips() * gain for gain in (1, 0.3, 0.01)])
    together = front_end(samples)
    numba.set_num_threads(1)
    try:
        on_one_thread = front_end(samples)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(on_one_thread, together)
    np.testing.assert_array_equal(np.concatenate([front_end(clip) for clip in samples]), together)
    np.testing.assert_array_equal(np.concatenate([front_end(samples[:5]), front_end(samples[5:])]), together)


def test_threads_of_a_program_share_a_front_end_and_its_warnings():
    front_end, samples = Librosa.for_rate("chroma_stft", RATE), clips()
    expected, found = front_end(samples), {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        threads = [
            threading.Thread(target=lambda n=n: found.update({n: front_end(np.roll(samples, n, axis=0))}))
            for n in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert warnings.filters == before
        warnings.warn("still there", UserWarning, stacklevel=1)
    assert [str(one.message) for one in caught] == ["still there"]
    assert len(found) == 6
    for n, features in found.items():
        np.testing.assert_array_equal(features, np.roll(expected, n, axis=0))


def test_no_clips_have_no_features():
    assert Librosa.for_rate("cqt", RATE)(np.zeros((0, 4000), np.float32)).shape == (0, 32, 69)


@pytest.mark.parametrize(
    ("samples", "error"),
    [(np.zeros(4000, np.int16), DataError), (np.zeros((1, 0)), ShapeError), (np.zeros((1, 2, 3)), ShapeError)],
)
def test_samples_that_are_none(samples, error):
    with pytest.raises(error):
        Librosa.for_rate("rms", RATE)(samples)


# --- settings ---


@pytest.mark.parametrize("front_end", OTHER_SETTINGS, ids=lambda f: f.name)
def test_settings_come_back_from_a_file(front_end):
    config = json.loads(json.dumps(front_end_to_config(front_end)))
    again = front_end_from_config(config)
    assert again == front_end
    assert hash(again) == hash(front_end)
    assert config["settings"] == front_end.keywords


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("load",), r"Librosa: there is no function 'load'; there are cqt, "),
        (("feature.rms",), "there is no function 'feature.rms'"),
        (("__class__",), "there is no function '__class__'"),
        ((["cqt"],), "there is no function"),
        (("cqt", {"y": 1}), "Librosa cqt: there is no setting 'y'; there are bins_per_octave, "),
        (("cqt", {"sr": 8000}), "there is no setting 'sr'"),
        (("tempogram_ratio", {"aggregate": "mean"}), "there is no setting 'aggregate'"),
        (("cqt", {"n_bins": 12.0}), "Librosa cqt: n_bins must be an integer from 0 to 65,536, got 12.0"),
        (("cqt", {"n_bins": 1 << 30}), "n_bins must be an integer"),
        (("cqt", {"n_bins": True}), "n_bins must be an integer"),
        (("cqt", {"fmin": "C2"}), "fmin must be a finite number, got 'C2'"),
        (("cqt", {"fmin": float("nan")}), "fmin must be a finite number"),
        (("cqt", {"window": ["hann"]}), "window must be a text"),
        (("cqt", {"scale": 1}), "scale must be True or False"),
        (("chroma_stft", {"norm": float("inf")}), "norm must be a finite number or a text"),
        (("cqt", 5), "settings must map names to values, got 5"),
        (("cqt", {}, 0), "Librosa cqt: sample_rate must be an integer >= 1, got 0"),
        (("cqt", {}, 8000, 1.5), "hop_length must be an integer >= 1, got 1.5"),
        (("cqt", {}, 8000, 1 << 20), "hop_length must be at most 65,536"),
    ],
)
def test_bad_names_and_settings(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Librosa(*arguments)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cqt", {"fmin": 3000.0, "n_bins": 80}),
        ("cqt", {"n_bins": 0}),
        ("cqt", {"window": "no such window"}),
        ("cqt", {"res_type": "no such type"}),
        ("pcen", {"gain": -1.0}),
        ("pcen", {"n_fft": 0}),
        ("chroma_cqt", {"bins_per_octave": 13}),
        ("chroma_vqt", {}),
        ("spectral_contrast", {"n_bands": 20}),
        ("melspectrogram", {"n_mels": 4, "pad_mode": "none"}),
    ],
)
def test_values_that_librosa_refuses(name, settings):
    front_end = Librosa(name, settings, RATE)
    with pytest.raises(ConfigError, match=f"Librosa {name}: librosa does not take these settings: "):
        front_end.out_shape(4000)


@pytest.mark.parametrize(
    "config",
    [
        {"front_end": "Librosa"},
        {"front_end": "Librosa", "name": "os.system", "settings": {}},
        {"front_end": "Librosa", "name": "cqt", "settings": {"dtype": "object"}},
        {"front_end": "Librosa", "name": "cqt", "settings": [["fmin"]]},
        {"front_end": "Librosa", "name": "cqt", "settings": None},
        {"front_end": "Librosa", "name": "cqt", "code": "1"},
    ],
)
def test_files_name_functions_of_librosa_and_nothing_else(config):
    with pytest.raises(AudioconvError):
        front_end_from_config(config)


def test_bands_without_a_frequency_are_noted(caplog):
    front_end = Librosa("melspectrogram", {"n_mels": 60, "n_fft": 64, "fmin": 7.0}, RATE)
    front_end(clips())
    assert "of 60 mel bands hold no frequency of the 64-point transform" in caplog.text


def test_librosa_is_imported_when_it_computes():
    code = (
        "import sys\nfrom audioconv.audio import Librosa, front_end_to_config\n"
        "front_end = Librosa.for_rate('cqt', 8000)\nfront_end_to_config(front_end)\n"
        "assert 'librosa' not in sys.modules\nfront_end.out_shape(4000)\nassert 'librosa' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_process_at_a_time_imports_librosa(monkeypatch, tmp_path):
    """Numba's files of two that compile at the same time may not belong together, and then each call crashes."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(librosa_package, "_folders", lambda: iter([tmp_path / "file", tmp_path / "folder"]))
    other = FileLock(tmp_path / "folder" / "audioconv.lock")
    (tmp_path / "folder").mkdir()
    assert other.acquire()
    order = []

    def load():
        with librosa_package._alone():
            order.append("import")

    thread = threading.Thread(target=load)
    thread.start()
    thread.join(0.1)
    order.append("release")
    other.release()
    thread.join()
    assert order == ["release", "import"]
    with librosa_package._alone():
        assert not other.acquire()
    assert other.acquire()
    monkeypatch.setattr(librosa_package, "LOCK_SECONDS", 0.0)
    load()  # without the lock, which it does not get
    assert order[-1] == "import"
    other.release()


def test_the_lock_is_where_compiled_functions_are():
    folder = next(librosa_package._folders())
    assert folder == Path(librosa_package.load().__file__).parent / "__pycache__"
