"""The documentation site: it builds without a warning, loads nothing from other hosts, and works in a browser."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import documentation
import pytest
import sandbox
import yaml
from drawing.browser import Browser, find
from drawing.serving import served

pytestmark = pytest.mark.skipif(
    not (sandbox.ROOT / "mkdocs.yml").is_file(), reason="the scripts are not beside the tests"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return the folder of the site, which was built as `scripts/docs` does it."""
    pytest.importorskip("mkdocstrings_handlers.python")
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=sandbox.ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(sandbox.ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def in_navigation(entries):
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        else:
            for value in entry.values():
                yield from in_navigation([value] if isinstance(value, str) else value)


def test_every_page_is_in_the_navigation_once():
    listed = list(in_navigation(yaml.safe_load((sandbox.ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]))
    assert sorted(listed) == documentation.PAGES


@pytest.mark.slow
def test_every_page_is_built_and_loads_nothing_from_elsewhere(site):
    loading = re.compile(
        r"<(?:script|img|iframe|audio|video|source)[^>]+src=\"(?:https?:)?//|<link[^>]+href=\"https?://"
    )
    for page in documentation.PAGES:
        text = (site / page).with_suffix(".html").read_text("utf-8")
        assert not loading.search(text), page
        assert "<strong>For:</strong>" in text, page


@pytest.mark.slow
def test_pictures_have_alternative_texts(site):
    pictures = 0
    for path in site.rglob("*.html"):
        for picture in re.findall(r"<img [^>]*>", path.read_text("utf-8")):
            found = re.search(r'alt="([^"]+)"', picture)
            assert found, f"{path.relative_to(site)}: {picture}"
            assert len(html.unescape(found[1])) > 10, picture
            pictures += 1
    assert pictures > 15


@pytest.mark.slow
def test_the_command_line_is_the_program_s(site):
    text = (site / "reference" / "command-line.html").read_text("utf-8")
    for command in ("train", "detect", "data get", "doctor"):
        assert f">audioconv {command}<" in text
    assert "--false-accept-rate" in text


@pytest.mark.slow
@pytest.mark.skipif(find() is None, reason="needs a browser")
def test_in_a_browser(site):
    with served(site) as address, Browser() as browser:
        browser.open(f"{address}index.html", 1300)
        assert browser.evaluate("document.querySelector('h1').textContent").startswith("audioconv")

        # Click through: the tab of the tutorials, its first page, then the link to the next one.
        click(browser, ".md-tabs a[href*=tutorials]", "Tutorials")
        click(browser, "article a[href*='wake-word']", "A wake word")
        click(browser, ".md-footer__link--next", "Words without recordings")

        # Search.
        browser.evaluate("document.querySelector('label[for=__search]').click()")
        browser.evaluate(
            "(() => { const q = document.querySelector('.md-search__input'); q.focus(); q.value = 'refractory';"
            "q.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true})) })()"
        )
        browser.wait_for("document.querySelectorAll('.md-search-result__item').length > 0")
        found = browser.evaluate(
            "[...document.querySelectorAll('.md-search-result__link')].map(a => a.getAttribute('href')).join(' ')"
        )
        assert "live.html" in found

        # Dark as the reader's system is, and then by the button.
        browser.open(f"{address}live.html", 1300, dark=True)
        browser.wait_for("document.body.getAttribute('data-md-color-scheme') === 'slate'")
        browser.open(f"{address}index.html", 1300)
        browser.wait_for("document.body.getAttribute('data-md-color-scheme') === 'default'")
        for scheme in ("default", "slate"):
            browser.evaluate("document.querySelector('[data-md-component=palette] label:not([hidden])').click()")
            browser.wait_for(f"document.body.getAttribute('data-md-color-scheme') === '{scheme}'")

        # A telephone: pages are not wider than it, tables scroll by themselves, and the drawer has the navigation.
        for page in ("index.html", "tutorials/wake-word.html", "results.html", "reference/command-line.html"):
            browser.open(f"{address}{page}", 390, 800)
            assert browser.evaluate("document.documentElement.scrollWidth") <= 390, page
        browser.evaluate("document.querySelector('label[for=__drawer]').click()")
        browser.wait_for("document.querySelector('.md-nav--primary').getBoundingClientRect().left >= 0")

        assert [each for each in browser.requests if not each.startswith((address, "data:", "blob:"))] == []
        assert browser.complaints == []


def click(browser: Browser, selector: str, heading: str) -> None:
    """Click a link as a reader would, and wait for the page with this heading."""
    browser.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
    expression = f"document.querySelector('h1')?.textContent.startsWith({json.dumps(heading)})"
    try:
        browser.wait_for(expression)
    except RuntimeError:  # the page went away while it was asked
        browser.wait_for(expression)


@pytest.mark.slow
def test_links_inside_the_site(site):
    """MkDocs has checked links between pages; this one checks what the theme and the hooks have written."""
    for path in site.rglob("*.html"):
        if path.name == "404.html":
            continue
        for link in re.findall(r'<a [^>]*href="([^"#?:]+)(?:#[^"]*)?"', path.read_text("utf-8")):
            assert (path.parent / html.unescape(link)).exists(), f"{path.relative_to(site)}: {link}"
    assert Path(site / "search" / "search_index.json").is_file()
