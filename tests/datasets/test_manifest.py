"""CSV manifests: what they may hold, and one clear line for each that cannot be used."""

from __future__ import annotations

import errno
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from audioconv.audio.read import Segment
from audioconv.datasets import Item, open_collection, read_manifest, write_manifest
from audioconv.errors import DataError


def manifest(folder: Path, text: str | bytes, *files: str) -> Path:
    for name in files or ("a.wav", "b.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    path = folder / "clips.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
    return path


def test_all_columns(tmp_path):
    path = manifest(
        tmp_path,
        "label,path,speaker,split,source,licence,duration\n"
        "yes,a.wav,anna,train,FSDD,CC-BY-SA-4.0,1.0\n"
        "no,deep/b.wav,,,Common Voice,CC0-1.0,1.0\n"
        "no,deep/c.wav,bert,TEST,FSDD,CC-BY-SA-4.0,1.0\n",
        "a.wav", "deep/b.wav", "deep/c.wav",
    )  # fmt: skip
    collection = open_collection(path)
    assert collection.items == (
        Item(tmp_path / "a.wav", "yes", "anna", "train", source="FSDD", licence="CC-BY-SA-4.0"),
        Item(tmp_path / "deep/b.wav", "no", source="Common Voice", licence="CC0-1.0"),
        Item(tmp_path / "deep/c.wav", "no", "bert", "test", source="FSDD", licence="CC-BY-SA-4.0"),
    )
    assert collection.name == "clips"
    assert collection.licence == "CC-BY-SA-4.0; CC0-1.0"
    assert collection.source == "FSDD; Common Voice"


def test_as_spreadsheets_write_it(tmp_path):
    path = manifest(tmp_path, b'\xef\xbb\xbf"Path", LABEL,License\r\n"a.wav",yes,CC0\r\n\r\nb.wav, no ,\r\n,,\r\n')
    collection = read_manifest(path)
    assert collection.labels == ["yes", "no"]
    assert collection.licence == "CC0"


TABLE = "path,label,split\na.wav,yes,train\nb.wav,no,test\n"
SEMICOLONS, TABS, UTF16 = (
    "the fields of the manifest are separated by semicolons",
    "the fields of the manifest are separated by tabs",
    "the manifest is UTF-16",
)


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (TABLE, ()),
        (TABLE.replace(",", ";"), (SEMICOLONS,)),
        (TABLE.replace(",", "\t"), (TABS,)),
        (TABLE.replace(",", "|"), ("the fields of the manifest are separated by bars",)),
        ("sep=;\r\n" + TABLE.replace(",", ";"), (SEMICOLONS,)),
        ('"sep=,"\r\n' + TABLE, ()),
        (TABLE.encode("utf-16"), (UTF16,)),
        (TABLE.encode("utf-16-le"), (UTF16,)),
        (TABLE.encode("utf-16-be"), (UTF16,)),
        (TABLE.encode("utf-32"), ("the manifest is UTF-32",)),
        (TABLE.replace(",", "\t").encode("utf-16"), (UTF16, TABS)),
        (TABLE.replace("\n", "\r"), ()),
        (TABLE.replace("\n", "\r\n").upper().replace(".WAV", ".wav").replace("A.", "a.").replace("B.", "b."), ()),
        (TABLE.replace("a.wav", " a.wav "), ("spaces around paths are left out",)),
    ],
)
def test_separators_and_encodings(tmp_path, content, notes):
    collection = open_collection(manifest(tmp_path, content))
    assert [label.lower() for label in collection.labels] == ["yes", "no"]
    assert [item.split for item in collection.items] == ["train", "test"]
    assert all(item.path.is_file() for item in collection.items)
    assert collection.notes == notes


@pytest.mark.parametrize("name", ["clips.tsv", "clips.TXT", "clips.tab"])
def test_manifests_by_other_names(tmp_path, name):
    manifest(tmp_path, TABLE.replace(",", "\t")).rename(tmp_path / name)
    assert open_collection(tmp_path / name).labels == ["yes", "no"]


@pytest.mark.parametrize("name", ["clips.xlsx", "clips.ods"])
def test_spreadsheets_are_told_from_manifests(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"is a spreadsheet; save it as CSV \(UTF-8\) with the columns path,label"):
        open_collection(tmp_path / name)


