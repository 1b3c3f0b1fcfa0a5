"""Two hosts with addresses of their own: the lines of docs/cluster.md over SSH, and a network that fails.

The hosts are network namespaces of this machine, each with a name, an address and an SSH server. Needs root.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import launching
import pytest
from test_train_together import LEARNING, train, write_words

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
PROGRAMS = ("ip", "ssh", "ssh-keygen", "unshare")
PAGE = launching.ROOT / "docs" / "cluster.md"
MODEL = "model.safetensors"
SHORT = [*LEARNING, "--negatives", "none"]
LONG = [40 if before == "--epochs" else word for before, word in zip([None, *SHORT], SHORT, strict=False)]
SECONDS = 90
UNASKED = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
"""Options with which ssh asks nothing, as in the image of the MPI operator."""

APART = ["--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child"]
"""What a host shares with no other, so that processes exchange data by the network."""

GIVE_UP = 5
"""Seconds of waiting after which a process gives up, the next time that it looks; 30 minutes by default."""


def can_make_hosts() -> bool:
    """Return whether this machine can have network namespaces with SSH servers."""
    if launching.mpiexec() is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    if not os.access(SSHD, os.X_OK) or not all(map(shutil.which, PROGRAMS)):
        return False
    name = f"audioconv-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, timeout=10)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=10)
    return made.returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_make_hosts(), reason="needs network namespaces and an SSH server"),
]


class Hosts:
    """Two hosts that a cable connects.

    Attributes
    ----------
    addresses : list of str
    environment : dict of str to str
        What MPICH's launcher needs to start processes there, as the MPI operator of Kubernetes sets it.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        number = os.getpid()
        self._names = [f"audioconv-{number}-{place}" for place in range(2)]
        self._cables = [f"ac{number % 10**6}-{place}" for place in range(2)]
        net = f"10.{213 + number % 20}.{number // 20 % 250}"
        self.addresses = [f"{net}.{place + 1}" for place in range(2)]
        key, host_key = folder / "key", folder / "host_key"
        for path in (key, host_key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=20)
        Path("/run/sshd").mkdir(exist_ok=True)  # its privilege separation wants that folder
        for name in self._names:
            self._ip("netns", "add", name)
            stack.callback(self._ip, "netns", "del", name)
        self._ip("link", "add", self._cables[0], "type", "veth", "peer", "name", self._cables[1])
        for place, (name, cable, address) in enumerate(zip(self._names, self._cables, self.addresses, strict=True)):
            self._ip("link", "set", cable, "netns", name)
            self._ip("-n", name, "addr", "add", f"{address}/24", "dev", cable)
            for device in ("lo", cable):
                self._ip("-n", name, "link", "set", device, "up")
            serve = (
                f"mount -t tmpfs none /dev/shm && hostname words-worker-{place} && exec {SSHD} -D -e -f /dev/null "
                f"-o HostKey={host_key} -o AuthorizedKeysFile={key}.pub -o StrictModes=no -o PermitRootLogin=yes "
                f"-o PidFile=none -o ListenAddress={address}"
            )
            server = subprocess.Popen(
                ["ip", "netns", "exec", name, "unshare", *APART, "sh", "-c", serve], stderr=subprocess.DEVNULL
            )
            stack.callback(server.wait)
            stack.callback(server.kill)
        for address in self.addresses:
            self._wait_for_server(address, ["-i", str(key), *UNASKED])
        ssh = folder / "ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -i {key} {" ".join(UNASKED)} "$@"\n')
        ssh.chmod(0o755)
        hostfile = folder / "hostfile"
        hostfile.write_text("".join(f"{address}:1\n" for address in self.addresses))
        self.environment = launching.environment() | {
            "HYDRA_HOST_FILE": str(hostfile),
            "HYDRA_LAUNCH_EXTRA_ARGS": "-o ConnectionAttempts=10",
            "HYDRA_LAUNCHER_EXEC": str(ssh),
            "UCX_TLS": "tcp,self",  # MPICH's UCX takes hosts on one machine for one host
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def start(self, command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command of a shell on the first host."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self._names[0], "sh", "-c", f"exec {command}"],
            env=self.environment | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def pull_the_cable(self) -> None:
        """Let nothing pass between the hosts any more; nobody is told of it."""
        for name, cable in zip(self._names, self._cables, strict=True):
            subprocess.run(
                ["ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", cable, "root", "netem", "loss", "100%"],
                check=False, capture_output=True, timeout=10,
            )  # fmt: skip
            self._ip("-n", name, "addr", "flush", "dev", cable)

    def _wait_for_server(self, address: str, options: list[str]) -> None:
        end = time.monotonic() + SECONDS
        words = ["ip", "netns", "exec", self._names[0], "ssh", *options, address, "true"]
        while (done := subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)).returncode:
            assert time.monotonic() < end, done.stderr
            time.sleep(0.1)

    def _ip(self, *words: str) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0, (words, done.stderr)


@pytest.fixture
def hosts(tmp_path):
    with ExitStack() as stack:
        yield Hosts(tmp_path, stack)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return write_words(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def alone(words, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    code, _, err = train(1, words, "-o", out, *SHORT)
    assert code == 0, err
    return (out / MODEL).read_bytes()


def trainers(out):
    """Return the processes of Python on this machine, of all hosts, that train into a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has just ended
            continue
        if str(out) in words and os.path.basename(words[0]).startswith("python"):
            found.append(int(path.name))
    return found


def of_page(pattern):
    """Return the page's text that a pattern matches, its only one."""
    (found,) = re.findall(pattern, PAGE.read_text("utf-8"), re.DOTALL)
    return found


def test_a_line_for_two_machines_trains_the_model_of_one_process(hosts, words, alone, tmp_path):
    line = of_page(r"(mpiexec -hosts node1,node2 .*?)\n")
    line = line.replace("node1,node2", ",".join(hosts.addresses)).replace("/shared/recordings", str(words))
    line = line.replace("/shared/model", str(tmp_path / "out")).replace("--replicas 8", " ".join(map(str, SHORT)))
    code, out, err = launching.finish(hosts.start(line), SECONDS)
    assert code == 0, err
    assert out.count("\ntrained on ") == 1
    assert (tmp_path / "out" / MODEL).read_bytes() == alone


def test_the_command_of_the_mpi_job_does_so_with_what_the_operator_sets(hosts, words, alone, tmp_path):
    command = of_page(r"command: \[mpiexec\]\n +args: \[(.*?)\]")
    line = "mpiexec " + " ".join(word.strip().strip('"') for word in command.split(","))
    line = line.replace("-n 4", "-n 2").replace("/data/recordings", str(words))
    line = line.replace("/data/model", str(tmp_path / "out")).replace("--replicas 8", " ".join(map(str, SHORT)))
    code, _, err = launching.finish(hosts.start(line), SECONDS)
    assert code == 0, err
    assert (tmp_path / "out" / MODEL).read_bytes() == alone


@pytest.mark.long
def test_without_a_network_all_end_and_one_process_goes_on_to_the_same_bits(hosts, words, tmp_path):
    command = f"mpiexec -n 2 audioconv train {words} -o {tmp_path / 'out'} {' '.join(map(str, LONG))}"
    process = hosts.start(command, AUDIOCONV_CLUSTER_TIMEOUT=str(GIVE_UP))
    end = time.monotonic() + SECONDS
    while not list((tmp_path / "out").glob("checkpoint*.safetensors")):
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    hosts.pull_the_cable()
    end = time.monotonic() + SECONDS
    while of_training := trainers(tmp_path / "out"):
        assert time.monotonic() < end, [launching.state(number) for number in of_training]
        time.sleep(0.2)
    _, err = launching.end(process)  # the launcher itself would wait for its helper on the other host
    assert "gives up; look at that process" in err
    for out in ("out", "alone"):
        code, _, err = train(1, words, "-o", tmp_path / out, *LONG, "--resume")
        assert code == 0, err
        assert ("resuming after epoch" in err) == (out == "out")
    assert (tmp_path / "out" / MODEL).read_bytes() == (tmp_path / "alone" / MODEL).read_bytes()
