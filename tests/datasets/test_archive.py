"""Archives that are cut off or mean harm: refused with a clear line, and nothing is written outside."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from audioconv.datasets.archive import extract_tar
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
    return extract_tar(
        archive, folder, lambda path: Path(path.name) if path.suffix == ".wav" else None,
        **{"max_bytes": 10_000, "max_files": 10, **limits},
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_wanted_files_only_with_their_hashes(tmp_path, mode):
    archive = pack(
        tmp_path / "a.tar", member("x", b"", type=tarfile.DIRTYPE), member("x/a.wav", b"one"), member("x/README"),
        member("y/caf\u00e9 \U0001f600.wav", b"two", mode=0o4777), mode=mode,
    )  # fmt: skip
    assert unpack(archive, tmp_path / "out") == {
        Path("a.wav"): hashlib.sha256(b"one").hexdigest(),
        Path("café \U0001f600.wav"): hashlib.sha256(b"two").hexdigest(),
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
        (member("good.wav"), "has good.wav twice"),
        (member("deep/good.wav"), "has deep/good.wav twice"),
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
