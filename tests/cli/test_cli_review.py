"""``--save`` of listen and detect, and ``audioconv review``: from a stream to answers that can be trained on."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from streams import RATE, recording, train

from audioconv import Model
from audioconv.datasets.heard import read_heard, write_heard
from audioconv.streaming import detect

SAID = [("high", 1.5), ("low", 4.1), ("low", 7.4), ("high", 10.5)]
PCM = np.round(recording(SAID, 13.0) * 32767).astype("<i2")


@pytest.fixture(scope="module")
def hears(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hears")
    train("tc-resnet8").save(folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, PCM, RATE)
    return path


@pytest.fixture(scope="module")
def threshold(hears) -> float:
    """Return a threshold that two of the words reach, and two do not."""
    scores = sorted(one.score for one in detect(Model.load(hears / "model.safetensors"), PCM, threshold=0.3))
    assert len(scores) == 4
    return (scores[1] + scores[2]) / 2


@pytest.fixture
def heard(call, hears, long, threshold, tmp_path) -> Path:
    """Return a folder of two detections and two near misses."""
    assert call("detect", hears, long, "--save", tmp_path / "heard", "--threshold", threshold).code == 0
    return tmp_path / "heard"


def reviews(folder: Path) -> list[tuple[str, str]]:
    return [(row.review, row.word) for row in read_heard(folder)]


# --- what is kept ---


def test_detect_keeps_detections_and_near_misses(call, hears, long, threshold, tmp_path):
    plain = call("detect", hears, long, "--threshold", threshold, "--json")
    answer = call("detect", hears, long, "--save", tmp_path / "heard", "--threshold", threshold, "--json")
    assert (answer.code, answer.out) == (0, plain.out)
    assert answer.err.splitlines()[0].startswith(
        f"sound is kept: clips of detections and near misses, in {tmp_path / 'heard'} (0 kB of 200.0 MB are used)"
    )
    assert answer.err.splitlines()[-1] == (
        f"2 clips of detections and 2 of near misses kept; next: audioconv review {tmp_path / 'heard'}"
    )
    rows = read_heard(tmp_path / "heard")
    assert [row.label for row in rows] == [label for label, _ in SAID]
    assert sorted(row.fired for row in rows) == [False, False, True, True]
    for row, (_, begin) in zip(rows, SAID, strict=True):
        assert abs(row.start - begin) < 0.2
        assert (row.source, row.review, row.fired) == (str(long), "", row.score >= row.threshold)
        kept, rate = soundfile.read(tmp_path / "heard" / row.path, dtype="int16")
        first = round(row.begin * RATE)
        assert rate == RATE
        np.testing.assert_array_equal(kept, PCM[first : first + 2 * RATE])
    again = call("detect", hears, long, "--save", tmp_path / "heard", "--threshold", threshold)
    assert "0 clips of detections and 0 of near misses kept" in again.err
    assert read_heard(tmp_path / "heard") == rows


def test_nothing_is_kept_without_save(call, hears, long, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "kept" not in call("detect", hears, long).err
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder(call, hears, long, threshold, tmp_path):
    folder = tmp_path / "heard"
    answer = call("detect", hears, long, "--save", folder, "--save-limit", 0.02, "--threshold", threshold)
    assert answer.code == 0
    assert f"{folder} is full (20 kB): no more clips are kept; --save-limit takes a larger size\n" in answer.err
    assert answer.err.count("is full") == 1
    assert 1 <= len(read_heard(folder)) < 4
    assert sum(path.stat().st_size for path in folder.rglob("*.*")) <= 20_100  # and the words of the model
    assert len(answer.out.splitlines()) >= 4  # what is detected is told nevertheless


def test_a_size_without_a_folder(call, hears, long):
    answer = call("detect", hears, long, "--save-limit", 5)
    assert answer.code == 2
    assert "the size is that of a folder; name it with --save" in answer.error


def test_clips_that_cannot_be_written(call, hears, long, tmp_path, monkeypatch):
    from audioconv.errors import DataError
    from audioconv.streaming import clip_store

    def full(*_arguments: object) -> int:
        raise DataError("heard.csv: could not be written (No space left on device)")

    monkeypatch.setattr(clip_store, "append_heard", full)
    answer = call("detect", hears, long, "--save", tmp_path / "heard", "--json")
    assert answer.code == 1
    assert len(answer.out.splitlines()) == 4
    assert answer.err.count("no more clips are kept: heard.csv: could not be written (No space") == 1
    assert list((tmp_path / "heard" / "clips").iterdir()) == []


def test_listen_keeps_the_same_from_a_pipe(spawn, hears, heard, threshold, tmp_path):
    folder = tmp_path / "piped"
    arguments = ["listen", hears, "-", "--rate", RATE, "--save", folder, "--threshold", threshold, "--json"]
    process = spawn(*arguments, stdin=subprocess.PIPE)
    _, err = process.communicate(PCM.tobytes(), timeout=120)
    assert process.returncode == 0
    lines = err.decode().splitlines()
    assert lines[0].startswith(f"sound is kept: clips of detections and near misses, in {folder} ")
    assert lines[-1].startswith("2 clips of detections and 2 of near misses kept; next: audioconv review")
    first, second = read_heard(heard), read_heard(folder)
    assert {row.source for row in second} == {"standard input"}
    assert [(row.label, row.score, row.begin, row.start, row.end, row.fired) for row in first] == [
        (row.label, row.score, row.begin, row.start, row.end, row.fired) for row in second
    ]
    for one, other in zip(first, second, strict=True):
        assert (heard / one.path).read_bytes() == (folder / other.path).read_bytes()


def test_ctrl_c_keeps_what_has_been_heard(spawn, hears, tmp_path):
    folder = tmp_path / "heard"
    process = spawn("listen", hears, "-", "--rate", RATE, "--json", "--save", folder, stdin=subprocess.PIPE)
    process.stdin.write(PCM[: int(2.2 * RATE)].tobytes())
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["label"] == "high"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 1
    process.stdin.close()
    (row,) = read_heard(folder)
    assert (row.label, row.fired) == ("high", True)
    kept, _ = soundfile.read(folder / row.path, dtype="int16")
    assert round(row.begin * RATE) + len(kept) == int(2.2 * RATE)  # all that has come
    np.testing.assert_array_equal(kept, PCM[round(row.begin * RATE) : int(2.2 * RATE)])
    assert [path.name for path in folder.rglob(".*")] == []  # neither lock nor half a file
    assert process.stderr.read().decode().splitlines()[-1] == "audioconv: error: interrupted"


def test_a_killed_run_leaves_whole_files(spawn, hears, tmp_path):
    folder = tmp_path / "heard"
    process = spawn("listen", hears, "-", "--rate", RATE, "--json", "--save", folder, stdin=subprocess.PIPE)

    def write() -> None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(np.tile(PCM, 200).tobytes())

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(30):
        process.stdout.readline()
    process.kill()
    process.wait()
    writer.join()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    rows = read_heard(folder)
    assert len(rows) > 5
    for row in rows:
        assert soundfile.info(folder / row.path).frames == 2 * RATE


def test_a_folder_in_use_is_refused(spawn, call, hears, long, tmp_path):
    folder = tmp_path / "heard"
    process = spawn("listen", hears, "-", "--rate", RATE, "--json", "--save", folder, stdin=subprocess.PIPE)
    process.stdin.write(PCM.tobytes())
    process.stdin.flush()
    process.stdout.readline()
    for command in (["detect", hears, long, "--save", folder], ["review", folder]):
        answer = call(*command)
        assert answer.code == 1
        assert "another audioconv writes to this folder; end it first, or give another folder" in answer.error
    process.stdin.close()
    assert process.wait(timeout=60) == 0


# --- the review ---


def lines(monkeypatch, *answers: str, terminal: bool = False) -> None:
    stdin = io.StringIO("".join(f"{answer}\n" for answer in answers))
    stdin.isatty = lambda: terminal
    monkeypatch.setattr("sys.stdin", stdin)


def test_answers_from_lines(call, heard, monkeypatch):
    lines(monkeypatch, "y", "n", "", "low", "s")
    answer = call("review", heard)
    assert answer.code == 0
    assert reviews(heard) == [("confirmed", "high"), ("refused", ""), ("confirmed", "low"), ("skipped", "")]
    assert answer.out.splitlines() == [
        "4 clips: 2 confirmed, 1 refused, 1 skipped",
        "",
        "what to type next:",
        f"  audioconv train DATA -o MODEL --reviewed {heard}",
    ]
    assert "\x1b" not in answer.out + answer.err


def test_undo_words_and_numbers(call, heard, monkeypatch):
    # The words are 1 high, 2 low.
    lines(monkeypatch, "n", "u", "2", "HIGH", "yes", "u", "u", "1", "p", "no")
    assert call("review", heard).code == 0
    assert reviews(heard) == [("corrected", "low"), ("corrected", "high"), ("refused", ""), ("", "")]


def test_a_review_goes_on_where_it_was_left(call, heard, monkeypatch):
    lines(monkeypatch, "y", "s", "q", "n")
    assert call("review", heard).code == 0
    assert reviews(heard) == [("confirmed", "high"), ("skipped", ""), ("", ""), ("", "")]
    lines(monkeypatch, "n")
    call("review", heard)
    assert reviews(heard)[2:] == [("refused", ""), ("", "")]
    lines(monkeypatch, "y", "y")
    call("review", heard, "--skipped")
    assert [review for review, _ in reviews(heard)] == ["confirmed", "confirmed", "refused", "confirmed"]
    lines(monkeypatch)
    assert call("review", heard).out.startswith("4 clips: 3 confirmed, 1 refused\n")
    lines(monkeypatch, "y")
    answer = call("review", heard)
    assert (answer.code, answer.error) == (2, "standard input: line 1: there are only 0 clips to answer")


def test_undo_does_not_reach_an_earlier_review(call, heard, monkeypatch):
    lines(monkeypatch, "y")
    call("review", heard)
    lines(monkeypatch, "u")
    answer = call("review", heard)
    assert (answer.code, answer.error) == (2, "standard input: line 1: there is no answer to take back")
    assert reviews(heard)[0] == ("confirmed", "high")


def test_a_wrong_answer_loses_none_before_it(call, heard, monkeypatch):
    lines(monkeypatch, "y", "hihg", "n")
    answer = call("review", heard)
    assert answer.code == 2
    assert answer.error == "standard input: line 2: 'hihg' is no answer: y, n, s, u, q, or a word: high, low"
    assert reviews(heard) == [("confirmed", "high"), ("", ""), ("", ""), ("", "")]
    lines(monkeypatch, "3")
    assert "'3' is no answer" in call("review", heard).error


def test_json(call, heard, monkeypatch):
    lines(monkeypatch, "y", "n")
    answer = call("review", heard, "--json")
    told = json.loads(answer.out)
    assert answer.err == ""
    assert told["folder"] == str(heard)
    assert told["counts"] == {"confirmed": 1, "refused": 1, "corrected": 0, "skipped": 0, "unreviewed": 2}
    assert told["missing"] == 0
    assert [(one["path"], one["review"], one["word"]) for one in told["clips"]] == [
        ("clips/000001.flac", "confirmed", "high"),
        ("clips/000002.flac", "refused", ""),
        ("clips/000003.flac", None, ""),
        ("clips/000004.flac", None, ""),
    ]
    assert told["clips"][0]["fired"] in (True, False)


def test_answers_from_a_table(call, heard, tmp_path):
    table = tmp_path / "answers.csv"
    table.write_text("answer,path,remark\nn,clips/000003.flac,noise\nlow,clips/000001.flac,\n,clips/000002.flac,\n")
    assert call("review", heard, "--answers", table).code == 0
    assert reviews(heard) == [("corrected", "low"), ("", ""), ("refused", ""), ("", "")]
    table.write_text("path,answer\nclips/000001.flac,y\nclips/000004.flac,y\n")  # the first one has an answer
    assert call("review", heard, "--answers", table).code == 0
    assert reviews(heard) == [("corrected", "low"), ("", ""), ("refused", ""), ("confirmed", "high")]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("path,answer\nclips/000001.flac,y\nclips/9.flac,y\n", 1, "line 3: the folder's table has no clip 'clips/9.f"),
        ("path,answer\nclips/000001.flac,y\nclips/000002.flac,u\n", 2, "line 3: 'u' is no answer here; it takes y, n"),
        ("path,answer\nclips/000001.flac,y\nclips/000002.flac,hi\n", 2, "line 3: 'hi' is no answer: y, n, s"),
        ("path,word\n", 1, "line 1 names no column answer"),
        ('path,answer\n"clips', 1, "is not a CSV file"),
        (None, 1, "cannot be read (No such file or directory)"),
    ],
)
def test_wrong_tables_of_answers_change_nothing(call, heard, tmp_path, text, code, message):
    table = tmp_path / "answers.csv"
    if text is not None:
        table.write_text(text)
    answer = call("review", heard, "--answers", table)
    assert answer.code == code
    assert message in answer.error
    assert reviews(heard) == [("", "")] * 4


def test_missing_clips_are_not_asked(call, heard, monkeypatch):
    (heard / "clips" / "000002.flac").unlink()
    lines(monkeypatch, "y", "n", "y")
    answer = call("review", heard)
    assert answer.err.splitlines()[0] == "1 clips are missing, and are not asked: clips/000002.flac"
    assert [review for review, _ in reviews(heard)] == ["confirmed", "", "refused", "confirmed"]


def test_words_that_are_numbers_or_keys(call, heard, monkeypatch):
    (heard / "words.txt").write_text("7\n2\nhigh\nlow\nno\n")
    lines(monkeypatch, "2", "no", "n", "1")
    answer = call("review", heard)
    assert "line 4: '1' is no answer" in answer.error
    assert reviews(heard)[:3] == [("corrected", "2"), ("corrected", "no"), ("refused", "")]


def test_other_folders(call, tmp_path, heard):
    answer = call("review", tmp_path)
    assert answer.code == 1
    assert answer.error == (
        f"{tmp_path}: holds no heard.csv; audioconv listen MODEL --save FOLDER writes such a folder"
    )
    assert not (tmp_path / ".heard.lock").exists()
    table = heard / "heard.csv"
    table.write_text(table.read_text().replace(",yes,", ",perhaps,", 1))
    answer = call("review", heard)
    assert answer.code == 1
    assert "heard.csv: line " in answer.error
    assert "has fired 'perhaps', expected yes or no; correct or delete it" in answer.error


# --- at a terminal ---


class FakeSound(types.ModuleType):
    """Stands for the module sounddevice, and notes what is played."""

    class PortAudioError(Exception):
        pass

    def __init__(self, device: bool = True) -> None:
        super().__init__("sounddevice")
        self.device, self.played, self.stopped = device, [], 0

    def query_devices(self, device, kind):
        assert (device, kind) == (None, "output")
        if not self.device:
            raise self.PortAudioError("Error querying device -1")
        return {"name": "loudspeaker"}

    def play(self, samples, rate):
        self.played.append((samples.copy(), rate))

    def stop(self):
        self.stopped += 1


def test_clips_are_played(call, heard, monkeypatch):
    sound = FakeSound()
    monkeypatch.setitem(sys.modules, "sounddevice", sound)
    lines(monkeypatch, "y", "p", "x", "u", "n", "u", "u", "q", terminal=True)
    answer = call("review", heard)
    assert answer.code == 0
    assert reviews(heard) == [("", "")] * 4
    order = [1, 2, 2, 1, 2, 1]  # again for p, and for each clip that an answer or an undo leads to
    assert len(sound.played) == len(order)
    for (samples, rate), number in zip(sound.played, order, strict=True):
        assert rate == RATE
        expected, _ = soundfile.read(heard / "clips" / f"00000{number}.flac", dtype="float32")
        np.testing.assert_array_equal(samples, expected)
    assert sound.stopped == 1
    assert "y the label is right, n another sound, p play again, s skip, u undo, q quit" in answer.err
    assert "or another word: 1 high, 2 low" in answer.err
    assert "clip 1 of 4: high?" in answer.err
    assert str(heard / "clips" / "000002.flac") in answer.err
    assert "'x' is no answer" in answer.err
    assert "there is no answer to take back" in answer.err


def test_without_a_device_clips_are_shown(call, heard, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSound(device=False))
    lines(monkeypatch, "y", "q", terminal=True)
    answer = call("review", heard)
    assert answer.code == 0
    assert "clips are not played, only shown: there is no device that plays sound (Error querying" in answer.err
    assert "clip 2 of 4: low?" in answer.err
    assert reviews(heard)[0] == ("confirmed", "high")


def test_without_the_extra_clips_are_shown(call, heard, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    lines(monkeypatch, "y", terminal=True)  # and then the end of the input, which quits
    answer = call("review", heard)
    assert answer.code == 0
    assert "only shown: playing clips needs an optional part: pip install 'audioconv[live]'" in answer.err
    assert reviews(heard)[0] == ("confirmed", "high")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_ctrl_c_at_a_terminal_keeps_the_answers(spawn, heard):
    master, terminal = os.openpty()
    process = spawn("review", heard, stdin=terminal)
    os.close(terminal)
    os.write(master, b"n\ny\n")
    while b"clip 3 of 4" not in (line := process.stderr.readline()):
        assert line, "it has ended"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 1
    os.close(master)
    assert [review for review, _ in reviews(heard)] == ["refused", "confirmed", "", ""]
    assert not (heard / ".heard.lock").exists()
    with open(heard / "heard.csv", newline="") as file:
        assert len(list(csv.reader(file))) == 5


def test_a_table_is_rewritten_as_it_was(heard):
    before = (heard / "heard.csv").read_bytes()
    write_heard(heard, read_heard(heard))
    assert (heard / "heard.csv").read_bytes() == before
