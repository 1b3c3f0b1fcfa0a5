"""What all tests share. Pytest puts this folder on the import path, so that tests can ``import reference``."""

from __future__ import annotations

import gc
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import compiling
import numpy as np
import pytest
import sharing
import skips
import soundfile
from hypothesis import settings

if TYPE_CHECKING:
    import voices

# A kernel's first use takes seconds, so no deadline; CI draws the same examples every time.
settings.register_profile("audioconv", deadline=None, max_examples=30, derandomize="CI" in os.environ)
settings.load_profile("audioconv")

FIRST = [
    "tests/layers/test_contract.py",  # compiles most kernels,
    "tests/datasets/test_commonvoice.py",  # which this does not need
    "tests/docs/test_guides.py",
    "tests/test_readme.py",
    "tests/test_doctests.py",
    "tests/audio/test_features.py",
    "tests/test_jit.py",
    "tests/test_fork.py",
    "tests/kernels/test_lanes.py",  # compiles kernels with vectors of the other width
    "tests/explaining/test_explanation.py",
    "tests/cli/test_cli_train.py",
    "tests/test_speaking.py",
    "tests/serving/test_serve_http.py",
    "tests/streaming/test_detector.py",
    "tests/cli/test_cli_live.py",
    "tests/cli/test_cli_main.py",
    "tests/test_bench.py",
    "tests/cli/test_cli_voices.py",
    "tests/cli/test_cli_folders.py",
]
"""The files that take longest. What each needs of a processor is seen with ``pytest --durations=50``."""


def pytest_configure(config: pytest.Config) -> None:
    # Trainings would learn from the recordings in the cache of whoever runs the tests.
    os.environ["AUDIOCONV_NEGATIVES"] = "none"
    skips.watch(config)
    compiling.take_turns(config)
    if hasattr(config.option, "loadscopereorder"):  # of pytest-xdist, which would begin with files of many tests
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let processes that share the tests begin with what takes longest, so that they end at the same time."""
    if hasattr(config, "workerinput"):
        rank = {name: number for number, name in enumerate(FIRST)}
        items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(FIRST)))


def pytest_collection_finish() -> None:
    """Leave what the tests' modules have made, which stays until the end, out of every later garbage collection."""
    gc.freeze()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def test_data() -> Path:
    folder = os.environ.get("AUDIOCONV_TEST_DATA")
    if not folder:
        pytest.skip("real recordings: set AUDIOCONV_TEST_DATA to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def mirror() -> Path:
    folder = os.environ.get("AUDIOCONV_MIRROR")
    if not folder:
        pytest.skip("real archives: set AUDIOCONV_MIRROR to a folder that holds them")
    return Path(folder)


@pytest.fixture
def no_speech_embedding(monkeypatch) -> None:
    """Let the network that words begin with be nowhere on this machine."""
    monkeypatch.setattr("audioconv.recipe.speech_embedding.locate", lambda: None)


@pytest.fixture
def no_yamnet(monkeypatch) -> None:
    """Let the network that sounds begin with be nowhere on this machine."""
    monkeypatch.setattr("audioconv.recipe.yamnet.locate", lambda: None)


@pytest.fixture(scope="session")
def spoken(tmp_path_factory) -> Path:
    """Return two archives of invented people who say words: a release of Common Voice, and single words.

    `places.json` has where the words of the release begin and end, in seconds by the clip's name.
    """
    for module in ("espeakng_loader", "datacollective"):
        pytest.importorskip(module, reason="needs the extras: pip install 'audioconv[synth,commonvoice]'")
    return sharing.made_once(tmp_path_factory, "spoken", write_spoken)


def write_spoken(folder: Path) -> None:
    import voices

    rng = np.random.default_rng(2)
    english = voices.speak(["yes", "no", "stop", "seven"], folder / "en", 30)
    for n, voice in enumerate(english):
        voice.sentence = (voice.sentence, f"{voice.sentence.capitalize()}.", f"\u201c{voice.sentence.upper()}!\u201d")[
            n % 3
        ]
    first = english[0]
    noise = voices.encode(voices.room(2.7, rng))
    pair = voices.encode(
        np.concatenate([*(x / abs(x).max() for x in (soundfile.read(io.BytesIO(v.content))[0] for v in english[:2]))])
    )
    odd = [
        voices.Voice("Yes", "noise", noise),
        voices.Voice("no", "two", pair),
        voices.Voice("yes", "broken", b"this is no sound"),
        voices.Voice("yes", "refused", first.content, table="invalidated"),
        voices.Voice("yes", "not yet", first.content, table="other"),
        voices.Voice("yes", "one vote", first.content, first.begin, first.end, more={"up_votes": "1"}),
        voices.Voice("Yes, no.", "sentence", first.content),
    ]
    data = os.environ.get("AUDIOCONV_TEST_DATA")
    for path in sorted(Path(data, "common-voice-some", "clips").glob("*.mp3")) if data else []:
        sentence = "six" if "21953345" in path.name else "It just didn\u2019t seem fair."
        odd.append(voices.Voice(sentence, "real " + path.stem, path.read_bytes()))
    voices.pack(folder / "cv-corpus-26.0-2026-06-12-en.tar.gz", {"en": [*english, *odd]})
    swahili = voices.speak(["ndiyo", "hapana"], folder / "sw", 4)
    voices.pack(folder / "cv-corpus-7.0-singleword.tar.gz", {"sw": swahili, "en": english[:40]}, single_words=True)
    places = {f"common_voice_en_{n:08}.mp3": (voice.begin, voice.end) for n, voice in enumerate(english)}
    (folder / "places.json").write_text(json.dumps(places))


@pytest.fixture
def collective(spoken, monkeypatch) -> Iterator[voices.Collective]:
    """Start a server like Mozilla Data Collective that offers the archives of `spoken`; its key is set."""
    import loopback
    import voices

    from audioconv.datasets.download.mozilla import KNOWN, SINGLE_WORDS

    offers = {
        KNOWN["26.0", "en"]: voices.Offer(
            "Common Voice Scripted Speech 26.0 - English", spoken / "cv-corpus-26.0-2026-06-12-en.tar.gz"
        ),
        SINGLE_WORDS: voices.Offer(
            "Common Voice Single Word Target Segment 7.0", spoken / "cv-corpus-7.0-singleword.tar.gz"
        ),
    }
    for name in (*loopback.PROXIES, "AUDIOCONV_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    with voices.Collective(offers) as server:
        monkeypatch.setenv("MDC_API_URL", f"{server.url}/api")
        monkeypatch.setenv("MDC_API_KEY", voices.KEY)
        yield server
