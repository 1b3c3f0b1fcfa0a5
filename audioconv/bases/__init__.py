"""Networks that training begins with: they have learned to tell common words apart, from synthetic voices alone.

What they know of speech is what a folder of a few words cannot teach: how other words sound, in which a classifier must
not find its own. `scripts/make_base` makes them.
"""

from __future__ import annotations

from pathlib import Path

from audioconv.model import Model
from audioconv.pipeline import AudioInput


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
