"""The bank of negatives: which recordings it takes, how much of them, and what training makes of it."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

import audioconv as ac
from audioconv.audio.read import AudioInfo
from audioconv.datasets.catalogue import find
from audioconv.decision.decision import odds
from audioconv.errors import ConfigError, DataError
from audioconv.io import files as io_files
from audioconv.model import Model
from audioconv.recipe import bank, deciding, plan, pronunciation, transcripts
from audioconv.recipe.bank import read_bank
from audioconv.recipe.rejection import Rejection
from audioconv.recipe.settings import Settings
from audioconv.recipe.transcripts import Transcript, Vocabulary, phrase_of, read_transcripts, words_of
from audioconv.training.callbacks import EpochEnded, NegativeRead, Noted
from audioconv.training.progress import ProgressBar

RATE = 8000


def write(path: Path, value: float = 0.1, seconds: float = 1.0, rate: int = RATE) -> Path:
    """Write a recording that has one value all along: which file a sample is of can be seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(round(seconds * rate), value), rate)
    return path


def values(arrays: Sequence[np.ndarray]) -> list[float]:
    """Return the value of each recording, in hundredths."""
    found = []
    for array in arrays:
        assert array.dtype == np.int16
        found.append(round(float(np.median(array)) / 327.68))
    return sorted(found)


def everything(found: bank.NegativeBank) -> list[float]:
    return sorted({*values(found.training), *values(found.calibration)})


@pytest.fixture(params=["by spelling", "by sound"])
def by_sound(request, monkeypatch) -> bool:
    """Compare words without espeak-ng, and with it."""
    if request.param == "by sound":
        needs_espeak()
        return True
    without_espeak(monkeypatch)
    return False


def needs_espeak() -> None:
    pytest.importorskip("espeakng_loader", reason="needs the extras: pip install 'audioconv[synth,commonvoice]'")


def without_espeak(monkeypatch) -> None:
    monkeypatch.setattr(pronunciation, "Speaker", _missing)


def _missing():
    raise ac.errors.missing_extra("synthetic speech", "synth")


def table(path: Path, *rows: Sequence[str], delimiter: str = ",", encoding: str = "utf-8") -> None:
    with open(path, "w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


# --- which recordings ---


def test_recordings_that_hold_a_word_are_left_out(tmp_path, by_sound):
    texts = [
        "UP THE HILL",
        "upon the hill",
        "he cannot write",
        "turn right!",
        "",
        "The RIGHT. one",
        "turn on",
        "turn it on",
    ]
    for number in range(len(texts)):
        write(tmp_path / f"{number}.wav", (number + 1) / 100)
    table(tmp_path / "transcripts.csv", ["file", "text"], *([f"{n}.wav", text] for n, text in enumerate(texts)))
    found = read_bank(tmp_path, ["up", "right", "turn_on", "_unknown_"], RATE)
    assert everything(found) == ([2, 5, 8] if by_sound else [2, 3, 5, 8])
    assert found.about["recordings"] == (3 if by_sound else 4)
    assert found.about["left_out"] == 8 - found.about["recordings"]
    assert found.about["homophones"] == by_sound
    assert ("with one of the words or a homophone" in found.describe()) == by_sound
    assert ("by spelling (by sound, too, with the extra synth)" in found.describe()) != by_sound
    assert f"negatives: {found.about['recordings']} recordings of {tmp_path.name}" in found.describe()


def test_librispeechs_layout(tmp_path, by_sound):
    lines = {"84-121123-0000": "GO DO YOU SEE", "84-121123-0001": "BUT IN LESS", "174-50561-0000": "FORGOTTEN TOO"}
    for number, (name, text) in enumerate(lines.items(), 1):
        speaker, chapter, _ = name.split("-")
        folder = tmp_path / "dev-clean" / speaker / chapter
        write(folder / f"{name}.flac", number / 100)
        with open(folder / f"{speaker}-{chapter}.trans.txt", "a") as file:
            file.write(f"{name} {text}\n")
    (tmp_path / "SPEAKERS.TXT").write_text("84 | F | dev-clean | 8 | Christie Nowak\n")
    found = read_bank(tmp_path, ["go", "two"], RATE)
    assert everything(found) == ([2] if by_sound else [2, 3])
    assert found.about["speakers"] == (1 if by_sound else 2)
    assert found.about["transcribed"] == found.about["recordings"]


def test_common_voices_layout(tmp_path, monkeypatch):
    """Tables beside the folder of clips; quotation marks in sentences are just that."""
    without_espeak(monkeypatch)
    for number, name in enumerate(("a", "b", "c", "d"), 1):
        write(tmp_path / "en" / "clips" / f"common_voice_en_{name}.wav", number / 100)
    rows = [
        ["client_id", "path", "sentence", "up_votes", "accents"],
        ["one", "common_voice_en_a.wav", '"Never again', "2", ""],
        ["two", "common_voice_en_b.wav", "Turn left, please.", "2"],
        ["two"],
        [],
        ["three", "common_voice_en_c.wav", 'He said "go"', "3", ""],
        ["nobody", "common_voice_en_z.wav", "left", "3", ""],
    ]
    text = "\n".join("\t".join(row) for row in rows)
    (tmp_path / "en" / "validated.tsv").write_text(text + "\n", "utf-8")
    (tmp_path / "en" / "clip_durations.tsv").write_text("clip\tduration[ms]\ncommon_voice_en_a.wav\t1000\n")
    found = read_bank(tmp_path, ["left", "stop"], RATE)
    assert everything(found) == [1, 3, 4]
    assert found.about["transcribed"] == 2
    assert found.about["speakers"] == 3  # one, three, and whoever speaks in d


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8-sig", ","), ("utf-16", "\t"), ("utf-16-le", ";"), ("cp1252", ";"), ("utf-8", "|"), ("utf-32", ",")],
)
def test_tables_of_any_encoding(tmp_path, monkeypatch, encoding, delimiter):
    without_espeak(monkeypatch)
    for number in (1, 2, 3):
        write(tmp_path / "talk" / f"{number}.wav", number / 100)
    rows = [["Speaker", "Path", "Sentence"], ["a", "talk/1.wav", "Die Tür, bitte"], ["b", "talk\\2.wav", "Zwei, drei"]]
    table(tmp_path / "said.csv", *rows, delimiter=delimiter, encoding=encoding)
    assert everything(read_bank(tmp_path, ["tür"], RATE)) == [2, 3]


