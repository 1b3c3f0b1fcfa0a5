"""Facts that the sections of a report share."""

from __future__ import annotations

import datetime
import logging
from dataclasses import dataclass
from pathlib import Path

from audioconv._types import StrPath
from audioconv.errors import DataError
from audioconv.evaluation import Evaluation, LongResult, Speed
from audioconv.io.files import display_path
from audioconv.model import Model
from audioconv.training.history import FINAL_HISTORY_NAME, HISTORY_NAME, History

logger = logging.getLogger("audioconv")


@dataclass(frozen=True, eq=False)
class Facts:
    """Content of a report; None leaves a section out.

    Attributes
    ----------
    name : str
        Name of the model.
    model : Model
    evaluation : Evaluation
        With probabilities, as `Classifier.evaluate` returns it.
    speed : Speed or None
    long : LongResult or None
        Result of the evaluation on long recordings.
    history, final_history : History or None
        The epochs of training, and those of the second run with the validation clips.
    file_bytes : int or None
        Size of the model's file.
    date : datetime.date
        Date of the evaluation.
    """

    name: str
    model: Model
    evaluation: Evaluation
    speed: Speed | None = None
    long: LongResult | None = None
    history: History | None = None
    final_history: History | None = None
    file_bytes: int | None = None
    date: datetime.date = datetime.date.min

    @classmethod
    def of(
        cls,
        path: StrPath,
        model: Model,
        evaluation: Evaluation,
        speed: Speed | None = None,
        long: LongResult | None = None,
    ) -> Facts:
        """Return the facts about the `model` in the file `path`, with the histories that lie beside it."""
        file = Path(path)
        return cls(
            name=display_path(_name(file)),
            model=model,
            evaluation=evaluation,
            speed=speed,
            long=long,
            history=_history(file.with_name(HISTORY_NAME)),
            final_history=_history(file.with_name(FINAL_HISTORY_NAME)),
            file_bytes=file.stat().st_size,
            date=datetime.date.today(),
        )


def _name(file: Path) -> str:
    """Return the name of a model's file, or of its folder where the file is called as they all are."""
    return file.resolve().parent.name if file.stem == "model" else file.stem


def _history(path: Path) -> History | None:
    """Return the history in a file, None where there is none; one that cannot be used costs its section only."""
    if not path.is_file():
        return None
    try:
        history = History.read_csv(path)
    except DataError as error:
        logger.warning("the report shows no training curves: %s", error)
        return None
    return history if len(history) else None