@pytest.mark.skipif(os.sep == "\\", reason="there, backslashes separate folders")
def test_backslashes_in_paths(tmp_path):
    rows = "path,label\nin\\a.wav,yes\nin/deep\\b.wav,no\n"
    collection = read_manifest(manifest(tmp_path, rows, "in/a.wav", "in/deep/b.wav"))
    assert [item.path for item in collection.items] == [tmp_path / "in/a.wav", tmp_path / "in/deep/b.wav"]
    assert collection.notes == ("backslashes in paths are read as slashes",)
    # A backslash may be part of a name: what is there as it is written counts.
    (tmp_path / "in\\a.wav").touch()
    assert read_manifest(tmp_path / "clips.csv").items[0].path == tmp_path / "in\\a.wav"
    elsewhere = manifest(tmp_path, "path,label\nC:\\x\\a.wav,yes\nD:/x/b.wav,no\n")
    with pytest.raises(DataError, match=r"2 of 2 listed files do not exist .*\. These are paths of Windows"):
        read_manifest(elsewhere)


def test_decimal_commas_where_semicolons_separate(tmp_path):
    rows = "path;label;begin;end\na.wav;yes;0,5;1,25\nb.wav;no;;\n"
    assert read_manifest(manifest(tmp_path, rows)).items[0].end == 1.25


def test_labels_of_one_class(tmp_path):
    rows = "path,label\na.wav,Yes\nb.wav,yes\nc.wav,caf\u00e9\nd.wav,cafe\u0301\n"
    collection = read_manifest(manifest(tmp_path, rows, "a.wav", "b.wav", "c.wav", "d.wav"))
    assert collection.labels == ["yes", "yes", "caf\u00e9", "caf\u00e9"]
    assert collection.notes == ("'Yes' and 'yes' are one class, 'yes'",)


def test_labels_that_are_not_utf8_are_not_guessed(tmp_path):
    collection = read_manifest(manifest(tmp_path, b"path,label\na.wav,caf\xe9\nb.wav,no\n"))
    assert collection.labels == [r"caf\xe9", "no"]
    assert collection.notes == (r"labels are not UTF-8, and have escapes (caf\xe9): save the manifest as CSV UTF-8",)


@pytest.mark.parametrize(
    ("word", "split"), [("val", "validation"), ("dev", "validation"), ("Training", "train"), ("testing", "test")]
)
def test_other_words_for_the_splits(tmp_path, word, split):
    path = manifest(tmp_path, f"path,label,split\na.wav,yes,{word}\nb.wav,no,\n")
    assert [item.split for item in read_manifest(path).items] == [split, None]


def test_absolute_paths(tmp_path):
    outside = tmp_path / "outside.wav"
    outside.touch()
    (tmp_path / "in").mkdir()
    path = manifest(tmp_path / "in", f"path,label\n{outside},yes\nb.wav,no\n")
    assert read_manifest(path).items[0].path == outside


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column path and no column label; .* and has nothing"),
        ("file,class\na.wav,yes\n", "no column path and no column label; .* and has file, class"),
        ("path;name\na.wav;yes\n", "no column path and no column label; .* path;name"),
        ("path;label\na.wav;yes;me\n", "row 2 has 3 fields for 2 columns; put double quotes .* a semicolon"),
        ("path:label\na.wav:yes\n", "no column path and no column label; .* path:label"),
        ("path,label\n".encode("utf-16") + b"\0", "is UTF-16, but broken"),
        (b"PK\x03\x04 and more", r"is a spreadsheet or an archive; save it as CSV \(UTF-8\)"),
        ("path,speaker\na.wav,x\n", "no column label; "),
        ("path,label\n", "lists no files"),
        ("path,label\na.wav\n", "row 2 has no label"),
        ("path,label\n,yes\n", "row 2 has no path"),
        ("path,label\na.wav,yes,me\n", "row 2 has 3 fields for 2 columns; put double quotes"),
        ('path,label\n"a.wav,yes\n', "is not a CSV file"),
        ("path,label,split\na.wav,yes,final\n", "row 2 has the split 'final'; it must be train, "),
        ("path,label\na.wav,yes\nb.wav,yes\n", r"has only one class, 'yes' \(2 files\)"),
        ("path,label\na.wav,yes\nb.wav,no\n./a.wav,no\n", r"1 files are listed twice \(rows 2 and 4: \./a\.wav\)"),
        ("path,label\na.wav,yes\nno1.wav,no\n", r"1 of 2 listed files do not exist \(row 3: no1\.wav\)"),
        ("path,label\n" + "".join(f"no{i}.wav,no\n" for i in range(5)),
         r"5 of 5 listed files do not exist \(row 2: no0\.wav; row 3: no1\.wav; row 4: no2\.wav; \.\.\.\)"),
        (b"path,label\ncaf\xe9.wav,yes\ncaf\xe8.wav,no\n", "2 of 2 listed .*[.] The names are not UTF-8: save"),
        ("path,label\na\0.wav,yes\nb.wav,no\n", "1 of 2 listed files do not exist"),
        ("path,label\na.wav,yes\n.,no\n", "1 of 2 listed files do not exist"),
        (bytes(range(256)) * 4, "no column path|not a CSV file"),
    ],
)  # fmt: skip
def test_unusable(tmp_path, text, message):
    with pytest.raises(DataError, match=rf"clips\.csv: .*{message}") as caught:
        read_manifest(manifest(tmp_path, text))
    assert str(caught.value).isprintable()


