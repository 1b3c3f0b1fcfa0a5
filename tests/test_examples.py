"""What may be given as X and y: paths, open files, samples and pixels, in lists, arrays and tables."""

from __future__ import annotations

import dataclasses
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audioconv as ac
from audioconv import layers as L
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.features.front_ends import LogMel
from audioconv.features.normalisation import Normalisation
from audioconv.model import Model
from audioconv.pipeline.user_labels import groups_of, labels_of

RATE, CLIP = 8000, 2000
QUICK = {
    "arch": "tc-resnet8", "init": None, "epochs": 1, "batch_size": 4, "clip_seconds": 0.25, "augment": False,
    "reject": False, "refit": False,
}  # fmt: skip


def made(tmp_path: Path, front_end: LogMel | None, shape: tuple[int, ...]) -> ac.Classifier:
    """Return a classifier with a network that was never trained: its answers tell inputs apart all the same."""
    network = L.Chain([L.Conv(4, (3, 3)), L.ReLU(), L.GlobalAvgPool(), L.Dense(2)])
    params = network.init(shape, np.random.default_rng(3))
    labels, clip = ("no", "yes"), None if front_end is None else CLIP
    bands = shape[-1] if front_end is None else front_end.mel_bands
    mean, std = (0.5, 0.1) if front_end is None else (-40, 100)  # probabilities that are neither 0 nor 1
    scale = Normalisation(np.full(bands, mean, np.float32), np.full(bands, std, np.float32))
    Model(network, params, labels, shape, front_end, clip, scale).save(tmp_path / "m.safetensors")
    return ac.Classifier.load(tmp_path / "m.safetensors")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> ac.Classifier:
    front_end = LogMel.for_rate(RATE, mel_bands=12)
    return made(tmp_path_factory.mktemp("sounds"), front_end, (*front_end.out_shape(CLIP), 1))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> ac.Classifier:
    return made(tmp_path_factory.mktemp("pictures"), None, (12, 10, 1))


def noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return (0.1 * rng.standard_normal(shape)).astype(np.float32)


@pytest.fixture
def clips(tmp_path, rng) -> list[Path]:
    """Write three recordings of different lengths."""
    paths = [tmp_path / name for name in ("a.wav", "b.wav", "c.flac")]
    for n, path in enumerate(paths):
        soundfile.write(path, noise(rng, 1500 + 600 * n), RATE)
    return paths


def test_settings_in_a_model_file_of_another_version(sounds, tmp_path) -> None:
    """Unknown ones are left out, missing ones have their defaults, and lists are tuples again."""
    for stored, expected in (
        ({"epochs": 7, "image_size": [3, 4], "warm_restarts": True}, {"epochs": 7, "image_size": (3, 4)}),
        ({}, {}),
        (None, {}),
        ("epochs", {}),
    ):
        provenance = {} if stored is None else {"settings": stored}
        dataclasses.replace(sounds.model_, provenance=provenance).save(tmp_path / "m")
        loaded = ac.Classifier.load(tmp_path / "m")
        assert loaded.get_params() == ac.Classifier(**expected).get_params()
        assert len(loaded.predict(np.ones(500))) == 1


# --- one array: how many recordings ---


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_what_soundfile_reads_is_one_recording(sounds, tmp_path, rng, channels) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(rng, 1800, channels), RATE, subtype="FLOAT")
    samples, _ = soundfile.read(path, always_2d=True)
    assert samples.shape == (1800, channels)
    expected = sounds.predict_proba(path)
    for X in (samples, [samples], samples[None], samples.astype(np.float32), [samples.T]):
        np.testing.assert_array_equal(sounds.predict_proba(X), expected)
    assert len(sounds.predict(samples)) == 1
    many = sounds.predict_proba(np.stack([samples] * 3))  # (3, time, channels)
    np.testing.assert_allclose(many, np.repeat(expected, 3, axis=0), rtol=1e-6)


def test_rows_are_clips(sounds, rng) -> None:
    X = noise(rng, 10, CLIP)
    each = np.concatenate([sounds.predict_proba(x) for x in X])
    for given in (X, list(X), [list(map(float, x)) for x in X], X.astype(object)):
        np.testing.assert_allclose(sounds.predict_proba(given), each, rtol=1e-5)
    assert len(sounds.predict(noise(rng, 1, CLIP))) == 1
    assert len(sounds.predict(noise(rng, 3000, 500))) == 3000


