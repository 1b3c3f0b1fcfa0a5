"""Read mutated files, in a process of their own: ``fuzzing.py KIND COUNT SEED FOLDER``.

The first input that raises anything but the package's own errors, takes over two seconds or much memory ends it; that
input is then FOLDER/input. The last line of the output says how many were read and refused.
"""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import json
import lzma
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from audioconv.errors import AudioconvError

MOST_SECONDS, MOST_BYTES = 2.0, 1 << 30
RATE = 8000


# --- inputs that are whole


def written(form: str, subtype: str | None, samples: np.ndarray, rate: int = RATE, **options: object) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype, **options)
    return file.getvalue()


def recordings(rng: np.random.Generator) -> list[bytes]:
    """Return short recordings of every format that libsndfile writes, and of some that FFmpeg does."""
    import soundfile
    from mpeg_files import without_info

    samples = (0.3 * np.sin(np.arange(RATE // 4) / 3) + rng.normal(0, 0.05, RATE // 4)).astype(np.float32)
    stereo = np.stack([samples, samples[::-1]], axis=1)
    found = []
    for form in soundfile.available_formats():
        if form in ("RAW", "SD2"):  # without a header; of two files
            continue
        for subtype in soundfile.available_subtypes(form):
            for signal in (stereo, samples):
                try:
                    found.append(written(form, subtype, signal))
                except (soundfile.SoundFileError, ValueError):
                    continue
    vorbis = written("OGG", "VORBIS", samples)
    wav = written("WAV", "PCM_16", samples)
    found += [
        vorbis + written("OGG", "VORBIS", samples[::-1]),
        without_info(written("MP3", None, samples, bitrate_mode="VARIABLE", compression_level=0.5)),
        b"ID3\3\0\0\0\0\2\0" + bytes(256) + without_info(written("MP3", None, stereo, 44100)),
        wav[:40] + bytes(4) + wav[44:],
    ]
    if importlib.util.find_spec("av") is not None:
        from media_files import encoded

        found += [encoded(form, codec, np.repeat(samples, 6)) for form, codec in MEDIA]
    # Formats whose parsers are larger are tried more often.
    return found + 4 * [one for one in found if one[:4] in (b"fLaC", b"OggS", b"caff") or one[:1] == b"\xff"]


MEDIA = [("webm", "libopus"), ("mp4", "aac"), ("adts", "aac"), ("avi", "pcm_s16le"), ("matroska", "ac3")]
MEDIA += [("wv", "wavpack")]


def models(rng: np.random.Generator) -> list[bytes]:
    """Return models of several kinds."""
    from model_files import small_models

    return small_models()


def archives(rng: np.random.Generator) -> list[bytes]:
    """Return archives of several kinds; those of tar are packed only when they have been mutated."""
    files = {f"data/{label}/{n}.wav": rng.bytes(int(rng.integers(900))) for label in ("no", "yes") for n in range(3)}
    plain, squeezed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar, zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            packed.writestr(name, content)
    tars = [plain.getvalue(), gzip.compress(plain.getvalue()), bz2.compress(plain.getvalue())]
    return [*tars, lzma.compress(plain.getvalue()), squeezed.getvalue()]


# --- changes


EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1]
VALUES = [None, True, -1, 0, 1, 7, 10**9, 10**30, 1e308, 0.5, "", "x", [], {}, [1], [[]], {"x": 1}]


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Return `content` with one to three changes, most of them near its beginning."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if not changed:
            break
        # A header is the first hundred bytes or so.
        reach = len(changed) if rng.random() < 0.3 else min(len(changed), int(rng.choice([16, 64, 256])))
        place, kind = int(rng.integers(reach)), rng.integers(8)
        if kind == 0:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            changed[place] = int(rng.integers(256))
        elif kind in (2, 3):
            width = int(rng.choice([1, 2, 4, 8]))
            number = EXTREMES[int(rng.integers(len(EXTREMES)))] & ((1 << 8 * width) - 1)
            changed[place : place + width] = number.to_bytes(width, "little" if rng.random() < 0.5 else "big")
        elif kind == 4:
            del changed[place:]
        elif kind == 5:
            del changed[place : place + int(rng.integers(1, 33))]
        elif kind == 6:
            changed[place:place] = rng.bytes(int(rng.integers(1, 33)))
        else:
            begin = int(rng.integers(len(changed)))
            changed[place:place] = changed[begin : begin + int(rng.integers(1, 65))]
    return bytes(changed)


def mutated_model(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a model with changed bytes, or with a header in which some values are others."""
    if rng.random() < 0.3:
        return mutated(content, rng)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["audioconv"])
    for _ in range(rng.integers(1, 4)):
        replace_value(about if rng.random() < 0.8 else header, rng)
    if isinstance(header.get("__metadata__"), dict):
        header["__metadata__"]["audioconv"] = json.dumps(about)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def replace_value(node: object, rng: np.random.Generator) -> None:
    """Replace or remove one value somewhere in JSON data."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        if not keys:
            return
        key = keys[int(rng.integers(len(keys)))]
        below = node[key]  # type: ignore[index]
        if isinstance(below, dict | list) and below and rng.random() < 0.8:
            node = below
            continue
        if isinstance(below, int) and rng.random() < 0.5:
            node[key] = below * 10 ** int(rng.integers(1, 13))  # type: ignore[index]
        elif rng.random() < 0.2:
            del node[key]  # type: ignore[attr-defined]
        else:
            node[key] = VALUES[int(rng.integers(len(VALUES)))]  # type: ignore[index]
        return


def mutated_archive(content: bytes, rng: np.random.Generator) -> bytes:
    """Return an archive with changed bytes, packed before or after."""
    if content[257:262] != b"ustar" or rng.random() < 0.4:
        return mutated(content, rng)
    pack = (gzip.compress, bz2.compress, lzma.compress)[int(rng.integers(3))]
    return pack(mutated(content, rng))


# --- reading


def read_recording(path: Path) -> None:
    from audioconv.audio.read import Segment, probe, read, read_window

    probe(path)
    assert np.isfinite(read(path, 16000)).all()
    assert len(read_window(Segment(path, 0.02, 0.04), 16000, 1600)) == 1600


def read_model(path: Path) -> None:
    from audioconv.model import Model

    Model.load(path)


def read_members(path: Path) -> None:
    from audioconv.datasets.archives.reader import read_archive

    for member in read_archive(path):
        member.read()


KINDS: dict[str, tuple[Callable, Callable, Callable]] = {
    "recordings": (recordings, mutated, read_recording),
    "models": (models, mutated_model, read_model),
    "archives": (archives, mutated_archive, read_members),
}


def main(kind: str, count: int, seed: int, folder: Path) -> None:
    make, change, read = KINDS[kind]
    rng = np.random.default_rng([seed, len(kind)])
    whole = make(rng)
    path = folder / "input"
    for content in whole:  # also loads all that is needed, which is not to be timed
        path.write_bytes(content)
        read(path)
    limit_memory()
    found = {"read": 0, "refused": 0}
    for number in range(count):
        path.write_bytes(change(whole[number % len(whole)], rng))
        begun = time.process_time()
        try:
            read(path)
            found["read"] += 1
        except AudioconvError as error:
            if "not enough memory" in str(error):
                fail(path, number, str(error))
            found["refused"] += 1
        except BaseException:
            fail(path, number, traceback.format_exc())
        if (seconds := time.process_time() - begun) > MOST_SECONDS:
            fail(path, number, f"took {seconds:.1f} s")
    print(json.dumps(found))


def limit_memory() -> None:
    """Let the process take so many bytes more than it has."""
    try:
        import resource
    except ImportError:  # Windows
        return
    pages = Path("/proc/self/statm")
    if pages.exists():
        taken = int(pages.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_BYTES, taken + MOST_BYTES))


def fail(path: Path, number: int, fault: str) -> None:
    kept = Path(tempfile.gettempdir()) / f"audioconv-fuzz-{number}"
    kept.write_bytes(path.read_bytes())
    sys.exit(f"input {number}, kept as {kept}: {fault}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
