"""A whole training, from files to a model, beside PyTorch: each in a fresh process, in turns."""

from __future__ import annotations

import csv
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audioconv import architectures
from audioconv import layers as L
from audioconv.audio.augment import Augmentation
from benchmarking import backends, process_tree
from benchmarking.checks import WrongResultError
from benchmarking.ours import IN_SHAPES, Case
from benchmarking.session import Bench, NoPeerError
from benchmarking.timing import Row, compare

NETWORKS = ("cnn", "ds-cnn-s")
DATA, VARIABLE = "speech-commands-9", "AUDIOCONV_TEST_DATA"
EPOCHS, BATCH, LEARNING_RATE, SAMPLE_RATE = 2, 64, 5e-3, 16000
HELD_OUT = 10  # one speaker in so many validates
QUICK_CLIPS = 100  # of each class
WORKERS = (0, 1, 2)
LEARNED, APART = 0.3, 0.15
"""Least accuracy on held-out clips, of nine classes, and how far the two may be apart after so few epochs."""

SCRIPTS = Path(__file__).resolve().parents[1]
COMMAND = ("--negatives", "none", "--init", "nothing")
"""Settings of our side that are no defaults: negatives and pretrained layers would be files beside the recordings."""


@dataclass
class Run:
    """What one process did.

    Attributes
    ----------
    seconds, mib : float
        Wall time, and peak memory of the process and its children; 0 where the system does not count it.
    losses, accuracy : list of float, and float
        Losses in the order of training, and the share of the held-out clips that the network gets right.
    """

    seconds: float
    mib: float
    losses: list[float]
    accuracy: float


@dataclass
class Clips:
    """Files, the number of the class of each, and the indices of those that train and validate."""

    classes: list[str]
    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    parts: dict[str, list[int]] = field(default_factory=lambda: {"train": [], "validation": []})

    def of(self, part: str) -> dict[str, list[Any]]:
        """Return paths and labels of ``train`` or ``validation``."""
        return {
            "paths": [self.paths[i] for i in self.parts[part]],
            "labels": [self.labels[i] for i in self.parts[part]],
        }


