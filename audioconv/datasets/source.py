"""A public data set: its files to download, its content and its licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Remote:
    """A file to download.

    Attributes
    ----------
    url : str
        Its address; ``{language}`` stands for the language's code.
    size : int or None
        In bytes, where it is known.
    sha256, md5 : str or None
        Its hash, published by the makers or computed once; None where the content is checked instead.
    named : str
        Its name in a mirror, where that is not the last part of the address.
    """

    url: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    named: str = ""

    @property
    def name(self) -> str:
        """Name of the file upstream."""
        return self.named or urlsplit(self.url).path.rpartition("/")[2]


@dataclass(frozen=True)
class Source:
    """A public data set.

    Attributes
    ----------
    title, purpose : str
        Its name, and its content and use in one line.
    files : tuple of Remote
        Files to download; empty where an account is needed.
    layout : str
        Name of its layout, one of those in `build.get`.
    count : int or None
        Number of all recordings or pictures, where it is known.
    language : str
        BCP 47 tags of what is spoken, separated by commas; ``many``; empty without speech.
    licence : str
        SPDX identifiers, the strictest first.
    attribution, citation, homepage : str
        Makers to name, the citation, and the address of its page.
    unpacked : int
        Bytes of all its files together, about; 0 where that is not known.
    content : str
        SHA-256 over the lines ``{sha256 of the file}  {its path here}`` of all recordings, sorted by path, where that
        is known: then it does not matter how the archive is packed.
    copyright : str
        The notice that goes with each copy, under licences that ask for one.
    several_languages : bool
        True if one archive has several languages, of which one may be chosen.
    account : {"", "mdc"}
        Site on which an account is needed.
    about : int
        Approximate bytes to download, where the files have no sizes.
    parts : mapping of str to Source
        Data sets that make it up, by the class that each becomes; empty for a data set of its own. `files` are those of
        all parts, in this order.
    """

    title: str
    purpose: str
    files: tuple[Remote, ...]
    layout: str
    count: int | None
    language: str
    licence: str
    attribution: str
    citation: str
    homepage: str
    unpacked: int = 0
    content: str = ""
    copyright: str = ""
    several_languages: bool = False
    account: Literal["", "mdc"] = ""
    about: int = 0
    parts: Mapping[str, Source] = field(default_factory=dict)

    @property
    def size(self) -> int | None:
        """Bytes to download; None where they depend on the language or are not known."""
        if self.about:
            return self.about
        sizes = [file.size for file in self.files if file.size is not None]
        return sum(sizes) if sizes and len(sizes) == len(self.files) else None

    @property
    def by_language(self) -> bool:
        """True if the files to download depend on the language."""
        return any("{language}" in file.url for file in self.files)
