"""A server like that of `audioconv lab`, with invented contents, for states of the page that are slow to reach.

Nothing is trained or measured: tests of the page alone ask it, those of the whole ask the real server.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioconv.lab import static_routes
from audioconv.lab.app import PAGE_HEADERS
from audioconv.lab.training import OPTIONS

TOKEN = "fake"
BACKGROUND, OTHER = "_background_noise_", "_unknown_"
WORDS = ("left", "right", "stop")
RATE = 16000


def clip(label: str, number: int, **more: Any) -> dict[str, Any]:
    """Return a clip as the server describes one."""
    return {
        "id": f"{label}/take_{number:05}.flac", "class": label, "name": f"take_{number:05}.flac",
        "speaker": ("anna", "ben", "")[number % 3], "seconds": round(0.6 + number % 7 / 10, 2), "rate": RATE,
        "faults": [], "editable": True, "added": number, **more,
    }  # fmt: skip


def run(state: str, epoch: int = 12, epochs: int = 30, **more: Any) -> dict[str, Any]:
    """Return a training as the server describes one."""
    history = [
        {"epoch": n, "loss": 1.1 * 0.8**n, "accuracy": 1 - 0.6 * 0.8**n,
         "validation_loss": 1.15 * 0.82**n + 0.08, "validation_accuracy": 0.95 - 0.55 * 0.8**n}
        for n in range(1, epoch + 1)
    ]  # fmt: skip
    return {
        "id": "1", "state": state, "message": "", "epoch": epoch, "epochs": epochs, "batch": 3, "batches": 9,
        "loss": 0.1, "accuracy": 0.9, "seconds": 14.0, "seconds_left": 21.0, "history": history, "notes": [], **more,
    }  # fmt: skip


class FakeLab:
    """The state of the server; tests change it.

    Attributes
    ----------
    clips : dict
        Clips by class, the newest first.
    project : dict
        What `GET /api/project` says beside the classes.
    answers : dict
        What `GET` and `POST` of other paths are answered with.
    requests : list
        Every request of the API but those for pictures: method, path with query, body.
    """

    def __init__(self) -> None:
        self.clips: dict[str, list[dict[str, Any]]] = {}
        self.project: dict[str, Any] = {
            "name": "light-switch", "folder": "/home/anna/light-switch", "version": "0", "kind": None, "revision": 1,
            "speakers": [], "settings": {"plan": "", "ready": False, "options": []}, "model": None, "run": None,
            "voices": True, "microphone_hint": "",
        }  # fmt: skip
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, str, bytes]] = []
        self._sockets: list[tuple[asyncio.AbstractEventLoop, WebSocket]] = []

    def fill(self, count: int = 24) -> None:
        """Let there be three words, background, and a model with results."""
        self.project |= {"kind": "audio", "speakers": ["anna", "ben"]}
        self.clips[BACKGROUND] = [clip(BACKGROUND, n, seconds=10.0, speaker="") for n in range(2)]
        for place, word in enumerate(WORDS):
            self.clips[word] = [clip(word, n) for n in reversed(range(count - 3 * place))]
        self.clips[OTHER] = [clip(OTHER, n) for n in range(5)]
        self.clips["left"][4]["faults"] = [{"kind": "clipped", "message": "clipped: 3% of its samples"}]
        self.project["settings"] = {"plan": "", "ready": True, "options": OPTIONS}

    def train(self) -> None:
        """Let there be a model with results."""
        labels = [*WORDS, OTHER]
        self.project["model"] = {
            "path": "models/model.safetensors", "labels": labels, "trained": "2026-02-03T10:00:00", "accuracy": 0.945,
            "streams": True, "words": list(WORDS),
        }  # fmt: skip
        self.project["run"] = run("done", 30, seconds=35.0, seconds_left=None)
        mistakes = [("left", 3, "right", 0.93), ("stop", 1, OTHER, 0.71), ("right", 2, "left", 0.55)]
        self.answers["results"] = {
            "accuracy": 0.945, "interval": [0.853, 0.981], "clips": 55, "held_out": "Clips of other speakers.",
            "confusion": {"labels": labels, "counts": [[17, 1, 0, 0], [1, 15, 0, 0], [0, 0, 12, 1], [0, 0, 0, 8]]},
            "false_accepts_per_hour": 0.8, "words_found": 0.91, "history": [], "seconds": 35.0,
            "mistakes": [{"clip": clip(a, n), "label": a, "answer": b, "score": p} for a, n, b, p in mistakes],
        }  # fmt: skip
        self.answers["curve"] = {
            "threshold": 0.82,
            "points": [
                {"threshold": x, "found": 1 - 0.35 * x**3, "false_accepts_per_hour": 40 * (1 - x) ** 2}
                for x in np.linspace(0, 1, 41).tolist()
            ],
        }
        self.answers["exports"] = [
            {"format": "onnx", "title": "ONNX", "available": True, "why_not": None, "size": 214_000,
             "command": "audioconv export models/model.safetensors -o model.onnx",
             "code": "import onnxruntime\nsession = onnxruntime.InferenceSession('model.onnx')"},
            {"format": "tflite", "title": "TensorFlow Lite", "available": True, "why_not": None, "command": "x",
             "code": ""},
            {"format": "c", "title": "C99 source", "available": False, "why_not": "The network is too large.",
             "command": ""},
        ]  # fmt: skip

    def publish(self, event: dict[str, Any]) -> None:
        """Send an event to all open pages."""
        for loop, socket in list(self._sockets):
            asyncio.run_coroutine_threadsafe(socket.send_text(json.dumps(event)), loop)

    def described(self) -> dict[str, Any]:
        """Return what `GET /api/project` answers."""
        roles = {BACKGROUND: "background", OTHER: "unknown"}
        classes = [
            {
                "name": name,
                "role": roles.get(name, "word"),
                "clips": len(clips),
                "seconds": sum(c["seconds"] for c in clips),
            }
            for name, clips in self.clips.items()
        ]
        return {**self.project, "classes": classes}

    # --- the server ---

    def app(self) -> Starlette:
        """Return the server as an ASGI application."""
        return Starlette(
            routes=[
                Route("/api/{path:path}", self._api, methods=["GET", "POST", "PATCH", "DELETE"]),
                WebSocketRoute("/api/events", self._events),
                WebSocketRoute("/api/record", self._record),
                WebSocketRoute("/api/listen", self._listen),
                Route("/{name:path}", _static),
            ]
        )

    async def _api(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "a token is needed"}, 401)
        path = request.path_params["path"]
        last = path.rpartition("/")[2]
        if last == "picture":
            return Response(_picture(path), media_type="image/png")
        body = await request.body()
        self.requests.append((request.method, f"{path}?{request.url.query}".rstrip("?"), body))
        if last == "audio":
            return Response(_sound(path), media_type="audio/wav")
        if path == "project":
            return JSONResponse(self.described())
        if path == "classes":
            self.clips.setdefault(json.loads(body)["name"], [])
            return JSONResponse({})
        if path == "clips" and request.method == "GET":
            found = self.clips.get(request.query_params["class"], [])
            offset, limit = (int(request.query_params[name]) for name in ("offset", "limit"))
            return JSONResponse({"total": len(found), "revision": 1, "clips": found[offset : offset + limit]})
        if path == "clips":
            name = request.query_params["class"]
            new = clip(name, len(self.clips.setdefault(name, [])))
            self.clips[name].insert(0, new)
            self.project["kind"] = "audio"
            return JSONResponse({"clips": [new], "skipped": []})
        if path in ("clips/delete", "clips/move"):
            asked = json.loads(body)
            taken = [c for clips in self.clips.values() for c in clips if c["id"] in asked["ids"]]
            for clips in self.clips.values():
                clips[:] = [c for c in clips if c["id"] not in asked["ids"]]
            if path == "clips/move":
                self.clips.setdefault(asked["class"], []).extend(taken)
            return JSONResponse({})
        if path in self.answers:
            return JSONResponse(self.answers[path])
        return JSONResponse({"error": f"there is no {path}"}, 404)

    async def _accept(self, socket: WebSocket) -> bool:
        if f"token.{TOKEN}" not in socket.headers.get("sec-websocket-protocol", ""):
            await socket.close(1008)
            return False
        await socket.accept("audioconv")
        return True

    async def _events(self, socket: WebSocket) -> None:
        if await self._accept(socket):
            entry = (asyncio.get_running_loop(), socket)
            self._sockets.append(entry)
            with contextlib.suppress(WebSocketDisconnect):
                while True:
                    await socket.receive_text()
            self._sockets.remove(entry)

    async def _record(self, socket: WebSocket) -> None:
        """Store a clip for each half second of sound."""
        if not await self._accept(socket):
            return
        name, rate = socket.query_params["class"], int(socket.query_params["rate"])
        received = stored = 0
        with contextlib.suppress(WebSocketDisconnect, KeyError):
            while True:
                message = await socket.receive()
                if message.get("text"):
                    await socket.send_json({"type": "done", "clips": stored, "seconds": received / rate})
                    await socket.close()
                    return
                samples = np.frombuffer(message["bytes"], np.float32)
                received += len(samples)
                db = float(10 * np.log10(np.mean(samples**2) + 1e-12))
                await socket.send_json({"type": "level", "db": db, "peak": 0.1, "clipping": False, "silent": False})
                if received > (stored + 1) * rate / 2:
                    stored += 1
                    new = clip(name, len(self.clips.setdefault(name, [])))
                    self.clips[name].insert(0, new)
                    self.project["kind"] = "audio"
                    await socket.send_json({"type": "clip", "clip": new})
                    self.publish({"type": "project", "revision": stored})

    async def _listen(self, socket: WebSocket) -> None:
        """Find the words one after the other, one a second."""
        if not await self._accept(socket):
            return
        rate = int(socket.query_params["rate"])
        received = found = 0
        with contextlib.suppress(WebSocketDisconnect, KeyError):
            while True:
                message = await socket.receive()
                if message.get("text"):
                    asked = json.loads(message["text"])
                    self.requests.append(("WS", "listen", message["text"].encode()))
                    if asked["type"] == "stop":
                        await socket.close()
                        return
                    if asked["type"] in ("verdict", "missed"):
                        name = OTHER if asked.get("verdict") == "wrong" else asked.get("label") or WORDS[0]
                        new = clip(name, 900 + found)
                        self.clips.setdefault(name, []).insert(0, new)
                        await socket.send_json({"type": "stored", "clip": new, "event": asked.get("event")})
                    continue
                received += len(message["bytes"]) // 4
                word = WORDS[found % 3]
                scores = dict.fromkeys((*WORDS, OTHER), 0.02) | {word: 0.91}
                await socket.send_json(
                    {"type": "scores", "time": received / rate, "scores": scores, "db": -31.0, "speech": True}
                )
                if received > (found + 1) * rate / 2:
                    time = received / rate
                    event = {"id": found, "label": word, "score": 0.91, "time": time, "begin": time - 0.6, "end": time}
                    await socket.send_json({"type": "event", **event})
                    found += 1


async def _static(request: Request) -> Response:
    name = request.path_params["name"] or "index.html"
    data, kind, _ = static_routes.content(name)
    return Response(data, media_type=kind, headers=PAGE_HEADERS)


def _sound(path: str) -> bytes:
    seed = sum(path.encode())
    time = np.arange(RATE) / RATE
    file = io.BytesIO()
    soundfile.write(
        file,
        0.3 * np.sin(2 * np.pi * (200 + seed % 200) * time) * np.exp(-((time - 0.5) ** 2) / 0.02),
        RATE,
        format="WAV",
    )
    return file.getvalue()


def _picture(path: str) -> bytes:
    rng = np.random.default_rng(sum(path.encode()))
    y, x = np.mgrid[0:56, 0:104]
    energy = np.exp(-((x - 52) ** 2) / 500) * (0.4 + 0.6 * np.sin(y / rng.uniform(2, 5) + x / 30) ** 2) * (y / 56)
    alpha = (255 * np.clip(energy + rng.normal(0, 0.03, energy.shape), 0, 1)).astype(np.uint8)
    colour = np.broadcast_to(np.array([31, 93, 156], np.uint8), (56, 104, 3))
    file = io.BytesIO()
    Image.fromarray(np.dstack([colour, alpha])).save(file, "PNG")
    return file.getvalue()


@contextlib.contextmanager
def served(fake: FakeLab) -> Iterator[str]:
    """Serve it on a free port of this machine; yield the address to open."""
    server = uvicorn.Server(
        uvicorn.Config(fake.app(), port=0, log_level="error", lifespan="off", ws="websockets-sansio")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            threading.Event().wait(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/#token={TOKEN}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join()
