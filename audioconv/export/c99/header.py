"""The header of a model: how it is called, what memory it takes, and whose data it was trained with."""

from __future__ import annotations

from dataclasses import dataclass

from audioconv._version import __version__
from audioconv.export.c99 import text
from audioconv.export.c99.stream import StreamCode
from audioconv.export.facts import licences
from audioconv.model import Model

UNKNOWN_CODE = "not measured, for there was no compiler"
"""What a header says of the size of the code before it is compiled."""


@dataclass(frozen=True)
class Sizes:
    """Memory that the code takes.

    Attributes
    ----------
    constants : int
        Bytes of weights and tables, in flash.
    state : int
        Bytes of the state of a stream, in RAM; 0 where the model does not listen.
    scratch : int
        Bytes of RAM that `audioconv_classify` has of its own.
    code : int or None
        Bytes of instructions without the standard library; None where nothing compiled them.
    compiled_by : str
        How they were compiled; empty where they were not.
    """

    constants: int
    state: int
    scratch: int
    code: int | None = None
    compiled_by: str = ""


def with_code(header: str, sizes: Sizes) -> str:
    """Return a header that tells the size of the code, where it is known."""
    if sizes.code is None:
        return header
    told = f"{sizes.code:,} bytes ({sizes.compiled_by}), without the standard library"
    return header.replace(UNKNOWN_CODE, told, 1)


def write(
    model: Model, name: str, sizes: Sizes, listening: StreamCode | None, scratch: int, sound: bool, int8: bool
) -> str:
    """Return the header.

    Parameters
    ----------
    model : Model
    name : str
        Of the file, without its ending.
    sizes : Sizes
    listening : StreamCode or None
    scratch : int
        Numbers of scratch memory.
    sound : bool
        Whether the front end is in the source.
    int8 : bool
        Whether weights are 8-bit integers.
    """
    guard = "AUDIOCONV_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in name.upper()) + "_H"
    parts = [
        _about(model, sizes, listening, int8),
        f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n",
        '#ifdef __cplusplus\nextern "C" {\n#endif\n',
        _numbers(model, sizes, listening, sound),
    ]
    if listening is not None:
        parts += [_STREAM_TYPES, _state(listening, scratch), _STREAM_FUNCTIONS]
    what, size = _window(model, sound)
    parts += [
        _CLASSIFY.replace("WHAT", what).replace("SIZE", size),
        "#ifdef __cplusplus\n}\n#endif\n\n#endif\n",
    ]
    return "\n".join(parts)


def _about(model: Model, sizes: Sizes, listening: StreamCode | None, int8: bool) -> str:
    lines = [
        f"Written by audioconv {__version__}. C99; needs math.h, string.h and stdint.h, and allocates nothing.",
        "",
        f"Labels: {', '.join(model.labels)}",
    ]
    if model.front_end is not None:
        lines.append(f"Samples: mono, {model.front_end.sample_rate} Hz")
    if int8:
        lines.append("Weights are 8-bit integers with a scale for each output; all sums are float32.")
    lines += ["", f"Flash: constants {sizes.constants:,} bytes; code: {UNKNOWN_CODE}."]
    if listening is not None:
        lines.append(f"RAM:   audioconv_state {sizes.state:,} bytes, a stream each.")
    own = f"{sizes.scratch:,} bytes of its own"
    lines += [
        f"{'       ' if listening else 'RAM:   '}audioconv_classify {own}, which a linker leaves out with it",
        "       (-fdata-sections -ffunction-sections -Wl,--gc-sections) where it is not called.",
    ]
    known = licences(model.provenance)
    if known:
        lines += ["", "Made with:"]
        lines += [f"  {one['of']}: {one['licence'] or 'licence not known'}" for one in known]
    return "/*\n" + "".join(f" * {text.comment(line)}".rstrip() + "\n" for line in lines) + " */\n"


