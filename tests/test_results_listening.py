"""What `scripts/results` measures of listening, on tones: that it counts what it says it counts."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from streams import RATE, SETTINGS, TONES, recording, tone

from audioconv import Classifier, Model
from audioconv import layers as L
from audioconv.audio import LogMel
from audioconv.datasets import Collection, Item
from audioconv.decision.decision import Decision
from audioconv.pipeline.negatives import NegativeSet
from audioconv.streaming import detect

NOISE = 4
"""How much louder than in `recording` noise is here, so that tones may be near it."""

FRAMES = 9
"""Over how many frames a band has to stand out to be heard as a tone."""
STANDS_OUT_DB = 8.0
DB_OF_ONE = 5.0
"""How much more raises a logit by one: little enough that no probability is 1."""

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def results():
    """Return the script as a module; its helpers can be imported as long as it is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        patch.setattr(sys, "dont_write_bytecode", True)
        loader = SourceFileLoader("results_of_listening", str(SCRIPTS / "results"))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
        loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def material(results, tmp_path_factory):
    """Return clips of tones, sounds that are none, and long recordings in which no tone is."""
    folder = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(0)

    def write(name: str, samples: np.ndarray) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, samples, RATE, subtype="FLOAT")
        return folder / name

    items = []
    for n in range(12):
        for label in TONES:
            samples = recording([(label, rng.uniform(0.02, 0.18))], 0.5, seed=n) + NOISE * recording(
                [], 0.5, seed=20 + n
            )
            items.append(Item(write(f"{label}/{n}.wav", samples), label, split="test" if n >= 8 else "train"))
    noise = [write(f"noise/{n}.wav", NOISE * recording([], 12.0, seed=50 + n)) for n in range(2)]
    tones = [write(f"tones/{n}.wav", recording([("high", 0.1)], 0.5, seed=n)) for n in range(3)]
    spoken = recording([("low", 3.0)], 8.0, seed=9) + NOISE * recording([], 8.0, seed=10)
    return results.listening.Material(
        Collection(tuple(items), "audio", "tones"),
        [NegativeSet("noise", tuple(noise)), NegativeSet("tones", tuple(tones))],
        {"speech, made of tones": [write("spoken.wav", spoken)], "noise": noise},
        {"speech": [noise], "noise": [[path] for path in noise]},
        passes=2,
    )


