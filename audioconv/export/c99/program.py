"""Header and source of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from audioconv._version import __version__
from audioconv.decision.classes import is_word
from audioconv.errors import ExportError
from audioconv.export.c99 import front_end, header, network, stream, text
from audioconv.export.c99.header import Sizes
from audioconv.export.c99.network import Network
from audioconv.export.c99.stream import StreamCode
from audioconv.export.description import describe
from audioconv.features.front_ends import RawSamples
from audioconv.layers.base import flatten
from audioconv.model import Model
from audioconv.streaming.frames import row_stream

LARGEST = 64 * 2**20
"""Bytes of constants: compilers need some hundred times as much memory as an array of numbers has."""


@dataclass(frozen=True)
class Program:
    """A model as source.

    Attributes
    ----------
    name : str
        Of the files, without their ending.
    source : str
    header : str
        Says `header.UNKNOWN_CODE` where the size of the code belongs.
    sizes : Sizes
    input_size : int
        Numbers that `audioconv_classify` takes.
    """

    name: str
    source: str
    header: str
    sizes: Sizes
    input_size: int

    @property
    def listens(self) -> bool:
        """Whether there is `audioconv_push`."""
        return self.sizes.state > 0


def write(model: Model, name: str, *, from_features: bool = False, int8: bool = False) -> Program:
    """Return a model as C.

    Parameters
    ----------
    model : Model
    name : str
        Of the files, without their ending.
    from_features : bool
        Leave out front end and stream: only `audioconv_classify` is left, which takes features. Default: False.
    int8 : bool
        Keep weights as 8-bit integers; see `network.lower`. Default: False.

    Raises
    ------
    ExportError
        If a layer or the front end has no C code; names it. If the model is too large for compilers.
    """
    _check_size(model, int8)
    sound = model.front_end is not None and not from_features
    # The graph begins with the features: the front end of a stream is written apart.
    graph = describe(model, from_features=model.front_end is not None)
    front = front_end.lower(model.front_end) if sound else front_end.FrontEndCode()
    lowered = network.lower(graph, work=front.work, int8=int8)
    listening = stream.lower(model) if sound else None
    scratch = max(lowered.size, listening.extent_memory if listening else 0)
    decision = _decision(model)
    constants = front.constant_bytes + lowered.constant_bytes + decision.constant_bytes
    constants += listening.constant_bytes if listening else 0
    sizes = Sizes(constants, _state_bytes(listening, scratch) if listening else 0, 4 * scratch)
    numbers: dict[str, object] = {"LABELS": len(model.labels), "SCRATCH": scratch}
    numbers |= {"INPUT": lowered.input, "OUTPUT": lowered.output}
    if sound:
        numbers |= _clip_numbers(model, lowered)
    parts = [
        f"/* Written by audioconv {__version__}; what it is for and how it is called is told in {name}.h. */\n",
        f'#include "{name}.h"\n\n#include <float.h>\n#include <math.h>\n#include <stddef.h>\n#include <string.h>\n',
        _macros(numbers | front.numbers | decision.numbers | (listening.numbers if listening else {})),
        _labels(model),
        *front.tables,
        *decision.tables,
        *(listening.tables if listening else ()),
        *([f"typedef {'int8_t' if int8 else 'float'} weight;\n"] if _WEIGHTED & set(lowered.routines) else ()),
        *map(text.routine, lowered.routines),
        lowered.constants,
        lowered.function,
        *map(text.routine, [*front.routines, *decision.routines]),
        _classify(model, sound, input_size := math.prod(model.example_shape if sound else graph.input.shape)),
        *map(text.routine, listening.routines if listening else ()),
    ]
    source = "\n".join(part for part in parts if part)
    return Program(name, source, header.write(model, name, sizes, listening, scratch, sound, int8), sizes, input_size)


_WEIGHTED = {"convolve", "convolve_depthwise"}


def _check_size(model: Model, int8: bool) -> None:
    size = sum(array.size for array in flatten(model.params).values()) * (1 if int8 else 4)
    if size > LARGEST:
        raise ExportError(
            f"the model has {size / 2**20:.0f} MB of weights, more than compilers take as C source "
            f"({LARGEST // 2**20} MB); export it as ONNX instead"
        )


def _clip_numbers(model: Model, lowered: Network) -> dict[str, object]:
    """Return the macros of a clip and its rows."""
    assert model.front_end is not None
    assert model.clip_samples is not None
    rows = row_stream(model.front_end, model.clip_samples)
    numbers: dict[str, object] = {
        "CLIP_SAMPLES": model.clip_samples,
        "WINDOW_ROWS": rows.window_rows,
        "ROW_SAMPLES": rows.row_samples,
    }
    return numbers if isinstance(model.front_end, RawSamples) else numbers | {"WORK": lowered.work}


@dataclass(frozen=True)
class _Decision:
    numbers: dict[str, object]
    tables: list[str]
    routines: list[str]
    constant_bytes: int


def _decision(model: Model) -> _Decision:
    """Return the way from logits to an answer as source."""
    decision, labels = model.decision, model.labels
    words = [int(is_word(label)) for label in labels]
    possible = decision.answer_codes(labels)
    tables = [
        text.array("uint8_t", "is_word", words),
        text.array("uint8_t", "may_answer", [int(number in possible) for number in range(len(labels))]),
    ]
    numbers: dict[str, object] = {
        "TEMPERATURE": text.double(decision.temperature),
        "CLIP_THRESHOLD": text.number(stream.at_least(decision.threshold)),
    }
    routines = ["decide_softmax"]
    if decision.gate is not None and 0 < sum(words) < len(words):
        numbers |= {"GATE_SCALE": text.double(decision.gate.scale), "GATE_OFFSET": text.double(decision.gate.offset)}
        routines = [f"gate_{decision.gate.score}", "decide_gate"]
    return _Decision(numbers, tables, [*routines, "likeliest"], 2 * len(labels))


def _macros(numbers: Mapping[str, object]) -> str:
    return "".join(f"#define {name} {value}\n" for name, value in numbers.items())


def _labels(model: Model) -> str:
    names = "".join(f"    {text.string(label)},\n" for label in model.labels)
    return f"const char *const audioconv_labels[AUDIOCONV_LABELS] = {{\n{names}}};\n"


def _classify(model: Model, sound: bool, input_size: int) -> str:
    """Return the routine for one window, and before it that of its features."""
    spectral = sound and not isinstance(model.front_end, RawSamples)
    if spectral:
        fill = "clip_features(window, scratch + WORK, scratch + INPUT)"
    else:
        fill = f"memcpy(scratch + INPUT, window, {input_size} * sizeof(float))"
    return (text.routine("clip_features") + "\n" if spectral else "") + text.routine("classify").replace("FILL", fill)


def _state_bytes(listening: StreamCode, scratch: int) -> int:
    """Return the size of the state: fields come in the order of their size, so that no gaps lie between them."""
    size = sum(max(1, scratch if name == "scratch" else count) * each for _, name, count, each in listening.fields)
    return -(-size // stream.STATE_ALIGNMENT) * stream.STATE_ALIGNMENT
