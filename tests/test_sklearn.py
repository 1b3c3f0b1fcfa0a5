"""The classifier among scikit-learn's tools: cross-validation, grid search, pipelines, scorers, copies."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import audioconv as ac
from audioconv.errors import ConfigError, DataError

pytest.importorskip("sklearn", minversion="1.6")
import joblib
import sklearn.base
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, f1_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

RATE = 8000
QUICK = {
    "arch": "tc-resnet8", "init": None, "epochs": 3, "batch_size": 8, "sample_rate": RATE, "clip_seconds": 0.25,
    "augment": False, "reject": False, "refit": False,
}  # fmt: skip


def tones(count: int, seed: int = 0, seconds: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Return so many clips (count, T) of two tones in turn, and which they are."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    waves = [
        0.3 * np.sin(2 * np.pi * (400, 2000)[n % 2] * rng.uniform(0.95, 1.05) * time + rng.uniform(0, 6))
        for n in range(count)
    ]
    X = np.array(waves) + 0.01 * rng.standard_normal((count, len(time)))
    return X.astype(np.float32), np.array(["low", "high"] * count)[:count]


@pytest.fixture(scope="module")
def trained() -> ac.Classifier:
    return ac.Classifier(**{**QUICK, "epochs": 8}).fit(*tones(32))


def test_it_is_a_classifier_for_scikit_learn(trained: ac.Classifier) -> None:
    assert sklearn.base.is_classifier(ac.Classifier())
    assert not sklearn.base.is_regressor(ac.Classifier())
    check_is_fitted(trained)
    with pytest.raises(NotFittedError):
        check_is_fitted(ac.Classifier())


def test_a_clone_has_the_settings_and_no_model(trained: ac.Classifier) -> None:
    clone = sklearn.base.clone(trained)
    assert clone.get_params() == trained.get_params()
    with pytest.raises(ConfigError, match="not trained yet"):
        clone.predict([np.zeros(10)])
    settings = {"image_size": (3, 4), "noise": "hum.wav", "ensemble_size": 3}
    assert sklearn.base.clone(ac.Classifier(**settings)).get_params() == ac.Classifier(**settings).get_params()


def test_cross_validation_of_arrays_and_of_lists() -> None:
    X, y = tones(16)
    assert cross_val_score(ac.Classifier(**QUICK), X, y, cv=2).shape == (2,)
    # Folds of two clips: the array (2, T) is two clips, since the model was trained on such rows.
    folds = cross_val_score(ac.Classifier(**{**QUICK, "epochs": 1}), X, y, cv=8, scoring="accuracy")
    assert np.isfinite(folds).all()
    clips = [clip[: 1500 + 20 * n] for n, clip in enumerate(X)]
    predicted = cross_val_predict(ac.Classifier(**QUICK), clips, y, cv=2)
    assert (predicted.shape, set(predicted) <= {"low", "high"}) == ((16,), True)


@pytest.mark.slow
def test_grid_search_in_two_processes_with_groups() -> None:
    X, y = tones(24)
    groups = np.repeat(np.arange(6), 4)
    search = GridSearchCV(
        ac.Classifier(**QUICK), {"epochs": [1, 6]}, n_jobs=2, cv=GroupKFold(2), scoring="accuracy", error_score="raise"
    ).fit(X, y, groups=groups)
    assert search.best_params_["epochs"] == 6
    assert search.best_score_ > 0.8
    assert search.best_estimator_.score(*tones(10, seed=1)) > 0.8
    assert search.score(*tones(10, seed=1)) > 0.8


def test_a_pipeline() -> None:
    X, y = tones(24)
    pipeline = make_pipeline(FunctionTransformer(lambda X: X / 2), ac.Classifier(**{**QUICK, "epochs": 6})).fit(X, y)
    assert pipeline.score(*tones(10, seed=1)) > 0.8
    np.testing.assert_array_equal(pipeline.predict_proba(X[:3]), pipeline[-1].predict_proba(X[:3] / 2))
    assert np.asarray(pipeline.predict(X[:3])).shape == (3,)
    np.testing.assert_array_equal(pipeline.classes_, ["high", "low"])
    assert sklearn.base.clone(pipeline).set_params(classifier__epochs=2)[-1].epochs == 2
    assert "Classifier" in repr(pipeline)


def test_metrics_read_predictions(trained: ac.Classifier) -> None:
    X, y = tones(10, seed=1)
    predictions = trained.predict(X)
    assert accuracy_score(y, predictions) == trained.score(X, y) > 0.8
    assert f1_score(y, predictions, average="macro") > 0.8
    assert confusion_matrix(y, predictions).sum() == 10
    assert "high" in classification_report(y, predictions)
    assert np.asarray(trained.predict([])).shape == (0,)


@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro", "roc_auc", "neg_log_loss"])
def test_labels_that_are_numbers_stay_numbers_for_scorers(scoring: str) -> None:
    X, y = tones(16)
    scores = cross_val_score(
        ac.Classifier(**QUICK), X, (y == "low").astype(int), cv=2, scoring=scoring, error_score="raise"
    )
    assert np.isfinite(scores).all()


def test_labels_that_are_numbers_keep_their_order() -> None:
    """Of twelve classes, "10" comes before "2" among the model's labels."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 3)
    X = rng.standard_normal((36, RATE // 4)).astype(np.float32)
    classifier = ac.Classifier(**{**QUICK, "epochs": 1}).fit(X, y)
    np.testing.assert_array_equal(classifier.classes_, np.arange(12))
    predicted = np.asarray(classifier.predict(X))
    np.testing.assert_array_equal(classifier.classes_[classifier.predict_proba(X).argmax(axis=1)], predicted)
    assert classifier.score(X, y) == accuracy_score(y, predicted)
    assert [p.label for p in classifier.predict(X)] == [str(number) for number in predicted]


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda x: pickle.loads(pickle.dumps(x)),
        lambda x: pickle.loads(pickle.dumps(x, protocol=2)),
    ],
    ids=["copy", "deepcopy", "pickle", "pickle 2"],
)
def test_a_copy_gives_the_same_predictions(trained: ac.Classifier, copied) -> None:
    X, y = tones(6, seed=2)
    before = trained.predict_proba(X)  # it is compiled now
    twin = copied(trained)
    np.testing.assert_array_equal(twin.predict_proba(X), before)
    assert twin.predict(X) == trained.predict(X)
    assert twin.report_.validation_accuracy == trained.report_.validation_accuracy
    assert twin.report_.history == trained.report_.history
    np.testing.assert_array_equal(copied(trained.model_).logits(_features(trained, X)), _logits(trained, X))
    twin.fit(X, y)
    np.testing.assert_array_equal(trained.predict_proba(X), before)
    assert copied(ac.Classifier(epochs=3)).get_params() == ac.Classifier(epochs=3).get_params()


