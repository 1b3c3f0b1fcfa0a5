// The clips of one class, in pages that are asked for when they are needed.

import { call, query } from "./server.js";

const PAGE = 200;

/** The clips of a class by their place in it; those with faults only, if that is asked for. */
export class ClipSource {
  /** `onChange` is called when clips have come, or their number has. */
  constructor(name, onlyFaults, onChange) {
    Object.assign(this, { name, onlyFaults, onChange, total: 0, loaded: false });
    this.pages = new Map(); // by number: the clips, those of before while newer ones are awaited
    this.asked = new Map(); // by number: the generation for which it was asked
    this.generation = 0;
    this.closed = false;
  }

  /** Return the clip at a place, or null until it is here. */
  get(place) {
    const page = Math.floor(place / PAGE);
    this.#ask(page);
    return this.pages.get(page)?.[place % PAGE] ?? null;
  }

  /** Return the place of a clip among those that are here, or -1. */
  find(id) {
    for (const [page, clips] of this.pages) {
      const place = clips.findIndex((clip) => clip.id === id);
      if (place >= 0) {
        return page * PAGE + place;
      }
    }
    return -1;
  }

  /** Ask again for what is seen: the clips have changed. What is here stays until then. */
  renew() {
    this.generation += 1;
    this.#ask(0);
  }

  async #ask(page) {
    if (this.asked.get(page) === this.generation) {
      return;
    }
    this.asked.set(page, this.generation);
    const generation = this.generation;
    const address = `clips?${query({ class: this.name, offset: page * PAGE, limit: PAGE, faults: this.onlyFaults ? 1 : "" })}`;
    let answer;
    try {
      answer = await call("GET", address);
    } catch {
      this.asked.delete(page); // asked again when it is next seen
      return;
    }
    if (generation === this.generation && !this.closed) {
      this.pages.set(page, answer.clips);
      this.total = answer.total;
      this.loaded = true;
      for (const number of this.pages.keys()) {
        if (number * PAGE >= answer.total && number > 0) {
          this.pages.delete(number);
        }
      }
      this.onChange();
    }
  }
}
