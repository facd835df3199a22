// The graphs of a bundle in ONNX Runtime: an encoder, and a decoder as the step model that search.js wants.
(function (root) {
  "use strict";

  function tensor(ort, kind, values, shape) {
    return new ort.Tensor(kind, values, shape);
  }

  // Rows of a tensor whose first axis counts them.
  function take(ort, given, rows) {
    const size = given.data.length / given.dims[0];
    const data = new given.data.constructor(rows.length * size);
    rows.forEach((row, place) => data.set(given.data.subarray(row * size, (row + 1) * size), place * size));
    return tensor(ort, given.type, data, [rows.length, ...given.dims.slice(1)]);
  }

  function rowsOf(given) {
    const size = given.data.length / given.dims[0];
    return Array.from({ length: given.dims[0] }, (_, row) => given.data.slice(row * size, (row + 1) * size));
  }

  async function open(ort, files) {
    const settings = { executionProviders: ["wasm"], graphOptimizationLevel: "all" };
    const [encoder, start, step] = await Promise.all(
      [files.encoder, files.start, files.step].map((content) => ort.InferenceSession.create(content, settings)),
    );
    const looks = step.outputNames.includes("attention");

    // rgb: Uint8Array (height × width × 3) → a step model for that image.
    async function see(rgb, height, width) {
      const images = tensor(ort, "uint8", rgb, [1, height, width, 3]);
      const { features } = await encoder.run({ images });
      return {
        async start() {
          const found = await start.run({ features });
          const part = (kind) => Object.fromEntries(Object.entries(found).filter(([name]) => name.startsWith(kind)));
          return { memory: part("memory."), rows: part("state.") };
        },
        async step(tokenIds, state) {
          const given = {
            ...state.memory,
            ...state.rows,
            token_ids: tensor(ort, "int32", Int32Array.from(tokenIds), [tokenIds.length]),
            count: tensor(ort, "int64", BigInt64Array.from([1n]), [1]),
          };
          const found = await step.run(given);
          const rows = {};
          for (const name of step.outputNames) {
            if (name.startsWith("next.")) rows[`state.${name.slice(5)}`] = found[name];
          }
          return {
            scores: rowsOf(found.log_probabilities),
            looks: looks ? rowsOf(found.attention) : null,
            state: { memory: state.memory, rows },
          };
        },
        reorder(state, rows) {
          const taken = Object.entries(state.rows).map(([name, value]) => [name, take(ort, value, rows)]);
          return { memory: state.memory, rows: Object.fromEntries(taken) };
        },
      };
    }

    return { see };
  }

  root.cutlineModel = { open };
})(typeof module === "object" ? module.exports : self);
