// What the last training gave: accuracy, confusion, and the worst mistakes to play and to mend.

import { call, clipPath } from "./server.js";
import { shownName, classOptions } from "./classes.js";
import { byId, make } from "./dom.js";
import { duration, number, percent, t } from "./language.js";
import { attempt, toast } from "./notices.js";
import { forget, showPicture } from "./pictures.js";
import { play } from "./player.js";
import { on, refresh, state } from "./state.js";

/** A confusion of more classes than this is drawn in small cells. */
const DENSE = 8;

/** Mistakes that are shown at first. */
const FIRST = 6;

let asked = null;
let mended = new Set(); // ids of clips whose label was changed here

/** Show results from now on. */
export function startResults() {
  on("project", ({ model }) => model?.trained !== asked && load());
  on("trained", load);
}

async function load() {
  asked = state.project?.model?.trained ?? null;
  if (!state.project?.model) {
    byId("results").hidden = true;
    return;
  }
  mended = new Set();
  try {
    show(await call("GET", "results"));
  } catch {
    byId("results").hidden = true; // a model that was not trained here has none
  }
}

function show(results) {
  byId("results").querySelectorAll("img").forEach(forget);
  byId("results").hidden = false;
  byId("results").replaceChildren(
    ...[tiles(results), confusion(results.confusion), mistakes(results.mistakes ?? [])].filter(Boolean),
  );
}

function tiles(results) {
  const { accuracy, interval, clips } = results;
  const one = (name, value, below) =>
    make(
      "div",
      {},
      make("dt", {}, name),
      make("dd", { class: "value" }, value),
      ...below.map((line) => make("dd", {}, line)),
    );
  const found = [];
  if (accuracy !== null && accuracy !== undefined) {
    found.push(
      one(t("accuracy"), percent(accuracy), [
        interval ? t("range", { from: percent(interval[0]), to: percent(interval[1]) }) : "",
        t("ofClips", { n: clips }),
      ]),
    );
  }
  if (results.words_found !== null && results.words_found !== undefined) {
    found.push(one(t("wordsFound"), percent(results.words_found), [t("inSpeech")]));
  }
  if (results.false_accepts_per_hour !== null && results.false_accepts_per_hour !== undefined) {
    found.push(one(t("falseAccepts"), number(results.false_accepts_per_hour, 1), [t("perHour")]));
  }
  return found.length
    ? make(
        "section",
        { class: "block", "aria-label": t("results") },
        make("dl", { class: "tiles" }, ...found),
        heldOut(results),
      )
    : null;
}

function heldOut({ held_out: how, interval }) {
  return how || interval
    ? make("p", { class: "caption" }, [sentence(how), interval ? t("rangeMeaning") : ""].filter(Boolean).join(" "))
    : null;
}

