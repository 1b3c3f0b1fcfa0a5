"""Taking files out of archives that nobody vouches for."""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from audioconv.errors import DataError
from audioconv.files import display_path

CHUNK = 1 << 20

Place = Callable[[PurePosixPath], Path | None]
"""Says where below the target folder a file of the archive goes; None leaves it out."""


def extract_tar(
    archive: Path,
    folder: Path,
    place: Place,
    *,
    max_bytes: int,
    max_files: int,
    progress: Callable[[int], None] | None = None,
) -> dict[Path, str]:
    """Extract the files of a tar archive that `place` wants, in one pass from front to back.

    Nothing is ever written outside `folder`, and nothing but regular files: the archive as a whole is refused when any
    member, wanted or not, is a link, a device, has a name that leaves the folder, or goes beyond the limits.

    Parameters
    ----------
    archive : Path
        A tar file, plain or compressed by gzip, bzip2 or xz.
    folder : Path
        An existing folder.
    place : callable
        Gives the destination, relative to `folder`, for a name in the archive.
    max_bytes, max_files : int
        Limits on all members together, unpacked.
    progress : callable, optional
        Called with the number of files that have been written.

    Returns
    -------
    dict of Path to str
        The SHA-256 of each written file by its destination.

    Raises
    ------
    DataError
        If the archive is not one, is cut off, or is refused.
    """
    shown = display_path(archive.name)
    hashes: dict[Path, str] = {}
    total = count = 0
    try:
        with tarfile.open(archive, "r|*") as members:
            for member in members:
                name = _checked_name(member, shown)
                count += 1
                total += member.size
                if total > max_bytes or count > max_files:
                    raise DataError(
                        f"{shown}: the archive is refused, it unpacks to more than was expected "
                        f"({max_files} files, {max_bytes} bytes)"
                    )
                destination = place(name) if member.isreg() else None
                if destination is None:
                    continue
                if destination in hashes:
                    raise DataError(f"{shown}: the archive is refused, it has {display_path(name)} twice")
                hashes[destination] = _write(members, member, folder / destination)
                if progress:
                    progress(len(hashes))
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{shown}: is not a tar archive or is cut off ({error}); get it again") from None
    except OSError as error:
        if error.errno is not None:  # of the disk; bz2 has no error class of its own
            raise
        raise DataError(f"{shown}: is damaged ({error}); get it again") from None
    return hashes


def _checked_name(member: tarfile.TarInfo, shown: str) -> PurePosixPath:
    """Return the member's name, which stays inside any folder it is put into; `DataError` for what is refused."""
    name = PurePosixPath(member.name)
    fault = None
    if member.issym() or member.islnk():
        fault = "is a link"
    elif not (member.isreg() or member.isdir()) or member.size < 0:
        fault = "is neither a file nor a folder"
    elif name.is_absolute() or ".." in name.parts:
        fault = "leads out of the folder"
    elif not member.name.isprintable() or "\\" in member.name or ":" in member.name:
        # Control characters, bytes that are not UTF-8, and what Windows takes for a drive or a folder.
        fault = "is no name for every system"
    if fault:
        raise DataError(f"{shown}: the archive is refused, {display_path(member.name)!r} in it {fault}")
    return name


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
    """Write the file `member` to `path`, which must not exist yet, and return its SHA-256."""
    source = members.extractfile(member)
    assert source is not None  # a regular file always has data
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("xb") as file:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
        if file.tell() != member.size:  # tarfile itself does not mind, in a stream
            raise tarfile.ReadError("unexpected end of data")
    return digest.hexdigest()
