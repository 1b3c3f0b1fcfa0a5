// Words in a stream: takes samples at any rate, gives words with their times. As audioconv/streaming/detector.py.

import { EventPicker, LevelTrack, likeliest } from "./picker.js";
import { Resampler } from "./resampler.js";
import { rowsOf } from "./rows.js";
import { Grid, WindowScorer } from "./windows.js";

/** A detector is for one stream. Calls must not overlap: each waits for the one before. */
export class Detector {
  constructor(model, sampleRate) {
    this.model = model;
    this.grid = new Grid(model.grid);
    this.resampler = new Resampler(sampleRate, this.grid.sampleRate);
    this.scorer = new WindowScorer(this.grid, rowsOf(model.rows, model.frontEnd), model.network, model.labels.length);
    this.levels = new LevelTrack(this.grid, this.scorer.silenceLevel, model.endpoints);
    this.picker = new EventPicker(model.labels, this.grid, this.levels, model.threshold, model.picker);
    /** The smoothed probability of each label in the last window; 0 before there is one. */
    this.scores = new Float32Array(model.labels.length);
  }

  /** How much of the stream has come, in seconds. */
  get seconds() {
    return this.resampler.sampleCount / this.resampler.fromRate;
  }

  /** Take the next samples; return the words that are certain now, in the order of their times. */
  async push(samples) {
    const found = this.#take(await this.scorer.push(this.resampler.push(samples)));
    return found.map((candidate) => this.picker.describe(candidate));
  }

  /** End the stream; return the words that were still to come. */
  async flush() {
    const { sampleCount, fromRate, toRate } = this.resampler;
    const found = this.#take(await this.scorer.push(this.resampler.flush()));
    found.push(...this.#take(await this.scorer.flush()), ...this.picker.flush());
    const total = Math.floor((sampleCount * toRate) / fromRate);
    return found.map((candidate) => this.picker.describe(candidate, total));
  }

  #take({ probabilities, levels }) {
    const { model } = this;
    const labelCount = model.labels.length;
    this.levels.append(levels, this.picker.nextWindow);
    const heard = [];
    for (let window = 0; window < probabilities.length / labelCount; window += 1) {
      heard.push(likeliest(model, probabilities, window));
    }
    if (heard.length) {
      this.scores = probabilities.slice(-labelCount);
    }
    return this.picker.push(heard);
  }
}
