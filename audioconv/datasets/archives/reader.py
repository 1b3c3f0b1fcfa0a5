"""Reader of untrusted archives: members in one pass, with safe names."""

from __future__ import annotations

import bz2
import errno
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from audioconv.datasets.archives.gzip_index import MOST_POINTS, SPACING, GzipReader, Index
from audioconv.datasets.archives.safety import DamagedArchiveError, Guard, Limits
from audioconv.datasets.archives.tar_headers import checked_headers
from audioconv.errors import DataError
from audioconv.io.files import display_path, reason

CHUNK = 1 << 20

BUFFER = 1 << 16
"""So many bytes of a member that was gone back to are unpacked at a time."""

Progress = Callable[[int, int | None], None]
"""Called with how many bytes of the archive are done, and of how many."""

JUNK = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
"""What systems leave in folders, and so in archives; so are names that begin with ``._``."""


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


def read_archive(
    archive: Path, limits: Limits | None = None, progress: Progress | None = None, index: Index | None = None
) -> Generator[Member]:
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
    index : Index, optional
        Gets to know where the files of a tar file are; memory then grows by 12 bytes for each.

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
            yield from _read_tar(file, guard, progress, size, index)


class Archive:
    """An archive that is read once, though what is wanted of it may be known only when much of it has gone by.

    Of a tar file it is kept in mind where the files are (`Index`), and `members` goes back for those that are wanted.
    In a gzip or plain file nearly nothing else is read on the way; bzip2 and xz have to be decompressed once more, as
    far as the last one. ZIP files and folders have a directory, so going through them again reads nothing else either.

    Parameters
    ----------
    path : Path
        As for `read_archive`.
    limits : Limits, optional
        By default `Limits.for_archive`.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self._limits, self._index = limits, Index()
        self._pass: Generator[Member] | None = None
        self._progress: Progress | None = None

    def __enter__(self) -> Archive:
        """Begin; nothing is opened yet."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close what is open."""
        if self._pass:
            self._pass.close()

    def look_through(self, progress: Progress | None = None) -> Iterator[Member]:
        """Yield the files as `read_archive` does, whose errors these are; who stops goes on by `members`."""
        self._progress = progress
        self._pass = read_archive(self.path, self._limits, self._show, self._index)
        return self._pass

    def members(self, names: Iterable[str] | None = None, progress: Progress | None = None) -> Iterator[Member]:
        """Yield the files in their order: of those that were looked through, the wanted ones, and all that are left.

        Parameters
        ----------
        names : iterable of str, optional
            What the wanted ones are called, without their folders; a few others may come as well. By default all are
            wanted.
        progress : callable, optional
            As for `read_archive`.
        """
        self._progress = progress
        if self._pass is None or names is None or not self._index.useful:
            yield from read_archive(self.path, self._limits, progress)
            return
        with _opened(self.path, self._limits) as (file, guard, size):
            yield from _read_tar_at(self._index.offsets(names), file, guard, progress, size, self._index)
        yield from self._pass

    def _show(self, done: int, total: int | None) -> None:
        if self._progress:
            self._progress(done, total)


@contextmanager
def _opened(archive: Path, limits: Limits | None) -> Iterator[tuple[io.BufferedReader, Guard, int]]:
    """Open an archive, with a guard over it, and its size in bytes."""
    shown = display_path(archive.name)
    with _explained(shown), archive.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield file, Guard(shown, limits or Limits.for_archive(size)), size


def _read_tar(
    file: io.BufferedReader, guard: Guard, progress: Progress | None, size: int, index: Index | None
) -> Iterator[Member]:
    plain = _unpacked(file, index or Index(), max(SPACING, size // MOST_POINTS) if index else None)
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
                if index:
                    index.add(name.name, member.offset)
                    index.exact &= not members.pax_headers  # those for all members that follow
                yield Member(name, member.size, guard.shown, _opener(members, member))
    while plain.read(CHUNK):  # only at the end of its data does a decompressor check them
        pass
    if progress:
        progress(size, size)


def _read_tar_at(
    offsets: Iterable[int], file: io.BufferedReader, guard: Guard, progress: Progress | None, size: int, index: Index
) -> Iterator[Member]:
    """Yield the members that begin at `offsets` of a tar file that was read once."""
    plain = _unpacked(file, index)
    for offset in offsets:
        plain.seek(offset)
        with tarfile.TarFile(fileobj=plain, tarinfo=checked_headers(guard.shown)) as members:
            member = members.next()
            name = guard.admit(member) if member else None
            if member is None or name is None:
                raise tarfile.ReadError("it has changed while it was read")
            if progress:
                progress(min(file.tell(), size), size)
            yield Member(name, member.size, guard.shown, _opener(members, member))


def _unpacked(file: io.BufferedReader, index: Index, spacing: int | None = None) -> io.BufferedIOBase:
    """Return a file with what `file` unpacks to, or `file` itself; points are added to the index by the spacing."""
    begin = file.peek(6)
    if begin.startswith(b"\x1f\x8b"):
        return io.BufferedReader(GzipReader(file, index.points, spacing), BUFFER)
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
    """Turn what the libraries say of damaged archives into `DataError`."""
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
