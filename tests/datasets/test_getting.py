"""Getting public data sets: from a mirror, from a server, complete or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from audioconv.datasets import catalogue, open_collection, write_manifest
from audioconv.datasets.build import get
from audioconv.datasets.build.get import content_digest
from audioconv.datasets.licences import LICENCES
from audioconv.errors import ConfigError, DataError

NAMES = [f"{digit}_{speaker}_{n}.wav" for digit in "01" for speaker in ("anna", "bert") for n in range(6)]
FSDD = catalogue.SOURCES["fsdd"]


def pack(path: Path, *, change: str = "", leave_out: str = "") -> Path:
    """Write an archive in the layout of FSDD with a few invented recordings, one of them changed or left out."""
    with tarfile.open(path, "w:gz") as archive:
        for name in ["README.md", *(f"recordings/{name}" for name in NAMES), "utils/9_anna_0.wav"]:
            if leave_out and name.endswith(leave_out):
                continue
            content = name.encode() + (b"!" if change and name.endswith(change) else b"")
            info = tarfile.TarInfo(f"free-spoken-digit-dataset-26eb9aa/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def few(monkeypatch):
    """Let ``fsdd`` be the few recordings of `pack`."""
    content = content_digest(
        {f"{name[0]}/{name}": hashlib.sha256(f"recordings/{name}".encode()).hexdigest() for name in NAMES}
    )
    source = replace(FSDD, content=content, count=len(NAMES), unpacked=10_000)
    monkeypatch.setattr(catalogue, "SOURCES", {"fsdd": source})
    monkeypatch.delenv("AUDIOCONV_MIRROR", raising=False)
    return source


@pytest.fixture
def few_in_mirror(few, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(mirror))
    return pack(mirror / few.files[0].name)


def served(content):
    def respond(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return respond


def at(monkeypatch, few, url):
    monkeypatch.setattr(catalogue, "SOURCES", {"fsdd": replace(few, files=(replace(few.files[0], url=url),))})


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_from_the_mirror(few_in_mirror, tmp_path):
    folder = tmp_path / "data" / "fsdd"
    assert get.get("fsdd", folder) == folder
    collection = open_collection(folder)
    assert collection.counts == {"0": 12, "1": 12}
    assert (collection.name, collection.kind, collection.licence) == ("fsdd", "audio", "CC-BY-SA-4.0")
    assert set(collection.speakers) == {"anna", "bert"}
    assert sorted(item.path.name for item in collection.select("train").items) == [n for n in NAMES if "_5" in n]
    assert len(collection.select("test")) == 20
    assert (folder / "0" / "0_anna_3.wav").read_bytes() == b"recordings/0_anna_3.wav"
    licence = (folder / "LICENCE.txt").read_text("utf-8")
    assert "CC-BY-SA-4.0" in licence
    assert "Zohar Jackson" in licence
    assert names_in(tmp_path / "data") == ["fsdd"]
    # The folders alone, without the manifest, are a data set too.
    (folder / "manifest.csv").unlink()
    assert open_collection(folder).counts == {"0": 12, "1": 12}


def test_a_second_call_does_nothing(few_in_mirror, tmp_path):
    folder = get.get("fsdd", tmp_path / "fsdd")
    few_in_mirror.unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert get.get("fsdd", folder) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_second_call_beside_the_folder_does_nothing(few_in_mirror, tmp_path, monkeypatch):
    """A folder that is called like the data set is not taken for an archive to get something from."""
    monkeypatch.chdir(tmp_path)
    get.get("fsdd", "fsdd")
    few_in_mirror.unlink()
    assert get.get("fsdd", "fsdd") == Path("fsdd")


def test_a_folder_that_lost_files_does_not_count_as_complete(few_in_mirror, tmp_path):
    folder = get.get("fsdd", tmp_path / "fsdd")
    (folder / "0" / "0_anna_3.wav").unlink()
    with pytest.raises(DataError, match=r"1 of 24 listed files do not exist .*0_anna_3.*remove it and run"):
        get.get("fsdd", folder)


def test_from_a_server_where_the_mirror_has_not_got_it(few, tmp_path, serve, monkeypatch):
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(tmp_path / "mirror"))
    server = serve(b"", served(pack(tmp_path / "a.tar.gz").read_bytes()))
    at(monkeypatch, few, server.url)
    steps = []
    folder = get.get("fsdd", tmp_path / "new" / "fsdd", progress=lambda *step: steps.append(step))
    assert len(open_collection(folder)) == 24
    assert names_in(tmp_path / "new") == ["fsdd"]
    assert {stage for stage, _, _ in steps} == {"downloading", "unpacking"}
    assert steps[-1][1] == steps[-1][2] > 0
    assert len(server.requests) == 1


def test_the_mirror_comes_first(few_in_mirror, tmp_path, serve, monkeypatch, few):
    server = serve(b"", served(b""))
    at(monkeypatch, few, server.url)
    get.get("fsdd", tmp_path / "fsdd")
    assert server.requests == []


def test_a_server_with_other_content_is_asked_again_the_next_time(few, tmp_path, serve, monkeypatch):
    server = serve(
        b"", served(pack(tmp_path / "a", change="0_anna_3.wav").read_bytes()),
        served(b"<html>log in</html>"), served(pack(tmp_path / "a").read_bytes()),
    )  # fmt: skip
    at(monkeypatch, few, server.url)
    for message in (r"24 recordings, content \w+\.\.\., expected", "is not an archive or is cut off"):
        with pytest.raises(DataError, match=message):
            get.get("fsdd", tmp_path / "new" / "fsdd")
        assert not (tmp_path / "new" / "fsdd").exists()
    assert len(open_collection(get.get("fsdd", tmp_path / "new" / "fsdd"))) == 24


@pytest.mark.parametrize("fault", [{"change": "1_bert_5.wav"}, {"leave_out": "1_bert_5.wav"}])
def test_a_mirror_with_other_content_is_refused_and_left_alone(few_in_mirror, tmp_path, fault):
    pack(few_in_mirror, **fault)
    with pytest.raises(DataError, match="does not hold the 24 recordings of Free Spoken Digit Dataset"):
        get.get("fsdd", tmp_path / "data" / "fsdd")
    assert few_in_mirror.exists()
    assert names_in(tmp_path / "data") == []


def test_how_the_archive_is_packed_does_not_matter(few_in_mirror, tmp_path):
    with tarfile.open(few_in_mirror) as archive:
        members = [(info, archive.extractfile(info)) for info in archive.getmembers()][::-1]
        with tarfile.open(tmp_path / "other", "w:xz") as other:
            for info, content in members:
                info.name = info.name.replace("free-spoken-digit-dataset-26eb9aa", "renamed")
                info.mtime = 1
                other.addfile(info, content)
    shutil.move(tmp_path / "other", few_in_mirror)
    assert len(open_collection(get.get("fsdd", tmp_path / "fsdd"))) == 24


def test_ctrl_c_leaves_what_is_done_for_the_next_call(few_in_mirror, tmp_path, monkeypatch):
    def interrupt(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(get, "write_manifest", interrupt)
        with pytest.raises(KeyboardInterrupt):
            get.get("fsdd", tmp_path / "data" / "fsdd")
    assert names_in(tmp_path / "data") == [".fsdd.unfinished"]  # for the next call to go on from
    assert len(open_collection(get.get("fsdd", tmp_path / "data" / "fsdd"))) == 24
    assert names_in(tmp_path / "data") == ["fsdd"]


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_killed_at_any_time_a_further_call_completes_it(mirror, tmp_path):
    # The real archive: its extraction takes long enough to be hit.
    program = "import sys; from audioconv.datasets.build import get; get.get('fsdd', sys.argv[1])"
    folder = tmp_path / "fsdd"
    for seconds in (0.3, 0.5, 0.7):
        with subprocess.Popen([sys.executable, "-c", program, folder]) as process:
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
        if folder.exists():
            break
    get.get("fsdd", folder)
    assert names_in(tmp_path) == ["fsdd"]
    collection = open_collection(folder)
    assert len(collection) == 3000
    assert len(collection.select("test")) == 300
    assert set(collection.counts.values()) == {300}
    assert len(set(collection.speakers)) == 6


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ({"notes.txt": "mine"}, "fsdd: holds other files; give the name of a new folder"),
        ({".audioconv-complete.json": '{"source": "esc-50"}'}, "fsdd: was made with other settings"),
        ({".audioconv-complete.json": "{"}, "fsdd: holds other files"),
    ],
)
def test_a_folder_with_something_else_is_left_alone(few_in_mirror, tmp_path, there, message):
    folder = tmp_path / "fsdd"
    folder.mkdir()
    for name, text in there.items():
        (folder / name).write_text(text)
    with pytest.raises(DataError, match=message):
        get.get("fsdd", folder)
    assert names_in(folder) == sorted(there)


def test_an_empty_folder_is_filled_and_a_file_is_refused(few_in_mirror, tmp_path):
    (tmp_path / "fsdd").mkdir()
    assert len(open_collection(get.get("fsdd", tmp_path / "fsdd"))) == 24
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="file: is not a folder"):
        get.get("fsdd", tmp_path / "file")
    with pytest.raises(DataError, match="could not be made"):
        get.get("fsdd", tmp_path / "file" / "fsdd")


class FullDisk:
    """Lets so many recordings be written, and then no more."""

    def __init__(self, monkeypatch, left, error=(errno.ENOSPC, "No space left on device")):
        write_bytes = Path.write_bytes

        def full(path, content):
            self.left -= 1
            if self.left < 0:
                raise OSError(*error)
            self.written.append(path.name)
            return write_bytes(path, content)

        self.left, self.written = left, []
        monkeypatch.setattr(Path, "write_bytes", full)


def test_a_full_disk_leaves_what_is_done_for_the_next_call(few_in_mirror, tmp_path, monkeypatch):
    disk = FullDisk(monkeypatch, 10)
    with pytest.raises(DataError, match=r"fsdd: could not be made \(No space left on device: .*fsdd\); what is done is "
                                        "kept, and the same command goes on from there"):  # fmt: skip
        get.get("fsdd", tmp_path / "data" / "fsdd")
    assert names_in(tmp_path / "data") == [".fsdd.unfinished"]
    before, disk.left = set(disk.written), 100
    disk.written.clear()
    assert len(open_collection(get.get("fsdd", tmp_path / "data" / "fsdd"))) == 24
    assert len(before) == 10
    assert not before & set(disk.written)
    assert names_in(tmp_path / "data") == ["fsdd"]


def test_a_full_disk_keeps_the_download(few, tmp_path, serve, monkeypatch):
    server = serve(b"", served(pack(tmp_path / "a.tar.gz").read_bytes()))
    at(monkeypatch, few, server.url)
    disk = FullDisk(monkeypatch, 3)
    with pytest.raises(DataError, match="No space left on device"):
        get.get("fsdd", tmp_path / "new" / "fsdd")
    assert names_in(tmp_path / "new") == [".audioconv-downloads", ".fsdd.unfinished"]
    disk.left = 100
    assert len(open_collection(get.get("fsdd", tmp_path / "new" / "fsdd"))) == 24
    assert len(server.requests) == 1
    assert names_in(tmp_path / "new") == ["fsdd"]


def test_errors_that_have_nothing_to_do_with_the_folder_stay_what_they_are(few_in_mirror, tmp_path, monkeypatch):
    FullDisk(monkeypatch, 3, (errno.ECONNRESET, "Connection reset by peer"))
    with pytest.raises(ConnectionResetError):
        get.get("fsdd", tmp_path / "data" / "fsdd")
    assert names_in(tmp_path / "data") == [".fsdd.unfinished"]


def test_an_archive_with_nothing_to_use_is_kept(tmp_path, serve, monkeypatch):
    """It is what it should be: to download it again would not help."""
    monkeypatch.delenv("AUDIOCONV_MIRROR", raising=False)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("train/a.wav", "test/b.wav"):
            archive.addfile(tarfile.TarInfo(name))
    content = (tmp_path / "a.tar").read_bytes()
    server = serve(b"", served(content), served(content))
    for message in ("may be splits or classes", "may be splits or classes"):
        with pytest.raises(DataError, match=message):
            get.get(f"url:{server.url}", tmp_path / "new" / "x")
    assert len(server.requests) == 1
    assert names_in(tmp_path / "new") == [".audioconv-downloads"]


def test_two_at_once_into_one_folder(few_in_mirror, tmp_path):
    refused = []

    def second(*_step):
        with pytest.raises(DataError, match=rf"fsdd: another audioconv is making it now; .* \(process {os.getpid()}\)"):
            get.get("fsdd", tmp_path / "data" / "fsdd")
        assert len(open_collection(get.get("fsdd", tmp_path / "data" / "other"))) == 24
        refused.append(1)

    get.get("fsdd", tmp_path / "data" / "fsdd", progress=lambda *step: refused or second(*step))
    assert refused
    assert len(open_collection(get.get("fsdd", tmp_path / "data" / "fsdd"))) == 24
    assert names_in(tmp_path / "data") == ["fsdd", "other"]


def test_two_at_once_that_download_the_same(few, tmp_path, serve, monkeypatch):
    content = pack(tmp_path / "a.tar.gz").read_bytes()

    def respond(handler):
        with pytest.raises(DataError, match="another audioconv is downloading it now"):
            get.get("fsdd", tmp_path / "new" / "other")
        served(content)(handler)

    server = serve(b"", respond)
    at(monkeypatch, few, server.url)
    assert len(open_collection(get.get("fsdd", tmp_path / "new" / "fsdd"))) == 24


def test_unknown_names(tmp_path):
    with pytest.raises(ConfigError, match=r"no data set is called 'fsd'; did you mean fsdd\?"):
        get.get("fsd", tmp_path / "x")
    with pytest.raises(ConfigError, match=r"'speech'; known are fsdd"):
        catalogue.find("speech")


def test_a_mirror_that_is_no_folder(few, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"AUDIOCONV_MIRROR=.*nowhere is not a folder"):
        get.get("fsdd", tmp_path / "fsdd")


def test_the_table_is_complete():
    for source in catalogue.SOURCES.values():
        assert source.layout in get.LAYOUTS or source.layout in get.PICTURE_CLASSES
        assert source.files or source.account
        for file in source.files:
            assert file.url.startswith("https://")
            assert file.sha256 or file.md5 or source.content or source.by_language
        for licence in source.licence.split(", "):
            assert licence in LICENCES
            assert bool(LICENCES[licence].text) == bool(source.copyright)
        for field in ("title", "purpose", "licence", "attribution", "citation", "homepage"):
            assert getattr(source, field)


def test_marker_is_written_last(few_in_mirror, tmp_path, monkeypatch):
    seen = []

    def note(path, items):
        seen.append(names_in(Path(path).parent))
        write_manifest(path, items)

    monkeypatch.setattr(get, "write_manifest", note)
    folder = get.get("fsdd", tmp_path / "fsdd")
    assert ".audioconv-complete.json" not in seen[0]
    assert json.loads((folder / ".audioconv-complete.json").read_text())["source"] == "fsdd"
    assert os.listdir(tmp_path / "mirror")
