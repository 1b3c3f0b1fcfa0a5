"""Errors of readers: file, place in it, and what can be done."""

from __future__ import annotations

from audioconv.errors import ModelFileError


class UnsupportedError(ModelFileError):
    """A node of a network has no counterpart among the layers; the message names it and the remedy.

    Parameters
    ----------
    message : str
        The unsupported feature, and the remedy where there is a special one.
    place : str
        The node and its operator; readers put it in front.
    """

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(f"{place}: {message}" if place else message)
        self.message = message
        self.place = place
