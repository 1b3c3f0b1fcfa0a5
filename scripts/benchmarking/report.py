"""What the reader gets: lines, a file of JSON, and the tables of the pages."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from wrapping import wrapped

from benchmarking.targets import target
from benchmarking.timing import Row

BEGIN, END = "<!-- written by scripts/bench: begin -->", "<!-- written by scripts/bench: end -->"
NOTHING = "Not measured yet."
PEERS = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime", "c": "exported C"}
LIMIT, LIMITS_TOGETHER = 0.6, 0.75
"""Share of the tile's peak or of copying from which on that is called the limit of a row, and the same for the sum of
both shares: then operations and memory traffic take turns."""

Run = Mapping[str, Any]
"""What `as_json` returns: one run of the script."""

Runs = Mapping[str, Sequence[Run]]
"""The last runs of each vector width, by the number of lanes: what ``docs/performance.json`` holds."""

KEPT_RUNS = 3
"""Runs of a vector width that are kept, of one processor and one day."""


def as_json(machine: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Return what the file of ``--json`` holds."""
    units = {row.name: unit(row.name) for row in rows if unit(row.name) != "ms"}
    return {"machine": {**machine, "units": units}, "rows": [dataclasses.asdict(row) for row in rows]}


def unit(name: str) -> str:
    """Return the unit of a row's numbers.

    >>> [unit(name) for name in ("train/cnn", "memory/cnn", "pipeline/cnn", "pipeline/cnn/memory")]
    ['ms', 'MiB', 's', 'MiB']
    """
    parts = name.split("/")
    return "MiB" if "memory" in parts else "s" if parts[0] == "pipeline" else "ms"


def line(row: Row, machine: Mapping[str, Any]) -> str:
    """Return a row as a line of text; `machine` may be what is known of it so far."""
    variant = machine["variants"].get(f"{row.name} {row.peer}")
    peer = f"{row.peer} ({variant})" if variant else row.peer
    limits = {"tile": machine["tile_shares"], "copying": machine["copy_shares"]}
    shares = ", ".join(f"{of[row.name]:.0%} of {limit}" for limit, of in limits.items() if row.name in of)
    return (
        f"{row.name:<28} {quantity(row.ours_ms):>6} {unit(row.name)}   {peer:<34} {quantity(row.peer_ms):>6} "
        f"{unit(row.name)}   {row.ratio:6.2f} x ({row.spread[0]:.2f} to {row.spread[1]:.2f})   {shares}"
    )


def quantity(number: float) -> str:
    """Return the number with three digits.

    >>> [quantity(n) for n in (0.01234, 1.234, 56.78, 1234.5)]
    ['0.0123', '1.23', '56.8', '1234']
    """
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:#.3g}"


def kept(before: Sequence[Run], run: Run) -> list[Run]:
    """Return `run` behind those of the runs `before` that are of the same processor and day."""
    same = [one for one in before if all(one["machine"][key] == run["machine"][key] for key in ("processor", "date"))]
    return [*same, run][-KEPT_RUNS:]


def merged(runs: Sequence[Run]) -> Run:
    """Return one run of several: the median of each number, and the lowest and the highest ratio as its spread.

    Versions and variants are those of the last run. One run alone keeps its quartiles.
    """
    last = runs[-1]
    if len(runs) == 1:
        return {**last, "machine": {**last["machine"], "runs": 1}}
    found = [{(row["name"], row["peer"]): row for row in run["rows"]} for run in runs]
    rows = []
    for key in [key for key in found[-1] if all(key in rows for rows in found)]:
        of_all = [rows_of_run[key] for rows_of_run in found]
        middle = {name: statistics.median(row[name] for row in of_all) for name in ("ours_ms", "peer_ms", "ratio")}
        ratios = [row["ratio"] for row in of_all]
        rows.append({**of_all[-1], **middle, "spread": (min(ratios), max(ratios))})
    machines = [run["machine"] for run in runs]
    machine = {**last["machine"], "runs": len(runs)}
    for name in ("register_tile_gflops", "multiply_add_gflops", "copy_gb_per_second"):
        numbers = [one[name] for one in machines if one.get(name) is not None]
        machine[name] = statistics.median(numbers) if numbers else None
    for name in ("tile_shares", "copy_shares"):
        machine[name] = {
            row: statistics.median(one[name][row] for one in machines if row in one[name]) for row in machine[name]
        }
    return {"machine": machine, "rows": rows}


def in_order(runs: Runs) -> dict[str, Run]:
    """Return the runs of each width as one, from the fewest lanes to the most."""
    return {width: merged(runs[width]) for width in sorted(runs, key=int)}


