"""Catalogue of public data sets: addresses, content and licences."""

from __future__ import annotations

from collections.abc import Mapping

from audioconv.datasets.source import Remote, Source
from audioconv.errors import ConfigError, did_you_mean

__all__ = ["NEGATIVES", "NOISE", "SOUNDS", "SOURCES", "SPEECH", "Remote", "Source", "find", "makers"]

_FSDD_COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
_ESC_COMMIT = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"
_GOOGLE = "https://storage.googleapis.com/download.tensorflow.org/data"
_MSWC = "https://mswc.mlcommons-storage.org"
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"

_WARDEN = "Google, Pete Warden and all who lent their voices"
_WARDEN_PAPER = (
    "P. Warden: Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition, 2018. arXiv:1804.03209"
)
_COMMANDS_PAGE = "https://www.tensorflow.org/datasets/catalog/speech_commands"
_MSWC_PAPER = (
    "M. Mazumder et al.: Multilingual Spoken Words Corpus, NeurIPS Datasets and Benchmarks 2021; "
    "recordings from Mozilla Common Voice"
)
_MSWC_PEOPLE = "MLCommons, Harvard University and the contributors of Mozilla Common Voice"
_VOICE_PEOPLE = "the contributors of Mozilla Common Voice"
_VOICE_PAPER = "R. Ardila et al.: Common Voice: A Massively-Multilingual Speech Corpus, LREC 2020. arXiv:1912.06670"
_VOICE_PAGE = "https://mozilladatacollective.com"
_ESC = Remote(
    f"https://github.com/karolpiczak/ESC-50/archive/{_ESC_COMMIT}.zip",
    645_832_161,
    "661183a6f53ef04f12c9bd618fed0ddc1713280d6c94a5a5431e844ba6f6a21f",
    named=f"ESC-50-{_ESC_COMMIT}.zip",
)
_ESC_PAPER = "K. J. Piczak: ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015"


def _mnist(name: str, size: int, md5: str) -> Remote:
    return Remote(f"{_MNIST}/{name}", size, md5=md5, named=f"mnist-{name}")


def _fashion(name: str, size: int, md5: str) -> Remote:
    return Remote(f"{_FASHION}/{name}", size, md5=md5, named=f"fashion-mnist-{name}")


