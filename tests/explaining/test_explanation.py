"""Explanations of tones and pictures, and the sheets that show them."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import sys

import numpy as np
import pytest
import soundfile

from audioconv import Model, architectures
from audioconv import layers as L
from audioconv.audio import LogMel, Mfcc, RawSamples
from audioconv.decision.decision import Decision
from audioconv.errors import ConfigError, DataError, MissingExtraError
from audioconv.explaining import explain
from audioconv.explaining.figure import LAYERS, draw
from audioconv.explaining.layers import CHANNELS, reach, rows_of
from audioconv.explaining.text import findings, verdict
from audioconv.features.normalisation import Normalisation

RATE = 8000
MEL = LogMel.for_rate(RATE, floor=1e-6)

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None,
    reason="needs the extra: pip install 'audioconv[plots]'",
)


def burst(begin: float, end: float, hertz: float, seconds: float = 1.0) -> np.ndarray:
    """Return silence, a tone, silence."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.where((time >= begin) & (time < end), 0.5 * np.sin(2 * np.pi * hertz * time), 0).astype(np.float32)


def listener(front_end=MEL, band: slice = slice(None), **more) -> Model:
    """Return a model that says "tone" for energy in some bands (channels), and knows no more."""
    frames, bands = front_end.out_shape(RATE)
    weight = np.zeros((1, bands, 2), np.float32)
    weight[:, band, 0] = 1
    network = L.Chain([L.Conv(2, 1, bias=False), L.GlobalAvgPool()])
    scale = Normalisation(np.full(bands, -60, np.float32), np.full(bands, 10, np.float32))
    return Model(
        network,
        {"0": {"weight": weight}, "1": {}},
        ("tone", "none"),
        (frames, bands),
        front_end,
        RATE,
        scale,
        **more,
    )


def untrained(name: str, front_end, **more) -> Model:
    network, shape = architectures.build(name, 3), front_end.out_shape(RATE)
    in_shape = (*shape, 1) if architectures.input_kind(name) == "spectrogram-2d" else shape
    params = network.init(in_shape, np.random.default_rng(0))
    return Model(network, params, ("on", "off", "_unknown_"), in_shape, front_end, RATE, **more)


def pictures(shape=(32, 40, 3)) -> Model:
    network = architectures.build("resnet20", 3)
    return Model(network, network.init(shape, np.random.default_rng(0)), ("cat", "dog", "owl"), shape)


# --- what is found ---


@pytest.mark.parametrize(("begin", "hertz"), [(0.1, 500), (0.4, 1000), (0.7, 3000)])
def test_it_looks_where_the_tone_is(begin, hertz):
    found = explain(listener(), burst(begin, begin + 0.2, hertz), "tone").region
    bounds = found.bounds
    middle = (bounds["begin_seconds"] + bounds["end_seconds"]) / 2
    assert begin < middle < begin + 0.2
    assert bounds["end_seconds"] - bounds["begin_seconds"] < 0.4
    assert bounds["lowest_hz"] < hertz < bounds["highest_hz"]
    assert bounds["highest_hz"] - bounds["lowest_hz"] < 2500
    assert found.evidence > 0


def test_of_two_tones_it_names_the_one_that_is_listened_to():
    edges = MEL.band_edges()
    band = int(np.searchsorted(edges, 2000)) - 1
    both = burst(0.1, 0.3, 500) + burst(0.6, 0.8, 2000)
    bounds = explain(listener(band=slice(band - 1, band + 2)), both, "tone").region.bounds
    assert 0.45 < bounds["begin_seconds"] < bounds["end_seconds"] < 0.95
    assert bounds["lowest_hz"] < 2000 < bounds["highest_hz"]


def test_the_score_without_the_region_is_the_models():
    explanation = explain(listener(), burst(0.4, 0.6, 1000), "tone")
    hidden = explanation.features.copy()
    hidden[explanation.region.box] = -60
    assert explanation.region.score_without == pytest.approx(
        explanation.model.probabilities(hidden[None])[0, 0], rel=1e-5
    )
    assert explanation.region.score_without < explanation.score("tone")


def test_times_are_those_of_the_recording(tmp_path):
    """Of a long recording the loudest second is heard, and what is found is where it is in the file."""
    path = tmp_path / "long.wav"
    soundfile.write(path, burst(3.4, 3.6, 1000, seconds=5), RATE)
    bounds = explain(listener(), path, "tone").region.bounds
    assert 3.2 < bounds["begin_seconds"] < 3.5 < bounds["end_seconds"] < 3.8
    soundfile.write(path, burst(0.1, 0.3, 1000, seconds=0.4), RATE)
    explanation = explain(listener(), path, "tone")
    assert explanation.begin_seconds == -0.3
    assert explanation.region.bounds["begin_seconds"] < 0.2 < explanation.region.bounds["end_seconds"]


