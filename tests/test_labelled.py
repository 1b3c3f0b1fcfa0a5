"""Labelled examples: parts that keep recordings apart, and epochs in which no class goes under."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audioconv.audio.window_begins import covering_begins
from audioconv.audio.windows import Windows, WindowsBuilder, kept_pieces
from audioconv.datasets.collection import Collection, Item
from audioconv.errors import DataError
from audioconv.recipe.choose_input import choose_audio_input
from audioconv.recipe.examples import MAX_RATIO, Examples, load, notes_of_parts
from audioconv.recipe.labelled import LabelledArrays, LabelledFiles
from audioconv.recipe.plan import choose
from audioconv.recipe.settings import Settings
from audioconv.recipe.window_plan import ClassPlan, WindowPlan

LENGTH = 10


def examples(classes, speakers=None):
    """Return examples whose classes have recordings of so many windows; all samples tell the recording."""
    builder, labels, number = WindowsBuilder(LENGTH, 1), [], 0
    for label, sizes in classes.items():
        for size in sizes:
            samples = np.full(size * LENGTH, number, np.float32)
            builder.add(number, kept_pieces(samples, covering_begins(len(samples), LENGTH), size > 1, LENGTH))
            labels += [label] * size
            number += 1
    windows = builder.build()
    who = [None if speakers is None else speakers[i] for i in windows.recordings.tolist()]
    return Examples(windows, labels, who, [None] * len(labels), {"name": "made"})


def count(found, rows):
    return {label: [found.labels[i] for i in rows].count(label) for label in dict.fromkeys(found.labels)}


# --- parts ---


@given(
    sizes=st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=8), min_size=2, max_size=4), seed=st.integers(0, 9)
)
def test_no_recording_is_both_trained_on_and_validated_with_if_another_can_be_spared(sizes, seed):
    found = examples({f"class {n}": some for n, some in enumerate(sizes)})
    try:
        parts = found.split(0.2, seed)
    except DataError:
        assert not any(len(some) > 1 for some in sizes)
        return
    train, validation = parts["train"], parts["validation"]
    assert not set(train.tolist()) & set(validation.tolist())
    both = set(found.recordings[train].tolist()) & set(found.recordings[validation].tolist())
    few = {f"class {n}" for n, some in enumerate(sizes) if len(some) < 5}
    assert {found.labels[int(np.flatnonzero(found.recordings == number)[0])] for number in both} <= few
    assert set(found.labels) == {found.labels[i] for i in train}


def test_one_long_recording_of_each_class_is_validated_with_its_end():
    found = examples({"rain": [40], "wind": [20], "_silence_": [60]})
    parts = found.split(0.1, 0)
    assert count(found, parts["validation"]) == {"rain": 4, "wind": 2, "_silence_": 6}
    # The window between is left out: drawn windows reach half a window beyond their places.
    assert count(found, parts["train"]) == {"rain": 35, "wind": 17, "_silence_": 53}
    for label, first in (("rain", 0), ("wind", 40)):
        of_class = [i for i in parts["train"].tolist() if found.labels[i] == label]
        assert min(of_class) == first
        assert max(of_class) < min(i for i in parts["validation"].tolist() if found.labels[i] == label) - 1


def test_a_drawn_window_of_the_training_part_has_no_sample_of_the_validation_part(rng):
    builder = WindowsBuilder(LENGTH, 1)
    for number in range(2):
        samples = np.arange(400, dtype=np.float32) + 1000 * number
        builder.add(number, kept_pieces(samples, covering_begins(400, LENGTH), True, LENGTH))
    labels = ["a"] * 40 + ["b"] * 40
    found = Examples(builder.build(), labels, [None] * 80, [None] * 80, {"name": "made"})
    parts = found.split(0.2, 0)
    shown, _ = found.epoch_of(parts["train"])
    drawn = {x for _ in range(200) for x in shown.draw(np.arange(len(shown)), rng).reshape(-1).tolist()}
    kept, _ = found.epoch_of(parts["validation"], balanced=False)
    assert not drawn & set(kept[np.arange(len(kept))].reshape(-1).tolist())


def test_classes_of_one_short_recording_cannot_be_validated():
    with pytest.raises(DataError, match="no class has two of them"):
        examples({"yes": [1], "no": [1]}).split(0.1, 0)


# --- an epoch ---


def test_classes_of_clips_are_shown_as_they_are():
    found = examples({"yes": [1] * 7, "no": [1] * 9, "_unknown_": [1] * 30})
    shown, rows = found.epoch_of(np.arange(46))
    assert rows.tolist() == list(range(46))
    np.testing.assert_array_equal(shown[:], found.x[:])


def test_a_small_class_is_shown_again():
    found = examples({"yes": [1] * 60, "no": [1] * 3, "_silence_": [1] * 2})
    shown, rows = found.epoch_of(np.arange(65))
    assert count(found, rows) == {"yes": 60, "no": 60 / MAX_RATIO, "_silence_": 2}
    assert len(shown) == len(rows)
    assert {rows.tolist().count(i) for i in (60, 61, 62)} == {20 / MAX_RATIO}
    assert found.epoch_of(np.arange(65), balanced=False)[1].tolist() == list(range(65))


def test_a_small_class_of_pictures_is_shown_again(rng):
    x = rng.random((12, 4, 4, 1)).astype(np.float32)
    found = Examples(x, ["a"] * 10 + ["b"] * 2, [None] * 12, [None] * 12, {"name": "made"})
    shown, rows = found.epoch_of(np.arange(12))
    assert count(found, rows) == {"a": 10, "b": 10 / MAX_RATIO}
    np.testing.assert_array_equal(shown, x[rows])


def test_long_recordings_of_a_class_do_not_drown_the_others(rng):
    found = examples({"yes": [1] * 15, "no": [1] * 15, "_silence_": [60] * 6})
    shown, rows = found.epoch_of(np.arange(len(found.labels)))
    assert count(found, rows) == {"yes": 15, "no": 15, "_silence_": pytest.approx(15, abs=3)}
    silence = [place for place, i in enumerate(rows.tolist()) if found.labels[i] == "_silence_"]
    assert set(shown.recordings[silence].tolist()) == set(range(30, 36))
    begins = {begin for _ in range(200) for begin in _drawn_begins(shown.select(np.array(silence)), rng)}
    # Drawn anew, they come from all over the recordings.
    lowest, highest = found.x.begins[30], found.x.begins[-1]
    assert max(np.diff(sorted(begins))) < 3 * LENGTH
    assert min(begins) - lowest < 3 * LENGTH > highest - max(begins)


def _drawn_begins(windows: Windows, rng) -> list[int]:
    positions = np.arange(sum(map(len, windows.sources)), dtype=np.int16)
    drawn = replace(windows, sources=(positions,), scales=np.ones(len(windows), np.float32))
    return drawn.draw(np.arange(len(windows)), rng)[:, 0].astype(int).tolist()


def test_one_long_recording_of_each_class_is_shown_as_a_whole():
    found = examples({"rain": [30], "wind": [30]})
    assert found.epoch_of(np.arange(60))[1].tolist() == list(range(60))
    assert found.epoch_count() == 60


def test_an_epoch_of_nothing():
    shown, rows = examples({"yes": [1], "no": [3]}).epoch_of(np.zeros(0, np.int64))
    assert (len(shown), len(rows)) == (0, 0)


def test_what_is_said_of_small_classes():
    found = examples({"yes": [1] * 60, "no": [1] * 3})
    notes = "\n".join(notes_of_parts(found, found.split(0.1, 0)))
    assert "class no has fewer than 5 clips to train on" in notes
    assert "more than 10 : 1" in notes
    found = examples({"yes": [1] * 20, "no": [1]})
    assert "class no has no clips to validate with" in "\n".join(notes_of_parts(found, found.split(0.1, 0)))


# --- reading ---


def load_files(source, windows, items):
    return load(choose(Settings(), source, windows), LabelledFiles.of(Collection(tuple(items), "audio", "few")))


def test_a_class_that_loses_most_of_its_files_stops_the_run(tmp_path: Path, rng):
    items = []
    for label in ("yes", "no"):
        for n in range(5):
            path = tmp_path / label / f"{n}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, rng.normal(0, 0.1, 8000), 8000)
            items.append(Item(path, label))
    source = choose_audio_input("cnn", [8000], 1.0, sample_rate=8000)
    plan = WindowPlan(1.0, {label: ClassPlan("words", 1.0, 1.0) for label in ("yes", "no")})
    for n in range(2):
        (tmp_path / "no" / f"{n}.wav").write_text("no sound")
    found = load_files(source, plan, items)
    assert len(found.labels) == 8
    assert found.notes == ("files that cannot be read, by class: no 2 of 5; the others are used",)
    (tmp_path / "no" / "2.wav").write_text("no sound")
    with pytest.raises(DataError, match=r"class no loses most files .*no 3 of 5.*0\.wav: not audio"):
        load_files(source, plan, items)


def test_what_tests_is_not_cut_by_its_label(tmp_path: Path, rng):
    soundfile.write(tmp_path / "long.wav", rng.normal(0, 0.1, 40000), 8000)
    items = (
        Item(tmp_path / "long.wav", "_silence_", split="train"),
        Item(tmp_path / "long.wav", "_silence_", split="test"),
    )
    source = choose_audio_input("cnn", [8000], 1.0, sample_rate=8000)
    plan = WindowPlan(1.0, {"_silence_": ClassPlan("sounds", 1.0, 5.0), "yes": ClassPlan("words", 1.0, 1.0)})
    found = load_files(source, plan, items)
    assert list(found.splits) == ["train"] * 5 + ["test"]


def test_recordings_in_memory_are_cut_too(rng):
    source = choose_audio_input("cnn", [8000], 1.0, sample_rate=8000)
    plan = WindowPlan(1.0, {"rain": ClassPlan("sounds", 1.0, 5.0), "yes": ClassPlan("words", 1.0, 1.0)})
    arrays = [rng.normal(0, 0.1, size).astype(np.float32) for size in (40000, 8000)]
    nowhere = [None, None]
    data = LabelledArrays(
        kind="audio", arrays=arrays, labels=["rain", "yes"], speakers=["her", None], splits=nowhere, sample_rate=8000
    )
    found = load(choose(Settings(), source, plan), data)
    assert list(found.labels) == ["rain"] * 5 + ["yes"]
    assert list(found.speakers) == ["her"] * 5 + [None]
