"""The files of a page: what is in them, that they compute what the model does, and errors."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[export]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[export]'")

import pages
from exported import LABELS, RATE, embedding_model, model_of, picture_model

from audioconv.cli import run
from audioconv.decision.curve import Curve
from audioconv.decision.decision import Decision
from audioconv.errors import ConfigError, DataError
from audioconv.export import export
from audioconv.export.check import examples_for
from audioconv.export.facts import facts
from audioconv.export.web import folder, runtime
from audioconv.features.front_ends import LogMel, Mfcc
from audioconv.streaming import Detector

STATIC = {
    "index.html", "style.css", "page.js", "show.js", "network.js", "detector.js", "windows.js", "rows.js", "picker.js",
    "endpoints.js", "classify.js", "resampler.js", "recording.js", "microphone.js",
}  # fmt: skip
SHARED = {"palette.css", "capture.js"}


class Page(HTMLParser):
    """The elements of a page that load or allow something."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text, self._in_script = [], "", False
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        self.text += data if self._in_script else ""

    def one(self, tag, **wanted):
        (found,) = (has for name, has in self.elements if name == tag and wanted.items() <= has.items())
        return found

    @property
    def policy(self):
        content = self.one("meta", **{"http-equiv": "Content-Security-Policy"})["content"]
        return {key: allowed.split() for key, _, allowed in (part.partition(" ") for part in content.split("; "))}


def package(path, version="1.99.0"):
    """Write what looks like the npm package; return its folder."""
    (path / "dist").mkdir(parents=True)
    (path / "dist" / runtime.MODULE).write_text(f"/*!\n * ONNX Runtime Web v{version}\n */\nexport {{}};\n")
    (path / "dist" / runtime.WASM).write_bytes(b"\0asm\1\0\0\0")
    return path


FRONT_ENDS = {
    "log-mel": LogMel(RATE),
    "8 kHz": LogMel.for_rate(8000),
    "another window": LogMel(RATE, 400, 320, 100, 40, 20.0, 7600.0, 1e-7),
    "odd transform": LogMel(RATE, 401, 401, 163, 40),
    "odd window": LogMel(RATE, 512, 399, 160, 40),
    "mfcc": Mfcc(RATE, coefficients=20),
}


@pytest.mark.parametrize("by_clip", [False, True])
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_frame_after_frame_is_the_front_end(name, by_clip, tmp_path):
    model = model_of("cnn", FRONT_ENDS[name], by_clip=by_clip, samples=9000)
    found = export(model, tmp_path / "page", format="web")
    assert found.check.largest_difference <= 1e-5
    files = {path.name: path.read_bytes() for path in found.files}
    examples = examples_for(model, seed=4)
    outputs = folder.Runner(model, files)(examples)
    np.testing.assert_allclose(outputs["probabilities"], model.predict(examples), atol=1e-5)


def test_models_of_samples_have_no_front_end(tmp_path):
    found = export(model_of("m5-32"), tmp_path / "page", format="web")
    assert "front_end.onnx" not in {path.name for path in found.files}
    told = json.loads((tmp_path / "page" / "model.json").read_text())
    assert told["files"] == {"network": "model.onnx", "front_end": None}
    assert (told["web"]["rows"]["kind"], told["web"]["features"]) == ("samples", [RATE, 1])


def test_the_speech_embedding(tmp_path):
    assert export(embedding_model(), tmp_path / "page", format="web").check.largest_difference <= 1e-5


def test_the_folder(tmp_path):
    found = export(model_of("cnn"), tmp_path / "page", format="web")
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert names == STATIC | SHARED | {"model.onnx", "front_end.onnx", "model.json"}
    assert {path.name for path in found.files} == names
    assert found.bytes == sum(path.stat().st_size for path in found.files)
    assert found.files[-1].name == "index.html", "the page comes last"
    own = Path(folder.__file__).parent / "static"
    assert {path.name for path in own.iterdir()} == STATIC


def test_what_the_description_tells(tmp_path):
    curve = Curve((0.1, 0.5), (1.0, 0.9), (0.2, 0.1), (1.0, 0.9), (3.0, 0.5), 20, 30, 0.5)
    model = model_of("cnn", decision=Decision(1.2, 0.6, auxiliary=("_unknown_",), stream_threshold=0.8, curve=curve))
    licence = "CC BY 4.0"
    model.provenance["data"] = {"origins": [{"source": "wörds", "licence": licence}], "odd": [float("nan"), "\udc80"]}
    export(model, tmp_path / "page", format="web")
    told = json.loads((tmp_path / "page" / "model.json").read_text("utf-8"))
    assert told["provenance"]["data"]["odd"] == [None, "\udc80"]
    model.provenance["data"]["odd"][0] = None
    assert {key: told[key] for key in facts(model)} == json.loads(json.dumps(facts(model)))
    assert told["licences"] == [{"of": "wörds", "licence": licence}]
    assert told["curve"]["false_accepts_per_hour"] == [3.0, 0.5]
    detector = Detector(model)
    assert told["stream"]["threshold"] == detector.threshold
    grid = told["web"]["grid"]
    assert grid["hop_rows"] * grid["row_samples"] / grid["sample_rate"] == detector.hop_seconds
    assert told["web"]["picker"]["refractory_rows"] == detector._picker.refractory_rows
    assert told["web"]["content"] == "words"


def test_long_windows_are_of_sounds(tmp_path):
    export(model_of("tc-resnet8", samples=3 * RATE), tmp_path / "page", format="web")
    assert json.loads((tmp_path / "page" / "model.json").read_text())["web"]["content"] == "sounds"


