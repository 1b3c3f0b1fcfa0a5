"""Runs that begin with the same pretrained parameters: the means of their parameters are the model's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import audioconv as ac
from audioconv import layers as L
from audioconv.architectures.ensemble import average
from audioconv.errors import ConfigError
from audioconv.layers.base import flatten, unflatten
from audioconv.recipe import runs
from audioconv.recipe.runs import CHECKPOINTS
from audioconv.training.callbacks import EpochEnded, RunStarted
from audioconv.training.checkpoint import Checkpoint
from audioconv.training.history import EpochRow
from audioconv.training.progress import ProgressBar

QUICK = {"epochs": 2, "batch_size": 16, "refit": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a folder of pictures, bright above or bright below."""
    image = pytest.importorskip("PIL.Image")
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for label in ("above", "below"):
        (folder / label).mkdir()
        for number in range(20):
            picture = rng.uniform(0, 0.5, (12, 12))
            picture[:6] += 0.4 * (label == "above")
            picture[6:] += 0.4 * (label == "below")
            image.fromarray((255 * picture).astype(np.uint8)).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def begun(folder, tmp_path_factory) -> Path:
    """Return a trained model to begin with."""
    path = tmp_path_factory.mktemp("begun") / "model.safetensors"
    ac.Classifier.train(folder, arch="cs231n", augment=False, **QUICK).save(path)
    return path


def test_the_parameters_are_means(folder, begun, tmp_path):
    averaged = ac.Classifier.train(folder, init=begun, averaged_runs=3, checkpoints=tmp_path, **QUICK)
    names = ["checkpoint-2.safetensors", "checkpoint-3.safetensors", "checkpoint.safetensors"]
    assert sorted(path.name for path in tmp_path.glob(CHECKPOINTS)) == names
    loaded = [Checkpoint.load(tmp_path / name) for name in names]
    found = flatten(averaged.model_.params)
    assert found.keys() == loaded[0].params.keys()
    for path, array in found.items():
        of_runs = [run.params[path] for run in loaded]
        np.testing.assert_allclose(array, np.mean(of_runs, axis=0), rtol=1e-5, atol=1e-7)
        assert not np.array_equal(of_runs[0], of_runs[1])
    assert averaged.model_.provenance["settings"]["averaged_runs"] == 3


def test_validation_is_that_of_the_means(folder, begun, monkeypatch):
    """The means are replaced by zeros, which are right by chance alone; each run is better."""
    monkeypatch.setattr(runs, "average", lambda params: unflatten({p: 0 * a for p, a in flatten(params[0]).items()}))
    averaged = ac.Classifier.train(folder, init=begun, averaged_runs=2, **{**QUICK, "epochs": 12})
    report = averaged.report_
    assert report.validation_accuracy == report.held_out.accuracy == 0.5
    assert report.history[-1].validation_accuracy > 0.5


def test_an_interrupted_run_goes_on(folder, begun, tmp_path):
    settings = {**QUICK, "init": begun, "averaged_runs": 3, "ensemble_size": 2}
    whole = ac.Classifier.train(folder, **settings)
    assert isinstance(whole.model_.network, L.Sum)
    ended = 0

    def stop(event: object) -> None:
        nonlocal ended
        ended += isinstance(event, EpochEnded)
        if ended == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ac.Classifier.train(folder, checkpoints=tmp_path, callbacks=[stop], **settings)
    assert len(list(tmp_path.glob(CHECKPOINTS))) == 4
    resumed = ac.Classifier.train(folder, checkpoints=tmp_path, resume=True, **settings)
    for name, classifier in (("a", whole), ("b", resumed)):
        classifier.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_each_run_has_its_place_among_all(folder, begun):
    events: list[RunStarted] = []

    def note(event: object) -> None:
        if isinstance(event, RunStarted):
            events.append(event)

    settings = {**QUICK, "refit": True, "averaged_runs": 2, "ensemble_size": 2}
    ac.Classifier.train(folder, init=begun, callbacks=[note], **settings)
    again = "once more, with the clips that validated, "
    assert [event.title for event in events] == [
        f"{stage}network {network} of 2, run {run} of 2 that are averaged"
        for stage in ("", again)
        for network in (1, 2)
        for run in (1, 2)
    ]
    assert [(event.number, event.runs, event.averaged_runs) for event in events] == [(n, 8, 2) for n in range(1, 9)]
    assert [event.epochs_left for event in events] == [14, 12, 10, 8, 6, 4, 2, 0]
    # 36 of 40 pictures are three batches of 16, and so are 40; the estimate is in proportion to the pictures.
    assert [event.batches_left for event in events] == [45, 39, 33, 27, 18, 12, 6, 0]


def test_the_time_left_has_later_runs(capsys):
    bar = ProgressBar(Console(force_terminal=False, width=100, stderr=True))
    bar(RunStarted(1, 0, 2, "run 1 of 2 that are averaged", 1, 2, 2, 1, 2))
    bar(EpochEnded(EpochRow(1, 0.5, 0.75, None, None, 1e-3, 2.0), is_best=True))
    bar(RunStarted(1, 0, 2, "run 2 of 2 that are averaged", 2, 2, 2, 0, 0))
    bar(EpochEnded(EpochRow(1, 0.5, 0.75, None, None, 1e-3, 2.0), is_best=True))
    first, epoch, second, last = capsys.readouterr().err.splitlines()
    assert (first, second) == ("run 1 of 2 that are averaged:", "run 2 of 2 that are averaged:")
    assert epoch.endswith("left")
    assert not last.endswith("left")


def test_random_parameters_are_not_averaged(folder):
    with pytest.raises(ConfigError, match=r"with random parameters cannot be averaged; name a network .*\(init\)"):
        ac.Classifier.train(folder, averaged_runs=2, **QUICK)
    with pytest.raises(ConfigError, match="there must be at least one run, got averaged_runs=0"):
        ac.Classifier.train(folder, averaged_runs=0, **QUICK)


def test_parameters_of_other_networks_are_refused():
    params = [L.Dense(count).init((4,), np.random.default_rng(0)) for count in (3, 3, 2)]
    with pytest.raises(ConfigError, match="only networks with the same parameters can be averaged"):
        average(params)
    assert average(params[:2])["weight"].dtype == np.float32
