// The model as a file, the report, and every format that it can be exported as.

import { call, download } from "./server.js";
import { byId, make, setText } from "./dom.js";
import { size, t } from "./language.js";
import { announce, attempt, toast } from "./notices.js";
import { on, state } from "./state.js";

let asked = false; // when the model was trained for which they were offered

/** Offer files from now on. */
export function startTakeAway() {
  on("project", ({ model }) => model?.trained !== asked && load());
  on("trained", load);
}

async function load() {
  asked = state.project?.model?.trained;
  const has = Boolean(state.project?.model);
  setText(byId("take-hint"), t(has ? "takeHint" : "takeEmpty"));
  if (!has) {
    byId("exports").replaceChildren();
    return;
  }
  let formats = [];
  try {
    formats = await call("GET", "exports");
  } catch {
    // the model file and the report are there still
  }
  const open = [...byId("exports").querySelectorAll("details[open]")].map((one) => one.dataset.format);
  byId("exports").replaceChildren(
    entry("model", {
      ...formats.find(isModel),
      title: t("modelFile"),
      available: true,
      take: () => download("GET", "model"),
      name: "model.safetensors",
    }),
    reportEntry(),
    ...formats
      .filter((one) => !isModel(one))
      .map((one) =>
        entry(one.format, {
          ...one,
          take: () => download("POST", `exports/${encodeURIComponent(one.format)}`),
          name: `model.${one.format}`,
        }),
      ),
  );
  for (const one of byId("exports").querySelectorAll("details")) {
    one.open = open.includes(one.dataset.format);
  }
}

const isModel = ({ format }) => format === "audioconv";

function entry(format, { title, available, why_not: whyNot, size: bytes, command, code, take, name }) {
  const button = make(
    "button",
    {
      type: "button",
      class: "small",
      disabled: !available,
      "aria-label": `${t("download")}: ${title}`,
      on: { click: () => save(button, take, name) },
    },
    t("download"),
  );
  return make(
    "details",
    { class: "export", "data-format": format },
    make("summary", {}, title, bytes ? make("span", { class: "number" }, size(bytes)) : null),
    whyNot && !available ? make("p", { class: "caption" }, whyNot) : null,
    button,
    ...[command, code].filter(Boolean).map((text) => snippet(text, title)),
  );
}

function snippet(text, title) {
  const copy = make(
    "button",
    { type: "button", class: "quiet", "aria-label": `${t("copy")}: ${title}`, on: { click: () => copyText(text) } },
    t("copy"),
  );
  return make("div", { class: "snippet" }, make("pre", { tabindex: "0" }, text), copy);
}

async function copyText(text) {
  await attempt(async () => {
    await navigator.clipboard.writeText(text);
    toast(t("copied"));
  });
}

function reportEntry() {
  const button = make(
    "button",
    { type: "button", class: "small", on: { click: () => openReport(button) } },
    t("openReport"),
  );
  const store = make(
    "button",
    {
      type: "button",
      class: "small",
      "aria-label": `${t("download")}: ${t("report")}`,
      on: { click: () => save(store, () => download("GET", "report"), "report.html") },
    },
    t("download"),
  );
  return make(
    "details",
    { class: "export", "data-format": "report" },
    make("summary", {}, t("report")),
    make("p", { class: "caption" }, t("reportHint")),
    make("div", { class: "buttons block" }, button, store),
  );
}

async function openReport(button) {
  // Opened in the answer to the click: browsers stop windows that come later.
  const view = window.open("", "_blank");
  await busy(button, async () => {
    const [content] = await download("GET", "report");
    const address = URL.createObjectURL(new Blob([content], { type: "text/html" }));
    if (view) {
      view.location = address;
    }
  }).catch((error) => {
    view?.close();
    toast(error.message);
  });
}

async function save(button, take, name) {
  await attempt(() =>
    busy(button, async () => {
      const [content, given] = await take();
      const address = URL.createObjectURL(content);
      const link = make("a", { href: address, download: given ?? name });
      document.body.append(link);
      link.click();
      link.remove();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    }),
  );
}

async function busy(button, action) {
  const text = button.textContent;
  button.disabled = true;
  button.textContent = t("working");
  announce(t("working"));
  try {
    await action();
  } finally {
    button.disabled = false;
    button.textContent = text;
    button.focus();
  }
}
