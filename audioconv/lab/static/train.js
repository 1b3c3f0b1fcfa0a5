// Training: one button, what it will do, and how far it is.

import { call } from "./server.js";
import { byId, make, setText } from "./dom.js";
import { duration, hasText, language, number, percent, t } from "./language.js";
import { attempt } from "./notices.js";
import { plain, plot, ticks } from "./plots.js";
import { emit, on, refresh, state } from "./state.js";

const GOING_ON = ["reading", "training", "evaluating"];

let run = null;

/** Show trainings from now on, and take the buttons. */
export function startTrain() {
  on("project", (project) => {
    run = project.run ?? run;
    showOptions(project.settings?.options ?? []);
    show();
  });
  on("server-run", (event) => {
    const ended = run && GOING_ON.includes(run.state) && !GOING_ON.includes(event.run.state);
    run = event.run;
    show();
    if (ended && run.state === "done") {
      attempt(refresh).then(() => emit("trained"));
    }
  });
  byId("train-button").addEventListener("click", toggleTraining);
  byId("resume").addEventListener("click", () =>
    attempt(async () => started(await call("POST", "train/resume", { json: {} }))),
  );
}

/** Begin to train, or cancel. */
export async function toggleTraining() {
  await attempt(async () => {
    if (goesOn()) {
      await call("POST", "train/cancel", { json: {} });
    } else if (canTrain()) {
      started(await call("POST", "train", { json: options() }));
    }
  });
}

const goesOn = () => Boolean(run && GOING_ON.includes(run.state));

function canTrain() {
  const ready = state.project?.settings?.ready;
  const filled = (state.project?.classes ?? []).filter(({ clips, role }) => clips && role === "word");
  return ready ?? filled.length > 0;
}

function started(answer) {
  run = answer;
  show();
}

function show() {
  const project = state.project;
  setText(byId("plan"), plan(project));
  setText(byId("train-button"), goesOn() ? t("cancelTraining") : t(project?.model ? "trainAgain" : "train"));
  byId("train-button").classList.toggle("strong", !goesOn());
  byId("train-button").disabled = !goesOn() && !canTrain();
  byId("resume").hidden = !run?.resumable && !["cancelled", "interrupted"].includes(run?.state);
  byId("options").hidden = !byId("option-fields").children.length;
  byId("run").hidden = !run;
  if (!run) {
    return;
  }
  const done = run.state === "done" ? 1 : share(run);
  if (run.state === "reading" || done === null) {
    byId("run-progress").removeAttribute("value");
  } else {
    byId("run-progress").value = done;
  }
  byId("run-progress").hidden = !goesOn();
  const epoch = run.state === "training" && run.epochs ? ` · ${t("epochOf", { n: run.epoch, all: run.epochs })}` : "";
  setText(byId("run-state"), `${hasText(`run_${run.state}`) ? t(`run_${run.state}`) : run.state}${epoch}`);
  byId("run-state").classList.toggle("warning", run.state === "failed");
  const left = goesOn() && run.seconds_left >= 1;
  setText(
    byId("run-left"),
    left ? t("timeLeft", { time: duration(run.seconds_left) }) : run.seconds ? duration(run.seconds) : "",
  );
  setText(byId("run-note"), note());
  byId("run-note").hidden = !goesOn() && !byId("run-note").textContent;
  showCurves();
}

/** What goes on, beside its state; what the server says in English is shown where nothing else says it. */
function note() {
  if (run.state === "failed") {
    return run.message;
  }
  if (run.state === "training" && run.networks > 1 && run.averaged) {
    return t("runOf", { n: run.network, all: run.networks });
  }
  if (run.state === "training" && run.networks > 1) {
    return t(run.network < run.networks ? "networkOf" : "networkLast", { n: run.network, all: run.networks });
  }
  return goesOn() && run.state === "reading" && language === "en" ? run.message : "";
}

function share({ epoch, epochs, batch, batches, seconds, seconds_left: left }) {
  if (left !== null && left !== undefined && seconds) {
    return seconds / (seconds + left);
  }
  return epochs ? (Math.max(0, epoch - 1) + (batches ? batch / batches : 0)) / epochs : null;
}

/** What a training would do: in the language of the page where the numbers are there, else as the server says it. */
function plan(project) {
  const words = (project?.classes ?? []).filter(({ role, clips }) => role === "word" && clips);
  if (!words.length) {
    return t("planEmpty");
  }
  if (!canTrain()) {
    return t("notReady");
  }
  const clips = words.reduce((sum, one) => sum + one.clips, 0);
  const names = words.length <= 4 ? words.map(({ name }) => name).join(", ") : t("wordCount", { n: words.length });
  return t(project.kind === "images" ? "planPictures" : "planWords", { n: clips, names });
}

// Figures.

