// Pictures of clips: spectrograms, or the pictures themselves. They are asked for with the token, a few at a time, those
// that were wanted last first; and kept while they may be seen again.

import { clipPath, download, query } from "./server.js";

const AT_ONCE = 6;
const KEPT = 600;

const dark = matchMedia("(prefers-color-scheme: dark)");
const addresses = new Map(); // of pictures that are here, by key; those used last come last
const wanted = new Map(); // `{path, images}` by key; the last is asked for first
let running = 0;

/** Show the picture of a clip in an <img>; until it is here, the image has the class "coming". */
export function showPicture(image, clip, width, height) {
  const path = clipPath(clip.id, `picture?${query({ width, height, dark: dark.matches ? 1 : 0 })}`);
  const key = `${path}#${clip.added ?? ""}${clip.seconds ?? ""}`;
  image.dataset.key = key;
  if (addresses.has(key)) {
    const address = addresses.get(key);
    addresses.delete(key);
    addresses.set(key, address);
    arrived(image, address);
    return;
  }
  image.removeAttribute("src");
  image.classList.add("coming");
  const before = wanted.get(key);
  wanted.delete(key);
  wanted.set(key, { path, images: [...(before?.images ?? []), image] });
  next();
}

/** Do not fetch what no element of the page shows any more. */
export function forget(image) {
  image.dataset.key = "";
}

async function next() {
  while (running < AT_ONCE && wanted.size) {
    const key = [...wanted.keys()].at(-1);
    const { path, images } = wanted.get(key);
    wanted.delete(key);
    const asking = images.filter((image) => image.dataset.key === key);
    if (asking.length) {
      running += 1;
      fetchOne(key, path, asking).finally(() => {
        running -= 1;
        next();
      });
    }
  }
}

async function fetchOne(key, path, images) {
  try {
    const [content] = await download("GET", path);
    const address = URL.createObjectURL(content);
    addresses.set(key, address);
    while (addresses.size > KEPT) {
      const [oldest, old] = addresses.entries().next().value;
      URL.revokeObjectURL(old);
      addresses.delete(oldest);
    }
    images.filter((image) => image.dataset.key === key).forEach((image) => arrived(image, address));
  } catch {
    // the frame stays empty; the clip can still be played
  }
}

function arrived(image, address) {
  image.src = address;
  image.classList.remove("coming");
}
