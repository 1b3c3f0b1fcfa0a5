"""What continuous integration runs, with stand-ins for what it calls: which steps there are, and its last line."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "run"
BASH = shutil.which("bash")

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the scripts are for bash on Unix"),
    pytest.mark.skipif(BASH is None or not SCRIPT.is_file(), reason="the scripts are not beside the tests"),
]

ENVIRONMENT = """
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
bin=$root/bin
find_python() { :; }
make_venv() { :; }
prepare() { :; }
"""
PYTHON = """
case "$*" in
*LANES*) echo "${AUDIOCONV_VECTOR_LANES:-$WIDTH}" ;;
esac
"""
TEST = """
echo "tests of ${*:-all} with ${AUDIOCONV_VECTOR_LANES:-own} numbers"
case "$*" in
'') printf '%b' "$FIRST" >>"$AUDIOCONV_MISSING" ;;
*) printf '%b' "$SECOND" >>"$AUDIOCONV_MISSING" ;;
esac
case "$*" in "$FAILS"*) echo "FAILED tests/test_one.py::test_two - why"; exit 1 ;; esac
"""
LINTER = """
case "$*" in "$FAILS"*) echo "a line is too long"; exit 1 ;; esac
"""


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "a clone"
    for name in (".ci", "scripts", "bin", "tests/audio"):
        (folder / name).mkdir(parents=True)
    (folder / "tests" / "test_quick.py").write_text("")
    (folder / "tests" / "audio" / "test_hours.py").write_text("@pytest.mark.slow\n")
    shutil.copy(SCRIPT, folder / ".ci" / "run")
    (folder / "scripts" / "environment.sh").write_text(ENVIRONMENT)
    stand_ins = {"bin/python": PYTHON, "bin/ruff": LINTER, "scripts/test": TEST}
    stand_ins |= dict.fromkeys(["bin/chromium", "bin/zsh", "bin/fish"], "")
    for name, text in stand_ins.items():
        (folder / name).write_text(f"#!{BASH}\n{text}\n")
        (folder / name).chmod(0o755)

    def call(width="16", first="", second="", fails="nothing", **more):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AUDIOCONV_")}
        environment |= {"WIDTH": width, "FIRST": first, "SECOND": second, "FAILS": fails, **more}
        environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
        found = subprocess.run(
            [BASH, folder / ".ci" / "run"], env=environment, capture_output=True, text=True, timeout=60
        )
        return found.returncode, found.stdout.splitlines()

    return call


@pytest.mark.parametrize(("width", "other"), [("16", "8"), ("8", "16")])
def test_both_widths_are_tested_and_named(run, width, other):
    code, lines = run(width)
    assert code == 0
    assert f"== tests, with vectors of {width} numbers" in lines
    named = f"tests of kernels, runtime, compiler, ops, layers and streaming, with vectors of {other} numbers"
    folders = "tests/kernels tests/runtime tests/compiler tests/test_ops.py tests/layers tests/streaming"
    assert lines[lines.index(f"== {named}") + 1] == f"tests of {folders} with {other} numbers"
    assert lines[-1] == "all passed"


def test_a_width_that_is_asked_for_is_the_first(run):
    code, lines = run("16", AUDIOCONV_VECTOR_LANES="8")
    assert code == 0
    assert "== tests, with vectors of 8 numbers" in lines
    assert any(line.startswith("== ") and line.endswith("with vectors of 16 numbers") for line in lines)


@pytest.mark.parametrize(
    ("first", "second", "last"),
    [
        (r"PyTorch\n", "", "all passed, without: PyTorch"),
        (
            r"real recordings\nPyTorch\n",
            r"PyTorch\nChromium\n",
            "all passed, without: Chromium, PyTorch, real recordings",
        ),
    ],
)
def test_the_last_line_says_what_was_missing(run, first, second, last):
    code, lines = run(first=first, second=second)
    assert (code, lines[-1]) == (0, last)


def test_the_last_line_says_what_failed(run):
    code, lines = run(first=r"PyTorch\n", fails="-m slow")
    assert code == 1
    assert lines[-2:] == ["FAILED tests/test_one.py::test_two - why", "failed: slow tests; without: PyTorch"]


def test_slow_tests_are_those_of_the_files_that_have_some(run):
    code, lines = run()
    assert code == 0
    assert lines[lines.index("== slow tests") + 1] == (
        "tests of -m slow and not long tests/audio/test_hours.py with own numbers"
    )


def test_steps_beside_each_other_are_shown_one_after_the_other(run):
    code, lines = run(fails="format")
    assert (code, lines[-1]) == (1, "failed: ruff format")
    begun = [lines.index(f"== {name}") for name in ("benchmark", "experiments", "ruff check", "ruff format", "mypy")]
    assert begun == sorted(begun)
    assert lines[begun[3] + 1] == "a line is too long"
