"""``audioconv train``: what it writes, what it refuses, and that it can be interrupted anywhere."""

from __future__ import annotations

import csv
import errno
import inspect
import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from bursts_in_noise import words
from tones import RATE, TRAINING, write_manifest, write_tone, write_tones

from audioconv import architectures
from audioconv.cli import train as command
from audioconv.cli.train import ARCHITECTURES, _seconds, train
from audioconv.io import files
from audioconv.model import Model
from audioconv.recipe import plan, spoken_words
from audioconv.recipe.settings import Settings
from audioconv.training import progress
from audioconv.training.callbacks import EpochEnded
from audioconv.training.checkpoint import Checkpoint


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- what it writes ---


def test_writes_the_model_and_the_history(trained):
    assert names(trained) == {"model.safetensors", "history.csv", "checkpoint.safetensors"}
    assert Model.load(trained / "model.safetensors").labels == ("high", "low")
    with open(trained / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]


def test_says_how_it_went_and_what_to_type_next(call, trained_on, tmp_path):
    answer = call("train", trained_on, "-o", tmp_path / "out", *TRAINING)
    assert answer.code == 0
    assert "recordings, 2 classes" in answer.err
    assert answer.err.count("\nepoch ") == 4
    assert "trained on  12 clips of 2 classes" in answer.out
    assert "validation  " in answer.out
    assert "(6 clips, never trained on)" in answer.out
    assert f"audioconv classify {tmp_path}/out/model.safetensors" in answer.out
    assert f"audioconv evaluate {tmp_path}/out/model.safetensors {trained_on} --split test" in answer.out


def test_says_that_few_speakers_are_not_made_to_reject(call, tmp_path):
    folder = write_tones(tmp_path / "tones")
    rows = [f"{label}/{n}.wav,{label},speaker {n % 3}" for label in ("high", "low") for n in range(10)]
    (folder / "manifest.csv").write_text("\n".join(["path,label,speaker", *rows]))
    options = [option for option in TRAINING if option != "--no-reject"]
    answer = call("train", folder, "-o", tmp_path / "out", *options)
    assert "rejection   off (fewer than 20 speakers); --reject turns it on" in answer.out
    assert Model.load(tmp_path / "out/model.safetensors").labels == ("high", "low")
    asked = call("train", folder, "-o", tmp_path / "asked", *options, "--reject")
    assert "rejection   off" not in asked.out
    assert "_unknown_" in Model.load(tmp_path / "asked/model.safetensors").labels


def test_says_that_too_few_words_were_held_out_to_reject(call, tmp_path):
    options = [option for option in TRAINING if option != "--no-reject"]
    folder = write_tones(tmp_path / "tones")
    for file in folder.rglob("*.wav"):
        if int(file.stem) > 3:
            file.unlink()
    answer = call("train", folder, "-o", tmp_path / "out", *options, "--reject")
    assert "rejection   off (too few words were held out to choose a threshold; more clips, --folds 5" in answer.out


def test_json(call, trained_on, tmp_path):
    answer = call("train", trained_on, "-o", tmp_path / "out", *TRAINING, "--json")
    found = json.loads(answer.out)
    assert found["model"] == str(tmp_path / "out" / "model.safetensors")
    assert found["epochs"] == 4
    assert found["counts"]["test"] == {"high": 3, "low": 3}
    assert 0 <= found["test_accuracy"] <= 1


def test_without_test_rows_there_is_no_test(call, tones, tmp_path):
    answer = call("train", tones, "-o", tmp_path / "out", *TRAINING)
    assert answer.code == 0
    assert "never trained on" not in answer.out
    assert "evaluate" not in answer.out


def test_a_second_run_with_all_clips(call, tones, tmp_path):
    answer = call("train", tones, "-o", tmp_path / "out", *TRAINING, "--refit")
    assert "once more, with the clips that validated:" in answer.err
    assert names(tmp_path / "out") >= {"history.csv", "history-final.csv", "checkpoint-final.safetensors"}
    call("train", tones, "-o", tmp_path / "out", *TRAINING, "--force")
    assert names(tmp_path / "out") == {"history.csv", "model.safetensors", "checkpoint.safetensors"}


# --- what it begins with ---


@pytest.fixture
def recordings(rng, tmp_path):
    for number, (clip, label) in enumerate(zip(*words(rng), strict=True)):
        path = tmp_path / "words" / label / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, clip, 16000)
    return tmp_path / "words"


