"""`audioconv train` in several processes: equal model files, and one message where something is wrong."""

import os
import shutil
import signal
import time

import launching
import numpy as np
import pytest

from audioconv.training.checkpoint import Checkpoint

pytest.importorskip("soundfile")
pytestmark = pytest.mark.skipif(launching.mpiexec() is None, reason="needs MPI: pip install 'audioconv[cluster]'")

TRAINING = ["--arch", "ds-cnn-s", "--init", "nothing", "--epochs", 2, "--batch-size", 4, "--clip-seconds", 0.25]
LEARNING = [*TRAINING, "--reject", "--ensemble-size", 1, "--replicas", 4]


def write_words(folder, count=16):
    """Write recordings of gliding tones by several speakers, some of them to test with."""
    import soundfile

    rows = ["path,label,speaker,split"]
    time = np.arange(1000) / 4000
    for label, (low, high) in {"up": (300, 900), "down": (900, 300), "flat": (600, 600)}.items():
        (folder / label).mkdir(parents=True)
        for n in range(count):
            rng = np.random.default_rng([low, n])
            phase = 2 * np.pi * np.cumsum(np.linspace(low, high, 1000) * rng.uniform(0.9, 1.1)) / 4000
            sound = np.sin(phase) * np.hanning(1000) * 0.4 + rng.normal(0, 0.02, time.size)
            soundfile.write(folder / label / f"{n}.wav", sound, 4000)
            rows.append(f"{label}/{n}.wav,{label},{n % 8},{'test' if n >= count - 2 else 'train'}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return write_words(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def negatives(tmp_path_factory):
    import soundfile

    folder = tmp_path_factory.mktemp("negatives")
    for n in range(6):
        soundfile.write(folder / f"{n}.wav", np.random.default_rng(n).normal(0, 0.1, 8000), 4000)
    return folder


def train(count, *arguments, seconds=launching.SECONDS, **options):
    words = ["-m", "audioconv", "train", *arguments]
    if count == 1:
        running = launching.subprocess.Popen(
            [launching.sys.executable, *map(str, words)], stdout=-1, stderr=-1, text=True, env=launching.environment()
        )
    else:
        running = launching.start((count, words), **options)
    return launching.finish(running, seconds)


@pytest.fixture(scope="module")
def alone(words, negatives, tmp_path_factory):
    """Return the model of one process, with negative recordings, a curve and a test part."""
    out = tmp_path_factory.mktemp("alone")
    code, _, err = train(1, words, "-o", out, *LEARNING, "--negatives", negatives)
    assert code == 0, err
    return out / "model.safetensors"


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_model_files_are_equal(words, negatives, alone, tmp_path, count):
    code, out, err = train(count, words, "-o", tmp_path, *LEARNING, "--negatives", negatives)
    assert code == 0, err
    assert out.count("\ntrained on ") == 1  # one process writes
    assert (tmp_path / "model.safetensors").read_bytes() == alone.read_bytes()


@pytest.mark.slow
def test_each_process_stores_the_clips_that_it_has_read(words, negatives, alone, tmp_path):
    clips, out = tmp_path / "clips", tmp_path / "out"
    for _ in range(2):  # the second run reads from the stores
        launching.run(2, "stored", clips, "train", words, "-o", out, *LEARNING, "--negatives", negatives)
        assert len(list(clips.iterdir())) == 2
        assert (out / "model.safetensors").read_bytes() == alone.read_bytes()
        shutil.rmtree(out)


@pytest.mark.slow
def test_eight_replicas_on_one_to_eight_processes(words, tmp_path):
    models = []
    for count in (1, 2, 4, 8):
        out = tmp_path / str(count)
        code, _, err = train(count, words, "-o", out, *TRAINING, "--replicas", 8, "--negatives", "none", seconds=240)
        assert code == 0, err
        models.append((out / "model.safetensors").read_bytes())
    assert models == models[:1] * 4


def refused(tmp_path, *groups):
    """Return the message of processes that must all refuse and leave nothing; each group may have a scenario."""
    out = tmp_path / "out"
    running = launching.start(
        *((count, [*(scenario or ["-m", "audioconv"]), "train", *arguments, "-o", out])
          for count, arguments, *scenario in groups)
    )  # fmt: skip
    code, _, err = launching.finish(running)
    assert code == 1, err
    assert err.count("error: ") == 1, err
    assert "Traceback" not in err
    assert not out.exists() or not list(out.iterdir())
    return err.partition("error: ")[2].strip()


def test_the_number_of_processes_must_divide_that_of_replicas(words, tmp_path):
    assert refused(tmp_path, (2, [words, "--replicas", 3])).startswith("2 processes cannot share 3 replicas; ")


def test_processes_must_have_the_same_data(words, tmp_path):
    other = shutil.copytree(words, tmp_path / "other")
    lines = (other / "manifest.csv").read_text().splitlines()
    (other / "manifest.csv").write_text("\n".join([*lines[:5], *lines[6:]]))
    message = refused(tmp_path, (1, [words, "--replicas", 2]), (1, [other, "--replicas", 2]))
    assert message.startswith("process 1 (")
    assert "47 clips (process 0" in message
    assert "is up/5.wav up 5 train, not up/4.wav up 4 train" in message


@pytest.mark.parametrize("package", ["audioconv", pytest.param("soxr", marks=pytest.mark.slow)])
def test_processes_must_have_the_same_versions(words, tmp_path, package):
    other = [launching.__file__, "other_version", package]
    message = refused(tmp_path, (1, [words, "--replicas", 2]), (1, [words, "--replicas", 2], *other))
    assert message.startswith("process 1 (")
    assert f"has {package} 0.0.1, but process 0 (" in message
    assert message.endswith("all processes need the same")


@pytest.mark.slow
def test_a_full_disk_for_the_clips_of_one_ends_all(words, tmp_path):
    clips, arguments = tmp_path / "clips", [words, *TRAINING, "--replicas", 2]
    scenarios = [[launching.__file__, scenario, clips] for scenario in ("stored", "full_store")]
    message = refused(tmp_path, *((1, arguments, *scenario) for scenario in scenarios))
    assert message.startswith("process 1 (")
    assert "the clips could not be stored (No space left on device); make room there" in message
    assert not list(clips.glob(".*"))


def test_data_that_one_process_does_not_have_end_all(words, tmp_path):
    message = refused(tmp_path, (1, [words, "--replicas", 2]), (1, [tmp_path / "none", "--replicas", 2]))
    assert message.startswith("process 1 (")
    assert f"none: no such folder or manifest; there is no 'none' in {tmp_path}" in message


def test_a_full_disk_on_one_ends_all(words, tmp_path):
    pytest.importorskip("resource", reason="needs limits of a process")
    arguments = ["train", words, "-o", tmp_path, *TRAINING, "--replicas", 2]
    first = [launching.__file__, "command", *arguments]
    code, _, err = launching.finish(launching.start((1, first), (1, ["-m", "audioconv", *arguments])))
    assert code == 1
    assert err.count("error: ") == 1, err
    assert "process 0 (" in err
    assert "checkpoint.safetensors: could not be written (File too large)" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.long
def test_killed_processes_at_twenty_random_moments(words, tmp_path):
    """Start again after each, with another number of processes: in the end the model is that of one process."""
    rng = np.random.default_rng(0)
    training = [*TRAINING[:5], 25, *TRAINING[6:], "--reject", "--negatives", "none", "--replicas", 4, "--refit"]
    code, _, err = train(1, words, "-o", tmp_path / "alone", *training, seconds=600)
    assert code == 0, err
    out, killed, finished = tmp_path / "out", 0, 0
    while killed < 20:
        count = int(rng.choice([2, 4]))
        running = launching.start((count, ["-m", "audioconv", "train", words, "-o", out, *training, "--resume"]))
        end = time.monotonic() + rng.uniform(2, 12)
        while time.monotonic() < end and running.poll() is None:
            time.sleep(0.02)
        found = launching.python_processes(running.pid)
        if running.poll() is None and len(found) == count:
            os.kill(found[int(rng.integers(count))], signal.SIGKILL)
            killed += 1
        begun = time.monotonic()
        code, _, err = launching.finish(running)
        assert time.monotonic() - begun < 10 or code == 0, err
        for path in out.glob("checkpoint*.safetensors") if out.exists() else ():
            Checkpoint.load(path)
        if code == 0:  # it was quicker: the model is complete, and a new run begins
            finished += 1
            assert (out / "model.safetensors").read_bytes() == (tmp_path / "alone" / "model.safetensors").read_bytes()
            shutil.rmtree(out)
    code, _, err = train(1, words, "-o", out, *training, "--resume", seconds=600)
    assert code == 0, err
    assert (out / "model.safetensors").read_bytes() == (tmp_path / "alone" / "model.safetensors").read_bytes()
    assert not list(out.glob(".audioconv-*"))  # what killed processes left half-written
