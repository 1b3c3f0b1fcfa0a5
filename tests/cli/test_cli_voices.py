"""From Common Voice to a trained model in two commands, and what `audioconv data get` says on the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import voices

from audioconv.datasets import open_collection
from audioconv.model import Model


@pytest.mark.slow
def test_two_commands_from_common_voice_to_a_model(collective, tmp_path):
    """As a user types them: processes of their own, which know nothing but the key and where the service is."""

    def command(*words):
        answer = subprocess.run(
            [sys.executable, "-m", "audioconv", *words], cwd=tmp_path, capture_output=True, text=True, env=os.environ
        )
        assert answer.returncode == 0, answer.stderr
        assert voices.KEY not in answer.stdout + answer.stderr
        return answer

    answer = command(
        *("data", "get", "common-voice", "--language", "en", "--words", "yes,no,stop"),
        *("--unknown", "30", "--silence", "30"),
    )
    assert "data/common-voice-en: 15" in answer.stdout
    assert re.search(r"\d clips were left out; all are listed in data/common-voice-en/left-out\.csv", answer.stderr)
    assert re.search(r"cv-corpus-26\.0-2026-06-12-en\.tar\.gz \(\d\.\d MB\)", answer.stderr)
    counts = open_collection(tmp_path / "data" / "common-voice-en").counts
    assert counts == {"_silence_": 30, "_unknown_": 30, "no": 30, "stop": 30, "yes": 31}

    command("train", "data/common-voice-en", "-o", "model", "--epochs", "12", "--batch-size", "16")
    model = Model.load(tmp_path / "model" / "model.safetensors")
    assert model.labels == ("_silence_", "_unknown_", "no", "stop", "yes")
    assert model.provenance["test_accuracy"] > 0.5  # guessing: 0.2; with so few clips, how far above is chance
    data = model.provenance["data"]
    assert data["origins"] == [
        {"source": "Common Voice Scripted Speech", "licence": "CC0-1.0", "clips": sum(counts.values())}
    ]
    about = command("info", "model").stdout
    assert re.search(r"source +Common Voice Scripted Speech\n", about)
    assert re.search(r"licence +CC0-1\.0\n", about)
    assert re.search(r"makers +the contributors of Mozilla Common Voice\n", about)


@pytest.mark.skipif(sys.platform == "win32", reason="ends by signal")
def test_ctrl_c_and_the_same_command_again(spawn, call, collective, tmp_path):
    command = ["data", "get", "common-voice", "--language", "en", "--words", "yes,no", "-o", tmp_path / "en"]
    collective.seconds_per_chunk = 0.1
    process = spawn(*command)
    part = tmp_path / ".audioconv-downloads" / "cv-corpus-26.0-2026-06-12-en.tar.gz.part"
    while process.poll() is None and not (part.exists() and part.stat().st_size > 300_000):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.decode().splitlines()[-1] == (
        "audioconv: error: interrupted; run the same command again to go on from there"
    )
    have = part.stat().st_size
    collective.seconds_per_chunk = 0.0
    assert call(*command).code == 0
    asked = [headers.get("Range") for method, path, headers in collective.log if path.startswith("/files/")]
    assert asked == [None, f"bytes={have}-"]


def test_a_busy_service_is_told_of(call, collective, tmp_path):
    collective.refusals = [(429, {"Retry-After": "0"})]
    answer = call("data", "get", "common-voice", "--language", "en", "--words", "yes,no", "-o", tmp_path / "en")
    assert answer.code == 0
    assert "audioconv: Mozilla Data Collective is busy; asking again in 1 s\n" in answer.err


def test_single_words_by_a_file(call, collective, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("# Swahili\nndiyo,yes\nhapana,no\n", "utf-8")
    answer = call(
        "data", "get", "common-voice-single-word", "--language", "sw", "--words-file", words, "-o", tmp_path / "sw"
    )
    assert answer.code == 0, answer.err
    assert open_collection(tmp_path / "sw").counts == {"no": 4, "yes": 4}


def test_several_licences_in_one_model(call, tones, tmp_path):
    rows = ["path,label,split,source,licence"]
    for n, path in enumerate(sorted(tones.glob("*/*.wav"))):
        source = ("Tones One,CC0-1.0", "Tones Two,CC-BY-4.0")[n % 2]
        rows.append(f"{path},{path.parent.name},{'validation' if n % 5 == 0 else 'train'},{source}")
    manifest = tmp_path / "tones.csv"
    manifest.write_text("\n".join(rows) + "\n", "utf-8")
    assert call("train", manifest, "-o", tmp_path / "out", "--epochs", 1).code == 0
    for subject in (tmp_path / "out", manifest):
        out = call("info", subject).out
        assert re.search(r"source +Tones One, CC0-1\.0 \(\d+ clips\)", out)
        assert re.search(r"source +Tones Two, CC-BY-4\.0 \(\d+ clips\)", out)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["common-voice"], 2, "choose a language by its code"),
        (["common-voice", "--language", "en", "--words", "yes", "--words-file", "x"], 2, "give one"),
        (["common-voice", "--language", "en", "--words", ",,"], 2, "no words are given"),
        (["common-voice", "--language", "en", "--split", "mine"], 2, "--split must be official or speaker; got 'mine'"),
        (["common-voice", "--language", "en", "--convert", "mp3"], 2, "--convert must be wav or flac; got 'mp3'"),
        (["common-voice", "--language", "en", "--unknown", "5"], 2, "which words are wanted; give words too"),
        (["common-voice", "--language", "en", "--words", "marvin"], 2, "has no clips of the words marvin"),
        (["common-voice", "--dataset", "nothing-like-it"], 2, "has no data set 'nothing-like-it'"),
        (["gone.tar.gz"], 1, "gone.tar.gz: no such archive or folder"),
    ],
)
def test_what_cannot_be(call, collective, tmp_path, options, code, message):
    answer = call("data", "get", *options, "-o", tmp_path / "x")
    assert (answer.code, message in answer.error) == (code, True), answer.err
    assert not (tmp_path / "x").exists()


def test_json(call, collective, tmp_path):
    words = ["--words", "yes,no", "--unknown", "200"]
    answer = call("data", "get", "common-voice", "--language", "en", *words, "-o", tmp_path / "x", "--json")
    found = json.loads(answer.out)
    assert found["left_out"] >= 3
    assert found["classes"]["yes"] == 31
    assert "_unknown_ clips: there are no more" in answer.err


def test_info(call):
    answer = call("data", "info", "esc-50")
    assert answer.code == 0
    for words in ("Piczak", "NonCommercial", "For a model: Do not use the model commercially", "data get esc-50"):
        assert words in answer.out
    found = json.loads(call("data", "info", "speech-commands", "--json").out)
    assert found["files"][0]["sha256"].startswith("af14739e")
    assert "MDC_API_KEY" in call("data", "info", "common-voice").out
    assert call("data", "info", "esc").code == 2


def test_what_is_not_known_does_not_depend_on_the_language(call):
    assert re.search(r"clips: +not known\n", call("data", "info", "speech-commands-v1").out)
    assert re.search(r"clips: +depends on the language\n", call("data", "info", "mswc").out)


def test_a_licence_that_comes_with_each_copy(call):
    out = " ".join(call("data", "info", "fashion-mnist").out.split())
    assert "Copyright \u00a9 2017 Zalando SE, https://tech.zalando.com Permission is hereby granted" in out
    assert "Permission is hereby" not in call("data", "info", "mnist").out


def test_every_source_is_explained(call):
    for name in json.loads(call("data", "list", "--json").out):
        assert call("data", "info", name["name"]).code == 0


def test_check_is_there(call, collective, tmp_path):
    call("data", "get", "common-voice", "--language", "en", "--words", "yes,no", "-o", tmp_path / "x")
    answer = call("data", "check", tmp_path / "x", "--json")
    assert answer.code in (0, 1)
    json.loads(answer.out)
