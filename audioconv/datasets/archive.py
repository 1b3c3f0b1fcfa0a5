"""Reading archives that nobody vouches for: in one pass, and nothing in them can lead out of the folder."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from audioconv.errors import DataError
from audioconv.files import display_path

CHUNK = 1 << 20

Progress = Callable[[int, int | None], None]
"""Called with how many bytes of the archive are done, and of how many."""

JUNK = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
"""What systems leave in folders, and so in archives; so are names that begin with ``._``."""

_COMPRESSED: dict[bytes, Callable[[BinaryIO], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to.

    Attributes
    ----------
    max_bytes, max_files : int
        Of all members together.
    """

    max_bytes: int
    max_files: int

    @classmethod
    def for_archive(cls, size: int) -> Limits:
        """Return limits for an archive of `size` bytes of which nothing is known: recordings hardly compress."""
        return cls(100 * size + 10**8, 10**7)


class Member:
    """A file in an archive; it can be read until the next one is asked for.

    Attributes
    ----------
    name : PurePosixPath
        Its name in the archive, which stays inside any folder that it is put into.
    size : int
        In bytes.
    """

    def __init__(self, name: PurePosixPath, size: int, shown: str, open_: Callable[[], IO[bytes]]) -> None:
        self.name = name
        self.size = size
        self._shown = shown
        self._open = open_

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the content as a file; who reads it so does not learn that it was cut off."""
        with _explained(self._shown), self._open() as file:
            yield file

    def read(self) -> bytes:
        """Return the content."""
        return b"".join(self._chunks())

    def save(self, path: Path) -> str:
        """Write the content to `path` and return its SHA-256; folders on the way are made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for chunk in self._chunks():
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _chunks(self) -> Iterator[bytes]:
        left = self.size
        with self.open() as source:
            while chunk := source.read(CHUNK):
                left -= len(chunk)
                yield chunk
            if left:  # the libraries do not always mind
                raise tarfile.ReadError("unexpected end of data")


def read_archive(archive: Path, limits: Limits | None = None, progress: Progress | None = None) -> Iterator[Member]:
    """Yield the files of an archive, in one pass from front to back.

    The archive as a whole is refused when any member is a link or a device, has a name that leaves the folder or that
    some system does not take, or goes beyond the limits. What systems leave in archives is left out. Memory does not
    grow with the archive, so whoever saves members has to see whether a name comes twice.

    Parameters
    ----------
    archive : Path
        A tar file, plain or compressed by gzip, bzip2 or xz; a ZIP file; or a folder, whose files are its members.
    limits : Limits, optional
        By default `Limits.for_archive`.
    progress : callable, optional
        Called now and then with the bytes of the archive that are done.

    Raises
    ------
    DataError
        If the archive is not one, is cut off, or is refused.
    """
    if archive.is_dir():
        yield from _read_folder(archive)
        return
    shown = display_path(archive.name)
    with _explained(shown), archive.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        guard = _Guard(shown, limits or Limits.for_archive(size))
        begin = file.read(6)
        file.seek(0)
        if begin.startswith(b"PK"):
            yield from _read_zip(file, guard, progress, size)
        else:
            yield from _read_tar(file, begin, guard, progress, size)


class _Guard:
    """Refuses members that must not be, and counts the others."""

    def __init__(self, shown: str, limits: Limits) -> None:
        self.shown, self._limits = shown, limits
        self._bytes = self._files = 0

    def check(self, name: str, size: int, *, link: bool, regular: bool) -> PurePosixPath:
        """Return the member's name; `DataError` where it is refused."""
        path = PurePosixPath(name)
        fault = None
        if link:
            fault = "is a link"
        elif not regular or size < 0:
            fault = "is neither a file nor a folder"
        elif path.is_absolute() or ".." in path.parts:
            fault = "leads out of the folder"
        elif not name.isprintable() or "\\" in name or ":" in name:
            # Control characters, bytes that are not UTF-8, and what Windows takes for a drive or a folder.
            fault = "is no name for every system"
        if fault:
            raise DataError(f"{self.shown}: the archive is refused, {display_path(path)!r} in it {fault}")
        return path

    def count(self, size: int) -> None:
        """Count a file; `DataError` where there have been too many."""
        self._bytes += size
        self._files += 1
        if self._bytes > self._limits.max_bytes or self._files > self._limits.max_files:
            raise DataError(
                f"{self.shown}: the archive is refused, it unpacks to more than was expected "
                f"({self._limits.max_files} files, {self._limits.max_bytes} bytes)"
            )


def _read_tar(file: BinaryIO, begin: bytes, guard: _Guard, progress: Progress | None, size: int) -> Iterator[Member]:
    decompress = next((open_ for magic, open_ in _COMPRESSED.items() if begin.startswith(magic)), None)
    plain = decompress(file) if decompress else file
    last = 0
    with tarfile.open(fileobj=plain, mode="r|", bufsize=CHUNK) as members:
        while (member := members.next()) is not None:
            members.members = []  # type: ignore[attr-defined]  # or tarfile would keep them all
            regular = member.isreg() or member.isdir()
            name = guard.check(member.name, member.size, link=member.issym() or member.islnk(), regular=regular)
            if not member.isreg():
                continue
            guard.count(member.size)
            if progress and file.tell() - last >= CHUNK:
                last = file.tell()
                progress(last, size)
            if not _is_junk(name):
                yield Member(name, member.size, guard.shown, _opener(members, member))
    while plain.read(CHUNK):  # only at the end of its data does a decompressor check them
        pass
    if progress:
        progress(size, size)


def _opener(members: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_() -> IO[bytes]:
        source = members.extractfile(member)
        assert source is not None  # a regular file always has data
        return source

    return open_


def _read_zip(file: BinaryIO, guard: _Guard, progress: Progress | None, size: int) -> Iterator[Member]:
    with zipfile.ZipFile(file) as members:
        for info in members.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            regular = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            name = guard.check(info.orig_filename, info.file_size, link=kind == stat.S_IFLNK, regular=regular)
            if info.is_dir():
                continue
            guard.count(info.file_size)
            if not _is_junk(name):
                yield Member(name, info.file_size, guard.shown, lambda info=info: members.open(info))  # type: ignore[misc]
            if progress:
                progress(min(info.header_offset + info.compress_size, size), size)


def _read_folder(folder: Path) -> Iterator[Member]:
    """Yield the files of a folder, by sorted name."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            relative = PurePosixPath(folder.name, path.relative_to(folder).as_posix())
            if path.is_file() and not _is_junk(relative):
                yield Member(relative, path.stat().st_size, str(relative), lambda path=path: path.open("rb"))  # type: ignore[misc]


def _is_junk(name: PurePosixPath) -> bool:
    return any(part in JUNK or part.startswith("._") for part in name.parts)


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    """Turn what the libraries say of damaged archives into `DataError`."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{shown}: is not an archive or is cut off ({error}); get it again") from None
    except (NotImplementedError, RuntimeError) as error:  # of zipfile: encrypted, or an unknown compression
        raise DataError(f"{shown}: cannot be unpacked ({error})") from None
    except OSError as error:
        if error.errno is not None:  # of the disk; bz2 and gzip have no error class of their own
            raise
        raise DataError(f"{shown}: is damaged ({error}); get it again") from None
