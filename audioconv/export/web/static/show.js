// What is seen on the page. All text goes in by textContent.

const LOWEST_LEVEL = -80;

/** Words that the title names, and the first sentence; of more it tells the number. */
const MAX_TITLE = 5;
const MAX_LEAD = 20;

export const element = (id) => document.getElementById(id);

/** Return a new element with text, or with other elements inside. */
function made(name, content = "", className = "") {
  const one = document.createElement(name);
  one.className = className;
  if (Array.isArray(content)) {
    one.append(...content);
  } else {
    one.textContent = content;
  }
  return one;
}

/** Return a time as minutes, seconds and hundredths, as the command does: 0:07.25. */
export function clock(seconds) {
  const exact = 100 * seconds;
  const hundredths = exact % 1 === 0.5 ? 2 * Math.round(exact / 2) : Math.round(exact);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  const minutes = Math.floor(hundredths / 6000);
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)}%`;
}

/** Show why something is not possible; nothing hides the notice. */
export function notice(text) {
  element("notice").textContent = text;
  element("notice").hidden = !text;
}

export function status(text) {
  element("status").textContent = text;
}

/** Show which part of a recording has been searched; 1 is all of it, and shows nothing. */
export function progress(share) {
  element("progress").hidden = share >= 1;
  element("progress").value = share;
}

export function caption(text) {
  element("found-caption").textContent = text;
}

/** Show these of the sections of results, empty, and hide the others. */
export function begin(...sections) {
  for (const name of ["live", "answer", "found"]) {
    element(name).hidden = !sections.includes(name);
  }
  for (const name of ["words", "scores", "answer-scores", "spoken"]) {
    element(name).replaceChildren();
  }
  element("found-table").hidden = true;
}

/** Show that something goes on, which the first button ends. */
export function running(on) {
  element("listen").textContent = on ? "Stop" : "Listen";
  element("listen").disabled = false;
  element("live-title").textContent = on ? "Now" : "At the end";
}

/** Show how loud a block of samples is, in dB below full scale. */
export function level(block) {
  const power = block.reduce((sum, sample) => sum + sample * sample, 0) / block.length;
  const decibels = Math.max(LOWEST_LEVEL, 10 * Math.log10(power + 1e-12));
  const meter = element("level");
  meter.firstElementChild.style.setProperty("--share", 1 - decibels / LOWEST_LEVEL);
  meter.setAttribute("aria-valuenow", decibels.toFixed(0));
  meter.setAttribute("aria-valuetext", `${decibels.toFixed(0)} decibels`);
  element("level-text").textContent = `${decibels.toFixed(0).replace("-", "−")} dB`;
}

/** Return a label as people read it: `_unknown_` is a class of the model's own. */
function readable(label) {
  return label === "_unknown_" ? "none of these" : label.replace(/^_(.*)_$/, "$1");
}

/** Show the probability of each label, with a mark at the threshold of words; words come first. */
export function scores(id, model, probabilities, threshold) {
  const list = element(id);
  if (list.children.length !== model.labels.length) {
    const lines = model.labels.map((label, code) => {
      const line = made("li", [made("span", readable(label)), made("span", "", "number")]);
      line.classList.toggle("other", !model.isWord[code]);
      line.style.setProperty("--threshold", threshold);
      line.dataset.code = code;
      return line;
    });
    const isWord = (line) => model.isWord[line.dataset.code];
    list.replaceChildren(...lines.filter(isWord), ...lines.filter((line) => !isWord(line)));
  }
  for (const line of list.children) {
    const { code } = line.dataset;
    line.dataset.score = probabilities[code];
    line.style.setProperty("--share", probabilities[code]);
    line.classList.toggle("reached", model.isWord[code] && probabilities[code] >= threshold);
    line.lastElementChild.textContent = percent(probabilities[code]);
  }
}

/** Add words with their times to the table. */
export function words(found, { newestFirst = false, most = Infinity } = {}) {
  const table = element("words");
  for (const { label, start, end, score } of found) {
    const row = made("tr", [
      made("td", clock(start)),
      made("td", clock(end)),
      made("th", label, "word"),
      made("td", percent(score)),
    ]);
    row.lastElementChild.previousElementSibling.scope = "row";
    Object.assign(row.dataset, { label, start, end, score });
    table[newestFirst ? "prepend" : "append"](row);
    element("spoken").textContent = `${label}, ${clock(start)}`;
    element("found-table").hidden = false;
  }
  while (table.children.length > most) {
    table.lastElementChild.remove();
  }
}

/** Show what a short recording is. */
export function answer(model, { accepted, code, score, probabilities }) {
  const label = model.labels[code];
  const text = accepted
    ? [made("b", label), `, with a probability of ${percent(score)}`]
    : [made("b", "none of these"), `; the nearest is ${label}, with ${percent(score)}`];
  element("answer-text").replaceChildren(...text);
  element("answer-text").dataset.answer = accepted ? label : "";
  scores("answer-scores", model, probabilities, model.clipThreshold);
}

/** Show what is known of the model. */
export function model(loaded) {
  const { metadata } = loaded;
  const names = metadata.words;
  const some = names.length > MAX_TITLE ? `${names.length} words` : names.join(", ");
  let all = names.length > MAX_LEAD ? some : listed(names.map((name) => `“${name}”`));
  if (names.length <= MAX_TITLE) {
    all = names.length === 1 ? "this word" : "these words";
  }
  document.title = `${some} · audioconv`;
  element("title").textContent = some;
  element("lead").textContent =
    `This page finds ${all} in sound, from the microphone or from a recording. ` +
    "The sound stays in the browser: nothing is sent anywhere.";
  element("scores-caption").textContent = `A word is taken from ${percent(loaded.threshold)}, the mark in each line.`;
  const { stream, runtime } = metadata;
  const facts = {
    Words: names.length > MAX_LEAD ? listed(names) : "",
    Window: `${trimmed(metadata.window_seconds)} s at ${metadata.sample_rate.toLocaleString("en")} Hz`,
    Listening:
      `a window every ${trimmed(stream.hop_seconds)} s, probabilities averaged over ` +
      `${trimmed(stream.smoothing_seconds)} s, threshold ${percent(stream.threshold)}`,
    "At this threshold": cost(metadata.curve, stream.threshold),
    Licences: metadata.licences.map(({ of, licence }) => `${of}: ${licence ?? "not known"}`).join("; "),
    "Computed by": `ONNX Runtime Web ${runtime.version} (${runtime.licence})`,
    "Exported by": `audioconv ${metadata.audioconv_version}`,
  };
  element("facts").replaceChildren(
    ...Object.entries(facts)
      .filter(([, value]) => value)
      .map(([name, value]) => made("div", [made("dt", name), made("dd", value)])),
  );
  element("about").hidden = false;
  const more = made("a", "model.json");
  more.href = "model.json";
  element("facts").append(made("div", [made("dt", "All that is known"), made("dd", [more])]));
}

function listed(names) {
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
}

/** Return what a threshold costs, from the model's curve; empty if it has none. */
function cost(curve, threshold) {
  if (!curve) {
    return "";
  }
  const at = (series) => between(curve.thresholds, series, threshold);
  const rate = at(curve.false_accepts_per_hour);
  const often = rate < 0.1 ? "fewer than 0.1" : rate.toFixed(1);
  return `${percent(1 - at(curve.found), 0)} of words missed, ${often} false accepts an hour of speech`;
}

/** Return the value of a series at a place, between those of its neighbours. */
function between(places, values, place) {
  const above = places.findIndex((one) => one >= place);
  if (above <= 0) {
    return values.at(above);
  }
  const share = (place - places[above - 1]) / (places[above] - places[above - 1]);
  return values[above - 1] + share * (values[above] - values[above - 1]);
}

function trimmed(number) {
  return String(Number(number.toFixed(3)));
}

/** Let a file be dropped anywhere on the page. */
export function droppable(onFile) {
  const over = element("drop");
  let depth = 0; // each element inside tells of its own
  const holdsFile = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (holdsFile(event)) {
      depth += 1;
      over.hidden = false;
    }
  });
  addEventListener("dragleave", (event) => {
    depth -= holdsFile(event) ? 1 : 0;
    over.hidden = depth <= 0;
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    over.hidden = true;
    onFile(event.dataTransfer?.files[0]);
  });
}
