"""Keywords spoken by espeak-ng."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import threading
import wave

import numpy as np
import pytest

from audioconv.datasets import open_collection
from audioconv.errors import ConfigError, DataError, MissingExtraError
from audioconv.recipe import spoken_words
from audioconv.tts import dataset, espeak, espeak_process
from audioconv.tts.espeak_process import Speaker, Utterance
from audioconv.tts.voices import is_kept_for_test

pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'audioconv[synth]'")


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.*")}


def samples(path):
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return dataset.make(["yes", "no"], tmp_path_factory.mktemp("data") / "words", clips_per_word=60, seed=3)


def test_clips_and_manifest(words):
    collection = open_collection(words)
    assert collection.counts == {"no": 60, "yes": 60}
    assert (len(collection.select("train")), len(collection.select("test"))) == (96, 24)
    assert "espeak-ng" in collection.source
    assert "GPL" in collection.licence
    lengths = [len(samples(item.path)) / 16000 for item in collection.items]
    assert 0.1 < min(lengths) < max(lengths) < 1.5
    assert min(np.abs(samples(path).astype(int)).max() for path in collection.paths) >= 1000


def test_variety(words):
    collection = open_collection(words)
    assert len(set(collection.speakers)) > 30
    assert len({path.name.partition("+")[0] for path in collection.paths}) == 8  # accents of English
    assert len(set(digests(words).values())) > 120


def test_test_voices_are_never_trained_on(words, tmp_path):
    other = open_collection(dataset.make(["maybe", "so"], tmp_path / "other", clips_per_word=60, seed=8))
    both = [*open_collection(words).items, *other.items]
    trained, tested = ({item.speaker for item in both if item.split == split} for split in ("train", "test"))
    assert trained
    assert tested
    assert not trained & tested
    with Speaker() as speaker:
        share = np.mean([is_kept_for_test(espeak.family(timbre)) for timbre in speaker.variants])
    assert 0.15 < share < 0.25


def test_the_same_bytes_again(words, tmp_path):
    dataset.make(["yes", "no"], tmp_path / "again", clips_per_word=60, seed=3)
    assert digests(tmp_path / "again") == digests(words)
    dataset.make(["yes", "no"], tmp_path / "other", clips_per_word=60, seed=4)
    assert digests(tmp_path / "other") != digests(words)


def test_the_same_bytes_from_many_threads(words, tmp_path):
    def run(n):
        dataset.make(["yes", "no"], tmp_path / str(n), clips_per_word=60, seed=3)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(digests(tmp_path / str(n)) == digests(words) for n in range(3))


def test_a_second_call_does_nothing_and_other_settings_are_refused(words):
    before = {path: path.stat().st_mtime_ns for path in words.rglob("*")}
    dataset.make(["yes", "no"], words, clips_per_word=60, seed=3)
    assert {path: path.stat().st_mtime_ns for path in words.rglob("*")} == before
    with pytest.raises(DataError, match="was made with other settings"):
        dataset.make(["yes", "no"], words, clips_per_word=60, seed=4)


def test_progress_and_one_clip(tmp_path):
    steps = []
    dataset.make(
        ["on", "off"], tmp_path / "a", clips_per_word=1, progress=lambda done, total: steps.append((done, total))
    )
    assert steps == [(1, 2), (2, 2)]


def test_words_as_people_write_them(tmp_path):
    words = ["Hey Computer", "don't", "naïve", "AND/OR", "..up", "grün", "\u65e9\u4e0a\u597d"]
    collection = open_collection(dataset.make(words, tmp_path / "a", clips_per_word=2))
    assert collection.classes == tuple(sorted(words))
    folders = {item.label: item.path.parent for item in collection.items}
    assert all(folder.parent == tmp_path / "a" for folder in folders.values())
    assert folders["AND/OR"].name == "AND_OR"
    assert folders["..up"].name == "__up"
    assert folders["Hey Computer"].name == "Hey Computer"


def test_words_with_the_same_folder_name_stay_apart(tmp_path):
    collection = open_collection(dataset.make(["a/b", "a:b"], tmp_path / "a", clips_per_word=2))
    assert collection.counts == {"a/b": 2, "a:b": 2}
    assert len({path.parent for path in collection.paths}) == 2


@pytest.mark.parametrize(
    ("language", "word", "accents"),
    [
        ("de", "ja", {"de"}),
        ("pt", "não", {"pt", "pt-br"}),
        ("hi", "हाँ", {"hi"}),
        ("zh", "是", {"cmn"}),
        ("EN_gb_scotland", "aye", {"en-gb-scotland"}),
    ],
)
def test_other_languages(tmp_path, language, word, accents):
    collection = open_collection(
        dataset.make([word], tmp_path / "a", language=language, clips_per_word=8), minimum_classes=1
    )
    assert {path.name.partition("+")[0] for path in collection.paths} == accents


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("German", r"no language 'German'; did you mean de \(German\)\?"),
        ("deu", r"no language 'deu'; did you mean .*de \(German\)"),
        ("en-uk", r"did you mean .*en-gb \(English \(Great Britain\)\)"),
        ("", "no language ''; audioconv data list --languages lists them$"),
    ],
)
def test_unknown_languages(tmp_path, language, message):
    with pytest.raises(ConfigError, match=message):
        dataset.make(["yes"], tmp_path / "a", language=language)


def test_languages():
    found = espeak.languages()
    assert len(found) > 140
    assert found["en"] == "English"
    assert found["en-gb-scotland"] == "English (Scotland)"
    assert found["vi"] == "Vietnamese (Northern)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "words must be given"),
        ("yes,no", "must be a list of words; got the text 'yes,no'"),
        (["yes", "  "], "none of them empty"),
        (["!?"], r"cannot speak '!\?'"),
        (["a\0b"], "cannot speak"),
        (["caf\udce9"], "cannot speak"),
        (["a" * 101], "at most 100"),
        (["yes", "no", "Yes "], "once only; got Yes, yes several times"),
    ],
)
def test_impossible_words(tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        dataset.make(words, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_impossible_count(tmp_path):
    with pytest.raises(ConfigError, match="at least 1; got 0"):
        dataset.make(["yes"], tmp_path / "a", clips_per_word=0)


def test_a_voice_that_says_nothing(tmp_path):
    # espeak-ng 1.52 lists Faroese and makes no sound of it.
    with pytest.raises(ConfigError, match="has no sound for 'ja' in Faroese"):
        dataset.make(["ja"], tmp_path / "a", language="fo")
    assert list(tmp_path.iterdir()) == []


def test_silent_voices_are_passed_over(tmp_path, monkeypatch):
    say = Speaker.say

    def mostly_silent(self, utterance):
        return say(self, utterance) if utterance.voice.endswith(("f3", "m1", "m2")) else b""

    monkeypatch.setattr(Speaker, "say", mostly_silent)
    monkeypatch.setattr(espeak, "ATTEMPTS", 200)
    collection = open_collection(dataset.make(["yes", "no"], tmp_path / "a", clips_per_word=10))
    assert len(collection) == 20
    assert set(collection.speakers) == {"f3", "m1", "m2"}


def test_ctrl_c_leaves_nothing(tmp_path):
    def interrupt(_done, _total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset.make(["yes"], tmp_path / "a", clips_per_word=5, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_unknown_voices_and_the_end_of_the_process():
    with Speaker() as speaker:
        assert speaker.say(Utterance("yes", "no/such/voice")) == b""
        speaker._process.kill()
        speaker._process.wait()
        after_the_end = speaker.say(Utterance("yes", "gmw/en-US"))
    with Speaker() as speaker:
        assert speaker.say(Utterance("yes", "gmw/en-US")) == after_the_end


def test_a_text_that_ends_espeak_is_left_out(monkeypatch):
    """The library aborts on it each time; what is asked afterwards is answered."""
    fault = (
        "import sys, os; sys.path[:] = sys.argv[1:]; from audioconv.tts import espeak_process as e\n"
        "say, phonemes = e._Library.say, e._Library.phonemes\n"
        "e._Library.say = lambda self, one: os.abort() if one.text == 'bad' else say(self, one)\n"
        "e._Library.phonemes = lambda self, one, *more: os.abort() if one == 'bad' else phonemes(self, one, *more)\n"
        "e.main()"
    )
    monkeypatch.setattr(espeak_process, "_CHILD", fault)
    with Speaker() as speaker:
        good = speaker.say(Utterance("yes", "gmw/en-US"))
        assert speaker.say(Utterance("bad", "gmw/en-US")) == b""
        assert speaker.say(Utterance("yes", "gmw/en-US")) == good != b""
        with pytest.raises(DataError, match="espeak-ng ended unexpectedly"):
            speaker.phonemes("bad", "gmw/en-US")
        assert speaker.phonemes("yes", "gmw/en-US")
    monkeypatch.setattr(espeak_process, "_CHILD", "raise SystemExit(1)")
    with pytest.raises(DataError, match="espeak-ng ended unexpectedly"):
        Speaker()


def test_words_after_whose_phonemes_espeak_ends():
    """Version 1.52 reads a null pointer in the first word that it says after the phonemes of these words."""
    words = ["eight", "six", "three", "two", "zero"]
    with espeak.EspeakVoices("en") as cast:
        assert spoken_words._out_of_vocabulary(spoken_words._common_words(), words, cast)
        assert cast.speaker.say(Utterance("eight", "gmw/en-GB-x-rp+benjamin", 213, 67, 72))


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'audioconv\[synth\]'"):
        dataset.make(["yes"], tmp_path / "a")


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_installed_in_a_deep_folder(tmp_path, monkeypatch):
    # The library itself cuts paths off after 160 bytes.
    deep = tmp_path / ("d" * 100) / "caf\u00e9" / ("e" * 100)
    deep.mkdir(parents=True)
    (deep / "espeakng_loader").symlink_to(importlib.util.find_spec("espeakng_loader").submodule_search_locations[0])
    monkeypatch.delitem(sys.modules, "espeakng_loader", raising=False)
    monkeypatch.syspath_prepend(deep)
    with Speaker() as speaker:
        assert str(deep) in sys.modules["espeakng_loader"].__file__
        assert len(speaker.say(Utterance("yes", "gmw/en-US+f3"))) > 8000


def test_the_library_is_never_loaded_into_the_users_process():
    program = (
        "import sys; from audioconv.tts import espeak; espeak.languages();"
        "print('espeak' in open('/proc/self/maps').read() if sys.platform == 'linux' else False)"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"
    )
