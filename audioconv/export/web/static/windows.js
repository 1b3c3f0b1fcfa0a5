// Windows of a stream: from samples to smoothed probabilities. As audioconv/streaming/windows.py.

import { joined } from "./rows.js";

/** Windows that go through the network together, where so many are there. */
const AT_ONCE = 64;

/** Where the windows of a stream lie, counted in rows: window k is centred on row k * hop_rows. */
export class Grid {
  /** Settings as model.json has them under "grid". */
  constructor(settings) {
    this.sampleRate = settings.sample_rate;
    this.rowSamples = settings.row_samples;
    this.before = settings.before;
    this.after = settings.after;
    this.windowRows = settings.window_rows;
    this.hopRows = settings.hop_rows;
    this.smoothing = settings.smoothing;
  }

  /** Return the first row of a window; negative before the stream. */
  firstRow(window) {
    return window * this.hopRows - Math.floor(this.windowRows / 2);
  }

  /** Return how many windows are complete after so many rows. */
  windowsWithin(rows) {
    const beyond = rows - (this.windowRows - Math.floor(this.windowRows / 2));
    return Math.max(0, 1 + Math.floor(beyond / this.hopRows));
  }

  /** Return how many windows are centred before the end of a stream of so many rows. */
  windowsUntil(rows) {
    return Math.ceil(rows / this.hopRows);
  }

  /** Return the window in the middle of those that the smoothed probabilities of `window` come from. */
  middle(window) {
    return Math.max(0, window - Math.floor((this.smoothing - 1) / 2));
  }

  /** Return the sample at which a row begins. */
  sampleBefore(row) {
    return Math.max(0, row * this.rowSamples - this.before);
  }

  /** Return the sample at which a row ends. */
  sampleAfter(row) {
    return row * this.rowSamples + this.after;
  }
}

/**
 * Evaluates a model on one window of a stream after the other.
 *
 * `rows` makes rows of samples; `network(features, count)` gives the probabilities of so many windows.
 */
export class WindowScorer {
  constructor(grid, rows, network, labelCount) {
    Object.assign(this, { grid, rows, network, labelCount });
    this.reset();
  }

  /** How loud a row before the stream is, in dB. */
  get silenceLevel() {
    return this.rows.levels(this.rows.silence)[0];
  }

  /** Begin a new stream. */
  reset() {
    this.rows.reset();
    this.rowCount = 0;
    this.windowCount = 0;
    this.kept = this.#silence(-this.grid.firstRow(0)); // rows from the first of the next window on
    this.last = new Float32Array((this.grid.smoothing - 1) * this.labelCount);
  }

  /** Take samples at the model's rate; return { probabilities, levels }: of windows, and of rows, one after another. */
  async push(samples) {
    return this.#take(await this.rows.push(samples), Infinity);
  }

  /** End the stream, after which comes silence. */
  async flush() {
    const rows = await this.rows.flush();
    const rowCount = this.rowCount + rows.length / this.rows.width;
    const windows = this.grid.windowsUntil(rowCount);
    if (!windows) {
      return this.#take(rows, Infinity);
    }
    const needed = this.grid.firstRow(windows - 1) + this.grid.windowRows - rowCount;
    return this.#take(joined(rows, this.#silence(Math.max(0, needed))), windows);
  }

  async #take(rows, most) {
    const { grid, labelCount } = this;
    const { width } = this.rows;
    this.rowCount += rows.length / width;
    const count = Math.max(0, Math.min(grid.windowsWithin(this.rowCount), most) - this.windowCount);
    const kept = joined(this.kept, rows);
    const raw = new Float32Array(count * labelCount);
    for (let begin = 0; begin < count; begin += AT_ONCE) {
      const windows = [];
      for (let window = begin; window < Math.min(begin + AT_ONCE, count); window += 1) {
        const from = window * grid.hopRows * width;
        windows.push(this.rows.features(kept.subarray(from, from + grid.windowRows * width)));
      }
      raw.set(await this.network(stacked(windows), windows.length), begin * labelCount);
    }
    this.kept = kept.slice(count * grid.hopRows * width);
    this.windowCount += count;
    return { probabilities: this.#smoothed(raw), levels: this.rows.levels(rows) };
  }

  /** Return the averages of each window's probabilities and those of the windows before it. */
  #smoothed(raw) {
    const { smoothing } = this.grid;
    const kept = joined(this.last, raw);
    const total = new Float32Array(raw.length); // rounds each sum to float32
    for (let place = 0; place < smoothing; place += 1) {
      for (let i = 0; i < raw.length; i += 1) {
        total[i] += kept[place * this.labelCount + i];
      }
    }
    this.last = kept.slice(kept.length - this.last.length);
    return total.map((sum) => sum / smoothing);
  }

  #silence(count) {
    const rows = new Float32Array(count * this.rows.width);
    for (let row = 0; row < count; row += 1) {
      rows.set(this.rows.silence, row * this.rows.width);
    }
    return rows;
  }
}

/** Return Float32Arrays of one length as one. */
export function stacked(arrays) {
  const all = new Float32Array(arrays.length * (arrays.length && arrays[0].length));
  arrays.forEach((array, number) => all.set(array, number * array.length));
  return all;
}
