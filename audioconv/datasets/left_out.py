"""Files in a data set's folder that are not used, counted and reported."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from audioconv.io.files import display_path

# Endings of recordings, videos and pictures. Those of `AUDIO_SUFFIXES` and `IMAGE_SUFFIXES` are read, the others not.
_MEDIA_LIST = (
    ".3g2 .3ga .3gp .aac .ac3 .adts .aif .aifc .aiff .alac .amr .ape .asf .au .avi .avr .awb .caf .dff .dsf "
    ".dss .dts .eac3 .flac .flv .gsm .ircam .m4a .m4b .m4p .m4v .mka .mkv .mov .mp1 .mp2 .mp3 .mp4 .mpa .mpc "
    ".mpeg .mpg .mpga .nist .oga .ogg .ogv .oma .opus .paf .pcm .pvf .qt .ra .raw .rf64 .rm .sd2 .sds .shn "
    ".snd .sph .spx .svx .tak .tta .voc .vox .w64 .wav .wave .weba .webm .wma .wmv .wv .xi .arw .avif .bmp "
    ".cr2 .dng .gif .heic .heif .jp2 .jpeg .jpg .jxl .nef .pgm .png .ppm .psd .tif .tiff .webp "
)
_MEDIA = frozenset(_MEDIA_LIST.split())

# Endings of what people and programs put beside recordings, and which is none.
_NO_MEDIA_LIST = (
    ".asd .bak .bat .cfg .conf .csv .db .doc .docx .eaf .exe .gz .h5 .htm .html .ini .ipynb .js .json .jsonl "
    ".lab .label .labels .lnk .log .md .md5 .mid .midi .mlf .npy .npz .ods .pdf .phn .pk .pkf .pkl .pt .py "
    ".pyc .reapeaks .rpp .rst .rtf .sfk .sh .sha256 .srt .tar .textgrid .tmp .toml .torrent .trn .tsv .txt "
    ".url .vtt .wrd .xls .xlsx .xml .yaml .yml .zip "
)
_NO_MEDIA = frozenset(_NO_MEDIA_LIST.split())

LOOKED_INTO = 200
"""Number of files of an unknown ending whose content is read; further ones count as the same."""

# How the content of a recording or a picture begins, and at which byte.
_BEGINNINGS = (
    (0, b"RIFF"), (0, b"RIFX"), (0, b"RF64"), (0, b"riff\x2e\x91\xcf\x11"), (0, b"FORM"), (0, b".snd"), (0, b"caff"),
    (0, b"fLaC"), (0, b"OggS"), (0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xfa"), (0, b"\xff\xf3"), (0, b"\xff\xf2"),
    (0, b"\xff\xf1"), (0, b"\xff\xf9"), (0, b"ADIF"), (0, b"#!AMR"), (0, b"\x1a\x45\xdf\xa3"), (4, b"ftyp"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), (0, b".RMF"), (0, b".ra\xfd"), (0, b"Creative Voice File"),
    (0, b"NIST_1A"),
    (0, b"wvpk"), (0, b"MAC "), (0, b"TTA1"), (0, b"MPCK"), (0, b"MP+"), (0, b"DSD "), (0, b"FRM8"), (0, b"ajkg"),
    (0, b"\x0b\x77"), (0, b"\x89PNG"), (0, b"\xff\xd8\xff"), (0, b"GIF8"), (0, b"II*\0"), (0, b"MM\0*"),
)  # fmt: skip


SHOWN = 5
"""Number of names or endings that a line has."""


class Unread(NamedTuple):
    """Files of a class that are recordings or pictures by their ending or content, but not read: how many of each."""

    label: str
    ending: str
    files: int


@dataclass(frozen=True)
class LeftOut:
    """Files that were found when a data set was opened and are not used. Hidden files are not counted.

    Attributes
    ----------
    unread : tuple of Unread
        Files in class folders that are recordings or pictures, but whose names do not end like those that are read.
    others : tuple of (str, int)
        The endings of all other files in class folders, such as ``.txt``, with the dot (``""``: no ending), and how
        many files have each. The most frequent come first.
    stray : tuple of str
        Recordings and pictures that are in no class folder, by their names below the data set's folder.
    empty : tuple of str
        Folders that stand where classes do, and hold no file that is read.
    """

    unread: tuple[Unread, ...] = ()
    others: tuple[tuple[str, int], ...] = ()
    stray: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    def relabelled(self, label_of: Callable[[str], str]) -> LeftOut:
        """Return the same with other labels for the classes."""
        counts: Counter[tuple[str, str]] = Counter()
        for label, ending, files in self.unread:
            counts[label_of(label), ending] += files
        return replace(self, unread=tuple(Unread(*names, files) for names, files in counts.items()))

    @property
    def unread_endings(self) -> dict[str, int]:
        """Number of recordings and pictures that are not read, by their ending."""
        counts: Counter[str] = Counter()
        for one in self.unread:
            counts[one.ending] += one.files
        return dict(counts.most_common())

    @property
    def about_unread(self) -> str | None:
        """A line about recordings and pictures that are not read; None without any."""
        count = sum(one.files for one in self.unread)
        if not count:
            return None
        what = counted(count, "recording or picture is", "recordings or pictures are")
        endings, them = _endings(self.unread_endings), "it" if count == 1 else "them"
        return f"{what} not read, because names with such endings are not: {endings}; convert {them}, say to WAV"

    @property
    def about_empty(self) -> str | None:
        """A line about folders that hold no file that is read; None without any."""
        told = "folder has no file that is read, and is no class"
        several = "folders have no file that is read, and are no classes"
        return f"{counted(len(self.empty), told, several)}: {_some(self.empty)}" if self.empty else None

    @property
    def about_stray(self) -> str | None:
        """A line about recordings and pictures in no class folder; None without any."""
        told, several = "file beside the class folders is left out", "files beside the class folders are left out"
        return f"{counted(len(self.stray), told, several)}: {_some(self.stray)}" if self.stray else None

    @property
    def about_others(self) -> str | None:
        """A line about files that are neither recordings nor pictures; None without any."""
        count = sum(count for _, count in self.others)
        told = counted(count, "file with another ending was left out", "files with other endings were left out")
        return f"{told}: {_endings(dict(self.others))}" if count else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages about the files, a line each."""
        lines = (self.about_unread, self.about_empty, self.about_stray, self.about_others)
        return tuple(line for line in lines if line)


