"""The project is the folder: what the page does to it, what others do, and what can be undone."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import sys

import numpy as np
import pytest
import soundfile
from labs import RATE, segment, tone, until, wav

from audioconv.datasets import open_collection
from audioconv.errors import ConfigError, DataError
from audioconv.lab import names
from audioconv.lab.history import History, Step
from audioconv.lab.project import Project


def files(folder):
    """Return all files of a project but the lab's own."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".lab" not in path.relative_to(folder).parts
    }


@pytest.fixture
def project(tmp_path):
    """Return a project with three clips of `high` and two of `low`."""
    found = Project(tmp_path)
    for number in range(3):
        found.add_samples(tone(2000 + number), RATE, "high", "anna")
    for number in range(2):
        found.add_samples(tone(300 + number), RATE, "low", None)
    return found


def state(project):
    """Return everything that undoing has to bring back."""
    contents = {name: (project.folder / name).read_bytes() for name in files(project.folder) - {"manifest.csv"}}
    rows = sorted(json.dumps(clip.to_row(), sort_keys=True) for clip in project.clips())
    return contents, rows


def test_an_empty_folder_becomes_what_the_command_line_trains_on(page):
    about = page.get("/api/project")
    assert (about["name"], about["kind"], about["classes"], about["undo"]) == ("project", None, [], None)
    assert page.post("/api/classes", name="yes") == {"name": "yes"}
    integers = np.rint(tone(440) * 32768).astype(np.int16)
    (clip,) = page.upload("yes", "Anna says.WAV", wav(integers), speaker="Anna B.")["clips"]
    page.upload("no", "other_nohash_1.wav", wav(tone(880)))
    assert clip["id"] == "yes/Anna-says.flac"
    assert (clip["class"], clip["speaker"], clip["seconds"], clip["rate"]) == ("yes", "Anna B.", 0.5, RATE)
    assert (clip["editable"], clip["faults"]) == (True, [])
    about = page.get("/api/project")
    assert [(one["name"], one["role"], one["clips"], one["seconds"]) for one in about["classes"]] == [
        ("no", "word", 1, 0.5), ("yes", "word", 1, 0.5),
    ]  # fmt: skip
    assert (about["kind"], about["speakers"]) == ("audio", ["Anna B.", "other"])
    collection = open_collection(page.folder)
    assert sorted(zip(collection.labels, collection.speakers, strict=True)) == [("no", "other"), ("yes", "Anna B.")]
    samples, rate = soundfile.read(page.folder / clip["id"], dtype="int16")
    assert rate == RATE
    assert np.array_equal(samples, integers)


def test_classes_have_roles_and_their_order(page):
    for name in ("zulu", "_background_noise_", "Alpha", "_unknown_"):
        page.post("/api/classes", name=name)
    found = [(one["name"], one["role"]) for one in page.get("/api/project")["classes"]]
    assert found == [
        ("Alpha", "word"),
        ("zulu", "word"),
        ("_unknown_", "unknown"),
        ("_background_noise_", "background"),
    ]
    assert page.post("/api/classes", name="ALPHA") == {"name": "Alpha"}  # no second one that differs in case


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "1 to 60 letters"), ("a" * 61, "1 to 60 letters"), ("../x", "'/'"), ("a\\b", "cannot have"),
        ("..", "dot"), (".hidden", "dot"), ("models", "another meaning"), ("CON", "another meaning"),
        ("lpt1.txt", "another meaning"), ("_secret_", "underscore"), ("a\x07b", "printed"), ("\ud800", "printed"),
        ("<b>", "'<'"), (7, "text"), (None, "text"),
    ],
)  # fmt: skip
def test_names_that_no_class_has(name, message):
    with pytest.raises(ConfigError, match=message):
        names.checked_class(name)


