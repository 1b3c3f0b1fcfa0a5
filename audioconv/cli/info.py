"""``audioconv info``: content of a model or a data set."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.options import MODEL_NAME, Json, add_command
from audioconv.cli.terminal import (
    Steps,
    add_row,
    json_path,
    list_failures,
    megabytes,
    new_table,
    printable,
    results,
    write,
    write_json,
)
from audioconv.cli.training_run import how_it_decides, origins_of_training
from audioconv.errors import DataError
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from rich.table import Table

    from audioconv.datasets import Collection, Item
    from audioconv.layers import Summary
    from audioconv.model import Model

Header = dict[str, Any]
"""What the header of a file says: seconds, sample_rate and channels; or height, width and channels."""

_TABLES = frozenset({".csv", ".tsv", ".tab", ".txt", ".xls", ".xlsx", ".ods", ".numbers"})
"""Names that end so (in lower case) are of data sets, or spreadsheets that should be: never of models."""


_NETWORKS = frozenset({".onnx", ".keras", ".h5", ".hdf5", ".caffemodel", ".pt", ".pth"})
"""Names that end so are of networks, or weights, of other frameworks."""


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
    """Show what is in a model, in a network of another framework or in a data set.

    Of a model: its labels, its layers, what it hears, and what it was trained on. Of a data set: how many clips each
    class has, how long they are, who speaks, and under which licence. Networks are read from ONNX, Keras and Caffe
    files, the names and shapes of weights from PyTorch's and from .safetensors files of other programs.
    """
    if path.is_dir() and (path / MODEL_NAME).is_file():
        _show_model(path / MODEL_NAME, as_json=as_json)
    elif path.is_dir() or path.suffix.lower() in _TABLES:
        _show_data(path, as_json=as_json)
    elif path.suffix.lower() in _NETWORKS:
        _show_network(path, as_json=as_json)
    elif path.suffix.lower() == ".safetensors" and _is_of_others(path):
        _show_safetensors(path, as_json=as_json)
    else:
        _show_model(path, as_json=as_json)


# --- a network of another framework ---


def _show_network(path: Path, *, as_json: bool) -> None:
    from audioconv import interop
    from audioconv.layers import summary, to_config

    if path.suffix.lower() in interop.WEIGHTS:
        _show_weights(path, as_json=as_json)
        return
    found = interop.read(path)
    layers = summary(found.network, found.in_shape)
    if as_json:
        rows = [{**vars(row), "name": found.names.get(row.path, "")} for row in layers.rows]
        write_json(
            {
                "path": json_path(path),
                "bytes": path.stat().st_size,
                "input_shape": list(found.in_shape),
                "output_shape": list(found.out_shape),
                "parameters": layers.parameters,
                "multiply_adds": layers.multiply_adds,
                "layers": rows,
                "network": to_config(found.network),
            }
        )
        return
    results().print(_layers_table(layers, found.names))
    write(f"{'file':<11} {printable(display_path(path))} ({megabytes(path.stat().st_size)})")
    write(f"{'input':<11} {_shape(found.in_shape)}, channels last")
    write(f"{'output':<11} {_shape(found.out_shape)}")
    for remark in layers.remarks:
        name, _, value = remark.partition(" ")
        write(f"{name:<11} {value}")


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
        add_row(table, name, _shape(array.shape), f"{array.size:,}")
    table.add_section()
    add_row(table, "total", "", f"{numbers:,}", style="bold")
    results().print(table)
    write(f"{'file':<11} {printable(display_path(path))} ({megabytes(path.stat().st_size)})")
    write(f"{'holds':<11} weights alone, without a network")


def _is_of_others(path: Path) -> bool:
    """Tell whether a file is a whole one of safetensors, with arrays, that another program wrote."""
    from audioconv.errors import ModelFileError
    from audioconv.interop.safetensors_file import read_header

    try:
        header = read_header(path)
    except (DataError, ModelFileError):
        return False  # the error of reading a model says what is wrong
    return bool(header.tensors) and "audioconv" not in header.metadata


def _show_safetensors(path: Path, *, as_json: bool) -> None:
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
        add_row(table, printable(name), _shape(tensor.shape), tensor.dtype, f"{tensor.numbers:,}")
    table.add_section()
    add_row(table, "total", "", "", f"{numbers:,}", style="bold")
    results().print(table)
    write(f"{'file':<11} {printable(display_path(path))} ({megabytes(path.stat().st_size)})")
    for name, value in header.metadata.items():
        write(f"{'metadata':<11} {printable(name)}: {printable(value)}")
    write(f"{'holds':<11} weights alone, without a network, by another program than audioconv")


def _layers_table(layers: Summary, names: Mapping[str, str] | None = None) -> Table:
    """Return the table of a network's layers, with their names in a file where there are some."""
    heads = ["name in the file"] if names is not None else []
    table = new_table(
        "", "layer", *heads, "output", "parameters", "multiply-adds", right=["parameters", "multiply-adds"]
    )
    name = [""] if names is not None else []
    add_row(table, "", "input", *name, _shape(layers.in_shape), "", "")
    for row in layers.rows:
        name = [names.get(row.path, "")] if names is not None else []
        cells = (_shape(row.out_shape), f"{row.parameters:,}", f"{row.multiply_adds:,}")
        add_row(table, row.path, row.label, *name, *cells)
    table.add_section()
    blank = [""] if names is not None else []
    add_row(table, "", "total", *blank, "", f"{layers.parameters:,}", f"{layers.multiply_adds:,}", style="bold")
    return table


