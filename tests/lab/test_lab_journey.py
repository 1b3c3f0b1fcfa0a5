"""From an empty folder to words that are found, in a real browser with a microphone that says real words."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

resource = pytest.importorskip("resource", reason="needs limits of a process")
pytest.importorskip("playwright", reason="needs the package playwright")
pytest.importorskip("uvicorn", reason="needs the extra: pip install 'audioconv[lab]'")

browser = pytest.importorskip("drawing.browser", reason="the scripts are not beside the tests")
lab = pytest.importorskip("drawing.lab", reason="the scripts are not beside the tests")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(browser.find() is None, reason="needs a browser: apt-get install chromium"),
]

WORDS, OTHERS = ("left", "right", "zero"), ("go", "five", "down")
TAKES = 10
MAX_SECONDS, CORES = 240, 2


def test_from_an_empty_folder_to_words_that_are_found_and_mended(test_data, tmp_path):
    files = {word: sorted((test_data / "speech-commands-9" / word).iterdir()) for word in (*WORDS, *OTHERS)}
    microphone = lab.FakeMicrophone(tmp_path / "microphone.wav")
    folder, journey = tmp_path / "project", lab.Journey()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with lab.chromium(microphone.path) as window, lab.served(folder) as address:
        page = lab.opened(window, address)
        lab.collect(page, microphone, {word: files[word][:TAKES] for word in WORDS}, journey)
        stored = {word: len(list((folder / word).iterdir())) for word in WORDS}
        # Some of those who speak here hesitate: not every clip of the recordings is one clear word.
        assert all(TAKES - 2 <= count <= TAKES + 2 for count in stored.values()), stored

        lab.train(page, journey)
        said = [files[word][100 + number] for number in range(4) for word in WORDS]
        found = lab.listen(page, microphone, lab.spoken(said), journey)
        right = Counter(found) & Counter(said_word.parent.name for said_word in said)
        assert sum(right.values()) >= 6, found
        # Other words, at a threshold that takes them for one of the three.
        lab.set_threshold(page, 0.01)
        assert lab.listen_again(page, microphone, lab.spoken([files[word][5] for word in OTHERS]), journey)
        page.click("#events li [data-kind=wrong]")
        lab.until(page, "document.querySelector('#events select') !== null")
        assert len(list((folder / "_unknown_").iterdir())) == 1
        lab.listen_again(page, microphone, lab.spoken(files["zero"][50:51]), journey)
        page.select_option("#missed-word", "zero")
        page.click("#missed-button")
        lab.until(page, "document.getElementById('toast-text').textContent === 'stored in zero'")
        assert len(list((folder / "zero").iterdir())) == stored["zero"] + 1
        page.click("#listen-button")

        lab.train(page, journey, "second training")
        again = lab.listen(page, microphone, lab.spoken(said[:6]), journey)
        assert page.errors == []
    assert len(again) >= 3, again
    # Seconds of processors rather than of the clock, beside what the sounds last: other programs make them no more.
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert journey.sound_seconds + processor_seconds / CORES < MAX_SECONDS, (journey, processor_seconds)


def test_pictures_from_files_and_the_camera(test_data, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="needs the extra: pip install 'audioconv[images]'")
    digits = np.load(test_data / "mnist" / "mnist.npz")
    dropped = tmp_path / "digits"
    for name, digit in (("nought", 0), ("one", 1)):
        (dropped / name).mkdir(parents=True)
        for number, pixels in enumerate(digits["x_train"][digits["y_train"] == digit][:30]):
            image.fromarray(pixels).save(dropped / name / f"{number}.png")
    asked = tmp_path / "asked.png"
    image.fromarray(digits["x_test"][digits["y_test"] == 1][0]).save(asked)
    folder = tmp_path / "project"
    with lab.chromium() as window, lab.served(folder) as address:
        page = lab.opened(window, address)
        page.click("#kinds [data-kind=images]")
        page.set_input_files("#directory", str(dropped))
        lab.until(page, "document.getElementById('toast-text').textContent === '60 added.'", 60)
        assert page.inner_text("#classes").split("\n")[:4] == ["nought", "30 pictures", "one", "30 pictures"]

        lab.train(page, lab.Journey())
        page.set_input_files("#search-file", str(asked))
        lab.until(page, "document.querySelectorAll('#timeline .scores li').length === 2")
        assert page.inner_text("#timeline .scores li:first-child").split("\n")[0] == "one"
        page.click("#listen-button")
        lab.until(page, "document.querySelector('#scores .number').textContent.endsWith('%')")
        page.click("#listen-button")

        page.fill("#new-class", "screen")
        page.keyboard.press("Enter")
        lab.until(page, "document.getElementById('class-title').textContent === 'screen'")
        page.click("#shoot")  # opens the camera
        lab.until(page, "document.getElementById('shoot').textContent.startsWith('Hold')")
        page.hover("#shoot")
        page.mouse.down()
        lab.until(page, "document.querySelectorAll('#clips [role=option]').length >= 3")
        page.mouse.up()
        assert page.errors == []
    assert len(list((folder / "screen").iterdir())) >= 3
