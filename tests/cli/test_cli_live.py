"""``audioconv detect`` and ``audioconv listen``: files, pipes, and a microphone that need not be there."""

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
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from streams import RATE, recording, train

from audioconv import Model
from audioconv.cli.classify import AT_ONCE
from audioconv.cli.detect import NO_REJECTION
from audioconv.cli.live_view import LiveView
from audioconv.streaming import Detector, detect, read_labels

SAID = [("high", 0.5), ("low", 1.6), ("low", 2.9), ("high", 4.0)]
SAMPLES = recording(SAID, 5.0)
PCM = np.round(SAMPLES * 32767).astype("<i2")


@pytest.fixture(scope="module")
def hears(tmp_path_factory) -> Path:
    """Return a folder with a model that hears tones in noise."""
    folder = tmp_path_factory.mktemp("hears")
    train("tc-resnet8").save(folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, PCM, RATE)
    return path


@pytest.fixture(scope="module")
def expected(hears) -> list[dict]:
    found = detect(Model.load(hears / "model.safetensors"), PCM)
    assert [one.label for one in found] == [label for label, _ in SAID]
    return [one.to_json() for one in found]


@contextlib.contextmanager
def watched() -> Iterator[tuple[int, bytearray]]:
    """Open a terminal, and give it with what will have been shown on it at the end."""
    master, terminal = os.openpty()
    shown = bytearray()

    def watch() -> None:
        with contextlib.suppress(OSError):  # the other side is closed
            while data := os.read(master, 4096):
                shown.extend(data)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield terminal, shown
    finally:
        os.close(terminal)
        watcher.join()
        os.close(master)


def lines(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


# --- detect ---


def test_a_table(call, hears, long):
    answer = call("detect", hears, long)
    assert (answer.code, answer.err) == (0, f"{NO_REJECTION}\n")
    rows = [line.split() for line in answer.out.splitlines() if line.strip()][2:]
    assert [row[2] for row in rows] == ["high", "low", "low", "high"]
    assert [row[0][:4] for row in rows] == ["0:00", "0:01", "0:02", "0:04"]
    assert all(row[3].endswith("%") for row in rows)


def test_json_is_what_the_library_says(call, hears, long, expected):
    answer = call("detect", hears, long, "--json")
    assert (answer.code, answer.err) == (0, "")
    assert lines(answer.out) == expected


def test_several_recordings_have_their_paths(call, hears, long, tmp_path, expected):
    for name in ("a.flac", "b.wav"):
        soundfile.write(tmp_path / name, PCM, RATE)
    answer = call("detect", hears, tmp_path, "--json")
    assert answer.code == 0
    assert lines(answer.out) == [
        {"path": str(tmp_path / name), **one} for name in ("a.flac", "b.wav") for one in expected
    ]
    assert str(tmp_path / "a.flac") in call("detect", hears, tmp_path).out


def test_files_for_other_programs(call, hears, long, tmp_path, expected):
    answer = call("detect", hears, long, "--csv", tmp_path / "words.csv", "--labels", tmp_path / "words.txt")
    assert answer.code == 0
    with open(tmp_path / "words.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [
        {"label": row["label"], **{name: float(row[name]) for name in ("start", "end", "score")}} for row in rows
    ] == expected
    assert {row["path"] for row in rows} == {str(long)}
    track = read_labels(tmp_path / "words.txt")
    assert [(one.label, one.start, one.end) for one in track] == [
        (one["label"], pytest.approx(one["start"]), pytest.approx(one["end"])) for one in expected
    ]


def test_any_rate_and_channels(call, hears, tmp_path):
    samples = recording(SAID, 5.0, 44100)
    soundfile.write(tmp_path / "stereo.ogg", np.stack([samples, samples], axis=1), 44100)
    answer = call("detect", hears, tmp_path / "stereo.ogg", "--json")
    assert [one["label"] for one in lines(answer.out)] == [label for label, _ in SAID]


def test_a_threshold_and_a_hop(call, hears, long):
    assert len(lines(call("detect", hears, long, "--json", "--threshold", 0.999).out)) == 0
    assert len(lines(call("detect", hears, long, "--json", "--hop", 0.03).out)) == 4
    answer = call("detect", hears, long, "--threshold", 0.999)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "no words were heard; --threshold takes a lower score\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "2"], "Invalid value for '--threshold'"),
        (["--hop", "7"], "hop_seconds must lie between"),
        (["{long}", "--labels", "x.txt"], "a label track is for one recording, got 2"),
    ],
)
def test_wrong_options(call, hears, long, arguments, message):
    answer = call("detect", hears, long, *[str(long) if word == "{long}" else word for word in arguments])
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.error


