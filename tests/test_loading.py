import time

import numpy as np
import pytest

from audioconv.errors import DataError
from audioconv.io import parallel
from audioconv.io.parallel import load_many, read_in_parallel


def read_number(path: object) -> np.ndarray:
    if "bad" in str(path):
        raise DataError(f"{path}: bad")
    return np.full(2, float(str(path)), np.float32)


def test_keeps_order_and_lists_what_failed() -> None:
    seen = []
    loaded = load_many(["1", "bad1", "3", "bad2"], read_number, (2,), on_file=lambda: seen.append(1))
    assert loaded.x.tolist() == [[1, 1], [3, 3]]
    assert loaded.indices.tolist() == [0, 2]
    assert [str(error) for error in loaded.failures] == ["bad1: bad", "bad2: bad"]
    assert len(seen) == 4


def test_strict_stops_at_the_first_failure() -> None:
    with pytest.raises(DataError, match="bad1"):
        load_many(["1", "bad1", "bad2"], read_number, (2,), strict=True)


@pytest.mark.parametrize("count", [0, 1, 7, 16, 31, 200])
def test_no_more_files_are_begun_than_may_wait(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_limit", 2)
    begun: list[int] = []
    for place, found in enumerate(read_in_parallel(range(count), lambda number: begun.append(number) or number)):
        assert found == place
        assert len(begun) <= place + 1 + 2 * parallel.AHEAD + parallel.AT_ONCE
    assert sorted(begun) == list(range(count))


def test_after_an_error_no_more_files_are_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_limit", 2)
    begun: list[int] = []

    def slow(number: int) -> int:
        begun.append(number)
        if number == 0:
            raise DataError("bad")
        time.sleep(0.05)
        return number

    with pytest.raises(DataError, match="bad"):
        list(read_in_parallel(range(1000), slow, strict=True))
    at_once = len(begun)
    time.sleep(0.3)
    assert len(begun) <= at_once + 2, "those that a thread was reading"
    assert at_once <= 2 * parallel.AT_ONCE
