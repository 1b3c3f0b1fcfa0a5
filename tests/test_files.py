"""Atomic writing and printable names."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from audioconv.errors import DataError
from audioconv.io.files import display_path, exclusive, where_missing, write_atomic


def parts(folder):
    return [name for name in os.listdir(folder) if name.endswith(".part")]


def test_writes_bytes_and_text(tmp_path):
    with write_atomic(tmp_path / "a.bin") as file:
        file.write(b"\x00\x01")
    with write_atomic(tmp_path / "a.csv", "w") as file:
        file.write("caf\udce9 \U0001f600\r\n")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\x01"
    assert (tmp_path / "a.csv").read_bytes() == b"caf\xe9 \xf0\x9f\x98\x80\r\n"
    assert not parts(tmp_path)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_exception_keeps_the_old_file_and_leaves_no_part(tmp_path, stop):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"good")

    def save():
        with write_atomic(path) as file:
            file.write(b"half")
            raise stop

    with pytest.raises(stop):
        save()
    assert path.read_bytes() == b"good"
    assert os.listdir(tmp_path) == ["model.safetensors"]


@pytest.fixture
def no_large_files():
    """Let this process write no file of more than 4 kB, as if the disk were full there."""
    resource = pytest.importorskip("resource", reason="needs limits of a process")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("mode", ["wb", "w"])
@pytest.mark.parametrize("size", [5_000, 100_000])  # written at the end of the block, and within it
def test_a_write_that_fails_is_one_clear_line(tmp_path, no_large_files, mode, size):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"good")

    def save():
        with write_atomic(path, mode) as file:
            file.write("x" * size if mode == "w" else b"x" * size)

    with pytest.raises(DataError, match=r"model\.safetensors: could not be written \(File too large\)"):
        save()
    assert path.read_bytes() == b"good"
    assert not parts(tmp_path)


@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_what_fails_at_the_end_is_ours(tmp_path, monkeypatch, place):
    def fail(*_args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, place, fail)
    with (
        pytest.raises(DataError, match=r"a\.bin: could not be written \(Input/output error\)"),
        write_atomic(tmp_path / "a.bin"),
    ):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone", "other.wav"), TimeoutError("no answer")])
def test_errors_of_the_block_about_other_files_stay_what_they_are(tmp_path, error):
    path = tmp_path / "list.csv"
    path.write_bytes(b"good")

    def save():
        with write_atomic(path, "w") as file:
            file.write("half")
            raise error

    with pytest.raises(OSError, match=re.escape(str(error))) as caught:
        save()
    assert caught.value is error
    assert path.read_bytes() == b"good"
    assert not parts(tmp_path)


# --- locks ---


def test_one_at_a_time(tmp_path):
    lock = tmp_path / "lock"
    with (
        exclusive(lock, "it is in use"),
        pytest.raises(DataError, match=rf"it is in use \(process {os.getpid()}\)"),
        exclusive(lock, "it is in use"),
    ):
        pass
    assert os.listdir(tmp_path) == []
    lock.write_text("123")  # left by a process that was killed
    with exclusive(lock, "it is in use"):
        assert lock.read_text() == str(os.getpid())
    assert os.listdir(tmp_path) == []
    with pytest.raises(DataError, match="could not be made"), exclusive(tmp_path / "no" / "lock", ""):
        pass


def test_a_lock_ends_with_its_process(tmp_path):
    program = "import sys, time; from audioconv.io.files import exclusive\n"
    program += "with exclusive(sys.argv[1], ''):\n    print('locked', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, tmp_path / "lock"], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline().strip() == b"locked"
        with pytest.raises(DataError, match=rf"busy \(process {other.pid}\)"), exclusive(tmp_path / "lock", "busy"):
            pass
        other.kill()
        other.wait()
        with exclusive(tmp_path / "lock", "busy"):
            pass
    assert os.listdir(tmp_path) == []


def test_of_many_threads_one_at_a_time(tmp_path):
    inside, refused = [], []

    def work(_):
        try:
            with exclusive(tmp_path / "lock", "busy"):
                inside.append(1)
                assert len(inside) == 1
                inside.pop()
        except DataError:
            refused.append(1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(400)))
    assert len(refused) < 400
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_device_is_refused_before_it_is_replaced():
    with pytest.raises(DataError, match="not a regular file"), write_atomic("/dev/full"):
        pass
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_missing_folder_and_folder_as_target(tmp_path):
    with pytest.raises(DataError, match="No such file"), write_atomic(tmp_path / "no" / "a.bin"):
        pass
    with pytest.raises(DataError, match="not a regular file"), write_atomic(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and links")
def test_permissions_follow_the_umask_and_links_stay_links(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with write_atomic(tmp_path / "link") as file:
        file.write(b"new")
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a b'\".wav", "a b'\".wav"),
        ("\U0001f600/é.wav", "\U0001f600/é.wav"),
        ("caf\udce9.wav", "caf\\xe9.wav"),
        ("two\nlines\x1b[31m.wav", "two\\nlines\\x1b[31m.wav"),
    ],
)
def test_display_path(path, shown):
    assert display_path(path) == shown
    display_path(path).encode("utf-8")


def test_where_a_missing_path_ends(tmp_path):
    assert where_missing(tmp_path / "a" / "b") == f"there is no 'a' in {tmp_path}"
    (tmp_path / "Recordings").mkdir()
    assert where_missing(tmp_path / "recording") == "did you mean Recordings?"
    assert where_missing(tmp_path / "recordings2" / "yes") == "did you mean Recordings?"
    (tmp_path / "words.csv").touch()
    assert where_missing(tmp_path / "words.csv" / "yes") == f"{tmp_path / 'words.csv'} is no folder"
