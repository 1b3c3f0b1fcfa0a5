"""C source as text: literals, arrays, strings, and the routines in `routines/*.c`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from audioconv._types import Array

ROUTINES = Path(__file__).parent / "routines"

COLUMNS = 110

_ESCAPES = {"\\": "\\\\", '"': '\\"', "?": "\\?"}


def routine(name: str) -> str:
    """Return the source of a routine."""
    return (ROUTINES / f"{name}.c").read_text(encoding="utf-8")


def number(value: float) -> str:
    """Return a float32 as a literal of type float, which gives the same bits.

    >>> number(0.1), number(3), number(-1e-10), number(float("-inf"))
    ('0.100000001f', '3.0f', '-1.00000001e-10f', '-INFINITY')
    """
    single = np.float32(value)
    if np.isinf(single):
        return "INFINITY" if single > 0 else "-INFINITY"
    if abs(single) < np.finfo(np.float32).tiny:  # compilers warn of numbers that have fewer bits
        return "0.0f"
    text = f"{float(single):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def double(value: float) -> str:
    """Return a literal of type double.

    >>> double(1), double(0.95), double(1e-30)
    ('1.0', '0.95', '1e-30')
    """
    return repr(float(value))


def string(text: str) -> str:
    r"""Return a string literal in UTF-8, with other characters than those of ASCII as octal escapes.

    >>> print(string('a "b"'), string('für'))
    "a \"b\"" "f\303\274r"
    """
    characters = []
    for character in text:
        if " " <= character <= "~":
            characters.append(_ESCAPES.get(character, character))
        else:  # three digits: whatever follows is no part of the escape
            characters += [f"\\{byte:03o}" for byte in character.encode()]
    return f'"{"".join(characters)}"'


def comment(text: str) -> str:
    """Return text that cannot end a comment, on one line.

    >>> comment("words */ int x;")
    'words * / int x;'
    """
    return text.replace("\n", " ").replace("*/", "* /").replace("/*", "/ *")


def array(kind: str, name: str, values: Array | Iterable[object]) -> str:
    """Return the definition of a constant array: of floats, or of integers."""
    if kind == "float":
        texts = [number(value) for value in np.asarray(values).ravel().tolist()]
    else:
        texts = [str(value) for value in values]
    return f"static const {kind} {name}[{len(texts)}] = {{\n{lines(texts)}}};\n"


def lines(texts: Sequence[str]) -> str:
    """Return texts with commas between them, in lines of at most `COLUMNS` characters."""
    made, line = [], ""
    for text in texts:
        if line and len(line) + len(text) + 2 > COLUMNS:
            made.append(line)
            line = ""
        line += f" {text}," if line else f"    {text},"
    return "\n".join([*made, line]) + "\n"
