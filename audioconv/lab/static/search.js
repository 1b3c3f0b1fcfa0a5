// A recording in which words are searched, or a picture that is answered.

import { call, query } from "./server.js";
import { shownName } from "./classes.js";
import { byId, make, setText } from "./dom.js";
import { clock, percent, t } from "./language.js";
import { attempt } from "./notices.js";
import { plot, ticks } from "./plots.js";
import { on, state } from "./state.js";
import { scoreRows } from "./scores.js";
import { currentThreshold } from "./threshold.js";

const audio = new Audio();
let address = "";
let timer = 0;

/** Take the button from now on. */
export function startSearch() {
  byId("search-button").addEventListener("click", () => byId("search-file").click());
  byId("search-file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (file) {
      searchFile(file);
    }
  });
  on(
    "project",
    () =>
      (byId("search-file").accept =
        state.kind === "images" ? "image/*" : "audio/*,video/*,.wav,.flac,.ogg,.opus,.mp3,.m4a"),
  );
}

/** Search a file for words; show where they are. */
export async function searchFile(file) {
  if (!state.project?.model) {
    return;
  }
  audio.pause();
  byId("search-block").hidden = false;
  byId("search-progress").hidden = false;
  byId("timeline").replaceChildren();
  byId("search-events").replaceChildren();
  setText(byId("search-title"), t("searching", { name: file.name }));
  byId("search-block").scrollIntoView({ block: "nearest" });
  await attempt(async () => {
    if (state.kind === "images") {
      const { scores } = await call("POST", "classify", { body: file });
      showAnswer(file, scores);
    } else {
      show(
        file,
        await call("POST", `search?${query({ name: file.name, threshold: currentThreshold() })}`, { body: file }),
      );
    }
  });
  byId("search-progress").hidden = true;
  if (!byId("timeline").children.length) {
    byId("search-block").hidden = true;
  }
}

function showAnswer(file, scores) {
  const list = make("ul", { class: "scores", "aria-label": t("scores") });
  const rows = scoreRows(list);
  rows.labels(Object.keys(scores).sort((a, b) => scores[b] - scores[a]));
  rows.show(scores);
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(file);
  setText(byId("search-title"), file.name);
  byId("timeline").replaceChildren(make("img", { class: "answered", src: address, alt: file.name }), list);
}

function show(file, { seconds, events, times = [], scores = {} }) {
  URL.revokeObjectURL(address);
  address = URL.createObjectURL(file);
  audio.src = address;
  setText(byId("search-title"), t("foundIn", { n: events.length, name: file.name }));
  const curves = Object.values(scores).map((values) => ({
    kind: "thin",
    points: values.map((value, place) => [times[place], value]),
  }));
  byId("timeline").replaceChildren(
    plot({
      height: 110,
      label: t("timeline", { n: events.length }),
      x: { from: 0, to: seconds, ticks: ticks(0, seconds), text: (value) => clock(value).replace(/\.0$/, "") },
      y: { from: 0, to: 1, ticks: [0, 0.5, 1], text: (value) => percent(value, 0) },
      bands: events.map(({ begin, end }) => ({ from: begin, to: end })),
      curves,
    }),
  );
  byId("search-events").replaceChildren(
    ...events.map((event) =>
      make(
        "li",
        { class: "event" },
        make("button", {
          type: "button",
          class: "quiet play",
          "aria-label": t("playNamed", { name: `${shownName(event.label)} ${clock(event.time)}` }),
          on: { click: () => playFrom(event) },
        }),
        make("span", { class: "number" }, clock(event.time)),
        make("b", {}, shownName(event.label)),
        make("span", { class: "number" }, percent(event.score, 0)),
      ),
    ),
  );
}

function playFrom({ begin, end }) {
  clearTimeout(timer);
  audio.currentTime = Math.max(0, begin - 0.3);
  attempt(() => audio.play());
  timer = setTimeout(() => audio.pause(), 1000 * (end - begin + 0.8));
}
