"""Headers of tar files that mean harm: refused before they are read, and those that are usual still are."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc

import pytest

from audioconv.datasets.archives.reader import read_archive
from audioconv.datasets.archives.tar_headers import MAX_HEADERS
from audioconv.errors import DataError

LONG_NAME, LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
ATTRIBUTES, SOLARIS, EVERYWHERE = tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE
EXTENDING = [LONG_NAME, LONG_LINK, ATTRIBUTES, SOLARIS, EVERYWHERE]
END = bytes(2 * tarfile.BLOCKSIZE)
ENOUGH = 8 << 20
"""Bytes of memory that reading any archive of a few small files takes at most."""


def block(kind, content=b"", name="a.wav", size=None):
    """Return a header and its content, padded to whole blocks."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def attribute(key, value):
    """Return a record of a pax header: its own length, in decimal, comes first."""
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while len(f"{length}") + len(rest) != length:
        length = len(f"{length}") + len(rest)
    return f"{length}".encode() + rest


GOOD = block(tarfile.REGTYPE, b"RIFF", "good.wav")


def write(path, *blocks):
    path.write_bytes(gzip.compress(b"".join([*blocks, END]), 1))
    return path


def refused(path):
    """Read an archive that is refused; return why, and the largest number of bytes that were in memory."""
    names = []
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            names += [member.name.name for member in read_archive(path)]
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", EXTENDING)
@pytest.mark.parametrize("in_front", [(), (GOOD,)], ids=["first", "second"])
def test_a_header_of_many_megabytes_is_not_read(tmp_path, kind, in_front):
    path = write(tmp_path / "evil.tar.gz", *in_front, block(kind, bytes(64 << 20)), GOOD)
    assert path.stat().st_size < 400_000
    message, most = refused(path)
    assert message.startswith(
        f"evil.tar.gz: the archive is refused, it has headers of {(64 << 20) + 512} bytes and more"
    )
    assert most < ENOUGH


@pytest.mark.parametrize("kind", EXTENDING)
def test_so_many_bytes_and_no_more(tmp_path, kind):
    content = b"x.wav" if kind in (LONG_NAME, LONG_LINK) else attribute("path", "x.wav")
    room = MAX_HEADERS - tarfile.BLOCKSIZE
    path = write(tmp_path / "a.tar.gz", block(kind, content + bytes(room - len(content))), GOOD)
    name = "good.wav" if kind == LONG_LINK else "x.wav"
    assert [(member.name.name, member.read()) for member in read_archive(path)] == [(name, b"RIFF")]
    write(path, block(kind, content + bytes(room + 1 - len(content))), GOOD)
    with pytest.raises(DataError, match="headers of 65537 bytes and more, where 65536 are enough"):
        list(read_archive(path))


@pytest.mark.parametrize("kind", EXTENDING)
def test_many_small_headers_in_front_of_one_file(tmp_path, kind):
    """Each is read inside the one before, so that Python's stack would end."""
    message, most = refused(write(tmp_path / "evil.tar.gz", *[block(kind)] * 100_000, GOOD))
    assert "evil.tar.gz: the archive is refused, it has headers of 66048 bytes and more" in message
    assert most < ENOUGH


def test_attributes_for_all_that_follow_add_up(tmp_path):
    """They are kept to the end; those of one member are not."""
    many = [(block(EVERYWHERE, attribute(f"key{n}", "v" * 1000)), GOOD) for n in range(1000)]
    message, most = refused(write(tmp_path / "evil.tar.gz", *(part for pair in many for part in pair)))
    assert "evil.tar.gz: the archive is refused, it has headers of" in message
    assert most < ENOUGH
    each = [(block(ATTRIBUTES, attribute(f"key{n}", "v" * 1000)), GOOD) for n in range(100)]
    path = write(tmp_path / "a.tar.gz", *(part for pair in each for part in pair))
    assert sum(1 for _ in read_archive(path)) == 100


@pytest.mark.parametrize("kind", EXTENDING)
def test_sizes_below_nothing(tmp_path, kind):
    with pytest.raises(DataError, match=r"evil\.tar\.gz: the archive is refused, a header in it has a size below 0"):
        list(read_archive(write(tmp_path / "evil.tar.gz", block(kind, size=-512), GOOD)))


SPARSE = {
    "old": (block(tarfile.GNUTYPE_SPARSE, b"RIFF"),),
    "0.0": (block(ATTRIBUTES, attribute("GNU.sparse.size", "9") + attribute("GNU.sparse.offset", "0")), GOOD),
    "0.1": (block(ATTRIBUTES, attribute("GNU.sparse.map", "0,4")), GOOD),
    "1.0": (
        block(ATTRIBUTES, attribute("GNU.sparse.major", "1") + attribute("GNU.sparse.minor", "0")),
        block(tarfile.REGTYPE, b"99999999\n" + b"1" * (16 << 20)),
    ),
}


@pytest.mark.parametrize("form", SPARSE)
def test_sparse_files(tmp_path, form):
    """One of them has a map in its content, which may be as long as it likes."""
    message, most = refused(write(tmp_path / "evil.tar.gz", GOOD, *SPARSE[form]))
    assert message.startswith("evil.tar.gz: the archive is refused, a file in it is sparse")
    assert most < ENOUGH


@pytest.mark.parametrize(
    "attributes",
    [
        b"9" * 5000 + b" path=a.wav\n",
        b"0 path=a.wav\n",
        attribute("GNU.sparse.map", "0,x"),
        b"20 hdrcharset=\xff\xff\n",
    ],
    ids=["length", "no length", "map", "letters"],
)
@pytest.mark.parametrize("in_front", [(), (GOOD,)], ids=["first", "second"])
def test_attributes_that_make_no_sense(tmp_path, attributes, in_front):
    with pytest.raises(DataError, match=r"evil\.tar\.gz: is not an archive or is cut off"):
        list(read_archive(write(tmp_path / "evil.tar.gz", *in_front, block(ATTRIBUTES, attributes), GOOD)))


@pytest.mark.parametrize("fault", [b"this is no header", b"\1" * 512], ids=["cut off", "damaged"])
def test_what_is_no_header_is_not_the_end(tmp_path, fault):
    (tmp_path / "a.tar").write_bytes(GOOD + fault + (GOOD + END if len(fault) == 512 else b""))
    with pytest.raises(DataError, match=r"a\.tar: is not an archive or is cut off \(.* header\); get it again"):
        list(read_archive(tmp_path / "a.tar"))


def test_a_long_name_and_then_nothing(tmp_path):
    with pytest.raises(DataError, match=r"a\.tar\.gz: is not an archive or is cut off"):
        list(read_archive(write(tmp_path / "a.tar.gz", GOOD, block(LONG_NAME, b"b.wav"))))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_long_names_and_attributes_as_tools_write_them(tmp_path, form, mode):
    names = ["/".join(["folder" * 20] * 33) + f"/{n} \u0627\u0633\u0645.wav" for n in range(200)]
    assert 3900 < len(names[0].encode()) < 4096
    everywhere = {"comment": "26eb9aaf76e81b692f806f9140c2d2777410d7a1"} if form == tarfile.PAX_FORMAT else None
    with tarfile.open(tmp_path / "a.tar", mode, format=form, pax_headers=everywhere) as file:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = 4, 1700000000.25, "caf\u00e9" * 20
            info.pax_headers = {"SCHILY.xattr.user.note": "x" * 20_000}
            file.addfile(info, io.BytesIO(b"RIFF"))
    assert [(m.name.as_posix(), m.read()) for m in read_archive(tmp_path / "a.tar")] == [(n, b"RIFF") for n in names]
