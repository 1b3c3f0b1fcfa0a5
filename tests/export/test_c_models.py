"""Models as C: named networks, front ends, decisions and pictures, compiled by gcc and clang."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")

from c_programs import SANITIZERS, as_int16, compiler, heard_by_detector, same_events, strict
from clips import RATE, real_clips
from exported import LABELS, embedding_model, model_of, picture_model, slow_but

from audioconv import architectures
from audioconv import layers as L
from audioconv.architectures.ensemble import join
from audioconv.cli import run as run_command
from audioconv.decision.decision import Decision, Gate
from audioconv.errors import ConfigError, DataError, ExportError
from audioconv.export import check, export
from audioconv.export.c99 import program
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.layers.base import Layer

SMALL = [name for name in architectures.NAMES if name != "inception-v3"]


@pytest.fixture(scope="module")
def clips(test_data):
    return real_clips(test_data, 8)


@pytest.fixture(autouse=True)
def _gcc(monkeypatch):
    monkeypatch.setenv("CC", compiler("gcc"))


def compare(model, run, examples, features=None):
    """Assert that code gives the model's probabilities and answers."""
    outputs, wanted = run(examples if features is None else features), model.predict(examples)
    np.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-4, rtol=0)
    sure = [not check.is_unsure(model, row, 1e-4) for row in wanted]
    assert np.mean(sure) > 0.7
    np.testing.assert_array_equal(outputs["answer"][sure], check.answers_of(model, wanted)[sure])


