"""The same network, data and recipe in PyTorch: what it reaches, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from benchmarking.ours import Case

from audioconv import layers as L
from audioconv.audio.augment import Augmentation
from audioconv.decision.classes import class_codes
from audioconv.io.parallel import load_many
from audioconv.recipe import choose_input
from audioconv.training.callbacks import Callback
from audioconv.training.data import BatchMaker, Dataset, batch_count, draw_batches
from audioconv.training.fitting import evaluate_logits, fit
from audioconv.training.losses import SoftmaxCrossEntropy
from audioconv.training.optimizers import AdamW
from audioconv.training.replicas import Purpose, random_stream
from audioconv.training.schedules import OneCycle
from experiments.common import QUICK_EPOCHS, DataMissingError, Run, nine_words, seeds
from experiments.shares import Share

BATCH_SIZE, EPOCHS, LEARNING_RATE, SMOOTHING, CLIP = 64, 30, 5e-3, 0.1, 5.0


def nine_words_in_memory(arch: str) -> tuple[Dataset, Dataset]:
    """Return the clips to train on, augmented, and those that test."""
    collection = nine_words()
    spec = choose_input.choose_audio_input(arch, [16000], 1.0)
    x = load_many(collection.examples, spec.read, spec.shape, strict=True).x
    labels = class_codes(collection.name, collection.labels, collection.classes)
    test = np.array([item.split == "test" for item in collection.items])
    normalisation = spec.measure(x[~test])
    shape = spec.input_shape(arch)
    augmentation = Augmentation.default(spec.sample_rate)
    return (
        spec.dataset(x[~test], labels[~test], normalisation, shape, augmentation),
        spec.dataset(x[test], labels[test], normalisation, shape),
    )


def ours(case: Case, data: Dataset, test: Dataset, seed: int, epochs: int, callbacks: Sequence[Callback]) -> Run:
    """Train with audioconv."""
    begun = time.perf_counter()
    result = fit(
        case.network, data, epochs=epochs, batch_size=BATCH_SIZE, optimizer=AdamW(), schedule=OneCycle(LEARNING_RATE),
        loss=SoftmaxCrossEntropy(SMOOTHING), gradient_clip=CLIP, seed=seed, params=L.unflatten(dict(case.params)),
        callbacks=callbacks,
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    right = evaluate_logits(case.network, result.params, test).argmax(axis=1) == test.labels
    return Run(f"seed {seed}", case.network, case.in_shape, epochs, len(test), float(right.mean()), seconds)


def theirs(case: Case, data: Dataset, test: Dataset, seed: int, epochs: int) -> Run:
    """Train with PyTorch, compiled by it, from the same parameters, with the same batches, rates and weight decay."""
    import torch
    from benchmarking import torch_peer
    from torch.nn.functional import cross_entropy

    torch.manual_seed(seed)
    module = torch_peer.module(case).train()
    params = list(module.parameters())
    groups = [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, fused=True)
    schedule, maker = OneCycle(LEARNING_RATE), BatchMaker()
    compiled = torch.compile(module)
    steps = epochs * batch_count(len(data), BATCH_SIZE)

    def tensor(x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))

    for length in {len(batch) for batch in draw_batches(len(data), BATCH_SIZE, np.random.default_rng(0))}:
        compiled(tensor(data.batch(np.arange(length), None))).sum().backward()  # compiles
    module.load_state_dict(torch_peer.module(case).state_dict())
    begun = time.perf_counter()
    step = 0
    for epoch in range(1, epochs + 1):
        batches = draw_batches(len(data), BATCH_SIZE, random_stream(seed, Purpose.ORDER, epoch))
        made = maker.batches(data, batches, random_stream(seed, Purpose.AUGMENT, epoch))
        for indices, x in zip(batches, made, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate(step, steps)
            optimizer.zero_grad()
            logits = compiled(tensor(x))
            loss = cross_entropy(logits, torch.from_numpy(data.labels[indices]), label_smoothing=SMOOTHING)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(params, CLIP)
            optimizer.step()
            step += 1
    seconds = time.perf_counter() - begun
    module.eval()
    with torch.inference_mode():
        parts = np.array_split(np.arange(len(test)), -(-len(test) // 256))
        logits = torch.cat([module(tensor(test.batch(part, None))) for part in parts]).numpy()
    right = logits.argmax(axis=1) == test.labels
    return Run(f"seed {seed}", case.network, case.in_shape, epochs, len(test), float(right.mean()), seconds)


def side_by_side(arch: str, peer: bool, share: Share, callbacks: Sequence[Callback]) -> Iterator[Run]:
    """Train `arch` without dropout, whose masks differ between libraries, with the one or the other."""
    from audioconv import architectures

    if peer:
        try:
            import torch  # noqa: F401
        except ImportError:
            raise DataMissingError("needs PyTorch") from None
    data, test = nine_words_in_memory(arch)
    whole = architectures.build(arch, int(data.labels.max()) + 1)
    assert isinstance(whole, L.Chain)
    network = L.Chain([layer for layer in whole.layers if not isinstance(layer, L.Dropout)])
    in_shape = data.batch(np.arange(1), None).shape[1:]
    for seed in seeds(share):
        params = L.flatten(network.init(in_shape, random_stream(seed, Purpose.INIT)))
        nothing = np.zeros((1, *in_shape), np.float32)
        case = Case(arch, network, in_shape, params, nothing, np.zeros(1, np.int64))
        epochs = QUICK_EPOCHS if share.quick else EPOCHS
        yield theirs(case, data, test, seed, epochs) if peer else ours(case, data, test, seed, epochs, callbacks)