function showCurves() {
  const history = run.history ?? [];
  if (!history.length) {
    byId("curves").replaceChildren();
    byId("curves-key").hidden = true;
    return;
  }
  const figures = [
    figure(t("accuracy"), history, "accuracy", "validation_accuracy", {
      from: 0,
      to: 1,
      ticks: [0, 0.5, 1],
      text: (value) => percent(value, 0),
    }),
    figure(t("loss"), history, "loss", "validation_loss", null),
  ];
  byId("curves").replaceChildren(...figures);
  byId("curves-key").hidden = false;
}

function figure(title, history, training, validation, axis) {
  const networks = byNetwork(history);
  const curves = networks.flatMap((rows, place) => {
    const old = place < networks.length - 1 ? " old" : "";
    return [
      { points: points(rows, training), kind: `faint${old}` },
      { points: points(rows, validation), kind: `words${old}` },
    ];
  });
  const values = curves.flatMap((one) => one.points.map(([, value]) => value)).sort((a, b) => a - b);
  // A loss begins high: the rest is what there is to see.
  const highest = Math.max(1e-9, values[Math.floor(0.97 * (values.length - 1))] ?? 1);
  const last = Math.max(
    2,
    ...networks.map((rows) => rows.length),
    networks.length === 1 && goesOn() ? (run.epochs ?? 0) : 0,
  );
  const now = goesOn()
    ? (points(networks.at(-1), validation).at(-1) ?? points(networks.at(-1), training).at(-1))
    : null;
  const value = now ? (axis ? percent(now[1], 0) : number(now[1], 2)) : "";
  return make(
    "figure",
    {},
    make("figcaption", {}, make("span", {}, title), make("b", {}, value)),
    plot({
      width: 200,
      height: 106,
      label: `${title} ${value}`.trim(),
      x: { from: 1, to: last, ticks: [1, last], text: (epoch) => (epoch === 1 ? "1" : t("epochNumber", { n: epoch })) },
      y: axis ?? { from: 0, to: highest, ticks: ticks(0, highest), text: plain },
      curves,
    }),
  );
}

/** Return the epochs of each network by themselves. */
function byNetwork(history) {
  const found = new Map();
  for (const row of history) {
    found.set(row.network, [...(found.get(row.network) ?? []), row]);
  }
  return [...found.values()];
}

function points(rows, key) {
  return rows.map((row, place) => [place + 1, row[key]]).filter(([, value]) => typeof value === "number");
}

// Options, as the server describes them.

const shownOptions = new Map();

/**
 * Show options: `{name, kind, default, choices, min, max}`; `kind` is "number", "choice" or "switch". The texts
 * `option_NAME` name them.
 */
function showOptions(described) {
  const key = JSON.stringify(described);
  if (byId("option-fields").dataset.key === key) {
    return;
  }
  byId("option-fields").dataset.key = key;
  shownOptions.clear();
  const fields = described.map((one) => {
    const open = one.kind === "switch" && one.default === null; // chosen by the data, unless one says
    const field = open
      ? make("select", {}, new Option(t("automatic"), ""), new Option(t("yes"), "true"), new Option(t("no"), "false"))
      : one.kind === "choice"
        ? make(
            "select",
            {},
            ...one.choices.map(
              (value) => new Option(hasText(`choice_${value}`) ? t(`choice_${value}`) : String(value), value),
            ),
          )
        : make(
            "input",
            one.kind === "switch"
              ? { type: "checkbox" }
              : {
                  type: one.kind === "number" ? "number" : "text",
                  min: one.min,
                  max: one.max,
                  step: one.step ?? "any",
                  placeholder: one.placeholder ?? t("automatic"),
                },
          );
    if (open) {
      field.value = "";
    } else if (one.kind === "switch") {
      field.checked = Boolean(one.default);
    } else if (one.default !== null && one.default !== undefined) {
      field.value = one.default;
    }
    shownOptions.set(one.name, [field, one]);
    const text = hasText(`option_${one.name}`) ? t(`option_${one.name}`) : (one.title ?? one.name);
    return one.kind === "switch" && !open
      ? make("label", { class: "tick" }, field, make("span", {}, text))
      : make("label", { class: "field" }, make("span", {}, text), field);
  });
  byId("option-fields").replaceChildren(...fields);
}

/** Return the options that differ from what the server would do anyway. */
function options() {
  const wanted = {};
  for (const [name, [field, { kind, default: usual }]] of shownOptions) {
    const value =
      field.type === "checkbox"
        ? field.checked
        : kind === "switch"
          ? { "": null, true: true, false: false }[field.value]
          : field.value === ""
            ? null
            : kind === "number"
              ? Number(field.value)
              : field.value;
    if (value !== null && value !== (usual ?? null)) {
      wanted[name] = value;
    }
  }
  return wanted;
}
