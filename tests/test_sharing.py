"""What the processes that share the tests make once, on stand-ins for them."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import sharing

pytestmark = pytest.mark.skipif(not sharing.LOCKS, reason="this system has no locks as sharing takes them")

WORKER = """
import os, pathlib, sys, time, types
import sharing

base = pathlib.Path(sys.argv[1])

def make(folder):
    with open(base / "made", "a") as file:
        file.write("once\\n")
    time.sleep(0.5)
    (folder / "content").write_text("whole")

factory = types.SimpleNamespace(getbasetemp=lambda: base / "worker")
print((sharing.made_once(factory, "thing", make) / "content").read_text())
"""


def test_two_processes_make_a_folder_once(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(sharing.__file__).parent), "PYTEST_XDIST_WORKER": "gw0"}
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["whole\n", "whole\n"]
    assert (tmp_path / "made").read_text() == "once\n"


def test_what_failed_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    factory = types.SimpleNamespace(getbasetemp=lambda: tmp_path / "worker")

    def fail(folder):
        (folder / "part").write_text("half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        sharing.made_once(factory, "thing", fail)
    found = sharing.made_once(factory, "thing", lambda folder: (folder / "whole").write_text("all"))
    assert [path.name for path in found.iterdir()] == ["whole"]


def test_one_process_makes_it_for_itself(tmp_path_factory, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    folders = [sharing.made_once(tmp_path_factory, "thing", lambda folder: None) for _ in range(2)]
    assert folders[0] != folders[1]
