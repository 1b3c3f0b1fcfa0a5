// The language of the page: texts, numbers, durations.

import { LANGUAGES, TEXTS } from "./texts.js";

const KEPT = "audioconv-lab-language";

const codes = LANGUAGES.map(([code]) => code);

/** The code of the language: the one that was chosen, or the first of the browser's that there is, or English. */
export const language =
  [localStorage.getItem(KEPT), ...navigator.languages.map((one) => one.slice(0, 2))].find((one) =>
    codes.includes(one),
  ) ?? "en";

const column = codes.indexOf(language);
const plural = new Intl.PluralRules(language);

/**
 * Return a text of the table in the language of the page.
 *
 * `{name}` in it stands for `values.name`; `{n|one|other}` for one of two texts, after the number `values.n`.
 */
export function t(key, values = {}) {
  const text = TEXTS[key]?.[column];
  if (text === undefined) {
    throw new Error(`texts.js has no text "${key}"`);
  }
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name, one, other) => {
    if (one === undefined) {
      return typeof values[name] === "number" ? number(values[name]) : String(values[name]);
    }
    return plural.select(values[name]) === "one" ? one : other;
  });
}

/** Return whether there is such a text. */
export const hasText = (key) => key in TEXTS;

const formats = new Map();

/** Return a number as the language writes it, with so many digits after the point. */
export function number(value, digits = 0) {
  if (!formats.has(digits)) {
    formats.set(
      digits,
      new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
    );
  }
  return formats.get(digits).format(value);
}

/** Return a share as a percentage; none that is not all is shown as 100 %. */
export function percent(share, digits = 1) {
  const scale = 10 ** digits;
  const shown = share < 1 ? Math.min(Math.round(share * 100 * scale), 100 * scale - 1) / scale : 100;
  return `${number(shown, digits)}${["de", "es", "fr"].includes(language) ? "\u00a0" : ""}%`;
}

/** Return a duration: "0.8 s", "12 s", "3 min", "2 h". */
export function duration(seconds) {
  if (seconds < 59.5) {
    return `${number(seconds, seconds < 9.95 ? 1 : 0)}\u00a0s`;
  }
  return seconds < 3570 ? `${number(Math.round(seconds / 60))}\u00a0min` : `${number(seconds / 3600, 1)}\u00a0h`;
}

/** Return a place in time: "1:23.4". */
export function clock(seconds) {
  const tenths = Math.round(seconds * 10);
  const rest = tenths % 600;
  return `${Math.floor(tenths / 600)}:${String(Math.floor(rest / 10)).padStart(2, "0")}.${rest % 10}`;
}

/** Return a size: "12 kB", "3.4 MB". */
export function size(bytes) {
  return bytes < 1e6 ? `${number(Math.max(1, Math.round(bytes / 1000)))}\u00a0kB` : `${number(bytes / 1e6, 1)}\u00a0MB`;
}

/** Write the texts of the table into the elements that name them, and offer the languages. */
export function writeTexts(select) {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = t(element.dataset.text);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
  }
  for (const element of document.querySelectorAll("[data-hint]")) {
    element.placeholder = t(element.dataset.hint);
  }
  for (const [code, name] of LANGUAGES) {
    select.append(new Option(name, code, false, code === language));
  }
  select.addEventListener("change", () => {
    localStorage.setItem(KEPT, select.value);
    location.reload();
  });
}
