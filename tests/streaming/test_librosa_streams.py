"""Windows of a stream have the features of librosa that a clip with their samples has."""

from __future__ import annotations

import numpy as np
import pytest
from streams import RATE, blocks_of, recording

from audioconv import Model
from audioconv import layers as L
from audioconv.audio import Librosa
from audioconv.features.normalisation import Normalisation
from audioconv.streaming import Detector, detect
from audioconv.streaming.frames import PIECE_SECONDS, row_stream
from audioconv.streaming.windows import WindowScorer

CLIP = 2000


@pytest.mark.parametrize("name", ["cqt", "chroma_cqt", "pcen", "rms", "tempogram"])
@pytest.mark.parametrize("clip_samples", [CLIP, CLIP + 13])
def test_windows_of_rows_are_clips(name, clip_samples):
    front_end = Librosa.for_rate(name, RATE)
    rows, samples = row_stream(front_end, clip_samples), recording([("high", 0.2), ("low", 0.7)], 1.5)
    made = np.concatenate([*map(rows.push, blocks_of(samples, [700, 1, 333])), rows.flush()])
    step = round(PIECE_SECONDS * RATE)
    begins = range(0, len(made) - rows.window_rows + 1, 9)
    windows = np.stack([made[begin : begin + rows.window_rows] for begin in begins])
    padded = np.concatenate([samples, np.zeros(2 * step, np.float32)])
    cut = np.stack([padded[begin * step : begin * step + clip_samples] for begin in begins])
    np.testing.assert_array_equal(rows.features(windows), front_end(cut))
    assert len(begins) > 5
    assert rows.window_rows == -(-clip_samples // step)


def model_of(front_end: Librosa) -> Model:
    """Return a model of notes with weights that are drawn."""
    rng, shape = np.random.default_rng(0), front_end.out_shape(CLIP)
    network = L.Chain([L.Conv(8, 5), L.ReLU(), L.GlobalAvgPool(), L.Dense(2)])
    features = front_end(0.1 * rng.standard_normal((4, CLIP)).astype(np.float32))
    scale = Normalisation.measure([features])
    return Model(network, network.init(shape, rng), ("a", "b"), shape, front_end, CLIP, scale)


@pytest.mark.parametrize("name", ["cqt", "pcen"])
def test_scores_are_those_of_the_windows(name):
    model = model_of(Librosa.for_rate(name, RATE))
    samples = recording([("high", 0.2), ("low", 0.9)], 1.6)
    scorer = WindowScorer(model, 0.1, 0.0)
    scored = [scorer.push(block).probabilities for block in blocks_of(samples, [900, 77, 2500])]
    found = np.concatenate([*scored, scorer.flush().probabilities])
    grid = scorer.grid
    silence = np.zeros(CLIP, np.float32)
    padded = np.concatenate([silence, samples, silence])
    begins = [len(silence) + grid.first_row(k) * grid.row_samples for k in range(len(found))]
    alone = np.concatenate([model.predict(padded[None, begin : begin + CLIP]) for begin in begins])
    np.testing.assert_array_equal(found, alone)
    assert np.ptp(found, axis=0).max() > 0.001


@pytest.mark.parametrize("kind", ["pcen", pytest.param("cqt", marks=pytest.mark.slow)])
def test_blocks_of_any_size_give_the_same_events(models, kind):
    said = [("high", 0.6), ("low", 1.7), ("high", 2.9)]
    samples = recording(said, 4.0)
    whole = detect(models(kind), samples, hop_seconds=0.1)
    assert [event.label for event in whole] == [label for label, _ in said]
    for event, (_, begin) in zip(whole, said, strict=True):
        assert event.start < begin + 0.3
        assert event.end > begin
    detector = Detector(models(kind), hop_seconds=0.1)
    pushed = [event for block in blocks_of(samples, [1111, 40, 3000]) for event in detector.push(block)]
    assert [*pushed, *detector.flush()] == whole
