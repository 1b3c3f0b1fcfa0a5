"""Experiments with recordings, each trained as `audioconv train` does by default."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from audioconv import datasets
from audioconv.recipe.settings import AUTO
from audioconv.streaming.evaluate import score_recordings
from audioconv.training.callbacks import Callback
from experiments import unheard
from experiments.common import QUICK_EPOCHS, Run, fsdd, nine_words, seeds, test_data, tested_with, train
from experiments.shares import Share


def fsdd_official(share: Share, callbacks: Sequence[Callback], replicas: int = 1) -> Iterator[Run]:
    """Train on the official training part."""
    collection = fsdd()
    for seed in seeds(share):
        yield train(f"seed {seed}", collection, seed, share.quick, callbacks, replicas=replicas)


def fsdd_speakers(share: Share, callbacks: Sequence[Callback]) -> Iterator[Run]:
    """Train on all speakers but one, and test with that one."""
    collection = fsdd()
    speakers = sorted({str(speaker) for speaker in collection.speakers})
    for _, speaker in share.of(speakers):
        others = tested_with(collection, lambda item, speaker=speaker: item.speaker == speaker)
        yield train(f"without {speaker}", others, 0, share.quick, callbacks)


def speech_commands(
    arch: str, share: Share, callbacks: Sequence[Callback], *, replicas: int = 1, has_bank: bool = False
) -> Iterator[Run]:
    """Train on the official training speakers, and test with the official validation speakers.

    The bank of negatives is that of `unheard`, or else what a training uses by default.
    """
    collection = nine_words()
    with unheard.speech(unheard.TRAINING_READERS) if has_bank else nullcontext(AUTO) as bank:
        for seed in seeds(share):
            yield train(
                f"seed {seed}", collection, seed, share.quick, callbacks, arch=arch, replicas=replicas, negatives=bank
            )


def imbalance(many: int, few: int, share: Share, callbacks: Sequence[Callback]) -> Iterator[Run]:
    """Train on so many clips of "down" and so few of "go", each by another speaker, and test with unheard speakers.

    Five draws of the clips. A draw of more clips has those of a draw of fewer among them.
    """
    words = {"down": many, "go": few}
    collection = nine_words()
    for draw, _ in share.of(range(5)):
        items = []
        for word, count in words.items():
            of_speaker = {item.speaker: item for item in collection.items if item.label == word}
            ones = sorted(of_speaker.values(), key=lambda item: item.path)
            rng = np.random.default_rng([draw, len(word)])
            to_learn = [item for item in ones if item.split == "train"]
            items += [to_learn[i] for i in rng.permutation(len(to_learn))[:count]]
            items += [item for item in ones if item.split == "test"]
        chosen = replace(collection, items=tuple(items))
        yield train(f"draw {draw + 1}", chosen, draw, share.quick, callbacks)


def esc10(members: int, share: Share, callbacks: Sequence[Callback]) -> Iterator[Run]:
    """Train on four folds and test with the fifth, each once, with each seed: a run is five trainings.

    Training begins with random parameters, also where YAMNet is on this machine.
    """
    collection = datasets.open_collection(test_data("esc-10"))
    for seed in seeds(share):
        folds = []
        for fold in range(1, 2 if share.quick else 6):
            others = tested_with(collection, lambda item, fold=fold: item.path.name.startswith(f"{fold}-"))
            folds.append(train(f"fold {fold}", others, seed, share.quick, callbacks, init=None, ensemble_size=members))
        tested = sum(run.tested for run in folds)
        accuracy = sum(run.accuracy * run.tested for run in folds) / tested
        first = folds[0]
        seconds = sum(run.seconds for run in folds)
        yield Run(f"seed {seed}", first.network, first.input_shape, first.epochs, tested, accuracy, seconds, first.arch)


def esc10_rejecting(init: str | None, share: Share, callbacks: Sequence[Callback]) -> Iterator[Run]:
    """Train from `init` on four folds, with the bank of `unheard` as negatives; a run's name has its false accepts.

    They are counted in the speech of readers who are not in the bank, at the model's own threshold for streams.
    """
    collection = datasets.open_collection(test_data("esc-10"))
    with unheard.speech(unheard.TRAINING_READERS) as bank, unheard.speech(unheard.TEST_READERS) as unseen:
        recordings = sorted(unseen.glob("*.ogg"))
        for _, fold in share.of(range(1, 6)):
            folds = tested_with(collection, lambda item, fold=fold: item.path.name.startswith(f"{fold}-"))
            settings = {"epochs": QUICK_EPOCHS} if share.quick else {}
            classifier, seconds = unheard.train(folds, fold, bank, callbacks, init=init, **settings)
            model, report = classifier.model_, classifier.report_
            assert report is not None, "it has just been trained"
            assert report.test is not None, "a fold tests"
            result = score_recordings(model, recordings[:2] if share.quick else recordings)
            rate, stored = result.in_use.false_accepts / result.hours, model.provenance["settings"]
            yield Run(
                f"fold {fold}, {rate:.1f} false accepts an hour of speech",
                model.network,
                model.input_shape,
                stored["epochs"],
                report.test.count,
                report.test.accuracy,
                seconds,
                stored["arch"],
            )