def compare_stream(model, run, samples):
    """Assert that code gives a `Detector`'s scores and events in a stream, with a threshold that some words reach."""
    samples = as_int16(samples)
    _, scores = heard_by_detector(model, samples)
    # Between the two scores that are farthest apart, of those in the middle: rounding moves none across it.
    best = np.sort(scores[:, model.decision.answer_codes(model.labels)].max(axis=1))
    place = len(best) // 3 + int(np.diff(best)[len(best) // 3 : -len(best) // 3].argmax())
    threshold = float(best[place : place + 2].mean())
    wanted, scores = heard_by_detector(model, samples, threshold)
    heard = run.listen(samples, model.front_end.sample_rate // 100, threshold)
    assert len(heard.scores) == len(scores)
    np.testing.assert_allclose(heard.scores, scores, atol=1e-4, rtol=0)
    same_events(model, heard, wanted)
    return wanted


@pytest.mark.parametrize("name", slow_but(SMALL, "tc-cnn-l", "ds-cnn-s", "m5-32"))
def test_a_named_network_on_real_clips_and_in_a_stream(compiled, name, clips):
    model = embedding_model() if name == "speech-embedding" else model_of(name, by_clip=name == "tc-cnn-l")
    run = compiled(model)
    compare(model, run, clips)
    compare_stream(model, run, clips[:3].ravel())


def test_pictures(compiled, rng):
    model = picture_model("resnet20")
    run = compiled(model)
    compare(model, run, rng.random((2, 32, 32, 3), np.float32))
    assert not run.listens


FRONT_ENDS = {
    "8 kHz": LogMel.for_rate(8000),
    "another window": LogMel(RATE, 400, 320, 100, 40, 20.0, 7600.0, 1e-7),
    "odd transform": LogMel(RATE, 401, 401, 163, 40),
    "frames that do not touch": LogMel(RATE, 256, 200, 400, 20),
    "a short transform": LogMel(RATE, 4, 3, 160, 2),
    "mfcc": Mfcc(RATE, coefficients=20),
    "raw": RawSamples(8000),
}


@pytest.mark.parametrize(
    ("name", "by_clip"),
    [
        *((name, True) for name in FRONT_ENDS),
        *(pytest.param(name, False, marks=() if name in ("mfcc", "raw") else pytest.mark.slow) for name in FRONT_ENDS),
    ],
)
def test_front_ends(compiled, name, by_clip, clips):
    samples, front_end = 9000, FRONT_ENDS[name]
    raw = isinstance(front_end, RawSamples)
    network = L.Chain([L.Conv(6, 80, 40), L.ReLU(), L.Conv(8, 3), L.GlobalAvgPool(), L.Dense(len(LABELS))])
    settings = {"by_clip": by_clip, "samples": samples}
    model = (
        model_of(network, front_end, kind="samples", **settings)
        if raw
        else model_of("tc-resnet8", front_end, **settings)
    )
    run = compiled(model, flags=SANITIZERS)
    compare(model, run, np.ascontiguousarray(clips[:, 3000 : 3000 + samples]))
    compare_stream(model, run, clips[:3].ravel())


@pytest.mark.parametrize(
    "decision",
    [
        Decision(temperature=2.5),
        Decision(0.7, 0.4, auxiliary=("_unknown_",), gate=Gate(1.7, -0.6)),
        Decision(1.4, 0.3, auxiliary=("_unknown_",), gate=Gate(0.9, 0.4, "odds")),
        Decision(1.0, 0.9, auxiliary=("_unknown_",), gate=Gate(80.0, 5.0, "odds")),
        Decision(threshold=1.0, auxiliary=("_unknown_",)),
    ],
    ids=["temperature", "largest logit", "odds", "a sure gate", "nothing accepted"],
)
@pytest.mark.parametrize("labels", [LABELS, ("yes", "no", "stop"), ("_a_", "_b_", "c")])
def test_decisions(compiled, decision, labels, clips):
    if not set(decision.auxiliary) <= set(labels):
        decision = dataclasses.replace(decision, auxiliary=())
    network = L.Chain([L.Conv(6, (5, 20), 4), L.ReLU(), L.Conv(8, 3), L.GlobalAvgPool(), L.Dense(len(labels))])
    compare(model := model_of(network, labels=labels, decision=decision), compiled(model), clips)


def test_an_ensemble(compiled, clips):
    first, second = (model_of("tc-cnn", seed=seed) for seed in (0, 1))
    network, params = join([first.network, second.network], [first.params, second.params])
    joined = dataclasses.replace(first, network=network, params=params)
    compare(joined, compiled(joined), clips)


def test_features_instead_of_samples(compiled, clips, tmp_path):
    model = model_of("tc-cnn")
    run = compiled(model, from_features=True)
    compare(model, run, clips, model.features(clips))
    assert not run.listens
    found = export(model, tmp_path / "m.c", from_features=True)
    assert found.sizes.state == 0
    assert "features as the front end gives them, (101, 40)" in (tmp_path / "m.h").read_text()


def test_a_model_without_words_only_classifies(compiled, clips):
    model = model_of("tc-cnn", labels=("_a_", "_b_"), decision=Decision())
    run = compiled(model)
    assert not run.listens
    assert set(run(clips)["answer"]) == {-1}


@pytest.mark.parametrize("name", ["gcc", "clang"])
@pytest.mark.parametrize("network", ["tc-cnn", "ds-cnn-s"])
def test_all_warnings_are_errors(name, network, tmp_path):
    made = program.write(model_of(network), "model")
    for ending, content in (("h", made.header), ("c", made.source)):
        (tmp_path / f"model.{ending}").write_text(content)
    for flags in (("-O2",), ("-Os", "-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Wdouble-promotion")):
        strict(compiler(name), tmp_path / "model.c", *flags)


def test_the_header_is_one_of_c_plus_plus_too(tmp_path):
    made = program.write(model_of("tc-cnn"), "model")
    (tmp_path / "model.h").write_text(made.header)
    (tmp_path / "main.cpp").write_text(
        '#include "model.h"\nint f(audioconv_state *s) { audioconv_init(s); return 0; }\n'
    )
    from audioconv.export.c99.compiler import run

    run([compiler("g++"), "-Wall", "-Wextra", "-Werror", "-c", str(tmp_path / "main.cpp"), "-o", "/dev/null"], "fails")


def test_the_state_is_as_large_as_is_said(compiled, clips):
    for model in (model_of("tc-cnn"), model_of("m5-32")):
        made = program.write(model, "model")
        heard = compiled(model).listen(as_int16(clips[0]), 160)
        assert heard.state_bytes == made.sizes.state
        assert f"#define AUDIOCONV_STATE_BYTES {heard.state_bytes}\n" in made.header


def test_labels_of_any_characters(tmp_path):
    labels = ('say "hi"', "für", "a\\b", "??/x", "*/ int x; /*", "語")
    model = model_of("tc-cnn", labels=labels, decision=Decision())
    found = export(model, tmp_path / "m.c")
    assert found.check.examples == 7
    (tmp_path / "main.c").write_text(
        '#include "m.h"\n#include <stdio.h>\n'
        "int main(void) { for (int n = 0; n < AUDIOCONV_LABELS; n++) puts(audioconv_labels[n]); return 0; }\n"
    )
    from audioconv.export.c99.compiler import FLAGS, run

    sources = [str(tmp_path / name) for name in ("main.c", "m.c")]
    run([compiler("gcc"), *FLAGS, "-trigraphs", *sources, "-o", str(tmp_path / "main"), "-lm"], "does not compile")
    assert run([str(tmp_path / "main")], "fails").splitlines() == list(labels)


def test_8_bit_weights_take_less_than_half_of_the_flash(compiled, clips, test_data, tmp_path):
    model = model_of("tc-resnet8")
    whole, small = (export(model, tmp_path / f"{int8}.c", int8=int8) for int8 in (False, True))
    assert small.sizes.constants < 0.45 * whole.sizes.constants
    assert small.sizes.state == whole.sizes.state
    differences = np.abs(compiled(model, int8=True)(clips)["probabilities"] - model.predict(clips))
    assert 1e-4 < differences.max() < 0.1
    assert json.loads((tmp_path / "True.json").read_text())["c"]["int8"] is True


# --- files ---


def test_three_files(tmp_path):
    model = model_of("tc-cnn")
    model.provenance["data"] = {"origins": [{"source": "words */", "licence": "CC BY 4.0", "clips": 3}]}
    found = export(model, tmp_path / "kws.c")
    assert [path.name for path in found.files] == ["kws.c", "kws.h", "kws.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kws.c", "kws.h", "kws.json"]
    assert found.bytes == sum(path.stat().st_size for path in found.files)
    header, told = (tmp_path / "kws.h").read_text(), json.loads((tmp_path / "kws.json").read_text())
    assert f"constants {found.sizes.constants:,} bytes; code: {found.sizes.code:,} bytes" in header
    assert "words * /: CC BY 4.0" in header
    assert told["labels"] == list(LABELS)
    assert told["c"]["checked"] is True
    assert told["c"]["state"] == found.sizes.state
    assert told["stream"]["hop_seconds"] == 0.1
    assert max(map(len, (tmp_path / "kws.c").read_text().splitlines())) <= 130


def test_a_folder(tmp_path):
    found = export(model_of("tc-cnn"), tmp_path / "c", format="c")
    assert [path.relative_to(tmp_path).as_posix() for path in found.files] == ["c/model.c", "c/model.h", "c/model.json"]
    assert '#include "model.h"' in found.files[0].read_text()


@pytest.mark.parametrize("name", ["math.c", "String.c", 'a"b.c', "two words.c"])
def test_names_that_c_programs_cannot_include(name, tmp_path):
    with pytest.raises(ConfigError, match=r"C programs include a header of this name"):
        export(model_of("tc-cnn"), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_without_a_compiler_it_is_said_that_nothing_was_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("audioconv.export.c99.compiler.find", lambda: None)
    found = export(model := model_of("tc-cnn"), tmp_path / "m.c")
    assert (found.check, found.sizes.code) == (None, None)
    assert "code: not measured, for there was no compiler" in (tmp_path / "m.h").read_text()
    assert json.loads((tmp_path / "m.json").read_text())["c"]["checked"] is False
    model.save(tmp_path / "model.safetensors")
    assert run_command(["export", str(tmp_path), "-o", str(tmp_path / "m.c")]) == 0
    assert "not compared with the model: there is no C compiler" in " ".join(capsys.readouterr().err.split())


def test_code_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    model = model_of("tc-cnn")
    wrong = dataclasses.replace(model, decision=dataclasses.replace(model.decision, temperature=1.1))
    write = program.write
    monkeypatch.setattr(
        "audioconv.export.c99.program.write", lambda _, name, **settings: write(wrong, name, **settings)
    )
    with pytest.raises(ExportError, match=r"probabilities differ from the model's by up to 0\.0\d"):
        export(model, tmp_path / "m.c")
    assert not list(tmp_path.iterdir())


CHANGES = {
    "the same word again": ("#define REFRACTORY_ROWS 50", "#define REFRACTORY_ROWS 5", "picks other events"),
    "words of other lengths": ("#define EXTENT_STEP 0.4", "#define EXTENT_STEP 0.7", "picks other events"),
    "another average": ("#define SMOOTHING 3", "#define SMOOTHING 2", "probabilities differ"),
    "windows elsewhere": ("#define HOP_ROWS 10", "#define HOP_ROWS 9", "windows, the model"),
    "a warning": ("int audioconv_push(", "static int unused; int audioconv_push(", "does not compile"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_stream_that_goes_otherwise_is_found(name, tmp_path, monkeypatch):
    before, after, message = CHANGES[name]
    write = program.write

    def changed(*arguments, **settings):
        made = write(*arguments, **settings)
        assert made.source.count(before) == 1
        return dataclasses.replace(made, source=made.source.replace(before, after))

    monkeypatch.setattr("audioconv.export.c99.program.write", changed)
    with pytest.raises(ExportError, match=message):
        export(model_of("tc-cnn"), tmp_path / "m.c")
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(program, "LARGEST", 10_000)
    with pytest.raises(ExportError, match=r"the model has \d+ MB of weights, more than compilers take"):
        export(model_of("tc-cnn"), tmp_path / "m.c")


def test_a_layer_without_code_names_itself(tmp_path, monkeypatch):
    from audioconv.export import operations as O
    from audioconv.export.c99 import network

    monkeypatch.delitem(network.RULES, O.Linear)
    with pytest.raises(ExportError, match=r"network/\d+: there is no C code for the operation Linear"):
        export(model_of("tc-cnn"), tmp_path / "m.c")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "c").write_text("what was there")
    with pytest.raises(DataError):
        export(model_of("tc-cnn"), tmp_path / "c", format="c")
    assert (tmp_path / "c").read_text() == "what was there"


def test_the_command_tells_the_sizes(tmp_path, capsys):
    model_of("tc-cnn").save(tmp_path / "model.safetensors")
    assert run_command(["export", str(tmp_path), "-o", str(tmp_path / "m.c")]) == 0
    told = capsys.readouterr()
    assert re.search(r"flash: constants [\d,]+ bytes, code [\d,]+ bytes \(", told.out)
    assert re.search(r"RAM: a stream [\d,]+ bytes, audioconv_classify [\d,]+ bytes if it is called", told.out)
    assert run_command(["export", str(tmp_path), "-o", str(tmp_path / "m.c"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sizes"]["state"] > found["sizes"]["scratch"] > 0
    assert found["same_answers"] == 7


def test_a_strange_layer(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Doubled(Layer):
        def infer_shape(self, in_shape):
            return in_shape

        def forward(self, params, x, run):
            return 2 * x, None

    try:
        model = model_of(L.Chain([L.Conv(2, 3), Doubled(), L.GlobalAvgPool(), L.Dense(5)]), kind="spectrogram-1d")
        with pytest.raises(ExportError, match=r"layer 1 Doubled\(\): layers of the type Doubled"):
            export(model, tmp_path / "m.c")
    finally:
        del Layer.kinds["Doubled"]
