// Samples of a stream at another rate: a windowed sinc for each phase, as audioconv's own quality (soxr HQ).

/** Pass band and stop band as parts of half the lower rate, and how far the stop band lies below, in dB. */
const PASS = 0.913;
const STOP = 1.0;
const ATTENUATION = 110;

/** What it gives, put together, does not depend on how the stream was cut into blocks. */
export class Resampler {
  /** From one rate to another, integers in Hz. */
  constructor(fromRate, toRate) {
    const divisor = greatestCommonDivisor(fromRate, toRate);
    this.fromRate = fromRate;
    this.toRate = toRate;
    this.phases = toRate / divisor; // output n lies at input n * step / phases
    this.step = fromRate / divisor;
    const lower = Math.min(1, toRate / fromRate); // the lower rate, of that of the input
    this.cutoff = (lower * (PASS + STOP)) / 2;
    const transition = (lower * (STOP - PASS)) / 2;
    this.half = Math.ceil((ATTENUATION - 7.95) / (14.36 * transition) / 2);
    this.beta = 0.1102 * (ATTENUATION - 8.7);
    this.filters = new Array(this.phases); // each is made when it is needed
    this.reset();
  }

  /** Begin a new stream. */
  reset() {
    this.sampleCount = 0;
    this.outputCount = 0;
    this.first = -this.half; // number of the first sample in `kept`; before the stream are zeros
    this.kept = new Float32Array(this.half);
  }

  /** Take the next samples, a Float32Array; return those at the other rate that are known now. */
  push(samples) {
    this.sampleCount += samples.length;
    if (this.phases === this.step) {
      return samples;
    }
    const kept = new Float32Array(this.kept.length + samples.length);
    kept.set(this.kept);
    kept.set(samples, this.kept.length);
    this.kept = kept;
    // The last output whose filter ends within what has come.
    const until = Math.floor(((this.first + kept.length - 1 - this.half) * this.phases) / this.step) + 1;
    return this.#outputs(until);
  }

  /** End the stream; return its last samples. */
  flush() {
    if (this.phases === this.step || !this.sampleCount) {
      return new Float32Array(0);
    }
    const total = Math.floor((this.sampleCount * this.phases) / this.step + 0.5);
    const kept = new Float32Array(this.kept.length + 2 * this.half + this.step);
    kept.set(this.kept);
    this.kept = kept;
    return this.#outputs(total);
  }

  #outputs(until) {
    const count = Math.max(0, until - this.outputCount);
    const out = new Float32Array(count);
    const { kept, half } = this;
    for (let i = 0; i < count; i += 1) {
      const position = (this.outputCount + i) * this.step;
      const before = Math.floor(position / this.phases);
      const filter = this.#filter(position - before * this.phases);
      const begin = before - half + 1 - this.first;
      let sum = 0;
      for (let tap = 0; tap < filter.length; tap += 1) {
        sum += filter[tap] * kept[begin + tap];
      }
      out[i] = sum;
    }
    this.outputCount += count;
    const needed = Math.floor((this.outputCount * this.step) / this.phases) - half + 1 - this.first;
    const forgotten = Math.max(0, Math.min(needed, kept.length));
    this.kept = kept.slice(forgotten);
    this.first += forgotten;
    return out;
  }

  /** Return the taps for an output that lies so many parts behind an input: those of inputs 1 - half to half. */
  #filter(phase) {
    if (this.filters[phase] === undefined) {
      const taps = new Float64Array(2 * this.half);
      const within = phase / this.phases;
      let total = 0;
      for (let tap = 0; tap < taps.length; tap += 1) {
        const distance = tap + 1 - this.half - within;
        const x = Math.PI * this.cutoff * distance;
        const sinc = x === 0 ? 1 : Math.sin(x) / x;
        taps[tap] = sinc * kaiser(distance / this.half, this.beta);
        total += taps[tap];
      }
      this.filters[phase] = taps.map((value) => value / total);
    }
    return this.filters[phase];
  }
}

function kaiser(place, beta) {
  return Math.abs(place) >= 1 ? 0 : bessel(beta * Math.sqrt(1 - place * place)) / bessel(beta);
}

/** The modified Bessel function of the first kind, of order 0. */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-17 * sum; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a, b) {
  return b ? greatestCommonDivisor(b, a % b) : a;
}
