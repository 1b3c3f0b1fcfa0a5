// The clips of the chosen class, as a grid of which only what is seen is in the page: 10,000 scroll as 10 do.

import { clipPath } from "./server.js";
import { ClipSource } from "./clip_source.js";
import { shownName } from "./classes.js";
import { byId, make, setText } from "./dom.js";
import { duration, hasText, t } from "./language.js";
import { forget, showPicture } from "./pictures.js";
import { play } from "./player.js";
import { emit, on, state } from "./state.js";

const WIDTH = 104; // of a card at least, in CSS pixels
const PICTURE = 56;
const HEIGHT = PICTURE + 22;
const GAP = 10;
const BEYOND = 3; // rows above and below what is seen

const cards = new Map(); // elements by place
let source = null;
let columns = 1;
let active = -1; // the place that the keyboard is at
let anchor = 0; // the place at which a range begins
let awaited = false;

/** The ids of the chosen clips. */
export const selection = new Set();

/** Return the clips that are chosen and here. */
export function selectedClips() {
  return [...selection].map((id) => source.get(source.find(id))).filter(Boolean);
}

/** Show clips from now on. */
export function startClips() {
  const list = byId("clips");
  on("chosen", open);
  on("project", () => (source?.name === state.chosen ? source.renew() : open()));
  on("server-check", () => source?.renew());
  byId("only-faults").addEventListener("change", open);
  new ResizeObserver(draw).observe(byId("grid"));
  document.addEventListener("scroll", drawSoon, { capture: true, passive: true });
  list.addEventListener("click", (event) => {
    const card = event.target.closest("[role=option]");
    if (card) {
      pick(Number(card.dataset.place), event.ctrlKey || event.metaKey, event.shiftKey);
      card.scrollIntoView({ block: "nearest" }); // not below the bar that appears
      playActive();
    }
  });
  list.addEventListener("keydown", key);
  list.addEventListener("focus", () => {
    if (active < 0 && source.total) {
      active = 0;
      changed();
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    clear();
    draw();
  });
}

/** Choose no clip. */
export function unselect() {
  selection.clear();
  changed();
}

/** Play the clip that the keyboard is at. */
export function playActive() {
  const clip = active >= 0 ? source.get(active) : null;
  if (clip) {
    playClip(clip, cards.get(active));
  }
}

/** Play a clip; a card shows how far it is. Pictures have no sound. */
export function playClip(clip, card = null) {
  if (clip.width) {
    return;
  }
  play(clipPath(clip.id, "audio"), {
    version: clip.seconds,
    onState: (playing) => {
      card?.style.setProperty("--seconds", `${clip.seconds}s`);
      card?.classList.toggle("playing", playing);
    },
  });
}

/** Return what is wrong with a clip, as a text; an empty one where nothing is. */
export function faultText(clip) {
  return (clip.faults ?? [])
    .map(({ kind, message }) => (hasText(`fault_${kind}`) ? t(`fault_${kind}`) : message))
    .join("; ");
}

function open() {
  if (source) {
    source.closed = true;
  }
  source = new ClipSource(state.chosen, byId("only-faults").checked, arrived);
  selection.clear();
  active = -1;
  clear();
  byId("grid").style.height = "0";
  source.renew();
  changed();
}

function arrived() {
  for (const id of selection) {
    if (source.find(id) < 0) {
      selection.delete(id);
    }
  }
  active = Math.min(active, source.total - 1);
  setText(
    byId("clips-title"),
    source.total ? t(state.kind === "images" ? "pictureCount" : "clipCount", { n: source.total }) : t("noClips"),
  );
  setText(byId("clips-hint"), source.total ? t("clipsHint") : t("clipsEmpty"));
  const faulty = [...source.pages.values()].flat().some((clip) => clip.faults?.length);
  byId("only-faults-label").hidden = !faulty && !byId("only-faults").checked;
  draw();
  changed();
}

function clear() {
  for (const card of cards.values()) {
    forget(card.querySelector("img"));
    card.remove();
  }
  cards.clear();
}

function drawSoon() {
  if (!awaited) {
    awaited = true;
    requestAnimationFrame(() => {
      awaited = false;
      draw();
    });
  }
}

function draw() {
  const grid = byId("grid");
  const list = byId("clips");
  if (!source?.loaded) {
    return;
  }
  const width = grid.clientWidth;
  const before = columns;
  columns = Math.max(1, Math.floor((width + GAP) / (WIDTH + GAP)));
  const cardWidth = (width - (columns - 1) * GAP) / columns;
  const rows = Math.ceil(source.total / columns);
  list.hidden = !source.total;
  grid.style.height = "";
  list.style.height = `${Math.max(0, rows * (HEIGHT + GAP) - GAP)}px`;
  if (before !== columns) {
    clear();
  }
  const { top } = list.getBoundingClientRect();
  const frame = grid.getBoundingClientRect();
  const from = Math.max(0, frame.top) - top;
  const to = Math.min(innerHeight, frame.bottom) - top;
  const first = Math.max(0, Math.floor(from / (HEIGHT + GAP)) - BEYOND) * columns;
  const last = Math.min(source.total, (Math.ceil(to / (HEIGHT + GAP)) + BEYOND) * columns);
  for (const [place, card] of cards) {
    if ((place < first || place >= last) && place !== active) {
      forget(card.querySelector("img"));
      card.remove();
      cards.delete(place);
    }
  }
  const added = [];
  for (let place = first; place < last; place += 1) {
    added.push(place);
  }
  if (active >= 0 && active < source.total && (active < first || active >= last)) {
    added.push(active); // what the keyboard is at stays in the page
  }
  for (const place of added) {
    const card = cards.get(place) ?? newCard(place);
    card.style.width = `${cardWidth}px`;
    card.style.transform = `translate(${(place % columns) * (cardWidth + GAP)}px, ${Math.floor(place / columns) * (HEIGHT + GAP)}px)`;
    fill(card, place);
  }
}

function newCard(place) {
  const image = make("img", { class: "coming", alt: "", width: WIDTH, height: PICTURE, decoding: "async" });
  const card = make(
    "div",
    { class: "card", role: "option", id: `clip-${place}`, "data-place": place },
    make("span", { class: "frame" }, image),
    make(
      "span",
      { class: "card-line" },
      make("span", { class: "unseen" }),
      " ",
      make("span"),
      " ",
      make("span", { class: "card-speaker" }),
      " ",
      make("span", { class: "unseen" }),
    ),
  );
  cards.set(place, card);
  byId("clips").append(card);
  return card;
}

function fill(card, place) {
  const clip = source.get(place);
  const id = clip ? `${clip.id}|${clip.added ?? ""}|${clip.seconds}` : "";
  if (card.dataset.clip !== id) {
    card.dataset.clip = id;
    card.classList.remove("playing");
    if (clip) {
      showPicture(card.querySelector("img"), clip, 2 * WIDTH, 2 * PICTURE);
    }
  }
  const fault = clip ? faultText(clip) : "";
  const length = clip ? (clip.width ? `${clip.width} × ${clip.height}` : duration(clip.seconds)) : "";
  const texts = [t("clipNumber", { n: place + 1 }), fault ? `${length} ⚠` : length, clip?.speaker ?? "", fault];
  texts.forEach((text, number) => setText(card.lastElementChild.children[number], text));
  card.title = fault;
  card.classList.toggle("faulty", Boolean(fault));
  card.setAttribute("aria-selected", Boolean(clip && selection.has(clip.id)));
  card.classList.toggle("active", place === active);
  card.setAttribute("aria-setsize", source.total);
  card.setAttribute("aria-posinset", place + 1);
}

function pick(place, more, range) {
  const clip = source.get(place);
  if (!clip) {
    return;
  }
  if (range) {
    selection.clear();
    for (let each = Math.min(anchor, place); each <= Math.max(anchor, place); each += 1) {
      const one = source.get(each);
      if (one) {
        selection.add(one.id);
      }
    }
  } else if (more && selection.has(clip.id)) {
    selection.delete(clip.id);
  } else {
    if (!more) {
      selection.clear();
    }
    selection.add(clip.id);
  }
  anchor = range ? anchor : place;
  active = place;
  changed();
}

function moveTo(place, range) {
  const next = Math.max(0, Math.min(source.total - 1, place));
  active = next;
  pick(next, false, range);
  draw();
  cards.get(next)?.scrollIntoView({ block: "nearest" });
}

function key(event) {
  const steps = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    Home: -source.total,
    End: source.total,
  };
  if (event.key in steps) {
    event.preventDefault();
    const begun = active >= 0 && selection.size > 0; // the first press chooses where the keyboard is
    moveTo(
      Math.max(0, active) + (begun || Math.abs(steps[event.key]) === source.total ? steps[event.key] : 0),
      event.shiftKey,
    );
  } else if (event.key === "Enter") {
    playActive();
  } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    for (let place = 0; place < source.total; place += 1) {
      const clip = source.get(place);
      if (clip) {
        selection.add(clip.id);
      }
    }
    changed();
  } else if (event.key === "Escape") {
    unselect();
  } else {
    return;
  }
  event.stopPropagation();
}

function changed() {
  const list = byId("clips");
  draw();
  if (active >= 0 && cards.has(active)) {
    list.setAttribute("aria-activedescendant", `clip-${active}`);
  } else {
    list.removeAttribute("aria-activedescendant");
  }
  emit("selection", selection);
}
