"""docs/results.md and README.md: no number in its tables that scripts/results did not measure."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest

from audioconv import architectures
from audioconv.datasets import Collection, Item
from audioconv.recipe import spoken_words

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def results():
    loader = SourceFileLoader("results", str(ROOT / "scripts" / "results"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("results", loader))
    sys.modules["results"] = module
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
        yield module
    finally:
        sys.dont_write_bytecode = before
        del sys.modules["results"]


def test_the_page_holds_what_was_measured(results):
    numbers = json.loads(results.NUMBERS.read_text("utf-8")) if results.NUMBERS.exists() else {}
    page = results.PAGE.read_text("utf-8")
    assert results.filled(page, numbers) == page
    readme = results.README.read_text("utf-8")
    assert results.filled_readme(readme, numbers) == readme
    assert set(numbers) <= {*results.EXPERIMENTS, *results.LISTENING, *results.UNHEARD, *results.WAKE_WORDS}


def test_a_row_tells_mean_and_spread(results):
    network = architectures.build("cs231n", num_classes=10)
    runs = [
        results.Run(f"seed {n}", network, (28, 28, 1), 3, 200, accuracy, 10.0 + n)
        for n, accuracy in enumerate([0.97, 0.98, 0.99])
    ]
    numbers = {"mnist": results.describe(results.EXPERIMENTS["mnist"], runs)}
    text = results.tables(json.loads(json.dumps(numbers)))
    assert "| `cs231n` | 5,560 | 1,218,060 | **98.00%** ± 1.00% (from 97.00% to 99.00%) |  | two convolutions" in text
    assert "| `mnist` | seed 2 | 200 | 99.00% | 12 s |" in text


def test_the_test_part_is_what_was_asked_for(results):
    items = tuple(Item(Path(f"{n}.wav"), "yes", speaker) for n, speaker in enumerate("abca"))
    from experiments.common import tested_with

    parts = tested_with(Collection(items, "audio", "few"), lambda item: item.speaker == "a")
    assert [item.split for item in parts.items] == ["test", "train", "train", "test"]


def test_missing_data_are_said(results, monkeypatch):
    monkeypatch.delenv("AUDIOCONV_TEST_DATA", raising=False)
    with pytest.raises(results.DataMissingError, match="AUDIOCONV_TEST_DATA"):
        next(results.EXPERIMENTS["mnist"].runs(True, ()))


@pytest.mark.parametrize(("train", "test"), [(3, 1), (1, 2), (100, 100)])
def test_a_quick_look_takes_some_clips_of_each_class_from_first_to_last(results, train, test):
    from experiments.common import few

    items = [
        Item(Path(f"{label}{n:02}.wav"), label, split="test" if n % 4 == 0 else "train")
        for label, count in (("no", 12), ("yes", 8))
        for n in range(count)
    ]
    taken = few(Collection(tuple(items), "audio", "words"), train, test).items
    for label, counts in (("no", {"train": 9, "test": 3}), ("yes", {"train": 6, "test": 2})):
        for split, most in (("train", train), ("test", test)):
            some = [item.path for item in taken if (item.label, item.split) == (label, split)]
            assert len(some) == min(most, counts[split])
            assert some == sorted(set(some))
    spread = [int(item.path.stem[2:]) for item in taken if (item.label, item.split) == ("no", "train")]
    assert spread[-1] == 11


def test_voices_say_little_for_a_quick_look_alone(results):
    from experiments.common import speaking_little

    before = spoken_words.CLIPS_OF_A_WORD, spoken_words.CLIPS_OF_ANOTHER
    with speaking_little():
        assert before > (spoken_words.CLIPS_OF_A_WORD, spoken_words.CLIPS_OF_ANOTHER)
    assert before == (spoken_words.CLIPS_OF_A_WORD, spoken_words.CLIPS_OF_ANOTHER)
