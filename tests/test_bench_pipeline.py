"""Rows `pipeline/...` of the benchmark: PyTorch's side has the same features, both sides learn, memory is counted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioconv.features.front_ends import LogMel

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
RATE = 16000

pytestmark = pytest.mark.skipif(not (SCRIPTS / "bench").is_file(), reason="the scripts are not beside the tests")


@pytest.fixture(autouse=True, scope="module")
def scripts():
    """Make the benchmark's modules importable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        patch.setattr(sys, "dont_write_bytecode", True)
        yield


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return FLAC files of two tones by 30 speakers, one clip a speaker and class, named as Speech Commands is."""
    folder, rng = tmp_path_factory.mktemp("data") / "speech-commands-9", np.random.default_rng(0)
    for label, hertz in (("high", 2000), ("low", 400)):
        (folder / label).mkdir(parents=True)
        for speaker in range(30):
            tone = np.sin(2 * np.pi * hertz * np.arange(RATE - 100 * (speaker % 3)) / RATE)
            tone[: RATE // 4] = tone[-RATE // 4 :] = 0  # what is there all the time is normalised away
            samples = 0.3 * tone + rng.normal(0, 0.01, tone.size)
            soundfile.write(folder / label / f"{speaker:08x}_nohash_0.flac", samples, RATE)
    return folder


def test_speakers_are_in_one_part(folder):
    from benchmarking.pipeline_rows import find_clips

    clips = find_clips(folder, None)
    assert clips.classes == ["high", "low"]
    parts = {part: clips.of(part)["paths"] for part in ("train", "validation")}
    speakers = {part: {Path(path).name.partition("_")[0] for path in paths} for part, paths in parts.items()}
    assert all(speakers.values())
    assert not speakers["train"] & speakers["validation"]
    assert len(clips.paths) == 60
    assert len(find_clips(folder, 5).paths) == 10


def test_pytorch_has_the_same_spectrogram(torch):
    from benchmarking.torch_pipeline import Clips

    x = np.random.default_rng(0).normal(0, 0.1, (3, RATE)).astype(np.float32)
    found = Clips([], [], None).log_mel(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, LogMel()(x), atol=2e-3)  # dB


def test_the_augmentation_of_pytorch(torch):
    from benchmarking import torch_pipeline as peer

    torch.manual_seed(0)
    x = torch.randn(64, peer.LENGTH)
    silent = {"rooms": [torch.eye(100)[0]], "noises": [torch.zeros(4 * RATE)]}
    changed = peer.augmented(x.clone(), silent)
    pairs = zip(x.numpy(), changed.numpy(), strict=True)
    shifted = [np.correlate(after[400:4600], before[2000:3000]).argmax() - 1600 for before, after in pairs]
    assert max(map(abs, shifted)) <= peer.MAX_SHIFT
    assert len(set(shifted)) > 20
    gain = 20 * (changed.square().mean(1) / x.square().mean(1)).sqrt().log10()
    assert 3 < gain.abs().max() < peer.GAIN_DB + 1  # dB; a shift loses up to a tenth of the clip
    features = torch.randn(64, 101, peer.BANDS)
    hidden = peer.masked(features) != features
    assert hidden.any(2).sum(1).max() == 101 or hidden.any(1).sum(1).max() <= peer.BANDS
    assert 0 < hidden.float().mean() < 2 * peer.MASKED
    stretched = peer.stretched(features)
    same = (stretched - features).abs().amax((1, 2)) < 1e-5
    assert 2 <= same.sum() <= 30  # a fifth of the clips are left as they are
    noisy = peer.augmented(torch.ones(64, peer.LENGTH), {**silent, "noises": [torch.randn(4 * RATE)]})
    assert 0.3 < (noisy.std(1) > 0.2).float().mean() < 1


def test_pytorch_learns(torch, folder):
    from benchmarking import pipeline_rows as rows
    from benchmarking.torch_pipeline import train

    task = rows.torch_task("cnn", rows.find_clips(folder, 16), threads=1)
    found = train({**task, "batch": 8, "epochs": 4, "workers": 0, "layout": "channels last", "compiled": False})
    assert len(found["losses"]) == 4 * -(-len(task["train"]["paths"]) // 8)
    assert len(found["accuracies"]) == 4
    rows.check_learned("torch", rows.Run(1.0, 1.0, found["losses"], found["accuracies"][-1]), whole=False)


def test_what_is_wrong():
    from benchmarking.checks import WrongResultError
    from benchmarking.pipeline_rows import Run, check_apart, check_learned

    check_learned("x", Run(1.0, 1.0, [2.0, 1.0], 0.9), whole=True)
    for run in (
        Run(1.0, 1.0, [1.0, 2.0], 0.9),
        Run(1.0, 1.0, [1.0, float("nan")], 0.9),
        Run(1.0, 1.0, [2.0, 1.0], 0.2),
    ):
        with pytest.raises(WrongResultError, match="x: "):
            check_learned("x", run, whole=True)
    check_apart("x", [Run(1.0, 1.0, [], 0.9)], [Run(1.0, 1.0, [], 0.85)])
    with pytest.raises(WrongResultError, match=r"x: 90\.0% .* 60\.0%"):
        check_apart("x", [Run(1.0, 1.0, [], 0.9)], [Run(1.0, 1.0, [], 0.6)])


def test_the_rows(monkeypatch, folder):
    """The fastest variant of the first round has the later ones; memory is beside the thriftiest."""
    from benchmarking import pipeline_rows as rows
    from benchmarking.session import Bench
    from benchmarking.timing import FULL

    seconds = {0: iter([40.0, 60.0, 60.0, 60.0]), 1: iter([50.0, 50.0]), 2: iter([45.0, 45.0, 45.0])}
    asked = []

    def train_torch(task):
        asked.append((task["layout"], task["workers"], task["compiled"]))
        if task["compiled"]:
            raise subprocess.CalledProcessError(1, ["python"])
        return rows.Run(next(seconds[task["workers"]]), 100.0 * (1 + task["workers"]), [2.0, 1.0], 0.8)

    monkeypatch.setattr(rows, "train_torch", train_torch)
    monkeypatch.setattr(rows, "torch_task", lambda *_: {})
    monkeypatch.setattr(
        rows, "train_ours", lambda *given: rows.Run(10.0 if "--no-reject" in given else 20.0, 80.0, [2.0, 1.0], 0.75)
    )
    monkeypatch.setenv(rows.VARIABLE, str(folder.parent))
    said = []
    bench = Bench(FULL, 2, True, said.append, [], 10.0)
    found = {row.name: row for row in rows.pipeline("cnn", bench)}
    assert list(found) == ["pipeline/cnn", "pipeline/cnn/no-reject", "pipeline/cnn/memory"]
    assert len(asked) == 8
    assert asked[-1] == asked[0] == ("channels last", 0, False)
    assert len(said) == 1
    assert bench.variants["pipeline/cnn torch"] == "channels last, 0 workers"
    assert found["pipeline/cnn"].ratio == pytest.approx(50 / 20)
    assert found["pipeline/cnn/no-reject"].ratio == pytest.approx(50 / 10)
    assert found["pipeline/cnn/memory"].ratio == pytest.approx(100 / 80)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's count of memory")
def test_memory_of_children_counts():
    from benchmarking.process_tree import run

    inner = "x = b'x' * 2**27; import time; time.sleep(0.8)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}]); print('done')"
    found = run([sys.executable, "-c", outer], {})
    assert found.stdout == "done\n"
    assert 128 < found.peak_mib < 256
    assert found.seconds >= 0.8
    with pytest.raises(subprocess.CalledProcessError):
        run([sys.executable, "-c", "raise SystemExit(3)"], {})


@pytest.mark.slow
@pytest.mark.long
def test_a_quick_look_beside_pytorch(torch, folder, tmp_path):
    command = [sys.executable, str(SCRIPTS / "bench"), "--quick", "--only", "pipeline/cnn"]
    environment = {"AUDIOCONV_TEST_DATA": str(folder.parent)}
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pipeline/cnn/no-reject" in done.stdout