def test_unreadable_recordings_are_listed_at_the_end(call, hears, long, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    damaged = tmp_path / "cut.wav"
    damaged.write_bytes(long.read_bytes()[: long.stat().st_size * 2 // 3])
    answer = call("detect", hears, tmp_path / "text.wav", damaged, tmp_path / "none.wav", long, "--json")
    assert answer.code == 1
    found = lines(answer.out)
    assert [one["label"] for one in found if one["path"] == str(long)] == [label for label, _ in SAID]
    # What was heard before the place where a recording ends too early is kept.
    assert [one["label"] for one in found if one["path"] == str(damaged)] == ["high", "low"]
    assert answer.err.startswith("3 of 4 files could not be read:\n")
    assert "text.wav: not audio" in answer.err
    assert "cut.wav: cut off" in answer.err
    assert "none.wav: cannot be read (No such file" in answer.err
    strict = call("detect", hears, tmp_path / "text.wav", long, "--strict")
    assert (strict.code, strict.out) == (1, "")
    assert "not audio" in strict.error


def test_a_model_of_pictures(call, tmp_path, hears, long):
    rng = np.random.default_rng(0)
    from audioconv import Classifier

    pictures = Classifier(epochs=1, augment=False, refit=False).fit(list(rng.random((20, 12, 12, 1))), ["a", "b"] * 10)
    pictures.save(tmp_path / "pictures.safetensors")
    answer = call("detect", tmp_path / "pictures.safetensors", long)
    assert answer.code == 2
    assert answer.error == "listening takes a model of sounds; this one is of pictures"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
@pytest.mark.parametrize(("command", "count"), [("detect", 5), ("classify", AT_ONCE + 5)])
def test_results_for_a_file_do_not_go_to_the_terminal_of_the_bar(spawn, hears, long, tmp_path, command, count):
    for n in range(count):
        (tmp_path / f"{n}.wav").symlink_to(long)
    with watched() as (terminal, shown):
        process = spawn(command, hears, tmp_path, "--json", stderr=terminal, env={**os.environ, "TERM": "xterm"})
        out = process.communicate(timeout=120)[0]
    assert process.returncode == 0
    assert b"label" not in shown
    assert len(lines(out.decode())) == (4 * count if command == "detect" else count)


# --- listen, from a pipe ---


def listen(spawn, hears, *arguments: object, data: bytes, **options) -> tuple[int, str, str]:
    process = spawn("listen", hears, *arguments, stdin=subprocess.PIPE, **options)
    out, err = process.communicate(data, timeout=120)
    return process.returncode, out.decode(), err.decode()


def test_raw_samples_from_a_pipe(spawn, hears, expected):
    code, out, err = listen(spawn, hears, "-", "--rate", RATE, "--json", data=PCM.tobytes())
    assert (code, lines(out)) == (0, expected)
    assert err == f"listening to standard input, {RATE} Hz; Ctrl-C stops\n"


def test_other_formats_from_a_pipe(spawn, hears, expected):
    floats = np.repeat(PCM.astype("<f4") / 32768, 2)  # two channels; and half a sample at the end
    code, out, _ = listen(
        spawn,
        hears,
        "--stdin",
        "--rate",
        RATE,
        "--format",
        "f32",
        "--channels",
        2,
        "--json",
        data=floats.tobytes() + b"12",
    )
    assert (code, lines(out)) == (0, expected)


def test_a_wav_file_from_a_pipe(spawn, hears, expected):
    file = io.BytesIO()
    soundfile.write(file, np.stack([PCM, PCM], axis=1), RATE, format="WAV", subtype="PCM_24")
    code, out, err = listen(spawn, hears, "-", "--json", "--rate", 8000, data=file.getvalue())
    assert code == 0
    assert [one["label"] for one in lines(out)] == [one["label"] for one in expected]
    assert [one["start"] for one in lines(out)] == pytest.approx([one["start"] for one in expected], abs=0.01)
    assert f"header says {RATE}; --rate 8000 is not used" in " ".join(err.split())
    code, out, err = listen(spawn, hears, "-", data=b"fLaC" + bytes(1000))
    assert (code, out) == (1, "")
    assert "standard input: is FLAC, expected raw PCM or WAV; convert it: ffmpeg" in err


def test_lines_for_a_person(spawn, hears):
    code, out, _ = listen(spawn, hears, "-", "--rate", RATE, data=PCM.tobytes())
    assert code == 0
    assert [line.split()[1] for line in out.splitlines()] == [label for label, _ in SAID]
    assert all(line.split()[2].endswith("%") for line in out.splitlines())


def test_each_word_comes_at_once(spawn, hears, expected):
    process = spawn("listen", hears, "-", "--rate", RATE, "--json", stdin=subprocess.PIPE)
    process.stdin.write(PCM[: int(2.5 * RATE)].tobytes())
    process.stdin.flush()
    # The pipe stays open: these can be read only if they were written at once.
    assert [json.loads(process.stdout.readline()) for _ in range(2)] == expected[:2]
    process.stdin.write(PCM[int(2.5 * RATE) :].tobytes())
    process.stdin.close()
    assert lines(process.stdout.read().decode()) == expected[2:]
    assert process.wait(timeout=60) == 0


def test_ctrl_c_stops(spawn, hears, expected):
    process = spawn("listen", hears, "-", "--rate", RATE, "--json", stdin=subprocess.PIPE)
    process.stdin.write(PCM[: int(2.5 * RATE)].tobytes())
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == expected[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 1
    assert process.stderr.read().decode().splitlines()[-1] == "audioconv: error: interrupted"
    process.stdin.close()


def test_nobody_reads_any_more(spawn, hears):
    process = spawn("listen", hears, "-", "--rate", RATE, "--json", stdin=subprocess.PIPE)
    process.stdin.write(PCM[: int(1.5 * RATE)].tobytes())
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    with contextlib.suppress(BrokenPipeError):  # it has ended already
        process.stdin.write(PCM.tobytes() * 20)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    assert process.wait(timeout=60) == 1
    assert "Traceback" not in process.stderr.read().decode()


def test_a_pipe_that_brings_nothing(spawn, hears):
    code, out, err = listen(spawn, hears, "-", data=b"")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == (
        "audioconv: error: standard input: ended before the first sample; pipe raw PCM into it"
    )


def test_samples_that_are_no_sound(spawn, hears, expected):
    broken = np.concatenate([PCM.astype("<f4") / 32768, np.full(200_000, np.nan, "<f4")])
    code, out, err = listen(spawn, hears, "-", "--format", "f32", "--rate", RATE, "--json", data=broken.tobytes())
    assert code == 1
    assert lines(out)[:3] == expected[:3]  # what was heard before is told
    assert "standard input: holds NaN or infinite samples; is f32 the right format?" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.wav"], "'x.wav' is not the dash that stands for standard input; recordings are for audioconv detect"),
        (["-", "--format", "s24"], "unknown format 's24'; known are s16, f32"),
        (["-", "--rate", "7"], "Invalid value for '--rate'"),
        (["-", "--threshold", "x"], "Invalid value for '--threshold'"),
    ],
)
def test_wrong_options_of_listen(call, hears, arguments, message, monkeypatch):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: False, buffer=None))
    answer = call("listen", hears, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.error


def test_a_terminal_is_no_pipe(call, hears, monkeypatch):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(isatty=lambda: True))
    answer = call("listen", hears, "-")
    assert answer.code == 2
    assert "standard input is a terminal; pipe raw PCM into it" in answer.error


