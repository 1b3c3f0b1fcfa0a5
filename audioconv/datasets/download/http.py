"""HTTP downloads: resumed only onto the same content, verified, renamed when complete."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from audioconv.datasets.download.transfer import Progress, TemporaryError, Transfer
from audioconv.errors import DataError
from audioconv.io.files import display_path, exclusive, reason

_LOG = logging.getLogger("audioconv")


@dataclass(frozen=True)
class Patience:
    """Limits of the attempts of a download.

    Attributes
    ----------
    attempts : int
        Number of attempts in a row that bring no new byte.
    first_wait, longest_wait : float
        Seconds before the second attempt, doubling with each further one up to the longest. A server that names a
        time (``Retry-After``) is obeyed up to the longest.
    timeout : float
        Seconds without a byte after which a connection counts as broken.
    """

    attempts: int = 4
    first_wait: float = 1.0
    longest_wait: float = 60.0
    timeout: float = 30.0


def download(
    url: str | Callable[[], str],
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    identity: str = "",
    patience: Patience = Patience(),
    progress: Progress | None = None,
) -> None:
    """Download `url` to `path`.

    The bytes go to ``{path}.part``, which an interrupted download leaves for the next one. That one requests the
    rest, and goes on only where the server answers with the rest of the same content, by its ETag or date; where there
    is neither, only if a hash verifies the result. In all other cases it starts over.

    Parameters
    ----------
    url : str, or callable that returns one
        An ``https`` (certificates are checked) or ``http`` address. A callable is called before each attempt, as
        signed addresses expire.
    path : Path
        Path of the file to write; its folder must exist. Unchanged after an error.
    size : int, optional
        The expected number of bytes.
    sha256, md5 : str, optional
        The expected hash, in hexadecimal.
    identity : str
        Version of the content, where the server of the file gives none.
    patience : Patience
        Limits of the attempts.
    progress : callable, optional
        Called as the bytes come in.

    Raises
    ------
    DataError
        If the server refuses, cannot be reached, or sends something else, or the disk is full, or another process
        downloads to `path`.
    ConfigError
        If the address is not one to download from.
    """
    transfer = Transfer(url, path.with_name(path.name + ".part"), size, identity, can_verify=bool(sha256 or md5))
    told = f"{display_path(path)}: another audioconv is downloading it now; wait for that"
    with exclusive(path.with_name(path.name + ".part.lock"), told):
        _bring(transfer, path, _Expected(size, sha256, md5), patience, progress)


class _Expected(NamedTuple):
    """Size and hashes of a downloaded file, where they are known."""

    size: int | None
    sha256: str | None
    md5: str | None


def _bring(transfer: Transfer, path: Path, expected: _Expected, patience: Patience, progress: Progress | None) -> None:
    """Download in as many attempts as patience allows."""
    failures, most = 0, transfer.have()
    while True:
        try:
            resumed = transfer.run(patience.timeout, progress)
            wrong = _fault(transfer.part, *expected)
            if wrong is None:
                os.replace(transfer.part, path)
                transfer.discard()
                return
            transfer.discard()
            if not resumed:
                raise DataError(f"{transfer.shown}: {wrong}; what came was thrown away")
            # The beginning was from an earlier attempt and may be at fault: try once more from the start.
        except TemporaryError as error:
            failures = 0 if transfer.have() > most else failures + 1
            most = max(most, transfer.have())
            if failures >= patience.attempts:
                raise DataError(
                    f"{transfer.shown}: {error}, in {failures} attempts; run the command again to go on from "
                    f"the {transfer.have()} bytes that came"
                ) from None
            wait = min(max(error.wait, patience.first_wait * 2 ** max(failures - 1, 0)), patience.longest_wait)
            _LOG.warning("%s: %s; trying again in %.0f s", transfer.shown, error, wait)
            time.sleep(wait)
        except OSError as error:
            raise DataError(f"{display_path(transfer.part)}: could not be written ({reason(error)})") from error


def _fault(path: Path, size: int | None, sha256: str | None, md5: str | None) -> str | None:
    """Return what is wrong with a finished download, None if nothing is."""
    if size is not None and path.stat().st_size != size:
        return f"{path.stat().st_size} bytes came where {size} were expected"
    for algorithm, expected in (("sha256", sha256), ("md5", md5)):
        if expected is not None:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, algorithm).hexdigest()
            if found != expected.lower():
                return f"the content is not what was expected ({algorithm} {found}, not {expected})"
    return None
