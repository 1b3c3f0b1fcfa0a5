"""YAMNet: where its file is found, what is read of it, and which sounds begin with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import loopback
import numpy as np
import pytest
import soundfile

import audioconv as ac
from audioconv import architectures
from audioconv import layers as L
from audioconv.architectures.sounds import SILENCE, yamnet_layers
from audioconv.audio.read import read as read_recording
from audioconv.datasets.catalogue import Remote
from audioconv.datasets.collection import Collection, Item
from audioconv.errors import ConfigError, DataError, ModelFileError
from audioconv.features.front_ends import LogMel
from audioconv.model import Model
from audioconv.recipe import plan, published_networks, yamnet
from audioconv.recipe.labelled import LabelledFiles
from audioconv.recipe.plan import resolve
from audioconv.recipe.pretrained import Yamnet, load_named
from audioconv.recipe.published_networks import WITHOUT_YAMNET
from audioconv.recipe.settings import Settings

NAME = "lite-model_yamnet_classification_tflite_1.tflite"
CONTENT = b"stands for the published file"
QUICK = {"epochs": 1, "batch_size": 8, "augment": False, "reject": False}
RATE, SECONDS = 16000, 4.0


@pytest.fixture(scope="module")
def published(mirror):
    """Return the published file."""
    if not (mirror / NAME).is_file():
        pytest.skip(f"AUDIOCONV_MIRROR has no {NAME}")
    return mirror / NAME


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Let `CONTENT` be what is published, and be in no mirror and no cache."""
    for name in (*loopback.PROXIES, "AUDIOCONV_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AUDIOCONV_CACHE_DIR", str(tmp_path / "cache"))
    publish(monkeypatch, f"http://127.0.0.1:9/{NAME}")


def publish(monkeypatch, url):
    digest = hashlib.sha256(CONTENT).hexdigest()
    monkeypatch.setattr(yamnet, "FILE", Remote(url, size=len(CONTENT), sha256=digest))


def put(folder, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(content)
    return folder / NAME


@pytest.fixture(scope="module")
def params():
    """Return drawn parameters of the network."""
    return yamnet_layers().init((301, 64, 1), np.random.default_rng(7))


@pytest.fixture
def here(params, monkeypatch):
    """Let it be on this machine, with drawn parameters."""
    found = Yamnet(Path(NAME), params)
    monkeypatch.setattr(published_networks, "find_yamnet", lambda: found)
    return found


# --- where it is found ---


@pytest.mark.usefixtures("nowhere")
def test_it_may_be_nowhere():
    assert yamnet.locate() is None
    assert yamnet.find() is None
    assert published_networks.find_yamnet() is None


@pytest.mark.usefixtures("nowhere")
def test_it_is_looked_for_in_mirror_cache_and_release_in_this_order(tmp_path, monkeypatch):
    asked = []

    def get(handler):
        asked.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT)

    cached, mirrored = put(tmp_path / "cache" / "pretrained"), put(tmp_path / "mirror")
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(tmp_path / "mirror"))
    assert yamnet.locate() == (mirrored, "mirror")
    mirrored.unlink()
    assert yamnet.locate() == (cached, "cache")
    cached.unlink()
    with loopback.Loopback(get) as server:
        publish(monkeypatch, f"{server.url}/{NAME}")
        assert yamnet.find() is None  # nothing is downloaded unasked
        assert asked == []
        assert yamnet.find(download=True) == cached == yamnet.find(download=True)
    assert (asked, cached.read_bytes()) == ([f"/{NAME}"], CONTENT)


@pytest.mark.usefixtures("nowhere")
def test_another_file_in_its_place_is_an_error(tmp_path):
    wrong = put(tmp_path / "cache" / "pretrained", bytes(len(CONTENT)))  # as long as the published one
    for download in (False, True):
        with pytest.raises(DataError) as caught:
            yamnet.find(download=download)
        assert str(caught.value).startswith(f"{wrong}: is not the file that {NAME} should be")


