"""The page: what is in it, what is escaped, what it leaves out, and how it is written."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import report_examples as examples
import soundfile

from audioconv.decision.decision import Decision
from audioconv.errors import ConfigError, DataError
from audioconv.evaluation import Evaluation, Scored
from audioconv.report import Facts, clips, render, write_report

VOID = {"br", "circle", "image", "img", "line", "meta", "path", "rect"}


class Page(HTMLParser):
    """A page's elements, after seeing that each is closed in its place."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def text(self):
        return " ".join(data for tag, data in self.texts if tag != "style")


@pytest.mark.parametrize(
    ("date", "written"),
    [((2026, 3, 5), "on 5 March 2026."), ((1999, 12, 31), "on 31 December 1999."), ((1, 1, 1), "on 1 January 1.")],
)
def test_the_date_is_english_on_any_system(facts, date, written):
    class OtherDate(datetime.date):
        def __format__(self, _form):
            raise ValueError("Invalid format string")  # as Windows says of %-d

        strftime = __format__

    assert written in Page(render(dataclasses.replace(facts, date=OtherDate(*date)))).text


@pytest.fixture(scope="module")
def facts(tmp_path_factory) -> Facts:
    return examples.facts_of(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(facts) -> Page:
    return Page(render(facts))


def test_every_section_is_there(page) -> None:
    keys = [attributes["id"] for attributes in page.all("section")]
    assert keys == [
        "threshold", "curves", "long", "confusion", "classes", "calibration", "mistakes", "negatives", "training",
        "speed", "model", "data",
    ]  # fmt: skip
    assert [link["href"] for link in page.all("a")] == [f"#{key}" for key in keys]


def test_it_says_what_the_evaluation_says(facts, page) -> None:
    evaluation = facts.evaluation
    outcomes, false_accepts = evaluation.outcomes, evaluation.false_accepts
    assert f"{evaluation.right.part} of {evaluation.count} right" in page.text
    assert f"{outcomes.right} of {outcomes.count}" in page.text
    assert f"{false_accepts.part} of {false_accepts.whole} negatives are accepted" in page.text
    for said in ("at least 60.0%", "was chosen so that at most 5.0% of the negatives pass",
                 "chosen on 1,000 negatives, of which it accepts 4.8%, and on 200 clips of words",
                 "accepts 93.0% with their own label", "Training made the class _unknown_",
                 "some processor, 2 cores", "In 2 hours of recordings with 50 words",
                 "gives 3 false accepts (1.5 an hour) and misses", "4 March 2026", "CC BY 4.0", "1,200 clips",
                 "31"):  # fmt: skip
        assert said in page.text, said


def test_it_needs_nothing_else(page) -> None:
    """No scripts, and every address is within the page; the policy would stop a browser from loading more."""
    assert not page.all("script")
    assert not page.all("link")
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    (style,) = (data for tag, data in page.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in next(m["content"] for m in page.all("meta") if "http-equiv" in m)


def test_figures_have_words_for_those_who_do_not_see_them(page) -> None:
    drawings = page.all("svg")
    assert len(drawings) > 20
    assert all(len(drawing["aria-label"]) > 10 and drawing["role"] == "img" for drawing in drawings)
    assert all(sound["aria-label"] for sound in page.all("audio"))
    assert all("scope" in head for head in page.all("th") if head)
    assert len(page.all("caption")) == len(page.all("table"))


def test_the_clips_can_be_played(facts, page) -> None:
    sounds = page.all("audio")
    mistakes, strangers = clips.worst_mistakes(facts.evaluation), clips.accepted_negatives(facts.evaluation)
    assert len(sounds) == len(mistakes) + len(strangers) > 4
    prefix, _, content = sounds[0]["src"].partition(",")
    assert prefix == "data:audio/flac;base64"
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(content)), dtype="float32")
    assert rate == examples.RATE
    expected, _ = soundfile.read(mistakes[0].example, dtype="float32")
    np.testing.assert_allclose(samples, expected, atol=1e-4)


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def test_a_hostile_label_is_text(tmp_path) -> None:
    """Labels, names, provenance and paths may come from anywhere; none becomes an element."""
    plain, hostile = "plain", HOSTILE
    (tmp_path / "x").mkdir()
    before = Page(render(examples.facts_of(tmp_path / "x", words=(plain, "other"))))
    facts = examples.facts_of(tmp_path / "x", words=(hostile, "other"))
    paths = facts.evaluation.scored.examples
    strange = paths[0].with_name("'\"><svg onload=x>&amp;.wav")
    strange.write_bytes(paths[0].read_bytes())
    scored = dataclasses.replace(facts.evaluation.scored, examples=(strange,) * len(paths))
    negatives = dataclasses.replace(facts.evaluation.negatives, names=(hostile,) * len(facts.evaluation.negatives))
    about = {"name": hostile, "split": hostile, "counts": {hostile: 3}, "speakers": 2, "negatives": {hostile: 1},
             "origins": [{"source": hostile, "licence": hostile, "clips": hostile}]}  # fmt: skip
    evaluation = dataclasses.replace(
        facts.evaluation, scored=scored, negatives=negatives, about=about, failures=(DataError(hostile),)
    )
    provenance = {
        "audioconv": hostile,
        "data": {**about, "counts": {hostile: {hostile: hostile}}, "unreadable": hostile},
        "settings": {"arch": hostile, hostile: hostile},
    }
    decision = Decision(0.8, 0.6, 0.05, ("_unknown_",), {hostile: hostile})
    model = dataclasses.replace(facts.model, provenance=provenance, decision=decision)
    source = render(dataclasses.replace(facts, name=hostile, evaluation=evaluation, model=model))
    after = Page(source)
    assert "<script" not in source
    assert not after.all("script")
    assert {tag for tag, _ in after.elements} <= {tag for tag, _ in before.elements}
    assert not any(name.startswith("on") for _, attributes in after.elements for name in attributes)
    assert hostile in after.text


