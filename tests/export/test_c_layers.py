"""Every layer as C, compiled with all warnings as errors, and memory that is used again."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from layer_cases import CASES, name_of, started

from audioconv import layers as L
from audioconv.export import operations as O
from audioconv.export.c99 import memory, network, text
from audioconv.export.c99.compiler import FLAGS, run

pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")

import exported
from c_programs import compiler
from graphs import CHAINS, graph_of

MAIN = """
int main(int argc, char **argv)
{
    static float memory[SIZE];
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    int n;
    if (file == NULL) {
        return 1;
    }
    while (fread(memory + INPUT, sizeof(float), COUNT, file) == COUNT) {
        network(memory);
        for (n = 0; n < RESULTS; n++) {
            printf("%.9g\\n", (double)memory[OUTPUT + n]);
        }
    }
    fclose(file);
    return 0;
}
"""


def computed(layer, params, in_shape, x, folder, **settings):
    """Return what a layer's C code computes of x (N, *in_shape), compiled with a sanitizer."""
    made = network.lower(graph_of(layer, params, in_shape), **settings)
    out_shape = layer.out_shape(in_shape)
    numbers = {
        "SIZE": made.size, "INPUT": made.input, "OUTPUT": made.output,
        "COUNT": math.prod(in_shape), "RESULTS": math.prod(out_shape),
    }  # fmt: skip
    main = MAIN
    for name, value in numbers.items():
        main = main.replace(name, str(value))
    includes = "".join(f"#include <{name}.h>\n" for name in ("float", "math", "stdint", "stdio", "string"))
    weight = f"typedef {'int8_t' if made.int8 else 'float'} weight;\n"
    weight = weight if any(name.startswith("convolve") for name in made.routines) else ""
    parts = [includes, weight, *map(text.routine, made.routines), made.constants, made.function, main]
    (folder / "layer.c").write_text("\n".join(parts))
    (folder / "x").write_bytes(np.ascontiguousarray(x, "<f4").tobytes())
    flags = (*FLAGS, "-fsanitize=undefined", "-fno-sanitize-recover=all")
    run([compiler("gcc"), *flags, str(folder / "layer.c"), "-o", str(folder / "layer"), "-lm"], "does not compile")
    lines = run([str(folder / "layer"), str(folder / "x")], "fails").split()
    return np.array(lines, np.float64).reshape(len(x), *out_shape)


def test_every_operation_of_a_network_has_a_rule():
    # Folded, at the same place as its input, and the decision, which has routines of its own.
    elsewhere = {O.BatchNormalise, O.Reshape, O.Odds, O.Answer}
    assert set(network.RULES) == set(O.Operation.__subclasses__()) - elsewhere


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_layer_computes_the_same(case, rng, tmp_path):
    params, x = started(case, 2, rng)
    if isinstance(case.layer, L.Power):
        x = np.abs(x)
    wanted, _ = case.layer.forward(params, x, L.Pass())
    y = computed(case.layer, params, case.in_shape, x, tmp_path)
    np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", CHAINS)
def test_chains(name, rng, tmp_path):
    parts, in_shape = CHAINS[name]
    chain = L.Chain(parts)
    params = exported.drawn_params(chain, in_shape, rng)
    x = rng.standard_normal((3, *in_shape), np.float32)
    wanted, _ = chain.forward(params, x, L.Pass())
    np.testing.assert_allclose(computed(chain, params, in_shape, x, tmp_path), wanted, rtol=1e-5, atol=2e-6)


SHARED = {
    "an input that is used once more": L.Residual(L.Chain([L.ReLU(), L.Conv(3, 3, padding=1)])),
    "an input under another shape": L.Concat([L.Chain([L.Rearrange(((0, 1),)), L.Sigmoid()]), L.Flatten()]),
    "both inputs the same": L.Multiply([L.Identity(), L.Identity()]),
    "branches of one input": L.Sum([L.ReLU(), L.Tanh(), L.Identity()]),
    "a gate": L.Multiply([L.Tanh(), L.Chain([L.GlobalAvgPool(), L.Dense(3), L.Sigmoid()])]),
}


@pytest.mark.parametrize("name", SHARED)
def test_nothing_is_written_over_that_is_still_needed(name, rng, tmp_path):
    layer, in_shape = SHARED[name], (5, 3)
    params = exported.drawn_params(layer, in_shape, rng)
    x = rng.standard_normal((2, *in_shape), np.float32)
    wanted, _ = layer.forward(params, x, L.Pass())
    np.testing.assert_allclose(computed(layer, params, in_shape, x, tmp_path), wanted, rtol=1e-5, atol=2e-6)


def test_a_chain_needs_no_more_than_its_largest_pair():
    widths = (4, 32, 16, 64, 8)
    layer = L.Chain([part for width in widths for part in (L.Conv(width, 3, padding=1), L.ReLU())])
    params = exported.drawn_params(layer, (20, 3), np.random.default_rng(0))
    graph = graph_of(layer, params, (20, 3))
    found = memory.plan(graph.input, graph.steps, graph.logits, 0)
    assert found.size == 20 * max(a + b for a, b in pairwise((3, *widths)))


def test_the_front_ends_memory_lies_beside_the_input():
    layer = L.Chain([L.Conv(8, 3, padding=1)])
    params = exported.drawn_params(layer, (20, 3), np.random.default_rng(0))
    graph = graph_of(layer, params, (20, 3))
    found = memory.plan(graph.input, graph.steps, graph.logits, 50)
    begin = found.places[graph.input.name]
    assert found.work >= begin + 60 or found.work + 50 <= begin
    assert found.size == 20 * 11


def test_8_bit_weights_are_within_half_a_step(rng, tmp_path):
    layer = L.Chain([L.Conv(6, (3, 3), padding=1), L.DepthwiseConv((3, 3)), L.Flatten(), L.Dense(5)])
    in_shape = (6, 5, 3)
    params = exported.drawn_params(layer, in_shape, rng)
    rounded = {path: rounded_weights(path, array) for path, array in L.flatten(params).items()}
    x = rng.standard_normal((3, *in_shape), np.float32)
    wanted, _ = layer.forward(L.unflatten(rounded), x, L.Pass())
    found = computed(layer, params, in_shape, x, tmp_path, int8=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    exact, _ = layer.forward(params, x, L.Pass())
    assert np.abs(wanted - exact).max() > 1e-3  # it is no comparison with float32


def rounded_weights(path, array):
    """Return weights rounded to 255 levels of each output."""
    if not path.endswith("weight"):
        return array
    step = np.abs(array).max(axis=tuple(range(array.ndim - 1))) / 127
    return (np.round(array / step) * step).astype(np.float32)
