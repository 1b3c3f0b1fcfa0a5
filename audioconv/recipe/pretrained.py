"""Networks that few clips of words begin with: they have learned to tell common words apart, by synthetic voices alone.

What the sounds of speech are need not be learned from ten clips then. `scripts/make_base` makes them; docs/recipes.md
has what they bring, and where they do not.
"""

from __future__ import annotations

from pathlib import Path

from audioconv.model import Model
from audioconv.pipeline.inputs import AudioInput


def find_base(arch: str, source: AudioInput) -> Path | None:
    """Return the file of the base for a network of words that hears what `source` gives; None if there is none.

    Parameters
    ----------
    arch : str
        Name of the network.
    source : AudioInput
        Its front end must be that of the base; a word may be shorter or longer.
    """
    if not source.holds_a_word:
        return None
    for path in sorted(Path(__file__).parent.glob("*.safetensors")):
        base = Model.load(path)
        if base.provenance["settings"]["arch"] == arch and base.front_end == source.front_end:
            return path
    return None