# --- listen, from a microphone ---


class PortAudioError(Exception):
    pass


class FakeStream:
    """An input stream whose thread plays samples as fast as they are taken, and then does what `FakeSound` says."""

    def __init__(self, sound: FakeSound, callback, finished_callback, blocksize, samplerate, **_options) -> None:
        if sound.refuses:
            raise PortAudioError("Error opening InputStream: Device unavailable [PaErrorCode -9985]")
        self.sound, self.callback, self.finished, self.blocksize = sound, callback, finished_callback, blocksize
        assert samplerate == sound.rate
        self.closed = False

    def start(self) -> None:
        self.thread = threading.Thread(target=self._play)
        self.thread.start()

    def _play(self) -> None:
        status = types.SimpleNamespace(input_overflow=False)
        for begin in range(0, len(self.sound.samples), self.blocksize):
            block = self.sound.samples[begin : begin + self.blocksize, None]
            buffer = block.copy()
            self.callback(buffer, len(buffer), None, status)
            buffer[:] = np.nan  # PortAudio uses the buffer again
        if self.sound.then == "finished":
            self.finished()

    def abort(self) -> None:
        self.thread.join()
        if self.sound.then == "finished":
            raise PortAudioError("Stream is stopped [PaErrorCode -9983]")

    def close(self) -> None:
        self.closed = True


