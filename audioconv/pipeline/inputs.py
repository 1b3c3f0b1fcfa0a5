"""Input specifications of data sets and models: recordings or pictures, and their size."""

from __future__ import annotations

from typing import get_args

from audioconv.audio.window_begins import Content
from audioconv.model import Model
from audioconv.pipeline.audio_input import LONG, AudioInput, read_noises
from audioconv.pipeline.image_input import ImageInput
from audioconv.pipeline.input_spec import InputSpec

__all__ = ["LONG", "AudioInput", "ImageInput", "InputSpec", "of_model", "read_noises"]


def of_model(model: Model) -> InputSpec:
    """Return how files and arrays become the model's examples."""
    if model.front_end is None or model.clip_samples is None:
        return ImageInput(model.input_shape)
    content = model.provenance.get("content")
    return AudioInput(model.front_end, model.clip_samples, content if content in get_args(Content) else None)