# --- a model ---


def _show_model(path: Path, *, as_json: bool) -> None:
    from audioconv.layers import summary
    from audioconv.model import Model

    model = Model.load(path)
    layers = summary(model.network, model.input_shape)
    if as_json:
        write_json(_model_as_json(path, model))
        return
    results().print(_layers_table(layers))
    for name, value in _about_model(path, model):
        write(f"{name:<11} {printable(value)}")


def _about_model(path: Path, model: Model) -> list[tuple[str, str]]:
    """Return what to say of a model, each with its name; the file may hold anything as provenance, or nothing."""
    from audioconv.compiler.execution import how_it_runs

    known = model.provenance
    data = known["data"] if isinstance(known.get("data"), dict) else {}
    lines = [("file", f"{display_path(path)} ({megabytes(path.stat().st_size)})")]
    lines.append(("labels", f"{len(model.answer_labels)}: {', '.join(model.answer_labels)}"))
    lines.append(("hears", _hears(model)) if model.front_end else ("sees", f"pictures of {_shape(model.input_shape)}"))
    if how := how_it_runs(model.network, model.input_shape):
        lines.append(("runs", how))
    counts = data.get("counts")
    if isinstance(counts, dict) and counts:
        clips = ", ".join(f"{sum(classes.values()):,} {split}" for split, classes in counts.items())
        lines.append(("data", f"{data.get('name', 'unnamed')}: {clips}"))
    origins = data.get("origins")
    origins = origins if isinstance(origins, list) else []
    if len(origins) > 1:
        lines += [("source", _origin(origin)) for origin in origins if isinstance(origin, dict)]
    else:
        lines += [(name, str(data[name])) for name in ("source", "licence") if data.get(name)]
    lines += _makers(origin.get("source") for origin in origins if isinstance(origin, dict))
    lines += origins_of_training(known)
    told = known["negatives"].get("attribution") if isinstance(known.get("negatives"), dict) else None
    lines += [("negatives by", line) for line in told.splitlines() if line] if isinstance(told, str) else []
    for name in ("validation", "test"):
        accuracy = known.get(f"{name}_accuracy")
        if isinstance(accuracy, float):
            lines.append((name, f"{accuracy:.1%} right"))
    lines += [("rejection", line) for line in how_it_decides(model.decision)]
    made = f"audioconv {known['audioconv']}" if "audioconv" in known else ""
    settings = known.get("settings")
    if made and isinstance(settings, dict) and settings.get("arch") not in (None, "", "auto"):
        made += f", network {settings['arch']}"
    if made and known.get("began_with"):
        made += f", beginning with {known['began_with']}"
    return [*lines, ("made by", made)] if made else lines


def _origin(origin: Mapping[str, object]) -> str:
    """Return where files are from, in one line."""
    source, licence, count = (origin.get(name) for name in ("source", "licence", "clips"))
    return f"{source or 'unknown'}, {licence or 'licence unknown'} ({count} clips)"