def test_from_the_network_only_the_pinned_files_are_allowed(tmp_path):
    export(model_of("cnn"), tmp_path / "page", format="web")
    page = Page(tmp_path / "page" / "index.html")
    base = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{runtime.VERSION}/dist/"
    module, wasm = base + runtime.MODULE, base + runtime.WASM
    script_hash = base64.b64encode(hashlib.sha256(page.text.encode()).digest()).decode()
    assert page.policy == {
        "default-src": ["'none'"],
        "script-src": ["'self'", "'wasm-unsafe-eval'", f"'sha256-{script_hash}'", module],
        "connect-src": ["'self'", wasm],
        "style-src": ["'self'"],
        "img-src": ["data:"],
        "media-src": ["blob:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    import_map = json.loads(page.text)
    assert import_map["imports"] == {"onnxruntime-web": module}
    preload = page.one("link", rel="modulepreload")
    assert (preload["href"], preload["crossorigin"]) == (module, "anonymous")
    assert import_map["integrity"] == {module: preload["integrity"]}
    told = json.loads((tmp_path / "page" / "model.json").read_text())["runtime"]
    assert (told["version"], told["wasm"]) == (runtime.VERSION, wasm)
    for value in (preload["integrity"], told["wasm_integrity"]):
        assert re.fullmatch(r"sha384-[A-Za-z0-9+/]{64}", value)
    assert "{{" not in (tmp_path / "page" / "index.html").read_text()


@pytest.mark.skipif(pages.runtime_folder() is None, reason=pages.REASON)
def test_the_hashes_are_those_of_the_package():
    found = runtime.copied(pages.runtime_folder())
    if found.version != runtime.VERSION:
        pytest.skip(f"{pages.REASON}, of version {runtime.VERSION}")
    published = runtime.published()
    assert found.integrity[found.module] == published.integrity[published.module]
    assert found.integrity[found.wasm] == published.integrity[published.wasm]


@pytest.mark.parametrize("inner", ["", "dist"])
def test_offline_the_runtime_lies_beside_the_page(inner, tmp_path):
    source = package(tmp_path / "package")
    export(model_of("cnn"), tmp_path / "page", format="web", offline=source / inner)
    copies = tmp_path / "page" / "onnxruntime"
    script = runtime.MODULE.replace(".mjs", ".js")
    assert (copies / script).read_bytes() == (source / "dist" / runtime.MODULE).read_bytes()
    assert (copies / runtime.WASM).read_bytes() == (source / "dist" / runtime.WASM).read_bytes()
    page = Page(tmp_path / "page" / "index.html")
    assert not re.search(r"https?://(?!localhost)", html.unescape((tmp_path / "page" / "index.html").read_text()))
    assert page.policy["connect-src"] == ["'self'"]
    module = f"./onnxruntime/{script}"
    digest = hashlib.sha384((copies / script).read_bytes()).digest()
    wanted = f"sha384-{base64.b64encode(digest).decode()}"
    assert json.loads(page.text) == {"imports": {"onnxruntime-web": module}, "integrity": {module: wanted}}
    assert json.loads((tmp_path / "page" / "model.json").read_text())["runtime"]["version"] == "1.99.0"


def refused(kind, message, model, path, **settings):
    with pytest.raises(kind, match=message):
        export(model, path, **settings)
    assert not path.exists() or not any(path.iterdir())


def test_what_cannot_be_a_page(tmp_path):
    page, model = tmp_path / "page", model_of("cnn")
    refused(ConfigError, "words in sound, and this model is of pictures", picture_model("cs231n"), page, format="web")
    wordless = dataclasses.replace(model, labels=tuple(f"_{label.strip('_')}_" for label in LABELS))
    refused(ConfigError, "this model is without words", wordless, page, format="web")
    refused(ConfigError, "a page takes sound", model, page, format="web", from_features=True)
    refused(ConfigError, "8-bit integers are for TFLite", model, page, format="web", int8=True)
    refused(ConfigError, "leave it out for onnx, or give format web", model, tmp_path / "m.onnx", offline=tmp_path)
    refused(ConfigError, "there is no folder", model, tmp_path / "nowhere" / "page", format="web")


def test_what_is_no_runtime(tmp_path):
    page, model = tmp_path / "page", model_of("cnn")
    refused(DataError, f"nowhere: has no {runtime.MODULE}; give the folder of the npm package", model, page,
            format="web", offline=tmp_path / "nowhere")  # fmt: skip
    source = package(tmp_path / "package")
    (source / "dist" / runtime.WASM).write_bytes(b"<html>")
    refused(DataError, f"{runtime.WASM}: is not the file of ONNX Runtime Web", model, page,
            format="web", offline=source)  # fmt: skip
    (source / "dist" / runtime.MODULE).write_text("export {};")
    refused(DataError, f"{runtime.MODULE}: is not the file of ONNX Runtime Web", model, page,
            format="web", offline=source)  # fmt: skip


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "page").write_text("mine")
    with pytest.raises(DataError, match="page: the folder cannot be made"):
        export(model_of("cnn"), tmp_path / "page", format="web")
    assert (tmp_path / "page").read_text() == "mine"


def test_the_command(tmp_path, capsys):
    model_of("cnn").save(tmp_path / "model.safetensors")
    command = ["export", str(tmp_path), "-o", str(tmp_path / "page"), "--format", "web"]
    assert run([*command, "--offline", str(package(tmp_path / "package")), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["format"], told["files"][-1]) == ("web", str(tmp_path / "page" / "index.html"))
    assert run(command) == 0
    captured = capsys.readouterr()
    assert f"python -m http.server --bind 127.0.0.1 --directory {tmp_path / 'page'}" in captured.out
    assert run(["export", str(tmp_path), "-o", str(tmp_path / "m.onnx"), "--offline", str(tmp_path)]) == 2
    assert "give format web" in capsys.readouterr().err
