"""What pages are written with: elements, numbers, drawings, pictures."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audioconv.evaluation import percent
from audioconv.io.png import PALETTE, encode, heat
from audioconv.report.html import Html, join, table, tag, text
from audioconv.report.svg import Axis, Plot, logarithmic, probit, shares


@given(st.text())
def test_text_stays_text(written) -> None:
    """Whatever is written into an element and its attribute comes out of a parser, and nothing else."""
    shown = tag("p", written, title=written)
    found = ET.fromstring(shown)
    assert len(found) == 0
    assert set(found.attrib) == {"title"}
    if written.isprintable():
        assert (found.text or "") == found.attrib["title"] == written


def test_markup_is_written_as_it_is() -> None:
    assert tag("p", Html("<b>"), "<b>", None, ["a", ["&"]]) == "<p><b>&lt;b&gt;a&amp;</p>"
    assert tag("audio", controls=True, src=None, preload="none") == '<audio controls preload="none"></audio>'
    assert tag("img", alt='"', aria_label="x") == '<img alt="&quot;" aria-label="x">'
    assert isinstance(join("a"), Html)


@pytest.mark.parametrize("hidden", ["\x1b", "\x00", "\u202e", "\u200b", "\ud83d"])
def test_what_cannot_be_seen_is_escaped(hidden) -> None:
    shown = text(f"a{hidden}b")
    assert hidden not in shown
    assert shown.encode("utf-8").isascii()


def test_tables_have_headers_for_rows_and_columns() -> None:
    found = ET.fromstring(table(["class", "clips"], [["yes", 1], ["no", 2]], "Clips"))
    assert [cell.get("scope") for cell in found.iter("th")] == ["col", "col", "row", "row"]
    assert found.find(".//caption").text == found.get("aria-label") == "Clips"


@given(st.floats(0, 1))
def test_shares_near_the_ends_do_not_look_like_them(share) -> None:
    assert (percent(share) == "0%") == (share == 0)
    assert (percent(share) == "100%") == (share == 1)
    assert float(percent(share).strip("<>%")) == pytest.approx(100 * share, abs=0.051)


# --- drawings ---


def test_axes_place_their_ends_at_the_ends() -> None:
    for scale, low, high in ((logarithmic, 0.1, 100), (probit, 0.001, 0.6), (lambda v: v, -1, 3)):
        axis = Axis(low, high, [], scale=scale)
        assert axis.places([low, high]) == pytest.approx([0, 1])
        assert (np.diff(axis.places(np.linspace(low, high, 20))) > 0).all()
        assert axis.places([low - 1, high + 1]) == pytest.approx([0, 1]), "what lies beyond is at the end"
    assert Axis(0.1, 0.9, [], scale=probit).places(0.5) == pytest.approx(0.5)
    assert Axis(1, 100, [], scale=logarithmic).places(10) == pytest.approx(0.5)


def test_a_line_goes_through_its_points() -> None:
    plot = Plot(shares(), shares(), 100, 100, left=0, bottom=0, top=0, right=0)
    plot.line([0, 0.25, 0.5, 0.5, 0.5, 1], [0, 0.25, 0.5, 0.5, 0.75, 1])
    found = ET.fromstring(plot.render("a line"))
    (path,) = (part.get("d") for part in found.iter("path"))
    assert path == "M0 100L50 50L50 25L100 0", "points on the way are left out, corners are not"
    assert (found.get("role"), found.get("aria-label")) == ("img", "a line")


def test_areas_reach_down_to_their_lower_line() -> None:
    plot = Plot(shares(), shares(), 100, 100, left=0, bottom=0, top=0, right=0)
    plot.area([0, 1, 1], [0, 0, 0], [0.5, 1, 1])
    assert 'd="M0 50L100 0L100 100L0 100Z"' in plot.render("an area")


def test_bars_and_dots() -> None:
    plot = Plot(shares(), shares(), 100, 100, left=0, bottom=0, top=0, right=0)
    plot.bars([0, 0.5, 1], [0, 0], [0.5, 0], gap=0)
    plot.dot(0.5, 1)
    found = ET.fromstring(plot.render("bars"))
    assert [(bar.get("x"), bar.get("y"), bar.get("width"), bar.get("height")) for bar in found.iter("rect")] == [
        ("0", "50", "50", "50")
    ], "an empty bar is not drawn"
    assert [(dot.get("cx"), dot.get("cy")) for dot in found.iter("circle")] == [("50", "0")]


def test_labels_of_a_drawing_are_text() -> None:
    plot = Plot(Axis(0, 1, [(0.5, "<b>")], "<i>"), shares())
    plot.note(0.5, 0.5, ["<script>"])
    found = ET.fromstring(plot.render('"><script>'))
    assert not list(found.iter("script"))
    assert {"<b>", "<i>", "<script>"} <= {part.text for part in found.iter("text")}


# --- pictures ---


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_come_back_as_they_were(channels, rng) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = rng.integers(0, 256, (5, 7, channels), np.uint8)
    found = np.asarray(image.open(io.BytesIO(encode(pixels))))
    assert np.array_equal(found.reshape(pixels.shape), pixels)


def test_heat_is_in_the_palettes_colours() -> None:
    image = pytest.importorskip("PIL.Image")
    found = np.asarray(image.open(io.BytesIO(heat(np.array([[0.0, 0.5, 1.0, 2.0]])))).convert("RGB"))
    assert np.array_equal(found[0], PALETTE[[0, 128, 255, 255]])
    lightness = PALETTE @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > -0.6).all(), "each colour is lighter than the one before, but for rounding"