def _makers(sources: Iterable[object]) -> list[tuple[str, str]]:
    """Return a line for each data set whose makers are known: most licences ask that they are named."""
    from audioconv.datasets.catalogue import makers

    known = {source: makers(source) for source in sources if isinstance(source, str)}
    named = {source: people for source, people in known.items() if people}
    return [("makers", people if len(known) == 1 else f"{source}: {people}") for source, people in named.items()]


def _hears(model: Model) -> str:
    from audioconv.features.front_ends import LogMel, Mfcc

    front_end, samples = model.front_end, model.clip_samples or 0
    assert front_end is not None
    clip = f"{samples / front_end.sample_rate:g} s at {front_end.sample_rate:,} Hz"
    if not isinstance(front_end, LogMel):
        return f"{clip}, the samples themselves"
    window, hop = (1000 * length / front_end.sample_rate for length in (front_end.window_length, front_end.hop_length))
    what = f"{front_end.mel_bands} mel bands"
    if isinstance(front_end, Mfcc):
        what = f"{front_end.coefficients} cepstral coefficients of {what}"
    return f"{clip}, as {what} of {window:g} ms every {hop:g} ms"


def _model_as_json(path: Path, model: Model) -> dict[str, Any]:
    from audioconv.compiler.execution import how_it_runs
    from audioconv.features.front_ends import front_end_to_config
    from audioconv.layers import summary, to_config

    layers = summary(model.network, model.input_shape)
    return {
        "path": json_path(path),
        "bytes": path.stat().st_size,
        "labels": list(model.labels),
        "decision": model.decision.to_json(),
        "input_shape": list(model.input_shape),
        "front_end": None if model.front_end is None else front_end_to_config(model.front_end),
        "clip_samples": model.clip_samples,
        "parameters": layers.parameters,
        "multiply_adds": layers.multiply_adds,
        "layers": [vars(row) for row in layers.rows],
        "runs": how_it_runs(model.network, model.input_shape) or "compiled",
        "network": to_config(model.network),
        "provenance": dict(model.provenance),
    }


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


# --- a data set ---


def _show_data(path: Path, *, as_json: bool) -> None:
    from audioconv.datasets import open_collection

    collection = open_collection(path, minimum_classes=1)
    headers, failures = _read_headers(collection)
    if as_json:
        write_json(_data_as_json(path, collection, headers, failures))
        return
    splits = [split for split in (*_SPLITS, None) if collection.select(split).items]
    heads = [split or "no split" for split in splits] if splits != [None] else []
    seconds = _seconds_by_class(collection, headers)
    lengths = ["seconds", "range"] if seconds else []
    numbers = ["files", *heads, *lengths, "speakers", "share"]
    table = new_table("class", *numbers, right=numbers)
    for label, count in collection.counts.items():
        items = [item for item in collection.items if item.label == label]
        in_splits = [sum(item.split == split for item in items) for split in splits] if heads else []
        people = len({item.speaker for item in items if item.speaker})
        share = f"{count / len(collection):.1%}"
        cells = [*(f"{n:,}" for n in in_splits), *(_range_of(seconds.get(label)) if lengths else ())]
        add_row(table, label, f"{count:,}", *cells, f"{people:,}" if people else "-", share)
    results().print(table)
    read = [header for header in headers if header is not None]
    for name, value in _about_data(path, collection, read):
        write(f"{name:<11} {printable(value)}")
    list_failures(failures, len(collection))


def _seconds_by_class(collection: Collection, headers: Sequence[Header | None]) -> dict[str, list[float]]:
    """Return the lengths of the recordings of each class, in seconds, sorted; of pictures, nothing."""
    seconds: dict[str, list[float]] = {}
    for item, header in zip(collection.items, headers, strict=True):
        if header is not None and "seconds" in header:
            seconds.setdefault(item.label, []).append(header["seconds"])
    return {label: sorted(lengths) for label, lengths in seconds.items()}


def _range_of(seconds: list[float] | None) -> tuple[str, str]:
    """Return the median and the range of a class's lengths."""
    if not seconds:
        return "-", "-"
    return f"{statistics.median(seconds):.2f}", f"{seconds[0]:.2f} to {seconds[-1]:.2f}"


_SPLITS = ("train", "validation", "test")


