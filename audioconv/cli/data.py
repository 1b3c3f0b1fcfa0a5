"""``audioconv data``: the group of commands, and the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.data_check import check
from audioconv.cli.data_get import get
from audioconv.cli.data_voices import list_voices, make
from audioconv.cli.options import GroupHelp, Json, add_command, flag
from audioconv.cli.terminal import (
    add_row,
    megabytes,
    new_table,
    results,
    write,
    write_json,
    write_next,
)
from audioconv.errors import ConfigError

if TYPE_CHECKING:
    from audioconv.datasets.catalogue import Source


def register(app: typer.Typer) -> None:
    """Add the commands to `app`, in a group of their own."""
    group = typer.Typer(
        cls=GroupHelp,
        help="Get public data sets, make recordings of synthetic speech, check what you have.",
        epilog="Start with [bold]audioconv data list[/]. [bold]audioconv data COMMAND --help[/] ends with examples.",
        rich_markup_mode="rich",
    )
    add_command(
        group,
        list_sources,
        "audioconv data list",
        "audioconv data list --languages",
        "audioconv data list --voices --language de",
        name="list",
    )
    add_command(group, show_source, "audioconv data info speech-commands", name="info")
    add_command(
        group,
        get,
        "audioconv data get fsdd",
        "audioconv data get speech-commands --words yes,no,stop --limit 500 --unknown 500 --silence 200",
        "audioconv data get common-voice-single-word --language en --words hey,firefox",
        "audioconv data get common-voice --language sw --words ndiyo,hapana --from cv-corpus-26.0-sw.tar.gz",
        "audioconv data get url:https://example.org/sounds.zip -o data/sounds",
        "audioconv data get negatives",
    )
    add_command(
        group,
        check,
        "audioconv data check recordings",
        "audioconv data check list.csv --plot sheet.png",
        name="check",
    )
    add_command(
        group,
        make,
        'audioconv data make "yes,no,stop" -o data/words',
        'audioconv data make "ja,nein,halt" -o data/worte --language de --clips 200',
        'audioconv data make "yes,no,stop" -o data/natural --voices kokoro',
        'audioconv data make "ja,nein,halt" -o data/stimmen --voices piper --language de',
        'audioconv data make "ja,nein,halt" -o data/thorsten --voices piper:de_DE-thorsten-medium',
    )
    app.add_typer(group, name="data")


def list_sources(
    languages: Annotated[bool, flag("--languages", "List the languages that `data make` speaks instead.")] = False,
    voices: Annotated[bool, flag("--voices", "List the voices of `data make` instead, with licences.")] = False,
    language: Annotated[
        str | None, typer.Option(metavar="TAG", help="With --voices: those that speak it, such as de or pt-br.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the public data sets of `data get`."""
    if language is not None and not voices:
        raise ConfigError("--language is for the list of voices: audioconv data list --voices --language TAG")
    if voices:
        list_voices(language, as_json=as_json)
        return
    if languages:
        _list_languages(as_json=as_json)
        return
    from audioconv.datasets.catalogue import SOURCES

    if as_json:
        write_json([_about(name, source) for name, source in SOURCES.items()])
        return
    table = new_table(
        "name", "what it is good for", "spoken", "clips", "download", "licence", right=["clips", "download"]
    )
    for name, source in SOURCES.items():
        clips = f"{source.count:,}" if source.count else ""
        size = megabytes(source.size) if source.size else "by language"
        add_row(table, name, source.purpose, source.language, clips, size, source.licence)
    results().print(table)
    write("anything else: url:ADDRESS, or the path of an archive, with a folder for each class")
    write_next(
        ["audioconv", "data", "info", "common-voice"],
        ["audioconv", "data", "get", next(iter(SOURCES))],
        ["audioconv", "data", "make", "yes,no,stop", "-o", "data/words"],
    )


def show_source(
    name: Annotated[str, typer.Argument(metavar="NAME", help="One of `audioconv data list`.")],
    as_json: Json = False,
) -> None:
    """Show a public data set: its makers, its licence and the consequences for a model, and how to cite it."""
    from audioconv.datasets.catalogue import find
    from audioconv.datasets.licences import LICENCES

    source = find(name)
    if as_json:
        write_json(_about(name, source))
        return
    write(f"{source.title}", style="bold")
    write(source.purpose)
    unknown = "depends on the language" if source.language == "many" else "not known"
    lines = {
        "clips": f"{source.count:,}" if source.count else unknown,
        "download": megabytes(source.size) if source.size else unknown,
        "spoken": source.language,
        "made by": source.attribution,
        "cite as": source.citation,
        "more": source.homepage,
    }
    if source.account:
        lines["needs"] = (
            "a key of Mozilla Data Collective (MDC_API_KEY), and the extra: pip install audioconv[commonvoice]"
        )
    for key, value in lines.items():
        if value:
            write(f"{key + ':':<10} {value}")
    for licence in map(LICENCES.__getitem__, source.licence.split(", ")):
        write(f"\n{licence.title}, {licence.url}", style="bold")
        write(licence.summary)
        if licence.text:
            write(f"\n{source.copyright}\n\n{licence.text}\n")
        write(f"For a model: {licence.for_models}")
    example = ["audioconv", "data", "get", name]
    if source.language == "many":
        example += ["--language", "en"] if name == "mswc" else ["--language", "en", "--words", "yes,no"]
    write_next(example)


def _about(name: str, source: Source) -> dict[str, Any]:
    """Return the description of a source, JSON-compatible."""
    fields = ("title", "purpose", "count", "size", "language", "licence", "attribution", "citation", "homepage")
    files = [{"url": file.url, "size": file.size, "sha256": file.sha256, "md5": file.md5} for file in source.files]
    return {"name": name, **{field: getattr(source, field) for field in fields}, "files": files}


def _list_languages(*, as_json: bool) -> None:
    from audioconv.tts.espeak import languages

    names = languages()
    if as_json:
        write_json(names)
        return
    table = new_table("tag", "language or accent")
    for tag, name in names.items():
        add_row(table, tag, name)
    results().print(table)
