import json

import numpy as np
import pytest

from audioconv.evaluation import Evaluation


def test_counts_accuracy_precision_and_recall() -> None:
    evaluation = Evaluation.compare(("a", "b", "c"), np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2]))
    assert evaluation.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert evaluation.count == 5
    assert evaluation.accuracy == pytest.approx(3 / 5)
    scores = evaluation.per_class
    assert (scores["a"].count, scores["a"].precision, scores["a"].recall) == (3, 1.0, pytest.approx(2 / 3))
    assert (scores["b"].count, scores["b"].precision, scores["b"].recall) == (2, 0.5, 0.5)
    assert (scores["c"].count, scores["c"].precision, scores["c"].recall) == (0, 0.0, 0.0)


def test_json_is_json() -> None:
    evaluation = Evaluation.compare(("a", "b"), np.array([0, 1]), np.array([0, 0]))
    data = json.loads(json.dumps(evaluation.to_json()))
    assert set(data) == {"accuracy", "count", "classes", "confusion", "per_class"}
    assert data["per_class"]["b"] == {"count": 1, "precision": 0.0, "recall": 0.0}


def test_nothing_to_evaluate_is_accuracy_zero() -> None:
    assert Evaluation.compare(("a", "b"), np.array([], int), np.array([], int)).accuracy == 0
