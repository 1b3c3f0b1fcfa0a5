"""Facts for reports: small models that know nothing, and answers made up for them."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import numpy as np
import soundfile

from audioconv import Model
from audioconv import layers as L
from audioconv.decision.decision import Decision
from audioconv.evaluation import Evaluation, LongResult, Scored, Speed
from audioconv.features.front_ends import LogMel
from audioconv.report import Facts
from audioconv.training.history import EpochRow, History

RATE, SAMPLES = 8000, 8000

BASIS = {"words": 200, "others": 1000, "words_accepted_and_right": 0.93, "others_accepted": 0.048}


def model_of(labels, decision=None, provenance=None) -> Model:
    """Return a model of sounds with one dense layer, or of pictures where `labels` say so."""
    front_end = LogMel.for_rate(RATE, mel_bands=20)
    shape = front_end.out_shape(SAMPLES)
    network = L.Chain([L.Flatten(), L.Dense(len(labels))])
    return Model(
        network=network,
        params=network.init(shape, np.random.default_rng(0)),
        labels=tuple(labels),
        input_shape=shape,
        front_end=front_end,
        clip_samples=SAMPLES,
        decision=decision or Decision(),
        provenance=provenance or {},
    )


def picture_model(labels) -> Model:
    network = L.Chain([L.Flatten(), L.Dense(len(labels))])
    return Model(network, network.init((12, 9, 1), np.random.default_rng(0)), tuple(labels), (12, 9, 1))


def scored(labels, names, examples, rng, sure=3.0) -> Scored:
    """Return probabilities that are mostly right where a name is a label, and anything where it is not."""
    logits = rng.normal(0, 1, (len(names), len(labels)))
    for row, name in zip(logits, names, strict=True):
        if name in labels:
            row[labels.index(name)] += sure
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Scored(tuple(names), probabilities.astype(np.float32), tuple(examples))


def write_sounds(folder: Path, count: int, rng, seconds: float = 1.0) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{n}.wav" for n in range(count)]
    for path in paths:
        time = np.arange(round(seconds * RATE)) / RATE
        sweep = np.sin(2 * np.pi * (rng.uniform(200, 900) + 900 * time) * time)
        soundfile.write(path, 0.3 * sweep + rng.normal(0, 0.02, len(time)), RATE)
    return paths


def facts_of(folder: Path, words=("go", "left", "right"), clips=20, negatives=60, **more) -> Facts:
    """Return facts with everything in them; the sounds are written to `folder`."""
    rng = np.random.default_rng(1)
    labels = [*words, "_unknown_"]
    decision = Decision(0.8, 0.6, 0.05, ("_unknown_",), BASIS)
    names = [word for word in words for _ in range(clips)]
    paths = write_sounds(folder / "clips", min(len(names), 12), rng)
    examples = [paths[i % len(paths)] for i in range(len(names))]
    strangers = None
    if negatives:
        noises = write_sounds(folder / "noise", 6, rng)
        logits = rng.normal(0, 1.4, (negatives, len(labels)))
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        strangers = Scored(
            tuple("noise" if i % 2 else "speech" for i in range(negatives)),
            probabilities.astype(np.float32),
            tuple(noises[i % len(noises)] for i in range(negatives)),
        )
    provenance = {
        "audioconv": "0.1.0",
        "data": {
            "name": "words",
            "origins": [{"source": "somewhere", "licence": "CC BY 4.0", "clips": 1200}],
            "speakers": 31,
            "counts": {"train": dict.fromkeys(words, 90), "validation": dict.fromkeys(words, 10)},
            "unreadable": 2,
        },
        "settings": {"arch": "cnn", "epochs": 12},
        "validation_accuracy": 0.93,
    }
    model = model_of(labels, decision, provenance)
    evaluation = Evaluation.judge(
        labels, decision, scored(labels, names, examples, rng), strangers, about={"name": "words", "split": "test"}
    )
    facts = Facts(
        name="words",
        model=model,
        evaluation=evaluation,
        speed=Speed(0.42, 0.61, 5100.0, 256, "some processor", 2),
        long=long_result(),
        history=history(12),
        final_history=history(12, watched=False),
        file_bytes=250_000,
        date=datetime.date(2026, 3, 4),
    )
    return dataclasses.replace(facts, **more)


def history(epochs: int, watched: bool = True) -> History:
    return History(
        tuple(
            EpochRow(
                n + 1, 2 / (n + 1), 1 - 1 / (n + 2), 2.2 / (n + 1) if watched else None,
                1 - 1.2 / (n + 2) if watched else None, 0.001, 1.5,
            )
            for n in range(epochs)
        )
    )  # fmt: skip


def long_result() -> LongResult:
    thresholds = np.round(np.arange(0.3, 1, 0.05), 2)
    wrong = np.round(40 * np.exp(-9 * (thresholds - 0.3))).astype(int)
    found = np.linspace(49, 30, len(thresholds)).round().astype(int)
    return LongResult(
        2.0, ("a.wav",), 50, tuple(thresholds.tolist()), tuple(wrong.tolist()), tuple(found.tolist()), 0.6, 0.5
    )