def test_every_change_can_be_undone(project):
    high, low = project.clips("high"), project.clips("low")
    changes = [
        lambda: project.add_class("empty"),
        lambda: project.rename_class("high", "treble"),
        lambda: project.move([low[0].id], "treble"),
        lambda: project.move([low[1].id], "new one"),
        lambda: project.set_speaker([clip.id for clip in project.clips("treble")], "Bert"),
        lambda: project.trim(project.clips("treble")[0].id, 0.1, 0.3),
        lambda: project.delete([clip.id for clip in project.clips("treble")[:2]]),
        lambda: project.delete_class("treble"),
        lambda: project.add_samples(tone(500), RATE, "treble"),
    ]
    assert len(high) == 3
    before = []
    for change in changes:
        before.append(state(project))
        change()
    for expected in reversed(before):
        assert state(project) != expected or expected == before[0]
        assert project.undo()
        assert state(project) == expected
    assert not (project.folder / "empty").exists()
    while project.undo():
        pass
    assert files(project.folder) == {"manifest.csv"}
    assert not list((project.folder / ".lab" / "trash").iterdir())


def test_a_trimmed_clip_has_the_samples_between(project):
    clip = project.clips("high")[0]
    whole, _ = soundfile.read(clip.item.path, dtype="int16")
    new = project.trim(clip.id, 0.1, 0.35)
    trimmed, _ = soundfile.read(new.item.path, dtype="int16")
    assert np.array_equal(trimmed, whole[1600:5600])
    with pytest.raises(ConfigError, match=r"0\.02 s"):
        project.trim(new.id, 0.2, 0.2)


