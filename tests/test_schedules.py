import itertools
import warnings

import pytest

from audioconv.errors import ConfigError
from audioconv.training.schedules import Constant, Cosine, OneCycle


def rates(schedule, steps):
    return [schedule.learning_rate(step, steps) for step in range(steps)]


@pytest.mark.parametrize("steps", [2, 3, 10, 101, 640])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.3, 0.5])
def test_one_cycle_is_that_of_pytorch(steps, warmup):
    if warmup * steps == 1:
        pytest.skip("PyTorch divides by zero where warm-up is one step long")
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=steps, pct_start=warmup)
    expected = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the order of calls
        for step in range(steps):
            expected.append(optimizer.param_groups[0]["lr"])
            if step < steps - 1:
                theirs.step()
    assert rates(OneCycle(0.02, warmup), steps) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("schedule", [Constant(), Constant(warmup=1.0), Cosine(), Cosine(warmup=0.9), OneCycle()])
@pytest.mark.parametrize("steps", [1, 2, 5, 97])
def test_every_rate_is_positive_and_none_is_above_the_peak(schedule, steps):
    assert all(0 < rate <= schedule.rate * (1 + 1e-12) for rate in rates(schedule, steps))


def test_cosine_warms_up_then_falls_to_the_end():
    found = rates(Cosine(1.0, warmup=0.1, final=0.5), 100)
    assert found[:10] == pytest.approx([n / 11 for n in range(1, 11)])
    assert found[10] == 1.0
    assert all(after < before for before, after in itertools.pairwise(found[10:]))
    assert found[55] == pytest.approx(0.75)
    assert found[-1] == pytest.approx(0.5, abs=1e-3)


def test_constant():
    assert rates(Constant(0.1), 3) == [0.1, 0.1, 0.1]
    assert rates(Constant(0.1, warmup=0.5), 4) == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 0.1])


@pytest.mark.parametrize("kind", [Constant, Cosine, OneCycle])
def test_bad_settings_say_so(kind):
    with pytest.raises(ConfigError, match="learning rate must be a positive number; got 0"):
        kind(rate=0)
    with pytest.raises(ConfigError, match=r"warm-up, a share of the run, must be from 0 to 1; got 1\.5"):
        kind(warmup=1.5)
    if kind is not Constant:
        with pytest.raises(ConfigError, match="must be from 0 to 1; got 2"):
            kind(final=2)
