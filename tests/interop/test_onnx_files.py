"""Files that are refused, and what is said of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[interop]'")

from onnx import TensorProto, helper, numpy_helper
from onnx_models import compare, model, node, run_layers, run_onnx, save

from audioconv import interop
from audioconv.errors import AudioconvError, ConfigError, DataError, MissingExtraError, ModelFileError
from audioconv.interop.errors import AGAIN, FOLD, OWN, UnsupportedError
from audioconv.interop.graph import BATCH, shown_size, shown_text

WEIGHT = np.random.default_rng(3).standard_normal((6, 4, 3)).astype(np.float32)


def refused(path, error=ModelFileError, **settings):
    with pytest.raises(error) as caught:
        interop.read_onnx(path, **settings)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


# --- what there is no layer for ------------------------------------------------------------------------------------


def cut(name):
    return f"cut the network before it (until={name!r}, or --init-layer={name!r})"


ONLY = np.arange(9, dtype=np.float32)

# Name: nodes, shape of the input without the batch, constants, beginning of the message, and the remedy at its end.
UNSUPPORTED = {
    "an operator": (
        [node("Relu", ["x"], "r"), node("GRU", ["r", "w", "w"])], (4, 9), {"w": WEIGHT},
        "node 'the GRU' (GRU): the operator is not supported", f"export the network without it, or {cut('r')}",
    ),
    "an operator of others, at the input": (
        [helper.make_node("Special", ["x"], ["y"], name="mine", domain="com.example")], (4, 9), {},
        "node 'mine' (com.example.Special): the operator is not supported", "export the network without it",
    ),
    "a transposed convolution": (
        [node("ConvTranspose", ["x", "w"])], (6, 9), {"w": WEIGHT},
        "node 'the ConvTranspose' (ConvTranspose): the operator is not supported", "export the network without it",
    ),
    "three spatial axes": (
        [node("Conv", ["x", "w"])], (4, 9, 9, 9), {"w": np.zeros((6, 4, 3, 3, 3), np.float32)},
        "node 'the Conv' (Conv): has 3 spatial axes; one or two are supported", OWN,
    ),
    "three spatial axes to pool": (
        [node("Relu", ["x"], "r"), node("GlobalMaxPool", ["r"])], (4, 9, 9, 9), {},
        "node 'the GlobalMaxPool' (GlobalMaxPool): has 3 spatial axes; one or two are supported", cut("r"),
    ),
    "a weight that does not fit": (
        [node("Conv", ["x", "w"])], (5, 9), {"w": WEIGHT},
        "node 'the Conv' (Conv): a weight of shape (6, 4, 3) with 1 groups does not fit (N, 5, 9)", OWN,
    ),
    "a weight that is computed": (
        [node("Conv", ["x", "x"])], (4, 9), {},
        "node 'the Conv' (Conv): its input 'x' is computed from the network's input; only constants are supported",
        FOLD,
    ),
    "a tensor that is a constant": (
        [node("Conv", ["w", "x"])], (4, 9), {"w": WEIGHT},
        "node 'the Conv' (Conv): its input 'w' is a constant, which is not supported here", FOLD,
    ),
    "a weight that is missing": (
        [node("Relu", ["x"], "r"), node("Conv", ["r"])], (4, 9), {},
        "node 'the Conv' (Conv): its input number 1 is missing", f"{AGAIN}, or {cut('r')}",
    ),
    "a kernel that is too large": (
        [node("Conv", ["x", "w"])], (4, 2), {"w": WEIGHT},
        "node 'the Conv' (Conv): Conv(6, (3,), bias=False): a kernel that spans 3 does not fit an input of 2", OWN,
    ),
    "dilated pooling": (
        [node("MaxPool", ["x"], kernel_shape=[3], dilations=[2])], (4, 9), {},
        "node 'the MaxPool' (MaxPool): dilated pooling is not supported", "dilate the convolution before it instead",
    ),
    "padding below zero": (
        [node("Relu", ["x"], "r"), node("MaxPool", ["r"], kernel_shape=[3], pads=[-1, 0])], (4, 9), {},
        "node 'the MaxPool' (MaxPool): pads [-1, 0] are not supported", f"enters the network, or {cut('r')}",
    ),
    "a padding by reflection": (
        [node("Pad", ["x", "p"], mode="reflect")], (4, 9), {"p": np.asarray([0, 0, 1, 0, 0, 1])},
        "node 'the Pad' (Pad): pads by mode 'reflect'; only a constant is supported",
        "export the network with zeros there",
    ),
    "a padding by the edge": (
        [node("Relu", ["x"], "r"), node("Pad", ["r", "p"], mode="edge")], (4, 9), {"p": np.asarray([0, 0, 1, 0, 0, 1])},
        "node 'the Pad' (Pad): pads by mode 'edge'; only a constant is supported",
        f"export the network with zeros there, or {cut('r')}",
    ),
    "a padding of the batch": (
        [node("Pad", ["x", "p"])], (4, 9), {"p": np.asarray([1, 0, 0, 0, 0, 0])},
        "node 'the Pad' (Pad): pads the batch, which is not supported", OWN,
    ),
    "an axis that is split": (
        [node("Reshape", ["x", "s"])], (8, 9), {"s": np.asarray([0, 2, 4, 9])},
        "node 'the Reshape' (Reshape): shape (N, 8, 9) becomes (N, 2, 4, 9), which splits an axis or moves the batch",
        OWN,
    ),
    "a batch that is merged": (
        [node("Relu", ["x"], "r"), node("Reshape", ["r", "s"])], (8, 9), {"s": np.asarray([-1, 9])},
        "node 'the Reshape' (Reshape): shape (N, 8, 9) becomes (N * 8, 9), which splits",
        f"export the network with the batch as an axis of its own, or {cut('r')}",
    ),
    "a batch that is flattened": (
        [node("Flatten", ["x"], axis=2)], (6, 7), {},
        "node 'the Flatten' (Flatten): shape (N, 6, 7) becomes (N * 6, 7), which splits", "an axis of its own",
    ),
    "a batch that is flattened with all": (
        [node("Flatten", ["x"], axis=0)], (6, 7), {},
        "node 'the Flatten' (Flatten): shape (N, 6, 7) becomes (1, N * 42), which splits", "an axis of its own",
    ),
    "two batches": (
        [node("Shape", ["x"], "s"), node("Gather", ["s", "zero"], "n"), node("Mul", ["n", "n"], "m"),
         node("Concat", ["m", "rest"], "to", axis=0), node("Reshape", ["x", "to"])], (6, 7),
        {"zero": np.asarray([0]), "rest": np.asarray([1])},
        "node 'the Reshape' (Reshape): shape (N, 6, 7) becomes (N * N, 1), which splits", "an axis of its own",
    ),
    "a shape with the batch that does not fit": (
        [node("Shape", ["x"], "s"), node("Reshape", ["c", "s"], "e"), node("Add", ["x", "e"])], (6, 7),
        {"c": np.zeros(5, np.float32)},
        "node 'Reshape of e' (Reshape): its constants do not fit: cannot reshape array of size 5 into shape (N,6,7)",
        FOLD,
    ),
    "a batch that is transposed": (
        [node("Transpose", ["x"], "t", perm=[1, 0, 2]), node("Softmax", ["t"])], (8, 9), {},
        "node 'the Softmax' (Softmax): needs the batch as its first axis; the network moves it elsewhere",
        "export the network with the batch as the first axis of all tensors, or " + cut("t"),
    ),
    "the larger of two": (
        [node("Tanh", ["x"], "t"), node("Max", ["x", "t"])], (8, 9), {},
        "node 'the Max' (Max): of two computed tensors is not supported; only with constants", cut("t"),
    ),
    "the smallest of three": (
        [node("Tanh", ["x"], "t"), node("Min", ["x", "t", "c"])], (8, 9), {"c": np.float32(1)},
        "node 'the Min' (Min): of several computed tensors is not supported; only with constants", cut("t"),
    ),
    "bounds that are large": (
        [node("Relu", ["x"], "r"), node("Max", ["r", "c"])], (8, 9), {"c": 1e6 * ONLY},
        "node 'the Max' (Max): bounds that differ are supported from -64 to 64, for beyond them the sum with the input "
        "would lose digits; got up to 8e+06", f"export the network with one bound for all channels, or {cut('r')}",
    ),
    "exponents that differ": (
        [node("Relu", ["x"], "r"), node("Pow", ["r", "c"])], (8, 9), {"c": ONLY},
        "node 'the Pow' (Pow): a constant of shape (9,) is not supported; only a single number is",
        f"export the network with the same exponent for all, or {cut('r')}",
    ),
    "an exponent that is computed": (
        [node("Relu", ["x"], "r"), node("Pow", ["c", "r"])], (8, 9), {"c": np.float32(2)},
        "node 'the Pow' (Pow): the exponent depends on the network's input, which is not supported", cut("r"),
    ),
    "division by zero": (
        [node("Relu", ["x"], "r"), node("Div", ["r", "c"])], (8, 9), {"c": np.float32(0)},
        "node 'the Div' (Div): divides by zero", cut("r"),
    ),
    "a constant that is joined": (
        [node("Relu", ["x"], "r"), node("Concat", ["r", "c"], axis=1)], (8, 9), {"c": np.zeros((1, 2, 9), np.float32)},
        "node 'the Concat' (Concat): joins the constant 'c', which is not supported",
        f"add to the next layer's bias what it gives, or {cut('r')}",
    ),
    "batches that are joined": (
        [node("Relu", ["x"], "r"), node("Concat", ["r", "x"], axis=0)], (8, 9), {},
        "node 'the Concat' (Concat): joins batches, or tensors with different numbers of axes", cut("r"),
    ),
    "a slope for each place": (
        [node("Relu", ["x"], "r"), node("PRelu", ["r", "c"])], (4, 9), {"c": np.zeros((4, 9), np.float32)},
        "node 'the PRelu' (PRelu): slopes of shape (4, 9) are neither one nor one for each channel",
        f"train the network with one slope for each channel, or {cut('r')}",
    ),
    "a product of two tensors": (
        [node("Relu", ["x"], "r"), node("MatMul", ["r", "x"])], (9, 9), {},
        "node 'the MatMul' (MatMul): of two computed tensors is not supported; only with a constant", cut("r"),
    ),
    "a transposed input": (
        [node("Relu", ["x"], "r"), node("Gemm", ["r", "w"], transA=1)], (9,), {"w": np.zeros((9, 3), np.float32)},
        "node 'the Gemm' (Gemm): transA is not supported", f"export the network without it, or {cut('r')}",
    ),
    "a mean over the batch": (
        [node("ReduceMean", ["x"], axes=[0])], (8, 9), {},
        "node 'the ReduceMean' (ReduceMean): reduces the batch, which is not supported", OWN,
    ),
    "a maximum along time": (
        [node("Relu", ["x"], "r"), node("ReduceMax", ["r"], axes=[2])], (8, 9, 4), {},
        "node 'the ReduceMax' (ReduceMax): is supported over all axes but the channels only", cut("r"),
    ),
    "integers": (
        [node("Relu", ["x"], "r"), node("Cast", ["r"], to=7)], (8, 9), {},
        "node 'the Cast' (Cast): turns the network's numbers into integers, which is not supported", cut("r"),
    ),
    "an attribute that does not fit": (
        [node("Relu", ["x"], "r"), node("Softmax", ["r"], axis="none")], (8, 9), {},
        "node 'the Softmax' (Softmax): its attributes do not fit: ", cut("r"),
    ),
    "branches that cross": (
        [node("Relu", ["x"], "a"), node("Tanh", ["a"], "b"), node("Sigmoid", ["a"], "c"), node("Add", ["b", "c"], "d"),
         node("Relu", ["c"], "e"), node("Mul", ["d", "e"])], (4, 9), {},
        "node 'Sigmoid of c' (Sigmoid): its output goes into branches that are joined at different places, which "
        "nested layers cannot express", "cut the network before it with until=",
    ),
    "constants that do not fit each other": (
        [node("Add", ["a", "b"], "c"), node("Mul", ["x", "c"])], (4, 9),
        {"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)}, "node 'Add of c' (Add): its constants do not fit",
        FOLD,
    ),
    "a constant that would be huge": (
        [node("ConstantOfShape", ["s"], "c"), node("Mul", ["x", "c"])], (4, 9), {"s": np.asarray([10**6, 10**6])},
        "node 'ConstantOfShape of c' (ConstantOfShape): computes a constant in a way that is not supported, or a very",
        FOLD,
    ),
    "NaN": (
        [node("Conv", ["x", "w"])], (4, 9), {"w": np.full((6, 4, 3), np.nan, np.float32)},
        "the array of 'the Conv' holds NaN or infinity", "train the network again without them",
    ),
    "a circle": (
        [node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["b"])], (4, 9), {},
        "node 'Relu of b' (Relu): depends on its own output", AGAIN,
    ),
    "nothing there": (
        [node("Add", ["x", "q"])], (4, 9), {}, "node 'the Add' (Add): takes 'q', which is nowhere", AGAIN,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_cannot_be_taken_names_the_node_and_what_could_be_done(name, tmp_path):
    nodes, shape, constants, message, remedy = UNSUPPORTED[name]
    path = save(model(nodes, shape, constants), tmp_path)
    text = refused(path)
    assert text.startswith(message)
    assert text.endswith(remedy)
    assert str(BATCH.size)[:4] not in text  # the number that stands for the batch, and its products
    for place in re.findall(r"until='(\w+)'", text):
        assert place in {output for node in nodes for output in node.output}


def test_the_size_of_the_batch_is_shown_as_a_letter():
    n = BATCH.size
    assert [shown_size(size) for size in (n, 6 * n, n * n, 3 * n * n)] == ["N", "N * 6", "N * N", "N * N * 3"]
    assert [shown_size(size) for size in (n + 2, 2 * n - 1, 1, 2**30)] == ["N + 2", "N * 2 - 1", "1", str(2**30)]
    assert shown_text(f"array of {7 * n} numbers,\n{12345678901}") == "array of N * 7 numbers, 12345678901"


def test_a_refusal_without_a_remedy_of_its_own_has_one():
    assert str(UnsupportedError("no", "node 'a' (A)").in_file("f.onnx")) == f"f.onnx: node 'a' (A): no; {OWN}"
    assert str(UnsupportedError("no").completed("node 'a' (A)", "b")) == f"node 'a' (A): no; {cut('b')}"


def test_what_lies_behind_the_cut_does_not_matter(tmp_path, rng):
    nodes = [node("Conv", ["x", "w"], "c"), node("GRU", ["c", "w", "w"])]
    path = save(model(nodes, (4, 9), {"w": WEIGHT}), tmp_path)
    found = interop.read_onnx(path, until="c")
    save(model(nodes[:1], (4, 9), {"w": WEIGHT}, output="c"), tmp_path, "cut.onnx")
    x = rng.standard_normal((2, 4, 9), np.float32)
    np.testing.assert_allclose(run_layers(found, x), run_onnx(tmp_path / "cut.onnx", x), atol=1e-5)


def test_inputs_and_outputs_that_are_not_one(tmp_path):
    made = model([node("Relu", ["x"]), node("Tanh", ["x"], "z")], (4, 9))
    made.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    path = save(made, tmp_path)
    assert refused(path, ConfigError) == "the network has 2 outputs (y, z); choose one with until="
    assert interop.read_onnx(path, until="z").names == {"0": "Tanh of z"}
    made = model([node("Add", ["x", "z"])], (4, 9))
    made.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4, 9]))
    message = refused(save(made, tmp_path))
    assert message == "the network has 2 inputs (x, z); only one is supported; cut it with until="


def test_a_size_that_the_file_leaves_open_is_asked_for(tmp_path, rng):
    nodes = [node("Conv", ["x", "w"], "c"), node("GlobalAveragePool", ["c"])]
    path = save(model(nodes, (4, "time"), {"w": WEIGHT}), tmp_path)
    assert "the input 'x' has the shape (?, 4, ?); give its shape without the batch" in refused(path, ConfigError)
    assert "has the shape (?, 4, ?), got (5, 9)" in refused(path, ConfigError, shape=(5, 9))
    found = interop.read_onnx(path, shape=(4, 20))
    x = rng.standard_normal((2, 4, 31), np.float32)  # and longer inputs do as well
    np.testing.assert_allclose(run_layers(found, x), run_onnx(path, x), atol=1e-5)


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"nothing of the sort", b"\x08\x07" + b"\xff" * 40, b"{}" * 1000])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "network.onnx"
    path.write_bytes(content)
    assert "not an ONNX file" in refused(path)


def test_truncated_and_damaged_files_end_in_an_error_of_the_house(tmp_path, rng):
    nodes = [node("Conv", ["x", "w"], "c", pads=[1, 1]), node("Relu", ["c"], "r"), node("Flatten", ["r"], "f"),
             node("Gemm", ["f", "g"])]  # fmt: skip
    whole = model(nodes, (4, 9), {"w": WEIGHT, "g": np.ones((54, 3), np.float32)}).SerializeToString()
    path = tmp_path / "network.onnx"
    for length in range(0, len(whole), 29):
        path.write_bytes(whole[:length])
        with pytest.raises(AudioconvError):
            interop.read_onnx(path)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            found = interop.read_onnx(path)
        except AudioconvError:
            continue
        assert found.out_shape


def test_a_file_that_is_missing_or_no_file(tmp_path):
    assert refused(tmp_path / "missing.onnx", DataError) == "cannot be read (No such file or directory)"
    refused(tmp_path, DataError)
    if hasattr(os, "mkfifo") and os.path.exists("/dev/zero"):
        with pytest.raises(DataError, match="not a regular file"):
            interop.read_onnx("/dev/zero")


def external(tmp_path, location, **entries):
    """Return the path of a model whose weight lies at `location`."""
    made = model([node("Conv", ["x", "w"])], (4, 9), {"w": WEIGHT})
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    return save_plain(made, folder)


def save_plain(made, folder):
    path = folder / "network.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def test_arrays_beside_the_file_are_read(tmp_path, rng):
    path = external(tmp_path, "weights.bin", offset=8, length=WEIGHT.nbytes)
    (path.parent / "weights.bin").write_bytes(bytes(8) + WEIGHT.tobytes())
    compare(path, (4, 9), rng)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "", "link.bin"])
def test_arrays_outside_the_folder_are_not_read(location, tmp_path):
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    path = external(tmp_path, location)
    if location == "link.bin":
        (path.parent / location).symlink_to(tmp_path / "secret.bin")
    assert "outside the model's folder; only files in this folder are read" in refused(path)


def test_arrays_beside_the_file_that_do_not_fit(tmp_path):
    path = external(tmp_path, "weights.bin", length=12)
    (path.parent / "weights.bin").write_bytes(WEIGHT.tobytes())
    assert "has 288 bytes, its file says 12" in refused(path)
    path = external(tmp_path, "weights.bin", offset=4)
    with pytest.raises(ModelFileError, match=r"weights\.bin: too short for the arrays of"):
        interop.read_onnx(path)
    (path.parent / "weights.bin").unlink()
    with pytest.raises(DataError, match=r"weights\.bin: cannot be read \(No such file or directory\)"):
        interop.read_onnx(path)


def test_an_array_that_says_it_is_huge_is_not_allocated(tmp_path):
    made = model([node("Conv", ["x", "w"])], (4, 9), {"w": WEIGHT})
    made.graph.initializer[0].dims[0] = 2**40
    assert "is too large; at most" in refused(save_plain(made, tmp_path))


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_floating_point_numbers_become_float32(kind, tmp_path, rng):
    made = model([node("Conv", ["x", "w"])], (4, 9), {"w": WEIGHT.astype(np.float16).astype(np.float32)})
    wanted = save(made, tmp_path, "float32.onnx")
    made = model([node("Conv", ["x", "w"])], (4, 9))
    made.graph.initializer.append(numpy_helper.from_array(WEIGHT.astype(np.float16).astype(kind), "w"))
    found = interop.read_onnx(save_plain(made, tmp_path))
    x = rng.standard_normal((2, 4, 9), np.float32)
    np.testing.assert_allclose(run_layers(found, x), run_onnx(wanted, x), atol=1e-5)


# --- imports ---------------------------------------------------------------------------------------------------------


def test_importing_the_package_does_not_import_this_part_or_onnx():
    program = (
        "import sys, audioconv, audioconv.layers; print([n for n in sys.modules if 'interop' in n or n == 'onnx'])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
    program = "import sys, audioconv.interop; print([n for n in sys.modules if n in ('onnx', 'h5py', 'torch')])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"reading ONNX files needs .* pip install 'audioconv\[interop\]'"):
        interop.read_onnx(tmp_path / "network.onnx")
