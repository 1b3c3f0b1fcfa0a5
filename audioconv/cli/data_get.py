"""``audioconv data get``: public data sets as new folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from audioconv.cli.options import Json, shard_option
from audioconv.cli.terminal import (
    Steps,
    json_path,
    make_folder,
    megabytes,
    printable,
    say,
    say_error,
    write,
    write_json,
    write_next,
)
from audioconv.errors import ConfigError
from audioconv.io.files import cache_folder, display_path

if TYPE_CHECKING:
    from audioconv.cluster.shards import Shard
    from audioconv.datasets import Collection
    from audioconv.datasets.build.sentences import WordList

CHOICE, ORIGIN = "What is taken", "Where it is from, how it is kept"
SPLITS: tuple[Literal["official", "speaker"], ...] = ("official", "speaker")
FORMATS: tuple[Literal["wav", "flac"], ...] = ("wav", "flac")

SHOWN_CLASSES = 20
"""At most so many are listed, with their clips."""

Choice = TypeVar("Choice", bound=str)


def get(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="One of `audioconv data list`, url:ADDRESS, or the path of an archive."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="The new folder. [default: data/NAME; negatives: a cache folder that `train` looks into]",
            show_default=False,
        ),
    ] = None,
    words: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Only these words or classes.", rich_help_panel=CHOICE),
    ] = None,
    words_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Only the words in FILE: one in a line, and after a comma its class if that is another.",
            rich_help_panel=CHOICE,
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="The language's code, such as en or sw.", rich_help_panel=CHOICE),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="At most N clips of each word.", rich_help_panel=CHOICE),
    ] = None,
    unknown: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Add N clips of other words, as _unknown_.", rich_help_panel=CHOICE),
    ] = 0,
    silence: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Add N stretches without speech, as _silence_.", rich_help_panel=CHOICE),
    ] = 0,
    min_votes: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Common Voice: confirmed by N listeners at least.", rich_help_panel=CHOICE
        ),
    ] = 0,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="official: the data set's own; speaker: each speaker in one split. [default: official; mswc: speaker]",
            show_default=False,
            rich_help_panel=CHOICE,
        ),
    ] = None,
    fold: Annotated[
        int, typer.Option(min=1, max=5, metavar="N", help="ESC: the fold to test with.", rich_help_panel=CHOICE)
    ] = 5,
    release: Annotated[
        str | None,
        typer.Option(
            metavar="X.Y", help="Release of Common Voice. [default: 26.0]", show_default=False, rich_help_panel=ORIGIN
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A data set of Mozilla Data Collective.", rich_help_panel=ORIGIN),
    ] = None,
    origin: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PATH", help="The archive, or the folder it was extracted to.", rich_help_panel=ORIGIN
        ),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(metavar="HASH", help="What url:ADDRESS must have.", rich_help_panel=ORIGIN)
    ] = None,
    convert: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT", help="Cut each word out, and write it as wav or flac at 16 kHz.", rich_help_panel=ORIGIN
        ),
    ] = None,
    shard: Annotated[
        Any, shard_option("Extract only part I of N of the clips; DIR is complete when all parts are there.")
    ] = None,
    as_json: Json = False,
) -> None:
    r"""Download a public data set: a folder a class, with a manifest of speakers and splits.

    What comes is verified. An interrupted command goes on where it was, and a second one does nothing. The folder that
    the environment variable AUDIOCONV_MIRROR names is looked into first. Common Voice needs a key of Mozilla Data
    Collective in the variable MDC_API_KEY and the extra: pip install 'audioconv\[commonvoice]'.
    """
    from audioconv.datasets import open_collection
    from audioconv.datasets.build.get import get as get_data
    from audioconv.datasets.build.get import kept_archives, licence_file, read_left_out
    from audioconv.datasets.build.layouts import Options
    from audioconv.datasets.build.parts import shard_folder
    from audioconv.datasets.build.sampling import SILENCE, UNKNOWN
    from audioconv.datasets.catalogue import NEGATIVES

    is_bank = name == NEGATIVES
    folder = out or (cache_folder(NEGATIVES) if is_bank else Path("data", _folder_name(name, language)))
    options = Options(
        language,
        _word_list(words, words_file),
        limit,
        unknown,
        silence,
        min_votes,
        None if split is None else _one_of("split", split, SPLITS),
        fold,
        shard,
    )
    if is_bank and shard is not None:
        raise ConfigError("the bank of negatives is of a few hours and has no shards; leave out --shard")
    form = None if convert is None else _one_of("convert", convert, FORMATS)
    make_folder(folder.absolute().parent)
    whole, folder = folder, folder if shard is None else shard_folder(folder, shard)
    try:
        with Stages() as stages:
            get_data(
                name, folder, options, release=release, dataset=dataset, origin=origin, sha256=sha256, convert=form,
                progress=stages.show,
            )  # fmt: skip
    except KeyboardInterrupt:
        say_error("interrupted; run the same command again to go on from there")
        raise typer.Exit(1) from None
    collection = open_collection(folder, minimum_classes=1)
    left_out, kept = read_left_out(folder), kept_archives(folder)
    for label, wanted_count in ((UNKNOWN, unknown), (SILENCE, silence)):
        if collection.counts.get(label, 0) < wanted_count:
            say(
                f"only {collection.counts.get(label, 0):,} of {wanted_count:,} {label} clips: there are no more",
                "yellow",
            )
    show_made(folder, collection, as_json=as_json, left_out=len(left_out))
    if shard is not None and not show_joined(whole, shard):
        return
    folder = whole
    if as_json:
        return
    if left_out:
        say(
            f"{len(left_out):,} clips were left out; all are listed in {display_path(folder)}/left-out.csv:",
            style="yellow",
        )
        for why, times in Counter(reason.partition(" (")[0] for _, _, reason in left_out).most_common(5):
            say(f"  {times:,} x {printable(why)}")
    for archive in kept:
        say(f"kept for choosing others: {display_path(archive)} ({megabytes(archive.stat().st_size)})")
    write(f"makers and licence: {display_path(licence_file(folder))}")
    if is_bank:
        _tell_of_bank(folder, is_default=out is None)
        return
    write_next(
        ["audioconv", "data", "check", folder],
        ["audioconv", "train", folder, "-o", f"models/{folder.name}"],
    )


class Stages:
    """Shows one bar after the other, for each thing that is done."""

    def __init__(self) -> None:
        self._doing = ""
        self._steps: Steps | None = None

    def __enter__(self) -> Stages:
        """Begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the bar, however the work ended."""
        if self._steps is not None:
            self._steps.__exit__(*exception)

    def show(self, doing: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` bytes are done of `doing`."""
        if self._steps is None or doing != self._doing:
            self.__exit__()
            self._doing, self._steps = doing, Steps(doing, "bytes")
        self._steps.show(done, total)


