"""The parts of messages that many errors share."""

from __future__ import annotations

import pytest

from audioconv.errors import did_you_mean

NAMES = ["cnn", "tc-cnn", "resnet20", "tc-resnet8", "tc-resnet14", "Recordings"]


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("CNN", "did you mean cnn or tc-cnn?"),
        ("recording", "did you mean Recordings?"),
        ("resnet", "did you mean resnet20 or tc-resnet8 or tc-resnet14?"),
        ("transformer", ""),
        ("", ""),
    ],
)
def test_names_that_may_have_been_meant(wanted, meant):
    assert did_you_mean(wanted, NAMES) == meant


def test_names_are_written_as_the_caller_wants():
    assert did_you_mean("resnet", NAMES, shown=repr, most=1) == "did you mean 'resnet20'?"
    assert did_you_mean("resnet", NAMES, shown=lambda name: name.rstrip("0123456789"), most=3) == (
        "did you mean resnet or tc-resnet?"
    )
    assert did_you_mean("cqn", NAMES, cutoff=0.9) == ""
