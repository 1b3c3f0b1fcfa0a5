"""Archives that are cut off or mean harm: refused with a clear line, and nothing is written outside."""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import stat
import tarfile
import tracemalloc
import zipfile

import pytest

from audioconv.datasets.archives.reader import read_archive
from audioconv.datasets.archives.safety import Limits
from audioconv.errors import DataError


def member(name, content=b"RIFF", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def pack(path, *members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def unpack(archive, folder, **limits):
    folder.mkdir(exist_ok=True)
    limits = Limits(**{"max_bytes": 10_000, "max_files": 10, **limits})
    return {
        member.name.name: member.save(folder / member.name.name)
        for member in read_archive(archive, limits)
        if member.name.suffix == ".wav"
    }


def zipped(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: the constructor would mend it
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_wanted_files_only_with_their_hashes(tmp_path, mode):
    archive = pack(
        tmp_path / "a.tar", member("x", b"", type=tarfile.DIRTYPE), member("x/a.wav", b"one"), member("x/README"),
        member("y/caf\u00e9 \U0001f600.wav", b"two", mode=0o4777), mode=mode,
    )  # fmt: skip
    assert unpack(archive, tmp_path / "out") == {
        "a.wav": hashlib.sha256(b"one").hexdigest(),
        "café \U0001f600.wav": hashlib.sha256(b"two").hexdigest(),
    }
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "café \U0001f600.wav"]
    assert (tmp_path / "out" / "a.wav").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (member("../outside.wav"), "'../outside.wav' in it leads out of the folder"),
        (member("x/../../outside.wav"), "leads out of the folder"),
        (member("/tmp/outside.wav"), "leads out of the folder"),
        (member("..\\outside.wav"), "is no name for every system"),
        (member("C:outside.wav"), "is no name for every system"),
        (member("a\nb.wav"), r"'a\\\\nb\.wav' in it is no name"),
        (member("caf\udce9.wav"), r"'caf\\\\xe9\.wav' in it is no name"),
        (member("l.wav", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link"),
        (member("l.wav", b"", type=tarfile.LNKTYPE, linkname="../../outside"), "is a link"),
        (member("d.wav", b"", type=tarfile.CHRTYPE), "is neither a file nor a folder"),
        (member("d.wav", b"", type=tarfile.BLKTYPE), "is neither a file nor a folder"),
        (member("d.wav", b"", type=tarfile.FIFOTYPE), "is neither a file nor a folder"),
    ],
)
def test_hostile_members(tmp_path, hostile, message):
    (tmp_path / "in").mkdir()
    archive = pack(tmp_path / "evil.tar.gz", member("good.wav"), hostile)
    with pytest.raises(DataError, match=rf"evil\.tar\.gz: the archive is refused, .*{message}") as caught:
        unpack(archive, tmp_path / "in" / "out")
    assert str(caught.value).isprintable()
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "in" / "out").iterdir()] == ["good.wav"]


def test_a_link_and_then_a_file_through_it(tmp_path):
    archive = pack(
        tmp_path / "evil.tar", member("dir", b"", type=tarfile.SYMTYPE, linkname=str(tmp_path)), member("dir/a.wav")
    )
    with pytest.raises(DataError, match="is a link"):
        unpack(archive, tmp_path / "out")


