"""Synthetic voices that say a classifier's words, and others, for it to learn from."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

import audioconv as ac
from audioconv import datasets
from audioconv.audio.negatives import NegativeSampler
from audioconv.errors import ConfigError
from audioconv.model import Model
from audioconv.recipe import spoken_words
from audioconv.training.callbacks import BatchEnded, ClipSpoken, RunStarted
from audioconv.training.progress import ProgressBar
from audioconv.tts.dataset import make
from audioconv.tts.espeak import EspeakVoices, family
from audioconv.tts.espeak_process import Speaker, Utterance
from audioconv.tts.voices import is_kept_for_test

pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'audioconv[synth]'")

SECOND = {"sample_rate": 16000, "clip_samples": 16000}
WORDS = ("left", "right")


EVERY = 6
"""Of so many common words one is said where not all are needed."""


@pytest.fixture
def few_words(monkeypatch):
    """Let the voices say few words that are none of the classifier's, once each."""
    few = spoken_words._common_words()[::EVERY]
    monkeypatch.setattr(spoken_words, "_common_words", lambda: few)
    monkeypatch.setattr(spoken_words, "CLIPS_OF_ANOTHER", 1)


@pytest.fixture
def sparing(few_words, monkeypatch):
    """So few clips that a test is quick."""
    monkeypatch.setattr(spoken_words, "CLIPS_OF_A_WORD", 4)


@pytest.fixture(scope="module")
def spoken():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spoken_words, "CLIPS_OF_A_WORD", 4)
        patch.setattr(spoken_words, "CLIPS_OF_ANOTHER", 1)
        return spoken_words.speak(WORDS, "en", **SECOND)


def test_words_and_others_are_clips_as_the_network_hears_them(spoken):
    assert spoken.samples.shape == (8, 16000)
    assert spoken.labels == ("left",) * 4 + ("right",) * 4
    assert spoken.negatives.dtype == np.int16
    assert spoken.negatives.shape == (spoken.about["other_words"], 16000)
    assert spoken.about["other_words"] > 450
    loudest = np.abs(spoken.negatives.astype(int)).max(axis=1)
    assert loudest.min() > 1000
    lengths = [len(np.trim_zeros(clip)) for clip in spoken.negatives]
    assert 0.1 * 16000 < min(lengths) < max(lengths)


