"""What is chosen where the user does not say, and beginning with a model."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import audioconv as ac
from audioconv import layers as L
from audioconv.errors import ConfigError
from audioconv.model import Model
from audioconv.pipeline import inputs
from audioconv.recipe import choose_input, plan, pretrained, train, transfer
from audioconv.recipe.plan import choose
from audioconv.recipe.settings import Settings, check
from audioconv.training import budget
from audioconv.training.fitting import ArrayData

RATE = 4000
WORD = choose_input.choose_audio_input(None, [16000], 1.0)
QUICK = {"arch": "tc-resnet8", "epochs": 2, "batch_size": 16, "sample_rate": RATE, "augment": False, "reject": False}


def tones(*frequencies, count=16):
    rng, time_ = np.random.default_rng(0), np.arange(RATE) / RATE
    waves = [np.sin(2 * np.pi * f * rng.uniform(0.97, 1.03) * time_) for f in frequencies for _ in range(count)]
    labels = [f"{f} Hz" for f in frequencies for _ in range(count)]
    return [(0.3 * wave).astype(np.float32) for wave in waves], labels


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    ac.Classifier(**QUICK).fit(*tones(300, 900, 1500)).save(path)
    return path


@pytest.fixture(scope="module")
def wavs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wavs")
    for n, (samples, label) in enumerate(zip(*tones(300, 900), strict=True)):
        (folder / label).mkdir(exist_ok=True)
        soundfile.write(folder / label / f"{n}.wav", samples, RATE)
    return folder


# --- what is chosen ---


def test_what_the_user_says_holds():
    found = choose(Settings(arch="tc-resnet8", epochs=3, learning_rate=0.1, mixup=0.5), WORD)
    assert (found.epoch_count(100), found.learning_rate, found.mixup) == (3, 0.1, 0.5)


def test_what_the_user_does_not_say_is_the_recipe():
    found = choose(Settings(arch="bc-resnet-1"), WORD)
    assert (found.epoch_count(10_000), found.learning_rate, found.mixup) == (
        plan.EPOCHS,
        plan.LEARNING_RATE,
        plan.MIXUP,
    )


@pytest.mark.parametrize(
    ("source", "arch"),
    [
        (WORD, "tc-cnn-l"),
        (choose_input.choose_audio_input(None, [16000], 5.0), "tc-cnn-events"),
        (choose_input.choose_audio_input(None, [16000], 5.0, front_end="mfcc"), "cnn"),
        (choose_input.choose_audio_input(None, [16000], 5.0, front_end="raw"), "m5-32"),
        (inputs.ImageInput((28, 28, 1)), "cnn"),
    ],
)
def test_the_network_fits_the_input(source, arch):
    assert choose(Settings(), source).arch == arch
    assert choose(Settings(arch="tc-cnn"), source).arch == "tc-cnn"


@pytest.mark.parametrize(("examples", "epochs"), [(40, 300), (200, 75), (1000, 60)])
def test_few_examples_are_gone_through_more_often(examples, epochs):
    assert choose(Settings(), WORD).epoch_count(examples) == epochs


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arch": "cnnn"}, "did you mean cnn"),
        ({"budget": 60.0, "epochs": 3}, "give one of budget and epochs"),
        ({"budget": 0.0}, "more than 0 seconds"),
    ],
)
def test_what_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        check(Settings(**settings), "audio")


# --- a budget ---


class OneClock:
    """Epochs of half a second for the examples that are tried, and no time beside them."""

    history = (SimpleNamespace(seconds=9.0), SimpleNamespace(seconds=0.5))
    params = None


@pytest.mark.parametrize(("seconds", "epochs"), [(60, 10), (6, 1), (600, 103)])
def test_as_many_epochs_as_fit(monkeypatch, seconds, epochs):
    monkeypatch.setattr(budget, "fit", lambda *args, **more: OneClock)
    monkeypatch.setattr(budget.time, "perf_counter", lambda: 5.0)
    data = ArrayData(np.zeros((1000, 3), np.float32), np.arange(1000) % 2)
    # Twelve batches of eight take 0.5 s, so an epoch takes 5.2 s; nine tenths of the time are planned for.
    assert budget.epochs_within(seconds, L.Dense(2), data, None, None, 8) == epochs


def test_a_budget_chooses_the_epochs_and_a_resumed_run_keeps_them(tmp_path, wavs, monkeypatch):
    settings = {**QUICK, "epochs": None, "budget": 4.0, "refit": False}
    monkeypatch.setattr(train, "epochs_within", lambda *_: 5)
    first = ac.Classifier.train(wavs, checkpoints=tmp_path, **settings)
    made_with = first.model_.provenance["settings"]
    assert (made_with["epochs"], made_with["budget"]) == (5, None)  # the file says what to repeat
    assert len(first.report_.history) == 5
    monkeypatch.setattr(train, "epochs_within", lambda *_: 7)  # the machine is faster now
    again = ac.Classifier.train(wavs, checkpoints=tmp_path, resume=True, **settings)
    assert len(again.report_.history) == 5


def test_no_budget_is_too_small_for_an_epoch():
    network = L.Chain([L.Flatten(), L.Dense(2)])
    data = ArrayData(np.zeros((40, 3), np.float32), np.arange(40) % 2)
    assert budget.epochs_within(1e-9, network, data, None, None, 8) == 1


# --- beginning with a model ---


def test_the_body_is_the_models_and_the_head_is_new(model):
    before = Model.load(model)
    network, params = transfer.begin_from(before, ("a", "b"), np.random.default_rng(0))
    assert network.out_shape(before.input_shape) == (2,)
    old, new = L.flatten(before.params), L.flatten(params)
    assert old.keys() == new.keys()
    changed = {path for path in old if old[path].shape != new[path].shape or (old[path] != new[path]).any()}
    head = len(network.layers) - 1
    assert changed == {f"{head}.weight", f"{head}.bias"}


def test_the_same_labels_keep_all_parameters(model):
    before = Model.load(model)
    network, params = transfer.begin_from(before, before.labels, np.random.default_rng(0))
    assert (network, params) == (before.network, before.params)


def test_training_begins_with_the_model(model):
    x, labels = tones(600, 1200, count=8)
    before = Model.load(model)
    classifier = ac.Classifier(init=model, epochs=3, batch_size=8, augment=False, reject=False).fit(x, labels)
    after = classifier.model_
    assert after.labels == ("1200 Hz", "600 Hz")
    assert after.front_end == before.front_end
    np.testing.assert_array_equal(after.normalisation.mean, before.normalisation.mean)
    assert after.normalisation.by_clip == before.normalisation.by_clip
    settings = after.provenance["settings"]
    assert settings["init"] == "model.safetensors"
    assert (settings["arch"], settings["learning_rate"]) == ("tc-resnet8", plan.LEARNING_RATE)


def test_what_a_model_decides_cannot_be_set(model):
    x, labels = tones(600, 1200, count=8)
    with pytest.raises(ConfigError, match="sample_rate is what the model has that training begins with"):
        ac.Classifier(init=model, sample_rate=8000).fit(x, labels)


def test_a_model_that_does_not_say_its_network(tmp_path):
    network = L.Chain([L.Flatten(), L.Dense(2)])
    made = Model(network, network.init((4,), np.random.default_rng(0)), ("a", "b"), (4,))
    made.save(tmp_path / "m.safetensors")
    settings = Settings(init=tmp_path / "m.safetensors")
    with pytest.raises(ConfigError, match=r"m\.safetensors: does not say which network it is"):
        choose(settings, WORD, pretrained=pretrained.load_named(settings))


def test_a_network_without_a_dense_end():
    network = L.Chain([L.Conv(2, 3), L.GlobalAvgPool()])
    made = Model(network, network.init((8, 1), np.random.default_rng(0)), ("a", "b"), (8, 1))
    with pytest.raises(ConfigError, match="ends in a dense layer"):
        transfer.begin_from(made, ("a", "c"), np.random.default_rng(0))


def test_old_names_of_settings_work_for_a_release(tmp_path):
    """In the constructor, in `set_params`, as attributes, and in the provenance of model files."""
    with pytest.warns(DeprecationWarning, match="the setting members is called ensemble_size now"):
        classifier = ac.Classifier(members=2)
    assert classifier.ensemble_size == classifier.members == 2
    with pytest.warns(DeprecationWarning, match="the setting speak is called tts_language now"):
        classifier.set_params(speak="en")
    assert classifier.get_params()["tts_language"] == "en"
    assert "members" not in classifier.get_params()
    with pytest.raises(AttributeError, match="'Classifier' object has no attribute 'nothing'"):
        _ = classifier.nothing
    with pytest.raises(ConfigError, match="there is no setting 'nothing'"):
        classifier.set_params(nothing=1)
