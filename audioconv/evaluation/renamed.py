"""Former names of keywords, which are accepted for a release."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def warn_of_old_name(old: str, new: str, stacklevel: int = 3) -> None:
    """Give the `DeprecationWarning` of a former name; `stacklevel` is that of `warnings.warn`."""
    told = f"{old} is called {new} now; the old name goes with the next release"
    warnings.warn(told, DeprecationWarning, stacklevel=stacklevel)


def accepts_old_keyword(old: str, new: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator with which a function takes its keyword `new` under its former name, with a warning."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*arguments: P.args, **keywords: P.kwargs) -> T:
            if old in keywords:
                if new in keywords:
                    raise TypeError(f"{function.__name__}() got {new} twice: also under its old name {old}")
                warn_of_old_name(old, new)
                keywords[new] = keywords.pop(old)
            return function(*arguments, **keywords)

        return call

    return decorate
