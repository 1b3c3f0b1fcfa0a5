"""Starting several processes by MPI, and what the processes of the tests run.

    mpiexec -n N python tests/cluster/launching.py SCENARIO ARGUMENT...

The scenarios are the functions at the end of this file.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
SECONDS = 60
"""After so long a test fails instead of waiting for processes."""


def mpiexec() -> str | None:
    """Return the launcher of the MPI that mpi4py finds in this environment, if there is one."""
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        return None
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.is_file() else shutil.which("mpiexec")


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def start(*groups: tuple[int, list[object]], **options) -> subprocess.Popen[str]:
    """Start processes of Python: so many with these arguments, and so many with those."""
    words = [mpiexec()]
    for place, (count, arguments) in enumerate(groups):
        words += [":"] * bool(place) + ["-n", str(count), sys.executable, *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment(), **options}
    return subprocess.Popen(words, **options)


def finish(process: subprocess.Popen[str], seconds: float = SECONDS) -> tuple[int, str, str]:
    """Return the exit code and what was written to both streams; fail with what was seen if it takes too long."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        seen = "\n".join(map(state, [process.pid, *python_processes(process.pid)]))
        out, err = end(process)
        raise AssertionError(f"not ended after {seconds} s:\n{seen}\nstdout: {out}\nstderr: {err}") from None
    return process.returncode, out, err


