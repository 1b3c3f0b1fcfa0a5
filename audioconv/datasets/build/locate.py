"""Locations of archives: a mirror, a file of the user, Mozilla Data Collective, or the web."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from audioconv.datasets.archives.reader import Progress
from audioconv.datasets.build.layouts import Options
from audioconv.datasets.build.sentences import normalise
from audioconv.datasets.catalogue import SOURCES, Remote, Source, find
from audioconv.datasets.download import mozilla
from audioconv.datasets.download.mirror import MIRROR_VARIABLE, _in_mirror, obtain
from audioconv.datasets.download.transfer import display_url
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path


@dataclass(frozen=True)
class DatasetLocation:
    """Origin of a data set.

    Attributes
    ----------
    source : Source
        Its entry in the catalogue.
    identity : mapping
        Identity of its content, as JSON-compatible data.
    archives : callable
        Function that downloads the missing archives to a folder, and returns the paths of all.
    user_supplied : bool
        True if the user supplied the archive, whose content is not known beforehand.
    """

    source: Source
    identity: Mapping[str, object]
    archives: Callable[[Path], list[Path]]
    user_supplied: bool = False


def find_location(
    name: str,
    options: Options,
    release: str | None,
    dataset: str | None,
    origin: str | os.PathLike[str] | None,
    sha256: str | None,
    on_download: Progress | None,
) -> DatasetLocation:
    """Return where the data set `name` comes from; the parameters are those of `build.get`."""
    if name.startswith("url:"):
        remote = Remote(name.removeprefix("url:"), sha256=sha256)
        if not remote.name:
            raise ConfigError(f"{name}: the address has no file name at its end")
        source = _unnamed(remote.name, remote.url)
        return DatasetLocation(
            source, {"url": remote.url, "sha256": sha256}, lambda to: [obtain(remote, to, on_download)]
        )
    if _is_path(name):
        origin, source = Path(name), _unnamed(Path(name).name, "")
    else:
        source = find(name)
    if source.parts:
        _check_parts(name, source, options)
    if origin is not None:
        here = Path(origin)
        if not here.exists():
            raise DataError(f"{display_path(here)}: no such archive or folder")
        return DatasetLocation(source, {"origin": display_path(here.resolve())}, lambda _to: [here], user_supplied=True)
    if source.account == "mdc":
        return _from_collective(name, source, options, release, dataset, on_download)
    if source.parts:
        return _of_parts(name, source, options, on_download)
    if source.by_language and not options.language:
        raise ConfigError(f"{name}: choose a language by its code, such as --language en")
    if options.language and not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", options.language):
        raise ConfigError(f"{options.language!r} is no language; give its code, such as en or zh-CN")
    files = [
        replace(f, url=f.url.format(language=options.language), named=f.named.format(language=options.language))
        for f in source.files
    ]
    identity = {"content": source.content or [file.sha256 or file.md5 for file in files]}
    return DatasetLocation(source, identity, lambda to: [obtain(file, to, on_download) for file in files])


def _check_parts(name: str, source: Source, options: Options) -> None:
    """Raise `ConfigError` for options that mean nothing for a data set of several parts."""
    if options.unknown or options.silence:
        raise ConfigError(f"{name}: has no words, so no _unknown_ and _silence_ beside them; leave these options out")
    known = {normalise(label) for label in source.parts}
    unknown = [] if options.words is None else sorted(set(options.words.as_json()) - known)
    if unknown:
        raise ConfigError(f"{name}: has the parts {', '.join(source.parts)}; got {', '.join(map(repr, unknown))}")


def _of_parts(name: str, source: Source, options: Options, on_download: Progress | None) -> DatasetLocation:
    """Return the location of a data set that is put together of others: of those that the words name, or of all."""
    words = options.words
    wanted = {label: part for label, part in source.parts.items() if words is None or words.label(label) is not None}
    files = [(label, file) for label, part in wanted.items() for file in part.files]

    def archives(to: Path) -> list[Path]:
        found: list[Path] = []
        failed: dict[str, tuple[Remote, DataError]] = {}
        for label, file in files:
            try:
                found.append(obtain(file, to, on_download))
            except DataError as error:  # the other parts are brought all the same, and kept for the next time
                failed[label] = file, error
        if failed:
            raise _missing_parts(name, list(wanted), failed)
        return found

    identity = {"content": [file.sha256 or file.md5 for _, file in files]}
    return DatasetLocation(source, identity, archives)


def _missing_parts(name: str, parts: list[str], failed: Mapping[str, tuple[Remote, DataError]]) -> DataError:
    reasons = "; ".join(f"{label} ({error})" for label, (_, error) in failed.items())
    archives = " and ".join(file.name for file, _ in failed.values())
    others = [label for label in parts if label not in failed]
    ways = [
        "run the same command again, which goes on from there",
        f"put {archives} into a folder and set {MIRROR_VARIABLE} to it",
        *([f"do without, with --words {','.join(others)}"] if others else []),
    ]
    told = f"{name}: {len(failed)} of {len(parts)} parts cannot be had: {reasons}"
    return DataError(f"{told}; {', '.join(ways[:-1])}, or {ways[-1]}")


def _is_path(name: str) -> bool:
    if name in SOURCES:  # also where a folder is called so, such as the one that it was got into
        return False
    return os.sep in name or name.endswith((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz")) or Path(name).is_dir()


def _unnamed(name: str, url: str) -> Source:
    """Return the source of an archive that is in no table."""
    title = re.sub(r"(\.tar)?\.\w+$", "", name) or name
    return Source(title, "", (), "folders", None, "", "unknown", "", "", display_url(url))


def _from_collective(
    name: str, source: Source, options: Options, release: str | None, dataset: str | None, on_download: Progress | None
) -> DatasetLocation:
    if name == "common-voice-single-word":
        dataset = dataset or mozilla.SINGLE_WORDS
        if not options.language:
            raise ConfigError(f"{name}: choose one of its 34 languages by its code, such as --language en")
    elif not dataset:
        if not options.language:
            raise ConfigError(f"{name}: choose a language by its code, such as --language en, or give --dataset ID")
        dataset = _in_mirror_of_release(options.language, release) or mozilla.search(
            options.language, release or mozilla.NEWEST
        )
    wanted = dataset

    def archives(to: Path) -> list[Path]:
        listed = mozilla.look_up(wanted)
        path = _in_mirror(listed.filename) or to / listed.filename
        if not path.exists():
            to.mkdir(parents=True, exist_ok=True)
            mozilla.fetch(listed, path, progress=on_download)
        return [path]

    return DatasetLocation(source, {"dataset": dataset}, archives)


def _in_mirror_of_release(language: str, release: str | None) -> str | None:
    """Return the id of a release that needs no search."""
    return mozilla.KNOWN.get((release or mozilla.NEWEST, language))
