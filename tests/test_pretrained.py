"""Networks to begin with: what they are, and which words begin with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest
from bursts_in_noise import words

import audioconv as ac
from audioconv import layers as L
from audioconv.model import Model
from audioconv.recipe import choose_input, pretrained
from audioconv.recipe.examples import Examples
from audioconv.recipe.plan import choose
from audioconv.recipe.settings import Settings
from audioconv.recipe.setup import prepare

FILES = sorted(Path(pretrained.__file__).parent.glob("*.safetensors"))
TESTED = {"down", "eight", "five", "go", "left", "one", "right", "up", "zero"}
WORD = choose_input.choose_audio_input("tc-cnn-l", [16000], 1.0)


@pytest.fixture(scope="module")
def base():
    (file,) = FILES
    return Model.load(file)


def setup(rng, source=WORD, changing=True, count=24, **settings):
    x, labels = words(rng, count, source.clip_samples, changing)
    nobody = [None] * len(x)
    examples = Examples(x, labels, nobody, nobody, {"name": "words"})
    return prepare(choose(Settings(reject=False, **settings), source), examples)


def test_the_base_tells_many_words_apart(base):
    assert len(base.labels) > 400
    assert base.provenance["validation_accuracy"] > 0.9
    assert base.provenance["data"]["source"].startswith("espeak-ng")
    assert base.normalisation.by_clip


def test_the_base_has_not_learned_the_words_that_results_are_measured_with(base):
    assert not TESTED & set(base.labels)


def test_the_base_names_no_folder(base):
    assert base.provenance["data"]["name"] == "common-words"
    assert not any(str(folder) in json.dumps(base.provenance) for folder in (Path.home(), Path.cwd(), gettempdir()))


def test_words_begin_with_the_base(rng, base):
    begun = setup(rng)
    assert begun.pretrained.name == FILES[0].name
    assert begun.normalisation.by_clip
    known, own = L.flatten(base.params), L.flatten(begun.params)
    head = f"{len(base.network.layers) - 1}."
    for path, array in own.items():
        if not path.startswith(head):
            np.testing.assert_array_equal(array, known[path])


def test_shorter_and_longer_words_do_too(rng):
    for seconds in (0.8, 1.7):
        source = choose_input.choose_audio_input("tc-cnn-l", [16000], seconds)
        assert setup(rng, source).pretrained is not None


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        (WORD, {"init": None}),
        (WORD, {"arch": "tc-cnn"}),
        (WORD, {"normalise_clips": False}),
        (choose_input.choose_audio_input("tc-cnn-l", [8000], 1.0), {}),
        (choose_input.choose_audio_input("tc-cnn-l", [16000], 5.0), {}),
        (choose_input.choose_audio_input("tc-cnn-l", [16000], 1.0, front_end="mfcc"), {}),
    ],
    ids=["asked", "another network", "another scale", "another rate", "no word", "another front end"],
)
def test_everything_else_begins_with_nothing(rng, source, settings):
    begun = setup(rng, source, **settings)
    assert begun.pretrained is None
    assert begun.params is None


def test_many_words_begin_with_nothing(rng):
    assert setup(rng, count=500).pretrained is None


def test_sounds_that_go_on_as_they_are_begin_with_nothing(rng):
    begun = setup(rng, changing=False)
    assert not begun.normalisation.by_clip
    assert begun.pretrained is None


@pytest.mark.usefixtures("no_speech_embedding")
def test_the_file_says_what_it_began_with(rng):
    x, labels = words(rng)
    settings = {"epochs": 1, "augment": False, "reject": False}
    begun = ac.Classifier(**settings).fit(list(x), labels).model_.provenance
    assert (begun["settings"]["arch"], begun["settings"]["init"]) == ("tc-cnn-l", "auto")
    assert begun["began_with"] == FILES[0].name
    assert ac.Classifier(init=None, **settings).fit(list(x), labels).model_.provenance["began_with"] is None


@pytest.mark.usefixtures("no_speech_embedding")
def test_each_network_of_several_begins_with_the_base(rng):
    x, labels = words(rng)
    together = ac.Classifier(epochs=1, augment=False, reject=False, ensemble_size=2).fit(list(x), labels)
    assert together.model_.provenance["began_with"] == FILES[0].name
    assert len(together.model_.network.branches) == 2


def test_a_base_for_another_front_end_is_none(tmp_path):
    louder = replace(WORD, front_end=replace(WORD.front_end, mel_bands=64))
    assert pretrained.find("tc-cnn-l", louder) is None
