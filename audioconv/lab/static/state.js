// What the page has of the project, and who wants to be called when that changes.

import { call, openSocket } from "./server.js";
import { delayed } from "./dom.js";

export const BACKGROUND = "_background_noise_";
export const OTHER = "_unknown_";

const SHORTEST_WAIT = 500;
const LONGEST_WAIT = 8000;

const listeners = new Map();

/** The project as `GET /api/project` describes it, and the name of the class that is chosen. */
export const state = { project: null, chosen: BACKGROUND, kind: "audio" };

/** Call `listener` with what each event of this name carries. */
export function on(name, listener) {
  listeners.set(name, [...(listeners.get(name) ?? []), listener]);
}

/** Tell those who listen. */
export function emit(name, value) {
  for (const listener of listeners.get(name) ?? []) {
    listener(value);
  }
}

/** Return the classes in the order of the page: background, words, other words; the first and last are always there. */
export function classes() {
  const found = state.project?.classes ?? [];
  const words = found.filter(({ role }) => role === "word");
  if (state.kind === "images") {
    return [...words, ...found.filter(({ role }) => role === "unknown")];
  }
  const one = (name, role) => found.find((each) => each.role === role) ?? { name, role, clips: 0, seconds: 0 };
  return [one(BACKGROUND, "background"), ...words, one(OTHER, "unknown")];
}

/** Return the class that is chosen, or null. */
export function chosenClass() {
  return classes().find(({ name }) => name === state.chosen) ?? null;
}

/** Choose a class. */
export function choose(name) {
  if (state.chosen !== name) {
    state.chosen = name;
    emit("chosen", name);
  }
}

/** Choose sounds or pictures, before the first clip decides. */
export function chooseKind(kind) {
  state.kind = kind;
  if (!chosenClass()) {
    state.chosen = classes()[0]?.name ?? "";
  }
  emit("project", state.project);
}

/** Ask the server for the project again. */
export async function refresh() {
  const project = await call("GET", "project");
  state.project = project;
  state.kind = project.kind || state.kind;
  if (!chosenClass()) {
    state.chosen = classes()[0]?.name ?? "";
  }
  emit("project", project);
}

const refreshSoon = delayed(() => refresh().catch((error) => emit("error", error)), 120);

/** Follow the events of the server; where the connection breaks, open another one and ask for the project again. */
export async function follow() {
  let wait = SHORTEST_WAIT;
  let lost = false;
  for (;;) {
    try {
      const socket = await openSocket("events", (event) => {
        if (event.type === "project" || event.type === "model") {
          refreshSoon();
        }
        emit(`server-${event.type}`, event);
      });
      wait = SHORTEST_WAIT;
      if (lost) {
        await refresh();
        emit("found-again");
        lost = false;
      }
      await new Promise((resolve) => socket.addEventListener("close", resolve));
    } catch {
      // the next try says more
    }
    if (!lost) {
      emit("lost");
      lost = true;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(2 * wait, LONGEST_WAIT);
  }
}
