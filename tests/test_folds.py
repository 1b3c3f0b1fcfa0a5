"""Cross-validation of few clips, and noise beside the classes: mixed into the clips, and a negative."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import audioconv as ac
from audioconv.audio.augment import Augmentation
from audioconv.datasets import open_collection
from audioconv.datasets.splits import assign_folds
from audioconv.errors import ConfigError, DataError
from audioconv.recipe import rejection, runs
from audioconv.recipe.backgrounds import Backgrounds
from audioconv.recipe.labelled import LabelledFiles
from audioconv.recipe.runs import checkpoint_name
from audioconv.training.callbacks import Noted, RunStarted

RATE = 4000
PITCHES = {"low": 300, "high": 1200}
QUICK = {"arch": "tc-resnet8", "epochs": 4, "batch_size": 16, "sample_rate": RATE, "clip_seconds": 0.5, "reject": False}


def write(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.astype(np.float32), RATE, subtype="FLOAT")


@pytest.fixture
def folder(tmp_path):
    """Return a folder of two tones by three speakers, with two recordings of noise beside them."""
    rng, time = np.random.default_rng(0), np.arange(RATE // 2) / RATE
    for label, pitch in PITCHES.items():
        for number in range(9):
            tone = 0.3 * np.sin(2 * np.pi * pitch * rng.uniform(0.97, 1.03) * time)
            write(tmp_path / "tones" / label / f"speaker{number % 3}_nohash_{number}.wav", tone)
    for number in range(2):
        write(tmp_path / "tones" / "_background_noise_" / f"{number}.wav", rng.normal(0, 0.01, 5 * RATE))
    return tmp_path / "tones"


# --- folds ---

clips = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, "x", "y", "z"])), min_size=1, max_size=40)


@given(clips, st.integers(2, 4), st.integers(0, 3))
def test_folds_keep_groups_together_and_every_class_trainable(clips, count, seed):
    labels, groups = zip(*clips, strict=True)
    folds = assign_folds(labels, groups, count, seed)
    assert folds.min() >= -1
    assert folds.max() < count
    of_group = {}
    for group, fold in zip(groups, folds.tolist(), strict=True):
        if group is not None:
            assert of_group.setdefault(group, fold) == fold
    for fold in range(count):
        left = {label for label, own in zip(labels, folds.tolist(), strict=True) if own != fold}
        assert left == set(labels)
    np.testing.assert_array_equal(folds, assign_folds(labels, groups, count, seed))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_folds_are_even_in_every_class(count):
    labels = ["yes"] * 31 + ["no"] * 17
    folds = assign_folds(labels, None, count)
    for label in ("yes", "no"):
        sizes = Counter(folds[np.array(labels) == label].tolist())
        assert set(sizes) == set(range(count))
        assert max(sizes.values()) - min(sizes.values()) <= 1


def test_too_few_folds():
    with pytest.raises(ConfigError, match="at least 2 folds; got 1"):
        assign_folds(["a", "b"], None, 1)
    for settings in ({"folds": 1}, {"folds": 3, "refit": False}, {"folds": 3, "patience": 2}):
        with pytest.raises(ConfigError, match="folds"):
            ac.Classifier(**QUICK, **settings).fit([np.ones(RATE)] * 4, ["a", "b"] * 2)


def test_each_clip_is_answered_by_a_network_that_has_not_learned_it(folder, tmp_path):
    events = []
    classifier = ac.Classifier.train(folder, folds=3, checkpoints=tmp_path, callbacks=[events.append], **QUICK)
    report = classifier.report_
    runs = [event for event in events if isinstance(event, RunStarted)]
    assert [run.epochs for run in runs] == [2, 2, 2, 4]
    # Eighteen clips in batches of at most 16: two thirds of them are one batch.
    assert [run.batches for run in runs] == [1, 1, 1, 2]
    assert (report.folds, report.by_speaker) == (3, True)
    assert sorted(report.held_out.scored.examples) == sorted(path for path in folder.rglob("*_nohash_*.wav"))
    assert report.held_out.count == 18
    assert report.validation_accuracy == report.held_out.accuracy
    assert report.counts == {"train": {"high": 9, "low": 9}}
    assert classifier.model_.provenance["refit_with_validation"]
    names = {path.name for path in tmp_path.glob("checkpoint*")}
    assert names == {
        "checkpoint.safetensors",
        "checkpoint-fold-2.safetensors",
        "checkpoint-fold-3.safetensors",
        "checkpoint-final.safetensors",
    }
    assert checkpoint_name(1, final=False, fold=2) == "checkpoint-fold-3-2.safetensors"
    # From the checkpoints, all of which are of whole runs, comes the same model.
    again = ac.Classifier.train(folder, folds=3, checkpoints=tmp_path, resume=True, **QUICK)
    clip = np.random.default_rng(1).normal(0, 0.1, RATE // 2).astype(np.float32)
    np.testing.assert_array_equal(again.model_.predict(clip[None]), classifier.model_.predict(clip[None]))
    np.testing.assert_array_equal(again.report_.held_out.confusion, report.held_out.confusion)


def test_the_folds_models_differ_from_the_model(folder):
    """The held-out clips' scores are none of the model that has learned them."""
    classifier = ac.Classifier.train(folder, folds=3, **QUICK)
    held = classifier.report_.held_out.scored
    own = classifier.predict_proba([str(path) for path in held.examples])
    assert np.abs(own - held.probabilities).max() > 1e-3


