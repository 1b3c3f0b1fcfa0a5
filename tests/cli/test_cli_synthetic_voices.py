"""``audioconv data make`` and ``data list --voices``: by voices that hum, where one is needed."""

from __future__ import annotations

import hashlib
import json
import sys

import loopback
import pytest
from piper_network import config, network, write_voice

from audioconv.datasets import open_collection
from audioconv.datasets.catalogue import Remote
from audioconv.tts import piper_catalogue
from audioconv.tts.piper_catalogue import PiperVoice, catalogue

pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'audioconv[piper]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[piper]'")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("AUDIOCONV_MIRROR", raising=False)
    monkeypatch.setenv("AUDIOCONV_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def published(monkeypatch):
    """Let one voice be had, from a server on this machine; return the addresses that were asked for."""
    for name in loopback.PROXIES:
        monkeypatch.delenv(name, raising=False)
    contents = {"/en_US-solo-medium.onnx": network(), "/en_US-solo-medium.onnx.json": config()}
    asked = []

    def send(handler):
        asked.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(contents[handler.path])))
        handler.end_headers()
        handler.wfile.write(contents[handler.path])

    with loopback.Loopback(send) as server:
        files = [
            Remote(server.url.rstrip("/") + path, len(content), None, hashlib.md5(content).hexdigest())
            for path, content in contents.items()
        ]
        voice = PiperVoice("en_US-solo-medium", *files, "CC-BY-4.0", "https://a.test/talk", "", True, "", 1)
        monkeypatch.setattr(piper_catalogue, "catalogue", lambda: (voice,))
        yield asked


def test_the_licence_is_shown_before_the_download(call, published, tmp_path):
    answer = call("data", "make", "yes,no", "-o", tmp_path / "words", "--voices", "piper", "--clips", 3)
    assert answer.code == 0
    line = next(line for line in answer.err.splitlines() if "CC-BY-4.0" in line)
    assert line.startswith("en_US-solo-medium, CC-BY-4.0 (recordings: https://a.test/talk): ")
    assert "from http://127.0.0.1:" in line
    assert answer.err.index(line) < answer.err.index("one speaker only")
    assert "6 clips, 2 classes, 1 speakers" in answer.out
    assert "licence: synthetic speech (made with the Piper voice en_US-solo-medium: CC-BY-4.0)" in answer.out
    assert sorted(published) == ["/en_US-solo-medium.onnx", "/en_US-solo-medium.onnx.json"]
    again = call("data", "make", "yes,no", "-o", tmp_path / "others", "--voices", "piper", "--clips", 3)
    assert (again.code, len(published), "recordings:" in again.err) == (0, 2, False)


def test_what_is_here_is_listed_as_such(call, published, tmp_path):
    assert "here" not in call("data", "list", "--voices").out.split("kokoro")[0]
    [before] = [v for v in json.loads(call("data", "list", "--voices", "--json").out) if "piper" in v["voices"]]
    call("data", "make", "yes", "-o", tmp_path / "words", "--voices", "piper", "--clips", 1)
    [after] = [v for v in json.loads(call("data", "list", "--voices", "--json").out) if "piper" in v["voices"]]
    assert (before["is_here"], after["is_here"]) == (False, True)
    assert after == before | {"is_here": True}
    assert (after["licence"], after["recordings"]) == ("CC-BY-4.0", "https://a.test/talk")
    assert "en_US-solo-medium (of 1: audioconv data list --voices)" in call("doctor").out
    assert json.loads(call("doctor", "--json").out)["voices"] == {
        "kokoro": None, "piper": ["en_US-solo-medium"], "piper_count": 1,
    }  # fmt: skip


def test_a_voice_in_a_file(call, tmp_path):
    path = write_voice(tmp_path / "voices", "de_DE-choir-medium", ("a", "b", "c", "d"), espeak="de")
    answer = call("data", "make", "ja,nein", "-o", tmp_path / "worte", "--voices", f"piper:{path}", "--clips", 10)
    assert (answer.code, "recordings:" in answer.err) == (0, False)
    collection = open_collection(tmp_path / "worte")
    assert {item.split for item in collection.items} == {"train", "test"}
    assert len({item.speaker for item in collection.items}) == 4


def test_the_list_of_a_language(call):
    answer = call("data", "list", "--voices", "--language", "de")
    assert answer.code == 0
    assert "piper:de_DE-thorsten-medium *" in answer.out
    assert "CC0-1.0" in answer.out
    assert "en_US-lessac, which voices began with, has learned from recordings that are for research only" in answer.out
    assert "audioconv data make WORDS -o DIR --language de --voices piper\n" in answer.out
    assert "de_DE" not in call("data", "list", "--voices", "--language", "fr").out


def test_the_list_of_all(call):
    answer = call("data", "list", "--voices")
    assert all(f"piper:{voice.name}" in answer.out for voice in catalogue())
    assert "espeak-ng speaks these languages and others" in answer.out
    assert len(json.loads(call("data", "list", "--voices", "--json").out)) == len(catalogue()) + 6


def test_languages_that_only_espeak_speaks(call, tmp_path):
    assert "only espeak-ng speaks 'am'" in call("data", "list", "--voices", "--language", "am").out
    for voices in ("piper", "kokoro"):
        answer = call("data", "make", "x", "-o", tmp_path / "a", "--language", "am", "--voices", voices)
        assert (answer.code, "espeak-ng speaks most" in answer.error) == (2, True)


def test_wishes_that_cannot_be(call, tmp_path):
    assert "or en-gb (English (Great Britain))?" in call("data", "list", "--voices", "--language", "en-uk").error
    assert "--language is for the list of voices" in call("data", "list", "--language", "de").error
    answer = call("data", "make", "yes", "-o", tmp_path / "a", "--voices", "mary")
    assert (answer.code, "`audioconv data list --voices` shows them" in answer.error) == (2, True)


def test_without_the_extra(call, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for program, feature in (("piper", "Piper's voices need"), ("kokoro", "Kokoro's voices need")):
        answer = call("data", "make", "yes", "-o", tmp_path / "a", "--voices", program)
        assert answer.code == 1
        assert answer.error.endswith(f"pip install 'audioconv[{program}]'"), (feature, answer.error)


def test_espeak_by_its_short_name(call, tmp_path):
    answer = call("data", "make", "yes", "-o", tmp_path / "a", "--voices", "espeak", "--clips", 2)
    assert (answer.code, "espeak-ng" in answer.out) == (0, True)