@pytest.mark.usefixtures("no_speech_embedding")
def test_few_words_begin_with_a_network_that_knows_others(call, recordings, tmp_path):
    answer = call("train", recordings, "-o", tmp_path / "out", "--epochs", 1, "--no-reject")
    assert "start       common-words-16k.safetensors" in answer.out
    assert "beginning with common-words-16k.safetensors" in call("info", tmp_path / "out").out


def test_they_begin_with_nothing_where_asked(call, recordings, tmp_path):
    answer = call("train", recordings, "-o", tmp_path / "out", "--epochs", 1, "--no-reject", "--init", "nothing")
    assert "start  " not in answer.out
    assert Model.load(tmp_path / "out/model.safetensors").provenance["began_with"] is None


def test_synthetic_voices_say_the_words_besides(call, recordings, tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'audioconv[synth]'")
    monkeypatch.setattr(spoken_words, "CLIPS_OF_A_WORD", 2)
    monkeypatch.setattr(spoken_words, "CLIPS_OF_ANOTHER", 1)
    answer = call("train", recordings, "-o", tmp_path / "out", "--epochs", 1, "--tts-language", "en")
    assert "synthetic voices say " in answer.err
    assert "synthetic   espeak-ng" in answer.out
    assert "(en): 2 clips of each word" in answer.out
    assert "synthetic   espeak-ng" in call("info", tmp_path / "out").out
    assert call("train", recordings, "-o", tmp_path / "no", "--tts-language", "en", "--no-reject").code == 2


@pytest.fixture
def talk(rng, tmp_path):
    """Return a folder of recordings with transcripts, in one of which a word of `recordings` is said, and a bad one."""
    folder = tmp_path / "talk"
    folder.mkdir()
    for number in range(5):
        soundfile.write(folder / f"{number}.flac", 0.1 * rng.standard_normal(32000), 16000)
    (folder / "bad.wav").write_text("no sound")
    (folder / "transcripts.csv").write_text("file,speaker,text\n0.flac,a,A LOW HILL\n1.flac,b,RAIN\n")
    (folder / "ATTRIBUTION.txt").write_text("Invented Talk, by nobody. Licence: CC0\n")
    return folder


QUICK = ["--arch", "tc-resnet8", "--epochs", 1]


def test_a_folder_of_negatives(call, recordings, talk, tmp_path):
    answer = call("train", recordings, "-o", tmp_path / "out", *QUICK, "--negatives", talk)
    assert answer.code == 0
    assert "reading 5 negative recordings" in answer.err
    assert "note: negatives: 4 recordings of talk, 0 min, 4 speakers; left out: 1 with one of the words" in answer.err
    assert "1 of 5 negative recordings could not be read:" in answer.err
    assert "bad.wav: not audio" in (tmp_path / "out" / "unreadable.txt").read_text()
    assert "negatives   4 recordings of talk" in answer.out
    shown = call("info", tmp_path / "out").out
    assert "4 recordings of talk" in shown
    assert "Invented Talk, by nobody. Licence: CC0" in shown
    assert call("train", recordings, "-o", tmp_path / "strict", *QUICK, "--negatives", talk, "--strict").code == 1
    again = call("train", recordings, "-o", tmp_path / "json", *QUICK, "--negatives", talk, "--json")
    [failure] = json.loads(again.out)["unreadable_negatives"]
    assert "bad.wav: not audio" in failure
    for more in (["--negatives", "none"], []):
        assert call("train", recordings, "-o", tmp_path / "out", *QUICK, "--force", "--resume", *more).code == 2
        different = call("train", recordings, "-o", tmp_path / "json", *QUICK, "--reject", "--resume", *more)
        assert (different.code, "this run was begun with" in different.error) == (2, True)


def test_the_negatives_of_the_environment(call, recordings, talk, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(talk))
    assert "negatives   4 recordings of talk" in call("train", recordings, "-o", tmp_path / "out", *QUICK).out
    without = call("train", recordings, "-o", tmp_path / "without", *QUICK, "--negatives", "none")
    assert (without.code, "negative" in without.err) == (0, False)
    monkeypatch.setenv("AUDIOCONV_NEGATIVES", str(tmp_path / "gone"))
    answer = call("train", recordings, "-o", tmp_path / "gone-out", *QUICK)
    assert answer.code == 1
    assert "AUDIOCONV_NEGATIVES:" in answer.error
    assert "gone: no such folder of recordings" in answer.error


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--negatives", "gone"], 1, "gone: no such folder of recordings to use as negatives"),
        (["--negatives", ""], 2, "negatives are a folder or a recording, 'auto' or 'none'; got an empty name"),
        (["--negatives", "talk", "--no-reject"], 2, "negatives need a classifier of sounds that learns to reject"),
        (["--negatives", "empty"], 1, "empty: holds no recordings to use as negatives"),
        (["--negatives", "words"], 1, "words: all 24 recordings are among those to train or test with"),
    ],
)
def test_negatives_that_cannot_be(call, recordings, talk, tmp_path, monkeypatch, options, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    answer = call("train", recordings, "-o", tmp_path / "out", *QUICK, *options)
    assert (answer.code, message in answer.error) == (code, True), answer.err
    assert not (tmp_path / "out" / "model.safetensors").exists()


def help_text(call) -> str:
    """Return the help of `train` as one line, without the frames of its tables."""
    return " ".join(call("train", "--help").out.replace("│", " ").split())


def test_the_help_tells_where_negatives_come_from(call):
    assert "FOLDER|auto|none" in help_text(call)
    assert "Default: auto" in help_text(call)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "EPOCHS",
            "Default: {EPOCHS}, from speech-embedding {EMBEDDING_EPOCHS}, from yamnet {YAMNET_EPOCHS}; more for few",
        ),
        ("BATCH_SIZE", "Default: {BATCH_SIZE}, from speech-embedding or yamnet {PUBLISHED_BATCH_SIZE}."),
        ("LEARNING_RATE", "Default: {LEARNING_RATE}, from speech-embedding or yamnet {PUBLISHED_LEARNING_RATE}."),
    ],
)
def test_the_help_tells_the_defaults_of_the_plan(call, name, told):
    constants = [constant for constant in vars(command) if constant.endswith(name)]
    assert len(constants) == told.count("{")
    for constant in constants:
        assert getattr(command, constant) == getattr(plan, constant)
    assert told.format(**vars(plan)) in help_text(call)


