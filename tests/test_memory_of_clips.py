"""Memory does not grow with the number of clips beyond 300 bytes for each."""

from __future__ import annotations

import gc
import itertools
import os
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from audioconv import layers as L
from audioconv.audio import window_store
from audioconv.datasets import open_collection
from audioconv.datasets.check import check as checking
from audioconv.datasets.check import measure
from audioconv.datasets.items import Items
from audioconv.datasets.manifest import write_manifest
from audioconv.decision import decision
from audioconv.decision.decision import Decision
from audioconv.evaluation import curves, other_words
from audioconv.features.front_ends import RawSamples
from audioconv.features.normalisation import Normalisation
from audioconv.model import Model
from audioconv.pipeline import evaluate, reading_processes, windowing
from audioconv.pipeline.predict import RecordingScores
from audioconv.recipe.examples import load
from audioconv.recipe.labelled import LabelledFiles
from audioconv.recipe.plan import resolve
from audioconv.recipe.settings import Settings
from audioconv.recipe.setup import prepare
from audioconv.report import figures

MAX_BYTES = 300
RATE, LENGTH = 4000, 400
FEW, MANY = 500, 2500


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return folders with `FEW` and `MANY` clips of two classes, which are all the same file."""
    root = tmp_path_factory.mktemp("many")
    soundfile.write(root / "clip.wav", np.arange(LENGTH, dtype=np.int16), RATE)
    for count in (FEW, MANY):
        for label in ("no", "yes"):
            (root / str(count) / label).mkdir(parents=True)
            for number in range(count // 2):
                name = f"{number // 20:08x}_nohash_{number % 20}.wav"
                os.link(root / "clip.wav", root / str(count) / label / name)
    return root


def bytes_a_clip(work, folders, times):
    """Return by how much the peak of memory grows with each clip, and that of what `work` returns.

    The least of `times` runs counts: threads that other tests left in this process may allocate memory as well.
    """
    work(folders / str(FEW))  # what is imported or computed once
    few, many = (np.min([_traced(work, folders / str(count)) for _ in range(times)], axis=0) for count in (FEW, MANY))
    peak, held = (many - few) / (MANY - FEW)
    return peak, held


def _traced(work, folder):
    """Return the peak of memory, and what is held in the end; Python's table of its own strings grows at any time."""
    gc.collect()
    tracemalloc.start()
    kept = work(folder)
    gc.collect()
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return peak, now


@pytest.mark.slow
def test_opening_a_folder_or_a_manifest(folders):
    peak, held = bytes_a_clip(open_collection, folders, times=2)
    assert held < 70
    assert peak < MAX_BYTES

    def open_manifest(folder):
        return open_collection(folder.with_suffix(".csv"))

    for count in (FEW, MANY):
        write_manifest(folders / f"{count}.csv", open_collection(folders / str(count)).items)
    peak, held = bytes_a_clip(open_manifest, folders, times=2)
    assert held < 70
    assert peak < MAX_BYTES


@pytest.mark.slow
def test_training(folders, tmp_path, monkeypatch):
    samples, store = np.arange(LENGTH, dtype=np.float32) / 32768, tmp_path
    monkeypatch.setattr(reading_processes, "MIN_FILES", 10 * MANY)  # another process would read the files themselves
    monkeypatch.setattr(reading_processes, "recording_parts", lambda *_: [(samples, [0], False)])
    monkeypatch.setattr(windowing, "MAX_MEMORY_SAMPLES", 1)
    stores = itertools.count()
    monkeypatch.setattr(window_store, "stores_folder", lambda: store)

    def make_ready(folder):
        nonlocal store
        store = tmp_path / str(next(stores))  # each run writes the clips
        settings = Settings(
            arch="tc-resnet8", init=None, negatives="none", reject=True, sample_rate=RATE, clip_seconds=LENGTH / RATE
        )
        data = LabelledFiles.of(open_collection(folder))
        plan = resolve(settings, data, None)
        setup = prepare(plan, load(plan, data))
        (data,) = setup.data_to_train(setup.parts["train"])
        data.batch(np.arange(8), np.random.default_rng(0))
        return setup, data

    peak, held = bytes_a_clip(make_ready, folders, times=2)
    assert held < MAX_BYTES
    assert peak < MAX_BYTES


@pytest.mark.slow
def test_data_check(folders, monkeypatch):
    numbers = iter(range(10 * MANY))

    def measured(example):
        return measure.Sound(next(numbers).to_bytes(32, "little"), 0.1, RATE, 1, -20.0, -10.0, 0.0, 0.0)

    monkeypatch.setattr(measure, "measure_sound", measured)

    def check(folder):
        report = checking.check(open_collection(folder))
        report.as_json()
        return report

    peak, held = bytes_a_clip(check, folders, times=3)
    assert held < MAX_BYTES
    assert peak < MAX_BYTES


WORDS = tuple(f"word{number}" for number in range(33))


@pytest.mark.slow
@pytest.mark.parametrize("labels", [("yes", "no", "_unknown_"), ("yes", "no", *WORDS), ("yes", *WORDS, "_unknown_")])
def test_evaluate(folders, monkeypatch, labels):
    network = L.Chain([L.GlobalAvgPool(), L.Dense(len(labels))])
    front_end = RawSamples()
    shape = front_end.out_shape(LENGTH)
    made = Model(
        network=network,
        params=network.init(shape, np.random.default_rng(0)),
        labels=labels,
        input_shape=shape,
        front_end=front_end,
        clip_samples=LENGTH,
        normalisation=Normalisation(*np.ones((2, shape[-1]), np.float32)),
        decision=Decision(threshold=0.1),
    )

    def score_files(model, spec, files, **_):
        rng = np.random.default_rng(0)
        scores = (rng.exponential(size=len(labels)).astype(np.float32) for _ in files)
        return (RecordingScores(some / some.sum()) for some in scores)  # none is like another

    monkeypatch.setattr(evaluate, "score_files", score_files)
    # What is looked at at a time is less than of the fewest clips, as it is of many.
    monkeypatch.setattr(other_words, "CHUNK", 1 << 10)
    monkeypatch.setattr(decision, "ROWS", 1 << 5)
    monkeypatch.setattr(curves, "MAX_SCORES", 1 << 10)

    def judge(folder):
        collection = open_collection(folder)
        if "no" not in labels:
            items = Items.of(collection.items).relabelled(lambda label: "yes" if label == "yes" else "_unknown_")
            collection = replace(collection, items=items)
        found = evaluate.evaluate(made, collection)
        found.to_json()
        detection = found.detection
        figures.scores(detection)
        for rate in (0.01, 0.1):
            detection.within(rate)
        assert found.count == len(found.scored) > 0
        return found

    peak, held = bytes_a_clip(judge, folders, times=2)
    assert held < MAX_BYTES
    assert peak < MAX_BYTES
