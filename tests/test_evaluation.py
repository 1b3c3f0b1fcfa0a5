"""What an evaluation says, held to plain counting and to SciPy."""

import dataclasses
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audioconv.decision.decision import Decision
from audioconv.errors import ConfigError
from audioconv.evaluation import Calibration, Detection, Evaluation, LongPoint, LongResult, Scored, Share
from audioconv.evaluation.curves import NEGATIVES, OTHER_WORDS
from audioconv.evaluation.speed import measure_speed

# --- counting ---


def test_counts_accuracy_precision_and_recall() -> None:
    evaluation = Evaluation.compare(("a", "b", "c"), np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2]))
    assert evaluation.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert evaluation.count == 5
    assert evaluation.accuracy == pytest.approx(3 / 5)
    scores = evaluation.per_class
    assert (scores["a"].count, scores["a"].precision, scores["a"].recall) == (3, 1.0, pytest.approx(2 / 3))
    assert (scores["b"].count, scores["b"].precision, scores["b"].recall) == (2, 0.5, 0.5)
    assert (scores["c"].count, scores["c"].precision, scores["c"].recall) == (0, 0.0, 0.0)
    assert [score.f1 for score in scores.values()] == [pytest.approx(0.8), 0.5, 0.0]


def test_json_is_json() -> None:
    evaluation = Evaluation.compare(("a", "b"), np.array([0, 1]), np.array([0, 0]))
    data = json.loads(json.dumps(evaluation.to_json()))
    assert set(data) >= {"accuracy", "count", "classes", "confusion", "per_class"}
    assert data["per_class"]["b"] == {"count": 1, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert data["calibration"] is data["detection"] is data["at_threshold"] is data["false_accepts"] is None


def test_nothing_to_evaluate_is_accuracy_zero() -> None:
    assert Evaluation.compare(("a", "b"), np.array([], int), np.array([], int)).accuracy == 0


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_are_wilsons(counts) -> None:
    expected = stats.binomtest(*counts).proportion_ci(0.95, method="wilson")
    assert Share(*counts).interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_nothing_can_be_any_share() -> None:
    assert (Share(0, 0).value, Share(0, 0).interval) == (0.0, (0.0, 1.0))


# --- calibration ---


def test_calibration_of_a_few_answers() -> None:
    scores = np.array([0.0, 0.05, 0.1, 0.61, 0.7, 1.0])
    right = np.array([False, False, False, True, False, True])
    found = Calibration.measure(scores, right)
    assert [bin.right for bin in found.bins if bin.right.whole] == [Share(0, 3), Share(1, 2), Share(1, 1)]
    assert found.bins[6].mean_score == pytest.approx(0.655)
    assert found.expected_error == pytest.approx((3 * 0.05 + 2 * abs(0.655 - 0.5)) / 6)
    assert found.count == 6


def test_scores_that_are_as_often_right_as_they_say_have_no_error(rng) -> None:
    scores = rng.uniform(0, 1, 200_000)
    found = Calibration.measure(scores, rng.uniform(0, 1, scores.size) < scores)
    assert found.expected_error < 0.005
    assert Calibration.measure(np.sqrt(scores), rng.uniform(0, 1, scores.size) < scores).expected_error > 0.1


# --- curves ---

scores_of = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.50001, 0.9, 1.0]), min_size=1, max_size=30)


@given(scores_of, scores_of)
def test_a_curve_counts_what_each_threshold_accepts(targets, others) -> None:
    detection = Detection(np.array(targets), np.array(others), 0.5, NEGATIVES)
    curve = detection.curve
    for threshold, false_accepts, misses in zip(*curve, strict=True):
        assert false_accepts == pytest.approx(np.mean([score >= threshold for score in others]))
        assert misses == pytest.approx(np.mean([score < threshold for score in targets]))
    assert (curve.false_accept_rate[0], curve.miss_rate[0]) == (0.0, 1.0)
    assert (np.diff(curve.thresholds) < 0).all()


