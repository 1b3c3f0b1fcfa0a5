"""Every format is read, and each file to its end, whatever its header says of the length."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mpeg_files import without_info

from audioconv.audio.decoders import mpeg, opening, pieces
from audioconv.audio.read import Segment, blocks, probe, read, read_window
from audioconv.errors import DataError

RATE = 8000
FORMATS = [
    (form, subtype)
    for form in soundfile.available_formats()
    if form not in ("RAW", "SD2")  # without a header; of two files
    for subtype in soundfile.available_subtypes(form)
]


def noise(seconds: float = 1.0, rate: int = RATE, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Return noise that is louder and louder, so that parts of it can be told."""
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    smooth = np.cumsum(samples, axis=0) - np.cumsum(np.roll(samples, 8, axis=0), axis=0)
    return (0.1 * smooth * np.linspace(0.1, 1, len(samples))[:, None]).astype(np.float32)


def written(samples: np.ndarray, form: str, subtype: str | None = None, rate: int = RATE, **options: object) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype, **options)
    return file.getvalue()


def save(folder: Path, content: bytes, name: str = "a.wav") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


# --- every format


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
def test_whatever_libsndfile_writes_is_read(tmp_path: Path, form: str, subtype: str) -> None:
    for channels in (2, 1):
        samples = noise(channels=channels)
        try:
            content = written(samples, form, subtype)
        except (soundfile.SoundFileError, ValueError):
            continue  # it only reads this one, or only with one channel
        path = save(tmp_path, content, "a.bin")
        info = probe(path)
        found = read(path, info.sample_rate)
        # Some formats have blocks of a certain length; some have a rate of their own.
        assert len(samples) - 1 <= len(found) <= len(samples) + 1152
        levels = [np.sqrt(np.mean(np.square(signal))) for signal in (found, samples.mean(axis=1))]
        # A narrow band is all that is left of noise by some.
        assert levels[0] == pytest.approx(levels[1], rel=0.5 if subtype in ("OPUS", "GSM610") else 0.1)
        part = read_window(Segment(path, 0.05, 0.1), info.sample_rate, round(0.05 * info.sample_rate))
        begin = round(0.05 * info.sample_rate)
        lossy = subtype in ("VORBIS", "OPUS")
        np.testing.assert_allclose(part, found[begin : begin + len(part)], rtol=0, atol=1e-3 if lossy else 1e-6)


