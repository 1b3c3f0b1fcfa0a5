"""Atomic writing and printable names."""

from __future__ import annotations

import errno
import os
import stat
import sys

import pytest

from audioconv.errors import DataError
from audioconv.files import display_path, write_atomic


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


def test_disk_full_is_one_clear_line(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"good")

    def save():
        with write_atomic(path) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(DataError, match=r"model\.safetensors: could not be written \(No space left on device\)"):
        save()
    assert path.read_bytes() == b"good"
    assert not parts(tmp_path)


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
