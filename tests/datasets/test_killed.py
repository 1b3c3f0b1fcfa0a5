"""Killed at any moment of download and extraction, and started again: the same content as in one go."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from audioconv.datasets.build import get
from audioconv.datasets.build.layouts import Options
from audioconv.datasets.build.sentences import WordList

PROGRAM = """
import sys
from audioconv.datasets.build import get
from audioconv.datasets.build.layouts import Options
from audioconv.datasets.build.sentences import WordList

def say(stage, done, total):
    print(stage.split()[-1], flush=True)

print("begun", flush=True)
options = Options(language="en", words=WordList(["yes", "no"]), limit=25, unknown=20, silence=10)
get.get("common-voice", sys.argv[1], options, progress=say)
"""


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_killed_twenty_times(collective, tmp_path):
    options = Options(language="en", words=WordList(["yes", "no"]), limit=25, unknown=20, silence=10)
    whole = contents(get.get("common-voice", tmp_path / "whole" / "en", options))
    for path in get.kept_archives(tmp_path / "whole" / "en"):
        path.unlink()

    chance = random.Random(0)
    folder = tmp_path / "killed" / "en"
    folder.parent.mkdir()
    at: Counter[str] = Counter()
    for stage in ("downloading", "through", "unpacking", "unpacking") * 5:
        collective.seconds_per_chunk = 0.02 if stage == "downloading" else 0.0  # a whole download takes a second
        if stage == "downloading":
            shutil.rmtree(folder.parent)
            folder.parent.mkdir()
        command = [sys.executable, "-c", PROGRAM, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            while (last := process.stdout.readline().strip()) not in (stage, ""):
                pass
            time.sleep(chance.uniform(0, 0.5 if stage == "downloading" else 0.15))
            process.send_signal(signal.SIGKILL)
            last = [last, *process.stdout.read().split()][-1]
        at[last if process.returncode == -signal.SIGKILL else "ended"] += 1
        if folder.exists():
            assert contents(folder) == whole  # it is there only when it is complete
            shutil.rmtree(folder)
    collective.seconds_per_chunk = 0.0
    get.get("common-voice", folder, options)
    assert contents(folder) == whole
    assert sorted(os.listdir(folder.parent)) == [".audioconv-downloads", "en"]
    assert at["downloading"] >= 3, at
    assert at["through"] + at["unpacking"] >= 3, at