def state(number: int) -> str:
    """Return what the system tells of a process and its threads, a line each."""
    lines = []
    for thread in sorted(Path(f"/proc/{number}/task").glob("*")):
        try:
            fields = (thread / "stat").read_text().rpartition(") ")[2].split()
            command = (thread / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            waits = (thread / "wchan").read_text()
        except OSError:  # it has just ended
            continue
        lines.append(f"{number}/{thread.name} {fields[0]} ticks {fields[11]}+{fields[12]} in {waits}: {command[:200]}")
    return "\n".join(lines)


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """End a launcher and the processes that it has started; return what was written to both streams."""
    for number in [*python_processes(process.pid), process.pid]:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    try:
        return process.communicate(timeout=10)
    except subprocess.TimeoutExpired as error:  # a process that was started otherwise still has the streams
        return tuple((one or b"").decode(errors="replace") for one in (error.stdout, error.stderr))


def run(count: int, scenario: str, *arguments: object) -> str:
    """Run a scenario on so many processes and return what they wrote; on one process without MPI."""
    words = [Path(__file__), scenario, *arguments]
    if count == 1:
        code, out, err = finish(
            subprocess.Popen([sys.executable, *map(str, words)], stdout=-1, stderr=-1, text=True, env=environment())
        )
    else:
        code, out, err = finish(start((count, words)))
    assert code == 0, err
    return out


def python_processes(launcher: int) -> list[int]:
    """Return the processes that a launcher has started on this machine, without its helpers."""
    found, waiting = [], [launcher]
    while waiting:
        number = waiting.pop()
        try:
            children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
            program = os.path.basename(Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")[0].decode())
        except OSError:
            continue
        waiting += map(int, children)
        if program.startswith("python"):
            found.append(number)
    return sorted(found)


# --- what the processes run ---


def processes():
    from audioconv.cluster.mpi import connect
    from audioconv.cluster.processes import ALONE

    return connect() or ALONE


def exchange() -> None:
    """Check every way in which processes exchange something; process 0 prints "as it should be"."""
    from audioconv.cluster.tree import PairwiseSum, complete

    ours = processes()
    ranks = list(range(ours.size))
    assert ours.gather(b"x" * ours.rank) == [b"x" * rank for rank in ranks]
    assert ours.gather_json({"rank": ours.rank}) == [{"rank": rank} for rank in ranks]
    assert ours.from_leader([ours.rank, "\udce9"]) == [0, "\udce9"]
    assert [a.tolist() for a in ours.gather_arrays(np.arange(ours.rank))] == [list(range(rank)) for rank in ranks]
    arrays = [np.full(3, ours.rank, np.float32), np.full((), ours.rank, np.int64), np.full((2, 2), ours.rank)]
    ours.copy_from_leader(arrays)
    assert all(not array.any() for array in arrays)
    for count, batch in ((1, 3), (10, 3), (64, 64), (200, 7)):
        rows = ours.rows(count, batch, lambda part, count=count: np.arange(2 * count).reshape(count, 2)[part])
        assert np.array_equal(rows, np.arange(2 * count).reshape(count, 2))
        assert ours.every(count, lambda number: number**2) == [number**2 for number in range(count)]
    for count in (ours.size, 3 * ours.size, 8 * ours.size):
        for length in (0, 1, 17, 1000):
            terms = [np.random.default_rng(k).normal(size=length).astype(np.float32) for k in range(count)]
            own = PairwiseSum(ours.share(count).start)
            for number in ours.share(count):
                own.add(terms[number].copy())
            alone = complete({(number, 1): term for number, term in enumerate(terms)}, count)
            assert ours.sum(own.nodes, count).tobytes() == alone.tobytes(), (count, length)
    ours.gather(b"")
    if ours.leads:
        print("as it should be")


def training(replicas: str, checkpoint: str = "", epochs: str = "4", pause: str = "0") -> None:
    """Train so many replicas on noisy waves, and resume; process 0 prints a digest of all that came of it."""
    from audioconv import layers as L
    from audioconv.training.fitting import ArrayData, fit
    from audioconv.training.schedules import Constant

    def waves(count, seed):
        rng = np.random.default_rng(seed)
        labels = rng.integers(3, size=count)
        wave = np.sin(np.arange(8)[None, :, None] * (labels[:, None, None] + 1) * 0.7 + np.arange(2))
        noise = 0.4 * rng.standard_normal(wave.shape)
        return ArrayData(wave + noise, labels, lambda x, rng: x + 0.1 * rng.standard_normal(x.shape, np.float32))

    network = L.Chain([L.Conv(4, 3, bias=False), L.BatchNorm(), L.ReLU(), L.Dropout(0.2), L.Flatten(), L.Dense(3)])
    ours = processes()
    result = fit(
        network,
        [waves(50 - replica % 2, 10 + replica) for replica in ours.share(int(replicas))],
        validation=waves(100, 1),
        epochs=int(epochs),
        batch_size=16,
        schedule=Constant(0.01),
        gradient_clip=1.0,
        mixup=0.2,
        seed=7,
        checkpoint=checkpoint or None,
        resume=bool(checkpoint),
        callbacks=[lambda _: time.sleep(float(pause))],
        processes=ours,
    )
    rows = [dataclasses.replace(row, seconds=0) for row in result.history]
    digest = hashlib.sha256(repr(rows).encode())
    for group in (result.params, result.final_params):
        for path, array in sorted(L.flatten(group).items()):
            digest.update(path.encode() + array.tobytes())
    found = ours.gather(digest.digest())
    assert len(set(found)) == 1, "processes have different results"
    if ours.leads:
        print(digest.hexdigest())


def command(*words: str) -> None:
    """Run a command of audioconv whose process 0 finds the disk full once it has begun to train."""
    import resource
    import signal

    from audioconv import cli
    from audioconv.cli import train

    make_room = train.make_room

    def full(*arguments, **options):
        make_room(*arguments, **options)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    train.make_room = full
    sys.exit(cli.run(words))


def stored(folder: str, *words: str) -> None:
    """Run a command of audioconv that keeps all clips in the clip store, in a folder."""
    from audioconv import cli
    from audioconv.audio import window_store
    from audioconv.pipeline import windowing

    window_store.stores_folder = lambda: Path(folder)
    windowing.MAX_MEMORY_SAMPLES = 1
    sys.exit(cli.run(words))


def full_store(folder: str, *words: str) -> None:
    """Do the same where the disk of that folder is full."""
    from audioconv.audio.mapped_samples import SampleWriter

    def write(self, samples):
        raise OSError(errno.ENOSPC, "No space left on device")

    SampleWriter.write = write
    stored(folder, *words)


def other_version(package: str, *words: str) -> None:
    """Run a command of audioconv with another version of a package than is installed."""
    import importlib.metadata

    from audioconv import cli
    from audioconv.recipe import replicas

    version = importlib.metadata.version
    importlib.metadata.version = lambda name: "0.0.1" if name == package else version(name)
    if package == "audioconv":
        replicas.__version__ = "0.0.1"
    sys.exit(cli.run(words))


if __name__ == "__main__":
    scenarios = (exchange, training, command, stored, full_store, other_version)
    {one.__name__: one for one in scenarios}[sys.argv[1]](*sys.argv[2:])
