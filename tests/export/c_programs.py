"""Compilers of this machine, and what compiled models compute."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from audioconv import Detector
from audioconv.export.c99.compiler import FLAGS, run

BOARD = Path(__file__).with_name("cortex_m")
MICROCONTROLLER = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
SANITIZERS = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compiler(name):
    """Return the path of a compiler; skip the test if it is not there."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs the C compiler {name}")
    return found


def as_int16(samples):
    return np.clip(np.rint(np.asarray(samples) * 32768), -32768, 32767).astype(np.int16)


def heard_by_detector(model, samples, threshold=None):
    """Return a `Detector`'s events (label, begin, end, score) for samples (T,) int16, and the scores of each window."""
    detector = Detector(model, threshold=threshold)
    events, scores, row = [], [], detector._listener.grid.row_samples
    for begin in range(0, len(samples), row):
        before = detector._latest
        events += detector.push(samples[begin : begin + row])
        if detector._latest is not before:
            scores.append(detector._latest)
    events += detector.flush()
    return [as_event(one, detector.sample_rate) for one in events], np.array(scores)


def as_event(event, rate):
    return event.label, round(event.start * rate), round(event.end * rate), event.score


def same_events(model, heard, wanted):
    """Assert that code gave these events, with scores within 1e-4."""
    found = [(model.labels[one.label], one.begin, one.end) for one in (*heard.events, *heard.flushed)]
    assert found == [event[:3] for event in wanted]
    scores = [one.score for one in (*heard.events, *heard.flushed)]
    np.testing.assert_allclose(scores, [event[3] for event in wanted], atol=1e-4, rtol=0)


def on_cortex_m():
    """Return compiler, flags and command of a `Runner` for a Cortex-M4, which QEMU emulates."""
    emulator = shutil.which("qemu-system-arm")
    if emulator is None or shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("needs gcc-arm-none-eabi and qemu-system-arm")
    flags = (*MICROCONTROLLER, "-O2", "--specs=rdimon.specs", "-nostartfiles", "-T", str(BOARD / "mps2.ld"))
    return "arm-none-eabi-gcc", (*flags, str(BOARD / "startup.c")), (str(BOARD / "emulate"), emulator)


def strict(compiler_path, source, *flags):
    """Compile a file with all warnings as errors."""
    run([compiler_path, *FLAGS, *flags, "-c", str(source), "-o", str(source) + ".o"], "does not compile")