@given(scores_of, scores_of)
def test_the_area_is_the_chance_that_a_word_scores_higher(targets, others) -> None:
    detection = Detection(np.array(targets), np.array(others), 0.5, NEGATIVES)
    expected = stats.mannwhitneyu(targets, others).statistic / (len(targets) * len(others))
    assert detection.area == pytest.approx(expected)


@given(scores_of, scores_of)
def test_the_equal_error_lies_on_the_curve(targets, others) -> None:
    detection = Detection(np.array(targets), np.array(others), 0.5, NEGATIVES)
    x = np.append(detection.curve.false_accept_rate, 1.0)
    misses = np.append(detection.curve.miss_rate, 0.0)
    error = detection.equal_error_rate
    # Between two neighbours, on the line through them, where both errors are equal.
    on_line = [
        abs((x1 - x0) * (error - y0) - (y1 - y0) * (error - x0)) < 1e-9
        and min(x0, x1) - 1e-9 <= error <= max(x0, x1) + 1e-9
        and min(y0, y1) - 1e-9 <= error <= max(y0, y1) + 1e-9
        for x0, x1, y0, y1 in zip(x[:-1], x[1:], misses[:-1], misses[1:], strict=True)
    ]
    assert any(on_line)


def test_the_equal_error_of_normal_scores(rng) -> None:
    """Two normal distributions two deviations apart: half of that is missed by what lies below -1."""
    found = stats.norm.cdf(rng.normal(1, 1, 200_000)), stats.norm.cdf(rng.normal(-1, 1, 200_000))
    detection = Detection(*found, 0.5, NEGATIVES)
    assert detection.equal_error_rate == pytest.approx(stats.norm.cdf(-1), abs=0.003)
    assert detection.area == pytest.approx(stats.norm.cdf(np.sqrt(2)), abs=0.003)


def test_a_point_within_a_rate() -> None:
    detection = Detection(np.array([0.9, 0.8, 0.3]), np.array([0.7, 0.2, 0.1, 0.0]), 0.75, NEGATIVES)
    assert detection.within(0.3).misses == Share(0, 3)
    assert detection.within(0.3).false_accepts == Share(1, 4)
    assert detection.within(0.7) == detection.at(0.3), "letting more in would not miss less"
    assert detection.within(0.0) == detection.at(0.8)
    assert detection.chosen.false_accepts == Share(0, 4)
    assert detection.at(0.0).false_accepts == Share(3, 4), "a score of 0 is never accepted"


def test_a_long_curve_is_thinned_in_json(rng) -> None:
    detection = Detection(rng.uniform(0, 1, 3000), rng.uniform(0, 1, 3000), 0.5, NEGATIVES)
    found = detection.to_json()
    assert len(found["thresholds"]) == len(found["miss_rate"]) == len(found["false_accept_rate"]) == 200
    assert found["miss_rate"][0] == 1
    assert found["false_accept_rate"][-1] == 1


# --- a model's answers ---

LABELS = ("_unknown_", "no", "yes")
MADE = Decision(threshold=0.5, auxiliary=("_unknown_",))


def judged(decision, rows, negatives=()) -> Evaluation:
    """Return an evaluation of examples, each a name with its three probabilities."""

    def scored(some) -> Scored:
        probabilities = np.array([row[1:] for row in some], np.float32).reshape(-1, 3)
        return Scored(tuple(row[0] for row in some), probabilities, tuple(range(len(some))))

    return Evaluation.judge(LABELS, decision, scored(rows), scored(negatives) if negatives else None)


ROWS = [
    ("yes", 0.1, 0.1, 0.8),
    ("yes", 0.1, 0.7, 0.2),
    ("yes", 0.6, 0.1, 0.3),
    ("no", 0.2, 0.45, 0.35),
    ("no", 0.0, 1.0, 0.0),
]
STRANGE = [("street", 0.9, 0.1, 0.0), ("street", 0.2, 0.2, 0.6), ("rain", 0.3, 0.4, 0.3)]