def test_only_the_published_file_is_read(tmp_path):
    with pytest.raises(ModelFileError) as caught:
        yamnet.read(put(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path / NAME}: is not the published YAMNet (SHA-256 10c95ea3eb9a...")


# --- what is read ---


def test_it_has_the_size_that_was_published():
    """3.75 million weights and 69.2 million multiplications for 0.96 s, its 521 outputs included."""
    size = L.summary(yamnet_layers(), (96, 64, 1))
    assert yamnet_layers().out_shape((96, 64, 1)) == (3, 2, 1024)
    assert size.multiply_adds + 521 * 1024 == pytest.approx(69.2e6, rel=0.001)
    assert size.parameters + 521 * 1025 == pytest.approx(3.75e6, rel=0.01)


@pytest.mark.parametrize("integers", [False, True])
def test_parameters_of_a_tflite_file(integers, params, rng):
    """Another program's way of writing such a network: float32, or integers with a scale for each filter."""
    pytest.importorskip("flatbuffers", reason="needs the extra: pip install 'audioconv[export]'")
    from audioconv.export import tflite
    from audioconv.export.calibration import candidates
    from audioconv.export.description import describe

    network = L.Chain([*yamnet_layers().layers, L.GlobalAvgPool(), L.Dense(3)])
    head = network.init((32, 64, 1), rng)[str(len(network.layers) - 1)]
    biased = {place: dict(of_layer) for place, of_layer in params.items()}
    for of_layer in biased.values():
        if "bias" in of_layer:
            of_layer["bias"] = rng.uniform(0.1, 0.5, of_layer["bias"].shape).astype(np.float32)
    model = Model(
        network=network,
        params={**biased, str(len(network.layers) - 1): head},
        labels=("a", "b", "c"),
        input_shape=(32, 64, 1),
        front_end=yamnet.front_end(),
        clip_samples=31 * 160,
        normalisation=yamnet.normalisation(),
    )
    graph = describe(model, from_features=True)
    ranges = None
    if integers:
        ranges = next(iter(candidates(model, graph, rng.normal(-40, 9, (8, 32, 64)).astype(np.float32))))
    found = yamnet.arrays_of(tflite.write(graph, {}, ranges))
    assert found.keys() == params.keys()
    for place, of_layer in biased.items():
        assert found[place].keys() == of_layer.keys()
        for name, array in of_layer.items():
            if not integers:
                np.testing.assert_array_equal(found[place][name], array)
            elif name == "weight":  # half a step of its filter, of which the greatest weight has 127
                filters = np.abs(array).reshape(-1, array.shape[-1])
                assert (np.abs(found[place][name] - array) <= 0.51 * filters.max(axis=0) / 127).all()
            else:
                np.testing.assert_allclose(found[place][name], array, rtol=0.02)


@pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all_tensors`")
def test_its_embeddings_of_sounds_are_near_to_those_of_litert(published, test_data):
    """Means of the last convolution's outputs. The published file computes them in integers, of its own features."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="needs the extra: 'audioconv[export]'")
    program = interpreter.Interpreter(str(published), experimental_preserve_all_tensors=True, num_threads=1)
    program.allocate_tensors()
    (given,) = program.get_input_details()
    means, patch = (
        next(one for one in program.get_tensor_details() if one["name"].endswith(name))
        for name in ("reduce_mean", "feature_patch")
    )
    scale, zero = means["quantization"]
    network, params = yamnet_layers(), yamnet.read(published)
    front_end, normalisation = yamnet.front_end(), yamnet.normalisation()
    found = []
    for label in ("dog_bark", "rooster", "rain", "chainsaw", "helicopter"):
        path = sorted((test_data / "esc-10" / label).glob("*.ogg"))[0]
        samples = np.resize(read_recording(path, RATE), 15600).astype(np.float32)
        program.set_tensor(given["index"], samples)
        program.invoke()
        theirs = (program.get_tensor(means["index"]).astype(np.float32).reshape(-1) - zero) * scale
        own = normalisation(front_end.frames(samples[None], 0, 96))
        inputs = np.concatenate([program.get_tensor(patch["index"]), own])
        ours, _ = network.forward(params, inputs[..., None], L.Pass())
        found.append([np.corrcoef(mean, theirs)[0, 1] for mean in ours.mean(axis=(1, 2))])
    with_published, with_own = np.transpose(found)
    assert with_published.min() > 0.999
    assert with_own.min() > 0.85  # of a chainsaw, most of whose frequencies are tones
    assert with_own.mean() > 0.93


# --- its front end ---


def published_features(samples):
    """Return the logarithm of the magnitudes in each band, (frames, 64), as the published front end has them."""
    librosa = pytest.importorskip("librosa")
    front_end = yamnet.front_end()
    filters = librosa.filters.mel(
        sr=RATE, n_fft=512, n_mels=64, fmin=125, fmax=7500, htk=True, norm=None, dtype=np.float64
    )
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(samples, 256), 512)[:: front_end.hop_length]
    return np.log(np.abs(np.fft.rfft(framed * window)) @ filters.T + 0.001)


def test_features_of_noise_are_those_of_the_published_front_end(rng):
    samples = 0.1 * rng.standard_normal(10 * RATE)
    wanted = published_features(samples)
    found = yamnet.normalisation()(yamnet.front_end()(samples)[0])
    assert found.shape == wanted.shape
    difference = (found - wanted).mean(axis=0)
    assert np.abs(difference).max() < 0.13
    assert np.std(found - wanted) < 0.07


def test_features_of_sounds_are_near_to_those_of_the_published_front_end(test_data):
    differences = []
    for label in ("dog_bark", "rain", "rooster", "clock_tick"):
        samples = read_recording(sorted((test_data / "esc-10" / label).glob("*.ogg"))[0], RATE)
        found = yamnet.normalisation()(yamnet.front_end()(samples)[0])
        wanted = published_features(samples)
        assert wanted.min() >= SILENCE - 1e-6
        differences.append(np.maximum(found, SILENCE) - wanted)
    assert np.sqrt(np.mean(np.concatenate(differences) ** 2)) < 0.2


@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_htk_filters_are_those_of_librosa(rate):
    librosa = pytest.importorskip("librosa")
    front_end = LogMel.for_rate(rate, mel_scale="htk", mel_bands=20, min_frequency=50.0)
    wanted = librosa.filters.mel(
        sr=rate, n_fft=front_end.fft_length, n_mels=20, fmin=50.0, fmax=rate / 2, htk=True, dtype=np.float64
    )
    np.testing.assert_allclose(front_end.mel_filters(), wanted, atol=1e-12)
    edges = librosa.mel_frequencies(22, fmin=50.0, fmax=rate / 2, htk=True)
    np.testing.assert_allclose(front_end.band_edges(), edges, rtol=1e-9)


def test_an_unknown_mel_scale():
    with pytest.raises(ConfigError, match=r"mel_scale must be one of \('slaney', 'htk'\), got 'bark'"):
        LogMel(mel_scale="bark")


# --- what begins with it ---


def hums(rng, count=12, seconds=SECONDS, rate=RATE):
    """Return steady sounds of two classes: low and high hums in noise."""
    time = np.arange(round(seconds * rate)) / rate
    labels = [("low", "high")[number % 2] for number in range(count)]
    clips = [
        0.2 * np.sin(2 * np.pi * rng.uniform(0.9, 1.1) * (300 if label == "low" else 2500) * time)
        + 0.02 * rng.standard_normal(len(time))
        for label in labels
    ]
    return [clip.astype(np.float32) for clip in clips], labels


def write(folder, **settings):
    rate = settings.get("rate", RATE)
    items = []
    for number, (clip, label) in enumerate(zip(*hums(np.random.default_rng(0), **settings), strict=True)):
        path = folder / label / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip, rate)
        items.append(Item(path, label, None))
    return Collection(tuple(items), "audio", "hums")


def begun(collection, **settings):
    chosen = Settings(**settings)
    return resolve(chosen, LabelledFiles.of(collection), load_named(chosen))


@pytest.mark.parametrize("rate", [16000, 44100])
def test_sounds_begin_with_it(rate, here, tmp_path):
    found = begun(write(tmp_path, rate=rate))
    assert found.pretrained is here
    assert found.arch == "yamnet"
    assert found.spec.front_end == yamnet.front_end()
    assert found.input_shape[1:] == (64, 1)
    assert (found.learning_rate, found.batch_size) == (plan.PUBLISHED_LEARNING_RATE, plan.PUBLISHED_BATCH_SIZE)
    assert found.epoch_count(10_000) == plan.YAMNET_EPOCHS
    assert found.notes == ()


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        ({"rate": 8000}, {}),
        ({"rate": 96000}, {}),
        ({}, {"front_end": "log-mel"}),
        ({}, {"sample_rate": 8000}),
        ({}, {"arch": "cnn"}),
        ({}, {"init": None}),
    ],
    ids=["8 kHz", "ultrasound", "a front end", "a rate", "a network", "asked"],
)
@pytest.mark.parametrize("is_here", [True, False])
def test_everything_else_does_not_and_nothing_is_noted(data, settings, is_here, here, tmp_path, monkeypatch):
    if not is_here:
        monkeypatch.setattr(published_networks, "find_yamnet", lambda: None)
    found = begun(write(tmp_path, **data), **settings)
    assert (found.pretrained, found.notes) == (None, ())
    assert found.arch != "yamnet"


@pytest.mark.usefixtures("no_yamnet")
def test_without_it_a_note_says_what_would_be_better(tmp_path):
    found = begun(write(tmp_path))
    assert (found.pretrained, found.arch, found.notes) == (None, "tc-cnn-events", (WITHOUT_YAMNET,))
    assert "--init yamnet) downloads its 4.1 MB" in WITHOUT_YAMNET


@pytest.mark.parametrize("settings", [{"init": "yamnet"}, {"arch": "yamnet"}], ids=str)
def test_it_is_downloaded_where_it_is_asked_for(settings, params, tmp_path, monkeypatch):
    asked = []

    def find(*, download=False):
        asked.append(download)
        return tmp_path / NAME

    monkeypatch.setattr(yamnet, "find", find)
    monkeypatch.setattr(yamnet, "read", lambda path: params)
    found = begun(write(tmp_path), **settings)
    assert isinstance(found.pretrained, Yamnet)
    assert (found.arch, asked) == ("yamnet", [True])


def test_words_may_be_asked_to_begin_with_it(here, tmp_path, monkeypatch):
    monkeypatch.setattr(yamnet, "find", lambda **_: Path(NAME))
    monkeypatch.setattr(yamnet, "read", lambda path: here.params)
    assert begun(write(tmp_path, seconds=1.0), init="yamnet", clip_seconds=1.0).input_shape == (101, 64, 1)
    with pytest.raises(ConfigError, match=r"needs a window of at least 0.5 s, it is 0.3 s"):
        begun(write(tmp_path, seconds=1.0), init="yamnet", clip_seconds=0.3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "cnn"}, "only the network yamnet begins with it; leave out arch='cnn'"),
        ({"sample_rate": 8000}, "sample_rate is what the model has that training begins with; leave it out"),
        ({"front_end": "mfcc"}, "front_end is what the model has that training begins with; leave it out"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_what_cannot_be_chosen_beside_it(settings, message):
    with pytest.raises(ConfigError) as caught:
        load_named(Settings(init="yamnet", **settings))
    assert str(caught.value) == message


def test_its_layers_do_not_learn_and_a_model_predicts_the_same_bits_from_its_file(here, rng, tmp_path):
    clips, labels = hums(rng)
    classifier = ac.Classifier(**QUICK).fit(clips, labels)
    model = classifier.model_
    assert (model.input_shape[1:], model.network) == ((64, 1), architectures.build("yamnet", 2))
    learned = L.flatten(model.params["0"])
    for path, array in L.flatten(here.params).items():
        np.testing.assert_array_equal(learned[path], array)
    about = model.provenance
    assert (about["began_with"], about["settings"]["arch"]) == ("yamnet", "yamnet")
    assert about["pretrained"] == {"name": "yamnet", "licence": yamnet.LICENCE, "sha256": yamnet.SHA256}
    classifier.save(tmp_path / "m.safetensors")
    loaded = Model.load(tmp_path / "m.safetensors")
    assert loaded.front_end == yamnet.front_end()
    again = ac.Classifier.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict_proba(clips), classifier.predict_proba(clips))


def test_what_begins_with_such_models_does_not_train_its_layers_either(here, rng, tmp_path):
    clips, labels = hums(rng)
    ac.Classifier(**QUICK, ensemble_size=2).fit(clips, labels).save(tmp_path / "m.safetensors")
    again = load_named(Settings(init=tmp_path / "m.safetensors"))
    assert again.rates == (("0.0.", 0.0), ("1.0.", 0.0))
    assert again.about["name"] == "yamnet"
