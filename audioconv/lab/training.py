"""Training in a process of its own, which goes on when pages close and ends with the server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from audioconv.decision.classes import BACKGROUND, is_word, negative_label
from audioconv.errors import ConfigError, DataError
from audioconv.io.files import make_folder, write_atomic
from audioconv.lab.models import ProjectModel
from audioconv.lab.project import Project
from audioconv.lab.run_state import CANCELLED, DONE, ENDED, FAILED, new_state
from audioconv.lab.training_child import MODEL_NAME, ORDER_NAME
from audioconv.serving.limits import RefusedError

LOG_NAME = "log.txt"

CHECKPOINTS = "checkpoint*.safetensors"

FEW_CLIPS, FOLDS = 400, 3
"""With fewer clips of words they are cross-validated in so many parts; else a tenth validates."""

MIN_CLIPS = 2
"""Of each of two classes, to begin with."""

CHOICES = ("auto", "tc-cnn-l", "tc-resnet8", "bc-resnet-1", "ds-cnn-s")

OPTIONS: list[dict[str, Any]] = [
    {"name": "budget", "kind": "number", "unit": "seconds", "default": None, "min": 5, "max": 86400, "step": 5},
    {"name": "epochs", "kind": "number", "default": None, "min": 1, "max": 1000, "step": 1},
    {"name": "augment", "kind": "switch", "default": True},
    {"name": "arch", "kind": "choice", "default": "auto", "choices": list(CHOICES)},
    {"name": "reject", "kind": "switch", "default": None},
]
"""What ``POST /api/train`` takes; None is what training chooses by the data."""


class Training:
    """The training runs of a project, one at a time.

    Parameters
    ----------
    project : Project
    model : ProjectModel
    publish : callable
        Called with events for pages, from a thread.
    """

    def __init__(self, project: Project, model: ProjectModel, publish: Callable[[Mapping[str, Any]], object]) -> None:
        self._project, self._model, self._publish = project, model, publish
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._is_cancelled = False
        self._state = self._interrupted()

    # --- what pages get ---

    @property
    def run(self) -> dict[str, Any] | None:
        """The present or last run; None before the first one."""
        return self._state

    def settings(self) -> dict[str, Any]:
        """Return what training would do, in a sentence, and its options."""
        counts = Counter(clip.item.label for clip in self._project.clips())
        speakers = {clip.item.speaker for clip in self._project.clips() if clip.item.speaker}
        why_not = _why_not(counts, self._project.kind)
        return {
            "plan": _plan(counts, self._project.kind, len(speakers)),
            "ready": why_not is None,
            "why_not": why_not,
            "options": OPTIONS,
            "folds": self._folds(counts),
        }

    # --- runs ---

    def start(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a run and return its state.

        Raises
        ------
        RefusedError
            (409) if one goes on, or there are too few clips.
        ConfigError
            For an option that there is not, or a value that it cannot have.
        """
        settings = _checked(options)
        with self._lock:
            self._check_free()
            self._project.write_manifest()
            counts = Counter(clip.item.label for clip in self._project.clips())
            why_not = _why_not(counts, self._project.kind)
            if why_not is not None:
                raise RefusedError(409, why_not)
            if (folds := self._folds(counts)) is not None:
                settings["folds"] = folds
            self._forget_unfinished()
            folder = self._new_folder()
            order = {"id": folder.name, "project": str(self._project.folder), "settings": settings}
            _write_order(folder, order)
            return self._begin(folder, order)

    def resume(self) -> dict[str, Any]:
        """Go on with the last run from its checkpoint; `RefusedError` (409) if there is none to go on with."""
        with self._lock:
            self._check_free()
            folder = self._unfinished()
            if folder is None:
                raise RefusedError(409, "there is no interrupted run to go on with; train anew")
            order = {**_read_order(folder), "project": str(self._project.folder), "resume": True}
            _write_order(folder, order)
            return self._begin(folder, order)

    def cancel(self) -> dict[str, Any] | None:
        """End the run that goes on; it can be resumed from its last whole epoch."""
        with self._lock:
            process, reader = self._process, self._reader
            if process is None or process.poll() is not None:
                return self._state
            self._is_cancelled = True
            process.terminate()
        if reader is not None:
            reader.join(10)
        return self._state

    def close(self) -> None:
        """End the process, if one runs: when the server ends."""
        process = self._process
        if process is not None and process.poll() is None:
            self._is_cancelled = True
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        if self._reader is not None:
            self._reader.join(10)

    # --- the process ---

    def _begin(self, folder: Path, order: Mapping[str, Any]) -> dict[str, Any]:
        self._is_cancelled = False
        with open(folder / LOG_NAME, "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "audioconv.lab.training_child", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
            )
        self._state = new_state(order["id"])
        self._reader = threading.Thread(target=self._read, args=(self._process, folder), daemon=True)
        self._reader.start()
        self._publish({"type": "run", "run": self._state})
        return self._state

    def _read(self, process: subprocess.Popen[str], folder: Path) -> None:
        """Take the states of the process until it ends."""
        assert process.stdout is not None
        assert process.stdin is not None
        last = new_state(folder.name)
        for line in process.stdout:
            with suppress(ValueError):
                last = json.loads(line)
                # The end is told once the process has ended and its checkpoints are gone: another run may begin then.
                if last["state"] not in ENDED:
                    self._tell(last)
        code = process.wait()
        process.stdout.close()
        process.stdin.close()
        state = dict(last)
        if state["state"] not in ENDED:
            ended = "the training was cancelled" if self._is_cancelled else f"the training ended with code {code}"
            state |= {"state": CANCELLED if self._is_cancelled else FAILED, "message": ended, "seconds_left": None}
        if state["state"] == FAILED and not self._is_cancelled:
            state["message"] += _last_line(folder / LOG_NAME) if "internal error" in state["message"] else ""
        state["resumable"] = self._unfinished() is not None
        if state["state"] == DONE:
            for path in folder.glob(CHECKPOINTS):
                with suppress(OSError):
                    path.unlink()
            state["resumable"] = False
        self._tell(state)
        if state["state"] == DONE:
            self._publish({"type": "model"})

    def _tell(self, state: dict[str, Any]) -> None:
        self._state = state
        self._publish({"type": "run", "run": state})

    def _check_free(self) -> None:
        if self._process is not None and self._process.poll() is None:
            raise RefusedError(409, "a training goes on; cancel it first, or wait for its end")
        if self._reader is not None:
            self._reader.join(10)

    # --- folders ---

    def _new_folder(self) -> Path:
        make_folder(self._model.folder)
        name = time.strftime("%Y-%m-%d-%H%M%S")
        for number in range(1, 1000):
            folder = self._model.folder / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise DataError(f"{folder.name}: the folder of the run cannot be made ({error.strerror})") from None
            return folder
        raise DataError("no folder for the run can be made; remove old ones in models/")

    def _runs(self) -> list[Path]:
        """Return the folders of runs, the newest last."""
        if not self._model.folder.is_dir():
            return []
        return sorted(path.parent for path in self._model.folder.glob(f"*/{ORDER_NAME}"))

    def _unfinished(self) -> Path | None:
        """Return the folder of the last run if it can go on."""
        runs = self._runs()
        if not runs or (runs[-1] / MODEL_NAME).exists() or not any(runs[-1].glob(CHECKPOINTS)):
            return None
        return runs[-1]

    def _forget_unfinished(self) -> None:
        """Remove what runs without a model have left."""
        for folder in self._runs():
            if not (folder / MODEL_NAME).exists():
                with suppress(OSError):
                    for path in folder.iterdir():
                        path.unlink()
                    folder.rmdir()

    def _interrupted(self) -> dict[str, Any] | None:
        """Return the state of a run that ended with an earlier server; None if there is none."""
        folder = self._unfinished()
        if folder is None:
            return None
        message = "an earlier training was interrupted; it can go on"
        return {**new_state(folder.name), "state": CANCELLED, "message": message, "resumable": True}

    def _folds(self, counts: Mapping[str, int]) -> int | None:
        if any(clip.item.split == "validation" for clip in self._project.clips()):
            return None
        words = sum(count for label, count in counts.items() if _is_class_to_find(label))
        return FOLDS if words < FEW_CLIPS else None


