"""A run's epochs, written to a file and read again."""

import pytest

from audioconv.errors import DataError
from audioconv.training.history import EpochRow, History

HISTORY = History((EpochRow(1, 1.5, 0.25, None, None, 0.001, 2.5), EpochRow(2, 1.25, 0.5, 1.0, 0.75, 1e-7, 2.0)))


def test_what_is_written_is_read(tmp_path) -> None:
    HISTORY.write_csv(tmp_path / "history.csv")
    assert History.read_csv(tmp_path / "history.csv") == HISTORY


@pytest.mark.parametrize("content", ["epoch,train_loss\n1,2\n", "\n\n1\n", "epoch\nmany\n", 'epoch\n"'])
def test_other_files_are_none(tmp_path, content) -> None:
    (tmp_path / "history.csv").write_text(content)
    with pytest.raises(DataError, match=r"history\.csv: is not the history of a training run"):
        History.read_csv(tmp_path / "history.csv")


def test_a_missing_file(tmp_path) -> None:
    with pytest.raises(DataError, match=r"history\.csv: cannot be read \(No such file"):
        History.read_csv(tmp_path / "history.csv")
