"""What `check` finds in a data set, fault by fault, and what it leaves alone."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioconv.datasets import Collection, Item, open_collection, speech_commands_split
from audioconv.datasets.check.check import Report, check
from audioconv.datasets.check.measure import FLOOR, measure_sound
from audioconv.datasets.check.plot import MAX_CLASSES, MAX_SPEAKERS, draw
from audioconv.errors import ConfigError, DataError, MissingExtraError
from audioconv.io.figures import check_drawable

RATE = 8000

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None,
    reason="needs the extra: pip install 'audioconv[plots]'",
)


def noise(seed: int, seconds: float = 0.25) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE))


def save(path: Path, samples: np.ndarray, rate: int = RATE, **options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def good_items(folder: Path, count: int = 20, split: str | None = None) -> list[Item]:
    """Return `count` clips of each of two classes in which nothing is wrong."""
    return [
        Item(save(folder / label / f"{n}.wav", noise(1000 * place + n)), label, split=split)
        for place, label in enumerate(("no", "yes"))
        for n in range(count)
    ]


def look(items: list[Item], kind: str = "audio") -> Report:
    report = check(Collection(tuple(items), kind, "made up"))
    json.dumps(report.as_json(), allow_nan=False)
    return report


def kinds(report: Report) -> tuple[list[str], list[str]]:
    return [finding.kind for finding in report.errors], [finding.kind for finding in report.warnings]


def test_what_is_left_out_is_found(tmp_path):
    good_items(tmp_path)
    for name in ("yes/a.vox", "no/notes.txt", "stray.wav"):
        (tmp_path / name).touch()
    (tmp_path / "go").mkdir()
    report = check(open_collection(tmp_path))
    assert kinds(report) == ([], ["not-read", "empty-folder", "stray"])
    assert report.warnings[0].where == ("yes: 1 x .vox",)
    assert report.notes == ("1 file with another ending was left out: .txt (1)",)
    assert report.as_json()["notes"] == list(report.notes)


@pytest.mark.parametrize("lost", ["go", "yes"])
def test_a_class_that_loses_most_of_its_files_is_an_error(tmp_path, lost):
    good_items(tmp_path)
    (tmp_path / lost).mkdir(exist_ok=True)
    for n in range(21):
        (tmp_path / lost / f"{n}.vox").touch()
    report = check(open_collection(tmp_path))
    assert kinds(report) == (["not-read"], ["empty-folder"] if lost == "go" else [])
    assert report.errors[0].where == (f"{lost}: 21 x .vox",)


def test_classes_that_nothing_would_validate(tmp_path):
    items = good_items(tmp_path)
    few = [Item(save(tmp_path / "go" / f"{n}.wav", noise(50 + n)), "go", speaker="anna") for n in range(10)]
    report = look([*items, *few])
    assert kinds(report) == ([], ["no-validation"])
    assert report.warnings[0].message.startswith("1 of 3 classes (go) has no clips that training would validate with")
    report = look([replace(item, speaker="anna") for item in items])
    assert report.warnings[0].message.startswith("all 40 clips are of one speaker (anna), so none can validate")


def test_nothing_wrong(tmp_path):
    done = []
    items = good_items(tmp_path)
    report = check(Collection(tuple(items), "audio", "good"), on_file=lambda: done.append(1))
    assert kinds(report) == ([], [])
    assert (len(done), len(report.sounds), report.failures) == (40, 40, ())
    assert report.clips == {"no": {None: 20}, "yes": {None: 20}}
    found = report.as_json()
    assert found["classes"] == {"no": {"none": 20}, "yes": {"none": 20}}
    assert found["seconds"] == {"lowest": 0.25, "median": 0.25, "highest": 0.25}
    assert found["sample_rates"] == {RATE: 40}


# --- the same clip again ---


def test_copies_in_a_class_are_a_warning(tmp_path):
    items = good_items(tmp_path)
    report = look([*items, Item(Path(shutil.copy(items[0].path, tmp_path / "no/copy.wav")), "no")])
    assert kinds(report) == ([], ["duplicates"])
    assert [(group.items, group.same_bytes) for group in report.duplicates] == [((0, 40), True)]
    assert report.warnings[0].where == (f"{tmp_path}/no/0.wav, {tmp_path}/no/copy.wav: same file",)
    assert [file["path"] for file in report.as_json()["duplicates"][0]["files"]] == [
        str(tmp_path / "no/0.wav"),
        str(tmp_path / "no/copy.wav"),
    ]


@pytest.mark.parametrize("name", ["copy.flac", "copy.aiff", "copy.wav"])
def test_the_same_samples_in_another_file(tmp_path, name):
    items = good_items(tmp_path)
    samples, rate = soundfile.read(items[0].path)
    # The name that is already there gets a header of its own.
    subtype = "PCM_24" if name == "copy.wav" else "PCM_16"
    report = look([*items, Item(save(tmp_path / "no" / name, samples, rate, subtype=subtype), "no")])
    assert [(group.items, group.same_bytes) for group in report.duplicates] == [((0, 40), False)]
    assert report.warnings[0].where[0].endswith("same samples")


def test_other_rates_and_other_samples_are_no_duplicates(tmp_path):
    items = good_items(tmp_path)
    samples, _rate = soundfile.read(items[0].path)
    changed = samples.copy()
    changed[7] += 2 / 32768
    items += [Item(save(tmp_path / "no/a.wav", changed), "no"), Item(save(tmp_path / "no/b.wav", samples, 4000), "no")]
    assert look(items).duplicates == ()


def test_the_same_clip_under_two_labels_is_an_error(tmp_path):
    items = good_items(tmp_path)
    report = look([*items, Item(Path(shutil.copy(items[0].path, tmp_path / "yes/copy.wav")), "yes")])
    assert kinds(report) == (["label-conflict"], [])
    assert report.errors[0].message == "1 recording has more than one label; keep each under the right one"
    assert report.errors[0].where == (f"{tmp_path}/no/0.wav (no), {tmp_path}/yes/copy.wav (yes): same file",)
    assert report.errors[0].items == (0, 40)


def test_the_same_clip_in_two_splits_is_an_error(tmp_path):
    items = [*good_items(tmp_path, split="train"), *good_items(tmp_path / "more", count=21, split="test")]
    report = look(items)
    assert kinds(report) == (["leak"], [])
    assert report.errors[0].message.startswith("40 recordings are in more than one split")
    assert "(train), " in report.errors[0].where[0]
    assert "(test): same file" in report.errors[0].where[0]


def test_a_clip_without_a_split_is_trained_on(tmp_path):
    train, unsplit = good_items(tmp_path, split="train"), good_items(tmp_path / "more")
    assert kinds(look([*train, *unsplit])) == ([], ["duplicates"])
    test = good_items(tmp_path / "test", split="test")
    assert kinds(look([*unsplit, *test])) == (["leak"], [])


def test_parts_of_a_recording(tmp_path):
    repeated = np.concatenate([noise(1), noise(2), noise(1)])
    path = save(tmp_path / "long.wav", repeated)
    items = [
        Item(path, "no", begin=0, end=0.25),
        Item(path, "yes", begin=0.25, end=0.5),
        Item(path, "yes", begin=0.5, end=0.75),
        Item(path, "yes", begin=5, end=6),
    ]
    report = look(items)
    assert kinds(report)[0] == ["unreadable", "label-conflict"]
    assert [(group.items, group.same_bytes) for group in report.duplicates] == [((0, 2), False)]
    assert report.errors[1].where == (
        f"{path} from 0 to 0.25 s (no), {path} from 0.5 to 0.75 s (yes): same samples",
    )  # fmt: skip
    assert [sound.seconds for sound in report.sounds] == [0.25] * 3
    assert report.as_json()["errors"][0]["files"][0]["begin"] == 5


# --- speakers ---


def test_speakers_in_two_splits_are_an_error(tmp_path):
    items = [
        Item(item.path, item.label, speaker, split)
        for item, (speaker, split) in zip(
            good_items(tmp_path),
            [("anna", "train"), ("bert", "test"), ("carl", None), ("carl", "validation"), (None, "test")] * 8,
            strict=True,
        )
    ]
    report = look(items)
    assert kinds(report)[0] == ["speakers"]
    assert report.errors[0].where == ("carl: train, validation",)
    assert report.errors[0].message.startswith("1 of 3 speakers is in more than one split (carl), so that")
    assert "leave the column split empty" in report.errors[0].message


# --- what cannot be read, and what cannot be heard ---


def test_unreadable_files_are_all_listed(tmp_path):
    items = good_items(tmp_path)
    for n in range(12):
        (tmp_path / f"no/bad{n}.wav").write_text("no sound")
        items.append(Item(tmp_path / f"no/bad{n}.wav", "no"))
    report = look(items)
    assert kinds(report) == (["unreadable"], [])
    assert report.errors[0].message == "12 of 52 files cannot be read; mend or remove them"
    assert (len(report.failures), len(report.errors[0].where), len(report.sounds)) == (12, 12, 40)
    assert len(report.as_json()["unreadable"]) == 12
    assert report.measured[40:] == (None,) * 12


def test_nothing_can_be_read(tmp_path):
    (tmp_path / "a.wav").touch()
    report = look([Item(tmp_path / "a.wav", "a")])
    assert kinds(report)[0] == ["unreadable"]
    assert "seconds" not in report.as_json()


@needs_matplotlib
def test_a_sheet_of_nothing(tmp_path):
    (tmp_path / "a.wav").touch()
    draw(look([Item(tmp_path / "a.wav", "a")]), tmp_path / "sheet.png")


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_silence_is_told_and_is_no_duplicate(tmp_path, level):
    items = good_items(tmp_path)
    items += [Item(save(tmp_path / f"{label}/s.wav", np.full(2000, level)), label) for label in ("no", "yes")]
    report = look(items)
    assert report.duplicates == ()
    assert kinds(report)[0] == []
    assert kinds(report)[1] == ["empty"] + ["offset"] * bool(level)
    assert report.warnings[0].items == (40, 41)
    assert report.sounds[-1].loudness == report.sounds[-1].peak == FLOOR


@pytest.mark.parametrize(
    ("kind", "samples", "line"),
    [
        ("quiet", 0.01 * noise(7), "dBFS"),
        ("clipped", np.clip(4 * noise(7), -1, 1), "%"),
        ("clipped", 0.985 * np.clip(4 * noise(7), -1, 1), "%"),
        ("offset", noise(7) + 0.1, "of full scale"),
        ("length", noise(7, 2), "2.00 s"),
        ("length", noise(7, 0.04), "0.04 s"),
    ],
)
def test_a_recording_to_look_at(tmp_path, kind, samples, line):
    items = [*good_items(tmp_path), Item(save(tmp_path / "odd.wav", samples), "no")]
    report = look(items)
    assert kinds(report) == ([], [kind])
    assert report.warnings[0].items == (40,)
    assert report.warnings[0].where[0].startswith(f"{tmp_path}/odd.wav: ")
    assert line in report.warnings[0].where[0]


def test_the_numbers_of_a_recording(tmp_path):
    square = np.where(np.arange(8000) % 80 < 40, 0.5, -0.5) + 0.25
    sound = measure_sound(save(tmp_path / "a.wav", np.stack([square, square], axis=1), subtype="FLOAT"))
    assert (sound.seconds, sound.sample_rate, sound.channels, sound.clipped) == (1, 8000, 2, 0)
    assert sound.loudness == pytest.approx(-6.02, abs=0.01)
    assert sound.peak == pytest.approx(-6.02, abs=0.01)
    assert sound.offset == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("samples", "share"),
    [
        ([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], 0.3),
        ([1, 1, 0, 1, 1, 0, -1, -1, 0, 0], 0),
        ([1, 1, 1, -1, -1, -1, -1, 0, 0, 0], 0.7),
        ([0.99, 0.995, 0.999, 0.98, 0, 0, 0, 0, 0, 0], 0),
        ([0, 0, 0, 0.9, 0.9, 0.9, 0.9, 0, 1, 1], 0),
    ],
)
def test_clipped_samples_are_flat_and_high(tmp_path, samples, share):
    path = save(tmp_path / "a.wav", np.array(samples, np.float32), subtype="FLOAT")
    assert measure_sound(path).clipped == pytest.approx(share)


def test_full_scale_that_is_not_cut_off_is_not_clipped(tmp_path):
    sine = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    assert measure_sound(save(tmp_path / "a.wav", sine)).clipped == 0


# --- the whole ---


def test_several_sample_rates(tmp_path):
    items = [*good_items(tmp_path), Item(save(tmp_path / "a.wav", noise(7, 0.5), 2 * RATE), "no")]
    report = look(items)
    assert kinds(report) == ([], ["sample-rates"])
    assert report.warnings[0].where == ("8,000 Hz: 40 files", "16,000 Hz: 1 files")
    assert "those at 8,000 Hz hold nothing above 4,000 Hz" in report.warnings[0].message


def test_balance(tmp_path):
    items = good_items(tmp_path, 41, split="train")
    few = [Item(save(tmp_path / f"few/{n}.wav", noise(90_000 + n)), "few", split="train") for n in range(4)]
    test = [Item(save(tmp_path / f"test/{n}.wav", noise(80_000 + n)), "yes", split="test") for n in range(3)]
    report = look([*items, *few, *test])
    assert kinds(report) == ([], ["imbalance", "few-clips", "missing-class"])
    imbalance, small, missing = report.warnings
    assert "class 'yes' has 44 files and 'few' 4" in imbalance.message
    assert small.message.startswith("1 of 3 classes (few) has fewer than 10 files")
    assert missing.message.startswith("2 of 3 classes (few, no) have no files in the split test")
    assert report.clips["yes"] == {"train": 41, "test": 3}


# --- pictures ---


def test_pictures(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs the extra: pip install 'audioconv[images]'")
    rng, items = np.random.default_rng(0), []
    for n in range(24):
        path = tmp_path / f"{n}.png"
        image.fromarray(rng.integers(0, 256, (8, 6 + n % 2, 3), dtype=np.uint8)).save(path)
        items.append(Item(path, ("cat", "dog")[n % 2]))
    with image.open(tmp_path / "0.png") as picture:
        picture.save(tmp_path / "again.bmp")
    for n in range(2):
        image.new("RGB", (6, 8), "red").save(tmp_path / f"red{n}.png")
    (tmp_path / "bad.png").write_text("no picture")
    more = [("again.bmp", "dog"), ("red0.png", "cat"), ("red1.png", "dog"), ("bad.png", "cat")]
    report = look([*items, *(Item(tmp_path / name, label) for name, label in more)], "images")
    assert kinds(report) == (["unreadable", "label-conflict"], ["empty"])
    assert report.errors[1].message.startswith("1 picture has more than one label")
    assert report.errors[1].where[0].endswith("same pixels")
    assert report.warnings[0].message.startswith("2 pictures are of one colour")
    assert report.as_json()["sizes"] == {"8x6": 15, "8x7": 12}
    if importlib.util.find_spec("matplotlib"):
        draw(report, tmp_path / "sheet.png")


# --- drawing ---


@needs_matplotlib
@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG"])
def test_a_sheet(tmp_path, suffix):
    report = look([Item(item.path, item.label, "$x^2$", "test") for item in good_items(tmp_path)])
    draw(report, tmp_path / f"sheet{suffix}")
    begins = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix.lower()]
    assert (tmp_path / f"sheet{suffix}").read_bytes().startswith(begins)


@needs_matplotlib
def test_a_sheet_of_many_classes_and_speakers(tmp_path):
    path = save(tmp_path / "a.wav", noise(0))
    items = [
        Item(path, f"a class of a rather long name, number {n % (MAX_CLASSES + 5)}", f"{n % (2 * MAX_SPEAKERS)}", split)
        for n, split in enumerate(["train", "validation", "test", None] * 60)
    ]
    draw(look(items), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_a_sheet_that_cannot_be(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"sheet\.txt: a picture's name ends in \.png, \.svg, \.pdf"):
        check_drawable(tmp_path / "sheet.txt")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"audioconv\[plots\]"):
        check_drawable(tmp_path / "sheet.png")


@needs_matplotlib
def test_a_sheet_in_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="could not be written"):
        draw(look(good_items(tmp_path, 2)), tmp_path / "nowhere/sheet.png")


# --- real recordings ---


@pytest.mark.slow
def test_speech_commands(test_data):
    collection = open_collection(test_data / "speech-commands-9")
    # The data set's own rule keeps each speaker in one split.
    items = tuple(
        Item(item.path, item.label, item.speaker, speech_commands_split(item.path)) for item in collection.items
    )
    report = check(Collection(items, "audio", "speech-commands-9"))
    assert kinds(report) == ([], ["quiet", "clipped"])
    assert report.duplicates == ()
    assert {finding.kind: len(finding.items) for finding in report.warnings} == {"quiet": 13, "clipped": 5}
    assert Counter(sound.sample_rate for sound in report.sounds) == {16000: 4983}