def test_odd_tables_and_rows_do_no_harm(tmp_path, monkeypatch):
    without_espeak(monkeypatch)
    for number in (1, 2, 3, 4):
        write(tmp_path / f"{number}.wav", number / 100)
    long = "x" * 200_000  # more than the reader of tables takes for a field
    (tmp_path / "a.csv").write_text(f'sep=;\nfile;text\n1.wav;up\n"{long}";b\n\n;;;;\n2.wav\n3.wav;fine;more\n')
    (tmp_path / "b.csv").write_text('file,text\n4.wav,"not closed\n')
    (tmp_path / "c.csv").write_bytes(b"PK\x03\x04\x00\xff\xfe" * 50)
    (tmp_path / "d.tsv").write_bytes(b"")
    (tmp_path / "e.csv").write_text("path,label\n1.wav,yes\n")
    (tmp_path / "f.csv").write_bytes(b"\xff\xfef\x00i\x00l\x00e\x00,\x00t")
    (tmp_path / "1-2.trans.txt").write_bytes(b"\n1-2-3\n\xff\xff \xff\n")
    found = read_bank(tmp_path, ["up"], RATE)
    assert everything(found) == [2, 3, 4]
    assert found.about["transcribed"] == 2


def test_what_two_tables_tell_counts_together(tmp_path):
    recording = write(tmp_path / "1.wav")
    table(tmp_path / "a.csv", ["file", "speaker", "text"], ["1.wav", "", "one"])
    table(tmp_path / "b.csv", ["file", "speaker", "text"], ["1.wav", "anna", "two"], ["1.wav", "", "one"])
    assert read_transcripts(tmp_path, [recording]) == {recording: Transcript("one\ntwo", "anna")}


def test_names_in_tables_that_are_not_quite_the_files(tmp_path):
    """The suffix may be another, the folders may have gone; but a name that two files have tells nothing."""
    one, two = write(tmp_path / "x" / "one.ogg"), write(tmp_path / "y" / "two.flac")
    same = [write(tmp_path / folder / "same.wav") for folder in "xy"]
    table(
        tmp_path / "said.csv",
        ["file", "text"], ["one.wav", "a"], ["/somewhere/else/two", "b"], ["same.wav", "c"], ["y/same.wav", "d"],
    )  # fmt: skip
    told = read_transcripts(tmp_path, [one, two, *same])
    assert {path: transcript.text for path, transcript in told.items()} == {one: "a", two: "b", same[1]: "d"}


@pytest.mark.skipif(os.name == "nt" or not os.geteuid(), reason="root may read everything")
def test_a_table_that_cannot_be_read_stops_the_training(tmp_path):
    write(tmp_path / "1.wav")
    table(tmp_path / "said.csv", ["file", "text"], ["1.wav", "up"])
    (tmp_path / "said.csv").chmod(0)
    with pytest.raises(DataError, match=r"said\.csv: the table of transcripts cannot be read \(Permission denied\)"):
        read_bank(tmp_path, ["up"], RATE)


def test_a_table_that_is_a_dangling_link_is_named(tmp_path):
    write(tmp_path / "1.wav")
    try:
        (tmp_path / "said.csv").symlink_to(tmp_path / "gone")
    except OSError:
        pytest.skip("symbolic links")
    with pytest.raises(DataError, match=r"said\.csv: the table of transcripts cannot be read \(No such file"):
        read_bank(tmp_path, ["up"], RATE)


def test_a_plain_folder_is_taken_whole(tmp_path):
    for number in (1, 2, 3):
        write(tmp_path / f"{number}" / "up.wav", number / 100)
    (tmp_path / "notes.txt").write_text("up")
    found = read_bank(tmp_path, ["up"], RATE)
    assert everything(found) == [1, 2, 3]
    assert (found.about["transcribed"], found.about["left_out"], found.failures) == (0, 0, ())


