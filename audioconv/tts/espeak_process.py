"""espeak-ng in a process of its own, which answers through a pipe.

The library keeps its state in globals: it is not thread-safe, and what it said before changes the bits of what it says
next. In a fresh process the same requests give the same bits, and threads of the caller do not matter. An abort of the
library ends this process only. A fresh process then gets the request again.

The first line on standard output is JSON: sample rate, version, voices and variants. Then for each line on standard
input, a JSON request, come a 32-bit little-endian count of bytes and so many of them: samples of 16 bits, none where
the voice does not exist or says nothing; or, where the phonemes of a text are asked for, these, and of a list of texts
a line each.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from audioconv.errors import DataError, missing_extra
from audioconv.io.files import reason

# It finds the packages where its parent finds them, and nothing that lies about in the working directory.
_CHILD = "import sys; sys.path[:] = sys.argv[1:]; from audioconv.tts.espeak_process import main; main()"

# From speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_PHONEMES_IN_ASCII = 0
_PHONEMES_IN_IPA = 0x02
_TIE = "^"
_WITH_TIE = 0x80 | ord(_TIE) << 8
_SYNTH_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

_BETWEEN = "\x1f"
"""What espeak-ng is asked to write between phonemes: no letter of one, and white space for Python."""

_LANGUAGE_CHANGE = re.compile(r"\([^)]*\)")
"""What stands around words that another language pronounces."""

_STRESS = "',%=| "
"""What espeak-ng writes between phonemes and is none: stress, and the ends of syllables and words."""


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class Voice:
    """A way to pronounce a language.

    Attributes
    ----------
    name : str
        For people, such as ``English (Scotland)``.
    identifier : str
        For the library, such as ``gmw/en-GB-scotland``.
    languages : tuple of (str, int)
        The tags of what it speaks, its own first, each with a rank: of the voices for a tag, that with the lowest is
        the usual one.
    """

    name: str
    identifier: str
    languages: tuple[tuple[str, int], ...]

    @property
    def tag(self) -> str:
        """The language's own tag."""
        return self.languages[0][0]


@dataclass(frozen=True)
class Utterance:
    """What to say and how: voice ``{identifier}+{variant}``, words a minute, pitch and its range in 0..99."""

    text: str
    voice: str
    rate: int = 175
    pitch: int = 50
    pitch_range: int = 50


class Speaker:
    """espeak-ng running beside this process; use it in a ``with`` block.

    Attributes
    ----------
    sample_rate : int
        Of what `say` returns, in Hz.
    version : str
        Of espeak-ng.
    voices : tuple of Voice
        The languages and their accents.
    variants : tuple of str
        The timbres, each to be had with each voice.

    Raises
    ------
    MissingExtraError
        If espeak-ng is not installed (extra ``synth``).
    DataError
        If it does not start.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader  # noqa: F401
        except ImportError:
            raise missing_extra("synthetic speech", "synth") from None
        hello = self._start()
        self.sample_rate: int = hello["sample_rate"]
        self.version: str = hello["version"]
        self.variants: tuple[str, ...] = tuple(hello["variants"])
        self.voices = tuple(
            Voice(v["name"], v["identifier"], tuple((tag, rank) for tag, rank in v["languages"]))
            for v in hello["voices"]
        )

    def _start(self) -> dict[str, Any]:
        """Start the process; return what it tells of itself."""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _CHILD, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise DataError(f"espeak-ng could not be started ({reason(error)})") from None
        try:
            hello: dict[str, Any] = json.loads(self._read_line())
        except BaseException:
            self.close()
            raise
        return hello

    def __enter__(self) -> Self:
        """Return this speaker."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.kill()
        self._process.wait()

    def say(self, utterance: Utterance) -> bytes:
        """Return the samples, 16-bit integers of this machine.

        The array is empty if the voice does not say the text, or if espeak-ng ends unexpectedly twice during it.
        """
        try:
            return self._ask(asdict(utterance))
        except _EndedError:
            self._start_anew()
            return b""

    def phonemes(self, text: str, voice: str) -> str:
        """Return the sounds that a voice says for a text, in espeak-ng's letters, without stress."""
        answer = self._ask({"phonemes_of": text, "voice": voice}).decode()
        return "".join(letter for letter in answer if letter not in _STRESS)

    def phoneme_lists(self, words: Sequence[str], voice: str) -> list[tuple[str, ...]]:
        """Return for each word the sounds that a voice says for it, one after the other, without stress.

        All words go with one request: for each of them alone, most of the time is that of the pipe.
        """
        mode = ord(_BETWEEN) << 8
        answer = self._ask({"phonemes_of": list(words), "voice": voice, "mode": mode}).decode("utf-8", "replace")
        lists = (
            answer.split("\n")[: len(words)] if answer else [""] * len(words)
        )  # nothing where there is no such voice
        return [tuple(sound for each in line.split() if (sound := each.strip(_STRESS))) for line in lists]

    def ipa(self, text: str, voice: str, *, tie: bool = True) -> str:
        """Return the sounds that a voice says for a text, in letters of the International Phonetic Alphabet.

        With stress; if `tie`, ``^`` ties letters that are one sound, such as ``t^ʃ``. Marks of another language, for
        example ``(en)``, are left out. Empty if there is no such voice.
        """
        mode = _PHONEMES_IN_IPA | (_WITH_TIE if tie else 0)
        answer = self._ask({"phonemes_of": text, "voice": voice, "mode": mode}).decode("utf-8", "replace")
        return _LANGUAGE_CHANGE.sub("", answer)

    def _ask(self, request: dict[str, Any]) -> bytes:
        """Return the answer of espeak-ng; of a fresh process if the present one ends."""
        try:
            return self._ask_once(request)
        except _EndedError:
            # Some faults of the library depend on what it was asked before: a voice ends it after the phonemes of
            # certain words.
            self._start_anew()
            return self._ask_once(request)

    def _start_anew(self) -> None:
        self.close()
        self._start()

    def _ask_once(self, request: dict[str, Any]) -> bytes:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise _EndedError from None
        (count,) = struct.unpack("<I", self._read(4))
        return self._read(count)

    def _read(self, count: int) -> bytes:
        assert self._process.stdout
        data = self._process.stdout.read(count)
        if len(data) < count:
            raise _EndedError
        return data

    def _read_line(self) -> bytes:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise _EndedError
        return line


