// Requests to the server of the page, and WebSockets: each carries the token of the address that the terminal shows.

import { t } from "./language.js";

const KEPT = "audioconv-lab-token";

const token = takeToken();

/** Take the token out of the address bar; a page that is loaded again in this tab finds it in the session. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return given ?? sessionStorage.getItem(KEPT) ?? "";
}

/** What the server has answered, or that it does not. */
export class ApiError extends Error {
  /** `status`: that of HTTP; 0 where there was no answer. */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function send(method, path, { json, body, signal } = {}) {
  const headers = { Authorization: `Bearer ${token}` };
  if (json !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(`/api/${path}`, {
      method,
      headers,
      signal,
      body: json === undefined ? body : JSON.stringify(json),
    });
  } catch (error) {
    throw error.name === "AbortError" ? error : new ApiError(t("noServer"), 0);
  }
  if (!answer.ok) {
    let message = `${answer.status} ${answer.statusText}`;
    try {
      message = (await answer.json()).error ?? message;
    } catch {
      // no JSON: the status says it
    }
    throw new ApiError(answer.status === 401 ? t("noToken") : message, answer.status);
  }
  return answer;
}

/** Return the JSON that a request is answered with; `options` are `json` or `body`, and `signal`. */
export async function call(method, path, options) {
  const answer = await send(method, path, options);
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}

/** Return `[content, name]` of a file: a Blob, and the name that the server gives it, or null. */
export async function download(method, path, options) {
  const answer = await send(method, path, options);
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
  return [await answer.blob(), name ? name[1] : null];
}

/** Return the path of a clip's part: `audio`, `picture`, `image`, or of the clip itself. */
export function clipPath(id, part = "") {
  return `clips/${encodeURIComponent(id)}${part ? `/${part}` : ""}`;
}

/** Return a query string without what is null, undefined or empty. */
export function query(values) {
  const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
}

/** Return an open WebSocket of the server once it is open; `onMessage` takes what its JSON says. */
export function openSocket(path, onMessage) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/api/${path}`, ["audioconv", `token.${token}`]);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => onMessage(JSON.parse(data)));
  return new Promise((resolve, reject) => {
    socket.addEventListener("open", () => resolve(socket));
    socket.addEventListener("close", ({ reason }) => reject(new ApiError(reason || t("noServer"), 0)));
  });
}