def test_a_single_recording(tmp_path):
    """Its end chooses the threshold."""
    ramp = np.linspace(0, 0.9, 10 * RATE)
    soundfile.write(tmp_path / "talk.wav", ramp, RATE)
    found = read_bank(tmp_path / "talk.wav", ["up"], RATE)
    assert [len(part) for part in found.training] == [7.5 * RATE]
    assert [len(part) for part in found.calibration] == [2.5 * RATE]
    assert found.training[0].max() < found.calibration[0].min() + 100
    assert found.about["name"] == "talk.wav"
    tiny = write(tmp_path / "tiny.wav", 0.5, 1 / RATE)
    assert len(read_bank(tiny, ["up"], RATE).training) == 1


def test_speakers_who_choose_the_threshold_train_nothing(tmp_path):
    rows = []
    for number in range(1, 17):
        write(tmp_path / f"{number}.wav", number / 100)
        rows.append([f"{number}.wav", f"speaker {number % 8}", "hello"])
    table(tmp_path / "said.csv", ["file", "speaker", "text"], *rows)
    found = read_bank(tmp_path, ["up"], RATE)
    speakers = [{value % 8 for value in values(part)} for part in (found.training, found.calibration)]
    assert not speakers[0] & speakers[1]
    assert [len(some) for some in speakers] == [6, 2]
    again = read_bank(tmp_path, ["down"], RATE)
    assert values(again.calibration) == values(found.calibration), "the same speakers for every classifier"


def test_recordings_to_train_with_and_copies_are_left_out(tmp_path):
    data, folder = tmp_path / "data", tmp_path / "bank"
    trained = [write(data / "up" / "1.wav", 0.01), write(data / "down" / "2.wav", 0.02)]
    shutil.copytree(data, folder / "mine")
    for number in (3, 4, 5, 6):
        write(folder / f"{number}.wav", number / 100)
    shutil.copy(folder / "3.wav", folder / "three.wav")
    found = read_bank(folder, ["up"], RATE, trained_with=trained)
    assert everything(found) == [3, 4, 5, 6]
    assert found.about["trained_with"] == 2
    assert found.about["copies"] == 1
    assert found.describe().endswith("; left out: 2 to train or test with, 1 already there in a copy")
    with pytest.raises(DataError, match=r"data: all 2 recordings are among those to train or test with; name a folder"):
        read_bank(data, ["up"], RATE, trained_with=trained)


def test_files_of_one_size_are_no_copies(tmp_path):
    """Their beginnings and ends are compared, since whole corpora may have clips of one length."""
    for name, middle in (("a", 0.0), ("b", 0.0), ("c", 0.0)):
        samples = np.full(10, middle)
        samples[{"a": 0, "b": 9, "c": 5}[name]] = 0.5
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    found = read_bank(tmp_path, ["up"], RATE)
    assert found.about["recordings"] == 3


@pytest.mark.parametrize("strict", [False, True])
def test_unreadable_recordings_are_counted_and_listed(tmp_path, strict):
    for number in range(1, 6):
        write(tmp_path / f"{number}.wav", number / 100)
    (tmp_path / "bad.wav").write_text("this is no sound")
    (tmp_path / "empty.flac").write_bytes(b"")
    steps = []
    if strict:
        with pytest.raises(DataError, match=r"bad\.wav: not audio"):
            read_bank(tmp_path, ["up"], RATE, strict=True)
        return
    found = read_bank(tmp_path, ["up"], RATE, on_file=steps.append)
    assert everything(found) == [1, 2, 3, 4, 5]
    assert [re.findall(r"\w+\.\w+(?=: )", str(failure))[0] for failure in found.failures] == ["bad.wav", "empty.flac"]
    assert found.about["unreadable"] == 2
    assert re.search(r"; left out: 2 unreadable, such as .*bad\.wav: not audio", found.describe())
    assert steps == [7] * 7


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, r"bank: no such folder of recordings to use as negatives"),
        (lambda folder: folder.mkdir(), r"bank: holds no recordings to use as negatives"),
        (lambda folder: (folder.mkdir(), (folder / "a.png").write_text("no")), "bank: holds no recordings to use as"),
        (lambda folder: (folder.mkdir(), (folder / "a.wav").write_text("no")), "none of the 1 recordings can be read"),
        (
            lambda folder: (write(folder / "a.wav"), table(folder / "t.csv", ["file", "text"], ["a.wav", "up"])),
            "all 1 recordings hold one of the words up, or one that sounds the same; name a folder of others",
        ),
    ],
)
def test_nothing_to_use(tmp_path, make, message):
    make(tmp_path / "bank")
    with pytest.raises(DataError, match=message):
        read_bank(tmp_path / "bank", ["up", "_silence_"], RATE)


def test_attribution_comes_with_it(tmp_path):
    write(tmp_path / "a.wav")
    assert read_bank(tmp_path, ["up"], RATE).about["attribution"] is None
    (tmp_path / "ATTRIBUTION.txt").write_text("Some Speech, by some people, CC BY 4.0\n")
    assert read_bank(tmp_path, ["up"], RATE).about["attribution"] == "Some Speech, by some people, CC BY 4.0"


