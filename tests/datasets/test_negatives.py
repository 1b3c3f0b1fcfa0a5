"""Classes that nobody listens for, by what people call them."""

from __future__ import annotations

from pathlib import Path

import pytest

from audioconv.datasets import Collection, Item
from audioconv.decision.classes import negative_label


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("other", "Others", "_other_", "UNKNOWN", "_unknown_", "Negative", "negatives", "not-wake-word"), "_unknown_"),
        (("silence", "Noise", "background", "_background_noise_", "Background Noise", "_silence_"), "_silence_"),
        (("yes", "mother", "another", "not", "rest", "background music", "silencer", "", "___", "noise 2"), None),
    ],
)
def test_names_of_negatives(names, label):
    assert {name: negative_label(name) for name in names} == dict.fromkeys(names, label)


def of(*labels, kind="audio"):
    items = tuple(Item(Path(f"{n}.wav"), label) for n, label in enumerate(labels))
    return Collection(items, kind, "few", ("as it was",))


def test_negatives_are_renamed_with_a_note():
    collection = of("yes", "Other", "noise", "noise", "_unknown_", "no").with_negatives()
    assert collection.labels == ["yes", "_unknown_", "_silence_", "_silence_", "_unknown_", "no"]
    assert collection.notes == (
        "as it was",
        "class 'Other' (1 file) is nothing to listen for: it is trained as _unknown_ (--keep-classes turns that off)",
        "class 'noise' (2 files) is nothing to listen for: it is trained as _silence_ (--keep-classes turns that off)",
    )
    assert collection.with_negatives() is collection


@pytest.mark.parametrize("same", [of("yes", "no"), of("noise", "silence"), of("cat", "other", kind="images")])
def test_what_stays_as_it_is(same):
    assert same.with_negatives() is same
