"""Models as openWakeWord's: for each word a head that takes 16 embeddings.

openWakeWord computes the embeddings of the published speech embedding network once for all of its models, of sound
without silence around it. A head is right for these only if the network below it is the published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from audioconv import layers as L
from audioconv._types import Array
from audioconv.architectures.speech import EMBEDDING_BANDS, embedding_layers
from audioconv.errors import ExportError
from audioconv.export.description import add_decision
from audioconv.export.layers import add_layer
from audioconv.export.operations import Graph, GraphBuilder, Linear, Reshape
from audioconv.layers.base import Params, flatten
from audioconv.model import Model
from audioconv.recipe import speech_embedding

EMBEDDINGS, WIDTH = 16, 96
"""What a head takes: so many embeddings, one every 80 ms, of so many numbers."""

MAX_DIFFERENCE = 1e-6
"""Of a parameter from the published one, which has this precision in the files that it is published in."""

REMEDY = "train with init='openwakeword' (audioconv train --init openwakeword)"


def check_headed(model: Model, published: Params | None) -> None:
    """Raise `ExportError` unless a model is a head on the embeddings that openWakeWord computes.

    Parameters
    ----------
    model : Model
    published : dict, optional
        The parameters of the published network; None: they are not on this machine.
    """
    branches, params = branches_of(model)
    if not all(_begins_with_embedding(branch) for branch in branches):
        raise ExportError(f"openWakeWord's models are heads on speech embeddings; this model has none: {REMEDY}")
    if model.front_end != speech_embedding.front_end() or not _is_published_scale(model):
        raise ExportError(f"the model's front end is not that of the speech embedding network: {REMEDY}")
    body = embedding_layers()
    if not all(branch.layers[0] == body for branch in branches):
        raise ExportError(
            f"the model adds silence around each clip, which openWakeWord does not, so its head has learned other "
            f"embeddings: {REMEDY}"
        )
    count = body.out_shape(model.input_shape)[0]
    if count != EMBEDDINGS:
        raise ExportError(f"openWakeWord's heads take {EMBEDDINGS} embeddings, this one takes {count}: {REMEDY}")
    if published is None:
        raise ExportError(
            "whether the layers below the head are the published ones cannot be told: the network's file is not on "
            f"this machine ({speech_embedding.INSTALL})"
        )
    if not all(_is_same(own["0"], published) for own in params):
        raise ExportError(
            "the layers below the model's head have learned, and openWakeWord computes those that were published: "
            f"{REMEDY}"
        )


def branches_of(model: Model) -> tuple[list[L.Chain], list[Params]]:
    """Return the networks that decide together, or the only one, with the parameters of each."""
    network, params = model.network, model.params
    if isinstance(network, L.Sum):
        found = [(branch, params[str(number)]) for number, branch in enumerate(network.branches)]
    else:
        found = [(network, params)]
    return [branch if isinstance(branch, L.Chain) else L.Chain([branch]) for branch, _ in found], [p for _, p in found]


def describe_head(model: Model, word: str) -> Graph:
    """Return the head of `model`: from embeddings (16, 96) to the probability (1,) of a word."""
    graph = GraphBuilder()
    start = graph.tensor("embeddings", (EMBEDDINGS, WIDTH))
    x = graph.add(Reshape((EMBEDDINGS, 1, WIDTH)), "input", start)
    network, params = head_of(model)
    logits = add_layer(graph, network, params, x, "network")
    probabilities, _ = add_decision(graph, model.decision, model.labels, logits)
    graph.steps.pop()  # the answer
    chosen = np.array([[float(label == word)] for label in model.labels], np.float32)
    probability = graph.add(Linear(chosen), "decision", probabilities)
    return Graph(start, graph.steps, x, logits, {"probability": probability})


def head_of(model: Model) -> tuple[L.Layer, Params]:
    """Return the layers behind the embeddings, and their parameters."""
    branches, params = branches_of(model)
    heads = [L.Chain(branch.layers[1:]) for branch in branches]
    own = [{str(int(number) - 1): p for number, p in one.items() if number != "0"} for one in params]
    if len(heads) == 1:
        return heads[0], own[0]
    return L.Sum(heads), {str(number): one for number, one in enumerate(own)}


def embeddings_of(model: Model, examples: Array) -> Array:
    """Return the embeddings (N, 16, 96) float32 of examples (N, clip_samples)."""
    _, params = branches_of(model)
    x = model.network_input(model.features(examples))
    y, _ = embedding_layers().forward(params[0]["0"], x, L.Pass())
    return y.reshape(len(y), EMBEDDINGS, WIDTH)


def find_published() -> Params | None:
    """Return the parameters of the published network; None where its file is not on this machine."""
    path = speech_embedding.find()
    return None if path is None else speech_embedding.read(path)


def _begins_with_embedding(branch: L.Chain) -> bool:
    first = branch.layers[0] if branch.layers else None
    if not isinstance(first, L.Chain) or not first.layers or not isinstance(first.layers[0], L.Conv):
        return False
    return first.layers[1:] == embedding_layers().layers[1:]


def _is_published_scale(model: Model) -> bool:
    scale, own = speech_embedding.normalisation(), model.normalisation
    if own is None or own.by_clip or own.mean.shape != (EMBEDDING_BANDS,):
        return False
    return bool(np.array_equal(own.mean, scale.mean) and np.array_equal(own.std, scale.std))


def _is_same(params: Mapping[str, Any], published: Params) -> bool:
    own, wanted = flatten(dict(params)), flatten(published)
    return own.keys() == wanted.keys() and all(
        own[path].shape == wanted[path].shape and np.abs(own[path] - wanted[path]).max() <= MAX_DIFFERENCE
        for path in wanted
    )
