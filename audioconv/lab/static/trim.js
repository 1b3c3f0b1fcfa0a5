// A dialog that cuts the beginning and the end off a clip.

import { call, clipPath } from "./server.js";
import { byId } from "./dom.js";
import { number, t } from "./language.js";
import { attempt, toast } from "./notices.js";
import { showPicture } from "./pictures.js";
import { play, stop } from "./player.js";
import { refresh } from "./state.js";

/** What remains at least, in seconds. */
const SHORTEST = 0.05;

let clip = null;

/** Take the dialog's buttons from now on. */
export function startTrim() {
  byId("trim-begin").addEventListener("input", () => changed("trim-begin"));
  byId("trim-end").addEventListener("input", () => changed("trim-end"));
  byId("trim-cancel").addEventListener("click", () => byId("trim-dialog").close());
  byId("trim-dialog").addEventListener("close", stop);
  byId("trim-play").addEventListener("click", () => {
    const [begin, end] = range();
    play(clipPath(clip.id, "audio"), { begin, end, version: clip.seconds });
  });
  byId("trim-apply").addEventListener("click", apply);
}

/** Open the dialog for a clip. */
export function trim(chosen) {
  clip = chosen;
  showPicture(byId("trim-image"), clip, 1080, 320);
  for (const id of ["trim-begin", "trim-end"]) {
    byId(id).max = clip.seconds;
  }
  byId("trim-begin").value = 0;
  byId("trim-end").value = clip.seconds;
  changed("trim-begin");
  byId("trim-dialog").showModal();
}

const range = () => [Number(byId("trim-begin").value), Number(byId("trim-end").value)];

function changed(id) {
  let [begin, end] = range();
  if (end - begin < SHORTEST) {
    if (id === "trim-begin") {
      begin = Math.max(0, end - SHORTEST);
      byId("trim-begin").value = begin;
    } else {
      end = Math.min(clip.seconds, begin + SHORTEST);
      byId("trim-end").value = end;
    }
  }
  const picture = byId("trim-picture");
  picture.style.setProperty("--begin", begin / clip.seconds);
  picture.style.setProperty("--end", 1 - end / clip.seconds);
  const seconds = (value) => `${number(value, 2)}\u00a0s`;
  byId("trim-line").textContent = t("trimLine", {
    begin: seconds(begin),
    end: seconds(end),
    rest: seconds(end - begin),
  });
  byId("trim-begin").setAttribute("aria-valuetext", seconds(begin));
  byId("trim-end").setAttribute("aria-valuetext", seconds(end));
}

async function apply() {
  const [begin, end] = range();
  await attempt(async () => {
    await call("PATCH", clipPath(clip.id), { json: { begin, end } });
    byId("trim-dialog").close();
    toast(t("trimmed", { name: clip.name }), true);
    await refresh();
  });
}
