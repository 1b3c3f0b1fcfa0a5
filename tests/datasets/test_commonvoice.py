"""Keywords out of Common Voice: the right clips, the word in each, and why the others are of no use."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import pytest
import soundfile

from audioconv.datasets import open_collection
from audioconv.datasets.archives.reader import CHUNK
from audioconv.datasets.build import get
from audioconv.datasets.build.get import read_left_out
from audioconv.datasets.build.layouts import Options
from audioconv.datasets.build.sentences import WordList
from audioconv.datasets.manifest import read_manifest
from audioconv.errors import ConfigError, DataError

YES_NO = WordList(["yes", "no"])
ENGLISH, WORDS = "cv-corpus-26.0-2026-06-12-en.tar.gz", "cv-corpus-7.0-singleword.tar.gz"


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def english(spoken, tmp_path_factory) -> Path:
    """Return yes and no, other words and silence."""
    folder = tmp_path_factory.mktemp("got") / "en"
    options = Options(language="en", words=YES_NO, unknown=20, silence=15)
    return get.get("common-voice", folder, options, origin=spoken / ENGLISH)


def test_what_it_holds(english):
    counts = open_collection(english).counts
    assert counts == {"_silence_": 15, "_unknown_": 20, "no": 30, "yes": 31}
    assert {(row["source"], row["licence"]) for row in rows(english)} == {("Common Voice Scripted Speech", "CC0-1.0")}
    assert "CC0-1.0" in (english / "LICENCE.txt").read_text("utf-8")


def test_the_words_are_where_they_were_said(spoken, english):
    said = json.loads((spoken / "places.json").read_text())
    found = [row for row in rows(english) if row["label"] in ("yes", "no") and Path(row["path"]).name in said]
    assert len(found) == 60
    for row in found:
        begin, end = said[Path(row["path"]).name]
        assert float(row["begin"]) == pytest.approx(begin, abs=0.12)
        assert float(row["end"]) == pytest.approx(end, abs=0.12)


def test_nothing_is_encoded_again(spoken, english):
    with tarfile.open(spoken / ENGLISH) as archive:
        packed = {Path(info.name).name: archive.extractfile(info).read() for info in archive if info.isfile()}
    for path in english.glob("yes/*"):
        assert path.read_bytes() == packed[path.name]


def test_what_was_of_no_use_and_why(english):
    reasons = {label: [] for label in ("yes", "no", "_unknown_")}
    for _, label, reason in read_left_out(english):
        reasons[label].append(reason)
    assert len(reasons["yes"]) == 2
    assert any("nothing stands out" in reason for reason in reasons["yes"])
    assert any("not audio that can be read" in reason for reason in reasons["yes"])
    assert len(reasons["no"]) == 1
    assert "several words" in reasons["no"][0]


def test_refused_and_unheard_clips_are_never_taken(spoken, english):
    taken = {row["speaker"] for row in rows(english)}
    assert not taken & {"refused", "not yet", "noise", "two", "broken"}
    assert "one vote" in taken


def test_nobody_is_in_two_splits(english):
    collection = open_collection(english)
    of: dict[str, set[str]] = {}
    for item in collection.items:
        of.setdefault(item.speaker, set()).add(item.split)
    assert {len(splits) for splits in of.values()} == {1}
    assert {item.split for item in collection.items} == {"train", "validation", "test"}


def test_silence_is_silent_and_beside_the_word(english):
    words = {row["path"]: row for row in rows(english) if row["label"] != "_silence_"}
    for row in rows(english):
        if row["label"] == "_silence_":
            begin, end = float(row["begin"]), float(row["end"])
            word = words[row["path"]]
            assert end - begin == pytest.approx(1.0)
            assert end <= float(word["begin"]) or begin >= float(word["end"])
            samples, rate = soundfile.read(english / row["path"])
            assert abs(samples[round(begin * rate) : round(end * rate)]).max() < 0.01


def test_votes(spoken, tmp_path):
    folder = get.get("common-voice", tmp_path / "en", Options(words=YES_NO, min_votes=2), origin=spoken / ENGLISH)
    assert open_collection(folder).counts == {"no": 30, "yes": 30}


def test_limits_take_as_many_people_as_there_are(spoken, tmp_path):
    folder = get.get("common-voice", tmp_path / "en", Options(words=YES_NO, limit=10), origin=spoken / ENGLISH)
    collection = open_collection(folder)
    assert collection.counts == {"no": 10, "yes": 10}
    assert max(Counter((item.label, item.speaker) for item in collection.items).values()) == 1


def test_without_words_every_sentence_of_one_word(spoken, tmp_path, test_data):
    folder = get.get("common-voice", tmp_path / "en", origin=spoken / ENGLISH)
    assert open_collection(folder).counts == {"no": 30, "seven": 30, "six": 1, "stop": 30, "yes": 31}


def test_a_word_in_another_spelling_and_class(spoken, tmp_path):
    words = WordList({"YES": "agree", "no": "disagree", "stop": "disagree"})
    folder = get.get("common-voice", tmp_path / "en", Options(words=words, min_votes=2), origin=spoken / ENGLISH)
    assert open_collection(folder).counts == {"agree": 30, "disagree": 60}


def test_a_real_recording(spoken, tmp_path, test_data):
    folder = get.get("common-voice", tmp_path / "en", Options(words=WordList(["six"])), origin=spoken / ENGLISH)
    (row,) = rows(folder)
    assert float(row["begin"]) == pytest.approx(1.53, abs=0.1)
    assert float(row["end"]) == pytest.approx(2.19, abs=0.1)


def test_an_old_release_that_is_unpacked(tmp_path, test_data):
    """Its tables have other columns, and there is no validated.tsv."""
    shutil.copytree(test_data / "common-voice-some", tmp_path / "cv" / "en")
    folder = get.get("common-voice", tmp_path / "en", Options(words=WordList(["six"])), origin=tmp_path / "cv")
    assert read_manifest(folder / "manifest.csv", minimum_classes=1).counts == {"six": 1}


def test_from_the_folder_it_was_extracted_to(spoken, english, tmp_path):
    with tarfile.open(spoken / ENGLISH) as archive:
        archive.extractall(tmp_path / "extracted", filter="data")
    options = Options(language="en", words=YES_NO, unknown=20, silence=15)
    folder = get.get("common-voice", tmp_path / "en", options, origin=tmp_path / "extracted")
    assert {k: v for k, v in contents(folder).items() if k.startswith("yes/")} == {
        k: v for k, v in contents(english).items() if k.startswith("yes/")
    }


def packed_anew(archive: Path, path: Path, mode: str, tables: str) -> Path:
    """Write the members of an archive with its tables elsewhere among the clips."""
    with tarfile.open(archive) as old:
        members = [(info, old.extractfile(info).read()) for info in old if info.isfile()]
    clips = [member for member in members if not member[0].name.endswith(".tsv")]
    table_at = {"in front": 0, "in the middle": len(clips) // 2, "behind": len(clips)}[tables]
    clips[table_at:table_at] = [member for member in members if member[0].name.endswith(".tsv")]
    with tarfile.open(path, mode, **({"preset": 0} if mode == "w:xz" else {})) as new:  # pack quickly
        for info, content in clips:
            new.addfile(info, io.BytesIO(content))
    return path


def clips_of(spoken: Path, folder: Path, mode: str, tables: str, language: str | None) -> dict[str, str]:
    """Return the files of a data set, whose archive has its tables anywhere, and a hash of each."""
    options = Options(language=language, words=YES_NO, limit=12, unknown=20, silence=10)
    archive = packed_anew(spoken / ENGLISH, folder / f"{tables}.tar", mode, tables)
    found = contents(get.get("common-voice", folder / f"from {tables}", options, origin=archive))
    return {name: sha for name, sha in found.items() if "/" in name or name == "manifest.csv"}


@pytest.fixture(scope="module")
def clips_with_tables_in_front(spoken, tmp_path_factory):
    return {
        language: clips_of(spoken, tmp_path_factory.mktemp("front"), "w", "in front", language)
        for language in ("en", None)
    }


@pytest.mark.parametrize("language", ["en", None])
@pytest.mark.parametrize(
    ("mode", "tables"), [("w:gz", "in the middle"), ("w:gz", "behind"), ("w", "in the middle"), ("w:xz", "behind")]
)
def test_tables_may_be_anywhere(spoken, clips_with_tables_in_front, tmp_path, mode, tables, language):
    clips = clips_of(spoken, tmp_path, mode, tables, language)
    assert clips == clips_with_tables_in_front[language]
    assert len(clips) > 40


def test_with_the_table_in_front_the_clips_are_read_once(spoken, tmp_path, reads_of):
    archive = packed_anew(spoken / ENGLISH, tmp_path / "cv.tar", "w", "in front")
    files = reads_of(archive)
    get.get("common-voice", tmp_path / "en", Options(language="en", words=YES_NO), origin=archive)
    tables, clips = (sum(count for _, count in reads) for reads in files)
    assert tables <= 2 * CHUNK < clips == archive.stat().st_size


def test_the_single_words_of_a_language(spoken, tmp_path):
    folder = get.get("common-voice-single-word", tmp_path / "sw", Options(language="sw"), origin=spoken / WORDS)
    assert open_collection(folder).counts == {"hapana": 4, "ndiyo": 4}
    with pytest.raises(ConfigError, match="has no language 'de'; it has en, sw"):
        get.get("common-voice-single-word", tmp_path / "de", Options(language="de"), origin=spoken / WORDS)
    with pytest.raises(ConfigError, match="has several languages; choose one of en, sw"):
        get.get("common-voice-single-word", tmp_path / "x", origin=spoken / WORDS)


def test_words_that_are_not_there(spoken, tmp_path):
    with pytest.raises(ConfigError, match="has no clips of the words marvin"):
        get.get("common-voice", tmp_path / "x", Options(words=WordList(["marvin"])), origin=spoken / ENGLISH)
    assert not (tmp_path / "x").exists()


def test_an_archive_of_something_else(mirror, tmp_path):
    with pytest.raises(DataError, match=r"holds no validated\.tsv, so it is not a release of Common Voice"):
        get.get("common-voice", tmp_path / "x", origin=next(mirror.glob("free-spoken-digit*")))


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_converted(spoken, tmp_path, form):
    folder = get.get(
        "common-voice", tmp_path / "en", Options(words=YES_NO, limit=5), origin=spoken / ENGLISH, convert=form
    )
    assert "begin" not in rows(folder)[0]
    for row in rows(folder):
        assert row["path"].endswith(form)
        samples, rate = soundfile.read(folder / row["path"])
        assert rate == 16000
        assert len(samples) >= 16000
