"""``audioconv info`` on networks of other frameworks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audioconv.cli import run

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[interop]'")


@pytest.fixture
def call(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)

    def call(*words):
        code = run([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def network(tmp_path):
    from onnx_models import model, node, save

    nodes = [node("Conv", ["x", "w"], "c"), node("Relu", ["c"], "r"), node("GlobalAveragePool", ["r"])]
    return save(model(nodes, (4, 9), {"w": np.ones((6, 4, 3), np.float32)}), tmp_path)


def test_the_layers_of_an_onnx_file(call, network):
    code, out, err = call("info", network)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["0", "Conv(6,", "(3,),", "bias=False)", "Conv", "of", "c", "7", "x", "6", "72", "504"] in rows
    assert ["2", "GlobalAvgPool()", "the", "GlobalAveragePool", "6", "0", "0"] in rows
    assert "input       9 x 4, channels last" in out
    assert "output      6" in out


def test_an_onnx_file_as_json(call, network):
    code, out, _ = call("info", network, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["input_shape"] == [9, 4]
    assert [row["name"] for row in found["layers"]] == ["Conv of c", "Relu of r", "the GlobalAveragePool"]
    assert found["parameters"] == 72


@pytest.mark.parametrize(("kernel", "size"), [(3, 128), (1000, 65536)])
def test_a_size_that_the_file_leaves_open(kernel, size, call, tmp_path):
    from onnx_models import model, node, save

    nodes = [node("Conv", ["x", "w"], "c"), node("GlobalAveragePool", ["c"])]
    path = save(model(nodes, (1, "time"), {"w": np.ones((6, 1, kernel), np.float32)}), tmp_path)
    code, out, _ = call("info", path)
    assert code == 0
    assert f"input       ? x 1, channels last; ? is {size:,} in the table" in out
    assert "runs" not in out
    assert json.loads(call("info", path, "--json")[1])["open_axes"] == [0]


def test_a_layer_that_is_not_compiled(call, tmp_path):
    from onnx_models import model, node, save

    nodes = [node("Relu", ["x"], "r"), node("Mul", ["r", "two"], "m"), node("GlobalAveragePool", ["m"])]
    code, out, _ = call("info", save(model(nodes, (4, 9), {"two": np.float32(2)}), tmp_path))
    assert code == 0
    assert "runs        layer by layer, which is slower than compiled: 1 is Power, which is not compiled" in out


def test_a_file_that_is_refused(call, network):
    network.write_bytes(b"nothing")
    code, _, err = call("info", network)
    assert code == 1
    assert "audioconv: error: " in err
    assert "not an ONNX file" in err


def test_weights_alone(call, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"conv.weight": torch.zeros(6, 4, 3), "conv.bias": torch.zeros(6)}, tmp_path / "network.pt")
    code, out, _ = call("info", tmp_path / "network.pt")
    assert code == 0
    assert ["conv.weight", "6", "x", "4", "x", "3", "72"] in [line.split() for line in out.splitlines()]
    assert "weights alone" in out
    found = json.loads(call("info", tmp_path / "network.pt", "--json")[1])
    assert found["arrays"] == {"conv.weight": [6, 4, 3], "conv.bias": [6]}


# --- safetensors of other programs ---


@pytest.fixture
def weights(tmp_path):
    from safetensors.numpy import save_file

    arrays = {"conv.weight": np.zeros((6, 4, 3), np.float16), "steps": np.array(7, np.int64), "a [red]": np.zeros(2)}
    save_file(arrays, tmp_path / "weights.safetensors", {"format": "pt"})
    return tmp_path / "weights.safetensors"


def test_safetensors_of_another_program(call, weights):
    code, out, err = call("info", weights)
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["conv.weight", "6", "x", "4", "x", "3", "F16", "72"] in rows
    assert ["a", "[red]", "2", "F64", "2"] in rows
    assert ["total", "75"] in rows
    assert "metadata    format: pt" in out
    assert "weights alone, without a network, by another program than audioconv" in out


def test_safetensors_of_another_program_as_json(call, weights):
    found = json.loads(call("info", weights, "--json")[1])
    assert found["arrays"] == {"conv.weight": [6, 4, 3], "steps": [], "a [red]": [2]}
    assert found["dtypes"] == {"conv.weight": "F16", "steps": "I64", "a [red]": "F64"}
    assert found["parameters"] == 75
    assert found["metadata"] == {"format": "pt"}
    assert found["bytes"] == weights.stat().st_size


def test_a_type_that_cannot_be_read_is_listed_too(call, tmp_path):
    header = json.dumps({"w": {"dtype": "F8_E4M3", "shape": [2, 2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    code, out, _ = call("info", tmp_path / "w.safetensors")
    assert code == 0
    assert ["w", "2", "x", "2", "F8_E4M3", "4"] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize("change", [lambda content: content[:-3], lambda content: content[:40], lambda _: b"nothing"])
def test_safetensors_that_are_damaged(change, call, weights):
    weights.write_bytes(change(weights.read_bytes()))
    code, _, err = call("info", weights)
    assert code == 1
    assert "weights.safetensors: " in err
    assert "truncated or damaged" in err or "not a safetensors file" in err
    assert "Traceback" not in err
