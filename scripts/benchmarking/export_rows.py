"""Exported files beside the model: one clip of samples to its probabilities, everybody on one thread."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from audioconv import layers as L
from audioconv.features.front_ends import LogMel, RawSamples
from audioconv.features.normalisation import Normalisation
from audioconv.model import Model
from benchmarking import ours
from benchmarking.checks import check_array
from benchmarking.session import Bench, NoPeerError
from benchmarking.timing import Candidate, Row

Array = NDArray[Any]

C_FLAGS = ("-O3", "-march=native", "-std=c99", "-shared", "-fPIC")
SCALE_DB = -50.0, 20.0
"""Mean and deviation that the networks' inputs are normalised with."""


def export(network: str, bench: Bench) -> list[Row]:
    """Measure one clip of samples: front end, network and probabilities."""
    from audioconv.export.c99 import compiler

    name, model = f"export/{network}", _model(ours.case(network))
    assert model.clip_samples is not None
    clip = 0.1 * np.random.default_rng(0).standard_normal((1, model.clip_samples), np.float32)

    def own() -> Array:
        numba.set_num_threads(1)
        try:
            return model.predict(clip)
        finally:
            numba.set_num_threads(bench.threads)

    candidates, expected = [Candidate("ours", own)], own()
    if bench.has("onnxruntime", "onnx"):
        session = _onnx_session(model)
        candidates.append(Candidate("onnxruntime", lambda: session.run(["probabilities"], {"samples": clip})[0]))
    if (command := compiler.find()) is not None:
        candidates.append(Candidate("c", _compiled(model, command, clip), " ".join(C_FLAGS[:2])))
    if len(candidates) == 1:
        raise NoPeerError("onnxruntime, a C compiler")
    for candidate in candidates[1:]:
        check_array(f"{name}, {candidate.name}", candidate.run(), expected)
    return bench.race(name, candidates)


def _model(case: ours.Case) -> Model:
    """Return a network with a front end and a scale."""
    front_end: LogMel | RawSamples
    if len(case.in_shape) == 2 and case.in_shape[1] == 1:
        front_end, clip_samples, scale = RawSamples(8000), case.in_shape[0], None
    else:
        front_end, clip_samples = LogMel(16000, mel_bands=case.in_shape[1]), 16000
        mean, std = (np.full(case.in_shape[1], value, np.float32) for value in SCALE_DB)
        scale = Normalisation(mean, std)
    labels = tuple(f"word {number}" for number in range(ours.CLASSES))
    return Model(case.network, L.unflatten(case.params), labels, case.in_shape, front_end, clip_samples, scale)


def _onnx_session(model: Model) -> Any:
    import onnxruntime

    from audioconv.export import onnx_file
    from audioconv.export.description import describe

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
    content = onnx_file.write(describe(model), {})
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _compiled(model: Model, command: str, clip: Array) -> Callable[[], Array]:
    """Return a call of the C source, compiled into this process."""
    from audioconv.export.c99 import compiler, program

    made = program.write(model, "model")
    with tempfile.TemporaryDirectory() as folder:
        compiler.write_files(Path(folder), made)
        library = Path(folder, "model.so")
        subprocess.run([command, *C_FLAGS, str(Path(folder, "model.c")), "-o", str(library), "-lm"], check=True)
        call = ctypes.CDLL(str(library)).audioconv_classify
    window = np.ascontiguousarray(clip[0])
    probabilities = np.empty((1, len(model.labels)), np.float32)
    arguments = [array.ctypes.data_as(ctypes.POINTER(ctypes.c_float)) for array in (window, probabilities)]

    def run() -> Array:
        call(*arguments)
        return probabilities

    return run
