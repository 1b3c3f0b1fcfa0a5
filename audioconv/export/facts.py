"""What an exported file tells of its model beside the network: JSON-compatible, the same in all formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from audioconv._version import __version__
from audioconv.features.front_ends import front_end_to_config
from audioconv.model import Model
from audioconv.streaming.detector import chosen_threshold
from audioconv.streaming.picker import REFRACTORY
from audioconv.streaming.scorer import Listener

HOP_SECONDS = 0.1
"""How often a `Detector` asks the model by default."""


def facts(model: Model) -> dict[str, Any]:
    """Return what a program needs to know that runs an exported model.

    Returns
    -------
    dict
        ``audioconv_version``, ``kind``, ``labels``, ``words``, ``answer_labels``, ``threshold`` (of clips), ``gate``,
        ``temperature``, ``curve``, ``provenance`` and ``licences``. Of a model of sounds also ``sample_rate`` (Hz),
        ``clip_samples``, ``window_seconds``, ``front_end``, and under ``stream`` what a `Detector` uses:
        ``threshold``, ``hop_seconds``, ``smoothing_windows``, ``smoothing_seconds`` and ``refractory_seconds``.
    """
    decision = model.decision
    metadata: dict[str, Any] = {
        "audioconv_version": __version__,
        "kind": model.kind,
        "labels": list(model.labels),
        "words": list(model.words),
        "answer_labels": list(model.answer_labels),
        "threshold": decision.threshold,
        "temperature": decision.temperature,
        "gate": None if decision.gate is None else asdict(decision.gate),
        "curve": None if decision.curve is None else asdict(decision.curve),
    }
    if model.front_end is not None and model.clip_samples is not None:
        rate = model.front_end.sample_rate
        metadata |= {
            "sample_rate": rate,
            "clip_samples": model.clip_samples,
            "window_seconds": model.clip_samples / rate,
            "front_end": front_end_to_config(model.front_end),
            "stream": _stream(model),
        }
    return metadata | {"licences": licences(model.provenance), "provenance": dict(model.provenance)}


def _stream(model: Model) -> dict[str, Any] | None:
    """Return the settings of a detector of the model's words; None if it has no words."""
    if not model.words:
        return None
    grid = Listener(model, None, HOP_SECONDS, None).grid
    return {
        "threshold": chosen_threshold(model),
        "hop_seconds": grid.hop_seconds,
        "smoothing_windows": grid.smoothing,
        "smoothing_seconds": grid.smoothing * grid.hop_seconds,
        "refractory_seconds": REFRACTORY * grid.window_seconds,
    }


def licences(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the licences that a model knows: of its data, of the network that training began with, of negatives.

    >>> licences({"pretrained": {"name": "speech-embedding", "licence": "Apache License 2.0"}})
    [{'of': 'speech-embedding', 'licence': 'Apache License 2.0'}]
    """
    found = []
    data = provenance.get("data")
    for origin in (data.get("origins") or ()) if isinstance(data, Mapping) else ():
        if isinstance(origin, Mapping):
            found.append({"of": origin.get("source") or "training data", "licence": origin.get("licence")})
    for key, licence in (("pretrained", "licence"), ("negatives", "attribution")):
        about = provenance.get(key)
        if isinstance(about, Mapping) and about.get("name"):
            found.append({"of": about["name"], "licence": about.get(licence)})
    return found
