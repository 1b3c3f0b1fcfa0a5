"""Training with a bank of real read speech: words and sounds, from `train` to `classify` and `info`."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import soundfile

from audioconv.cli import run
from audioconv.model import Model
from audioconv.recipe import deciding, rejection, setup
from audioconv.recipe.transcripts import words_of

pytestmark = pytest.mark.slow

WORDS, CLIPS = ("go", "one", "up"), 14
OF_WORDS = ("--epochs", "2", "--validation-fraction", "0.25")
SOUNDS, SECONDS = ("chainsaw", "fire_crackling", "helicopter", "rain", "sea_waves"), 3.0
OF_SOUNDS = ("--arch", "tc-resnet8", "--sample-rate", "8000", "--epochs", "3", "--batch-size", "16")
TESTED_SPEAKER = "1089"
ATTRIBUTION = "LibriSpeech, CC BY 4.0"


@pytest.fixture(scope="module")
def speech(test_data) -> list[dict[str, str]]:
    """Return what is said in recordings of read speech, and who speaks."""
    with open(test_data / "librispeech-some" / "transcripts.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def bank(test_data, speech, tmp_path_factory) -> Path:
    """Return a bank of some minutes by seven speakers, with transcripts and the word "one" among them."""
    folder = tmp_path_factory.mktemp("bank") / "talk"
    folder.mkdir()
    rows = [row for row in speech if row["speaker"] != TESTED_SPEAKER][::2]
    for row in rows:
        shutil.copyfile(test_data / "librispeech-some" / row["file"], folder / row["file"])
    with open(folder / "transcripts.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["file", "speaker", "text"], extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    (folder / "ATTRIBUTION.txt").write_text(ATTRIBUTION)
    return folder


@pytest.fixture(scope="module")
def words(test_data, tmp_path_factory) -> Path:
    """Return some clips of three words by many speakers."""
    folder = tmp_path_factory.mktemp("words")
    for word in WORDS:
        (folder / word).mkdir()
        for clip in sorted((test_data / "speech-commands-9" / word).iterdir())[: 3 * CLIPS : 3]:
            shutil.copy(clip, folder / word)
    return folder


@pytest.fixture(scope="module")
def printed(words, bank, tmp_path_factory) -> tuple[str, Path]:
    """Return what `train` printed of words with the bank, and its folder."""
    out = tmp_path_factory.mktemp("trained") / "model"
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("audioconv.cli.training_run.write", lambda text="", **_: lines.append(text))
        assert run(["train", str(words), "-o", str(out), *OF_WORDS, "--negatives", str(bank)]) == 0
    return "\n".join(lines), out


def test_the_false_accepts_an_hour_are_printed_at_the_end(printed):
    text, _ = printed
    found = re.search(
        r"rejection   in streams below [\d.]+; ([\d.]+)% of the validation words are found, "
        r"with no false accept in (\d+) min of negatives \(extrapolated: ([\d.]+) an hour\)",
        text,
    )
    assert found is not None, text
    assert float(found[1]) <= 100
    assert int(found[2]) >= 1
    assert float(found[3]) <= 0.5
    assert re.search(r"rejection   below a score of [\d.]+; .* of the hardest negatives are above it", text)


def test_the_model_has_gate_and_curve(printed):
    decision = Model.load(printed[1] / "model.safetensors").decision
    assert decision.gate is not None
    assert decision.curve.negative_clips == round(deciding.HARDEST * rejection.CALIBRATION_NEGATIVES)
    assert decision.stream_threshold == (decision.curve.threshold_for_rate(0.5) or 1.0)


def test_utterances_with_the_words_are_left_out_and_the_model_names_the_makers(printed, bank, speech, call):
    files = {path.name for path in bank.glob("*.flac")}
    with_words = [row for row in speech if row["file"] in files and {*words_of(row["text"])} & {*WORDS}]
    about = Model.load(printed[1] / "model.safetensors").provenance["negatives"]
    assert len(with_words) > 0
    assert about["left_out"] >= len(with_words)  # more with espeak-ng, which knows homophones
    assert about["recordings"] == about["transcribed"] == len(files) - about["left_out"]
    assert (about["name"], about["speakers"], about["attribution"]) == ("talk", 7, ATTRIBUTION)
    assert f"negatives   {about['recordings']} recordings of talk" in printed[0]
    assert ATTRIBUTION in call("info", printed[1]).out


def test_clips_and_speech_are_classified(printed, words, test_data, speech, call):
    clips = [path for word in WORDS for path in sorted((words / word).iterdir())[:4]]
    clips += [test_data / "librispeech-some" / row["file"] for row in speech if row["speaker"] == TESTED_SPEAKER][:4]
    found = [json.loads(line) for line in call("classify", printed[1], *clips, "--json").out.splitlines()]
    assert len(found) == len(clips)
    assert {one["nearest"] for one in found} <= {*WORDS}
    assert {one["label"] for one in found} <= {*WORDS, None}


# --- sounds ---


def test_a_model_of_sounds_rejects_speech(test_data, bank, speech, call, tmp_path, monkeypatch):
    for label in SOUNDS:
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for path in sorted((test_data / "esc-10" / label).glob("*.ogg")):
            samples, rate = soundfile.read(path, frames=round(SECONDS * soundfile.info(path).samplerate))
            soundfile.write(tmp_path / "sounds" / label / f"{path.stem}.wav", samples, rate)
    made = []

    class Remembered(rejection.Rejection):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(setup, "Rejection", Remembered)
    out = tmp_path / "model"
    answer = call("train", tmp_path / "sounds", "-o", out, *OF_SOUNDS, "--negatives", bank)
    assert answer.code == 0, answer.err
    assert f"note: window of {SECONDS:g} s" in answer.err
    [one] = made
    assert one._of_sounds
    assert one._to_train.segments == (), "negatives are windows of the recordings, not segments"
    model = Model.load(out / "model.safetensors")
    assert model.decision.gate is not None
    assert model.decision.curve is not None
    talk = [test_data / "librispeech-some" / row["file"] for row in speech if row["speaker"] == TESTED_SPEAKER][:10]
    found = [json.loads(line)["label"] for line in call("classify", out, *talk, "--json").out.splitlines()]
    assert found.count(None) >= 5, found
    assert "none of these" in call("classify", out, talk[found.index(None)]).out
