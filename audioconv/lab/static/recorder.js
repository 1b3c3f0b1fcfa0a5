// Recording: press or hold a button, speak; the server cuts what it gets into takes.

import { byId, setOptions, setText } from "./dom.js";
import { duration, t } from "./language.js";
import { devices, showLevel, SoundStream, whyNoMicrophone } from "./microphone.js";
import { announce, notice } from "./notices.js";
import { BACKGROUND, chosenClass, emit, on, state } from "./state.js";
import { shownName } from "./classes.js";

const BACKGROUND_SECONDS = 20;

/** A press that lasts so many milliseconds records until it ends; a shorter one until the next. */
const HOLD = 450;

let stream = null;
let opening = false;
let mode = "takes";
let listed = ""; // the kind of project for which devices are offered
let pressed = 0; // when the press began that has begun the recording
let takes = 0;
let seconds = 0;
let clock = 0;

/** Whether a recording goes on. */
export const isRecording = () => Boolean(stream) || opening;

/** Take presses of the button from now on. */
export function startRecorder() {
  const button = byId("record");
  button.addEventListener("pointerdown", (event) => event.button === 0 && press());
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    button.addEventListener(name, release);
  }
  // Enter, and what assistive technology does; a pointer's click counts as its press.
  button.addEventListener("click", ({ detail }) => detail === 0 && toggle());
  for (const one of byId("modes").children) {
    one.addEventListener("click", () => setMode(one.dataset.mode));
  }
  setMode(mode);
  on("project", () => {
    show();
    if (listed !== state.kind) {
      listDevices();
    }
  });
  on("camera", listDevices);
  on("chosen", () => {
    if (stream) {
      finish();
    }
    setText(byId("record-status"), "");
    show();
  });
  listDevices();
  navigator.mediaDevices?.addEventListener?.("devicechange", listDevices);
  if (whyNoMicrophone()) {
    notice(`${whyNoMicrophone()} ${t("filesStill")}`);
  }
}

/** A press begins: it begins or ends a recording. */
export function press() {
  if (isRecording()) {
    finish();
  } else {
    pressed = performance.now();
    begin();
  }
}

/** The press ends: a long one ends the recording that it has begun. */
export function release() {
  if (pressed && performance.now() - pressed >= HOLD && state.chosen !== BACKGROUND) {
    finish();
  }
  pressed = 0;
}

function toggle() {
  press();
  pressed = 0;
}

let finishWhenOpen = false;

async function begin() {
  const chosen = chosenClass();
  if (!chosen || state.kind === "images") {
    return;
  }
  opening = true;
  takes = 0;
  seconds = 0;
  notice("");
  show();
  const values = {
    class: chosen.name,
    speaker: chosen.role === "background" ? "" : byId("speaker").value.trim(),
    mode: chosen.role === "background" ? "background" : mode,
  };
  try {
    stream = await SoundStream.open(byId("device").value, "record", values, take, ended);
  } catch (error) {
    notice(error.message);
  }
  opening = false;
  if (stream) {
    const begun = performance.now();
    clock = setInterval(() => tick((performance.now() - begun) / 1000), 200);
    emit("recording", true);
    announce(t("recordingClass", { name: shownName(chosen.name) }));
    listDevices();
    if (finishWhenOpen) {
      finish();
    }
  }
  finishWhenOpen = false;
  show();
}

function finish() {
  if (opening) {
    finishWhenOpen = true;
  } else if (stream) {
    clearInterval(clock);
    stream.stop();
    setText(byId("record-status"), t("storing"));
  }
}

/** What the server says about the sound. */
function take(message) {
  if (message.type === "level") {
    showLevel(byId("meter"), byId("meter-text"), message.db, message.clipping);
    const fault = message.clipping ? t("tooLoud") : message.silent ? t("noSound") : "";
    byId("record-status").classList.toggle("warning", Boolean(fault));
    setText(byId("record-status"), fault || progress());
  } else if (message.type === "take") {
    byId("recorder").classList.toggle("speaking", message.state === "speaking");
  } else if (message.type === "clip") {
    takes += 1;
    emit("clip", message.clip);
    setText(byId("record-status"), progress());
  } else if (message.type === "done") {
    takes = message.clips ?? takes;
  }
}

function progress() {
  if (state.chosen === BACKGROUND) {
    return t("secondsOf", { n: Math.min(BACKGROUND_SECONDS, Math.floor(seconds)), all: BACKGROUND_SECONDS });
  }
  return mode === "takes" ? t("takesSoFar", { n: takes }) : duration(seconds);
}

function tick(now) {
  seconds = now;
  if (state.chosen === BACKGROUND && seconds >= BACKGROUND_SECONDS) {
    finish();
  }
}

function ended(error) {
  clearInterval(clock);
  stream = null;
  emit("recording", false);
  byId("recorder").classList.remove("speaking");
  byId("record-status").classList.remove("warning");
  showLevel(byId("meter"), byId("meter-text"), null);
  if (error) {
    notice(error.message);
  }
  const said =
    state.chosen === BACKGROUND ? t("backgroundStored", { n: Math.round(seconds) }) : t("takesStored", { n: takes });
  setText(byId("record-status"), said);
  show();
  if (state.chosen === BACKGROUND && !error) {
    byId("new-class").focus();
  }
}

function setMode(value) {
  mode = value;
  for (const one of byId("modes").children) {
    one.setAttribute("aria-pressed", one.dataset.mode === value);
  }
  show();
}

function show() {
  const chosen = chosenClass();
  const images = state.kind === "images";
  const background = chosen?.role === "background";
  byId("recorder").classList.toggle("running", isRecording());
  byId("record").hidden = images;
  byId("record").disabled = !chosen || Boolean(whyNoMicrophone());
  byId("record-level").hidden = images;
  byId("modes").hidden = images || background;
  byId("speaker-label").classList.toggle("kept", background);
  setText(
    byId("record-text"),
    isRecording() ? t("stop") : background ? t("recordSeconds", { n: BACKGROUND_SECONDS }) : t("record"),
  );
  const hint = !chosen
    ? t("hintNoClass")
    : images
      ? t("hintPictures", { name: shownName(chosen.name) })
      : background
        ? t("hintBackground")
        : chosen.role === "unknown"
          ? t("hintOther")
          : t(mode === "takes" ? "hintTakes" : "hintOne", { name: chosen.name });
  setText(byId("record-hint"), hint);
  byId("speakers").replaceChildren(...(state.project?.speakers ?? []).map((name) => new Option(name, name)));
}

/** Offer the microphones, or the cameras; their names come after the first permission. */
async function listDevices() {
  listed = state.kind;
  const found = await devices(state.kind === "images" ? "videoinput" : "audioinput");
  setOptions(byId("device"), found.length ? found : [["", t("standardDevice")]]);
}
