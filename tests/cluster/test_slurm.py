"""The batch scripts of docs/cluster.md under a Slurm that runs on this machine: equal models, resumed jobs, shards."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import launching
import pytest
from test_train_together import LEARNING, train, write_words


def answers() -> bool:
    """Return whether a Slurm answers here that can start the processes of the MPI in this environment."""
    if launching.mpiexec() is None or shutil.which("sinfo") is None:
        return False
    try:
        nodes = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, timeout=10).stdout
        kinds = subprocess.run(["srun", "--mpi=list"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return nodes.split()[:1] in (["idle"], ["mixed"], ["allocated"]) and "pmi2" in kinds.stdout + kinds.stderr


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not answers(), reason="needs Slurm with PMI-2 on this machine")]

PAGE = launching.ROOT / "docs" / "cluster.md"
NEW_STEP = 'for _ in $(seq "${SLURM_RESTART_COUNT:-0}"); do srun true; done'
"""What the page has for MPICH: it names shared memory by the numbers of job and step, and killed processes leave it."""

SECONDS = 200
MODEL, GOES_ON = "model.safetensors", "resuming after epoch"
SHORT = [*LEARNING, "--negatives", "none"]
LONG = [40 if before == "--epochs" else word for before, word in zip([None, *SHORT], SHORT, strict=False)]
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT", "OUT_OF_MEMORY"}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return write_words(tmp_path_factory.mktemp("words"))


def page_script(marked, changes):
    """Return the page's batch script that holds `marked`, with some of its text replaced; each has to be there."""
    (script,) = (
        block for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if marked in block
    )
    for old, new in changes.items():
        assert old in script, old
        script = script.replace(old, new)
    return script


def submit(script, folder):
    """Submit a batch script and return the number of its job; its output goes to the file ``log``."""
    environment = launching.environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    submitted = subprocess.run(
        ["sbatch", "--parsable", "--output", "log-%a", "--open-mode=append"], input=script, cwd=folder, text=True,
        env=environment, capture_output=True, timeout=20,
    )  # fmt: skip
    assert submitted.returncode == 0, submitted.stderr
    return submitted.stdout.strip().partition(";")[0]


def state(job):
    """Return the states of a job and of its array's parts."""
    shown = subprocess.run(["scontrol", "-o", "show", "job", job], capture_output=True, text=True, timeout=20).stdout
    return set(re.findall(r"JobState=(\w+)", shown))


def wait(job, folder, states=frozenset(ENDED), seconds=SECONDS):
    """Wait until all parts of a job are in one of these states; return them and what was written."""
    end = time.monotonic() + seconds
    while not (found := state(job)) or not found <= states:
        assert time.monotonic() < end, (found, *(log.read_text() for log in folder.glob("log-*")))
        time.sleep(0.1)
    return found, "".join(log.read_text() for log in sorted(folder.glob("log-*")))


def wait_for_checkpoint(folder):
    end = time.monotonic() + SECONDS
    while not list((folder / "out").glob("checkpoint*.safetensors")):
        assert time.monotonic() < end, [log.read_text() for log in folder.glob("log-*")]
        time.sleep(0.05)


def training(words, out, arguments):
    return page_script(
        "--job-name=words",
        {
            "--nodes=8": "--nodes=1",
            "--ntasks-per-node=1": "--ntasks-per-node=2",
            "--cpus-per-task=32": "--cpus-per-task=1",
            "module load openmpi\n": "",
            'source "$HOME/audioconv/bin/activate"\n': "",
            "srun ": f"{NEW_STEP}\nsrun --mpi=pmi2 ",
            "/scratch/recordings": str(words),
            "/scratch/model": str(out),
            "--replicas 8": " ".join(map(str, arguments)),
        },
    )


def test_the_page_has_the_line_for_mpich():
    assert f"`{NEW_STEP}`" in PAGE.read_text("utf-8")


def test_a_job_trains_the_model_of_one_process(words, tmp_path):
    code, _, err = train(1, words, "-o", tmp_path / "alone", *SHORT)
    assert code == 0, err
    job = submit(training(words, tmp_path / "out", SHORT), tmp_path)
    states, log = wait(job, tmp_path)
    assert states == {"COMPLETED"}, log
    assert (tmp_path / "out" / MODEL).read_bytes() == (tmp_path / "alone" / MODEL).read_bytes()


def test_a_requeued_job_goes_on_to_the_same_bits(words, tmp_path):
    code, _, err = train(1, words, "-o", tmp_path / "alone", *LONG)
    assert code == 0, err
    job = submit(training(words, tmp_path / "out", LONG), tmp_path)
    wait_for_checkpoint(tmp_path)
    subprocess.run(["scontrol", "requeue", job], check=True, timeout=20)
    states, log = wait(job, tmp_path)  # Slurm holds a requeued job back for some seconds
    assert states == {"COMPLETED"}, log
    assert GOES_ON in log
    assert (tmp_path / "out" / MODEL).read_bytes() == (tmp_path / "alone" / MODEL).read_bytes()


def test_a_process_that_dies_ends_the_job(words, tmp_path):
    job = submit(training(words, tmp_path / "out", LONG), tmp_path)
    wait_for_checkpoint(tmp_path)
    pids = subprocess.run(["pgrep", "-f", str(tmp_path / "out")], capture_output=True, text=True, check=True).stdout
    trainers = [pid for pid in pids.split() if "python" in os.readlink(f"/proc/{pid}/exe")]
    assert len(trainers) == 2
    os.kill(int(trainers[-1]), 9)
    states, log = wait(job, tmp_path, seconds=30)
    assert states == {"FAILED"}, log


def test_an_array_of_jobs_detects_what_one_does(words, tmp_path):
    code, _, err = train(1, words, "-o", tmp_path / "model", *SHORT)
    assert code == 0, err
    script = page_script(
        "--array=1-8",
        {
            "--array=1-8": "--array=1-2",
            "detect model": f"detect {tmp_path / 'model'}",
            "/scratch/recordings": str(words / "up"),
            "/8": "/2",
        },
    )
    states, log = wait(submit(script, tmp_path), tmp_path)
    assert states == {"COMPLETED"}, log
    command = [
        sys.executable,
        "-m",
        "audioconv",
        "detect",
        tmp_path / "model",
        words / "up",
        "--csv",
        tmp_path / "all.csv",
    ]
    subprocess.run([*map(str, command)], check=True, env=launching.environment(), capture_output=True, timeout=SECONDS)
    parts = "".join((tmp_path / f"words-{number}.csv").read_text() for number in (1, 2))
    assert parts == (tmp_path / "all.csv").read_text()
