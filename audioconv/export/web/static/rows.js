// Rows of a stream: frames of its spectrogram, or short pieces of its samples. As audioconv/streaming/frames.py.

/** Return the rows that a model's front end makes; `frontEnd` computes frames, `settings` are those of model.json. */
export function rowsOf(settings, frontEnd) {
  return settings.kind === "samples" ? new SampleRows(settings) : new FrameRows(settings, frontEnd);
}

/** Frames of a spectrogram. Frame i is centred on sample i * row_samples. */
class FrameRows {
  constructor(settings, frontEnd) {
    this.settings = settings;
    this.width = settings.width;
    this.silence = Float32Array.from(settings.silence);
    this.frontEnd = frontEnd;
    this.reset();
  }

  reset() {
    this.sampleCount = 0;
    this.frameCount = 0;
    this.kept = new Float32Array(0); // the last samples, up to sampleCount
  }

  /** Take samples; return the rows that are complete now, one after the other. */
  async push(samples) {
    this.kept = joined(this.kept, samples);
    this.sampleCount += samples.length;
    const { fft_length: length, row_samples: hop } = this.settings;
    const fitting = this.sampleCount + Math.floor(length / 2) - length;
    return this.#framesUntil(Math.max(0, 1 + Math.floor(fitting / hop)));
  }

  /** End the stream; return the last rows, which find zeros beyond its end. */
  async flush() {
    const { fft_length: length, row_samples: hop } = this.settings;
    const fitting = this.sampleCount + 2 * Math.floor(length / 2) - length;
    return this.#framesUntil(this.sampleCount ? 1 + Math.floor(fitting / hop) : 0);
  }

  /** Return how loud each row is, in dB: the mean of its bands. */
  levels(rows) {
    const count = rows.length / this.width;
    const { level_bands: bands, level_divisor: divisor } = this.settings;
    const levels = new Float32Array(count);
    for (let row = 0; row < count; row += 1) {
      let sum = 0;
      for (let band = 0; band < bands; band += 1) {
        sum += rows[row * this.width + band];
      }
      levels[row] = sum / divisor;
    }
    return levels;
  }

  /** Return the features of a window, from its rows. */
  features(rows) {
    return rows;
  }

  async #framesUntil(end) {
    const { fft_length: length, window_length: taps, row_samples: hop } = this.settings;
    const count = end - this.frameCount;
    const first = this.sampleCount - this.kept.length;
    // The window lies in the middle of the transform; outside of it, samples count nothing.
    let begin = this.frameCount * hop - Math.floor(length / 2) - first;
    let rows = new Float32Array(0);
    if (count > 0) {
      const frames = new Float32Array(count * taps);
      const offset = begin + Math.floor((length - taps) / 2);
      for (let frame = 0; frame < count; frame += 1) {
        const from = offset + frame * hop;
        const part = this.kept.subarray(Math.max(0, from), Math.max(0, from + taps));
        frames.set(part, frame * taps + Math.max(0, -from));
      }
      rows = await this.frontEnd(frames, count);
      this.frameCount = end;
      begin += count * hop;
    }
    if (begin > 0) {
      this.kept = this.kept.slice(begin);
    }
    return rows;
  }
}

/** Samples, in pieces of row_samples. */
class SampleRows {
  constructor(settings) {
    this.settings = settings;
    this.width = settings.row_samples;
    this.silence = new Float32Array(this.width);
    this.reset();
  }

  reset() {
    this.kept = new Float32Array(0);
  }

  async push(samples) {
    const kept = joined(this.kept, samples);
    const complete = kept.length - (kept.length % this.width);
    this.kept = kept.slice(complete);
    return kept.slice(0, complete);
  }

  async flush() {
    const missing = (this.width - (this.kept.length % this.width)) % this.width;
    return this.push(new Float32Array(missing));
  }

  /** Return the energy of each row, in dB. */
  levels(rows) {
    const levels = new Float32Array(rows.length / this.width);
    for (let row = 0; row < levels.length; row += 1) {
      let sum = 0;
      for (let place = row * this.width; place < (row + 1) * this.width; place += 1) {
        sum += rows[place] * rows[place];
      }
      levels[row] = 10 * Math.log10(sum / this.width + 1e-10);
    }
    return levels;
  }

  features(rows) {
    return rows.subarray(0, this.settings.clip_samples);
  }
}

/** Return two Float32Arrays as one. */
export function joined(first, second) {
  const both = new Float32Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
