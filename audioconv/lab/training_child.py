"""The process of a training run: it reads what to do from a folder, and writes states as lines of JSON.

It ends with the process that started it, whose end closes its standard input. An interrupted run goes on from the
checkpoints in the folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from audioconv.errors import AudioconvError
from audioconv.io.files import write_atomic
from audioconv.kernels.parent import end_with_parent
from audioconv.lab.run_state import DONE, FAILED, Progress, new_state

MODEL_NAME, RESULTS_NAME, REPORT_NAME, ORDER_NAME = "model.safetensors", "results.json", "report.html", "run.json"


def main(arguments: list[str]) -> int:
    """Train as the order in a folder says, to a model, results and a report there."""
    folder = Path(arguments[0])
    lines, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no state
    end_with_parent(3)  # a checkpoint is written whole or not at all

    def send(state: dict[str, Any]) -> None:
        lines.write(json.dumps(state) + "\n")
        lines.flush()

    order = json.loads((folder / ORDER_NAME).read_text("utf-8"))
    progress = Progress(new_state(order["id"]), send)
    progress.send(at_once=True)
    try:
        _train(folder, order, progress)
    except AudioconvError as error:
        progress.end(FAILED, str(error))
        return 1
    except Exception as error:
        progress.end(FAILED, f"an internal error: {type(error).__name__}: {error}")
        raise
    progress.end(DONE, "trained")
    return 0


def _train(folder: Path, order: dict[str, Any], progress: Progress) -> None:
    from audioconv.classifier import Classifier
    from audioconv.datasets.folder import open_collection
    from audioconv.kernels import precompile
    from audioconv.lab.results import describe_results
    from audioconv.report import Facts, write_report
    from audioconv.training.history import HISTORY_NAME

    project = Path(order["project"])
    collection = open_collection(project)
    precompile.start(precompile.TRAIN_ON_IMAGES if collection.kind == "images" else precompile.TRAIN_ON_SOUNDS)
    classifier = Classifier.train(
        collection,
        checkpoints=folder,
        resume=order.get("resume", False),
        callbacks=[progress],
        on_file=progress.file_read,
        **order["settings"],
    )
    report, model = classifier.report_, classifier.model_
    assert report is not None
    results = describe_results(report, model, project, progress.state["history"], progress.state["seconds"])
    report.history.write_csv(folder / HISTORY_NAME)
    with write_atomic(folder / RESULTS_NAME, "w") as file:
        json.dump(results, file)
    classifier.save(folder / MODEL_NAME)
    if report.held_out is not None:
        write_report(folder / REPORT_NAME, Facts.of(folder / MODEL_NAME, model, report.held_out))
    # Results and report first: a model that is there has them.
    for name in (REPORT_NAME, RESULTS_NAME, MODEL_NAME):
        if (folder / name).is_file():
            with write_atomic(folder.parent / name) as file:
                file.write((folder / name).read_bytes())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
