import csv
import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from audioconv import layers as L
from audioconv.errors import ConfigError, DataError, ShapeError
from audioconv.training.callbacks import BatchEnded, EpochEnded, RunEnded, RunStarted
from audioconv.training.data import batch_count, draw_batches
from audioconv.training.fitting import ArrayData, DivergedError, evaluate_logits, fit
from audioconv.training.history import EpochRow, History
from audioconv.training.losses import SoftmaxCrossEntropy
from audioconv.training.optimizers import SGD, AdamW
from audioconv.training.progress import ProgressBar, duration
from audioconv.training.schedules import Constant
from audioconv.training.trainer import mixed

NET = L.Chain(
    [
        L.Conv(4, 3, padding="same", bias=False),
        L.BatchNorm(),
        L.ReLU(),
        L.MaxPool(2),
        L.Dropout(0.2),
        L.Flatten(),
        L.Dense(3),
    ]
)


def jitter(x, rng):
    return x + 0.1 * rng.standard_normal(x.shape, np.float32)


def toy(count=50, seed=0, augment=jitter):
    """Three classes of noisy waves, (8, 2) each."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=count)
    wave = np.sin(np.arange(8)[None, :, None] * (labels[:, None, None] + 1) * 0.7 + np.arange(2))
    return ArrayData(wave + 0.4 * rng.standard_normal(wave.shape), labels, augment)


SETTINGS = {"epochs": 4, "batch_size": 16, "schedule": Constant(0.01), "gradient_clip": 1.0, "seed": 7}


def content(result):
    """Everything that a run came to, as bytes; how long it took is not part of it."""
    rows = [dataclasses.replace(row, seconds=0) for row in result.history]
    arrays = [L.flatten(result.params), L.flatten(result.final_params)]
    return repr(rows), [{path: array.tobytes() for path, array in group.items()} for group in arrays]


def test_it_learns():
    result = fit(NET, toy(200), validation=toy(60, 1), epochs=8, schedule=Constant(0.01), batch_size=16)
    assert result.history[-1].train_loss < result.history[0].train_loss
    assert result.history.best.validation_accuracy > 0.9
    logits = evaluate_logits(NET, result.params, toy(60, 1))
    assert logits.shape == (60, 3)
    assert logits.dtype == np.float32
    assert np.mean(logits.argmax(1) == toy(60, 1).labels) == result.history.best.validation_accuracy


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    first, second = (content(fit(NET, toy(), validation=toy(20, 1), **SETTINGS)) for _ in range(2))
    assert first == second
    assert content(fit(NET, toy(), validation=toy(20, 1), **{**SETTINGS, "seed": 8})) != first


def test_mixed_examples_have_mixed_labels():
    alpha = 0.4
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=500)
    x = np.float32(labels)[:, None, None] * np.ones((1, 4, 2), np.float32)  # an example tells its label
    mixture, targets = mixed(x, labels, 3, alpha, rng)
    assert mixture.dtype == np.float32
    np.testing.assert_allclose(targets.sum(axis=1), 1)
    np.testing.assert_array_equal(targets.argmax(axis=1), labels)  # the larger part is its own
    np.testing.assert_allclose(mixture[:, 0, 0], targets @ np.arange(3), rtol=1e-5, atol=1e-6)
    own = targets[np.arange(500), labels]
    assert 0.5 <= own.min() < 0.6
    # Beta(alpha, alpha) folded at a half, and a third of the partners have the same label.
    share = np.minimum(*(lambda b: (b, 1 - b))(rng.beta(alpha, alpha, 200_000))).mean()
    assert 1 - own.mean() == pytest.approx(share * 2 / 3, abs=0.02)


def test_mixup_changes_the_run_and_learns():
    plain, mixing = (fit(NET, toy(200), **{**SETTINGS, "epochs": 12, "mixup": m}) for m in (0.0, 0.3))
    assert content(plain) != content(mixing)
    assert mixing.history[-1].train_accuracy > 0.8
    with pytest.raises(ConfigError, match="mixup must be 0"):
        fit(NET, toy(), mixup=-1.0)


@pytest.mark.parametrize("optimizer", [AdamW(), SGD()])
@pytest.mark.parametrize("stop", [(1, 1), (2, 1), (3, 2), (4, 4)], ids=str)
def test_an_interrupted_run_that_is_resumed_gives_the_same_bits(tmp_path, stop, optimizer):
    def arguments(name):
        return {"validation": toy(20, 1), "optimizer": optimizer, "checkpoint": tmp_path / name, **SETTINGS}

    def interrupt(event):
        if isinstance(event, BatchEnded) and (event.epoch, event.batch) == stop:
            raise KeyboardInterrupt

    whole = fit(NET, toy(), **arguments("whole"))
    with pytest.raises(KeyboardInterrupt):
        fit(NET, toy(), callbacks=[interrupt], resume=True, **arguments("part"))
    assert (tmp_path / "part").exists() == (stop[0] > 1)
    events = []
    resumed = fit(NET, toy(), callbacks=[events.append], resume=True, **arguments("part"))
    assert events[0] == RunStarted(epochs=4, epochs_done=stop[0] - 1, batches=4)
    assert content(resumed) == content(whole)


def test_resuming_a_finished_run_returns_its_result(tmp_path):
    arguments = {"validation": toy(20, 1), "checkpoint": tmp_path / "run", **SETTINGS}
    events = []
    whole = fit(NET, toy(), **arguments)
    assert content(fit(NET, toy(), resume=True, callbacks=[events.append], **arguments)) == content(whole)
    assert [type(event) for event in events] == [RunStarted, RunEnded]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 5}, r"epochs 4 \(now 5\)"),
        ({"seed": 1}, r"seed 7 \(now 1\)"),
        ({"schedule": Constant(0.02)}, r"schedule.rate 0.01 \(now 0.02\)"),
        ({"optimizer": SGD()}, r"optimizer.kind AdamW \(now SGD\)"),
        ({"loss": SoftmaxCrossEntropy(class_weights=(1, 2, 3))}, r"loss.class_weights None \(now not set\)"),
        ({"settings": {"augmentation": "none"}}, r"augmentation not set \(now none\)"),
        ({"validation": toy(21, 1)}, r"validation.examples 20 \(now 21\)"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(tmp_path, change, named):
    arguments = {"validation": toy(20, 1), "checkpoint": tmp_path / "run", **SETTINGS}
    fit(NET, toy(), **arguments)
    with pytest.raises(ConfigError, match=f"run: this run was begun with .*{named}.*; resume with the same"):
        fit(NET, toy(), resume=True, **{**arguments, **change})


def test_a_run_does_not_go_on_with_another_network_or_other_labels(tmp_path):
    fit(NET, toy(), checkpoint=tmp_path / "run", **SETTINGS)
    other = L.Chain([*NET.layers[:4], L.Dropout(0.3), *NET.layers[5:]])
    with pytest.raises(ConfigError, match=r"network\.layers\.4\.rate 0\.2 \(now 0\.3\)"):
        fit(other, toy(), checkpoint=tmp_path / "run", resume=True, **SETTINGS)
    with pytest.raises(ConfigError, match=r"data\.labels"):
        fit(NET, toy(seed=3), checkpoint=tmp_path / "run", resume=True, **SETTINGS)


def test_without_resume_a_checkpoint_is_replaced(tmp_path):
    first = fit(NET, toy(), checkpoint=tmp_path / "run", **SETTINGS)
    again = fit(NET, toy(), checkpoint=tmp_path / "run", **{**SETTINGS, "seed": 8})
    assert content(first) != content(again)


def test_running_statistics_follow_the_batches():
    result = fit(NET, toy(augment=None), **{**SETTINGS, "epochs": 1, "batch_size": 50})
    start = fit(NET, toy(augment=None), **{**SETTINGS, "epochs": 1, "schedule": Constant(1e-30)}).params
    run = L.Pass(training=True, rng=np.random.default_rng(0))
    order = draw_batches(50, 50, np.random.default_rng(np.random.SeedSequence(7, spawn_key=(1, 1))))[0]
    conv = NET.layers[0].forward(start["0"], toy().x[order], L.Pass())[0]
    _, saved = NET.layers[1].forward(start["1"], conv, run)
    initial = {**start["1"], "running_mean": np.zeros(4, np.float32), "running_var": np.ones(4, np.float32)}
    for name, expected in NET.layers[1].updates(initial, saved).items():
        np.testing.assert_allclose(result.final_params["1"][name], expected, rtol=1e-5)


class Scripted(ArrayData):
    """Validation data whose labels make the accuracy of epoch n what the script says."""

    def __init__(self, accuracies):
        super().__init__(np.zeros((10, 8, 2)), np.zeros(10, int))
        self.script = iter(accuracies)

    def batch(self, indices, rng):
        if len(indices) == 10:
            self.labels = (np.arange(10) >= 10 * next(self.script)).astype(int)
        return super().batch(indices, rng)


def always_first_class():
    """Return a network, with parameters, that predicts class 0 whatever comes, and hardly learns."""
    return L.Chain([L.Flatten(), L.Dense(2)])


def test_patience_stops_the_run_and_the_best_epoch_is_kept():
    network = always_first_class()
    start = network.init((8, 2), np.random.default_rng(0))
    start["1"]["bias"][0] = 5
    data = ArrayData(np.zeros((20, 8, 2)), np.zeros(20, int))
    seen = []

    def record(event):
        if isinstance(event, EpochEnded):
            seen.append(event.is_best)

    result = fit(
        network,
        data,
        validation=Scripted([0.5, 0.7, 0.9, 0.9, 0.2, 0.8, 1.0]),
        params=start,
        epochs=7,
        schedule=Constant(1e-3),
        patience=2,
        callbacks=[record],
    )
    assert [row.validation_accuracy for row in result.history] == [0.5, 0.7, 0.9, 0.9, 0.2]
    assert seen == [True, True, True, False, False]  # the fourth is as accurate as the third, but surer of its error
    assert (result.best_epoch, result.stopped_early) == (3, True)
    assert not np.array_equal(result.params["1"]["bias"], result.final_params["1"]["bias"])


def test_without_validation_the_last_epoch_counts():
    result = fit(NET, toy(), **SETTINGS)
    assert result.best_epoch == 4
    assert result.history[0].validation_loss is None
    assert L.flatten(result.params)["6.bias"].tobytes() == L.flatten(result.final_params)["6.bias"].tobytes()


def test_params_are_where_to_start_and_are_not_changed():
    start = NET.init((8, 2), np.random.default_rng(3))
    before = {path: array.copy() for path, array in L.flatten(start).items()}
    one = fit(NET, toy(), params=start, **SETTINGS)
    for path, array in L.flatten(start).items():
        np.testing.assert_array_equal(array, before[path])
        assert not np.shares_memory(array, L.flatten(one.final_params)[path])
    assert content(one) != content(fit(NET, toy(), **SETTINGS))
    start["0"]["weight"] = start["0"]["weight"][:2]
    with pytest.raises(ShapeError, match=r"^0.weight: params do not fit the network: expected shape \(3, 2, 4\)"):
        fit(NET, toy(), params=start, **SETTINGS)


def test_given_params_are_not_drawn(monkeypatch):
    start = NET.init((8, 2), np.random.default_rng(3))
    expected = content(fit(NET, toy(), params=start, **SETTINGS))
    monkeypatch.setattr(type(NET), "init", None)
    assert content(fit(NET, toy(), params=start, **SETTINGS)) == expected


def test_events_come_in_order():
    events = []
    result = fit(NET, toy(), validation=toy(20, 1), callbacks=[events.append], **{**SETTINGS, "epochs": 2})
    epoch = [BatchEnded] * 4 + [EpochEnded]
    assert [type(event) for event in events] == [RunStarted, *epoch, *epoch, RunEnded]
    assert [(e.epoch, e.batch) for e in events if isinstance(e, BatchEnded)] == [
        (n, b) for n in (1, 2) for b in range(1, 5)
    ]
    assert events[4].loss == result.history[0].train_loss
    assert events[4].accuracy == result.history[0].train_accuracy
    assert events[-1] == RunEnded(result.kept_epoch, stopped_early=False)


@pytest.mark.parametrize(
    ("examples", "size"), [(1, 64), (2, 64), (64, 64), (65, 64), (129, 64), (3, 2), (7, 1), (1000, 64)]
)
def test_batches_are_even_and_hold_every_example_once(examples, size):
    batches = draw_batches(examples, size, np.random.default_rng(0))
    assert len(batches) == batch_count(examples, size)
    assert sorted(np.concatenate(batches)) == list(range(examples))
    sizes = {len(batch) for batch in batches}
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(size, 3)
    assert min(sizes) > 1 or size == 1 or examples == 1


def test_divergence_is_explained_and_the_checkpoint_stays(tmp_path):
    class Explodes:
        def learning_rate(self, step, total):
            return 0.01 if step < 6 else 1e38

    arguments = {**SETTINGS, "schedule": Explodes(), "checkpoint": tmp_path / "run"}
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            DivergedError,
            match=r"epoch 2, batch [34]: the .*; lower the learning rate, or clip .*; .*run still holds epoch 1",
        ),
    ):
        fit(NET, toy(), **arguments)
    steady = {**arguments, "schedule": type("Explodes", (), {"learning_rate": lambda *_: 0.01})()}
    assert len(fit(NET, toy(), resume=True, **steady).history) == 4


def test_divergence_without_checkpoint_names_the_place():
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match=r"epoch \d+.*; lower the learning rate.*\)$"):
        fit(NET, toy(), **{**SETTINGS, "schedule": Constant(1e37)})


def test_nan_in_the_data_is_told_from_divergence():
    data = toy(augment=None)
    data.x[30] = np.nan
    with (
        np.errstate(all="ignore"),
        pytest.raises(DataError, match=r"epoch 1, batch \d: .* examples hold NaN or infinity"),
    ):
        fit(NET, data, **SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"patience": 0, "validation": toy(9)}, "patience must be at least 1"),
        ({"patience": 3}, "patience needs validation data"),
        ({"gradient_clip": 0}, "gradient_clip must be above 0"),
        ({"seed": -1}, "seed must be an integer of at least 0"),
        ({"resume": True}, "resume=True needs the checkpoint's path"),
        ({"settings": {"x": object()}, "epochs": 1}, "settings must be JSON data"),
    ],
)
def test_arguments_that_cannot_work_say_so(change, message):
    with pytest.raises(ConfigError, match=message):
        fit(NET, toy(), **{**SETTINGS, **change})


def test_data_that_do_not_fit_say_so():
    empty = ArrayData(np.zeros((0, 8, 2)), np.zeros(0, int))
    with pytest.raises(DataError, match="there are no training examples"):
        fit(NET, empty)
    with pytest.raises(DataError, match="there are no validation examples"):
        fit(NET, toy(), validation=empty)
    with pytest.raises(DataError, match="there are no examples to evaluate"):
        evaluate_logits(NET, {}, empty)
    with pytest.raises(ShapeError, match=r"shape \(3,\), but the training labels go from 0 to 4; .* L.Dense\(5\)"):
        fit(NET, ArrayData(np.zeros((5, 8, 2)), np.arange(5)))
    with pytest.raises(ShapeError, match=r"6 Dense\(3\)|0 Conv"):
        fit(NET, ArrayData(np.zeros((5, 8)), np.zeros(5, int)))
    with pytest.raises(DataError, match=r"labels must be one integer for each example of x, whose shape is \(5, 8\)"):
        ArrayData(np.zeros((5, 8)), np.zeros(4, int))
    with pytest.raises(DataError, match="got float64"):
        ArrayData(np.zeros((5, 8)), np.zeros(5))


def test_the_best_epoch_has_the_best_accuracy_then_the_least_loss_then_comes_first():
    def best(*scores):
        return History(tuple(EpochRow(n, 0, 0, loss, accuracy, 0, 0) for n, (accuracy, loss) in enumerate(scores, 1)))

    assert best().best_epoch == 0
    assert best((0.5, 1.0), (0.6, 2.0), (0.4, 0.1)).best_epoch == 2
    assert best((0.6, 1.0), (0.6, 0.9), (0.6, 0.95)).best_epoch == 2
    assert best((0.6, 1.0), (0.6, 1.0)).best_epoch == 1
    assert best((0.6, 1.0), (0.6, 1.0), (0.6, 1.0)).is_stale(2)
    assert not best((0.6, 1.0), (0.6, 1.0)).is_stale(2)
    assert not best((0.6, 1.0), (0.6, 1.0)).is_stale(None)


def test_history_as_csv(tmp_path):
    history = History((EpochRow(1, 0.1, 0.5, None, None, 1e-3, 2.0), EpochRow(2, 1 / 3, 0.75, 0.5, 1.0, 1e-9, 1.5)))
    history.write_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [field.name for field in dataclasses.fields(EpochRow)]
    assert rows[0]["validation_loss"] == ""
    assert float(rows[1]["train_loss"]) == 1 / 3
    assert float(rows[1]["learning_rate"]) == 1e-9


def show(terminal, resume_from=0, width=100):
    out = io.StringIO()
    with ProgressBar(Console(file=out, force_terminal=terminal, width=width, color_system=None)) as bar:
        bar(RunStarted(10, resume_from, 3))
        for epoch in range(resume_from + 1, resume_from + 3):
            for batch in range(1, 4):
                bar(BatchEnded(epoch, batch, 0.5, 0.75))
            bar(EpochEnded(EpochRow(epoch, 0.5, 0.75, 0.4, 0.8, 1e-3, 2.0), epoch == 1))
        bar(RunEnded(1, stopped_early=True))
    return out.getvalue()


def test_progress_without_a_terminal_is_a_line_an_epoch():
    lines = show(terminal=False, width=40).splitlines()
    assert lines[0].startswith("epoch  1/10  loss 0.500  accuracy 75.0%  validation 0.400  80.0%  2.0 s  best  ")
    assert lines[0].endswith(" left")
    assert lines[1].startswith("epoch  2/10")
    assert lines[2] == "stopped early: no better epoch came; the parameters are those of epoch 1"
    assert len(lines) == 3


def test_progress_on_a_terminal_is_a_bar_that_goes_away():
    shown = show(terminal=True)
    assert "epoch  1/10  loss 0.500" in shown
    assert "batch 3/3" in shown
    assert "left" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is hidden and comes back


def test_progress_says_where_it_resumes():
    assert show(terminal=False, resume_from=4).startswith("resuming after epoch 4 of 10\nepoch  5/10")


def test_the_cursor_comes_back_after_an_interrupt():
    out = io.StringIO()

    def interrupted_run():
        with ProgressBar(Console(file=out, force_terminal=True)) as bar:
            bar(RunStarted(2, 0, 2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_run()
    assert out.getvalue().count("\x1b[?25l") == out.getvalue().count("\x1b[?25h") > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.4, "9.4 s"), (59.2, "59 s"), (59.9, "1 min 00 s"), (185, "3 min 05 s"), (7805, "2 h 10 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
