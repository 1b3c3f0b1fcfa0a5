"""Training with reviewed clips: what joins the classes, what becomes a negative, and what the model's file says."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import soundfile

import audioconv as ac
from audioconv.audio.negatives import NegativeSampler, WithRefused
from audioconv.datasets.heard import HeardClip, read_heard, write_heard
from audioconv.decision.classes import UNKNOWN
from audioconv.errors import ConfigError, DataError
from audioconv.model import Model
from audioconv.recipe import rejection, train
from audioconv.recipe.labelled import REVIEWED
from audioconv.recipe.reviewed import describe, read_reviewed
from audioconv.recipe.settings import Settings
from audioconv.training.callbacks import EpochEnded, Noted

RATE = 8000
QUICK = {"arch": "tc-resnet8", "epochs": 1, "batch_size": 32, "sample_rate": RATE, "augment": False, "refit": False}
FROM = {"low": 300.0, "high": 1500.0}


def rising(frequency: float, seconds: float, place: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise with half a second that rises by an octave, from `place` (s) on."""
    time = np.arange(RATE // 2) / RATE
    clip = 0.001 * rng.standard_normal(round(seconds * RATE))
    first = round(place * RATE)
    wave = np.sin(2 * np.pi * frequency * rng.uniform(0.95, 1.05) * (time + time**2)) * np.hanning(RATE // 2)
    clip[first : first + RATE // 2] += 0.3 * wave
    return clip.astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder of 16 clips of each of two words."""
    folder, rng = tmp_path_factory.mktemp("data") / "words", np.random.default_rng(0)
    for label, frequency in FROM.items():
        for n in range(16):
            (folder / label).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / label / f"{n}.wav", rising(frequency, 1.0, rng.uniform(0.1, 0.4), rng), RATE)
    return folder


def row(number: int, review: str, word: str = "", label: str = "high") -> HeardClip:
    return HeardClip(
        f"clips/{number:06}.flac", label, 0.6, 0.5, True, 10.0 * number, 10.0 * number + 0.8, 10.0 * number + 1.2,
        "2026-01-01T10:00:00+01:00", "microphone", review, word,
    )  # fmt: skip


REVIEWS = [
    ("confirmed", "high"), ("confirmed", "high"), ("corrected", "low"), ("refused", ""), ("refused", ""),
    ("refused", ""), ("skipped", ""), ("", ""), ("", ""), ("confirmed", "left"),
]  # fmt: skip


@pytest.fixture
def heard(tmp_path):
    folder, rng = tmp_path / "heard", np.random.default_rng(1)
    (folder / "clips").mkdir(parents=True)
    rows = [row(number, *review) for number, review in enumerate(REVIEWS)]
    for one in rows:
        samples = rising(FROM.get(one.word, 700.0), 2.0, 0.75, rng)
        soundfile.write(folder / one.path, samples, RATE, subtype="PCM_16")
    write_heard(folder, rows)
    return folder


def trained_on(data, *, notes: list[str] | None = None, **settings) -> ac.Classifier:
    def note(event: object) -> None:
        if notes is not None and isinstance(event, Noted):
            notes.append(event.message)

    return ac.Classifier.train(data, callbacks=[note], **{**QUICK, **settings})


# --- what is learned ---


def test_counts_and_provenance(data, heard, tmp_path):
    notes: list[str] = []
    before = trained_on(data)
    after = trained_on(data, reviewed=heard, notes=notes)
    counts = {name: dict(of) for name, of in before.report_.counts.items()}
    counts["train"]["high"] += 2
    counts["train"]["low"] += 1
    assert after.report_.counts == counts  # those that validate are the same
    after.save(tmp_path / "m.safetensors")
    provenance = Model.load(tmp_path / "m.safetensors").provenance
    answers = provenance["reviewed"].pop("answers")
    assert len(answers) == 16
    assert provenance["reviewed"] == {"name": "heard", "confirmed": 2, "corrected": 1, "refused": 3}
    assert provenance["settings"]["reviewed"] == "heard"
    assert "reviewed" not in before.model_.provenance
    assert (
        notes.count(
            "reviewed clips of heard: 2 confirmed, 1 corrected, 3 refused; left out: 1 skipped, 2 not reviewed, "
            "1 of words that are no classes of the data (left)"
        )
        == 1
    )
    assert ac.Classifier.load(tmp_path / "m.safetensors").reviewed == "heard"


def test_the_word_lies_in_the_middle_of_its_window(data, heard, monkeypatch):
    kept = []
    load = train.load

    def note(*arguments, **options):
        kept.append(load(*arguments, **options))
        return kept[0]

    monkeypatch.setattr(train, "load", note)
    trained_on(data, reviewed=heard)
    (examples,) = kept
    places = [n for n, split in enumerate(examples.splits) if split == REVIEWED]
    assert [examples.labels[n] for n in places] == ["high", "high", "low"]
    for place, number in zip(places, (0, 1, 2), strict=True):
        window = examples.x[place]
        clip, _ = soundfile.read(heard / "clips" / f"{number:06}.flac", dtype="float32")
        begin = len(clip) // 2 - len(window) // 2
        np.testing.assert_allclose(window, clip[begin : begin + len(window)], atol=1e-6)


def test_refused_clips_are_drawn_often(data, heard, monkeypatch):
    samplers = []

    class Noting(WithRefused):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            samplers.append(self)

    monkeypatch.setattr(rejection, "WithRefused", Noting)
    trained_on(data, reviewed=heard)
    (sampler,) = samplers  # none chooses the threshold
    assert len(sampler._clips) == 3
    # 16 words of a class less those that validate, 4 negatives for each; three clips, 8 times each, are no more
    # than a quarter of them.
    assert sampler._share == rejection.MAX_REFUSED_SHARE


def test_how_often_refused_clips_are_drawn():
    rng = np.random.default_rng(0)
    words = np.stack([rising(FROM[label], 1.0, 0.25, rng) for label in ("low", "high") * 200])
    codes = np.array([1, 0] * 200)
    refused = [np.full(2 * RATE, 0.5, np.float32), np.full(RATE // 2, -0.5, np.float32)]
    source = rejection.Rejection(Settings(), RATE, ["high", "low"], refused=refused)
    negatives = source.for_training(words, codes)
    assert negatives.count == 800
    assert negatives.sampler._share == pytest.approx(8 * 2 / 800)
    made = [negatives.clip(0, np.random.default_rng(n)) for n in range(3000)]
    long = sum((clip == 0.5).all() for clip in made)
    short = sum(clip.min() == -0.5 and (clip <= 0).all() for clip in made)
    assert long == pytest.approx(30, abs=18)
    assert short == pytest.approx(30, abs=18)
    plain = rejection.Rejection(Settings(), RATE, ["high", "low"])
    assert isinstance(plain.for_training(words, codes).sampler, NegativeSampler)
    calibration = source.for_calibration(words, codes), plain.for_calibration(words, codes)
    np.testing.assert_array_equal(*(one.clip(3) for one in calibration))


def test_what_was_refused_is_rejected(tmp_path, data):
    """A falling tone that the model takes for a word is none after one review."""
    rng = np.random.default_rng(3)
    steady = [
        (0.3 * np.sin(2 * np.pi * 2000 * np.arange(2 * RATE) / RATE + rng.uniform(0, 6))).astype(np.float32)
        for _ in range(12)
    ]
    folder = tmp_path / "steady"
    (folder / "clips").mkdir(parents=True)
    rows = [row(number, "refused") for number in range(6)]
    for one, samples in zip(rows, steady, strict=False):
        soundfile.write(folder / one.path, samples, RATE)
    write_heard(folder, rows)
    score = {}
    for reviewed in (None, folder):
        classifier = trained_on(data, reviewed=reviewed, epochs=15)
        unknown = classifier.model_.labels.index(UNKNOWN)
        clips = np.stack([samples[:RATE] for samples in steady[6:]])
        logits = classifier.model_.predict_logits(clips)
        others = np.delete(logits, unknown, axis=1).max(axis=1)
        score[reviewed] = float(np.mean(logits[:, unknown] - others))
    assert score[folder] > score[None] + 0.5
    assert score[folder] > 0


def test_only_refused_or_only_confirmed_clips(data, heard):
    rows = read_heard(heard)
    write_heard(heard, [one for one in rows if one.review == "refused"])
    assert trained_on(data, reviewed=heard).model_.provenance["reviewed"]["refused"] == 3
    write_heard(heard, rows[:2])
    assert trained_on(data, reviewed=heard).model_.provenance["reviewed"]["confirmed"] == 2


def test_refused_clips_turn_rejection_on_for_few_speakers(data, heard, tmp_path):
    lines = ["path,label,speaker"]
    lines += [f"{path},{path.parent.name},{int(path.stem) % 4}" for path in sorted(data.glob("*/*.wav"))]
    (tmp_path / "few.csv").write_text("\n".join(lines))
    assert UNKNOWN not in trained_on(tmp_path / "few.csv").model_.labels
    assert UNKNOWN in trained_on(tmp_path / "few.csv", reviewed=heard).model_.labels
    rows = [one for one in read_heard(heard) if one.review != "refused"]
    write_heard(heard, rows)
    # Clips of nobody known do not make the speakers many.
    assert UNKNOWN not in trained_on(tmp_path / "few.csv", reviewed=heard).model_.labels


def test_without_rejection_refused_clips_are_told_and_left_out(data, heard):
    notes: list[str] = []
    model = trained_on(data, reviewed=heard, reject=False, notes=notes).model_
    assert model.labels == ("high", "low")
    assert "3 refused clips are not learned from: the model does not learn to reject" in notes


def test_fit_takes_reviewed_clips_too(heard):
    rng = np.random.default_rng(0)
    labels = ["low", "high"] * 16
    clips = [rising(FROM[label], 1.0, 0.25, rng) for label in labels]
    before = ac.Classifier(**QUICK).fit(clips, labels)
    after = ac.Classifier(**QUICK, reviewed=heard).fit(clips, labels)
    assert after.report_.counts["train"] == {
        "high": before.report_.counts["train"]["high"] + 2,
        "low": before.report_.counts["train"]["low"] + 1,
    }
    assert after.report_.counts["validation"] == before.report_.counts["validation"]


def test_a_run_is_resumed_with_the_same_answers_only(data, heard, tmp_path):
    class StopError(Exception):
        pass

    def stop(event: object) -> None:
        if isinstance(event, EpochEnded):
            raise StopError

    def begin(**settings) -> None:
        with pytest.raises(StopError):
            ac.Classifier.train(data, checkpoints=tmp_path, callbacks=[stop], **{**QUICK, "epochs": 2, **settings})

    def resume(**settings) -> ac.Classifier:
        return ac.Classifier.train(data, checkpoints=tmp_path, resume=True, **{**QUICK, "epochs": 2, **settings})

    begin(reviewed=heard)
    first = resume(reviewed=heard)
    whole = trained_on(data, epochs=2, reviewed=heard)
    clips = np.random.default_rng(0).standard_normal((4, RATE)).astype(np.float32)
    np.testing.assert_array_equal(first.model_.predict_logits(clips), whole.model_.predict_logits(clips))
    begin(reviewed=heard)
    with pytest.raises(ConfigError, match=r"begun with .*reviewed\.name heard \(now not set\)"):
        resume()
    rows = read_heard(heard)
    write_heard(heard, [dataclasses.replace(one, review="") if one.path == rows[3].path else one for one in rows])
    with pytest.raises(ConfigError, match=r"begun with reviewed\.refused 3 \(now 2\)"):
        resume(reviewed=heard)
    # A checkpoint of a version without this setting.
    (tmp_path / "checkpoint.safetensors").unlink()
    begin()
    assert resume().report_ is not None


def test_progress_counts_reviewed_clips(data, heard):
    totals = []
    ac.Classifier.train(data, reviewed=heard, on_file=totals.append, **QUICK)
    assert totals == [32 + 3] * (32 + 3)


# --- what cannot be learned from ---


def test_missing_clips(data, heard):
    (heard / "clips" / "000007.flac").unlink()  # nobody has said what it is
    trained_on(data, reviewed=heard)
    for number in (0, 4):
        (heard / "clips" / f"{number:06}.flac").unlink()
    with pytest.raises(
        DataError, match=r"heard\.csv: 2 reviewed clips do not exist \(clips/000000.flac, clips/000004.flac\); restore"
    ):
        trained_on(data, reviewed=heard)


def test_damaged_clips_are_told(data, heard):
    for number in (0, 3):
        (heard / "clips" / f"{number:06}.flac").write_bytes(b"no sound")
    notes: list[str] = []
    classifier = trained_on(data, reviewed=heard, notes=notes)
    assert ["000000.flac" in str(failure) for failure in classifier.report_.failures] == [True]
    assert any("1 refused clips cannot be read, such as" in note and "000003.flac" in note for note in notes)


def test_folders_that_are_something_else(data, heard, tmp_path):
    with pytest.raises(
        DataError, match=r"holds no heard\.csv; audioconv listen MODEL --save FOLDER writes such a folder"
    ):
        trained_on(data, reviewed=tmp_path)
    write_heard(heard, [row(0, "skipped"), row(1, "")])
    with pytest.raises(DataError, match="none of its 2 clips has been reviewed; run audioconv review first"):
        trained_on(data, reviewed=heard)
    table = heard / "heard.csv"
    table.write_text(table.read_text().replace("0.6,0.5", "0.6,half", 1))
    with pytest.raises(DataError, match=r"heard\.csv: line 2 has the threshold 'half', expected a number from 0 to 1"):
        trained_on(data, reviewed=heard)


def test_pictures_have_no_reviewed_clips(heard):
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="reviewed clips need a classifier of sounds; leave them out"):
        ac.Classifier(epochs=1, reviewed=heard).fit(list(rng.random((20, 12, 12, 1))), ["a", "b"] * 10)


def test_a_digest_of_the_answers(heard):
    first = read_reviewed(heard, ["high", "low"]).about
    rows = read_heard(heard)
    write_heard(heard, rows[::-1])
    assert read_reviewed(heard, ["high", "low"]).about == first
    write_heard(heard, [dataclasses.replace(rows[0], word="low", review="corrected"), *rows[1:]])
    assert read_reviewed(heard, ["high", "low"]).about["answers"] != first["answers"]


@pytest.mark.parametrize("about", [None, 3, [], {}, {"confirmed": "many", "corrected": 1, "refused": 2}])
def test_other_things_in_a_models_file_are_not_described(about):
    assert describe(about) is None


# --- the command ---


def test_the_command_says_what_it_learned_from(data, heard, tmp_path, capsys):
    from audioconv.cli import run

    arguments = ["train", str(data), "--reviewed", str(heard), "--epochs", "1", "--arch", "tc-resnet8", "--no-augment"]
    assert run([*arguments, "-o", str(tmp_path / "a")]) == 0
    out, err = capsys.readouterr()
    assert "reviewed    2 confirmed, 1 corrected, 3 refused clips of heard" in out.splitlines()
    assert "note: reviewed clips of heard: 2 confirmed, 1 corrected, 3 refused; left out" in err
    assert run(["info", str(tmp_path / "a")]) == 0
    assert "reviewed    2 confirmed, 1 corrected, 3 refused clips of heard" in capsys.readouterr().out.splitlines()
    assert run([*arguments, "-o", str(tmp_path / "b"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reviewed"]["refused"] == 3
    assert run([*arguments[:2], "--reviewed", str(tmp_path), "-o", str(tmp_path / "c")]) == 1
    assert "holds no heard.csv" in capsys.readouterr().err