def test_a_made_class_is_no_answer_but_rejects() -> None:
    evaluation = judged(MADE, ROWS)
    assert evaluation.classes == ("no", "yes")
    assert evaluation.confusion.tolist() == [[2, 0], [1, 2]], "the third is taken for yes, which is likelier than no"
    outcomes = evaluation.outcomes
    assert (outcomes.right, outcomes.wrong, outcomes.rejected) == (2, 1, 2)
    assert evaluation.outcomes_by_class["no"].hits == Share(1, 2)


def test_negatives_by_where_they_are_from() -> None:
    evaluation = judged(MADE, ROWS, STRANGE)
    assert evaluation.false_accepts == Share(1, 3)
    assert evaluation.false_accepts_by_name == {"street": Share(1, 2), "rain": Share(0, 1)}
    detection = evaluation.detection
    assert detection.against == NEGATIVES
    # A word taken for another is accepted at no threshold; one less likely than what rejects is at a low one.
    np.testing.assert_allclose(detection.targets, [0.8, 0, 0.3, 0.45, 1.0], rtol=1e-6)
    np.testing.assert_allclose(detection.others, [0.1, 0.6, 0.4], rtol=1e-6)
    assert detection.chosen.false_accepts == evaluation.false_accepts
    assert detection.chosen.misses == Share(3, 5)


def test_without_negatives_each_word_is_compared_with_the_others() -> None:
    detection = judged(MADE, ROWS).detection
    assert detection.against == OTHER_WORDS
    np.testing.assert_allclose(np.sort(detection.targets), [0.2, 0.3, 0.45, 0.8, 1.0], rtol=1e-6)
    np.testing.assert_allclose(np.sort(detection.others), [0, 0.1, 0.1, 0.35, 0.7], rtol=1e-6, atol=1e-9)


def test_a_class_that_is_no_word_is_outside_whether_the_model_knows_it_or_not() -> None:
    rows = [*ROWS, ("_unknown_", 0.2, 0.0, 0.8), ("_silence_", 0.9, 0.1, 0.0)]
    known = judged(Decision(threshold=0.5), rows)
    assert known.classes == LABELS
    assert known.count == 6, "the model has a class for unknown ones, none for silence"
    assert known.outcomes.count == 5
    assert known.false_accepts_by_name == {"_unknown_": Share(1, 1), "_silence_": Share(0, 1)}
    assert judged(MADE, rows).count == 5, "what was made is no class to be right about"


def test_json_of_everything_is_json() -> None:
    found = json.loads(json.dumps(judged(MADE, ROWS, STRANGE).to_json(), allow_nan=False))
    assert found["at_threshold"]["right"] == 2
    assert found["false_accepts"]["part"] == 1
    assert found["accuracy_interval"][0] < found["accuracy"] < found["accuracy_interval"][1]
    assert found["detection"]["against"] == "negatives"


def test_outsiders_is_the_former_name_of_negatives() -> None:
    """As a keyword, as an attribute, and beside the present key in JSON."""
    present = judged(MADE, ROWS, STRANGE)
    with pytest.warns(DeprecationWarning, match="outsiders is called negatives now"):
        judge = Evaluation.judge(
            LABELS, MADE, present.scored, outsiders=present.negatives, about={"negatives": {"a": 3}}
        )
    with pytest.warns(DeprecationWarning, match="outsiders is called negatives now"):
        assert judge.outsiders is judge.negatives
    assert judge.false_accepts == present.false_accepts
    with pytest.warns(DeprecationWarning, match="outsiders is called negatives now"):
        assert Evaluation((), present.confusion, outsiders=present.negatives).negatives is present.negatives
    with pytest.raises(TypeError, match="got negatives twice: also under its old name outsiders"):
        Evaluation.judge(LABELS, MADE, present.scored, negatives=None, outsiders=None)
    assert judge.to_json()["data"] == {"negatives": {"a": 3}, "outsiders": {"a": 3}}


def test_no_words_at_all() -> None:
    evaluation = judged(MADE, [("_silence_", 0.9, 0.1, 0.0)])
    assert (evaluation.count, evaluation.detection, evaluation.false_accepts) == (0, None, Share(0, 1))
    json.dumps(evaluation.to_json(), allow_nan=False)


