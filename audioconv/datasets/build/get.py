"""`get`: fetches, verifies and extracts a data set into a folder a class with a manifest."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from audioconv.datasets.archives.reader import Archive, read_archive
from audioconv.datasets.archives.safety import DamagedArchiveError, Limits
from audioconv.datasets.build import mnist
from audioconv.datasets.build.common_voice import CommonVoice
from audioconv.datasets.build.extract import ExtractedClip, Extraction, Format, silence
from audioconv.datasets.build.folder import Description, Journal, building, is_built, locked
from audioconv.datasets.build.layouts import Esc, Esc10, Fsdd, Layout, Mswc, Options, SpeechCommands, SpeechCommandsTest
from audioconv.datasets.build.locate import DatasetLocation, find_location
from audioconv.datasets.build.negatives import Negatives
from audioconv.datasets.build.sampling import Chooser
from audioconv.datasets.build.unknown_archive import Folders
from audioconv.datasets.catalogue import Source
from audioconv.datasets.collection import Item
from audioconv.datasets.download.mirror import MIRROR_VARIABLE
from audioconv.datasets.left_out import counted
from audioconv.datasets.licences import LICENCES
from audioconv.datasets.manifest import MANIFEST_NAME, write_manifest
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import display_path, write_atomic

DOWNLOADS_NAME = ".audioconv-downloads"
"""Folder beside the data sets that archives are downloaded to."""

LICENCE_NAME, ATTRIBUTION_NAME, LEFT_OUT_NAME = "LICENCE.txt", "ATTRIBUTION.txt", "left-out.csv"
"""The second takes the place of the first in a data set that is put together of others."""

LAYOUTS: Mapping[str, type[Layout]] = {
    "common-voice": CommonVoice,
    "esc-10": Esc10,
    "esc-50": Esc,
    "folders": Folders,
    "fsdd": Fsdd,
    "mswc": Mswc,
    "negatives": Negatives,
    "speech-commands": SpeechCommands,
    "speech-commands-test": SpeechCommandsTest,
}

PICTURE_CLASSES: Mapping[str, tuple[str, ...]] = {"digits": mnist.DIGITS, "clothes": mnist.CLOTHES}
"""Classes of the layouts of pictures."""

Stages = Callable[[str, int, int | None], None]
"""Called with what is being done, ``"downloading"``, ``"looking through"`` or ``"unpacking"``, with how many bytes of
it are done, and of how many (None where that is not known)."""


def get(
    name: str,
    folder: str | os.PathLike[str],
    options: Options | None = None,
    *,
    release: str | None = None,
    dataset: str | None = None,
    origin: str | os.PathLike[str] | None = None,
    sha256: str | None = None,
    convert: Format | None = None,
    progress: Stages | None = None,
) -> Path:
    """Get a data set as a folder a class with a manifest; a second call does nothing.

    Parameters
    ----------
    name : str
        One of `catalogue.SOURCES`; or ``url:`` and an address; or the path of an archive.
    folder : path-like
        The new folder. It gets the recordings as ``{label}/{name}``, ``manifest.csv`` (path, label, speaker, split,
        begin, end, source, licence), ``LICENCE.txt``, and ``left-out.csv`` with the clips that were of no use and why.
        It appears when it is complete, and not before.
    options : Options, optional
        Which language, words and so on; by default all there is.
    release : str, optional
        Release of Common Voice, such as ``"26.0"``.
    dataset : str, optional
        Id or slug of a data set of Mozilla Data Collective, instead of language and release.
    origin : path-like, optional
        An archive of the data set that is already here, or the folder it was extracted to.
    sha256 : str, optional
        The hash that what ``url:`` names must have.
    convert : {"wav", "flac"}, optional
        Write each clip anew: the word in its middle, one second or as long as the word, mono at 16 kHz. By default
        nothing is encoded a second time, and the manifest says where in the clip the word is.
    progress : callable, optional
        Called now and then with how far it is.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ConfigError
        If there is no such data set, language or word, or an account is needed.
    DataError
        If it cannot be downloaded, is not what it should be, or the folder holds something else.
    MissingExtraError
        If an optional part is not installed.

    Notes
    -----
    Archives are taken from the folder that the environment variable AUDIOCONV_MIRROR names, if they are there, and
    downloaded otherwise, to a folder ``.audioconv-downloads`` beside `folder`. Where everything was taken out they are
    removed; where words, or one of several languages, were chosen they stay, for others.
    """
    options, folder = options or Options(), Path(folder)
    stages = progress or _silently
    location = find_location(name, options, release, dataset, origin, sha256, partial(stages, "downloading"))
    recipe = {"source": name, **location.identity, **_described(options), "convert": convert}
    if is_built(folder, recipe):
        return folder
    with locked(folder):
        if not is_built(folder, recipe):  # by another process, meanwhile
            _make(location, folder, recipe, options, convert, stages)
    return folder


def _make(
    location: DatasetLocation,
    folder: Path,
    recipe: Description,
    options: Options,
    convert: Format | None,
    stages: Stages,
) -> None:
    """Make the folder of a data set."""
    downloads = folder.absolute().parent / DOWNLOADS_NAME
    try:
        archives = location.archives(downloads)
        own = [archive for archive in archives if archive.parent == downloads]
        with building(folder, recipe, resumable=True) as work:
            try:
                items, left_out = _taken(location, archives, work, options, convert, stages)
            except DamagedArchiveError:
                for archive in own:
                    archive.unlink()  # so that the next call downloads it again
                raise
            _write_lists(work, location.source, items, left_out)
        # Whoever chose parts of a data set took all of their archives.
        whole = options.takes_all or (bool(location.source.parts) and options.limit is None)
        if whole and not (options.language and location.source.several_languages):
            for archive in own:
                archive.unlink()
    finally:
        with suppress(OSError):
            downloads.rmdir()  # if it is empty


def kept_archives(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the archives that are kept beside the data set in `folder`, for choosing other words from them."""
    downloads = Path(folder).absolute().parent / DOWNLOADS_NAME
    return sorted(path for path in downloads.glob("*") if path.is_file() and ".part" not in path.name)


