"""Archives laid out as those of Common Voice, with words that espeak-ng says, and a server to get them from."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import loopback
import numpy as np
import soundfile

from audioconv.audio.read import read
from audioconv.datasets import open_collection
from audioconv.tts.dataset import make

RELEASE = "cv-corpus-26.0-2026-06-12"
SINGLE_WORDS = "cv-corpus-7.0-singleword"

COLUMNS = (
    "client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes", "age", "gender",
    "accents", "variant", "locale", "segment",
)  # fmt: skip
COLUMNS_OF_RELEASE_7 = (
    "client_id", "path", "sentence", "up_votes", "down_votes", "age", "gender", "accent", "locale", "segment",
)  # fmt: skip

RATE = 32000
KEY = "the-key-nobody-may-see"


@dataclass
class Voice:
    """A clip for an archive, and where its word is."""

    sentence: str
    speaker: str
    content: bytes
    begin: float = 0.0
    end: float = 0.0
    table: str = "validated"
    more: Mapping[str, str] = field(default_factory=dict)


def room(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return a quiet room."""
    return rng.normal(0, 0.001, round(seconds * RATE)).astype(np.float32)


def encode(samples: np.ndarray, form: str = "MP3") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=form)
    return file.getvalue()


def speak(words: Sequence[str], folder: Path, clips: int, speakers: int = 30) -> list[Voice]:
    """Return recordings of words, each somewhere in a clip of 2.7 s, said by so many people."""
    rng = np.random.default_rng(1)
    voices = []
    for n, item in enumerate(open_collection(make(words, folder, clips_per_word=clips), minimum_classes=1).items):
        word = read(item.path, RATE)
        word *= rng.uniform(0.2, 0.8) / abs(word).max()
        clip = room(2.7, rng)
        first = int(rng.integers(RATE // 10, len(clip) - len(word) - RATE // 10))
        clip[first : first + len(word)] += word
        begin, end = first / RATE, (first + len(word)) / RATE
        speaker = hashlib.sha512(b"%d" % (n % speakers)).hexdigest()
        voices.append(Voice(item.label, speaker, encode(clip), begin, end))
    return voices


def pack(path: Path, languages: Mapping[str, Sequence[Voice]], *, single_words: bool = False) -> Path:
    """Write an archive in the layout of a release, or in that of the single words, its tables behind the clips."""
    top = SINGLE_WORDS if single_words else RELEASE
    columns = COLUMNS_OF_RELEASE_7 if single_words else COLUMNS
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:

        def add(name: str, content: bytes) -> None:
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

        for language, voices in languages.items():
            tables: dict[str, list[dict[str, str]]] = {
                name: [] for name in ("validated", "train", "dev", "test", "invalidated", "other")
            }
            add(f"{language}/._clips", b"junk")
            for n, voice in enumerate(voices):
                name = f"common_voice_{language}_{n:08}.mp3"
                add(f"{language}/clips/{name}", voice.content)
                row = {
                    "client_id": voice.speaker, "path": name, "sentence": voice.sentence, "up_votes": "2",
                    "down_votes": "0", "locale": language, "segment": "Singleword" if single_words else "",
                }  # fmt: skip
                tables[voice.table].append({**row, **voice.more})
            tables["dev"] = tables["validated"][:3]
            for name, rows in tables.items():
                text = io.StringIO()
                writer = csv.DictWriter(
                    text, columns, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n"
                )
                writer.writeheader()
                writer.writerows(rows)
                add(f"{language}/{name}.tsv", text.getvalue().encode())
            add(f"{language}/clip_durations.tsv", b"clip\tduration[ms]\n")
    return path


@dataclass
class Offer:
    """A data set that the collective offers."""

    name: str
    path: Path
    checksum: str | None = None
    terms_accepted: bool = True
    gone: bool = False


class Collective(loopback.Loopback):
    """A server that follows the protocol of Mozilla Data Collective.

    `refusals` are answered first to requests for a download: a status, and its headers. `log` has what was asked.
    """

    def __init__(self, offers: Mapping[str, Offer]) -> None:
        super().__init__(self._get, self._post)
        self.offers = dict(offers)
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.log: list[tuple[str, str, dict[str, str]]] = []
        self.seconds_per_chunk = 0.0

    def _describe(self, key: str) -> dict[str, object]:
        offer = self.offers[key]
        slug = re.sub(r"\W+", "-", offer.name.lower())
        return {
            "id": key, "name": offer.name, "slug": slug, "filename": offer.path.name, "checksum": offer.checksum,
            "sizeBytes": offer.path.stat().st_size, "datasetUrl": f"{self.url}/page/{slug}",
        }  # fmt: skip

    def _get(self, handler: BaseHTTPRequestHandler) -> None:
        self.log.append(("GET", handler.path, dict(handler.headers)))
        parts = urlsplit(handler.path)
        if parts.path == "/api/datasets":
            query = parse_qs(parts.query)
            words = query.get("q", [""])[0].lower().split()
            items = [self._describe(key) for key in self.offers]
            found = [item for item in items if any(word in str(item["name"]).lower() for word in words)]
            locale = query.get("locale", [""])[0]
            names = {"en": "english", "sw": "swahili"}
            if locale:
                found = [item for item in found if names.get(locale, "?") in str(item["name"]).lower()]
            self._answer(handler, 200, {"items": found, "total": len(found)})
        elif parts.path.startswith("/api/datasets/"):
            wanted = parts.path.rpartition("/")[2]
            key = next((k for k in self.offers if wanted in (k, self._describe(k)["slug"])), None)
            if key is None:
                self._answer(handler, 404, {"error": "not found"})
            else:
                self._answer(handler, 200, self._describe(key))
        elif parts.path.startswith("/files/"):
            self._send_file(handler, self.offers[parts.path.rpartition("/")[2]].path)
        else:
            self._answer(handler, 404, {"error": "not found"})

    def _post(self, handler: BaseHTTPRequestHandler) -> None:
        self.log.append(("POST", handler.path, dict(handler.headers)))
        key = handler.path.split("/")[3]
        if self.refusals:
            code, headers = self.refusals.pop(0)
            self._answer(handler, code, {"error": "no"}, headers)
        elif handler.headers.get("Authorization") != f"Bearer {KEY}":
            self._answer(handler, 401, {"error": f"bad key {handler.headers.get('Authorization')}"})
        elif self.offers[key].gone:
            self._answer(handler, 410, {"error": "gone"})
        elif not self.offers[key].terms_accepted:
            self._answer(handler, 403, {"error": "terms"})
        else:
            offer = self.offers[key]
            self._answer(
                handler, 200,
                {
                    "downloadUrl": f"{self.url}/files/{key}?signature=secret-{len(self.log)}",
                    "sizeBytes": str(offer.path.stat().st_size),
                    "checksum": offer.checksum,
                    "filename": offer.path.name,
                },
            )  # fmt: skip

    def _answer(
        self, handler: BaseHTTPRequestHandler, code: int, value: object, headers: Mapping[str, str] | None = None
    ) -> None:
        body = json.dumps(value).encode()
        handler.send_response(code)
        for name, text in (headers or {}).items():
            handler.send_header(name, text)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _send_file(self, handler: BaseHTTPRequestHandler, path: Path) -> None:
        assert "Authorization" not in handler.headers, "the key went to the store"
        content = path.read_bytes()
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        first = int(wanted[1]) if wanted and handler.headers.get("If-Range") in (None, etag) else 0
        handler.send_response(206 if first else 200)
        if first:
            handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(content) - first))
        handler.end_headers()
        for begin in range(first, len(content), 65536):
            handler.wfile.write(content[begin : begin + 65536])
            if self.seconds_per_chunk:
                handler.wfile.flush()
                time.sleep(self.seconds_per_chunk)
