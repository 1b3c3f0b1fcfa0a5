"""Models with features of librosa: trained, stored, classified, explained, and refused for export."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from streams import RATE, recording

from audioconv import Classifier, Model, architectures
from audioconv.audio import Librosa, LogMel
from audioconv.cli import run
from audioconv.errors import ConfigError, ExportError, ModelFileError
from audioconv.explaining import explain
from audioconv.explaining.axes import band_axis
from audioconv.explaining.figure import draw
from audioconv.explaining.text import findings
from audioconv.export import export
from audioconv.features import librosa_package
from audioconv.io import tensor_file
from audioconv.pipeline.inputs import AudioInput
from audioconv.recipe.choose_input import choose_audio_input
from audioconv.recipe.plan import choose_architecture

PAGE = Path(__file__).parents[1] / "docs" / "front_ends.md"

CONTRAST = Librosa("spectral_contrast", {"n_bands": 3, "fmin": 150.0}, RATE, 64)
QUICK = {"epochs": 2, "batch_size": 8, "clip_seconds": 0.5, "refit": False, "reject": False, "init": None}


def untrained(arch: str, front_end: Librosa, samples: int = 16000) -> Model:
    network, shape = architectures.build(arch, 3), front_end.out_shape(samples)
    shape = (*shape, 1) if architectures.input_kind(arch) == "spectrogram-2d" else shape
    return Model(
        network, network.init(shape, np.random.default_rng(0)), ("yes", "no", "stop"), shape, front_end, samples
    )


def tones() -> tuple[list[np.ndarray], list[str]]:
    rng = np.random.default_rng(0)
    labels = ["high", "low"] * 10
    return [recording([(label, rng.uniform(0, 0.2))], 0.5, seed=n) for n, label in enumerate(labels)], labels


@pytest.mark.parametrize(
    ("front_end", "arch"),
    [("cqt", "cnn"), ("chroma", "tc-resnet8"), ("pcen", "ds-cnn-s"), (CONTRAST, "tc-resnet8"), ("rms", "auto")],
)
def test_training_and_the_file_of_the_model(front_end, arch, tmp_path):
    """With masks and the other changes of training, in networks along one axis and two."""
    clips, labels = tones()
    rate = {} if isinstance(front_end, Librosa) else {"sample_rate": RATE}
    trained = Classifier(front_end=front_end, arch=arch, **rate, **QUICK).fit(clips, labels)
    found = trained.model_.front_end
    named = {"chroma": "chroma_cqt"}.get(front_end, front_end)
    assert found == (front_end if isinstance(front_end, Librosa) else Librosa.for_rate(named, RATE))
    trained.save(tmp_path / "m.safetensors")
    again = Classifier.load(tmp_path / "m.safetensors")
    assert again.model_.front_end == found
    assert again.front_end == front_end
    np.testing.assert_array_equal(again.predict_proba(clips), trained.predict_proba(clips))
    np.testing.assert_array_equal(again.model_.features(np.stack(clips)), found(np.stack(clips)))
    assert again.fit(clips, labels).model_.front_end == found  # its settings train again


def test_the_network_fits_the_features():
    def chosen(front_end: str, seconds: float = 1.0) -> str:
        return choose_architecture(choose_audio_input(None, [16000], seconds, front_end=front_end))

    assert (chosen("cqt"), chosen("pcen"), chosen("cqt", 5.0)) == ("tc-cnn-l", "tc-cnn-l", "tc-cnn-events")
    assert (chosen("chroma"), chosen("tempogram"), chosen("rms"), chosen("tonnetz")) == (
        "cnn", "cnn", "tc-resnet8", "tc-resnet8"
    )  # fmt: skip
    for front_end in ("cqt", "chroma", "pcen", "rms"):
        spec = choose_audio_input(None, [16000], 1.0, front_end=front_end)
        arch = choose_architecture(spec)
        assert architectures.build(arch, 3).infer_shape(spec.input_shape(arch)) == (3,)


def test_notes_keep_their_pitch_in_training():
    def augmentation(front_end):
        return AudioInput(front_end, RATE).augmentation(None, 0, synthetic=False)

    notes, mel = augmentation(Librosa.for_rate("cqt", RATE)), augmentation(Librosa.for_rate("pcen", RATE))
    assert (notes.speed_probability, notes.stretch_probability, notes.band_masks) == (0, 0, 1)
    assert mel.speed_probability > 0
    assert augmentation(LogMel.for_rate(RATE)).speed_probability > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"front_end": "ctq"}, "unknown front end 'ctq'; known are log-mel, mfcc, raw, cqt, pcen, chroma, "),
        ({"front_end": CONTRAST, "sample_rate": 8000}, "sample_rate is 8000, but the front end has 4000"),
        ({"front_end": "cqt", "arch": "m5"}, "network m5 takes raw samples, so the front end cannot be 'cqt'"),
        ({"front_end": ["cqt"]}, r"a front end is a name, LogMel, Mfcc, RawSamples or Librosa; got \['cqt'\]"),
    ],
)
def test_front_ends_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        Classifier(**{**QUICK, "epochs": 1, **settings}).fit(*tones())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "os.system"}, "there is no function 'os.system'"),
        ({"settings": {"n_bins": 12, "dtype": "O"}}, "there is no setting 'dtype'"),
        ({"settings": {"n_bins": 12, "fmin": 1e6}}, "librosa does not take these settings"),
    ],
)
def test_a_changed_file_is_refused(change, message, tmp_path):
    model = untrained("cnn", Librosa.for_rate("cqt", 16000))
    path = tmp_path / "m.safetensors"
    model.save(path)
    arrays, header = tensor_file.read(path, "model")
    header["front_end"].update(change)
    tensor_file.write(path, "model", arrays, header)
    with pytest.raises(ModelFileError, match=message):
        Model.load(path)


# --- export ---


@pytest.mark.parametrize("name", ["m.onnx", "m.tflite", "m.c", "page"])
def test_exporting_names_the_front_end(name, tmp_path):
    for extra in ("onnx", "tflite"):
        pytest.importorskip(extra)
    model = untrained("cnn", Librosa.for_rate("cqt", 16000))
    with pytest.raises(ExportError, match="the front end cqt is computed by librosa, which exported files cannot"):
        export(model, tmp_path / name, format="web" if name == "page" else None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["m.onnx", "m.c"])
def test_the_network_alone_is_exported(name, tmp_path):
    pytest.importorskip("onnxruntime")
    model = untrained("cnn", Librosa.for_rate("pcen", 16000))
    export(model, tmp_path / name, from_features=True)
    assert (tmp_path / name).exists()


# --- explaining ---


@pytest.mark.parametrize(
    ("name", "axis", "label"), [("cqt", "cqt_note", "note"), ("chroma_cqt", "chroma", "pitch class")]
)
def test_axes_are_those_of_librosas_displays(name, axis, label):
    """Ticks of ours are major ticks of librosa, at the same values of the axis and with the same text."""
    plt = pytest.importorskip("matplotlib.figure")
    front_end = Librosa.for_rate(name, 16000)
    features = front_end(np.random.default_rng(0).standard_normal(16000))[0]
    axes = plt.Figure().add_subplot()
    keywords = {"fmin": front_end.keywords["fmin"]} if name == "cqt" else {}
    librosa_package.load().display.specshow(
        features.T, y_axis=axis, ax=axes, sr=16000, hop_length=front_end.hop_length, **keywords
    )  # fmt: skip
    ours = band_axis(front_end, features.shape[1])
    formatter = axes.yaxis.get_major_formatter()
    values = np.asarray(ours.positions)
    if name == "cqt":  # librosa's axis has Hz
        values = front_end.keywords["fmin"] * 2 ** (values / 12)
    assert [formatter(value) for value in values] == list(ours.texts)
    theirs = [value for value in axes.yaxis.get_major_locator()() if axes.get_ylim()[0] <= value <= axes.get_ylim()[1]]
    np.testing.assert_allclose(values, theirs, rtol=1e-6, atol=1e-6)
    assert ours.label == label
    assert len(values) > 5


def test_mel_bands_have_hertz_and_others_numbers():
    pcen = band_axis(Librosa.for_rate("pcen", 16000), 40)
    mel = band_axis(LogMel(), 40)
    assert (pcen.label, list(pcen.texts)) == ("Hz", list(mel.texts))
    np.testing.assert_allclose(pcen.positions, mel.positions, atol=1e-6)
    assert band_axis(Librosa.for_rate("tonnetz", 16000), 6).label == "value"


@pytest.mark.parametrize(
    ("name", "bounds", "text"),
    [
        ("cqt", {"lowest_note", "highest_note", "lowest_hz", "highest_hz"}, " Hz"),
        pytest.param("chroma_cqt", {"first_pitch_class", "last_pitch_class"}, ", pitch class", marks=pytest.mark.slow),
        pytest.param("pcen", {"lowest_hz", "highest_hz"}, " Hz", marks=pytest.mark.slow),
        ("tonnetz", {"first_value", "last_value"}, ", value"),
    ],
)
def test_explanations_name_what_they_point_at(name, bounds, text, tmp_path):
    pytest.importorskip("matplotlib")
    front_end = Librosa.for_rate(name, 16000)
    model = untrained("tc-resnet8", front_end)
    time = np.arange(16000) / 16000
    clip = (0.5 * np.sin(2 * np.pi * 440 * time) * ((time > 0.4) & (time < 0.6))).astype(np.float32)
    explanation = explain(model, clip)
    if explanation.region is None:
        explanation = explain(model, clip, next(label for label in model.labels if label != explanation.label))
    assert bounds <= set(explanation.region.bounds)
    assert text in findings(explanation)[1]
    json.dumps(explanation.to_json())
    draw(explanation, tmp_path / "sheet.svg")
    drawn = (tmp_path / "sheet.svg").read_text("utf-8")
    assert band_axis(front_end, model.feature_shape[1]).label in drawn


# --- commands and the page ---


def test_the_code_of_the_page_runs():
    failures, tests = doctest.testfile(str(PAGE), module_relative=False)
    assert (failures, tests) == (0, 7)


def test_commands(tmp_path, capsys):
    for n, (clip, label) in enumerate(zip(*tones(), strict=True)):
        (tmp_path / "tones" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "tones" / label / f"{n}.wav", clip, RATE)
    model, clip = str(tmp_path / "model"), str(tmp_path / "tones/high/0.wav")
    options = ["--epochs", "2", "--batch-size", "8", "--clip-seconds", "0.5", "--no-reject", "--arch", "tc-resnet8"]
    assert run(["train", str(tmp_path / "tones"), "-o", model, "--front-end", "chroma", *options]) == 0
    capsys.readouterr()
    for command in (["classify", model, clip], ["evaluate", model, str(tmp_path / "tones")], ["explain", model, clip],
                    ["detect", model, clip]):  # fmt: skip
        assert run(command) == 0, command
    capsys.readouterr()
    assert run(["info", model]) == 0
    assert (
        "input       0.5 s at 4,000 Hz, as chroma_cqt of librosa every 16 ms (12 values, fmin=65.4064, n_octaves=4, "
        "tuning=0)" in " ".join(capsys.readouterr().out.split("\n"))
    )
    assert run(["info", model, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["front_end"]
    assert (found["front_end"], found["name"]) == ("Librosa", "chroma_cqt")
    assert run(["export", model, "-o", str(tmp_path / "m.c")]) != 0
    assert "the front end chroma_cqt is computed by librosa" in capsys.readouterr().err
    assert run(["train", str(tmp_path / "tones"), "-o", model + "2", "--front-end", "croma", *options]) == 2
    assert "unknown front end 'croma'" in capsys.readouterr().err
