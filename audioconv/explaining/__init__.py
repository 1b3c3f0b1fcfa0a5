"""Explanations: the part of an example that a decision rests on, and the feature maps of the layers.

`explain` puts it all together for one recording or picture; `figure.draw` draws that. The parts are of use alone:
`saliency`, `feature_maps`, `kernels` and `receptive_fields`.
"""

from audioconv.explaining.activations import feature_maps, kernels
from audioconv.explaining.explanation import Explanation, Region, explain
from audioconv.explaining.occlusion import evidence, saliency
from audioconv.explaining.receptive_fields import Field, receptive_fields

__all__ = [
    "Explanation",
    "Field",
    "Region",
    "evidence",
    "explain",
    "feature_maps",
    "kernels",
    "receptive_fields",
    "saliency",
]
