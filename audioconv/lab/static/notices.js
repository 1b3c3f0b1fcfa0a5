// What the page says about itself: a notice above the columns, a short line at the foot, and words for screen readers.

import { byId, setText } from "./dom.js";

const SHOWN_MILLISECONDS = 8000;

let timer = 0;

/** Show a fault above the columns; an empty text hides it. */
export function notice(text) {
  byId("notice").hidden = !text;
  setText(byId("notice"), text);
}

/** Show a line at the foot for some seconds, with a button that undoes where `undo` is true. */
export function toast(text, undo = false) {
  clearTimeout(timer);
  byId("toast").hidden = !text;
  byId("toast-undo").hidden = !undo;
  setText(byId("toast-text"), text);
  timer = setTimeout(() => (byId("toast").hidden = true), SHOWN_MILLISECONDS);
}

/** Let a screen reader say a line that is seen elsewhere. */
export function announce(text) {
  byId("announced").textContent = "";
  requestAnimationFrame(() => (byId("announced").textContent = text));
}

/** Do what a button asks for; what fails is shown at the foot. Returns undefined then. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    toast(error.message);
    return undefined;
  }
}
