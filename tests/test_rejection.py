"""Learning to say "none of these", on sounds that rise: backwards they fall, and are none of the words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile

import audioconv as ac
from audioconv.cli.training_run import how_it_decides
from audioconv.decision.classes import UNKNOWN
from audioconv.errors import ConfigError
from audioconv.features.front_ends import LogMel
from audioconv.model import Model
from audioconv.pipeline.inputs import AudioInput, ImageInput
from audioconv.recipe import deciding, plan, rejection
from audioconv.recipe.settings import Settings
from audioconv.streaming.detector import chosen_threshold

RATE = 8000
QUICK = {"arch": "tc-resnet8", "epochs": 12, "batch_size": 32, "sample_rate": RATE, "augment": False, "refit": False}
FROM = {"low": 300.0, "high": 1500.0}


def rising(frequency: float, rng: np.random.Generator) -> np.ndarray:
    """Return a word: half a second that rises by an octave, somewhere in the middle of a second."""
    length = RATE // 2
    time = np.arange(length) / RATE
    start = frequency * rng.uniform(0.95, 1.05)
    wave = np.sin(2 * np.pi * start * (time + time**2)) * np.hanning(length)
    clip = 0.001 * rng.standard_normal(RATE)
    begin = int(rng.integers(RATE // 8, 3 * RATE // 8))
    clip[begin : begin + length] += 0.3 * wave
    return clip.astype(np.float32)


def words(count: int, seed: int) -> tuple[list[np.ndarray], list[str]]:
    rng = np.random.default_rng(seed)
    labels = ["low", "high"] * count
    return [rising(FROM[label], rng) for label in labels], labels


@pytest.fixture(scope="module")
def trained() -> ac.Classifier:
    return ac.Classifier(**QUICK).fit(*words(150, 0))


def accepted(classifier: ac.Classifier, clips: list[np.ndarray]) -> float:
    return float(np.mean([prediction.accepted for prediction in classifier.predict(clips)]))


@pytest.mark.slow
def test_words_are_accepted_and_other_sounds_are_not(trained):
    clips, labels = words(40, 1)
    assert trained.score(clips, labels) > 0.95
    assert accepted(trained, clips) > 0.8
    rng = np.random.default_rng(2)
    assert accepted(trained, [clip[::-1].copy() for clip in clips]) < 0.2
    assert accepted(trained, [(0.1 * rng.standard_normal(RATE)).astype(np.float32) for _ in range(40)]) < 0.1
    assert accepted(trained, [np.zeros(RATE, np.float32)]) == 0


def test_what_was_made_is_in_the_model_and_not_among_the_answers(trained):
    model = trained.model_
    assert model.labels == (UNKNOWN, "high", "low")
    assert tuple(trained.classes_) == model.answer_labels == model.words == ("high", "low")
    assert model.decision.auxiliary == (UNKNOWN,)
    prediction = trained.predict([np.zeros(RATE, np.float32)])[0]
    assert prediction.answer is None
    assert prediction.label in trained.classes_
    assert set(prediction.scores) == set(trained.classes_)
    assert sum(prediction.scores.values()) < 1
    assert trained.predict_proba(words(2, 3)[0]).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_how_the_threshold_was_chosen_is_in_the_file(trained, tmp_path):
    trained.save(tmp_path / "m.safetensors")
    decision = Model.load(tmp_path / "m.safetensors").decision
    assert decision == trained.model_.decision
    assert decision.false_accepts == Settings().false_accepts
    assert decision.basis["others"] == rejection.CALIBRATION_NEGATIVES
    assert decision.basis["others_accepted"] <= decision.false_accepts
    assert 0 < decision.threshold < 1


def test_recordings_of_other_things_are_learned_from(tmp_path):
    rng = np.random.default_rng(5)
    (tmp_path / "others").mkdir()
    for n in range(3):  # steady tones, one of which a word passes through
        tone = np.sin(2 * np.pi * (400 + 10 * n) * np.arange(20 * RATE) / RATE) * np.hanning(RATE // 2).max()
        soundfile.write(tmp_path / "others" / f"{n}.wav", 0.2 * tone, RATE)
    classifier = ac.Classifier(**QUICK, negatives=tmp_path / "others").fit(*words(60, 0))
    time = np.arange(RATE) / RATE
    tones = [(0.2 * np.sin(2 * np.pi * 410 * time + rng.uniform(0, 6))).astype(np.float32) for _ in range(20)]
    assert accepted(classifier, tones) == 0
    assert classifier.model_.provenance["settings"]["negatives"] == "others"
    check_curve(classifier, tmp_path)


def check_curve(classifier, folder):
    """Compare the curve of a model with what its decision and a detector do at one of its thresholds."""
    decision = classifier.model_.decision
    curve = decision.curve
    assert curve.hours == pytest.approx(0.25 * 3 * 20 / 3600, rel=0.05), "the last quarter of each recording"
    assert curve.negative_clips == round(deciding.HARDEST * rejection.CALIBRATION_NEGATIVES)
    assert decision.basis["others"] == curve.negative_clips
    assert decision.basis["hardest_share"] == deciding.HARDEST
    assert "% of the hardest negatives are above it" in how_it_decides(decision)[0]
    assert curve.threshold_for_rate(classifier.false_accepts_per_hour) == decision.stream_threshold
    assert chosen_threshold(classifier.model_) == decision.stream_threshold
    for series in (curve.words, curve.negatives, curve.false_accepts_per_hour):
        assert (np.diff(series) <= 1e-12).all()
    at = curve.at(decision.threshold)
    assert at["negatives"] == pytest.approx(decision.basis["others_accepted"], abs=0.1)
    assert at["words"] == pytest.approx(decision.basis["words_accepted_and_right"], abs=0.2)
    assert classifier.at(false_accept_rate=0.01).model_.decision.threshold == curve.threshold_for_share(0.01)
    assert classifier.model_.decision is decision
    classifier.save(folder / "m.safetensors")
    assert Model.load(folder / "m.safetensors").decision == decision


def test_given_others_and_made_ones_are_one_class():
    clips, labels = words(40, 0)
    rng = np.random.default_rng(1)
    clips += [(0.1 * rng.standard_normal(RATE)).astype(np.float32) for _ in range(40)]
    classifier = ac.Classifier(**{**QUICK, "epochs": 3}).fit(clips, labels + [UNKNOWN] * 40)
    assert tuple(classifier.classes_) == (UNKNOWN, "high", "low")
    assert classifier.model_.decision.auxiliary == ()
    assert classifier.model_.words == ("high", "low")


def test_without_rejection_there_are_only_the_words():
    classifier = ac.Classifier(**{**QUICK, "epochs": 1}, reject=False).fit(*words(20, 0))
    assert classifier.model_.labels == ("high", "low")
    assert classifier.model_.decision.gate is None
    assert classifier.predict([np.zeros(RATE, np.float32)])[0].accepted


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path):
    from audioconv.training.callbacks import EpochEnded

    clips, labels = words(10, 0)
    for n, (clip, label) in enumerate(zip(clips, labels, strict=True)):
        (tmp_path / "words" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "words" / label / f"{n}.wav", clip, RATE)
    settings = {**QUICK, "epochs": 3}
    whole = ac.Classifier.train(tmp_path / "words", **settings)

    def stop(event: object) -> None:
        if isinstance(event, EpochEnded) and event.row.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ac.Classifier.train(tmp_path / "words", checkpoints=tmp_path, callbacks=[stop], **settings)
    resumed = ac.Classifier.train(tmp_path / "words", checkpoints=tmp_path, resume=True, **settings)
    for name, classifier in (("a", whole), ("b", resumed)):
        classifier.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(ConfigError, match="this run was begun with"):
        ac.Classifier.train(tmp_path / "words", checkpoints=tmp_path, resume=True, reject=False, **settings)


SECOND = AudioInput(LogMel(), 16000)


@pytest.mark.parametrize(
    ("settings", "source", "expected"),
    [
        ({}, SECOND, True),
        ({}, dataclasses.replace(SECOND, clip_samples=32000), True),
        ({}, dataclasses.replace(SECOND, clip_samples=32001), False),
        ({"reject": True}, dataclasses.replace(SECOND, clip_samples=80000), True),
        ({"reject": False}, SECOND, False),
        ({"negatives": "talk.wav"}, dataclasses.replace(SECOND, clip_samples=80000), True),
        ({"tts_language": "en"}, dataclasses.replace(SECOND, clip_samples=80000), True),
        ({}, ImageInput((28, 28, 1)), False),
    ],
)
def test_words_are_what_fits_into_two_seconds(settings, source, expected):
    assert plan.shall_reject(Settings(**settings), source, few_speakers=False, bank=None) == expected


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, False), ({"reject": True}, True), ({"negatives": "t.wav"}, True)]
)
def test_who_knows_few_voices_does_not_learn_to_reject_unasked(settings, expected):
    assert plan.shall_reject(Settings(**settings), SECOND, few_speakers=True, bank=None) == expected


@pytest.mark.parametrize(("settings", "expected"), [({}, True), ({"reject": False}, False)])
def test_with_a_bank_few_voices_are_enough(settings, expected):
    assert plan.shall_reject(Settings(**settings), SECOND, few_speakers=True, bank="bank") == expected
    long = dataclasses.replace(SECOND, clip_samples=80000)
    assert plan.shall_reject(Settings(**settings), long, few_speakers=True, bank="bank") == expected
    assert not plan.shall_reject(Settings(), ImageInput((28, 28, 1)), few_speakers=True, bank="bank")


@pytest.mark.parametrize(("speakers", "expected"), [(19, False), (20, True), (None, True)])
def test_speakers_are_counted_where_all_are_known(speakers, expected):
    """Who tests does not count, and a clip whose speaker is unknown may be anybody's."""
    rng = np.random.default_rng(0)
    clips = [0.1 * rng.standard_normal(4000).astype(np.float32) for _ in range(46)]
    names = [str(n % (speakers or 5)) for n in range(46)]
    if speakers is None:
        names[3] = None
    classifier = ac.Classifier(sample_rate=4000, clip_seconds=1.0, epochs=1, augment=False, refit=False)
    classifier.fit(clips, ["a", "b"] * 23, groups=names)
    assert ("_unknown_" in classifier.model_.labels) == expected
