"""Getting the bank of negatives: three archives, small ones of the same layouts, make one folder or none."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import loopback
import numpy as np
import pytest
import soundfile

from audioconv.datasets import catalogue, open_collection
from audioconv.datasets.build import get
from audioconv.datasets.build.layouts import Options
from audioconv.datasets.build.sentences import WordList
from audioconv.errors import ConfigError, DataError
from audioconv.recipe.bank import read_bank

TEXTS = {"84-1-0000": "GO ON", "84-1-0001": "FORGOTTEN", "174-2-0000": "TURN LEFT", "174-2-0001": "AND RIGHT"}
ESC_ROOT = "ESC-50-33c8ce9"


def recording(seed: int, form: str, seconds: float = 0.5, rate: int = 16000) -> bytes:
    file = io.BytesIO()
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))
    soundfile.write(file, samples, rate, format=form)
    return file.getvalue()


def speech() -> dict[str, bytes]:
    files = {"LibriSpeech/LICENSE.TXT": b"CC BY 4.0", "LibriSpeech/SPEAKERS.TXT": b"84 | F | dev-clean"}
    for number, (name, text) in enumerate(TEXTS.items()):
        speaker, chapter, _ = name.split("-")
        folder = f"LibriSpeech/dev-clean/{speaker}/{chapter}"
        files[f"{folder}/{name}.flac"] = recording(number, "FLAC")
        table = f"{folder}/{speaker}-{chapter}.trans.txt"
        files[table] = files.get(table, b"") + f"{name} {text}\n".encode()
    return files


def sounds() -> dict[str, bytes]:
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    files = {f"{ESC_ROOT}/LICENSE": b"1-100.wav by somebody"}
    for number, (name, category, in_ten) in enumerate(
        [("1-100-A-0", "dog", "True"), ("2-100-B-0", "crying_baby", "True"), ("1-200-A-9", "cow", "False")]
    ):
        rows.append(f"{name}.wav,{name[0]},0,{category},{in_ten},100,A")
        files[f"{ESC_ROOT}/audio/{name}.wav"] = recording(10 + number, "WAV")
    return {**files, f"{ESC_ROOT}/meta/esc50.csv": "\n".join(rows).encode()}


def noise() -> dict[str, bytes]:
    return {
        "./README.md": b"Speech Commands",
        "./_background_noise_/README.md": b"noises",
        "./_background_noise_/pink_noise.wav": recording(20, "WAV", 2),
        "./yes/0a7c2a8d_nohash_0.wav": recording(21, "WAV"),
    }


def tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


class Server(loopback.Loopback):
    """Serves archives by their names; `broken` are those that it refuses, and `cut` those whose ends do not come."""

    def __init__(self, archives: dict[str, bytes]) -> None:
        super().__init__(self._answer)
        self.archives, self.broken, self.cut, self.asked = archives, set[str](), set[str](), list[str]()

    def _answer(self, handler) -> None:
        name = handler.path.rpartition("/")[2]
        self.asked.append(name)
        if name in self.broken:
            handler.send_error(404)
            return
        content = self.archives[name]
        first = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        handler.send_response(206 if first else 200)
        if first:
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - first))
        handler.send_header("ETag", '"1"')
        handler.end_headers()
        handler.wfile.write(content[first : len(content) // 2] if name in self.cut else content[first:])


@pytest.fixture
def archives() -> dict[str, bytes]:
    return {"dev-clean.tar.gz": tar(speech()), "ESC.zip": zipped(sounds()), "commands.tar.gz": tar(noise())}


@pytest.fixture
def server(archives, monkeypatch) -> Iterator[Server]:
    """Let the catalogue's bank be put together of small archives, which a server has."""
    for name in (*loopback.PROXIES, "AUDIOCONV_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    with Server(archives) as running:
        bank = catalogue.SOURCES["negatives"]
        parts = {}
        for (label, part), (name, content) in zip(bank.parts.items(), archives.items(), strict=True):
            digest = hashlib.sha256(content).hexdigest()
            remote = catalogue.Remote(f"{running.url}/files/{name}", len(content), digest)
            parts[label] = replace(part, files=(remote,))
        files = tuple(part.files[0] for part in parts.values())
        small = replace(bank, parts=parts, files=files, count=len(TEXTS) + 2 + 1)
        monkeypatch.setattr(catalogue, "SOURCES", {**catalogue.SOURCES, "negatives": small})
        yield running


@pytest.fixture
def mirror_folder(server, archives, tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in archives.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(folder))
    return folder


def only(*parts: str, **more) -> Options:
    return Options(words=WordList(parts), **more)


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


RECORDINGS = [
    "noise/pink_noise.wav", "sounds/1-100-A-0.wav", "sounds/2-100-B-0.wav",
    *(f"speech/{name}.flac" for name in sorted(TEXTS)),
]  # fmt: skip


def test_from_a_server(server, tmp_path):
    folder = get.get("negatives", tmp_path / "cache" / "negatives")
    files = names_in(folder)
    assert [name for name in files if name.endswith((".wav", ".flac"))] == RECORDINGS
    assert set(files) - set(RECORDINGS) == {
        ".audioconv-complete.json", "ATTRIBUTION.txt", "manifest.csv", "transcripts.csv",
        f"licences/{ESC_ROOT}-LICENSE", "licences/LibriSpeech-LICENSE.TXT", "licences/LibriSpeech-SPEAKERS.TXT",
    }  # fmt: skip
    assert (folder / "speech" / "84-1-0000.flac").read_bytes() == recording(0, "FLAC"), "not encoded anew"
    assert sorted(os.listdir(tmp_path / "cache")) == ["negatives"], "downloads are removed"
    assert sorted(server.asked) == sorted(server.archives)
    collection = open_collection(folder)
    assert collection.counts == {"noise": 1, "sounds": 2, "speech": 4}
    assert {origin.source for origin in collection.origins} == {
        "LibriSpeech dev-clean", "ESC-10", "Speech Commands v0.01",
    }  # fmt: skip
    with open(folder / "transcripts.csv", encoding="utf-8") as file:
        rows = {row["file"]: (row["speaker"], row["text"]) for row in csv.DictReader(file)}
    assert rows["speech/174-2-0000.flac"] == ("174", "TURN LEFT")
    assert rows["sounds/2-100-B-0.wav"] == ("100", "crying baby")
    assert rows["noise/pink_noise.wav"] == ("", "")
    assert len(rows) == len(RECORDINGS)


def test_the_attribution_names_each_origin(server, tmp_path):
    lines = (get.get("negatives", tmp_path / "bank") / "ATTRIBUTION.txt").read_text("utf-8").splitlines()
    for line, title, maker, licence in zip(
        lines,
        ("LibriSpeech dev-clean (4 recordings)", "ESC-10 (2 recordings)", "Speech Commands v0.01 (1 recording)"),
        ("Panayotov", "Piczak", "Warden"),
        ("by/4.0", "by/3.0", "by/4.0"),
        strict=False,
    ):
        assert line.startswith(title)
        assert maker in line
        assert licence in line
    assert len(lines) == 4
    assert catalogue.makers("LibriSpeech dev-clean").startswith("Vassil Panayotov")
    assert get.licence_file(tmp_path / "bank").name == "ATTRIBUTION.txt"


def test_training_reads_it(server, tmp_path):
    folder = get.get("negatives", tmp_path / "bank")
    found = read_bank(folder, ["left", "dog", "on"], 16000)
    assert found.about["recordings"] == 4  # GO ON, TURN LEFT and the dog hold one of the words
    assert found.about["speakers"] == 4  # 84, 174, a sound's source, and the noise
    assert found.about["attribution"].startswith("LibriSpeech dev-clean")


def test_from_a_mirror_and_a_second_time(server, mirror_folder, tmp_path):
    folder = get.get("negatives", tmp_path / "bank")
    assert server.asked == []
    assert len(list(mirror_folder.iterdir())) == 3, "the mirror's archives stay"
    for path in mirror_folder.iterdir():
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert get.get("negatives", folder) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_the_mirror_has_not_comes_from_the_server(server, mirror_folder, tmp_path):
    (mirror_folder / "ESC.zip").unlink()
    get.get("negatives", tmp_path / "bank")
    assert server.asked == ["ESC.zip"]


def test_a_part_that_cannot_be_had_is_named_and_the_others_are_kept(server, tmp_path):
    server.broken = {"commands.tar.gz"}
    with pytest.raises(DataError) as caught:
        get.get("negatives", tmp_path / "cache" / "negatives")
    told = str(caught.value)
    assert told.startswith("negatives: 1 of 3 parts cannot be had: noise (http://127.0.0.1")
    assert "the server answers 404" in told
    assert "run the same command again, which goes on from there" in told
    assert "put commands.tar.gz into a folder and set AUDIOCONV_MIRROR to it" in told
    assert told.endswith("or do without, with --words speech,sounds")
    assert sorted(os.listdir(tmp_path / "cache")) == [".audioconv-downloads"], "complete or not at all"
    assert sorted(os.listdir(tmp_path / "cache" / ".audioconv-downloads")) == ["ESC.zip", "dev-clean.tar.gz"]
    server.asked.clear()
    server.broken = set()
    folder = get.get("negatives", tmp_path / "cache" / "negatives")
    assert server.asked == ["commands.tar.gz"]
    assert [name for name in names_in(folder) if name.endswith((".wav", ".flac"))] == RECORDINGS
    assert sorted(os.listdir(tmp_path / "cache")) == ["negatives"]


def test_none_of_the_parts(server, tmp_path):
    server.broken = set(server.archives)
    with pytest.raises(DataError, match=r"3 of 3 parts cannot be had: speech .*; sounds .*; noise (?!.*--words)"):
        get.get("negatives", tmp_path / "bank")


def test_without_a_part(server, tmp_path):
    server.broken = {"commands.tar.gz"}
    folder = get.get("negatives", tmp_path / "bank", only("speech", "sounds"))
    assert open_collection(folder).counts == {"sounds": 2, "speech": 4}
    assert "Speech Commands" not in (folder / "ATTRIBUTION.txt").read_text()
    assert sorted(os.listdir(tmp_path)) == ["bank"], "the archives were used up"
    with pytest.raises(DataError, match="was made with other settings"):
        get.get("negatives", folder)
    speech_only = get.get("negatives", tmp_path / "speech", only("speech"))
    assert open_collection(speech_only, minimum_classes=1).counts == {"speech": 4}


def test_an_interrupted_download_goes_on(server, tmp_path, monkeypatch):
    monkeypatch.setattr("audioconv.datasets.download.http.time.sleep", lambda _seconds: server.cut.clear())
    server.cut = {"dev-clean.tar.gz"}
    folder = get.get("negatives", tmp_path / "bank")
    assert len(open_collection(folder)) == len(RECORDINGS)
    assert server.asked.count("dev-clean.tar.gz") == 2


@pytest.mark.parametrize("at", range(0, 8, 2))
def test_an_interrupted_extraction_goes_on(server, mirror_folder, tmp_path, monkeypatch, at):
    left = at
    write_bytes = Path.write_bytes

    def interrupted(path, content):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return write_bytes(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            get.get("negatives", tmp_path / "data" / "bank")
    assert not (tmp_path / "data" / "bank").exists()
    folder = get.get("negatives", tmp_path / "data" / "bank")
    assert [name for name in names_in(folder) if name.endswith((".wav", ".flac"))] == RECORDINGS
    with open(folder / "transcripts.csv", encoding="utf-8") as file:
        assert sum(bool(row["text"]) for row in csv.DictReader(file)) == len(TEXTS) + 2
    assert sorted(os.listdir(tmp_path / "data")) == ["bank"]


def test_an_archive_that_is_not_what_it_should_be(server, mirror_folder, tmp_path):
    (mirror_folder / "dev-clean.tar.gz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"1 of 3 parts cannot be had: speech \(.*dev-clean\.tar\.gz: is not the file"):
        get.get("negatives", tmp_path / "bank")


def test_archives_that_are_already_unpacked(server, tmp_path):
    here = tmp_path / "here"
    for name, content in {**speech(), **sounds(), **noise()}.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content)
    folder = get.get("negatives", tmp_path / "bank", origin=here)
    assert [name for name in names_in(folder) if name.endswith((".wav", ".flac"))] == RECORDINGS
    (here / ESC_ROOT / "meta" / "esc50.csv").unlink()
    with pytest.raises(DataError, match="negatives: the archives have no sounds; add what has, or do without, with "):
        get.get("negatives", tmp_path / "other", origin=here)
    (here / "_background_noise_" / "pink_noise.wav").unlink()
    with pytest.raises(DataError, match=r"the archives have no noise; .*with --words speech$"):
        get.get("negatives", tmp_path / "other", only("speech", "noise"), origin=here)
    assert (
        len(open_collection(get.get("negatives", tmp_path / "s", only("speech"), origin=here), minimum_classes=1)) == 4
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (lambda: only("speech", "music"), "negatives: has the parts speech, sounds, noise; got 'music'"),
        (lambda: only("speech", unknown=5), "has no words, so no _unknown_ and _silence_ beside them"),
        (lambda: Options(silence=5), "has no words"),
    ],
)
def test_options_that_mean_nothing(server, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        get.get("negatives", tmp_path / "bank", options())
    assert server.asked == []


def test_the_real_archives_are_pinned():
    source = catalogue.SOURCES["negatives"]
    speech_file, sounds_file, noise_file = source.files
    assert (speech_file.name, speech_file.size) == ("dev-clean.tar.gz", 337_926_286)
    assert speech_file.md5 == "42e2234ba48799c1f50f24a7926300a1"
    assert sounds_file is catalogue.SOURCES["esc-10"].files[0]
    assert noise_file is catalogue.SOURCES["speech-commands-v1"].files[0]
    assert source.size == sum(file.size for file in source.files)


def test_the_command(server, tmp_path, monkeypatch, capsys):
    from audioconv.cli import run

    monkeypatch.setenv("AUDIOCONV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("AUDIOCONV_NEGATIVES")
    server.broken = {"ESC.zip"}
    assert run(["data", "get", "negatives"]) == 1
    assert "1 of 3 parts cannot be had: sounds" in capsys.readouterr().err
    server.broken = set()
    assert run(["data", "get", "negatives"]) == 0
    shown = capsys.readouterr()
    assert "cache/negatives: 7 clips, 3 classes" in shown.out
    assert "cache/negatives/ATTRIBUTION.txt" in shown.out
    assert "`audioconv train` learns to reject these recordings from now on" in shown.out
    assert "audioconv train recordings -o model\n" in shown.out
    assert run(["data", "get", "negatives", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 7
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(tmp_path / "other"))
    assert run(["data", "get", "negatives"]) == 0
    assert "AUDIOCONV_NEGATIVES is set to" in capsys.readouterr().err
    assert run(["data", "get", "negatives", "-o", str(tmp_path / "mine"), "--words", "speech"]) == 0
    assert f"--negatives {tmp_path}/mine" in capsys.readouterr().out
    assert run(["data", "get", "negatives", "-o", str(tmp_path / "x"), "--words", "music"]) == 2
    assert run(["data", "list"]) == 0
    assert "negatives" in capsys.readouterr().out
    assert run(["data", "info", "negatives"]) == 0
    assert "ATTRIBUTION.txt names them" in capsys.readouterr().out
