"""Several networks as one: their logits averaged (ensembles), or their parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audioconv import layers as L
from audioconv.errors import ConfigError
from audioconv.layers.base import Layer, Params, flatten, unflatten


def join(networks: Sequence[Layer], params: Sequence[Params]) -> tuple[Layer, Params]:
    """Return the network whose logits are the means of those of `networks`, and its parameters.

    Their last layers are divided by how many they are, so that the mean is a sum: the network is one like any other,
    and a model's file, the compiler and a detector need no special case.

    Parameters
    ----------
    networks : sequence of Layer
        Each a chain that ends in a dense layer, for the same input and the same number of classes.
    params : sequence of dict
        The parameters of each; they are left as they are.

    Raises
    ------
    ConfigError
        If a network does not end in a dense layer.

    References
    ----------
    B. Lakshminarayanan et al., Simple and scalable predictive uncertainty estimation using deep ensembles, NeurIPS
    2017.
    """
    if len(networks) == 1:
        return networks[0], params[0]
    shared = [_divided(network, own, len(networks)) for network, own in zip(networks, params, strict=True)]
    return L.Sum(networks), {str(number): own for number, own in enumerate(shared)}


def average(params: Sequence[Params]) -> Params:
    """Return the means of the parameters of networks that began with the same ones, running statistics too.

    Raises
    ------
    ConfigError
        If the networks have other parameters, by name or by shape.

    References
    ----------
    M. Wortsman et al., Model soups: averaging weights of multiple fine-tuned models improves accuracy without
    increasing inference time, ICML 2022.
    """
    flat = [flatten(one) for one in params]
    shapes = [{path: array.shape for path, array in one.items()} for one in flat]
    if any(one != shapes[0] for one in shapes):
        raise ConfigError("only networks with the same parameters can be averaged")
    return unflatten(
        {
            path: np.mean([one[path] for one in flat], axis=0, dtype=np.float64).astype(array.dtype)
            for path, array in flat[0].items()
        }
    )


def check_ends_in_dense(network: Layer) -> L.Chain:
    """Return the network if it can be joined with others; otherwise raise `ConfigError`."""
    if isinstance(network, L.Chain) and network.layers and isinstance(network.layers[-1], L.Dense):
        return network
    raise ConfigError("only networks that end in a dense layer can decide together")


def _divided(network: Layer, params: Params, count: int) -> Params:
    """Return the parameters with which `network` gives its logits divided by `count`."""
    last = str(len(check_ends_in_dense(network).layers) - 1)
    return {**params, last: {name: array / np.float32(count) for name, array in params[last].items()}}
