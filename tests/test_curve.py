"""The curve of a model: what thresholds cost, its file form, and the thresholds that follow from it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from audioconv.cli.training_run import how_it_decides
from audioconv.decision.curve import Curve
from audioconv.decision.decision import Decision, Gate
from audioconv.errors import ConfigError
from audioconv.recipe.operating_points import LOG_ODDS, USUAL_SLOPE, extrapolated


def curve(**changes):
    values = {
        "thresholds": (0.1, 0.5, 0.9),
        "words": (1.0, 0.9, 0.6),
        "negatives": (0.3, 0.05, 0.01),
        "found": (1.0, 0.8, 0.5),
        "false_accepts_per_hour": (20.0, 2.0, 0.1),
        "word_clips": 100,
        "negative_clips": 200,
        "hours": 0.5,
    }
    return Curve(**{**values, **changes})


def test_thresholds_follow_from_what_is_wanted():
    assert curve().threshold_for_rate(2.0) == 0.5
    assert curve().threshold_for_rate(1.99) == 0.9
    assert curve().threshold_for_rate(0.01) is None
    assert curve().threshold_for_share(0.3) == 0.1
    assert curve().threshold_for_share(0.04) == 0.9


def test_a_threshold_below_which_it_is_worse_again_does_not_count():
    rising = curve(false_accepts_per_hour=(1.0, 2.0, 0.1))
    assert rising.threshold_for_rate(1.0) == 0.9


def test_between_thresholds_values_are_interpolated():
    assert curve().at(0.7)["words"] == pytest.approx(0.75)
    assert curve().at(0.05)["found"] == 1.0


def test_where_the_threshold_for_streams_finds_few_words_a_line_says_what_to_do():
    decision = Decision(threshold=0.1, gate=Gate(1.0, 0.0), stream_threshold=0.9996, curve=curve(found=(0.9, 0.6, 0.4)))
    _, line, advice = how_it_decides(decision)
    assert line == (
        "in streams below 0.9996; 40.0% of the validation words are found, with no false accept in 30 min of negatives "
        "(extrapolated: 0.10 an hour)"
    )
    assert advice.startswith("(few: --false-accepts-per-hour 20 finds 90.0%; ")
    assert decision.at(false_accepts_per_hour=20).stream_threshold == 0.1
    assert len(how_it_decides(replace(decision, curve=curve(found=(0.9, 0.6, 0.5))))) == 2


def test_without_a_false_accept_a_line_tells_the_minutes_and_no_rate():
    decision = Decision(threshold=0.1, gate=Gate(1.0, 0.0), stream_threshold=0.9)
    few = replace(decision, curve=curve(found=(0.9, 0.9, 0.9), false_accepts_per_hour=(9.0, 2.0, 0.0), hours=0.1))
    assert how_it_decides(few)[1].endswith(
        "90.0% of the validation words are found, with no false accept in 6 min of negatives"
    )
    few = replace(decision, curve=curve(found=(0.9, 0.9, 0.9), false_accepts_per_hour=(30.0, 20.0, 9.0), hours=0.1))
    assert how_it_decides(few)[1].endswith("no false accept in 6 min of negatives (extrapolated: 9.00 an hour)")
    some = replace(decision, curve=curve(found=(0.9, 0.9, 0.9), false_accepts_per_hour=(30.0, 20.0, 10.0), hours=0.1))
    assert how_it_decides(some)[1].endswith("are found, at 10.00 false accepts an hour (6 min of negatives)")


def test_a_line_says_that_the_words_were_learned():
    basis = {"words_accepted_and_right": 1.0, "others_accepted": 0.05, "words_are_learned": True}
    decision = Decision(threshold=0.1, gate=Gate(1.0, 0.0), basis=basis, stream_threshold=0.5, curve=curve())
    first, remark, streams = how_it_decides(decision)
    assert first.endswith("100.0% of the training words and 5.0% of the negatives are above it")
    assert remark.startswith("(no word was held out: ")
    assert "of the training words are found" in streams


def test_a_decision_keeps_its_curve_in_a_file():
    decision = Decision(gate=Gate(1.5, 0.5, "odds"), stream_threshold=0.9, curve=curve())
    again = Decision.from_json(json.loads(json.dumps(decision.to_json())))
    assert again == decision
    assert again.gate.score == "odds"


def test_decisions_of_older_files_have_neither_curve_nor_threshold_for_streams():
    old = Decision.from_json({"temperature": 1.0, "gate": {"scale": 1.0, "offset": 0.0}})
    assert old.curve is None
    assert old.stream_threshold is None
    assert old.gate.score == "logit"


@pytest.mark.parametrize(
    "changes",
    [
        {"thresholds": (0.5, 0.1, 0.9)},
        {"thresholds": (0.1, 0.1, 0.9)},
        {"words": (1.0, 0.9)},
        {"found": (1.0, float("nan"), 0.5)},
        {"thresholds": (), "words": (), "negatives": (), "found": (), "false_accepts_per_hour": ()},
    ],
)
def test_numbers_that_do_not_fit_are_refused(changes):
    with pytest.raises(ConfigError):
        curve(**changes)


@pytest.mark.parametrize("described", [{}, {"thresholds": 3}, {"thresholds": ["a"], "words": [1]}])
def test_a_damaged_curve_is_an_error_that_says_so(described):
    with pytest.raises(ConfigError, match="curve"):
        Decision.from_json({"curve": described})


def test_a_gate_takes_the_odds_of_the_likeliest_word():
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 3.0], [1.0, 0.0, 5.0]])
    words = np.array([True, True, False])
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    likeliest = softmax[:, words].max(axis=1)
    np.testing.assert_allclose(Gate(1.0, 0.0, "odds")(logits, words), likeliest, rtol=1e-12)
    with pytest.raises(ConfigError, match="score"):
        Gate(1.0, 0.0, "largest")


# --- rates beyond what was observed ---


def test_rates_follow_an_exponential_tail(rng):
    """Events whose log-odds are exponential: far above those that were observed, the rate is the line's."""
    hours, total, scale = 2.0, 400, 1.2
    scores = rng.exponential(scale, total) - 1
    counts = np.array([(scores >= place).sum() for place in LOG_ODDS])
    rates = extrapolated(counts, hours)
    for place in (3.0, 6.0, 9.0):
        expected = total * np.exp(-(place + 1) / scale) / hours
        found = rates[np.searchsorted(LOG_ODDS, place)]
        assert expected / 4 < found < 4 * expected


