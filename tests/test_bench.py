"""The benchmark: its networks are the same everywhere, what is wrong is seen, and no number on its page is typed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np
import pytest

from audioconv import layers as L
from audioconv.training.losses import SoftmaxCrossEntropy

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "bench"

# Runs the script in a process where the modules in its first argument cannot be imported.
WITHOUT = """
import runpy, sys

class Missing:
    names = sys.argv[1].split(",")

    def find_spec(self, name, path, target=None):
        if name in self.names:
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[2:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""

NETWORKS = ("cnn", "cs231n", "ds-cnn-s", "tc-resnet8", "m5-32")


@pytest.fixture(scope="module")
def bench():
    """Return the script as a module; its helpers can be imported as long as it is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        patch.setattr(sys, "dont_write_bytecode", True)
        loader = SourceFileLoader("bench", str(SCRIPT))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", loader))
        loader.exec_module(module)
        yield module


def run_main(bench, monkeypatch, measured, *arguments):
    """Run the script's `main` where `measured` is all that there is."""
    monkeypatch.setattr(bench, "names", lambda: measured)
    monkeypatch.setattr(bench, "copy_bandwidth", lambda rounds: 10.0)
    monkeypatch.setattr(bench, "thread_scaling", lambda: 1.0)
    monkeypatch.setattr(bench, "missing", list)
    monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
    return bench.main()


def row(bench, name="train/cnn", peer="torch"):
    return bench.Row(name, 30.0, peer, 90.0, 3.0, (2.9, 3.1))


def test_the_pages_hold_what_was_measured(bench):
    numbers = json.loads(bench.NUMBERS.read_text("utf-8")) if bench.NUMBERS.exists() else None
    for path, text in bench.PAGES.items():
        page = path.read_text("utf-8")
        assert bench.filled(page, text(numbers)) == page


def test_a_whole_run_writes_the_pages(bench, monkeypatch, tmp_path, capsys):
    page, readme = tmp_path / "performance.md", tmp_path / "README.md"
    for path, text in bench.PAGES.items():
        (tmp_path / path.name).write_text(bench.filled(path.read_text("utf-8"), text(None)), "utf-8")
    monkeypatch.setattr(bench, "PAGES", {page: bench.table, readme: bench.summary})
    monkeypatch.setattr(bench, "NUMBERS", tmp_path / "performance.json")

    def measured(setting):
        setting.tile_gflops += [100.0, 102.0]
        setting.multiply_add_gflops += [110.0, 112.0]
        setting.tile_shares["train/cnn"] = 0.456
        setting.variants["train/cnn torch"] = "channels last"
        return [row(bench)]

    rows = {"train/cnn": measured, "forward-1/cnn": lambda setting: [row(bench, "forward-1/cnn", "onnxruntime")]}
    assert run_main(bench, monkeypatch, rows, "--quick") == 0
    assert run_main(bench, monkeypatch, rows, "--only", "train") == 0
    assert "Not measured yet." in page.read_text("utf-8")
    assert "## How fast it is" not in readme.read_text("utf-8")
    assert run_main(bench, monkeypatch, rows) == 0
    written = page.read_text("utf-8")
    assert "| `train/cnn` | PyTorch | 3.5 | 3.00 | 2.90 to 3.10 |" in written
    assert "| `forward-1/cnn` | ONNX Runtime | 1.3 | **3.00** | 2.90 to 3.10 |" in written
    assert f"| `train/cnn`, PyTorch | {bench.LANES} | 3.00 | 3.5 | 46% |  | neither |" in written
    assert "| `train/cnn` | PyTorch, channels last | 30.0 ms | 90.0 ms | 46% |  |" in written
    peak = "Peak of the register tile: 101 GFLOP/s (91 % of the 111 GFLOP/s of independent multiply-adds)"
    assert peak in written.replace("\n", " ")
    runs = json.loads(bench.NUMBERS.read_text("utf-8"))
    assert list(runs) == [str(bench.LANES)]
    assert bench.filled(written, bench.table(runs)) == written
    assert "| times as fast as | PyTorch, training | ONNX Runtime, one clip |\n" in readme.read_text("utf-8")
    assert "| `cnn` | 3.0 | 3.0 |\n" in readme.read_text("utf-8")
    assert "46% of tile" in capsys.readouterr().out


def test_the_pages_show_both_vector_widths(bench, monkeypatch, tmp_path):
    page, readme = tmp_path / "performance.md", tmp_path / "README.md"
    for path, text in bench.PAGES.items():
        (tmp_path / path.name).write_text(bench.filled(path.read_text("utf-8"), text(None)), "utf-8")
    monkeypatch.setattr(bench, "PAGES", {page: bench.table, readme: bench.summary})
    monkeypatch.setattr(bench, "NUMBERS", tmp_path / "performance.json")
    for lanes, ratio in ((16, 4.0), (8, 3.0)):
        monkeypatch.setattr(bench, "LANES", lanes)
        found = bench.Row("train/cnn", 30.0, "torch", 30 * ratio, ratio, (ratio, ratio))
        only = bench.Row("logmel/1", 1.0, "librosa", 2.0, 2.0, (2.0, 2.0))
        rows = {"train/cnn": lambda setting, rows=(found, *[only] * (lanes == 16)): list(rows)}
        assert run_main(bench, monkeypatch, rows) == 0
    drawn = page.read_text("utf-8"), readme.read_text("utf-8")
    assert "|  | beside | target | 8 lanes | quartiles | 16 lanes | quartiles |" in drawn[0]
    assert "| `train/cnn` | PyTorch | 3.5 | 3.00 | 3.00 to 3.00 | **4.00** | 4.00 to 4.00 |" in drawn[0]
    assert "| `logmel/1` | librosa |  |  |  | **2.00** | 2.00 to 2.00 |" in drawn[0]
    assert drawn[0].index("### 8 lanes") < drawn[0].index("### 16 lanes")
    assert "| `cnn` | 3.0 / 4.0 |\n" in drawn[1]
    page.write_text(bench.filled(drawn[0], "old"), "utf-8")
    assert run_main(bench, monkeypatch, {}, "--draw") == 0
    assert (page.read_text("utf-8"), readme.read_text("utf-8")) == drawn


def test_the_pages_show_the_medians_of_three_runs_of_a_day(bench, monkeypatch, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(bench.filled((bench.ROOT / "docs" / "performance.md").read_text("utf-8"), ""), "utf-8")
    monkeypatch.setattr(bench, "PAGES", {page: bench.table})
    monkeypatch.setattr(bench, "NUMBERS", tmp_path / "performance.json")
    for ratio in (9.0, 3.0, 4.0, 2.0):  # the first is forgotten after three others

        def measured(setting, ratio=ratio):
            setting.tile_shares["train/cnn"] = ratio / 10
            return [bench.Row("train/cnn", 30.0, "torch", 30 * ratio, ratio, (ratio, ratio))]

        assert run_main(bench, monkeypatch, {"train/cnn": measured}) == 0
    text = page.read_text("utf-8")
    assert f"|  | beside | target | {bench.LANES} lanes | 3 runs |" in text
    assert "| `train/cnn` | PyTorch | 3.5 | 3.00 | 2.00 to 4.00 |" in text
    assert "| `train/cnn` | PyTorch | 30.0 ms | 90.0 ms | 30% |  |" in text
    assert "Medians of 3 runs." in text

    runs = json.loads(bench.NUMBERS.read_text("utf-8"))
    for run in runs[str(bench.LANES)]:
        run["machine"]["date"] = "2026-01-01"
    bench.NUMBERS.write_text(json.dumps(runs), "utf-8")
    assert run_main(bench, monkeypatch, {"train/cnn": lambda setting: [row(bench)]}) == 0
    assert "| `train/cnn` | PyTorch | 3.5 | 3.00 | 2.90 to 3.10 |" in page.read_text("utf-8")  # one run of today


def test_a_wrong_result_is_the_only_failure(bench, monkeypatch, tmp_path, capsys):
    def wrong(setting):
        raise bench.WrongResultError("train/m5-32, ours: first loss: differs")

    def alone(setting):
        raise bench.NoPeerError("torch")

    def broken(setting):
        raise ValueError("kernel does not compile")

    file = tmp_path / "numbers.json"
    measured = {"train/m5-32": wrong, "train/cnn": lambda setting: [row(bench)], "memory/cnn": alone}
    assert run_main(bench, monkeypatch, measured, "--quick", "--json", file) == 1
    out = capsys.readouterr().out
    assert "WRONG: train/m5-32, ours: first loss: differs" in out
    assert "left out: needs torch" in out
    expected = {"name": "train/cnn", "ours_ms": 30, "peer": "torch", "peer_ms": 90, "ratio": 3, "spread": [2.9, 3.1]}
    assert json.loads(file.read_text("utf-8"))["rows"] == [expected]
    assert run_main(bench, monkeypatch, measured, "--quick", "--only", "memory", "--only", "train/cnn") == 0
    capsys.readouterr()
    assert run_main(bench, monkeypatch, {"conv": broken, **measured}, "--only", "conv", "--only", "train/cnn") == 1
    out = capsys.readouterr().out
    assert "BROKEN" in out
    assert "ValueError: kernel does not compile" in out
    assert "3.00 x" in out


def test_an_unknown_name_is_refused(bench, monkeypatch, capsys):
    with pytest.raises(SystemExit) as exit_code:
        run_main(bench, monkeypatch, {"train/cnn": None}, "--only", "trian")
    assert exit_code.value.code == 2
    assert "nothing begins with trian; there is train/cnn" in capsys.readouterr().err


def test_the_names(bench):
    from benchmarking import ours

    assert ours.NETWORKS == NETWORKS
    names = list(bench.names())
    assert {name.split("/")[0] for name in names} == {
        "train", "forward-64", "forward-1", "export", "conv", "logmel", "pipeline", "compiled", "threads", "memory"
    }  # fmt: skip
    assert len(names) == 4 * len(NETWORKS) + 15 + 2 + 5


@pytest.mark.slow
def test_without_any_peer_nothing_is_measured():
    command = [sys.executable, "-c", WITHOUT, "torch,onnxruntime,onnx,librosa", str(SCRIPT), "--quick"]
    done = subprocess.run(
        [*command, "--only", "train/cnn", "--only", "forward-1/cnn", "--only", "logmel/1", "--only", "memory"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("left out: needs") == 4
    assert "torch is not installed, so nothing is measured beside it; pip install torch==2.13.0" in done.stderr


@pytest.mark.slow
def test_beside_librosa(tmp_path):
    pytest.importorskip("librosa")
    file = tmp_path / "numbers.json"
    command = [sys.executable, "-c", WITHOUT, "torch", str(SCRIPT)]
    done = subprocess.run(
        [*command, "--quick", "--only", "logmel/1", "--json", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = json.loads(file.read_text("utf-8"))
    (found,) = numbers["rows"]
    assert set(found) == {"name", "ours_ms", "peer", "peer_ms", "ratio", "spread"}
    assert (found["name"], found["peer"]) == ("logmel/1", "librosa")
    assert found["ratio"] == pytest.approx(found["peer_ms"] / found["ours_ms"])
    assert found["spread"][0] <= found["spread"][1]
    assert numbers["machine"]["copy_gb_per_second"] > 0


def test_candidates_take_turns_and_slow_variants_give_up(bench, monkeypatch):
    from benchmarking import timing

    calls = []

    def candidate(name, variant, milliseconds):
        def run():
            calls.append(variant)
            clock[0] += milliseconds / 1e3

        return timing.Candidate(name, run, variant)

    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(timing, "settle", lambda: None)
    candidates = [candidate("ours", "a", 100), candidate("theirs", "b", 300), candidate("theirs", "c", 200)]
    best = timing.take_turns(candidates, timing.Effort(5, 5, 0.0, 0.0, 1))
    assert calls == [*"abc" * 4, *"ac" * 2]
    assert best["theirs"].variant == "c"
    made = timing.compare("x", best["ours"].seconds, "theirs", best["theirs"].seconds)
    assert (made.ours_ms, made.peer_ms, made.ratio, *made.spread) == pytest.approx((100, 200, 2, 2, 2))


@pytest.mark.parametrize("found", [[1.0, 2.001], [1.0, np.nan], [1.0]])
def test_a_result_that_differs_is_wrong(bench, found):
    from benchmarking.checks import check_array

    check_array("x", np.array([1.0, 2.00001]), np.array([1.0, 2.0]))
    with pytest.raises(bench.WrongResultError, match="x: "):
        check_array("x", np.array(found), np.array([1.0, 2.0]))


def test_a_wrong_gradient_is_seen_however_small_it_is(bench):
    from benchmarking.checks import check_training

    right = {"0.weight": np.array([3.0, 4.0]), "0.bias": np.array([1e-3])}
    check_training("x", [1.0, 0.9], right, [1.0, 0.9], right)
    with pytest.raises(bench.WrongResultError, match=r"gradient of 0\.bias"):
        check_training("x", [1.0, 0.9], {**right, "0.bias": np.array([-1e-3])}, [1.0, 0.9], right)
    with pytest.raises(bench.WrongResultError, match="later losses"):
        check_training("x", [1.0, 0.8], right, [1.0, 0.9], right)


@pytest.mark.parametrize("network", NETWORKS)
def test_pytorch_has_the_same_network(bench, network):
    torch = pytest.importorskip("torch")
    from benchmarking import ours, torch_peer
    from benchmarking.checks import check_array

    case = ours.case(network)
    with torch.inference_mode():
        reference = torch_peer.module(case).double().eval()(torch_peer.examples(case, 2).double()).numpy()
    check_array(network, ours.forward(case, 2)(), reference)


@pytest.mark.parametrize("network", NETWORKS)
def test_onnx_runtime_has_the_same_network(bench, network):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from benchmarking import onnx_peer, ours
    from benchmarking.checks import check_array

    case = ours.case(network)
    check_array(network, onnx_peer.forward(case, 2, threads=1)(), ours.forward(case, 2)())


def test_the_gradients_are_those_of_the_trainer(bench):
    from benchmarking import ours
    from benchmarking.checks import check_array

    case = ours.case("tc-resnet8")
    training = ours.Training(case)
    training.step()
    found = training.first_gradients()
    run, params = L.Pass(training=True), L.unflatten(case.params)
    logits, saved = case.network.forward(params, case.x, run)
    _, gradient = SoftmaxCrossEntropy()(logits, case.labels)
    expected = L.flatten(case.network.gradients(params, saved, gradient, run))
    assert found.keys() == expected.keys()
    for path, array in expected.items():
        check_array(path, found[path], array)
