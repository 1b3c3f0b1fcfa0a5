"""Mozilla Data Collective, the source of Common Voice: search and download addresses.

The package `datacollective` (extra ``commonvoice``) looks data sets up. Its own download verifies neither the checksum
nor the place at which the server continues, so `http.download` is used instead.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlsplit

from audioconv._version import __version__
from audioconv.datasets.download.http import Patience, download
from audioconv.datasets.download.transfer import Progress, display_url, retry_after
from audioconv.errors import AudioconvError, ConfigError, DataError, missing_extra
from audioconv.io.files import display_path

KEY_VARIABLE = "MDC_API_KEY"
URL_VARIABLE = "MDC_API_URL"
SITE = "https://mozilladatacollective.com"

SINGLE_WORDS = "cmkzhp64p00wlno07elrmt20y"
"""Identifier of the Single Word Target Segment 7.0."""

NEWEST = "26.0"
"""The default release of Common Voice."""

KNOWN = {
    ("26.0", "en"): "cmqim2hn800ssnr07gvmpcnwu",
    ("26.0", "vot"): "cmqiaq08m009xnq07wd6pkwtn",
    ("26.0", "ht"): "cmqiam0y4009dnq07y072vmjk",
}
"""Data sets by release and language that need no search."""

PATIENCE = Patience()

Result = TypeVar("Result")
_LOG = logging.getLogger("audioconv")


@dataclass(frozen=True)
class Listed:
    """A data set of the collective.

    Attributes
    ----------
    id, name : str
        Its identifier, and its name for people.
    filename : str
        Name of its archive.
    page : str
        Address of the page that describes it and on which people accept its terms.
    """

    id: str
    name: str
    filename: str
    page: str


@dataclass(frozen=True)
class Session:
    """Temporary address of an archive.

    Attributes
    ----------
    url : str
        A signed address: it holds a key, so show it only by `http.display_url`.
    size : int
        In bytes.
    checksum : str
        Checksum of the content that the collective gives; empty without one.
    """

    url: str
    size: int
    checksum: str

    def hashes(self) -> dict[str, str]:
        """Return the checksum as what `http.download` checks, if it is one of those."""
        kind, _, value = self.checksum.rpartition(":")
        value = value.lower()
        for name, digits in (("sha256", 64), ("md5", 32)):
            if kind.lower().replace("-", "") in ("", name) and re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
                return {name: value}
        return {}


def look_up(dataset: str, patience: Patience = PATIENCE) -> Listed:
    """Return the data set with this id or slug.

    Raises
    ------
    ConfigError
        If there is none; names like it are shown.
    DataError
        If the collective cannot be reached.
    MissingExtraError
        If `datacollective` is not installed.
    """
    sdk = _sdk()
    try:
        details = _patiently(lambda: sdk.get_dataset_details(dataset), patience)
    except FileNotFoundError:
        raise ConfigError(f"Mozilla Data Collective has no data set {dataset!r}{_near(dataset)}") from None
    name, filename = details.name or dataset, details.filename or ""
    if not filename or Path(filename).name != filename or filename.startswith("."):
        raise DataError(f"{name}: Mozilla Data Collective names no archive for it that can be saved ({filename!r})")
    return Listed(details.id, name, filename, details.datasetUrl or f"{SITE}/datasets/{details.slug or details.id}")


def search(language: str, release: str = NEWEST, patience: Patience = PATIENCE) -> str:
    """Return the id of a release of Common Voice's scripted speech in a language.

    Raises
    ------
    ConfigError
        If there is none; what comes near is shown.
    """
    known = KNOWN.get((release, language))
    if known:
        return known
    sdk = _sdk()
    query = f"Common Voice Scripted Speech {release}"
    found = _patiently(lambda: sdk.list_datasets(query, locale=language, results_per_page=100), patience)
    number = re.compile(rf"(?<![\d.]){re.escape(release)}(?![\d.])")
    fitting = [d for d in found.items if d.name and "scripted" in d.name.lower() and number.search(d.name)]
    if fitting:
        return str(fitting[0].id)
    names = [str(d.name) for d in found.items if d.name]
    near = f"; in this language there are: {', '.join(names[:5])}" if names else _near(f"{query} {language}")
    raise ConfigError(f"Mozilla Data Collective has no {query} with the language {language!r}{near}")


def fetch(listed: Listed, path: Path, *, progress: Progress | None = None, patience: Patience = PATIENCE) -> None:
    """Download the archive of a data set to `path`: verified, and resumed where an earlier download stopped.

    Raises
    ------
    ConfigError
        If there is no key, or it is not accepted, or the terms are not.
    DataError
        If the archive cannot be downloaded or is not what it should be.
    """
    session = open_session(listed, patience)
    sessions = [session]

    def address() -> str:
        # The first address is good for the first attempt; later ones may come hours after it.
        return (sessions.pop() if sessions else open_session(listed, patience)).url

    download(
        address,
        path,
        size=session.size,
        identity=session.checksum,
        **session.hashes(),
        patience=patience,
        progress=progress,
    )


def open_session(listed: Listed, patience: Patience = PATIENCE) -> Session:
    """Request an address to download a data set from; needs a key whose owner has accepted the terms."""
    _sdk()  # it reads the key from a file .env too
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        raise ConfigError(
            f"Common Voice needs a key of Mozilla Data Collective: sign up at {SITE}, make one under Profile, API, and "
            f"set the environment variable {KEY_VARIABLE} to it (or write {KEY_VARIABLE}=... into a file .env here)"
        )
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"{KEY_VARIABLE} holds characters that no key has; copy it once more")
    url = f"{_api()}/datasets/{quote(listed.id, safe='')}/download"
    answer = _patiently(lambda: _post(url, key, listed), patience)
    try:
        session = Session(str(answer["downloadUrl"]), int(str(answer["sizeBytes"])), str(answer.get("checksum") or ""))
    except (KeyError, ValueError, TypeError, AttributeError):
        raise DataError(f"{display_url(url)}: the answer has no address and size; is the service in repair?") from None
    return session


class _RateLimitError(Exception):
    def __init__(self, wait: float) -> None:
        super().__init__()
        self.wait = wait


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the key would go along."""

    def redirect_request(self, *_request: Any, **_more: Any) -> None:
        return None


