"""Pages in a real browser: they find in sound what audioconv finds, and say what is missing."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import shutil
import time

import numpy as np
import pytest
import scipy.signal

pytest.importorskip("onnx", reason="needs the extra: pip install 'audioconv[export]'")

import pages
import soundfile
from exported import LABELS, model_of
from looks import CONTRAST, WIDER
from pages import NOTICE, READY, STATUS, runtime_folder, searched
from streams import recording, train

import audioconv as ac
from audioconv.audio import endpoints
from audioconv.audio.read import read
from audioconv.decision.decision import Decision, Gate
from audioconv.export import export
from audioconv.export.web import runtime
from audioconv.export.web.settings import settings
from audioconv.pipeline.inputs import of_model
from audioconv.pipeline.predict import score_examples
from audioconv.streaming import Detector, detect
from audioconv.streaming.picker import EventPicker, LevelTrack, Likeliest
from audioconv.streaming.scorer import Listener

browser = pytest.importorskip("drawing.browser", reason="the scripts are not beside the tests")
served = pytest.importorskip("drawing.serving", reason="the scripts are not beside the tests").served

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.find() is None, reason="needs a browser: apt-get install chromium"),
    pytest.mark.skipif(runtime_folder() is None, reason=pages.REASON),
]

RATE = 16000
DESKTOP, PHONE = 1200, 390
FAKE_MICROPHONE = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
WORDS = ("down", "zero", "right")
HOSTILE = '"><img src="http://127.0.0.1:9/x.png" onerror="document.title = 1"><script>document.title = 2</script>'


@pytest.fixture(scope="module")
def window():
    with browser.Browser() as window:
        yield window


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Return the folder of a model's page, with ONNX Runtime Web beside it."""

    def make(model):
        folder = tmp_path_factory.mktemp("pages") / "page"
        assert export(model, folder, format="web", offline=runtime_folder()).check.largest_difference <= 1e-5
        return folder

    return make


@pytest.fixture(scope="module")
def words(test_data, tmp_path_factory):
    """Return a model of three words, trained on real recordings, and other recordings of the words."""
    folder = tmp_path_factory.mktemp("words")
    kept = {}
    for label in (*WORDS, "_unknown_"):
        (folder / label).mkdir()
        for word in (label,) if label in WORDS else ("up", "five", "left", "one"):
            files = sorted((test_data / "speech-commands-9" / word).iterdir())
            for file in files[: 120 if label in WORDS else 40]:
                shutil.copy(file, folder / label / f"{word}-{file.name}")
            if label in WORDS:
                kept[word] = files[200:212]
    rng = np.random.default_rng(1)
    for number in range(40):
        noise = 10 ** rng.uniform(-4, -1) * rng.standard_normal(RATE) / 3
        soundfile.write(folder / "_unknown_" / f"noise-{number}.wav", noise, RATE)
    trained = ac.Classifier.train(folder, arch="tc-resnet8", epochs=15, reject=False, refit=False).model_
    return dataclasses.replace(trained, decision=Decision(stream_threshold=0.74)), kept


