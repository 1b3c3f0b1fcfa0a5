"""ONNX Runtime Web: where a page loads it from, and the hashes of its files."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audioconv._types import StrPath
from audioconv.errors import DataError
from audioconv.io.files import display_path, reason

VERSION = "1.26.0"
"""Of the npm package onnxruntime-web that pages load."""

MODULE, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""Its module without WebGPU, which loads no other script; and what that runs."""

LICENCE = "MIT"

FOLDER = "onnxruntime"
"""The folder beside a page into which the files are copied."""

_ADDRESS = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"

_INTEGRITY = {
    MODULE: "sha384-c/j3bOrcHs8KY9g2f6bdoUnP02UAzmkc29rmGa/y5k1AUJqanFbqHyki702g28sW",
    WASM: "sha384-wr7M1C6iNW3VC/2ZcY8NgYHkS1JqhtT6XO1KrErv3Sr588B9M0NzTOhBco0UgAZj",
}

_BANNER = re.compile(rb"ONNX Runtime Web v([0-9][0-9A-Za-z.+-]*)")


@dataclass(frozen=True)
class Runtime:
    """A version of ONNX Runtime Web.

    Attributes
    ----------
    version : str
    module, wasm : str
        Addresses, absolute or from the page's folder.
    integrity : mapping
        The hash (SRI) of each address.
    contents : mapping of str to bytes
        Files to write beside the page, by their paths in its folder.
    """

    version: str
    module: str
    wasm: str
    integrity: Mapping[str, str]
    contents: Mapping[str, bytes] = field(default_factory=dict)


def published() -> Runtime:
    """Return the version that is loaded from the content delivery network jsDelivr, which serves npm's files."""
    integrity = {_ADDRESS + name: value for name, value in _INTEGRITY.items()}
    return Runtime(VERSION, _ADDRESS + MODULE, _ADDRESS + WASM, integrity)


def copied(folder: StrPath) -> Runtime:
    """Return the version in a folder: an unpacked npm package, or its folder ``dist``.

    Raises
    ------
    DataError
        If a file is missing or cannot be read, or is no file of ONNX Runtime Web.
    """
    root = Path(folder)
    dist = root / "dist" if (root / "dist").is_dir() else root
    shown = display_path(dist)
    contents: dict[str, bytes] = {}
    for name in (MODULE, WASM):
        try:
            contents[name] = (dist / name).read_bytes()
        except FileNotFoundError:
            raise DataError(
                f"{shown}: has no {name}; give the folder of the npm package onnxruntime-web (1.25 or later; pages "
                f"are tested with {VERSION}), as npm pack onnxruntime-web@{VERSION} and tar make it"
            ) from None
        except OSError as error:
            raise DataError(f"{display_path(dist / name)}: cannot be read ({reason(error)})") from None
    found = _BANNER.search(contents[MODULE][:1000])
    if found is None or not contents[WASM].startswith(b"\0asm"):
        name = MODULE if found is None else WASM
        raise DataError(f"{display_path(dist / name)}: is not the file of ONNX Runtime Web; unpack the package again")
    # Not all servers know that .mjs is JavaScript, without which browsers run no module.
    module, wasm = f"{FOLDER}/{MODULE.replace('.mjs', '.js')}", f"{FOLDER}/{WASM}"
    return Runtime(
        found[1].decode(),
        f"./{module}",
        f"./{wasm}",
        {f"./{module}": hashed(contents[MODULE]), f"./{wasm}": hashed(contents[WASM])},
        {module: contents[MODULE], wasm: contents[WASM]},
    )


def hashed(content: bytes, algorithm: str = "sha384") -> str:
    """Return the hash of a file as Subresource Integrity and Content Security Policies have it.

    >>> hashed(b"", "sha256")
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"
