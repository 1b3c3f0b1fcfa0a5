// What a short recording is, as `audioconv classify` answers.

import { findWords } from "./endpoints.js";
import { likeliest } from "./picker.js";
import { joined, rowsOf } from "./rows.js";
import { stacked } from "./windows.js";

/** A recording longer than this number of windows is searched instead. */
export const LONG = 2;

/** Part of a window that must be left at the end of a recording of sounds for one more window. */
const MIN_REST = 0.5;

/** Return { code, accepted, probabilities } of a recording's samples at the model's rate. */
export async function classify(model, samples) {
  const { labels } = model;
  const begins = windowBegins(model, samples);
  const features = [];
  for (const begin of begins) {
    features.push(await featuresOf(model, windowAt(samples, begin, model.clipSamples)));
  }
  const rows = await model.network(stacked(features), begins.length);
  let all = begins.map((_, number) => rows.slice(number * labels.length, (number + 1) * labels.length));
  if (model.content === "sounds") {
    const means = labels.map((_, code) => all.reduce((sum, row) => sum + row[code], 0) / all.length);
    all = [Float32Array.from(means)];
  }
  const answers = all.map((probabilities) => decide(model, probabilities));
  // Of words the best window: an accepted one, and of these the one with the highest score.
  return answers.reduce((a, b) => (b.accepted - a.accepted || b.score - a.score) > 0 ? b : a);
}

/** Return the features of one clip of the model's length. */
async function featuresOf(model, clip) {
  if (model.rows.kind === "samples") {
    return clip;
  }
  const rows = rowsOf(model.rows, model.frontEnd);
  const first = await rows.push(clip);
  return joined(first, await rows.flush());
}

function decide(model, probabilities) {
  const [code] = likeliest(model, probabilities, 0);
  const score = probabilities[code];
  return { code, score, probabilities, accepted: model.isWord[code] && score >= model.clipThreshold };
}

/** Return the first sample of each window that stands for a recording; below 0, zeros come before it. */
function windowBegins(model, samples) {
  const length = model.clipSamples;
  const total = samples.length;
  if (total <= length) {
    return [-Math.floor((length - total) / 2)];
  }
  if (model.content === "sounds") {
    if (total < (1 + MIN_REST) * length) {
      return [mostEnergy(samples, length)];
    }
    const count = Math.max(1, Math.floor((total + Math.round((1 - MIN_REST) * length)) / length));
    const step = (total - length) / (count - 1);
    return Array.from({ length: count }, (_, number) => Math.round(number * step));
  }
  const words = findWords(samples, model.sampleRate, model.endpoints);
  if (!words.length) {
    return [mostEnergy(samples, length)];
  }
  return words.map((word) => around(word, samples, model.sampleRate, length));
}

/** Return the begin of the window with a word in its middle, within the recording. */
function around([begin, end], samples, sampleRate, length) {
  const first = Math.round(begin * sampleRate);
  const last = Math.round(end * sampleRate);
  if (last - first > length) {
    return first + mostEnergy(samples.subarray(first, last), length);
  }
  const middle = Math.floor((first + last - length) / 2);
  return Math.min(Math.max(middle, 0), Math.max(samples.length - length, 0));
}

/** Return the begin of the window with the most energy. */
function mostEnergy(samples, length) {
  const sums = new Float64Array(samples.length + 1);
  samples.forEach((sample, place) => {
    sums[place + 1] = sums[place] + sample * sample;
  });
  const energy = (begin) => sums[begin + length] - sums[begin];
  let highest = 0;
  for (let begin = 0; begin + length <= samples.length; begin += 1) {
    highest = Math.max(highest, energy(begin));
  }
  const lowest = highest - 1e-12 * sums[samples.length]; // by the rounding of the running sum
  let begin = 0;
  while (energy(begin) < lowest) {
    begin += 1;
  }
  return begin;
}

function windowAt(samples, begin, length) {
  const window = new Float32Array(length);
  window.set(samples.subarray(Math.max(begin, 0), begin + length), Math.max(0, -begin));
  return window;
}
