"""The page of `audioconv lab` in a real browser, before a server whose contents are invented."""

from __future__ import annotations

import json
import time

import pytest

pytest.importorskip("playwright", reason="needs the package playwright")
pytest.importorskip("uvicorn", reason="needs the extra: pip install 'audioconv[lab]'")

import axe
import fake_lab
import labs
from fake_lab import BACKGROUND, OTHER, FakeLab, clip, run
from looks import CONTRAST, WIDER

browser = pytest.importorskip("drawing.browser", reason="the scripts are not beside the tests")
pages = pytest.importorskip("drawing.lab", reason="the scripts are not beside the tests")
opened, until = pages.opened, pages.until
DESKTOP, TABLET, PHONE = pages.DESKTOP, pages.TABLET, pages.PHONE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.find() is None, reason="needs a browser: apt-get install chromium"),
]

HOSTILE = '"><img src=x onerror="document.title = 1"><script>document.title = 2</script>'
SHIFT = """
    window.shift = 0;
    const add = (entry) => (window.shift += entry.hadRecentInput ? 0 : entry.value);
    new PerformanceObserver((list) => list.getEntries().forEach(add))
        .observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def microphone(tmp_path_factory):
    fake = pages.FakeMicrophone(tmp_path_factory.mktemp("microphone") / "microphone.wav")
    fake.silence(30)
    return fake


@pytest.fixture(scope="module")
def chromium(microphone):
    with pages.chromium(microphone.path) as started:
        yield started


@pytest.fixture
def fake():
    return FakeLab()


@pytest.fixture
def lab(fake, chromium):
    """Return a function that opens the page of the fake; errors of its scripts fail the test."""
    with fake_lab.served(fake) as address:
        found = []

        def open_page(*arguments, **options):
            found.append(opened(chromium, address, *arguments, **options))
            return found[-1]

        yield open_page
        for page in found:
            errors = page.errors
            page.context.close()
            assert errors == []


def asked(fake: FakeLab, method: str, path: str) -> list:
    """Return the bodies of requests, as JSON."""
    return [
        json.loads(body or b"null")
        for way, where, body in fake.requests
        if way == method and where.partition("?")[0] == path
    ]


def fill(fake: FakeLab, state: str) -> None:
    if state != "empty":
        fake.fill()
    if state == "training":
        fake.project["run"] = run("training")
    if state == "trained":
        fake.train()


# --- how it looks ---


@pytest.mark.parametrize("state", ["empty", "training", "trained"])
@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE, (320, 640)])
def test_nothing_is_wider_than_the_page(lab, fake, state, size):
    fill(fake, state)
    for language in ("en", "de", "fr") if size[0] < 1000 else ("de",):
        page = lab(size, language=language)
        page.wait_for_timeout(300)
        wider = page.evaluate(WIDER)
        assert [one for one in wider if not one.startswith(("PRE", "TH", "TD", "TR", "TABLE", "TBODY", "THEAD"))] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out(lab, fake, dark):
    fill(fake, "trained")
    page = lab(dark=dark)
    page.click("#clip-4")
    assert [one for one in page.evaluate(CONTRAST) if not one.startswith("BUTTON")] == []


@pytest.mark.skipif(axe.axe() is None, reason=axe.AXE_REASON)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("state", ["empty", "training", "trained", "listening", "dialogs"])
def test_axe_finds_no_fault_of_accessibility(lab, fake, state, size, dark):
    fill(fake, "trained" if state in ("listening", "dialogs") else state)
    page = lab(size, dark=dark)
    if state == "trained":
        page.click("#clip-1")
        for summary in page.query_selector_all(".export summary, #options summary"):
            summary.click()
    if state == "listening":
        page.click("#listen-button")
        page.wait_for_selector("#events li:nth-child(2)")
        page.click("#events li [data-kind=wrong]")
        page.wait_for_selector("#events select")
    faults = []
    dialogs = ["keys-dialog", "trim-dialog", "voices-dialog", "ask-dialog"] if state == "dialogs" else [None]
    page.evaluate(axe.axe().read_text("utf-8"))
    for dialog in dialogs:
        if dialog == "trim-dialog":
            page.click("#clip-1")
            page.click("#clip-trim")
        elif dialog == "ask-dialog":
            page.click("#rename-class")
        elif dialog == "voices-dialog":
            fake.answers["voices"] = {"languages": [{"code": "en", "name": "English"}], "engines": ["espeak-ng"]}
            page.click("#open-voices")
        elif dialog:
            page.evaluate(f"document.getElementById('{dialog}').showModal()")
        found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        faults += [
            (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found["violations"]
        ]
        if dialog:
            page.keyboard.press("Escape")
    assert faults == []


def test_parts_stay_where_they_are_while_it_loads(lab, fake):
    fill(fake, "trained")
    page = lab()
    page.add_init_script(SHIFT)
    page.reload()
    page.wait_for_selector("body:not(.loading)")
    page.wait_for_timeout(1000)
    assert page.evaluate("shift") < 0.02


def test_the_language_is_that_of_the_browser_until_another_is_chosen(lab, fake):
    page = lab(language="fr-CA")
    assert page.inner_text("#collect-title") == "Collecter"
    assert page.evaluate("document.documentElement.lang") == "fr"
    with page.expect_navigation():
        page.select_option("#language", "zh")
    until(page, "document.getElementById('collect-title').textContent === '收集'")
    assert lab(language="pl").inner_text("#collect-title") == "Collect"


# --- collecting ---


def test_from_background_to_a_word_by_keyboard(lab, fake):
    page = lab()
    page.keyboard.press("Space")
    page.wait_for_selector("#recorder.running")
    page.wait_for_selector("#clips [role=option]")
    page.keyboard.press("Space")
    page.wait_for_selector("#recorder:not(.running)")
    assert page.evaluate("document.activeElement.id") == "new-class"
    page.keyboard.type("left")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.id === 'record'")
    page.keyboard.press("Space")
    until(page, "document.querySelectorAll('#clips [role=option]').length >= 3")
    page.keyboard.press("Space")
    page.wait_for_selector("#recorder:not(.running)")
    assert len(fake.clips["left"]) >= 3
    assert page.inner_text("#record-status") == f"{len(fake.clips['left'])} takes stored."
    assert list(fake.clips) == [BACKGROUND, "left"]


def test_a_held_button_records_until_it_is_let_go(lab, fake):
    fake.fill()
    before = len(fake.clips["left"])
    page = lab()
    page.hover("#record")
    page.mouse.down()
    until(page, f"document.getElementById('clips-title').textContent >= '{before + 2} clips'")
    page.mouse.up()
    page.wait_for_selector("#recorder:not(.running)")
    assert len(fake.clips["left"]) >= before + 2


def test_the_background_ends_by_itself(lab, fake):
    page = lab()
    page.click("#record")
    began = time.monotonic()
    until(page, "document.getElementById('record-status').textContent === '3 of 20 s'")
    page.wait_for_selector("#recorder:not(.running)", timeout=30_000)
    assert 19 < time.monotonic() - began < 25


def test_the_microphone_is_left_as_it_is(lab, fake):
    page = lab()
    page.evaluate("""() => {
        const given = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = (wanted) => (window.wanted = wanted, given(wanted));
    }""")
    page.click("#record")
    page.wait_for_selector("#recorder.running")
    page.click("#record")
    page.wait_for_selector("#recorder:not(.running)")
    wanted = page.evaluate("wanted.audio")
    assert [wanted[name] for name in ("echoCancellation", "noiseSuppression", "autoGainControl")] == [False] * 3


def test_a_refused_microphone_is_a_sentence(lab, fake):
    page = lab()
    page.evaluate("""() => {
        navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };
    }""")
    page.click("#record")
    until(page, "document.getElementById('notice').textContent.includes('Allow it in the settings')")
    assert page.inner_text("#record") == "Record 20 s"


def test_files_and_folders_go_into_classes(lab, fake, tmp_path):
    fake.fill()
    folder = tmp_path / "more"
    for name in ("up", "down", "models"):
        (folder / name).mkdir(parents=True)
        (folder / name / "one.wav").write_bytes(b"RIFF")
    page = lab()
    page.set_input_files("#files", [str(folder / "up" / "one.wav")])
    until(page, "document.getElementById('toast-text').textContent === '1 added.'")
    page.set_input_files("#directory", str(folder))
    until(page, "document.getElementById('toast-text').textContent === '2 added.'")
    uploads = sorted(where for way, where, _ in fake.requests if way == "POST")
    assert uploads == [f"clips?class={name}&name=one.wav" for name in ("down", "left", "up")]


def test_ten_thousand_clips_scroll_at_once(lab, fake):
    fake.fill()
    fake.clips["left"] = [clip("left", n) for n in range(10_000)]
    page = lab()
    page.wait_for_selector("#clips [role=option] img[src]")
    assert page.evaluate("performance.now()") < 2000
    assert page.evaluate("document.querySelectorAll('#clips [role=option]').length") < 120
    took = page.evaluate("""async () => {
        const pane = document.getElementById('collect');
        let longest = 0;
        for (let place = 1; place <= 40; place += 1) {
            const began = performance.now();
            pane.scrollTop = pane.scrollHeight * place / 40;
            await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
            longest = Math.max(longest, performance.now() - began);
        }
        return longest;
    }""")
    assert took < 250
    until(
        page, "[...document.querySelectorAll('#clips [role=option]')].at(-1).getAttribute('aria-posinset') === '10000'"
    )
    page.wait_for_selector("#clip-9999 img[src]")
    page.evaluate("document.getElementById('collect').scrollTop = 0")
    page.focus("#clips")
    page.keyboard.press("End")
    page.wait_for_selector("#clip-9999[aria-selected=true]")
    assert page.get_attribute("#clips", "aria-activedescendant") == "clip-9999"


def test_clips_are_chosen_moved_deleted_and_taken_back(lab, fake):
    fake.fill()
    fake.answers["undo"] = {"undone": "deleted 3 clips of left"}
    first = [one["id"] for one in fake.clips["left"]]
    page = lab()
    page.click("#clip-1")
    page.click("#clip-3", modifiers=["Shift"])
    assert page.inner_text("#clip-line") == "3 clips chosen"
    page.keyboard.press("Delete")
    until(page, "document.getElementById('toast-text').textContent === '3 clips deleted.'")
    assert asked(fake, "POST", "clips/delete") == [{"ids": first[1:4]}]
    page.keyboard.press("u")
    until(page, "document.getElementById('toast-text').textContent.startsWith('Undone')")
    page.click("#clip-0")
    page.select_option("#clip-move", "right")
    until(page, "document.getElementById('toast-text').textContent === '1 clip moved to right.'")
    assert asked(fake, "POST", "clips/move") == [{"ids": [first[0]], "class": "right"}]


def test_a_fault_stands_beside_its_clip(lab, fake):
    fake.fill()
    page = lab()
    page.wait_for_selector("#clip-4.faulty")
    page.click("#clip-4")
    assert "clipped" in page.inner_text("#clip-line")
    assert "clipped" in page.text_content("#clip-4")


def test_a_clip_is_trimmed(lab, fake):
    fake.fill()
    one = fake.clips["left"][0]
    fake.answers[f"clips/{one['id']}"] = one
    page = lab()
    page.click("#clip-0")
    page.click("#clip-trim")
    page.fill("#trim-begin", "0.2")
    page.click("#trim-apply")
    page.wait_for_selector("#trim-dialog:not([open])", state="attached")
    assert asked(fake, "PATCH", f"clips/{one['id']}") == [{"begin": 0.2, "end": one["seconds"]}]


def test_names_are_text(lab, fake):
    fake.fill()
    fake.clips[HOSTILE] = [clip(HOSTILE, 1, speaker=HOSTILE, name=HOSTILE)]
    fake.project["name"] = HOSTILE
    page = lab()
    page.get_by_role("radio", name=HOSTILE).check(force=True)
    page.wait_for_selector("#clip-0 img[src]")
    page.click("#clip-0")
    assert page.inner_text("#class-title") == HOSTILE
    assert page.title() == f"{HOSTILE} · audioconv lab"
    assert page.evaluate("document.querySelectorAll('[onerror], body script').length") == 0


def test_letters_can_be_switched_off(lab, fake):
    fill(fake, "trained")
    page = lab()
    page.keyboard.press("?")
    page.uncheck("#letters")
    page.click("#keys-close")
    page.keyboard.press("?")
    page.keyboard.press("t")
    page.wait_for_timeout(200)
    assert not page.is_visible("#keys-dialog")
    assert asked(fake, "POST", "train") == []


# --- training, listening, taking away ---


def test_a_training_is_followed_and_its_results_come(lab, fake):
    fake.fill()
    fake.answers["train"] = run("reading", 0)
    page = lab()
    page.click("summary")
    page.get_by_label("Time at most").fill("60")
    page.get_by_label("Vary the clips").uncheck()
    page.get_by_label("Reject").select_option("yes")
    page.click("#train-button")
    until(page, "document.getElementById('run-state').textContent === 'Reading the clips'")
    assert asked(fake, "POST", "train") == [{"budget": 60, "augment": False, "reject": True}]
    fake.publish({"type": "run", "run": run("training", 12)})
    until(page, "document.getElementById('run-state').textContent === 'Training · epoch 12 of 30'")
    assert page.inner_text("#run-left") == "about 21\N{NO-BREAK SPACE}s left"
    assert page.evaluate("document.querySelectorAll('#curves path').length") == 4
    fake.train()
    fake.publish({"type": "run", "run": fake.project["run"]})
    fake.publish({"type": "project", "revision": 2})
    page.wait_for_selector(".tiles")
    assert page.inner_text(".tiles div:first-child").split("\n") == [
        "accuracy",
        "94.5%",
        "85.3% to 98.1%",
        "of 55 clips",
    ]
    assert page.inner_text(".confusion tbody tr:first-child").split() == ["left", "17", "1", "0", "0"]


def test_a_wrong_label_is_mended_beside_its_mistake(lab, fake):
    fill(fake, "trained")
    page = lab()
    page.select_option(".mistake select", "right")
    page.wait_for_selector(".mistake.mended")
    assert asked(fake, "POST", "clips/move") == [{"ids": ["left/take_00003.flac"], "class": "right"}]


def test_listening_finds_words_and_takes_verdicts(lab, fake):
    def types():
        return [message["type"] for message in asked(fake, "WS", "listen")]

    fill(fake, "trained")
    page = lab()
    page.click("#listen-button")
    page.wait_for_selector("#events li")
    assert page.inner_text("#scores li:first-child").split("\n")[0] == "left"
    page.keyboard.press("w")
    page.wait_for_selector("#events select")
    assert page.eval_on_selector("#events select", "field => field.value") == OTHER
    page.select_option("#missed-word", "stop")
    page.keyboard.press("m")
    until(page, "document.getElementById('toast-text').textContent === 'stored in stop'")
    page.click("#listen-button")
    until(page, "document.getElementById('listen-button').textContent === 'Listen'")
    # The button changes before the last sound is sent; the end of the stream follows it.
    labs.until(lambda: "stop" in types())
    assert [one for one in types() if one != "threshold"] == ["verdict", "missed", "stop"]


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({}, ""),
        ({"network": 1, "networks": 2, "averaged": True}, "run 1 of 2, whose networks are averaged"),
        ({"network": 2, "networks": 2, "averaged": True}, "run 2 of 2, whose networks are averaged"),
        ({"network": 1, "networks": 4}, "network 1 of 4, each without some of the clips, to measure with them"),
        ({"network": 4, "networks": 4}, "network 4 of 4: the model, of all clips"),
    ],
    ids=str,
)
def test_which_of_several_runs_it_is(lab, fake, more, note):
    fake.fill()
    fake.project["run"] = run("training", **more)
    page = lab()
    until(page, "document.getElementById('run-state').textContent !== ''")
    assert page.inner_text("#run-note") == note


def test_the_slider_says_what_a_threshold_costs(lab, fake):
    fill(fake, "trained")
    page = lab()
    before = page.inner_text("#cost")
    page.focus("#threshold")
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert page.inner_text("#threshold-text") == "72.0%"
    assert page.inner_text("#cost") != before
    assert "Finds 87% of the words, misses 13%" in page.inner_text("#cost")


def test_a_recording_is_searched(lab, fake, tmp_path):
    fill(fake, "trained")
    times = [n / 10 for n in range(100)]
    fake.answers["search"] = {
        "seconds": 10.0, "times": times, "scores": {"left": [0.1] * 100, "right": [0.2] * 100}, "levels": [-30.0] * 100,
        "events": [{"label": "left", "score": 0.97, "time": 2.5, "begin": 2.0, "end": 2.5}],
    }  # fmt: skip
    recording = tmp_path / "afternoon.wav"
    recording.write_bytes(fake_lab._sound("x"))
    page = lab()
    page.set_input_files("#search-file", str(recording))
    page.wait_for_selector("#search-events li")
    assert page.inner_text("#search-title") == "1 word in afternoon.wav"
    assert page.evaluate("document.querySelectorAll('#timeline .band').length") == 1


def test_every_format_is_offered_with_what_uses_it(lab, fake):
    fill(fake, "trained")
    fake.answers["exports/onnx"] = {"what": "a file"}
    page = lab()
    titles = [one.inner_text() for one in page.query_selector_all(".export summary")]
    assert [title.split("\n")[0] for title in titles] == [
        "Model file",
        "Report",
        "ONNX",
        "TensorFlow Lite",
        "C99 source",
    ]
    page.click(".export[data-format=onnx] summary")
    with page.expect_download() as download:
        page.click(".export[data-format=onnx] button:has-text('Download')")
    assert json.loads(download.value.path().read_bytes()) == {"what": "a file"}
    page.click(".export[data-format=c] summary")
    assert "too large" in page.inner_text(".export[data-format=c]")
    assert page.is_disabled(".export[data-format=c] button:has-text('Download')")


# --- the server ---


def test_a_page_without_token_says_so(fake, chromium):
    with fake_lab.served(fake) as address:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(address.partition("#")[0])
        until(page, "document.getElementById('notice').textContent.includes('Open the address')")
        context.close()


def test_the_token_leaves_the_address_and_nothing_comes_from_elsewhere(lab, fake):
    fill(fake, "trained")
    page = lab()
    assert "token" not in page.url
    page.reload()
    page.wait_for_selector("body:not(.loading)")
    host = page.url
    assert [one for one in page.addresses if not one.startswith((host, "blob:"))] == []


def test_a_lost_server_is_said_and_found_again(fake, chromium):
    fake.fill()
    with fake_lab.served(fake) as address:
        page = opened(chromium, address)
    until(page, "document.getElementById('notice').textContent.includes('does not answer')")
    page.context.close()
