"""``audioconv info``: content of a model, of a network of another framework or of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audioconv.cli.info_data import show_data
from audioconv.cli.info_model import show_model
from audioconv.cli.info_network import is_of_others, show_network, show_safetensors
from audioconv.cli.options import MODEL_NAME, Json, add_command
from audioconv.errors import DataError
from audioconv.io.files import display_path, where_missing

_TABLES = frozenset({".csv", ".tsv", ".tab", ".txt", ".xls", ".xlsx", ".ods", ".numbers"})
"""Suffixes, in lower case, of manifests, and of spreadsheets that are to become one; no model has them."""

_NETWORKS = frozenset({".onnx", ".keras", ".h5", ".hdf5", ".caffemodel", ".pt", ".pth"})
"""Suffixes, in lower case, of networks and weights of other frameworks."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(app, info, "audioconv info model", "audioconv info recordings", "audioconv info list.csv --json",
                "audioconv info network.onnx")  # fmt: skip


def info(
    path: Annotated[
        Path,
        typer.Argument(metavar="MODEL|FOLDER|MANIFEST", help="A model, the folder that `train` wrote, or a data set."),
    ],
    as_json: Json = False,
) -> None:
    """Show the content of a model, of a network of another framework or of a data set.

    For a model it shows labels, layers, input and training data. For a data set it shows the clips of each class with
    their lengths, speakers and licence. Networks are read from ONNX, Keras and Caffe
    files, the names and shapes of weights from PyTorch's and from .safetensors files of other programs.
    """
    from audioconv.datasets.collection import kind_of

    if not path.exists():
        where = where_missing(
            path, "give a model, a network's file, a manifest, or a folder with one subfolder per class"
        )
        raise DataError(f"{display_path(path)}: no such model or data set; {where}")
    if path.is_dir() and (path / MODEL_NAME).is_file():
        show_model(path / MODEL_NAME, as_json=as_json)
    elif path.is_dir() or path.suffix.lower() in _TABLES:
        show_data(path, as_json=as_json)
    elif kind_of(path) is not None:
        shown = display_path(path)
        raise DataError(f"{shown}: is no model and no data set; audioconv classify MODEL {shown} labels it")
    elif path.suffix.lower() in _NETWORKS:
        show_network(path, as_json=as_json)
    elif path.suffix.lower() == ".safetensors" and is_of_others(path):
        show_safetensors(path, as_json=as_json)
    else:
        show_model(path, as_json=as_json)