def licence_file(folder: str | os.PathLike[str]) -> Path:
    """Return the file with the makers and the licence of the data set in `folder`."""
    attribution = Path(folder, ATTRIBUTION_NAME)
    return attribution if attribution.exists() else Path(folder, LICENCE_NAME)


def read_left_out(folder: str | os.PathLike[str]) -> list[tuple[str, str, str]]:
    """Return name, label and reason of each clip that was of no use for the data set in `folder`."""
    try:
        with open(Path(folder, LEFT_OUT_NAME), encoding="utf-8", newline="") as file:
            return [(row["name"], row["label"], row["reason"]) for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []


def content_digest(hashes: Mapping[str, str]) -> str:
    """Return one SHA-256 for a set of files, whatever archive they came in.

    Parameters
    ----------
    hashes : mapping of str to str
        The SHA-256 of each file, in hexadecimal, by its path with forward slashes.
    """
    lines = (f"{digest}  {path}\n" for path, digest in sorted(hashes.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _silently(_stage: str, _done: int, _total: int | None) -> None:
    """Show nothing."""


def _described(options: Options) -> dict[str, object]:
    """Return the options as JSON-compatible data."""
    described: dict[str, object] = {field.name: getattr(options, field.name) for field in fields(options)}
    described["words"] = options.words.as_json() if options.words else None
    described["shard"] = str(options.shard) if options.shard else None
    return {name: value for name, value in described.items() if value is not None}


def _taken(
    location: DatasetLocation,
    archives: Sequence[Path],
    work: Path,
    options: Options,
    convert: Format | None,
    stages: Stages,
) -> tuple[list[Item], list[ExtractedClip]]:
    """Put what was chosen into `work`; return it, and what was of no use."""
    source = location.source
    if source.layout in PICTURE_CLASSES:
        items = _pictures(source, archives, work, options, stages)
        left_out: list[ExtractedClip] = []
    else:
        items, left_out = _recordings(location, archives, work, options, convert, stages)
    items = [
        replace(item, source=item.source or source.title, licence=item.licence or source.licence) for item in items
    ]
    return sorted(items, key=lambda item: (item.path, item.begin or 0.0)), left_out


def _recordings(
    location: DatasetLocation,
    archives: Sequence[Path],
    work: Path,
    options: Options,
    convert: Format | None,
    stages: Stages,
) -> tuple[list[Item], list[ExtractedClip]]:
    source = location.source
    layout = LAYOUTS[source.layout](options)
    limits = Limits(4 * source.unpacked, 4 * source.count) if source.unpacked and source.count else None
    with ExitStack() as stack:
        opened = [Archive(archive, limits) for archive in archives]
        layout.prepare(opened, partial(stages, "looking through"))
        if source.content and not location.user_supplied:
            _check_content(source, layout, archives[0], limits)
        extraction = Extraction(layout, options, work, convert, stack.enter_context(Journal(work)))
        for archive in opened:
            extraction.take(archive.members(partial(stages, "unpacking")))
    if not extraction.saved:
        raise _nothing(location, options, extraction.left_out)
    counted = source.count is not None and not source.content and not location.user_supplied and options.takes_all
    if counted and len(extraction.saved) != source.count:
        raise _incomplete(source, archives[0], f"{len(extraction.saved)} recordings")
    items = list(layout.finish([replace(clip.item, path=work / path) for path, clip in extraction.saved.items()]))
    items += silence(extraction, {item.path: item for item in items}, work, options.silence)
    layout.write_more(work, items)
    return items, extraction.left_out


def _check_content(source: Source, layout: Layout, archive: Path, limits: Limits | None) -> None:
    """Raise `DataError` where the recordings are not those that the source should have, however they are packed."""
    hashes = {}
    for member in read_archive(archive, limits):
        item = layout.item(member.name)
        if item is not None:
            hashes[f"{item.label}/{item.path.name}"] = hashlib.sha256(member.read()).hexdigest()
    found = content_digest(hashes)
    if found != source.content:
        told = f"{len(hashes)} recordings, content {found[:12]}..., expected {source.content[:12]}..."
        raise _incomplete(source, archive, told)


def _incomplete(source: Source, archive: Path, found: str) -> DamagedArchiveError:
    shown = display_path(archive)
    return DamagedArchiveError(
        f"{shown}: does not hold the {source.count} recordings of {source.title} ({found}); get it again"
    )


def _nothing(location: DatasetLocation, options: Options, left_out: Sequence[ExtractedClip]) -> ConfigError | DataError:
    """Return the error for a data set that came to nothing."""
    if left_out:
        first = f"{display_path(left_out[0].name)}: {left_out[0].reason}"
        told = f"{location.source.title}: none of {len(left_out)} clips can be used, such as {first}"
        # Where little was chosen, the archive is not to blame.
        return DataError(told) if options.takes_all else ConfigError(f"{told}; choose others")
    if options.words is None:
        return DataError(f"{location.source.title}: holds no recordings that can be used")
    wanted = ", ".join(options.words.labels)
    return ConfigError(f"{location.source.title}: has no clips of the words {wanted}; choose other words")


def _pictures(source: Source, files: Sequence[Path], work: Path, options: Options, stages: Stages) -> list[Item]:
    """Write the chosen pictures into `work` and return them."""
    if len(files) != len(mnist.FILES):
        raise ConfigError(
            f"{source.title} comes in {len(mnist.FILES)} files: "
            f"put them into a folder, and set {MIRROR_VARIABLE} to that"
        )
    wanted: dict[str, tuple[Item, mnist.Picture]] = {}
    chooser = Chooser(options.limit)
    for item, picture in mnist.read_pictures(files, PICTURE_CLASSES[source.layout]):
        label = options.words.label(item.label) if options.words else item.label
        name = item.path.name
        if options.shard is not None and not options.shard.has(name):
            continue
        if label is not None and chooser.would_keep(label, None, name):
            dropped = chooser.keep(label, None, name)
            if dropped:
                del wanted[dropped]
            wanted[name] = (replace(item, label=label, path=work / label / name), picture)
    for done, (item, picture) in enumerate(wanted.values(), 1):
        mnist.write_picture(picture, item.path)
        stages("unpacking", done, len(wanted))
    return [item for item, _ in wanted.values()]


def _write_lists(work: Path, source: Source, items: Sequence[Item], left_out: Sequence[ExtractedClip]) -> None:
    write_manifest(work / MANIFEST_NAME, items)
    if source.parts:
        (work / ATTRIBUTION_NAME).write_text(_attribution_text(source, items), "utf-8")
    else:
        (work / LICENCE_NAME).write_text(_licence_text(source), "utf-8")
    if left_out:
        with write_atomic(work / LEFT_OUT_NAME, "w") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["name", "label", "reason"])
            writer.writerows([display_path(clip.name), clip.item.label, clip.reason] for clip in left_out)


def _attribution_text(source: Source, items: Sequence[Item]) -> str:
    """Return origin, makers and licence of each part, a line each: models that learn from the recordings carry it."""
    counts = Counter(item.source for item in items)
    lines = []
    for part in source.parts.values():
        if count := counts[part.title]:
            licence = LICENCES[part.licence]
            lines.append(
                f"{part.title} ({counted(count, 'recording')}), by {part.attribution}. Licence: {licence.title}, "
                f"{licence.url} . Origin: {part.homepage} . Cite as: {part.citation}"
            )
    return "\n".join([*lines, "The recordings are unchanged; audioconv put folders and lists together."]) + "\n"


def _licence_text(source: Source) -> str:
    lines = [source.title, *([f"by {source.attribution}"] if source.attribution else []), ""]
    for name in source.licence.split(", "):
        known = LICENCES.get(name)
        lines += [f"Licence: {name}" + (f", {known.title}, {known.url}\n{known.summary}" if known else "")]
        lines += ["", source.copyright, "", known.text, ""] if known and known.text else []
    lines += [f"Origin: {source.homepage}"] if source.homepage else []
    lines += [f"Cite as: {source.citation}"] if source.citation else []
    lines += ["", "Folders, file list and splits were put together by audioconv."]
    return "\n".join(lines) + "\n"
