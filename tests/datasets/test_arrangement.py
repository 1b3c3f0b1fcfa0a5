"""Folders as people have them: splits above the classes or below, classes in names, and what cannot be told."""

from __future__ import annotations

import pytest

from audioconv.datasets import open_collection
from audioconv.datasets.arrangement import split_of
from audioconv.datasets.folder import expand
from audioconv.errors import DataError


def opened(folder, *names, minimum_classes=2):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return open_collection(folder, minimum_classes=minimum_classes)


def told(collection):
    """Return the splits of each class."""
    splits = {}
    for item in collection.items:
        splits.setdefault(item.label, set()).add(item.split)
    return {label: sorted(of, key=str) for label, of in splits.items()}


def each(folders, classes=("no", "yes"), clips=2):
    return [f"{folder}/{label}/{n}.wav" for folder in folders for label in classes for n in range(clips)]


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "test"), ["test", "train"]),
        (("training", "testing"), ["test", "train"]),
        (("Train", "val", "TEST"), ["test", "train", "validation"]),
        (("train", "valid"), ["train", "validation"]),
        (("train", "dev", "test"), ["test", "train", "validation"]),
        (("train_set", "validation-set", "test data"), ["test", "train", "validation"]),
        (("train", "eval"), ["test", "train"]),
        (("train", "eval", "test"), ["test", "train", "validation"]),
        (("dev", "eval"), ["test", "train"]),
        (("test",), ["test"]),
        (("fold1", "fold2", "fold3", "fold10"), ["test", "train", "validation"]),
        (("Fold 1", "fold_2"), ["test", "train"]),
        (("fold1", "fold2", "test"), ["test", "train", "validation"]),
        (("fold1",), [None]),
    ],
)
def test_splits_above_the_classes(tmp_path, folders, splits):
    collection = opened(tmp_path, *each(folders))
    assert told(collection) == {"no": splits, "yes": splits}
    assert len(collection) == 4 * len(folders)
    assert len(collection.notes) == 1


def test_what_the_notes_say(tmp_path):
    assert opened(tmp_path / "a", *each(("train", "test"))).notes == ("the folders train and test are splits",)
    assert opened(tmp_path / "b", *each(("training", "val"))).notes == (
        "the folders training and val are splits (training: train, val: validation)",
    )
    collection = opened(tmp_path / "c", *each(f"fold{n}" for n in range(1, 11)))
    assert collection.notes == ("the 10 folders fold1 to fold10 are folds: fold10 tests, fold9 validates",)
    assert {item.path.parts[-3] for item in collection.select("test").items} == {"fold10"}
    assert {item.path.parts[-3] for item in collection.select("validation").items} == {"fold9"}


@pytest.mark.parametrize(
    ("name", "split"),
    [("train", "train"), ("Testing", "test"), ("val", "validation"), ("fold 3", "train"), ("testset", "test"),
     ("tests", None), ("trains", None), ("folder1", None), ("fold", None), ("data", None), ("", None)],
)  # fmt: skip
def test_names_of_splits(name, split):
    assert split_of(name) == split


def test_splits_below_the_classes(tmp_path):
    collection = opened(tmp_path, *each(("yes", "no"), ("train", "test")), "no/val/deep/x.wav")
    assert told(collection) == {"no": ["test", "train", "validation"], "yes": ["test", "train"]}
    assert collection.notes == ("below the classes the folders train, val and test are splits (val: validation)",)


def test_a_folder_around_the_splits(tmp_path):
    collection = opened(tmp_path, *each(("data/train", "data/test")), "data/test/go/.keep")
    assert told(collection) == {"no": ["test", "train"], "yes": ["test", "train"]}
    assert collection.left_out.empty == ("data/test/go",)
    (tmp_path / "one").mkdir()
    one = opened(tmp_path / "one", "yes/train/a.wav", "yes/test/b.wav", minimum_classes=1)
    assert told(one) == {"yes": ["test", "train"]}