@pytest.mark.parametrize("subtype", ["GSM610", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32", "G721_32"])
def test_telephone_codecs_are_read_in_blocks_and_whole(tmp_path: Path, subtype: str) -> None:
    path = save(tmp_path, written(noise(3.0)[:, 0], "WAV", subtype))
    whole = read(path, RATE)
    with blocks(path, 0.1) as found:
        np.testing.assert_array_equal(np.concatenate(list(found))[:, 0], whole)
    assert len(whole) == pytest.approx(3 * RATE, abs=400)


def test_gsm_of_an_odd_number_of_bytes_has_no_block_behind_its_end(tmp_path: Path) -> None:
    content = written(noise()[:, 0], "WAV", "GSM610")  # 25 blocks of 65 bytes, and one that makes their number even
    samples = read(save(tmp_path, content), RATE)
    assert len(samples) == RATE
    assert len(read(save(tmp_path, content[:-1] + b"\0LIST\2\0\0\0xx"), RATE)) == RATE


def test_g723_is_read(tmp_path: Path) -> None:
    for subtype in ("G723_24", "G723_40"):
        assert len(read(save(tmp_path, written(noise()[:, 0], "AU", subtype)), RATE)) == pytest.approx(RATE, abs=200)


# --- MP3


def mp3(seconds: float = 4.0, rate: int = 16000, mode: str = "VARIABLE", seed: int = 0) -> bytes:
    """Return an MP3 file whose first second is hard to encode and whose rest is not, or the other way round."""
    samples = noise(seconds, rate, seed=seed)
    samples[rate:] *= 0.001
    if seed % 2:
        samples = samples[::-1]
    return written(samples, "MP3", None, rate, bitrate_mode=mode, compression_level=0.3)


def tag(content: bytes, version: int = 3) -> bytes:
    size = len(content)
    return b"ID3" + bytes([version, 0, 0, size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + content


def frames_of(content: bytes) -> mpeg.Scan:
    found = mpeg.scan(io.BytesIO(content), 0, len(content))
    assert found is not None
    return found


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_mp3_without_a_xing_header_is_read_to_its_end(tmp_path: Path, rate: int, mode: str, seed: int) -> None:
    content = without_info(mp3(4, rate, mode, seed))
    samples = read(save(tmp_path, content), rate)
    # The encoder adds its delay, up to two frames; of which a decoder may take off 529 samples.
    assert 4 * rate <= len(samples) <= 4 * rate + 2 * 1152
    assert probe(tmp_path / "a.wav").duration == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize(
    "picture", [b"", bytes(range(250)) * 240, b"\xff\xfb\x90\x64" * 20_000, b"\xff\xff\xff\xff" * 9]
)
def test_mp3_with_a_cover_picture_is_whole(tmp_path: Path, picture: bytes) -> None:
    stripped = without_info(mp3(mode="CONSTANT"))
    plain = read(save(tmp_path, stripped), 16000)
    cover = tag(b"APIC" + struct.pack(">I", len(picture)) + bytes(2) + b"\0image/jpeg\0\3\0" + picture)
    for content in (cover + stripped, tag(b"") + cover + stripped + b"TAG" + bytes(125)):
        assert len(read(save(tmp_path, content), 16000)) == pytest.approx(len(plain), abs=600)


def test_garbage_and_tags_around_the_frames(tmp_path: Path) -> None:
    stripped = without_info(mp3())
    expected = frames_of(stripped).samples
    for content in (
        tag(b"x" * 9) + bytes(5000) + stripped,
        stripped + b"APETAGEX" + bytes(3000),
        stripped + b"LYRICSBEGIN" + b"la" * 999,
    ):
        assert len(read(save(tmp_path, content), 16000)) == pytest.approx(expected, abs=2 * 576)


@pytest.mark.parametrize("between", [b"", tag(bytes(3000)), b"TAG" + bytes(125)])
def test_joined_mp3_files_are_read_to_the_last(tmp_path: Path, between: bytes) -> None:
    one, other = mp3(3.0), mp3(2.0, seed=1)
    for first, second in ((one, other), (without_info(one), without_info(other)), (one, without_info(other))):
        samples = read(save(tmp_path, first + between + second), 16000)
        assert len(samples) == pytest.approx(5 * 16000, abs=6 * 576)
        assert np.square(samples[-8000:]).mean() > 1e-5  # the loud end of the second


def test_mp3_files_of_different_rates_are_not_joined_in_silence(tmp_path: Path) -> None:
    content = without_info(mp3(2, 16000)) + without_info(mp3(2, 24000))
    with pytest.raises(DataError, match=r"sample rate or number of channels changes after 2\.\d s; convert it: ffmpeg"):
        read(save(tmp_path, content), 16000)


def test_a_xing_header_that_is_right_is_kept(tmp_path: Path) -> None:
    path = save(tmp_path, mp3())
    assert len(read(path, 16000)) == probe(path).frames == 64000  # without the encoder's delay


@pytest.mark.parametrize("part", [0.3, 0.7])
def test_mp3_that_was_cut_off_is_told_by_its_xing_header(tmp_path: Path, part: float) -> None:
    content = mp3(mode="CONSTANT")
    with pytest.raises(DataError, match="cut off"):
        read(save(tmp_path, content[: round(part * len(content))]), 16000)


def test_long_mp3_files_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, mp3() + mp3())
    expected = read(path, 16000)
    monkeypatch.setattr(pieces, "MAX_COPIED_BYTES", 100)
    np.testing.assert_array_equal(read(path, 16000), expected)


def test_mp3_in_a_wav_file(tmp_path: Path) -> None:
    stripped = without_info(mp3())
    head = struct.pack("<HHIIHHH", 0x55, 1, 16000, 4000, 1, 0, 0)
    chunks = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(stripped)) + stripped
    samples = read(save(tmp_path, b"RIFF" + struct.pack("<I", len(chunks)) + chunks), 16000)
    assert len(samples) == pytest.approx(frames_of(stripped).samples, abs=600)


@pytest.mark.parametrize(
    ("header", "rate", "samples", "length"),
    [
        (0xFFFB9064, 44100, 1152, 417),
        (0xFFFB9264, 44100, 1152, 418),
        (0xFFF378C4, 16000, 576, 252),
        (0xFFFD8404, 48000, 1152, 384),
        (0xFFE340C4, 11025, 576, 208),
        (0xFFFF8404, 48000, 384, 256),
    ],
)
def test_headers_of_frames(header: int, rate: int, samples: int, length: int) -> None:
    parsed = mpeg.parse(header)
    assert parsed is not None
    assert (parsed[0].sample_rate, parsed[0].samples, parsed[1]) == (rate, samples, length)


@pytest.mark.parametrize("header", [0, 0x52494646, 0xFFF98064, 0xFFFBF064, 0xFFFB9C64, 0xFFEB9064])
def test_what_is_no_header_of_a_frame(header: int) -> None:
    assert mpeg.parse(header) is None


# --- lengths that headers do not know


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_U8", "FLOAT", "IMA_ADPCM", "GSM610"])
@pytest.mark.parametrize("riff", [None, 0, 0xFFFFFFFF])
def test_a_wav_file_of_no_length(tmp_path: Path, subtype: str, riff: int | None) -> None:
    content = bytearray(written(noise()[:, 0], "WAV", subtype))
    whole = read(save(tmp_path, bytes(content)), RATE)
    place = content.find(b"data") + 4
    content[place : place + 4] = bytes(4)
    if riff is not None:
        content[4:8] = struct.pack("<I", riff)
    np.testing.assert_allclose(read(save(tmp_path, bytes(content)), RATE)[: len(whole)], whole, atol=1e-6)


def test_a_wav_file_that_is_really_empty(tmp_path: Path) -> None:
    content = written(noise()[:0], "WAV")
    for after in (b"", b"LIST" + struct.pack("<I", 6) + b"INFOxx", b"id3 \0\0\0\0"):
        with pytest.raises(DataError, match="holds no samples"):
            read(save(tmp_path, content + after), RATE)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFFFFFFFFFF])