def test_bombs(tmp_path):
    big = pack(tmp_path / "big.tar.gz", member("zeros", bytes(200_000)))
    assert big.stat().st_size < 1000
    with pytest.raises(DataError, match=r"unpacks to more than was expected \(10 files, 10000 bytes\)"):
        unpack(big, tmp_path / "out")
    many = pack(tmp_path / "many.tar.gz", *(member(f"{i}.wav", b"") for i in range(11)))
    with pytest.raises(DataError, match="more than was expected"):
        unpack(many, tmp_path / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_cut_off(tmp_path, mode):
    noise = hashlib.shake_128(b"").digest(9000)
    whole = pack(tmp_path / "a.tar", member("a.wav", noise), mode=mode).read_bytes()
    for keep in (0, 10, 600, 5000):
        (tmp_path / "a.tar").write_bytes(whole[:keep])
        with pytest.raises(DataError, match=r"a\.tar: "):
            unpack(tmp_path / "a.tar", tmp_path / f"out{keep}")


@pytest.mark.parametrize("content", [b"this is a web page", b"\x1f\x8b" + bytes(100)])
def test_not_an_archive(tmp_path, content):
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar\.gz: "):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (("../outside.wav", b"RIFF", 0o644), "leads out of the folder"),
        (("/tmp/outside.wav", b"RIFF", 0o644), "leads out of the folder"),
        (("..\\outside.wav", b"RIFF", 0o644), "is no name for every system"),
        (("c:/outside.wav", b"RIFF", 0o644), "is no name for every system"),
        (("l.wav", b"/etc/passwd", stat.S_IFLNK | 0o777), "is a link"),
        (("d.wav", b"", stat.S_IFCHR | 0o644), "is neither a file nor a folder"),
        (("p.wav", b"", stat.S_IFIFO | 0o644), "is neither a file nor a folder"),
        (("bomb.wav", bytes(200_000), 0o644), "unpacks to more than was expected"),
    ],
)
def test_hostile_zip_members(tmp_path, hostile, message):
    (tmp_path / "in").mkdir()
    archive = zipped(tmp_path / "evil.zip", ("good.wav", b"RIFF", 0o644), hostile)
    with pytest.raises(DataError, match=rf"evil\.zip: the archive is refused, .*{message}"):
        unpack(archive, tmp_path / "in" / "out")
    assert os.listdir(tmp_path / "in") == ["out"]
    assert os.listdir(tmp_path / "in" / "out") == ["good.wav"]


def test_a_zip_that_lies_about_its_sizes(tmp_path):
    """The directory says 4 bytes where 200,000 come: no more than it says is taken."""
    archive = zipped(tmp_path / "evil.zip", ("a.wav", bytes(200_000), 0o644))
    content = archive.read_bytes()
    archive.write_bytes(content.replace((200_000).to_bytes(4, "little"), (4).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"evil\.zip: is not an archive or is cut off"):
        unpack(archive, tmp_path / "out")
    assert all(path.stat().st_size <= 4 for path in (tmp_path / "out").iterdir())


def test_an_encrypted_zip(tmp_path):
    archive = zipped(tmp_path / "a.zip", ("a.wav", b"RIFF", 0o644))
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip: cannot be unpacked .*encrypted"):
        unpack(archive, tmp_path / "out")


def test_zip_and_folder_give_the_same_as_tar(tmp_path):
    names = ["a/one.wav", "a/._one.wav", "__MACOSX/a/one.wav", "b/.DS_Store", "b/two.wav", "b/Thumbs.db"]
    for name in names:
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_bytes(name.encode())
    tar = pack(tmp_path / "a.tar.xz", *(member(f"x/{name}", name.encode()) for name in names), mode="w:xz")
    zip_ = zipped(tmp_path / "a.zip", *((f"x/{name}", name.encode(), 0o644) for name in names))
    for archive in (tar, zip_, tmp_path / "x"):
        found = {m.name.as_posix(): m.read() for m in read_archive(archive)}
        assert found == {f"x/{name}": name.encode() for name in ("a/one.wav", "b/two.wav")}


def test_memory_does_not_grow_with_the_archive(tmp_path):
    members = [member(f"{i:05}.wav", bytes(100)) for i in range(16_001)]
    path = pack(tmp_path / "a.tar", *members, mode="w")
    del members
    # Python's table of all names there are is enlarged by pathlib now and then; it is not the archive's.
    leave_out = [tracemalloc.Filter(False, pathlib.__file__), tracemalloc.Filter(False, tracemalloc.__file__)]
    held = []
    tracemalloc.start()
    try:
        for number, _ in enumerate(read_archive(path)):
            if number in (1000, 4000, 16_000):
                snapshot = tracemalloc.take_snapshot().filter_traces(leave_out)
                held.append(sum(statistic.size for statistic in snapshot.statistics("filename")))
    finally:
        tracemalloc.stop()
    assert len(held) == 3
    assert max(held) < held[0] + 200_000


def test_progress_ends_with_all(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", member("a.wav"))
    steps = []
    for _ in read_archive(archive, progress=lambda *step: steps.append(step)):
        pass
    assert steps == [(archive.stat().st_size, archive.stat().st_size)]
