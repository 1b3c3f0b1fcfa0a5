"""Files as Keras writes them, by h5py alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter

import h5py
import numpy as np


def layer(kind, name, inbound=None, **settings):
    found = {"module": "keras.layers", "class_name": kind, "config": {"name": name, **settings}}
    if inbound is not None:
        args = [{"class_name": "__keras_tensor__", "config": {"keras_history": [source, 0, 0]}} for source in inbound]
        args = [args] if len(args) > 1 else args
        found.update(name=name, inbound_nodes=[{"args": args, "kwargs": {}}] if inbound else [])
    return found


def conv_settings(axes, **settings):
    one = [1] * axes
    return {
        "strides": one, "padding": "valid", "data_format": "channels_last", "dilation_rate": one, "groups": 1,
        "activation": "linear", "use_bias": True, **settings,
    }  # fmt: skip


def sequential(layers):
    return {"class_name": "Sequential", "config": {"name": "model", "layers": layers}}


def functional(layers, output):
    return {
        "class_name": "Functional",
        "config": {"name": "model", "layers": layers, "output_layers": [[output, 0, 0]]},
    }


def write_keras(path, config, weights, named=True):
    """Write a ``.keras`` archive; `weights` are arrays by the layer's name, which is its class's name in the file."""
    inside = io.BytesIO()
    with h5py.File(inside, "w") as file:
        for name, arrays in weights.items():
            variables = file.create_group(f"layers/{name}/vars")
            if named:
                variables.attrs["name"] = name
            for number, array in enumerate(arrays):
                variables[str(number)] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", inside.getvalue())
    return path


def write_weights(path, weights):
    """Write weights alone, as Keras 3 does: numbered within each class of layers, with the layers' names."""
    numbers = Counter()
    with h5py.File(path, "w") as file:
        for name, arrays in weights.items():
            kind = {1: "batch_normalization", 2: "dense"}.get(arrays[0].ndim, "conv2d")
            kind = "depthwise_conv2d" if kind == "conv2d" and arrays[0].shape[-1] == 1 else kind
            key = f"{kind}_{numbers[kind]}" if numbers[kind] else kind
            numbers[kind] += 1
            variables = file.create_group(f"layers/{key}/vars")
            variables.attrs["name"] = name
            for number, array in enumerate(arrays):
                variables[str(number)] = array
    return path


def write_h5(path, config, weights, version="2.15.0"):
    """Write a legacy file of a whole model."""
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = version
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.asarray(list(weights), dtype="S")
        for name, arrays in weights.items():
            group = root.create_group(name)
            names = [f"{name}/array_{number}:0" for number in range(len(arrays))]
            group.attrs["weight_names"] = np.asarray(names, dtype="S")
            for key, array in zip(names, arrays, strict=True):
                group[key] = array
    return path
