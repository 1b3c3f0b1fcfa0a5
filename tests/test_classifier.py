"""The Classifier on tones and stripes that it can learn in seconds, and on real digits."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audioconv as ac
from audioconv.datasets import Collection, Item, write_manifest
from audioconv.datasets.build import get
from audioconv.errors import ConfigError, DataError, ModelFileError

RATE = 8000
QUICK = {"arch": "tc-resnet8", "epochs": 6, "batch_size": 16, "sample_rate": RATE, "augment": False, "reject": False}


def tone(frequency: float, rng: np.random.Generator) -> np.ndarray:
    time = np.arange(RATE) / RATE
    wave = np.sin(2 * np.pi * frequency * rng.uniform(0.95, 1.05) * time + rng.uniform(0, 6))
    return (0.3 * wave + 0.01 * rng.standard_normal(RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def tones(tmp_path_factory) -> Path:
    """Make a folder of two classes with four speakers each, and a manifest that keeps some for the test."""
    folder, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    items = []
    for label, frequency in (("high", 2000.0), ("low", 400.0)):
        (folder / label).mkdir()
        for n in range(24):
            path = folder / label / f"{n}.wav"
            soundfile.write(path, tone(frequency, rng), RATE)
            items.append(Item(path, label, speaker=f"s{n % 4}", split="test" if n >= 20 else "train"))
    write_manifest(folder / "rows.csv", items)
    return folder


@pytest.fixture(scope="module")
def trained(tones: Path) -> ac.Classifier:
    return ac.Classifier.train(tones, seed=0, **QUICK)


def test_learns_and_predicts_paths_and_samples(trained: ac.Classifier, tones: Path) -> None:
    assert list(trained.classes_) == ["high", "low"]
    samples = tone(2000.0, np.random.default_rng(9))
    predictions = trained.predict([tones / "low" / "1.wav", str(tones / "high" / "1.wav"), samples])
    assert [p.label for p in predictions] == ["low", "high", "high"]
    for prediction in predictions:
        assert list(prediction.scores) == sorted(prediction.scores, key=prediction.scores.get, reverse=True)
        assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-5)
        assert prediction.score == prediction.scores[prediction.label]
    assert trained.predict(samples)[0] == predictions[2]
    assert trained.predict([]) == []


def test_saved_and_loaded_it_says_the_same_bits(trained: ac.Classifier, tones: Path, tmp_path: Path) -> None:
    trained.save(tmp_path / "tones.safetensors")
    loaded = ac.Classifier.load(tmp_path / "tones.safetensors")
    paths = [tones / "low" / "3.wav", tones / "high" / "4.wav"]
    np.testing.assert_array_equal(loaded.predict_proba(paths), trained.predict_proba(paths))
    assert loaded.get_params() == {**trained.get_params(), "learning_rate": 5e-3, "mixup": 0.0}  # what was chosen
    provenance = loaded.model_.provenance
    assert provenance["audioconv"] == ac.__version__
    assert provenance["data"]["name"] == tones.name
    assert sum(provenance["data"]["counts"]["train"].values()) > 30
    assert provenance["validation_accuracy"] == trained.report_.validation_accuracy


def test_the_same_seed_gives_the_same_bits(trained: ac.Classifier, tones: Path, tmp_path: Path) -> None:
    again = ac.Classifier.train(tones, seed=0, **QUICK)
    other = ac.Classifier.train(tones, seed=1, **QUICK)
    for name, classifier in (("a", trained), ("b", again), ("c", other)):
        classifier.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_test_rows_are_never_trained_on_but_evaluated(tones: Path) -> None:
    clf = ac.Classifier.train(tones / "rows.csv", **QUICK)
    assert clf.report_.counts["test"] == {"high": 4, "low": 4}
    assert clf.report_.test is not None
    assert clf.report_.test.count == 8
    assert clf.model_.provenance["test_accuracy"] == clf.report_.test.accuracy
    # Turning the labels of the test rows around changes their accuracy and nothing else.
    collection = ac.datasets.open_collection(tones / "rows.csv")
    turned = tuple(
        Item(i.path, {"high": "low", "low": "high"}[i.label], i.speaker, i.split) if i.split == "test" else i
        for i in collection.items
    )
    liar = ac.Classifier.train(Collection(turned, "audio", "liar"), **QUICK)
    for path, array in ac.layers.flatten(clf.model_.params).items():
        np.testing.assert_array_equal(array, ac.layers.flatten(liar.model_.params)[path])
    assert liar.report_.test.accuracy == pytest.approx(1 - clf.report_.test.accuracy)


def test_few_speakers_are_trained_on_again_after_validation(tones: Path) -> None:
    with_speakers = ac.Classifier.train(tones / "rows.csv", **QUICK)
    assert with_speakers.report_.final_history is not None
    assert with_speakers.model_.provenance["refit_with_validation"]
    # One of four speakers validates: a quarter of each class.
    assert with_speakers.report_.counts["validation"] == {"high": 5, "low": 5}
    without = ac.Classifier.train(tones / "rows.csv", refit=False, **QUICK)
    assert without.report_.final_history is None


def test_validation_rows_of_the_data_set_are_not_trained_on(tones: Path) -> None:
    items = ac.datasets.open_collection(tones / "rows.csv").items
    named = tuple(Item(i.path, i.label, i.speaker, "validation" if i.speaker == "s1" else "train") for i in items)
    clf = ac.Classifier.train(Collection(named, "audio", "named"), **QUICK)
    assert clf.report_.counts["validation"] == {"high": 6, "low": 6}
    assert clf.report_.final_history is None


def test_evaluate_by_split(trained: ac.Classifier, tones: Path) -> None:
    assert trained.evaluate(tones).count == 48
    test = trained.evaluate(tones / "rows.csv", split="test")
    assert (test.count, test.classes) == (8, ("high", "low"))
    with pytest.raises(DataError, match="no rows to evaluate with split 'validation'"):
        trained.evaluate(tones / "rows.csv", split="validation")


def test_evaluate_refuses_labels_it_does_not_know(trained: ac.Classifier, tones: Path) -> None:
    strange = Collection((Item(tones / "low" / "1.wav", "middle"),), "audio", "strange")
    with pytest.raises(DataError, match="labels that the model does not know: 'middle'; it knows high, low"):
        trained.evaluate(strange)


def test_unreadable_clips_are_skipped_and_listed(tones: Path) -> None:
    items = list(ac.datasets.open_collection(tones).items)
    bad = tones / "bad.wav"
    bad.write_text("not audio")
    items += [Item(bad, "low"), Item(tones / "gone.wav", "high")]
    collection = Collection(tuple(items), "audio", "mixed")
    clf = ac.Classifier.train(collection, **QUICK)
    assert len(clf.report_.failures) == 2
    assert "bad.wav" in str(clf.report_.failures[0])
    assert clf.model_.provenance["data"]["unreadable"] == 2
    with pytest.raises(DataError, match=r"bad\.wav"):
        ac.Classifier.train(collection, strict=True, **QUICK)
    predictions, failures = clf.predict_files([bad, tones / "low" / "2.wav"])
    assert (list(predictions), len(failures)) == ([1], 1)
    bad.unlink()


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "x.wav").write_text("nothing")
    with pytest.raises(DataError, match="none of the 2 files can be read"):
        ac.Classifier.train(tmp_path, **QUICK)


def test_resumes_to_the_same_bits(trained: ac.Classifier, tones: Path, tmp_path: Path) -> None:
    def stop_in_third_epoch(event: object) -> None:
        if getattr(event, "epoch", 0) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ac.Classifier.train(tones, seed=0, checkpoints=tmp_path, callbacks=[stop_in_third_epoch], **QUICK)
    resumed = ac.Classifier.train(tones, seed=0, checkpoints=tmp_path, resume=True, **QUICK)
    for path, array in ac.layers.flatten(trained.model_.params).items():
        np.testing.assert_array_equal(array, ac.layers.flatten(resumed.model_.params)[path])
    with pytest.raises(ConfigError, match="augment"):
        ac.Classifier.train(tones, seed=0, checkpoints=tmp_path, resume=True, **{**QUICK, "augment": True})


def test_fits_arrays_like_a_scikit_learn_estimator() -> None:
    rng = np.random.default_rng(0)
    X = [tone(f, rng) for f in (2000.0, 400.0) * 16]
    y = ["high", "low"] * 16
    clf = ac.Classifier(**QUICK).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert clf.predict_proba(X[:3]).shape == (3, 2)
    assert ac.Classifier(**clf.get_params()).get_params() == clf.get_params()
    assert clf.set_params(epochs=2).epochs == 2
    with pytest.raises(ConfigError, match="no setting 'epoch'"):
        clf.set_params(epoch=2)
    with pytest.raises(DataError, match="one label"):
        clf.fit(X, y[:-1])


def test_fits_paths(tones: Path) -> None:
    paths = sorted(tones.glob("*/*.wav"))
    clf = ac.Classifier(**QUICK).fit(paths, [path.parent.name for path in paths])
    assert clf.score(paths, [path.parent.name for path in paths]) > 0.9


@pytest.mark.parametrize("keep", [False, True])
def test_arrays_of_negatives_are_named_as_folders_are(keep: bool) -> None:
    rng = np.random.default_rng(0)
    clips = [rng.normal(0, 0.1, 2000).astype(np.float32) for _ in range(18)]
    labels = ["yes", "no", "Other"] * 6
    clf = ac.Classifier(arch="cnn", init=None, epochs=1, sample_rate=4000, clip_seconds=0.5, keep_classes=keep)
    clf.fit(clips, labels)
    assert set(clf.classes_) - {"_unknown_"} == ({"yes", "no", "Other"} if keep else {"yes", "no"})
    assert 0 <= clf.score(clips, labels) <= 1


def test_fits_pictures() -> None:
    rng = np.random.default_rng(0)
    rows = [np.tile(np.arange(16) % 4 < 2, (16, 1)) + 0.1 * rng.standard_normal((16, 16)) for _ in range(24)]
    columns = [row.T for row in rows]
    clf = ac.Classifier(arch="cs231n", epochs=8, batch_size=16).fit(rows + columns, ["|"] * 24 + ["-"] * 24)
    assert [p.label for p in clf.predict([rows[0], columns[0]])] == ["|", "-"]
    with pytest.raises(ConfigError, match="takes sound"):
        ac.Classifier(arch="m5").fit(rows + columns, ["|"] * 24 + ["-"] * 24)


def test_untrained_and_unloadable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not trained yet"):
        ac.Classifier().predict(["a.wav"])
    with pytest.raises(ModelFileError):
        ac.Classifier.load(tmp_path / "none.safetensors")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("no_speech_embedding")
def test_real_digits(mirror: Path, tmp_path: Path) -> None:
    """Three digits of FSDD in a few epochs: far better than guessing, on rows that were not trained on."""
    os.environ.setdefault("AUDIOCONV_MIRROR", str(mirror))
    folder = get.get("fsdd", tmp_path / "fsdd")
    digits = ac.datasets.open_collection(folder)
    few = Collection(tuple(i for i in digits.items if i.label in "137"), "audio", "fsdd")
    clf = ac.Classifier.train(few, epochs=6, refit=False, augment=False)
    assert clf.model_.front_end.sample_rate == 8000
    assert clf.report_.test.count == 90
    assert clf.report_.test.accuracy > 0.8
    assert clf.model_.provenance["data"]["licence"]