def _is_class_to_find(label: str) -> bool:
    return label != BACKGROUND and is_word(negative_label(label) or label)


def _why_not(counts: Mapping[str, int], kind: str | None) -> str | None:
    """Return why nothing can be trained yet; None if it can."""
    if not counts:
        return "there are no clips yet; record or drop some"
    classes = {label: count for label, count in counts.items() if label != BACKGROUND}
    enough = [label for label, count in classes.items() if count >= MIN_CLIPS]
    # One clip of other words, such as the first correction, is no reason to wait: it is learned and not held out.
    few = sorted(label for label in classes if label not in enough and _is_class_to_find(label))
    if len(enough) < 2:
        needed = "words" if kind == "audio" else "classes"
        return f"a classifier needs two {needed} or more, each with {MIN_CLIPS} clips or more"
    if few:
        return f"{few[0]!r} has {counts[few[0]]} clip; add {MIN_CLIPS - counts[few[0]]} or more, or remove the class"
    return None


def _plan(counts: Mapping[str, int], kind: str | None, speakers: int) -> str:
    """Return in a sentence what training does."""
    words = [label for label in counts if _is_class_to_find(label)]
    clips = sum(counts[label] for label in words)
    what = "pictures" if kind == "images" else "clips"
    parts = [f"{clips:,} {what} of {len(words)} class{'es' * (len(words) != 1)}"]
    if speakers > 1:
        parts.append(f"{speakers} speakers are kept apart in the estimate")
    if clips < FEW_CLIPS:
        parts.append(f"{FOLDS} networks, each without a part of the clips, estimate the accuracy; one learns all clips")
    else:
        parts.append("a tenth of the clips is held out to estimate the accuracy")
    if counts.get(BACKGROUND):
        parts.append("background noise is mixed in")
    if any(not is_word(negative_label(label) or label) and label != BACKGROUND for label in counts):
        parts.append("other words are learned as none of these")
    return "; ".join(parts) + "."


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `Classifier` that options mean; those that are null are left to training."""
    known = {option["name"]: option for option in OPTIONS}
    settings: dict[str, Any] = {}
    for name, value in options.items():
        option = known.get(name)
        if option is None:
            raise ConfigError(f"there is no option {name[:60]!r}; there are {', '.join(known)}")
        if value is None:
            continue
        if option["kind"] == "switch" and not isinstance(value, bool):
            raise ConfigError(f"{name} must be true or false")
        if option["kind"] == "choice" and value not in option["choices"]:
            raise ConfigError(f"{name} must be one of {', '.join(option['choices'])}")
        if option["kind"] == "number":
            low, high = option["min"], option["max"]
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ConfigError(f"{name} must be a number from {low} to {high}")
            value = int(value) if name == "epochs" else float(value)
        settings[name] = value
    return settings


def _write_order(folder: Path, order: Mapping[str, Any]) -> None:
    with write_atomic(folder / ORDER_NAME, "w") as file:
        json.dump(order, file, indent=1)


def _read_order(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / ORDER_NAME).read_text("utf-8"))
        return {"id": str(found["id"]), "settings": dict(found["settings"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise RefusedError(409, "the interrupted run cannot be read; train anew") from None


def _last_line(path: Path) -> str:
    with suppress(OSError):
        lines = path.read_text("utf-8", "replace").strip().splitlines()
        if lines:
            return f" ({lines[-1][:200]})"
    return ""
