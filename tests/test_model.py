import dataclasses
import errno
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import safetensors.numpy

from audioconv import architectures
from audioconv import layers as L
from audioconv._version import __version__
from audioconv.audio.windows import Windows
from audioconv.errors import ConfigError, DataError, ModelFileError, ShapeError
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.features.normalisation import Normalisation
from audioconv.model import Model

LABELS = ("yes", "no", "caf\N{LATIN SMALL LETTER E WITH ACUTE}")
FRONT_END = LogMel(mel_bands=8)
CLIP = 1600
ONES = np.ones(8, np.float32)
FRAMES = FRONT_END.out_shape(CLIP)[0]
NET = L.Chain(
    [
        L.Conv(4, (3, 3), padding="same", bias=False),
        L.BatchNorm(),
        L.ReLU(),
        L.GlobalAvgPool(),
        L.Dropout(0.5),
        L.Dense(3),
    ]
)


def model(seed=0, **changes):
    rng = np.random.default_rng(seed)
    params = NET.init((FRAMES, 8, 1), rng)
    params["1"]["running_mean"] += 0.5
    parts = {
        "network": NET,
        "params": params,
        "labels": LABELS,
        "input_shape": (FRAMES, 8, 1),
        "front_end": FRONT_END,
        "clip_samples": CLIP,
        "normalisation": Normalisation(
            rng.normal(-40, 5, 8).astype(np.float32), rng.uniform(5, 10, 8).astype(np.float32)
        ),
        "provenance": {"data": "fsdd", "licence": "CC BY-SA 4.0", "counts": {"yes": 7}, "validation_accuracy": 0.985},
    }
    return Model(**{**parts, **changes})


def features(count=5, seed=1):
    return np.random.default_rng(seed).normal(-40, 10, (count, FRAMES, 8)).astype(np.float32)


def test_a_loaded_model_is_the_saved_one(tmp_path):
    saved = model()
    saved.save(tmp_path / "m.safetensors")
    loaded = Model.load(tmp_path / "m.safetensors")
    for name in ("network", "labels", "input_shape", "front_end", "clip_samples", "provenance"):
        assert getattr(loaded, name) == getattr(saved, name), name
    np.testing.assert_array_equal(loaded.logits(features()), saved.logits(features()))
    assert list(safetensors.numpy.load_file(tmp_path / "m.safetensors")) == sorted(
        [*L.flatten(saved.params), "normalisation/mean", "normalisation/std"]
    )


# --- from samples and pixels ---


def test_probabilities_of_samples_are_those_of_their_features(rng):
    some = model()
    samples = rng.integers(-8000, 8000, (7, CLIP)) * np.float32(1 / 32768)
    expected = some.probabilities(FRONT_END(samples))
    np.testing.assert_array_equal(some.predict(samples), expected)
    np.testing.assert_array_equal(some.predict(samples.tolist()), expected)
    np.testing.assert_array_equal(some.predict(Windows.of_clips(samples)), expected)  # they are of 16 bits
    np.testing.assert_array_equal(some.predict_logits(samples, batch_size=2), some.logits(FRONT_END(samples)))
    assert some.predict(samples[:0]).shape == (0, 3)
    assert (some.kind, some.example_shape) == ("audio", (CLIP,))


def test_probabilities_of_pixels(rng):
    network = L.Chain([L.Flatten(), L.Dense(3)])
    some = Model(network, network.init((4, 5, 1), rng), LABELS, (4, 5, 1))
    pixels = rng.random((5, 4, 5, 1))
    np.testing.assert_array_equal(some.predict(pixels), some.probabilities(pixels))
    assert (some.kind, some.example_shape) == ("images", (4, 5, 1))


def test_the_features_of_one_batch_at_a_time_are_in_memory(rng, monkeypatch):
    sizes, front_end = [], Model.features

    def features_of(self, examples):
        sizes.append(len(examples))
        return front_end(self, examples)

    monkeypatch.setattr(Model, "features", features_of)
    assert model().predict(np.zeros((150, CLIP), np.float32)).shape == (150, 3)
    assert sizes == [64, 64, 22]