def test_the_same_seed_says_the_same(sparing):
    first, again, other = (spoken_words.speak(WORDS, "en", **SECOND, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(again.samples, first.samples)
    assert np.array_equal(again.negatives, first.negatives)
    assert not np.array_equal(other.samples, first.samples)


def test_progress_comes_to_an_end(sparing):
    told = []
    spoken_words.speak(["left"], "en", **SECOND, progress=lambda done, clips: told.append((done, clips)))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert {clips for _, clips in told} == {len(told)}


@pytest.mark.parametrize("terminal", [True, False])
def test_it_is_shown(terminal):
    out = io.StringIO()
    with ProgressBar(Console(file=out, force_terminal=terminal, width=100, color_system=None)) as bar:
        for done in range(1, 1001):
            bar(ClipSpoken(done, 1000))
        bar(RunStarted(2, 0, 5))
        bar(BatchEnded(1, 1, 0.5, 0.5))
    text = out.getvalue()
    if terminal:
        assert "synthetic voices, clip 1,000/1,000" in text
        assert "left" in text
        assert text.rindex("synthetic voices") < text.rindex("epoch 1/2, batch 1/5")
    else:
        assert text == "synthetic voices say 1,000 clips\n"


def test_another_rate_and_length(sparing):
    spoken = spoken_words.speak(["turn_left"], "en", sample_rate=8000, clip_samples=12000)
    assert spoken.samples.shape == (4, 12000)


@pytest.mark.parametrize(("language", "word"), [("de", "nein"), ("ru", "да"), ("cmn", "你好"), ("ar", "نعم")])
def test_other_languages(sparing, language, word):
    spoken = spoken_words.speak([word], language, **SECOND)
    assert spoken.labels == (word,) * 4
    assert len(spoken.negatives) > 450 // EVERY


def test_what_sounds_like_a_word_is_not_among_the_others():
    with EspeakVoices("en") as cast:
        rest = spoken_words._out_of_vocabulary(["write", "light", "ate", "gate"], ["right", "eight"], cast)
    assert rest == ["light", "gate"]


@pytest.mark.parametrize("language", ["en", "de"])
def test_phonemes_of_several_words(language):
    with EspeakVoices(language) as cast:
        speaker, voice = cast.speaker, cast.accents[0].identifier
        apart = [speaker.phonemes(word, voice) for word in ("one", "two")]
        assert all(apart)
        assert speaker.phonemes("one, two", voice) == "".join(apart)
        assert speaker.phonemes("one", "no-such-voice") == ""
        assert speaker.say(Utterance("one", voice))  # it still speaks


def test_the_voices_that_are_kept_for_a_test_say_nothing_but_what_chooses(monkeypatch, sparing):
    used = []
    say = Speaker.say

    def listen(self, utterance):
        used.append(utterance.voice.partition("+")[2])
        return say(self, utterance)

    monkeypatch.setattr(Speaker, "say", listen)
    spoken = spoken_words.speak(WORDS, "en", **SECOND)
    assert len(set(used)) > 30
    to_choose = [is_kept_for_test(family(timbre)) for timbre in used]
    first = to_choose.index(True)
    assert all(to_choose[first:])
    assert len(spoken.calibration_negatives) == spoken.about["other_words"] <= len(used) - first


def test_half_of_the_others_are_spoken(spoken):
    words = np.tile(np.hanning(16000).astype(np.float32), (4, 1))
    others = NegativeSampler(words, np.array([0, 0, 1, 1]), 16000, spoken=np.full((3, 16000), 16384, np.int16))
    rng = np.random.default_rng(0)
    made = [others.make(rng) for _ in range(200)]
    assert all(clip.dtype == np.float32 for clip in made)
    share = np.mean([bool(np.all(clip == 0.5)) for clip in made])
    assert 0.4 < share < 0.6


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Return clips of two words by voices that nobody else has."""
    folder = make(WORDS, tmp_path_factory.mktemp("data") / "words", clips_per_word=40)
    items = [item for item in datasets.open_collection(folder).items if item.split == "test"]
    return [item.path for item in items], [item.label for item in items]


def test_the_file_tells_who_spoke(recordings, sparing, tmp_path):
    classifier = ac.Classifier(arch="tc-resnet8", epochs=1, tts_language="en").fit(*recordings)
    assert tuple(classifier.classes_) == WORDS
    classifier.save(tmp_path / "model.safetensors")
    provenance = Model.load(tmp_path / "model.safetensors").provenance
    assert provenance["settings"]["tts_language"] == "en"
    assert provenance["spoken"]["clips_of_each_word"] == 4
    assert sum(provenance["data"]["counts"]["train"].values()) < len(recordings[0])  # these are recordings alone
    without = ac.Classifier(arch="tc-resnet8", epochs=1).fit(*recordings)
    assert without.model_.provenance["spoken"] is None


def test_few_clips_are_not_gone_through_as_if_nothing_was_spoken(recordings, few_words):
    seen = []

    def stop(event):
        if isinstance(event, RunStarted):
            seen.append(event.epochs)
            raise KeyboardInterrupt

    items = [datasets.Item(path, label) for path, label in zip(*recordings, strict=True)]
    collection = datasets.Collection(tuple(items), "audio", "few")
    for settings in ({}, {"tts_language": "en"}):
        with pytest.raises(KeyboardInterrupt):
            ac.Classifier.train(collection, arch="tc-resnet8", callbacks=[stop], **settings)
    assert seen == [300, 60]


@pytest.mark.slow
def test_they_are_learned_from(few_words, monkeypatch):
    """Two words of noise, and the same two by synthetic voices: those are known afterwards."""
    rng = np.random.default_rng(0)
    noise = [0.1 * rng.standard_normal(16000).astype(np.float32) for _ in range(20)]
    monkeypatch.setattr(spoken_words, "CLIPS_OF_A_WORD", 60)
    settings = {"arch": "tc-resnet8", "epochs": 30, "augment": False, "normalise_clips": True}
    classifier = ac.Classifier(**settings, tts_language="en").fit(noise, WORDS * 10)
    heard = spoken_words.speak(WORDS, "en", **SECOND, seed=5)
    assert classifier.score(list(heard.samples), list(heard.labels)) > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tts_language": "xx"}, "espeak-ng has no language 'xx'"),
        ({"tts_language": "en", "reject": False}, "tts_language needs a classifier of sounds"),
    ],
)
def test_what_cannot_be(settings, message, recordings):
    with pytest.raises(ConfigError, match=message):
        ac.Classifier(**settings).fit(*recordings)


def test_pictures_say_nothing():
    pictures = [np.zeros((8, 8, 1), np.float32)] * 4
    with pytest.raises(ConfigError, match="tts_language needs a classifier of sounds"):
        ac.Classifier(tts_language="en").fit(pictures, ["a", "b"] * 2)


@pytest.mark.parametrize("about", [None, "text", {}, {"clips_of_each_word": "many", "clips_of_others": 3}])
def test_a_file_may_hold_anything(about):
    assert spoken_words.describe(about) is None