def test_mixed_kinds(tmp_path):
    path = manifest(tmp_path, "path,label\na.wav,yes\nb.png,no\n", "a.wav", "b.png")
    with pytest.raises(DataError, match=r"recordings \(a\.wav\) and pictures \(b\.png\)"):
        read_manifest(path)


def test_missing_and_unreadable(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"no\.csv: the manifest cannot be read \(No such file"):
        read_manifest(tmp_path / "no.csv")
    path = manifest(tmp_path, "path,label\na.wav,yes\nb.wav,no\n")

    def denied(*_args, **_options):  # permission bits do not bind the user that CI runs as
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(DataError, match="Permission denied"):
        read_manifest(path)


NAMES = ["a b.wav", " lead.wav", 'it\'s "quoted", with commas.wav', "\U0001f600.wav", "two\nlines.wav", "-rf.wav"]


def test_what_is_written_is_read_again(tmp_path):
    # Any bytes make a name on Linux; other systems keep to Unicode.
    names = [*NAMES, "caf\udce9.wav"] if sys.platform == "linux" else NAMES[:2]
    items = [Item(tmp_path / "x" / name, f"label {i % 2}, \U0001f600", "anna" if i else None, "test" if i else None)
             for i, name in enumerate(names)]  # fmt: skip
    (tmp_path / "x").mkdir()
    for item in items:
        item.path.touch()
    items = [replace(item, source="some, place", licence="CC0-1.0") for item in items]
    write_manifest(tmp_path / "manifest.csv", items)
    collection = open_collection(tmp_path)
    assert collection.items == tuple(items)
    assert (collection.source, collection.licence, collection.name) == ("some, place", "CC0-1.0", tmp_path.name)
    first = (tmp_path / "manifest.csv").read_bytes().splitlines()[:2]
    assert first == [b"path,label,speaker,split,source,licence",
                     'x/a b.wav,"label 0, \U0001f600",,,"some, place",CC0-1.0'.encode()]  # fmt: skip


def test_files_outside_are_listed_absolute(tmp_path):
    (tmp_path / "b").mkdir()
    items = [Item(tmp_path / f"{name}.wav", name) for name in ("x", "y")]
    for item in items:
        item.path.touch()
    write_manifest(tmp_path / "b" / "clips.csv", items)
    assert read_manifest(tmp_path / "b" / "clips.csv").items == tuple(items)


def test_parts_of_a_recording_are_rows_of_their_own(tmp_path):
    (tmp_path / "long.wav").touch()
    rows = "path,label,begin,end\nlong.wav,yes,0.5,1.25\nlong.wav,no,2,2.5\n"
    collection = read_manifest(manifest(tmp_path, rows))
    assert [(item.begin, item.end) for item in collection.items] == [(0.5, 1.25), (2.0, 2.5)]
    assert collection.examples == [Segment(tmp_path / "long.wav", 0.5, 1.25), Segment(tmp_path / "long.wav", 2.0, 2.5)]
    write_manifest(tmp_path / "again.csv", collection.items)
    assert read_manifest(tmp_path / "again.csv").items == collection.items


@pytest.mark.parametrize("part", ["1,", ",1", "2,1", "1,1", "-1,1", "a,b", "0,nan", "0,inf"])
def test_parts_that_are_none(tmp_path, part):
    (tmp_path / "a.wav").touch()
    with pytest.raises(DataError, match=rf"row 2 has begin,end '{part}'; they must be seconds, 0 <= begin < end"):
        read_manifest(manifest(tmp_path, f"path,label,begin,end\na.wav,yes,{part}\n"))