def test_half_a_false_accept_an_hour_is_the_default(call):
    assert Settings().false_accepts_per_hour == command.FALSE_ACCEPTS_PER_HOUR == 0.5
    assert "sets the threshold for streams. Default: 0.5." in help_text(call)
    assert Settings().false_accept_rate == command.FALSE_ACCEPT_RATE == 0.05
    assert "sets the threshold. Default: 0.05." in help_text(call)


def test_a_model_to_begin_with_that_is_not_there(call, recordings, tmp_path):
    answer = call("train", recordings, "-o", tmp_path / "out", "--init", tmp_path / "none.safetensors")
    assert answer.code == 1
    assert f"{tmp_path}/none.safetensors" in answer.err


def test_networks_that_decide_together(call, tones, tmp_path):
    answer = call("train", tones, "-o", tmp_path / "out", *TRAINING, "--ensemble-size", 2, "--refit")
    for again in ("", "once more, with the clips that validated, "):
        assert f"\n{again}network 1 of 2:\n" in answer.err
        assert f"\n{again}network 2 of 2:\n" in answer.err
    assert "ensemble    2 networks" in answer.out
    assert names(tmp_path / "out") >= {"checkpoint-2.safetensors", "checkpoint-final-2.safetensors"}
    call("train", tones, "-o", tmp_path / "out", *TRAINING, "--force")
    assert names(tmp_path / "out") == {"history.csv", "model.safetensors", "checkpoint.safetensors"}
    assert call("train", tones, "-o", tmp_path / "none", "--ensemble-size", 0).code == 2


def test_same_seed_same_bits(call, tones, tmp_path):
    for name in ("a", "b"):
        assert call("train", tones, "-o", tmp_path / name, *TRAINING, "--seed", 5).code == 0
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_pictures(call, tmp_path):
    image = pytest.importorskip("PIL.Image")
    for label, grey in (("dark", 30), ("light", 220)):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for n in range(6):
            image.new("L", (12, 10), grey + n).save(tmp_path / "pictures" / label / f"{n}.png")
    answer = call("train", tmp_path / "pictures", "-o", tmp_path / "out", "--epochs", 2, "--image-size", "8x9")
    assert answer.code == 0
    assert "12 pictures" in answer.err
    assert Model.load(tmp_path / "out/model.safetensors").input_shape == (8, 9, 1)


