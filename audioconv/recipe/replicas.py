"""The recipe for several replicas: which examples each one has, and the learning rate of their global batch."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

import numba
import numpy as np

from audioconv._types import Array
from audioconv._version import __version__
from audioconv.cluster.agreement import check_agreement, check_listing
from audioconv.cluster.processes import Processes
from audioconv.errors import ClusterError, DataError
from audioconv.kernels.lanes import LANES
from audioconv.recipe.labelled import Labelled
from audioconv.recipe.settings import Settings
from audioconv.training.data import deal
from audioconv.training.schedules import OneCycle

WARMUP_EPOCHS = 5
"""Epochs over which the learning rate of several replicas grows to its peak, at least (Goyal et al., section 2.2)."""

READERS = ("soundfile", "soxr", "av", "pillow")
"""Packages that read clips: each process reads some for all."""

RATE_EXPONENT = 1.0
"""The peak is that for one replica times this power of V: the linear scaling rule (Goyal et al., section 2.1)."""


def check_processes(settings: Settings, data: Labelled, processes: Processes) -> None:
    """Raise `ClusterError` unless the processes can share the replicas, and have the same versions, settings and data.

    Files may lie in different folders. Their contents are not compared.
    """
    if settings.replicas % processes.size:
        possible = processes.size * max(1, round(settings.replicas / processes.size))
        raise ClusterError(
            f"{processes.size} processes cannot share {settings.replicas} replicas; the number of processes must "
            f"divide --replicas, such as --replicas {possible}"
        )
    if processes.size == 1:
        return
    versions = {"audioconv": __version__, "NumPy": np.__version__, "Numba": numba.__version__}
    readers = {name: _version(name) for name in READERS}
    check_agreement(processes, {**versions, **readers, "AUDIOCONV_VECTOR_LANES": LANES})
    named = {"noise", "init", "negatives", "reviewed"}
    check_agreement(
        processes,
        {name: _without_folders(value) if name in named else value for name, value in settings.get_params().items()},
    )
    rows = zip(data.labels, data.speakers, data.splits, strict=True)
    columns = ["\t".join(str(value) for value in row) for row in rows]
    files = [os.sep.join(path.parts[-2:]) for path in data.files] or [""] * len(columns)
    check_listing(processes, "clips", [f"{file}\t{row}" for file, row in zip(files, columns, strict=True)])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _without_folders(value: Any) -> Any:
    return value if value is None else os.path.basename(os.fspath(value).rstrip(os.sep))


def one_cycle(rate: float, replicas: int, epochs: int) -> OneCycle:
    """Return the schedule for a global batch of so many replicas, given the peak for one replica.

    It begins and ends with the rates of one replica. For one replica it is plain `OneCycle`.

    Parameters
    ----------
    rate : float
        The greatest learning rate for one replica.
    replicas : int
    epochs : int
        Number of the whole run.

    References
    ----------
    P. Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, 2017, arXiv 1706.02677.

    Examples
    --------
    >>> one_cycle(0.01, 1, 60) == OneCycle(0.01)
    True
    >>> four = one_cycle(0.01, 4, 10)
    >>> four.rate, four.warmup, round(four.rate * four.first, 6)
    (0.04, 0.5, 0.0004)
    """
    usual = OneCycle(rate)
    if replicas == 1:
        return usual
    factor = replicas**RATE_EXPONENT
    warmup = min(0.5, max(usual.warmup, WARMUP_EPOCHS / epochs))
    return OneCycle(rate * factor, warmup, usual.first / factor, usual.final)


def deal_examples(name: str, codes: Array, replicas: int, seed: int) -> list[Array]:
    """Return which examples each replica trains on, for the whole run; see `training.data.deal`.

    Parameters
    ----------
    name : str
        Name of the data, for the error.
    codes : array (N,) of int
        The class of each example.
    replicas, seed : int

    Raises
    ------
    DataError
        If a replica would have fewer than two examples, or examples of one class alone.
    """
    dealt = deal(codes, replicas, seed)
    if any(len(np.unique(codes[part])) < 2 for part in dealt):
        raise DataError(
            f"{name}: {len(codes):,} examples are too few for {replicas} replicas, each of which needs examples of "
            f"two classes; train with fewer replicas"
        )
    return dealt
