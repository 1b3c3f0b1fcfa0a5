"""Errors that audioconv raises: place, expected, found, remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable


class AudioconvError(Exception):
    """Base of every error that audioconv raises on purpose."""


class ConfigError(AudioconvError, ValueError):
    """A parameter, an option or a layer's configuration has a value that cannot work."""


class ShapeError(ConfigError):
    """An array or a layer's input has a shape that does not fit.

    Parameters
    ----------
    message : str
        The expected value, the value that came and the remedy.
    layer : str
        The layer's label, such as ``Conv(16, (3, 3))``.
    path : str
        The layer's dotted path within its network, such as ``2.body.0``. Combinators put it together from the
        inside out with `inside`.
    """

    def __init__(self, message: str, layer: str = "", path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.layer = layer
        self.path = path

    def of(self, layer: str) -> ShapeError:
        """Return the same error with the innermost layer's label."""
        return ShapeError(self.message, self.layer or layer, self.path)

    def inside(self, name: str) -> ShapeError:
        """Return the same error, one combinator further out."""
        return ShapeError(self.message, self.layer, f"{name}.{self.path}" if self.path else name)

    def __str__(self) -> str:
        place = " ".join(part for part in (self.path, self.layer) if part)
        return f"{place}: {self.message}" if place else self.message


class DataError(AudioconvError):
    """A recording, a picture, a folder, a manifest or a download is missing, unreadable or not usable."""


class ModelFileError(AudioconvError):
    """A file is not a model that this version of audioconv can load."""


class ExportError(AudioconvError):
    """A model cannot be written in a format, or what was written computes something else than the model."""


class MissingExtraError(AudioconvError):
    """An optional part is not installed; the message has the command that installs it."""


def missing_extra(feature: str, extra: str) -> MissingExtraError:
    """Return the error for `feature`, which needs the optional dependencies `extra`."""
    return MissingExtraError(f"{feature} needs an optional part: pip install 'audioconv[{extra}]'")


class ClusterError(AudioconvError):
    """Processes that train together cannot begin, or cannot go on."""


def did_you_mean(
    wanted: str, known: Iterable[str], *, shown: Callable[[str], str] = str, most: int = 3, cutoff: float = 0.6
) -> str:
    """Return a question with the known names that are similar to `wanted`, in any case; empty if none is.

    Parameters
    ----------
    wanted : str
        The name that there is not.
    known : iterable of str
        The names that there are.
    shown : callable
        Returns how the question writes a name; names that are written alike appear once.
    most : int
        Number of names in the question at most, the most similar ones.
    cutoff : float
        Least similarity, from 0 to 1, as `difflib.SequenceMatcher.ratio` measures it.

    Examples
    --------
    >>> did_you_mean("CNNN", ["cnn", "resnet20"])
    'did you mean cnn?'
    """
    import difflib

    spelled = {name.lower(): name for name in known}
    near = [spelled[name] for name in difflib.get_close_matches(wanted.lower(), spelled, most, cutoff)]
    return f"did you mean {' or '.join(dict.fromkeys(map(shown, near)))}?" if near else ""