def test_raw_samples_have_a_time_only():
    network = L.Chain([L.Conv(2, 1, bias=False), L.ReLU(), L.GlobalAvgPool()])
    params = {"0": {"weight": np.array([[[100.0, 0]]], np.float32)}, "1": {}, "2": {}}
    model = Model(network, params, ("loud", "not"), (RATE, 1), RawSamples(RATE), RATE)
    found = explain(model, burst(0.4, 0.6, 1000), "loud").region
    assert set(found.bounds) == {"begin_seconds", "end_seconds"}
    assert 0.3 < found.bounds["begin_seconds"] < 0.5 < found.bounds["end_seconds"] < 0.7


def test_coefficients_are_named_as_such():
    bounds = explain(untrained("ds-cnn-s", Mfcc.for_rate(RATE)), burst(0.4, 0.6, 1000)).region.bounds
    assert set(bounds) == {"begin_seconds", "end_seconds", "first_coefficient", "last_coefficient"}


def test_a_picture_has_rows_and_columns(rng):
    model = pictures()
    explanation = explain(model, rng.uniform(0, 1, (32, 40, 3)).astype(np.float32))
    bounds = explanation.region.bounds
    assert 0 <= bounds["left"] < bounds["right"] <= 40
    assert 0 <= bounds["top"] < bounds["bottom"] <= 32


# --- which label ---


def test_none_of_these_explains_the_nearest_word():
    model = untrained("cnn", MEL, decision=Decision(threshold=1.0))
    explanation = explain(model, burst(0.4, 0.6, 1000))
    assert not explanation.accepted
    assert explanation.label == explanation.nearest
    assert explanation.nearest in ("on", "off")
    assert verdict(explanation).startswith(f"none of these (nearest: \u201c{explanation.nearest}\u201d, ")
    assert explain(model, burst(0.4, 0.6, 1000), "_unknown_").label == "_unknown_"


def test_an_accepted_answer_explains_itself():
    explanation = explain(listener(), burst(0.4, 0.6, 1000))
    assert (explanation.answer, explanation.label, explanation.accepted) == ("tone", "tone", True)
    said = explanation.to_json()
    assert (said["label"], said["score"], said["scores"]) == (
        "tone", explanation.score("tone"), {"tone": explanation.score("tone"), "none": explanation.score("none")}
    )  # fmt: skip
    assert said["region"]["begin_seconds"] == explanation.region.bounds["begin_seconds"]


def test_nothing_speaks_for_it():
    model = listener()
    mean = MEL(np.zeros(RATE, np.float32))[0].mean(axis=0)
    scale = Normalisation(mean, np.ones_like(mean))
    silent = Model(model.network, model.params, model.labels, model.input_shape, MEL, RATE, scale)
    explanation = explain(silent, np.zeros(RATE, np.float32))
    assert explanation.region is None
    assert findings(explanation) == ["nothing speaks for \u201ctone\u201d"]
    assert explanation.to_json()["region"] is None


def test_a_label_that_there_is_not(tmp_path):
    with pytest.raises(ConfigError, match="no label 'bell'; it has tone, none"):
        explain(listener(), tmp_path / "missing.wav", "bell")


def test_a_file_that_there_is_not(tmp_path):
    with pytest.raises(DataError, match=r"missing\.wav: cannot be read"):
        explain(listener(), tmp_path / "missing.wav")


# --- rows ---


def test_rows_are_drawn_evenly_from_first_to_last():
    explanation = explain(untrained("bc-resnet-1", MEL), burst(0.4, 0.6, 1000))
    rows = rows_of(explanation, 5)
    summary = [
        row for row in L.summary(explanation.model.network, explanation.model.input_shape).rows if "Conv" in row.label
    ]
    assert len(rows) == 5
    assert [rows[0].path, rows[-1].path] == [summary[0].path, summary[-1].path]
    assert rows_of(explanation, 0) == []
    assert len(rows_of(explanation, 1000)) == len(summary)


def test_a_row_shows_what_the_next_layer_gets():
    explanation = explain(untrained("cnn", MEL), burst(0.4, 0.6, 1000))
    first, *_ = rows_of(explanation, 3)
    assert (first.path, first.behind, first.maps.shape, first.weight.shape) == (
        "0",
        "ReLU",
        (101, 40, 16),
        (3, 3, 1, 16),
    )
    assert first.maps.min() >= 0
    chosen = first.liveliest()
    spread = first.maps.std(axis=(0, 1))
    assert len(chosen) == CHANNELS
    assert spread[chosen].min() >= np.delete(spread, chosen).max()


def test_receptive_fields_in_milliseconds_and_hertz():
    model = untrained("cnn", MEL)
    edges = MEL.band_edges()
    first = rows_of(explain(model, burst(0.4, 0.6, 1000)), 1)[0]
    # 3 frames of 25 ms, 10 ms apart; 3 bands, of which the lowest are narrowest.
    assert (
        reach(model, first.fields) == f"45 ms \u00d7 3 bands ({edges[4]:,.0f} to {edges[-1] - edges[-5]:,.0f} Hz wide)"
    )
    raw = untrained("m5", RawSamples(RATE))
    assert reach(raw, rows_of(explain(raw, burst(0.4, 0.6, 1000)), 1)[0].fields) == "10 ms"
    along_time = untrained("tc-resnet8", MEL)
    assert (
        reach(along_time, rows_of(explain(along_time, burst(0.4, 0.6, 1000)), 1)[0].fields) == "45 ms \u00d7 all bands"
    )
    seen = pictures()
    picture = explain(seen, np.zeros((32, 40, 3), np.float32))
    assert reach(seen, rows_of(picture, 1)[0].fields) == "3 \u00d7 3 pixels"


