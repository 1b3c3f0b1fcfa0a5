"""Errors of readers: file, place in it, and what can be done."""

from __future__ import annotations

from audioconv.errors import ModelFileError

FOLD = "export the network with constant folding, or simplify the file with onnxsim"
AGAIN = "export the network again"
OWN = "write the network with audioconv.layers, and read weights from .pt, .safetensors, .keras or .caffemodel (onto=)"
"""Remedies that several refusals name; the last is for a node at the input without a remedy of its own."""


def cut_before(name: str) -> str:
    """Return the remedy that leaves out a node; `name` is what the node takes."""
    return f"cut the network before it (until={name!r}, or --init-layer={name!r})"


class UnsupportedError(ModelFileError):
    """A node of a network has no counterpart among the layers; the message names it and a remedy.

    Parameters
    ----------
    message : str
        The unsupported feature.
    place : str
        The node and its operator; readers put it in front.
    remedy : str
        The special remedy, if there is one. `completed` and `in_file` add the general one.
    """

    def __init__(self, message: str, place: str = "", remedy: str = "") -> None:
        super().__init__(f"{f'{place}: ' if place else ''}{message}{f'; {remedy}' if remedy else ''}")
        self.message = message
        self.place = place
        self.remedy = remedy

    def completed(self, place: str, before: str | None) -> UnsupportedError:
        """Return the error with a place and a remedy; `before` is the name where the network can be cut, if any."""
        remedies = [self.remedy] if self.remedy else []
        if before is not None:
            remedies.append(cut_before(before))
        return UnsupportedError(self.message, self.place or place, ", or ".join(remedies) or OWN)

    def in_file(self, shown: str) -> UnsupportedError:
        """Return the error with the file's name in front, and with a remedy if it had none."""
        place = f"{shown}: {self.place}" if self.place else shown
        return UnsupportedError(self.message, place, self.remedy or OWN)
