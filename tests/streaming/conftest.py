"""Models of tones, trained once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streams import train

from audioconv import Model

KINDS = {
    "log-mel": {"arch": "tc-resnet8"},
    "mfcc": {"arch": "tc-resnet8", "front_end": "mfcc"},
    "raw": {"arch": "m5-32"},
    "picture": {"arch": "cnn"},
    "cqt": {"arch": "tc-resnet8", "front_end": "cqt"},
    "pcen": {"arch": "tc-resnet8", "front_end": "pcen"},
}


@pytest.fixture(scope="session")
def models() -> Callable[[str], Model]:
    """Return the model that hears a stream in one of the ways of `KINDS`."""
    made: dict[str, Model] = {}

    def get(kind: str) -> Model:
        if kind not in made:
            made[kind] = train(**KINDS[kind])
        return made[kind]

    return get


@pytest.fixture(scope="session")
def model(models) -> Model:
    return models("log-mel")
