"""Recordings that are none of the words: found, cut into clips, and scored."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from audioconv import Classifier, Model
from audioconv import layers as L
from audioconv.audio.read import Segment
from audioconv.errors import DataError
from audioconv.features.front_ends import RawSamples
from audioconv.pipeline import negatives

RATE, CLIP = 4000, 100


@pytest.fixture
def model() -> Model:
    """Return a model whose logits are the first sample of a clip, and none."""
    network = L.Chain([L.Flatten(), L.Dense(2)])
    shape = RawSamples(RATE).out_shape(CLIP)
    params = network.init(shape, np.random.default_rng(0))
    weight = params["1"]["weight"]
    weight[:] = 0
    weight.reshape(CLIP, 2)[0, 0] = 1
    return Model(network, params, ("a", "b"), shape, RawSamples(RATE), CLIP)


def write(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path


def first_samples(scored) -> np.ndarray:
    """Return the logit that each clip's probability came from."""
    p = scored.probabilities.astype(np.float64)
    return np.log(p[:, 0] / p[:, 1])


@pytest.mark.parametrize(
    ("length", "begins"),
    [(100, [0]), (149, None), (150, [0, 50]), (200, [0, 100]), (240, [0, 100]), (260, [0, 100, 160])],
)
def test_a_long_recording_is_cut_into_clips(model, tmp_path, length, begins) -> None:
    samples = np.linspace(0.1, 0.9, length).astype(np.float32)
    path = write(tmp_path / "long.wav", samples)
    scored, failures = negatives.score(model, negatives.find(model, [path]))
    assert failures == ()
    if begins is None or len(begins) == 1:
        assert scored.examples == (path,), "one clip: as the model would take it"
        return
    np.testing.assert_allclose(first_samples(scored), samples[begins], atol=1e-5)
    assert scored.examples == tuple(Segment(path, b / RATE, (b + CLIP) / RATE) for b in begins)
    assert scored.names == ("long.wav",) * len(begins)


def test_folders_are_named_apart(model, tmp_path) -> None:
    for place in ("one/noise", "two/noise", "rain"):
        write(tmp_path / place / "x.wav", np.ones(CLIP) / 2)
    found = negatives.find(model, [tmp_path / "one/noise", tmp_path / "two/noise", tmp_path / "rain"])
    assert [source.name for source in found] == [f"{tmp_path}/one/noise", f"{tmp_path}/two/noise", "rain"]


def test_unreadable_files_are_reported(model, tmp_path) -> None:
    write(tmp_path / "a.wav", np.ones(CLIP) / 2)
    (tmp_path / "b.wav").write_text("no sound")
    seen = []
    sources = negatives.find(model, [tmp_path])
    scored, failures = negatives.score(model, sources, on_file=lambda: seen.append(1))
    assert (len(scored), len(failures), len(seen)) == (1, 1, 2)
    with pytest.raises(DataError, match=r"b\.wav: not audio"):
        negatives.score(model, sources, strict=True)
    with pytest.raises(DataError, match=r"none of the 1 negatives can be read, such as .*b\.wav"):
        negatives.score(model, negatives.find(model, [tmp_path / "b.wav"]))


def test_pictures_are_taken_whole(tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    network = L.Chain([L.Flatten(), L.Dense(2)])
    model = Model(network, network.init((8, 9, 1), np.random.default_rng(0)), ("a", "b"), (8, 9, 1))
    for n in range(2):
        image.new("L", (30, 20), 90 * n).save(tmp_path / f"{n}.png")
    scored, failures = negatives.score(model, negatives.find(model, [tmp_path]))
    assert scored.examples == (tmp_path / "0.png", tmp_path / "1.png")
    assert failures == ()


def test_nothing_for_this_model(model, tmp_path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(b"")
    with pytest.raises(DataError, match="holds no recordings"):
        negatives.find(model, [tmp_path / "pictures"])


def test_outsiders_is_the_former_keyword_of_evaluate(model, tmp_path) -> None:
    for label in ("a", "b"):
        write(tmp_path / "data" / label / "x.wav", np.ones(CLIP) / 2)
    write(tmp_path / "rain" / "x.wav", np.ones(CLIP) / 2)
    model.save(tmp_path / "m.safetensors")
    classifier = Classifier.load(tmp_path / "m.safetensors")
    present = classifier.evaluate(tmp_path / "data", negatives=[tmp_path / "rain"])
    assert present.about["negatives"] == {"rain": 1}
    with pytest.warns(DeprecationWarning, match="outsiders is called negatives now"):
        former = classifier.evaluate(tmp_path / "data", outsiders=[tmp_path / "rain"])
    assert former.false_accepts_by_name == present.false_accepts_by_name
