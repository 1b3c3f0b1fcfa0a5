"""Pictures: modes, sizes, and files that are none."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from audioconv import images
from audioconv.errors import ConfigError, DataError

Image = pytest.importorskip("PIL.Image", reason="needs the extra: pip install 'audioconv[images]'")


def saved(folder, array, name="a.png", **options):
    Image.fromarray(array).save(folder / name, **options)
    return folder / name


def test_colour_and_grey(tmp_path):
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    x = images.read(saved(tmp_path, colour))
    assert x.shape == (5, 7, 3)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, colour.astype(np.float32) / np.float32(255))
    assert images.read(tmp_path / "a.png", channels=1).shape == (5, 7, 1)

    grey = colour[..., 0].copy()
    np.testing.assert_array_equal(images.read(saved(tmp_path, grey))[..., 0], grey.astype(np.float32) / np.float32(255))
    three = images.read(tmp_path / "a.png", channels=3)
    assert three.shape == (5, 7, 3)
    assert np.ptp(three, axis=2).max() == 0


def test_sixteen_bits_are_not_cut_off(tmp_path):
    deep = np.linspace(0, 65535, 12).astype(np.uint16).reshape(3, 4)
    x = images.read(saved(tmp_path, deep))
    np.testing.assert_allclose(x[..., 0], deep / 65535, atol=1e-6)
    assert images.read(tmp_path / "a.png", channels=3).shape == (3, 4, 3)


def test_transparent_pixels_are_black(tmp_path):
    pixels = np.full((2, 2, 4), 255, np.uint8)
    pixels[0, 0, 3] = 0
    x = images.read(saved(tmp_path, pixels))
    assert x.shape == (2, 2, 3)
    assert x[0, 0].max() == 0
    assert x[1, 1].min() == 1


def test_palette(tmp_path):
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2] = (255, 0, 0)
    Image.fromarray(pixels).convert("P").save(tmp_path / "a.gif")
    np.testing.assert_allclose(images.read(tmp_path / "a.gif")[0, 0], (1, 0, 0), atol=0.02)


def test_scaling_keeps_the_mean_and_the_axes(tmp_path):
    wide = np.zeros((8, 32), np.uint8)
    wide[:, 16:] = 255
    x = images.read(saved(tmp_path, wide), size=(4, 8))
    assert x.shape == (4, 8, 1)
    assert x.mean() == pytest.approx(0.5, abs=0.02)
    assert x[:, 0].max() < 0.05 < 0.95 < x[:, -1].min()


def test_camera_orientation_is_applied(tmp_path):
    pixels = np.zeros((2, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to show
    assert images.read(saved(tmp_path, pixels, "a.jpg", exif=exif)).shape == (6, 2, 3)


@pytest.mark.parametrize("content", [b"", b"this is a text file\n", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_not_a_picture(tmp_path, content):
    path = tmp_path / "caf\udce9 '\U0001f600'.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"caf\\xe9 '\U0001f600'\.png: "):
        images.read(path)


def test_truncated_picture(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("a.png", "a.jpg"):
        path = saved(tmp_path, noise, name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(DataError, match="cannot be read"):
            images.read(path)


def test_missing_folder_and_unreadable(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="No such file"):
        images.read(tmp_path / "no.png")
    with pytest.raises(DataError, match=r"directory|denied"):
        images.read(tmp_path)

    def denied(*_args, **_options):  # permission bits do not bind the user that CI runs as
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path = saved(tmp_path, np.zeros((2, 2), np.uint8))
    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(DataError, match=r"a\.png: .*Permission denied"):
        images.read(path)


def test_a_picture_that_is_far_too_large(tmp_path, monkeypatch):
    path = saved(tmp_path, np.zeros((64, 64), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="decompression bomb"):
        images.read(path)


@pytest.mark.parametrize("options", [{"channels": 2}, {"size": (0, 4)}, {"size": (4,)}])
def test_bad_options(tmp_path, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        images.read(tmp_path / "a.png", **options)