# --- how much of them ---


def test_of_a_long_recording_parts_are_read_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(bank, "MAX_HOURS", 60 / 3600)
    monkeypatch.setattr(bank, "PART_SECONDS", 6.0)
    ramp = np.linspace(0, 0.99, 600 * RATE)  # ten minutes: the value tells the time
    soundfile.write(tmp_path / "long.wav", ramp, RATE)
    largest = []
    read = bank.read_int16

    def noted(source, rate):
        samples, scale = read(source, rate)
        largest.append(len(samples))
        return samples, scale

    monkeypatch.setattr(bank, "read_int16", noted)
    found = read_bank(tmp_path / "long.wav", ["up"], RATE)
    parts = [*found.training, *found.calibration]
    assert sum(map(len, parts)) == pytest.approx(60 * RATE, rel=0.01)
    assert max(largest) <= 6.1 * RATE, "never the whole file"
    begins = sorted(float(part[0]) / 32768 / 0.99 * 600 for part in parts)
    assert begins[0] < 1
    assert begins[-1] > 585
    assert np.diff(begins).max() == pytest.approx(66, abs=0.1)
    assert found.about["recordings"] == 1
    assert found.about["hours"] == pytest.approx(60 / 3600, abs=0.001)


def test_one_recording_has_a_share_of_the_bank_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr(bank, "MAX_SECONDS", 60.0)
    monkeypatch.setattr(bank, "PART_SECONDS", 5.0)
    for number, seconds in enumerate((200, 30)):
        write(tmp_path / f"{number}.wav", 0.2 + 0.5 * number, seconds)
    found = read_bank(tmp_path, ["up"], RATE)
    lengths = dict.fromkeys((False, True), 0)
    for part in [*found.training, *found.calibration]:
        lengths[bool(np.median(part) > 10_000)] += len(part)
    assert lengths == {False: 60 * RATE, True: 30 * RATE}


def test_of_many_recordings_some_are_read_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(bank, "MAX_HOURS", 20 / 3600)
    for number in range(50):
        write(tmp_path / f"{number:02}.wav", (number + 1) / 100, 2.0)
    found = read_bank(tmp_path, ["up"], RATE)
    assert everything(found) == list(range(1, 50, 5))
    assert sum(map(len, [*found.training, *found.calibration])) == 20 * RATE


def test_a_long_recording_among_short_ones_does_not_take_their_place(tmp_path, monkeypatch):
    monkeypatch.setattr(bank, "MAX_HOURS", 60 / 3600)
    monkeypatch.setattr(bank, "MIN_SECONDS", 10.0)
    monkeypatch.setattr(bank, "PART_SECONDS", 5.0)
    for number in range(20):
        write(tmp_path / f"{number:02}.wav", (number + 1) / 100, 2.0)
    write(tmp_path / "zz.wav", 0.9, 300)
    found = read_bank(tmp_path, ["up"], RATE)
    assert everything(found) == [*range(1, 21), 90]
    of_long = sum(len(part) for part in [*found.training, *found.calibration] if np.median(part) > 20_000)
    assert of_long == pytest.approx(20 * RATE, rel=0.02)  # what 20 files of 2 s leave of a minute


def test_a_header_that_promises_too_much(tmp_path, monkeypatch):
    """The parts that are there are taken, and the others are no failure."""
    monkeypatch.setattr(bank, "MAX_HOURS", 60 / 3600)
    monkeypatch.setattr(bank, "PART_SECONDS", 5.0)
    write(tmp_path / "cut.wav", 0.5, 150)
    promised = AudioInfo(RATE, 1, 300 * RATE)
    monkeypatch.setattr(bank, "probe", lambda _path: promised)
    found = read_bank(tmp_path, ["up"], RATE)
    assert sum(map(len, [*found.training, *found.calibration])) == pytest.approx(30 * RATE, rel=0.2)


# --- words ---