@pytest.mark.parametrize("shape", [(CLIP,), (2, CLIP + 1), (2, CLIP, 1), (2, FRAMES, 8)])
def test_samples_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match=rf"the model takes examples of shape \(N, \*\({CLIP},\)\), got"):
        model().predict(np.zeros(shape, np.float32))


# --- files ---


@pytest.fixture
def no_draws(monkeypatch):
    """Make every draw of weights an error."""

    def draw(*_):
        raise AssertionError("weights are drawn")

    for kind in L.Layer.kinds.values():
        if "init" in vars(kind):
            monkeypatch.setattr(kind, "init", draw)
    for name in ("default_rng", "Generator", "PCG64"):
        monkeypatch.setattr(np.random, name, draw)


@pytest.mark.parametrize("arch", ["bc-resnet-1", "matchboxnet-3x1x64", "inception-v3"])
def test_a_model_is_loaded_and_changed_without_drawing_weights(tmp_path, request, arch):
    shape = {"matchboxnet-3x1x64": (98, 40), "inception-v3": (75, 75, 3)}.get(arch, (98, 40, 1))
    network = architectures.build(arch, 3)
    saved = Model(network, network.init(shape, np.random.default_rng(0)), LABELS, shape)
    saved.save(tmp_path / "m.safetensors")
    request.getfixturevalue("no_draws")
    loaded = Model.load(tmp_path / "m.safetensors")
    assert dataclasses.replace(loaded, labels=("a", "b", "c")).labels == ("a", "b", "c")
    assert L.flatten(loaded.params).keys() == L.flatten(saved.params).keys()


def test_normalising_by_the_clip_is_kept(tmp_path):
    before = model()
    saved = model(normalisation=dataclasses.replace(before.normalisation, by_clip=True))
    saved.save(tmp_path / "m")
    loaded = Model.load(tmp_path / "m")
    assert loaded.normalisation.by_clip
    np.testing.assert_array_equal(loaded.logits(features()), saved.logits(features()))
    colour = np.linspace(-20, 20, 8, dtype=np.float32)
    np.testing.assert_allclose(saved.logits(features() + colour), saved.logits(features()), atol=1e-4)
    assert np.abs(before.logits(features() + colour) - before.logits(features())).max() > 0.1


@pytest.mark.parametrize("front_end", [LogMel(mel_bands=20, floor=1e-6), Mfcc(coefficients=5), RawSamples(8000)])
def test_every_front_end_is_kept(tmp_path, front_end):
    shape = front_end.out_shape(4000)
    network = L.Chain([L.Conv(2, 9, stride=4), L.GlobalAvgPool(), L.Dense(2)])
    saved = Model(network, network.init(shape, np.random.default_rng(0)), ("a", "b"), shape, front_end, 4000)
    saved.save(tmp_path / "m")
    samples = np.random.default_rng(1).standard_normal((2, 4000), np.float32)
    loaded = Model.load(tmp_path / "m")
    assert loaded.front_end == front_end
    np.testing.assert_array_equal(loaded.logits(loaded.front_end(samples)), saved.logits(front_end(samples)))


@pytest.mark.parametrize("name", [name for name in architectures.NAMES if name != "inception-v3"])  # see its own test
def test_every_architecture_is_kept(tmp_path, name):
    shape = {"spectrogram-2d": (101, 40, 1), "spectrogram-1d": (101, 40), "samples": (16000, 1)}
    network = architectures.build(name, num_classes=4)
    in_shape = shape[architectures.input_kind(name)]
    saved = Model(network, network.init(in_shape, np.random.default_rng(0)), tuple("abcd"), in_shape)
    saved.save(tmp_path / "m")
    loaded = Model.load(tmp_path / "m")
    assert loaded.network == network
    x = np.random.default_rng(1).standard_normal((1, *in_shape), np.float32)
    np.testing.assert_array_equal(loaded.logits(x), saved.logits(x))


