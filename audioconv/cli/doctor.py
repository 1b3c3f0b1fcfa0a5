"""``audioconv doctor``: the state of this installation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from audioconv.cli.options import Json, add_command
from audioconv.cli.terminal import megabytes, printable, say_error, write, write_json, write_next
from audioconv.io.files import display_path

if TYPE_CHECKING:
    from audioconv.cli.diagnostics import Findings


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app, doctor, "audioconv doctor", "audioconv doctor --json > doctor.json", "audioconv doctor --clear-cache"
    )


def doctor(
    clear_cache: Annotated[
        bool, typer.Option("--clear-cache", help="Remove the compiled kernels of all versions, and nothing else.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what audioconv finds on this machine, and what is missing.

    CPU, threads, kernel cache, versions, optional parts. The exit code is 1 if something does not work. Add the output
    to bug reports.
    """
    if clear_cache:
        _clear_cache(as_json)
        return
    from audioconv.cli.diagnostics import examine

    findings = examine()
    if as_json:
        write_json(dataclasses.asdict(findings))
    else:
        for title, lines in _sections(findings):
            write(title, style="bold")
            for name, value in lines:
                write(f"  {name:<12} {printable(value)}")
        write("something does not work" if findings.problems else "all is well", style="bold")
        if not findings.problems:
            write_next(["audioconv", "demo"], ["audioconv", "train", "RECORDINGS", "-o", "model"])
    for problem in findings.problems:
        say_error(problem)
    if findings.problems:
        raise typer.Exit(1)


def _clear_cache(as_json: bool) -> None:
    """Remove compiled kernels that no other process uses, and report their number."""
    from audioconv.kernels.cache import clear, kernels_folder

    freed, left = clear()
    if as_json:
        write_json({"folder": str(kernels_folder()), "freed_bytes": freed, "in_use": [path.name for path in left]})
    else:
        write(f"removed {megabytes(freed)} of compiled kernels from {display_path(kernels_folder())}")
        for path in left:
            write(f"left {display_path(path)}: another process uses it, or it cannot be removed")


_ORIGINS = {"package": "of an installed package", "mirror": "in the mirror", "cache": "downloaded into the cache"}

_BANKS = {
    "variable": "of AUDIOCONV_NEGATIVES",
    "cache": "downloaded into the cache",
    "off": "turned off by AUDIOCONV_NEGATIVES=none",
}


def _sections(findings: Findings) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the findings, part by part."""
    yield "audioconv", [("version", findings.audioconv), ("python", findings.python), ("system", findings.system)]
    if findings.processor:
        cpu = findings.processor
        yield (
            "processor",
            [
                ("name", cpu.name),
                ("kind", cpu.architecture),
                ("cores", f"{cpu.cores}" + (f", {cpu.usable_cores} usable" if cpu.usable_cores != cpu.cores else "")),
                ("vectors", f"{cpu.vector_bits} bits: {cpu.vector_bits // 32} numbers at a time"),
                ("threads", f"{findings.threads} ({findings.threading_layer})"),
            ],
        )
    if findings.kernel_cache:
        cache = findings.kernel_cache
        held = f"{cache.kernels} kernels, {megabytes(cache.bytes)}" if cache.kernels else "empty until the first use"
        lines = [("folder", cache.folder), ("holds", held)]
        if cache.other_bytes:
            lines.append(
                (
                    "others",
                    f"{megabytes(cache.other_bytes)} of other versions beside it; removed 30 days after their last use",
                )
            )
        yield "kernel cache", lines
    yield "packages", [(name, version or "missing") for name, version in findings.versions.items()]
    yield (
        "optional parts",
        [
            (name, part.version or f"not installed; for {part.needed_for}: {part.install}")
            for name, part in findings.optional.items()
        ],
    )
    for title, network, purpose in (
        ("speech embedding network", findings.speech_embedding, "words"),
        ("yamnet", findings.yamnet, "sounds"),
    ):
        if network is not None:
            where = f"not on this machine; for training with {purpose}: {network.install}"
            if network.path is not None and network.origin is not None:
                where = f"{network.path} ({_ORIGINS[network.origin]})"
            yield title, [("file", where), ("licence", network.licence)]
    if (bank := findings.negatives) is not None:
        where = f"not on this machine; to reject other words and speech: {bank.get}"
        if bank.origin is not None:
            where = f"{bank.folder} ({_BANKS[bank.origin]})" if bank.folder else _BANKS[bank.origin]
        yield "bank of negatives", [("folder", where)]
    if (voices := findings.voices) is not None:
        few = ", ".join(voices.piper) or "none"
        yield (
            "voices",
            [
                ("kokoro", voices.kokoro or "not on this machine; downloaded with audioconv data make --voices kokoro"),
                ("piper", f"{few} (of {voices.piper_count}: audioconv data list --voices)"),
            ],
        )
    if findings.mirror:
        yield "mirror", [("folder", findings.mirror)]
