"""Archives that are read once: what was passed by is found again, the same as in a second pass, and nothing else."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import pathlib
import tarfile
import tracemalloc
import zipfile
import zlib
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioconv.datasets.archives import gzip_index
from audioconv.datasets.archives import reader as archive_module
from audioconv.datasets.archives.gzip_index import INPUT, GzipReader, Index
from audioconv.datasets.archives.reader import Archive, read_archive
from audioconv.datasets.archives.safety import Limits
from audioconv.errors import DataError

SPACING = 3 * INPUT


@pytest.fixture(autouse=True)
def near_points(monkeypatch):
    """Put the points near each other, so that small archives have several."""
    monkeypatch.setattr(archive_module, "SPACING", SPACING)


def noise(size, seed=0):
    return np.random.default_rng(seed).bytes(size)


def pack(path, members, mode="w:gz", form=tarfile.PAX_FORMAT):
    """Write (name, content) pairs; a content of None is a folder."""
    if mode == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members:
                if content is not None:
                    file.writestr(name, content)
        return path
    with tarfile.open(path, mode, format=form) as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            file.addfile(info, io.BytesIO(content or b""))
    return path


def in_parts(content, cuts):
    """Return gzip files in a row, cut at these places of the content."""
    edges = [0, *sorted(cuts), len(content)]
    return b"".join(gzip.compress(content[a:b], 1) for a, b in itertools.pairwise(edges))


def once(path, wanted, stop_at=None, limits=None):
    """Look through an archive, as far as one name or to the end, and return the wanted files."""
    with Archive(path, limits) as archive:
        for member in archive.look_through():
            if member.name.name == stop_at:
                break
        return [(m.name, m.read()) for m in archive.members(wanted) if m.name.name in wanted]


def twice(path, wanted):
    return [(m.name, m.read()) for m in read_archive(path) if m.name.name in wanted]


# --- the reader ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 5 * INPUT), min_size=1, max_size=4),
    zeros=st.integers(0, 2),
    dense=st.booleans(),
    places=st.lists(st.floats(0, 1), max_size=8),
    spacing=st.sampled_from([1, INPUT, SPACING]),
    padding=st.integers(0, 40_000),
)
def test_any_place_of_any_gzip_file(sizes, zeros, dense, places, spacing, padding):
    """Several in a row, empty ones among them, stored or packed a thousandfold, zeros between and behind."""
    parts = [noise(size, seed) if dense else bytes(size * 10) for seed, size in enumerate(sizes)]
    file = io.BytesIO(b"".join(gzip.compress(part, 1) + bytes(zeros) for part in parts) + bytes(padding))
    content = b"".join(parts)
    points = Index().points
    assert io.BufferedReader(GzipReader(file, points, spacing)).read() == content
    assert all(b.offset - a.offset >= spacing for a, b in itertools.pairwise(points))
    assert len(points) > 1 or len(file.getvalue()) < spacing + 2 * INPUT
    count = len(points)
    again = io.BufferedReader(GzipReader(file, points), 4096)
    for place in places:
        begin = round(place * len(content))
        assert again.seek(begin) == begin
        assert again.tell() == begin
        assert again.read(10_000) == content[begin : begin + 10_000]
    assert again.seek(2 * len(content) + 9) == len(content)
    assert again.read(1) == b""
    assert len(points) == count


def test_only_what_is_near_is_read_again():
    content = noise(100 * INPUT)
    path = io.BytesIO(gzip.compress(content, 1))
    points = Index().points
    io.BufferedReader(GzipReader(path, points, SPACING)).read()
    assert len(points) == pytest.approx(len(content) / SPACING, abs=2)
    reader = GzipReader(path, points)
    reader.seek(90 * INPUT)
    begin = points[[p.position <= 90 * INPUT for p in points].index(False) - 1].offset
    assert 0 <= path.tell() - begin <= SPACING + 2 * INPUT
    reader.seek(91 * INPUT)  # is near, so it goes on from where it is
    assert path.tell() - begin <= SPACING + 3 * INPUT


@pytest.mark.parametrize("keep", [0, 1, 9, 10, 500, 3 * INPUT, -9, -8, -1])
def test_a_gzip_file_that_is_cut_off(keep):
    whole = gzip.compress(noise(5 * INPUT), 1)
    with pytest.raises(EOFError):
        io.BufferedReader(GzipReader(io.BytesIO(whole[:keep]), Index().points)).read()


@pytest.mark.parametrize("at", [0, 2, 3, -8, -1])
def test_a_gzip_file_that_is_damaged(at):
    """In the magic number, the method, the flags, the CRC and the length."""
    whole = bytearray(gzip.compress(noise(5 * INPUT), 1))
    whole[at] ^= 0xE0
    with pytest.raises(zlib.error):
        io.BufferedReader(GzipReader(io.BytesIO(whole), Index().points)).read()


def test_something_else_behind_a_gzip_file():
    with pytest.raises(zlib.error, match="incorrect header check"):
        io.BufferedReader(GzipReader(io.BytesIO(gzip.compress(b"a") + b"\0\0more"), Index().points)).read()


def test_only_absolute_places_are_known():
    with pytest.raises(io.UnsupportedOperation, match="from the beginning"):
        GzipReader(io.BytesIO(gzip.compress(b"a")), Index().points).seek(0, io.SEEK_END)


# --- archives ------------------------------------------------------------------------------------------------------

NAMES = ["a.mp3", "b.mp3", "c.mp3", "caf\u00e9.mp3", "long" * 40 + ".mp3", "._a.mp3", "table.tsv", "d"]


@settings(max_examples=60, deadline=None)
@given(
    members=st.lists(
        st.tuples(
            st.sampled_from(["x", "x/y", "__MACOSX", "z" * 120]), st.sampled_from(NAMES), st.integers(0, 3 * INPUT)
        ),
        max_size=12,
        unique_by=lambda member: member[:2],
    ),
    wanted=st.sets(st.sampled_from(NAMES)),
    stop_at=st.sampled_from([None, *NAMES]),
    mode=st.sampled_from(["w", "w:gz", "w:bz2", "w:xz", "zip", "parts"]),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    cuts=st.lists(st.floats(0, 1), max_size=3),
)
def test_any_archive_gives_what_a_second_pass_gives(tmp_path_factory, members, wanted, stop_at, mode, form, cuts):
    path = tmp_path_factory.mktemp("any") / "a"
    contents = [
        (f"{folder}/{name}", None if name == "d" else noise(size, seed))
        for seed, (folder, name, size) in enumerate(members)
    ]
    if mode == "parts":
        plain = pack(path, contents, "w", form).read_bytes()
        path.write_bytes(in_parts(plain, [round(cut * len(plain)) for cut in cuts]))
    else:
        pack(path, contents, mode, form)
    assert once(path, wanted, stop_at) == twice(path, wanted)


WANTED = {"20.mp3", "140.mp3", "141.mp3", "299.mp3"}


@pytest.mark.parametrize("stop_at", [None, "table.tsv"])
@pytest.mark.parametrize("table_at", [0, 150, 300])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_it_is_read_once_and_little_again(tmp_path, reads_of, mode, table_at, stop_at):
    members = [(f"x/clips/{n}.mp3", noise(9_000, n)) for n in range(300)]
    members.insert(table_at, ("x/table.tsv", b"table"))
    path = pack(tmp_path / "a", members, mode)
    files = reads_of(path)
    assert once(path, WANTED, stop_at) == [
        (PurePosixPath(f"x/clips/{n}.mp3"), noise(9_000, n)) for n in (20, 140, 141, 299)
    ]
    forward, back = files
    ends = [begin + count for begin, count in forward]
    assert [begin for begin, _ in forward] == [0, *ends[:-1]]  # from front to back, each byte once
    assert ends[-1] == path.stat().st_size
    passed_by = len(WANTED) if stop_at is None else {0: 0, 150: 3, 300: 4}[table_at]
    each = 9_000 + 4 * io.DEFAULT_BUFFER_SIZE if mode == "w" else SPACING + 4 * INPUT
    assert sum(count for _, count in back) <= passed_by * each + io.DEFAULT_BUFFER_SIZE
    assert back or not passed_by


@pytest.mark.parametrize("mode", ["w:bz2", "w:xz"])
def test_what_cannot_be_entered_is_decompressed_as_far_as_the_last_one(tmp_path, reads_of, mode):
    members = [(f"x/clips/{n}.mp3", noise(9_000, n)) for n in range(300)]
    path = pack(tmp_path / "a", members, mode)
    files = reads_of(path)
    assert [name.name for name, _ in once(path, {"20.mp3", "140.mp3"})] == ["20.mp3", "140.mp3"]
    _, back = files
    assert sum(count for _, count in back) < 0.8 * path.stat().st_size


def test_memory_is_bounded(tmp_path, monkeypatch):
    """Four times the files: 12 bytes for each, and no more points."""
    monkeypatch.setattr(archive_module, "MOST_POINTS", 10)
    # Python's table of all names there are is enlarged by pathlib now and then; it is not the archive's.
    leave_out = [tracemalloc.Filter(False, pathlib.__file__), tracemalloc.Filter(False, tracemalloc.__file__)]
    held = []
    for count in (1000, 4000):
        path = tmp_path / f"{count}"
        with tarfile.open(path, "w:gz", compresslevel=1) as file:
            for n in range(count):
                info = tarfile.TarInfo(f"x/clips/{n}.mp3")
                info.size = 5_000
                file.addfile(info, io.BytesIO(noise(5_000, n)))
        tracemalloc.start()
        try:
            with Archive(path) as archive:
                for _ in archive.look_through():
                    pass
                for member in archive.members({f"{count - 1}.mp3"}):
                    assert member.read() == noise(5_000, count - 1)
                    statistics = tracemalloc.take_snapshot().filter_traces(leave_out).statistics("filename")
            held.append(sum(statistic.size for statistic in statistics))
        finally:
            tracemalloc.stop()
    assert held[1] < held[0] + 3000 * 12 * 1.2 + 100_000


def test_the_points_are_few_however_large_the_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_module, "MOST_POINTS", 5)
    archive = Archive(pack(tmp_path / "a", [(f"{n}.mp3", noise(40_000, n)) for n in range(100)]))
    with archive:
        for _ in archive.look_through():
            pass
        assert 4 <= len(archive._index.points) <= 6


def test_names_with_one_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(gzip_index, "_hash", lambda _name: 7)
    path = pack(tmp_path / "a", [(f"{n}.mp3", noise(10, n)) for n in range(9)])
    assert once(path, {"3.mp3", "5.mp3"}) == twice(path, {"3.mp3", "5.mp3"})


def test_headers_for_all_that_follow(tmp_path):
    """A global header may give members other names and sizes, so none of them stands for itself."""
    with tarfile.open(tmp_path / "a", "w:gz", pax_headers={"path": "b.mp3"}) as file:
        for n in range(2):
            info = tarfile.TarInfo(f"{n}.mp3")
            info.size = 5
            file.addfile(info, io.BytesIO(b"%05d" % n))
    assert once(tmp_path / "a", {"b.mp3", "0.mp3"}) == [(PurePosixPath("b.mp3"), b"%05d" % n) for n in range(2)]


@pytest.mark.parametrize("position", [0, 1, 2, 3])
@pytest.mark.parametrize("stop_at", [None, "table.tsv"])
def test_what_is_refused_is_refused_wherever_it_is(tmp_path, position, stop_at):
    members = [("x/a.mp3", b"a"), ("x/table.tsv", b"t"), ("x/b.mp3", b"b")]
    members.insert(position, ("../c.mp3", b"c"))
    with pytest.raises(DataError, match=r"c\.mp3' in it leads out of the folder"):
        once(pack(tmp_path / "a", members), {"a.mp3"}, stop_at)


@pytest.mark.parametrize("limits", [Limits(10**6, 3), Limits(3, 10)])
def test_too_much(tmp_path, limits):
    members = [(f"{n}.mp3", b"n") for n in range(4)]
    for stop_at in (None, "1.mp3"):
        with pytest.raises(DataError, match="unpacks to more than was expected"):
            once(pack(tmp_path / "a", members), {"0.mp3"}, stop_at, limits)
    whole = Limits(4, 4)
    assert len(once(tmp_path / "a", {"0.mp3", "3.mp3"}, None, whole)) == 2  # going back counts nothing twice


@pytest.mark.parametrize("stop_at", [None, "table.tsv"])
@pytest.mark.parametrize("fault", ["cut off", "CRC", "content"])
def test_a_second_half_that_is_damaged(tmp_path, fault, stop_at):
    path = pack(tmp_path / "a", [("a.mp3", noise(9)), ("table.tsv", b""), *((f"{n}", noise(9_000)) for n in range(99))])
    whole = bytearray(path.read_bytes())
    if fault == "cut off":
        del whole[len(whole) // 2 :]
    else:
        whole[-6 if fault == "CRC" else len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"a: is not an archive or is cut off .*get it again"):
        once(path, {"a.mp3"}, stop_at)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_that_changes_while_it_is_read(tmp_path, mode):
    path = pack(tmp_path / "a", [("b.mp3", b"b"), ("a.mp3", b"a")], mode)
    with Archive(path) as archive:
        for _ in archive.look_through():
            pass
        for changed in ([("c.mp3", noise(9_000))], [("b", b""), ("a", None)], []):
            pack(path, changed, mode)
            with pytest.raises(DataError, match="a: is not an archive or is cut off"):
                list(archive.members({"a.mp3"}))
        pack(path, [("b.mp3", b"b"), ("../a.mp3", b"a")], mode)
        with pytest.raises(DataError, match="leads out of the folder"):
            list(archive.members({"a.mp3"}))


def test_progress_never_goes_back(tmp_path):
    path = pack(tmp_path / "a", [(f"{n}.mp3", noise(2**18, n)) for n in range(12)])
    steps = {"looking": [], "taking": []}
    with Archive(path) as archive:
        for member in archive.look_through(lambda *step: steps["looking"].append(step)):
            if member.name.name == "7.mp3":
                break
        for _ in archive.members({f"{n}.mp3" for n in range(0, 12, 2)}, lambda *step: steps["taking"].append(step)):
            pass
    size = path.stat().st_size
    for taken in steps.values():
        assert taken == sorted(taken)
        assert {total for _, total in taken} == {size}
    assert 0.4 * size < steps["looking"][-1][0] < 0.9 * size
    assert steps["taking"][-1] == (size, size)


def test_what_is_open_is_closed(tmp_path):
    path = pack(tmp_path / "a", [("a.mp3", b"a"), ("b.mp3", b"b")])
    with Archive(path) as archive:
        members = archive.look_through()
        next(members)
    assert next(members, None) is None
    os.replace(path, tmp_path / "b")
