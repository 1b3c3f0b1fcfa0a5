// The threshold, and what it costs: words that are missed against words that nobody said.

import { call } from "./server.js";
import { byId, delayed, setText } from "./dom.js";
import { number, percent, t } from "./language.js";
import { plain, plot, ticks } from "./plots.js";
import { emit, on, state } from "./state.js";

let curve = null;
let asked = false;
let value = null;

/** Return the threshold that the slider shows, or null where there is none. */
export const currentThreshold = () => value;

/** Show the threshold from now on. */
export function startThreshold() {
  const slider = byId("threshold");
  const tell = delayed(() => emit("threshold", value), 120);
  slider.addEventListener("input", () => {
    value = Number(slider.value);
    show();
    tell();
  });
  on("project", ({ model }) => model?.trained !== asked && load());
  on("trained", load);
}

async function load() {
  asked = state.project?.model?.trained;
  curve = null;
  if (state.project?.model && state.kind !== "images") {
    try {
      curve = await call("GET", "curve");
      value = curve.threshold;
    } catch {
      // a model that is not for streams has none
    }
  }
  byId("threshold").value = value ?? 0.5;
  show();
  emit("threshold", value);
}

function show() {
  setText(byId("threshold-text"), value === null ? "" : percent(value, 1));
  byId("threshold").disabled = value === null;
  // Where there are no recordings without the words, what was made in training is counted.
  const rate = curve?.points?.some((one) => one.false_accepts_per_hour !== null)
    ? "false_accepts_per_hour"
    : "negatives";
  const points = (curve?.points ?? [])
    .filter((one) => typeof one.found === "number" && typeof one[rate] === "number")
    .map((one) => ({ threshold: one.threshold, found: one.found, wrong: one[rate] }));
  if (value === null || points.length < 2) {
    setText(byId("cost"), curve && value !== null ? t("costUnknown") : "");
    byId("cost-plot").replaceChildren();
    byId("cost-axes").hidden = true;
    return;
  }
  const hours = rate === "false_accepts_per_hour";
  const { found, wrong } = between(points, value);
  const counted = hours ? number(wrong, wrong < 10 ? 1 : 0) : percent(wrong);
  setText(
    byId("cost"),
    t(hours ? "cost" : "costNegatives", { found: percent(found, 0), missed: percent(1 - found, 0), wrong: counted }),
  );
  const most = Math.max(hours ? 1 : 0.02, ...points.filter((one) => one.threshold >= 0.05).map((one) => one.wrong));
  byId("cost-axes").hidden = false;
  setText(byId("cost-axes"), t(hours ? "costAxes" : "costAxesNegatives"));
  byId("cost-plot").replaceChildren(
    plot({
      height: 110,
      label: t("costPlot"),
      x: {
        from: 0,
        to: most,
        ticks: ticks(0, most),
        text: hours ? plain : (share) => percent(share, most < 0.05 ? 1 : 0),
      },
      y: { from: 0, to: 1, ticks: [0, 0.5, 1], text: (share) => percent(share, 0) },
      curves: [{ kind: "words", points: points.map((one) => [Math.min(one.wrong, most), one.found]) }],
      dot: [Math.min(wrong, most), found],
    }),
  );
}

/** Return what a threshold costs, between the points of the curve. */
function between(points, threshold) {
  const after = points.findIndex((one) => one.threshold >= threshold);
  if (after <= 0) {
    return points.at(after === 0 ? 0 : -1);
  }
  const [a, b] = [points[after - 1], points[after]];
  const share = (threshold - a.threshold) / (b.threshold - a.threshold || 1);
  const mix = (key) => a[key] + share * (b[key] - a[key]);
  return { found: mix("found"), wrong: mix("wrong") };
}
