"""The archives' own layouts: labels, speakers, and splits that mean something."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import shutil
import struct
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audioconv.datasets import catalogue, open_collection, speech_commands_split
from audioconv.datasets.build import get, mnist
from audioconv.datasets.build.layouts import Options, silence_items
from audioconv.datasets.build.sampling import Chooser
from audioconv.datasets.build.sentences import WordList
from audioconv.datasets.catalogue import Remote
from audioconv.datasets.splits import speaker_split
from audioconv.errors import ConfigError, DataError, MissingExtraError


def sound(seconds=0.2, rate=8000, form="WAV"):
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, round(seconds * rate)), rate, format=form)
    return file.getvalue()


def pack(path, contents):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def splits_of_speakers(folder):
    of = {}
    for item in open_collection(folder, minimum_classes=1).items:
        if item.speaker:
            of.setdefault(item.speaker, set()).add(item.split)
    return of


@pytest.fixture
def as_source(monkeypatch):
    """Let a name stand for other archives, of which nothing is known beforehand."""
    monkeypatch.delenv("AUDIOCONV_MIRROR", raising=False)

    def let(name, *urls):
        files = tuple(Remote(url) for url in urls)
        source = replace(catalogue.SOURCES[name], files=files, count=None, unpacked=0, content="")
        monkeypatch.setattr(catalogue, "SOURCES", {**catalogue.SOURCES, name: source})

    return let


# --- Speech Commands ---


@pytest.mark.slow
def test_the_hash_rule_on_the_real_names(test_data, tmp_path):
    """Of version 0.01 with these words, a tenth of the speakers validates; those that test were left out."""
    names = sorted(path.name for path in (test_data / "speech-commands-9").glob("*/*.flac"))
    by_rule = [speech_commands_split(name) for name in names]
    assert len(names) == 4983
    assert "test" not in by_rule
    # As the README of the data set has it, written down anew.
    for name, split in list(zip(names, by_rule, strict=True))[::50]:
        digest = hashlib.sha1(name.split("_nohash_")[0].encode()).hexdigest()
        percent = (int(digest, 16) % (2**27)) * (100.0 / (2**27 - 1))
        assert split == ("validation" if percent < 10 else "test" if percent < 20 else "train")
    folder = get.get("speech-commands", tmp_path / "sc", origin=test_data / "speech-commands-9")
    collection = open_collection(folder)
    assert len(collection) == 4983
    assert 0.09 < len(collection.select("validation")) / 4983 < 0.13
    assert {len(splits) for splits in splits_of_speakers(folder).values()} == {1}
    for split in ("official", "speaker"):
        few = get.get(
            "speech-commands", tmp_path / split, Options(limit=200, split=split), origin=test_data / "speech-commands-9"
        )
        assert {len(splits) for splits in splits_of_speakers(few).values()} == {1}


def test_speech_commands_with_lists_noise_and_other_words(tmp_path):
    words = ("yes", "no", "bed", "cat")
    contents = {"./README.md": b"x", "./validation_list.txt": b"yes/00f0204f_nohash_0.wav\n"}
    contents |= {f"./{word}/00f0204{letter}_nohash_0.wav": sound() for word in words for letter in "abcdef"}
    contents |= {"./_background_noise_/tap.wav": sound(20), "./_background_noise_/README.md": b"x"}
    contents |= {"./testing_list.txt": b"no/00f0204a_nohash_0.wav\n"}
    archive = pack(tmp_path / "sc.tar.gz", contents)
    options = Options(words=WordList(["yes", "no"]), unknown=5, silence=10, limit=4)
    folder = get.get("speech-commands", tmp_path / "sc", options, origin=archive)
    collection = open_collection(folder)
    assert collection.counts == {"_silence_": 10, "_unknown_": 5, "no": 4, "yes": 4}
    assert {path.parent.name for path in collection.paths if "_unknown_" in path.parts} == {"bed", "cat"}
    by_name = {item.path.parent.name + "/" + item.path.name: item for item in collection.items if item.begin is None}
    assert {name: item.split for name, item in by_name.items() if item.split != "train"}.keys() <= {
        "yes/00f0204f_nohash_0.wav", "no/00f0204a_nohash_0.wav",
    }  # fmt: skip
    parts = {split: [] for split in ("train", "validation", "test")}
    for item in collection.items:
        if item.label == "_silence_":
            parts[item.split].append((item.begin, item.end))
            assert item.end - item.begin == pytest.approx(1)
    assert max(end for _, end in parts["train"]) <= 16 <= min(begin for begin, _ in parts["validation"])
    assert max(end for _, end in parts["validation"]) <= 18 <= min(begin for begin, _ in parts["test"])
    # A folder without a manifest takes no noise for a class either.
    (folder / "manifest.csv").unlink()
    assert set(open_collection(folder).classes) == {"_unknown_", "no", "yes"}


def test_the_official_test(tmp_path):
    contents = {f"./{label}/{n:05}.wav": sound() for label in ("yes", "_silence_", "_unknown_") for n in range(3)}
    folder = get.get("speech-commands-test", tmp_path / "t", origin=pack(tmp_path / "t.tar.gz", contents))
    collection = open_collection(folder)
    assert collection.counts == {"_silence_": 3, "_unknown_": 3, "yes": 3}
    assert len(collection.select("test")) == 9


# --- FSDD ---


@pytest.mark.slow
def test_fsdd_by_speaker(mirror, tmp_path):
    official = get.get("fsdd", tmp_path / "official")
    assert all(splits == {"train", "test"} for splits in splits_of_speakers(official).values())
    folder = get.get("fsdd", tmp_path / "speaker", Options(split="speaker"))
    of = splits_of_speakers(folder)
    assert {len(splits) for splits in of.values()} == {1}
    assert {"train", "validation", "test"} == set.union(*of.values())
    assert len(open_collection(folder)) == 3000


# --- ESC ---


def esc_archive(path):
    rows = [["filename", "fold", "target", "category", "esc10", "src_file", "take"]]
    contents = {}
    for n in range(20):
        fold, category = n % 5 + 1, ("dog", "vacuum_cleaner")[n // 10]
        name = f"{fold}-{1000 + n}-A-{n // 10}.wav"
        rows.append([name, fold, n // 10, category, str(category == "dog"), 1000 + n // 2 * 2, "A"])
        contents[f"ESC-50-master/audio/{name}"] = sound()
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.writestr("ESC-50-master/meta/esc50.csv", text.getvalue())
        archive.writestr("ESC-50-master/tests/audio/x.wav", b"")
    return path


def test_esc_folds(tmp_path):
    archive = esc_archive(tmp_path / "esc.zip")
    tests = []
    for fold in range(1, 6):
        folder = get.get("esc-50", tmp_path / f"esc{fold}", Options(fold=fold), origin=archive)
        collection = open_collection(folder)
        assert collection.counts == {"dog": 10, "vacuum_cleaner": 10}
        for item in collection.items:
            of = int(item.path.name[0])
            assert item.split == {fold: "test", fold % 5 + 1: "validation"}.get(of, "train")
            assert item.licence == ("CC-BY-3.0" if item.label == "dog" else "CC-BY-NC-3.0")
        tests += [path.name for path in collection.select("test").paths]
    assert len(tests) == len(set(tests)) == 20
    ten = get.get("esc-10", tmp_path / "ten", origin=archive)
    assert open_collection(ten, minimum_classes=1).counts == {"dog": 10}
    licence = (tmp_path / "esc1" / "LICENCE.txt").read_text("utf-8")
    assert "NonCommercial" in licence
    with pytest.raises(ConfigError, match="the fold must be 1 to 5; got 6"):
        get.get("esc-50", tmp_path / "x", Options(fold=6), origin=archive)
    with pytest.raises(DataError, match=r"has no meta/esc50\.csv"):
        get.get("esc-50", tmp_path / "x", origin=pack(tmp_path / "no.tar.gz", {"audio/1-1-A-0.wav": sound()}))


# --- MSWC ---


def mswc(tmp_path, serve_files=False):
    rows = [["SET", "LINK", "WORD", "VALID", "SPEAKER", "GENDER"]]
    clips = {}
    opus = sound(0.3, 48000, "OGG")
    for word in ("yes", "no", "maybe"):
        for n in range(8):
            link = f"{word}/common_voice_en_{word}{n}.opus"
            speaker = f"speaker{n}" if n < 7 else "speaker0"
            rows.append([("TRAIN", "TRAIN", "DEV", "TEST")[n // 2], link, word, str(n != 7), speaker, "NAN"])
            clips[f"en/clips/{link}"] = opus
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    splits = pack(tmp_path / "mswc-splits-en.tar.gz", {"en/en_splits.csv": text.getvalue().encode()})
    audio = pack(tmp_path / "mswc-audio-en.tar.gz", clips)
    both = pack(tmp_path / "mswc.tar.gz", {**clips, "en/en_splits.csv": text.getvalue().encode()})
    return splits, audio, both


def test_mswc(tmp_path, monkeypatch):
    mswc(tmp_path)
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(tmp_path))
    options = Options(language="en", words=WordList(["yes", "no"]), unknown=4)
    folder = get.get("mswc", tmp_path / "out" / "en", options)
    collection = open_collection(folder)
    assert collection.counts == {"_unknown_": 4, "no": 7, "yes": 7}  # one of each is not valid
    assert {len(splits) for splits in splits_of_speakers(folder).values()} == {1}
    for item in collection.items:
        assert item.split == speaker_split(item.speaker)


def test_mswc_by_its_own_split(tmp_path):
    *_, both = mswc(tmp_path)
    collection = open_collection(get.get("mswc-micro", tmp_path / "x", Options("en", split="official"), origin=both))
    of = {item.path.stem: item.split for item in collection.items}
    assert [of[f"common_voice_en_yes{n}"] for n in range(7)] == [
        "train", "train", "train", "train", "validation", "validation", "test",
    ]  # fmt: skip


def test_the_microset(tmp_path):
    *_, both = mswc(tmp_path)
    folder = get.get("mswc-micro", tmp_path / "en", Options(language="en"), origin=both)
    assert open_collection(folder).counts == {"maybe": 7, "no": 7, "yes": 7}
    with pytest.raises(ConfigError, match="has no language 'fr'; it has en"):
        get.get("mswc-micro", tmp_path / "fr", Options(language="fr"), origin=both)


def test_a_table_that_lacks_columns(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", {"en/en_splits.csv": b"SET,LINK\n", "en/clips/a/b.opus": b""})
    with pytest.raises(DataError, match=r"en_splits\.csv: has no column WORD, VALID, SPEAKER; it has SET, LINK"):
        get.get("mswc-micro", tmp_path / "x", origin=archive)


# --- anything else ---


def test_any_archive_by_its_address(tmp_path, serve, monkeypatch):
    monkeypatch.delenv("AUDIOCONV_MIRROR", raising=False)
    contents = {f"my sounds/{split}/{label}/{n}.wav": sound() for split in ("train", "val", "Testing")
                for label in ("caf\u00e9", "b") for n in range(2)}  # fmt: skip
    contents |= {"my sounds/readme.txt": b"x", "my sounds/.hidden/x.wav": b""}
    archive = pack(tmp_path / "a.tar.gz", contents).read_bytes()

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(archive)))
        handler.end_headers()
        handler.wfile.write(archive)

    server = serve(archive, answer)
    folder = get.get(f"url:{server.url}", tmp_path / "x", sha256=hashlib.sha256(archive).hexdigest())
    collection = open_collection(folder)
    assert collection.counts == {"b": 6, "caf\u00e9": 6}
    assert len(collection.select("test")) == len(collection.select("validation")) == 4
    assert len(set(collection.paths)) == 12  # the same names in three folders
    assert get.kept_archives(folder) == []
    with pytest.raises(DataError, match="the content is not what was expected"):
        get.get(f"url:{server.url}", tmp_path / "y", sha256="0" * 64)
    with pytest.raises(ConfigError, match="the address has no file name at its end"):
        get.get("url:https://example.org/", tmp_path / "y")
    with pytest.raises(DataError, match="no such archive or folder"):
        get.get(str(tmp_path / "gone.zip"), tmp_path / "y")


def test_splits_of_any_archive_follow_the_rule_of_folders(tmp_path, caplog):
    flat = {f"ei-1/{split}/{label}.{n}x.wav": sound() for split in ("training", "testing") for label in ("a", "b")
            for n in range(2)}  # fmt: skip
    pack(tmp_path / "flat.tar.gz", flat)
    collection = open_collection(get.get(str(tmp_path / "flat.tar.gz"), tmp_path / "flat"))
    assert [(item.label, item.split) for item in collection.items] == [
        (label, split) for label in "ab" for _ in range(2) for split in ("test", "train")
    ]
    assert "the folders training and testing are splits" in caplog.text
    below = {f"x/{label}/{split}/{n}.wav": sound() for label in ("a", "b") for split in ("train", "test")
             for n in range(2)} | {"x/stray.wav": sound(), "x/_background_noise_/n.wav": sound(3.0)}  # fmt: skip
    pack(tmp_path / "below.tar.gz", below)
    collection = open_collection(get.get(str(tmp_path / "below.tar.gz"), tmp_path / "below"))
    assert collection.counts == {"a": 4, "b": 4}
    assert len(collection.select("test")) == 4
    assert (tmp_path / "below" / "_background_noise_" / "n.wav").is_file()
    assert "1 file is in no class folder and left out, such as x/stray.wav" in caplog.text
    pack(tmp_path / "beside.tar.gz", {f"train/{n}.wav": sound() for n in "ab"} | {"test/c.wav": sound()})
    with pytest.raises(DataError, match=r"beside\.tar\.gz: the folders train and test may be splits or classes"):
        get.get(str(tmp_path / "beside.tar.gz"), tmp_path / "beside")


def test_an_archive_with_a_name_twice(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            info = tarfile.TarInfo("x/a.wav")
            info.size = 4
            archive.addfile(info, io.BytesIO(b"RIFF"))
    with pytest.raises(DataError, match=r"the archive is refused, it has x/a\.wav twice"):
        get.get(str(tmp_path / "a.tar"), tmp_path / "y")
    assert not (tmp_path / "y").exists()


# --- pictures ---


def idx(array):
    header = b"\0\0\x08" + bytes([array.ndim]) + b"".join(struct.pack(">I", size) for size in array.shape)
    return gzip.compress(header + array.tobytes())


@pytest.fixture
def digits(tmp_path, monkeypatch, rng):
    folder = tmp_path / "mirror"
    folder.mkdir()
    files = []
    for prefix, count in (("train", 40), ("t10k", 20)):
        for kind, array in (
            ("images-idx3", rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)),
            ("labels-idx1", (np.arange(count) % 10).astype(np.uint8)),
        ):
            files.append(folder / f"mnist-{prefix}-{kind}-ubyte.gz")
            files[-1].write_bytes(idx(array))
    remotes = tuple(
        replace(remote, md5=None, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
        for remote, file in zip(catalogue.SOURCES["mnist"].files, files, strict=True)
    )
    monkeypatch.setattr(catalogue, "SOURCES", {"mnist": replace(catalogue.SOURCES["mnist"], files=remotes)})
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(folder))
    return files


def test_pictures(digits, tmp_path):
    pytest.importorskip("PIL")
    from PIL import Image

    folder = get.get("mnist", tmp_path / "m")
    collection = open_collection(folder)
    assert (collection.kind, len(collection), len(collection.select("test"))) == ("images", 60, 20)
    np.testing.assert_array_equal(
        np.asarray(Image.open(folder / "3" / "train-00013.png")), mnist.read_idx(digits[0])[13]
    )
    few = open_collection(get.get("mnist", tmp_path / "few", Options(words=WordList(["1", "7"]), limit=3)))
    assert few.counts == {"1": 3, "7": 3}
    digits[0].write_bytes(b"other")
    with pytest.raises(DataError, match="is not the file that mnist-train-images-idx3-ubyte"):
        get.get("mnist", tmp_path / "n")


@pytest.mark.parametrize(
    "content",
    [b"", b"text", gzip.compress(b"\0\0\x08\x01\0\0\0\x05ab"), gzip.compress(b"")],
    ids=["empty", "text", "cut", "nothing"],  # a compressed file has its time in it
)
def test_damaged_pictures(tmp_path, content):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.gz: .*get it again"):
        mnist.read_idx(tmp_path / "a.gz")


def test_pictures_without_the_extra(digits, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"audioconv\[images\]"):
        get.get("mnist", tmp_path / "m")


# --- choosing ---


def test_choosing_does_not_depend_on_the_order_of_speakers(rng):
    clips = [(f"s{n % 7}", f"clip{n}") for n in range(100)]
    kept = []
    for _ in range(3):
        chooser, names = Chooser(14), set()
        by_speaker = {s: [c for c in clips if c[0] == s] for s in {s for s, _ in clips}}
        for speaker in rng.permutation(sorted(by_speaker)):
            for of, name in by_speaker[speaker]:
                if chooser.would_keep("a", of, name):
                    names.add(name)
                    names.discard(chooser.keep("a", of, name))
        kept.append(names)
    assert kept[0] == kept[1] == kept[2]
    assert sorted({speaker: 0 for speaker, name in clips if name in kept[0]}) == [f"s{n}" for n in range(7)]
    assert len(kept[0]) == 14
    nothing = Chooser(0)
    assert not nothing.would_keep("a", "s", "n")


def test_silence_of_short_noises():
    assert silence_items([(Path("short.wav"), 3.0)], 10) == []
    items = silence_items([(Path("a.wav"), 60.0), (Path("b.wav"), 30.0)], 100)
    assert len(items) == 100
    assert len({(item.path, item.begin) for item in items}) == 100
    assert {item.split for item in items} == {"train", "validation", "test"}


def test_options_that_make_no_sense():
    with pytest.raises(ConfigError, match="which words are wanted"):
        Options(unknown=5)
    with pytest.raises(ConfigError, match="the split must be official or speaker"):
        Options(split="random")


def test_a_data_set_of_ones_own_made_smaller(tmp_path, test_data):
    shutil.copytree(test_data / "speech-commands-9" / "up", tmp_path / "mine" / "up")
    folder = get.get(str(tmp_path / "mine"), tmp_path / "out", Options(limit=10, split="speaker"))
    assert open_collection(folder, minimum_classes=1).counts == {"up": 10}
    assert {len(splits) for splits in splits_of_speakers(folder).values()} == {1}