@pytest.fixture(scope="module")
def spliced(words, tmp_path_factory):
    """Return a recording of the words with pauses between them, 44.1 kHz."""
    rng = np.random.default_rng(5)
    parts = [rng.normal(0, 3e-4, 44100)]
    for number in range(4):
        for files in words[1].values():
            parts += [read(files[number], 44100), rng.normal(0, 3e-4, int(rng.integers(15000, 40000)))]
    path = tmp_path_factory.mktemp("spliced") / "spliced words.wav"
    soundfile.write(path, np.concatenate(parts), 44100, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def drawn(page_of):
    """Return the folder of a page of a network with drawn parameters."""
    decision = Decision(1.0, 0.3, auxiliary=("_unknown_",), gate=Gate(1.0, 0.0), stream_threshold=0.999)
    return page_of(model_of("tc-cnn", decision=decision))


@pytest.fixture
def ready(window, drawn):
    """Return the window with that page, ready."""
    with served(drawn) as address:
        window.open(address, DESKTOP)
        window.wait_for(READY)
        yield window


def assert_same(shown, wanted, hop):
    """Assert that a page shows the words that audioconv finds."""
    assert [one["label"] for one in shown] == [one.label for one in wanted]
    for one, other in zip(shown, wanted, strict=True):
        assert abs(one["start"] - other.start) <= hop
        assert abs(one["end"] - other.end) <= hop
        assert abs(one["score"] - other.score) <= 0.02


# --- whole pages ---


@pytest.mark.parametrize(
    ("arch", "more", "decision"),
    [
        ("tc-resnet8", {}, {}),
        ("tc-resnet8", {"front_end": "mfcc"}, {}),
        ("m5-32", {}, {}),
        ("cnn", {}, {"gate": Gate(1.0, 0.0, "odds"), "auxiliary": ("_unknown_",), "stream_threshold": 0.6}),
    ],
)
def test_a_dropped_recording_is_searched(window, page_of, arch, more, decision, tmp_path):
    model = dataclasses.replace(train(arch=arch, **more), decision=Decision(**decision))
    said = [("low", 0.0), ("high", 1.1), ("low", 2.0), ("high", 2.6), ("high", 4.05), ("low", 5.7), ("high", 8.65)]
    path = tmp_path / "tones.wav"
    soundfile.write(path, recording(said, 9.0, 8000), 8000, subtype="FLOAT")
    with served(page_of(model)) as address:
        window.complaints.clear()
        window.open(address, DESKTOP)
        window.wait_for(READY)
        shown = searched(window, path)
        assert window.complaints == []
    wanted = detect(model, path)
    assert len(wanted) >= 5
    assert_same(shown, wanted, Detector(model).hop_seconds)


def test_the_words_of_a_real_recording_are_found(window, page_of, words, spliced):
    model = words[0]
    with served(page_of(model)) as address:
        window.open(address, DESKTOP)
        window.wait_for(READY)
        shown = searched(window, spliced)
    wanted = detect(model, spliced)
    assert len(wanted) >= 12
    assert_same(shown, wanted, Detector(model).hop_seconds)


KEEP_WHAT_COMES = """
window.came = [];
Object.defineProperty(MessagePort.prototype, 'onmessage', {set(handler) {
    this.handler = handler;
    this.listens ??= this.addEventListener('message', event => {
        window.came.push(event.data.slice());
        this.handler?.(event);
    }) ?? true;
    this.start();
}});
"""


def test_the_microphone_is_listened_to(page_of, words, spliced):
    """The words are those that audioconv finds in the samples that came, and those of the file."""
    model = words[0]
    seconds = soundfile.info(spliced).duration
    flags = (*FAKE_MICROPHONE, f"--use-file-for-fake-audio-capture={spliced}%noloop")
    with served(page_of(model)) as address, browser.Browser(flags) as window:
        window.before_scripts(KEEP_WHAT_COMES)
        window.open(address, DESKTOP)
        window.wait_for(READY)
        window.evaluate("document.getElementById('listen').focus()")
        window.press("Enter")
        window.wait_for(f"{STATUS} === 'Listening …' || {NOTICE}")
        begun = time.monotonic()
        window.wait_for("document.querySelectorAll('#scores .reached').length")
        assert window.evaluate("document.getElementById('level').ariaValueText").endswith(" decibels")
        assert window.evaluate("document.getElementById('listen').textContent") == "Stop"
        while time.monotonic() < begun + seconds + 1:
            time.sleep(0.5)
            assert window.evaluate(NOTICE) == ""
        window.press("Enter")
        window.wait_for(f"{STATUS}.startsWith('Stopped.') || {NOTICE}")
        assert window.evaluate(NOTICE) == ""
        shown = pages.words(window)[::-1]
        rate = window.evaluate("new AudioContext().sampleRate")
        blocks = window.evaluate("came.map(block => btoa(String.fromCharCode(...new Uint8Array(block.buffer))))")
        assert window.complaints == []
    came = np.concatenate([np.frombuffer(base64.b64decode(block), np.float32) for block in blocks])
    assert len(came) / rate > seconds
    assert_same(shown, detect(model, came, sample_rate=rate), Detector(model).hop_seconds)
    # A busy computer loses pieces of what the browser plays as its microphone: words around which nothing is lost.
    # What decides about a word lies in windows of a second, of which those of 0.6 s are averaged.
    before = 1.6
    samples = read(spliced, rate)
    whole = []
    for one in detect(model, spliced):
        first = max(0, round((one.start - before) * rate))
        piece = samples[first : round((one.end + 0.8) * rate)]
        place = int(scipy.signal.correlate(came, piece, "valid", "fft").argmax())
        if np.corrcoef(came[place : place + len(piece)], piece)[0, 1] > 0.999:
            whole.append((one.label, one.start + (place - first) / rate))
    assert len(whole) >= 3
    for label, start in whole:
        assert any(one["label"] == label and abs(one["start"] - start) <= 0.15 for one in shown), (label, start, shown)


def assert_classified(window, model, path):
    """Assert that a page gives a short recording the probabilities and the answer that audioconv gives it."""
    window.choose_file("#file", path)
    window.wait_for(f"{STATUS}.startsWith({path.name!r}) || {NOTICE}")
    lines = window.evaluate("[...document.querySelectorAll('#answer-scores li')].map(line => ({...line.dataset}))")
    found = np.zeros(len(model.labels))
    for line in lines:
        found[int(line["code"])] = float(line["score"])
    (wanted,) = score_examples(model, of_model(model), [read(path, RATE)])
    np.testing.assert_allclose(found, wanted.probabilities, atol=1e-4)
    answers = model.decide(wanted.probabilities[None])
    answer = model.labels[answers.codes[0]] if answers.accepted[0] else ""
    assert window.evaluate("document.getElementById('answer-text').dataset.answer") == answer


def test_a_short_recording_is_classified(window, page_of, words, tmp_path):
    model, kept = words
    with served(page_of(model)) as address:
        window.open(address, DESKTOP)
        window.wait_for(READY)
        for number, (files, seconds) in enumerate(itertools.product(kept.values(), (0.4, 1.0, 1.6))):
            samples = np.concatenate([np.zeros(4000, np.float32), read(files[5], RATE), np.zeros(8000, np.float32)])
            path = tmp_path / f"{number}.flac"
            soundfile.write(path, samples[: round(seconds * RATE)], RATE, subtype="PCM_24")
            assert_classified(window, model, path)


def test_sounds_are_classified_by_all_windows(window, page_of, rng, tmp_path):
    model = model_of("tc-resnet8", samples=3 * RATE)
    with served(page_of(model)) as address:
        window.open(address, DESKTOP)
        window.wait_for(READY)
        for seconds in (2.0, 4.0, 5.4):
            samples = np.repeat(rng.uniform(0, 0.3, round(10 * seconds)), RATE // 10)
            path = tmp_path / f"{seconds}.wav"
            soundfile.write(path, samples * rng.uniform(-1, 1, len(samples)), RATE, subtype="FLOAT")
            assert_classified(window, model, path)


@pytest.mark.parametrize("arch", ["bc-resnet-1", "m5", "tc-cnn-l", "speech-embedding"])
def test_probabilities_of_windows(window, page_of, arch, rng):
    model = model_of(arch)
    clips = (10 ** rng.uniform(-4, 0, (8, 1)) * rng.standard_normal((8, model.clip_samples)) / 4).astype(np.float32)
    features = model.features(clips)
    with served(page_of(model)) as address:
        window.open(address, DESKTOP)
        window.wait_for(READY)
        call = f"""
        import('./network.js').then(async ({{loadModel}}) => {{
            const model = await loadModel();
            const bytes = Uint8Array.from(atob('{_base64(features)}'), c => c.charCodeAt(0));
            return [...await model.network(new Float32Array(bytes.buffer), 8)];
        }})
        """
        found = np.array(window.evaluate(call)).reshape(8, -1)
    np.testing.assert_allclose(found, model.probabilities(features), atol=1e-4)


def test_a_search_can_be_ended(ready, tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 600 * RATE), RATE)
    ready.choose_file("#file", path)
    ready.wait_for("document.getElementById('progress').checkVisibility()")
    assert ready.evaluate("document.getElementById('listen').textContent") == "Stop"
    ready.evaluate("document.getElementById('listen').click()")
    ready.wait_for(READY)
    assert "the first " in ready.evaluate("document.getElementById('found-caption').textContent")
    assert ready.evaluate("document.getElementById('listen').textContent") == "Listen"
    assert not ready.evaluate("document.getElementById('progress').checkVisibility()")


# --- modules ---


@pytest.mark.parametrize("seed", range(6))
def test_the_picker_is_that_of_python(ready, seed):
    """Of drawn scores and levels, in blocks: exactly the same events."""
    rng = np.random.default_rng(seed)
    model = model_of("tc-cnn")
    grid = Listener(model, None, 0.1, None).grid
    labels, count = list(model.labels), 400
    logits = np.cumsum(rng.normal(0, 0.6, (count, len(labels))), axis=0) * rng.uniform(0.3, 1)
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = (probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32)
    levels = (-60 + 8 * np.cumsum(rng.normal(0, 0.5, (count + 20) * grid.hop_rows)) % 40).astype(np.float32)
    track = LevelTrack(grid, -90.0)
    picker = EventPicker(labels, grid, track, 0.5)
    track.append(levels, 0)
    heard = Likeliest.among(model.decision, model.labels, probabilities)
    wanted = [picker.describe(one) for one in picker.push(heard)] + [picker.describe(one) for one in picker.flush()]
    assert len(wanted) > 5
    call = f"""
    Promise.all([import('./picker.js'), import('./windows.js')]).then(([{{LevelTrack, EventPicker}}, {{Grid}}]) => {{
        const settings = {json.dumps(settings(model))};
        const grid = new Grid(settings.grid);
        const levels = new LevelTrack(grid, -90, settings.endpoints);
        const picker = new EventPicker({json.dumps(labels)}, grid, levels, 0.5, settings.picker);
        levels.append(Float32Array.from({json.dumps(levels.tolist())}), 0);
        const heard = {json.dumps([[int(c), float(s)] for c, s in zip(heard.codes, heard.scores, strict=True)])};
        const found = [];
        for (let begin = 0; begin < heard.length; begin += 7) {{
            found.push(...picker.push(heard.slice(begin, begin + 7)));
        }}
        return [...found, ...picker.flush()].map(one => picker.describe(one));
    }})
    """
    assert ready.evaluate(call) == [one.to_json() for one in wanted]


def test_where_words_lie_is_that_of_python(ready, test_data):
    files = sorted((test_data / "speech-commands-9").rglob("*.flac"))[::400]
    rules = settings(model_of("tc-cnn"))["endpoints"]
    several = 0
    for number, (first, second) in enumerate(itertools.pairwise(files)):
        pause = np.zeros((1000, 8000, 20000)[number % 3], np.float32)
        samples = np.concatenate([read(first, RATE), pause, read(second, RATE)])
        try:
            wanted = [[one.begin, one.end] for one in endpoints.find_words(samples, RATE)]
        except endpoints.NoClearWordError:
            wanted = []
        call = f"""
        import('./endpoints.js').then(({{findWords}}) => {{
            const bytes = Uint8Array.from(atob('{_base64(samples)}'), c => c.charCodeAt(0));
            return findWords(new Float32Array(bytes.buffer), {RATE}, {json.dumps(rules)});
        }})
        """
        np.testing.assert_allclose(ready.evaluate(call), wanted, atol=1e-9)
        several += len(wanted) > 1
    assert several > 2


@pytest.mark.parametrize("from_rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_resampling(ready, from_rate):
    """Tones below both rates come out as they are, those above half the new rate do not."""
    lower = min(from_rate, RATE)
    tones = np.array([0.01, 0.11, 0.31, 0.44]) * lower
    time, new_time = np.arange(from_rate) / from_rate, np.arange(RATE) / RATE
    wanted = np.sin(2 * np.pi * np.outer(tones, new_time) + 1).sum(axis=0) / 8
    samples = np.sin(2 * np.pi * np.outer(tones, time) + 1).sum(axis=0) / 8
    if from_rate > RATE:
        above = np.array([0.501, 0.52, 0.6]) * RATE
        samples += np.sin(2 * np.pi * np.outer(above[above < from_rate / 2], time)).sum(axis=0) / 8
    call = f"""
    import('./resampler.js').then(({{Resampler}}) => {{
        const bytes = Uint8Array.from(atob('{_base64(samples.astype(np.float32))}'), c => c.charCodeAt(0));
        const samples = new Float32Array(bytes.buffer);
        return [samples.length, 1024, 77].map(size => {{
            const resampler = new Resampler({from_rate}, {RATE});
            const found = [];
            for (let begin = 0; begin < samples.length; begin += size) {{
                found.push(...resampler.push(samples.subarray(begin, begin + size)));
            }}
            return [...found, ...resampler.flush()];
        }});
    }})
    """
    found = ready.evaluate(call)
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == RATE
    inner = slice(RATE // 20, -RATE // 20)
    np.testing.assert_allclose(np.array(found[0])[inner], wanted[inner], atol=2e-5)


@pytest.mark.parametrize(
    ("format", "subtype", "rate"),
    [("WAV", "PCM_16", 22050), ("WAV", "FLOAT", 44100), ("FLAC", "PCM_16", 16000), ("OGG", "VORBIS", 44100),
     ("OGG", "OPUS", 48000), ("WAV", "PCM_16", 44099)],
)  # fmt: skip
def test_the_rate_of_a_file(ready, format, subtype, rate, tmp_path):
    path = tmp_path / "file"
    soundfile.write(path, np.zeros(4000, np.float32), rate, subtype, format=format)
    head = np.frombuffer(path.read_bytes()[:4096], np.uint8).tolist()
    wanted = 48000 if rate % 25 else rate
    assert ready.evaluate(f"import('./recording.js').then(m => m.nativeRate(Uint8Array.from({head})))") == wanted


# --- what is missing ---


def test_opened_as_a_file_it_says_how_to_serve_it(window, drawn):
    window.open(drawn / "index.html", DESKTOP)
    window.wait_for("getComputedStyle(document.getElementById('missing')).visibility === 'visible'")
    assert "python -m http.server" in window.evaluate("document.body.innerText")
    assert window.evaluate("document.getElementById('controls').checkVisibility()") is False


def test_where_the_page_is_not_secure_recordings_can_be_opened(drawn):
    with browser.Browser(["--host-resolver-rules=MAP page.test 127.0.0.1"]) as window, served(drawn) as address:
        window.open(address.replace("localhost", "page.test"), DESKTOP)
        window.wait_for(READY)
        assert window.evaluate(NOTICE).startswith("Browsers give the microphone to secure pages only")
        assert window.evaluate("document.getElementById('listen').disabled") is True


@pytest.mark.parametrize(
    ("script", "notice"),
    [
        ("delete window.WebAssembly", "This browser has no WebAssembly"),
        ("delete MediaDevices.prototype.getUserMedia", "This browser gives pages no microphone"),
        ("delete window.AudioWorkletNode", "This browser has no AudioWorklet"),
    ],
)
def test_what_the_browser_has_not(drawn, script, notice):
    with browser.Browser() as window, served(drawn) as address:
        window.before_scripts(script)
        window.open(address, DESKTOP)
        assert window.wait_for(NOTICE).startswith(notice)


@pytest.mark.parametrize(
    ("flags", "notice"),
    [
        (["--use-fake-device-for-media-stream", "--deny-permission-prompts"], "The browser may not use the microphone"),
        (["--use-fake-ui-for-media-stream"], "There is no microphone"),
    ],
)
def test_without_a_microphone(drawn, flags, notice):
    with browser.Browser(flags) as window, served(drawn) as address:
        window.open(address, DESKTOP)
        window.wait_for(READY)
        window.evaluate("document.getElementById('listen').click()")
        assert window.wait_for(NOTICE).startswith(notice)
        assert window.evaluate("document.getElementById('listen').textContent") == "Listen"
        window.wait_for("!document.getElementById('listen').disabled")


@pytest.mark.parametrize("name", ["model.json", "model.onnx", "front_end.onnx"])
def test_a_missing_file_is_named(window, drawn, name, tmp_path):
    folder = shutil.copytree(drawn, tmp_path / "page")
    (folder / name).unlink()
    with served(folder) as address:
        window.open(address, DESKTOP)
        wanted = f"The model could not be loaded. {name} could not be loaded (the server's answer is 404)."
        assert window.wait_for(NOTICE) == wanted


def test_a_recording_that_is_too_long_is_refused(ready, tmp_path):
    path = tmp_path / "very long.wav"
    soundfile.write(path, np.zeros(1300 * 8000, np.int16), 8000, subtype="PCM_U8")
    ready.choose_file("#file", path)
    assert ready.wait_for(NOTICE).startswith("very long.wav is longer than 20 minutes")


def test_what_is_no_recording_is_named(ready, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no sound")
    ready.drop_file(path, 200, 200)
    assert ready.wait_for(NOTICE).startswith("notes.txt cannot be read: this browser does not know its format")
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(3 * RATE), RATE)
    assert searched(ready, silence) == []
    assert ready.evaluate("document.getElementById('found-caption').textContent") == (
        "No word was found in silence.wav."
    )


# --- where the runtime comes from ---


@pytest.mark.parametrize("altered", [None, runtime.MODULE, runtime.WASM])
def test_from_the_network_the_runtime_must_be_the_pinned_one(altered, tmp_path):
    """The package's files are served in the place of the content delivery network; one changed byte is refused."""
    published = runtime.published()
    files = {}
    for address, name in ((published.module, runtime.MODULE), (published.wasm, runtime.WASM)):
        content = (runtime_folder() / "dist" / name).read_bytes()
        files[address] = content + b"\n" if name == altered else content
    if f"v{runtime.VERSION}".encode() not in files[published.module][:300]:
        pytest.skip(f"{pages.REASON}, of version {runtime.VERSION}")
    export(model_of("tc-cnn"), tmp_path / "page", format="web")
    with browser.Browser() as window, served(tmp_path / "page") as address:
        window.answer_with(files)
        window.open(address, DESKTOP)
        if altered is None:
            window.wait_for(READY)
            assert {url for url in window.requests if "localhost" not in url} == {*files, "data:,"} & set(
                window.requests
            )
            assert set(files) <= set(window.requests)
        else:
            assert "could not be loaded" in window.wait_for(NOTICE)
            assert window.evaluate("document.getElementById('controls').checkVisibility()") is False


# --- what is seen ---


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_labels_are_text(window, page_of, width, dark, tmp_path):
    labels = (HOSTILE, "a label " * 12, *LABELS[2:])
    model = model_of("tc-cnn", labels=labels, decision=Decision(stream_threshold=0.0, auxiliary=LABELS[3:]))
    path = tmp_path / f"{'recording ' * 12}.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 4 * RATE), RATE)
    short = tmp_path / "short.wav"
    soundfile.write(short, np.zeros(RATE), RATE)
    with served(page_of(model)) as address:
        window.requests.clear()
        window.complaints.clear()
        window.open(address, width, dark=dark)
        window.wait_for(READY)
        for file, shown in ((path, "#found-table"), (short, "#answer")):
            window.choose_file("#file", file)
            window.wait_for(f"!document.querySelector('{shown}').hidden && {READY}")
            assert window.evaluate("document.documentElement.scrollWidth") == width, window.evaluate(WIDER)
            assert window.evaluate(WIDER) == []
            assert window.evaluate(CONTRAST) == []
        assert HOSTILE in window.evaluate("document.body.innerText")
        assert window.evaluate("document.title").startswith('"><img')
        others = [url for url in window.requests if not url.startswith((address, "data:", "blob:"))]
        assert others == []
        assert window.complaints == []


def test_keyboards_reach_the_buttons_in_order(ready):
    ready.evaluate("document.activeElement.blur()")
    names = []
    for _ in range(2):
        ready.press("Tab")
        names.append(ready.evaluate("document.activeElement.textContent"))
    assert names == ["Listen", "Open a recording"]
    assert ready.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def _base64(array):
    return base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()
