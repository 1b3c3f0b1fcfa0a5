"""What holds for every command: help, exit codes, streams, terminals."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys

import pytest

import audioconv
from audioconv.cli import terminal

COMMANDS = [
    ["train"],
    ["classify"],
    ["evaluate"],
    ["explain"],
    ["lab"],
    ["detect"],
    ["listen"],
    ["serve"],
    ["review"],
    ["export"],
    ["info"],
    ["data", "list"],
    ["data", "info"],
    ["data", "get"],
    ["data", "check"],
    ["data", "make"],
    ["cache"],
    ["demo"],
    ["doctor"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_examples(call, command):
    answer = call(*command, "--help")
    assert (answer.code, answer.err) == (0, "")
    examples = answer.out.partition("Examples:")[2]
    assert f"audioconv {' '.join(command)}" in examples


def test_help_without_a_command(call):
    answer = call()
    assert answer.code == 0
    assert answer.out == call("--help").out == call("-h").out
    assert all(command[0] in answer.out for command in COMMANDS)
    assert call("data").out == call("data", "--help").out


def test_the_help_of_groups_ends_with_what_to_type_next(call):
    assert "Start with audioconv demo" in call("--help").out[-400:]
    assert "Start with audioconv data list" in call("data", "--help").out[-400:]


def test_help_has_each_default_once_and_no_types_of_python(call):
    for command in COMMANDS:
        out = call(*command, "--help").out
        assert not re.search(r"<path>|list\[|<str>|\[default: \(", out)
        for cell in re.split(r"\n│ +(?:\* +)?--", out):
            assert not ("Default: " in cell and "[default:" in cell), cell


def test_version(call):
    assert call("--version").out == f"audioconv {audioconv.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'? See audioconv --help"),
        (["train"], "Missing argument 'FOLDER|MANIFEST'; see audioconv train --help"),
        (["info", "a", "b"], "(b); see audioconv info --help"),
        (["classify", "m", "f", "--top", "many"], "see audioconv classify --help"),
        (["train", "m", "-o", "o", "--epochs", "three"], "'--epochs': expected a whole number; see audioconv train"),
        (["detect", "m", "f", "--hop", "x"], "'--hop': expected a number; see audioconv detect --help"),
    ],
)
def test_wrong_usage_is_one_line(call, arguments, message):
    answer = call(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.error
    assert answer.err.count("\n") == 1


def test_interrupted(call, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("audioconv.cli.diagnostics.examine", interrupt)
    answer = call("doctor")
    assert (answer.code, answer.err) == (1, "audioconv: error: interrupted\n")


def test_too_little_memory(call, monkeypatch):
    def fill(*_arguments, **_options):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr("audioconv.cli.diagnostics.examine", fill)
    answer = call("doctor")
    assert (answer.code, "not enough memory (Unable to allocate 9 TiB)" in answer.error) == (1, True)


def test_notices_of_the_library_are_plain_lines(call, monkeypatch):
    """As the one that kernels are compiled."""
    from audioconv.cli.diagnostics import examine

    def tell():
        logging.getLogger("audioconv").warning("compiling kernels for this machine (kept in %s)", "[bold]")
        return examine()

    monkeypatch.setattr("audioconv.cli.diagnostics.examine", tell)
    assert call("doctor").err == "audioconv: compiling kernels for this machine (kept in [bold])\n"
    assert call("--version").err == ""
    assert not logging.getLogger("audioconv").handlers


# --- a process of its own ---


def test_help_needs_no_numerics():
    """The help, the version and a wrong option shall come at once."""
    code = "import sys, audioconv.cli; print(sorted({'numpy', 'numba', 'scipy', 'soundfile'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.slow
def test_classifying_one_clip_is_quick(spawn, trained, tones):
    """Not much more work than importing what it stands on: no compilation, no librosa, nothing read twice."""
    resource = pytest.importorskip("resource")

    def cpu_seconds(run):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def classify():
        assert spawn("classify", trained, tones / "high/0.wav").wait() == 0

    def import_all():
        code = "import numba, rocket_fft, scipy.fft, scipy.linalg, soundfile, soxr, safetensors, typer, rich.table"
        subprocess.check_call([sys.executable, "-c", code])

    classify()  # the first one may compile
    ratio = min(cpu_seconds(classify) for _ in range(3)) / min(cpu_seconds(import_all) for _ in range(3))
    assert ratio < 3


def test_a_reader_that_has_had_enough(spawn, trained, tones):
    ours, theirs = os.pipe()
    os.close(ours)
    process = spawn("classify", trained, tones, "--json", stdout=theirs)
    os.close(theirs)
    _, err = process.communicate()
    assert (process.returncode, err) == (1, b"")


def test_an_encoding_that_has_few_letters(spawn, trained, tmp_path):
    from tones import write_tone

    path = write_tone(tmp_path / "naïve 🎤.wav", 300)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
    process = spawn("classify", trained, path, tmp_path / "naïve", env=environment)
    out, err = process.communicate()
    assert b"na\\xefve \\U0001f3a4.wav" in out
    assert b"na\\xefve: cannot be read" in err
    process = spawn("classify", trained, path, "--json", env=environment)
    assert json.loads(process.communicate()[0])["path"] == str(path)


def test_arguments_that_are_not_utf8(spawn, trained, tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    process = spawn("classify", trained, name)
    out, err = process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert os.fsencode(tmp_path) + rb"/caf\xe9.wav: cannot be read" in err
    assert spawn(b"caf\xe9").wait() == 2


def on_terminal(*arguments, **environment) -> str:
    """Return what a command writes to a terminal of 80 columns."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [sys.executable, "-m", "audioconv", *map(str, arguments)],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env={**inherited, "TERM": "xterm-256color", **environment},
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            part = b""
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait() == 0, written
    return written.decode()


COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


def test_colours_and_bars_are_for_terminals(call, trained, trained_on, tmp_path):
    options = ["--epochs", 2, "--batch-size", 8, "--clip-seconds", 0.25]
    shown = on_terminal("train", trained_on, "-o", tmp_path / "a", *options)
    assert COLOUR.search(shown)
    assert " left" in shown
    assert "━" in shown
    assert "\x1b[?25h" in shown, "the cursor must come back"
    plain = on_terminal("train", trained_on, "-o", tmp_path / "b", *options, NO_COLOR="1")
    assert not COLOUR.search(plain)
    answer = call("train", trained_on, "-o", tmp_path / "c", *options)
    assert "\x1b" not in answer.out + answer.err


def test_tables_fit_the_terminal_and_are_whole_elsewhere(call, trained, tmp_path):
    from tones import write_tone

    path = write_tone(tmp_path / ("long" * 30) / "x.wav", 300)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_terminal("classify", trained, path))
    assert max(map(len, shown.splitlines())) <= 80
    assert str(path) in call("classify", trained, path).out


def test_steps_without_a_terminal(capsys, monkeypatch):
    """A line now and then, and none for what is over soon."""
    monkeypatch.setattr(terminal, "_SECONDS_BETWEEN_LINES", -1.0)
    with terminal.Steps("reading", "files") as steps:
        steps.one_of(3)
        steps.show(2, None)
        steps.show(3, 3)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"reading: 1 of 3 files  \d\.\d s left", lines[0])
    assert lines[1:] == ["reading: 2 files"]


def test_bytes_have_a_rate(capsys, monkeypatch):
    """What an earlier download left did not come in this one's time, and one that starts over has only what is new."""
    clock = [100.0]
    monkeypatch.setattr(terminal, "_SECONDS_BETWEEN_LINES", -1.0)
    monkeypatch.setattr(terminal.time, "monotonic", lambda: clock[0])
    with terminal.Steps("downloading", "bytes") as steps:
        for seconds, done in ((0, 6_000_000), (2, 9_000_000), (0, 0), (4, 1_000_000)):
            clock[0] += seconds
            steps.show(done, 12_000_000)
        clock[0] += 1
        steps.show(2_000_000, None)
    assert capsys.readouterr().err.splitlines() == [
        "downloading: 6.0 MB of 12.0 MB",
        "downloading: 9.0 MB of 12.0 MB, 1.5 MB/s  2.0 s left",
        "downloading: 0 kB of 12.0 MB",
        "downloading: 1.0 MB of 12.0 MB, 250 kB/s  44 s left",
        "downloading: 2.0 MB, 400 kB/s",
    ]
