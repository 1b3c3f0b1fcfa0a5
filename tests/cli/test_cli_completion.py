"""Completion in shells: what typer installs works with this command line, its groups and its options."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

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


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_for_bash(tmp_path):
    """The script that ``--show-completion`` prints completes in bash itself."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "audioconv").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m audioconv "$@"\n')
    (folder / "audioconv").chmod(0o755)
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


def test_the_names_that_complete_are_those_of_the_networks():
    from audioconv import architectures

    assert sorted(ARCHITECTURES) == sorted(architectures.NAMES)


def test_help_shows_no_type_of_options_without_a_value(call):
    for command in ([], ["data"], ["train"], ["data", "get"]):
        assert "<bool>" not in call(*command, "--help").out
