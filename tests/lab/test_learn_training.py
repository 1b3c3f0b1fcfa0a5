"""Training from the page: a process of its own, with events, that is cancelled, resumed, and ends with the server."""

from __future__ import annotations

import time

import labs
import pytest
from labs import until
from learning import QUICK, add_tones, events_of, state, train, until_ended

from audioconv.errors import ConfigError
from audioconv.lab import training
from audioconv.lab.run_state import Progress, new_state
from audioconv.model import Model
from audioconv.training.callbacks import BatchEnded, EpochEnded, RunStarted
from audioconv.training.history import EpochRow

LONG = {**QUICK, "epochs": 1000}


def test_what_is_missing_is_told_before_training(page):
    def why_not():
        settings = page.get("/api/project")["settings"]
        assert settings["ready"] == (settings["why_not"] is None)
        return settings["why_not"]

    assert why_not() == "there are no clips yet; record or drop some"
    page.upload("high", "a.wav", labs.wav(labs.tone(1200)))
    assert why_not() == "a classifier needs two words or more, each with 2 clips or more"
    refused = page.ask("POST", "/api/train", json={})
    assert (refused.status_code, refused.json()["error"]) == (409, why_not())
    add_tones(page, 2)
    page.upload("mid", "a.wav", labs.wav(labs.tone(600)))
    assert why_not() == "'mid' has 1 clip; add 1 or more, or remove the class"
    page.upload("_background_noise_", "b.wav", labs.wav(labs.tone(100, 2.0)))
    page.ask("DELETE", "/api/classes/mid")
    assert why_not() is None
    plan = page.get("/api/project")["settings"]["plan"]
    assert plan.startswith("5 clips of 2 classes; 3 networks, each without a part of the clips")
    assert "background noise is mixed in" in plan
    assert page.ask("GET", "/api/results").status_code == 404
    assert page.ask("POST", "/api/train/resume", json={}).status_code == 409