def test_undo_goes_on_after_a_restart_and_has_a_bound(project, monkeypatch):
    identifier = project.clips("low")[0].id
    project.delete([identifier])
    again = Project(project.folder)
    assert again.to_json()["undo"] == "deleted 1 clip of low"
    assert again.undo() == "deleted 1 clip of low"
    assert again.clip(identifier).item.path.is_file()
    monkeypatch.setattr("audioconv.lab.history.MAX_STEPS", 3)
    again.delete([again.clips("high")[0].id])
    assert len(list((project.folder / ".lab" / "steps").iterdir())) == 3
    monkeypatch.setattr("audioconv.lab.history.MAX_TRASH_BYTES", 0)
    again.delete([again.clips("high")[0].id])
    assert len(list((project.folder / ".lab" / "steps").iterdir())) == 1
    assert len(list((project.folder / ".lab" / "trash").iterdir())) == 1


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_step_that_was_interrupted_is_finished(project, moved, monkeypatch):
    """The process was killed after so many of the two moves of a trimmed clip, and before the manifest was written."""
    clip = project.clips("high")[0]
    expected = soundfile.read(clip.item.path)[0][1600:4800]
    rename = os.rename
    count = []

    def failing(of, to):
        if len(count) == moved:
            raise KeyboardInterrupt
        count.append(of)
        rename(of, to)

    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("audioconv.lab.history.os.rename", failing)
    if moved == 2:
        monkeypatch.setattr(
            "audioconv.lab.project_folder.write_clips", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
    with pytest.raises(KeyboardInterrupt):
        project.trim(clip.id, 0.1, 0.3)
    monkeypatch.undo()
    again = Project(project.folder)
    assert len(again.clips()) == 5
    assert np.array_equal(soundfile.read(again.clip(clip.id).item.path)[0], expected)
    assert again.undo() == "trimmed a clip of high"
    assert len(soundfile.read(again.clip(clip.id).item.path)[0]) == 8000


def test_what_others_do_to_the_folder_is_taken_in(project):
    path = project.folder / "high" / "someone_nohash_3.wav"
    path.write_bytes(wav(tone(1000)))
    (project.folder / "new class").mkdir()
    (project.folder / "models").mkdir()
    (project.folder / "models" / "example.wav").write_bytes(wav(tone(1000)))
    project.clips("low")[0].item.path.unlink()
    assert project.rescan()
    assert project.clip("high/someone_nohash_3.wav").item.speaker == "someone"
    assert project.labels() == ["high", "low", "new class"]
    assert len(project.clips("low")) == 1
    assert not project.rescan()
    project.write_manifest()
    assert open_collection(project.folder).counts == {"high": 4, "low": 1}


def test_a_manifest_of_others_is_kept_as_it_is_meant(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "long.wav").write_bytes(wav(np.concatenate([tone(400), tone(800)])))
    folder = tmp_path / "project"
    for name in ("yes", "no"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.wav").write_bytes(wav(tone(440)))
        (folder / name / "not listed.wav").write_bytes(wav(tone(440)))
    (folder / "manifest.csv").write_text(
        "path;label;speaker;mood;begin;end\nyes/1.wav;yes;anna;glad;;\nno/1.wav;no;;;;\n"
        f"{elsewhere / 'long.wav'};no;bert;;0,25;0,75\n"
    )
    project = Project(folder)
    assert sorted(clip.id for clip in project.clips()) == [
        f"{elsewhere.as_posix()}/long.wav#0.25-0.75", "no/1.wav", "yes/1.wav",
    ]  # fmt: skip
    part = project.clip(f"{elsewhere.as_posix()}/long.wav#0.25-0.75")
    assert not part.editable
    assert project.clip_json(part)["seconds"] == 0.5
    project.move([part.id], "yes")
    project.delete(["no/1.wav"])
    text = (folder / "manifest.csv").read_text()
    assert "path,label,speaker,split,begin,end,mood" in text
    assert "yes/1.wav,yes,anna,,,,glad" in text
    assert f"{elsewhere}/long.wav,yes,bert,,0.25,0.75," in text
    project.delete([part.id])
    assert (elsewhere / "long.wav").is_file()
    (folder / "yes" / "later.wav").write_bytes(wav(tone(440)))
    again = Project(folder)
    assert sorted(clip.id for clip in again.clips()) == ["yes/1.wav", "yes/later.wav"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that takes any bytes as a name")
def test_names_that_are_no_text_are_shown_and_kept(page):
    folder = os.fsencode(page.folder) + b"/caf\xe9"
    try:
        os.mkdir(folder)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with open(folder + b"/\xff\xfe.wav", "wb") as file:
        file.write(wav(tone(440)))
    page.post("/api/classes", name="other")
    (clip,) = page.clips("caf\\xe9")
    assert clip["id"] == "caf\\xe9/\\xff\\xfe.wav"
    assert page.ask("GET", f"/api/clips/{segment(clip['id'])}/picture").status_code == 200
    page.post("/api/clips/move", **{"ids": [clip["id"]], "class": "other"})
    assert os.listdir(os.fsencode(page.folder / "other")) == [b"\xff\xfe.wav"]
    assert open_collection(page.folder, minimum_classes=1).labels == ["other"]
    assert page.post("/api/undo") == {"undone": "moved 1 clip to other"}
    assert os.listdir(folder) == [b"\xff\xfe.wav"]


def test_folders_that_are_splits_keep_their_meaning(tmp_path):
    for split in ("train", "test"):
        for name in ("yes", "no"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "1.wav").write_bytes(wav(tone(440)))
    project = Project(tmp_path)
    assert project.labels() == ["no", "yes"]
    project.move(["train/yes/1.wav"], "no")
    assert (tmp_path / "train" / "yes" / "1.wav").is_file()  # the folder is no class of its own
    (tmp_path / "test" / "yes" / "2.wav").write_bytes(wav(tone(440)))
    assert project.rescan()
    assert project.clip("test/yes/2.wav").item.label == "yes"


def test_recordings_and_pictures_do_not_mix(tmp_path, page):
    (tmp_path / "mixed" / "a").mkdir(parents=True)
    (tmp_path / "mixed" / "a" / "1.wav").write_bytes(wav(tone(440)))
    (tmp_path / "mixed" / "a" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match="holds recordings"):
        Project(tmp_path / "mixed")
    page.upload("yes", "1.wav", wav(tone(440)))
    answer = page.upload("yes", "1.png", b"")
    assert answer["clips"] == []
    assert "project of their own" in answer["skipped"][0]["message"]


def test_pictures_are_kept_as_they_are_and_shown_small(page):
    pillow = pytest.importorskip("PIL.Image", reason="needs the extras: pip install 'audioconv[images]'")
    file = io.BytesIO()
    pillow.fromarray(np.full((300, 500, 3), 90, np.uint8)).save(file, "JPEG")
    (clip,) = page.upload("cat", "my cat.JPEG", file.getvalue())["clips"]
    assert (page.folder / clip["id"]).read_bytes() == file.getvalue()
    assert (clip["id"], clip["width"], clip["height"]) == ("cat/my-cat.jpg", 500, 300)
    assert page.get("/api/project")["kind"] == "images"
    small = page.ask("GET", f"/api/clips/{segment(clip['id'])}/picture?width=100&height=100")
    assert pillow.open(io.BytesIO(small.content)).size == (100, 60)
    shown = page.ask("GET", f"/api/clips/{segment(clip['id'])}/image")
    assert pillow.open(io.BytesIO(shown.content)).size == (500, 300)
    assert page.ask("GET", f"/api/clips/{segment(clip['id'])}/audio").status_code == 404
    assert page.upload("cat", "text.png", b"no picture")["clips"] == []


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP"])
def test_pictures_of_each_format_are_taken(page, kind):
    pillow = pytest.importorskip("PIL.Image", reason="needs the extras: pip install 'audioconv[images]'")
    picture, file = pillow.fromarray(np.full((30, 50, 3), 90, np.uint8)), io.BytesIO()
    exif = pillow.Exif()
    exif[0x0112] = 6  # it stands on its side
    picture.save(file, kind, **({"exif": exif} if kind == "JPEG" else {}))
    (clip,) = page.upload("cat", "one.png", file.getvalue())["clips"]
    assert (clip["width"], clip["height"]) == ((30, 50) if kind == "JPEG" else (50, 30))
    shown = page.ask("GET", f"/api/clips/{segment(clip['id'])}/image")
    assert pillow.open(io.BytesIO(shown.content)).size == (clip["width"], clip["height"])
    assert [one["id"] for one in page.clips()] == [clip["id"]]


def test_a_spectrogram_shows_the_tone_where_it_is(page):
    pillow = pytest.importorskip("PIL.Image", reason="needs the extras: pip install 'audioconv[images]'")
    samples = np.concatenate([np.zeros(RATE // 2, np.float32), tone(2000)])
    (clip,) = page.upload("high", "tone.wav", wav(samples))["clips"]
    path = f"/api/clips/{segment(clip['id'])}"
    answer = page.ask("GET", f"{path}/picture?width=160&height=64&dark=1")
    opacity = np.asarray(pillow.open(io.BytesIO(answer.content)).convert("RGBA"))[..., 3]
    assert opacity.shape == (64, 160)
    assert opacity[:, :70].max() == 0
    rows = opacity[:, 100:150].astype(int).sum(axis=1).argmax()
    from audioconv.features.mel import mel_edges

    assert abs(mel_edges(64, 60, 8000)[1:-1][::-1][rows] - 2000) < 150
    tag = answer.headers["etag"]
    again = page.ask("GET", f"{path}/picture?width=160&height=64&dark=1", headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    sound = page.ask("GET", f"{path}/audio")
    assert sound.headers["content-type"] == "audio/wav"
    heard, rate = soundfile.read(io.BytesIO(sound.content), dtype="float32")
    assert rate == RATE
    assert np.abs(heard - samples).max() < 1e-4
    page.ask("PATCH", path, json={"begin": 0.5})
    changed = page.ask("GET", f"{path}/picture?width=160&height=64&dark=1", headers={"if-none-match": tag})
    assert changed.status_code == 200


def test_faults_appear_beside_clips(page):
    rng = np.random.default_rng(0)
    for number in range(5):
        page.upload("yes", f"{number}.wav", wav(tone(400 + 10 * number)))
    page.upload("no", "copy.wav", wav(tone(400)))
    page.upload("no", "silent.wav", wav(np.zeros(8000)))
    page.upload("no", "clipped.wav", wav(np.clip(tone(500, level=3), -1, 1)))
    page.upload("no", "quiet.wav", wav(rng.normal(0, 0.0005, 8000)))
    page.upload("_background_noise_", "long.wav", wav(rng.normal(0, 0.05, 20 * RATE)))
    (page.folder / "no" / "broken.wav").write_bytes(b"no sound at all")
    expected = {
        "yes/0.flac": ["label-conflict"], "no/copy.flac": ["label-conflict"], "no/silent.flac": ["empty"],
        "no/clipped.flac": ["clipped"], "no/quiet.flac": ["quiet"], "no/broken.wav": ["unreadable"],
    }  # fmt: skip

    async def watch():
        async with page.socket("/api/events") as client:
            while True:
                event = json.loads(await client.recv())
                found = page.get("/api/check")
                if event["type"] == "check" and not found["unchecked"] and len(found["clips"]) == len(expected):
                    return found

    found = asyncio.run(watch())
    assert {name: [one["kind"] for one in some] for name, some in found["clips"].items()} == expected
    assert "yes/0.flac" in found["clips"]["no/copy.flac"][0]["message"]
    assert {"few-clips"} <= {one["kind"] for one in found["findings"]}
    until(lambda: all(clip["faults"] for clip in page.clips("no")))
    faulty = page.get("/api/clips?faults=1")
    assert {clip["id"] for clip in faulty["clips"]} == set(expected)
    assert faulty["total"] == len(expected)
    page.ask("DELETE", f"/api/clips/{segment('no/copy.flac')}")
    until(lambda: "yes/0.flac" not in page.get("/api/check")["clips"])


def test_synthetic_voices_add_clips(page):
    pytest.importorskip("espeakng_loader", reason="needs the extras: pip install 'audioconv[synth]'")
    assert page.get("/api/project")["voices"] is True
    voices = page.get("/api/voices")
    assert {"code": "de", "name": "German"} in voices["languages"]
    assert voices["engines"][0]["id"] == "espeak-ng"
    said = page.post("/api/say", **{"class": "ja", "text": "ja", "language": "de", "count": 5})["clips"]
    assert len({clip["id"] for clip in said}) == 5
    assert {clip["class"] for clip in said} == {"ja"}
    assert all(0.1 < clip["seconds"] < 2 for clip in said)
    row = open_collection(page.folder, minimum_classes=1).items[0]
    assert row.source.startswith("espeak-ng")
    assert page.get("/api/project")["speakers"] == []  # nobody's names
    assert page.post("/api/undo") == {"undone": "added 5 spoken clips to ja"}
    assert page.clips() == []
    for wrong in ({"text": "!!"}, {"count": 0}, {"count": 10_000}, {"language": "xx-none"}, {"engine": "piper:x"}):
        answer = page.ask("POST", "/api/say", json={"class": "ja", "text": "ja", "language": "de", **wrong})
        assert answer.status_code == 400, answer.text


def test_a_step_leaves_everything_where_a_file_is_in_the_way(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / "c").write_text("c")
    with pytest.raises(DataError, match="is there already"):
        Step("both", [("a", "d"), ("b", "c")]).move(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_an_undo_that_cannot_be_is_said_and_left_out(project):
    identifier = project.clips("low")[0].id
    project.delete([identifier])
    shutil.rmtree(project.folder / ".lab" / "trash")
    with pytest.raises(DataError, match="cannot be undone"):
        project.undo()
    assert History(project.folder).last()[1].title == "added 1 clip to low"
