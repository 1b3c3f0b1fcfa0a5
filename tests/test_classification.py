"""What whole recordings are classified as: the best window of words, the mean over sounds, in memory or not."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import soundfile

from audioconv.audio.read import OpenRecording, Segment
from audioconv.decision.decision import Decision
from audioconv.errors import DataError
from audioconv.pipeline import recording_pieces
from audioconv.pipeline.inputs import AudioInput
from audioconv.pipeline.predict import decisive_clip, score_examples, score_files, score_recording
from audioconv.recipe.choose_input import choose_audio_input

RATE = 8000


@dataclass
class Loudness:
    """A model that takes a window for a word by its loudness: "loud", with the probability 10 times the amplitude."""

    labels: tuple[str, ...] = ("loud", "soft")
    decision: Decision = field(default_factory=lambda: Decision(threshold=0.5))
    front_end: None = None
    seen: int = 0

    def predict(self, windows):
        self.seen = max(self.seen, len(windows))
        loud = np.clip(10 * np.abs(windows).mean(axis=1), 0, 1)
        return np.stack([loud, 1 - loud], 1).astype(np.float32)

    def decide(self, probabilities):
        return self.decision.decide(self.labels, probabilities)


def source(content):
    made = choose_audio_input("cnn", [RATE], 1.0, sample_rate=RATE, content=content)
    assert made.content == content
    return made


def steady(levels):
    """Return a second at each of the amplitudes."""
    return np.concatenate([np.full(RATE, level) * np.resize([1, -1], RATE) for level in levels]).astype(np.float32)


def test_sounds_are_the_mean_over_all_windows():
    (scored,) = score_examples(Loudness(), source("sounds"), [steady([0.01, 0.05, 0.09, 0.01])])
    np.testing.assert_allclose(scored.probabilities, [0.4, 0.6], atol=1e-6)
    assert [(one.begin, one.end) for one in scored.windows] == [(0, 1), (2, 3), (3, 4)]


def test_a_long_recording_of_words_is_its_best_window():
    samples = steady([0.01, 0.01, 0.09, 0.01, 0.07, 0.01])
    (scored,) = score_examples(Loudness(), source("words"), [samples])
    np.testing.assert_allclose(scored.probabilities[0], 0.9, atol=0.01)
    # What is accepted comes first, and windows that are nearly the same are told once.
    assert {round(one.begin) for one in scored.windows} >= {2}
    assert all(later.begin - one.begin >= 0.5 for one, later in zip(scored.windows, scored.windows[1:], strict=False))


@pytest.mark.parametrize("content", ["words", "sounds"])
def test_short_recordings_have_no_windows(content):
    model = Loudness()
    for seconds in ([0.05], [0.05, 0.05]):
        (scored,) = score_examples(model, source(content), [steady(seconds)])
        assert scored.windows == ()
        np.testing.assert_allclose(scored.probabilities, [0.5, 0.5], atol=0.01)


def test_one_clear_word_in_a_longer_recording_is_one_window(rng):
    samples = rng.normal(0, 1e-4, 4 * RATE).astype(np.float32)
    samples[2 * RATE : 2 * RATE + 4000] += 0.2 * np.hanning(4000) ** 0.5 * rng.normal(size=4000)
    (scored,) = score_examples(Loudness(), source("words"), [samples])
    (window,) = scored.windows
    assert window.begin + 0.5 == pytest.approx(2.25, abs=0.05)


@pytest.mark.parametrize("content", ["words", "sounds"])
def test_a_file_in_pieces_is_what_it_is_in_memory(content, tmp_path, rng, monkeypatch):
    levels = rng.uniform(0.001, 0.1, 40)
    samples = steady(levels)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    model = Loudness()
    (whole,) = score_files(model, source(content), [tmp_path / "a.wav"])
    with open(tmp_path / "a.wav", "rb") as file:
        upload = OpenRecording(file, "an upload", (tmp_path / "a.wav").stat().st_size)
        opened = score_recording(model, source(content), upload)
        np.testing.assert_array_equal(opened.probabilities, whole.probabilities)
        assert len(opened.windows) == len(whole.windows) > 0
        with monkeypatch.context() as shorter:
            shorter.setattr(recording_pieces, "PIECE_SECONDS", 5.0)
            opened = score_recording(model, source(content), upload)
        np.testing.assert_allclose(opened.probabilities, whole.probabilities, atol=1e-6)
    monkeypatch.setattr(recording_pieces, "PIECE_SECONDS", 5.0)
    (pieces,) = score_files(model, source(content), [tmp_path / "a.wav"])
    np.testing.assert_allclose(pieces.probabilities, whole.probabilities, atol=1e-6)
    assert [round(one.begin) for one in pieces.windows] == [round(one.begin) for one in whole.windows]
    (in_memory,) = score_examples(model, source(content), [samples])
    np.testing.assert_allclose(in_memory.probabilities, whole.probabilities, atol=1e-6)


def test_files_that_cannot_be_read_keep_their_place(tmp_path):
    soundfile.write(tmp_path / "a.wav", steady([0.09]), RATE)
    (tmp_path / "b.wav").touch()
    first, second, third = score_files(
        Loudness(), source("words"), [tmp_path / name for name in ("a.wav", "b.wav", "a.wav")]
    )
    assert isinstance(second, DataError)
    np.testing.assert_array_equal(first.probabilities, third.probabilities)
    with pytest.raises(DataError, match=r"b\.wav: is empty"):
        list(score_files(Loudness(), source("words"), [tmp_path / "b.wav"], strict=True))


def test_what_is_damaged_behind_its_first_minute_is_that_files_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(recording_pieces, "PIECE_SECONDS", 2.0)
    soundfile.write(tmp_path / "a.wav", steady([0.09] * 12), RATE)
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) * 2 // 3])
    found, fine = score_files(Loudness(), source("words"), [tmp_path / "cut.wav", tmp_path / "a.wav"])
    assert isinstance(found, DataError)
    assert "cut off" in str(found)
    assert fine.windows


def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    soundfile.write(tmp_path / "a.wav", steady([0.09]), RATE)
    model = Loudness()
    assert len(list(score_files(model, source("words"), [tmp_path / "a.wav"] * 300))) == 300
    assert model.seen <= 256


def test_by_default_short_windows_are_of_words():
    front_end = source("words").front_end
    assert AudioInput(front_end, RATE).content == "words"
    assert AudioInput(front_end, 5 * RATE).content == "sounds"


# --- the window that an answer rests on ---


@pytest.mark.parametrize("in_pieces", [False, True])
def test_an_answer_of_words_rests_on_the_best_window(in_pieces, tmp_path, monkeypatch):
    if in_pieces:
        monkeypatch.setattr(recording_pieces, "PIECE_SECONDS", 2.0)
    samples = steady([0.01] * 6 + [0.09] + [0.01] * 5)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    for example in (tmp_path / "a.wav", *([] if in_pieces else [samples])):
        clip, begin = decisive_clip(Loudness(), source("words"), example)
        assert begin == pytest.approx(6)
        np.testing.assert_array_equal(clip, samples[6 * RATE : 7 * RATE])
    part = Segment(tmp_path / "a.wav", 1.0, 11.0)
    clip, begin = decisive_clip(Loudness(), source("words"), part)
    assert begin == pytest.approx(5)
    np.testing.assert_array_equal(clip, samples[6 * RATE : 7 * RATE])


def test_an_answer_of_sounds_rests_on_the_window_most_like_it():
    # Soft on the whole, though one window is loud.
    samples = steady([0.02, 0.01, 0.1, 0.02])
    (scored,) = score_examples(Loudness(), source("sounds"), [samples])
    assert scored.probabilities[1] > 0.5
    assert decisive_clip(Loudness(), source("sounds"), samples)[1] == 1


def test_a_click_is_not_what_an_answer_rests_on(rng):
    samples = rng.normal(0, 1e-4, 3 * RATE).astype(np.float32)
    samples[100:160] = 0.9
    samples[2 * RATE : 2 * RATE + 4000] += 0.1 * np.hanning(4000) ** 0.5 * rng.normal(size=4000)
    clip, begin = decisive_clip(Loudness(), source("words"), samples)
    assert begin + 0.5 == pytest.approx(2.25, abs=0.05)
    (scored,) = score_examples(Loudness(), source("words"), [samples])
    np.testing.assert_array_equal(scored.probabilities, Loudness().predict(clip[None])[0])


def test_a_short_recording_rests_on_all_of_it():
    clip, begin = decisive_clip(Loudness(), source("words"), steady([0.05])[: RATE // 2])
    assert (len(clip), begin) == (RATE, -0.25)
