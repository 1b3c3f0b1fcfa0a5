"""A trained network with everything that it needs to classify, in one file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from audioconv._types import Array, cached_property
from audioconv._version import __version__
from audioconv.compiler.execution import inference
from audioconv.decision.classes import UNKNOWN, is_word
from audioconv.decision.decision import Answers, Decision
from audioconv.errors import ConfigError, ModelFileError, ShapeError
from audioconv.features.normalisation import Normalisation, check_normalisation, normalised_input
from audioconv.features.stored import StoredFeatures
from audioconv.io import tensor_file
from audioconv.io.files import display_path
from audioconv.layers.base import Layer, Params, Shape, flatten, from_config, to_config, unflatten
from audioconv.layers.check_params import check_params

if TYPE_CHECKING:
    from audioconv.audio.windows import Windows
    from audioconv.features.front_ends import FrontEnd


BATCH_SIZE = 64
"""Examples that are in the network at a time."""

# Paths of parameters have dots, never slashes: so these cannot be taken for parameters.
MEAN, STD = "normalisation/mean", "normalisation/std"
STORED = {"codes": "stored/codes", "low": "stored/low", "step": "stored/step"}


@dataclass(frozen=True, eq=False)
class Model:
    """A network with its parameters, and the steps from an example to its input and from its output to a label.

    Parameters
    ----------
    network : Layer
        Ends in one logit a label.
    params : dict
        Its parameters, float32.
    labels : tuple of str
        Name of each class, in the order of the logits.
    input_shape : tuple of int
        Shape of one example as the network takes it.
    front_end : LogMel, Mfcc, RawSamples or Librosa, optional
        Front end that computes features of samples; None for a network on pictures or other arrays.
    clip_samples : int, optional
        Length of a clip at the front end's sample rate; there if and only if there is a front end.
    normalisation : Normalisation, optional
        The scale of the features; None leaves them as they are.
    decision : Decision
        From logits to a label or to "none of these".
    provenance : mapping
        Origin of the model, JSON-compatible: data set, counts, licence, validation accuracy and so on.
    stored_features : StoredFeatures, optional
        Features of some training clips. Exported files are checked with them, and they choose the ranges of 8-bit
        integers.

    Raises
    ------
    ConfigError
        If the parts do not fit together; `ShapeError` where it is their shapes.
    """

    network: Layer
    params: Params
    labels: tuple[str, ...]
    input_shape: Shape
    front_end: FrontEnd | None = None
    clip_samples: int | None = None
    normalisation: Normalisation | None = None
    decision: Decision = field(default_factory=Decision)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    stored_features: StoredFeatures | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "input_shape", tuple(self.input_shape))
        _check_labels(self.labels)
        _check_auxiliary(self.decision, self.labels)
        _check_shapes(self)
        if self.normalisation is not None:
            check_normalisation(self.normalisation, self.feature_shape[-1], allow_by_clip=self.front_end is not None)
        check_params(self.network, self.input_shape, self.params)
        if self.stored_features is not None and self.stored_features.codes.shape[1:] != self.feature_shape:
            raise ShapeError(
                f"the model takes features {self.feature_shape}; "
                f"the stored ones are {self.stored_features.codes.shape[1:]}"
            )

    @property
    def words(self) -> tuple[str, ...]:
        """The labels of words: without those of negatives such as ``_unknown_``."""
        return tuple(label for label in self.labels if is_word(label))

    @property
    def answer_labels(self) -> tuple[str, ...]:
        """The labels that may be an answer: those with examples, ``_unknown_`` too if it had some."""
        return tuple(self.labels[i] for i in self.decision.answer_codes(self.labels))

    @property
    def given_labels(self) -> tuple[str, ...]:
        """The former name of `answer_labels`."""
        return self.answer_labels

    @property
    def kind(self) -> Literal["audio", "images"]:
        """Kind of the examples: sound, or pictures (and other arrays)."""
        return "images" if self.front_end is None else "audio"

    @property
    def example_shape(self) -> Shape:
        """Shape of one example before the front end: ``(clip_samples,)``, or that of a picture."""
        return self.input_shape if self.clip_samples is None else (self.clip_samples,)

    @property
    def feature_shape(self) -> Shape:
        """Shape of one example's features: without the channel axis that a 2-D network has for its one channel."""
        if self.front_end is None or self.clip_samples is None:
            return self.input_shape
        return self.front_end.out_shape(self.clip_samples)

    def predict(self, examples: ArrayLike | Windows, batch_size: int = BATCH_SIZE) -> Array:
        """Return the probability of each class for samples or pixels, calibrated.

        Parameters
        ----------
        examples : (N, *example_shape) array, or Windows
            Samples (N, clip_samples) at the front end's rate with full scale 1, or pixels (N, H, W, C) from 0 to 1.
        batch_size : int
            Number of examples to hold as features and in the network at a time.

        Returns
        -------
        (N, labels) float32 array

        Raises
        ------
        ShapeError
            If the examples are of another shape.
        """
        return self.decision.probabilities(self.labels, self.predict_logits(examples, batch_size))

    def predict_logits(self, examples: ArrayLike | Windows, batch_size: int = BATCH_SIZE) -> Array:
        """Return the logits (N, labels) float32 for samples or pixels; parameters and errors are those of `predict`."""
        x: Any = examples if hasattr(examples, "shape") else np.asarray(examples, np.float32)
        if x.shape[1:] != self.example_shape:
            raise ShapeError(f"the model takes examples of shape (N, *{self.example_shape}), got {x.shape}")
        return self._in_batches(len(x), batch_size, lambda part: self.features(x[part]))

    def features(self, examples: ArrayLike) -> Array:
        """Return what the front end makes of samples (N, clip_samples); pictures are returned as they are, float32."""
        x = np.asarray(examples, np.float32)
        return x if self.front_end is None else self.front_end(x)

    def logits(self, features: ArrayLike, batch_size: int = BATCH_SIZE) -> Array:
        """Return the scores of each class before the softmax.

        Parameters
        ----------
        features : (N, *feature_shape) array
            As the front end gives them, or pictures; not yet normalised.
        batch_size : int
            Number of examples to hold in the network at a time.

        Returns
        -------
        (N, labels) float32 array

        Raises
        ------
        ShapeError
            If the features are of another shape.
        """
        features = np.asarray(features, np.float32)
        if features.shape[1:] not in (self.feature_shape, self.input_shape):
            raise ShapeError(f"the model takes features of shape (N, *{self.feature_shape}), got {features.shape}")
        return self._in_batches(len(features), batch_size, lambda part: features[part])

    def _in_batches(self, count: int, batch_size: int, features_of: Callable[[slice], Array]) -> Array:
        """Return the logits (count, labels) float32; the features of one batch at a time are in memory."""
        if 0 < count <= batch_size:
            return self._forward(self.network_input(features_of(slice(None))))
        logits = np.empty((count, len(self.labels)), np.float32)
        for start in range(0, count, batch_size):
            x = self.network_input(features_of(slice(start, start + batch_size)))
            logits[start : start + len(x)] = self._forward(x)
        return logits

    def network_input(self, features: Array) -> Array:
        """Return normalised `features` (N, *feature_shape) as the network takes them, (N, *input_shape) float32."""
        x = normalised_input(features.reshape(-1, *self.feature_shape), self.normalisation, self.input_shape)
        return np.require(x, np.float32, ["C", "A"])

    @cached_property
    def _forward(self) -> Callable[[Array], Array]:
        """From a normalised batch to its logits."""
        return inference(self.network, self.params, self.input_shape)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: not the compiled network, which holds addresses and is made anew."""
        return {name: value for name, value in self.__dict__.items() if name != "_forward"}

    def probabilities(self, features: ArrayLike, batch_size: int = BATCH_SIZE) -> Array:
        """Return the probability of each class, (N, labels) float32, calibrated; takes what `logits` takes."""
        return self.decision.probabilities(self.labels, self.logits(features, batch_size))

    def decide(self, probabilities: Array) -> Answers:
        """Return which label each row of `probabilities` (N, labels) means, and whether it is accepted as a word."""
        return self.decision.decide(self.labels, probabilities)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to `path`, a ``.safetensors`` file, whole or not at all.

        Raises
        ------
        DataError
            If the file cannot be written; what was there before is unchanged.
        ConfigError
            If the provenance is not JSON-compatible.
        """
        arrays = flatten(self.params)
        if self.normalisation is not None:
            arrays = {**arrays, MEAN: self.normalisation.mean, STD: self.normalisation.std}
        if self.stored_features is not None:
            arrays |= {path: getattr(self.stored_features, name) for name, path in STORED.items()}
        header = {
            "network": to_config(self.network),
            "labels": self.labels,
            "input_shape": self.input_shape,
            "front_end": _front_end_to_config(self.front_end),
            "clip_samples": self.clip_samples,
            "normalised_by_clip": self.normalisation is not None and self.normalisation.by_clip,
            "decision": self.decision.to_json(),
            "provenance": dict(self.provenance),
        }
        tensor_file.write(path, "model", arrays, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the model in the file `path`.

        Raises
        ------
        ModelFileError
            If it is not a whole model that this version of audioconv can use; the message names the fault in one line.
        """
        arrays, header = tensor_file.read(path, "model")
        maker = header.get("audioconv_version")
        wrong = "damaged model"
        if maker != __version__:
            wrong += f", or audioconv {maker}, which wrote it, has something that this audioconv {__version__} has not"
        scale = {name: arrays.pop(name) for name in (MEAN, STD) if name in arrays}
        stored = {name: arrays.pop(path) for name, path in STORED.items() if path in arrays}
        try:
            _check_header(header)
            return cls(
                network=from_config(header["network"]),
                params=unflatten(arrays),
                labels=header["labels"],
                input_shape=header["input_shape"],
                front_end=_front_end_from_config(header["front_end"]),
                clip_samples=header["clip_samples"],
                # Files of older versions lack these: they are normalised by the training clips and accept every answer.
                normalisation=_normalisation(scale, by_clip=bool(header.get("normalised_by_clip"))),
                decision=Decision.from_json(header.get("decision", {})),
                provenance=dict(header["provenance"]),
                stored_features=StoredFeatures(**stored) if stored else None,
            )
        except KeyError as error:
            raise ModelFileError(f"{display_path(path)}: {wrong}: its header has no {error}") from None
        except (ConfigError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
            raise ModelFileError(f"{display_path(path)}: {wrong}: {' '.join(str(error).split())}") from None


def _check_header(header: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a value of a wrong type. Keys that this version does not know are left out."""
    for key, kinds, what in (
        ("labels", list, "a list of names"),
        ("input_shape", list, "a list of integers"),
        ("clip_samples", int | None, "an integer or null"),
        ("provenance", dict, "an object"),
    ):
        if not isinstance(header[key], kinds):
            raise ConfigError(f"its {key} must be {what}, got {header[key]!r}")


def _check_labels(labels: tuple[str, ...]) -> None:
    if len(labels) < 2 or not all(isinstance(label, str) and label for label in labels):
        raise ConfigError(f"labels must be at least two names, got {list(labels)}")
    if len(set(labels)) < len(labels):
        twice = sorted({label for label in labels if labels.count(label) > 1})
        raise ConfigError(f"labels must differ, but {', '.join(map(repr, twice))} comes more than once")


def _check_auxiliary(decision: Decision, labels: tuple[str, ...]) -> None:
    wrong = [label for label in decision.auxiliary if label not in labels or is_word(label)]
    if wrong or len(decision.answer_codes(labels)) < 2:
        raise ConfigError(
            f"the decision's made classes must be labels such as {UNKNOWN}, and leave at least two others; "
            f"got {list(decision.auxiliary)} of {list(labels)}"
        )


def _check_shapes(model: Model) -> None:
    if not model.input_shape or not all(isinstance(size, int) and size > 0 for size in model.input_shape):
        raise ShapeError(f"input_shape must be positive integers, got {model.input_shape}")
    if (model.front_end is None) != (model.clip_samples is None):
        raise ConfigError("a front end and the length of its clips, clip_samples, go together; only one is there")
    if model.input_shape not in (model.feature_shape, (*model.feature_shape, 1)):
        raise ShapeError(
            f"the front end gives features of shape {model.feature_shape} for {model.clip_samples} samples, "
            f"but the network's input_shape is {model.input_shape}"
        )
    out_shape = model.network.out_shape(model.input_shape)
    if out_shape != (len(model.labels),):
        raise ShapeError(f"the network gives {out_shape} for {len(model.labels)} labels; it must give one logit each")


def _normalisation(arrays: Mapping[str, Array], by_clip: bool) -> Normalisation | None:
    for name in (MEAN, STD) if arrays else ():
        if name not in arrays:
            raise ConfigError(f"array {name} is missing")
    return Normalisation(arrays[MEAN], arrays[STD], by_clip) if arrays else None


def _front_end_to_config(front_end: FrontEnd | None) -> dict[str, Any] | None:
    if front_end is None:
        return None
    from audioconv.features.front_ends import front_end_to_config  # a network on pictures needs no audio

    return front_end_to_config(front_end)


def _front_end_from_config(config: Any) -> FrontEnd | None:
    if config is None:
        return None
    from audioconv.features.front_ends import front_end_from_config

    return front_end_from_config(config)
