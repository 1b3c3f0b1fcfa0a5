"""Text out of files: paragraphs of Markdown; docstrings, help texts and messages of Python."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

CODE = "`code`"
"""Stands for a piece of code in a line of prose."""

FEWEST_WORDS = 4
"""Strings with fewer words are names, not messages."""


@dataclass(frozen=True)
class Text:
    """A paragraph, a cell of a table, a docstring's paragraph or a message.

    Attributes
    ----------
    path : str
        The file, relative to the repository.
    line : int
        Its first line.
    kind : {"page", "docstring", "help", "message"}
        Where it stands.
    content : str
        Prose without markup.
    """

    path: str
    line: int
    kind: str
    content: str


def of_markdown(path: str, source: str) -> Iterator[Text]:
    """Yield paragraphs, list items, cells of tables and alternative texts of a page; code and headings are left out."""
    source = re.sub(r"<!--.*?-->", lambda found: "\n" * found[0].count("\n"), source, flags=re.DOTALL)
    lines: list[str] = []
    begun, fenced = 1, False
    for number, line in enumerate([*source.splitlines(), ""], 1):
        stripped = line.strip()
        fence = stripped.startswith("```")
        begins_item = re.match(r"(?:[-*+]|\d+\.)\s|!!!|\?\?\?|===", stripped)
        if lines and (fence or fenced or not stripped or stripped.startswith(("|", "#", ":::")) or begins_item):
            yield from _paragraph(path, begun, lines)
            lines = []
        if fence:
            fenced = not fenced
        elif fenced or stripped.startswith(("#", ":::", "<", "---")):
            pass
        elif stripped.startswith("|"):
            for cell in re.split(r"(?<!\\)\|", stripped.strip("|")):
                if not re.fullmatch(r"[\s:-]*", cell):
                    yield from _paragraph(path, number, [cell])
        elif stripped:
            if not lines:
                begun = number
            lines.append(re.sub(r"^(?:[-*+]|\d+\.)\s+|^(?:!!!|\?\?\?\+?) \w+|^=== ", "", stripped))


def _paragraph(path: str, line: int, lines: list[str]) -> Iterator[Text]:
    content = without_markup(" ".join(lines))
    if re.search(r"[^\W\d_]{2}", content):
        yield Text(path, line, "page", content)


def without_markup(text: str) -> str:
    """Return the prose of a line of Markdown: code is a word, a link is its text."""
    text = re.sub(r"``[^`]+``|`[^`]+`", CODE, text)
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"\{[^}]*\}$", "", text)
    return re.sub(r"\*\*|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)", "", text).strip()


def of_python(path: str, source: str) -> Iterator[Text]:
    """Yield paragraphs of docstrings, help texts, and strings of at least four words, which are messages."""
    tree = ast.parse(source)
    seen: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            ):
                seen.add(id(statement.value))
                yield from _docstring(path, statement.lineno, statement.value.value)
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in ("help", "epilog"):
                    yield from _message(path, keyword.value, seen, "help")
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
            yield from _message(path, node, seen, "message")


def _message(path: str, node: ast.expr, seen: set[int], kind: str) -> Iterator[Text]:
    if id(node) in seen:
        return
    content = _literal(node, seen)
    if content is None or len(content.split()) < FEWEST_WORDS or not re.match(r"[A-Za-z{X`\"']", content.lstrip()):
        return
    if re.search(r"[;{}<>]\s*\n|^\s*[.#@<]|def |self\.|\bvar\b|->", content):  # a template of C, HTML or Python
        return
    content = re.sub(r"\[/?[a-z ]*\]", "", content)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*\$)", content):
        if len(paragraph.split()) >= FEWEST_WORDS:
            yield Text(path, node.lineno, kind, without_markup(paragraph))


def _literal(node: ast.expr, seen: set[int]) -> str | None:
    """Return a string literal, what is filled in being X; None where there is none."""
    seen.add(id(node))
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        for inner in ast.walk(node):
            seen.add(id(inner))
        return "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "X"
            for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_literal(side, seen) for side in (node.left, node.right)]
        return None if None in parts else "".join(part or "" for part in parts)
    return None


def _docstring(path: str, line: int, value: str) -> Iterator[Text]:
    """Yield the paragraphs of a docstring; headings, names, types and examples of numpydoc are left out."""
    lines = [*inspect.cleandoc(value).splitlines(), ""]
    paragraph: list[str] = []
    begun, example, depth = line, False, 0
    for number, text in enumerate(lines):
        stripped, indent = text.strip(), len(text) - len(text.lstrip())
        underlined = number + 1 < len(lines) and re.fullmatch(r"\s*-{3,}", lines[number + 1])
        names = re.match(r"[\w*`., ]+ : \S", stripped) or (
            number + 1 < len(lines) and lines[number + 1].startswith(" " * (indent + 4)) and len(stripped.split()) < 8
        )
        breaks = not stripped or underlined or names or re.fullmatch(r"-{3,}", stripped) or stripped.startswith(">>>")
        item = re.match(r"[-*] |\d+\. ", stripped)
        if paragraph and (breaks or item or (indent != depth and not _is_item(paragraph))):
            yield Text(path, begun, "docstring", without_markup(" ".join(paragraph)))
            paragraph = []
        if stripped.startswith(">>>"):
            example = True
        elif not stripped:
            example = False
        if breaks or example:
            continue
        if not paragraph:
            begun, depth = line + number, indent
        paragraph.append(stripped)


def _is_item(paragraph: list[str]) -> bool:
    return re.match(r"[-*] |\d+\. ", paragraph[0]) is not None
