"""``audioconv info`` of a network, or of weights, of another framework."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from audioconv.cli.terminal import add_row, json_path, megabytes, new_table, printable, results, write, write_json
from audioconv.errors import ConfigError, DataError, ModelFileError
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from rich.table import Table

    from audioconv.interop import Imported
    from audioconv.layers import Summary

OPEN_SIZES = (128, 2**16)
"""Sizes that are shown for an axis that a file leaves open: frames, or samples."""


def show_network(path: Path, *, as_json: bool) -> None:
    """Show the layers of a network of another framework; the arrays of a file that has weights alone."""
    from audioconv import interop
    from audioconv.compiler.execution import how_it_runs
    from audioconv.layers import summary, to_config

    if path.suffix.lower() in interop.WEIGHTS:
        _show_weights(path, as_json=as_json)
        return
    found = _read(path)
    layers = summary(found.network, found.in_shape)
    if as_json:
        rows = [{**vars(row), "name": found.names.get(row.path, "")} for row in layers.rows]
        write_json(
            {
                "path": json_path(path),
                "bytes": path.stat().st_size,
                "input_shape": list(found.in_shape),
                "open_axes": list(found.open_axes),
                "output_shape": list(found.out_shape),
                "parameters": layers.parameters,
                "multiply_adds": layers.multiply_adds,
                "layers": rows,
                "network": to_config(found.network),
            }
        )
        return
    results().print(layers_table(layers, found.names))
    write(f"{'file':<11} {printable(display_path(path))} ({megabytes(path.stat().st_size)})")
    sizes = ["?" if axis in found.open_axes else str(size) for axis, size in enumerate(found.in_shape)]
    chosen = f"; ? is {found.in_shape[found.open_axes[0]]:,} in the table" if found.open_axes else ""
    write(f"{'input':<11} {' x '.join(sizes)}, channels last{chosen}")
    write(f"{'output':<11} {shape_text(found.out_shape)}")
    if len(found.out_shape) == 1 and (how := how_it_runs(found.network, found.in_shape)):
        write(f"{'runs':<11} {how}")


def _read(path: Path) -> Imported:
    """Return the network in a file; sizes that it leaves open are small ones, if the layers take these."""
    from audioconv import interop

    small, large = OPEN_SIZES
    try:
        return interop.read(path, open_size=small)
    except (ConfigError, ModelFileError):
        return interop.read(path, open_size=large)


def _show_weights(path: Path, *, as_json: bool) -> None:
    from audioconv import interop

    arrays = interop.arrays_of(path)
    numbers = sum(array.size for array in arrays.values())
    if as_json:
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        write_json({"path": json_path(path), "bytes": path.stat().st_size, "parameters": numbers, "arrays": shapes})
        return
    table = new_table("array", "shape", "numbers", right=["numbers"])
    for name, array in arrays.items():
        add_row(table, name, shape_text(array.shape), f"{array.size:,}")
    table.add_section()
    add_row(table, "total", "", f"{numbers:,}", style="bold")
    results().print(table)
    write(f"{'file':<11} {printable(display_path(path))} ({megabytes(path.stat().st_size)})")
    write(f"{'holds':<11} weights alone, without a network")


def is_of_others(path: Path) -> bool:
    """Tell whether a file is a whole one of safetensors, with arrays, that another program wrote."""
    from audioconv.interop.safetensors_file import read_header

    try:
        header = read_header(path)
    except (DataError, ModelFileError):
        return False  # the error of reading a model says what is wrong
    return bool(header.tensors) and "audioconv" not in header.metadata


def show_safetensors(path: Path, *, as_json: bool) -> None:
    """Show the arrays of a ``.safetensors`` file of another program."""
    from audioconv.interop.safetensors_file import read_header

    header = read_header(path)
    numbers = sum(tensor.numbers for tensor in header.tensors.values())
    if as_json:
        shapes = {name: list(tensor.shape) for name, tensor in header.tensors.items()}
        types = {name: tensor.dtype for name, tensor in header.tensors.items()}
        write_json(
            {
                "path": json_path(path),
                "bytes": path.stat().st_size,
                "parameters": numbers,
                "arrays": shapes,
                "dtypes": types,
                "metadata": dict(header.metadata),
            }
        )
        return
    table = new_table("array", "shape", "type", "numbers", right=["numbers"])
    for name, tensor in header.tensors.items():
        add_row(table, printable(name), shape_text(tensor.shape), tensor.dtype, f"{tensor.numbers:,}")
    table.add_section()
    add_row(table, "total", "", "", f"{numbers:,}", style="bold")
    results().print(table)
    write(f"{'file':<11} {printable(display_path(path))} ({megabytes(path.stat().st_size)})")
    for name, value in header.metadata.items():
        write(f"{'metadata':<11} {printable(name)}: {printable(value)}")
    write(f"{'holds':<11} weights alone, without a network, by another program than audioconv")


def layers_table(layers: Summary, names: Mapping[str, str] | None = None) -> Table:
    """Return the table of a network's layers, with their names in a file where there are some."""
    heads = ["name in the file"] if names is not None else []
    table = new_table(
        "", "layer", *heads, "output", "parameters", "multiply-adds", right=["parameters", "multiply-adds"]
    )
    name = [""] if names is not None else []
    add_row(table, "", "input", *name, shape_text(layers.in_shape), "", "")
    for row in layers.rows:
        name = [names.get(row.path, "")] if names is not None else []
        cells = (shape_text(row.out_shape), f"{row.parameters:,}", f"{row.multiply_adds:,}")
        add_row(table, row.path, row.label, *name, *cells)
    table.add_section()
    blank = [""] if names is not None else []
    add_row(table, "", "total", *blank, "", f"{layers.parameters:,}", f"{layers.multiply_adds:,}", style="bold")
    return table


def shape_text(shape: tuple[int, ...]) -> str:
    """Return a shape as ``98 x 40``."""
    return " x ".join(map(str, shape))