def test_a_model_of_pictures_needs_no_front_end(tmp_path):
    scale = Normalisation(np.ones(1, np.float32), np.full(1, 2, np.float32))
    saved = model(front_end=None, clip_samples=None, normalisation=scale)
    saved.save(tmp_path / "m")
    loaded = Model.load(tmp_path / "m")
    assert (loaded.front_end, loaded.clip_samples) == (None, None)
    assert loaded.feature_shape == (FRAMES, 8, 1)
    x = features()[..., None]
    np.testing.assert_array_equal(loaded.logits(x), saved.logits(x))
    plain = model(front_end=None, clip_samples=None, normalisation=None)
    np.testing.assert_allclose(plain.logits((x - 1) / 2), saved.logits(x), rtol=1e-5)


def test_equal_models_are_equal_bytes(tmp_path):
    for name in "ab":
        model().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_logits_normalise_and_do_not_depend_on_the_batch_size():
    some = model()
    x = some.normalisation(features(7))
    expected, _ = NET.forward(some.params, x[..., None], L.Pass())
    np.testing.assert_allclose(some.logits(features(7)), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(some.logits(features(7), batch_size=2), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(some.logits(features(7)[..., None]), some.logits(features(7)))
    assert some.logits(features(0)).shape == (0, 3)
    with pytest.raises(ShapeError, match=rf"takes features of shape \(N, \*\({FRAMES}, 8\)\), got \({FRAMES}, 8\)"):
        some.logits(features(1)[0])


def test_probabilities_are_the_softmax_of_the_logits():
    some = model()
    probabilities = some.probabilities(features())
    assert probabilities.shape == (5, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    odds = np.log(probabilities[:, 1:] / probabilities[:, :1])
    logits = some.logits(features())
    np.testing.assert_allclose(odds, logits[:, 1:] - logits[:, :1], atol=1e-4)


def test_many_threads_use_one_model():
    some = model()
    for array in L.flatten(some.params).values():
        array.flags.writeable = False
    expected = some.logits(features())
    found = [None] * 8

    def predict(n):
        for _ in range(10):
            found[n] = some.logits(features())

    threads = [threading.Thread(target=predict, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(one, expected) for one in found)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("yes",)}, r"labels must be at least two names, got \['yes'\]"),
        ({"labels": ("yes", "", "no")}, "labels must be at least two names"),
        ({"labels": ("yes", "no", "yes")}, "labels must differ, but 'yes' comes more than once"),
        ({"labels": ("yes", "no")}, r"the network gives \(3,\) for 2 labels; it must give one logit each"),
        ({"input_shape": (FRAMES, 9, 1)}, rf"gives features of shape \({FRAMES}, 8\) for 1600 samples, but"),
        ({"input_shape": (0, 8, 1)}, "input_shape must be positive integers"),
        ({"clip_samples": None}, "a front end and the length of its clips, clip_samples, go together"),
        ({"clip_samples": 16000}, r"gives features of shape \(101, 8\) for 16000 samples"),
        (
            {"normalisation": Normalisation(np.zeros(7, np.float32), np.ones(7, np.float32))},
            r"mean must be finite float32 of shape \(8,\), got float32 of shape \(7,\)",
        ),
        ({"normalisation": Normalisation(np.zeros(8), np.ones(8, np.float32))}, "mean must be .* got float64"),
        ({"normalisation": Normalisation(ONES, np.zeros(8, np.float32))}, "std must be above 0"),
        ({"normalisation": Normalisation(ONES, np.full(8, np.inf, np.float32))}, "std must be finite"),
        (
            {"front_end": None, "clip_samples": None, "normalisation": Normalisation(ONES[:1], ONES[:1], True)},
            "only sounds are normalised by the clip",
        ),
        ({"params": {}}, "array 0.weight is missing"),
        ({"network": L.Chain([L.Conv(4, 3), L.Dense(3)])}, r"^0 Conv\(4, 3\): |needs"),
    ],
)
def test_parts_that_do_not_fit_together_say_so(changes, message):
    with pytest.raises(ConfigError, match=message):
        model(**changes)


