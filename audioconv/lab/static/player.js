// One sound at a time, which the server decodes: whatever its format, the browser gets WAV.

import { download } from "./server.js";
import { attempt } from "./notices.js";

const KEPT = 24;

const audio = new Audio();
const addresses = new Map(); // of the sounds that were played last, by path
let onStop = () => {};

audio.addEventListener("ended", () => onStop());

/**
 * Play what a path of the server holds, from `begin` to `end` in seconds.
 *
 * `onState` is called with true when it begins and false when it ends.
 */
export async function play(path, { begin = 0, end = null, version = "", onState = () => {} } = {}) {
  stop();
  const key = `${path}#${version}`;
  if (!addresses.has(key)) {
    const answer = await attempt(() => download("GET", path));
    if (!answer) {
      return;
    }
    addresses.set(key, URL.createObjectURL(answer[0]));
    if (addresses.size > KEPT) {
      const [oldest, address] = addresses.entries().next().value;
      URL.revokeObjectURL(address);
      addresses.delete(oldest);
    }
  }
  stop();
  let timer = 0;
  onStop = () => {
    clearTimeout(timer);
    onStop = () => {};
    onState(false);
  };
  audio.src = addresses.get(key);
  audio.currentTime = begin;
  try {
    await audio.play();
  } catch {
    onStop(); // another sound has begun
    return;
  }
  onState(true);
  if (end !== null) {
    timer = setTimeout(stop, 1000 * (end - begin));
  }
}

/** Stop what plays. */
export function stop() {
  audio.pause();
  onStop();
}
