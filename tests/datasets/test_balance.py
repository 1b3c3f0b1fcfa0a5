"""What is said of classes before training: small ones, unwatched ones, and those that lose their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audioconv.datasets import Collection, Item, open_collection
from audioconv.datasets.check.balance import check_losses, imbalance_notes
from audioconv.datasets.left_out import LeftOut, Unread
from audioconv.errors import DataError


@pytest.mark.parametrize(
    ("counts", "notes"),
    [
        ({}, []),
        ({"a": {"train": 9, "validation": 1}, "b": {"train": 90, "validation": 9}}, []),
        ({"a": {"train": 5}, "b": {None: 50}}, []),  # nothing validates anything: that is no class's fault
        ({"a": {"train": 91, "validation": 9}, "b": {"train": 9, "validation": 1}},
         ["class a has 91 clips to train on and class b only 9, more than 10 : 1; add clips to the small classes"]),
        ({"down": {"train": 54, "validation": 6}, "go": {"train": 3}},
         ["class go has no clips to validate with: nothing watches how well it is learned; add clips",
          "class go has fewer than 5 clips to train on; add some",
          "class down has 54 clips to train on and class go only 3, more than 10 : 1; "
          "add clips to the small classes"]),
        ({"a": {"train": 4, "validation": 1}, "b": {"train": 1}, "c": {None: 2, "test": 9}},
         ["2 classes (b, c) have no clips to validate with: nothing watches how well they are learned; add clips",
          "3 classes (a, b, c) have fewer than 5 clips to train on; add some"]),
        ({"a": {"test": 4}, "b": {"train": 1, "validation": 1}},
         ["class a has no clips to validate with: nothing watches how well it is learned; add clips",
          "2 classes (a, b) have fewer than 5 clips to train on; add some",
          "class b has 1 clip to train on and class a only 0, more than 10 : 1; add clips to the small classes"]),
    ],
)  # fmt: skip
def test_imbalance_is_said(counts, notes):
    assert imbalance_notes(counts) == notes


def made_of(**counts: int) -> Collection:
    items = (Item(Path(f"{label}{n}.wav"), label) for label, count in counts.items() for n in range(count))
    return Collection(tuple(items), "audio", "few")


def failures(collection, readable):
    unread = (item for n, item in enumerate(collection.items) if n not in readable)
    return [DataError(f"{item.path}: is no sound") for item in unread]


def test_a_class_that_loses_most_of_its_files_is_an_error():
    few = made_of(go=4, yes=4)
    assert check_losses(few, range(8), []) is None
    some = [0, 1, 4, 5, 6, 7, 7]  # half of `go`
    assert check_losses(few, some, failures(few, some)) == (
        "files that cannot be read, by class: go 2 of 4; the others are used"
    )
    most = [0, 4, 5, 6]
    with pytest.raises(DataError) as caught:
        check_losses(few, most, failures(few, most))
    assert str(caught.value) == (
        "few: class go loses most files because they cannot be read (go 3 of 4), such as go1.wav: is no sound; "
        "mend or convert the files, or remove the class"
    )
    with pytest.raises(DataError, match=r"class yes loses all files .*\(yes 4 of 4\), such as yes0\.wav: is no sound"):
        check_losses(few, [0, 1], failures(few, [0, 1, *range(4, 8)]) + failures(few, range(4)))


def test_recordings_with_endings_that_are_not_read_count_as_lost():
    few = replace(made_of(go=3, yes=4), left_out=LeftOut((Unread("go", ".vox", 4), Unread("yes", ".vox", 2))))
    with pytest.raises(DataError, match=r"class go loses most files .*\(go 4 of 7\), such as 4 with the ending \.vox"):
        check_losses(few, range(7), [])
    few = replace(few, left_out=LeftOut((Unread("no", "", 4),)))
    with pytest.raises(DataError, match=r"class no loses all files .*\(no 4 of 4\), such as 4 with the ending of no"):
        check_losses(few, range(7), [])
    few = replace(few, left_out=LeftOut((Unread("yes", ".vox", 2),)))
    assert check_losses(few, range(7), []) == "files that cannot be read, by class: yes 2 of 6; the others are used"


def test_lost_files_count_for_the_class_that_they_are_of(tmp_path):
    for name in ("yes/1.wav", "yes/2.wav", "Yes/3.vox", "Other/4.vox", "unknown/5.wav", "_unknown_/6.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    collection = open_collection(tmp_path)
    assert collection.left_out.unread == (Unread("Other", ".vox", 1), Unread("yes", ".vox", 1))
    with pytest.raises(DataError, match=r"class Other loses all files .*\(Other 1 of 1\)"):
        check_losses(collection, range(4), [])
    told = check_losses(collection.with_negatives(), range(4), [])
    assert told == "files that cannot be read, by class: _unknown_ 1 of 3, yes 1 of 3; the others are used"


def test_the_first_reason_is_of_a_class_that_is_lost():
    few = made_of(go=3, yes=2)
    with pytest.raises(DataError, match=r"such as yes0\.wav: is no sound"):
        check_losses(few, [0, 1], failures(few, [0, 1]))
    with pytest.raises(DataError, match=r"2 classes \(go, yes\) lose all files .*remove the classes"):
        check_losses(few, [], failures(few, []))