def test_words_that_are_called_like_splits_are_classes(tmp_path):
    collection = opened(tmp_path, "train/a.wav", "bus/b.wav", "test/c.wav", "test/2024/d.wav")
    assert told(collection) == {"bus": [None], "test": [None], "train": [None]}
    assert collection.notes == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((*each(("train", "test")), "extra/a.wav"),
         r"the folder test has the name of a split and folders like classes in it \(no, yes\), "
         r"but the folder extra beside it is no split; move"),
        (("train/a.wav", "train/b.wav", "test/a.wav"),
         r"the folders test and train may be splits or classes: .* \(a\.wav, \.\.\.\) do not begin with a class"),
        (("fold1/a.wav", "fold2/b.wav"), "the folders fold1 and fold2 may be splits or classes"),
        ((*each(("train",)), "test/1.wav"),
         r"the folder train is a split with a folder for each class, but the folder test has none"),
        (("train/a/1.wav", "train/b/1.wav", "test/c/1.wav"),
         r"the folders test and train have the names of splits, but no class in common \(test: c; train: a, b\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_apart(tmp_path, names, message):
    with pytest.raises(DataError, match=message):
        opened(tmp_path, *names)


def named(folder, *labels, clips=3):
    return [f"{folder}{label}.{n}ab.wav" for label in labels for n in range(clips)]


def test_edge_impulse(tmp_path):
    names = [*named("training/", "yes", "no", "Noise"), *named("testing/", "yes", "no")]
    collection = opened(tmp_path / "two", *names, "training/info.labels")
    assert told(collection) == {"Noise": ["train"], "no": ["test", "train"], "yes": ["test", "train"]}
    assert collection.notes[:2] == (
        "the folders training and testing are splits (training: train, testing: test)",
        "the class of each file is taken from its name, up to the first dot (label.name.wav)",
    )
    flat = opened(tmp_path / "flat", *named("", "0", "1", clips=2), "0.0a7c2a8d_nohash_0.wav")
    assert told(flat) == {"0": [None], "1": [None]}
    assert flat.speakers == ["0a7c2a8d", None, None, None, None]
    with pytest.raises(DataError, match=r"its files \(2023\.05\.wav, \.\.\.\) are not in class folders"):
        opened(tmp_path / "dates", "2023.05.wav", "2023.06.wav", "2024.05.wav", "2024.06.wav")
    with pytest.raises(DataError, match="are not in class folders"):
        opened(tmp_path / "take", "yes.1.wav", "no.1.wav", "go.1.wav", "yes.2.wav")
    with pytest.raises(DataError, match="may be splits or classes"):
        opened(tmp_path / "mixed", *named("train/", "yes", "no"), "test/a.wav")


def test_urban_sound(tmp_path):
    names = [f"fold{n}/10{n}{label}-{label}-0-{n}.wav" for n in range(1, 5) for label in (0, 3)]
    collection = opened(tmp_path, *names)
    assert told(collection) == {label: ["test", "train", "validation"] for label in "03"}
    assert set(collection.speakers) == {f"10{n}{label}" for n in range(1, 5) for label in (0, 3)}
    assert "the class of each file is the second number in its name" in collection.notes[1]
    whole = opened(tmp_path / "Urban", *(f"audio/{name}" for name in names), "metadata/Urban.csv")
    assert told(whole) == told(collection)
    with pytest.raises(DataError, match="has only one class, '3'"):
        opened(tmp_path / "one", "fold1/1-3-0-0.wav", "fold2/2-3-0-0.wav")


def test_speakers_above_classes_stay_classes_with_a_note(tmp_path):
    collection = opened(tmp_path, *each(("anna", "bert")))
    assert collection.classes == ("anna", "bert")
    assert collection.notes == (
        "the folders anna and bert are the classes; the folders no and yes in several of them are not. "
        "If it is the other way round, list the files in a manifest with the columns path,label,speaker",
    )


def test_noise_beside_the_classes_is_none(tmp_path):
    collection = opened(
        tmp_path, *each(("train", "test")), "train/_background_noise_/a.wav", "_background_noise_/b.wav"
    )
    assert collection.classes == ("no", "yes")
    assert collection.left_out.empty == ()


# --- nothing vanishes ---


def test_what_is_left_out_is_counted(tmp_path):
    (tmp_path / "go").mkdir(parents=True)
    (tmp_path / "go" / "a").write_bytes(b"OggS and more")
    (tmp_path / "go" / "b.dat").write_bytes(b"\x1a\x45\xdf\xa3 and more")
    (tmp_path / "go" / "Makefile").write_text("all:")
    collection = opened(tmp_path, "yes/a.wav", "no/b.wav", "go/c.vox", "go/d.VOX", "yes/notes.txt", "yes/x.TextGrid",
                        "no/Thumbs.db", "no/b.txt", ".git/x.vox", "stray.wav", "docs/read.me")  # fmt: skip
    left_out = collection.left_out
    assert [tuple(one) for one in left_out.unread] == [("go", "", 1), ("go", ".dat", 1), ("go", ".vox", 2)]
    assert dict(left_out.others) == {"": 1, ".db": 1, ".me": 1, ".textgrid": 1, ".txt": 2}
    assert (left_out.stray, left_out.empty) == (("stray.wav",), ("docs", "go"))
    assert collection.notes == left_out.notes == (
        "4 recordings or pictures are not read, because names with such endings are not: .vox (2), none (1), .dat (1); "
        "convert them, say to WAV",
        "2 folders have no file that is read, and are no classes: docs, go",
        "1 file beside the class folders is left out: stray.wav",
        "6 files with other endings were left out: .txt (2), none (1), .db (1), .me (1), .textgrid (1)",
    )  # fmt: skip


def test_folders_of_recordings_to_use_lose_none_without_a_word(tmp_path, caplog):
    for name in ("a.wav", "b.vox", "c.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in expand([tmp_path], "audio")] == ["a.wav"]
    assert caplog.messages == [
        f"{tmp_path}: 1 recording or picture is not read, because names with such endings are not: .vox (1); "
        "convert it, say to WAV"
    ]
    (tmp_path / "a.wav").unlink()
    with pytest.raises(DataError, match=r"holds no recordings that are read; 1 recording or picture .*\.vox \(1\)"):
        list(expand([tmp_path], "audio"))
    (tmp_path / "b.vox").unlink()
    with pytest.raises(DataError, match=r"holds no recordings; give recordings, or a folder of them$"):
        list(expand([tmp_path], "audio"))


def test_an_empty_class_below_a_split(tmp_path):
    (tmp_path / "train" / "go").mkdir(parents=True)
    (tmp_path / "val").mkdir()
    collection = opened(tmp_path, *each(("train", "test")), "test/go/a.wav")
    assert collection.left_out.empty == ("train/go", "val")


def test_one_class_is_left_and_the_error_says_why(tmp_path):
    with pytest.raises(DataError, match=r"only one class, 'yes' .*; 2 recordings or pictures are not .*\.vox \(2\)"):
        opened(tmp_path / "a", "yes/a.wav", "no/b.vox", "no/c.vox")
    with pytest.raises(DataError, match=r"holds no recordings .*; 1 recording or picture is not read.*\.vox \(1\)"):
        opened(tmp_path / "b", "yes/b.vox")


# --- one class under several names ---


def test_labels_that_differ_in_case_and_spaces_are_one_class(tmp_path):
    assert opened(tmp_path / "blank", " /1.wav", "yes /2.wav").classes == (" ", "yes")
    collection = opened(tmp_path / "x", "Yes/1.wav", "yes/2.wav", "yes/3.wav", "no/4.wav", "NO/5.wav", "no /6.wav",
                        "caf\u00e9/7.wav", "cafe\u0301/8.wav", "Ma\u00df/9.wav", "Mass/10.wav")  # fmt: skip
    assert collection.counts == {"Mass": 1, "Ma\u00df": 1, "caf\u00e9": 2, "no": 3, "yes": 3}
    assert collection.notes == ("'NO' and 'no' are one class, 'no'", "'Yes' and 'yes' are one class, 'yes'")
