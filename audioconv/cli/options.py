"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audioconv.errors import ModelFileError
from audioconv.files import display_path

MODEL_NAME = "model.safetensors"
"""Of the model in the folder that `audioconv train` writes."""

Model = Annotated[Path, typer.Argument(help="The model: a .safetensors file, or the folder that `train` wrote.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON, for a program to read.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first unreadable file, instead of skipping it.")]


def model_path(path: Path) -> Path:
    """Return the model file that the argument `path` means."""
    if not path.is_dir():
        return path
    if not (path / MODEL_NAME).is_file():
        raise ModelFileError(f"{display_path(path)}: the folder holds no {MODEL_NAME}; name the model file")
    return path / MODEL_NAME


def examples(*lines: str) -> str:
    """Return the end of a command's help: commands to copy."""
    return "Examples:\n\n" + "\n".join(f"  {line}" for line in lines)
