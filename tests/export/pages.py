"""Pages that listen: the runtime that they load, and what they show."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from audioconv.export.web.runtime import VERSION

VARIABLE = "AUDIOCONV_ORT_WEB"
REASON = f"needs the npm package onnxruntime-web: set {VARIABLE} to its folder"

READY = "document.getElementById('open').matches(':enabled:not([aria-disabled=true])')"
NOTICE = "document.getElementById('notice').textContent"
STATUS = "document.getElementById('status').textContent"


def runtime_folder() -> Path | None:
    """Return where the npm package lies: in the folder of the variable, or in the cache; None where it does not."""
    cached = platformdirs.user_cache_path("audioconv") / f"onnxruntime-web-{VERSION}" / "package"
    folder = Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else cached
    return folder if folder.is_dir() else None


def searched(window, path: Path) -> list[dict]:
    """Drop a long recording on an open page; return the words that it shows, as numbers."""
    window.drop_file(path, 200, 200)
    window.wait_for(f"{STATUS}.startsWith({path.name!r}) || {NOTICE}")
    assert window.evaluate(NOTICE) == ""
    return words(window)


def words(window) -> list[dict]:
    """Return the words in the table of an open page, with numbers."""
    rows = window.evaluate("[...document.querySelectorAll('#words tr')].map(row => ({...row.dataset}))")
    return [{**row, **{key: float(row[key]) for key in ("start", "end", "score")}} for row in rows]
