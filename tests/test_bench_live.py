"""The benchmark of listening: what it says of networks is so, and no number on its page is typed."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np
import pytest
import soundfile
from compared import direct_sums
from streams import recording, train

from audioconv import architectures
from audioconv import layers as L

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "bench_live"


@pytest.fixture(scope="module")
def bench():
    """Return the script as a module; its helpers can be imported as long as it is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        patch.setattr(sys, "dont_write_bytecode", True)
        loader = SourceFileLoader("bench_live", str(SCRIPT))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench_live", loader))
        loader.exec_module(module)
        yield module


def seen_by_one_output(trunk, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return stride and receptive field along time, by changing one input after the other."""
    rng = np.random.default_rng(0)
    params = trunk.init(shape, rng)
    x = rng.standard_normal((1, *shape)).astype(np.float32)
    with direct_sums():  # by which an output depends on its own inputs alone
        return _seen(trunk, params, x, rng)


def _seen(trunk, params, x: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    before = trunk.forward(params, x, L.Pass())[0][0]
    middle = before.shape[0] // 2
    reached = {middle: [], middle + 1: []}
    for place in range(x.shape[1]):
        changed = x.copy()
        changed[0, place] += 3 * rng.standard_normal(x.shape[2:]).astype(np.float32)
        after = trunk.forward(params, changed, L.Pass())[0][0]
        for output, places in reached.items():
            if not np.array_equal(after[output], before[output]):
                places.append(place)
    first, second = reached.values()
    return second[0] - first[0], first[-1] - first[0] + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "ds-cnn-s", "tc-resnet8"])
def test_what_a_network_sees(bench, name):
    from benchmarking.live import reach

    network = architectures.build(name, 3)
    shape = (300, 40, 1) if architectures.input_kind(name) == "spectrogram-2d" else (300, 40)
    end = next(n for n, layer in enumerate(network.layers) if isinstance(layer, L.GlobalAvgPool))
    trunk = L.Chain([layer for layer in network.layers[:end] if not isinstance(layer, L.BatchNorm)])
    stride, seen = reach(network, shape)
    found = seen_by_one_output(trunk, shape)
    assert found[0] == stride
    # An activation may hide what an output sees, so no more than that; and hardly less.
    assert 0.9 * seen <= found[1] <= seen


@pytest.fixture(scope="module")
def measured(bench, tmp_path_factory) -> tuple[Path, Path]:
    """Return a model, and recordings of its words."""
    folder = tmp_path_factory.mktemp("bench")
    train("cnn").save(folder / "model.safetensors")
    for label in ("high", "low"):
        (folder / "words" / label).mkdir(parents=True)
        for n in range(3):
            samples = recording([(label, 0.2)], 0.8, 16000, seed=n)
            soundfile.write(folder / "words" / label / f"{n}.wav", samples, 16000)
    return folder / "model.safetensors", folder / "words"


def test_words_are_found_with_their_delay(bench, measured):
    from benchmarking.live import latency

    found = latency(str(measured[0]), str(measured[1]), 6)
    assert found["words"] == 6
    for rate in ("16000", "48000"):
        assert found[rate]["found"] == 6
        assert 0 < found[rate]["q10"] <= found[rate]["q50"] <= found[rate]["q90"] < 1


def test_a_page_has_what_was_measured(bench, measured, tmp_path, monkeypatch, capsys):
    model, words = measured
    answers = {
        "real-time": 0.0123,
        "agreement": {"windows": 10, "same": 0.8, "largest_difference_median": 0.02},
        "latency": {
            "words": 6,
            **{rate: {"found": 6, "q10": 0.1, "q50": 0.2, "q90": 0.4} for rate in ("16000", "48000")},
        },
        "memory": {"hours": 12, "early": 190.0, "late": 191.0, "times_real_time": 500.0},
        "hops": [{"network": "cnn", "frames": 101, "needed": 46, "whole": 0.17, "least": 0.09}],
    }
    monkeypatch.setattr(bench, "ours", lambda what, *arguments, threads=1: answers[what])
    monkeypatch.setattr(bench, "peer", lambda name, raw, folder: {"openWakeWord": 0.0678}.get(name))
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n", "utf-8")
    monkeypatch.setattr(bench, "PAGE", page)
    monkeypatch.setattr(
        sys,
        "argv",
        ["bench_live", str(model), str(words), "--peers", str(tmp_path), "--json", str(tmp_path / "n.json")],
    )
    assert bench.main() == 0
    text = page.read_text("utf-8")
    assert text.startswith(f"before\n{bench.BEGIN}\n")
    assert text.endswith(f"{bench.END}\nafter\n")
    assert "old" not in text
    for part in (
        "| audioconv | 0.0123 |",
        "| openWakeWord | 0.0678 |",
        "| 6 | 100 ms | 200 ms | 400 ms |",
        "46 of 101",
    ):
        assert part in text
    assert json.loads((tmp_path / "n.json").read_text("utf-8"))["memory"] == answers["memory"]
    assert bench.table(json.loads((tmp_path / "n.json").read_text("utf-8"))) in text


def test_processes_measure_on_one_core(bench, measured, tmp_path):
    model, words = measured
    raw = tmp_path / "sound.raw"
    bench.sound(words, ("high", "low"))[: 20 * 16000].tofile(raw)
    assert 0 < bench.ours("real-time", str(model), str(raw)) < 1
    assert bench.peer("openWakeWord", str(raw), tmp_path) is None
