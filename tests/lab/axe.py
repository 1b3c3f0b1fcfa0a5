"""Where axe-core lies, which finds faults of accessibility."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

AXE_VERSION = "4.14.1"
AXE_VARIABLE = "AUDIOCONV_AXE"
AXE_REASON = f"needs the npm package axe-core: set {AXE_VARIABLE} to its folder"


def axe() -> Path | None:
    """Return the script of axe-core: in the folder of the variable, or in the cache; None where it is not."""
    cached = platformdirs.user_cache_path("audioconv") / f"axe-core-{AXE_VERSION}" / "package"
    folder = Path(os.environ[AXE_VARIABLE]) if os.environ.get(AXE_VARIABLE) else cached
    return folder / "axe.min.js" if (folder / "axe.min.js").is_file() else None