@pytest.mark.parametrize("shape", [(2, CLIP), (8, 401), (5, 20_000)])
def test_what_could_be_clips_or_channels_is_an_error_that_says_both(sounds, rng, shape) -> None:
    X = noise(rng, *shape)
    message = f"could be {shape[0]} clips or one recording of {shape[0]} channels; write .*list.X.*, or X.T"
    for ask in (sounds.predict, sounds.predict_proba):
        with pytest.raises(ShapeError, match=message):
            ask(X)
    assert len(sounds.predict(list(X))) == shape[0]
    np.testing.assert_array_equal(sounds.predict_proba(X.T), sounds.predict_proba(X.mean(axis=0, dtype=np.float64)))
    assert sounds.score(X, ["yes"] * shape[0]) >= 0  # so many labels say that they are clips


@pytest.mark.parametrize("shape", [(101, 40), (16_000, 20), (300, 5), (5, 3), (12, 64), (2, 3, 4, 5)])
def test_what_is_neither_recordings_nor_channels_is_an_error(sounds, rng, shape) -> None:
    with pytest.raises(ShapeError, match=r"shape \(" + ", ".join(map(str, shape))):
        sounds.predict(noise(rng, *shape))


def test_elements_of_a_list_are_one_recording_each(sounds, rng) -> None:
    with pytest.raises(ShapeError, match=r"X\[1\] of shape \(500, 500\) is not one recording of up to 8 channels"):
        sounds.predict([noise(rng, 500), noise(rng, 500, 500)])
    with pytest.raises(ShapeError, match=r"X\[1\]: a recording is \(time,\)"):
        sounds.predict([noise(rng, 500), noise(rng, 5, 5, 5)])
    assert len(sounds.predict([noise(rng, 3), noise(rng, 9000), noise(rng, 700, 2)])) == 3


# --- rates and types of samples ---


@pytest.mark.parametrize("rate", [48_000, 11_025.0, np.int64(8000)])
def test_the_rate_of_samples(sounds, tmp_path, rng, rate) -> None:
    path, samples = tmp_path / "x.wav", noise(rng, 9000, 2)
    soundfile.write(path, samples, int(rate), subtype="FLOAT")
    np.testing.assert_allclose(sounds.predict_proba(samples, sample_rate=rate), sounds.predict_proba(path), rtol=1e-6)
    assert sounds.predict(samples, sample_rate=rate)[0].score == pytest.approx(sounds.predict(path)[0].score)
    if rate != RATE:
        assert np.abs(sounds.predict_proba(samples) - sounds.predict_proba(path)).max() > 1e-4
    # A file has a rate of its own.
    np.testing.assert_array_equal(sounds.predict_proba([path], sample_rate=16_000), sounds.predict_proba(path))


@pytest.mark.parametrize("rate", [0, -8000, 1e9, float("nan"), "8000", True])
def test_a_rate_that_cannot_be(sounds, rate) -> None:
    with pytest.raises(ConfigError, match="sample_rate"):
        sounds.predict(np.zeros(1000), sample_rate=rate)


@pytest.mark.parametrize(("dtype", "subtype"), [("int16", "PCM_16"), ("int32", "PCM_32"), ("uint8", "PCM_U8")])
def test_integers_have_their_full_scale(sounds, tmp_path, rng, dtype, subtype) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(rng, 1800, 2), RATE, subtype=subtype)
    whole = soundfile.read(path)[0]
    integers = np.rint(whole * 128 + 128).astype(np.uint8) if dtype == "uint8" else soundfile.read(path, dtype=dtype)[0]
    assert (integers.dtype, integers.shape) == (dtype, (1800, 2))
    for X in (integers, integers.astype(integers.dtype.newbyteorder(">"))):
        np.testing.assert_allclose(sounds.predict_proba(X), sounds.predict_proba(path), rtol=1e-5)
    np.testing.assert_allclose(sounds.predict_proba(whole.astype(np.float16)), sounds.predict_proba(path), rtol=0.02)


