// Detections from window probabilities: one for each occurrence of a word. As audioconv/streaming/picker.py.

import { wordExtent } from "./endpoints.js";
import { joined } from "./rows.js";

/** Return [code, score]: the label that a window's answer would be and its probability, -1 where it is no word. */
export function likeliest(model, probabilities, window) {
  const row = window * model.labels.length;
  let code = model.answerCodes[0];
  for (const other of model.answerCodes) {
    code = probabilities[row + other] > probabilities[row + code] ? other : code;
  }
  return [code, model.isWord[code] ? probabilities[row + code] : -1];
}

/** How loud the last rows of a stream were. */
export class LevelTrack {
  /** `silence` is the level before the stream, in dB; `rules` are those of `wordExtent`. */
  constructor(grid, silence, rules) {
    this.grid = grid;
    this.rules = rules;
    this.first = grid.firstRow(0);
    this.levels = new Float32Array(-this.first).fill(silence);
    this.known = new Map();
  }

  /** Take the levels of the next rows; `nextWindow` is the first that may still be asked for. */
  append(levels, nextWindow) {
    const needed = this.grid.firstRow(nextWindow) - this.first;
    const forgotten = Math.max(0, Math.min(needed, this.levels.length));
    this.levels = joined(this.levels.subarray(forgotten), levels);
    this.first += forgotten;
    for (const window of this.known.keys()) {
      if (window < nextWindow) {
        this.known.delete(window);
      }
    }
  }

  /** Return the first row of what stands out in a window, and the row behind its last. */
  extent(window) {
    if (!this.known.has(window)) {
      const first = this.grid.firstRow(window);
      const levels = this.levels.subarray(first - this.first, first - this.first + this.grid.windowRows);
      const [begin, end] = wordExtent(levels, this.grid.rowSamples / this.grid.sampleRate, this.rules);
      this.known.set(window, [first + begin, first + end]);
    }
    return this.known.get(window);
  }
}

/**
 * Picks events from what is likeliest in one window after the other.
 *
 * A word is an event where its score is at least the threshold, in the window where that is greatest. No event begins
 * before the last one has ended, nor within some windows of it, nor the same word within the refractory time of its
 * end.
 */
export class EventPicker {
  /** Settings as model.json has them under "picker": rise, and apart, confirm, wait, refractory in windows or rows. */
  constructor(labels, grid, levels, threshold, settings) {
    Object.assign(this, { labels, grid, levels, threshold, settings });
    this.windowCount = 0;
    this.best = null;
    this.last = null;
    this.lastEndOf = new Map();
  }

  /** The first window whose levels may still be asked for. */
  get nextWindow() {
    return this.grid.middle(this.windowCount);
  }

  /** Take the next windows, a list of [code, score]; return the words that are certain now. */
  push(heard) {
    const found = [];
    for (const [code, score] of heard) {
      this.#step(this.windowCount, code, score, found);
      this.windowCount += 1;
    }
    return found;
  }

  /** End the stream; return the word that was waiting for a better window. */
  flush() {
    const found = [];
    this.#emit(found);
    return found;
  }

  /** Return a word with its times in seconds, which end with the stream's `sampleCount` samples where that is known. */
  describe(candidate, sampleCount = Infinity) {
    const begin = this.grid.sampleBefore(candidate.begin);
    const end = Math.min(this.grid.sampleAfter(candidate.end - 1), sampleCount);
    const rate = this.grid.sampleRate;
    const label = this.labels[candidate.code];
    return { label, start: Math.min(begin, end) / rate, end: end / rate, score: candidate.score };
  }

  #step(window, code, score, found) {
    if (score >= this.threshold) {
      const [begin, end] = this.levels.extent(this.grid.middle(window));
      if (this.best !== null && begin >= this.best.end) {
        this.#emit(found); // another word begins before this one was certain
      }
      if (this.#mayFollow(code, window, begin)) {
        this.#consider({ code, score, window, begin, end, firstHeard: window, lastRise: window });
      }
    }
    const { best } = this;
    const { confirm_windows: confirm, wait_windows: wait } = this.settings;
    if (best !== null && (window - best.lastRise >= confirm || window - best.firstHeard >= wait)) {
      this.#emit(found);
    }
  }

  /** Tell whether what begins at a row is not the last event once more. */
  #mayFollow(code, window, begin) {
    if (this.last === null) {
      return true;
    }
    if (begin < this.last.end || window - this.last.window < this.settings.apart_windows) {
      return false;
    }
    return !this.lastEndOf.has(code) || begin >= this.lastEndOf.get(code) + this.settings.refractory_rows;
  }

  #consider(candidate) {
    const { best } = this;
    if (best === null) {
      this.best = candidate;
    } else if (candidate.score > best.score) {
      const rises = candidate.score > best.score + this.settings.rise || candidate.code !== best.code;
      const lastRise = rises ? candidate.window : best.lastRise;
      this.best = { ...candidate, firstHeard: best.firstHeard, lastRise };
    }
  }

  #emit(found) {
    if (this.best !== null) {
      found.push(this.best);
      this.last = this.best;
      this.lastEndOf.set(this.best.code, this.best.end);
      this.best = null;
    }
  }
}