def test_speakers_are_divided_where_one_says_nearly_all(folder):
    for path in list(folder.rglob("*_nohash_*.wav")):
        path.rename(path.with_name("anna_nohash_" + path.stem.rpartition("_")[2] + ".wav"))
    classifier = ac.Classifier.train(folder, folds=3, **QUICK)
    assert not classifier.report_.by_speaker
    assert classifier.report_.held_out.count == 18


def test_a_split_of_the_data_is_validated_by(folder):
    rows = ["path,label,split"]
    for path in sorted(folder.rglob("*_nohash_*.wav")):
        split = "validation" if "_8" in path.name else "train"
        rows.append(f"{path.parent.name}/{path.name},{path.parent.name},{split}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    report = ac.Classifier.train(folder, folds=3, **QUICK).report_
    assert report.folds == 0
    assert report.counts["validation"] == {"high": 1, "low": 1}


def test_without_two_clips_of_a_class_there_are_no_folds():
    with pytest.raises(DataError, match="cross-validation needs two clips of each class"):
        ac.Classifier(**QUICK, folds=2).fit([np.ones(RATE), np.ones(RATE)], ["a", "b"])


def test_the_threshold_of_few_clips_is_chosen_on_all_of_them(folder):
    settings = {**QUICK, "reject": True, "epochs": 8}
    classifier = ac.Classifier.train(folder, folds=3, **settings)
    decision = classifier.model_.decision
    assert decision.basis["words"] == 18
    assert decision.gate is not None
    assert decision.curve is None
    curve = classifier.report_.curve
    assert (curve.word_clips, curve.hours) == (18, 0)
    assert decision.threshold <= decision.stream_threshold <= max(0.95, decision.threshold)
    found = curve.at(decision.stream_threshold)["found"]
    assert found >= 0.95 * curve.at(decision.threshold)["found"] - 1e-9


# --- noise beside the classes ---


def test_noise_beside_the_classes_is_found(folder):
    collection = open_collection(folder)
    assert collection.classes == ("high", "low")
    assert [path.name for path in collection.backgrounds] == ["0.wav", "1.wav"]
    rows = [f"{path.relative_to(folder).as_posix()},{path.parent.name}" for path in sorted(folder.rglob("*.wav"))]
    (folder / "manifest.csv").write_text("\n".join(["path,label", *rows]))
    listed = open_collection(folder)
    assert listed.counts == {"_background_noise_": 2, "high": 9, "low": 9}
    data = LabelledFiles.of(listed).with_negatives()
    assert sorted(set(data.labels)) == ["high", "low"]
    assert data.backgrounds == collection.backgrounds


def test_noise_is_mixed_into_the_clips_and_learned_as_a_negative(folder):
    notes = []
    settings = {**QUICK, "reject": None}
    classifier = ac.Classifier.train(
        folder, callbacks=[lambda event: notes.append(event.message) if isinstance(event, Noted) else None], **settings
    )
    # The noise says that not all sounds are words, so that rejection is on although three speakers are few.
    assert classifier.model_.labels == ("_unknown_", "high", "low")
    use = "mixed into the clips and used as negatives"
    assert f"_background_noise_ (2 recordings, 10 s): {use}" in notes
    assert classifier.model_.provenance["backgrounds"]["recordings"] == 2


def test_noise_without_rejection_is_mixed_in_only(folder):
    notes = []
    classifier = ac.Classifier.train(
        folder, callbacks=[lambda event: notes.append(event.message) if isinstance(event, Noted) else None], **QUICK
    )
    assert classifier.model_.labels == ("high", "low")
    assert "_background_noise_ (2 recordings, 10 s): mixed into the clips" in notes


def test_noises_are_as_often_as_all_others_together(tmp_path):
    for number, samples in enumerate((np.full(100, 0.1), np.full(200, 0.2), np.zeros(100))):
        write(tmp_path / f"{number}.wav", samples)
    (tmp_path / "broken.wav").write_text("this is no sound")
    found = Backgrounds.read([*(tmp_path / f"{n}.wav" for n in range(3)), tmp_path / "broken.wav"], RATE)
    # Digital silence has no level that noise could be scaled by.
    assert [len(one) for one in found.recordings] == [100, 200]
    assert "1 file cannot be read" in found.note(rejects=False)
    augmentation = found.mixed_into(Augmentation.default(RATE))
    own = len(Augmentation.default(RATE).noises)
    assert len(augmentation.noises) == 2 * own
    lengths = Counter(len(noise) for noise in augmentation.noises[own:])
    assert lengths == {100: own / 2, 200: own / 2}
    with pytest.raises(DataError, match="broken"):
        Backgrounds.read([tmp_path / "broken.wav"], RATE, strict=True)


def test_the_share_of_noise_among_the_negatives(folder, monkeypatch):
    """Of a thousand negatives, about `BACKGROUND_SHARE` are pieces of the noise as it is."""
    for path in open_collection(folder).backgrounds:
        write(path, np.resize([0.123, -0.123, -0.123], 5 * RATE))
    made = []
    original = rejection.Rejection.for_training

    def keep(self, x, codes):
        made.append(original(self, x, codes))
        return made[-1]

    monkeypatch.setattr(rejection.Rejection, "for_training", keep)
    monkeypatch.setattr(runs, "fit", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ac.Classifier.train(folder, **{**QUICK, "reject": True})
    rng = np.random.default_rng(0)
    of_noise = sum(bool(np.allclose(np.abs(made[0].clip(n, rng)), 0.123, atol=1e-3)) for n in range(1000))
    share = rejection.BACKGROUND_SHARE
    assert abs(of_noise - 1000 * share) < 4 * np.sqrt(1000 * share * (1 - share))


# --- clips of other words ---


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("others", "is_class"), [(1, False), (3, False), (8, True)])
def test_few_clips_of_other_words_are_negatives_and_no_class(folder, others, is_class, keep):
    time = np.arange(RATE // 2) / RATE
    for number in range(others):
        write(folder / "_unknown_" / f"speaker{number % 3}_nohash_9{number}.wav", 0.3 * np.sin(5000 * time + number))
    told = []
    settings = {**QUICK, "epochs": 1, "reject": True, "keep_classes": keep, "init": None}
    classifier = ac.Classifier.train(folder, folds=3, negatives="none", callbacks=[told.append], **settings)
    answers = classifier.model_.answer_labels
    is_answer = is_class or keep
    assert ("_unknown_" in answers) == is_answer
    assert classifier.model_.decision.auxiliary == (() if is_answer else ("_unknown_",))
    notes = [event.message for event in told if isinstance(event, Noted)]
    assert any("_unknown_ has fewer than half as many clips as a word" in note for note in notes) == (not is_answer)
    # Of a class with one clip, that is always trained on.
    held_out = Counter(classifier.report_.held_out.scored.names)
    assert held_out == {"high": 9, "low": 9, **({"_unknown_": others} if is_answer and others > 1 else {})}
