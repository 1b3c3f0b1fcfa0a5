"""Reader of untrusted archives: members in one pass, with safe names."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from audioconv.datasets.archives.safety import DamagedArchiveError, Guard, Limits
from audioconv.datasets.archives.tar_headers import checked_headers
from audioconv.errors import DataError
from audioconv.io.files import display_path, reason

CHUNK = 1 << 20

Progress = Callable[[int, int | None], None]
"""Called with how many bytes of the archive are done, and of how many."""

JUNK = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
"""Names of files that operating systems add to folders. Names that begin with ``._`` are junk, too."""


class Member:
    """A file in an archive, readable until the next one is requested.

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
        """Open the content as a file; reading it does not detect that it was cut off."""
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


def read_archive(archive: Path, limits: Limits | None = None, progress: Progress | None = None) -> Generator[Member]:
    """Yield the files of an archive, in one pass from front to back.

    The archive as a whole is refused when any member is a link or a device, has a name that leaves the folder or that
    some system does not take, or goes beyond the limits. Files that systems add to archives are left out. Memory does
    not grow with the archive, so a caller that saves members has to check whether a name comes twice.

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
    with _opened(archive, limits) as (file, guard, size):
        if file.peek(2).startswith(b"PK"):
            yield from _read_zip(file, guard, progress, size)
        else:
            yield from _read_tar(file, guard, progress, size)


@dataclass(frozen=True)
class Archive:
    """An archive that is read several times: for its tables first, then for what they name.

    Attributes
    ----------
    path : Path
        As for `read_archive`.
    limits : Limits, optional
        Default: `Limits.for_archive`.
    """

    path: Path
    limits: Limits | None = None

    def members(self, progress: Progress | None = None) -> Generator[Member]:
        """Yield the files from front to back, as `read_archive` does, whose errors these are."""
        return read_archive(self.path, self.limits, progress)


@contextmanager
def _opened(archive: Path, limits: Limits | None) -> Iterator[tuple[io.BufferedReader, Guard, int]]:
    """Open an archive, with a guard over it, and its size in bytes."""
    shown = display_path(archive.name)
    with _explained(shown), archive.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield file, Guard(shown, limits or Limits.for_archive(size)), size


def _read_tar(file: io.BufferedReader, guard: Guard, progress: Progress | None, size: int) -> Iterator[Member]:
    plain = _unpacked(file)
    last = 0
    headers = checked_headers(guard.shown)
    with tarfile.open(fileobj=plain, mode="r|", bufsize=CHUNK, tarinfo=headers) as members:
        while (member := members.next()) is not None:
            members.members = []  # type: ignore[attr-defined]  # or tarfile would keep them all
            name = guard.admit(member)
            if progress and file.tell() - last >= CHUNK:
                last = file.tell()
                progress(last, size)
            if name is not None and not _is_junk(name):
                yield Member(name, member.size, guard.shown, _opener(members, member))
    while plain.read(CHUNK):  # only at the end of its data does a decompressor check them
        pass
    if progress:
        progress(size, size)


def _unpacked(file: io.BufferedReader) -> io.BufferedIOBase:
    """Return a file with what `file` unpacks to, or `file` itself."""
    begin = file.peek(6)
    if begin.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if begin.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return lzma.LZMAFile(file) if begin.startswith(b"\xfd7zXZ\x00") else file


def _opener(members: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    def open_() -> IO[bytes]:
        source = members.extractfile(member)
        assert source is not None  # a regular file always has data
        return source

    return open_


def _read_zip(file: BinaryIO, guard: Guard, progress: Progress | None, size: int) -> Iterator[Member]:
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
    """Turn the libraries' errors of damaged archives into `DataError`."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DamagedArchiveError(f"{shown}: is not an archive or is cut off ({error}); get it again") from None
    except (NotImplementedError, RuntimeError) as error:  # of zipfile: encrypted, or an unknown compression
        raise DataError(f"{shown}: cannot be unpacked ({error})") from None
    except OSError as error:
        # Of the disk, or of a place before the beginning of the file; bz2 has no error class of its own.
        if error.errno not in (None, errno.EINVAL):
            raise DataError(f"{shown}: cannot be read ({reason(error)})") from error
        raise DamagedArchiveError(f"{shown}: is damaged ({error}); get it again") from None
