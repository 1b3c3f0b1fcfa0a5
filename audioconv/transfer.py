"""Beginning from a trained model, with new labels: its layers know sounds, its last one is made anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audioconv import layers as L
from audioconv.errors import ConfigError
from audioconv.layers.base import Layer, Params, flatten, unflatten
from audioconv.model import Model


def begin_from(model: Model, labels: Sequence[str], rng: np.random.Generator) -> tuple[Layer, Params]:
    """Return the network of `model` for other labels, and the parameters to begin with.

    Where the labels are the model's own, in its order, so are all parameters. Otherwise the last layer gets new ones,
    drawn with `rng`.

    Raises
    ------
    ConfigError
        If the network does not end in a dense layer.
    """
    if tuple(labels) == model.labels:
        return model.network, model.params
    network = model.network
    if not isinstance(network, L.Chain) or not network.layers or not isinstance(network.layers[-1], L.Dense):
        raise ConfigError("only a network that ends in a dense layer can learn other labels")
    *body, last = network.layers
    assert isinstance(last, L.Dense)
    changed = L.Chain([*body, replace(last, units=len(labels))])
    head = f"{len(body)}."
    fresh, known = flatten(changed.init(model.input_shape, rng)), flatten(model.params)
    return changed, unflatten({path: fresh[path] if path.startswith(head) else known[path] for path in fresh})
