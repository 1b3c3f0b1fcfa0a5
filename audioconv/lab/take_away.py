"""What can be taken away of a project: its model in every format, each with the command and the lines that use it."""

from __future__ import annotations

import importlib.util
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audioconv.errors import AudioconvError
from audioconv.export.heads import check_headed, find_published
from audioconv.lab.models import ProjectModel
from audioconv.lab.names import MODELS_FOLDER
from audioconv.lab.training_child import MODEL_NAME
from audioconv.model import Model
from audioconv.serving.limits import RefusedError

PACKAGES = {"ONNX": ("onnx", "onnxruntime"), "TFLite": ("flatbuffers", "tflite", "ai_edge_litert")}

OF_SOUNDS = {
    "audioconv": """\
from audioconv.streaming import detect

for word in detect("model.safetensors", "recording.wav"):
    print(word.label, word.start, word.score)""",
    "onnx": """\
import json
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
facts = session.get_modelmeta().custom_metadata_map
labels, length = json.loads(facts["labels"]), json.loads(facts["clip_samples"])
samples = np.zeros((1, length), np.float32)  # a clip at json.loads(facts["sample_rate"]) Hz, full scale 1
probabilities, answer = session.run(["probabilities", "answer"], {"samples": samples})
print(labels[answer[0]] if answer[0] >= 0 else "none of these")""",
    "tflite": """\
import numpy as np
from ai_edge_litert.interpreter import Interpreter

run = Interpreter("model.tflite").get_signature_runner()
length = run.get_input_details()["samples"]["shape"][1]
found = run(samples=np.zeros((1, length), np.float32))  # a clip at the model's rate, full scale 1
print(found["answer"][0], found["probabilities"][0])""",
    "c": """\
#include "model.h"

audioconv_state state;
audioconv_event events[AUDIOCONV_MAX_EVENTS(160)];

audioconv_init(&state);
/* for each block of 160 samples, int16_t at AUDIOCONV_SAMPLE_RATE: */
int found = audioconv_push(&state, samples, 160, events);
for (int i = 0; i < found; i++)
    puts(audioconv_labels[events[i].label]);""",
    "openwakeword": """\
from openwakeword.model import Model

model = Model(wakeword_models=["heads/WORD.onnx"], inference_framework="onnx")
scores = model.predict(samples)  # 1280 samples, int16 at 16 kHz, again and again""",
    "web": "python -m http.server --bind 127.0.0.1 --directory page",
}

OF_PICTURES = {
    "audioconv": """\
from audioconv import Classifier

print(Classifier.load("model.safetensors").predict(["picture.png"])[0])""",
    "onnx": OF_SOUNDS["onnx"]
    .replace(
        'labels, length = json.loads(facts["labels"]), json.loads(facts["clip_samples"])',
        'labels = json.loads(facts["labels"])',
    )
    .replace(
        'samples = np.zeros((1, length), np.float32)  # a clip at json.loads(facts["sample_rate"]) Hz, full scale 1',
        "shape = session.get_inputs()[0].shape[1:]\npixels = np.zeros((1, *shape), np.float32)  # a picture, 0 to 1",
    )
    .replace('{"samples": samples}', '{"pixels": pixels}'),
    "tflite": """\
import numpy as np
from ai_edge_litert.interpreter import Interpreter

run = Interpreter("model.tflite").get_signature_runner()
shape = run.get_input_details()["pixels"]["shape"]
found = run(pixels=np.zeros(shape, np.float32))  # a picture, 0 to 1
print(found["answer"][0], found["probabilities"][0])""",
    "c": """\
#include "model.h"

float probabilities[AUDIOCONV_LABELS];
int answer = audioconv_classify(pixels, probabilities);
if (answer >= 0)
    puts(audioconv_labels[answer]);""",
}


@dataclass(frozen=True)
class Format:
    """A format in which a model can be taken away.

    Attributes
    ----------
    name : str
        As in the address.
    title : str
    output : str
        Name of the file or folder that the command writes.
    options : dict
        Of `export`.
    command : str
    code : str
        Which of the examples.
    needs : str
        Which of `PACKAGES`; empty for none.
    """

    name: str
    title: str
    output: str
    options: dict[str, Any]
    command: str
    code: str
    needs: str = ""