@pytest.mark.parametrize("dtype", ["int64", "uint16", "int8", "bool", "complex64"])
def test_samples_of_other_types_are_refused(sounds, dtype) -> None:
    with pytest.raises(DataError, match=f"int16, int32 or uint8, got {dtype}; divide them by their full scale"):
        sounds.predict(np.zeros(1000, dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_samples_that_are_no_numbers_are_refused(sounds, bad) -> None:
    X = np.zeros((2, 1000))
    X[1, 7] = bad
    with pytest.raises(DataError, match=r"X\[1\]: samples hold NaN or infinity"):
        sounds.predict(list(X))


# --- paths and open files ---


def test_paths_in_lists_arrays_and_tables(sounds, clips) -> None:
    pandas = pytest.importorskip("pandas")
    expected = sounds.predict_proba(clips)
    names = [str(path) for path in clips]
    table = pandas.DataFrame({"path": names, "label": ["yes"] * 3}, index=[7, 3, 5])
    for X in (
        names,
        tuple(clips),
        (path for path in clips),
        np.array(names),
        np.array(names, dtype=object),
        np.array(clips, dtype=object),
        np.array(names)[:, None],
        np.array(names, dtype=np.dtypes.StringDType()),
        table["path"],
        table[["path"]],
        pandas.Series(clips),
        pandas.Series(names, dtype="category"),
        [names[0], clips[1], soundfile.read(clips[2], dtype="float32")[0]],
    ):
        np.testing.assert_allclose(sounds.predict_proba(X), expected, rtol=1e-6)
    for X in (names[0], clips[0], np.array(names[0]), np.str_(names[0])):
        np.testing.assert_allclose(sounds.predict_proba(X), expected[:1], rtol=1e-6)
    with pytest.raises(DataError, match=r"has 2 columns, expected one of paths, such as table\['path'\]"):
        sounds.predict(table)
    with pytest.raises(DataError, match="has 2 columns"):
        sounds.predict(pandas.DataFrame({"path": names, "samples": [[1.0], [1.0, 2.0], [3.0]]}))
    assert sounds.score(table["path"], table["label"]) == np.mean(
        [p.label == "yes" for p in sounds.predict(table["path"])]
    )


def test_open_files_are_read_from_their_beginning(sounds, clips) -> None:
    expected = sounds.predict_proba(clips[:1])
    content = clips[0].read_bytes()
    written = io.BytesIO()
    written.write(content)  # and now it is at its end
    with (
        open(clips[0], "rb") as file,
        open(clips[0], "rb", buffering=0) as raw,
        tempfile.SpooledTemporaryFile() as spool,
    ):
        spool.write(content)
        for X in (io.BytesIO(content), written, file, [raw], spool, io.BufferedReader(io.BytesIO(content))):
            for _ in range(2):
                np.testing.assert_array_equal(sounds.predict_proba(X), expected)
        assert written.tell() == len(content)
        assert len(sounds.predict([file, clips[1], io.BytesIO(content)])) == 3


def test_open_files_that_cannot_be_read_say_which(sounds, clips, tmp_path) -> None:
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(DataError, match=r"X: the open file cannot be read .*closed"):
        sounds.predict(closed)
    with pytest.raises(DataError, match=r"X\[1\]: is empty \(0 bytes\)"):
        sounds.predict([clips[0], io.BytesIO()])
    with pytest.raises(DataError, match=r"X\[1\]: not audio that can be read"):
        sounds.predict([clips[0], io.BytesIO(b"not audio, but long enough to be looked at")])
    (tmp_path / "notes.txt").write_text("words")
    with open(tmp_path / "notes.txt") as text, pytest.raises(DataError, match=r"notes\.txt: the file is open as text"):
        sounds.predict(text)
    with open(tmp_path / "new", "wb") as new, pytest.raises(DataError, match="new: the open file cannot be read"):
        sounds.predict(new)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (b"a.wav", r"X: bytes could be a file's name or its content; write os.fsdecode\(x\)"),
        ([b"RIFF"], "bytes could be a file's name or its content"),
        (np.array([b"a.wav", b"b.wav"]), r"X\[0\]: bytes could be"),
        (None, "X: expected paths, open binary files or arrays, got None"),
        (7, "got 7"),
        ([0.1, 0.2, 0.3], r"X\[0\]: expected a path, an open binary file or an array, got 0.1"),
        (["a.wav", None], r"X\[1\]: expected .* got None"),
        ([["a.wav"], ["b.wav"]], r"X\[0\]: expected .* got list"),
        ([[1.0, [2.0]]], "X: expected .* got list"),
        (np.zeros(0), r"X: holds no samples"),
        ([np.zeros((0, 2))], r"X: holds no samples"),
        ("none.wav", r"none.wav: cannot be read \(No such file or directory\)"),
    ],
)
def test_what_is_no_example_says_so(sounds, X, message) -> None:
    with pytest.raises(DataError, match=message):
        sounds.predict(X)