def test_options_are_those_of_the_classifier():
    assert architectures.NAMES == ARCHITECTURES
    defaults = {name: p.default for name, p in inspect.signature(train).parameters.items()}
    for name, value in Settings().get_params().items():
        assert (not defaults["no_augment"] if name == "augment" else defaults[name]) == value, name


# --- bad data ---


def test_unreadable_clips_are_skipped_and_listed(call, tones, tmp_path):
    (tones / "high" / "text.wav").write_text("this is no sound")
    (tones / "high" / "empty.wav").touch()
    (tones / "low" / "dangling.wav").symlink_to("nowhere")
    cut = write_tone(tones / "low" / "cut.wav", 300, seconds=2)
    cut.write_bytes(cut.read_bytes()[:5000])
    soundfile.write(tones / "low" / "nan.wav", np.full(900, np.nan), RATE, subtype="FLOAT")
    for n in range(8):
        (tones / ("low" if n < 4 else "high") / f"more{n}.wav").write_text("no sound either")
    # These are clips like others.
    soundfile.write(tones / "high" / "silent.wav", np.zeros(900), RATE)
    soundfile.write(tones / "high" / "one sample.wav", np.ones(1) / 2, RATE)
    soundfile.write(tones / "high" / "deep.wav", np.ones((900, 2)) / 2, 48000, subtype="PCM_24")

    answer = call("train", tones, "-o", tmp_path / "out", *TRAINING)
    assert answer.code == 0
    assert "13 of 36 files could not be read:" in answer.err
    assert "text.wav: not audio that can be read" in answer.err
    assert f"... and 3 more, all listed in {tmp_path}/out/unreadable.txt" in answer.err
    listed = (tmp_path / "out/unreadable.txt").read_text().splitlines()
    assert len(listed) == 13
    assert sum("nan.wav: holds NaN" in line for line in listed) == 1
    assert sum("cut.wav: cut off" in line for line in listed) == 1

    assert "files that cannot be read, by class: high 6 of 19, low 7 of 17" in answer.err

    answer = call("train", tones, "-o", tmp_path / "strict", *TRAINING, "--strict")
    assert answer.code == 1
    assert "empty.wav: is empty (0 bytes)" in answer.error


def empty(folder: Path) -> None:
    pass


def one_class(folder: Path) -> None:
    write_tone(folder / "yes" / "1.wav", 300)


def none_readable(folder: Path) -> None:
    for label in ("no", "yes"):
        (folder / label).mkdir()
        (folder / label / "1.wav").write_text("text")


def clips_without_folders(folder: Path) -> None:
    write_tone(folder / "1.wav", 300)


def manifest_without_label(folder: Path) -> None:
    (folder / "manifest.csv").write_text("path,word\na.wav,yes\n")


def manifest_of_missing_files(folder: Path) -> None:
    (folder / "manifest.csv").write_text("path,label\na.wav,yes\nb.wav,no\n")


def one_clip_a_class(folder: Path) -> None:
    write_tones(folder, count=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (empty, "holds no recordings and no pictures in subfolders"),
        (one_class, "has only one class, 'yes' (1 file)"),
        (none_readable, "none of the 2 files can be read"),
        (clips_without_folders, "are not in class folders"),
        (manifest_without_label, "the manifest has no column label"),
        (manifest_of_missing_files, "2 of 2 listed files do not exist (row 2: a.wav; row 3: b.wav)"),
        (one_clip_a_class, "none of 2 clips can be spared for validation"),
    ],
)
def test_unusable_data_is_one_line(call, tmp_path, make, message):
    (tmp_path / "data").mkdir()
    make(tmp_path / "data")
    answer = call("train", tmp_path / "data", "-o", tmp_path / "out", *TRAINING)
    assert (answer.code, answer.out) == (1, "")
    assert message in answer.error
    assert not (tmp_path / "out/model.safetensors").exists()


def test_a_class_with_one_clip(call, tones, tmp_path):
    write_tone(tones / "middle" / "1.wav", 700)
    assert call("train", tones, "-o", tmp_path / "out", *TRAINING).code == 0


