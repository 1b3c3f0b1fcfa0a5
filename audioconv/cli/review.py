"""``audioconv review``: what the clips of ``--save`` really are."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audioconv.cli.detect import clock
from audioconv.cli.options import Json, add_command, flag
from audioconv.cli.terminal import json_path, notices, printable, say, write, write_json, write_next
from audioconv.errors import AudioconvError, ConfigError, DataError, MissingExtraError
from audioconv.io.files import display_path, reason

if TYPE_CHECKING:
    from audioconv.datasets.heard import HeardClip
    from audioconv.datasets.reviewing import Review
    from audioconv.streaming.loudspeaker import Loudspeaker

WORDS_IN_A_LINE = 20
"""More words are listed only once, before the first clip."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    add_command(
        app,
        review,
        "audioconv review heard",
        "audioconv review heard --answers answers.csv --json",
        "printf 'y\\nn\\ns\\n' | audioconv review heard",
    )


def review(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of listen --save or detect --save.")],
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Take the answers from a CSV file with the columns path and answer.",
            show_default=False,
        ),
    ] = None,
    skipped: Annotated[bool, flag("--skipped", "Ask for skipped clips again, too.")] = False,
    as_json: Json = False,
) -> None:
    r"""Label saved clips one after the other, to train with them: audioconv train DATA --reviewed DIR.

    Answers: y (the label is right), n (another sound), the name or number of another word, p (play
    again), s (skip), u (undo), q (quit). Each answer is kept at once; a clip that has one is not asked again. Without a
    terminal, each line of standard input is an answer. With --json one object: folder, counts, missing and clips.

    Clips are played with the extra `live`: pip install 'audioconv\[live]'.
    """
    from audioconv.datasets.heard import held, read_heard, read_words, write_heard
    from audioconv.datasets.reviewing import Review

    read_heard(folder)  # no lock is made in a folder that is something else
    with held(folder):
        rows = read_heard(folder)
        is_there = [(folder / row.path).is_file() for row in rows]
        session = Review(rows, read_words(folder), is_there, skipped_again=skipped)
        missing = [row for row, found in zip(rows, is_there, strict=True) if not found]
        if missing:
            some = ", ".join(display_path(row.path) for row in missing[:3]) + (", ..." if len(missing) > 3 else "")
            say(f"{len(missing):,} clips are missing, and are not asked: {some}", style="yellow")
        try:
            if answers is not None:
                _take_file(session, answers, skipped_again=skipped)
            elif sys.stdin.isatty():
                _ask(session, folder)
            else:
                _take_lines(session)
        finally:
            if session.clips != rows:
                write_heard(folder, session.clips)
    _show(session, folder, missing, as_json=as_json)


def _ask(session: Review, folder: Path) -> None:
    """Ask a person, and keep each answer at once."""
    from audioconv.datasets.heard import write_heard

    if session.place is None:
        return
    speaker = _loudspeaker()
    say(_help(session))
    shown: int | None = None
    try:
        while (place := session.place) is not None:
            if shown != place:
                shown = place
                say(f"\n{_described(session, folder)}", style="bold")
                speaker = _play(speaker, folder, session.clips[place])
            notices().print("> ", end="")
            line = sys.stdin.readline()
            key = session.key(line) if line.strip() else ("" if line else "q")
            if key == "q":
                break
            if key == "p":
                speaker = _play(speaker, folder, session.clips[place])
            elif key == "u":
                if session.undo():
                    write_heard(folder, session.clips)
                    shown = None
                else:
                    say("there is no answer to take back")
            elif key != "":
                try:
                    session.answer(line)
                except ConfigError as error:
                    say(printable(str(error)))
                    continue
                write_heard(folder, session.clips)
    finally:
        if speaker is not None:
            speaker.stop()