# --- long recordings, speed ---


LONG = LongResult(
    hours=2.0, recordings=("a.wav", "b.wav"), words=10, thresholds=(0.3, 0.5, 0.7, 0.9), false_accepts=(8, 4, 1, 0),
    detected=(10, 9, 9, 5), threshold=0.5, wanted=2.0,
)  # fmt: skip


def test_long_results_have_two_points() -> None:
    assert LONG.in_use == LongPoint(0.5, 4, 2.0, 1 - 9 / 10)
    assert LONG.chosen.threshold == 0.7, "of those with the fewest misses, the one with the fewest false accepts"
    assert dataclasses.replace(LONG, wanted=0.4).chosen.threshold == 0.9
    assert dataclasses.replace(LONG, wanted=9.0).chosen.threshold == 0.3
    found = json.loads(json.dumps(LONG.to_json(), allow_nan=False))
    assert found["chosen"] == {
        "threshold": 0.7, "false_accepts": 1, "false_accepts_per_hour": 0.5, "miss_rate": 1 - 9 / 10,
    }  # fmt: skip
    assert found["false_accepts_per_hour"] == [4.0, 2.0, 0.5, 0.0]


def test_a_long_result_that_is_never_quiet() -> None:
    noisy = dataclasses.replace(LONG, false_accepts=(8, 8, 5, 6))
    assert (noisy.reaches, noisy.chosen.threshold) == (False, 0.9)
    assert LONG.reaches


def test_long_recordings_without_words() -> None:
    result = dataclasses.replace(LONG, words=0, detected=(0, 0, 0, 0))
    assert result.chosen == LongPoint(0.5, 4, 2.0, None), "the lowest threshold that is quiet enough"
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert (found["miss_rate"], found["in_use"]["miss_rate"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detected": (1, 2)}, "each threshold needs a number"),
        ({"thresholds": (), "false_accepts": (), "detected": ()}, "each threshold needs a number"),
        ({"thresholds": (0.5, 0.3, 0.7, 0.9)}, "thresholds must rise"),
        ({"threshold": 0.6}, "the threshold in use, 0.6, is none of"),
        ({"hours": 0.0}, "longer than 0 hours, got 0"),
    ],
)
def test_long_results_are_checked(changes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(LONG, **changes)


def test_speed_is_measured_one_at_a_time_and_together() -> None:
    seen = []
    speed = measure_speed(lambda x: seen.append(x.shape), (7,), "a processor", 2, batch=16, seconds=0.05)
    assert set(seen) == {(1, 7), (16, 7)}
    assert speed.milliseconds <= speed.slow_milliseconds
    assert speed.per_second > 0
    assert speed.to_json()["processor"] == "a processor"


def test_the_speed_of_a_slow_model_is_measured_in_small_batches() -> None:
    seen = []

    def answer(x) -> None:
        seen.append(len(x))
        time.sleep(0.004 * len(x))

    speed = measure_speed(answer, (7,), "a processor", 2, batch=256, seconds=0.02)
    assert 1 <= speed.batch <= 5
    assert max(seen) == speed.batch


def test_a_curve_of_many_scores_has_its_corners(monkeypatch, rng):
    targets, others = (np.round(rng.beta(*shape, size), 3).astype(np.float32) for shape, size in
                       (((4, 2), 300), ((2, 5), 4000)))  # fmt: skip
    every = Detection(targets, others, 0.5, "other words")
    assert len(every.curve.thresholds) > 700
    monkeypatch.setattr("audioconv.evaluation.curves.MAX_SCORES", 100)
    few = Detection(targets, others, 0.5, "other words")
    assert len(few.curve.thresholds) < len(every.curve.thresholds) - 50
    assert few.area == pytest.approx(every.area, abs=1e-12)
    assert few.equal_error_rate == pytest.approx(every.equal_error_rate, abs=1e-12)
    for rate in (0.0, 0.01, 0.1, 0.5):
        assert few.within(rate) == every.within(rate)
