"""The query parameters of the HTTP service."""

from __future__ import annotations

from audioconv.errors import ConfigError


class Query:
    """The query parameters of a request.

    Parameters
    ----------
    items : list of (str, str)
    known : set of str

    Raises
    ------
    ConfigError
        If a parameter is unknown or comes twice.
    """

    def __init__(self, items: list[tuple[str, str]], known: set[str]) -> None:
        self._values: dict[str, str] = {}
        for name, value in items:
            if name not in known:
                raise ConfigError(f"unknown parameter {name[:60]!r}; known are {', '.join(sorted(known))}")
            if name in self._values:
                raise ConfigError(f"the parameter {name} comes twice")
            self._values[name] = value

    def text(self, name: str) -> str | None:
        """Return a value as it is."""
        return self._values.get(name)

    def whole(self, name: str, least: int, most: int) -> int | None:
        """Return a whole number."""
        value = self._values.get(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal() and len(value) < 10 and least <= int(value) <= most):
            raise ConfigError(f"{name} must be a whole number of {least} or more, got {value[:60]!r}")
        return int(value)

    def real(self, name: str, least: float, most: float) -> float | None:
        """Return a number."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            raise ConfigError(f"{name} must be a number from {least:g} to {most:g}, got {value[:60]!r}")
        return number