def _take_lines(session: Review) -> None:
    """Take each line of standard input as an answer; a line that is none is an error, with its number."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")
    for number, line in enumerate(sys.stdin, start=1):
        if not line.strip():
            continue
        key = session.key(line)
        if key == "q":
            return
        if key == "u":
            if not session.undo():
                raise ConfigError(f"standard input: line {number}: there is no answer to take back")
        elif session.place is None:
            raise ConfigError(f"standard input: line {number}: there are only {len(session.places)} clips to answer")
        elif key != "p":
            try:
                session.answer(line)
            except ConfigError as error:
                raise ConfigError(f"standard input: line {number}: {error}") from None


def _take_file(session: Review, path: Path, *, skipped_again: bool) -> None:
    """Take answers by the paths of clips; nothing is taken of a file with an error."""
    from audioconv.datasets.heard import SKIPPED

    places = {clip.path: place for place, clip in enumerate(session.clips)}
    new = {}
    for place_in_file, clip_path, text in _answers(path):
        where = f"{display_path(path)}: line {place_in_file}"
        if clip_path not in places:
            raise DataError(f"{where}: the folder's table has no clip {display_path(clip_path)!r}")
        if session.key(text) not in ("y", "n", "s", None):
            raise ConfigError(f"{where}: {text!r} is no answer here; it takes y, n, s or a word")
        place = places[clip_path]
        try:
            new[place] = session.reviewed(session.clips[place], text)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
    for place, clip in new.items():
        before = session.clips[place].review
        if before == "" or (skipped_again and before == SKIPPED):
            session.clips[place] = clip


def _answers(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line number, path and answer of each row that has an answer."""
    shown = display_path(path)
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            lacking = {"path", "answer"} - set(reader.fieldnames or ())
            if lacking:
                raise DataError(f"{shown}: line 1 names no column {' and no column '.join(sorted(lacking))}")
            for row in reader:
                if (row["answer"] or "").strip():
                    yield reader.line_num, row["path"], row["answer"]
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)})") from None
    except csv.Error as error:
        raise DataError(f"{shown}: is not a CSV file ({error})") from None


def _loudspeaker() -> Loudspeaker | None:
    from audioconv.streaming.loudspeaker import Loudspeaker

    try:
        return Loudspeaker()
    except (MissingExtraError, DataError) as error:
        say(f"clips are not played, only shown: {error}", style="yellow")
        return None


def _play(speaker: Loudspeaker | None, folder: Path, clip: HeardClip) -> Loudspeaker | None:
    """Play a clip; return what the next one is played with: nothing once the device has failed."""
    if speaker is None:
        return None
    from audioconv.audio.read import probe, read

    path = folder / clip.path
    try:
        rate = probe(path).sample_rate
        samples = read(path, rate)
    except DataError as error:
        say(str(error), style="yellow")
        return speaker
    try:
        speaker.play(samples, rate)
    except AudioconvError as error:
        say(f"clips are no longer played: {error}", style="yellow")
        return None
    return speaker


def _help(session: Review) -> str:
    words = [f"{number} {word}" for number, word in enumerate(session.words, start=1)]
    named = ", ".join(words if session.has_numbers else session.words)
    return (
        "y the label is right, n another sound, p play again, s skip, u undo, q quit\n"
        f"or another word: {printable(named)}"
    )


def _described(session: Review, folder: Path) -> str:
    assert session.place is not None
    clip = session.clips[session.place]
    what = "detected" if clip.fired else "near miss"
    return (
        f"clip {session.done + 1:,} of {len(session.places):,}: {printable(clip.label)}? {clip.score:.1%}, {what} "
        f"(threshold {clip.threshold:.1%}), at {clock(clip.start)} of {printable(clip.source)}, "
        f"{printable(clip.time)}: {display_path(folder / clip.path)}"
    )


def _show(session: Review, folder: Path, missing: list[HeardClip], *, as_json: bool) -> None:
    counts = session.counts
    if as_json:
        described: list[dict[str, Any]] = [{**asdict(clip), "review": clip.review or None} for clip in session.clips]
        write_json({"folder": json_path(folder), "counts": counts, "missing": len(missing), "clips": described})
        return
    told = [f"{count:,} {name}" for name, count in counts.items() if count]
    write(f"{len(session.clips):,} clips: {', '.join(told) or 'none'}")
    if counts["confirmed"] + counts["corrected"] + counts["refused"]:
        write_next(["audioconv", "train", "DATA", "-o", "MODEL", "--reviewed", folder])
