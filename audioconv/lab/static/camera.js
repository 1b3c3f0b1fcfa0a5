// The camera: pictures for the chosen class while a button is held, and pictures that a model answers.

import { call, openSocket, query } from "./server.js";
import { byId, setText } from "./dom.js";
import { t } from "./language.js";
import { notice } from "./notices.js";
import { chosenClass, emit, on, state } from "./state.js";

const BETWEEN_MILLISECONDS = 250; // pictures that are taken while the button is held
const SIDE = 480; // of a picture at most, in dots

/** An open camera that shows itself in a <video>. */
export class Camera {
  /** Open one; an Error says what failed. */
  static async open(video, deviceId = "") {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(t(window.isSecureContext ? "noCamera" : "insecure"));
    }
    try {
      const wanted = { width: { ideal: 640 }, height: { ideal: 480 } };
      const stream = await navigator.mediaDevices.getUserMedia({
        video: deviceId ? { ...wanted, deviceId: { exact: deviceId } } : wanted,
      });
      video.srcObject = stream;
      await video.play();
      return new Camera(video, stream);
    } catch (error) {
      throw new Error(error.name === "NotAllowedError" ? t("cameraRefused") : t("noCamera"));
    }
  }

  constructor(video, stream) {
    Object.assign(this, { video, stream, canvas: document.createElement("canvas") });
  }

  /** Return what it sees now, as a JPEG file. */
  take() {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, SIDE / Math.max(videoWidth, videoHeight));
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", 0.92));
  }

  /** Close it. */
  close() {
    this.stream.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
  }
}

let camera = null;
let holding = false;
let opening = false;
let taken = 0;

/** Offer the camera in projects of pictures from now on. */
export function startCamera() {
  on("project", show);
  on("chosen", () => {
    taken = 0;
    show();
  });
  const button = byId("shoot");
  button.addEventListener("pointerdown", (event) => event.button === 0 && pressCamera());
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    button.addEventListener(name, releaseCamera);
  }
  button.addEventListener("click", async ({ detail }) => {
    if (detail === 0) {
      await pressCamera();
      releaseCamera();
    }
  });
  byId("close-camera").addEventListener("click", close);
}

/** Open the camera, or begin to take pictures with it. */
export async function pressCamera() {
  if (opening || !chosenClass()) {
    return;
  }
  if (!camera) {
    opening = true;
    try {
      byId("viewfinder").hidden = false;
      camera = await Camera.open(byId("camera"), byId("device").value);
      emit("camera");
    } catch (error) {
      byId("viewfinder").hidden = true;
      notice(error.message);
    }
    opening = false;
    show();
    return;
  }
  holding = true;
  do {
    await shoot();
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_MILLISECONDS));
  } while (holding && camera);
}

/** Take no more pictures. */
export function releaseCamera() {
  holding = false;
}

async function shoot() {
  try {
    const content = await camera.take();
    const values = { class: state.chosen, speaker: byId("speaker").value.trim(), name: "camera.jpg" };
    const { skipped } = await call("POST", `clips?${query(values)}`, { body: content });
    if (skipped.length) {
      throw new Error(skipped[0].message);
    }
    taken += 1;
    setText(byId("record-status"), t("picturesTaken", { n: taken }));
  } catch (error) {
    holding = false;
    notice(error.message);
  }
}

function close() {
  camera?.close();
  camera = null;
  show();
}

function show() {
  const images = state.kind === "images";
  if (!images && camera) {
    camera.close();
    camera = null;
  }
  byId("viewfinder").hidden = !camera;
  byId("shoot").hidden = !images;
  byId("shoot").disabled = !chosenClass();
  byId("close-camera").hidden = !images || !camera;
  setText(byId("shoot"), camera ? t("takePictures") : t("openCamera"));
  setText(byId("device-name"), t(images ? "camera" : "microphone"));
}

/** A camera whose pictures a model answers, each after the answer to the one before. */
export class Watch {
  /** Open both; `onScores` takes what the server says, `onEnd` the reason where something has ended it, or null. */
  static async open(video, onScores, onEnd) {
    const watch = new Watch();
    watch.camera = await Camera.open(video);
    try {
      watch.socket = await openSocket("watch", (message) => {
        onScores(message);
        watch.#next();
      });
    } catch (error) {
      watch.camera.close();
      throw error;
    }
    watch.socket.addEventListener("close", ({ reason }) => {
      watch.camera.close();
      onEnd(watch.stopped ? null : new Error(reason || t("noServer")));
    });
    watch.#next();
    return watch;
  }

  /** End it. */
  stop() {
    this.stopped = this.stopping = true;
    this.socket.close();
  }

  async #next() {
    const content = await this.camera.take();
    if (this.socket.readyState === WebSocket.OPEN && content) {
      this.socket.send(await content.arrayBuffer());
    }
  }
}
