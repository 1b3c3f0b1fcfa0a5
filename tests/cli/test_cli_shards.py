"""Parts of a task for job arrays: their results join to those of the whole."""

import csv
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tones import write_manifest, write_tone, write_tones

from audioconv.cli import run
from audioconv.cluster.shards import Shard
from audioconv.errors import ConfigError
from audioconv.model import Model
from audioconv.pipeline.score_table import read_scores

pytest.importorskip("soundfile")


@given(st.integers(0, 40), st.integers(1, 50))
def test_shards_join_to_the_whole(things, count):
    parts = [Shard(number, count).take(range(things)) for number in range(1, count + 1)]
    assert [thing for part in parts for thing in part] == list(range(things))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(st.text(st.characters(exclude_categories=())), st.integers(1, 9))
def test_each_name_is_in_one_shard(name, count):
    try:
        name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return  # no name of a file
    assert sum(Shard(number, count).has(name) for number in range(1, count + 1)) == 1


def test_the_shard_of_a_name_is_the_same_everywhere():
    assert [name for name in "abcdefgh" if Shard(1, 2).has(name)] == [
        name for name in "abcdefgh" if zlib.crc32(name.encode()) % 2 == 0
    ]


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "-1/4", "1/0", "1/4/2", "a/b", "1.0/4"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ConfigError, match=r"a shard is NUMBER/COUNT .* such as 2/8"):
        Shard.parse(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_manifest(write_tones(folder / "tones"))
    for n in range(3):
        write_tone(folder / "others" / f"{n}.wav", 2000, seconds=0.6, phase=n)
    (folder / "others" / "damaged.wav").write_bytes(b"no sound")
    arguments = ["--epochs", "2", "--batch-size", "8", "--clip-seconds", "0.25", "--reject", "--init", "nothing"]
    assert run(["train", str(folder / "tones"), "-o", str(folder / "model"), *arguments, "--negatives", "none"]) == 0
    return folder


def test_an_evaluation_in_shards(folder, tmp_path, capsys):
    command = ["evaluate", str(folder / "model"), str(folder / "tones")]
    negatives = ["--negatives", str(folder / "others")]
    capsys.readouterr()
    assert run([*command, *negatives, "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    for number in (1, 2, 3):
        assert run([*command, *negatives, "--shard", f"{number}/3", "--write-scores", str(tmp_path / f"{number}")]) == 0
    joined = tmp_path / "joined.csv"
    joined.write_bytes(b"".join((tmp_path / f"{number}").read_bytes() for number in (1, 2, 3)))
    capsys.readouterr()
    assert run([*command, "--read-scores", str(joined), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    del whole["speed"], found["speed"]
    assert found == whole


def test_a_table_of_scores_that_cannot_be_one(folder, tmp_path, capsys):
    command = ["evaluate", str(folder / "model"), str(folder / "tones")]
    table = tmp_path / "scores.csv"
    assert run([*command, "--write-scores", str(table)]) == 0
    labels = Model.load(folder / "model" / "model.safetensors").labels
    assert len(read_scores(table, labels)) == 20
    lines = table.read_text("utf-8").splitlines()
    for content, message in (
        ([], "is not a table of scores of this model"),
        (lines[1:], "and of shards the first one must come first"),
        ([*lines, "a,b"], f"line {len(lines) + 1}: needs {7 + len(labels)} fields, got 2"),
        ([lines[0], lines[1].replace(lines[1].split(",")[-1], "half")], "a number cannot be read"),
        ([lines[0]], "has no clips with a label"),
    ):
        table.write_text("\n".join(content), "utf-8")
        capsys.readouterr()
        assert run([*command, "--read-scores", str(table)]) == 1
        assert message in " ".join(capsys.readouterr().err.split())
    assert run([*command, "--shard", "1/2"]) == 2
    assert run([*command, "--shard", "21/21", "--write-scores", str(table)]) == 0
    assert run([*command, "--shard", "1/30", "--write-scores", str(table)]) == 1  # of 20 clips
    assert "part 1/30 of the rows is empty" in " ".join(capsys.readouterr().err.split())


def test_detections_in_shards(folder, tmp_path, capsys):
    recordings = tmp_path / "recordings"
    for n in range(5):
        write_tone(recordings / f"{n}.wav", 1200, seconds=1, phase=n)
    command = ["detect", str(folder / "model"), str(recordings), "--threshold", "0"]
    capsys.readouterr()
    assert run([*command, "--json", "--csv", str(tmp_path / "whole")]) == 0
    lines = capsys.readouterr().out
    joined, table = "", b""
    for number in range(1, 8):  # more parts than recordings
        assert run([*command, "--json", "--csv", str(tmp_path / "part"), "--shard", f"{number}/7"]) == 0
        joined += capsys.readouterr().out
        table += (tmp_path / "part").read_bytes()
    assert joined == lines
    rows = list(csv.reader((tmp_path / "whole").read_text().splitlines()))
    assert len(rows) > 1
    assert sorted(csv.reader(table.decode().splitlines())) == sorted(rows)


def test_synthetic_words_in_shards(tmp_path, capsys):
    pytest.importorskip("espeakng_loader", reason="needs the extras: pip install 'audioconv[synth]'")
    from audioconv.datasets import open_collection

    out = tmp_path / "words"
    for number in (2, 1, 3):
        assert run(["data", "make", "yes,no", "-o", str(out), "--clips", "10", "--shard", f"{number}/3"]) == 0
        assert (out / "manifest.csv").exists() == (number == 3)
    made = open_collection(out)
    assert made.counts == {"no": 10, "yes": 10}
    assert sum(item.split == "test" for item in made.items) == 4
    assert len({item.path.read_bytes() for item in made.items}) == 20


@pytest.mark.slow
def test_a_public_data_set_in_shards(mirror, tmp_path, monkeypatch):
    from audioconv.datasets import open_collection

    out = tmp_path / "fsdd"
    for number in (1, 2):
        words = ["data", "get", "fsdd", "-o", str(out), "--words", "3,7", "--shard", f"{number}/2"]
        assert run(words) == 0
    assert run(["data", "get", "fsdd", "-o", str(tmp_path / "whole"), "--words", "3,7"]) == 0
    joined, whole = open_collection(out), open_collection(tmp_path / "whole")

    def content(collection):
        return sorted((i.path.name, i.label, i.speaker, i.split, i.path.read_bytes()) for i in collection.items)

    assert content(joined) == content(whole)
    assert run(["data", "get", "fsdd", "-o", str(tmp_path / "few"), "--limit", "3", "--shard", "1/2"]) == 2
