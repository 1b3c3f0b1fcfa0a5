"""`Project`: the folder, with its classes and clips."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from audioconv.io.files import display_path


class Project:
    """A folder of clips with one subfolder a class.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    revision : int
        Goes up with each change.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.revision = 0
        self._lock = threading.RLock()

    def to_json(self) -> dict[str, Any]:
        """Return the project as JSON-compatible data."""
        with self._lock:
            return {
                "name": display_path(self.folder.resolve().name),
                "folder": display_path(self.folder.resolve()),
                "kind": None,
                "revision": self.revision,
                "classes": [],
                "speakers": [],
            }
