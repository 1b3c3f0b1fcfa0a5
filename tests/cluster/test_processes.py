"""Several processes, started by a real MPI."""

import os
import signal
import sys
import time

import launching
import pytest

from audioconv.cluster import mpi
from audioconv.training.checkpoint import Checkpoint

pytestmark = pytest.mark.skipif(launching.mpiexec() is None, reason="needs MPI: pip install 'audioconv[cluster]'")


@pytest.mark.parametrize("count", [2, 3])
def test_processes_exchange(count):
    assert launching.run(count, "exchange") == "as it should be\n"


@pytest.fixture(scope="module")
def digest():
    """Return what four replicas come to on one process without MPI."""
    return launching.run(1, "training", 4)


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_any_number_of_processes_gives_the_same_bits(digest, count):
    assert launching.run(count, "training", 4) == digest


@pytest.mark.slow
def test_so_it_does_where_processes_hold_no_whole_branch_of_the_tree():
    assert launching.run(2, "training", 6) == launching.run(1, "training", 6)


def test_the_number_of_replicas_is_part_of_the_recipe(digest):
    assert launching.run(1, "training", 2) != digest


@pytest.mark.slow
def test_a_killed_process_ends_all_and_another_number_of_them_goes_on(digest, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    running = launching.start((2, [launching.__file__, "training", 4, checkpoint, 4, 0.3]))
    kill_one(running, lambda: checkpoint.exists())
    assert Checkpoint.load(checkpoint).history.rows
    assert launching.run(4, "training", 4, checkpoint) == digest


def kill_one(running, is_time, victim=-1):
    """Kill one of the processes when it is time; all of them must end within seconds, and the launcher says why."""
    end = time.monotonic() + launching.SECONDS
    while not is_time():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    found = launching.python_processes(running.pid)
    os.kill(found[victim], signal.SIGKILL)
    begun = time.monotonic()
    code, out, err = launching.finish(running)
    assert code != 0
    assert time.monotonic() - begun < 10
    assert f"PID {found[victim]}" in out + err  # the launcher's message
    for number in found:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({}, None),
        ({"PMI_SIZE": "1"}, 1),
        ({"PMI_SIZE": "4", "PMI_RANK": "0"}, 4),
        ({"OMPI_COMM_WORLD_SIZE": "3", "PMIX_RANK": "0"}, 3),
        ({"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "8"}, 8),
        ({"PMIX_RANK": "0"}, 0),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),  # a batch script, whose commands run alone
    ],
)
def test_what_launchers_say_is_understood(monkeypatch, variables, count):
    for name in ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMIX_RANK", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert mpi.launched() == count


def test_a_process_alone_loads_no_mpi():
    program = "from audioconv.cluster.mpi import connect; connect(); import sys; print('mpi4py' in sys.modules)"
    code, out, err = launching.finish(
        launching.subprocess.Popen(
            [sys.executable, "-c", program], stdout=-1, stderr=-1, text=True, env=launching.environment()
        )
    )
    assert (code, out) == (0, "False\n"), err
