"""Limits of archives: no links or devices, no names outside the folder, no more than the expected size."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from audioconv.errors import DataError
from audioconv.io.files import display_path


class DamagedArchiveError(DataError):
    """An archive is not what it should be: to download it again may help."""


@dataclass(frozen=True)
class Limits:
    """Limits of the unpacked content of an archive.

    Attributes
    ----------
    max_bytes, max_files : int
        Bytes and number of all members together.
    """

    max_bytes: int
    max_files: int

    @classmethod
    def for_archive(cls, size: int) -> Limits:
        """Return limits for an archive of `size` bytes of which nothing is known: recordings hardly compress."""
        return cls(100 * size + 10**8, 10**7)


class Guard:
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

    def admit(self, member: tarfile.TarInfo) -> PurePosixPath | None:
        """Check and count a member of a tar file and return its name; None for a folder."""
        regular = member.isreg() or member.isdir()
        name = self.check(member.name, member.size, link=member.issym() or member.islnk(), regular=regular)
        if not member.isreg():
            return None
        self.count(member.size)
        return name

    def count(self, size: int) -> None:
        """Count a file; `DataError` where there have been too many."""
        self._bytes += size
        self._files += 1
        if self._bytes > self._limits.max_bytes or self._files > self._limits.max_files:
            raise DataError(
                f"{self.shown}: the archive is refused, it unpacks to more than was expected "
                f"({self._limits.max_files} files, {self._limits.max_bytes} bytes)"
            )
