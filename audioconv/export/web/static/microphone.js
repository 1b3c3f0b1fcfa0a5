// The microphone, as blocks of samples.

const REASONS = {
  NotAllowedError: "The browser may not use the microphone. Allow it in the settings of this page, and try again.",
  NotFoundError: "There is no microphone. Connect one and try again, or open a recording.",
  NotReadableError: "The microphone cannot be opened; another program may use it.",
};

/** Return why this page cannot have a microphone, or an empty string. */
export function whyNoMicrophone() {
  if (!window.isSecureContext) {
    return "Browsers give the microphone to secure pages only: open this page by https, or at http://localhost.";
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    return "This browser gives pages no microphone.";
  }
  return window.AudioWorkletNode ? "" : "This browser has no AudioWorklet, which reads the microphone.";
}

/** An open microphone. */
export class Microphone {
  /** Open it; `onBlock` takes Float32Arrays, `onEnded` is called where it is taken away. An Error says what failed. */
  static async open(onBlock, onEnded) {
    const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const context = new AudioContext(); // in the answer to a click, or it would not run
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    } catch (error) {
      await context.close();
      throw new Error(REASONS[error.name] ?? `The microphone cannot be opened (${error.message}).`);
    }
    try {
      await context.audioWorklet.addModule("capture.js");
      await context.resume();
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      throw new Error(`The sound of the microphone cannot be read (${error.message}).`);
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
    await this.context.close();
  }
}