_DATA_SETS: Mapping[str, Source] = {
    "fsdd": Source(
        title="Free Spoken Digit Dataset",
        purpose="English digits by six speakers, 8 kHz: to try things out in minutes",
        files=(
            Remote(
                f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{_FSDD_COMMIT}.tar.gz",
                named=f"free-spoken-digit-dataset-{_FSDD_COMMIT}.tar.gz",
            ),
        ),
        layout="fsdd",
        count=3000,
        language="en",
        licence="CC-BY-SA-4.0",
        attribution="Zohar Jackson, César Souza, Jason Flaks, Yuxin Pan, Hereman Nicolas and Adhish Thite",
        citation=(
            "Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas, A. Thite: Jakobovski/free-spoken-digit-dataset, "
            "v1.0.8, 2018. doi:10.5281/zenodo.1342401"
        ),
        homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
        about=15_571_679,
        unpacked=21_128_848,
        content="2c129cf547ff08ee70ddd455a2840259ff26aebe7608e48d605f044d91c18dcf",
    ),
    "mini-speech-commands": Source(
        title="Mini Speech Commands",
        purpose="eight English words, a thousand clips of each: a first real training",
        files=(
            Remote(
                f"{_GOOGLE}/mini_speech_commands.zip",
                182_082_353,
                "49650f2341b26d886b46b3f4fb8fed59e30300b17550f1ee4a768b3106cf93a0",
            ),
        ),
        layout="speech-commands",
        count=8000,
        language="en",
        licence="CC-BY-4.0",
        attribution=_WARDEN,
        citation=_WARDEN_PAPER,
        homepage=_COMMANDS_PAGE,
        unpacked=256_000_000,
    ),
    "speech-commands": Source(
        title="Speech Commands v0.02",
        purpose="35 English words by 2,618 speakers: what published keyword networks are compared on",
        files=(
            Remote(
                f"{_GOOGLE}/speech_commands_v0.02.tar.gz",
                2_428_923_189,
                "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
            ),
        ),
        layout="speech-commands",
        count=105_829,
        language="en",
        licence="CC-BY-4.0",
        attribution=_WARDEN,
        citation=_WARDEN_PAPER,
        homepage=_COMMANDS_PAGE,
        unpacked=3_400_000_000,
    ),
    "speech-commands-v1": Source(
        title="Speech Commands v0.01",
        purpose="30 English words by 1,881 speakers: the first version, for older results",
        files=(
            Remote(
                f"{_GOOGLE}/speech_commands_v0.01.tar.gz",
                1_489_096_277,
                "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
            ),
        ),
        layout="speech-commands",
        count=None,
        language="en",
        licence="CC-BY-4.0",
        attribution=_WARDEN,
        citation=_WARDEN_PAPER,
        homepage=_COMMANDS_PAGE,
        unpacked=2_100_000_000,
    ),
    "speech-commands-test": Source(
        title="Speech Commands v0.02, official test",
        purpose="ten words, _unknown_ and _silence_: the test that published accuracies are of",
        files=(
            Remote(
                f"{_GOOGLE}/speech_commands_test_set_v0.02.tar.gz",
                112_563_277,
                "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
            ),
        ),
        layout="speech-commands-test",
        count=4890,
        language="en",
        licence="CC-BY-4.0",
        attribution=_WARDEN,
        citation=_WARDEN_PAPER,
        homepage=_COMMANDS_PAGE,
        unpacked=160_000_000,
    ),
    "common-voice-single-word": Source(
        title="Common Voice Single Word Target Segment 7.0",
        purpose="the digits, yes, no, hey and Firefox in 34 languages by thousands of speakers",
        files=(),
        layout="common-voice",
        count=None,
        language="many",
        licence="CC0-1.0",
        attribution=_VOICE_PEOPLE,
        citation=_VOICE_PAPER,
        homepage=_VOICE_PAGE,
        several_languages=True,
        account="mdc",
        about=3_766_437_719,
    ),
    "common-voice": Source(
        title="Common Voice Scripted Speech",
        purpose="over 300 languages; sentences of one word become keywords, any speech becomes _unknown_",
        files=(),
        layout="common-voice",
        count=None,
        language="many",
        licence="CC0-1.0",
        attribution=_VOICE_PEOPLE,
        citation=_VOICE_PAPER,
        homepage=_VOICE_PAGE,
        account="mdc",
    ),
    "mswc-micro": Source(
        title="Multilingual Spoken Words Corpus, microset",
        purpose="31 English and 20 Spanish words, cut from Common Voice: a taste of the whole",
        files=(
            Remote(
                f"{_MSWC}/mswc_microset.tar.gz",
                612_495_518,
                "4b091336f1a22147653c43259ce534ab53c2a21f57a83c9f7a02866e16b40f2e",
            ),
        ),
        layout="mswc",
        count=None,
        language="en, es",
        licence="CC-BY-4.0",
        attribution=_MSWC_PEOPLE,
        citation=_MSWC_PAPER,
        homepage="https://mlcommons.org/datasets/multilingual-spoken-words/",
        several_languages=True,
    ),
    "mswc": Source(
        title="Multilingual Spoken Words Corpus",
        purpose="any word that is said often, in 50 languages: 23 million clips of one second",
        files=(
            Remote(f"{_MSWC}/splits/{{language}}.tar.gz", named="mswc-splits-{language}.tar.gz"),
            Remote(f"{_MSWC}/audio/{{language}}.tar.gz", named="mswc-audio-{language}.tar.gz"),
        ),
        layout="mswc",
        count=None,
        language="many",
        licence="CC-BY-4.0",
        attribution=_MSWC_PEOPLE,
        citation=_MSWC_PAPER,
        homepage="https://mlcommons.org/datasets/multilingual-spoken-words/",
    ),
    "esc-50": Source(
        title="ESC-50",
        purpose="50 classes of everyday sounds, 5 s each, in five folds",
        files=(_ESC,),
        layout="esc-50",
        count=2000,
        language="",
        licence="CC-BY-NC-3.0, CC-BY-3.0",
        attribution="Karol J. Piczak and the authors of the clips, who are named in the archive",
        citation=_ESC_PAPER,
        homepage="https://github.com/karolpiczak/ESC-50",
        unpacked=900_000_000,
    ),
    "esc-10": Source(
        title="ESC-10",
        purpose="the ten classes of ESC-50 that may be used commercially",
        files=(_ESC,),
        layout="esc-10",
        count=400,
        language="",
        licence="CC-BY-3.0",
        attribution="Karol J. Piczak and the authors of the clips, who are named in the archive",
        citation=_ESC_PAPER,
        homepage="https://github.com/karolpiczak/ESC-50",
        unpacked=900_000_000,
    ),
    "mnist": Source(
        title="MNIST",
        purpose="pictures of handwritten digits, 28 x 28: the article's example",
        files=(
            _mnist("train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            _mnist("train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
            _mnist("t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
            _mnist("t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
        layout="digits",
        count=70_000,
        language="",
        licence="CC-BY-SA-3.0",
        attribution="Yann LeCun, Corinna Cortes and Christopher J. C. Burges",
        citation=(
            "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-Based Learning Applied to Document Recognition, "
            "Proceedings of the IEEE 86 (11), 1998"
        ),
        homepage="http://yann.lecun.com/exdb/mnist/",
        unpacked=60_000_000,
    ),
    "fashion-mnist": Source(
        title="Fashion-MNIST",
        purpose="pictures of clothes, 28 x 28: harder than digits",
        files=(
            _fashion("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            _fashion("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
            _fashion("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
            _fashion("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
        layout="clothes",
        count=70_000,
        language="",
        licence="MIT",
        attribution="Zalando SE, Han Xiao, Kashif Rasul and Roland Vollgraf",
        copyright="The MIT License (MIT) Copyright \u00a9 2017 Zalando SE, https://tech.zalando.com",
        citation="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, 2017. arXiv:1708.07747",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        unpacked=100_000_000,
    ),
}

_DEV_CLEAN = Source(
    title="LibriSpeech dev-clean",
    purpose="5.4 hours of English audio books, read by 40 speakers, with transcripts",
    files=(
        Remote(
            "https://www.openslr.org/resources/12/dev-clean.tar.gz",
            337_926_286,
            "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
            "42e2234ba48799c1f50f24a7926300a1",
        ),
    ),
    layout="negatives",
    count=2703,
    language="en",
    licence="CC-BY-4.0",
    attribution=(
        "Vassil Panayotov, Guoguo Chen, Daniel Povey and Sanjeev Khudanpur, from audio books of the LibriVox project"
    ),
    citation=(
        "V. Panayotov, G. Chen, D. Povey, S. Khudanpur: LibriSpeech: an ASR corpus based on public domain audio books, "
        "ICASSP 2015"
    ),
    homepage="https://www.openslr.org/12",
)

NEGATIVES = "negatives"
"""Name of the default bank of negatives, and of its folder in the user's cache."""

SPEECH, SOUNDS, NOISE = "speech", "sounds", "noise"

_NEGATIVE_PARTS = {
    SPEECH: _DEV_CLEAN,
    SOUNDS: _DATA_SETS["esc-10"],
    # Of the archives that have the background noises, version 1 is the smallest.
    NOISE: _DATA_SETS["speech-commands-v1"],
}

SOURCES: Mapping[str, Source] = {
    **_DATA_SETS,
    NEGATIVES: Source(
        title="Bank of negatives",
        purpose="read speech, everyday sounds and noise, for `train` to learn to reject: kept in the cache folder",
        files=tuple(file for part in _NEGATIVE_PARTS.values() for file in part.files),
        layout="negatives",
        count=3109,
        language="en",
        licence="CC-BY-4.0, CC-BY-3.0",
        attribution=(
            "the makers of LibriSpeech (dev-clean), ESC-10 and Speech Commands (background noises); "
            "ATTRIBUTION.txt names them"
        ),
        citation="; ".join(part.citation for part in _NEGATIVE_PARTS.values()),
        homepage=_DEV_CLEAN.homepage,
        parts=_NEGATIVE_PARTS,
    ),
}
"""The data sets of `build.get`, by their names."""


def makers(title: str) -> str:
    """Return the makers to name for the data set with this title; empty where it is not in the catalogue."""
    known = [one for source in SOURCES.values() for one in (source, *source.parts.values())]
    return next((source.attribution for source in known if source.title == title), "")


def find(name: str) -> Source:
    """Return the source called `name`; `ConfigError` with what may have been meant if there is none."""
    if name in SOURCES:
        return SOURCES[name]
    meant = did_you_mean(name, SOURCES) or f"known are {', '.join(SOURCES)}"
    raise ConfigError(f"no data set is called {name!r}; {meant}")