@pytest.mark.parametrize(
    ("text", "words", "is_in"),
    [
        ("Geht's? JA!", ["ja"], True),
        ("Januar", ["ja"], False),
        ("L\u2019ami de mon p\u00e8re", ["ami"], True),
        ("l'ami", ["l'ami"], True),
        ("DON\u2019T", ["don't"], True),
        ("e-mail", ["mail"], True),
        ("e mail", ["e-mail"], True),
        ("turn the light on", ["turn_on"], False),
        ("please turn on the light", ["turn_on"], True),
        ("\u4eca\u65e5\u306f\u3044\u3044", ["\u306f\u3044"], True),
        ("\u4eca\u65e5\u306f", ["\u306f\u3044"], False),
        ("cafe\u0301 noir", ["caf\u00e9"], True),
        ("\uff39\uff25\uff33", ["yes"], True),
        ("", ["yes"], False),
        ("yes", ["_unknown_"], False),
    ],
)
def test_words_in_texts(text, words, is_in):
    assert Vocabulary([phrase_of(word) for word in words if ac.decision.classes.is_word(word)]).is_in(text) == is_in


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_edit_distances(one, other, distance):
    codes = {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    rows = ["zzzzzzzzzz", other]
    table_ = np.array([[codes[c] for c in row.ljust(10, "q")] for row in rows])
    found = pronunciation.edit_distances([codes[c] for c in one], table_, np.array([10, len(other)]))
    assert found.tolist() == [10, distance]


def test_edit_distances_beside_a_plain_one(rng):
    def plain(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(plain(a[1:], b) + 1, plain(a, b[1:]) + 1, plain(a[1:], b[1:]) + (a[0] != b[0]))

    lengths = rng.integers(0, 6, 50)
    others = rng.integers(0, 3, (50, 6))
    one = rng.integers(0, 3, 4).tolist()
    expected = [plain(one, row[:length].tolist()) for row, length in zip(others, lengths, strict=True)]
    assert pronunciation.edit_distances(one, others, lengths).tolist() == expected


def test_similar_words_by_their_phonemes():
    said = {"left": "left", "lift": "lift", "let": "let", "loft's": "lofts", "raft": "raft", "x": "x", "silent": ""}
    near = pronunciation.nearest({word: tuple(sounds) for word, sounds in said.items()}, [tuple("left")])
    assert near == ["left", "lift", "let", "loft's", "raft"]
    assert pronunciation.nearest({}, [tuple("left")]) == []
    assert pronunciation.nearest({"a": ("a",)}, [()]) == []


def test_homophones_and_similar_words_by_espeak():
    needs_espeak()
    words = ["write", "ate", "won", "to", "too", "for", "bright", "lefty", "water", "know", "knows", "there", "right"]
    labels = ["right", "eight", "one", "two", "four", "left", "no"]
    alikes = pronunciation.find_sound_alikes([(label,) for label in labels], words)
    assert alikes.homophones == {
        "write": {"right"}, "ate": {"eight"}, "won": {"one"}, "to": {"two"}, "too": {"two"}, "for": {"four"},
        "know": {"no"},
    }  # fmt: skip
    assert {"bright", "lefty", "knows"} <= alikes.similar
    assert not alikes.similar & {*labels, *alikes.homophones, "water"}


def test_words_that_nobody_can_compare():
    """English has no sound for other scripts, in which all words would be the same."""
    needs_espeak()
    alikes = pronunciation.find_sound_alikes([("\u662f",), ("\u4e0d",)], ["\u4eba", "\u5927"])
    assert (dict(alikes.homophones), alikes.similar) == ({}, frozenset())
    assert pronunciation.find_sound_alikes([("yes",)], []) is not None
    german = pronunciation.find_sound_alikes([("mehr",)], ["meer", "mehl"], "de")
    assert german.homophones == {"meer": {"mehr"}}
    assert german.similar == {"mehl"}


@pytest.mark.parametrize("text", ["write", None])
def test_without_espeak_a_note_says_that_transcripts_are_compared_by_spelling(tmp_path, monkeypatch, text):
    write(tmp_path / "a.wav")
    if text is not None:
        table(tmp_path / "t.csv", ["file", "text"], ["a.wav", text])
    without_espeak(monkeypatch)
    found = read_bank(tmp_path, ["right"], RATE)
    assert found.notes() == [found.describe(), *([bank.BY_SPELLING] if text else [])]
    assert "pip install 'audioconv[synth]'" in bank.BY_SPELLING


def test_with_espeak_there_is_no_such_note(tmp_path):
    needs_espeak()
    write(tmp_path / "a.wav")
    table(tmp_path / "t.csv", ["file", "text"], ["a.wav", "water"])
    found = read_bank(tmp_path, ["right"], RATE)
    assert found.notes() == [found.describe()]


def test_a_speaker_that_breaks_is_no_reason_not_to_train(tmp_path, monkeypatch, caplog):
    def broken():
        raise DataError("espeak-ng ended unexpectedly; install it anew")

    monkeypatch.setattr(pronunciation, "Speaker", broken)
    write(tmp_path / "a.wav")
    table(tmp_path / "t.csv", ["file", "text"], ["a.wav", "write"])
    assert read_bank(tmp_path, ["right"], RATE).about["homophones"] is False
    assert "espeak-ng ended unexpectedly; install it anew; until then words are compared by their" in caplog.text


@pytest.mark.parametrize("weight", [2.0, 1.0])
def test_recordings_with_similar_words_weigh_more(tmp_path, monkeypatch, weight):
    needs_espeak()
    monkeypatch.setattr(bank, "SIMILAR_WEIGHT", weight)
    for number, text in enumerate(["the loft", "water", ""], 1):
        write(tmp_path / f"{number}.wav", number / 100)
        table(tmp_path / f"{number}.csv", ["file", "text"], [f"{number}.wav", text])
    found = read_bank(tmp_path, ["left"], RATE)
    weights = dict(zip([values([one])[0] for one in found.training], found.weights, strict=True))
    assert weights == {1: weight, 2: 1.0, 3: 1.0}
    assert found.about["similar"] == (1 if weight == 2 else 0)


def test_the_digest_tells_recordings_apart(tmp_path):
    write(tmp_path / "a.wav")
    one = read_bank(tmp_path, ["up"], RATE).about["digest"]
    assert read_bank(tmp_path, ["down"], RATE).about["digest"] == one
    write(tmp_path / "b.wav", 0.2)
    assert read_bank(tmp_path, ["up"], RATE).about["digest"] != one


def test_real_speech(test_data):
    folder = test_data / "librispeech-some"
    found = read_bank(folder, ["left", "said"], 16000)
    with open(folder / "transcripts.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    without = [row for row in rows if not {"LEFT", "SAID"} & set(row["text"].split())]
    assert 0 < found.about["recordings"] <= len(without) < len(rows)
    assert found.about["left_out"] == len(rows) - found.about["recordings"]
    assert found.about["speakers"] == 8
    assert found.about["hours"] > 0.2
    assert found.failures == ()
    assert len(words_of(rows[0]["text"])) == len(rows[0]["text"].split())


# --- where the bank is ---


def test_the_default_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("AUDIOCONV_NEGATIVES")
    monkeypatch.setattr(bank, "cache_folder", lambda name: tmp_path / "cache" / name)
    assert bank.default_folder() is None
    write(tmp_path / "cache" / "negatives" / "speech" / "a.flac")
    assert bank.default_folder() == tmp_path / "cache" / "negatives"
    write(tmp_path / "mine" / "a.flac")
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(tmp_path / "mine"))
    assert bank.default_folder() == tmp_path / "mine"
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", "none")
    assert bank.default_folder() is None
    for wrong in ("gone", "cache/negatives/speech/b"):
        monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(tmp_path / wrong))
        with pytest.raises(
            DataError, match=r"AUDIOCONV_NEGATIVES: .*: no such folder .*; name another folder, or none"
        ):
            bank.default_folder()
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(tmp_path / "empty"))
    with pytest.raises(DataError, match=r"AUDIOCONV_NEGATIVES: .*empty: holds no recordings to use as negatives"):
        bank.default_folder()


