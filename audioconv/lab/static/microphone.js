// The microphone, as blocks of samples that nothing has changed, and the devices there are.

import { openSocket, query } from "./server.js";
import { t } from "./language.js";

const REASONS = {
  NotAllowedError: "microphoneRefused",
  NotFoundError: "microphoneMissing",
  OverconstrainedError: "microphoneMissing",
  NotReadableError: "microphoneTaken",
};

/** What meters show as silence. */
const DECIBEL_FLOOR = -80;

/** Return why this page cannot have a microphone, or an empty string. */
export function whyNoMicrophone() {
  if (!window.isSecureContext) {
    return t("insecure");
  }
  return navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode ? "" : t("noMicrophoneHere");
}

/** Return the devices of a kind, "audioinput" or "videoinput", as `[id, name]`; names come after the first permission. */
export async function devices(kind) {
  const found = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return found
    .filter((device) => device.kind === kind && device.deviceId !== "")
    .map((device, place) => [
      device.deviceId,
      device.label || `${t(kind === "audioinput" ? "microphone" : "camera")} ${place + 1}`,
    ]);
}

/** An open microphone. */
export class Microphone {
  /** Open it; `onBlock` takes Float32Arrays, `onEnded` is called where it is taken away. An Error says what failed. */
  static async open(deviceId, onBlock, onEnded) {
    const missing = whyNoMicrophone();
    if (missing) {
      throw new Error(missing);
    }
    const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const context = new AudioContext(); // in the answer to a click, or it would not run
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: deviceId ? { ...wanted, deviceId: { exact: deviceId } } : wanted,
      });
    } catch (error) {
      await context.close();
      throw new Error(REASONS[error.name] ? t(REASONS[error.name]) : t("microphoneFailed", { why: error.message }));
    }
    try {
      await context.audioWorklet.addModule("capture.js");
      await context.resume();
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      throw new Error(t("microphoneFailed", { why: error.message }));
    }
    const node = new AudioWorkletNode(context, "capture");
    node.port.onmessage = ({ data }) => onBlock(data);
    stream.getAudioTracks()[0].addEventListener("ended", onEnded);
    // Browsers run only what leads to the loudspeaker; what goes there is silence.
    context.createMediaStreamSource(stream).connect(node).connect(context.destination);
    return new Microphone(stream, context, node);
  }

  constructor(stream, context, node) {
    Object.assign(this, { stream, context, node });
  }

  /** In Hz. */
  get sampleRate() {
    return this.context.sampleRate;
  }

  /** Close it. */
  async close() {
    this.node.port.onmessage = null;
    this.stream.getTracks().forEach((track) => track.stop());
    if (this.context.state !== "closed") {
      await this.context.close();
    }
  }
}

/** A microphone whose sound goes to the server through a WebSocket, which answers with JSON. */
export class SoundStream {
  /**
   * Open both. `path` and `values` are the WebSocket's address, without the rate; `onMessage` takes what the server
   * says; `onEnd` is called once, with the reason as an Error where something has ended it.
   */
  static async open(deviceId, path, values, onMessage, onEnd) {
    const stream = new SoundStream(onEnd);
    stream.microphone = await Microphone.open(
      deviceId,
      (block) => stream.#push(block),
      () => stream.#end(new Error(t("microphoneGone"))),
    );
    try {
      const address = `${path}?${query({ ...values, rate: Math.round(stream.microphone.sampleRate) })}`;
      stream.socket = await openSocket(address, (message) => {
        stream.done ||= message.type === "done";
        if (message.type === "error") {
          stream.#end(new Error(message.error ?? message.message));
        } else {
          onMessage(message);
        }
      });
    } catch (error) {
      await stream.microphone.close();
      throw error;
    }
    stream.socket.addEventListener("close", ({ reason }) =>
      stream.#end(stream.done || stream.stopping ? null : new Error(reason || t("noServer"))),
    );
    stream.waiting.splice(0).forEach((block) => stream.socket.send(block));
    return stream;
  }

  constructor(onEnd) {
    this.onEnd = onEnd;
    this.waiting = [];
    this.socket = null;
    this.done = false;
    this.stopping = false;
    this.ended = false;
  }

  /** Send something other than sound. */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(message));
    }
  }

  /** Take no more sound; the server stores what it has, says so and closes. */
  async stop() {
    if (!this.stopping && !this.ended) {
      this.stopping = true;
      await this.microphone.close();
      this.send({ type: "stop" });
      setTimeout(() => this.#end(null), 10_000);
    }
  }

  #push(block) {
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(block);
    } else if (!this.socket) {
      this.waiting.push(block);
    }
  }

  #end(error) {
    if (!this.ended) {
      this.ended = true;
      this.microphone?.close();
      this.socket?.close();
      this.onEnd(error);
    }
  }
}

/** Show a level in dB on a meter, from silence to full scale. */
export function showLevel(meter, text, db, loud = false) {
  const value = Math.max(DECIBEL_FLOOR, Math.min(0, db ?? DECIBEL_FLOOR));
  meter.setAttribute("aria-valuenow", Math.round(value));
  meter.classList.toggle("warning", loud);
  meter.firstElementChild.style.setProperty("--share", 1 - value / DECIBEL_FLOOR);
  text.textContent =
    db === null ? "" : `${value <= DECIBEL_FLOOR ? "−∞" : Math.round(value).toString().replace("-", "−")}\u00a0dB`;
}
