from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from audioconv.decision import calibration
from audioconv.decision.calibration import (
    COMPROMISE,
    GIVEN_UP,
    MAX_CLEAR,
    MAX_COST,
    MIN_CLIPS,
    calibrate,
    clear_threshold,
)

LABELS = ("_unknown_", "no", "yes")


def drawn(rng, words=500, others=500, sharpness=1.0, distance=3.0):
    """Return logits and codes: words with a large logit of their own, others with small ones."""
    codes = np.concatenate([rng.integers(1, 3, words), np.zeros(others, np.int64)])
    logits = rng.standard_normal((words + others, 3))
    logits[np.arange(words), codes[:words]] += distance
    logits[words:, 0] += distance
    return (sharpness * logits).astype(np.float32), codes


def test_the_temperature_undoes_what_logits_are_multiplied_by(rng):
    logits, codes = drawn(rng, others=0)
    one, five = (calibrate(LABELS, factor * logits, codes).temperature for factor in (1.0, 5.0))
    assert five == pytest.approx(5 * one, rel=1e-3)


def test_probabilities_are_as_often_right_as_they_say(rng):
    truth = rng.dirichlet(np.ones(3), 4000)
    codes = np.array([rng.choice(3, p=row) for row in truth])
    decision = calibrate(("a", "b", "c"), 7.0 * np.log(truth), codes)
    assert decision.temperature == pytest.approx(7.0, rel=0.1)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_the_threshold_lets_the_stated_share_of_others_through_and_no_more(rng, share, monkeypatch):
    logits, codes = drawn(rng)
    monkeypatch.setattr(calibration, "GIVEN_UP", 0.0)
    monkeypatch.setattr(calibration, "MAX_COST", 1.0)
    decision = calibrate(LABELS, logits, codes, auxiliary=["_unknown_"], false_accepts=share)
    answers = decision.decide(LABELS, decision.probabilities(LABELS, logits))
    passed = np.mean(answers.accepted[codes == 0])
    assert share - 1 / 500 <= passed <= share
    assert decision.basis["others_accepted"] == passed
    assert decision.basis["words_accepted_and_right"] == np.mean(
        (answers.accepted & (answers.codes == codes))[codes > 0]
    )
    assert (decision.basis["words"], decision.basis["others"]) == (500, 500)
    assert decision.false_accepts == share


@pytest.mark.parametrize(("ratio", "most"), [(1.0, 0.3), (3.0, 0.1)])
def test_of_what_is_easier_less_may_pass(ratio, most, rng, monkeypatch):
    logits, codes = drawn(rng)
    monkeypatch.setattr(calibration, "GIVEN_UP", 0.0)
    decision = calibrate(
        LABELS, logits, codes, auxiliary=["_unknown_"], false_accepts=0.3, negative_hardness_ratio=ratio
    )
    passed = decision.decide(LABELS, decision.probabilities(LABELS, logits)).accepted[codes == 0].mean()
    assert most - 1 / 100 < passed <= most
    assert decision.false_accepts == 0.3


def test_the_threshold_is_higher_where_it_costs_few_words(rng):
    logits, codes = drawn(rng)
    decision = calibrate(LABELS, logits, codes, auxiliary=["_unknown_"], false_accepts=0.9)
    right = decision.decide(LABELS, decision.probabilities(LABELS, logits)).codes[codes > 0] == codes[codes > 0]
    given_up = int(GIVEN_UP * (right.sum() + 1)) - 1
    assert given_up > 0
    assert decision.basis["words_accepted_and_right"] == pytest.approx((right.sum() - given_up) / len(right))
    assert decision.basis["others_accepted"] < 0.9


@pytest.mark.parametrize("hard", [0, 150, 300])
def test_where_the_share_would_cost_many_words_the_threshold_gives_way(hard, rng):
    logits, codes = drawn(rng, distance=6.0)
    # Some of what is no word is like a word, as what is made of few words is.
    logits[500 : 500 + hard] = logits[:hard]
    decision = calibrate(LABELS, logits, codes, auxiliary=["_unknown_"], false_accepts=0.02)
    cost = decision.basis["words_that_the_share_would_cost"]
    if not hard:
        assert cost < MAX_COST
        assert decision.basis["others_accepted"] <= 0.02
    else:
        assert cost > 2 * MAX_COST
        assert decision.threshold == pytest.approx(COMPROMISE)
        assert decision.basis["words_accepted_and_right"] > 0.8


def test_the_threshold_gives_way_by_and_by():
    right = np.linspace(0.8, 1, 2001)
    asked = np.linspace(0.8, 0.9, 1001)
    given = np.array([calibration._affordable(float(threshold), right) for threshold in asked])
    cost = np.searchsorted(right, asked) / len(right)
    assert (given[cost <= MAX_COST] == np.maximum(asked, right[99])[cost <= MAX_COST]).all()
    np.testing.assert_allclose(given[cost >= 2 * MAX_COST], COMPROMISE)
    assert np.abs(np.diff(given)).max() < 0.01
    # It never gives way upwards.
    assert calibration._affordable(0.3, np.linspace(0, 1, 101)) == pytest.approx(0.3)
    assert calibration._affordable(1.0, right) == pytest.approx(COMPROMISE)
    assert calibration._affordable(0.7, np.zeros(0)) == 0.7


