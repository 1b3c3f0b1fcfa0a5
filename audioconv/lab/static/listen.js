// Listening: scores as they come, words that were found, and what was wrong about them.

import { call } from "./server.js";
import { Watch } from "./camera.js";
import { classOptions, shownName } from "./classes.js";
import { byId, make, setOptions, setText } from "./dom.js";
import { clock, percent, t } from "./language.js";
import { showLevel, SoundStream, whyNoMicrophone } from "./microphone.js";
import { attempt, notice, toast } from "./notices.js";
import { play } from "./player.js";
import { scoreRows } from "./scores.js";
import { on, refresh, state } from "./state.js";
import { currentThreshold } from "./threshold.js";

/** Words that stay in the list; the server keeps their sound as long. */
const KEPT = 50;

let stream = null; // of sound, or of pictures
let opening = false;
let shown = null;
const verdicts = new Map(); // rows by the id of their event

/** Whether it listens. */
export const isListening = () => Boolean(stream) || opening;

/** Take the buttons from now on. */
export function startListen() {
  shown = scoreRows(byId("scores"));
  byId("listen-button").addEventListener("click", toggleListening);
  byId("missed-button").addEventListener("click", missed);
  on("project", show);
  on("threshold", (value) => {
    stream?.send?.({ type: "threshold", value });
    shown.threshold(value);
  });
  on("recording", (begins) => begins && stop());
}

/** Begin to listen, or stop. */
export async function toggleListening() {
  if (stream) {
    stop();
    return;
  }
  if (opening || !state.project?.model) {
    return;
  }
  opening = true;
  notice("");
  show();
  try {
    if (state.kind === "images") {
      byId("watch-finder").hidden = false;
      stream = await Watch.open(byId("watch-camera"), ({ scores }) => scores && shown.show(scores), ended);
    } else {
      stream = await SoundStream.open(
        byId("device").value,
        "listen",
        { threshold: currentThreshold(), speaker: byId("speaker").value.trim() },
        take,
        ended,
      );
    }
  } catch (error) {
    notice(error.message);
    byId("watch-finder").hidden = true;
  }
  opening = false;
  show();
}

function stop() {
  stream?.stop();
  show(); // the microphone is closed now, whenever the server ends
}

function ended(error) {
  stream = null;
  byId("watch-finder").hidden = true;
  showLevel(byId("listen-meter"), byId("listen-meter-text"), null);
  shown.show({});
  if (error) {
    notice(error.message);
  }
  show();
}

function take(message) {
  if (message.type === "scores") {
    showLevel(byId("listen-meter"), byId("listen-meter-text"), message.db);
    shown.show(message.scores);
  } else if (message.type === "event") {
    found(message);
  } else if (message.type === "stored") {
    stored(message);
  } else if (message.type === "refused") {
    refused(message);
  }
}

/** Add a word to the list, the newest first. */
function found(event) {
  const name = shownName(event.label);
  const button = (text, kind, action) =>
    make(
      "button",
      {
        type: "button",
        class: "small",
        "data-kind": kind,
        "aria-label": `${text}: ${name} ${clock(event.time)}`,
        on: { click: action },
      },
      text,
    );
  const row = make(
    "li",
    { class: "event" },
    make("button", {
      type: "button",
      class: "quiet play",
      "aria-label": t("playNamed", { name }),
      on: { click: () => play(`listen/events/${encodeURIComponent(event.id)}/audio`) },
    }),
    make("span", { class: "number" }, clock(event.time)),
    make("b", {}, name),
    make("span", { class: "number" }, percent(event.score, 0)),
    make(
      "span",
      { class: "buttons verdict" },
      button(t("right"), "right", () => judge(event.id, "right")),
      button(t("wrong"), "wrong", () => judge(event.id, "wrong")),
    ),
  );
  verdicts.set(String(event.id), row);
  byId("events").prepend(row);
  while (byId("events").children.length > KEPT) {
    byId("events").lastElementChild.remove();
  }
  byId("spoken").replaceChildren(make("span", {}, `${name}, ${percent(event.score, 0)}`));
  show();
}

/** Send a verdict about a word that was found. */
function judge(event, verdict) {
  const row = verdicts.get(String(event));
  if (!stream) {
    toast(t("verdictLate"));
    return;
  }
  stream.send({ type: "verdict", event, verdict });
  for (const button of row.querySelectorAll(".verdict button")) {
    button.disabled = true;
    button.setAttribute("aria-pressed", button.dataset.kind === verdict);
  }
}

/** Give a verdict about the newest word. */
export function judgeLast(verdict) {
  byId("events").firstElementChild?.querySelector(`[data-kind="${verdict}"]:enabled`)?.click();
}

/** Store the last seconds as a word that was not found. */
export function missed() {
  const label = byId("missed-word").value;
  if (stream && label) {
    stream.send({ type: "missed", label });
  } else {
    toast(t("missedLate"));
  }
}

/** A verdict could not be stored: it can be given again. */
function refused({ error, event }) {
  toast(error);
  for (const button of verdicts.get(String(event))?.querySelectorAll(".verdict button") ?? []) {
    button.disabled = false;
    button.removeAttribute("aria-pressed");
  }
}

/** A clip was stored after a verdict: say where, and let that be changed. */
function stored({ clip, event }) {
  const row = verdicts.get(String(event));
  const line = t("storedIn", { name: shownName(clip.class) });
  if (!row) {
    toast(line, true);
    return;
  }
  if (row.querySelector("[data-kind=wrong][aria-pressed=true]")) {
    const choices = classOptions().map(([name, text]) => [name, `→ ${text}`]);
    const select = make("select", {
      class: "small",
      "aria-label": t("moveTo"),
      on: { change: ({ target }) => moveStored(clip, target.value) },
    });
    setOptions(select, choices, clip.class);
    row.querySelector(".verdict").replaceChildren(select);
  } else {
    row.querySelector(".verdict").replaceChildren(make("span", { class: "caption" }, line));
  }
}

async function moveStored(clip, name) {
  await attempt(async () => {
    await call("POST", "clips/move", { json: { ids: [clip.id], class: name } });
    toast(t("clipsMoved", { n: 1, name: shownName(name) }), true);
    await refresh();
  });
}

function show() {
  const model = state.project?.model;
  const images = state.kind === "images";
  const canListen = images || model?.streams !== false;
  byId("listening").hidden = !model;
  byId("listen-none").hidden = Boolean(model);
  setText(byId("listen-none"), t("noModel"));
  setText(byId("listen-button"), isListening() && !stream?.stopping ? t("stop") : t(images ? "watch" : "listen"));
  byId("listen-button").disabled =
    opening || Boolean(stream?.stopping) || !canListen || (!images && Boolean(whyNoMicrophone()));
  setText(byId("search-button"), t(images ? "classifyFile" : "searchFile"));
  byId("listen-level").hidden = byId("found-block").hidden = byId("threshold-block").hidden = images || !canListen;
  setOptions(
    byId("missed-word"),
    (model?.words ?? []).map((label) => [label, shownName(label)]),
  );
  byId("missed-button").disabled = !stream;
  setText(byId("found-hint"), byId("events").children.length ? t("foundHint") : t(stream ? "noneYet" : "foundEmpty"));
  shown.labels(model?.labels ?? []);
  shown.threshold(currentThreshold());
}
