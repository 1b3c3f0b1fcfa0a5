// In the thread of the sound: blocks of the microphone, as mono, are sent to the page.

const BLOCK = 1024;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
  }

  process([channels]) {
    const count = channels.length;
    for (let place = 0; count && place < channels[0].length; place += 1) {
      let sum = 0;
      for (const channel of channels) {
        sum += channel[place];
      }
      this.block[this.filled] = sum / count;
      this.filled += 1;
      if (this.filled === BLOCK) {
        this.port.postMessage(this.block, [this.block.buffer]);
        this.block = new Float32Array(BLOCK);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
