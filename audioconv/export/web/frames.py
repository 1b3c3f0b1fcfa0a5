"""A front end as a graph of single frames, which a stream computes once each."""

from __future__ import annotations

from audioconv.export.description import add_bands, windowed_waves
from audioconv.export.operations import Arithmetic, Function, Graph, GraphBuilder, Linear
from audioconv.features.front_ends import LogMel


def describe_frames(front_end: LogMel) -> Graph:
    """Return the graph from the samples of a frame (window_length,) to its features (bands,)."""
    graph, place = GraphBuilder(), "front_end"
    samples = graph.tensor("frame", (front_end.window_length,))
    squares = [
        graph.add(Function("square"), place, graph.add(Linear(wave), place, samples))
        for wave in windowed_waves(front_end)
    ]
    energy = graph.add(Arithmetic("add"), place, *squares)
    features = add_bands(graph, front_end, energy, place)
    return Graph(samples, graph.steps, samples, features, {"features": features})
