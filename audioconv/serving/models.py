"""The models of a service, and the names of models and words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audioconv._types import cached_property
from audioconv.errors import ConfigError
from audioconv.io.files import display_path
from audioconv.model import Model
from audioconv.pipeline import inputs
from audioconv.pipeline.inputs import InputSpec


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model under its name.

    Attributes
    ----------
    name : str
    model : Model
    spec : InputSpec
        How recordings become the model's examples.
    """

    name: str
    model: Model
    spec: InputSpec

    @property
    def sample_rate(self) -> int:
        """The model's, in Hz."""
        assert self.spec.sample_rate is not None, "served models are of sounds"
        return self.spec.sample_rate


@dataclass(frozen=True, eq=False)
class ServedModels:
    """All models of a service.

    Parameters
    ----------
    served : tuple of ServedModel
        At least one; no two have the same name.
    """

    served: tuple[ServedModel, ...]

    @classmethod
    def named(cls, models: Iterable[tuple[Path, Model]]) -> ServedModels:
        """Return models under the names of their files; those called ``model`` are named after their folders.

        Raises
        ------
        ConfigError
            If one is of pictures or knows no words.
        """
        served: list[ServedModel] = []
        taken: set[str] = set()
        for path, model in models:
            if model.front_end is None or not model.words:
                what = "is of pictures" if model.front_end is None else "knows no words"
                raise ConfigError(f"{display_path(path)}: the model {what}; a service needs words in sound")
            wanted = display_path((path.resolve().parent.name if path.stem == "model" else path.stem) or "model")
            name, number = wanted, 1
            while name in taken:
                number += 1
                name = f"{wanted}-{number}"
            taken.add(name)
            served.append(ServedModel(name, model, inputs.of_model(model)))
        return cls(tuple(served))

    def find(self, name: str | None) -> ServedModel:
        """Return the model with this name, or the first one; `ConfigError` if there is none."""
        for one in self.served:
            if name is None or one.name == name:
                return one
        raise ConfigError(f"there is no model {name!r}; there are {', '.join(one.name for one in self.served)}")

    @cached_property
    def words(self) -> Mapping[str, tuple[ServedModel, str]]:
        """Model and label of each word; a word of several models is called ``MODEL/WORD``."""
        count = Counter(word for one in self.served for word in one.model.words)
        return {
            word if count[word] == 1 else f"{one.name}/{word}": (one, word)
            for one in self.served
            for word in one.model.words
        }

    def chosen(self, names: Sequence[str] | None) -> tuple[dict[str, tuple[ServedModel, str]], list[str]]:
        """Return the words that `names` (of words or models) mean, and the names that mean none; all without names."""
        if not names:
            return dict(self.words), []
        of_models = {one.name for one in self.served}
        found = {
            name: (one, word)
            for name, (one, word) in self.words.items()
            if name in names or (one.name in names and one.name not in self.words)
        }
        return found, [name for name in names if name not in self.words and name not in of_models]
