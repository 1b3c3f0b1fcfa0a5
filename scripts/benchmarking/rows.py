"""What can be measured, by name: each function checks the results, then times them and returns its rows."""

from __future__ import annotations

import functools
from collections.abc import Callable

from benchmarking import export_rows, kernel_rows, network_rows, pipeline_rows
from benchmarking.ours import BATCH, NETWORKS
from benchmarking.session import Bench
from benchmarking.timing import Row


def names() -> dict[str, Callable[[Bench], list[Row]]]:
    """Return all that can be measured, by name, in the order of the table."""
    found: dict[str, Callable[[Bench], list[Row]]] = {}
    for network in NETWORKS:
        found[f"train/{network}"] = functools.partial(network_rows.train, network)
    for batch in (BATCH, 1):
        for network in NETWORKS:
            found[f"forward-{batch}/{network}"] = functools.partial(network_rows.forward, network, batch)
    for network in NETWORKS:
        found[f"export/{network}"] = functools.partial(export_rows.export, network)
    for shape in kernel_rows.SHAPES:
        for direction in kernel_rows.DIRECTIONS:
            found[f"conv/{shape}/{direction}"] = functools.partial(kernel_rows.convolution, shape, direction)
    for batch in (1, BATCH):
        found[f"logmel/{batch}"] = functools.partial(kernel_rows.log_mel, batch)
    for network in pipeline_rows.NETWORKS:
        found[f"pipeline/{network}"] = functools.partial(pipeline_rows.pipeline, network)
    found["compiled/inception-v3"] = network_rows.beside_layers
    return {**found, "threads/cnn": network_rows.threads, "memory/cnn": network_rows.peak_memory}
