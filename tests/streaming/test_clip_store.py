"""A folder of clips: what is in it, how large it grows, and what interrupted or damaged runs leave."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioconv.datasets import heard
from audioconv.datasets.heard import COLUMNS, read_heard, read_words
from audioconv.errors import DataError
from audioconv.streaming import clip_store
from audioconv.streaming.clip_store import ClipStore
from audioconv.streaming.event_clips import EventClip

RATE = 8000
LARGE = 10**8


def clip(number: int = 0, fired: bool = True, rate: int = RATE, label: str = "yes") -> EventClip:
    rng = np.random.default_rng(number)
    samples = (0.1 * rng.standard_normal(2 * rate)).astype(np.float32)
    begin = 1000 * number
    return EventClip(label, 0.75 if fired else 0.4, 0.5, fired, begin, begin + 700, begin + 1500, samples, rate)


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "clips").iterdir())


def test_each_clip_has_a_row_and_a_file_of_sixteen_bits(tmp_path):
    folder = tmp_path / "deep" / "heard"
    with ClipStore.open(folder, LARGE, ["yes", "no"]) as store:
        store.add(clip(0), "microphone, upstairs")
        store.add(clip(1, fired=False), "microphone, upstairs")
        assert (store.detections, store.near_misses, store.is_full, store.failure) == (1, 1, False, None)
    with open(folder / "heard.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    first, second = rows
    assert (first["path"], second["path"]) == ("clips/000001.flac", "clips/000002.flac")
    assert (first["label"], first["score"], first["threshold"], first["fired"]) == ("yes", "0.75", "0.5", "yes")
    assert (second["score"], second["fired"], second["begin"]) == ("0.4", "no", "0.125")
    assert [float(second[name]) for name in ("start", "end")] == [1700 / RATE, 2500 / RATE]
    assert first["source"] == "microphone, upstairs"
    assert (first["review"], first["word"]) == ("", "")
    assert first["time"][:2] == "20"
    info = soundfile.info(folder / first["path"])
    assert (info.samplerate, info.frames, info.subtype, info.format) == (RATE, 2 * RATE, "PCM_16", "FLAC")
    samples, _ = soundfile.read(folder / first["path"], dtype="int16")
    np.testing.assert_array_equal(samples, np.rint(clip(0).samples * 32768).astype(np.int16))
    assert read_words(folder) == ["yes", "no"]
    assert sorted(path.name for path in folder.iterdir()) == ["clips", "heard.csv", "words.txt"]
    assert store.bytes == sum(path.stat().st_size for path in [*(folder / "clips").iterdir(), folder / "heard.csv"])


def test_what_exceeds_full_scale_is_clipped(tmp_path):
    loud = clip()
    loud.samples[:4] = [2, -2, 1, -1]
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
        store.add(loud, "x")
    samples, _ = soundfile.read(tmp_path / "clips" / "000001.flac", dtype="int16")
    assert samples[:4].tolist() == [32767, -32768, 32767, -32768]


def test_rates_that_flac_has_no_use_for(tmp_path):
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
        store.add(clip(rate=96000), "x")
    assert files_of(tmp_path) == ["000001.wav"]
    assert soundfile.info(tmp_path / "clips" / "000001.wav").samplerate == 96000


def test_the_limit_is_never_exceeded_and_earlier_runs_count(tmp_path):
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
        store.add(clip(0), "x")
        one = store.bytes
    limit = round(3.5 * one)
    with ClipStore.open(tmp_path, limit, ["yes"]) as store:
        for number in range(1, 9):
            store.add(clip(number), "x")
        assert store.is_full
        assert 1 <= store.detections < 8
    assert len(files_of(tmp_path)) == len(read_heard(tmp_path)) == 1 + store.detections
    assert sum(path.stat().st_size for path in [*(tmp_path / "clips").iterdir(), tmp_path / "heard.csv"]) <= limit
    with ClipStore.open(tmp_path, 0, ["yes"]) as store:
        store.add(clip(20), "x")
        assert (store.is_full, store.detections) == (True, 0)


def test_several_runs_go_on_in_one_folder(tmp_path):
    for number, word in enumerate(["yes", "no", "yes"]):
        with ClipStore.open(tmp_path, LARGE, [word, "left"]) as store:
            store.add(clip(number, label=word), "x")
    assert [(row.path, row.label) for row in read_heard(tmp_path)] == [
        ("clips/000001.flac", "yes"),
        ("clips/000002.flac", "no"),
        ("clips/000003.flac", "yes"),
    ]
    assert read_words(tmp_path) == ["yes", "left", "no"]


def test_the_same_place_of_a_recording_is_kept_once(tmp_path):
    for _ in range(2):
        with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
            for number in (1, 2, 1):
                store.add(clip(number), "/talks/monday.wav", once=True)
            store.add(clip(1), "/talks/tuesday.wav", once=True)
            store.add(clip(1), "microphone")  # streams begin at 0 again and again
    sources = [row.source for row in read_heard(tmp_path)]
    assert sources == ["/talks/monday.wav"] * 2 + ["/talks/tuesday.wav"] + ["microphone"] * 2


def test_names_that_are_no_text(tmp_path):
    with ClipStore.open(tmp_path, LARGE, ['caf\xe9, "x"']) as store:
        store.add(clip(label='caf\xe9, "x"'), "a\udce9\nb.wav")
    (row,) = read_heard(tmp_path)
    assert (row.label, row.source) == ('caf\xe9, "x"', "a\\xe9\\nb.wav")


def test_another_process_is_refused(tmp_path):
    program = (
        "import sys; from audioconv.streaming.clip_store import ClipStore\n"
        "with ClipStore.open(sys.argv[1], 10**8, ['yes']): print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(DataError, match=rf"another audioconv writes to this folder.*process {other.pid}"):
            ClipStore.open(tmp_path, LARGE, ["yes"]).__enter__()
        other.kill()
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:  # who is killed holds nothing
        store.add(clip(), "x")
    assert len(read_heard(tmp_path)) == 1


def test_what_a_killed_run_leaves_half_done_is_put_right(tmp_path):
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
        store.add(clip(0), "x")
        store.add(clip(1), "x")
    table = tmp_path / "heard.csv"
    whole = table.read_bytes()
    second = whole.splitlines(keepends=True)[2]
    for cut in range(1, len(second) - 1):
        table.write_bytes(whole[: len(whole) - cut])
        rows = read_heard(tmp_path)
        # Without its line break the row is complete; without its last commas it is not.
        assert len(rows) == (2 if cut == 1 else 1), cut
    (tmp_path / "clips" / ".audioconv-123.part").write_bytes(b"half")
    (tmp_path / "clips" / "notes.txt").write_text("mine")
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
        store.add(clip(2), "x")
    assert table.read_bytes().startswith(whole[: len(whole) - len(second)])
    assert [row.path for row in read_heard(tmp_path)] == ["clips/000001.flac", "clips/000003.flac"]
    assert files_of(tmp_path) == ["000001.flac", "000002.flac", "000003.flac", "notes.txt"]


def test_a_row_in_the_middle_that_is_cut_is_no_half_written_one(tmp_path):
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
        store.add(clip(0), "x")
        store.add(clip(1), "x")
    table = tmp_path / "heard.csv"
    header, first, second = table.read_text().splitlines()
    table.write_text("\n".join([header, first[:30], second]))
    with pytest.raises(DataError, match=r"heard.csv: line 2 has \d fields, expected 12; correct or delete it"):
        ClipStore.open(tmp_path, LARGE, ["yes"]).__enter__()
    assert table.read_text() == "\n".join([header, first[:30], second])


def test_a_clip_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
        store.add(clip(0), "x")
        before = (tmp_path / "heard.csv").read_bytes()

        def full(folder, row):
            raise DataError("heard.csv: could not be written (No space left on device)")

        monkeypatch.setattr(clip_store, "append_heard", full)
        store.add(clip(1), "x")
        assert "No space left" in str(store.failure)
        monkeypatch.undo()
        store.add(clip(2), "x")  # nothing more is kept
    assert (tmp_path / "heard.csv").read_bytes() == before
    assert files_of(tmp_path) == ["000001.flac"]


def test_a_row_that_is_written_in_part_is_taken_back(tmp_path, monkeypatch):
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
        store.add(clip(0), "x")
        before = (tmp_path / "heard.csv").read_bytes()

        def interrupted(descriptor):
            raise KeyboardInterrupt

        monkeypatch.setattr(heard.os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            heard.append_heard(tmp_path, read_heard(tmp_path)[0])
        monkeypatch.undo()
    assert (tmp_path / "heard.csv").read_bytes() == before


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the folder cannot be made"):
        ClipStore.open(tmp_path / "file", LARGE, ["yes"]).__enter__()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("score", "high", r"line 3 has the score 'high', expected a number from 0 to 1; correct it"),
        ("threshold", "1.5", r"line 3 has the threshold '1.5', expected a number from 0 to 1"),
        ("begin", "-1", r"line 3 has the begin '-1', expected seconds from 0 on"),
        ("end", "nan", r"line 3 has the end 'nan', expected seconds"),
        ("end", "0.1", r"line 3 has an end that is not behind its start"),
        ("fired", "1", r"line 3 has fired '1', expected yes or no"),
        ("review", "y", r"line 3 has the review 'y', expected confirmed, refused, corrected, skipped or nothing"),
        ("review", "corrected", r"line 3 has the review corrected, but no word"),
        ("path", "", r"line 3 has no path"),
        ("label", "", r"line 3 has no label"),
    ],
)
def test_damaged_rows(tmp_path, column, value, message):
    with ClipStore.open(tmp_path, LARGE, ["yes"]) as store:
        for number in range(3):
            store.add(clip(number), "x")
    table = tmp_path / "heard.csv"
    with open(table, newline="") as file:
        rows = list(csv.reader(file))
    rows[2][COLUMNS.index(column)] = value
    with open(table, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    with pytest.raises(DataError, match=rf"heard\.csv: {message}"):
        read_heard(tmp_path)


def test_other_tables_and_folders(tmp_path):
    with pytest.raises(
        DataError, match=r"holds no heard\.csv; audioconv listen MODEL --save FOLDER writes such a folder"
    ):
        read_heard(tmp_path)
    (tmp_path / "heard.csv").write_text("path,label\na.wav,yes\n")
    with pytest.raises(DataError, match=r"heard\.csv: line 1 must be path,label,score.*, and is path,label; restore"):
        read_heard(tmp_path)
    (tmp_path / "heard.csv").write_text(",".join(COLUMNS) + '\na,"b\n')
    with pytest.raises(DataError, match=r"heard\.csv: line 2 is damaged"):
        read_heard(tmp_path)
    if os.name == "posix" and os.geteuid():
        (tmp_path / "heard.csv").chmod(0)
        with pytest.raises(DataError, match="cannot be read"):
            read_heard(tmp_path)
