// Files and folders that are dropped on the page or chosen: one request each, a few at a time.

import { call, query } from "./server.js";
import { byId } from "./dom.js";
import { t } from "./language.js";
import { attempt, notice, toast } from "./notices.js";
import { on, refresh, state } from "./state.js";
import { shownName } from "./classes.js";

const AT_ONCE = 3;

/** Faults that are listed; the rest is counted. */
const LISTED = 3;

/** Folders that are no classes. */
const LEFT_OUT = /^\.|^models$|^__MACOSX$/;

let dropTarget = () => null;

/** Take dropped files from now on; `elsewhere(event)` returns what takes a single file there, or null. */
export function startFiles(elsewhere) {
  dropTarget = elsewhere;
  byId("add-files").addEventListener("click", () => byId("files").click());
  byId("add-folder").addEventListener("click", () => byId("directory").click());
  for (const id of ["files", "directory"]) {
    byId(id).addEventListener("change", ({ target }) => {
      const files = [...target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      target.value = ""; // so that the same can be chosen again
      add(files);
    });
  }
  const show = () => {
    byId("cut-label").hidden = state.kind === "images";
    byId("open-voices").hidden = !state.project?.voices || state.kind === "images";
    byId("files").accept =
      state.kind === "images" ? "image/*" : "audio/*,video/*,.wav,.flac,.ogg,.opus,.mp3,.m4a,.aiff";
  };
  on("project", show);
  let depth = 0;
  const shown = (value) => (byId("drop").hidden = !value);
  document.addEventListener("dragenter", (event) => {
    if (event.dataTransfer?.types.includes("Files")) {
      depth += 1;
      byId("drop-text").textContent = dropTarget(event)
        ? t("dropSearch")
        : t("dropHere", { name: shownName(state.chosen) || "…" });
      shown(true);
    }
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    shown(depth > 0);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    shown(false);
    const taker = dropTarget(event);
    const files = await dropped(event.dataTransfer);
    if (taker && files.length === 1) {
      taker(files[0].file);
    } else {
      await add(files);
    }
  });
}

/** Return the files of a drop with their paths, those of folders too. */
async function dropped(transfer) {
  // The list is empty after the first await: entries are taken before.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) {
    return [...transfer.files].map((file) => ({ file, path: file.name }));
  }
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ file, path: entry.fullPath.replace(/^\//, "") });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!part.length) {
        return;
      }
      for (const one of part) {
        await walk(one);
      }
    }
  };
  await attempt(async () => {
    for (const entry of entries) {
      await walk(entry);
    }
  });
  return found;
}

/** Store files: the class is the folder that a file lies in, or the chosen one. */
async function add(files) {
  const cut = byId("cut").checked && state.kind !== "images" ? 1 : "";
  const queue = files
    .filter(({ path }) => !path.split("/").some((part) => LEFT_OUT.test(part)))
    .map(({ file, path }) => ({ file, class: path.split("/").at(-2) ?? state.chosen }));
  if (queue.some((one) => !one.class)) {
    toast(t("hintNoClass"));
    return;
  }
  const all = queue.length;
  let done = 0;
  let stored = 0;
  const skipped = [];
  const work = async () => {
    for (let one = queue.shift(); one; one = queue.shift()) {
      try {
        const values = { class: one.class, speaker: byId("speaker").value.trim(), name: one.file.name, cut };
        const answer = await call("POST", `clips?${query(values)}`, { body: one.file });
        stored += answer.clips.length;
        skipped.push(...answer.skipped);
      } catch (error) {
        skipped.push({ name: one.file.name, message: error.message });
        if (error.status === 0 || error.status === 401) {
          queue.length = 0; // the others would fail like this one
        }
      }
      done += 1;
      toast(t("filesDone", { n: done, all }));
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, all) }, work));
  await attempt(refresh);
  toast(t("filesStored", { n: stored }), stored > 0);
  const listed = skipped
    .slice(0, LISTED)
    .map(({ name, message }) => `${name}: ${message}`)
    .join(" · ");
  const rest = skipped.length > LISTED ? ` (+ ${skipped.length - LISTED})` : "";
  notice(skipped.length ? `${t("filesSkipped", { n: skipped.length })} ${listed}${rest}` : "");
}
