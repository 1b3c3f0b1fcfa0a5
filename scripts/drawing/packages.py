"""The parts of audioconv and their imports, as a picture: what stands lower is imported by what stands higher."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "audioconv"

GROUPS = {
    "#dbe9ff": ("kernels", "runtime", "ops", "layers", "compiler", "architectures", "training", "geometry"),
    "#dff3e0": ("features", "audio", "images", "datasets", "tts"),
    "#fdebd3": ("decision", "model", "pipeline", "recipe", "classifier", "streaming"),
    "#f0e3f7": ("evaluation", "explaining", "report", "cli"),
}
OTHER_COLOUR = "#ececec"
NOT_DRAWN = ("__init__", "__main__", "_types", "_version", "errors")
"""Parts that nearly all others import; the caption names them."""

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 176, 64, 22, 40, 24
PASSAGE = 12
"""Width of the place where a long arrow passes a row."""
LINES_OF_TEXT, CHARACTERS_A_LINE, SWEEPS = 3, 34, 24

Node = str | tuple[str, str, int]
"""A part, or the place where the arrow from one part to another passes a row."""


def imports_by_part(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return which other parts (packages and loose modules) each part imports, TYPE_CHECKING imports included."""
    found: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        part = path.relative_to(package).with_suffix("").parts[0]
        if part != "__init__":
            found.setdefault(part, set()).update(set(imported(path.read_text("utf-8"))) - {part})
    return found


def imported(source: str) -> Iterator[str]:
    """Yield the parts that a source imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError("imports are absolute")
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "audioconv":
                yield "_version" if rest == "__version__" else rest.split(".")[0]


def levels(imports: Mapping[str, set[str]]) -> dict[str, int]:
    """Return the length of the longest chain of imports below each part; a circle is a ValueError."""
    known: dict[str, int] = {}

    def level(part: str, seen: tuple[str, ...]) -> int:
        if part in seen:
            raise ValueError(f"imports run in a circle: {' -> '.join((*seen, part))}")
        if part not in known:
            known[part] = 1 + max((level(other, (*seen, part)) for other in imports.get(part, ())), default=-1)
        return known[part]

    for part in imports:
        level(part, ())
    return known


def direct(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports without those that follow from others, so that few arrows say all."""

    def below(part: str) -> set[str]:
        return set().union(*({other} | below(other) for other in imports[part])) if imports[part] else set()

    return {part: used - set().union(*(below(other) for other in used), set()) for part, used in imports.items()}


def first_line(part: str) -> str:
    """Return the first line of the docstring of a part."""
    path = PACKAGE / part / "__init__.py"
    text = (path if path.exists() else PACKAGE / f"{part}.py").read_text("utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0].rstrip(".").replace("`", "")


def arranged(arrows: Mapping[str, set[str]], level: Mapping[str, int]) -> dict[Node, float]:
    """Return the middle of each part, and of each place where a long arrow passes a row (Sugiyama's layout)."""
    rows: dict[int, list[Node]] = {}
    for part in sorted(arrows):
        rows.setdefault(level[part], []).append(part)
    above: dict[Node, list[Node]] = {}
    below: dict[Node, list[Node]] = {}
    for part in sorted(arrows):
        for other in sorted(arrows[part]):
            way: list[Node] = [part, *((part, other, n) for n in range(level[part] - 1, level[other], -1)), other]
            for node in way[1:-1]:
                rows[node[2]].append(node)
            for upper, lower in itertools.pairwise(way):
                below.setdefault(upper, []).append(lower)
                above.setdefault(lower, []).append(upper)
    middle: dict[Node, float] = {}

    def spread(row: list[Node]) -> None:
        """Set the nodes of a row side by side, around the middle of where they would like to be."""
        wanted = [middle.get(node, 0.0) for node in row]
        at, places = 0.0, []
        for node in row:
            half = (BOX_WIDTH if isinstance(node, str) else PASSAGE) / 2
            places.append(at + half)
            at += 2 * half + GAP_X
        shift = sum(w - x for w, x in zip(wanted, places, strict=True)) / len(row)
        middle.update({node: x + shift for node, x in zip(row, places, strict=True)})

    for row in rows.values():
        spread(row)
    for sweep in range(SWEEPS):
        beside = above if sweep % 2 else below
        for number in sorted(rows, reverse=bool(sweep % 2)):
            for node in rows[number]:
                near = [middle[other] for other in beside.get(node, ())] or [middle[node]]
                middle[node] = sum(near) / len(near)
            rows[number].sort(key=lambda node: (middle[node], str(node)))
            spread(rows[number])
    return middle


def draw() -> str:
    """Return the picture as SVG."""
    imports = {part: {other for other in used if other not in NOT_DRAWN} for part, used in imports_by_part().items()}
    imports = {part: used for part, used in imports.items() if part not in NOT_DRAWN}
    level = levels(imports)
    arrows = direct(imports)
    middle = arranged(arrows, level)
    left = min(middle.values()) - BOX_WIDTH / 2 - MARGIN
    width = max(middle.values()) + BOX_WIDTH / 2 + MARGIN - left
    top = max(level.values())
    height = (top + 1) * (BOX_HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN

    def row_top(number: int) -> float:
        return MARGIN + (top - number) * (BOX_HEIGHT + GAP_Y)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
        f'height="{height}" font-family="Helvetica, Arial, sans-serif" role="img">',
        "<title>The packages of audioconv and their imports</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#667"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height}" rx="10" fill="#ffffff"/>',
    ]
    for part in sorted(arrows):
        for other in sorted(arrows[part]):
            way = [
                (middle[part] - left, row_top(level[part]) + BOX_HEIGHT),
                *(
                    (middle[part, other, n] - left, row_top(n) + edge)
                    for n in range(level[part] - 1, level[other], -1)
                    for edge in (0, BOX_HEIGHT)
                ),
                (middle[other] - left, row_top(level[other]) - 2),
            ]
            line = f"M{way[0][0]:.0f} {way[0][1]:.0f}"
            for (x, y), (to_x, to_y) in itertools.pairwise(way):
                bend = (to_y - y) / 2
                line += f"C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}"
            parts.append(f'<path d="{line}" fill="none" stroke="#667" stroke-width="1.2" marker-end="url(#tip)"/>')
    for part in sorted(arrows):
        x, y = middle[part] - left, row_top(level[part])
        colour = next((colour for colour, names in GROUPS.items() if part in names), OTHER_COLOUR)
        parts.append(
            f'<rect x="{x - BOX_WIDTH / 2:.0f}" y="{y:.0f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" '
            f'fill="{colour}" stroke="#445"/>'
            f'<text x="{x:.0f}" y="{y + 17:.0f}" font-size="14" font-weight="bold" fill="#112" '
            f'text-anchor="middle">{escape(part)}</text>'
        )
        for number, text in enumerate(wrapped(first_line(part))):
            parts.append(
                f'<text x="{x:.0f}" y="{y + 31 + 12 * number:.0f}" font-size="10" fill="#334" '
                f'text-anchor="middle">{escape(text)}</text>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def wrapped(text: str) -> list[str]:
    """Return the words of a text in at most three lines; what does not fit is cut behind a whole word."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > CHARACTERS_A_LINE:
            if len(lines) == LINES_OF_TEXT:
                lines[-1] = f"{lines[-1].rstrip(',')} …"
                break
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