# --- sheets ---

MODELS = {
    "log-mel, 2-D": lambda: untrained("cnn", MEL, decision=Decision(threshold=0.9)),
    "log-mel, 1-D": lambda: untrained("matchboxnet-3x1x64", MEL),
    "log-mel, deep": lambda: untrained("bc-resnet-1", MEL),
    "mfcc": lambda: untrained("ds-cnn-s", Mfcc.for_rate(RATE)),
    "samples": lambda: untrained("m5-32", RawSamples(RATE)),
    "few channels": listener,
    "pictures": pictures,
    "grey pictures": lambda: pictures((28, 20, 1)),
}
SLOW_MODELS = {"log-mel, 2-D", "log-mel, 1-D", "few channels", "grey pictures"}
"""Those whose sheets are like that of another."""


def texts(figure) -> str:
    """Return all that is written on a sheet."""
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.fixture
def drawn(monkeypatch):
    """Return the sheets that were drawn."""
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    sheets, savefig = [], Figure.savefig

    def keep(figure, *args, **kwargs):
        sheets.append(figure)
        return savefig(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return sheets


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW_MODELS else name for name in MODELS]
)
def test_a_sheet_of_every_kind_of_input(name, drawn, tmp_path, rng):
    """All is said, and nothing is written over the edge or over something else."""
    model = MODELS[name]()
    example = burst(0.4, 0.6, 1000) if model.front_end else rng.uniform(0, 1, model.input_shape).astype(np.float32)
    explanation = explain(model, example)
    draw(explanation, tmp_path / "sheet.png", title="a $tone$ with as long a name as can be shown")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    said = texts(drawn[0])
    assert f"a $tone$ with as long a name as can be shown: {verdict(explanation)}" in said
    for line in findings(explanation):
        assert line in said
    for row in rows_of(explanation, LAYERS):
        assert f"{row.path}  {row.label}" in said
        assert reach(model, row.fields) in said
    assert "threshold" not in said
    assert ("accepted from 90 %" in said) == (model.decision.threshold > 0)

    figure = drawn[0]
    boxes = {text.get_text(): text.get_window_extent() for text in figure.texts if not text.get_text().isdigit()}
    assert len(boxes) > 8
    for text, box in boxes.items():
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1, text
    for (one, first), (other, second) in itertools.combinations(boxes.items(), 2):
        assert not first.overlaps(second), (one, other)


@pytest.mark.parametrize("label", ["w" * 100, "lo\ud83dw\x1b[2J", "\u4f60\u597d", "$x^2$", "a\nb"])
def test_labels_of_any_kind(label, drawn, tmp_path):
    model = dataclasses.replace(listener(), labels=(label, "none"))
    draw(explain(model, burst(0.4, 0.6, 1000)), tmp_path / "sheet.png", layers=0, title="n" * 255)
    for text in drawn[0].texts:
        assert "\n" not in text.get_text()
        assert text.get_window_extent().x1 <= drawn[0].bbox.x1, text.get_text()


def test_the_sheet_says_what_was_left_out(drawn, tmp_path):
    explanation = explain(untrained("cnn", MEL), burst(0.4, 0.6, 1000))
    draw(explanation, tmp_path / "sheet.png", layers=2)
    assert "2 of 4 convolutions" in texts(drawn[0])
    draw(explanation, tmp_path / "sheet.png", layers=9)
    assert "all 4 convolutions" in texts(drawn[1])
    draw(explanation, tmp_path / "sheet.png", layers=0)
    assert "convolutions" not in texts(drawn[2])


@needs_matplotlib
@pytest.mark.parametrize(("suffix", "begins"), [(".svg", b"<?xml"), (".pdf", b"%PDF"), (".PNG", b"\x89PNG")])
def test_formats_and_the_same_bytes_again(tmp_path, suffix, begins):
    explanation = explain(listener(), burst(0.4, 0.6, 1000))
    for name in ("one", "two"):
        draw(explanation, tmp_path / f"{name}{suffix}", layers=1)
    one, two = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two"))
    assert one.startswith(begins)
    assert one == two


@needs_matplotlib
def test_a_sheet_in_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="could not be written"):
        draw(explain(listener(), burst(0.4, 0.6, 1000)), tmp_path / "nowhere/sheet.png", layers=0)


def test_a_sheet_that_cannot_be(tmp_path, monkeypatch):
    explanation = explain(listener(), burst(0.4, 0.6, 1000))
    with pytest.raises(ConfigError, match=r"sheet\.txt: a picture's name ends in \.png, \.svg, \.pdf"):
        draw(explanation, tmp_path / "sheet.txt")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"audioconv\[plots\]"):
        draw(explanation, tmp_path / "sheet.png")