@given(st.lists(st.floats(-2, 8), min_size=0, max_size=200), st.floats(0.05, 5))
def test_rates_fall_and_are_never_below_what_was_observed(scores, hours):
    counts = np.array([(np.array(scores) >= place).sum() for place in LOG_ODDS], int)
    rates = extrapolated(counts, hours)
    assert (np.diff(rates) <= 1e-12).all()
    assert (rates >= counts / hours - 1e-9).all()
    assert np.isfinite(rates).all()


@pytest.mark.parametrize("scores", [[], [1.0], [0.5, 0.5, 3.0]])
@pytest.mark.parametrize("hours", [0.25, 8.0])
def test_too_few_events_for_a_line_fall_as_usual(scores, hours):
    counts = np.array([(np.array(scores) >= place).sum() for place in LOG_ODDS], int)
    rates = extrapolated(counts, hours)
    begin = np.argmax(counts <= 2)
    assert rates[begin] == 2 / hours, "there may have been as many"
    wanted = 2 * np.exp(-USUAL_SLOPE * (LOG_ODDS[-1] - LOG_ODDS[begin])) / hours
    assert rates[-1] == pytest.approx(max(counts[-1] / hours, wanted))


def test_without_recordings_there_is_no_rate():
    assert not extrapolated(np.zeros(len(LOG_ODDS), int), 0.0).any()


def test_a_threshold_that_loses_no_word_is_half():
    clear = curve(found=(1.0, 1.0, 0.5), false_accepts_per_hour=(0.4, 0.2, 0.0))
    assert clear.threshold_for_rate(0.5) == 0.5
    assert clear.threshold_for_rate(0.1) == 0.9
    assert curve(found=(1.0, 0.99, 0.5), false_accepts_per_hour=(0.4, 0.2, 0.0)).threshold_for_rate(0.5) == 0.1
    assert curve(found=(1.0, 1.0, 1.0), false_accepts_per_hour=(0.4, 0.2, 0.0)).threshold_for_rate(0.5) == 0.5


def test_thresholds_are_probabilities_that_differ():
    thresholds = expit(LOG_ODDS)
    assert (np.diff(thresholds) > 0).all()
    assert 0 < thresholds[0] < thresholds[-1] < 1
