"""Events of `training.fit` for callbacks.

A callback is any function of one event::

    def report(event: Event) -> None:
        if isinstance(event, EpochEnded):
            print(event.row.epoch, event.row.validation_accuracy)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audioconv.training.history import EpochRow


@dataclass(frozen=True)
class ClipSpoken:
    """Another clip was synthesised, before training begins; from `Classifier`, not from `training.fit`.

    Attributes
    ----------
    done, clips : int
        Number of clips that were synthesised, and number of all.
    """

    done: int
    clips: int


@dataclass(frozen=True)
class NegativeRead:
    """Another negative recording was read, before training begins; from `Classifier`, not from `training.fit`.

    Attributes
    ----------
    done, recordings : int
        Number of recordings that were read, and number of all.
    """

    done: int
    recordings: int


@dataclass(frozen=True)
class Noted:
    """A note on the data, before training begins; from `Classifier`, not from `training.fit`.

    Attributes
    ----------
    message : str
        One line.
    """

    message: str


@dataclass(frozen=True)
class RunStarted:
    """Training begins, or goes on from a checkpoint.

    Attributes
    ----------
    epochs : int
        Number of epochs of the whole run, at most.
    epochs_done : int
        Number of epochs before a resumed run goes on.
    batches : int
        Number of batches in an epoch.
    title : str
        Which of several runs it is, such as "network 2 of 3"; from `Classifier`. Default: none.
    number, runs : int
        Place among the runs of a model, from 1, and their number. Default: 1 of 1.
    averaged_runs : int
        Number of them whose parameters are averaged to one network's. Default: 1, so none are.
    epochs_left, batches_left : int
        Epochs of all later runs of the model, and about their batches. Default: 0.
    """

    epochs: int
    epochs_done: int
    batches: int
    title: str = ""
    number: int = 1
    runs: int = 1
    averaged_runs: int = 1
    epochs_left: int = 0
    batches_left: int = 0


@dataclass(frozen=True)
class BatchEnded:
    """One step is done.

    Attributes
    ----------
    epoch, batch : int
        Both count from 1.
    loss, accuracy : float
        Means over the epoch's examples so far.
    """

    epoch: int
    batch: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class EpochEnded:
    """One epoch is done, and its checkpoint, if there is one, is written.

    Attributes
    ----------
    row : EpochRow
        Results of the epoch.
    is_best : bool
        Whether it is the best epoch so far.
    """

    row: EpochRow
    is_best: bool


@dataclass(frozen=True)
class RunEnded:
    """Training is done.

    Attributes
    ----------
    kept_epoch : int
        Epoch whose parameters are kept.
    stopped_early : bool
        Whether validation stopped improving before the last epoch.
    """

    kept_epoch: int
    stopped_early: bool


Event = ClipSpoken | NegativeRead | Noted | RunStarted | BatchEnded | EpochEnded | RunEnded
Callback = Callable[[Event], None]