def find_clips(folder: Path, most: int | None) -> Clips:
    """Return the FLAC files of a folder with a folder a class, at most `most` of each; whole speakers validate."""
    clips = Clips(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    for label, name in enumerate(clips.classes):
        for path in sorted((folder / name).glob("*.flac"))[:most]:
            speaker = path.name.partition("_")[0]
            part = "train" if zlib.crc32(speaker.encode()) % HELD_OUT else "validation"
            clips.parts[part].append(len(clips.paths))
            clips.paths.append(str(path))
            clips.labels.append(label)
    return clips


def pipeline(network: str, bench: Bench) -> list[Row]:
    """Measure a training on `DATA`: wall time and peak memory of the whole process, ours and PyTorch's.

    Ours is ``audioconv train`` with the command's defaults and `COMMAND`. It learns to reject as well, which PyTorch's
    side leaves out; ``pipeline/NETWORK/no-reject`` is the same work as PyTorch's.
    """
    if not bench.has("torch"):
        raise NoPeerError("torch")
    folder = Path(os.environ.get(VARIABLE, "")) / DATA
    if VARIABLE not in os.environ or not folder.is_dir():
        raise NoPeerError(f"the folder {DATA} in {VARIABLE}")
    clips = find_clips(folder, None if bench.compiles else QUICK_CLIPS)
    with tempfile.TemporaryDirectory() as place:
        return _measure(f"pipeline/{network}", network, bench, clips, Path(place))


def _measure(name: str, network: str, bench: Bench, clips: Clips, place: Path) -> list[Row]:
    manifest = place / "clips.csv"
    write_manifest(manifest, clips)
    few = place / "few.csv"
    write_manifest(few, clips, each=4)
    train_ours(network, few, place / "model", bench.threads)  # so that the kernels are compiled
    whole = bench.compiles
    mine: dict[str, list[Run]] = {"": [], "/no-reject": []}
    theirs: dict[str, list[Run]] = {}
    rounds = max(1, bench.effort.processes // 2)
    task = {**torch_task(network, clips, bench.threads), "place": str(place)}
    variants, fastest = torch_variants(bench), ""
    for number in range(rounds):
        for option, runs in mine.items():
            more = ["--no-reject"] if option else []
            runs.append(train_ours(network, manifest, place / "model", bench.threads, *more))
            check_learned(f"{name}{option}, ours", runs[-1], whole)
        for variant, settings in variants.items():
            if number and variant != fastest:
                continue
            try:
                run = train_torch({**task, **settings})
            except subprocess.CalledProcessError as error:
                if not settings["compiled"]:
                    raise
                bench.say(f"{name}: torch.compile does not work here: {error}")
                continue
            check_learned(f"{name}, torch {variant}", run, whole)
            theirs.setdefault(variant, []).append(run)
        fastest = fastest or _fastest(theirs)
    peer, rows = theirs[fastest], []
    for option, runs in mine.items():
        if whole and option:  # with rejection there is one more class, which takes clips of the words
            check_apart(f"{name}{option}", runs, peer)
        bench.variants[f"{name}{option} torch"] = fastest
        rows.append(
            compare(f"{name}{option}", [r.seconds for r in runs], "torch", [r.seconds for r in peer], scale=1.0)
        )
    thriftiest = min(theirs, key=lambda variant: min(run.mib for run in theirs[variant]))
    pairs = [(a.mib, b.mib) for a, b in zip(mine[""], theirs[thriftiest], strict=False)]
    if all(map(all, pairs)):  # the system counts memory
        bench.variants[f"{name}/memory torch"] = thriftiest
        a, b = zip(*pairs, strict=True)
        rows.append(compare(f"{name}/memory", a, "torch", b, scale=1.0))
    return rows


def _fastest(runs: dict[str, list[Run]]) -> str:
    return min(runs, key=lambda variant: statistics.median(run.seconds for run in runs[variant]))


def torch_variants(bench: Bench) -> dict[str, dict[str, Any]]:
    """Return PyTorch's ways to do it, by name; a quick look has two."""
    layouts = ("channels last", "channels first")
    found = {
        f"{layout}, {workers} workers": {"layout": layout, "workers": workers, "compiled": False}
        for layout, workers in itertools.product(layouts, WORKERS)
    }
    if not bench.compiles:
        return {name: found[name] for name in ("channels last, 0 workers", "channels last, 2 workers")}
    compiled = {**found["channels last, 2 workers"], "compiled": True}
    return {**found, "channels last, 2 workers, compiled": compiled}


# --- the two sides ---------------------------------------------------------------------------------------------------


def write_manifest(path: Path, clips: Clips, each: int | None = None) -> None:
    """Write the CSV manifest of all clips, or of the first few of each class and part."""
    kept: dict[tuple[str, int], int] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker", "split"])
        for part, indices in clips.parts.items():
            for i in indices:
                key = part, clips.labels[i]
                kept[key] = kept.get(key, 0) + 1
                if each is None or kept[key] <= each:
                    speaker = Path(clips.paths[i]).name.partition("_")[0]
                    writer.writerow([clips.paths[i], clips.classes[clips.labels[i]], speaker, part])


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a process with so many threads."""
    path = [str(SCRIPTS), str(SCRIPTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "NUMBA_NUM_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }


def train_ours(network: str, manifest: Path, out: Path, threads: int, *more: str) -> Run:
    """Run ``audioconv train`` and return what it took."""
    command = [sys.executable, "-m", "audioconv", "train", str(manifest), "-o", str(out), "--arch", network]
    command += ["--epochs", str(EPOCHS), *COMMAND, *more, "--json", "--force"]
    done = process_tree.run(command, environment(threads))
    with (out / "history.csv").open(encoding="utf-8", newline="") as file:
        losses = [float(row["train_loss"]) for row in csv.DictReader(file)]
    accuracy = json.loads(done.stdout)["validation_accuracy"]
    return Run(done.seconds, done.peak_mib, losses, accuracy)


def torch_task(network: str, clips: Clips, threads: int) -> dict[str, Any]:
    """Return what PyTorch's process needs, without the variant: files, recordings to augment with, and the network."""
    from benchmarking import torch_peer

    whole = architectures.build(network, len(clips.classes))
    if not isinstance(whole, L.Chain):
        raise TypeError(f"{network} is no Chain")
    in_shape = IN_SHAPES[architectures.input_kind(network)]
    params = L.flatten(whole.init(in_shape, np.random.default_rng(0)))
    empty = np.empty(0, np.float32)
    augmentation = Augmentation.default(SAMPLE_RATE)
    return {
        "module": torch_peer.module(Case(network, whole, in_shape, params, empty, empty)),
        "noises": augmentation.noises,
        "rooms": augmentation.impulse_responses,
        "train": clips.of("train"),
        "validation": clips.of("validation"),
        "epochs": EPOCHS,
        "batch": BATCH,
        "learning_rate": LEARNING_RATE,
        "threads": threads,
        "seed": 0,
    }


def train_torch(task: dict[str, Any]) -> Run:
    """Run PyTorch's training and return what it took."""
    file = Path(task["place"]) / "task"
    backends.torch.save(task, file)
    command = [sys.executable, "-m", "benchmarking.torch_pipeline", str(file)]
    done = process_tree.run(command, environment(task["threads"]))
    found = json.loads(done.stdout)
    return Run(done.seconds, done.peak_mib, found["losses"], found["accuracies"][-1])


# --- are the results right? ------------------------------------------------------------------------------------------


def check_learned(what: str, run: Run, whole: bool) -> None:
    """Raise `WrongResultError` if the losses do not fall, or, after whole epochs, few held-out clips are right."""
    half = len(run.losses) // 2
    before, after = statistics.fmean(run.losses[:half]), statistics.fmean(run.losses[half:])
    if not after < before:  # also where it is NaN
        raise WrongResultError(f"{what}: the loss was {before:.3g} and then {after:.3g}; it has to fall")
    if whole and not run.accuracy >= LEARNED:
        raise WrongResultError(f"{what}: {run.accuracy:.1%} of the held-out clips are right, at least {LEARNED:.0%} "
                               "is right")  # fmt: skip


def check_apart(what: str, mine: Sequence[Run], theirs: Sequence[Run]) -> None:
    """Raise `WrongResultError` if one side's held-out accuracy is far from the other's."""
    a, b = (statistics.median(run.accuracy for run in runs) for runs in (mine, theirs))
    if not abs(a - b) <= APART:
        raise WrongResultError(f"{what}: {a:.1%} of the held-out clips are right, beside {b:.1%} of PyTorch's")
