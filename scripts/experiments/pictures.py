"""Experiments with pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from audioconv import architectures
from audioconv.images.augment import augment
from audioconv.training.callbacks import Callback
from audioconv.training.fitting import ArrayData, evaluate_logits, fit
from audioconv.training.losses import SoftmaxCrossEntropy
from audioconv.training.schedules import OneCycle
from experiments.common import QUICK_EPOCHS, Run, seeds, test_data
from experiments.shares import Share

BATCH_SIZE = 64


def mnist(arch: str, epochs: int, share: Share, callbacks: Sequence[Callback]) -> Iterator[Run]:
    """Train on digits in ink; the parameters are those after the last epoch."""
    with np.load(test_data("mnist") / "mnist.npz") as arrays:
        mean, std = arrays["x_train"].mean(), arrays["x_train"].std()
        parts = {
            part: ((arrays[f"x_{part}"][..., None] - mean) / std, arrays[f"y_{part}"].astype(np.int64))
            for part in ("train", "test")
        }
    (x, labels), (test_x, test_labels) = parts["train"], parts["test"]
    if share.quick:
        x, labels = x[:6000], labels[:6000]
    data, test = ArrayData(x, labels, augment), ArrayData(test_x, test_labels)
    network = architectures.build(arch, num_classes=10)
    for seed in seeds(share):
        begun = time.perf_counter()
        result = fit(
            network, data, epochs=QUICK_EPOCHS if share.quick else epochs, batch_size=BATCH_SIZE,
            schedule=OneCycle(5e-3), loss=SoftmaxCrossEntropy(label_smoothing=0.1), gradient_clip=5.0, seed=seed,
            callbacks=callbacks,
        )  # fmt: skip
        seconds = time.perf_counter() - begun
        right = evaluate_logits(network, result.params, test, 256).argmax(axis=1) == test_labels
        yield Run(f"seed {seed}", network, x.shape[1:], len(result.history), len(test), float(right.mean()), seconds)
