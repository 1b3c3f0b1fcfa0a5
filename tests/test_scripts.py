"""The shell scripts: they work from any folder, and say what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASH = shutil.which("bash")

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="the scripts are for bash on Unix"),
    pytest.mark.skipif(BASH is None, reason="the scripts are for bash"),
]


@pytest.fixture
def clone(tmp_path):
    """Return the scripts and what they install, in a folder whose name is awkward."""
    folder = tmp_path / "a clone [1]"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture
def tools(tmp_path):
    """Return a folder with the commands that the scripts use, and no Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("cat", "cksum", "dirname", "chmod", "env"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


def run(script, *arguments, path, folder):
    return subprocess.run(
        [BASH, script, *arguments], cwd=folder, env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )


def add_command(folder, name, text):
    command = folder / name
    command.write_text(f"#!{BASH}\n{text}\n", "utf-8")
    command.chmod(0o755)


def test_no_python_is_said_in_one_line(clone, tools, tmp_path):
    done = run(clone / "scripts" / "test", path=tools, folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("test: needs Python 3.11, 3.12, 3.13 or 3.14")
    assert done.stderr.count("\n") == 1


def test_a_python_that_is_too_old_is_none(clone, tools, tmp_path):
    add_command(tools, "python3", "exit 1")
    assert "needs Python 3.11" in run(clone / "scripts" / "demo", path=tools, folder=tmp_path).stderr


def test_a_python_without_venv_is_told_apart(clone, tools, tmp_path):
    add_command(
        tools, "python3", f'case $2 in *ensurepip*) exit 1;; *) exec "{sys.executable}" "$@";; esac'
    )  # as Debian's, before python3-venv is installed
    done = run(clone / "scripts" / "demo", path=tools, folder=tmp_path)
    assert done.returncode == 1
    version = "{}.{}".format(*sys.version_info)
    assert f"python3 has no module venv; on Debian and Ubuntu: sudo apt-get install python{version}-venv" in done.stderr


def test_installs_once_and_passes_arguments_on_as_they_are(clone, tools, tmp_path):
    made = clone / ".venv" / "bin"
    made.mkdir(parents=True)
    add_command(made, "python", f'echo "python $*" >> "{tmp_path}/log"')
    add_command(made, "audioconv", 'printf "<%s>" "$@"')
    for _ in range(2):
        done = run(clone / "scripts" / "demo", "--words", "yes, no", path=tools, folder=tmp_path)
        assert done.stdout == "<demo><--words><yes, no>", done.stderr
        assert done.stderr.endswith(".venv/bin/activate\n")  # else nobody finds what the demo says to type
    installed = [line for line in (tmp_path / "log").read_text().splitlines() if " pip install " in line]
    assert len(installed) == 1
    assert installed[0].endswith("--editable .[synth,speech]")

    (clone / "pyproject.toml").write_text("# changed\n", "utf-8")
    run(clone / "scripts" / "demo", path=tools, folder=tmp_path)
    assert (tmp_path / "log").read_text().count(" pip install ") == 2


@pytest.mark.parametrize(
    ("arguments", "shared"),
    [
        ([], True),
        (["tests/test_ops.py", "-k", "a b"], True),
        (["-n", "3"], False),
        (["-n0", "-x"], False),
        (["--numprocesses=auto"], False),
        (["--pdb"], False),
        (["-s"], False),
        (["-p", "no:xdist"], False),
    ],
)
def test_three_processes_share_the_tests_unless_the_arguments_say_otherwise(clone, tools, tmp_path, arguments, shared):
    made = clone / ".venv" / "bin"
    made.mkdir(parents=True)
    script = f"""case $2 in pytest) printf "<%s>" "$@" >"{tmp_path}/given" ;; *affinity*) echo 3 ;; esac"""
    add_command(made, "python", script)
    done = run(clone / "scripts" / "test", *arguments, path=tools, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    options = ["-n", "3", "--dist", "loadfile"] if shared else []
    given = "".join(f"<{word}>" for word in ["-m", "pytest", *options, *arguments])
    assert (tmp_path / "given").read_text() == given


def test_scripts_are_executable():
    for script in [*(path for path in (ROOT / "scripts").iterdir() if path.is_file()), ROOT / ".ci" / "run"]:
        assert script.suffix or os.access(script, os.X_OK), script
