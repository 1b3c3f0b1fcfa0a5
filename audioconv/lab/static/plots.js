// Small figures like those of the report: curves over epochs, what a threshold costs, scores over time.

import { makeSvg } from "./dom.js";
import { number } from "./language.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [34, 8, 8, 20];

/**
 * Return a figure with curves.
 *
 * `curves`: `{points: [[x, y], ...], kind}`; `kind` is a class of the style sheet. `x` and `y`: `{from, to, ticks,
 * text}` with the values that have a line, and a function that writes one. `marks`: `{at, kind}`, upright lines;
 * `dot`: `[x, y]`. `label`: what a screen reader says.
 */
export function plot({ width = 320, height = 112, curves, x, y, marks = [], bands = [], dot = null, label }) {
  const across = (value) => LEFT + ((value - x.from) / (x.to - x.from || 1)) * (width - LEFT - RIGHT);
  const up = (value) =>
    height - BOTTOM - ((Math.min(value, y.to) - y.from) / (y.to - y.from || 1)) * (height - TOP - BOTTOM);
  const lines = y.ticks.map((tick) =>
    makeSvg(
      "g",
      {},
      makeSvg("line", { class: "grid-line", x1: LEFT, x2: width - RIGHT, y1: up(tick), y2: up(tick) }),
      makeSvg("text", { class: "end", x: LEFT - 6, y: up(tick) + 4 }, y.text(tick)),
    ),
  );
  const feet = x.ticks.map((tick, place) =>
    makeSvg(
      "text",
      { class: place === 0 ? "" : place === x.ticks.length - 1 ? "end" : "middle", x: across(tick), y: height - 5 },
      x.text(tick),
    ),
  );
  const paths = curves.map(({ points, kind }) =>
    makeSvg("path", {
      class: `curve ${kind}`,
      d: points.map(([a, b], place) => `${place ? "L" : "M"}${across(a).toFixed(1)} ${up(b).toFixed(1)}`).join(""),
    }),
  );
  const upright = marks.map(({ at, kind }) =>
    makeSvg("line", { class: `mark ${kind}`, x1: across(at), x2: across(at), y1: TOP, y2: height - BOTTOM }),
  );
  const broad = bands.map(({ from, to }) =>
    makeSvg("rect", {
      class: "band",
      x: across(from),
      width: Math.max(2, across(to) - across(from)),
      y: TOP,
      height: height - TOP - BOTTOM,
    }),
  );
  const point = dot ? [makeSvg("circle", { class: "chosen", cx: across(dot[0]), cy: up(dot[1]), r: 5 })] : [];
  return makeSvg(
    "svg",
    { class: "plot", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    ...broad,
    ...lines,
    ...feet,
    ...upright,
    ...paths,
    ...point,
  );
}

/** Return round values between two, three to five of them. */
export function ticks(from, to) {
  const raw = (to - from || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((one) => one * power >= raw) * power;
  const found = [];
  for (let value = Math.ceil(from / step - 1e-9) * step || 0; value <= to + step * 1e-9; value += step) {
    found.push(value);
  }
  return found;
}

/** Return a number with as many digits as distances of this size need. */
export const plain = (value) =>
  number(value, Math.abs(value) >= 10 || Number.isInteger(value) ? 0 : Math.abs(value) >= 1 ? 1 : 2);
