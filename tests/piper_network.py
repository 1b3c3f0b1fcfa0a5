"""A Piper voice that hums: a network with the inputs and the output of the real ones, and its configuration."""

from __future__ import annotations

import json

import numpy as np
import pytest

LETTERS = "abdefhijklmnoprstuvwxyzæçðŋøœɐɑɒɔəɛɜɡɪɹɾʁʃʊʌʒʔθˈˌːχɲβʎ"
RATE = 22050
SAMPLES = 900
"""Of each of the network's numbers."""

NUMBERS = {"_": [0], "^": [1], "$": [2], " ": [3], ".": [4], "!": [5], "?": [6], ",": [7], "\u0303": [8], "\u0327": [9]}
NUMBERS |= {letter: [number] for number, letter in enumerate(LETTERS, 10)}


def network(speakers=1, *, gain=0.5, **renamed):
    """Return a network that hums: longer for more numbers, higher for another speaker, with noise over it."""
    onnx = pytest.importorskip("onnx", reason="makes a network: pip install onnx")
    h, kind = onnx.helper, onnx.TensorProto
    constants = {
        "samples": np.float32(SAMPLES), "zero": np.float32(0), "one": np.float32(1), "lowest": np.float32(0.05),
        "rise": np.float32(0.02), "of_content": np.float32(0.001), "gain": np.float32(gain), "first": np.int64(0),
        "second": np.int64(1), "silence": np.zeros(4000, np.float32), "shape": np.int64([1, 1, -1]),
        "hiss": np.float32(0.05),
    }  # fmt: skip
    nodes = [
        h.make_node("Gather", ["scales", "first"], ["noise_scale"]),
        h.make_node("Gather", ["scales", "second"], ["length_scale"]),
        h.make_node("Squeeze", ["input_lengths"], ["count"]),
        h.make_node("Cast", ["count"], ["numbers"], to=kind.FLOAT),
        h.make_node("Mul", ["numbers", "samples"], ["usual"]),
        h.make_node("Mul", ["usual", "length_scale"], ["length"]),
        h.make_node("Range", ["zero", "length", "one"], ["time"]),
        h.make_node("Cast", ["input"], ["content"], to=kind.FLOAT),
        h.make_node("ReduceMean", ["content"], ["mean"], keepdims=0),
        h.make_node("Mul", ["mean", "of_content"], ["offset"]),
        h.make_node("Add", ["lowest", "offset"], ["base"]),
        *(
            [
                h.make_node("Squeeze", ["sid"], ["who"]),
                h.make_node("Cast", ["who"], ["number"], to=kind.FLOAT),
                h.make_node("Mul", ["number", "rise"], ["higher"]),
                h.make_node("Add", ["base", "higher"], ["frequency"]),
            ]
            if speakers > 1
            else [h.make_node("Identity", ["base"], ["frequency"])]
        ),
        h.make_node("Mul", ["time", "frequency"], ["phase"]),
        h.make_node("Sin", ["phase"], ["hum"]),
        h.make_node("RandomNormalLike", ["hum"], ["drawn"]),
        h.make_node("Mul", ["drawn", "noise_scale"], ["scaled"]),
        h.make_node("Mul", ["scaled", "hiss"], ["noise"]),
        h.make_node("Add", ["hum", "noise"], ["voice"]),
        h.make_node("Mul", ["voice", "gain"], ["loud"]),
        h.make_node("Concat", ["silence", "loud", "silence"], ["flat"], axis=0),
        h.make_node("Reshape", ["flat", "shape"], ["output"]),
    ]
    inputs = {"input": [1, "T"], "input_lengths": [1], "scales": [3]} | ({"sid": [1]} if speakers > 1 else {})
    types = {"scales": kind.FLOAT}
    graph = h.make_graph(
        nodes,
        "humming",
        [h.make_tensor_value_info(name, types.get(name, kind.INT64), shape) for name, shape in inputs.items()],
        [h.make_tensor_value_info("output", kind.FLOAT, [1, 1, "samples"])],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    for old, new in renamed.items():
        for node in graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
        for each in graph.input:
            each.name = new if each.name == old else each.name
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8).SerializeToString()


def config(speakers=(), espeak="en-us", **changed):
    """Return the configuration, as JSON."""
    content = {
        "audio": {"sample_rate": RATE, "quality": "medium"},
        "espeak": {"voice": espeak},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_map": {},
        "phoneme_id_map": NUMBERS,
        "num_symbols": 256,
        "num_speakers": max(1, len(speakers)),
        "speaker_id_map": {name: number for number, name in enumerate(speakers)},
    }
    return json.dumps(content | changed).encode()


def write_voice(folder, name, speakers=(), **options):
    """Write a voice's two files; return the path of the network."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(network(max(1, len(speakers))))
    path.with_name(f"{path.name}.json").write_bytes(config(speakers, **options))
    return path
