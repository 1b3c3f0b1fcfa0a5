"""The page of a report: its sections in order, written to a file."""

from __future__ import annotations

from importlib import resources

from audioconv._types import StrPath
from audioconv._version import __version__
from audioconv.decision.classes import is_word
from audioconv.errors import ConfigError
from audioconv.evaluation import Share, percent
from audioconv.io.files import write_atomic
from audioconv.pages import PALETTE, shared
from audioconv.report import answers, cards, threshold
from audioconv.report.clips import accepted_negatives, gallery, worst_mistakes
from audioconv.report.facts import Facts
from audioconv.report.html import Html, join, tag
from audioconv.report.text import day, interval, listed, of, rounded

Section = tuple[str, str, str, Html | None]
"""Its key, its name among the contents, its title, and what is in it."""

# What a browser may load for this page: nothing that is not in it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"


def write_report(path: StrPath, facts: Facts) -> None:
    """Write a page about an evaluation to `path`, one HTML file, whole or not at all.

    Raises
    ------
    DataError
        If the file cannot be written; what was there before is unchanged.
    ConfigError
        If the evaluation has no probabilities.
    """
    page = render(facts)
    with write_atomic(path, "w") as file:
        file.write(page)


def render(facts: Facts) -> str:
    """Return the page as HTML."""
    if facts.evaluation.scored is None:
        raise ConfigError("a report needs the probabilities of an evaluation; take that of Classifier.evaluate")
    sections = [section for section in _sections(facts) if section[-1]]
    style = shared(PALETTE).decode() + resources.files("audioconv.report").joinpath("style.css").read_text("utf-8")
    title = f"Evaluation of {facts.name}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    contents = tag("nav", [tag("a", name, href=f"#{key}") for key, name, _, _ in sections], aria_label="Contents")
    body = tag(
        "body",
        tag("header", _heading(facts), _lead(facts), _tiles(facts), contents),
        tag("main", [tag("section", tag("h2", title), content, id=key) for key, _, title, content in sections]),
        tag("footer", tag("p", f"Made by audioconv {__version__} on {day(facts.date)}. "
                               "This file holds all that it shows, the clips included.")),
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _sections(facts: Facts) -> list[Section]:
    model, evaluation = facts.model, facts.evaluation
    mistakes, accepted = worst_mistakes(evaluation), accepted_negatives(evaluation)
    return [
        ("threshold", "Threshold", "At the threshold", threshold.outcomes(facts)),
        ("curves", "Curves", "Other thresholds", threshold.curves(evaluation)),
        ("long", "Long recordings", "Long recordings", threshold.long(facts.long) if facts.long else None),
        ("confusion", "Confusion", "What is taken for what", answers.confusion(evaluation)),
        ("classes", "Classes", "Each class", answers.classes(evaluation)),
        ("calibration", "Calibration", "Calibration", answers.calibration(evaluation)),
        (
            "mistakes",
            "Mistakes",
            "The worst mistakes",
            _mistakes(facts, gallery(model, mistakes)) if mistakes else None,
        ),
        (
            "negatives",
            "Negatives",
            "Accepted negatives",
            _accepted_negatives(facts, gallery(model, accepted)) if accepted else None,
        ),
        ("training", "Training", "Training", cards.training(facts)),
        ("speed", "Speed", "Speed", cards.speed(facts)),
        ("model", "Model", "The model", cards.model(facts)),
        ("data", "Data", "The data", cards.data(facts)),
    ]


def _heading(facts: Facts) -> Html:
    about = facts.evaluation.about
    what = "pictures" if facts.model.kind == "images" else "clips"
    split = f"{about['split']} " if about.get("split") else ""
    where = f" of {about['name']}" if about.get("name") else ""
    told = f"{facts.evaluation.count:,} {split}{what}{where}"
    if facts.evaluation.negatives:
        told += f" · {len(facts.evaluation.negatives):,} negatives"
    return join(tag("p", "Evaluation", class_="kicker"), tag("h1", facts.name), tag("p", told, class_="under"))


def _lead(facts: Facts) -> Html:
    """Return what came of it, in two or three sentences."""
    evaluation = facts.evaluation
    words = [label for label in evaluation.classes if is_word(label)]
    some = listed(words) if len(words) <= 8 else f"{len(words)} classes"
    said = []
    if evaluation.count:
        said.append(f"The model labels {percent(evaluation.accuracy)} of the clips of {some} correctly.")
    outcomes, false_accepts = evaluation.outcomes, evaluation.false_accepts
    if outcomes and outcomes.count and evaluation.decision.threshold:
        said.append(f"At its threshold it accepts {percent(outcomes.hits.value)} of the words with their own label")
        said[-1] += f", and {percent(false_accepts.value)} of the negatives." if false_accepts else "."
    elif false_accepts:
        said.append("It has no threshold, so it accepts every negative as one of its words.")
    return tag("p", " ".join(said), class_="lead")


def _tiles(facts: Facts) -> Html:
    evaluation = facts.evaluation
    outcomes, false_accepts, calibration = evaluation.outcomes, evaluation.false_accepts, evaluation.calibration
    tiles: list[Html] = []

    def add(name: str, value: str, *details: str) -> None:
        rest = [tag("dd", detail) for detail in details]
        tiles.append(tag("div", tag("dt", name), tag("dd", value, class_="value"), rest))

    if evaluation.count:
        add("accuracy", percent(evaluation.accuracy), interval(evaluation.right), f"{of(evaluation.right)} right")
    if outcomes and outcomes.count:
        add("words accepted and right", percent(outcomes.hits.value), interval(outcomes.hits), of(outcomes.hits))
    if false_accepts:
        rejected = false_accepts._replace(part=false_accepts.whole - false_accepts.part)
        add("negatives rejected", percent(rejected.value), interval(rejected), of(rejected))
    if calibration and calibration.count:
        add("calibration error", percent(calibration.expected_error),
            f"mean score {percent(calibration.mean_score)}", f"accuracy {percent(calibration.accuracy)}")  # fmt: skip
    if facts.speed:
        add("one clip", f"{rounded(facts.speed.milliseconds)} ms",
            f"{rounded(facts.speed.per_second)} a second", f"in batches of {facts.speed.batch}")  # fmt: skip
    note = "Ranges are 95% confidence intervals for this many clips."
    return join(tag("dl", tiles, class_="tiles"), tag("p", note, class_="caption"))


def _mistakes(facts: Facts, shown: Html) -> Html:
    evaluation = facts.evaluation
    wrong = evaluation.count - evaluation.right.part
    if not wrong:
        said = "No clip is likeliest to be another class; these are the words that were rejected."
    else:
        said = f"{of(Share(wrong, evaluation.count))} clips are likeliest to be another class."
        outcomes = evaluation.outcomes
        if outcomes and outcomes.rejected and outcomes.wrong:
            said += " First come words accepted as another, then words that were rejected."
        elif outcomes and outcomes.rejected:
            said += " None of them passes the threshold; further words are rejected too."
    return join(tag("p", said), shown)


def _accepted_negatives(facts: Facts, shown: Html) -> Html | None:
    accepted = facts.evaluation.false_accepts
    if not accepted:
        return None
    said = f"{of(accepted)} negatives are accepted as a word. These have the highest scores, one clip of each file."
    return join(tag("p", said), shown)
