"""History of a run: measurements of each epoch."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from audioconv.errors import DataError
from audioconv.io.files import display_path, reason, write_atomic

HISTORY_NAME, FINAL_HISTORY_NAME = "history.csv", "history-final.csv"
"""Names of the tables of epochs beside a model: of the run with validation, and of the second run."""


@dataclass(frozen=True)
class EpochRow:
    """One epoch.

    Attributes
    ----------
    epoch : int
        Its number, from 1.
    train_loss, train_accuracy : float
        Means over the training examples as they were trained on: augmented, with dropout, while weights changed.
    validation_loss, validation_accuracy : float or None
        After the epoch, over the validation examples; None where there are none.
    learning_rate : float
        At the epoch's last step.
    seconds : float
        Time of the epoch, validation included.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class History:
    """The epochs of a run, in order."""

    rows: tuple[EpochRow, ...] = ()

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.rows)

    def __iter__(self) -> Iterator[EpochRow]:
        """Go through the epochs."""
        return iter(self.rows)

    def __getitem__(self, index: int) -> EpochRow:
        """Return an epoch by its place, from 0; -1 is the last."""
        return self.rows[index]

    def add(self, row: EpochRow) -> History:
        """Return the history with one more epoch."""
        return History((*self.rows, row))

    @property
    def best_epoch(self) -> int:
        """Number of the epoch with the best validation accuracy, then the least validation loss, then the earliest.

        Without validation there is nothing to choose by: the last epoch. 0 before the first epoch.
        """
        if not self.rows:
            return 0

        def merit(row: EpochRow) -> tuple[float, float]:
            if row.validation_accuracy is None or row.validation_loss is None:
                return row.epoch, 0.0
            return row.validation_accuracy, -row.validation_loss

        return max(self.rows, key=merit).epoch

    @property
    def best(self) -> EpochRow:
        """The row of `best_epoch`."""
        return self.rows[self.best_epoch - 1]

    def is_stale(self, patience: int | None) -> bool:
        """Return whether the last `patience` epochs brought nothing better."""
        return patience is not None and len(self) - self.best_epoch >= patience

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write one line an epoch, with a header of the fields of `EpochRow`; `DataError` if that fails."""
        with write_atomic(path, "w") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(field.name for field in fields(EpochRow))
            writer.writerows(asdict(row).values() for row in self.rows)  # None becomes an empty field

    @classmethod
    def read_csv(cls, path: str | os.PathLike[str]) -> History:
        """Return the history that `write_csv` wrote; `DataError` if the file is not such a one."""
        shown = display_path(path)
        try:
            with open(path, encoding="utf-8", newline="") as file:
                return cls(tuple(_row(row) for row in csv.DictReader(file)))
        except OSError as error:
            raise DataError(f"{shown}: cannot be read ({reason(error)})") from None
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise DataError(f"{shown}: is not the history of a training run ({error})") from None

    def to_json(self) -> list[dict[str, Any]]:
        """Return the epochs as JSON-compatible data; `from_json` is its inverse."""
        return [asdict(row) for row in self.rows]

    @classmethod
    def from_json(cls, rows: list[dict[str, Any]]) -> History:
        """Return the history that `to_json` described."""
        return cls(tuple(EpochRow(**row) for row in rows))


def _row(row: dict[str, str]) -> EpochRow:
    """Return a line of a CSV file as an epoch; what may be missing there is an empty field."""
    values: dict[str, Any] = {
        field.name: float(row[field.name]) if row[field.name] else None for field in fields(EpochRow)
    }
    return EpochRow(**{**values, "epoch": int(row["epoch"])})