def rewrite(path, arrays=None, drop=(), **header):
    """Save a model with other arrays or another header, as a broken or foreign program might."""
    model().save(path)
    whole = path.read_bytes()
    about = json.loads(json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])["__metadata__"]["audioconv"])
    about.update(header)
    found = {**safetensors.numpy.load(whole), **(arrays or {})}
    about, found = ({k: v for k, v in group.items() if k not in drop} for group in (about, found))
    path.write_bytes(safetensors.numpy.save(found, {"audioconv": json.dumps(about)}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": ["0.weight"]}, "array 0.weight is missing"),
        ({"drop": ["1.running_mean"]}, "array 1.running_mean is missing"),
        ({"arrays": {"7.weight": np.zeros(2, np.float32)}}, "array 7.weight is not one of the network's"),
        ({"arrays": {"normalisation/x": np.zeros(2)}}, "array normalisation/x is not one of the network's"),
        (
            {"arrays": {"5.weight": np.zeros((3, 4), np.float32)}},
            r"array 5.weight is float32 of shape \(3, 4\); expected float32 of shape \(4, 3\)",
        ),
        ({"arrays": {"5.bias": np.zeros(3)}}, "array 5.bias is float64"),
        ({"arrays": {"5.bias": np.array([0, np.nan, 0], np.float32)}}, "array 5.bias holds NaN or infinity"),
        ({"arrays": {"5": np.zeros(3, np.float32)}}, "damaged model"),
        ({"drop": ["normalisation/std"]}, "array normalisation/std is missing"),
        ({"labels": ["yes", "no"]}, r"the network gives \(3,\) for 2 labels"),
        ({"labels": ["yes", "no", "no"]}, "labels must differ"),
        ({"labels": ["yes", "no", 3]}, "labels must be at least two names"),
        ({"labels": 3}, "damaged model: its labels must be a list of names, got 3"),
        ({"drop": ["labels"]}, "its header has no 'labels'"),
        ({"drop": ["network"]}, "its header has no 'network'"),
        ({"network": {"layer": "Attention"}}, "unknown layer 'Attention'"),
        ({"network": None}, "unknown layer None"),
        ({"network": {"layer": "Dense", "sizes": 3}}, "configuration of Dense does not fit"),
        ({"network": {"layer": "Dense", "units": "x"}}, "damaged model"),
        ({"network": {"layer": "Chain", "layers": [{"layer": "Dense", "units": 3}]}}, r"0 Dense|array 0\.weight"),
        ({"front_end": {"front_end": "Wavelet"}}, "unknown front end 'Wavelet'"),
        ({"front_end": {"front_end": "LogMel", "hop_length": 0}}, "hop_length must be an integer >= 1"),
        ({"front_end": None}, "a front end and the length of its clips"),
        ({"clip_samples": "x"}, "damaged model: its clip_samples must be an integer or null, got 'x'"),
        ({"input_shape": [1, 2]}, "damaged model"),
        ({"input_shape": 3}, "damaged model: its input_shape must be a list of integers, got 3"),
        ({"provenance": 3}, "damaged model: its provenance must be an object, got 3"),
        ({"decision": 3}, "damaged model: the decision must be an object, got 3"),
        ({"decision": {"threshold": "high"}}, "the decision's threshold must be a number, got 'high'"),
        ({"decision": {"threshold": 7}}, "the threshold must lie between 0 and 1, got 7"),
        ({"decision": {"gate": {"scale": 1}}}, "the gate has no 'offset'"),
        (
            {"front_end": {"front_end": "LogMel", "preemphasis": 0.97}, "audioconv_version": "9.1"},
            "or audioconv 9.1, which wrote it, has something that this audioconv .* has not: .*'preemphasis'",
        ),
        ({"kind": "checkpoint"}, "this is audioconv's checkpoint file; expected a model"),
        (
            {"format_version": 2, "audioconv_version": "0.9.0"},
            rf"format 2, written by audioconv 0\.9\.0; this is audioconv {__version__}.* 'audioconv>=0\.9\.0'",
        ),
    ],
)
def test_a_bad_model_file_is_one_line_that_names_it(tmp_path, change, message):
    path = tmp_path / "it's bad.safetensors"
    rewrite(path, **change)
    with pytest.raises(ModelFileError, match=message) as caught:
        Model.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_keys_of_a_newer_version_of_the_same_format_are_left_out(tmp_path):
    decision = {"threshold": 0.5, "hysteresis": 0.1, "gate": {"scale": 1.0, "offset": 0.0, "curvature": 2.0}}
    rewrite(tmp_path / "m", decision=decision, audioconv_version="0.99", quantised=False)
    loaded = Model.load(tmp_path / "m")
    assert (loaded.decision.threshold, loaded.decision.gate.scale, loaded.decision.temperature) == (0.5, 1.0, 1.0)
    np.testing.assert_array_equal(loaded.logits(features()), model().logits(features()))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda whole: b"", "the file is empty"),
        (lambda whole: b"RIFF$\0\0\0WAVEfmt ", "not a safetensors file; expected a model that audioconv wrote"),
        (lambda whole: b"words\n", "not a safetensors file"),
        (lambda whole: whole[: len(whole) // 2], "truncated or damaged .*; copy it again"),
        (lambda whole: whole[:-1], "truncated or damaged"),
        (lambda whole: safetensors.numpy.save({"w": np.zeros(2)}), "a safetensors file, but not one of audioconv's"),
        (lambda whole: safetensors.numpy.save({"w": np.zeros(2)}, {"format": "pt"}), "but not one of audioconv's"),
    ],
)
def test_a_file_that_is_no_model_is_one_line_that_names_it(tmp_path, spoil, message):
    path = tmp_path / "m.safetensors"
    model().save(path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ModelFileError, match=message) as caught:
        Model.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ModelFileError, match=r"none: cannot be read \(No such file or directory\)"):
        Model.load(tmp_path / "none")


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=str)
def test_a_save_that_fails_leaves_the_old_model(tmp_path, monkeypatch, failure):
    path = tmp_path / "m.safetensors"
    model(seed=1).save(path)
    before = path.read_bytes()

    def fail(*_):
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError if isinstance(failure, OSError) else KeyboardInterrupt) as caught:
        model(seed=2).save(path)
    if isinstance(failure, OSError):
        assert str(caught.value).startswith(f"{path}: could not be written (No space left on device)")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_a_disk_that_is_really_full_leaves_the_old_model(tmp_path):
    """In a process whose files may not grow beyond a few bytes: the kernel itself refuses the write."""
    pytest.importorskip("resource")
    path = tmp_path / "m.safetensors"
    model().save(path)
    before = path.read_bytes()
    code = """if True:
        import resource, signal, sys
        from audioconv.errors import DataError
        from audioconv.model import Model
        model = Model.load(sys.argv[1])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            model.save(sys.argv[1])
        except DataError as error:
            print(error)
        """
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}: could not be written (File too large); what was there before is unchanged\n"
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_provenance_must_be_json(tmp_path):
    with pytest.raises(ConfigError, match="must be JSON data without NaN"):
        model(provenance={"accuracy": float("nan")}).save(tmp_path / "m")
    assert not os.listdir(tmp_path)


def test_loading_a_model_imports_neither_librosa_nor_scikit_learn(tmp_path):
    model().save(tmp_path / "m")
    code = (
        "import sys; from audioconv.model import Model; m = Model.load(sys.argv[1]);"
        "m.front_end; print([n for n in ('librosa', 'sklearn', 'soundfile', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "m"], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
