"""What the reader gets: lines, a table in Markdown, a file of JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from wrapping import wrapped

from benchmarking.timing import Row

BEGIN, END = "<!-- written by scripts/bench: begin -->", "<!-- written by scripts/bench: end -->"
NOTHING = "Not measured yet."
UNITS = {"memory/cnn": "MiB"}
"""Rows whose numbers are no milliseconds."""

PEERS = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "c": "exported C"}


def as_json(machine: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the file of ``--json`` holds."""
    return {"machine": dict(machine), "rows": [dataclasses.asdict(row) for row in rows]}


def line(row: Row, machine: Mapping[str, Any]) -> str:
    """Return a row as a line of text; `machine` may be what is known of it so far."""
    unit = UNITS.get(row.name, "ms")
    variant = machine["variants"].get(f"{row.name} {row.peer}")
    peer = f"{row.peer} ({variant})" if variant else row.peer
    limits = {"tile": machine["tile_shares"], "copying": machine["copy_shares"]}
    shares = ", ".join(f"{of[row.name]:.0%} of {limit}" for limit, of in limits.items() if row.name in of)
    return (
        f"{row.name:<28} {quantity(row.ours_ms):>6} {unit}   {peer:<34} {quantity(row.peer_ms):>6} {unit}   "
        f"{row.ratio:6.2f} x ({row.spread[0]:.2f} to {row.spread[1]:.2f})   {shares}"
    )


def quantity(number: float) -> str:
    """Return the number with three digits.

    >>> [quantity(n) for n in (0.01234, 1.234, 56.78, 1234.5)]
    ['0.0123', '1.23', '56.8', '1234']
    """
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:#.3g}"


def table(numbers: Mapping[str, Any] | None) -> str:
    """Return the table in Markdown of what `as_json` returned; `NOTHING` without."""
    if not numbers:
        return NOTHING
    machine = numbers["machine"]
    lines = [
        "| | audioconv | beside | takes | ratio | quartiles | of the tile | of copying |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in numbers["rows"]:
        unit, key = UNITS.get(row["name"], "ms"), f"{row['name']} {row['peer']}"
        peer = PEERS.get(row["peer"], row["peer"])
        peer += f", {machine['variants'][key]}" if key in machine["variants"] else ""
        shares = [machine[key].get(row["name"]) for key in ("tile_shares", "copy_shares")]
        cells = (
            f"`{row['name']}`",
            f"{quantity(row['ours_ms'])} {unit}",
            peer,
            f"{quantity(row['peer_ms'])} {unit}",
            f"**{row['ratio']:.2f}**",
            "{:.2f} to {:.2f}".format(*row["spread"]),
            *("" if share is None else f"{share:.0%}" for share in shares),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([about(machine), "", *lines, "", *floors(numbers)])


def floors(numbers: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table of what operations and bytes would take at least, beside what was taken."""
    machine = numbers["machine"]
    if machine["register_tile_gflops"] is None:
        return []
    lines = [
        "The floors: what the operations take at the tile's peak, and the bytes at copying's rate.",
        "",
        "| | GFLOP | at the peak | MB | at copying | audioconv |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    ours = {row["name"]: row["ours_ms"] for row in numbers["rows"]}
    for name, operations in machine["operations"].items():
        traffic = machine["traffic"].get(name)
        cells = [
            f"`{name}`",
            quantity(operations / 1e9),
            f"{quantity(operations / machine['register_tile_gflops'] / 1e6)} ms",
        ]
        cells += ["", ""] if traffic is None else [
            quantity(traffic / 1e6), f"{quantity(traffic / machine['copy_gb_per_second'] / 1e6)} ms"
        ]  # fmt: skip
        lines.append(f"| {' | '.join([*cells, f'{quantity(ours[name])} ms'])} |")
    return lines


def about(machine: Mapping[str, Any]) -> str:
    """Return a paragraph on where and with what was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    first = ", ".join(f"{who} {seconds:.1f} s" for who, seconds in machine["first_call_seconds"].items())
    tile = machine["register_tile_gflops"]
    peak = "not measured" if tile is None else f"{tile:.0f} GFLOP/s"
    measured = (
        f"Measured with audioconv {machine['audioconv']} on {machine['date']}: {machine['processor']}, "
        f"{machine['threads']} threads for everybody. Peak of the register tile: {peak}; "
        f"copying: {machine['copy_gb_per_second']:.1f} GB/s, read and written together. {versions}."
    )
    before = (
        f"Before anything was timed, making and first calls took, together: {first}. Numba compiled for "
        f"{machine['numba_compile_seconds']:.1f} s of ours; the rest is loading kernels and running them."
    )
    return f"{wrapped(measured)}\n\n{wrapped(before)}"


def summary(numbers: Mapping[str, Any] | None) -> str:
    """Return the README's part, with its heading; without numbers, nothing."""
    if not numbers:
        return ""
    ratios = {(row["name"], row["peer"]): f"{row['ratio']:.1f}" for row in numbers["rows"]}
    columns = [
        (f"{PEERS[peer]}, {title}", work, peer)
        for work, title in (("train", "training"), ("forward-64", "64 clips"), ("forward-1", "one clip"))
        for peer in PEERS
    ]
    networks = dict.fromkeys(
        row["name"].partition("/")[2] for row in numbers["rows"] if row["name"].startswith("train")
    )
    columns = [
        column for column in columns if any((f"{column[1]}/{network}", column[2]) in ratios for network in networks)
    ]
    lines = [
        f"| times as fast as | {' | '.join(title for title, _, _ in columns)} |",
        f"| --- |{' ---: |' * len(columns)}",
    ]
    for network in networks:
        cells = [ratios.get((f"{work}/{network}", peer), "") for _, work, peer in columns]
        lines.append(f"| `{network}` | {' | '.join(cells)} |")
    machine = numbers["machine"]
    return "\n".join([
        "## How fast it is",
        "",
        *lines,
        "",
        wrapped(
            f"Measured on {machine['date']} ({machine['processor']}, {machine['threads']} threads for everybody) by "
            "`scripts/bench`; below 1 is slower. [docs/performance.md](docs/performance.md) says how, and has all "
            "numbers."
        ),
    ])  # fmt: skip


def filled(page: str, text: str) -> str:
    """Return the page with the text between its marks."""
    before, rest = page.split(BEGIN)
    inside = f"\n\n{text}\n\n" if text else "\n"
    return f"{before}{BEGIN}{inside}{END}{rest.split(END)[1]}"
