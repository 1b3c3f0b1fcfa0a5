"""Real words: training on few takes, listening to spliced streams, and what corrections bring."""

from __future__ import annotations

import asyncio

import pytest
import soundfile
from labs import RATE, in_thread, wav
from learning import add_words, found_of, listen, some_clips, spliced, takes, train

WORDS = ("go", "left", "one")
OTHERS = ("eight", "right", "up", "zero", "five", "down")
SPEAKERS = ("0132a06d", "0137b3f4", "099d52ad")


def events(messages):
    return [message for message in messages if message["type"] == "event"]


@pytest.fixture(scope="module")
def trained(test_data, tmp_path_factory):
    """Return a lab that has learned two words of eight people each, in a few epochs."""
    with in_thread(tmp_path_factory.mktemp("words")) as page:
        add_words(page, test_data, {word: some_clips(test_data, word, 8) for word in ("left", "one")}, background=10)
        run = train(page, epochs=4)
        assert run["state"] == "done", run["message"]
        yield page, run


@pytest.mark.slow
def test_results_of_real_words(trained):
    page, run = trained
    use = "mixed into the clips and used as negatives"
    assert f"_background_noise_ (1 recording, 10 s): {use}" in run["notes"]
    results = page.get("/api/results")
    assert results["clips"] == 16
    assert results["confusion"]["labels"] == ["left", "one"]
    counts = results["confusion"]["counts"]
    assert [sum(row) for row in counts] == [8, 8]
    assert results["accuracy"] == (counts[0][0] + counts[1][1]) / 16
    assert results["held_out"].startswith("3 networks, each trained without one part of 3")
    wrong = {one["clip"]["id"]: one for one in results["mistakes"]}
    assert len(wrong) == len(results["mistakes"]) >= counts[0][1] + counts[1][0]
    for one in results["mistakes"]:
        assert one["clip"]["class"] == one["label"] != one["answer"]
        assert 0 <= one["score"] <= 1
    assert results["false_accepts_per_hour"] is None
    curve = page.get("/api/curve")
    assert curve["threshold"] == page.get("/api/project")["model"]["threshold"]
    for name in ("found", "negatives"):
        values = [point[name] for point in curve["points"]]
        assert values == sorted(values, reverse=True)
    assert all(point["false_accepts_per_hour"] is None for point in curve["points"])
    assert "_unknown_" not in page.get("/api/project")["model"]["labels"]


@pytest.mark.slow
def test_a_mistake_whose_clip_has_gone_is_left_out(trained, monkeypatch):
    from audioconv.lab import training_routes
    from audioconv.lab.project import Project

    page, _ = trained
    project = Project(page.folder)
    clip = project.clips("one")[0]
    mistakes = [{"clip": name, "label": label, "answer": None, "score": 0.1} for name, label in
                ((clip.id, "one"), (clip.id, "left"), ("one/gone.flac", "one"))]  # fmt: skip
    (left,) = training_routes.with_clips(mistakes, project)
    assert left["clip"]["id"] == clip.id


@pytest.mark.slow
def test_a_spliced_stream_at_the_rate_of_a_browser(trained, test_data):
    page, _ = trained
    sound, _ = spliced([("one", path) for path in some_clips(test_data, "one", 2, first=20)])
    import soxr

    messages = asyncio.run(listen(page, soxr.resample(sound, RATE, 48000), rate=48000, threshold=0.2))
    for one in events(messages):
        assert 0.2 <= one["score"] <= 1
        assert 0 <= one["begin"] < one["end"] <= len(sound) / RATE
    scores = [message for message in messages if message["type"] == "scores"]
    assert len(scores) >= 8 * len(sound) / RATE
    searched = page.ask("POST", "/api/search", params={"threshold": 0.2}, content=wav(sound)).json()
    assert abs(len(searched["events"]) - len(events(messages))) <= 1
    assert searched["seconds"] == pytest.approx(len(sound) / RATE, abs=0.01)


@pytest.mark.slow
@pytest.mark.long
def test_three_words_of_ten_takes_are_found_and_corrections_are_learned(test_data, tmp_path):
    """The journey of a page: record, train, listen, correct, train again; with its figures."""
    words = {word: [path for who in SPEAKERS for path in takes(test_data, word, who)[:4]][:10] for word in WORDS}
    last = [(word, takes(test_data, word, who)[4]) for who in SPEAKERS for word in WORDS]
    others = [(word, path) for word in OTHERS for path in some_clips(test_data, word, 8, first=40)]
    with in_thread(tmp_path) as page:
        add_words(page, test_data, words)
        run = train(page, 600.0)
        assert run["state"] == "done", run["message"]
        results = page.get("/api/results")
        assert results["clips"] == 30
        assert results["accuracy"] >= 0.8
        same, places = spliced(last)
        found = found_of(events(asyncio.run(listen(page, same))), places)
        assert found >= 7, found
        strange, _ = spliced(others)

        def wrong(message):
            return (
                {"type": "verdict", "event": message["id"], "verdict": "wrong"} if message["type"] == "event" else None
            )

        # At a low threshold, so that there is something to correct.
        messages = asyncio.run(listen(page, strange, wrong, threshold=0.4))
        stored = [message for message in messages if message["type"] == "stored"]
        assert len(stored) == len(events(messages)) > 0
        assert all(message["clip"]["class"] == "_unknown_" for message in stored)
        for message in stored:
            assert soundfile.info(tmp_path / message["clip"]["id"]).duration > 0.8
        if len(stored) < 2:  # a class needs two clips
            page.upload("_unknown_", "other.flac", others[0][1].read_bytes())
        assert train(page, 600.0)["state"] == "done"
        assert "_unknown_" in page.get("/api/project")["model"]["labels"]
        again = events(asyncio.run(listen(page, strange, threshold=0.4)))
        assert len(again) < len(stored)
        assert found_of(events(asyncio.run(listen(page, same))), places) >= 6


@pytest.mark.slow
@pytest.mark.long
def test_the_command_line_goes_on_with_the_folder(test_data, tmp_path):
    """`audioconv train FOLDER` reads what the page has stored: noise is noise, other words are rejected."""
    import json
    import subprocess
    import sys

    with in_thread(tmp_path / "project") as page:
        add_words(page, test_data, {word: some_clips(test_data, word, 6) for word in ("left", "one")}, background=10)
        for number, path in enumerate(some_clips(test_data, "down", 6)):
            page.upload("_unknown_", f"{number}.flac", path.read_bytes())
    command = [sys.executable, "-m", "audioconv", "train", str(tmp_path / "project"), "-o", str(tmp_path / "model")]
    command += ["--folds", "2", "--epochs", "4", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["counts"]["train"] == {"_unknown_": 6, "left": 6, "one": 6}
    assert found["decision"]["basis"]["words"] == 12
    assert "_background_noise_ (1 recording, 10 s)" in done.stderr