def test_a_folder_says_what_to_do(sounds, clips) -> None:
    folder = clips[0].parent
    for X in (folder, str(folder), [clips[0], folder]):
        with pytest.raises(DataError, match=r"is a folder, expected a file; give predict_files .* or evaluate"):
            sounds.predict(X)
    with pytest.raises(DataError, match=r"is a folder, expected a file; Classifier\.train takes folders"):
        ac.Classifier(**QUICK).fit([folder, folder], ["a", "b"])


def test_no_examples(sounds) -> None:
    pandas = pytest.importorskip("pandas")
    for X in ([], (), np.array([], dtype=str), np.zeros((0, 2000)), pandas.Series([], dtype=object)):
        assert sounds.predict(X) == []
        assert sounds.predict_proba(X).shape == (0, 2)
        with pytest.raises(DataError, match="no examples"):
            sounds.score(X, [])
        with pytest.raises(DataError, match="no examples"):
            ac.Classifier(**QUICK).fit(X, [])


# --- pictures ---


def test_shapes_of_pictures(pictures, rng) -> None:
    X = rng.uniform(size=(5, 12, 10, 1))
    expected = pictures.predict_proba(X)
    np.testing.assert_allclose(pictures.predict_proba(X[..., 0]), expected, rtol=1e-6)
    np.testing.assert_allclose(pictures.predict_proba(list(X[..., 0])), expected, rtol=1e-6)
    for one in (X[0], X[0, :, :, 0], [X[0]], X[:1]):
        np.testing.assert_allclose(pictures.predict_proba(one), expected[:1], rtol=1e-6)
    with pytest.raises(ShapeError, match=r"X: pictures must have shape \(12, 10, 1\), got \(10, 12\)"):
        pictures.predict(X[0, :, :, 0].T)
    with pytest.raises(ShapeError, match=r"X\[1\]: pictures must have shape"):
        pictures.predict([X[0], X[1, 2:]])
    with pytest.raises(ConfigError, match="sample_rate is of sounds"):
        pictures.predict(X, sample_rate=8000)


def test_pictures_in_open_files(pictures, tmp_path, rng) -> None:
    Image = pytest.importorskip("PIL.Image")
    drawn = Image.fromarray(rng.integers(0, 256, (12, 10), dtype=np.uint8))
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    drawn.save(tmp_path / "x.png")
    np.testing.assert_array_equal(pictures.predict_proba(buffer), pictures.predict_proba(tmp_path / "x.png"))
    np.testing.assert_allclose(pictures.predict_proba(drawn), pictures.predict_proba(buffer), rtol=1e-6)
    with pytest.raises(DataError, match=r"X\[1\]: is not a picture that Pillow can read"):
        pictures.predict([buffer, io.BytesIO(b"no picture")])


# --- to learn from ---


def files_of(X: np.ndarray, rate: int) -> list[io.BytesIO]:
    files = []
    for x in X:
        files.append(io.BytesIO())
        soundfile.write(files[-1], x, rate, format="WAV", subtype="FLOAT")
    return files


def test_all_forms_of_the_same_clips_train_the_same_model(tmp_path, rng) -> None:
    pandas = pytest.importorskip("pandas")
    X = (noise(rng, 8, CLIP) * 32768).astype(np.int16) / np.float32(32768)
    y = np.array(["a", "b"] * 4)
    paths = [tmp_path / f"{n}.wav" for n in range(8)]
    for x, path in zip(X, paths, strict=True):
        soundfile.write(path, x, RATE)
    settings = {**QUICK, "sample_rate": RATE}
    expected = ac.Classifier(**settings).fit(list(X), list(y)).predict_proba(list(X))
    for given, labels in (
        (X, y),
        (np.stack([X, X], axis=2), y),  # (8, time, 2)
        (np.stack([X, X], axis=1), y),  # (8, 2, time), as librosa and PyTorch have it
        ((X * 32768).astype(np.int16), pandas.Series(y, index=range(8, 16))),
        (files_of(X, RATE), y[:, None]),
        ([*files_of(X[:4], RATE), *X[4:]], y),
        (pandas.Series([str(path) for path in paths]), pandas.Series(y)),
        (np.array(paths, dtype=object), y.astype(object)),
    ):
        classifier = ac.Classifier(**settings).fit(given, labels)
        np.testing.assert_allclose(classifier.predict_proba(list(X)), expected, rtol=1e-4)