def _features(classifier: ac.Classifier, X: np.ndarray) -> np.ndarray:
    return classifier.model_.front_end(X)


def _logits(classifier: ac.Classifier, X: np.ndarray) -> np.ndarray:
    return classifier.model_.logits(_features(classifier, X))


def test_joblib_carries_it_to_another_process(trained: ac.Classifier, tmp_path) -> None:
    X, _ = tones(4, seed=3)
    joblib.dump(trained, tmp_path / "classifier.joblib")
    np.save(tmp_path / "X.npy", X)
    code = """if True:
        import sys, joblib, numpy as np
        classifier = joblib.load(sys.argv[1])
        np.save(sys.argv[3], classifier.predict_proba(np.load(sys.argv[2])))
        assert classifier.report_.counts
        """
    paths = [str(tmp_path / name) for name in ("classifier.joblib", "X.npy", "answer.npy")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "answer.npy"), trained.predict_proba(X, sample_rate=RATE))


def test_a_loaded_classifier_is_copied_too(trained: ac.Classifier, tmp_path) -> None:
    X, _ = tones(4, seed=3)
    trained.save(tmp_path / "m.safetensors")
    loaded = pickle.loads(pickle.dumps(ac.Classifier.load(tmp_path / "m.safetensors")))
    np.testing.assert_array_equal(loaded.predict_proba(list(X)), trained.predict_proba(X))
    assert loaded.report_ is None


def test_a_wrong_setting_is_an_error_that_scikit_learn_expects() -> None:
    with pytest.raises(ValueError, match="no setting 'epoch'"):
        GridSearchCV(ac.Classifier(**QUICK), {"epoch": [1]}, cv=2, error_score="raise").fit(*tones(8))
    with pytest.raises(DataError, match="one label for each of the 8 examples, got 7"):
        ac.Classifier(**QUICK).fit(tones(8)[0], ["a", "b"] * 3 + ["a"])


def test_importing_and_training_needs_no_scikit_learn() -> None:
    code = """if True:
        import sys
        sys.modules.update(dict.fromkeys(["sklearn", "pandas", "joblib"]))  # importing one of them fails
        import numpy as np, audioconv as ac
        x = np.random.default_rng(0).standard_normal((8, 2000)).astype(np.float32)
        settings = {"arch": "tc-resnet8", "epochs": 1, "clip_seconds": 0.25, "sample_rate": 8000, "reject": False}
        clf = ac.Classifier(init=None, augment=False, **settings).fit(x, ["a", "b"] * 4)
        print(len(clf.predict(list(x))), clf.get_params()["epochs"])
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "8 1\n"