def _about_data(path: Path, collection: Collection, headers: list[dict[str, Any]]) -> list[tuple[str, str]]:
    people = len({speaker for speaker in collection.speakers if speaker})
    what = "pictures" if collection.kind == "images" else "recordings"
    lines = [("data", f"{display_path(path)}: {len(collection):,} {what}, {len(collection.classes)} classes")]
    if people:
        lines.append(("speakers", f"{people:,}"))
    if headers and collection.kind == "audio":
        seconds = [header["seconds"] for header in headers]
        lines.append(
            (
                "lengths",
                f"{min(seconds):.2f} to {max(seconds):.2f} s, half of them at most {statistics.median(seconds):.2f} s; "
                f"{_hours(sum(seconds))} together",
            )
        )
        lines.append(("rates", _most_common(f"{header['sample_rate']:,} Hz" for header in headers)))
        lines.append(("channels", _most_common(str(header["channels"]) for header in headers)))
    elif headers:
        lines.append(("sizes", _most_common(f"{header['height']} x {header['width']}" for header in headers)))
    if len(collection.origins) > 1:
        lines += [("source", _origin(origin._asdict())) for origin in collection.origins]
    else:
        lines += [(name, value) for name in ("source", "licence") if (value := getattr(collection, name))]
    lines += _makers(origin.source for origin in collection.origins)
    return lines + [("note", note) for note in collection.with_negatives().notes]


def _hours(seconds: float) -> str:
    from audioconv.training.progress import duration

    return duration(seconds)


def _most_common(values: Any) -> str:
    counts = Counter(values).most_common()
    shown = [f"{value} ({count:,})" if len(counts) > 1 else value for value, count in counts[:4]]
    return ", ".join(shown) + (", ..." if len(counts) > 4 else "")


def _read_headers(collection: Collection) -> tuple[list[Header | None], list[DataError]]:
    """Return what the header of each file says, None for those that cannot be read, and why they cannot."""
    headers: list[Header | None] = []
    failures: list[DataError] = []
    read = _picture_header if collection.kind == "images" else _recording_header
    with Steps("looking at", "files") as steps:
        for item in collection.items:
            try:
                headers.append(read(item))
            except DataError as error:
                headers.append(None)
                failures.append(error)
            steps.one_of(len(collection))
    return headers, failures


def _recording_header(item: Item) -> Header:
    from audioconv.audio.read import probe

    header = probe(item.path)
    seconds = header.duration if item.begin is None or item.end is None else item.end - item.begin
    return {"seconds": seconds, "sample_rate": header.sample_rate, "channels": header.channels}


def _picture_header(item: Item) -> Header:
    from audioconv.images.read import read

    height, width, channels = read(item.path).shape
    return {"height": height, "width": width, "channels": channels}


def _data_as_json(
    path: Path, collection: Collection, found: list[Header | None], failures: list[DataError]
) -> dict[str, Any]:
    headers = [header for header in found if header is not None]
    left_out, negatives = collection.left_out, collection.with_negatives()
    described: dict[str, Any] = {
        "path": json_path(path),
        "kind": collection.kind,
        "count": len(collection),
        "classes": collection.counts,
        "splits": {split or "none": len(collection.select(split)) for split in (*_SPLITS, None)},
        "speakers": len({speaker for speaker in collection.speakers if speaker}),
        "licence": collection.licence,
        "source": collection.source,
        "unreadable": [str(failure) for failure in failures],
        "notes": list(negatives.notes),
        "negatives": {item.label: new.label for item, new in zip(collection.items, negatives.items, strict=True)
                      if item.label != new.label},
        "left_out": {
            "unread": [one._asdict() for one in left_out.unread],
            "others": dict(left_out.others),
            "stray": list(left_out.stray),
            "empty_folders": list(left_out.empty),
        },
    }  # fmt: skip
    if headers and collection.kind == "audio":
        seconds = [header["seconds"] for header in headers]
        described["seconds"] = {
            "shortest": min(seconds),
            "median": statistics.median(seconds),
            "longest": max(seconds),
            "total": sum(seconds),
        }
        described["seconds_by_class"] = {
            label: {"shortest": lengths[0], "median": statistics.median(lengths), "longest": lengths[-1]}
            for label, lengths in _seconds_by_class(collection, found).items()
        }
        described["sample_rates"] = Counter(header["sample_rate"] for header in headers)
    elif headers:
        described["sizes"] = Counter(f"{header['height']}x{header['width']}" for header in headers)
    return described
