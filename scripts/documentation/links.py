"""A hook of MkDocs: links to files of the repository that are no pages become plain text.

Pages are read in the repository, too, where ``[scripts/bench](../scripts/bench)`` leads to the script. The site has no
such file. Links to the README become links to the first page.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])+)\]\(((?!\w+:|#)[^)\s]+)\)")

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, /, *, page: Any, **_: Any) -> str:
    """Return the page with links that leave the folder of pages turned into text."""
    folder = posixpath.dirname(page.file.src_uri)
    parts, end = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [_rewritten(markdown[end : fence.start()], folder), fence[0]]
        end = fence.end()
    return "".join([*parts, _rewritten(markdown[end:], folder)])


def _rewritten(text: str, folder: str) -> str:
    def replaced(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[2].partition("#")[0]))
        if not path.startswith(".."):
            return link[0]
        if path == "../README.md":
            return f"[{link[1]}]({posixpath.relpath('index.md', folder or '.')})"
        return link[1]

    return LINK.sub(replaced, text)
