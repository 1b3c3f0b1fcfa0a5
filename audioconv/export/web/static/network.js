// The model: its description, and ONNX Runtime Web, which computes it.

/** Return the model of the folder of this page; an Error says what could not be loaded. */
export async function loadModel() {
  const metadata = JSON.parse(new TextDecoder().decode(await bytesOf("model.json")));
  const [ort, wasm, network, frontEnd] = await Promise.all([
    runtime(metadata.runtime),
    bytesOf(metadata.runtime.wasm, metadata.runtime.wasm_integrity),
    bytesOf(metadata.files.network),
    metadata.files.front_end && bytesOf(metadata.files.front_end),
  ]);
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1; // more need a server that isolates the page from others
  const { labels } = metadata;
  const model = {
    metadata,
    labels,
    grid: metadata.web.grid,
    rows: metadata.web.rows,
    picker: metadata.web.picker,
    endpoints: metadata.web.endpoints,
    content: metadata.web.content,
    sampleRate: metadata.sample_rate,
    clipSamples: metadata.clip_samples,
    threshold: metadata.stream.threshold,
    clipThreshold: metadata.threshold,
    isWord: labels.map((label) => metadata.words.includes(label)),
    answerCodes: labels.flatMap((label, code) => (metadata.answer_labels.includes(label) ? [code] : [])),
    network: await opened(ort, network, metadata.web.features, "probabilities"),
  };
  if (frontEnd) {
    model.frontEnd = await opened(ort, frontEnd, [metadata.web.rows.window_length], "features");
  }
  return model;
}

/** Return a function that computes one output of an ONNX file for `count` examples of a shape. */
async function opened(ort, content, shape, output) {
  const session = await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
  const [input] = session.inputNames;
  return async (values, count) => {
    if (!count) {
      return new Float32Array(0);
    }
    const tensor = new ort.Tensor("float32", values, [count, ...shape]);
    const found = await session.run({ [input]: tensor }, [output]);
    return found[output].data;
  };
}

/** Return the module of ONNX Runtime Web; the page's import map knows its address and its hash. */
async function runtime(metadata) {
  try {
    return await import("onnxruntime-web");
  } catch (error) {
    throw new Error(`ONNX Runtime Web ${metadata.version} could not be loaded from ${metadata.module} (${error.message}).`);
  }
}

/** Return the content of a file; with a hash, it must have that. */
async function bytesOf(address, integrity = "") {
  let answer;
  try {
    answer = await fetch(address, { integrity });
  } catch (error) {
    throw new Error(`${address} could not be loaded (${error.message}).`);
  }
  if (!answer.ok) {
    throw new Error(`${address} could not be loaded (the server's answer is ${answer.status}).`);
  }
  return new Uint8Array(await answer.arrayBuffer());
}
