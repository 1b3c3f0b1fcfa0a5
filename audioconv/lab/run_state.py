"""State of a training run, as pages get it, from the events of training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from audioconv.training.callbacks import BatchEnded, ClipSpoken, EpochEnded, Event, NegativeRead, Noted, RunStarted

SEND_SECONDS = 0.2
"""Batches are reported at most so often."""

READING, TRAINING, EVALUATING = "reading", "training", "evaluating"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"

ENDED = frozenset({DONE, FAILED, CANCELLED})


def new_state(identifier: str) -> dict[str, Any]:
    """Return the state of a run that begins."""
    return {
        "id": identifier,
        "state": READING,
        "message": "reading the clips",
        "epoch": 0,
        "epochs": None,
        "batch": 0,
        "batches": None,
        "loss": None,
        "accuracy": None,
        "network": 0,
        "networks": None,
        "averaged": False,
        "seconds": 0.0,
        "seconds_left": None,
        "history": [],
        "notes": [],
        "resumable": False,
    }


class Progress:
    """Keeps the state of a run up to date; it is a callback of training.

    Epochs are counted over all runs: those of a cross-validation, each without a part of the clips, those that are
    averaged, and that of the model.

    Parameters
    ----------
    state : dict
        See `new_state`; it is changed.
    send : callable
        Called with the state after each change, at most every `SEND_SECONDS` for batches.
    """

    def __init__(self, state: dict[str, Any], send: Callable[[dict[str, Any]], object]) -> None:
        self.state, self._send = state, send
        self._begun = time.monotonic()
        self._sent = 0.0
        # Batches of the networks before the present one, of the present one, and of all; those of a resumed run that
        # were done before cost no time now.
        self._before = self._skipped = self._batches = self._epochs = 0
        self._expected = 0.0
        self._first_epoch = 0
        self._training_since: float | None = None

    def __call__(self, event: Event) -> None:
        """Take an event of training."""
        state = self.state
        if isinstance(event, Noted):
            state["notes"] = [*state["notes"], event.message]
        elif isinstance(event, NegativeRead):
            state["message"] = f"reading negatives, {event.done:,} of {event.recordings:,}"
        elif isinstance(event, ClipSpoken):
            state["message"] = f"speaking words, {event.done:,} of {event.clips:,}"
        elif isinstance(event, RunStarted):
            self._start(event)
        elif isinstance(event, BatchEnded):
            state["epoch"] = self._first_epoch + event.epoch
            state["batch"], state["loss"], state["accuracy"] = event.batch, event.loss, event.accuracy
            self._estimate((event.epoch - 1) * self._batches + event.batch)
        elif isinstance(event, EpochEnded):
            row = event.row
            state["history"] = [
                *state["history"],
                {
                    "epoch": self._first_epoch + row.epoch,
                    "network": state["network"],
                    "loss": row.train_loss,
                    "accuracy": row.train_accuracy,
                    "validation_loss": row.validation_loss,
                    "validation_accuracy": row.validation_accuracy,
                },
            ]
            if self._first_epoch + row.epoch == state["epochs"]:
                state["state"], state["message"] = EVALUATING, "measuring with the clips that were held out"
        self.send(at_once=not isinstance(event, BatchEnded | NegativeRead | ClipSpoken))

    def file_read(self, files: int) -> None:
        """Count a file that was read."""
        self._before += 1
        self.state["message"] = f"reading the clips, {self._before:,} of {files:,}"
        self.send(at_once=False)

    def end(self, kind: str, message: str) -> None:
        """End the run."""
        self.state["state"], self.state["message"], self.state["seconds_left"] = kind, message, 0.0
        self.send(at_once=True)

    def send(self, *, at_once: bool) -> None:
        """Send the state, unless the last time was a moment ago."""
        now = time.monotonic()
        if at_once or now - self._sent >= SEND_SECONDS:
            self._sent = now
            self.state["seconds"] = round(now - self._begun, 1)
            self._send(self.state)

    def _start(self, event: RunStarted) -> None:
        state, now = self.state, time.monotonic()
        if self._training_since is None:
            self._training_since, self._before = now, 0
        else:
            self._before += self._batches * self._epochs
            self._first_epoch += self._epochs
        self._batches, self._epochs = event.batches, event.epochs
        self._skipped += event.epochs_done * event.batches
        state["network"], state["networks"] = event.number, event.runs
        state["averaged"] = event.averaged_runs > 1
        state["state"], state["batches"] = TRAINING, event.batches
        self._expected = self._before + event.epochs * event.batches + event.batches_left
        state["epochs"] = self._first_epoch + event.epochs + event.epochs_left
        state["message"] = event.title or "training"

    def _estimate(self, done_of_network: int) -> None:
        assert self._training_since is not None
        done = self._before + done_of_network - self._skipped
        left = self._expected - self._before - done_of_network
        spent = time.monotonic() - self._training_since
        if done > 0:
            self.state["seconds_left"] = round(spent / done * max(0.0, left), 1)
