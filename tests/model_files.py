"""Small models, as the bytes of their files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from audioconv import layers as L
from audioconv.decision.decision import Decision
from audioconv.features.front_ends import LogMel, Mfcc, RawSamples
from audioconv.features.normalisation import Normalisation
from audioconv.model import Model

CLIP = 1600


def small_models() -> list[bytes]:
    """Return models with several front ends and layers."""
    spectrum = L.Chain(
        [
            L.Conv(4, (3, 3), padding="same", bias=False),
            L.BatchNorm(),
            L.ReLU(),
            L.Residual(L.Chain([L.DepthwiseConv((3, 3), padding="same"), L.ReLU()])),
            L.GlobalAvgPool(),
            L.Dropout(0.5),
            L.Dense(3),
        ]
    )
    samples = L.Chain([L.Conv(4, (8,), stride=(4,)), L.ReLU(), L.MaxPool((2,)), L.GlobalAvgPool(), L.Dense(3)])
    front_ends: list[tuple[Any, L.Chain]] = [
        (LogMel(mel_bands=8), spectrum),
        (Mfcc(), spectrum),
        (RawSamples(), samples),
    ]
    return [_saved(front_end, network) for front_end, network in front_ends]


def _saved(front_end: Any, network: L.Chain) -> bytes:
    rng = np.random.default_rng(0)
    features = front_end.out_shape(CLIP)
    shape = features if isinstance(front_end, RawSamples) else (*features, 1)
    model = Model(
        network=network,
        params=network.init(shape, rng),
        labels=("yes", "no", "_unknown_"),
        input_shape=shape,
        front_end=front_end,
        clip_samples=CLIP,
        normalisation=Normalisation(*np.ones((2, features[-1]), np.float32)),
        decision=Decision(auxiliary=("_unknown_",)),
        provenance={"data": "made up"},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.safetensors")
        model.save(path)
        return path.read_bytes()