/** The server's words as a sentence. */
function sentence(text) {
  return text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}` : "";
}

function confusion(matrix) {
  if (!matrix || matrix.labels.length < 2) {
    return null;
  }
  const { labels, counts } = matrix;
  const head = make(
    "tr",
    {},
    make("td", { class: "corner" }, t("labelAnswer")),
    ...labels.map((label) => make("th", { scope: "col" }, make("span", {}, shownName(label)))),
  );
  const rows = labels.map((label, row) => {
    const all = Math.max(
      1,
      counts[row].reduce((sum, one) => sum + one, 0),
    );
    const cells = labels.map((_, column) => {
      const count = counts[row][column];
      const share = count / all;
      const kind = !count ? "none-cell" : row === column ? "hit" : "miss";
      return make(
        "td",
        { class: `${kind}${share > 0.5 ? " strong-cell" : ""}`, style: { "--share": share } },
        number(count),
      );
    });
    return make("tr", {}, make("th", { scope: "row" }, shownName(label)), ...cells);
  });
  return make(
    "section",
    { class: "block", "aria-labelledby": "confusion-title" },
    make("h3", { id: "confusion-title" }, t("confusion")),
    make("p", { class: "caption" }, t("confusionHint")),
    make(
      "div",
      { class: "wide", tabindex: "0", role: "group", "aria-labelledby": "confusion-title" },
      make(
        "table",
        { class: `confusion${labels.length > DENSE ? " dense" : ""}` },
        make("thead", {}, head),
        make("tbody", {}, ...rows),
      ),
    ),
  );
}

function mistakes(found) {
  const title = make("h3", { id: "mistakes-title" }, t("mistakes"));
  if (!found.length) {
    return make(
      "section",
      { class: "block", "aria-labelledby": "mistakes-title" },
      title,
      make("p", { class: "caption" }, t("noMistakes")),
    );
  }
  const rows = found.map(mistake);
  const more = rows.slice(FIRST);
  more.forEach((row) => (row.hidden = true));
  const button = more.length
    ? make(
        "button",
        {
          type: "button",
          class: "small",
          on: {
            click: () => {
              more.forEach((row) => (row.hidden = false));
              button.remove();
              more[0].querySelector("button")?.focus();
            },
          },
        },
        t("moreMistakes", { n: more.length }),
      )
    : null;
  return make(
    "section",
    { class: "block", "aria-labelledby": "mistakes-title" },
    title,
    make("p", { class: "caption" }, t("mistakesHint")),
    make("ul", { class: "mistakes" }, ...rows),
    button,
  );
}

function mistake({ clip, label, answer, score }) {
  const image = make("img", { alt: "", width: 96, height: 48 });
  showPicture(image, clip, 192, 96);
  const given = answer === null ? t("rejected") : shownName(answer);
  const line =
    answer === null
      ? t("wasRejected", { label: shownName(label) })
      : t("takenFor", { label: shownName(label), answer: given });
  const frame = clip.width
    ? make("span", { class: "frame" }, image)
    : make(
        "button",
        {
          type: "button",
          class: "frame",
          "aria-label": t("playNamed", { name: line }),
          on: { click: () => playMistake(clip, row) },
        },
        image,
      );
  const choices = [
    ["", t("labelWrong")],
    ...classOptions({ withBackground: !clip.width })
      .filter(([name]) => name !== clip.class)
      .map(([name, text]) => [name, t("itIs", { name: text })]),
    ["\0delete", t("deleteClip")],
  ];
  const select = make(
    "select",
    {
      class: "small",
      "aria-label": `${t("labelWrong")}: ${line}`,
      disabled: clip.editable === false,
      on: { change: ({ target }) => mend(clip, target.value, row) },
    },
    ...choices.map(([value, text]) => new Option(text, value)),
  );
  const row = make(
    "li",
    { class: "mistake" },
    frame,
    make(
      "span",
      { class: "mistake-text" },
      make(
        "span",
        {},
        make("b", {}, shownName(label)),
        " ",
        make("span", { class: "wrong" }, "→ ", given),
        " ",
        make("span", { class: "number" }, percent(score, 0)),
      ),
      make(
        "span",
        { class: "caption" },
        [clip.name, clip.speaker, clip.seconds && !clip.width ? duration(clip.seconds) : ""]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
    select,
  );
  return row;
}

function playMistake(clip, row) {
  play(clipPath(clip.id, "audio"), {
    version: clip.seconds,
    onState: (playing) => {
      row.style.setProperty("--seconds", `${clip.seconds}s`);
      row.classList.toggle("playing", playing);
    },
  });
}

async function mend(clip, value, row) {
  if (!value || mended.has(clip.id)) {
    return;
  }
  mended.add(clip.id);
  await attempt(async () => {
    if (value === "\0delete") {
      await call("POST", "clips/delete", { json: { ids: [clip.id] } });
      toast(t("clipsDeleted", { n: 1 }), true);
    } else {
      await call("POST", "clips/move", { json: { ids: [clip.id], class: value } });
      toast(t("clipsMoved", { n: 1, name: shownName(value) }), true);
    }
    row.classList.add("mended");
    row.querySelector("select").disabled = true;
    await refresh();
  });
}
