// The page: buttons, what is shown, and what goes on.

import { classify, LONG } from "./classify.js";
import { Detector } from "./detector.js";
import { Microphone, whyNoMicrophone } from "./microphone.js";
import { loadModel } from "./network.js";
import { readRecording } from "./recording.js";
import { Resampler } from "./resampler.js";
import { joined } from "./rows.js";
import * as show from "./show.js";

/** A recording is searched in pieces of so many seconds, between which the page answers. */
const PIECE_SECONDS = 5;

/** Listening ends where the computer is so many seconds behind the microphone. */
const MAX_BEHIND = 5;

/** The last rows of the table that are kept while listening. */
const MAX_WORDS = 500;

let model;
let stop = null; // ends what goes on
let busy = false;

const { element } = show;

async function start() {
  element("missing").hidden = true;
  if (!window.WebAssembly) {
    show.notice("This browser has no WebAssembly, which computes the model.");
    return;
  }
  element("controls").hidden = false;
  try {
    model = await loadModel();
  } catch (error) {
    element("controls").hidden = true;
    show.notice(`The model could not be loaded. ${error.message}`);
    return;
  }
  show.model(model);
  const missing = whyNoMicrophone();
  if (missing) {
    show.notice(`${missing} Recordings can be opened.`);
  }
  element("listen").disabled = Boolean(missing);
  element("open").disabled = false;
  show.status("Ready. A recording can be dropped on the page, too.");
  element("listen").addEventListener("click", () => (stop ? stop() : listen()));
  element("open").addEventListener("click", () => busy || element("file").click());
  element("file").addEventListener("change", ({ target }) => {
    openFile(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  });
  show.droppable(openFile);
}

/** Listen to the microphone until the button is pressed again. */
async function listen() {
  if (busy) {
    return;
  }
  setBusy(true);
  show.notice("");
  const blocks = [];
  let waiting = 0;
  let wake = () => {};
  let ended = "";
  const end = (reason) => {
    ended ||= reason;
    wake();
  };
  let microphone;
  try {
    microphone = await Microphone.open(
      (block) => {
        blocks.push(block);
        waiting += block.length;
        wake();
      },
      () => end("The microphone was taken away."),
    );
  } catch (error) {
    show.notice(error.message);
    setBusy(false);
    return;
  }
  stop = () => end("Stopped.");
  show.running(true);
  show.begin("live", "found");
  show.caption("No word yet.");
  show.status("Listening …");
  const detector = new Detector(model, microphone.sampleRate);
  try {
    while (!ended || blocks.length) {
      if (!blocks.length) {
        await new Promise((resolve) => {
          wake = resolve;
        });
        continue;
      }
      if (waiting > MAX_BEHIND * microphone.sampleRate) {
        end("This computer needs more time than the sound lasts; choose a smaller network.");
        blocks.length = 0;
        break;
      }
      const block = blocks.splice(0).reduce(joined);
      waiting -= block.length;
      show.level(block);
      listed(await detector.push(block));
      show.scores("scores", model, detector.scores, model.threshold);
    }
    listed(await detector.flush());
  } catch (error) {
    show.notice(`Listening has failed: ${error.message}`);
  }
  await microphone.close();
  stop = null;
  show.running(false);
  show.status(`${ended || "Stopped."} ${show.clock(detector.seconds)} of sound.`);
  setBusy(false);
}

/** Add words to the table while listening. */
function listed(words) {
  show.words(words, { newestFirst: true, most: MAX_WORDS });
  if (words.length) {
    show.caption("Times count from the beginning of listening; the newest word comes first.");
  }
}

/** Classify a short recording, or search a long one. */
async function openFile(file) {
  if (!file || busy || !model) {
    return;
  }
  setBusy(true);
  show.notice("");
  show.status(`Reading ${file.name} …`);
  try {
    const { samples, sampleRate } = await readRecording(file);
    if (samples.length / sampleRate <= (LONG * model.clipSamples) / model.sampleRate) {
      await answer(samples, sampleRate);
    } else {
      await search(file.name, samples, sampleRate);
    }
    show.status(`${file.name}: ${show.clock(samples.length / sampleRate)} of sound.`);
  } catch (error) {
    show.status("");
    show.notice(error.message);
  }
  stop = null;
  show.progress(1);
  show.running(false);
  setBusy(false);
}

async function answer(samples, sampleRate) {
  const resampler = new Resampler(sampleRate, model.sampleRate);
  const clip = joined(resampler.push(samples), resampler.flush());
  const found = await classify(model, clip);
  show.begin("answer");
  show.answer(model, found);
}

async function search(name, samples, sampleRate) {
  show.begin("found");
  show.caption("");
  let stopped = false;
  stop = () => {
    stopped = true;
  };
  show.running(true);
  show.status(`Searching ${name} …`);
  const detector = new Detector(model, sampleRate);
  const piece = PIECE_SECONDS * sampleRate;
  let count = 0;
  for (let begin = 0; begin < samples.length && !stopped; begin += piece) {
    const found = await detector.push(samples.subarray(begin, begin + piece));
    count += found.length;
    show.words(found);
    show.progress(detector.seconds / (samples.length / sampleRate));
    await new Promise((resolve) => setTimeout(resolve)); // the page is drawn
  }
  const last = await detector.flush();
  show.words(last);
  count += last.length;
  const where = stopped ? `the first ${show.clock(detector.seconds)} of ${name}` : name;
  show.caption(count ? `${count} ${count === 1 ? "word" : "words"} in ${where}.` : `No word was found in ${where}.`);
}

/** Take no other recording meanwhile. What is focused stays so: no button is disabled for a while only. */
function setBusy(value) {
  busy = value;
  element("open").setAttribute("aria-disabled", value);
  element("listen").disabled = !stop && Boolean(whyNoMicrophone());
}

start();
