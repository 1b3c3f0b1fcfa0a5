"""A recording searched, pictures classified, and the model taken away in other formats."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from labs import wav
from learning import picture, train
from streams import recording
from test_learn_listening import SAID, TONES_RATE, listener, model_file  # noqa: F401

from audioconv.lab.search import MAX_POINTS
from audioconv.streaming import detect

RED, BLUE = (200, 40, 40), (40, 40, 200)


def search(page, content, **query):
    answer = page.ask("POST", "/api/search", params=query, content=content)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_recording_is_searched(listener, tmp_path):  # noqa: F811
    sound = recording(SAID, 150.0)
    found = search(listener, wav(sound, TONES_RATE))
    (tmp_path / "sound.wav").write_bytes(wav(sound, TONES_RATE))
    wanted = detect(listener.folder / "models/model.safetensors", tmp_path / "sound.wav")
    assert [(one["label"], one["begin"]) for one in found["events"]] == [(one.label, one.start) for one in wanted]
    assert [one["label"] for one in found["events"]] == [label for label, _ in SAID]
    assert found["seconds"] == 150.0
    assert len(found["times"]) == MAX_POINTS
    assert {len(scores) for scores in found["scores"].values()} == {len(found["levels"])} == {MAX_POINTS}
    times, high = np.array(found["times"]), np.array(found["scores"]["high"])
    near = np.abs(times - 1.15) < 0.5
    assert high[near].max() > 0.5
    assert high[(times > 10) & (times < 140)].max() < 0.5
    levels = np.array(found["levels"])
    # A tone of 0.4 and noise of 0.002.
    assert levels[near].max() == pytest.approx(-11, abs=1)
    assert levels[times > 10].max() == pytest.approx(-53, abs=3)
    assert search(listener, wav(sound, TONES_RATE), threshold=1.0)["events"] == []


def test_what_is_no_recording_is_refused(listener):  # noqa: F811
    for content, query in ((b"this is no sound", {}), (b"", {}), (wav(np.zeros(100)), {"threshold": "2"})):
        answer = listener.ask("POST", "/api/search", params=query, content=content)
        assert answer.status_code in (400, 422)
        assert answer.json()["error"]
    answer = listener.ask("POST", "/api/classify", content=picture(RED, 0))
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "the model is of sounds; send recordings to /api/search",
    )


@pytest.mark.slow
def test_pictures_are_learned_and_classified(page):
    pytest.importorskip("PIL", reason="needs the extras: pip install 'audioconv[lab]'")
    for number in range(6):
        page.upload("red", f"{number}.png", picture(RED, number))
        page.upload("blue", f"{number}.png", picture(BLUE, 100 + number))
    run = train(page, epochs=4)
    assert run["state"] == "done", run["message"]
    results = page.get("/api/results")
    assert (results["clips"], results["false_accepts_per_hour"]) == (12, None)
    assert page.get("/api/curve")["points"] == []
    assert page.get("/api/project")["model"]["streams"] is False
    found = page.ask("POST", "/api/classify", content=picture(RED, 50)).json()
    assert found["nearest"] == max(found["scores"], key=found["scores"].get)
    assert sum(found["scores"].values()) == pytest.approx(1, abs=1e-5)

    async def watch():
        async with page.socket("/api/watch") as client:
            for data in (picture(RED, 50), b"no picture"):
                await client.send(data)
            answers = [json.loads(await client.recv()) for _ in range(2)]
            await client.send('{"type": "stop"}')
            await client.wait_closed()
            return answers, client.close_code

    (scores, refused), code = asyncio.run(watch())
    assert scores == {"type": "scores", **found}
    assert refused["type"] == "refused"
    assert code == 1000
    exports = {one["format"]: one for one in page.get("/api/exports")}
    assert exports["web"]["why_not"] == "it takes sound, and this model is of pictures"
    assert exports["c"]["available"]


def test_every_format_has_its_command_and_lines(listener):  # noqa: F811
    from audioconv.export.exporting import FORMATS, HEADS, WEB, C

    exports = {one["format"]: one for one in listener.get("/api/exports")}
    assert {*FORMATS.values(), C, HEADS, WEB} <= set(exports)
    assert all(one["command"].startswith("audioconv ") and one["code"] for one in exports.values())
    assert not exports["openwakeword"]["available"]
    assert "openWakeWord's models are heads on speech embeddings" in exports["openwakeword"]["why_not"]
    answer = listener.ask("POST", "/api/exports/c")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="c.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["c/model.c", "c/model.h", "c/model.json"]
    refused = listener.ask("POST", "/api/exports/openwakeword")
    assert (refused.status_code, refused.json()["error"]) == (422, exports["openwakeword"]["why_not"])
    assert listener.ask("POST", "/api/exports/exe").status_code == 404


@pytest.mark.parametrize("name", ["audioconv", "onnx", "tflite"])
def test_the_lines_run(listener, tmp_path, name):  # noqa: F811
    for module in ("onnx", "onnxruntime", "tflite", "flatbuffers", "ai_edge_litert"):
        pytest.importorskip(module, reason="needs the extras: pip install 'audioconv[export]'")
    (one,) = [one for one in listener.get("/api/exports") if one["format"] == name]
    answer = listener.ask("POST", f"/api/exports/{name}")
    assert answer.status_code == 200, answer.text
    file = answer.headers["content-disposition"].partition('filename="')[2].rstrip('"')
    (tmp_path / file).write_bytes(answer.content)
    (tmp_path / "recording.wav").write_bytes(wav(recording(SAID, 7.0), TONES_RATE))
    done = subprocess.run(
        [sys.executable, "-c", one["code"]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    if name == "audioconv":
        assert [line.split()[0] for line in done.stdout.splitlines()] == [label for label, _ in SAID]
