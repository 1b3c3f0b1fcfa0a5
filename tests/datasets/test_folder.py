"""A folder with one subfolder a class: what counts, and what is refused."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from audioconv.datasets import Collection, Item, open_collection
from audioconv.errors import DataError


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def listed(collection: Collection) -> list[tuple[str, str]]:
    return [(item.path.name, item.label) for item in collection.items]


def test_subfolders_are_classes_in_a_fixed_order(tmp_path):
    make(tmp_path, "yes/b.wav", "yes/a.FLAC", "yes/2024/may/c.mp3", "no/d.ogg")
    collection = open_collection(tmp_path)
    assert listed(collection) == [("d.ogg", "no"), ("c.mp3", "yes"), ("a.FLAC", "yes"), ("b.wav", "yes")]
    assert collection.classes == ("no", "yes")
    assert collection.counts == {"no": 1, "yes": 3}
    assert (collection.kind, collection.name, collection.licence) == ("audio", tmp_path.name, None)
    assert {item.split for item in collection.items} == {None}


def test_what_is_no_clip_and_no_class(tmp_path):
    make(
        tmp_path, "yes/a.wav", "yes/notes.txt", "yes/._a.wav", "yes/.trash/x.wav", "no/b.wav", "README.md", "stray.wav"
    )
    make(tmp_path, "_background_noise_/rain.wav", ".git/x.wav", "docs/readme.txt", "empty/.keep", "_unknown_/c.wav")
    assert listed(open_collection(tmp_path)) == [("c.wav", "_unknown_"), ("b.wav", "no"), ("a.wav", "yes")]


def test_a_text_file_named_wav_is_left_to_the_reader(tmp_path):
    make(tmp_path, "yes/a.wav", "no/b.wav")
    (tmp_path / "yes" / "a.wav").write_text("this is no sound")
    assert len(open_collection(tmp_path)) == 2


def test_speakers_by_the_known_conventions(tmp_path):
    make(tmp_path, "yes/0a7c2a8d_nohash_0.wav", "yes/anna.wav", "no/1-187207-A.ogg", "no/5-9032-B-12.wav")
    assert {item.path.name: item.speaker for item in open_collection(tmp_path).items} == {
        "0a7c2a8d_nohash_0.wav": "0a7c2a8d",
        "anna.wav": None,
        "1-187207-A.ogg": "187207",
        "5-9032-B-12.wav": "9032",
    }


def test_pictures(tmp_path):
    collection = open_collection(make(tmp_path, "cat/a.png", "dog/b.JPG"))
    assert collection.kind == "images"
    with pytest.raises(DataError, match=r"holds recordings \(c\.wav\) and pictures \(a\.png\)"):
        open_collection(make(tmp_path, "dog/c.wav"))


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that takes any bytes as a name")
def test_odd_names(tmp_path):
    names = [
        "a b.wav",
        'it\'s "quoted".wav',
        "\U0001f600.wav",
        "caf\udce9.wav",
        "two\nlines.wav",
        "-rf.wav",
        "a,b;c.wav",
    ]
    make(tmp_path, *(f"oui \U0001f44d/{name}" for name in names), "caf\udce9/a.wav", "cafe\u0301/a.wav")
    collection = open_collection(tmp_path)
    assert sorted(item.path.name for item in collection.items if item.label == "oui \U0001f44d") == sorted(names)
    # Labels go into tables and model files: always printable, and composed as one types them.
    assert collection.classes == ("caf\\xe9", "café", "oui \U0001f44d")
    assert all(item.path.is_file() for item in collection.items)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no recordings and no pictures in subfolders; make one subfolder per class"),
        (["yes/readme.txt"], "holds no recordings and no pictures"),
        (["a.wav", "b.wav"], r"its files \(a\.wav, \.\.\.\) are not in class folders; make one subfolder per class"),
        (["yes/a.wav", "yes/b.wav", "no/notes.txt"], r"has only one class, 'yes' \(2 files\), .* at least 2"),
    ],
)
def test_too_little(tmp_path, names, message):
    folder = tmp_path / "my clips"
    folder.mkdir()
    with pytest.raises(DataError, match=f"my clips: {message}"):
        open_collection(make(folder, *names))


def test_one_class_is_enough_to_evaluate(tmp_path):
    assert open_collection(make(tmp_path, "yes/a.wav"), minimum_classes=1).classes == ("yes",)


def test_missing_and_other_files(tmp_path):
    with pytest.raises(DataError, match="no such folder or manifest"):
        open_collection(tmp_path / "no")
    make(tmp_path, "a.wav")
    with pytest.raises(DataError, match=r"a\.wav: is neither a folder .* nor a CSV manifest"):
        open_collection(tmp_path / "a.wav")


def test_unreadable_folder(tmp_path, monkeypatch):
    make(tmp_path, "yes/a.wav", "no/b.wav")
    scandir = os.scandir

    def denied(path):  # permission bits do not bind the user that CI runs as
        if Path(path).name == "yes":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"yes: the folder cannot be read \(Permission denied\)"):
        open_collection(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_links_are_followed_but_not_in_circles(tmp_path):
    make(tmp_path, "elsewhere/a.wav", "data/no/b.wav")
    (tmp_path / "data/yes").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/broken.wav").symlink_to(tmp_path / "nowhere.wav")
    names = [name for name, _ in listed(open_collection(tmp_path / "data"))]
    assert names == ["b.wav", "a.wav", "broken.wav"]  # reading the broken one says what is wrong with it


def test_a_folder_with_a_manifest_is_read_by_it(tmp_path):
    make(tmp_path, "yes/a.wav", "no/b.wav", "maybe/c.wav")
    (tmp_path / "manifest.csv").write_text("path,label\nyes/a.wav,oui\nno/b.wav,non\n")
    assert open_collection(tmp_path).classes == ("non", "oui")


def test_select():
    items = tuple(Item(Path(f"{i}.wav"), "a", split=split) for i, split in enumerate(("train", "test", None, "train")))
    collection = Collection(items, "audio", "few")
    assert [item.path.name for item in collection.select("train", None).items] == ["0.wav", "2.wav", "3.wav"]
    assert len(collection.select("validation")) == 0


def test_real_recordings(test_data):
    collection = open_collection(test_data / "speech-commands-9")
    assert len(collection) == 4983
    assert collection.classes == ("down", "eight", "five", "go", "left", "one", "right", "up", "zero")
    assert len(set(collection.speakers)) == 478
    assert open_collection(test_data / "esc-10").counts["rain"] == 40