def test_open_files_choose_the_rate(rng) -> None:
    y = ["a", "b"] * 4
    classifier = ac.Classifier(**QUICK).fit(files_of(noise(rng, 8, 3000), 12_000), y)
    assert classifier.input_.front_end.sample_rate == 12_000
    assert ac.Classifier(**QUICK).fit(files_of(noise(rng, 8, 12_000), 48_000), y).input_.front_end.sample_rate == 16_000


def test_kinds_of_arrays_to_learn_from(rng) -> None:
    y = ["a", "b"] * 4
    lengths = ac.Classifier(**QUICK, sample_rate=RATE).fit([noise(rng, 800 + 300 * n) for n in range(8)], y)
    assert len(lengths.predict(noise(rng, 1000, 2))) == 1
    drawn = ac.Classifier(arch="cs231n", epochs=1, batch_size=4).fit(rng.uniform(size=(8, 16, 12)), y)
    assert drawn.input_.shape == (16, 12, 1)
    for X, message in (
        ([noise(rng, 300, 4)] * 8, r"X\[0\] of shape \(300, 4\) could be a recording of 4 channels or a picture"),
        ([noise(rng, 20, 16_000)] * 8, "could be a recording of 20 channels or a picture; write x.mean.axis=0."),
        (noise(rng, 8, 64), "rows of 64 samples are too short for clips"),
        ([*noise(rng, 7, 900), noise(rng, 30, 30)], r"X holds samples \(X\[6\]\) and pictures \(X\[7\]\)"),
        (noise(rng, 900), "one recording at most"),
        (noise(rng, 8, 4, 4, 4, 4), "an example is"),
    ):
        with pytest.raises(ShapeError, match=message):
            ac.Classifier(**QUICK).fit(X, y)
    with pytest.raises(DataError, match="1 of the 8 examples are paths, the others arrays or open files"):
        ac.Classifier(**QUICK).fit(["a.wav", *noise(rng, 7, 900)], y)


def test_labels_and_groups(rng) -> None:
    pandas = pytest.importorskip("pandas")
    assert labels_of(["a", np.str_("b"), b"c"], 3) == (["a", "b", "c"], None)
    assert labels_of(pandas.Series(["x", "y"], dtype="category"), 2) == (["x", "y"], None)
    for y in ([10, 2, 2], np.array([10, 2, 2], np.uint8), pandas.Series([10, 2, 2], dtype="Int64")):
        labels, numbers = labels_of(y, 3)
        assert (labels, numbers.tolist()) == (["10", "2", "2"], [2, 10])
    assert labels_of(np.array([True, False]), 2)[0] == ["True", "False"]
    for y, message in (
        (["a", None], r"y\[1\]: the label is missing \(None\)"),
        ([1.0, np.nan], r"y\[1\]: the label is missing"),
        (pandas.Series(["a", pandas.NA]), r"y\[1\]: the label is missing"),
        (["a", ""], r"y\[1\]: the label is missing"),
        (np.eye(2), r"array of shape \(2, 2\); .*y.argmax\(axis=1\)"),
        ("ab", "one label for each of the 2 examples, got 'ab'"),
        (None, "one label for each of the 2 examples, got None"),
        ([1, 2, 3], "one label for each of the 2 examples, got 3"),
    ):
        with pytest.raises(DataError, match=message):
            labels_of(y, 2)
    assert groups_of(None, 2) == [None, None]
    assert groups_of(np.array([0, 1]), 2) == ["0", "1"]
    assert groups_of(pandas.Series(["s1", None]), 2) == ["s1", None]
    with pytest.raises(DataError, match="groups: needs one group for each of the 8 examples, got 7"):
        ac.Classifier(**QUICK).fit(noise(rng, 8, 900), ["a", "b"] * 4, groups=[1] * 7)
