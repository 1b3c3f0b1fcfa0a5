// A dialog in which synthetic voices say a word: their clips go into the chosen class.

import { call } from "./server.js";
import { byId, setOptions, setText } from "./dom.js";
import { language, t } from "./language.js";
import { toast } from "./notices.js";
import { chosenClass, refresh, state } from "./state.js";

let voices = null;

/** Take the dialog's buttons from now on. */
export function startVoices() {
  byId("open-voices").addEventListener("click", open);
  byId("voices-cancel").addEventListener("click", () => byId("voices-dialog").close());
  byId("voices-form").addEventListener("submit", (event) => {
    event.preventDefault();
    say();
  });
}

async function open() {
  const chosen = chosenClass();
  byId("say-text").value = chosen?.role === "word" ? chosen.name.replaceAll("_", " ") : "";
  setText(byId("voices-status"), "");
  byId("voices-hint").textContent = t("voicesHint");
  byId("voices-dialog").showModal();
  try {
    voices ??= await call("GET", "voices");
  } catch (error) {
    setText(byId("voices-status"), error.message);
    return;
  }
  setOptions(
    byId("say-language"),
    voices.languages.map(({ code, name }) => [code, name]),
    byId("say-language").value || language,
  );
  const engines = voices.engines.map((one) => [one.id, one.title]);
  setOptions(byId("say-engine"), engines);
  byId("say-engine-field").hidden = engines.length < 2;
}

async function say() {
  const wanted = {
    class: state.chosen,
    text: byId("say-text").value.trim(),
    language: byId("say-language").value,
    count: Number(byId("say-count").value),
    engine: byId("say-engine").value || undefined,
  };
  byId("voices-ok").disabled = true;
  setText(byId("voices-status"), t("saying"));
  try {
    const { clips } = await call("POST", "say", { json: wanted });
    byId("voices-dialog").close();
    toast(t("filesStored", { n: clips.length }), true);
    await refresh();
  } catch (error) {
    setText(byId("voices-status"), error.message);
  }
  byId("voices-ok").disabled = false;
}
