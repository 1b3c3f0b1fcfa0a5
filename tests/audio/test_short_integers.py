"""Short recordings of 16-bit integers, which are kept as they are; errors of files that many threads open."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import soundfile

from audioconv.audio.decoders.libsndfile import SoundFileDecoder
from audioconv.audio.read import blocks, read
from audioconv.audio.windows import kept_pieces
from audioconv.errors import DataError
from audioconv.pipeline.recording_pieces import recording_parts

RATE, LENGTH = 8000, 1000
FORMATS = [
    (form, subtype)
    for form in soundfile.available_formats()
    if form not in ("RAW", "SD2")  # without a header; of two files
    for subtype in soundfile.available_subtypes(form)
]


def written(form, subtype, channels=1, seed=0):
    samples = np.random.default_rng(seed).uniform(-0.9, 0.9, (LENGTH, channels)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=form, subtype=subtype)
    return file.getvalue()


def contents():
    """Yield files of all formats: whole, cut off, and damaged in the middle."""
    for form, subtype in FORMATS:
        for channels in (1, 2):
            try:
                whole = written(form, subtype, channels)
            except (soundfile.SoundFileError, ValueError):
                continue  # it only reads this one, or only with one channel
            half = len(whole) // 2
            yield from (whole, whole[:half], whole[:half] + bytes(40) + whole[half + 40 :])


def outcome(call, *arguments):
    try:
        return call(*arguments)
    except DataError as error:
        return str(error)


def test_integers_are_kept_as_what_is_made_of_floating_point(tmp_path, monkeypatch):
    path, count = tmp_path / "a.bin", 0
    for content in contents():
        path.write_bytes(content)
        for length in (LENGTH - 100, LENGTH, LENGTH + 100):
            found = outcome(recording_parts, path, "sounds", RATE, length)
            monkeypatch.setattr(SoundFileDecoder, "__setattr__", _without_int16)
            expected = outcome(recording_parts, path, "sounds", RATE, length)
            monkeypatch.undo()
            if isinstance(expected, str):
                assert found == expected
                continue
            assert all(part[0].dtype == np.float32 for part in expected)
            count += sum(part[0].dtype == np.int16 for part in found)
            for one, other in zip(found, expected, strict=True):
                (piece,), (expected_piece,) = kept_pieces(*one, length), kept_pieces(*other, length)
                np.testing.assert_array_equal(piece.samples, expected_piece.samples)
                assert piece[1:] == expected_piece[1:]
    assert count > 20


def _without_int16(self, name, value):
    object.__setattr__(self, name, False if name == "are_int16" else value)


def test_integers_are_read_of_short_files_of_such_integers_alone(tmp_path):
    kinds = {("FLAC", "PCM_16", 1): True, ("WAV", "PCM_16", 2): False, ("WAV", "PCM_24", 1): False}
    for (form, subtype, channels), is_read in kinds.items():
        (tmp_path / "a").write_bytes(written(form, subtype, channels))
        with blocks(tmp_path / "a") as found:
            assert (found.short_int16() is not None) == is_read
            assert len(list(found)) == (not is_read)
        with blocks(tmp_path / "a", seconds=0.9 * LENGTH / RATE) as found:
            assert found.short_int16() is None


def test_files_that_cannot_be_read_have_their_own_errors_in_many_threads(tmp_path):
    """Libsndfile has one last error for all files."""
    made = {"whole": written("FLAC", "PCM_16"), "text": b"text " * 50, "empty": b"RIFF\x24\0\0\0WAVEjunk" + bytes(60)}
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in made] * 100
    alone = {path: outcome(read, path, RATE) for path in set(paths)}
    with ThreadPoolExecutor(8) as pool:
        for path, found in zip(paths, pool.map(lambda path: outcome(read, path, RATE), paths), strict=True):
            np.testing.assert_array_equal(found, alone[path])
