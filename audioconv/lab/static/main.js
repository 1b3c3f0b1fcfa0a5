// The page: its parts are started, then the project is asked for and followed.

import { startCamera } from "./camera.js";
import { startClasses } from "./classes.js";
import { startClipBar } from "./clip_bar.js";
import { startClips } from "./clips.js";
import { byId, setText } from "./dom.js";
import { startFiles } from "./files.js";
import { startKeys } from "./keys.js";
import { t, writeTexts } from "./language.js";
import { startListen } from "./listen.js";
import { notice, toast } from "./notices.js";
import { startRecorder } from "./recorder.js";
import { startResults } from "./results.js";
import { searchFile, startSearch } from "./search.js";
import { BACKGROUND, classes, choose, follow, on, refresh, state } from "./state.js";
import { startTakeAway } from "./take_away.js";
import { startThreshold } from "./threshold.js";
import { startTrain } from "./train.js";
import { startTrim } from "./trim.js";
import { startVoices } from "./voices.js";

async function start() {
  writeTexts(byId("language"));
  on("project", ({ name, folder }) => {
    document.title = `${name} · audioconv lab`;
    setText(byId("name"), name);
    setText(byId("folder"), folder);
  });
  on("error", (error) => notice(error.message));
  on("lost", () => notice(t("noServer")));
  on("found-again", () => notice(""));
  on("server-note", ({ message }) => toast(message));
  startClasses();
  startRecorder();
  startCamera();
  startClips();
  startClipBar();
  startTrim();
  startVoices();
  startFiles((event) => (state.project?.model && event.target.closest?.("#listen") ? searchFile : null));
  startTrain();
  startResults();
  startThreshold();
  startListen();
  startSearch();
  startTakeAway();
  startKeys();
  try {
    await refresh();
  } catch (error) {
    notice(error.message);
    return;
  }
  // The background comes first; where it is there, the first word.
  const background = classes().find(({ name }) => name === BACKGROUND);
  if (!background || background.clips) {
    choose(classes().find(({ role, clips }) => role === "word" && clips)?.name ?? state.chosen);
  }
  document.body.classList.remove("loading");
  follow();
}

start();
