"""HTML and SVG markup; all text is escaped here."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_JOINER = "\u200d"  # of emoji


class Html(str):
    """Text that is markup."""

    __slots__ = ()


Content = str | int | None | Iterable["Content"]
Attribute = str | int | float | bool | None


def text(value: object) -> Html:
    r"""Return `value` as markup that shows it as it is; what cannot be seen (controls, lone surrogates) is escaped.

    >>> text("<b> & \u202e")
    '&lt;b&gt; &amp; \\u202e'
    """
    if isinstance(value, Html):
        return value
    seen = (
        c if c in (_JOINER, "\n") or unicodedata.category(c) not in _UNSEEN else c.encode("unicode_escape").decode()
        for c in str(value)
    )
    return Html(html.escape("".join(seen)))


def tag(name: str, /, *content: Content, **attributes: Attribute) -> Html:
    """Return an element.

    Parameters
    ----------
    name : str
        Such as ``"p"``.
    *content
        Text, markup, nothing (None), or several of these.
    **attributes
        ``class_`` stands for ``class``, and ``aria_label`` for ``aria-label``. None and False leave one out.

    Examples
    --------
    >>> tag("p", "1 < 2, ", tag("b", "truly"), class_="note")
    '<p class="note">1 &lt; 2, <b>truly</b></p>'
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in ("br", "circle", "image", "img", "line", "meta", "path", "rect"):
        return Html(f"<{name}{written}>" if name in ("br", "img", "meta") else f"<{name}{written}/>")
    return Html(f"<{name}{written}>{join(*content)}</{name}>")


def join(*content: Content) -> Html:
    """Return the parts, one behind the other."""
    parts: list[str] = []
    for part in content:
        if isinstance(part, str | int):
            parts.append(text(part))
        elif part is not None:
            parts.append(join(*part))
    return Html("".join(parts))


def table(head: Iterable[Content], rows: Iterable[Iterable[Content]], caption: str, **attributes: Attribute) -> Html:
    """Return a table whose first column names its rows; the other columns hold numbers unless CSS says otherwise."""
    body = [
        tag(
            "tr", [tag("td" if place else "th", cell, scope=None if place else "row") for place, cell in enumerate(row)]
        )
        for row in rows
    ]
    heads = tag("tr", [tag("th", cell, scope="col") for cell in head])
    whole = tag(
        "table", tag("caption", caption, class_="unseen"), tag("thead", heads), tag("tbody", body), **attributes
    )
    # What is wider than the page moves by itself; a keyboard has to be able to reach it for that.
    return tag("div", whole, class_="wide", tabindex=0, role="region", aria_label=caption)
