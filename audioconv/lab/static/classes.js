// The classes of the project: choose, add, rename, delete.

import { call } from "./server.js";
import { ask } from "./ask.js";
import { byId, make, setText } from "./dom.js";
import { duration, t } from "./language.js";
import { announce, attempt, toast } from "./notices.js";
import { choose, chooseKind, chosenClass, classes, emit, on, refresh, state } from "./state.js";

/** Return the name of a class as the page shows it. */
export function shownName(name) {
  const role = classes().find((one) => one.name === name)?.role;
  return role === "background" ? t("background") : role === "unknown" ? t("otherWords") : name;
}

/** Return the options of a select that chooses a class. */
export function classOptions({ withBackground = true } = {}) {
  return classes()
    .filter(({ role }) => withBackground || role !== "background")
    .map(({ name }) => [name, shownName(name)]);
}

/** Show the classes from now on, and take what is typed. */
export function startClasses() {
  on("project", show);
  on("chosen", show);
  byId("add-class").addEventListener("submit", add);
  byId("rename-class").addEventListener("click", rename);
  byId("delete-class").addEventListener("click", remove);
  for (const button of byId("kinds").children) {
    button.addEventListener("click", () => chooseKind(button.dataset.kind));
  }
}

function show() {
  const list = byId("classes");
  const focused = list.contains(document.activeElement);
  const largest = Math.max(1, ...classes().map(({ clips }) => clips));
  const rows = classes().map(({ name, role, clips, seconds }) =>
    make(
      "label",
      { class: `class ${role}${clips ? "" : " empty"}`, style: { "--share": clips / largest } },
      make("input", {
        type: "radio",
        name: "class",
        value: name,
        checked: name === state.chosen,
        on: { change: () => choose(name) },
      }),
      make("span", { class: "class-name" }, shownName(name)),
      make("span", { class: "number" }, clips ? count(clips, seconds) : t("none")),
    ),
  );
  list.replaceChildren(...rows);
  if (focused) {
    list.querySelector("input:checked")?.focus();
  }
  byId("kinds").hidden = Boolean(state.project?.kind);
  for (const button of byId("kinds").children) {
    button.setAttribute("aria-pressed", button.dataset.kind === state.kind);
  }
  const chosen = chosenClass();
  setText(byId("class-title"), chosen ? shownName(chosen.name) : t("newClass"));
  const exists = state.project?.classes.some(({ name }) => name === state.chosen);
  byId("rename-class").hidden = chosen?.role !== "word";
  byId("delete-class").hidden = !exists;
}

function count(clips, seconds) {
  return state.kind === "images"
    ? t("pictureCount", { n: clips })
    : `${t("clipCount", { n: clips })} · ${duration(seconds)}`;
}

async function add(event) {
  event.preventDefault();
  const field = byId("new-class");
  const name = field.value.trim();
  if (!name) {
    field.focus();
    return;
  }
  await attempt(async () => {
    if (!classes().some((one) => one.name === name)) {
      await call("POST", "classes", { json: { name } });
      await refresh();
    }
    field.value = "";
    choose(name);
    announce(t("classAdded", { name }));
    byId(state.kind === "images" ? "shoot" : "record").focus();
  });
}

async function rename() {
  const before = state.chosen;
  const name = await ask({
    title: t("renameClass", { name: before }),
    label: t("newName"),
    value: before,
    ok: t("rename"),
  });
  if (name && name !== before) {
    await attempt(async () => {
      await call("PATCH", `classes/${encodeURIComponent(before)}`, { json: { name } });
      state.chosen = name;
      await refresh();
      emit("chosen", name);
    });
  }
}

async function remove() {
  const { name, clips } = chosenClass();
  await attempt(async () => {
    await call("DELETE", `classes/${encodeURIComponent(name)}`);
    await refresh();
    emit("chosen", state.chosen);
    toast(t("classDeleted", { name: shownName(name), n: clips }), true);
  });
}
