"""The files of a page, and how they are compared with the model."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import ConfigError
from audioconv.export import onnx_file
from audioconv.export.description import check_front_end, describe
from audioconv.export.web.frames import describe_frames
from audioconv.export.web.runtime import LICENCE, Runtime, hashed
from audioconv.export.web.settings import settings
from audioconv.features.front_ends import LogMel
from audioconv.model import Model
from audioconv.pages import CAPTURE, PALETTE, shared

PAGE, DESCRIPTION, NETWORK, FRONT_END = "index.html", "model.json", "model.onnx", "front_end.onnx"


def contents(model: Model, metadata: Mapping[str, Any], runtime: Runtime) -> dict[str, bytes]:
    """Return the files of the page by their paths in its folder, the page itself last.

    Parameters
    ----------
    model : Model
    metadata : mapping
        As `facts` gives them.
    runtime : Runtime

    Raises
    ------
    ConfigError
        If the model is not of sounds, or has no words.
    ExportError
        If ONNX files cannot hold the model; names the layer. If they cannot compute the front end.
    """
    if model.front_end is None or not model.words:
        what = "of pictures" if model.front_end is None else "without words"
        raise ConfigError(f"a page finds words in sound, and this model is {what}; export it as .onnx instead")
    check_front_end(model.front_end)
    files = {NETWORK: onnx_file.write(describe(model, from_features=True), metadata)}
    if isinstance(model.front_end, LogMel):
        files[FRONT_END] = onnx_file.write(describe_frames(model.front_end), {"front_end": metadata["front_end"]})
    described = {
        **metadata,
        "files": {"network": NETWORK, "front_end": FRONT_END if FRONT_END in files else None},
        "runtime": {
            "name": "ONNX Runtime Web",
            "version": runtime.version,
            "licence": LICENCE,
            "module": runtime.module,
            "wasm": runtime.wasm,
            "wasm_integrity": runtime.integrity[runtime.wasm],
        },
        "web": settings(model),
    }
    files[DESCRIPTION] = (json.dumps(_finite(described), indent=1, allow_nan=False) + "\n").encode()
    static = {entry.name: entry.read_bytes() for entry in _static().iterdir() if entry.name.endswith((".js", ".css"))}
    static |= {name: shared(name) for name in (PALETTE, CAPTURE)}
    return {**runtime.contents, **files, **static, PAGE: _page(runtime)}


def _finite(value: Any) -> Any:
    """Return JSON-compatible data without NaN and infinity, which browsers do not read: they are null."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _page(runtime: Runtime) -> bytes:
    """Return the page with the addresses of the runtime, and a policy that allows nothing else."""
    import_map = json.dumps(
        {
            "imports": {"onnxruntime-web": runtime.module},
            "integrity": {runtime.module: runtime.integrity[runtime.module]},
        }
    )
    own = [] if runtime.contents else [runtime.module]
    policy = {
        "default-src": ["'none'"],
        "script-src": ["'self'", "'wasm-unsafe-eval'", f"'{hashed(import_map.encode(), 'sha256')}'", *own],
        "connect-src": ["'self'", *([] if runtime.contents else [runtime.wasm])],
        "style-src": ["'self'"],
        "img-src": ["data:"],
        "media-src": ["blob:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    page = _static().joinpath(PAGE).read_text("utf-8")
    for name, value in (
        ("policy", html.escape("; ".join(" ".join([key, *allowed]) for key, allowed in policy.items()), quote=False)),
        ("import_map", import_map),
        ("module", html.escape(runtime.module)),
        ("integrity", html.escape(runtime.integrity[runtime.module])),
    ):
        page = page.replace("{{" + name + "}}", value)
    return page.encode()


def _static() -> Traversable:
    return resources.files("audioconv.export.web") / "static"


class Runner:
    """Computes samples as the page does: frame after frame, then the network."""

    def __init__(self, model: Model, files: Mapping[str, bytes]) -> None:
        assert model.front_end is not None
        self._front_end = model.front_end
        self.network = onnx_file.Runner(files[NETWORK])
        self._frames = onnx_file.Runner(files[FRONT_END]) if FRONT_END in files else None
        self.program = self.network.program

    def __call__(self, samples: Array) -> dict[str, Array]:
        """Return the outputs of the network by name for clips (N, clip_samples) float32."""
        front_end = self._front_end
        if self._frames is None or not isinstance(front_end, LogMel):
            return self.network(samples[:, :, None])
        count, taps, length = front_end.frame_count(samples.shape[1]), front_end.window_length, front_end.fft_length
        before = length // 2 - (length - taps) // 2
        padded = np.pad(samples, ((0, 0), (before, before + length)))
        views = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=1)
        frames = views[:, :: front_end.hop_length][:, :count]
        features = self._frames(frames.reshape(-1, taps))["features"]
        return self.network(features.reshape(len(samples), count, -1))