def test_a_run_from_its_beginning_to_a_model(page):
    add_tones(page)
    with events_of(page) as events:
        assert train(page, **QUICK)["state"] == "done"
        until(lambda: any(event["type"] == "model" for event in events))
    runs = [event["run"] for event in events if event["type"] == "run"]
    states = list(dict.fromkeys(run["state"] for run in runs))
    assert states == ["reading", "training", "evaluating", "done"]
    assert len({run["id"] for run in runs}) == 1
    last = runs[-1]
    # Three networks of 2 epochs, each without a third, and one of 4.
    assert [row["network"] for row in last["history"]] == [1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    assert [row["epoch"] for row in last["history"]] == list(range(1, 11))
    assert all(run["epochs"] in (None, 10) for run in runs)
    assert [row["validation_accuracy"] is None for row in last["history"]] == [False] * 6 + [True] * 4
    left = [run["seconds_left"] for run in runs if run["seconds_left"] is not None]
    assert left[-1] == 0
    about = page.get("/api/project")
    assert about["run"] == last
    assert about["model"]["labels"] == ["high", "low"]
    assert Model.load(page.folder / "models" / "model.safetensors").labels == ("high", "low")
    assert not list(page.folder.glob("models/*/checkpoint*"))
    # The model is none of the clips.
    assert {one["name"] for one in about["classes"]} == {"high", "low"}
    assert page.ask("GET", "/api/model").content == (page.folder / "models" / "model.safetensors").read_bytes()
    results = page.get("/api/results")
    assert results["clips"] == 12
    assert sum(map(sum, results["confusion"]["counts"])) == 12
    assert results["interval"][0] <= results["accuracy"] <= results["interval"][1]
    assert page.ask("GET", "/api/report").text.startswith("<!DOCTYPE html>")


@pytest.mark.slow
def test_a_run_is_cancelled_and_goes_on(page):
    add_tones(page)
    page.post("/api/train", **LONG)
    until(lambda: len(state(page)["history"]) > 2)
    assert page.ask("POST", "/api/train", json=QUICK).status_code == 409
    run = page.post("/api/train/cancel")
    assert (run["state"], run["resumable"]) == ("cancelled", True)
    done = len(run["history"])
    assert state(page) == run
    again = page.post("/api/train/resume")
    assert again["id"] == run["id"]
    until(lambda: len(state(page)["history"]) > 0)
    assert state(page)["history"][0]["epoch"] >= done
    page.post("/api/train/cancel")
    # A new run forgets what the old one has left.
    assert train(page, **QUICK)["state"] == "done"
    assert not list(page.folder.glob("models/*/checkpoint*"))
    assert page.ask("POST", "/api/train/resume", json={}).status_code == 409


@pytest.mark.slow
def test_changed_clips_cannot_be_gone_on_with(page):
    add_tones(page)
    page.post("/api/train", **LONG)
    until(lambda: len(state(page)["history"]) > 0)
    page.post("/api/train/cancel")
    page.upload("high", "new.wav", labs.wav(labs.tone(1210)))
    page.post("/api/train/resume")
    run = until_ended(page)
    assert run["state"] == "failed"
    assert "this run was begun with" in run["message"]


@pytest.mark.slow
def test_a_killed_server_takes_its_training_with_it_and_another_one_goes_on(tmp_path):
    with labs.in_process(tmp_path) as page:
        add_tones(page)
        page.post("/api/train", **LONG)
        until(lambda: len(state(page)["history"]) > 0)
        (checkpoint,) = tmp_path.glob("models/*/checkpoint.safetensors")
        page.process.kill()
        page.process.wait()

    def is_still() -> bool:
        before = checkpoint.stat().st_mtime_ns
        time.sleep(1.0)  # an epoch takes a small part of it
        return checkpoint.stat().st_mtime_ns == before

    until(is_still, 20)
    with labs.in_thread(tmp_path) as page:
        run = state(page)
        assert (run["state"], run["resumable"]) == ("cancelled", True)
        page.post("/api/train/resume")
        until(lambda: len(state(page)["history"]) > 0)
        assert state(page)["history"][0]["epoch"] > 1
        # A server that ends takes it along as well.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be a number from 1 to 1000"),
        ({"epochs": True}, "epochs must be a number"),
        ({"budget": "1m"}, "budget must be a number"),
        ({"augment": 1}, "augment must be true or false"),
        ({"arch": "../x"}, "arch must be one of auto"),
        ({"init": "/etc/passwd"}, "unknown field 'init'"),
    ],
)
def test_options_are_checked(page, options, message):
    answer = page.ask("POST", "/api/train", json=options)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_null_leaves_an_option_to_training():
    assert training._checked({"epochs": None, "budget": 30}) == {"budget": 30.0}
    with pytest.raises(ConfigError, match="there is no option 'folds'"):
        training._checked({"folds": 2})


def test_the_time_left_counts_all_networks():
    sent = []
    progress = Progress(new_state("a"), sent.append)
    for network in range(4):
        is_fold, later = network < 3, 2 - network
        epochs, batches = (4, 2) if is_fold else (8, 3)
        epochs_left, batches_left = (4 * later + 8, 8 * later + 24) if is_fold else (0, 0)
        progress(RunStarted(epochs, 0, batches, "", network + 1, 4, 1, epochs_left, batches_left))
        for epoch in range(1, epochs + 1):
            for batch in range(1, batches + 1):
                time.sleep(0.005)
                progress(BatchEnded(epoch, batch, 1.0, 0.5))
            progress(EpochEnded(EpochRow(epoch, 1.0, 0.5, None, None, 0.1, 0.1), is_best=True))
    ends = [state for state in sent if state["history"]]
    # 24 batches of the cross-validation and 24 of the model: after the first network, 40 of 48 are left.
    assert ends[-1]["epoch"] == ends[-1]["epochs"] == 20
    assert progress.state["state"] == "evaluating"


def test_a_tenth_is_held_out_of_many_clips(page, monkeypatch):
    monkeypatch.setattr(training, "FEW_CLIPS", 10)
    add_tones(page, 10)
    assert "a tenth of the clips is held out" in page.get("/api/project")["settings"]["plan"]
    run = train(page, **QUICK)
    assert run["state"] == "done"
    assert run["history"][0]["validation_accuracy"] is not None
    assert page.get("/api/results")["held_out"].startswith("a part of the clips trained nothing")
    log = next(page.folder.glob(f"models/*/{training.LOG_NAME}")).read_text()
    assert "Fatal" not in log, "the process has ended by itself"