def table(runs: Runs | None) -> str:
    """Return the tables of all runs in Markdown; `NOTHING` without one."""
    if not runs:
        return NOTHING
    medians = in_order(runs)
    parts = [*side_by_side(medians), *misses(medians)]
    for width, run in medians.items():
        parts += ["", f"### {width} lanes", "", about(run["machine"]), "", *details(run), "", *floors(run)]
    return "\n".join(parts).rstrip()


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return a table whose first `left` columns are aligned to the left."""
    rule = ["---" if number < left else "---:" for number in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *lines)]


def side_by_side(runs: Mapping[str, Run]) -> list[str]:
    """Return a table of the ratios: a line a row and peer, two columns a vector width."""
    head = ["", "beside", "target"]
    for width, run in runs.items():
        count = run["machine"]["runs"]
        head += [f"{width} lanes", f"{count} runs" if count > 1 else "quartiles"]
    found = {width: {(row["name"], row["peer"]): row for row in run["rows"]} for width, run in runs.items()}
    lines = []
    for name, peer in dict.fromkeys(key for rows in found.values() for key in rows):
        aim = target(name, peer)
        cells = [f"`{name}`", PEERS.get(peer, peer), "" if aim is None else f"{aim:g}"]
        for rows in found.values():
            row = rows.get((name, peer))
            if row is None:
                cells += ["", ""]
            else:
                ratio = f"{row['ratio']:.2f}"
                reached = row["ratio"] >= (1.0 if aim is None else aim)
                cells += [f"**{ratio}**" if reached else ratio, "{:.2f} to {:.2f}".format(*row["spread"])]
        lines.append(cells)
    told = (
        "The ratio is the peer's time, or memory, divided by ours: above 1, `audioconv` is faster or smaller. Bold "
        "ratios reach the target, or 1 where there is none. With several runs, the table shows their median "
        "and their lowest and highest ratio. With one run, it shows its ratio and the quartiles of its turns."
    )
    return [wrapped(told), "", *_markdown(head, lines, 2)]


def misses(runs: Mapping[str, Run]) -> list[str]:
    """Return a table of the rows below their targets, with our share of both limits of the machine."""
    lines = []
    for width, run in runs.items():
        shares = {limit: run["machine"][key] for limit, key in (("tile", "tile_shares"), ("copying", "copy_shares"))}
        for row in run["rows"]:
            aim = target(row["name"], row["peer"])
            if aim is not None and row["ratio"] < aim:
                tile, copying = (shares[limit].get(row["name"]) for limit in ("tile", "copying"))
                cells = [f"`{row['name']}`, {PEERS.get(row['peer'], row['peer'])}", width, f"{row['ratio']:.2f}"]
                lines.append([*cells, f"{aim:g}", _share(tile), _share(copying), limited_by(tile, copying)])
    if not lines:
        return []
    head = ["", "lanes", "ratio", "target", "of the tile", "of copying", "limited by"]
    return ["", "Rows below their targets:", "", *_markdown(head, lines, 1)]


def limited_by(tile: float | None, copying: float | None) -> str:
    """Return which limit of the machine a row is near, by its shares of both.

    >>> limited_by(0.89, 0.06), limited_by(0.27, 0.66), limited_by(0.35, 0.48), limited_by(0.47, 0.07)
    ('operations', 'memory', 'both in turns', 'neither')
    """
    if tile is None and copying is None:
        return ""
    near = {"operations": tile or 0.0, "memory": copying or 0.0}
    largest = max(near, key=lambda name: near[name])
    if near[largest] >= LIMIT:
        return largest
    return "both in turns" if sum(near.values()) >= LIMITS_TOGETHER else "neither"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def details(run: Run) -> list[str]:
    """Return a table of the times of a run."""
    machine, lines = run["machine"], []
    for row in run["rows"]:
        key = f"{row['name']} {row['peer']}"
        peer = PEERS.get(row["peer"], row["peer"])
        peer += f", {machine['variants'][key]}" if key in machine["variants"] else ""
        takes = [f"{quantity(row[side])} {unit(row['name'])}" for side in ("ours_ms", "peer_ms")]
        shares = [_share(machine[limit].get(row["name"])) for limit in ("tile_shares", "copy_shares")]
        lines.append([f"`{row['name']}`", peer, *takes, *shares])
    return _markdown(["", "beside", "audioconv", "the peer", "of the tile", "of copying"], lines, 2)


def floors(run: Run) -> list[str]:
    """Return the lines of a table of what operations and bytes would take at least, beside what was taken."""
    machine, lines = run["machine"], []
    if machine["register_tile_gflops"] is None:
        return []
    ours = {row["name"]: row["ours_ms"] for row in run["rows"]}
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
        lines.append([*cells, f"{quantity(ours[name])} ms"])
    told = "The floors: what the operations take at the tile's peak, and the bytes at copying's rate."
    return [told, "", *_markdown(["", "GFLOP", "at the peak", "MB", "at copying", "audioconv"], lines, 1)]


def about(machine: Mapping[str, Any]) -> str:
    """Return a paragraph on where and with what was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    first = ", ".join(f"{who} {seconds:.1f} s" for who, seconds in machine["first_call_seconds"].items())
    count = machine["runs"]
    measured = f"Medians of {count} runs. " if count > 1 else ""
    measured += (
        f"Measured with audioconv {machine['audioconv']} on {machine['date']}: {machine['processor']}, "
        f"{machine['threads']} threads for everybody. Peak of the register tile: {peak_of_tile(machine)}; "
        f"copying: {machine['copy_gb_per_second']:.1f} GB/s, read and written together. {versions}."
    )
    if machine.get("narrowed"):
        measured += (
            " The processor has wider vectors. PyTorch was limited to AVX2 as well; ONNX Runtime has no such setting."
        )
    before = (
        f"Before anything was timed, making and first calls took, together: {first}. Numba compiled for "
        f"{machine['numba_compile_seconds']:.1f} s of ours; the rest is loading kernels and running them."
    )
    return f"{wrapped(measured)}\n\n{wrapped(before)}"


