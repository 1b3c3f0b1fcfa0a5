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
    drawn with `rng`; those of each network, where several decide together.

    Raises
    ------
    ConfigError
        If the network does not end in a dense layer.
    """
    if tuple(labels) == model.labels:
        return model.network, model.params
    changed, heads = _with_other_heads(model.network, len(labels), "")
    fresh, known = flatten(changed.init(model.input_shape, rng)), flatten(model.params)
    return changed, unflatten({path: fresh[path] if path.startswith(heads) else known[path] for path in fresh})


def _with_other_heads(network: Layer, units: int, path: str) -> tuple[Layer, tuple[str, ...]]:
    """Return the network with so many units at its end, and where the parameters of its last layers lie."""
    if isinstance(network, L.Sum):
        found = [_with_other_heads(part, units, f"{path}{i}.") for i, part in enumerate(network.branches)]
        return L.Sum([part for part, _ in found]), tuple(head for _, heads in found for head in heads)
    if not isinstance(network, L.Chain) or not network.layers or not isinstance(network.layers[-1], L.Dense):
        raise ConfigError("only a network that ends in a dense layer can learn other labels")
    *body, last = network.layers
    assert isinstance(last, L.Dense)
    return L.Chain([*body, replace(last, units=units)]), (f"{path}{len(body)}.",)