class _EndedError(DataError):
    def __init__(self) -> None:
        super().__init__("espeak-ng ended unexpectedly; install it anew: pip install --force-reinstall espeakng-loader")


class _Library:
    """The C library, loaded into this process."""

    def __init__(self) -> None:
        import espeakng_loader

        self.library = library = ctypes.CDLL(espeakng_loader.get_library_path())
        library.espeak_Info.restype = ctypes.c_char_p
        library.espeak_Info.argtypes = (ctypes.c_void_p,)
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        library.espeak_ListVoices.argtypes = (ctypes.c_void_p,)
        library.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
        library.espeak_Synth.argtypes = (
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        )  # fmt: skip
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_TextToPhonemes.argtypes = (ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int)
        library.espeak_ng_SetRandSeed.argtypes = (ctypes.c_long,)
        # The library cuts longer paths than 160 bytes off, so it gets a relative one.
        os.chdir(Path(espeakng_loader.get_data_path()).parent)
        self.sample_rate: int = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, b".", _INITIALIZE_DONT_EXIT)
        if self.sample_rate <= 0:
            raise OSError("espeak-ng does not find its data")
        library.espeak_ng_SetRandSeed(1)  # by default the time
        self._spoken: list[bytes] = []
        self._callback = _SYNTH_CALLBACK(self._receive)  # kept: the library does not own it
        library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._spoken.append(ctypes.string_at(samples, 2 * count))
        return 0

    def voices(self, language: bytes | None = None) -> Iterator[Voice]:
        """Yield the voices; those for the language ``variant`` are the timbres."""
        tag = ctypes.create_string_buffer(language) if language else None
        wanted = _Voice(languages=ctypes.cast(tag, ctypes.c_void_p).value) if tag else None
        found = self.library.espeak_ListVoices(ctypes.byref(wanted) if wanted else None)
        for pointer in _until_null(found):
            voice = pointer.contents
            yield Voice(voice.name.decode(), voice.identifier.decode(), tuple(_languages(voice.languages)))

    def say(self, utterance: Utterance) -> bytes:
        self._spoken.clear()
        if self.library.espeak_SetVoiceByName(utterance.voice.encode()) != 0:
            return b""
        for parameter, value in ((_RATE, utterance.rate), (_PITCH, utterance.pitch), (_RANGE, utterance.pitch_range)):
            self.library.espeak_SetParameter(parameter, value, 0)
        text = utterance.text.encode() + b"\0"
        self.library.espeak_Synth(text, len(text), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
        self.library.espeak_Synchronize()
        return b"".join(self._spoken)

    def phonemes(self, texts: str | list[str], voice: str, mode: int) -> bytes:
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            return b""
        if isinstance(texts, str):
            return self._phonemes(texts, mode)
        return b"".join(self._phonemes(text, mode) + b"\n" for text in texts)

    def _phonemes(self, text: str, mode: int) -> bytes:
        buffer = ctypes.create_string_buffer(text.encode())
        rest = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses = []
        while rest.value:  # a call takes one clause, and leaves a null pointer behind the last
            clauses.append(self.library.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, mode))
        return b" ".join(clauses)


def _until_null(pointers: Any) -> Iterator[Any]:
    i = 0
    while pointers[i]:
        yield pointers[i]
        i += 1


def _languages(address: int) -> Iterator[tuple[str, int]]:
    """Yield tag and rank: in memory a byte of rank, the tag and its zero each, until a rank of zero."""
    while rank := ctypes.c_ubyte.from_address(address).value:
        tag = ctypes.string_at(address + 1)
        yield tag.decode(), rank
        address += len(tag) + 2


def main() -> None:
    """Speak what standard input asks for until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes our input
    # What the library itself might print must not get between the answers.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        library = _Library()
        hello = {
            "sample_rate": library.sample_rate,
            "version": library.library.espeak_Info(None).decode().split()[0],
            "voices": [asdict(voice) for voice in library.voices() if not voice.identifier.startswith("mb/")],
            "variants": [voice.identifier.removeprefix("!v/") for voice in library.voices(b"variant")],
        }
        answers.write(json.dumps(hello).encode() + b"\n")
        answers.flush()
        for line in sys.stdin.buffer:
            request = json.loads(line)
            if "phonemes_of" in request:
                mode = request.get("mode", _PHONEMES_IN_ASCII)
                answer = library.phonemes(request["phonemes_of"], request["voice"], mode)
            else:
                answer = library.say(Utterance(**request))
            answers.write(struct.pack("<I", len(answer)) + answer)
            answers.flush()
