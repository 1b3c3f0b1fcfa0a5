"""``scripts/bench_export``: it runs, and what its tables say."""

from __future__ import annotations

import dataclasses
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("tflite", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("ai_edge_litert", reason="needs the extra: pip install 'audioconv[export]'")

from exported import model_of

from audioconv.decision.decision import Decision
from audioconv.export import check
from audioconv.export.c99 import compiler
from audioconv.features.stored import StoredFeatures

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch):
    """Return the script as a module; it may choose the core that this process runs on."""
    if hasattr(os, "sched_setaffinity"):
        monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    loader = importlib.machinery.SourceFileLoader("bench_export", str(ROOT / "scripts" / "bench_export"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_export", loader))
    monkeypatch.setitem(sys.modules, "bench_export", module)
    loader.exec_module(module)
    monkeypatch.setattr(module, "PASSES", 2)
    monkeypatch.setattr(module, "RUNS", 1)
    return module


@pytest.fixture
def recordings(tmp_path, rng):
    """Return a folder of 155 recordings of two words."""
    for word in ("no", "yes"):
        (tmp_path / "words" / word).mkdir(parents=True)
        for number in range(160):
            noise = rng.uniform(0.01, 0.3) * rng.standard_normal(8000)
            soundfile.write(tmp_path / "words" / word / f"{number}.wav", noise, 16000)
    return tmp_path / "words"


@pytest.mark.slow
def test_it_runs_and_writes_the_section_of_the_page(bench, recordings, tmp_path, monkeypatch, capsys):
    models = tmp_path / "models"
    (models / "tc-resnet8").mkdir(parents=True)
    model = model_of("tc-resnet8", labels=("no", "yes"), decision=Decision())
    stored = StoredFeatures.of(model.features(check.examples_for(model)))
    dataclasses.replace(model, stored_features=stored).save(models / "tc-resnet8" / "model.safetensors")
    page = tmp_path / "export.md"
    page.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n", "utf-8")
    monkeypatch.setattr(bench, "PAGE", page)
    monkeypatch.setattr(bench, "CLIPS", 10)
    monkeypatch.setattr(bench.architectures, "NAMES", ("m5-32", "tc-resnet8"))
    monkeypatch.setattr(sys, "argv", ["bench_export", str(recordings), "--models", str(models)])
    assert bench.main() == 0
    before, written = page.read_text("utf-8").split(bench.BEGIN)
    written, after = written.split(bench.END)
    assert (before, after) == ("before\n", "\nafter\n")
    assert "old" not in written
    rows = [line.split(" | ") for line in written.splitlines() if line.startswith("| `")]
    formats = ["ONNX", "TFLite", "web page", *(["C"] if compiler.find() else [])]
    networks = [("| `m5-32`", "drawn"), ("| `tc-resnet8`", "trained")]
    *files, integers = rows
    assert [tuple(row[:3]) for row in files] == [(*one, name) for one in networks for name in formats]
    assert all(row[4] == "10 of 10" and float(row[3]) <= 1e-5 for row in files)
    assert integers[:2] == ["| `tc-resnet8`", "320"]
    assert "| log-mel, 40 bands |" in written
    assert "by `scripts/bench_export`" in written
    monkeypatch.setattr(sys, "argv", ["bench_export", str(recordings), "--only", "m5-32"])
    page.write_text(
        page.read_text("utf-8").replace("| `m5-32` | drawn | ONNX |", "| `m5-32` | drawn | before |"), "utf-8"
    )
    assert bench.main() == 0
    assert "| before |" not in page.read_text("utf-8")
    assert [line[:30] for line in page.read_text("utf-8").split("\n")] == [
        line[:30] for line in f"{before}{bench.BEGIN}{written}{bench.END}{after}".split("\n")
    ]


def test_pictures_are_spectrograms_of_the_clips(bench, rng):
    clips = (0.1 * rng.standard_normal((3, 16000))).astype(np.float32)
    clips[2] = 0
    pictures = bench.pictures_of(clips)
    assert pictures.shape == (3, 75, 75, 3)
    assert pictures[:2].min(axis=(1, 2, 3)).tolist() == [0, 0]
    assert pictures[:2].max(axis=(1, 2, 3)).tolist() == [1, 1]
    assert not pictures[2].any()


def test_a_quick_run_writes_no_page(bench, recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "PAGE", tmp_path / "nowhere.md")
    monkeypatch.setattr(bench, "QUICK", ("m5-32",))
    monkeypatch.setattr(sys, "argv", ["bench_export", str(recordings), "--quick"])
    assert bench.main() == 0
    assert "| `m5-32` | drawn | ONNX |" in capsys.readouterr().out


def test_drawn_networks_tell_clips_apart(bench):
    clips = (0.1 * np.random.default_rng(0).standard_normal((16, 16000))).astype(np.float32)
    logits = bench.drawn("cnn", clips).predict_logits(clips)
    assert np.isfinite(logits).all()
    assert logits.std(axis=0).min() > 1e-3
