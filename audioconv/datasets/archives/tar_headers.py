"""Headers of untrusted tar files, limited in size."""

from __future__ import annotations

import tarfile
from typing import Self

from audioconv.errors import DataError

MAX_HEADERS = 1 << 16
"""Bytes of names and attributes in front of one member, and in all of those that are for every member that follows.

A path has at most 4096 bytes. Beyond this, Pythons before 3.11.10 and 3.12.6 may take minutes to read attributes
(CVE-2024-6232)."""

_EVERYWHERE = tarfile.XGLTYPE
_EXTENDING = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.SOLARIS_XHDTYPE,
    _EVERYWHERE,
)


def checked_headers(shown: str) -> type[tarfile.TarInfo]:
    """Return what to give to `tarfile` as ``tarinfo``, for one archive, called `shown` in errors.

    Long names, links and attributes stand in blocks in front of their member. `tarfile` reads those wholly into memory,
    however long they are, before anybody sees the member; the same goes for the maps of sparse files. And what is no
    header it takes for the end of the archive.

    With this class instead, reading raises `DataError` where headers have more than `MAX_HEADERS` bytes or a
    file is sparse, and `tarfile.ReadError` where something is no header.
    """
    in_front = for_all = 0
    at_end = False

    class Header(tarfile.TarInfo):
        @classmethod
        def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
            try:
                header = super().fromtarfile(tarfile_)
            except (tarfile.HeaderError, ValueError) as error:  # the latter for numbers and letters that are none
                if at_end:
                    raise
                raise tarfile.ReadError(str(error)) from None
            if header.issparse():
                raise _sparse(shown)
            return header

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            nonlocal in_front, for_all, at_end
            at_end = not any(buf)  # nothing more comes, or zeros
            header = super().frombuf(buf, encoding, errors)
            if header.type == tarfile.GNUTYPE_SPARSE:
                raise _sparse(shown)
            if header.type not in _EXTENDING:
                in_front = 0
                return header
            if header.size < 0:
                raise DataError(f"{shown}: the archive is refused, a header in it has a size below 0")
            # With its own block, so that many small ones count too: each is read inside the one before.
            in_front += tarfile.BLOCKSIZE + header.size
            for_all += header.size if header.type == _EVERYWHERE else 0
            if max(in_front, for_all) > MAX_HEADERS:
                raise DataError(
                    f"{shown}: the archive is refused, it has headers of {max(in_front, for_all)} bytes and more, "
                    f"where {MAX_HEADERS} are enough for any name"
                )
            return header

        def _proc_gnusparse_10(self, *_arguments: object) -> None:
            """Refuse the only map of a sparse file that is not in the headers; `tarfile` calls this."""
            raise _sparse(shown)

    return Header


def _sparse(shown: str) -> DataError:
    return DataError(f"{shown}: the archive is refused, a file in it is sparse: it has holes that are not stored")
