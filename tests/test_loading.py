import numpy as np
import pytest

from audioconv.errors import DataError
from audioconv.io.parallel import load_many


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