NOTHING = LeftOut()


def _endings(counts: Mapping[str, int]) -> str:
    """Return ``.txt (3), .csv (1)``."""
    shown = [f"{display_path(ending) or 'none'} ({count:,})" for ending, count in list(counts.items())[:SHOWN]]
    return ", ".join(shown) + (", ..." if len(counts) > SHOWN else "")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def counted(count: int, what: str, several: str = "") -> str:
    """Return a number of things as a phrase.

    >>> counted(1, "file"), counted(1200, "file"), counted(2, "class", "classes")
    ('1 file', '1,200 files', '2 classes')
    """
    return f"{count:,} {what if count == 1 else several or what + 's'}"


def sort_out(files: Iterable[tuple[Path, str]], stray: Iterable[str] = (), empty: Iterable[str] = ()) -> LeftOut:
    """Return what was left out of a data set.

    Parameters
    ----------
    files : iterable of (Path, str)
        The files whose names do not end like those that are read, each with the class folder that it is in.
    stray, empty : iterable of str
        As for `LeftOut`.
    """
    by_ending: defaultdict[str, list[tuple[Path, str]]] = defaultdict(list)
    for path, label in files:
        by_ending[path.suffix.lower()].append((path, label))
    unread: Counter[tuple[str, str]] = Counter()
    others: Counter[str] = Counter()
    for ending, found in by_ending.items():
        some = found[:LOOKED_INTO]
        are = [_is_media(path, ending) for path, _ in some]
        are += [any(are)] * (len(found) - len(some))
        for (_, label), is_media in zip(found, are, strict=True):
            if is_media:
                unread[label, ending] += 1
            else:
                others[ending] += 1
    return LeftOut(
        tuple(Unread(label, ending, count) for (label, ending), count in sorted(unread.items())),
        tuple(sorted(others.items(), key=lambda pair: (-pair[1], pair[0]))),
        tuple(stray),
        tuple(empty),
    )


def _is_media(path: Path, ending: str) -> bool:
    """Return whether a file is a recording, a video or a picture, by its ending or else by its content."""
    if ending in _MEDIA or ending in _NO_MEDIA:
        return ending in _MEDIA
    try:
        with open(path, "rb") as file:
            begins = file.read(32)
    except OSError:  # it is counted with the others; nothing is known of it
        return False
    return any(begins.startswith(beginning, at) for at, beginning in _BEGINNINGS)
