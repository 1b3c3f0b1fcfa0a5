"""Training that begins with a network of another framework: its input, its layers, and what is refused."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import soundfile

import audioconv as ac
from audioconv import layers as L
from audioconv.cli import run
from audioconv.errors import ConfigError, DataError, ModelFileError
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.model import Model
from audioconv.recipe.plan import resolve
from audioconv.recipe.pretrained import load_named
from audioconv.recipe.settings import Settings, check
from audioconv.recipe.user_data import labelled

for module in ("onnx", "h5py"):
    pytest.importorskip(module, reason="needs the extra: pip install 'audioconv[interop]'")

RATE = 8000
QUICK = {"epochs": 1, "batch_size": 8, "augment": False, "reject": False, "sample_rate": RATE}


def clips(count=6, seconds=1.0):
    rng, time = np.random.default_rng(0), np.arange(round(seconds * RATE)) / RATE
    labels = ["low", "high"] * count
    pitches = {"low": 300, "high": 1200}
    waves = [
        0.3 * np.sin(2 * np.pi * pitches[label] * time) + 0.01 * rng.standard_normal(time.size) for label in labels
    ]
    return [wave.astype(np.float32) for wave in waves], labels


def draw(*shape):
    return (0.3 * np.random.default_rng(sum(shape)).standard_normal(shape)).astype(np.float32)


def saved(folder, nodes, shape, constants, name="network.onnx"):
    from onnx_models import model, save

    return save(model(nodes, shape, constants), folder, name)


def two_convolutions(folder, shape, *, classifier=True):
    """Write conv1, relu1, conv2, relu2, the mean and a classifier of three classes with its softmax."""
    from onnx_models import node

    channels, axes = shape[0], len(shape) - 1
    nodes = [
        node("Conv", ["x", "w1", "b1"], "conv1"), node("Relu", ["conv1"], "relu1"),
        node("Conv", ["relu1", "w2"], "conv2"), node("Relu", ["conv2"], "relu2"),
    ]  # fmt: skip
    constants = {"w1": draw(4, channels, *[3] * axes), "b1": draw(4), "w2": draw(6, 4, *[3] * axes)}
    if classifier:
        nodes += [
            node("GlobalAveragePool", ["relu2"], "mean"), node("Flatten", ["mean"], "flat"),
            node("Gemm", ["flat", "wd", "bd"], "scores"), node("Softmax", ["scores"]),
        ]  # fmt: skip
        constants |= {"wd": draw(6, 3), "bd": draw(3)}
    else:
        nodes[-1] = node("Relu", ["conv2"])
    return saved(folder, nodes, shape, constants)


def of_fixed_size(folder, shape):
    """Write a convolution whose output is flattened for a dense layer, which needs the size that the file declares."""
    from onnx_models import node

    channels, *size = shape
    outputs = 4 * int(np.prod([n - 2 for n in size]))
    nodes = [
        node("Conv", ["x", "w"], "conv1"), node("Flatten", ["conv1"], "flat"),
        node("Gemm", ["flat", "wd"], "dense1"), node("Relu", ["dense1"], "relu1"), node("Gemm", ["relu1", "we"]),
    ]  # fmt: skip
    constants = {"w": draw(4, channels, *[3] * len(size)), "wd": draw(outputs, 5), "we": draw(5, 2)}
    return saved(folder, nodes, shape, constants)


def planned(path, waves=None, **settings):
    """Return the plan for two tones in memory, without training."""
    x, y = clips() if waves is None else waves
    chosen = Settings(init=path, **{"sample_rate": RATE, "reject": False, **settings})
    data = labelled(x, y, [None] * len(x), chosen.sample_rate)
    return resolve(chosen, data, load_named(chosen))


def with_its_bits(classifier, x, folder):
    """Assert that the model in a file predicts the same bits; return it."""
    classifier.save(folder / "model.safetensors")
    loaded = Model.load(folder / "model.safetensors")
    given = np.stack([wave[: loaded.clip_samples] for wave in x])
    np.testing.assert_array_equal(loaded.predict(given), classifier.model_.predict(given))
    return loaded


# --- spectrograms, samples, pictures ---


@pytest.mark.parametrize("shape", [(1, 101, 32), (32, 101)], ids=["2-d", "1-d"])
def test_a_spectrogram_network_is_the_body_of_a_classifier(shape, tmp_path):
    path = two_convolutions(tmp_path, shape)
    x, y = clips()
    classifier = ac.Classifier(init=path, **QUICK).fit(x, y)
    model = classifier.model_
    assert model.front_end == LogMel.for_rate(RATE, mel_bands=32, floor=model.front_end.floor)
    assert model.input_shape == ((101, 32, 1) if len(shape) == 3 else (101, 32))
    body, *head = model.network.layers
    assert [type(layer) for layer in body.layers[:4]] == [L.Conv, L.ReLU, L.Conv, L.ReLU]
    assert isinstance(head[-1], L.Dense)
    assert "Dense" not in str(body)  # the one of three classes is left out, with its softmax
    loaded = with_its_bits(classifier, x, tmp_path)
    about = loaded.provenance["pretrained"]
    assert about == {
        "name": "network.onnx", "framework": "ONNX", "layer": None, "licence": None,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert loaded.provenance["began_with"] == "network.onnx"
    assert loaded.provenance["settings"]["init"] == "network.onnx"


def test_it_begins_with_the_parameters_of_the_file_and_the_scale_of_the_clips(tmp_path):
    path = two_convolutions(tmp_path, (1, 101, 32))
    x, y = clips()
    model = ac.Classifier(init=path, learning_rate=1e-12, normalise_clips=False, **QUICK).fit(x, y).model_
    np.testing.assert_array_equal(model.params["0"]["0"]["weight"], draw(4, 1, 3, 3).transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(model.params["0"]["0"]["bias"], draw(4))
    features = model.front_end(np.stack(x))
    inside = (
        features.min(axis=(0, 1)) <= model.normalisation.mean,
        model.normalisation.mean <= features.max(axis=(0, 1)),
    )
    assert np.all(inside)
    assert (model.normalisation.mean != 0).all()


def test_the_body_learns_with_the_lower_rate(tmp_path):
    path = two_convolutions(tmp_path, (1, 101, 32))
    begun = planned(path).pretrained
    ((beginning, factor),) = begun.rates
    network, params = begun.begin(("a", "b"), (101, 32, 1), np.random.default_rng(0))
    own = [name for name in L.flatten(params) if not name.startswith(beginning)]
    assert own == [f"{len(network.layers) - 1}.weight", f"{len(network.layers) - 1}.bias"]
    assert 0 < factor < 1


def test_it_is_cut_at_a_layer(tmp_path):
    path = two_convolutions(tmp_path, (1, 101, 32))
    x, y = clips()
    classifier = ac.Classifier(init=path, init_layer="relu1", **QUICK).fit(x, y)
    body, *head = classifier.model_.network.layers
    assert [type(layer) for layer in body.layers] == [L.Conv, L.ReLU]
    assert [type(layer) for layer in head] == [L.GlobalAvgPool, L.Dropout, L.Dense]
    loaded = with_its_bits(classifier, x, tmp_path)
    assert loaded.provenance["pretrained"]["layer"] == loaded.provenance["settings"]["init_layer"] == "relu1"
    assert loaded.provenance["began_with"] == "network.onnx up to relu1"


def test_a_network_of_samples(tmp_path):
    path = two_convolutions(tmp_path, (1, RATE))
    x, y = clips()
    classifier = ac.Classifier(init=path, **QUICK).fit(x, y)
    assert classifier.model_.front_end == RawSamples(RATE)
    assert classifier.model_.input_shape == (RATE, 1)
    with_its_bits(classifier, x, tmp_path)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_of_pictures_decides_their_size(channels, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs the extra: pip install 'audioconv[images]'")
    path = two_convolutions(tmp_path, (channels, 12, 14))
    for label, grey in (("dark", 20), ("light", 200)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for n in range(6):
            image.new("L", (20, 20), grey + 3 * n).save(tmp_path / "data" / label / f"{n}.png")
    settings = {"epochs": 1, "batch_size": 8, "augment": False, "init": path}
    classifier = ac.Classifier.train(tmp_path / "data", **settings)
    assert classifier.model_.input_shape == (12, 14, channels)
    assert classifier.model_.kind == "images"
    classifier.save(tmp_path / "model.safetensors")
    again = ac.Classifier.load(tmp_path / "model.safetensors")
    file = tmp_path / "data" / "dark" / "0.png"
    np.testing.assert_array_equal(again.predict_proba([file]), classifier.predict_proba([file]))
    larger = ac.Classifier.train(tmp_path / "data", image_size=(16, 16), **settings)  # no layer needs a size
    assert larger.model_.input_shape == (16, 16, channels)


def test_pictures_in_memory_are_not_scaled(tmp_path):
    path = of_fixed_size(tmp_path, (1, 12, 14))
    pictures, y = np.random.default_rng(0).random((8, 12, 14, 1)), ["a", "b"] * 4
    assert ac.Classifier(init=path, epochs=1, augment=False).fit(pictures, y).model_.input_shape == (12, 14, 1)
    with pytest.raises(
        ConfigError, match=r"network\.onnx: takes pictures \(12, 14, 1\), but those of arrays would be "
    ):
        ac.Classifier(init=path).fit(np.zeros((8, 20, 20, 1)), y)
    with pytest.raises(
        ConfigError, match=r"takes \(12, 14, 1\), but the pictures are \(12, 14, 3\); give them 1 channel"
    ):
        ac.Classifier(init=path).fit(np.zeros((8, 12, 14, 3)), y)


def test_another_model_begins_with_one_that_began_so(tmp_path):
    path = two_convolutions(tmp_path, (1, 101, 32))
    x, y = clips()
    ac.Classifier(init=path, **QUICK).fit(x, y).save(tmp_path / "first.safetensors")
    settings = {name: value for name, value in QUICK.items() if name != "sample_rate"}
    others = [{"low": "deep", "high": "bright"}[label] for label in y]
    second = ac.Classifier(init=tmp_path / "first.safetensors", **settings).fit(x, others).model_
    assert second.labels == ("bright", "deep")
    assert second.provenance["began_with"] == "first.safetensors"
    assert second.provenance["pretrained"]["name"] == "network.onnx"
    assert load_named(Settings(init=tmp_path / "first.safetensors")).rates[0][0] == "0."


def test_a_keras_network(tmp_path):
    from keras_files import conv_settings, layer, sequential, write_keras

    found = [
        layer("InputLayer", "in", batch_shape=[None, None, 20]),
        layer("Conv1D", "early", filters=4, kernel_size=[3], **conv_settings(1)),
        layer("GlobalAveragePooling1D", "mean", keepdims=False, data_format="channels_last"),
        layer("Dense", "last", units=3, activation="softmax", use_bias=True),
    ]
    weights = {"early": [draw(3, 20, 4), draw(4)], "last": [draw(4, 3), draw(3)]}
    plan = planned(write_keras(tmp_path / "network.keras", sequential(found), weights))
    assert plan.pretrained.about["framework"] == "Keras"
    assert plan.input_shape == (101, 20)  # the file leaves the number of frames open
    with pytest.raises(ConfigError, match=r"network\.keras: has no layer, node or tensor 'earl'; did you mean 'early'"):
        planned(tmp_path / "network.keras", init_layer="earl")


# --- the window ---


def test_a_network_that_needs_no_size_takes_the_window_of_the_data(tmp_path):
    path = two_convolutions(tmp_path, (1, 40, 32))
    assert planned(path).input_shape == (101, 32, 1)
    assert planned(path, clip_seconds=0.5).input_shape == (51, 32, 1)


@pytest.mark.parametrize("time", [None, "time"])
def test_a_number_of_frames_that_the_file_leaves_open(time, tmp_path):
    assert planned(two_convolutions(tmp_path, (1, time, 32))).input_shape == (101, 32, 1)


def test_a_number_of_bands_that_the_file_leaves_open_is_the_usual_one(tmp_path):
    assert planned(two_convolutions(tmp_path, (1, None, None))).input_shape == (101, 40, 1)


def test_the_window_becomes_that_of_a_fixed_size(tmp_path):
    found = planned(of_fixed_size(tmp_path, (1, 98, 32)))  # frames without padding: a little less than the second
    assert found.input_shape == (98, 32, 1)
    assert found.windows.seconds == found.spec.clip_samples / RATE == pytest.approx(0.975)
    x, y = clips()
    model = ac.Classifier(init=of_fixed_size(tmp_path, (1, 98, 32)), **QUICK).fit(x, y)
    with_its_bits(model, x, tmp_path)


def test_a_fixed_size_that_does_not_hold_the_words_is_refused_with_both(tmp_path):
    path = of_fixed_size(tmp_path, (1, 50, 32))
    message = (
        r"network\.onnx: takes \(50, 32, 1\), which is 50 frames or 0\.495 s, but the data's window of 1 s has 101 "
        r"frames at 8,000 Hz; set clip_seconds=0\.495, or cut the network before the layer that needs this size "
        r"\(init_layer\)"
    )
    with pytest.raises(ConfigError, match=message):
        planned(path)
    assert planned(path, clip_seconds=0.495).input_shape == (50, 32, 1)  # as the message says
    assert planned(path, init_layer="conv1").input_shape == (101, 32, 1)
    with pytest.raises(ConfigError, match=r"the data's window of 0\.3 s has 31 frames"):
        planned(path, clip_seconds=0.3)


def test_fixed_samples(tmp_path):
    with pytest.raises(
        ConfigError, match=r"which is 4,000 samples or 0\.5 s, but .* 8,000 samples .*; set clip_seconds=0\.5"
    ):
        planned(of_fixed_size(tmp_path, (1, 4000)))
    assert planned(of_fixed_size(tmp_path, (1, 4000)), clip_seconds=0.5).input_shape == (4000, 1)


def test_coefficients_instead_of_bands(tmp_path):
    path = two_convolutions(tmp_path, (1, 101, 13))
    found = planned(path, front_end="mfcc")
    assert isinstance(found.spec.front_end, Mfcc)
    assert found.input_shape == (101, 13, 1)
    with pytest.raises(ConfigError, match=r"takes spectrograms \(101, 13, 1\), so the front end cannot be 'raw'"):
        planned(path, front_end="raw")


# --- what is refused ---


def test_an_unknown_layer_is_answered_with_near_ones(tmp_path):
    path = two_convolutions(tmp_path, (1, 101, 32))
    with pytest.raises(
        ConfigError, match=r"network\.onnx: has no layer, node or tensor 'conv3'; did you mean .*'conv[12]'"
    ):
        planned(path, init_layer="conv3")


def test_a_network_of_pictures_does_not_begin_one_of_sounds(tmp_path):
    with pytest.raises(ConfigError, match=r"network\.onnx: is a model of pictures, but arrays holds audio"):
        planned(two_convolutions(tmp_path, (3, 20, 20)))
    with pytest.raises(ConfigError, match=r"network\.onnx: is a model of sound, but arrays holds images"):
        ac.Classifier(init=two_convolutions(tmp_path, (40, 101))).fit(np.zeros((8, 20, 20, 1)), ["a", "b"] * 4)


def test_an_input_that_is_neither_is_refused(tmp_path):
    from onnx_models import node

    with pytest.raises(ConfigError, match=r"takes inputs of shape \(20, 20, 4\); training begins with networks of"):
        planned(two_convolutions(tmp_path, (4, 20, 20)))
    nodes = [node("Gemm", ["x", "w"], "hidden"), node("Gemm", ["hidden", "v"])]
    with pytest.raises(ConfigError, match=r"takes inputs of shape \(16\)"):
        planned(saved(tmp_path, nodes, (16,), {"w": draw(16, 4), "v": draw(4, 2)}))
    with pytest.raises(ConfigError, match="has no layer with parameters"):
        planned(saved(tmp_path, [node("Relu", ["x"])], (1, 101, 32), {}))


def test_more_bands_than_there_are(tmp_path):
    message = (
        r"takes spectrograms \(32, 400, 1\) \(frames, bands\), but \d+ of 400 mel bands at 8,000 Hz would be silent"
    )
    with pytest.raises(ConfigError, match=message):
        planned(two_convolutions(tmp_path, (1, 32, 400)))


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda _: b"nothing", lambda _: b""])
def test_a_damaged_file(damage, tmp_path):
    path = two_convolutions(tmp_path, (1, 101, 32))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelFileError, match=r"network\.onnx: (truncated or damaged|not an ONNX file)"):
        planned(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"none\.onnx: cannot be read"):
        planned(tmp_path / "none.onnx")


def test_weights_alone(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"w\.pt: holds weights without their network; write the network to an ONNX"):
        planned(tmp_path / "w.pt")


def test_settings_that_do_not_go_together(tmp_path):
    path = two_convolutions(tmp_path, (1, 101, 32))
    with pytest.raises(ConfigError, match=r"network\.onnx: is a network of its own; leave out arch='cnn'"):
        planned(path, arch="cnn")
    for init in ("auto", None):
        with pytest.raises(ConfigError, match="init_layer says where to cut a network of another framework; name its"):
            check(Settings(init=init, init_layer="conv1"), "audio")
    with pytest.raises(ConfigError, match="leave it out for this init"):
        load_named(Settings(init="model.safetensors", init_layer="conv1"))


# --- the command ---


def test_the_command_trains_and_tells(tmp_path, capsys):
    path = two_convolutions(tmp_path, (1, 101, 32))
    x, y = clips()
    for n, (wave, label) in enumerate(zip(x, y, strict=True)):
        (tmp_path / "words" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "words" / label / f"{n}.wav", wave, RATE)
    out, model = tmp_path / "out", tmp_path / "out" / "model.safetensors"
    options = ["--init", path, "--init-layer", "relu1", "--epochs", "1", "--no-augment", "--no-reject"]
    code = run([str(word) for word in ("train", tmp_path / "words", "-o", out, *options)])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    about = f"network.onnx up to relu1 (ONNX, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}...)"
    assert f"pretrained  {about}, licence unknown" in shown.out.replace("\n", "")
    assert run(["info", str(model)]) == 0
    shown = capsys.readouterr().out
    assert f"pretrained  {about}, licence unknown" in shown
    assert "network auto" not in shown
    assert run(["info", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["provenance"]["pretrained"]["layer"] == "relu1"
    code = run(
        [str(word) for word in ("train", tmp_path / "words", "-o", tmp_path / "b", *options[:2], "--init-layer", "rel")]
    )
    assert code == 2
    assert "network.onnx: has no layer, node or tensor 'rel'" in capsys.readouterr().err
