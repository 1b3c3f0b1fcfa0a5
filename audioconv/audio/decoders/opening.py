"""Opening recordings: which decoder reads a file, by what it holds."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import PurePath
from typing import BinaryIO

from audioconv._types import Samples, StrPath
from audioconv.audio.decoders import ffmpeg, mpeg, ogg
from audioconv.audio.decoders.decoder import Decoder, detail, explained
from audioconv.audio.decoders.libsndfile import SoundFileDecoder, open_sound_file
from audioconv.audio.decoders.pieces import Piece, assembled, in_memory
from audioconv.audio.decoders.repair import repaired, wave_header, whole_blocks
from audioconv.audio.decoders.wav_header import MP3, MPEG, UNKNOWN_LENGTH, is_wave
from audioconv.errors import DataError
from audioconv.io.files import display_path, reason

CONVERT = "ffmpeg -i INPUT OUTPUT.wav"

HEAD = 200
"""Number of bytes at the beginning that identify the format of a file."""


class open_file:  # noqa: N801 (it is called like a function)
    """Open the recording in `path`: the context is its `Decoder`. A generator would take longer.

    Raises
    ------
    DataError
        If it is missing, not readable, empty or not audio.
    """

    __slots__ = ("_path", "_stack")

    def __init__(self, path: StrPath) -> None:
        self._path, self._stack = path, ExitStack()

    def __enter__(self) -> Decoder:
        """Open it."""
        try:
            return _decoder(self._path, self._stack)
        except BaseException:
            self._stack.close()
            raise

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self._stack.close()


def _decoder(path: StrPath, stack: ExitStack) -> Decoder:
    shown = display_path(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise DataError(f"{shown}: is a folder, expected a recording")
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{shown}: is not a regular file, expected a recording")
        content = open(path, "rb", buffering=0)  # noqa: SIM115 (closed below)
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({reason(error)})") from None
    except ValueError as error:  # a name that no file can have
        raise DataError(f"{shown}: cannot be read ({error})") from None
    # The decoders get the content, not the name: libsndfile takes any text named .au for sound, and cannot open names
    # that are not UTF-8.
    stack.callback(content.close)
    if status.st_size == 0:
        raise DataError(f"{shown}: is empty (0 bytes), expected a recording")
    return _Opening(stack, content, shown, status.st_size).decoder()


@contextmanager
def open_bytes(content: bytes, name: str) -> Iterator[Decoder]:
    """Open the recording whose file has this `content`; `name` is what errors call it."""
    with in_memory(content) as source, ExitStack() as stack:
        yield _Opening(stack, source, name, len(content)).decoder()


@contextmanager
def open_stream(content: BinaryIO, name: str, size: int) -> Iterator[Decoder]:
    """Open the recording in an open file of `size` bytes, from its beginning; `name` is what errors call it."""
    if not size:
        raise DataError(f"{name}: is empty (0 bytes), expected a recording")
    with explained(name):
        content.seek(0)
    with ExitStack() as stack:
        yield _Opening(stack, content, name, size).decoder()


class _Opening:
    """A file for which a decoder is chosen; what has to be closed goes to `stack`."""

    def __init__(self, stack: ExitStack, content: BinaryIO, shown: str, size: int) -> None:
        self._stack, self._content, self._shown, self._size = stack, content, shown, size
        with explained(shown):
            self._head = content.read(HEAD)

    def decoder(self) -> Decoder:
        if self._head.startswith(b"fLaC"):  # nothing about it needs repair, or is read here
            opened = self._try_sound_file(None)
            return opened if isinstance(opened, Decoder) else self._media(detail(opened))
        if isinstance(self._content, io.FileIO):
            self._content = self._stack.enter_context(io.BufferedReader(self._content))
        with explained(self._shown):
            header = wave_header(self._content) if is_wave(self._head[:12]) else None
            if header is not None and header.tag in (MPEG, MP3):
                begin, length = header.data_offset, header.data_size
                end = begin + length if 0 < length < UNKNOWN_LENGTH else self._size
                found = mpeg.scan(self._content, begin, min(end, self._size))
            else:
                found = mpeg.scan(self._content, 0, self._size) if mpeg.may_begin_with(self._head) else None
            pieces = repaired(self._content, self._size, self._head, header, self._shown)
            links = ogg.links(self._content, self._size) if self._head.startswith(b"OggS") else []
        if found is not None:
            return self._mpeg(found, is_alone=header is None)
        if len(links) > 1:
            with explained(self._shown):
                return JoinedDecoder(self._content, links, self._shown, self._size)
        opened = self._try_sound_file(pieces, whole_blocks(header, self._size) if header is not None else None)
        return opened if isinstance(opened, Decoder) else self._media(detail(opened))

    def _try_sound_file(
        self, pieces: Sequence[Piece] | None, most_frames: int | None = None
    ) -> SoundFileDecoder | Exception:
        """Return libsndfile's decoder, or its error."""
        content, size = self._content, self._size
        with explained(self._shown):
            if pieces is not None:
                content, size = self._stack.enter_context(assembled(content, pieces))
            file = open_sound_file(content)
        if isinstance(file, Exception):
            return file
        self._stack.callback(file.close)
        return SoundFileDecoder(file, self._shown, size, most_frames)

    def _mpeg(self, found: mpeg.Scan, *, is_alone: bool) -> Decoder:
        if found.changes_after is not None:
            seconds = found.changes_after * found.format.samples / found.format.sample_rate
            raise DataError(
                f"{self._shown}: its sample rate or number of channels changes after {seconds:.1f} s; "
                f"convert it: {CONVERT}"
            )
        # As it is, if it announces its length rightly, or if the length is estimated too high.
        opened = self._try_sound_file(None) if found.is_right or (is_alone and not found.announced) else None
        if isinstance(opened, SoundFileDecoder) and (found.is_right or opened.frames >= found.samples):
            if not found.is_right:
                opened.announce(found.samples)
            return opened
        opened = self._try_sound_file(found.stream())
        if isinstance(opened, Exception):
            return self._media(detail(opened))
        if opened.frames < found.samples - mpeg.TOLERATED_SAMPLES:
            # Layers I and II have no frame with the length, which is estimated.
            return self._media("frames of several bitrates, whose length libsndfile does not know")
        opened.announce(found.samples)
        return opened

    def _media(self, fault: str) -> Decoder:
        """Return FFmpeg's decoder of a file that libsndfile does not read, for this fault."""
        is_media = ffmpeg.is_media(self._head)
        if ffmpeg.is_installed():
            try:
                return self._stack.enter_context(ffmpeg.open_media(self._content, self._shown, self._size))
            except DataError:
                if is_media:
                    raise
        elif is_media or PurePath(self._shown).suffix.lower() in ffmpeg.SUFFIXES:
            raise DataError(
                f"{self._shown}: is read by an optional part only: {ffmpeg.INSTALL}; or convert it: {CONVERT}"
            )
        raise DataError(
            f"{self._shown}: not audio that can be read ({fault}); expected WAV, FLAC, OGG, Opus or MP3. "
            f"Others can be converted: {CONVERT}"
        )