def test_the_tests_see_no_bank_of_the_user():
    assert os.environ["AUDIOCONV_NEGATIVES"] == "none"
    assert bank.default_folder() is None
    assert io_files.cache_folder("negatives").name == "negatives"


def test_which_folder_a_setting_means(tmp_path, monkeypatch):
    mine = write(tmp_path / "mine" / "a.wav").parent
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(write(tmp_path / "set" / "a.wav").parent))
    assert plan.bank_folder(Settings()) == tmp_path / "set"
    assert plan.bank_folder(Settings(reject=False)) is None
    assert plan.bank_folder(Settings(negatives="none")) is None
    assert plan.bank_folder(Settings(negatives=None)) is None
    assert plan.bank_folder(Settings(negatives=mine)) == mine
    with pytest.raises(DataError, match="gone: no such folder of recordings"):
        plan.bank_folder(Settings(negatives=tmp_path / "gone"))


# --- training ---

QUICK = {"arch": "tc-resnet8", "epochs": 2, "batch_size": 16, "sample_rate": RATE, "augment": False, "refit": False}


@pytest.fixture
def words(tmp_path) -> Path:
    """Return a folder of two words, rising and falling."""
    rng = np.random.default_rng(0)
    time = np.arange(RATE // 2) / RATE
    for label, slope in (("up", 800), ("down", -800)):
        for number in range(10):
            clip = 0.001 * rng.standard_normal(RATE)
            tone = np.sin(2 * np.pi * (1000 + slope * time) * time) * np.hanning(RATE // 2)
            clip[RATE // 4 : RATE // 4 + RATE // 2] += 0.3 * tone
            (tmp_path / "words" / label).mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / "words" / label / f"{number}.wav", clip, RATE)
    return tmp_path / "words"


@pytest.fixture
def talk(tmp_path) -> Path:
    """Return a bank of six speakers: bursts of noise as syllables, a transcript each, and a file that is no sound."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(6):
        syllables = [rng.standard_normal(RATE // 4) * np.hanning(RATE // 4) for _ in range(12)]
        (tmp_path / "talk").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "talk" / f"{number}.flac", 0.1 * np.concatenate(syllables), RATE)
        rows.append([f"{number}.flac", f"s{number}", "water falls" if number else "it goes up"])
    table(tmp_path / "talk" / "transcripts.csv", ["file", "speaker", "text"], *rows)
    (tmp_path / "talk" / "bad.flac").write_text("no sound")
    (tmp_path / "talk" / "ATTRIBUTION.txt").write_text("Invented talk, by nobody, CC0\n")
    return tmp_path / "talk"


def test_training_with_a_bank(words, talk):
    events = []
    classifier = ac.Classifier.train(words, negatives=talk, callbacks=[events.append], **QUICK)
    reads = [event for event in events if isinstance(event, NegativeRead)]
    assert [(event.done, event.recordings) for event in reads] == [(n, 6) for n in range(1, 7)]
    [noted] = [event.message for event in events if isinstance(event, Noted) and "negatives" in event.message]
    assert re.match(r"negatives: 5 recordings of talk, \d min, 5 speakers; left out: 1 with one of the words", noted)
    assert "1 unreadable, such as" in noted
    provenance = classifier.model_.provenance["negatives"]
    assert (provenance["recordings"], provenance["left_out"], provenance["unreadable"]) == (5, 1, 1)
    assert provenance["attribution"] == "Invented talk, by nobody, CC0"
    assert str(talk.parent) not in str(classifier.model_.provenance), "no folders of this machine"
    assert [str(failure) for failure in classifier.report_.negative_failures] != []
    assert "bad.flac" in str(classifier.report_.negative_failures[0])
    assert classifier.report_.failures == ()
    with pytest.raises(DataError, match=r"bad\.flac"):
        ac.Classifier.train(words, negatives=talk, strict=True, **QUICK)


def test_only_of_a_bank_the_hardest_negatives_choose_the_threshold(words, talk, monkeypatch):
    chosen, calibrate = [], deciding.calibrate

    def remembered(labels, logits, codes, **named):
        chosen.append(logits[codes == labels.index("_unknown_")])
        return calibrate(labels, logits, codes, **named)

    monkeypatch.setattr(deciding, "calibrate", remembered)
    for share in (deciding.HARDEST, 1.0):
        monkeypatch.setattr(deciding, "HARDEST", share)
        ac.Classifier.train(words, negatives=talk, **QUICK)
    model = ac.Classifier.train(words, negatives="none", **QUICK).model_
    assert [len(some) for some in chosen] == [300, 1000, 1000]
    some, every, _ = chosen
    is_one = np.array([not label.startswith("_") for label in model.labels])
    assert odds(some, is_one).min() >= np.sort(odds(every, is_one))[-300]
    assert {tuple(row) for row in some} < {tuple(row) for row in every}


@pytest.mark.parametrize("count", [2, 10])
def test_with_a_bank_few_clips_a_word_learn_to_reject(count, words, talk):
    for file in words.rglob("*.wav"):
        if int(file.stem) >= count:
            file.unlink()
    decision = ac.Classifier.train(words, negatives=talk, **QUICK).model_.decision
    assert decision.gate is not None
    assert (decision.basis["words"], decision.basis["learned_words"]) == (2, 2 * count - 2)
    assert decision.basis["words_are_learned"] is False
    assert decision.basis["others_accepted"] <= 0.05
    assert 0 < decision.threshold < 1
    assert decision.curve is not None
    assert decision.stream_threshold is not None


def test_without_a_bank_too_few_held_out_words_choose_no_threshold(words):
    decision = ac.Classifier.train(words, negatives="none", reject=True, **QUICK).model_.decision
    assert (decision.gate, decision.threshold, decision.auxiliary) == (None, 0.0, ("_unknown_",))


@pytest.mark.parametrize("terminal", [True, False])
def test_the_reading_is_shown(terminal):
    out = io.StringIO()
    with ProgressBar(Console(file=out, force_terminal=terminal, width=100, color_system=None)) as bar:
        for done in range(1, 1001):
            bar(NegativeRead(done, 1000))
    text = out.getvalue()
    assert ("negative recording 1,000/1,000" in text) == terminal
    assert (text == "reading 1,000 negative recordings\n") != terminal


def test_the_bank_of_the_environment_is_the_default(words, talk, monkeypatch):
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(talk))
    used = ac.Classifier.train(words, **{**QUICK, "epochs": 1})
    assert used.model_.provenance["negatives"]["name"] == "talk"
    assert used.model_.provenance["settings"]["negatives"] == "auto"
    without = ac.Classifier.train(words, negatives="none", **{**QUICK, "epochs": 1})
    assert without.model_.provenance["negatives"] is None


@pytest.fixture
def no_bank(tmp_path, monkeypatch):
    """Let no bank be on this machine, and nobody have turned it off."""
    monkeypatch.delenv("AUDIOCONV_NEGATIVES")
    monkeypatch.setattr(bank, "cache_folder", lambda name: tmp_path / "cache" / name)


def told(collection: Path, **settings) -> list[str]:
    """Return the notes of a training."""
    events = []
    ac.Classifier.train(collection, callbacks=[events.append], **{**QUICK, "epochs": 1, **settings})
    return [event.message for event in events if isinstance(event, Noted)]


@pytest.mark.usefixtures("no_bank")
def test_words_without_a_bank_are_told_once_how_to_get_one(words, talk, monkeypatch):
    assert told(words).count(plan.WITHOUT_BANK) == 1
    for part in ("audioconv data get negatives downloads 2.5 GB", "--negatives"):
        assert part in plan.WITHOUT_BANK
    for settings in ({"negatives": "none"}, {"negatives": None}, {"negatives": talk}, {"reject": False}):
        assert plan.WITHOUT_BANK not in told(words, **settings)
    for named in ("none", str(talk)):
        monkeypatch.setenv("AUDIOCONV_NEGATIVES", named)
        assert plan.WITHOUT_BANK not in told(words)


@pytest.mark.usefixtures("no_bank")
def test_sounds_without_a_bank_are_told_nothing(tmp_path, rng):
    for label in "ab":
        for n in range(6):
            path = tmp_path / "sounds" / label / f"{n}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * rng.standard_normal(5 * RATE), RATE)
    for reject in (None, True):
        assert plan.WITHOUT_BANK not in told(tmp_path / "sounds", reject=reject)


def test_the_size_of_the_download_is_that_of_the_catalogue():
    sizes = [file.size for part in find("negatives").parts.values() for file in part.files]
    assert sum(sizes) / 1e9 == bank.DOWNLOAD_GIGABYTES
    assert round(bank.DOWNLOAD_GIGABYTES, 1) == 2.5


def test_the_weights_are_those_of_the_segments(words, talk, rng):
    """Only the draws to train with have them: the threshold is chosen by how often words are really said."""
    needs_espeak()
    table(talk / "transcripts.csv", ["file", "speaker", "text"], *([f"{n}.flac", f"s{n}", "cup"] for n in range(6)))
    found = read_bank(talk, ["up", "down"], RATE)
    assert set(found.weights) == {bank.SIMILAR_WEIGHT}
    rejection = Rejection(Settings(), RATE, ["up", "down"], bank=found)
    clips, codes = rng.standard_normal((4, RATE)).astype(np.float32), np.array([1, 1, 2, 2])
    to_train = rejection.for_training(clips, codes).sampler
    to_calibrate = rejection.for_calibration(clips, codes).sampler
    assert np.diff(to_train._weight_sums) == pytest.approx(bank.SIMILAR_WEIGHT)
    assert np.diff(to_calibrate._weight_sums) == pytest.approx(1)


def test_a_bank_with_the_clips_to_train_with(words, talk):
    shutil.copytree(words, talk / "by mistake")
    used = ac.Classifier.train(words, negatives=talk, **{**QUICK, "epochs": 1})
    assert used.model_.provenance["negatives"]["trained_with"] == 20
    with pytest.raises(DataError, match="words: all 20 recordings are among those to train or test with"):
        ac.Classifier.train(words, negatives=words, **QUICK)


def test_a_resumed_run_needs_the_same_bank(words, talk, tmp_path):
    def stop(event):
        if isinstance(event, EpochEnded) and event.row.epoch == 1:
            raise KeyboardInterrupt

    whole = ac.Classifier.train(words, negatives=talk, **QUICK)
    with pytest.raises(KeyboardInterrupt):
        ac.Classifier.train(words, negatives=talk, checkpoints=tmp_path, callbacks=[stop], **QUICK)
    resumed = ac.Classifier.train(words, negatives=talk, checkpoints=tmp_path, resume=True, **QUICK)
    whole.save(tmp_path / "a")
    resumed.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    (talk / "5.flac").rename(talk / "7.flac")
    with pytest.raises(ConfigError, match="this run was begun with"):
        ac.Classifier.train(words, negatives=talk, checkpoints=tmp_path, resume=True, **QUICK)
    with pytest.raises(ConfigError, match="this run was begun with"):
        ac.Classifier.train(words, negatives="none", checkpoints=tmp_path, resume=True, **QUICK)


def test_settings_that_cannot_work(words, talk, monkeypatch):
    read = []
    monkeypatch.setattr("audioconv.recipe.train.load", lambda *_args, **_more: read.append(1))
    for negatives, error, message in (
        ("", ConfigError, "got an empty name"),
        (words.parent / "gone", DataError, "gone: no such folder of recordings to use as negatives"),
    ):
        with pytest.raises(error, match=message):
            ac.Classifier.train(words, negatives=negatives, **QUICK)
    with pytest.raises(ConfigError, match="negatives need a classifier of sounds that learns to reject"):
        ac.Classifier.train(words, negatives=talk, reject=False, **QUICK)
    assert read == [], "they are found before any clip is read"


def test_pictures_have_no_bank(tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(tmp_path / "gone"))
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 255, (12, 12), np.uint8)
            image.fromarray(pixels).save(tmp_path / "pictures" / label / f"{number}.png")
    assert ac.Classifier.train(tmp_path / "pictures", epochs=1).model_.provenance["negatives"] is None


def test_old_models_have_no_bank_in_their_provenance(words, tmp_path):
    classifier = ac.Classifier.train(words, **{**QUICK, "epochs": 1})
    classifier.save(tmp_path / "m")
    assert bank.describe(Model.load(tmp_path / "m").provenance["negatives"]) is None
    for odd in (None, 3, {}, {"recordings": "many"}, []):
        assert bank.describe(odd) is None


def test_of_transcripts_with_many_files_the_reading_is_quick(tmp_path):
    """A table of a hundred thousand other files costs no more than its reading."""
    recording = write(tmp_path / "a.wav")
    with open(tmp_path / "t.tsv", "w") as file:
        file.write("client_id\tpath\tsentence\n")
        file.writelines(f"c{n}\tclip{n}.mp3\tSome words\n" for n in range(100_000))
        file.write("x\ta.mp3\tthe last\n")
    assert transcripts.read_transcripts(tmp_path, [recording]) == {recording: Transcript("the last", "x")}