class FakeSound(types.ModuleType):
    """Stands for the module sounddevice."""

    PortAudioError = PortAudioError

    def __init__(self, samples: np.ndarray, then: str = "finished", refuses: bool = False, rate: int = RATE) -> None:
        super().__init__("sounddevice")
        self.samples, self.then, self.refuses, self.rate = samples, then, refuses, rate
        self.default = types.SimpleNamespace(device=[1, 0])

    def query_devices(self, device=None, kind=None):
        every = [
            {"name": "loudspeaker", "max_input_channels": 0, "default_samplerate": 48000.0},
            {"name": "USB microphone", "max_input_channels": 2, "default_samplerate": float(self.rate)},
        ]
        if kind is None:
            return every
        if device not in (None, 1, "USB"):
            raise ValueError(f"No input device matching {device!r}")
        return every[1]

    def InputStream(self, **options):  # noqa: N802
        return FakeStream(self, **options)


@pytest.fixture
def microphone(monkeypatch):
    def plug_in(*arguments, **options) -> None:
        monkeypatch.setitem(sys.modules, "sounddevice", FakeSound(*arguments, **options))
        monkeypatch.setattr("audioconv.streaming.microphone.SILENT_SECONDS", 0.3)

    return plug_in


@pytest.mark.parametrize("device", [[], ["--device", "1"], ["--device", "USB"]])
def test_a_microphone_until_it_is_unplugged(call, hears, microphone, device):
    microphone(SAMPLES)
    answer = call("listen", hears, "--json", *device)
    assert [one["label"] for one in lines(answer.out)] == [label for label, _ in SAID]
    assert answer.code == 1
    assert answer.err.startswith(f"listening to USB microphone, {RATE} Hz; Ctrl-C stops\n")
    assert answer.error == "after 5.0 s: USB microphone: the device has stopped; is it still plugged in?"


def test_a_microphone_of_another_rate(call, hears, microphone):
    microphone(recording(SAID, 5.0, 44100), rate=44100)
    answer = call("listen", hears, "--json")
    assert [one["label"] for one in lines(answer.out)] == [label for label, _ in SAID]


def test_a_microphone_that_falls_silent_does_not_hang(call, hears, microphone):
    microphone(SAMPLES, then="nothing")
    answer = call("listen", hears)
    assert (answer.code, len(answer.out.splitlines())) == (1, 4)
    assert answer.error == "after 5.0 s: USB microphone: nothing has come for 0.3 seconds; is it still plugged in?"


def test_a_busy_computer_is_told_what_it_lost(call, hears, microphone, monkeypatch):
    monkeypatch.setattr("audioconv.streaming.microphone.WAITING_BLOCKS", 3)
    monkeypatch.setattr(FakeStream, "start", lambda self: (setattr(self, "thread", threading.Thread()), self._play()))
    monkeypatch.setattr(FakeStream, "abort", lambda self: None)
    microphone(SAMPLES, then="nothing")
    answer = call("listen", hears)
    assert answer.code == 1
    assert "97 blocks of sound were lost: this computer was too busy" in answer.err


def test_a_microphone_that_cannot_be_opened(call, hears, microphone):
    microphone(SAMPLES, refuses=True)
    answer = call("listen", hears)
    assert (answer.code, answer.out) == (1, "")
    assert answer.error.startswith("USB microphone: cannot record (Error opening InputStream: Device unavailable")


def test_a_microphone_that_is_not_there(call, hears, microphone):
    microphone(SAMPLES)
    answer = call("listen", hears, "--device", "7")
    assert answer.code == 1
    assert answer.error.startswith("there is no microphone 7 (No input device matching 7)")
    assert "--list-devices" in answer.error


def test_devices_are_listed(call, microphone):
    microphone(SAMPLES)
    answer = call("listen", "--list-devices")
    assert answer.code == 0
    rows = [line.split() for line in answer.out.splitlines() if line.strip()][2:]
    assert rows == [["1", "USB", "microphone", "2", str(RATE), "Hz", "default"]]


def test_no_device_at_all(call, microphone, monkeypatch):
    microphone(SAMPLES)
    monkeypatch.setattr(FakeSound, "query_devices", lambda self: [])
    answer = call("listen", "--list-devices")
    assert (answer.code, answer.error) == (1, "there is no device that records; plug in a microphone")


