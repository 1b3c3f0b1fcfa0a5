"""Splits: shares, speakers on one side, and what cannot be split."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv.datasets import check_disjoint, open_collection, speech_commands_split, split_validation
from audioconv.errors import ConfigError, DataError


def counts(labels, indices):
    return Counter(labels[i] for i in indices)


@pytest.mark.parametrize("fraction", [0.1, 0.15, 0.25, 0.5])
def test_stratified(fraction):
    labels = ["a"] * 100 + ["b"] * 40 + ["c"] * 20
    train, validation = split_validation(labels, fraction=fraction)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(160))
    for label, count in counts(labels, validation).items():
        assert abs(count - fraction * labels.count(label)) <= 0.5


def test_the_seed_decides():
    labels = ["a", "b"] * 50
    speakers = [str(i % 20) for i in range(100)]
    for groups in (None, speakers):
        first, again, other = (split_validation(labels, groups, 0.2, seed)[1].tolist() for seed in (0, 0, 1))
        assert first == again != other


def test_small_classes_get_one_clip_and_keep_one():
    labels = ["a"] * 100 + ["b"] * 2 + ["c"]
    assert counts(labels, split_validation(labels)[1]) == {"a": 10, "b": 1}


def test_no_speaker_on_both_sides():
    rng = np.random.default_rng(0)
    speakers = [f"s{i}" for i in rng.integers(0, 60, 1500)]
    labels = [f"w{i}" for i in rng.integers(0, 8, 1500)]
    train, validation = split_validation(labels, speakers, 0.1)
    check_disjoint(speakers, {"train": train, "validation": validation})
    assert 0.07 < len(validation) / 1500 < 0.13
    assert set(counts(labels, validation)) == set(labels)


def test_fewer_speakers_than_the_fraction_asks_for():
    labels = ["a", "b"] * 30
    speakers = ["anna"] * 20 + ["bert"] * 20 + ["carl"] * 20
    train, validation = split_validation(labels, speakers, 0.1)
    assert len(validation) == 20
    check_disjoint(speakers, {"train": train, "validation": validation})


def test_clips_without_a_speaker_are_split_one_by_one():
    labels = ["a", "b"] * 50
    assert split_validation(labels, [None] * 100)[1].tolist() == split_validation(labels)[1].tolist()
    speakers = ["anna"] * 50 + [None] * 50
    validation = split_validation(labels, speakers)[1]
    assert len(validation) == 10
    assert validation.min() >= 50


def test_a_class_of_one_speaker_keeps_this_speaker_in_training():
    labels = ["a", "b", "c"] * 10 + ["rare"]
    speakers = [f"s{i % 5}" for i in range(30)] + ["s0"]
    for seed in range(10):
        train, validation = split_validation(labels, speakers, 0.2, seed)
        assert "s0" not in {speakers[i] for i in validation}
        assert {labels[i] for i in train} == {"a", "b", "c", "rare"}


@given(
    clips=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "z", "w", None])), max_size=40),
    fraction=st.floats(0.01, 0.5),
    seed=st.integers(0, 9),
)
def test_every_possible_split_is_whole_disjoint_and_leaves_every_class(clips, fraction, seed):
    labels, speakers = [label for label, _ in clips], [speaker for _, speaker in clips]
    try:
        train, validation = split_validation(labels, speakers, fraction, seed)
    except DataError:
        # Only where no group can go without taking some class along.
        owners = [speaker if speaker else i for i, speaker in enumerate(speakers)]
        for owner in set(owners):
            rest = {label for label, other in zip(labels, owners, strict=True) if other != owner}
            assert rest != set(labels)
        return
    assert sorted([*train, *validation]) == list(range(len(clips)))
    assert len(validation) > 0
    assert {labels[i] for i in train} == set(labels)
    check_disjoint(speakers, {"train": train, "validation": validation})


@pytest.mark.parametrize(
    ("labels", "speakers", "message"),
    [
        ([], None, "none of 0 clips"),
        (["a", "b"], None, "none of 2 clips can be spared for validation: no class has two of them"),
        (["a", "a", "b", "b"], ["anna"] * 4, r"all 4 clips are of one speaker \(anna\).*leave the speakers out"),
        (["a", "a", "b", "b"], ["anna"] * 2 + ["bert"] * 2, "no speaker can be spared .* each is the only one"),
    ],
)  # fmt: skip
def test_impossible(labels, speakers, message):
    with pytest.raises(DataError, match=message):
        split_validation(labels, speakers)


@pytest.mark.parametrize("fraction", [0, -0.1, 0.6, 1, float("nan")])
def test_bad_fraction(fraction):
    with pytest.raises(ConfigError, match="validation fraction"):
        split_validation(["a", "a"], None, fraction)


def test_groups_of_another_length():
    with pytest.raises(ConfigError, match="one group for each of the 2 labels; got 1"):
        split_validation(["a", "a"], ["anna"])


def test_check_disjoint():
    speakers = ["a", "b", "a", None, None]
    check_disjoint(speakers, {"train": [0, 2, 3], "test": [1, 4]})
    with pytest.raises(DataError, match=r"1 speakers are in both train and test \(a\)"):
        check_disjoint(speakers, {"train": [0, 1], "validation": [], "test": [2]})


def test_the_rule_of_speech_commands(test_data):
    # The folder is the data set's training and validation part, so the rule finds no test clip in it.
    names = [item.path for item in open_collection(test_data / "speech-commands-9").items]
    assert Counter(map(speech_commands_split, names)) == {"train": 4483, "validation": 500}


def test_the_rule_looks_at_the_speaker_only():
    assert speech_commands_split("yes/0a7c2a8d_nohash_0.wav") == speech_commands_split("0a7c2a8d_nohash_4.flac")
    found = Counter(speech_commands_split(f"{i:08x}_nohash_0.wav") for i in range(3000))
    assert found["train"] == pytest.approx(2400, abs=120)
    assert found["validation"] == pytest.approx(300, abs=60)
    assert speech_commands_split("caf\udce9_nohash_0.wav") in ("train", "validation", "test")