def test_of_few_words_none_is_given_up():
    """The lowest of 10 scores lies above a tenth of new words, so the threshold stays below it."""
    right = np.linspace(0.5, 1, 10)
    assert calibration._affordable(0.2, right, 0.05) == 0.2
    assert calibration._affordable(0.2, right, 0.1) == right[0]


def test_the_gate_is_half_open_where_words_and_others_are_alike(rng):
    logits, codes = drawn(rng, words=4000, others=1000)
    largest = logits[:, 1:].max(axis=1)
    gate = calibrate(LABELS, logits, codes, auxiliary=["_unknown_"]).gate
    even = -gate.offset / gate.scale
    near = np.abs(largest - even) < 0.25
    # Each side counts the same, however many clips it has.
    words, others = np.count_nonzero(near & (codes > 0)) / 4000, np.count_nonzero(near & (codes == 0)) / 1000
    assert words / others == pytest.approx(1, abs=0.35)
    assert gate.scale > 0


def test_sides_that_do_not_overlap_give_finite_numbers():
    codes = np.repeat([0, 1], 50)
    logits = np.where(codes[:, None] == 1, [[-9.0, 9.0, -9.0]], [[9.0, -9.0, -9.0]])
    decision = calibrate(LABELS, logits, codes, auxiliary=["_unknown_"], false_accepts=0.02)
    assert np.isfinite([decision.gate.scale, decision.gate.offset]).all()
    assert (decision.basis["words_accepted_and_right"], decision.basis["others_accepted"]) == (1.0, 0.0)


def test_with_few_clips_nothing_is_fitted(rng):
    logits, codes = drawn(rng, words=MIN_CLIPS - 1)
    decision = calibrate(LABELS, logits, codes, auxiliary=["_unknown_"], false_accepts=0.05)
    assert (decision.temperature, decision.gate, decision.threshold) == (1.0, None, 0.0)
    assert decision.auxiliary == ("_unknown_",)


def test_nothing_at_all():
    decision = calibrate(LABELS, np.empty((0, 3), np.float32), np.empty(0, np.int64), false_accepts=0.05)
    assert (decision.temperature, decision.threshold) == (1.0, 0.0)


def test_classes_that_are_all_words_have_no_gate_and_no_threshold(rng):
    logits, codes = drawn(rng)
    decision = calibrate(("a", "b", "c"), logits, codes)
    assert decision.gate is None
    assert decision.threshold == 0.0


@pytest.mark.parametrize("count", [MIN_CLIPS, 12, 200])
def test_the_share_of_new_words_below_a_clear_threshold(count, rng):
    missed = []
    for _ in range(400):
        threshold = clear_threshold(expit(rng.normal(6.0, 1.5, count)), 0.05)
        missed.append(norm.cdf(logit(threshold), 6.0, 1.5))
    assert np.mean(missed) == pytest.approx(0.05, abs=0.015)


def test_too_few_words_have_no_clear_threshold():
    assert clear_threshold(np.full(MIN_CLIPS - 1, 0.99), 0.01) == 0.0
    assert clear_threshold(np.ones(MIN_CLIPS, np.float32), 0.01) > 0.99  # scores of float32 reach 1


@pytest.mark.parametrize(("distance", "is_raised"), [(3.0, False), (30.0, True)])
def test_the_threshold_is_clear_of_negatives_that_are_far_away(distance, is_raised, rng):
    logits, codes = drawn(rng, words=20, others=300, distance=distance)
    settings = {"auxiliary": ["_unknown_"], "false_accepts": 0.05, "score": "odds", "given_up": 0.0}
    plain, clear = (calibrate(LABELS, logits, codes, **settings, missed_by_clear=share) for share in (None, 0.001))
    assert clear.gate == plain.gate
    if is_raised:
        assert clear.threshold == MAX_CLEAR > plain.threshold
        assert clear.basis["others_accepted"] == 0.0
        assert clear.basis["words_accepted_and_right"] == 1.0
    else:
        assert clear.threshold == plain.threshold


@pytest.mark.parametrize("held", [0, 3, 12])
def test_learned_words_stand_for_those_that_were_not_held_out(held, rng):
    logits, codes = drawn(rng, words=100, others=300, distance=30.0)
    settings = {"auxiliary": ["_unknown_"], "false_accepts": 0.05, "score": "odds", "missed_by_clear": 0.001}
    learned = (codes > 0) & (np.arange(len(codes)) >= held)
    found = calibrate(LABELS, logits, codes, **settings, learned=learned)
    assert found.temperature == 1.0, "learned words say nothing of new ones"
    assert found.gate == calibrate(LABELS, logits, codes, **settings).gate
    assert (found.basis["words"], found.basis["learned_words"]) == (held or 100, 100 - held)
    assert found.basis["words_are_learned"] is (held == 0)
    if held >= MIN_CLIPS:
        assert found.threshold > 0.01
        assert found.basis["others_accepted"] == 0.0
    else:
        assert found.basis["others_accepted"] == 0.05, "what the negatives need, and no more"
