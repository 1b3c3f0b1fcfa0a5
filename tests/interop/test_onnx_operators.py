"""Each operator beside ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[interop]'")

from onnx_models import compare, model, node, save

from audioconv import layers as L

RNG = np.random.default_rng(7)


def numbers(*shape, low=-1.0, high=1.0):
    return RNG.uniform(low, high, shape).astype(np.float32)


def integers(*values):
    return np.asarray(values, np.int64)


ONE, TWO = (4, 9), (4, 9, 7)
CONV_1D, CONV_2D = {"w": numbers(6, 4, 3), "b": numbers(6)}, {"w": numbers(6, 4, 3, 2), "b": numbers(6)}

# Name: nodes, shape of the input without the batch, constants, and settings of the model.
CASES = {
    "Conv, 1-D": ([node("Conv", ["x", "w", "b"])], ONE, CONV_1D),
    "Conv, 1-D, all settings": (
        [node("Conv", ["x", "w"], strides=[2], dilations=[2], pads=[1, 3], group=2)], ONE, {"w": numbers(8, 2, 3)},
    ),
    "Conv, 2-D": ([node("Conv", ["x", "w", "b"], kernel_shape=[3, 2])], TWO, CONV_2D),
    "Conv, 2-D, all settings": (
        [node("Conv", ["x", "w", "b"], strides=[2, 1], dilations=[1, 2], pads=[1, 0, 2, 3])], TWO, CONV_2D,
    ),
    "Conv, depthwise": ([node("Conv", ["x", "w"], group=4, pads=[1, 1, 1, 1])], TWO, {"w": numbers(4, 1, 3, 3)}),
    "Conv, groups": ([node("Conv", ["x", "w"], group=2)], TWO, {"w": numbers(6, 2, 3, 3)}),
    **{
        f"Conv, {how}, stride {stride}, {axes}-D": (
            [node("Conv", ["x", "w", "b"], auto_pad=how, strides=[stride] * axes)],
            (ONE, TWO)[axes - 1], (CONV_1D, CONV_2D)[axes - 1],
        )
        for how in ("SAME_UPPER", "SAME_LOWER", "VALID") for stride in (1, 2, 3) for axes in (1, 2)
    },
    "BatchNormalization, 2-D": (
        [node("BatchNormalization", ["x", "s", "b", "m", "v"], epsilon=1e-3, momentum=0.8)], TWO,
        {"s": numbers(4), "b": numbers(4), "m": numbers(4), "v": numbers(4, low=0.5, high=2)},
    ),
    "BatchNormalization, 1-D": (
        [node("BatchNormalization", ["x", "s", "b", "m", "v"])], ONE,
        {"s": numbers(4), "b": numbers(4), "m": numbers(4), "v": numbers(4, low=0.5, high=2)},
    ),
    "BatchNormalization of features": (
        [node("BatchNormalization", ["x", "s", "b", "m", "v"])], (5,),
        {"s": numbers(5), "b": numbers(5), "m": numbers(5), "v": numbers(5, low=0.5, high=2)},
    ),
    "BatchNormalization of flattened features": (
        [node("Conv", ["x", "w", "b"], "c"), node("Flatten", ["c"], "f"),
         node("BatchNormalization", ["f", "s", "b2", "m", "v"])], ONE,
        {**CONV_1D, "s": numbers(42), "b2": numbers(42), "m": numbers(42), "v": numbers(42, low=0.5, high=2)},
    ),
    "Relu": ([node("Relu", ["x"])], TWO, {}),
    "LeakyRelu": ([node("LeakyRelu", ["x"], alpha=0.2)], ONE, {}),
    "LeakyRelu, default": ([node("LeakyRelu", ["x"])], (5,), {}),
    "PRelu, a slope for each channel": ([node("PRelu", ["x", "s"])], TWO, {"s": numbers(4, 1, 1)}),
    "PRelu, one slope": ([node("PRelu", ["x", "s"])], ONE, {"s": numbers(1, 1)}),
    "PRelu of features": ([node("PRelu", ["x", "s"])], (5,), {"s": numbers(5)}),
    "Clip, both": ([node("Clip", ["x", "low", "high"])], TWO, {"low": np.float32(-0.3), "high": np.float32(0.6)}),
    "Clip, above alone": ([node("Clip", ["x", "", "high"])], ONE, {"high": np.float32(0.1)}),
    "Clip, below alone": ([node("Clip", ["x", "low"])], ONE, {"low": np.float32(-0.1)}),
    "Clip, attributes": ([node("Clip", ["x"], min=0.0, max=6.0)], TWO, {}, {"opset": 6}),
    "Clip, default": ([node("Clip", ["x"])], ONE, {}),
    "Sigmoid": ([node("Sigmoid", ["x"])], TWO, {}),
    "Tanh": ([node("Tanh", ["x"])], ONE, {}),
    "HardSwish": ([node("HardSwish", ["x"])], TWO, {}),
    "HardSigmoid": ([node("HardSigmoid", ["x"], alpha=0.17, beta=0.4)], ONE, {}),
    "HardSigmoid, default": ([node("HardSigmoid", ["x"])], TWO, {}),
    "Elu": ([node("Elu", ["x"], alpha=0.7)], TWO, {}),
    "Softmax of features": ([node("Softmax", ["x"])], (5,), {}),
    "Softmax over channels": ([node("Softmax", ["x"], axis=1)], TWO, {}),
    "Softmax over the last axis": ([node("Softmax", ["x"])], TWO, {}),
    "Softmax, old": ([node("Softmax", ["x"])], (5,), {}, {"opset": 11}),
    "LogSoftmax": ([node("LogSoftmax", ["x"], axis=1)], ONE, {}),
    "Max, a constant": ([node("Max", ["x", "c"])], TWO, {"c": np.float32(-0.4)}),
    "Max, the constant first": ([node("Max", ["c", "x"])], TWO, {"c": numbers(1)}),
    "Min, a constant": ([node("Min", ["x", "c"])], ONE, {"c": np.full((1, 1, 1), 0.3, np.float32)}),
    "Max and Min": (
        [node("Max", ["x", "c"], "m"), node("Min", ["m", "d"])], ONE, {"c": np.float32(-0.2), "d": np.float32(0.5)},
    ),
    "Max, one for each channel": ([node("Max", ["x", "c"])], TWO, {"c": numbers(4, 1, 1)}),
    "Max, one for each channel, first": ([node("Max", ["c", "x"])], ONE, {"c": 60 * numbers(4, 1)}),
    "Min, one for each channel": ([node("Min", ["x", "c"])], TWO, {"c": numbers(1, 4, 1, 1)}),
    "Min, one for each place": ([node("Min", ["x", "c"])], ONE, {"c": numbers(4, 9)}),
    "Min of features": ([node("Min", ["x", "c"])], (5,), {"c": numbers(5)}),
    "Max and Min for each channel": (
        [node("Conv", ["x", "w", "b"], "f"), node("Max", ["f", "c"], "m"), node("Min", ["m", "d"])], TWO,
        {**CONV_2D, "c": numbers(6, 1, 1, low=-0.9, high=-0.3), "d": numbers(6, 1, 1, low=0.1, high=0.6)},
    ),
    "Max of three": (
        [node("Max", ["c", "x", "d"])], TWO, {"c": numbers(4, 1, 1), "d": np.float32(-0.1)},
    ),
    "Min of four": (
        [node("Min", ["x", "c", "d", "e"])], ONE, {"c": np.float32(0.5), "d": np.float32(0.2), "e": numbers(4, 1)},
    ),
    "Max of one": ([node("Relu", ["x"], "r"), node("Max", ["r"])], ONE, {}),
    "constants folded, three of them": (
        [node("Max", ["c", "d", "e"], "f"), node("Sum", ["f", "c", "d"], "g"), node("Mul", ["x", "g"])], ONE,
        {"c": numbers(4, 1), "d": numbers(1), "e": numbers(9)},
    ),
    "MaxPool, 1-D": ([node("MaxPool", ["x"], kernel_shape=[3], strides=[2], pads=[1, 0])], ONE, {}),
    "MaxPool, 2-D": ([node("MaxPool", ["x"], kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 2, 1])], TWO, {}),
    "MaxPool, stride 1 by default": ([node("MaxPool", ["x"], kernel_shape=[2, 2])], TWO, {}),
    "MaxPool, ceil": ([node("MaxPool", ["x"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], TWO, {}),
    "MaxPool, ceil with padding": (
        [node("MaxPool", ["x"], kernel_shape=[3, 3], strides=[3, 2], pads=[1, 1, 1, 1], ceil_mode=1)], TWO, {},
    ),
    "MaxPool, SAME_UPPER": ([node("MaxPool", ["x"], kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_UPPER")],
                            TWO, {}),
    "AveragePool, 1-D": ([node("AveragePool", ["x"], kernel_shape=[4], strides=[2])], ONE, {}),
    "AveragePool, padding does not count": (
        [node("AveragePool", ["x"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], TWO, {},
    ),
    "AveragePool, padding counts": (
        [node("AveragePool", ["x"], kernel_shape=[3, 3], strides=[1, 2], pads=[1, 0, 1, 2], count_include_pad=1)],
        TWO, {},
    ),
    "AveragePool, SAME_LOWER": (
        [node("AveragePool", ["x"], kernel_shape=[2], strides=[2], auto_pad="SAME_LOWER")], ONE, {},
    ),
    "AveragePool, ceil": ([node("AveragePool", ["x"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], TWO, {}),
    "GlobalAveragePool, 2-D": ([node("GlobalAveragePool", ["x"])], TWO, {}),
    "GlobalAveragePool, 1-D": ([node("GlobalAveragePool", ["x"])], ONE, {}),
    "GlobalMaxPool": ([node("GlobalMaxPool", ["x"])], TWO, {}),
    "Gemm": ([node("Gemm", ["x", "w", "b"])], (5,), {"w": numbers(5, 3), "b": numbers(3)}),
    "Gemm, all settings": (
        [node("Gemm", ["x", "w", "b"], transB=1, alpha=0.5, beta=2.0)], (5,), {"w": numbers(3, 5), "b": numbers(1, 3)},
    ),
    "Gemm, one number for all": ([node("Gemm", ["x", "w", "b"])], (5,), {"w": numbers(5, 3), "b": numbers(1)}),
    "Gemm behind Flatten": (
        [node("Conv", ["x", "w", "b"], "c"), node("Flatten", ["c"], "f"), node("Relu", ["f"], "r"),
         node("Gemm", ["r", "w2", "b2"])], TWO, {**CONV_2D, "w2": numbers(6 * 7 * 6, 3), "b2": numbers(3)},
    ),
    "Gemm behind Flatten of the input": (
        [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w"])], TWO, {"w": numbers(4 * 9 * 7, 3)},
    ),
    "MatMul of features": ([node("MatMul", ["x", "w"])], (5,), {"w": numbers(5, 3)}),
    "MatMul and Add": (
        [node("MatMul", ["x", "w"], "m"), node("Add", ["m", "b"])], (5,), {"w": numbers(5, 3), "b": numbers(3)},
    ),
    "MatMul over the last of several axes": ([node("MatMul", ["x", "w"])], TWO, {"w": numbers(7, 3)}),
    "MatMul from the left": ([node("MatMul", ["w", "x"])], ONE, {"w": numbers(3, 4)}),
    "MatMul, one row": ([node("MatMul", ["x", "w"])], (1, 5), {"w": numbers(5, 3)}),
    "Add, a number": ([node("Add", ["x", "c"])], TWO, {"c": np.float32(0.7)}),
    "Add, one for each channel": ([node("Add", ["c", "x"])], TWO, {"c": numbers(4, 1, 1)}),
    "Add, one for each place": ([node("Add", ["x", "c"])], TWO, {"c": numbers(1, 4, 9, 7)}),
    "Add, one for each row": ([node("Add", ["x", "c"])], TWO, {"c": numbers(9, 1)}),
    "Add, the same number for all": ([node("Add", ["x", "c"])], ONE, {"c": np.full((4, 9), 0.5, np.float32)}),
    "Add behind Flatten": (
        [node("Conv", ["x", "w"], "c"), node("Flatten", ["c"], "f"), node("Add", ["f", "b2"])], ONE,
        {"w": numbers(6, 4, 3), "b2": numbers(42)},
    ),
    "Add to itself": ([node("Add", ["x", "x"])], ONE, {}),
    "Sub, a number": ([node("Sub", ["x", "c"])], ONE, {"c": np.float32(0.7)}),
    "Sub, from a number": ([node("Sub", ["c", "x"])], TWO, {"c": np.float32(1)}),
    "Sub, from one for each channel": ([node("Sub", ["c", "x"])], TWO, {"c": numbers(4, 1, 1)}),
    "Mul, a number": ([node("Mul", ["x", "c"])], TWO, {"c": np.float32(-0.7)}),
    "Mul, one for each channel": ([node("Mul", ["x", "c"])], ONE, {"c": numbers(1, 4, 1)}),
    "Mul, one for each column": ([node("Mul", ["x", "c"])], TWO, {"c": numbers(7)}),
    "Mul and Add": (
        [node("Mul", ["x", "c"], "m"), node("Add", ["m", "d"])], TWO, {"c": numbers(4, 1, 1), "d": numbers(4, 1, 1)},
    ),
    "Div, a number": ([node("Div", ["x", "c"])], TWO, {"c": np.float32(6)}),
    "Div, one for each channel": ([node("Div", ["x", "c"])], TWO, {"c": numbers(4, 1, 1, low=0.5, high=2)}),
    "Div, of a number": (
        [node("Sigmoid", ["x"], "s"), node("Div", ["c", "s"])], ONE, {"c": np.float32(0.5)},
    ),
    "Pow, square": ([node("Pow", ["x", "c"])], TWO, {"c": np.float32(2)}),
    "Pow, root": ([node("Sigmoid", ["x"], "s"), node("Pow", ["s", "c"])], ONE, {"c": np.float32(0.5)}),
    "Sqrt, Reciprocal and Neg": (
        [node("Sigmoid", ["x"], "s"), node("Sqrt", ["s"], "r"), node("Reciprocal", ["r"], "i"), node("Neg", ["i"])],
        ONE, {},
    ),
    "Concat along the channels": (
        [node("Conv", ["x", "w", "b"], "c", pads=[1, 1]), node("Relu", ["x"], "r"),
         node("Concat", ["c", "x", "r"], axis=1)], ONE, CONV_1D,
    ),
    "Concat along time": (
        [node("Conv", ["x", "w", "b"], "c"), node("Tanh", ["c"], "t"), node("Concat", ["c", "t"], axis=2)],
        ONE, CONV_1D,
    ),
    "Concat along the last axis, by its negative number": (
        [node("Conv", ["x", "w", "b"], "c"), node("Tanh", ["c"], "t"), node("Concat", ["c", "t"], axis=-1),
        ], TWO, CONV_2D,
    ),
    "Concat along time, then a convolution": (
        [node("Relu", ["x"], "r"), node("Concat", ["r", "x"], "c", axis=2), node("Conv", ["c", "w", "b"])],
        ONE, CONV_1D,
    ),
    "Concat of features": (
        [node("GlobalAveragePool", ["x"], "a"), node("GlobalMaxPool", ["x"], "m"), node("Concat", ["a", "m"], axis=1)],
        TWO, {},
    ),
    "Concat of flattened features": (
        [node("Conv", ["x", "w", "b"], "c"), node("Flatten", ["c"], "f"), node("Flatten", ["x"], "g"),
         node("Concat", ["f", "g"], "h", axis=1), node("Gemm", ["h", "w2"])],
        ONE, {**CONV_1D, "w2": numbers(6 * 7 + 4 * 9, 3)},
    ),
    "Pad, zeros": ([node("Pad", ["x", "p"])], TWO, {"p": integers(0, 0, 1, 2, 0, 0, 3, 0)}),
    "Pad, a number, channels too": (
        [node("Pad", ["x", "p", "v"])], ONE, {"p": integers(0, 1, 2, 0, 2, 0), "v": np.float32(0.5)},
    ),
    "Pad, before a convolution": (
        [node("Pad", ["x", "p"], "q"), node("Conv", ["q", "w", "b"], pads=[1, 0, 0, 0])], TWO,
        {**CONV_2D, "p": integers(0, 0, 1, 2, 0, 0, 3, 0)},
    ),
    "Pad, old": ([node("Pad", ["x"], pads=[0, 0, 1, 0, 0, 2], value=-1.0)], ONE, {}, {"opset": 10}),
    "Pad, some axes": (
        [node("Pad", ["x", "p", "", "a"])], TWO, {"p": integers(1, 2, 0, 1), "a": integers(2, -1)}, {"opset": 18},
    ),
    "Flatten": ([node("Conv", ["x", "w", "b"], "c"), node("Flatten", ["c"])], TWO, CONV_2D),
    "Reshape to features": ([node("Reshape", ["x", "s"])], TWO, {"s": integers(-1, 252)}),
    "Reshape, zeros and minus one": (
        [node("Conv", ["x", "w", "b"], "c"), node("Reshape", ["c", "s"], "r"), node("Relu", ["r"])],
        TWO, {**CONV_2D, "s": integers(0, 0, -1)},
    ),
    "Reshape, frequencies into channels": (
        [node("Reshape", ["x", "s"], "r"), node("Conv", ["r", "w"])], TWO,
        {"s": integers(0, 36, 7), "w": numbers(5, 36, 3)},
    ),
    "Transpose": ([node("Transpose", ["x"], "t", perm=[0, 2, 1]), node("Conv", ["t", "w"])], ONE,
                  {"w": numbers(5, 9, 2)}),
    "Transpose, there and back": (
        [node("Conv", ["x", "w", "b"], "c"), node("Transpose", ["c"], "t", perm=[0, 2, 3, 1]),
         node("MatMul", ["t", "m"], "n"), node("Add", ["n", "a"], "o"),
         node("Transpose", ["o"], "p", perm=[0, 3, 1, 2]), node("Relu", ["p"])],
        TWO, {**CONV_2D, "m": numbers(6, 5), "a": numbers(5)},
    ),
    "Transpose, time and frequency": (
        [node("Conv", ["x", "w", "b"], "c"), node("Transpose", ["c"], "t", perm=[0, 1, 3, 2]),
         node("Conv", ["t", "w2"])], TWO, {**CONV_2D, "w2": numbers(3, 6, 2, 2)},
    ),
    "Squeeze and Unsqueeze": (
        [node("Unsqueeze", ["x", "one"], "u"), node("Conv", ["u", "w"], "c"), node("Squeeze", ["c", "two"], "s"),
         node("Conv", ["s", "w2"])], (9, 7),
        {"one": integers(1), "two": integers(3), "w": numbers(5, 1, 3, 7), "w2": numbers(3, 5, 3)},
    ),
    "Squeeze and Unsqueeze, old": (
        [node("Unsqueeze", ["x"], "u", axes=[2]), node("Conv", ["u", "w"], "c"), node("Squeeze", ["c"], axes=[2])],
        (4, 7), {"w": numbers(5, 4, 1, 3)}, {"opset": 11},
    ),
    "ReduceMean over places": ([node("ReduceMean", ["x"], axes=[2, 3], keepdims=0)], TWO, {}),
    "ReduceMean over places, which stay": ([node("ReduceMean", ["x"], axes=[-1])], ONE, {}),
    "ReduceMean over frequencies": (
        [node("ReduceMean", ["x"], "r", axes=[3]), node("Conv", ["r", "w"])], TWO, {"w": numbers(3, 4, 3, 1)},
    ),
    "ReduceMean over time": ([node("ReduceMean", ["x"], axes=[2])], TWO, {}),
    "ReduceMean over time, which goes": (
        [node("ReduceMean", ["x"], "r", axes=[2], keepdims=0), node("Conv", ["r", "w"])], TWO, {"w": numbers(3, 4, 3)},
    ),
    "ReduceMean over channels": ([node("ReduceMean", ["x"], axes=[1])], TWO, {}),
    "ReduceMean, new": ([node("ReduceMean", ["x", "a"], keepdims=0)], ONE, {"a": integers(2)}, {"opset": 18}),
    "ReduceMax over places": ([node("ReduceMax", ["x"], axes=[2, 3], keepdims=0)], TWO, {}),
    "Identity": ([node("Relu", ["x"], "r"), node("Identity", ["r"])], TWO, {}),
    "Dropout": ([node("Relu", ["x"], "r"), node("Dropout", ["r", "rate"])], ONE, {"rate": np.float32(0.3)}),
    "Cast": ([node("Cast", ["x"], "c", to=1), node("Relu", ["c"])], ONE, {}),
    "Constant": (
        [node("Constant", [], "a", value_float=0.5), node("Constant", [], "b", value_floats=[1.0, 2, 3, 4]),
         node("Constant", [], "s", value_ints=[4, 1]), node("Reshape", ["b", "s"], "c"),
         node("Mul", ["x", "a"], "m"), node("Add", ["m", "c"])], ONE, {},
    ),
    "constants folded": (
        [node("Sqrt", ["v"], "r"), node("Div", ["s", "r"], "t"), node("Mul", ["x", "t"])], ONE,
        {"v": numbers(4, 1, low=0.5, high=2), "s": numbers(4, 1)},
    ),
    "Reshape by Shape": (
        [node("Conv", ["x", "w", "b"], "c"), node("Shape", ["c"], "sh"), node("Gather", ["sh", "zero"], "n"),
         node("Unsqueeze", ["n", "axis"], "n1"), node("Concat", ["n1", "rest"], "to", axis=0),
         node("Reshape", ["c", "to"], "f"), node("Gemm", ["f", "w2"])],
        ONE, {**CONV_1D, "zero": np.int64(0), "axis": integers(0), "rest": integers(-1), "w2": numbers(42, 3)},
    ),
    "Sum of three": (
        [node("Relu", ["x"], "a"), node("Tanh", ["x"], "b"), node("Sum", ["x", "a", "b"])], TWO, {},
    ),
    "Sum of three and a constant": (
        [node("Relu", ["x"], "a"), node("Sum", ["x", "c", "a", "d"])], TWO, {"c": numbers(4, 1, 1), "d": numbers(1)},
    ),
    "Sub of two": ([node("Relu", ["x"], "a"), node("Sub", ["x", "a"])], TWO, {}),
    "Div of two": ([node("Sigmoid", ["x"], "a"), node("Div", ["x", "a"])], ONE, {}),
    "squeeze and excite": (
        [node("GlobalAveragePool", ["x"], "g"), node("Conv", ["g", "w", "b"], "h"), node("Relu", ["h"], "r"),
         node("Conv", ["r", "w2"], "e"), node("Sigmoid", ["e"], "s"), node("Mul", ["x", "s"])],
        TWO, {"w": numbers(2, 4, 1, 1), "b": numbers(2), "w2": numbers(4, 2, 1, 1)},
    ),
    "squeeze and excite by Gemm": (
        [node("ReduceMean", ["x"], "g", axes=[2, 3], keepdims=0), node("Gemm", ["g", "w"], "e"),
         node("HardSigmoid", ["e"], "s"), node("Reshape", ["s", "to"], "t"), node("Mul", ["t", "x"])],
        TWO, {"w": numbers(4, 4), "to": integers(0, 4, 1, 1)},
    ),
    "a gate of each place": (
        [node("Conv", ["x", "w"], "e"), node("Sigmoid", ["e"], "s"), node("Mul", ["x", "s"])], TWO,
        {"w": numbers(1, 4, 1, 1)},
    ),
    "a sum along an axis": (
        [node("ReduceMean", ["x"], "g", axes=[3]), node("Add", ["x", "g"])], TWO, {},
    ),
    "a sum along all axes": ([node("GlobalAveragePool", ["x"], "g"), node("Add", ["x", "g"])], TWO, {}),
}  # fmt: skip


def made(case, **settings):
    nodes, shape, constants, *more = case
    return model(nodes, shape, constants, **{**(more[0] if more else {}), **settings}), shape


@pytest.mark.parametrize("name", CASES)
def test_it_computes_what_onnx_runtime_computes(name, tmp_path, rng):
    graph, shape = made(CASES[name])
    compare(save(graph, tmp_path), shape, rng)


@pytest.mark.parametrize("name", ["Conv, 2-D", "Reshape to features", "Gemm behind Flatten", "Transpose"])
def test_a_fixed_batch_of_one_is_any_batch(name, tmp_path, rng):
    graph, shape = made(CASES[name], batch=1)
    compare(save(graph, tmp_path), shape, rng, batch=1)


def layers_of(name, tmp_path, rng):
    graph, shape = made(CASES[name])
    return compare(save(graph, tmp_path), shape, rng)[0]


def test_axes_that_only_move_leave_no_layer(tmp_path, rng):
    found = layers_of("Transpose, there and back", tmp_path, rng)
    assert [type(layer).__name__ for layer in found.network.layers] == ["Conv", "Conv", "ReLU"]
    assert found.network.layers[1].bias  # Add behind MatMul
    found = layers_of("Gemm behind Flatten", tmp_path, rng)
    assert [type(layer).__name__ for layer in found.network.layers] == ["Conv", "ReLU", "Flatten", "Dense"]
    assert layers_of("Transpose", tmp_path, rng).in_shape == (4, 9)  # the file has (9 channels behind 4 places)


def test_what_is_one_layer_becomes_one(tmp_path, rng):
    for name, layer in (
        ("Pad, before a convolution", L.Conv(6, (3, 2), padding=((2, 3), (2, 0)))),
        ("Mul and Add", L.Scale()),
        ("Max and Min", L.Clamp(-0.2, 0.5)),
        ("MatMul and Add", L.Dense(3)),
        ("Max, a constant", L.Clamp(low=-0.4)),
        ("Conv, SAME_UPPER, stride 1, 2-D", L.Conv(6, (3, 2), padding=((1, 1), (0, 1)))),
    ):
        assert layers_of(name, tmp_path, rng).network == L.Chain([layer]), name


def test_identity_dropout_and_casts_leave_no_layer(tmp_path, rng):
    for name in ("Identity", "Dropout", "Cast"):
        assert layers_of(name, tmp_path, rng).network == L.Chain([L.ReLU()])


def test_squeeze_and_excite_is_a_product_of_branches(tmp_path, rng):
    found = layers_of("squeeze and excite", tmp_path, rng)
    gate = L.Chain([L.GlobalAvgPool(), L.Dense(2), L.ReLU(), L.Dense(4, bias=False), L.Sigmoid()])
    assert found.network == L.Chain([L.Multiply([L.Identity(), gate])])
    assert found.names["0"] == "the Mul"
    assert found.names["0.1.4"] == "Sigmoid of s"