def test_labels_that_cannot_be_encoded(tmp_path) -> None:
    facts = examples.facts_of(tmp_path, words=("lo\ud83dw", "\x1b[2Jhigh", "\u202egnol"))
    write_report(tmp_path / "report.html", facts)
    source = (tmp_path / "report.html").read_text("utf-8")
    assert "\\x1b[2Jhigh" in source
    assert "\x1b" not in source
    assert "\u202e" not in source


def test_without_a_threshold_negatives_or_anything_else(tmp_path) -> None:
    rng = np.random.default_rng(0)
    paths = examples.write_sounds(tmp_path, 4, rng)
    model = examples.model_of(("a", "b"))
    scored = examples.scored(("a", "b"), ["a", "a", "b", "b"], paths, rng)
    evaluation = Evaluation.judge(model.labels, model.decision, scored)
    found = Page(render(Facts("bare", model, evaluation)))
    keys = {attributes["id"] for attributes in found.all("section")}
    assert keys.isdisjoint({"long", "negatives", "training", "speed"})
    assert "This model has no threshold" in found.text
    assert "There were no negatives to evaluate with" in found.text
    assert "source and licence are not recorded" in found.text


def test_only_negatives(tmp_path) -> None:
    rng = np.random.default_rng(0)
    paths = examples.write_sounds(tmp_path, 2, rng)
    model = examples.model_of(("a", "b"), Decision(threshold=0.5))
    scored = Scored(("_silence_",) * 2, np.array([[0.9, 0.1], [0.4, 0.6]], np.float32), tuple(paths))
    found = Page(render(Facts("bare", model, Evaluation.judge(model.labels, model.decision, scored))))
    assert {attributes["id"] for attributes in found.all("section")} == {"threshold", "negatives", "model", "data"}


def test_a_class_of_a_model_that_is_no_word(tmp_path) -> None:
    facts = examples.facts_of(tmp_path, words=("yes", "_silence_"))
    assert "_silence_" in Page(render(facts)).text


def test_an_evaluation_without_probabilities_is_refused(facts) -> None:
    evaluation = Evaluation.compare(("a", "b"), np.array([0]), np.array([0]))
    with pytest.raises(ConfigError, match=r"take that of Classifier\.evaluate"):
        render(dataclasses.replace(facts, evaluation=evaluation))