def _numbers(model: Model, sizes: Sizes, listening: StreamCode | None, sound: bool) -> str:
    lines = [f"#define AUDIOCONV_LABELS {len(model.labels)}"]
    if model.front_end is not None:
        lines.append(f"#define AUDIOCONV_SAMPLE_RATE {model.front_end.sample_rate}")
    if sound:
        lines.append(f"#define AUDIOCONV_CLIP_SAMPLES {model.clip_samples}")
    if listening is not None:
        lines += [
            f"#define AUDIOCONV_HOP_SAMPLES {listening.hop_samples}",
            f"#define AUDIOCONV_STATE_BYTES {sizes.state}",
            "",
            "/* The most events of a call of audioconv_push with so many samples, and of audioconv_flush. */",
            "#define AUDIOCONV_MAX_EVENTS(count) ((count) / AUDIOCONV_HOP_SAMPLES + 1)",
            f"#define AUDIOCONV_FLUSH_EVENTS {listening.flush_events}",
        ]
    lines += ["", "/* Names in UTF-8, by the number of the label. */"]
    return "\n".join(lines) + "\nextern const char *const audioconv_labels[AUDIOCONV_LABELS];\n"


def _state(listening: StreamCode, scratch: int) -> str:
    lines = []
    for kind, name, count, _ in listening.fields:
        size = f"[{scratch if name == 'scratch' else count}]" if count or name == "scratch" else ""
        lines.append(f"    {kind} {name}{size};{_COMMENTS.get(name, '')}")
    return (
        "/* What is known of a stream. Read scores; set threshold and refractory_rows, after audioconv_init. The rest\n"
        "   is for the functions below. */\ntypedef struct {\n" + "\n".join(lines) + "\n} audioconv_state;\n"
    )


_COMMENTS = {
    "threshold": " /* the least score of an event, 0 to 1 */",
    "refractory_rows": " /* for how many rows after its end the same word is no event again */",
    "scores": " /* the probability of each label in the last window, averaged over some windows */",
    "window_count": " /* windows that have been evaluated so far */",
}

_STREAM_TYPES = """\
/* A word in a stream. */
typedef struct {
    int64_t begin, end; /* its place, in samples since the beginning of the stream */
    float score;        /* its probability, averaged over some windows, where that was greatest */
    int label;          /* its number */
} audioconv_event;

/* A word in the window where it was likeliest so far; numbers are those of windows and rows. */
typedef struct {
    int64_t window, begin, end, first_heard, last_rise;
    float score;
    int32_t label;
} audioconv_candidate;
"""

_STREAM_FUNCTIONS = """\
/* Begins a stream. */
void audioconv_init(audioconv_state *state);

/* Takes the next samples, of which there may be any number; the events do not depend on how a stream is cut into
   calls. Writes the words that are certain now to `events`, which has room for AUDIOCONV_MAX_EVENTS(count); returns
   their number. */
int audioconv_push(audioconv_state *state, const int16_t *samples, int count, audioconv_event *events);

/* Ends a stream, after which comes silence: for recordings. Writes the words that were still to come to `events`, which
   has room for AUDIOCONV_FLUSH_EVENTS; returns their number. audioconv_init begins a new stream. */
int audioconv_flush(audioconv_state *state, audioconv_event *events);
"""

_CLASSIFY = """\
/* Classifies one window of WHAT, (SIZE).
   Writes the probability of each label to `probabilities`, (AUDIOCONV_LABELS); returns the number of the answer, -1
   for "none of these". Not for two threads at once: its memory is static. */
int audioconv_classify(const float *window, float *probabilities);
"""


def _window(model: Model, sound: bool) -> tuple[str, str]:
    """Return what a window is and how many numbers it has."""
    if sound:
        return "samples with full scale 1", "AUDIOCONV_CLIP_SAMPLES"
    what = "pixels from 0 to 1" if model.front_end is None else "features as the front end gives them"
    return what, ", ".join(map(str, model.feature_shape))