def test_what_is_refused_leaves_no_empty_folder(call, tones, tmp_path):
    assert call("train", tones, "-o", tmp_path / "out", "--arch", "CNN").error.startswith(
        "there is no architecture 'CNN'; did you mean cnn"
    )
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    assert call("train", tones, "-o", tmp_path / "mine", "--front-end", "cqtt").error.endswith("; did you mean cqt?")
    assert (tmp_path / "mine").exists()


def test_no_such_folder(call, tmp_path):
    answer = call("train", tmp_path / "nowhere", "-o", tmp_path / "out")
    where = f"there is no 'nowhere' in {tmp_path}; give a folder with one subfolder per class, or a CSV manifest"
    assert (answer.code, answer.error) == (1, f"{tmp_path}/nowhere: no such folder or manifest; {where}")
    (tmp_path / "NoWhere").mkdir()
    assert call("train", tmp_path / "no-where", "-o", tmp_path / "out").error.endswith("; did you mean NoWhere?")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a b", 'it\'s "it"', "[red]yes[blue]", "naïve 🎤", os.fsdecode(b"caf\xe9")])
def test_any_name(call, tmp_path, name):
    data = tmp_path / name
    for n in range(6):
        write_tone(data / name / f"{name}{n}.wav", 1200, phase=n)
        write_tone(data / "low" / f"{name}{n}.wav", 300, phase=n)
    (data / "low" / f"{name}.wav").write_text("no sound")
    answer = call("train", data, "-o", tmp_path / f"out {name}", *TRAINING)
    assert answer.code == 0
    assert f"low/{files.display_path(name)}.wav: not audio" in answer.err
    model = tmp_path / f"out {name}" / "model.safetensors"
    assert Model.load(model).labels == tuple(sorted((files.display_path(name), "low")))
    assert call("train", data, "-o", model.parent, *TRAINING, "--resume", "--json").code == 0
    assert call("info", model).code == call("info", data).code == call("evaluate", model, data).code == 0


# --- bad options ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", 0], "'--epochs'"),
        (["--epoch", 3], "No such option: --epoch"),
        (["--arch", "cn"], "there is no architecture 'cn'; did you mean cnn?"),
        (["--front-end", "ear"], "unknown front end 'ear'"),
        (["--arch", "m5", "--front-end", "mfcc"], "takes raw samples"),
        (["--clip-seconds", -1], "longer than 0 seconds"),
        (["--learning-rate", 0], "got 0"),
        (["--validation-fraction", 0.9], "at most 0.5"),
        (["--image-size", "0x3"], "'0x3' is no size"),
        (["--resume", "--force"], "give one of them"),
    ],
)
def test_impossible_options(call, tones, tmp_path, options, message):
    answer = call("train", tones, "-o", tmp_path / "out", *options)
    assert answer.code == 2
    assert message in answer.error


def test_the_folder_cannot_be_made(call, tones, tmp_path):
    (tmp_path / "file").touch()
    answer = call("train", tones, "-o", tmp_path / "file" / "out")
    assert (answer.code, answer.error) == (1, f"{tmp_path}/file/out: the folder cannot be made (Not a directory)")


# --- what was good stays ---


def test_does_not_overwrite(call, trained, trained_on, tmp_path):
    out = Path(shutil.copytree(trained, tmp_path / "out"))
    before = (out / "model.safetensors").read_bytes()
    answer = call("train", trained_on, "-o", out, *TRAINING, "--seed", 1)
    assert answer.code == 2
    assert "there is a model already; go on with --resume, begin anew with --force" in answer.error
    assert (out / "model.safetensors").read_bytes() == before
    (out / "model.safetensors").unlink()
    assert "there is an interrupted run already" in call("train", trained_on, "-o", out, *TRAINING).error
    answer = call("train", trained_on, "-o", out, *TRAINING, "--seed", 1, "--resume")
    assert answer.code == 2
    assert "this run was begun with seed 0 (now 1)" in answer.error
    assert call("train", trained_on, "-o", out, *TRAINING, "--seed", 1, "--force").code == 0
    assert (out / "model.safetensors").read_bytes() != before


def test_force_keeps_what_is_there_until_there_is_something_new(call, trained, trained_on, tmp_path):
    out = Path(shutil.copytree(trained, tmp_path / "out"))
    assert call("train", trained_on, "-o", out, *TRAINING, "--force", "--arch", "cn").code == 2
    assert names(out) == names(trained)


