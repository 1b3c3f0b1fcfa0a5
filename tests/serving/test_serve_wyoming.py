"""The Wyoming service, by the protocol's own client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time

import numpy as np
import pytest
from services import hear, in_thread, until_pong, wyoming_client
from streams import RATE, recording
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.wake import Detect, Detection, NotDetected

from audioconv import Detector
from audioconv.serving.limits import Limits

SAID = [("high", 0.5), ("low", 1.6), ("low", 2.9), ("high", 4.0)]


def pcm(samples: np.ndarray) -> np.ndarray:
    return np.round(samples * 32767).astype("<i2")


PCM = pcm(recording(SAID, 5.0))


@pytest.fixture(scope="module")
def running(two_models):
    with in_thread(two_models) as running:
        yield running


@pytest.fixture(scope="module")
def alone(tones):
    with in_thread(tones) as running:
        yield running


def found(model, samples: np.ndarray, rate: int) -> list[tuple[str, int]]:
    """Return label and end (in ms) of what `Detector` detects in whole."""
    detector = Detector(model, sample_rate=rate)
    return [(one.label, round(1000 * one.end)) for one in detector.push(samples) + detector.flush()]


def told(events) -> list[tuple[str, int]]:
    assert {event.type for event in events} <= {"detection"}
    return [(one.name, one.timestamp) for one in map(Detection.from_event, events)]


def ask(running, data: bytes, then_close: bool = True) -> bytes:
    """Send bytes, and return all that comes until the service closes the connection."""
    with socket.create_connection(("127.0.0.1", running.wyoming), timeout=30) as client:
        client.sendall(data)
        if then_close:
            client.shutdown(socket.SHUT_WR)
        answer = b""
        while part := client.recv(1 << 16):
            answer += part
        return answer


def test_what_it_offers(running):
    async def main():
        async with wyoming_client(running) as client:
            await client.write_event(Describe().event())
            return Info.from_event(await client.read_event())

    program = asyncio.run(main()).wake[0]
    assert program.name == "audioconv"
    assert {one.name: one.phrase for one in program.models} == {
        "high": "high",
        "tones/low": "low",
        "treble": "treble",
        "other/low": "low",
    }
    assert all(one.installed for one in program.models)


@pytest.mark.parametrize("chunk", [1, 7, 160, 2048, 1 << 20])
def test_the_same_words_whatever_the_chunks(alone, tones, chunk):
    expected = found(tones.served[0].model, PCM, RATE)
    assert [label for label, _ in expected] == [label for label, _ in SAID]
    data = PCM.tobytes()
    # Chunks of one byte for the first word only: each is an event of its own.
    data, expected = (
        (data, expected) if chunk > 1 else (data[: 2 * RATE], found(tones.served[0].model, PCM[:RATE], RATE))
    )
    assert told(asyncio.run(hear(alone, data, RATE, chunk))) == expected


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_any_rate(alone, tones, rate):
    samples = pcm(recording(SAID, 5.0, rate))
    expected = found(tones.served[0].model, samples, rate)
    assert [label for label, _ in expected] == [label for label, _ in SAID]
    assert told(asyncio.run(hear(alone, samples.tobytes(), rate, 1024))) == expected


def test_two_channels(alone, tones):
    both = np.stack([PCM, PCM], axis=1)
    assert told(asyncio.run(hear(alone, both.tobytes(), RATE, 1022, channels=2))) == found(
        tones.served[0].model, both, RATE
    )


@pytest.mark.parametrize("width", [1, 3, 4])
def test_any_width(alone, width):
    wide = PCM.astype("<i4") << 16
    data = {
        1: (wide >> 24).astype(np.int8).view(np.uint8) ^ 0x80,  # eight bits are unsigned
        3: wide.view(np.uint8).reshape(-1, 4)[:, 1:],
        4: wide,
    }[width].tobytes()
    answers = told(asyncio.run(hear(alone, data, RATE, 1000, width=width)))
    assert [label for label, _ in answers] == [label for label, _ in SAID]


@pytest.mark.parametrize("chunk", [640, 2051, 30_000])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_real_words(words, spoken_words, chunk, rate):
    samples = np.repeat(spoken_words, rate // 16000)
    model = words.served[0].model
    expected = found(model, samples, rate)
    assert len(expected) >= 6
    with in_thread(words) as running:
        assert told(asyncio.run(hear(running, samples.tobytes(), rate, chunk))) == expected


def test_times_are_those_of_the_client(alone):
    first = told(asyncio.run(hear(alone, PCM.tobytes(), RATE, 1000)))
    later = told(asyncio.run(hear(alone, PCM.tobytes(), RATE, 1000, begin=60_000)))
    assert later == [(label, time + 60_000) for label, time in first]


def test_the_words_that_are_asked_for(running):
    of_both = told(asyncio.run(hear(running, PCM.tobytes(), RATE, 1000)))
    assert [name for name, _ in of_both if name in ("treble", "high")] == ["high", "treble"] * 2
    low = told(asyncio.run(hear(running, PCM.tobytes(), RATE, 1000, ["other/low"])))
    assert [name for name, _ in low] == ["other/low"] * 2
    other = told(asyncio.run(hear(running, PCM.tobytes(), RATE, 1000, ["other"])))
    assert [name for name, _ in other] == ["treble", "other/low", "other/low", "treble"]


def test_a_name_that_is_unknown(running):
    events = asyncio.run(hear(running, PCM.tobytes(), RATE, 1000, ["hey"], context={"n": 1}))
    assert [event.type for event in events] == ["error", "not-detected"]
    error = Error.from_event(events[0])
    assert error.code == "unknown-name"
    assert "there is no word or model hey; there are high, tones/low" in error.text
    assert NotDetected.from_event(events[1]).context == {"n": 1}


def test_contexts_come_back(running):
    events = asyncio.run(hear(running, PCM.tobytes(), RATE, 1000, ["high"], context={"room": "kitchen"}))
    assert [event.data["context"] for event in events] == [{"room": "kitchen"}] * 2


def test_silence_is_not_detected(alone):
    events = asyncio.run(hear(alone, bytes(4 * RATE), RATE, 1000))
    assert [event.type for event in events] == ["not-detected"]


def test_several_streams_on_one_connection(alone, tones):
    form = {"rate": RATE, "width": 2, "channels": 1}

    async def main():
        answers = []
        async with wyoming_client(alone) as client:
            for data in (PCM.tobytes(), bytes(2 * RATE), PCM.tobytes()):
                await client.write_event(AudioStart(**form).event())
                await client.write_event(AudioChunk(**form, audio=data).event())
                await client.write_event(AudioStop().event())
                answers.append(await until_pong(client))
        return answers

    first, silent, again = asyncio.run(main())
    assert told(first) == told(again) == found(tones.served[0].model, PCM, RATE)
    assert [event.type for event in silent] == ["not-detected"]


def test_words_are_told_before_the_stream_ends_and_choices_may_change(alone):
    form = {"rate": RATE, "width": 2, "channels": 1}

    async def main():
        async with wyoming_client(alone) as client:
            # Without audio-start, as some clients do.
            await client.write_event(AudioChunk(**form, audio=PCM[: round(1.5 * RATE)].tobytes()).event())
            first = await client.read_event()
            await client.write_event(Detect(["high"]).event())
            await client.write_event(AudioChunk(**form, audio=PCM[round(1.5 * RATE) :].tobytes()).event())
            await client.write_event(AudioStop().event())
            return [first, *await until_pong(client)]

    answers = told(asyncio.run(main()))
    assert [name for name, _ in answers] == ["high", "high"]
    assert abs(answers[1][1] - 4280) < 150  # the time goes on


def test_two_clients_have_their_own_streams(alone, tones):
    other = pcm(recording([("low", 0.4), ("high", 2.0)], 3.0, seed=5))

    async def main():
        streams = [hear(alone, data.tobytes(), RATE, 400) for data in (PCM, other, PCM, other)]
        return await asyncio.gather(*streams)

    model = tones.served[0].model
    expected = [found(model, data, RATE) for data in (PCM, other)] * 2
    assert [label for label, _ in expected[1]] == ["low", "high"]
    assert [told(events) for events in asyncio.run(main())] == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "is not JSON; this is a service of the Wyoming protocol"),
        (b"\x00\xff\xfe\n", "is not JSON"),
        (b"\n", "is not JSON"),
        (b"[" * 60_000 + b"\n", "is not JSON"),
        (b"[]\n", "the line of an event must be a JSON object, got list"),
        (b"{}\n", 'an event needs a "type" that is text, got null'),
        (b'{"type": 7}\n', "got 7"),
        (b'{"type": "ping", "data": [1]}\n', "data must be an object"),
        (b'{"type": "x", "data_length": -1}\n', "data_length must be a whole number from 0 to 65536, got -1"),
        (b'{"type": "x", "data_length": 1e9}\n', "data_length must be a whole number"),
        (b'{"type": "x", "data_length": true}\n', "data_length must be a whole number"),
        (b'{"type": "x", "payload_length": 99999999999}\n', "payload_length must be a whole number from 0 to 1048576"),
        (b'{"type": "x", "payload_length": "7"}\n', "payload_length must be a whole number"),
        (b'{"type": "x", "data_length": 4}\nnull', 'the data of "x" must be a JSON object'),
        (b'{"type": "x", "data_length": 40}\n{', "the connection ended within an event"),
        (b'{"type": "x"', "the connection ended within an event"),
        (b'{"type": "' + b"x" * 100_000, "longer than 65536 bytes"),
        (b'{"type": "detect", "data": {"names": "high"}}\n', "names must be a list of texts"),
        (b'{"type": "detect", "data": {"names": [1]}}\n', "names must be a list of texts"),
        (b'{"type": "detect", "data": {"context": 1}}\n', "context must be an object"),
        (b'{"type": "audio-start"}\n', "audio-start: rate must be a whole number, got null"),
        (b'{"type": "audio-start", "data": {"rate": 16000.5, "width": 2, "channels": 1}}\n', "rate must be a whole"),
        (b'{"type": "audio-start", "data": {"rate": 16000, "width": 5, "channels": 1}}\n', "width must be 1 to 4"),
        (b'{"type": "audio-start", "data": {"rate": 0, "width": 2, "channels": 1}}\n', "the sample rate must be"),
        (b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 900}}\n', "1 to 8 channels"),
        (
            b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n'
            b'{"type": "audio-chunk", "data": {"rate": 8000, "width": 2, "channels": 1}}\n',
            "audio-chunk: the stream began with",
        ),
    ],
)
def test_what_is_no_event_is_told_and_ends_the_connection(alone, data, message):
    lines = ask(alone, data).splitlines()
    header, text = json.loads(lines[0]), lines[1].decode()
    assert (header["type"], header["data_length"]) == ("error", len(lines[1]))
    assert message in json.loads(text)["text"]
    assert json.loads(text)["code"] == "bad-event"


def test_events_of_other_services_are_ignored(alone):
    async def main():
        async with wyoming_client(alone) as client:
            for data in (
                b'{"type": "transcribe"}\n',
                b'{"type": "audio-stop"}\n',
                b'{"type": "x", "payload_length": 3}\nabc',
            ):
                client._writer.write(data)
            return await until_pong(client)

    assert asyncio.run(main()) == []


def test_an_event_that_does_not_end_and_a_client_that_says_nothing(tones):
    with in_thread(tones, limits=Limits(seconds=0.3, idle_seconds=0.6)) as running:
        began = time.monotonic()
        assert b"an event took longer than 0.3 s" in ask(running, b'{"type"', then_close=False)
        assert b"nothing has come for 0.6 s; connect again" in ask(running, b"", then_close=False)
        assert time.monotonic() - began < 20


def test_too_many_clients_are_told_and_places_are_free_again(tones):
    async def main(running):
        async with wyoming_client(running) as first, wyoming_client(running) as second:
            assert await until_pong(first) == await until_pong(second) == []
            async with wyoming_client(running) as third:
                refused = Error.from_event(await third.read_event())
                assert refused.code == "busy"
                assert refused.text == "2 clients are connected, and no more are served"
                assert await third.read_event() is None
            assert await until_pong(second) == []
        async with asyncio.timeout(10):
            while True:  # until the service has noticed that they went
                async with wyoming_client(running) as fourth:
                    await fourth.write_event(Describe().event())
                    if (event := await fourth.read_event()).type == "info":
                        return event

    with in_thread(tones, limits=Limits(clients=2)) as running:
        assert asyncio.run(main(running)).type == "info"


def test_a_client_that_does_not_read_is_disconnected(tones, monkeypatch):
    monkeypatch.setattr("audioconv.serving.wyoming_server.WRITE_SECONDS", 0.5)
    with in_thread(tones) as running, socket.create_connection(("127.0.0.1", running.wyoming), timeout=5) as client:
        line = b'{"type": "ping", "data": {"text": "' + b"x" * 30_000 + b'"}}\n'

        def send() -> None:
            while True:
                client.sendall(line)  # a TimeoutError, where it reads no more and does not end the connection

        with pytest.raises(ConnectionError):
            send()


def test_a_service_that_ends_closes_its_connections(tones):
    with contextlib.ExitStack() as stack:
        with in_thread(tones) as running:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", running.wyoming), timeout=30))
            client.sendall(b'{"type": "ping"}\n')
            assert b"pong" in client.recv(100)
            client.sendall(b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n')
        while client.recv(1000):
            pass
