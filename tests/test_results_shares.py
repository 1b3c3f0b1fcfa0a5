"""Shares of experiments: what several processes measure is what one process would have measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def shares():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        patch.setattr(sys, "dont_write_bytecode", True)
        from experiments import shares

        yield shares


def row_of(runs, **changes):
    return {"arch": "cnn", "epochs": 3, "date": "2026-01-01", **changes, "runs": list(runs)}


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_make_all_runs_once_and_join_in_order(shares, tmp_path, count):
    files = []
    for index in reversed(range(count)):
        share = shares.Share(index, count)
        runs = [{"name": f"seed {place}", "accuracy": 0.1 * place} for place, _ in share.of("abcde")]
        if runs:
            files.append(tmp_path / f"{index}.jsonl")
            line = shares.line_of("mnist", row_of(runs, date=f"2026-01-0{index + 1}"), share)
            files[-1].write_text(line + "\n", "utf-8")
    joined = shares.joined(files)["mnist"]
    assert [run["name"] for run in joined["runs"]] == [f"seed {place}" for place in range(5)]
    assert joined["arch"] == "cnn"
    assert joined["date"] == f"2026-01-0{min(count, 5)}"


def test_a_look_is_the_first_run_whatever_the_share(shares):
    assert shares.Share(2, 4, quick=True).of("abcdef") == [(0, "a")]
    assert shares.Share(1, 4).of("abcdef") == [(1, "b"), (5, "f")]


def test_a_run_that_is_there_twice_is_refused(shares, tmp_path):
    line = shares.line_of("mnist", row_of([{"name": "seed 0"}]), shares.Share(0, 3))
    (tmp_path / "twice.jsonl").write_text(f"{line}\n{line}\n", "utf-8")
    with pytest.raises(ValueError, match="run 1 of mnist is there twice"):
        shares.joined([tmp_path / "twice.jsonl"])


def test_shares_of_different_settings_are_refused(shares, tmp_path):
    lines = [
        shares.line_of("mnist", row_of([{"name": f"seed {index}"}], epochs=3 + index), shares.Share(index, 2))
        for index in range(2)
    ]
    (tmp_path / "two.jsonl").write_text("\n".join(lines), "utf-8")
    with pytest.raises(ValueError, match="mnist: the shares were measured with different settings"):
        shares.joined([tmp_path / "two.jsonl"])


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/2/3"])
def test_a_share_that_is_none_is_refused(shares, text):
    with pytest.raises(ValueError, match=r"share is I/N|not enough values|too many values|invalid literal"):
        shares.Share.parse(text)


def test_a_line_holds_the_numbers_as_they_are(shares):
    line = json.loads(shares.line_of("mnist", row_of([{"accuracy": 0.123456}]), shares.Share(1, 2)))
    assert line["share"] == [1, 2]
    assert line["row"]["runs"] == [{"accuracy": 0.123456}]
