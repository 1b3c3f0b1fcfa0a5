from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from audioconv import architectures
from audioconv import layers as L
from audioconv.errors import ConfigError, ShapeError

IN_SHAPES = {"spectrogram-2d": (101, 40, 1), "spectrogram-1d": (101, 40), "samples": (8000, 1)}


@dataclass(frozen=True)
class Published:
    """What a paper says of a network: input and classes as there, and its numbers as printed.

    `operations` are multiplications and additions, where the paper counts both.
    """

    in_shape: tuple[int, ...]
    classes: int
    parameters: str
    multiply_adds: float | None = None
    operations: float | None = None
    tolerance: float = 0.02


# Sources: DS-CNN arXiv 1711.07128, table 7 (its sizes are in bytes with activations; parameters from its authors'
# program); TC-ResNet arXiv 1904.03814, table 1; BC-ResNet arXiv 2106.04140, table 3; MatchboxNet arXiv 2004.08531,
# table 1; M5 and M11 arXiv 1610.00087, table 1; ResNet-20 arXiv 1512.03385, table 6; Inception-v3 arXiv 1512.00567.
PUBLISHED = {
    "ds-cnn-s": Published((49, 10, 1), 12, "23k", operations=5.4e6),
    "ds-cnn-m": Published((49, 10, 1), 12, "137k", operations=19.8e6),
    "ds-cnn-l": Published((49, 10, 1), 12, "414k", operations=56.9e6),
    "tc-resnet8": Published((98, 40), 12, "65k", operations=3.0e6),
    "tc-resnet14": Published((98, 40), 12, "136k", operations=6.1e6),
    "bc-resnet-1": Published((101, 40, 1), 12, "9.2k", 3.1e6),
    "bc-resnet-1.5": Published((101, 40, 1), 12, "17.2k", 5.5e6),
    "bc-resnet-2": Published((101, 40, 1), 12, "27.3k", 8.5e6),
    "bc-resnet-3": Published((101, 40, 1), 12, "54.2k", 16.2e6),
    "bc-resnet-6": Published((101, 40, 1), 12, "188k", 53.1e6),
    "bc-resnet-8": Published((101, 40, 1), 12, "321k", 89.1e6),
    "matchboxnet-3x1x64": Published((128, 64), 30, "77k"),
    "matchboxnet-3x2x64": Published((128, 64), 30, "93k", 11.3e6),
    "m5": Published((32000, 1), 10, "0.6M"),
    "m11": Published((32000, 1), 10, "1.8M"),
    "resnet20": Published((32, 32, 3), 10, "0.27M", 41e6),
    "inception-v3": Published((299, 299, 3), 1000, "23.8M", 5.7e9),
}

# Of the networks that are in no paper, what the same ones have in PyTorch, at 12 classes.
PARAMETERS = {
    "cnn": 61_180,
    "tc-cnn": 76_252,
    "tc-cnn-l": 163_124,
    "tc-cnn-events": 163_124,
    "cs231n": 11_862,
    "m5-32": 25_420,
    "speech-embedding": 347_660,
    "yamnet": 3_330_380,
}

every_name = pytest.mark.parametrize("name", architectures.NAMES)


small_or_not = pytest.mark.parametrize("name", [name for name in architectures.NAMES if name != "inception-v3"])
"""For tests that would take long with 24 million parameters; tests/test_inception.py has its own."""


def built(name, num_classes=12):
    return architectures.build(name, num_classes=num_classes), IN_SHAPES[architectures.input_kind(name)]


def test_the_counts_name_every_architecture():
    assert PARAMETERS.keys() | PUBLISHED.keys() == set(architectures.NAMES)


@pytest.mark.parametrize("name", PARAMETERS)
def test_it_has_the_parameters_of_its_model(name):
    network, in_shape = built(name)
    assert L.summary(network, in_shape).parameters == L.count_parameters(network, in_shape) == PARAMETERS[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_has_the_size_that_was_published(name):
    paper = PUBLISHED[name]
    network = architectures.build(name, paper.classes)
    size = L.summary(network, paper.in_shape)
    unit = {"k": 1e3, "M": 1e6}[paper.parameters[-1]]
    digits = len(paper.parameters[:-1].partition(".")[2])
    assert f"{size.parameters / unit:.{digits}f}{paper.parameters[-1]}" == paper.parameters
    if paper.operations is not None:
        assert 2 * size.multiply_adds == pytest.approx(paper.operations, rel=paper.tolerance)
    elif name.startswith("bc-resnet"):
        # Its authors count more than convolutions; what else multiplies are normalisations and averages.
        others = sum(
            2 * math.prod(row.out_shape)
            for row in size.rows
            if row.label.startswith(("BatchNorm", "SubSpectralNorm", "SiLU"))
        )
        assert size.multiply_adds < paper.multiply_adds < size.multiply_adds + 1.3 * others
    elif paper.multiply_adds is not None:
        assert size.multiply_adds == pytest.approx(paper.multiply_adds, rel=paper.tolerance)


@small_or_not
def test_it_gives_a_logit_a_class_and_a_gradient_for_each_parameter(name, rng):
    network, in_shape = built(name, 3)
    assert network.out_shape(in_shape) == (3,)
    params = network.init(in_shape, rng)
    run = L.Pass(training=True, rng=rng)
    x = rng.standard_normal((2, *in_shape), np.float32)
    logits, saved = network.forward(params, x, run)
    assert logits.shape == (2, 3)
    # A first guess neither certain nor blown up: each layer keeps the size of what it is given.
    assert 0.01 < np.abs(logits).max() < 30
    dx, grads = network.backward(params, saved, np.ones_like(logits), run)
    assert dx.shape == x.shape
    flat = L.flatten(grads)
    assert set(flat) == {path for path in L.flatten(params) if L.is_trained(path)}
    assert all(np.isfinite(gradient).all() for gradient in flat.values())


@every_name
def test_its_configuration_builds_it_again(name):
    network, _ = built(name)
    assert L.from_config(L.to_config(network)) == network
    assert architectures.build(name, num_classes=np.int64(12)) == network


@every_name
def test_an_input_without_its_axes_is_refused_by_the_first_layer(name):
    network = built(name)[0]
    with pytest.raises(
        ShapeError, match=r"^0(\.[01])? \w*Conv\(.*: needs .* spatial axes, got input of shape \(101,\)"
    ):
        network.out_shape((101,))


@pytest.mark.parametrize(("name", "in_shape"), [("cnn", (7, 40, 1)), ("cs231n", (101, 7, 1)), ("m5", (1000, 1))])
def test_an_input_too_short_is_refused_with_the_place(name, in_shape):
    with pytest.raises(ShapeError, match=r"^\d+ (Conv|MaxPool)\(.*does not fit an input of"):
        architectures.build(name, num_classes=2).out_shape(in_shape)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cnnn", "there is no architecture 'cnnn'; did you mean cnn or tc-cnn?"),
        ("resnet", "there is no architecture 'resnet'; did you mean resnet20 or tc-resnet8 or tc-resnet14?"),
        ("zzz", "there is no architecture 'zzz' (known: cnn, tc-cnn, tc-cnn-l, tc-cnn-events, "),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, message):
    for ask in (architectures.input_kind, lambda name: architectures.build(name, num_classes=3)):
        with pytest.raises(ConfigError) as caught:
            ask(name)
        assert str(caught.value).startswith(message)


def test_one_class_is_nothing_to_learn():
    with pytest.raises(ConfigError, match="at least 2 classes, got 1"):
        architectures.build("cnn", num_classes=1)
