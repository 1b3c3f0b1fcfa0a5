"""Other detectors, as their documentation says to use them: seconds of the processor per second of sound.

    python live_peers.py NAME RAW

prints it, for RAW of 16-bit samples at 16 kHz, after ten seconds that do not count. Each looks for one word, with a
model that is in its package.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

RATE, BLOCK_BYTES = 16000, 2 * 1280  # 80 ms: what openWakeWord asks for


def openwakeword() -> Callable[[bytes], object]:
    """Return what takes a block: openWakeWord, through TensorFlow Lite."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    features, word = OpenWakeWordFeatures.from_builtin(), OpenWakeWord.from_builtin(Model.OKAY_NABU)
    return lambda block: [list(word.process_streaming(f)) for f in features.process_streaming(block)]


def microwakeword() -> Callable[[bytes], object]:
    """Return what takes a block: microWakeWord, made for microcontrollers."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    features, word = MicroWakeWordFeatures(), MicroWakeWord.from_builtin(Model.OKAY_NABU)
    return lambda block: [word.process_streaming(f) for f in features.process_streaming(block)]


def pocketsphinx() -> Callable[[bytes], object]:
    """Return what takes a block: PocketSphinx, spotting one phrase."""
    from pocketsphinx import Decoder

    decoder = Decoder(keyphrase="forward", kws_threshold=1e-20, loglevel="FATAL")
    decoder.start_utt()
    return lambda block: (decoder.process_raw(block), decoder.hyp())


PEERS = {
    "openWakeWord": ("pyopen-wakeword", openwakeword),
    "microWakeWord": ("pymicro-wakeword", microwakeword),
    "PocketSphinx": ("pocketsphinx", pocketsphinx),
}
"""The package that has each, and how to use it."""


def main(name: str, raw: str) -> None:
    """Measure one."""
    take = PEERS[name][1]()
    data = Path(raw).read_bytes()
    blocks = [data[begin : begin + BLOCK_BYTES] for begin in range(0, len(data), BLOCK_BYTES)]
    for block in blocks[: 10 * 2 * RATE // BLOCK_BYTES]:
        take(block)
    begun = time.process_time()
    for block in blocks:
        take(block)
    print((time.process_time() - begun) / (len(data) / 2 / RATE))


if __name__ == "__main__":
    main(*sys.argv[1:])
