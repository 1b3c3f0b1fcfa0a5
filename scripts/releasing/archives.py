#!/usr/bin/env python3
"""Check what a wheel and a source distribution contain, and that all places name the same version.

    scripts/releasing/archives.py FOLDER    the folder that `python -m build` wrote

Prints what is wrong, a line each; exits with 1 if there is any.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]

VERSION = "audioconv/_version.py"
"""The file that names the version."""

REQUIRED = ("LICENSE", "audioconv/py.typed")
"""Files of the repository that both archives must contain, besides all others of the package."""

RECORDINGS = {".aac", ".aif", ".aiff", ".au", ".caf", ".flac", ".m4a", ".mp3", ".mp4", ".ogg", ".opus", ".wav", ".webm"}
"""Suffixes of recordings: none may be published."""

BOARD = PurePosixPath("tests/export/cortex_m")
"""The only files of the tests, besides Python's, that the source distribution has: a program for a microcontroller."""


def main() -> int:
    """Print what is wrong; return the exit code."""
    (folder,) = sys.argv[1:]
    archives = [*Path(folder).glob("*.whl"), *Path(folder).glob("*.tar.gz")]
    tracked = set(git("ls-files", "-z").split("\0")) - {""}
    problems = [f"{folder}: holds {len(archives)} archives instead of a wheel and a source distribution"]
    if len(archives) == 2:
        problems = [problem for archive in archives for problem in content_problems(archive, tracked)]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    problems += version_problems(package_version(), archives, changelog, git("tag", "--points-at", "HEAD").split())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def git(*arguments: str) -> str:
    """Return what git prints in the repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def package_version() -> str:
    """Return the version that the package gives itself."""
    text = (ROOT / VERSION).read_text("utf-8")
    return re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)[0]


def content_problems(archive: Path, tracked: set[str]) -> Iterator[str]:
    """Yield what an archive should not contain, and what it lacks.

    `tracked` has the paths, relative to the repository, of the files that git tracks.
    """
    is_wheel = archive.suffix == ".whl"
    files = set(wheel_files(archive) if is_wheel else source_files(archive))
    for name in sorted(files):
        path = PurePosixPath(name)
        if name not in tracked:
            yield f"{archive.name}: {name} is not tracked by git"
        elif path.suffix.lower() in RECORDINGS:
            yield f"{archive.name}: {name} is a recording"
        elif path.parts[0] == "tests" and (is_wheel or not (path.suffix == ".py" or path.parent == BOARD)):
            yield f"{archive.name}: {name} belongs to the tests"
    for name in sorted({*REQUIRED, *(name for name in tracked if name.startswith("audioconv/"))} - files):
        yield f"{archive.name}: {name} is missing"
    if not any(name.endswith(".safetensors") for name in files):
        yield f"{archive.name}: has no pretrained network"


def wheel_files(archive: Path) -> Iterator[str]:
    """Yield the files of a wheel by their paths in the repository, without what the build itself writes."""
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            if ".dist-info/licenses/" in name:
                yield name.partition(".dist-info/licenses/")[2]
            elif not name.endswith("/") and not re.fullmatch(r"[^/]+\.dist-info/[^/]+", name):
                yield name


def source_files(archive: Path) -> Iterator[str]:
    """Yield the files of a source distribution by their paths in the repository, without what the build writes."""
    with tarfile.open(archive) as file:
        for member in file:
            name = member.name.partition("/")[2]
            if not member.isdir() and name != "PKG-INFO":
                yield name


def version_problems(version: str, archives: list[Path], changelog: str, tags: list[str]) -> Iterator[str]:
    """Yield the places that name another version than the package.

    The first section of the changelog may be "Unreleased", unless HEAD has the tag of a version.
    """
    for archive in archives:
        if not archive.name.startswith((f"audioconv-{version}-", f"audioconv-{version}.tar")):
            yield f"{archive.name}: is not of version {version}, which {VERSION} names"
    released = [tag for tag in tags if re.fullmatch(r"v\d.*", tag)]
    for tag in released:
        if tag != f"v{version}":
            yield f"tag {tag}: {VERSION} names version {version}"
    title, date = (re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, re.MULTILINE) or [("", "")])[0]
    if title != version and (released or title != "Unreleased"):
        yield f"CHANGELOG.md: its first section is [{title}], not [{version}]"
    elif title == version and not date:
        yield f"CHANGELOG.md: the section [{version}] has no date"


if __name__ == "__main__":
    sys.exit(main())