def _tell_of_bank(folder: Path, *, is_default: bool) -> None:
    """Tell the user how trainings use the new bank of negatives."""
    from audioconv.recipe.bank import BANK_VARIABLE

    elsewhere = os.environ.get(BANK_VARIABLE)
    if is_default and not elsewhere:
        write("`audioconv train` learns to reject these recordings from now on; --negatives none turns that off")
        write_next(["audioconv", "train", "recordings", "-o", "model"])
        return
    if is_default:
        say(f"{BANK_VARIABLE} is set to {display_path(elsewhere or '')}, which trainings use instead", "yellow")
    write_next(["audioconv", "train", "recordings", "-o", "model", "--negatives", folder])


def _folder_name(name: str, language: str | None) -> str:
    """Return the default folder of a data set."""
    if name.startswith("url:") or Path(name).exists():
        name = re.sub(r"(\.tar)?\.\w+$", "", name.rstrip("/").rpartition("/")[2]) or "archive"
    return f"{name}-{language}" if language else name


def _word_list(words: str | None, words_file: Path | None) -> WordList | None:
    from audioconv.datasets.build.sentences import WordList

    if words is not None and words_file is not None:
        raise ConfigError("--words and --words-file are two ways to say the same; give one")
    if words_file is not None:
        return WordList.read(words_file)
    return None if words is None else WordList(word for word in words.split(",") if word.strip())


def _one_of(option: str, given: str, choices: tuple[Choice, ...]) -> Choice:
    for choice in choices:
        if given == choice:
            return choice
    raise ConfigError(f"--{option} must be {' or '.join(choices)}; got {given!r}")


def show_joined(folder: Path, shard: Shard) -> bool:
    """Put a data set together if all its shards are there; say what is missing else, and return False."""
    from audioconv.datasets.build.parts import join_shards

    missing = join_shards(folder, shard.count)
    if missing:
        say(f"{display_path(folder)}: {missing} of {shard.count} parts are missing; the last one makes the manifest")
    else:
        say(f"{display_path(folder)}: all {shard.count} parts are there; its manifest lists their clips")
    return not missing


def show_made(folder: Path, collection: Collection, *, as_json: bool, left_out: int = 0) -> None:
    """Write the content of the new folder."""
    if as_json:
        write_json(
            {
                "path": json_path(folder),
                "count": len(collection),
                "classes": collection.counts,
                "left_out": left_out,
                "licence": collection.licence,
                "source": collection.source,
            }
        )
        return
    people = len({speaker for speaker in collection.speakers if speaker})
    write(f"{display_path(folder)}: {len(collection):,} clips, {len(collection.classes)} classes, {people} speakers")
    for label, count in list(collection.counts.items())[:SHOWN_CLASSES]:
        write(f"  {printable(label):<20} {count:>7,}")
    if len(collection.classes) > SHOWN_CLASSES:
        write(f"  ... and {len(collection.classes) - SHOWN_CLASSES} more")
    write(f"licence: {collection.licence or 'unknown'}")
