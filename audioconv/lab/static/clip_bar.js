// What can be done with the chosen clips: play, trim, move, name who speaks, delete; and undo.

import { call } from "./server.js";
import { ask } from "./ask.js";
import { classOptions, shownName } from "./classes.js";
import { faultText, playClip, selectedClips, selection, unselect } from "./clips.js";
import { byId, make, setText } from "./dom.js";
import { duration, t } from "./language.js";
import { attempt, toast } from "./notices.js";
import { on, refresh, state } from "./state.js";
import { trim } from "./trim.js";

/** Show the bar while clips are chosen. */
export function startClipBar() {
  on("selection", show);
  on("project", show);
  byId("clip-play").addEventListener("click", () => playClip(selectedClips()[0]));
  byId("clip-trim").addEventListener("click", () => trim(selectedClips()[0]));
  byId("clip-delete").addEventListener("click", deleteClips);
  byId("clip-speaker").addEventListener("click", nameSpeaker);
  byId("clip-move").addEventListener("change", ({ target }) => move(target.value));
  byId("undo").addEventListener("click", undo);
  byId("toast-undo").addEventListener("click", undo);
}

/** Delete the chosen clips; the server keeps them for undo. */
export async function deleteClips() {
  const ids = [...selection];
  if (ids.length) {
    await attempt(async () => {
      await call("POST", "clips/delete", { json: { ids } });
      unselect();
      toast(t("clipsDeleted", { n: ids.length }), true);
      await refresh();
    });
  }
}

/** Take back the last change. */
export async function undo() {
  await attempt(async () => {
    const { undone } = await call("POST", "undo");
    toast(undone ? t("undone", { what: undone }) : t("nothingToUndo"));
    await refresh();
  });
}

async function move(name) {
  const ids = [...selection];
  await attempt(async () => {
    await call("POST", "clips/move", { json: { ids, class: name } });
    unselect();
    toast(t("clipsMoved", { n: ids.length, name: shownName(name) }), true);
    await refresh();
  });
}

async function nameSpeaker() {
  const ids = [...selection];
  const before = new Set(selectedClips().map(({ speaker }) => speaker ?? ""));
  const value = before.size === 1 ? [...before][0] : "";
  const speaker = await ask({
    title: t("speakerOf", { n: ids.length }),
    label: t("speaker"),
    value,
    ok: t("apply"),
    suggestions: "speakers",
    mayBeEmpty: true,
  });
  if (speaker !== null) {
    await attempt(async () => {
      await call("POST", "clips/speaker", { json: { ids, speaker } });
      await refresh();
    });
  }
}

function show() {
  const clips = selectedClips();
  byId("clip-bar").hidden = !clips.length;
  if (!clips.length) {
    return;
  }
  const one = clips.length === 1 ? clips[0] : null;
  const editable = clips.every((clip) => clip.editable !== false);
  const sound = !clips.some(({ width }) => width);
  setText(
    byId("clip-line"),
    one
      ? [one.name, one.width ? `${one.width} × ${one.height}` : duration(one.seconds), one.speaker]
          .filter(Boolean)
          .join(" · ")
      : t("chosenClips", { n: clips.length }),
  );
  const fault = one && faultText(one);
  byId("clip-line").classList.toggle("faulty", Boolean(fault));
  if (fault) {
    byId("clip-line").append(make("span", { class: "warning" }, ` ⚠ ${fault}`));
  }
  byId("clip-play").hidden = !sound;
  byId("clip-play").disabled = byId("clip-trim").disabled = !one;
  byId("clip-trim").hidden = !sound;
  byId("clip-trim").disabled ||= !editable;
  byId("clip-move").disabled = byId("clip-speaker").disabled = byId("clip-delete").disabled = !editable;
  const others = classOptions({ withBackground: sound }).filter(([name]) => name !== state.chosen);
  byId("clip-move").replaceChildren(
    new Option(t("moveTo"), ""),
    ...others.map(([name, text]) => new Option(text, name)),
  );
}
