import json

import numpy as np
import pytest

from audioconv.decision.classes import is_word
from audioconv.decision.decision import Decision, Gate
from audioconv.errors import ConfigError

LABELS = ("_unknown_", "no", "yes")


def decide(rows, **settings):
    return Decision(**settings).decide(LABELS, np.array(rows, np.float32))


def test_the_temperature_divides_the_logits(rng):
    logits = rng.standard_normal((5, 3))
    expected = np.exp(logits / 2.5)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Decision(temperature=2.5).probabilities(LABELS, logits), expected, rtol=1e-6)


def test_large_logits_do_not_overflow():
    np.testing.assert_array_equal(
        Decision(temperature=0.1).probabilities(LABELS, np.array([[1e4, 0, -1e4]])), [[1, 0, 0]]
    )


def test_without_a_threshold_the_likeliest_word_is_accepted():
    answers = decide([[0.1, 0.3, 0.6], [0.2, 0.5, 0.3]])
    np.testing.assert_array_equal(answers.codes, [2, 1])
    np.testing.assert_allclose(answers.scores, [0.6, 0.5])
    assert answers.accepted.all()


def test_a_class_of_other_words_is_an_answer_but_no_word():
    answers = decide([[0.7, 0.1, 0.2]])
    assert (answers.codes[0], answers.accepted[0]) == (0, False)


def test_a_made_class_is_never_the_answer():
    answers = decide([[0.7, 0.1, 0.2], [0.3, 0.1, 0.6]], auxiliary=["_unknown_"], threshold=0.5)
    np.testing.assert_array_equal(answers.codes, [2, 2])
    np.testing.assert_array_equal(answers.accepted, [False, True])


def test_the_gate_says_whether_it_is_a_word_and_the_softmax_which():
    logits = np.array([[9.0, 1.0, 2.0], [-3.0, 0.0, -5.0]])
    decision = Decision(temperature=2.0, gate=Gate(scale=3.0, offset=-4.0))
    probabilities = decision.probabilities(LABELS, logits)
    is_word_ = 1 / (1 + np.exp(-(3.0 * np.array([2.0, 0.0]) - 4.0)))
    np.testing.assert_allclose(probabilities[:, 0], 1 - is_word_, rtol=1e-6)
    which = np.exp(logits[:, 1:] / 2) / np.exp(logits[:, 1:] / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities[:, 1:], is_word_[:, None] * which, rtol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


def test_a_gate_stays_open_where_there_is_nothing_but_words():
    logits = np.array([[1.0, 2.0]])
    gated = Decision(gate=Gate(1.0, -50.0)).probabilities(("no", "yes"), logits)
    np.testing.assert_array_equal(gated, Decision().probabilities(("no", "yes"), logits))


def test_below_the_threshold_it_is_none_of_these():
    answers = decide([[0.1, 0.3, 0.6], [0.0, 0.1, 0.9]], threshold=0.8)
    np.testing.assert_array_equal(answers.accepted, [False, True])


def test_nothing_to_decide():
    answers = Decision().decide(LABELS, np.empty((0, 3), np.float32))
    assert len(answers.codes) == len(answers.scores) == len(answers.accepted) == 0


def test_it_survives_json():
    decision = Decision(1.5, 0.7, 0.02, ("_unknown_",), {"words": 7}, Gate(2.0, -1.5))
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_keys_of_other_versions():
    """Those of a newer version are left out, and those that an older one has not written have their defaults."""
    assert Decision.from_json({}) == Decision()
    described = Decision(1.5, 0.7, 0.02, ("_unknown_",), {"words": 7}, Gate(2.0, -1.5)).to_json()
    newer = {**described, "hysteresis": [1, 2], "gate": {**described["gate"], "curvature": 0.1}}
    assert Decision.from_json(newer) == Decision.from_json(described)
    assert Decision.from_json({"threshold": 1, "gate": None}) == Decision(threshold=1.0)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"temperature": "1"}, "the decision's temperature must be a number, got '1'"),
        ({"threshold": None}, "the decision's threshold must be a number, got None"),
        ({"threshold": True}, "the decision's threshold must be a number, got True"),
        ({"false_accepts": []}, "the decision's false_accepts must be a number or null"),
        ({"made": "_unknown_"}, "the decision's made must be a list of labels"),
        ({"made": [1]}, "the decision's made must be a list of labels"),
        ({"basis": 3}, "the decision's basis must be an object"),
        ({"gate": [1, 2]}, "the decision's gate must be an object or null"),
        ({"gate": {"scale": 1}}, "the gate has no 'offset'"),
        ({"gate": {"scale": 1, "offset": "x"}}, "the gate's offset must be a number, got 'x'"),
        ([], "the decision must be an object"),
    ],
)
def test_values_of_a_wrong_type_name_their_key(described, message):
    with pytest.raises(ConfigError, match=message):
        Decision.from_json(described)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "the temperature must be above 0, got 0.0"),
        ({"temperature": float("nan")}, "the temperature must be above 0, got nan"),
        ({"threshold": 1.5}, "the threshold must lie between 0 and 1, got 1.5"),
        ({"gate": Gate(float("inf"), 0.0)}, "the gate must have finite numbers"),
    ],
)
def test_what_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        Decision(**settings)


def test_which_labels_are_words():
    assert [is_word(label) for label in ("yes", "_silence_", "_", "__", "_a", "a_", "_x_")] == [
        True, False, True, True, True, True, False,
    ]  # fmt: skip