class JoinedDecoder(Decoder):
    """Ogg files that were joined to one, decoded one after the other."""

    def __init__(self, content: BinaryIO, links: Sequence[tuple[int, int]], shown: str, size: int) -> None:
        self.shown, self._content, self._links, self._stack = shown, content, list(links), ExitStack()
        frames, kinds = 0, set()
        for link in links:
            with self._stack:
                one = self._opened(link)
                frames += one.frames
                kinds.add((one.sample_rate, one.channels))
        if len(kinds) > 1:
            raise DataError(
                f"{shown}: was joined from recordings of several sample rates or numbers of channels; "
                f"convert it: {CONVERT}"
            )
        super().__init__(shown, *kinds.pop(), frames, size)
        self._current: Decoder | None = None
        self._came = 0

    def _opened(self, link: tuple[int, int]) -> Decoder:
        content, size = self._stack.enter_context(assembled(self._content, [link]))
        file = open_sound_file(content)
        if isinstance(file, Exception):
            raise file
        self._stack.enter_context(file)
        return SoundFileDecoder(file, self.shown, size)

    def _read(self, frames: int) -> Samples:
        while True:
            if self._current is None:
                self._current, self._came = self._opened(self._links.pop(0)), 0
            samples = self._current.read(frames)
            self._came += len(samples)
            if len(samples) or not self._links:
                return samples
            self._current.check_whole(self._came)
            self._stack.close()
            self._current = None
