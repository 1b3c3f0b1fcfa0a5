"""Pretrained models to begin with: one that the user names, or one of the package's own for few clips of words.

The package's models were trained on common words by synthetic voices, so that the sounds of speech need not be learned
from ten clips. `scripts/make_base` makes them; docs/recipes.md says how much they bring, and where they do not help.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from audioconv import architectures
from audioconv._types import StrPath
from audioconv.errors import ConfigError
from audioconv.io.files import display_path
from audioconv.model import Model
from audioconv.pipeline.inputs import InputSpec
from audioconv.recipe.settings import Settings


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A model that training begins with, and the file that it was read from."""

    path: StrPath
    model: Model

    @property
    def name(self) -> str:
        """Name of the file."""
        return os.path.basename(os.fspath(self.path))

    @property
    def arch(self) -> str:
        """Name of the network; `ConfigError` if the model does not say it."""
        settings = self.model.provenance.get("settings")
        if not isinstance(settings, dict) or settings.get("arch") not in architectures.NAMES:
            raise ConfigError(
                f"{display_path(self.path)}: does not say which network it is, so nothing can begin with it"
            )
        return str(settings["arch"])


def load_named(settings: Settings) -> Pretrained | None:
    """Return the model that `Settings.init` names, or None.

    Raises
    ------
    ConfigError
        If the settings also choose what such a model decides, such as the sample rate.
    ModelFileError
        If the file is not a whole model.
    """
    if settings.named_init is None:
        return None
    given = [name for name in ("front_end", "sample_rate", "clip_seconds", "image_size") if getattr(settings, name)]
    if given:
        raise ConfigError(f"{given[0]} is what the model has that training begins with; leave it out")
    return Pretrained(settings.named_init, Model.load(settings.named_init))


def find(arch: str, spec: InputSpec) -> Pretrained | None:
    """Return the package's own model for words with the network `arch`, None if there is none.

    The front end of `spec` must be that of the model; a word may be shorter or longer.
    """
    if not spec.holds_a_word:
        return None
    for path in sorted(Path(__file__).parent.glob("*.safetensors")):
        found = Pretrained(path, Model.load(path))
        if found.arch == arch and found.model.front_end == spec.front_end:
            return found
    return None
