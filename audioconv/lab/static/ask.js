// A dialog that asks for one line of text.

import { byId } from "./dom.js";

/** Ask; return what was typed, or null where it was cancelled. `suggestions`: the id of a datalist. */
export function ask({ title, label, value = "", ok, suggestions = null, mayBeEmpty = false }) {
  const dialog = byId("ask-dialog");
  const field = byId("ask-value");
  byId("ask-title").textContent = title;
  byId("ask-name").textContent = label;
  byId("ask-ok").textContent = ok;
  field.value = value;
  field.required = !mayBeEmpty;
  if (suggestions) {
    field.setAttribute("list", suggestions);
  } else {
    field.removeAttribute("list");
  }
  dialog.returnValue = "";
  dialog.showModal();
  field.select();
  return new Promise((resolve) => {
    const submit = () => (dialog.returnValue = "ok");
    const close = () => {
      byId("ask-form").removeEventListener("submit", submit);
      resolve(dialog.returnValue === "ok" ? field.value.trim() : null);
    };
    byId("ask-form").addEventListener("submit", submit);
    byId("ask-cancel").onclick = () => dialog.close("");
    dialog.addEventListener("close", close, { once: true });
  });
}
