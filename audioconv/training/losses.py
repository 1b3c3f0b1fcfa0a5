"""Losses: a number and its gradient, from logits and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from audioconv._types import Array
from audioconv.errors import ConfigError, ShapeError


class Loss(Protocol):
    """Loss that `training.fit` minimises."""

    def __call__(self, logits: Array, labels: Array) -> tuple[float, Array]:
        """Return the mean loss over the batch and its gradient by `logits`."""
        ...


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Cross-entropy between the softmax of the logits and the labels, averaged over the batch.

    The definition is that of ``torch.nn.functional.cross_entropy``: with class weights, the mean over integer labels
    is weighted (the sum of losses is divided by the sum of the labels' weights), and label smoothing mixes the target
    with the uniform distribution before weighting.

    Parameters
    ----------
    label_smoothing : float
        Share of the target that is spread evenly over all classes, from 0 to less than 1 (Szegedy et al. 2016).
    class_weights : tuple of float, optional
        A positive weight for each class; see `balanced_class_weights`.

    Examples
    --------
    >>> loss, gradient = SoftmaxCrossEntropy()(np.zeros((1, 2), np.float32), np.array([0]))
    >>> round(loss, 4), gradient.tolist()
    (0.6931, [[-0.5, 0.5]])
    """

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label smoothing must be at least 0 and less than 1; got {self.label_smoothing}")
        if self.class_weights is not None:
            weights = tuple(float(weight) for weight in self.class_weights)
            if not weights or not all(0 < weight < np.inf for weight in weights):
                raise ConfigError(f"class weights must be positive numbers, one per class; got {self.class_weights}")
            object.__setattr__(self, "class_weights", weights)

    def __call__(self, logits: Array, labels: Array) -> tuple[float, Array]:
        """Return the mean loss over the batch and its gradient by the logits.

        Parameters
        ----------
        logits : (N, K) array
            Scores before the softmax.
        labels : (N,) integers or (N, K) floats
            Each example's class, or its probability of each class.

        Returns
        -------
        loss : float
            NaN or infinite where the logits are.
        gradient : (N, K) float32 array

        Raises
        ------
        ShapeError
            If the shapes do not fit together, or a label is not one of the K classes.
        """
        targets, weights = self._targets(logits, np.asarray(labels))
        # The widening to float64 costs nothing beside a network, and spares the loss of digits in log(sum(exp)).
        # A network that diverged may have infinite logits: its loss is NaN, which the trainer reports.
        with np.errstate(invalid="ignore", over="ignore"):
            shifted = logits.astype(np.float64)
            shifted -= shifted.max(axis=1, keepdims=True)
            exponentials = np.exp(shifted)
            total = exponentials.sum(axis=1, keepdims=True)
            log_probabilities = shifted - np.log(total)
            loss = -float((targets * log_probabilities).sum()) / weights
            gradient = exponentials / total * targets.sum(axis=1, keepdims=True)
            gradient -= targets
            gradient /= weights
        return loss, gradient.astype(np.float32)

    def _targets(self, logits: Array, labels: Array) -> tuple[Array, float]:
        """Return the weighted target of each example and class, (N, K), and by what their sum is divided."""
        if logits.ndim != 2 or logits.shape[0] == 0:
            raise ShapeError(f"the loss needs logits (batch, classes), got shape {logits.shape}; end with L.Dense")
        count, classes = logits.shape
        of_class = np.ones(classes) if self.class_weights is None else np.asarray(self.class_weights)
        if len(of_class) != classes:
            raise ShapeError(f"{len(of_class)} class weights do not fit logits of {classes} classes")
        if labels.shape == (count,) and np.issubdtype(labels.dtype, np.integer):
            if labels.min() < 0 or labels.max() >= classes:
                raise ShapeError(
                    f"labels must be from 0 to {classes - 1} for logits of {classes} classes; "
                    f"got {labels.min()} to {labels.max()}"
                )
            targets = np.zeros((count, classes))
            targets[np.arange(count), labels] = 1
            divisor = float(of_class[labels].sum())
        elif labels.shape == (count, classes):
            targets = labels.astype(np.float64)
            divisor = float(count)
        else:
            raise ShapeError(
                f"labels must be {count} integers or probabilities of shape {logits.shape}; "
                f"got {labels.dtype} of shape {labels.shape}"
            )
        targets *= 1 - self.label_smoothing
        targets += self.label_smoothing / classes
        targets *= of_class
        return targets, divisor


@dataclass(frozen=True)
class LogitAdjusted:
    """A loss that shifts the logits in training, so that classes of few examples are found as often as the others.

    What is learned from few examples does not reach as far as what is learned from many: without it, whatever lies
    between two classes is taken for the larger one, even where both are shown equally often.

    Parameters
    ----------
    loss : Loss
        Loss of the shifted logits.
    offsets : tuple of float
        Number added to the logit of each class: at most 0, the less the fewer examples it has; see `logit_offsets`.

    References
    ----------
    A. Menon et al., Long-tail learning via logit adjustment, ICLR 2021.
    """

    loss: Loss
    offsets: tuple[float, ...]

    def __call__(self, logits: Array, labels: Array) -> tuple[float, Array]:
        """Return the mean loss over the batch and its gradient by the logits; see `SoftmaxCrossEntropy`."""
        return self.loss(logits + np.asarray(self.offsets, np.float32), labels)


def logit_offsets(counts: Sequence[int], competing: Sequence[bool], max_ratio: float) -> tuple[float, ...]:
    """Return the logarithm of how many examples each competing class has beside the largest of them; 0 for others.

    Parameters
    ----------
    counts : sequence of int
        Examples of each class.
    competing : sequence of bool
        Whether it is one of those that are compared.
    max_ratio : float
        So many times as many examples are not more.

    Examples
    --------
    >>> [round(offset, 4) for offset in logit_offsets([60, 3, 50, 9], [True, True, True, False], 1.25)]
    [0.0, -2.7726, 0.0, 0.0]
    """
    largest = max((count for count, is_one in zip(counts, competing, strict=True) if is_one), default=0)
    return tuple(
        min(0.0, math.log(max_ratio * count / largest)) if is_one and count else 0.0
        for count, is_one in zip(counts, competing, strict=True)
    )


def balanced_class_weights(labels: ArrayLike, classes: int) -> tuple[float, ...]:
    """Return class weights under which every class counts the same: ``examples / (classes * examples of the class)``.

    Parameters
    ----------
    labels : (N,) integers
        The training labels.
    classes : int
        Number of classes.

    Raises
    ------
    ConfigError
        If a class has no example.

    Examples
    --------
    >>> balanced_class_weights([0, 0, 0, 1], classes=2)
    (0.6666666666666666, 2.0)
    """
    labels = np.asarray(labels)
    counts = np.bincount(labels, minlength=classes)
    if len(counts) != classes or not counts.all():
        raise ConfigError(
            f"balanced class weights need an example of each of the {classes} classes; got counts {counts.tolist()}"
        )
    return tuple((len(labels) / (classes * counts)).tolist())
