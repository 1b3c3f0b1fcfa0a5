"""The model of a project, as it lies in its folder: read once, and again when there is a new one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from audioconv.errors import DataError, ModelFileError
from audioconv.io.files import display_path
from audioconv.lab.headers import stamp_of
from audioconv.lab.names import MODELS_FOLDER
from audioconv.lab.training_child import MODEL_NAME
from audioconv.model import Model
from audioconv.serving.limits import RefusedError


class ProjectModel:
    """The file ``models/model.safetensors`` of a project; its methods may be called from any thread.

    Parameters
    ----------
    project : Path
        The folder.

    Attributes
    ----------
    folder : Path
        The folder of models.
    path : Path
    """

    def __init__(self, project: Path) -> None:
        self.folder = project / MODELS_FOLDER
        self.path = self.folder / MODEL_NAME
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._model: Model | None = None

    def find(self) -> Model | None:
        """Return the model; None if there is none, or it cannot be read."""
        with self._lock:
            stamp = stamp_of(self.path)
            if stamp != self._stamp:
                try:
                    self._model = Model.load(self.path) if self.path.is_file() else None
                except (DataError, ModelFileError):
                    self._model = None
                self._stamp = stamp
            return self._model

    def require(self) -> Model:
        """Return the model; `RefusedError` (409) if there is none."""
        model = self.find()
        if model is None:
            raise RefusedError(409, "there is no model yet; train one first")
        return model

    def to_json(self) -> dict[str, Any] | None:
        """Return the model as pages get it; None if there is none."""
        model = self.find()
        if model is None:
            return None
        accuracy = model.provenance.get("validation_accuracy")
        threshold = None
        if model.kind == "audio" and model.words:
            from audioconv.streaming.detector import chosen_threshold

            threshold = chosen_threshold(model)
        return {
            "path": display_path(self.path),
            "labels": list(model.answer_labels),
            "words": list(model.words),
            "trained": stamp_of(self.path)[1] / 1e9,
            "accuracy": accuracy if isinstance(accuracy, float) else None,
            "streams": threshold is not None,
            "threshold": threshold,
            "kind": model.kind,
        }