@pytest.mark.parametrize("refit", ["--refit", "--no-refit"])
def test_interrupted_anywhere_then_the_same_bits(call, tones, tmp_path, monkeypatch, refit):
    """Press Ctrl-C after each epoch, again and again, until the run is through."""
    options = [*TRAINING, refit]
    assert call("train", tones, "-o", tmp_path / "whole", *options).code == 0
    shown = progress.ProgressBar.__call__

    def interrupt(bar, event):
        shown(bar, event)
        if isinstance(event, EpochEnded):
            raise KeyboardInterrupt

    out = tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(progress.ProgressBar, "__call__", interrupt)
        for epoch in range(8 if refit == "--refit" else 4):
            answer = call("train", tones, "-o", out, *options, *(["--resume"] if epoch else []))
            assert (answer.code, answer.error) == (1, "interrupted; go on with the same command and --resume")
    answer = call("train", tones, "-o", out, *options, "--resume")
    assert answer.code == 0
    assert "resuming after epoch 4 of 4" in answer.err
    assert (out / "model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("name", ["checkpoint.safetensors", "model.safetensors"])
def test_disk_full_or_interrupted_while_saving(call, trained, trained_on, tmp_path, monkeypatch, fault, name):
    """The third file of that name cannot be written; all goes on from the second, to the same bits."""
    out = tmp_path / "out"
    replace, written = os.replace, []

    def fail(source, target):
        written.append(Path(target).name)
        if written.count(name) == (3 if name.startswith("checkpoint") else 1):
            raise fault
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        answer = call("train", trained_on, "-o", out, *TRAINING)
    assert answer.code == 1
    if isinstance(fault, OSError):
        assert answer.error.startswith(f"{out / name}: could not be written (No space left on device)")
    assert names(out) == {"checkpoint.safetensors"}
    assert len(Checkpoint.load(out / "checkpoint.safetensors").history) == (2 if name.startswith("checkpoint") else 4)
    assert call("train", trained_on, "-o", out, *TRAINING, "--resume").code == 0
    assert (out / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_ctrl_c_in_a_process_of_its_own(spawn, tones, tmp_path):
    process = spawn("train", tones, "-o", tmp_path / "out", *TRAINING, "--epochs", 100_000)
    deadline = time.monotonic() + 120
    while not (tmp_path / "out/checkpoint.safetensors").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert err.endswith(b"audioconv: error: interrupted; go on with the same command and --resume\n")
    assert b"Traceback" not in err
    assert len(Checkpoint.load(tmp_path / "out/checkpoint.safetensors").history) >= 1


def test_a_damaged_checkpoint(call, trained, trained_on, tmp_path):
    out = Path(shutil.copytree(trained, tmp_path / "out"))
    (out / "checkpoint.safetensors").write_bytes((trained / "checkpoint.safetensors").read_bytes()[:1000])
    answer = call("train", trained_on, "-o", out, *TRAINING, "--resume")
    assert answer.code == 1
    assert "checkpoint.safetensors: truncated or damaged" in answer.error


def test_manifest_by_its_name(call, tones, tmp_path):
    manifest = write_manifest(tones) / "manifest.csv"
    assert call("train", manifest, "-o", tmp_path / "out", *TRAINING).code == 0


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("1.5h", 5400), ("20", 20), (" 2 m", 120)])
def test_times(text, seconds):
    assert _seconds(text) == seconds


@pytest.mark.parametrize("text", ["0", "5 minutes", "-3", "m", ""])
def test_no_times(text):
    with pytest.raises(typer.BadParameter, match="is no time; write it as 90s"):
        _seconds(text)


def test_old_names_of_options_work_for_a_release(call, tones, tmp_path):
    """They are not in the help; a line on standard error tells the present name."""
    answer = call("train", tones, "-o", tmp_path / "out", *TRAINING, "--members=2", "--false-accepts", 0.1, "--refit")
    assert answer.code == 0
    assert "--members is called --ensemble-size now" in answer.err
    assert "--false-accepts is called --false-accept-rate now" in answer.err
    assert "ensemble    2 networks" in answer.out
    help_ = call("train", "--help").out
    assert "--ensemble-size" in help_
    assert "--members" not in help_
    assert call("evaluate", tmp_path / "out", tones, "--outsiders", tmp_path / "missing.wav").code == 1