def test_an_rf64_file_of_no_length(tmp_path: Path, size: int) -> None:
    content = bytearray(written(noise(), "RF64"))
    content[20:44] = struct.pack("<QQQ", size, size, size)
    assert len(read(save(tmp_path, bytes(content)), RATE)) == RATE


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("endian", ["BIG", "LITTLE"])
def test_an_au_file_of_no_length(tmp_path: Path, size: int, endian: str) -> None:
    content = bytearray(written(noise(), "AU", endian=endian))
    content[8:12] = struct.pack("<I", size)
    assert len(read(save(tmp_path, bytes(content)), RATE)) == RATE


@pytest.mark.parametrize("size", [0, -1])
def test_a_caf_file_of_no_length(tmp_path: Path, size: int) -> None:
    content = bytearray(written(noise(), "CAF"))
    place = content.find(b"data") + 4
    content[place : place + 8] = struct.pack(">q", size)
    assert len(read(save(tmp_path, bytes(content)), RATE)) == RATE


def test_a_flac_file_of_no_length(tmp_path: Path) -> None:
    content = bytearray(written(noise(), "FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path = save(tmp_path, bytes(content))
    assert len(read(path, RATE)) == probe(path).frames == RATE
    with blocks(path) as found:
        assert found.info.frames == 0
    save(tmp_path, bytes(content[: len(content) // 2]))
    with pytest.raises(DataError, match="damaged or cut off"):
        read(path, RATE)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_joined_ogg_files_are_read_to_the_last(tmp_path: Path, subtype: str) -> None:
    parts = [noise(seconds, seed=n) for n, seconds in enumerate((1.0, 0.5, 2.0))]
    contents = [written(part, "OGG", subtype) for part in parts]
    path = save(tmp_path, b"".join(contents))
    expected = np.concatenate([read(save(tmp_path, content, "b.ogg"), RATE) for content in contents])
    np.testing.assert_allclose(read(path, RATE), expected, atol=1e-6)
    assert probe(path).frames == len(expected) == 3.5 * RATE
    other = written(noise(rate=16000), "OGG", "VORBIS", 16000)
    with pytest.raises(DataError, match="joined from recordings of several sample rates"):
        read(save(tmp_path, contents[0] + other), RATE)


@pytest.mark.parametrize("frames", [1 << 35, (1 << 36) - 1])
def test_a_header_that_announces_terabytes(tmp_path: Path, frames: int) -> None:
    content = bytearray(written(noise(), "FLAC"))
    content[21] = content[21] & 0xF0 | frames >> 32
    content[22:26] = struct.pack(">I", frames & 0xFFFFFFFF)
    with pytest.raises(DataError, match=r"damaged|cut off"):
        read(save(tmp_path, bytes(content)), RATE)


def test_an_mp3_file_that_announces_terabytes(tmp_path: Path) -> None:
    content = bytearray(mp3())
    place = max(content.find(b"Xing"), content.find(b"Info"))
    content[place + 8 : place + 12] = b"\x7f\xff\xff\xff"
    with pytest.raises(DataError, match="cut off"):
        read(save(tmp_path, bytes(content)), RATE)


# --- integers with more bytes than they need


def in_four_bytes(samples: np.ndarray, bits: int, width: int, shift: int, kind: int = 1) -> bytes:
    """Return a WAV file of integers in `width` bytes each, that begin at bit `shift`."""
    integers = np.round(samples[:, 0].astype(np.float64) * 2.0 ** (bits - 1)).astype(np.int64) << shift
    content = b"".join(int(n).to_bytes(width, "little", signed=True) for n in integers)
    head = struct.pack("<HHIIHH", kind, 1, RATE, width * RATE, width, bits)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@pytest.mark.parametrize(("bits", "width"), [(24, 4), (16, 4), (16, 3), (24, 3), (20, 3), (12, 2)])
def test_integers_in_wider_containers(tmp_path: Path, bits: int, width: int) -> None:
    samples = noise()
    found = read(save(tmp_path, in_four_bytes(samples, bits, width, 8 * width - bits)), RATE)
    np.testing.assert_allclose(found, samples[:, 0], rtol=0, atol=2.0 ** (1 - bits))


@pytest.mark.parametrize(("bits", "width"), [(24, 4), (16, 4), (16, 3)])
def test_integers_whose_place_is_not_known_are_refused(tmp_path: Path, bits: int, width: int) -> None:
    with pytest.raises(
        DataError, match=rf"{bits} bits in {width} bytes, .* export it again with {bits} or {8 * width} bits"
    ):
        read(save(tmp_path, in_four_bytes(noise(), bits, width, 0)), RATE)


# --- what the libraries raise


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("value", [1e30, -3e38])
def test_samples_that_would_overflow(tmp_path: Path, subtype: str, value: float) -> None:
    samples = noise()
    samples[1000] = value
    with pytest.raises(DataError, match=r"holds samples of \d.*e\+\d\d, where full scale is 1"):
        read(save(tmp_path, written(samples, "WAV", subtype)), 16000)
    samples[1000] = 2.0**31  # 32-bit integers that a program did not scale
    assert read(save(tmp_path, written(samples, "WAV", subtype)), RATE).max() == 2.0**31


@pytest.mark.parametrize(
    "error", [ValueError("v"), RuntimeError("r"), OSError(5, "o"), OverflowError("o"), MemoryError(), IndexError("i")]
)
@pytest.mark.parametrize("place", ["__init__", "read"])
def test_errors_of_the_libraries_are_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, place: str
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    path = save(tmp_path, written(noise(), "WAV"))
    monkeypatch.setattr(soundfile.SoundFile, place, fail)
    monkeypatch.setattr(opening.ffmpeg, "is_installed", lambda: False)  # it would read the file
    with pytest.raises(DataError, match=r"a\.wav: "):
        read(path, RATE)


def test_ctrl_c_is_no_error_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    path = save(tmp_path, written(noise(), "WAV"))
    monkeypatch.setattr(soundfile.SoundFile, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(path, RATE)


# --- what only the extra reads


MEDIA = [
    b"\x1aE\xdf\xa3" + bytes(300),
    b"\0\0\0\x20ftypM4A " + bytes(300),
    b"#!AMR\n" + bytes(300),
    b"0&\xb2u\x8ef\xcf\x11" + bytes(300),
    b"\xff\xf1\x50\x80" + bytes(300),
]


@pytest.mark.parametrize("content", MEDIA)
@pytest.mark.parametrize("name", ["a.webm", "a.wav"])
def test_without_the_extra_the_message_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, name: str
) -> None:
    monkeypatch.setattr(opening.ffmpeg, "is_installed", lambda: False)
    with pytest.raises(DataError, match=r"pip install 'audioconv\[media\]'; or convert it: ffmpeg -i INPUT OUTPUT.wav"):
        read(save(tmp_path, content, name), RATE)


@pytest.mark.parametrize("content", MEDIA)
def test_with_the_extra_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("av", reason="needs the extra: pip install 'audioconv[media]'")
    with pytest.raises(DataError, match=r"a\.webm: "):
        read(save(tmp_path, content, "a.webm"), RATE)


def test_no_other_file_is_opened_for_a_playlist(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="needs the extra: pip install 'audioconv[media]'")
    other = save(tmp_path, written(noise(), "WAV"), "secret.wav")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n".encode()
    for content in (playlist, f"ffconcat version 1.0\nfile {other}\n".encode()):
        with pytest.raises(DataError, match="not audio that can be read"):
            read(save(tmp_path, content, "a.m4a"), RATE)


@pytest.mark.parametrize(
    ("form", "codec", "extra"),
    [
        ("webm", "libopus", 0.05),
        ("mp4", "aac", 0.1),
        ("adts", "aac", 0.1),
        ("matroska", "ac3", 0.1),
        ("avi", "pcm_s16le", 0),
    ],
)
@pytest.mark.parametrize("name", ["a.webm", "a.wav"])
def test_the_extra_reads_media(tmp_path: Path, form: str, codec: str, extra: float, name: str) -> None:
    pytest.importorskip("av", reason="needs the extra: pip install 'audioconv[media]'")
    from media_files import encoded

    samples = noise(2.0)[:, 0]
    path = save(tmp_path, encoded(form, codec, np.repeat(samples, 6)), name)
    info = probe(path)
    assert (info.sample_rate, info.channels) == (48000, 1)
    assert 2 <= info.duration + 0.001 <= 2 + extra + 0.05
    found = read(path, RATE)
    assert 2 * RATE - 10 <= len(found) <= (2 + extra + 0.05) * RATE
    assert np.square(found[-RATE // 4 :]).mean() > 3 * np.square(found[: RATE // 4]).mean()  # louder and louder
    part = read_window(Segment(path, 1.0, 1.25), 48000, 12000)
    np.testing.assert_allclose(part, read(path, 48000)[48000:60000], atol=1e-6)
    with blocks(path, 0.3) as parts:
        assert {len(block) for block in parts} >= {14400}