def test_without_the_extra(call, hears, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    answer = call("listen", hears)
    assert answer.code == 1
    assert "pip install 'audioconv[live]'" in answer.error


def test_without_portaudio(call, hears, monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    answer = call("listen", hears)
    assert answer.code == 1
    assert answer.error.startswith("PortAudio cannot be loaded (PortAudio library not found); on Debian and Ubuntu: ")


# --- what is shown in a terminal ---


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
def test_a_terminal_sees_words_scores_and_level(spawn, hears):
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    with watched() as (terminal, shown):
        process = spawn("listen", hears, "-", "--rate", RATE, stdin=subprocess.PIPE, stdout=terminal, env=environment)
        err = process.communicate(PCM.tobytes(), timeout=120)[1]
    assert (process.returncode, err) == (0, b"")
    text = shown.decode()
    for part in ("listening to", f"standard input, {RATE} Hz", "level", " dB", "high", "low", "Ctrl-C stops"):
        assert part in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is back


def test_the_view_shows_the_likeliest_words_where_there_is_no_room(hears, monkeypatch):
    from rich.console import Console

    detector = Detector(hears / "model.safetensors")
    detector.push(SAMPLES[: int(1.9 * RATE)])
    console = Console(width=80, height=7)
    monkeypatch.setattr("audioconv.cli.live_view.results", lambda: console)
    view = LiveView(detector, "a pipe")
    with console.capture() as capture:
        console.print(view.draw())
    assert "low" in capture.get()
    assert "high" not in capture.get()


def test_the_view_in_a_terminal_without_unicode(hears):
    from rich.console import Console

    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=file, width=80, height=30)
    view = LiveView(Detector(hears / "model.safetensors", threshold=0.5), "a pipe", console)
    assert view.take(np.full(100, 0.1), []) == []
    console.print(view.draw())  # raises where a sign is not ASCII
    file.flush()
    assert f"level  {'#' * 20}{'-' * 10}   -20 dB" in file.buffer.getvalue().decode()
    assert f"high   {'-' * 15}|{'-' * 14}    0%" in file.buffer.getvalue().decode()


# --- another point of the model's curve ---


@pytest.fixture(scope="module")
def with_curve(hears, tmp_path_factory) -> Path:
    """Return a model whose curve says that only scores of 0.9999 and more give few false accepts."""
    from dataclasses import replace

    from audioconv.decision.curve import Curve

    curve = Curve((0.2, 0.9999), (1.0, 0.1), (0.5, 0.0), (1.0, 0.1), (20.0, 0.1), 10, 10, 1.0)
    model = Model.load(hears / "model.safetensors")
    folder = tmp_path_factory.mktemp("with-curve")
    replace(model, decision=replace(model.decision, curve=curve)).save(folder / "model.safetensors")
    return folder


def test_a_number_of_false_accepts_chooses_the_threshold(call, with_curve, long):
    many = call("detect", with_curve, long, "--false-accepts-per-hour", 20, "--json").out.splitlines()
    few = call("detect", with_curve, long, "--false-accepts-per-hour", 1, "--json").out.splitlines()
    exact = call("detect", with_curve, long, "--threshold", 0.9999, "--json").out.splitlines()
    assert few == exact
    assert len(few) < len(many) == len(SAID)


def test_a_number_that_no_threshold_reaches_is_an_error(call, with_curve, long):
    assert "at most 0.01" in call("detect", with_curve, long, "--false-accepts-per-hour", 0.01).error


def test_a_model_without_a_curve_says_how_to_get_one(call, hears, long):
    assert "--negatives" in call("detect", hears, long, "--false-accepts-per-hour", 1).error
    assert "--negatives" in call("classify", hears, long, "--false-accept-rate", 0.1).error


def test_a_threshold_and_a_number_exclude_each_other(call, with_curve, long):
    assert call("detect", with_curve, long, "--false-accepts-per-hour", 1, "--threshold", 0.5).code == 2


def test_listen_takes_a_number_of_false_accepts(call, with_curve, hears, microphone):
    def heard(*options: object) -> list[dict]:
        microphone(SAMPLES)
        return lines(call("listen", with_curve, "--json", *options).out)

    many, few = (heard("--false-accepts-per-hour", number) for number in (20, 1))
    assert few == heard("--threshold", 0.9999)
    assert len(few) < len(many) == len(SAID)
    assert "at most 0.01" in call("listen", with_curve, "--false-accepts-per-hour", 0.01).error
    assert "--negatives" in call("listen", hears, "--false-accepts-per-hour", 1).error
    assert call("listen", with_curve, "--false-accepts-per-hour", 1, "--threshold", 0.5).code == 2


def test_classify_takes_the_share_of_other_words(call, with_curve, tmp_path):
    soundfile.write(tmp_path / "high.wav", PCM[round(0.2 * RATE) : round(1.2 * RATE)], RATE)
    loose = json.loads(call("classify", with_curve, tmp_path / "high.wav", "--false-accept-rate", 0.5, "--json").out)
    strict = json.loads(call("classify", with_curve, tmp_path / "high.wav", "--false-accept-rate", 0.01, "--json").out)
    assert loose["label"] == loose["nearest"] == strict["nearest"] == "high"
    assert strict["label"] is None or strict["score"] >= 0.9999
