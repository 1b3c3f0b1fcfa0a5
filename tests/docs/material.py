"""Real recordings, laid out as the tutorials ask their readers to do it."""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16000

SPEAKER, WORD = "jackson", 7
"""The speaker of FSDD whose voice is the reader's, and the digit that stands for the wake word."""


def digits(mirror: Path, folder: Path) -> None:
    """Write FSDD's recordings of one speaker into a folder."""
    folder.mkdir()
    (archive,) = mirror.glob("free-spoken-digit-dataset-*.tar.gz")
    with tarfile.open(archive) as file:
        for member in file:
            name = Path(member.name).name
            if "/recordings/" in member.name and name.endswith(".wav") and f"_{SPEAKER}_" in name:
                (folder / name).write_bytes(file.extractfile(member).read())


def wake_word(folder: Path, data: Path, mirror: Path) -> Path:
    """Lay out the recordings of the first tutorial; return the folder of the bank of negatives.

    One recording has 30 words with pauses, another one other words; `evening.flac` has 20 further words among
    utterances of other people, and `evening.txt` says where they are.
    """
    rng = np.random.default_rng(0)
    own = folder / "own"
    digits(mirror, own)
    takes = [own / f"{WORD}_{SPEAKER}_{n}.wav" for n in range(10, 40)]
    others = [own / f"{digit}_{SPEAKER}_{n}.wav" for n in range(10, 16) for digit in range(10) if digit != WORD]
    for label, paths in (("computer", takes), ("other", others)):
        (folder / "recordings" / label).mkdir(parents=True)
        parts = [part for path in paths for part in (_read(path), _quiet(rng, rng.uniform(1, 2), 0.0005))]
        soundfile.write(folder / "recordings" / label / "mine.wav", np.concatenate(parts), RATE)
    said = [own / f"{WORD}_{SPEAKER}_{n}.wav" for n in (*range(10), *range(40, 50))]
    rows = _without(data / "librispeech-some", "SEVEN")[: 2 * len(said)]
    parts, labels, length = [], [], 0
    for number, row in enumerate(rows):
        parts.append(_read(data / "librispeech-some" / row["file"]))
        length += len(parts[-1])
        if number % 2:
            word, pause = _read(said[number // 2]), _quiet(rng, 0.75, 0.002)
            labels.append(((length + len(pause)) / RATE, (length + len(pause) + len(word)) / RATE, "computer"))
            parts += [pause, word, pause]
            length += len(word) + 2 * len(pause)
    soundfile.write(folder / "evening.flac", np.concatenate(parts), RATE)
    _write_track(folder / "evening.txt", labels)
    return _bank(folder / "bank", data / "librispeech-more", "SEVEN", 250)


def yard(folder: Path, data: Path) -> None:
    """Lay out three recordings of the third tutorial: sounds of ESC-10 in a quiet noise, with label tracks."""
    rng = np.random.default_rng(0)
    classes = {"rooster": "rooster", "chainsaw": "chainsaw", "other": "rain"}
    found = {path.name.lower(): path for path in (data / "esc-10").iterdir() if path.is_dir()}
    sources = {
        label: sorted(next(path for name, path in found.items() if wanted in name).glob("*.ogg"))
        for label, wanted in classes.items()
    }
    (folder / "yard").mkdir()
    for day, name in enumerate(("monday", "tuesday", "friday")):
        parts, labels, length = [], [], 0
        for number in range(10):
            for label, paths in sources.items():
                pause = _quiet(rng, rng.uniform(2, 4), 0.001)
                sound = _read(paths[10 * day + number])
                begin = length + len(pause)
                length = begin + len(sound)
                labels.append((begin / RATE, length / RATE, label))
                parts += [pause, sound]
        soundfile.write(folder / "yard" / f"{name}.flac", np.concatenate(parts), RATE)
        _write_track(folder / "yard" / f"{name}.txt", labels)


def answers(folder: Path) -> str:
    """Return what a listener would answer about the kept clips: y for the labelled words, n for all else."""
    spoken = [tuple(map(float, line.split("\t")[:2])) for line in (folder / "evening.txt").read_text().splitlines()]
    with open(folder / "heard" / "heard.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return "".join(
        "y\n" if any(float(row["start"]) < end and begin < float(row["end"]) for begin, end in spoken) else "n\n"
        for row in rows
    )


def _bank(folder: Path, source: Path, word: str, count: int) -> Path:
    """Make a bank of negatives of utterances without a word."""
    folder.mkdir()
    rows = _without(source, word)[:count]
    for row in rows:
        (folder / row["file"]).symlink_to(source / row["file"])
    with open(folder / "transcripts.csv", "w", newline="") as file:
        table = csv.DictWriter(file, ["file", "speaker", "text"])
        table.writeheader()
        table.writerows({name: row[name] for name in ("file", "speaker", "text")} for row in rows)
    return folder


def _without(folder: Path, word: str) -> list[dict[str, str]]:
    with open(folder / "transcripts.csv", newline="") as file:
        return [row for row in csv.DictReader(file) if word not in row["text"].split()]


def _read(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(samples, rate, RATE)


def _quiet(rng: np.random.Generator, seconds: float, level: float) -> np.ndarray:
    return level * rng.standard_normal(int(seconds * RATE)).astype(np.float32)


def _write_track(path: Path, labels: Sequence[tuple[float, float, str]]) -> None:
    path.write_text("".join(f"{begin:.3f}\t{end:.3f}\t{label}\n" for begin, end, label in labels), "utf-8")
