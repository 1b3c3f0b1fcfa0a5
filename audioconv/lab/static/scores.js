// A line for each label with its probability, and a mark where the threshold is.

import { make } from "./dom.js";
import { shownName } from "./classes.js";
import { percent } from "./language.js";
import { OTHER } from "./state.js";

/** Return what fills a list: `labels(names)`, `show({label: probability})`, `threshold(value)`. */
export function scoreRows(list) {
  const rows = new Map();
  let names = [];
  let threshold = null;
  return {
    labels(wanted) {
      if (wanted.join("\n") === names.join("\n")) {
        return;
      }
      names = [...wanted];
      rows.clear();
      for (const label of names) {
        const row = make(
          "li",
          { class: label === OTHER ? "other" : "" },
          make("span", {}, shownName(label)),
          make("span", { class: "number" }, "–"),
        );
        rows.set(label, row);
      }
      list.replaceChildren(...rows.values());
      this.threshold(threshold);
    },
    show(scores) {
      for (const [label, row] of rows) {
        const score = scores[label];
        row.style.setProperty("--share", score ?? 0);
        row.lastElementChild.textContent = score === undefined ? "–" : percent(score, 0);
        row.classList.toggle("reached", threshold !== null && score >= threshold && label !== OTHER);
      }
    },
    threshold(value) {
      threshold = value;
      for (const row of rows.values()) {
        row.classList.toggle("marked", value !== null);
        row.style.setProperty("--threshold", value ?? 0);
      }
    },
  };
}
