"""Loops in C over arrays whose axes of size 1 are repeated, are reduced or are exchanged."""

from __future__ import annotations

from collections.abc import Mapping

from audioconv.layers.base import Shape

Strides = tuple[int, ...]


def strides(shape: Shape, over: Shape | None = None) -> Strides:
    """Return the distance between neighbours along each axis of `over`, 0 where an axis of size 1 is repeated.

    >>> strides((4, 3, 2)), strides((3, 1), (4, 3, 2))
    ((6, 2, 1), (0, 1, 0))
    """
    over = shape if over is None else over
    found, distance = [], 1
    for size in reversed(shape):
        found.append(0 if size == 1 else distance)
        distance *= size
    return (*(0,) * (len(over) - len(shape)), *reversed(found))


def over(
    shape: Shape,
    out: str,
    expression: str,
    inputs: Mapping[str, tuple[str, Strides]],
    into: Strides | None = None,
) -> str:
    """Return loops over `shape` that set each number of `out`.

    Parameters
    ----------
    shape : tuple of int
    out : str
        An expression for the place of the array that is written.
    expression : str
        Of ``{name}`` for an input at the present place, and of ``{out}`` for what is there.
    inputs : mapping
        For each name, an expression for its place, and its strides.
    into : tuple of int, optional
        Strides of `out`. Default: those of `shape`.
    """
    all_strides = [strides(shape) if into is None else into, *(along for _, along in inputs.values())]
    sizes, all_strides = _merged(shape, all_strides)
    lines = [f"    {{\n        float *const out = {out};"]
    lines += [f"        const float *const {name} = {place};" for name, (place, _) in inputs.items()]
    for axis, size in enumerate(sizes):
        lines.append(f"{' ' * (8 + 4 * axis)}for (int i{axis} = 0; i{axis} < {size}; i{axis}++) {{")
    places = [f"{name}[{_index(along)}]" for name, along in zip(("out", *inputs), all_strides, strict=True)]
    text = expression
    for name, place in zip(("out", *inputs), places, strict=True):
        text = text.replace(f"{{{name}}}", place)
    lines.append(f"{' ' * (8 + 4 * len(sizes))}{places[0]} = {text};")
    lines += [f"{' ' * (8 + 4 * axis)}}}" for axis in reversed(range(len(sizes)))]
    return "\n".join([*lines, "    }"])


def _merged(shape: Shape, all_strides: list[Strides]) -> tuple[list[int], list[Strides]]:
    """Leave out axes of size 1, and make one axis of neighbours that all arrays go through as one."""
    sizes: list[int] = []
    columns: list[tuple[int, ...]] = []
    for size, column in zip(shape, zip(*all_strides, strict=True), strict=True):
        if size == 1:
            continue
        if columns and all(before == size * here for before, here in zip(columns[-1], column, strict=True)):
            sizes[-1] *= size
            columns[-1] = column
        else:
            sizes.append(size)
            columns.append(column)
    if not sizes:
        return [], [() for _ in all_strides]
    return sizes, list(zip(*columns, strict=True))


def _index(along: Strides) -> str:
    terms = [f"i{axis}" if step == 1 else f"i{axis} * {step}" for axis, step in enumerate(along) if step]
    return " + ".join(terms) or "0"
