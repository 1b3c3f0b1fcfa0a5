"""Mozilla Data Collective, as a server on loopback that follows its protocol: what it is asked, and what it refuses."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys

import pytest
import voices

from audioconv.datasets import open_collection
from audioconv.datasets.build import common_voice, get
from audioconv.datasets.build.layouts import Options
from audioconv.datasets.build.sentences import WordList
from audioconv.datasets.download import mozilla as client
from audioconv.datasets.download.http import Patience
from audioconv.errors import ConfigError, DataError, MissingExtraError

ENGLISH = client.KNOWN["26.0", "en"]
OPTIONS = Options(language="en", words=WordList(["yes", "no"]))


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    for function in (client.look_up, client.search, client.fetch, client.open_session):
        defaults = tuple(
            Patience(attempts=3, first_wait=0.01, longest_wait=0.05) if isinstance(value, Patience) else value
            for value in function.__defaults__ or ()
        )
        monkeypatch.setattr(function, "__defaults__", defaults)
        if function.__kwdefaults__:
            monkeypatch.setitem(function.__kwdefaults__, "patience", Patience(attempts=3, first_wait=0.01))


def posts(server):
    return [headers for method, _, headers in server.log if method == "POST"]


def test_a_release(collective, tmp_path):
    steps = []
    folder = get.get("common-voice", tmp_path / "en", OPTIONS, progress=lambda *step: steps.append(step))
    assert open_collection(folder).counts == {"no": 30, "yes": 31}
    assert list(dict.fromkeys(stage for stage, _, _ in steps)) == ["downloading", "looking through", "unpacking"]
    # Words were chosen, so the archive is kept for others; those come without asking for it again.
    assert [path.name for path in get.kept_archives(folder)] == ["cv-corpus-26.0-2026-06-12-en.tar.gz"]
    assert len(posts(collective)) == 1
    stop = Options(language="en", words=WordList(["stop", "seven"]))
    assert open_collection(get.get("common-voice", tmp_path / "stop", stop)).counts == {"seven": 30, "stop": 30}
    assert len(posts(collective)) == 1
    # Nothing at all is asked where it is there.
    asked = len(collective.log)
    get.get("common-voice", tmp_path / "en", OPTIONS)
    assert len(collective.log) == asked


def test_all_of_the_single_words(collective, tmp_path):
    options = Options(language="sw")
    folder = get.get("common-voice-single-word", tmp_path / "sw", options)
    assert open_collection(folder).counts == {"hapana": 4, "ndiyo": 4}
    # The archive has other languages, which come without asking for it again.
    assert [path.name for path in get.kept_archives(folder)] == ["cv-corpus-7.0-singleword.tar.gz"]
    english = get.get("common-voice-single-word", tmp_path / "en", Options(language="en", limit=2))
    assert len(open_collection(english).classes) > 1
    assert len(posts(collective)) == 1


def test_an_archive_of_which_nothing_chosen_is_of_use_is_kept(collective, tmp_path, monkeypatch):
    def find_nothing(*_clip):
        raise DataError("nothing stands out")

    monkeypatch.setattr(common_voice, "find_word", find_nothing)
    with pytest.raises(
        ConfigError, match=r"none of 6\d clips can be used, such as .*: nothing stands out; choose others"
    ):
        get.get("common-voice", tmp_path / "en", OPTIONS)
    assert len(get.kept_archives(tmp_path / "en")) == 1


def test_a_key_in_a_file(collective, tmp_path, monkeypatch):
    monkeypatch.delenv("MDC_API_KEY")
    (tmp_path / ".env").write_text(f"MDC_API_KEY={voices.KEY}\n", "utf-8")
    program = (
        "import sys; from audioconv.datasets.download.mozilla import *; print(open_session(look_up(sys.argv[1])).size)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, ENGLISH], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert int(answer.stdout) == collective.offers[ENGLISH].path.stat().st_size


def test_by_id_and_by_slug(collective, tmp_path):
    for n, dataset in enumerate((ENGLISH, "common-voice-scripted-speech-26-0-english")):
        folder = get.get("common-voice", tmp_path / str(n), OPTIONS, dataset=dataset)
        assert len(open_collection(folder)) == 61


def test_a_release_that_must_be_searched(collective, tmp_path):
    collective.offers["c2"] = voices.Offer(
        "Common Voice Scripted Speech 25.0 - English", collective.offers[ENGLISH].path
    )
    assert client.search("en", "25.0") == "c2"
    with pytest.raises(ConfigError, match=r"has no Common Voice Scripted Speech 24\.0 with .* 'en'; in this language"):
        client.search("en", "24.0")
    with pytest.raises(ConfigError, match="with the language 'xx'; did you mean"):
        client.search("xx")


def test_the_checksum_is_checked(collective, tmp_path):
    offer = collective.offers[ENGLISH]
    offer.checksum = "sha256:" + hashlib.sha256(offer.path.read_bytes()).hexdigest()
    assert get.get("common-voice", tmp_path / "good", OPTIONS)
    offer.checksum = "sha256:" + 64 * "0"
    with pytest.raises(DataError, match="the content is not what was expected"):
        get.get("common-voice", tmp_path / "bad" / "en", OPTIONS)


def test_a_download_that_breaks_off_goes_on_with_a_new_address(collective, tmp_path, monkeypatch):
    send, cut = voices.Collective._send_file, [1]

    def cut_off(self, handler, path):
        if cut and cut.pop():
            handler.send_response(200)
            handler.send_header("ETag", f'"{hashlib.md5(path.read_bytes()).hexdigest()}"')
            handler.send_header("Content-Length", str(path.stat().st_size))
            handler.end_headers()
            handler.wfile.write(path.read_bytes()[:100_000])
        else:
            send(self, handler, path)

    monkeypatch.setattr(voices.Collective, "_send_file", cut_off)
    assert get.get("common-voice", tmp_path / "en", OPTIONS)
    assert len(posts(collective)) == 2
    ranges = [headers.get("Range") for method, path, headers in collective.log if path.startswith("/files/")]
    assert ranges == [None, "bytes=100000-"]


def test_without_a_key(collective, tmp_path, monkeypatch):
    monkeypatch.delenv("MDC_API_KEY")
    with pytest.raises(ConfigError, match=r"needs a key .*mozilladatacollective\.com.* MDC_API_KEY"):
        get.get("common-voice", tmp_path / "en", OPTIONS)


def test_with_a_wrong_key(collective, tmp_path, monkeypatch):
    monkeypatch.setenv("MDC_API_KEY", "wrong-key-of-mine")
    with pytest.raises(ConfigError, match="does not accept the key in MDC_API_KEY") as caught:
        get.get("common-voice", tmp_path / "en", OPTIONS)
    assert "wrong-key-of-mine" not in str(caught.value)
    monkeypatch.setenv("MDC_API_KEY", "wr\u00f6ng")
    with pytest.raises(ConfigError, match="characters that no key has"):
        get.get("common-voice", tmp_path / "en", OPTIONS)


def test_terms(collective, tmp_path):
    collective.offers[ENGLISH].terms_accepted = False
    with pytest.raises(
        ConfigError, match=r"its terms are not accepted yet; sign in and accept them at http://127.*/page/"
    ):
        get.get("common-voice", tmp_path / "en", OPTIONS)


def test_gone_and_unknown(collective, tmp_path):
    collective.offers[ENGLISH].gone = True
    with pytest.raises(DataError, match="is no longer offered"):
        get.get("common-voice", tmp_path / "en", OPTIONS)
    with pytest.raises(ConfigError, match=r"no data set 'common-voice-26-english'; did you mean common-voice-sc"):
        get.get("common-voice", tmp_path / "en", OPTIONS, dataset="common-voice-26-english")


@pytest.mark.parametrize("code", [429, 503])
def test_busy(collective, tmp_path, code, caplog):
    collective.refusals = [(code, {"Retry-After": "0"})] * 2
    assert get.get("common-voice", tmp_path / "en", OPTIONS)
    assert "is busy; asking again in" in caplog.text
    collective.refusals = [(code, {})] * 9
    with pytest.raises(DataError, match="does not answer, in 3 attempts"):
        client.open_session(client.look_up(ENGLISH))


def test_an_answer_that_makes_no_sense(collective, monkeypatch):
    collective.refusals = [(200, {})]
    with pytest.raises(DataError, match="the answer has no address and size"):
        client.open_session(client.look_up(ENGLISH))
    monkeypatch.setattr(voices.Collective, "_describe", lambda self, key: {"slug": "x", "name": "no id"})
    with pytest.raises(DataError, match="Mozilla Data Collective"):
        client.look_up("x")


@pytest.mark.parametrize("filename", ["../x.tar.gz", "/x.tar.gz", ".x", ""])
def test_names_that_lead_elsewhere(collective, monkeypatch, filename):
    describe = voices.Collective._describe
    monkeypatch.setattr(voices.Collective, "_describe", lambda *a: {**describe(*a), "filename": filename})
    with pytest.raises(DataError, match="names no archive for it that can be saved"):
        client.look_up(ENGLISH)


def test_the_key_is_seen_nowhere(collective, tmp_path, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    collective.refusals = [(429, {"Retry-After": "0"}), (418, {})]
    with pytest.raises(DataError, match="the server answers 418") as caught:
        get.get("common-voice", tmp_path / "en", OPTIONS)
    folder = get.get("common-voice", tmp_path / "en", OPTIONS)
    written = "".join(path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file())
    shown = str(caught.value) + caplog.text + "".join(capsys.readouterr()) + written
    assert voices.KEY not in shown
    assert "signature=" not in shown
    for method, path, headers in collective.log:
        assert voices.KEY not in path
        assert (voices.KEY in str(headers)) == (method == "POST")


def test_the_key_goes_to_no_unprotected_address(collective, monkeypatch):
    monkeypatch.setenv("MDC_API_URL", "http://example.org/api")
    with pytest.raises(ConfigError, match="must be an https address: the key goes there"):
        client.open_session(client.Listed("x", "x", "x.tar.gz", ""))


def test_without_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datacollective", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'audioconv\[commonvoice\]'"):
        get.get("common-voice", tmp_path / "en", OPTIONS)


def test_a_language_is_needed(tmp_path):
    for name in ("common-voice", "common-voice-single-word", "mswc"):
        with pytest.raises(ConfigError, match=rf"{name}: choose .* by its code, such as --language en"):
            get.get(name, tmp_path / "x")
    with pytest.raises(ConfigError, match="is no language; give its code"):
        get.get("mswc", tmp_path / "x", Options(language="../en"))
