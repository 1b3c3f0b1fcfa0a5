// The keyboard: space records, letters do what buttons do. Letters can be switched off.

import { deleteClips, undo } from "./clip_bar.js";
import { pressCamera, releaseCamera } from "./camera.js";
import { unselect } from "./clips.js";
import { byId, make } from "./dom.js";
import { t } from "./language.js";
import { judgeLast, missed, toggleListening } from "./listen.js";
import { press, release } from "./recorder.js";
import { state } from "./state.js";
import { toggleTraining } from "./train.js";

const KEPT = "audioconv-lab-letters";

/** Letters, what they do, and the text that says so. */
const LETTERS = {
  n: [() => byId("new-class").focus(), "keyNew"],
  c: [
    () => (byId("clips").hidden ? byId("classes").querySelector("input:checked") : byId("clips"))?.focus(),
    "keyClips",
  ],
  t: [toggleTraining, "keyTrain"],
  l: [toggleListening, "keyListen"],
  r: [() => judgeLast("right"), "keyRight"],
  w: [() => judgeLast("wrong"), "keyWrong"],
  m: [missed, "keyMissed"],
  u: [undo, "keyUndo"],
  "?": [() => byId("keys-dialog").showModal(), "keyHelp"],
};

/** Elements that take letters, or the space bar, themselves. */
const TYPING = "input:not([type=radio]):not([type=checkbox]):not([type=range]), select, textarea, dialog *";
const PRESSED = "button:not(#record, #shoot), a, summary, select, input:not([type=radio]), dialog *";

/** Take keys from now on. */
export function startKeys() {
  byId("letters").checked = localStorage.getItem(KEPT) !== "off";
  byId("letters").addEventListener("change", ({ target }) => localStorage.setItem(KEPT, target.checked ? "on" : "off"));
  byId("show-keys").addEventListener("click", () => byId("keys-dialog").showModal());
  byId("keys-close").addEventListener("click", () => byId("keys-dialog").close());
  const rows = [
    [t("keySpaceName"), "keySpace"],
    ["← → ↑ ↓", "keyArrows"],
    ["⏎", "keyEnter"],
    ["⌦", "keyDelete"],
    ["Esc", "keyEscape"],
    ...Object.entries(LETTERS).map(([letter, [, text]]) => [letter, text]),
  ];
  byId("keys-list").replaceChildren(
    ...rows.flatMap(([name, text]) => [make("dt", {}, make("kbd", {}, name)), make("dd", {}, t(text))]),
  );
  document.addEventListener("keydown", down);
  document.addEventListener("keyup", up);
}

function down(event) {
  const { key, target } = event;
  if (key === " " && !target.matches(PRESSED)) {
    event.preventDefault();
    if (!event.repeat) {
      (state.kind === "images" ? pressCamera : press)();
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches(TYPING)) {
    return;
  }
  if (key === "Delete" || key === "Backspace") {
    event.preventDefault();
    deleteClips();
  } else if (key === "Escape") {
    unselect();
  } else if (LETTERS[key] && !event.repeat && byId("letters").checked) {
    event.preventDefault();
    LETTERS[key][0]();
  }
}

function up(event) {
  if (event.key === " " && !event.target.matches(PRESSED)) {
    event.preventDefault(); // a focused record button would count it as a click, too
    (state.kind === "images" ? releaseCamera : release)();
  }
}
