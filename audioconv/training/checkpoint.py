"""Checkpoints: the state of a run after its last whole epoch, in one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioconv._types import Array
from audioconv.errors import ConfigError, ModelFileError
from audioconv.io import tensor_file
from audioconv.io.files import display_path
from audioconv.training.history import History


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run between two epochs.

    There are no random states in it: every epoch draws from generators of its own, made from the seed and its number.

    Attributes
    ----------
    settings : mapping
        JSON-compatible; what must be the same for a run that goes on from here.
    history : History
        The epochs so far, with the best one and whether the run has stopped.
    params, best_params : mapping of str to array
        Parameters by path after the last epoch, and after the best one.
    optimizer : mapping of str to array
        The optimiser's state.
    """

    settings: Mapping[str, Any]
    history: History
    params: Mapping[str, Array]
    best_params: Mapping[str, Array]
    optimizer: Mapping[str, Array]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the checkpoint to `path` in place of the last one, whole or not at all; `DataError` if it fails."""
        groups = {"params": self.params, "best_params": self.best_params, "optimizer": self.optimizer}
        arrays = {f"{group}/{name}": array for group, named in groups.items() for name, array in named.items()}
        header = {"settings": self.settings, "history": self.history.to_json()}
        tensor_file.write(path, "checkpoint", arrays, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Return the checkpoint in `path`; `ModelFileError` if there is none that can be read."""
        arrays, header = tensor_file.read(path, "checkpoint")
        groups: dict[str, dict[str, Array]] = {"params": {}, "best_params": {}, "optimizer": {}}
        try:
            for key, array in arrays.items():
                group, _, name = key.partition("/")
                groups[group][name] = array
            return cls(header["settings"], History.from_json(header["history"]), **groups)
        except (KeyError, TypeError) as error:
            raise ModelFileError(
                f"{display_path(path)}: damaged checkpoint ({error}); delete it to begin anew"
            ) from None

    def check_settings(self, settings: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
        """Raise `ConfigError`, which names what differs, unless the run was begun with the same `settings`."""
        before, now = _by_path(self.settings), _by_path(settings)
        missing = object()
        changed = [name for name in {**before, **now} if before.get(name, missing) != now.get(name, missing)]
        if changed:
            shown = [f"{name} {before.get(name, 'not set')} (now {now.get(name, 'not set')})" for name in changed[:4]]
            more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
            raise ConfigError(
                f"{display_path(path)}: this run was begun with {', '.join(shown)}{more}; "
                "resume with the same data and settings, or begin anew"
            )


def restore(arrays: Mapping[str, Array], saved: Mapping[str, Array], path: str | os.PathLike[str]) -> None:
    """Copy `saved` values into `arrays` in place; `ModelFileError` for the file `path` if they do not fit."""

    def shapes(group: Mapping[str, Array]) -> dict[str, tuple[Any, ...]]:
        return {name: (array.shape, array.dtype) for name, array in group.items()}

    if shapes(arrays) != shapes(saved):
        raise ModelFileError(
            f"{display_path(path)}: the checkpoint's arrays are not those of this network; delete it to begin anew"
        )
    for name, array in arrays.items():
        np.copyto(array, saved[name])


def _by_path(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested JSON data as one dictionary with dotted paths."""
    if isinstance(value, Mapping):
        items = [(str(name), part) for name, part in value.items()]
    elif isinstance(value, list):
        items = [(str(place), part) for place, part in enumerate(value)]
    else:
        return {prefix: value}
    found: dict[str, Any] = {}
    for name, part in items:
        found.update(_by_path(part, f"{prefix}.{name}" if prefix else name))
    return found
