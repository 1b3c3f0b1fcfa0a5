"""Completion in shells: what typer installs works with this command line, its groups and its options."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from audioconv.cli.train import ARCHITECTURES

COMPLETIONS = [
    ("tra", ["train"]),
    ("data ma", ["make"]),
    ("train words --arch ds-cnn", ["ds-cnn-s", "ds-cnn-m", "ds-cnn-l"]),
    ("train words --budg", ["--budget"]),
]


def program(**variables: str) -> str:
    """Return what the command line prints with these variables, which shells set to ask it."""
    command = [sys.executable, "-m", "audioconv"]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("typed", "expected"), COMPLETIONS, ids=lambda case: case if isinstance(case, str) else "")
def test_bash_asks(typed, expected):
    words = f"audioconv {typed}"
    answer = program(_AUDIOCONV_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert answer.split() == expected


@pytest.mark.parametrize(("typed", "expected"), COMPLETIONS[:2], ids=["command", "group"])
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_ask(shell, typed, expected):
    answer = program(
        _AUDIOCONV_COMPLETE=f"complete_{shell}",
        _TYPER_COMPLETE_ARGS=f"audioconv {typed}",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert expected[0] in answer


def add_program(folder: Path) -> Path:
    """Make a folder with the program `audioconv`; return the folder."""
    folder.mkdir()
    (folder / "audioconv").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m audioconv "$@"\n')
    (folder / "audioconv").chmod(0o755)
    return folder


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs the shell bash")
def test_the_script_for_bash(tmp_path):
    """The script that ``--show-completion`` prints completes in bash itself."""
    folder = add_program(tmp_path / "bin")
    script = program(_AUDIOCONV_COMPLETE="source_bash")
    code = f"""{script}
COMP_WORDS=(audioconv da)
COMP_CWORD=1
_audioconv_completion audioconv
printf '%s\\n' "${{COMPREPLY[@]}}"
complete -p audioconv
"""
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    out = subprocess.check_output(["bash", "--norc", "-c", code], env={**os.environ, "PATH": path}, text=True)
    assert out.splitlines() == ["data", "complete -o default -F _audioconv_completion audioconv"]


PROMPT = "ready> "

STARTS = {
    "bash": (".bashrc", f"PS1='{PROMPT}'\n"),
    "zsh": (".zshrc", f"PROMPT='{PROMPT}'\n"),
    "fish": (".config/fish/config.fish", f"function fish_prompt; printf '{PROMPT}'; end\n"),
}
"""The file that each shell reads when it starts, and a line in it that a user may have."""

# A shell that talks to a terminal needs one of its own.
IN_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Shell:
    """A shell in a terminal of its own, as a user sees it."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._shown = ""

    def type(self, text: str) -> None:
        """Press keys, and forget what was shown before."""
        self._shown = ""
        os.write(self._terminal, text.encode())

    def wait_for(self, *parts: str) -> str:
        """Return what is shown, without colours and moves of the cursor, once all parts are among it."""
        end = time.monotonic() + 60
        while not all(part in self._shown for part in parts):
            assert time.monotonic() < end, f"{parts} were not shown, but {self._shown!r}"
            if select.select([self._terminal], [], [], 0.1)[0]:
                shown = os.read(self._terminal, 65536).decode("utf-8", "replace")
                self._shown = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|\(B)", "", self._shown + shown)
        return self._shown


@contextlib.contextmanager
def terminal(shell: str, home: Path) -> Iterator[Shell]:
    """Start a shell of the user whose home this is; the program `audioconv` is in ``bin`` there."""
    mine, its = os.openpty()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("BASH_", "ZDOTDIR", "XDG_"))},
        "HOME": str(home),
        "PATH": os.pathsep.join([str(home / "bin"), os.environ["PATH"]]),
        "TERM": "xterm",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, shell, "-i"],
        stdin=its, stdout=its, stderr=its, env=environment, cwd=home, start_new_session=True,
    )  # fmt: skip
    os.close(its)
    try:
        yield Shell(mine)
    finally:
        process.kill()
        process.wait()
        os.close(mine)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs pseudo-terminals")
@pytest.mark.parametrize(
    "shell",
    [
        pytest.param("bash", marks=pytest.mark.skipif(shutil.which("bash") is None, reason="needs the shell bash")),
        pytest.param("zsh", marks=pytest.mark.skipif(shutil.which("zsh") is None, reason="needs the shell zsh")),
        pytest.param("fish", marks=pytest.mark.skipif(shutil.which("fish") is None, reason="needs the shell fish")),
    ],
)
def test_what_is_installed_completes_in_a_new_terminal(shell, tmp_path):
    add_program(tmp_path / "bin")
    name, line = STARTS[shell]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(line)
    # Without this folder, fish reads all pages of man in the background.
    (tmp_path / ".local" / "share" / "fish" / "generated_completions").mkdir(parents=True)
    with terminal(shell, tmp_path) as before:
        before.wait_for(PROMPT)
        before.type("audioconv --install-completion\r")
        before.wait_for(f"{shell} completion installed", "once you restart the terminal")
    assert (tmp_path / name).read_text().startswith(line)
    for typed, expected in (
        ("tra\t", ["train"]),
        ("train words --budg\t", ["--budget"]),
        ("train words --arch resn\t", ["resnet20"]),
        ("train words --arch ds-cnn-\t\t", ["ds-cnn-s", "ds-cnn-m", "ds-cnn-l"]),
    ):
        with terminal(shell, tmp_path) as after:
            after.wait_for(PROMPT)
            after.type(f"audioconv {typed}")
            after.wait_for(*expected)


def test_no_help_has_an_apostrophe_that_zsh_drops():
    answer = program(_AUDIOCONV_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="audioconv data get --spl")
    assert "the data set\u2019s own" in answer


def test_the_names_that_complete_are_those_of_the_networks():
    from audioconv import architectures

    assert sorted(ARCHITECTURES) == sorted(architectures.NAMES)


def test_help_shows_no_type_of_options_without_a_value(call):
    for command in ([], ["data"], ["train"], ["data", "get"]):
        assert "<bool>" not in call(*command, "--help").out
