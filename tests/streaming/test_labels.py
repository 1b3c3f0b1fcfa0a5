"""Label tracks."""

from __future__ import annotations

import pytest

from audioconv.errors import DataError
from audioconv.streaming import Detection, read_labels, write_labels
from audioconv.streaming.label_tracks import Label


def test_what_is_written_is_read(tmp_path):
    write_labels(tmp_path / "track.txt", [Detection("a b", 1.25, 1.5, 0.9), Label("\u00e9\tc", 0.1, 0.1)])
    assert (tmp_path / "track.txt").read_text("utf-8") == "1.250000\t1.500000\ta b\n0.100000\t0.100000\t\u00e9 c\n"
    assert read_labels(tmp_path / "track.txt") == [Label("\u00e9 c", 0.1, 0.1), Label("a b", 1.25, 1.5)]


def test_what_audacity_writes(tmp_path):
    # With a mark of the byte order, Windows's line ends, a range of frequencies, and a decimal comma.
    (tmp_path / "track.txt").write_bytes(
        b"\xef\xbb\xbf2,500000\t3,000000\tyes\r\n\\\t100.0\t2000.0\r\n\r\n0.5\t0.75\tno way\r\n"
    )
    assert read_labels(tmp_path / "track.txt") == [Label("no way", 0.5, 0.75), Label("yes", 2.5, 3.0)]


def test_an_empty_track(tmp_path):
    (tmp_path / "track.txt").write_text("")
    assert read_labels(tmp_path / "track.txt") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1\t2\tyes\n1 2 yes\n",
            r"track.txt, line 2: expected begin, end \(in seconds\) and the label, .* got '1 2 yes'",
        ),
        ("1\t2\n", "line 1: expected begin, end"),
        ("1\t2\t \n", "line 1: expected begin, end"),
        ("2\t1\tyes\n", "line 1: the begin must lie before the end"),
        ("nan\t1\tyes\n", "line 1: the begin must lie before the end"),
        ("-1\t1\tyes\n", "not before 0"),
    ],
)
def test_lines_that_are_no_labels(tmp_path, text, message):
    (tmp_path / "track.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_labels(tmp_path / "track.txt")


def test_files_that_are_no_tracks(tmp_path):
    with pytest.raises(DataError, match=r"none.txt: cannot be read \(No such file"):
        read_labels(tmp_path / "none.txt")
    (tmp_path / "sound.wav").write_bytes(b"RIFF\xff\xfe\x00\x81")
    with pytest.raises(DataError, match=r"sound.wav: is no label track: it is not text"):
        read_labels(tmp_path / "sound.wav")
    with pytest.raises(DataError, match="could not be written"):
        write_labels(tmp_path / "missing" / "track.txt", [])
