"""Networks in ONNX files as layers."""

from __future__ import annotations

from collections.abc import Sequence

from audioconv._types import StrPath
from audioconv.interop.imported import Imported
from audioconv.interop.network import network_of
from audioconv.interop.onnx_file import own_network, read_graph
from audioconv.io.files import display_path


def read_onnx(
    path: StrPath, *, until: str | None = None, shape: Sequence[int] | None = None, open_size: int | None = None
) -> Imported:
    """Return the network in an ONNX file as layers with its parameters, channels last.

    A chain of nodes becomes a `Chain`; additions, concatenations and multiplications of branches become `Residual`,
    `Concat` and `Multiply`. Constants are folded, weights transposed once, and nodes that only move axes leave no
    trace where the layers need none. Of a model that audioconv exported, the network is read, without the front end
    and the decision around it.

    Parameters
    ----------
    path : path-like
    until : str, optional
        Where to cut: the name of a tensor, of a node, or of a layer whose nodes bear its name as a part of theirs
        (``layer3`` of ``/layer3/conv1/Conv``; the last of them counts). What comes behind is not looked at. Default:
        the file's only output.
    shape : sequence of int, optional
        Shape of the input in the file's order, without the batch, where the file leaves it open.
    open_size : int, optional
        Size of every axis that the file leaves open, instead of `shape`; see `Imported.open_axes`.

    Returns
    -------
    Imported

    Raises
    ------
    DataError
        If the file cannot be read.
    ModelFileError
        If it is damaged, or has a node that no layer stands for: names the node, its operator, and what could be done.
    ConfigError
        If `until` names nothing in the file, or `shape` is needed or does not fit.
    MissingExtraError
        If the package onnx is not installed.
    """
    return network_of(own_network(read_graph(path)), until, shape, display_path(path), open_size)
