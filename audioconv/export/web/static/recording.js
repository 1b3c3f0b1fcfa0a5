// Files: decoded by the browser at their own rate, so that all resampling is audioconv's.

const MAX_SECONDS = 1200; // the samples of a longer one may not fit in memory
const RATES = [8000, 96000]; // that each browser decodes at
const USUAL_RATE = 48000;

/** Return { samples, sampleRate } of a file as mono; an Error says why it cannot be read. */
export async function readRecording(file) {
  const seconds = await duration(file);
  if (seconds > MAX_SECONDS) {
    const most = `${MAX_SECONDS / 60} minutes`;
    throw new Error(`${file.name} is longer than ${most}; the command “audioconv detect” searches it.`);
  }
  const content = await file.arrayBuffer();
  const sampleRate = nativeRate(new Uint8Array(content.slice(0, 4096)));
  let decoded;
  try {
    decoded = await new OfflineAudioContext(1, 1, sampleRate).decodeAudioData(content);
  } catch {
    throw new Error(`${file.name} cannot be read: this browser does not know its format, or it is damaged.`);
  }
  return { samples: mono(decoded), sampleRate };
}

/** Return how long the browser says a file is, in seconds; 0 where it does not know. */
function duration(file) {
  return new Promise((resolve) => {
    const address = URL.createObjectURL(file);
    const done = (seconds) => {
      URL.revokeObjectURL(address);
      resolve(Number.isFinite(seconds) ? seconds : 0);
    };
    const sound = new Audio();
    sound.preload = "metadata";
    sound.onloadedmetadata = () => done(sound.duration);
    sound.onerror = () => done(0);
    sound.src = address;
  });
}

/** Return the rate that a file's header gives, in Hz, or a usual one. */
export function nativeRate(bytes) {
  const text = String.fromCharCode(...bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let rate = USUAL_RATE;
  const vorbis = text.indexOf("\x01vorbis");
  const format = text.indexOf("fmt ");
  if (text.startsWith("RIFF") && format > 0 && format + 16 <= bytes.length) {
    rate = view.getUint32(format + 12, true);
  } else if (text.startsWith("fLaC") && bytes.length >= 22) {
    rate = view.getUint32(18) >>> 12; // 20 bits of the first block
  } else if (text.startsWith("OggS") && vorbis > 0 && vorbis + 16 <= bytes.length) {
    rate = view.getUint32(vorbis + 12, true);
  }
  return rate >= RATES[0] && rate <= RATES[1] && rate % 25 === 0 ? rate : USUAL_RATE;
}

function mono(decoded) {
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, number) => decoded.getChannelData(number));
  if (channels.length === 1) {
    return channels[0];
  }
  return channels[0].map((_, place) => channels.reduce((sum, channel) => sum + channel[place], 0) / channels.length);
}
