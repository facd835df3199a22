// The page: takes photos, shows their captions. Nothing leaves the browser.
(function () {
  "use strict";

  const { settings, files } = window.cutline;
  const byId = (id) => document.getElementById(id);
  const status = byId("status");
  const MOST_PIXELS = 16_777_216; // what every browser can draw: above it some draw nothing at all
  let model = null;

  function bytesOf(text) {
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
    return bytes;
  }

  function take(name) {
    const bytes = bytesOf(files[name]);
    delete files[name]; // once is enough in memory
    return bytes;
  }

  function say(text, fault = false) {
    status.textContent = text;
    status.classList.toggle("fault", fault);
  }

  async function load() {
    const glue = new Blob([take("ort.mjs")], { type: "text/javascript" });
    ort.env.wasm.numThreads = 1; // more need headers that a file on disk does not have
    ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(glue) };
    ort.env.wasm.wasmBinary = take("ort.wasm");
    ort.env.logLevel = "error";
    const content = { encoder: take("encoder.onnx"), start: take("decoder_start.onnx"), step: take("decoder_step.onnx") };
    model = await cutlineModel.open(ort, content);
    byId("choose").disabled = false;
    say("Ready. Photos stay on this device.");
  }

  async function pixelsOf(photo) {
    const { height, width } = settings.input_size;
    const canvas = document.createElement("canvas");
    canvas.width = photo.width;
    canvas.height = photo.height;
    const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
    context.drawImage(photo, 0, 0);
    const { data } = context.getImageData(0, 0, photo.width, photo.height);
    return cutlinePixels.resize(data, photo.width, photo.height, width, height);
  }

  // → {text, words, probability, captions}; words: {text, probability, looks}.
  async function caption(file) {
    const decoding = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
    const photo = await createImageBitmap(file, decoding);
    if (photo.width * photo.height > MOST_PIXELS) throw new Error("the photo is too large for a browser");
    const began = performance.now();
    const rgb = await pixelsOf(photo);
    const seen = await model.see(rgb, settings.input_size.height, settings.input_size.width);
    const captions = await cutlineSearch.search(seen, settings.decoding);
    photo.close();
    if (!captions.length) throw new Error("no caption was found");
    const [best] = captions;
    const joined = (tokens) => tokens.map((token) => settings.tokens[token]).join(settings.joint);
    return {
      text: joined(best.tokens),
      others: captions.slice(1).map((other) => joined(other.tokens)),
      seconds: (performance.now() - began) / 1000,
      words: best.tokens.map((token, place) => ({
        text: settings.tokens[token],
        probability: Math.exp(best.logs[place]),
        looks: best.looks[place],
      })),
    };
  }

  function element(kind, className, text) {
    const made = document.createElement(kind);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Where the model looked, as a picture to lay over the photo.
  function heat(looks) {
    const side = Math.round(Math.sqrt(looks.length));
    if (side * side !== looks.length) return null;
    const canvas = element("canvas", "heat");
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    const image = context.createImageData(side, side);
    const most = Math.max(...looks);
    looks.forEach((look, place) => {
      image.data.set([255, 170, 0, Math.round((190 * look) / most)], 4 * place);
    });
    context.putImageData(image, 0, 0);
    return canvas;
  }

  function show(card, frame, found) {
    card.querySelector(".caption").replaceChildren(
      ...found.words.flatMap((word, place) => {
        const button = element("button", "word", word.text);
        button.title = `probability ${(100 * word.probability).toFixed(0)} %`;
        const overlay = word.looks && heat(word.looks);
        const on = () => overlay && frame.append(overlay);
        const off = () => overlay && overlay.remove();
        for (const kind of ["pointerenter", "focus"]) button.addEventListener(kind, on);
        for (const kind of ["pointerleave", "blur"]) button.addEventListener(kind, off);
        return place ? [settings.joint, button] : [button];
      }),
    );
    card.querySelector(".note").textContent = `${found.seconds.toFixed(1)} s`;
    if (found.others.length) {
      const list = element("ul");
      for (const other of found.others) list.append(element("li", "", other));
      const more = element("details");
      more.append(element("summary", "", "Other captions"), list);
      card.querySelector(".text").append(more);
    }
  }

  async function add(file) {
    const card = element("article", "card");
    const frame = element("div", "frame");
    const text = element("div", "text");
    const line = element("p", "caption", "…");
    text.append(line, element("p", "note", file.name));
    card.append(frame, text);
    byId("photos").prepend(card);
    const picture = element("img");
    picture.alt = "";
    picture.src = URL.createObjectURL(file);
    frame.append(picture);
    try {
      const found = await caption(file);
      picture.alt = found.text;
      show(card, frame, found);
      return { file: file.name, caption: found.text };
    } catch (error) {
      card.classList.add("fault");
      const known = error instanceof DOMException;
      line.textContent = known ? "This is not a photo that the browser can read." : `This went wrong: ${error.message}`;
      return { file: file.name, error: String(error) };
    }
  }

  let queue = Promise.resolve([]);

  // One after the other: there is one processor to share.
  function addAll(list) {
    const chosen = [...list];
    queue = queue.then(async () => {
      const found = [];
      for (const [place, file] of chosen.entries()) {
        say(chosen.length > 1 ? `Captioning ${place + 1} of ${chosen.length} …` : "Captioning …");
        found.push(await add(file));
      }
      say("Done. Drop more photos whenever you like.");
      return found;
    });
    return queue;
  }

  const input = byId("input");
  byId("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    addAll(input.files);
    input.value = "";
  });
  for (const kind of ["dragover", "dragenter"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) {
    document.addEventListener(kind, () => document.body.classList.remove("over"));
  }
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (model && event.dataTransfer.files.length) addAll(event.dataTransfer.files);
  });

  const ready = load().catch((error) => {
    say(`The model cannot be loaded: ${error.message}`, true);
    throw error;
  });
  window.cutline.ready = ready;
  window.cutline.captionAll = addAll;
})();
