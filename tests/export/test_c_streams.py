"""Streams in C: the events of a `Detector`, in blocks of any size, on a Cortex-M too."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")

import streams
from c_programs import SANITIZERS, as_int16, compiler, heard_by_detector, on_cortex_m, same_events
from streams import recording

from audioconv import Classifier
from audioconv.audio.read import read
from audioconv.export import export
from audioconv.export.c99 import program
from audioconv.export.c99.compiler import FLAGS, run
from audioconv.streaming import Detector

SAID = [("high", 0.5), ("low", 1.6), ("low", 2.9), ("high", 3.5), ("high", 5.0), ("low", 5.3), ("low", 6.45)]
LENGTH = 7 * streams.RATE - 123
THRESHOLD = 0.6
BLOCKS = (1, 7, 160, 4096)

KINDS = {
    "log-mel": {"arch": "tc-resnet8"},
    "mfcc": {"arch": "tc-resnet8", "front_end": "mfcc"},
    "raw": {"arch": "m5-32"},
    "picture": {"arch": "cnn"},
}


@pytest.fixture(scope="module", params=["log-mel", "mfcc", "raw", pytest.param("picture", marks=pytest.mark.slow)])
def model(request):
    return streams.train(**KINDS[request.param])


@pytest.fixture(scope="module")
def samples():
    return as_int16(recording(SAID, 7.0)[:LENGTH])


def everything(heard):
    return [*heard.events, *heard.flushed]


def test_the_events_of_a_detector_in_blocks_of_any_size(model, samples, compiled):
    run = compiled(model, flags=SANITIZERS)
    wanted, scores = heard_by_detector(model, samples, THRESHOLD)
    assert [event[0] for event in wanted].count("low") >= 3
    row = round(model.front_end.sample_rate / 100)
    heard = run.listen(samples, row, THRESHOLD)
    np.testing.assert_allclose(heard.scores, scores, atol=1e-4, rtol=0)
    same_events(model, heard, wanted)
    for block in (*BLOCKS, len(samples)):
        assert everything(run.listen(samples, block, THRESHOLD)) == everything(heard)


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.4, 0.9])
def test_at_any_threshold(model, samples, threshold, compiled):
    run = compiled(model)
    wanted, _ = heard_by_detector(model, samples, threshold)
    same_events(model, run.listen(samples, 4096, threshold), wanted)


@pytest.mark.parametrize("length", [0, 1, 399, 2000])
def test_short_streams(model, samples, length, compiled):
    run = compiled(model, flags=SANITIZERS)
    begin = round(0.5 * streams.RATE)
    short = samples[begin : begin + length]
    wanted, _ = heard_by_detector(model, short, 0.3)
    for block in BLOCKS:
        same_events(model, run.listen(short, block, 0.3), wanted)


@pytest.mark.parametrize("level", [0, 1, 32767])
def test_silence_noise_and_clipping(model, level, compiled):
    rng = np.random.default_rng(0)
    loud = np.where(rng.random(3 * streams.RATE) < 0.5, -level - (level > 1), level).astype(np.int16)
    wanted, scores = heard_by_detector(model, loud, 0.3)
    heard = compiled(model, flags=SANITIZERS).listen(loud, round(model.front_end.sample_rate / 100), 0.3)
    np.testing.assert_allclose(heard.scores, scores, atol=1e-4, rtol=0)
    same_events(model, heard, wanted)


@pytest.mark.slow
def test_clang_gives_the_same(model, samples, compiled):
    wanted, _ = heard_by_detector(model, samples, THRESHOLD)
    same_events(model, compiled(model, "clang", SANITIZERS).listen(samples, 160, THRESHOLD), wanted)


def test_a_cortex_m4_gives_the_same(model, samples, compiled):
    name, flags, command = on_cortex_m()
    run = compiled(model, name, flags, command)
    short = samples[: 4 * streams.RATE]
    wanted, scores = heard_by_detector(model, short, THRESHOLD)
    assert wanted
    row = round(model.front_end.sample_rate / 100)
    heard = run.listen(short, row, THRESHOLD)
    np.testing.assert_allclose(heard.scores, scores, atol=1e-4, rtol=0)
    same_events(model, heard, wanted)
    # As on this machine.
    assert heard.state_bytes == program.write(model, "model").sizes.state


# --- the example in the documentation ---


def test_the_example_in_the_documentation(samples, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```c\n(.*?)```", page, re.DOTALL)
    model = streams.train(**KINDS["log-mel"])
    export(model, tmp_path / "model.c")
    (tmp_path / "example.c").write_text(example)
    (tmp_path / "samples.raw").write_bytes(samples.astype("<i2").tobytes())
    files = [str(tmp_path / name) for name in ("example.c", "model.c")]
    run([compiler("gcc"), *FLAGS, "-O2", *files, "-o", str(tmp_path / "example"), "-lm"], "does not compile")
    told = run([shutil.which("sh"), "-c", f"{tmp_path}/example < {tmp_path}/samples.raw"], "fails").splitlines()
    detector = Detector(model)
    wanted = detector.push(samples) + detector.flush()
    assert len(wanted) >= 5
    assert told == [f"{one.label} {one.start:.2f} to {one.end:.2f} s, score {one.score:.3f}" for one in wanted]


# --- real words ---

WORDS = ("down", "left", "right")
TESTED, TRAINED = 25, 120


@pytest.fixture(scope="module")
def spliced(test_data):
    """Return clips to train with, and a recording of others in noise, (T,) int16."""
    clips = {word: sorted((test_data / "speech-commands-9" / word).iterdir()) for word in WORDS}
    rng = np.random.default_rng(0)
    said = [path for paths in clips.values() for path in paths[:TESTED]]
    said = [said[int(place)] for place in rng.permutation(len(said))]
    samples = rng.normal(0, 0.003, round(16000 * (1.3 * len(said) + 1)))
    for number, path in enumerate(said):
        clip, first = read(path, 16000), round(16000 * (1.3 * number + 0.2 * rng.random()))
        samples[first : first + len(clip)] += clip
    return {word: paths[TESTED : TESTED + TRAINED] for word, paths in clips.items()}, as_int16(samples)


@pytest.mark.slow
def test_a_trained_model_on_a_real_recording(spliced, compiled):
    clips, samples = spliced
    paths, labels = zip(*((path, word) for word, paths in clips.items() for path in paths), strict=True)
    settings = {"arch": "tc-resnet8", "epochs": 8, "batch_size": 32, "seed": 0, "refit": False, "reject": False}
    model = Classifier(**settings).fit(list(paths), list(labels)).model_
    run = compiled(model, flags=("-O2",))
    for threshold in (None, 0.3, 0.8):
        wanted, scores = heard_by_detector(model, samples, threshold)
        assert len(wanted) > 20
        heard = run.listen(samples, 160, -1.0 if threshold is None else threshold)
        np.testing.assert_allclose(heard.scores, scores, atol=1e-4, rtol=0)
        same_events(model, heard, wanted)
