"""The page's files, without a browser: texts in all languages, names that fit, nothing from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import audioconv
from audioconv.pages import PALETTE, shared

STATIC = Path(audioconv.__file__).parent / "lab" / "static"
PACKAGE = Path(audioconv.__file__).parent
SCRIPTS = {path.name: path.read_text("utf-8") for path in sorted(STATIC.glob("*.js"))}
PAGE = (STATIC / "index.html").read_text("utf-8")

# Parts of names of texts, to which a script adds what the server says.
COMPOSED = ("run_", "fault_", "option_", "choice_")


@pytest.fixture(scope="module")
def table():
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js: apt-get install nodejs")
    script = "import(process.argv[1]).then(({LANGUAGES, TEXTS}) => console.log(JSON.stringify([LANGUAGES, TEXTS])))"
    found = subprocess.run(
        [node, "--input-type=module", "-e", script, (STATIC / "texts.js").as_uri()], capture_output=True, check=True
    )
    return json.loads(found.stdout)


def test_every_text_is_there_in_five_languages(table):
    languages, texts = table
    assert [code for code, _ in languages] == ["en", "de", "es", "fr", "zh"]
    for key, versions in texts.items():
        assert len(versions) == 5, key
        assert all(text.strip() for text in versions), key


def test_texts_have_the_same_values_in_all_languages(table):
    for key, versions in table[1].items():
        values = [set(re.findall(r"\{(\w+)[|}]", text)) for text in versions]
        assert all(one == values[0] for one in values), (key, values)


def test_texts_that_are_asked_for_are_those_that_there_are(table):
    asked = set(re.findall(r'data-(?:text|label|hint)="(\w+)"', PAGE))
    for script in SCRIPTS.values():
        asked |= set(re.findall(r'"(\w+)"', script)) & set(table[1])
        named = set(re.findall(r'\bt\(\s*"(\w+)"', script))
        assert named <= set(table[1]), named - set(table[1])
    composed = {key for key in table[1] if key.startswith(COMPOSED)}
    assert asked <= set(table[1]), asked - set(table[1])
    assert set(table[1]) - composed - asked == set()


def test_scripts_name_elements_of_the_page():
    there = re.findall(r'\bid="([\w-]+)"', PAGE)
    assert len(there) == len(set(there))
    for name, script in SCRIPTS.items():
        assert set(re.findall(r'byId\("([\w-]+)"\)', script)) <= set(there), name


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_scripts_set_text_and_never_html(name):
    forbidden = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", SCRIPTS[name]
    )
    assert not forbidden


def test_nothing_comes_from_other_hosts():
    for path in STATIC.iterdir():
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text("utf-8")))
        assert addresses <= {"http://www.w3.org", "//www.w3.org"} or path.name == "texts.js", path.name
    assert set(re.findall(r"https?://[\w.-]+", SCRIPTS["texts.js"])) == {"http://127.0.0.1"}


@pytest.mark.parametrize("folder", ["lab/static", "export/web/static", "report"])
def test_colours_come_from_the_palette(folder):
    """Both themes of it have the same names, and every page that uses one has it."""
    palette = shared(PALETTE).decode()
    light, dark = (
        set(re.findall(r"--([\w-]+): #\w+;", block)) for block in re.findall(r":root \{(.*?)\}", palette, re.S)
    )
    assert light == dark
    styles = [path.read_text("utf-8") for path in (PACKAGE / folder).glob("*.css")]
    used = {name for style in styles for name in re.findall(r"var\(--([\w-]+)", style)}
    scripts = [path.read_text("utf-8") for path in (PACKAGE / folder).iterdir() if path.suffix in (".js", ".py")]
    own = {name for text in (*styles, *scripts) for name in re.findall(r"(?<!var\()--([\w-]+)", text)}
    assert used
    assert used - own <= light
    assert not any(re.search(r"prefers-color-scheme: dark\)\s*\{\s*:root", style) for style in styles)
