"""The commands and the code of the guides, run as they are printed, each page in a copy of `sandbox`'s folder."""

from __future__ import annotations

import csv
import re
import shutil

import documentation
import numpy as np
import pytest
import sandbox
import soundfile

from audioconv.io.files import cache_folder

GUIDES = [
    "index.md", "data.md", "evaluation.md", "explaining.md", "front_ends.md", "lab.md", "live.md",
    "guides/rejection.md", "guides/reproducibility.md", "guides/troubleshooting.md",
]  # fmt: skip

LONGER = ["start/install.md", "start/first-model.md", "export.md"]
"""Pages with the demo, or with exports to all formats."""

RATE = 16000

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return a folder with recordings of ten speakers, recordings to search, and a model of them."""
    folder = sandbox.fill(tmp_path_factory.mktemp("guides"))
    paths = sorted((folder / "recordings").rglob("*.wav"))
    with open(folder / "recordings" / "manifest.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split"])
        for number, path in enumerate(paths):
            split = "test" if number % 4 == 0 else ""
            table.writerow([path.relative_to(folder / "recordings"), path.parent.name, split])
    pause = np.zeros(RATE, np.float32)
    word = sandbox_clip(paths, "yes")
    evening = np.concatenate([pause, word, pause, pause, word, pause])
    for name in ("evening.wav", "evening.flac", "interview.wav", "street.wav"):
        soundfile.write(folder / name, evening, RATE)
    soundfile.write(folder / "talk.mp3", evening, RATE)
    starts = (len(pause), 3 * len(pause) + len(word))
    lines = [f"{start / RATE:.3f}\t{(start + len(word)) / RATE:.3f}\tyes\n" for start in starts]
    (folder / "evening.txt").write_text("".join(lines), "utf-8")
    shutil.copy(folder / "new-clip.wav", folder / "clip.wav")
    for name in ("chords", "wheelchair"):
        shutil.copytree(folder / "recordings", folder / name)
    sandbox.run(folder, "bash", "audioconv train recordings -o model --epochs 3")
    return folder


def sandbox_clip(paths, label):
    """Return the samples of a clip of a class."""
    return soundfile.read(next(path for path in paths if path.parent.name == label), dtype="float32")[0]


@pytest.mark.parametrize("page", [*GUIDES, *LONGER])
def test_the_guide_runs(prepared, tmp_path, monkeypatch, page):
    # Commands that remove stored clips shall not find those of whoever runs the tests; compiled kernels may be theirs.
    kernels = cache_folder("kernels")
    kernels.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kernels").symlink_to(kernels)
    monkeypatch.setenv("AUDIOCONV_CACHE_DIR", str(tmp_path / "cache"))
    # The commands name absolute paths of the prepared folder's mirror and programs, so these stay where they are.
    skipped = shutil.ignore_patterns(".venv", "mirror") if page != "start/install.md" else None
    folder = shutil.copytree(prepared, tmp_path / "clone", ignore=skipped, symlinks=True)
    if skipped:
        (folder / "mirror").symlink_to(prepared / "mirror")
    found = documentation.runnable(page, "bash", "python")
    assert found, f"{page} has no block that runs"
    if any(re.search(r"^audioconv train .* -o model( |$)", block.code, re.MULTILINE) for block in found):
        shutil.rmtree(folder / "model")
    for block in found:
        if re.search(r"^python -m http\.server|^audioconv lab", block.code, re.MULTILINE):
            *before, last = block.code.splitlines()
            sandbox.run(folder, block.language, "\n".join(before))
            command = f"{last} 0" if "http.server" in last else last  # a free port, as the lab takes one by itself
            sandbox.open_pages(command, folder, sandbox.environment(folder))
        else:
            sandbox.run(folder, block.language, block.code)
