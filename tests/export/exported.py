"""Models to export, and what ONNX Runtime computes with the files."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnxruntime
import pytest

from audioconv import architectures
from audioconv import layers as L
from audioconv.decision.decision import Decision
from audioconv.export import check
from audioconv.features.front_ends import LogMel, RawSamples
from audioconv.features.normalisation import Normalisation
from audioconv.model import Model
from audioconv.recipe import speech_embedding

RATE = 16000
LABELS = ("yes", "no", "stop", "_unknown_", "_silence_")


def slow_but(names, *quick):
    """Return the names as parameters of a test, those that are not quick for long runs."""
    return [name if name in quick else pytest.param(name, marks=[pytest.mark.slow, pytest.mark.long]) for name in names]


def drawn_params(network, shape, rng):
    """Return parameters, none of them at its special first value."""
    params = network.init(shape, rng)
    for path, array in L.flatten(params).items():
        if path.endswith("running_var"):
            array[:] = rng.uniform(0.5, 1.5, array.shape)
        elif array.ndim == 1:
            array += rng.normal(0, 0.1, array.shape).astype(np.float32)
    return params


def model_of(
    network, front_end=None, *, kind="spectrogram-2d", labels=LABELS, decision=None, by_clip=False, samples=RATE,
    normalisation="usual", seed=0, params=None,
):  # fmt: skip
    """Return a model of sounds with drawn parameters; `network` may be an architecture's name."""
    rng = np.random.default_rng(seed)
    if isinstance(network, str):
        kind = architectures.input_kind(network)
        network = architectures.build(network, len(labels))
    if front_end is None:
        front_end = RawSamples(RATE) if kind == "samples" else LogMel(RATE)
    features = front_end.out_shape(samples)
    shape = (*features, 1) if kind == "spectrogram-2d" else features
    scale = normalisation
    if normalisation == "usual":
        bands = features[-1:]
        mean, std = (0.0, 0.2) if isinstance(front_end, RawSamples) else (-45.0, 18.0)
        mean, std = rng.normal(mean, std / 9, bands), std * rng.uniform(0.8, 1.2, bands)
        scale = Normalisation(mean.astype(np.float32), std.astype(np.float32), by_clip)
    made = Model(
        network=network,
        params=drawn_params(network, shape, rng) if params is None else params,
        labels=labels,
        input_shape=shape,
        front_end=front_end,
        clip_samples=samples,
        normalisation=scale,
        decision=Decision(auxiliary=("_unknown_",), threshold=0.25) if decision is None else decision,
        provenance={"data": {"name": "drawn"}},
    )
    return made if params is not None else tamed(made)


def tamed(model):
    """Return a model with its last weights scaled, so that its logits are as large as those of trained models."""
    logits = model.predict_logits(check.examples_for(model))
    factor = np.float32(3 / logits.std())
    last = str(len(model.network.layers) - 1)
    scaled = {name: factor * array for name, array in model.params[last].items()}
    return dataclasses.replace(model, params={**model.params, last: scaled})


def embedding_model(params=None, labels=LABELS):
    """Return a model that begins with the speech embedding network, drawn or with the published parameters."""
    settings = {"labels": labels, "normalisation": speech_embedding.normalisation()}
    model = model_of("speech-embedding", speech_embedding.front_end(), **settings)
    if params is None:
        return model
    body = {**model.params, "0": params}
    return tamed(model_of("speech-embedding", speech_embedding.front_end(), params=body, **settings))


def picture_model(network, shape=(32, 32, 3), labels=("cat", "dog", "frog")):
    rng = np.random.default_rng(3)
    network = architectures.build(network, len(labels)) if isinstance(network, str) else network
    channels = shape[-1:]
    scale = Normalisation(np.full(channels, 0.4, np.float32), np.full(channels, 0.3, np.float32))
    return tamed(Model(network, drawn_params(network, shape, rng), labels, shape, normalisation=scale))


def session(source):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    source = source if isinstance(source, bytes) else str(source)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(source, x):
    """Return the outputs of an ONNX file by name."""
    opened = session(source)
    names = [output.name for output in opened.get_outputs()]
    return dict(zip(names, opened.run(None, {opened.get_inputs()[0].name: x}), strict=True))


def plain(layer, shape):
    """Return a layer as files keep it: no dropout, windows as numbers, depthwise convolutions as grouped ones."""
    if isinstance(layer, L.Chain):
        parts = []
        for part in layer.layers:
            found = plain(part, shape)
            shape = part.out_shape(shape)
            if not isinstance(part, L.Dropout | L.Identity):
                parts += found.layers if isinstance(found, L.Chain) else [found]
        return parts[0] if len(parts) == 1 else L.Chain(parts)
    if isinstance(layer, L.Residual):
        return L.Residual(plain(layer.body, shape), plain(layer.shortcut, shape))
    if isinstance(layer, L.Sum | L.Concat | L.Multiply):
        return type(layer)([plain(branch, shape) for branch in layer.branches])
    if isinstance(layer, L.DepthwiseConv):
        layer = layer.conv(shape[-1])
    if isinstance(layer, L.Conv):
        window = layer.window(len(shape) - 1)
        settings = (window.kernel, window.stride, window.padding, window.dilation)
        return L.Conv(layer.filters, *settings, layer.groups, layer.bias)
    return layer