def test_a_clip_that_has_gone_costs_its_sound_only(tmp_path) -> None:
    facts = examples.facts_of(tmp_path)
    for path in (tmp_path / "noise").iterdir():
        path.unlink()
    found = Page(render(facts))
    assert "can no longer be read" in found.text
    assert len(found.all("audio")) == len(clips.worst_mistakes(facts.evaluation))


def test_the_size_is_bounded(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(clips, "MAX_SOUND_BYTES", 10_000)
    facts = examples.facts_of(tmp_path)
    found = Page(render(facts))
    assert len(found.all("audio")) == 2, "one in each list, after which there is no more room"
    assert len(clips.worst_mistakes(facts.evaluation)) > 1


@pytest.mark.parametrize("members", [1, 3])
def test_curves_of_one_network_of_several_say_so(facts, members) -> None:
    model = dataclasses.replace(facts.model, provenance={"settings": {"members": members}})
    text = Page(render(dataclasses.replace(facts, model=model))).text
    assert ("the epochs of the first of 3 networks that decide together" in text) == (members == 3)


@pytest.mark.parametrize("averaged", [1, 2])
def test_curves_of_one_run_of_several_say_so(facts, averaged) -> None:
    model = dataclasses.replace(facts.model, provenance={"settings": {"averaged_runs": averaged}})
    text = Page(render(dataclasses.replace(facts, model=model))).text
    assert ("the epochs of the first of 2 runs whose parameters are averaged" in text) == (averaged == 2)


def test_very_many_classes_have_no_matrix(tmp_path) -> None:
    few = Page(render(examples.facts_of(tmp_path / "few", words=[f"w{n}" for n in range(59)], clips=2)))
    many = Page(render(examples.facts_of(tmp_path / "many", words=[f"w{n}" for n in range(61)], clips=2)))
    assert len(few.all("td")) > 59**2
    assert len(many.all("td")) < 1000
    assert "taken for" in many.text


def test_the_operating_point_of_long_recordings(facts, page) -> None:
    operating = facts.long.chosen
    assert operating.threshold > facts.long.threshold
    assert "with at most 0.5 an hour at 70.0%, which gives 1 false accept (0.50 an hour)" in page.text
    crowded = dataclasses.replace(facts.long, false_accepts=(90,) * len(facts.long.thresholds))
    found = Page(render(dataclasses.replace(facts, long=crowded)))
    assert "No threshold has as few as 0.5 an hour: the highest, 95.0%, gives 90 false accepts" in found.text


def test_long_recordings_without_words(facts) -> None:
    silent = dataclasses.replace(facts.long, words=0, detected=(0,) * len(facts.long.thresholds))
    found = Page(render(dataclasses.replace(facts, long=silent)))
    assert "False accepts an hour against the threshold" in found.text
    assert "gives 3 false accepts (1.5 an hour)." in found.text
    assert "The lowest threshold with at most 0.5 an hour at 70.0%" in found.text


@pytest.mark.parametrize(
    "basis", [{}, {"words": 200}, {**examples.BASIS, "others": "many"}, {**examples.BASIS, "others_accepted": None}]
)
def test_a_threshold_of_which_less_is_known(facts, basis) -> None:
    decision = dataclasses.replace(facts.model.decision, basis=basis)
    evaluation = dataclasses.replace(facts.evaluation, decision=decision)
    found = Page(render(dataclasses.replace(facts, evaluation=evaluation)))
    assert "was chosen so that at most 5.0% of the negatives pass." in found.text
    assert "It was chosen on" not in found.text


@pytest.mark.parametrize(
    ("cost", "reason"),
    [
        (0.02, "(made negatives are harder than recorded ones, of which about 5.0% would pass)"),
        (0.31, "(at most 5.0% of the negatives would reject 31.0% of the words: more clips help)"),
    ],
)
def test_a_threshold_that_more_negatives_pass_says_why(facts, cost, reason) -> None:
    basis = {**examples.BASIS, "others_accepted": 0.2, "words_that_the_share_would_cost": cost}
    decision = dataclasses.replace(facts.model.decision, basis=basis)
    evaluation = dataclasses.replace(facts.evaluation, decision=decision)
    found = Page(render(dataclasses.replace(facts, evaluation=evaluation)))
    assert f"of which it accepts 20.0% {reason}, and on" in found.text


def test_pictures_are_shown(tmp_path) -> None:
    image = pytest.importorskip("PIL.Image")
    for n in range(4):
        image.new("L", (9, 12), 60 * n).save(tmp_path / f"{n}.png")
    rng = np.random.default_rng(3)
    model = examples.picture_model(("dark", "light"))
    scored = examples.scored(model.labels, ["dark"] * 2 + ["light"] * 2, sorted(tmp_path.glob("*.png")), rng, sure=-3)
    found = Page(render(Facts("pictures", model, Evaluation.judge(model.labels, model.decision, scored))))
    pictures = found.all("img")
    assert len(pictures) == len(clips.worst_mistakes(Evaluation.judge(model.labels, model.decision, scored))) > 0
    assert all(re.fullmatch(r"(dark|light), taken for (dark|light)", picture["alt"]) for picture in pictures)


def test_the_file_is_whole_or_what_it_was(tmp_path, facts) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(ConfigError):
        write_report(path, dataclasses.replace(facts, evaluation=dataclasses.replace(facts.evaluation, scored=None)))
    assert path.read_text() == "before"
    write_report(path, facts)
    assert path.read_text("utf-8").endswith("</html>\n")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(DataError, match="could not be written"):
        write_report(tmp_path / "missing" / "report.html", facts)


# --- which clips ---


def test_the_worst_come_first() -> None:
    labels = ("no", "yes")
    rows = {"sure and wrong": ("yes", 0.95, 0.05), "wrong": ("yes", 0.8, 0.2), "missed": ("no", 0.55, 0.45),
            "right": ("no", 0.9, 0.1), "missed and wrong": ("no", 0.4, 0.6)}  # fmt: skip
    scored = Scored(
        tuple(row[0] for row in rows.values()),
        np.array([row[1:] for row in rows.values()], np.float32),
        tuple(rows),
    )
    evaluation = Evaluation.judge(labels, Decision(threshold=0.7), scored)
    cases = clips.worst_mistakes(evaluation)
    assert [case.example for case in cases] == ["sure and wrong", "wrong", "missed and wrong", "missed"]
    assert [case.told for case in cases] == ["taken for no", "taken for no", "rejected, likeliest yes", "rejected"]
    assert len(clips.worst_mistakes(evaluation, most=2)) == 2


def test_one_negative_of_each_file(tmp_path) -> None:
    facts = examples.facts_of(tmp_path)
    cases = clips.accepted_negatives(facts.evaluation)
    assert len({case.example for case in cases}) == len(cases) > 1
    scores = [max(score for _, score in case.scores) for case in cases]
    assert scores == sorted(scores, reverse=True)
    assert all(case.accepted for case in cases)


# --- facts ---


def test_facts_of_a_folder(tmp_path, caplog) -> None:
    folder = tmp_path / "spoken"
    folder.mkdir()
    model = examples.model_of(("a", "b"))
    model.save(folder / "model.safetensors")
    examples.history(3).write_csv(folder / "history.csv")
    evaluation = Evaluation.compare(("a", "b"), np.array([0]), np.array([0]))
    facts = Facts.of(folder / "model.safetensors", model, evaluation)
    assert (facts.name, len(facts.history), facts.final_history) == ("spoken", 3, None)
    assert facts.file_bytes == (folder / "model.safetensors").stat().st_size
    (folder / "history.csv").write_text("nothing of the kind\n1\n")
    assert Facts.of(folder / "model.safetensors", model, evaluation).history is None
    assert "the report shows no training curves" in caplog.text
    model.save(folder / "keys.safetensors")
    assert Facts.of(folder / "keys.safetensors", model, evaluation).name == "keys"