def peak_of_tile(machine: Mapping[str, Any]) -> str:
    """Return the tile's peak with its unit, and what share it is of independent multiply-adds, where these are known.

    >>> peak_of_tile({"register_tile_gflops": 190.0, "multiply_add_gflops": 200.0})
    '190 GFLOP/s (95 % of the 200 GFLOP/s of independent multiply-adds)'
    """
    tile, limit = machine["register_tile_gflops"], machine.get("multiply_add_gflops")
    if tile is None:
        return "not measured"
    share = "" if limit is None else f" ({tile / limit:.0%} of the {limit:.0f} GFLOP/s of independent multiply-adds)"
    return f"{tile:.0f} GFLOP/s{share.replace('%', ' %')}"


def summary(runs: Runs | None) -> str:
    """Return the README's part, with its heading; without numbers, nothing."""
    if not runs:
        return ""
    medians = in_order(runs)
    ratios: dict[tuple[str, str], list[str]] = {}
    for number, run in enumerate(medians.values()):
        for row in run["rows"]:
            cells = ratios.setdefault((row["name"], row["peer"]), ["-"] * len(runs))
            cells[number] = f"{row['ratio']:.1f}"
    columns = [
        (f"{PEERS[peer]}, {title}", work, peer)
        for work, title in (("train", "training"), ("forward-64", "64 clips"), ("forward-1", "one clip"))
        for peer in PEERS
    ]
    networks = dict.fromkeys(name.partition("/")[2] for name, _ in ratios if name.startswith("train/"))
    columns = [
        column for column in columns if any((f"{column[1]}/{network}", column[2]) in ratios for network in networks)
    ]
    lines = []
    for network in networks:
        cells = [" / ".join(ratios.get((f"{work}/{network}", peer), [])) for _, work, peer in columns]
        lines.append([f"`{network}`", *cells])
    machines = [run["machine"] for run in medians.values()]
    places = [f"{machine['processor']}, {machine['date']}" for machine in machines]
    if len(set(places)) == 1:
        measured = f"{places[0]}."
    else:
        measured = " ".join(f"{width} lanes: {place}." for width, place in zip(medians, places, strict=True))
    both = "Two numbers are of 8 and of 16 lanes. " if len(runs) > 1 else ""
    if any(machine.get("narrowed") for machine in machines):
        both += "With 8 lanes PyTorch was limited to AVX2 as well, and ONNX Runtime had AVX-512. "
    return "\n".join([
        "## How fast it is",
        "",
        *_markdown(["times as fast as", *(title for title, _, _ in columns)], lines, 1),
        "",
        wrapped(
            f"{both}Below 1 is slower. {measured} [docs/performance.md](docs/performance.md) has all numbers."
        ),
    ])  # fmt: skip


def filled(page: str, text: str) -> str:
    """Return the page with the text between its marks."""
    before, rest = page.split(BEGIN)
    inside = f"\n\n{text}\n\n" if text else "\n"
    return f"{before}{BEGIN}{inside}{END}{rest.split(END)[1]}"