FORMATS = (
    Format("onnx", "ONNX", "model.onnx", {}, "audioconv export {model} -o model.onnx", "onnx", "ONNX"),
    Format("tflite", "TFLite", "model.tflite", {}, "audioconv export {model} -o model.tflite", "tflite", "TFLite"),
    Format(
        "tflite-int8",
        "TFLite, 8-bit integers",
        "model.tflite",
        {"int8": True},
        "audioconv export {model} -o model.tflite --int8 --calibration {project}",
        "tflite",
        "TFLite",
    ),
    Format("c", "C99", "c", {"format": "c"}, "audioconv export {model} -o c --format c", "c"),
    Format(
        "c-int8",
        "C99, 8-bit weights",
        "c",
        {"format": "c", "int8": True},
        "audioconv export {model} -o c --format c --int8",
        "c",
    ),
    Format(
        "openwakeword",
        "openWakeWord, Home Assistant",
        "heads",
        {"format": "openwakeword"},
        "audioconv export {model} -o heads --format openwakeword",
        "openwakeword",
        "ONNX",
    ),
    Format(
        "web", "Web page", "page", {"format": "web"}, "audioconv export {model} -o page --format web", "web", "ONNX"
    ),
)


def formats_for(model: Model) -> list[dict[str, Any]]:
    """Return all formats, each with its command and code, and why it is not there for this model.

    Commands are for the project's folder.
    """
    examples = OF_PICTURES if model.kind == "images" else OF_SOUNDS
    found = []
    for one in FORMATS:
        why_not = _why_not(one, model)
        command = one.command.format(model=f"{MODELS_FOLDER}/{MODEL_NAME}", project=".")
        found.append(
            {
                "format": one.name,
                "title": one.title,
                "available": why_not is None,
                "why_not": why_not,
                "command": command,
                "code": examples.get(one.code, ""),
            }
        )
    model_itself = {
        "format": "audioconv",
        "title": "audioconv",
        "available": True,
        "why_not": None,
        "command": f"audioconv {'classify' if model.kind == 'images' else 'listen'} {MODELS_FOLDER}/{MODEL_NAME}"
        + (" picture.png" if model.kind == "images" else ""),
        "code": examples["audioconv"],
    }
    return [model_itself, *found]


def written(name: str, model: ProjectModel, project: Path) -> tuple[str, bytes]:
    """Return a model in a format: the file's name and content, a ZIP archive of several files.

    Raises
    ------
    RefusedError
        (404) if there is no such format, (409) if there is no model.
    ExportError, ConfigError, MissingExtraError, DataError
        If the format cannot hold the model, or what writes it is not installed.
    """
    from audioconv.export import export

    if name == "audioconv":
        model.require()
        return MODEL_NAME, model.path.read_bytes()
    chosen = next((one for one in FORMATS if one.name == name), None)
    if chosen is None:
        raise RefusedError(404, f"there is no format {name[:60]!r}; there are {', '.join(one.name for one in FORMATS)}")
    trained = model.require()
    options = dict(chosen.options)
    if name == "tflite-int8":
        options["calibration"] = project
    folder = Path(tempfile.mkdtemp(prefix="audioconv-"))
    try:
        exported = export(trained, folder / chosen.output, **options)
        if len(exported.files) == 1:
            return chosen.output, exported.files[0].read_bytes()
        return f"{chosen.output}.zip", _zipped(exported.files, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _zipped(files: tuple[Path, ...], base: Path) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in files:
            out.writestr(file.relative_to(base).as_posix(), file.read_bytes())
    return archive.getvalue()


def _why_not(one: Format, model: Model) -> str | None:
    """Return why a format cannot be written; None if it can, as far as that is known before."""
    checks: list[Callable[[], str | None]] = [
        lambda: _missing(one.needs),
        lambda: (
            "it takes sound, and this model is of pictures" if _takes_sound(one) and model.kind == "images" else None
        ),
        lambda: "it needs words, and this model has none" if one.name == "web" and not model.words else None,
        lambda: _no_heads(model) if one.name == "openwakeword" else None,
    ]
    return next((reason for check in checks if (reason := check()) is not None), None)


def _takes_sound(one: Format) -> bool:
    return one.name in ("openwakeword", "web")


def _missing(needs: str) -> str | None:
    missing = [name for name in PACKAGES.get(needs, ()) if importlib.util.find_spec(name) is None]
    return f"it needs an optional part: pip install 'audioconv[export]' ({', '.join(missing)})" if missing else None


def _no_heads(model: Model) -> str | None:
    try:
        check_headed(model, find_published())
    except AudioconvError as error:
        return str(error)
    return None