@pytest.fixture(scope="module")
def trained(results, tmp_path_factory):
    """Return a classifier that hears a tone where one band stands out.

    Its weights are written down, not learned: what it hears is the same on every processor.
    """
    front_end = LogMel.for_rate(RATE, mel_bands=16)
    frames, bands = front_end.out_shape(RATE // 2)
    filters = np.full((FRAMES, bands, len(TONES)), -1 / (FRAMES * (bands - 1)), np.float32)
    for n, label in enumerate(TONES):
        loudest = front_end(tone(label, 0.3))[0].mean(axis=0).argmax()
        filters[:, loudest, n] = 1 / FRAMES
    weight = np.array([[0, 1, 0], [0, 0, 1]], np.float32) / DB_OF_ONE
    bias = np.array([0, -STANDS_OUT_DB, -STANDS_OUT_DB], np.float32) / DB_OF_ONE
    model = Model(
        L.Chain([L.Conv(len(TONES), FRAMES, padding="valid", bias=False), L.GlobalMaxPool(), L.Dense(3)]),
        {"0": {"weight": filters}, "1": {}, "2": {"weight": weight, "bias": bias}},
        ("_unknown_", *TONES),
        (frames, bands),
        front_end,
        RATE // 2,
        decision=Decision(threshold=0.6),
    )
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    model.save(path)
    return results.listening.Trained("seed 3", 3, Classifier.load(path), 1.5)


# --- words in recordings ---


@given(
    st.integers(0, 2**32), st.lists(st.integers(1, 30), max_size=8), st.integers(0, 40), st.integers(0, 9),
)  # fmt: skip
def test_places_do_not_overlap(results, seed, lengths, room, gap):
    from experiments.splicing import draw_places

    total = sum(lengths) + gap * max(0, len(lengths) - 1) + room
    places = draw_places(np.random.default_rng(seed), lengths, total, gap)
    assert len(places) == len(lengths)
    ends = [begin + length for begin, length in zip(places, lengths, strict=True)]
    assert all(begin - end >= gap for begin, end in zip(places[1:], ends, strict=False))
    assert all(begin >= 0 for begin in places)
    assert max(ends, default=0) <= total
    if lengths:
        with pytest.raises(ValueError, match="do not fit"):
            draw_places(np.random.default_rng(seed), lengths, total - room - 1, gap)


@pytest.mark.parametrize("snr", [0.0, 10.0, 20.0])
def test_the_level_of_a_word(results, snr):
    """Of its active part, whatever silence its clip has, above the noise around it and not that far away."""
    from experiments.splicing import Word, splice

    rng = np.random.default_rng(1)
    background = rng.normal(0, 0.01, 10 * RATE).astype(np.float32)
    background[: 2 * RATE] *= 30
    sounding = np.sin(2 * np.pi * 300 * np.arange(RATE // 2) / RATE)
    clip = np.concatenate([np.zeros(RATE), sounding, np.zeros(RATE)]).astype(np.float32)
    begin = 5 * RATE
    made = splice(background, [Word("low", 0.2 * clip)], [snr], [begin], RATE)
    added = (made.samples - background)[begin + RATE : begin + RATE + len(sounding)]
    around = background[begin - RATE : begin + len(clip) + RATE]
    measured = 10 * np.log10(np.mean(np.square(added)) / np.mean(np.square(around)))
    assert measured == pytest.approx(snr, abs=0.3)  # frames at the word's edges are half silent
    np.testing.assert_array_equal(made.samples[:begin], background[:begin])
    assert [(one.label, one.start, one.end) for one in made.labels] == [("low", 5.0, 7.5)]


def test_a_word_in_silence_keeps_its_level(results):
    from experiments.splicing import Word, splice

    word = Word("low", tone("low", 0.3))
    made = splice(np.zeros(RATE, np.float32), [word], [20.0], [100], RATE)
    np.testing.assert_array_equal(made.samples[100 : 100 + len(word.samples)], word.samples)


def test_words_are_drawn_by_seed_and_all_of_them_before_one_again(results):
    from experiments.splicing import Word, spliced_recordings

    words = [Word(str(n), tone("low", 0.3)) for n in range(12)]
    backgrounds = [np.full(20 * RATE, 0.01, np.float32), np.full(40 * RATE, 0.01, np.float32)]

    def make(seed):
        rng = np.random.default_rng(seed)
        return list(spliced_recordings(backgrounds, words, (0, 5, 10), RATE, rng, passes=2, seconds_each=5.0))

    first, again, other = make(1), make(1), make(2)
    assert [one.labels for one in first] == [one.labels for one in again] != [one.labels for one in other]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(first, again, strict=True))
    assert [len(one.labels) for one in first] == [4, 8, 4, 8]
    said = [label.label for one in first for label in one.labels]
    assert sorted(said) == sorted(2 * [word.label for word in words])
    assert len(set(said[:12])) == 12
    for one in first:
        counts = [one.snrs.count(snr) for snr in (0, 5, 10)]
        assert max(counts) - min(counts) <= 1


# --- what is measured ---


def test_rejecting_counts_what_the_parts_say(results, trained, material):
    found = results.listening.rejecting(trained, material)
    classifier = trained.classifier
    tests = [item for item in material.collection.items if item.split == "test"]
    answers = classifier.predict([item.path for item in tests])
    assert found["clips"] == {
        "tested": 8,
        "right": sum(one.label == item.label for one, item in zip(answers, tests, strict=True)),
        "accepted_and_right": sum(one.answer == item.label for one, item in zip(answers, tests, strict=True)),
    }
    assert found["clips"]["right"] == 8
    assert found["negatives"]["noise"]["tested"] == 2 * 24
    accepted = [one.accepted for one in classifier.predict(list(material.negatives[1].paths))]
    assert found["negatives"]["tones"] == {"accepted": sum(accepted), "tested": 3}
    assert sum(accepted) > 0
    for name, paths in material.long.items():
        events = sum(len(detect(classifier.model_, path)) for path in paths)
        assert found["listening"][name]["false_accepts"] == events
    assert found["listening"]["speech, made of tones"] == {"hours": 8 / 3600, "false_accepts": 1}
    assert found["threshold"] == 0.6


def test_spliced_words_are_found_where_they_are_loud(results, trained, material):
    found = results.listening.spliced(trained, material)
    assert found == results.listening.spliced(trained, material), "the seed decides"
    assert found["hours"] == pytest.approx(2 * 24 / 3600)
    assert found["thresholds"]["own"] == 0.6
    assert (found["reached"], found["false_accepts"]["chosen"]) == (True, 0)
    for parts in found["found"].values():
        assert sum(part["words"] for part in parts.values()) == 2 * 4
        assert all(0 <= part["own"] <= part["words"] for part in parts.values())
    loud = [parts["20"] for parts in found["found"].values()]
    assert sum(part["own"] for part in loud) > 0.7 * sum(part["words"] for part in loud)


def test_a_threshold_that_nothing_reaches_finds_nothing(results, trained, material):
    listening = results.listening
    words = [listening.Word(label, tone(label, 0.3)) for label in TONES]
    noise = NOISE * recording([], 60.0, seed=2)
    found = listening.count_found(
        trained.classifier.model_, [noise], words, {"all": 0.5, "none": 1.0}, np.random.default_rng(0), 1
    )
    assert [part["words"] for part in found.values()] == [2] * 5
    assert sum(part["all"] for part in found.values()) > 5
    assert sum(part["none"] for part in found.values()) == 0


def test_speech_in_which_a_word_stands_is_left_out(results, tmp_path):
    rows = ["a.flac,2,1.0,GO UP THE HILL", "b.flac,10,1.0,THE GOAT STOOD UPON IT", "c.flac,2,1.0,NOTHING AT ALL"]
    (tmp_path / "transcripts.csv").write_text("file,speaker,seconds,text\n" + "\n".join(rows))
    found = results.listening.speech_without(tmp_path, ("go", "up"))
    assert found == {"10": [tmp_path / "b.flac"], "2": [tmp_path / "c.flac"]}


def test_backgrounds_are_joined_and_not_too_loud(results, tmp_path):
    rng = np.random.default_rng(0)
    for name, rms in (("soft", 0.01), ("loud", 0.3)):
        soundfile.write(tmp_path / f"{name}.wav", rng.normal(0, rms, RATE), RATE, subtype="FLOAT")
    soft, loud = (results.listening.joined([tmp_path / f"{name}.wav"] * 2, RATE) for name in ("soft", "loud"))
    assert len(soft) == len(loud) == 2 * RATE
    assert np.sqrt(np.mean(np.square(soft))) == pytest.approx(0.01, rel=0.05)
    assert np.sqrt(np.mean(np.square(loud))) == pytest.approx(0.03, rel=1e-4)


# --- what is written ---


def test_from_training_to_the_page(results, material, monkeypatch):
    """As `scripts/results --quick --only rejecting --only spliced`, with tones."""
    monkeypatch.setattr(results.listening, "material", lambda quick: material)
    monkeypatch.setattr(Classifier, "train", classmethod(_train_tones))
    found = results.run_listening(["rejecting", "spliced"], "", results.Share(quick=True))
    numbers = json.loads(json.dumps(found, allow_nan=False))
    assert [run["name"] for run in numbers["spliced"]["runs"]] == ["seed 0"]
    assert numbers["rejecting"]["epochs"] == 2
    page = results.filled(results.PAGE.read_text("utf-8"), numbers)
    assert "| words: right, when forced to choose | 8 clips |" in page
    assert "| speech | for 0.5 false accepts an hour | 8 |" in page
    assert "allows no false accepts" in page
    assert "### One network" in page
    assert "### Three" not in page
    assert results.filled(page, numbers) == page
    both = numbers | {f"{name}-3": row for name, row in numbers.items()}
    assert results.filled(page, both).count("words: right, when forced to choose") == 2
    assert {*numbers, *both} <= set(results.LISTENING)


def _train_tones(cls, collection, seed, callbacks, **settings):
    assert set(settings) == {"epochs"}
    return cls(arch="tc-resnet8", seed=seed, augment=False, **{**SETTINGS, **settings}).fit(
        [item.path for item in collection.items if item.split == "train"],
        [item.label for item in collection.items if item.split == "train"],
    )


def run_of(name: str, right: int, accepted: int, false_accepts: int) -> dict:
    found = {
        "name": name,
        "training_seconds": 60.0,
        "threshold": 0.9,
        "clips": {"tested": 200, "right": 198, "accepted_and_right": right},
        "negatives": {"a": {"accepted": accepted, "tested": 100}, "b": {"accepted": 0, "tested": 300}},
        "listening": {
            "speech, one half": {"hours": 0.25, "false_accepts": false_accepts},
            "speech, the other": {"hours": 0.25, "false_accepts": 1},
            "background-noise": {"hours": 0.1, "false_accepts": 0},
        },
        "hours": 3.0,
        "thresholds": {"chosen": 0.96, "own": 0.9},
        "false_accepts": {"chosen": 1, "own": 4},
        "reached": True,
        "found": {"speech": {str(snr): {"words": 50, "chosen": snr + 20, "own": 45} for snr in (0, 5, 10, 15, 20)}},
    }  # fmt: skip
    found["found"]["speech"]["15"]["words"] = 0
    return found


def test_rows_tell_mean_spread_and_aim(results):
    numbers = {
        "arch": "tc-cnn", "parameters": 75_000, "epochs": 60, "threads": 2, "audioconv": "0.2.0", "date": "2026-12-01",
        "runs": [run_of("seed 0", 180, 10, 0), run_of("seed 1", 190, 30, 2)],
    }  # fmt: skip
    text = results.listening_page({"rejecting": numbers, "spliced": numbers})
    # Numbers of earlier releases have the negatives under another name.
    former = {**numbers, "runs": [{**run, "outsiders": run["negatives"]} for run in numbers["runs"]]}
    for run in former["runs"]:
        del run["negatives"]
    assert results.listening_page({"rejecting": former, "spliced": former}) == text
    for row in (
        "| words: accepted and right | 200 clips | **92.50%** ± 3.54% | 90.00% | 95.00% | at least 93 % |",
        "| accepted: a | 100 clips | **20.00%** ± 14.14% | 10.00% | 30.00% |  |",
        "| accepted: all negatives | 400 clips | **5.00%** ± 3.54% | 2.50% | 7.50% | at most 5 % |",
        "| false accepts: speech | 0.500 hours | **4.00** an hour | 1 | 3 | at most 1 an hour |",
        "| false accepts: speech, one half | 0.250 hours | **4.00** an hour | 0 | 2 |  |",
        "| false accepts: background-noise | 0.100 hours | **0.00** an hour | 0 | 0 | none |",
        "| speech | for 0.5 false accepts an hour | 400 | **40.00%** ± 0.00% | **50.00%** ± 0.00% |",
        "**60.00%** ± 0.00% | - | **80.00%**",
        "180.0 minutes long. There, 0.5 an hour allows 1 false accept, so",
        "0.96 (1), 0.96 (1); the models' own: 0.900 (4), 0.900 (4)",
        "`tc-cnn`, 75,000 parameters, 60 epochs, trained in 1 min 00 s on 2 threads.",
        "Measured with audioconv 0.2.0, 2026-12-01.",
    ):
        assert row in text.replace("\n", " ")
    unreached = {**numbers, "runs": [{**run, "reached": False} for run in numbers["runs"]]}
    assert "0.96 (1, no threshold has so few)" in results.listening_page({"spliced": unreached})
    assert results.listening_page({}) == "Nothing has been measured yet."
    assert "Measured" not in results.tables({"rejecting": numbers})


def test_numbers_of_listening_keep_out_of_the_other_tables(results):
    numbers = json.loads(results.NUMBERS.read_text("utf-8"))
    assert results.tables({**numbers, "spliced": {"audioconv": "9.9.9", "date": "never"}}) == results.tables(
        {name: row for name, row in numbers.items() if name in results.EXPERIMENTS}
    )