def _post(url: str, key: str, listed: Listed) -> Any:
    request = urllib.request.Request(
        url,
        data=b"",
        method="POST",
        headers={"Authorization": f"Bearer {key}", "User-Agent": f"audioconv/{__version__}"},
    )
    opener = urllib.request.build_opener(_NoRedirects)
    shown = display_url(url)
    try:
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 429 or error.code >= 500:
                raise _RateLimitError(retry_after(error.headers)) from None
            _refused(error.code, listed, shown)
    except (OSError, ValueError) as error:
        raise DataError(f"{shown}: cannot be asked ({getattr(error, 'reason', None) or error}); try again") from None


def _refused(code: int, listed: Listed, shown: str) -> NoReturn:
    if code == 401:
        raise ConfigError(
            f"Mozilla Data Collective does not accept the key in {KEY_VARIABLE}: it is mistyped, expired or revoked; "
            f"make a new one at {SITE} under Profile, API"
        )
    if code == 403:
        raise ConfigError(
            f"{listed.name}: its terms are not accepted yet; sign in and accept them at {listed.page}, "
            "then run the command again"
        )
    if code in (404, 410):
        raise DataError(f"{listed.name}: is no longer offered; a newer release may be, see {SITE}/datasets")
    raise DataError(f"{shown}: the server answers {code}")


def _patiently(ask: Callable[[], Result], patience: Patience) -> Result:
    """Return what `ask` returns; after an answer with a time to wait, wait and ask again."""
    import requests

    for attempt in range(1, patience.attempts + 1):
        wait = 0.0
        try:
            return ask()
        except _RateLimitError as error:
            wait = error.wait
        except (FileNotFoundError, AudioconvError):
            raise
        except PermissionError as error:
            raise DataError(f"Mozilla Data Collective does not show this data set ({_without_key(error)})") from None
        except requests.RequestException as error:
            response = error.response
            if response is not None and response.status_code < 500:
                raise DataError(f"Mozilla Data Collective answers: {_without_key(error)}") from None
        except ValueError as error:  # not the JSON that was agreed on
            raise DataError(f"Mozilla Data Collective answers what makes no sense: {_without_key(error)}") from None
        except RuntimeError as error:  # its RateLimitError
            response = getattr(error, "response", None)
            if response is None:
                raise DataError(f"Mozilla Data Collective: {_without_key(error)}") from None
            wait = retry_after(response.headers)
        if attempt < patience.attempts:
            wait = min(max(wait, patience.first_wait * 2 ** (attempt - 1)), patience.longest_wait)
            # Seen without any setting, since nothing else moves for up to a minute.
            _LOG.warning("Mozilla Data Collective is busy; asking again in %.0f s", wait)
            time.sleep(wait)
    raise DataError(f"Mozilla Data Collective does not answer, in {patience.attempts} attempts; try again later")


def _without_key(error: Exception) -> str:
    """Return the message of an error on one line, without the key and without the query of addresses."""
    text = re.sub(r"\?\S*", "", " ".join(str(error).split()))
    key = os.environ.get(KEY_VARIABLE, "")
    return text.replace(key, "***") if key else text


def _near(wanted: str) -> str:
    """Return which data sets may have been meant."""
    sdk = _sdk()
    words = " ".join(re.findall(r"[^\W_]+", wanted)) or "common voice"
    names: dict[str, str] = {}
    for query in (words, "common voice"):
        try:
            found = _patiently(partial(sdk.list_datasets, query, results_per_page=100), Patience(attempts=1))
        except (DataError, FileNotFoundError):
            return ""
        names |= {str(d.slug or d.id): str(d.name) for d in found.items if d.name}

    def likeness(slug: str) -> float:
        return max(SequenceMatcher(None, wanted.lower(), text.lower()).ratio() for text in (slug, names[slug]))

    best = sorted(names, key=likeness, reverse=True)[:3]
    return "; did you mean " + " or ".join(f"{slug} ({names[slug]})" for slug in best) + "?" if best else ""


def _sdk() -> Any:
    try:
        import datacollective
    except ImportError:
        raise missing_extra("Common Voice", "commonvoice") from None
    return datacollective


def _api() -> str:
    """Return the service's address, which the key is sent to."""
    url = os.environ.get(URL_VARIABLE) or f"{SITE}/api"
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ConfigError(
            f"{URL_VARIABLE}={display_path(display_url(url))} must be an https address: the key goes there"
        )
    return url.rstrip("/")
