"""The page in a real browser: nothing is loaded or complained of, nothing sticks out, and there is something to see."""

from __future__ import annotations

import io
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import report_examples as examples
from looks import CONTRAST, WIDER

from audioconv.report import write_report

browser = pytest.importorskip("drawing.browser", reason="the scripts are not beside the tests")

pytestmark = pytest.mark.skipif(browser.find() is None, reason="needs a browser: apt-get install chromium")

DESKTOP, PHONE = 1200, 390
MANY = tuple(
    f"{first}{second}" for first in "abcde" for second in ("ackward", "ird", "ight", "ollow", "orward", "isual", "o")
)

HOSTILE = '"><script src="http://127.0.0.1:9/x.js"></script><img src="http://127.0.0.1:9/x.png" onerror="alert(1)">'


@pytest.fixture(scope="module")
def window():
    with browser.Browser() as window:
        yield window


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    kinds = {"full": {}, "many": {"words": MANY, "clips": 6}, "two": {"words": ("yes", "no"), "negatives": 0},
             "hostile": {"words": (HOSTILE, "a label " * 12)}}  # fmt: skip
    for name, more in kinds.items():
        write_report(folder / f"{name}.html", examples.facts_of(folder / name, **more))
    return {name: folder / f"{name}.html" for name in kinds}


@pytest.mark.parametrize("name", ["full", "many", "two", "hostile"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_asks_for_nothing(window, pages, name, width, dark) -> None:
    window.requests.clear()
    window.complaints.clear()
    window.open(pages[name], width, dark=dark)
    assert window.evaluate("innerWidth") == width
    assert window.evaluate("document.documentElement.scrollWidth") == width, window.evaluate(WIDER)
    assert window.evaluate(WIDER) == []
    assert window.evaluate(CONTRAST) == []
    assert {url for url in window.requests if not url.startswith("data:")} == {pages[name].as_uri()}
    assert window.complaints == []


@pytest.mark.parametrize(("width", "dark"), list(itertools.product([DESKTOP, PHONE], [False, True])))
def test_there_is_something_to_see(window, pages, width, dark) -> None:
    image = pytest.importorskip("PIL.Image")
    window.open(pages["full"], width, dark=dark)
    shot = np.asarray(image.open(io.BytesIO(window.screenshot())).convert("RGB"))
    height = window.evaluate("document.documentElement.scrollHeight")
    assert shot.shape == (height, width, 3)
    some = shot[:, ::3].astype(np.int16)  # of the columns: enough to see, and quicker
    paper = some[5, 5]
    assert (paper.mean() < 60) == dark
    drawn = (abs(some - paper).max(axis=2) > 30).any(axis=1)
    blank = max((len(list(run)) for is_drawn, run in itertools.groupby(drawn) if not is_drawn), default=0)
    assert blank < 200, "no part of the page is left empty"
    assert len(np.unique(some @ np.array([65536, 256, 1]))) > 200, "spectrograms have many colours"


def test_its_pictures_and_sounds_are_there(window, pages) -> None:
    window.open(pages["full"], DESKTOP)
    loads = """
    Promise.all([...document.querySelectorAll('audio')].map(a => new Promise(done => {
        a.addEventListener('loadedmetadata', () => done(a.duration));
        a.addEventListener('error', () => done(-1));
        a.preload = 'metadata';
        a.load();
    })))
    """
    durations = window.evaluate(loads)
    assert len(durations) > 4
    assert durations == pytest.approx([1.0] * len(durations), abs=0.05)
    decoded = """
    Promise.all([...document.querySelectorAll('svg image')].map(i => {
        const picture = new Image();
        picture.src = i.getAttribute('href');
        return picture.decode().then(() => picture.naturalWidth);
    }))
    """
    widths = window.evaluate(decoded)
    assert len(widths) == len(durations)
    assert min(widths) > 50


def test_labels_of_a_drawing_do_not_lie_on_each_other(window, pages) -> None:
    overlapping = """
    [...document.querySelectorAll('svg')].filter(s => s.getClientRects().length).flatMap(s => {
        const texts = [...s.querySelectorAll('text.tick, text.title')];
        const boxes = texts.map(t => [t.textContent, t.getBoundingClientRect()]);
        return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([b, q]) =>
            p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 2 && q.top < p.bottom - 2
        ).map(([b]) => `${s.getAttribute('aria-label').slice(0, 30)}: ${a} on ${b}`));
    })
    """
    for name, width in itertools.product(pages, (DESKTOP, PHONE)):
        window.open(pages[name], width)
        assert window.evaluate(overlapping) == [], (name, width)


def test_keyboards_reach_what_moves_by_itself(window, pages) -> None:
    window.open(pages["many"], PHONE)
    scrolled = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth)"
    assert window.evaluate(f"{scrolled}.length") > 0
    assert window.evaluate(f"{scrolled}.every(e => e.tabIndex === 0 && e.getAttribute('aria-label'))")


def test_it_prints(window, pages) -> None:
    window.open(pages["full"], DESKTOP, dark=True)
    content = window.pdf()
    assert content.startswith(b"%PDF-")
    sheets = len(re.findall(rb"/Type\s*/Page\b", content))
    assert 4 <= sheets <= 14
    boxes = {tuple(round(float(n)) for n in box.split()) for box in re.findall(rb"/MediaBox\s*\[([^]]*)\]", content)}
    assert len(boxes) == 1
    (box,) = boxes
    assert box[2:] == pytest.approx((595, 842), abs=2), f"A4, not {json.dumps(box)}"


def test_on_paper_it_is_light_and_details_are_open(window, pages) -> None:
    window.open(pages["full"], DESKTOP, dark=True)
    window.emulate(media="print")
    assert window.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert window.evaluate("[...document.querySelectorAll('audio, nav')].every(e => !e.getClientRects().length)")
    hidden = "[...document.querySelectorAll('details table, details dl')].filter(e => !e.checkVisibility()).length"
    assert window.evaluate(hidden) == 0


def test_on_paper_nothing_is_cut_off(window, pages) -> None:
    """Of A4, 178 mm are left between the margins."""
    width = int(178 / 25.4 * 96)
    for name in pages:
        window.open(pages[name], width)
        window.emulate(media="print")
        assert window.evaluate("document.documentElement.scrollWidth") <= width, name
