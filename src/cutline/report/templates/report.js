"use strict";
// Search, filter and order the photos of a section. Everything is in the page already: without this script all
// photos are shown in the order of the data. Served sections are marked with data-photos="ID OF THE LIST".
const STEP = 60;

function serve(tools) {
  const list = document.getElementById(tools.dataset.photos);
  const told = document.getElementById(tools.dataset.photos + "-shown");
  const more = document.getElementById(tools.dataset.photos + "-more");
  const [search, order, part, sure] = ["search", "order", "part", "sure"].map((name) => tools.querySelector("." + name));
  const cards = [...list.children].map((card, place) => ({
    card,
    place,
    text: card.textContent.normalize("NFC").toLowerCase(),
    score: number(card.dataset.score),
    confidence: number(card.dataset.confidence),
    parts: (card.dataset.parts || "").split(" "),
  }));
  let shown = STEP;

  function number(text) {
    return text === undefined ? NaN : Number(text);
  }

  function count(images) {
    return images === 1 ? "1 image" : `${images.toLocaleString("en")} images`;
  }

  function matches(one, words) {
    return words.every((word) => one.text.includes(word))
      && (!part || part.value === "" || one.parts.includes(part.value))
      && (!sure || sure.value === "" || isAsSure(one.confidence, ...sure.value.split(" ")));
  }

  // Photos without a confidence are on neither side.
  function isAsSure(confidence, side, limit) {
    return side === "below" ? confidence < Number(limit) : confidence >= Number(limit);
  }

  // Photos without the figure stand last, whichever way the others are ordered.
  function compare(key, sign) {
    return (a, b) => {
      if (Number.isNaN(a[key]) || Number.isNaN(b[key])) return Number.isNaN(a[key]) - Number.isNaN(b[key]) || a.place - b.place;
      return sign * (a[key] - b[key]) || a.place - b.place;
    };
  }

  function sorted() {
    const [key, direction] = order.value.split(" ");
    return [...cards].sort(key === "place" ? (a, b) => a.place - b.place : compare(key, direction === "up" ? 1 : -1));
  }

  function show() {
    const words = search.value.normalize("NFC").toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const one of sorted()) {
      const fits = matches(one, words);
      found += fits;
      one.card.hidden = !fits || found > shown;
      list.append(one.card);
    }
    const visible = Math.min(found, shown);
    told.textContent = found === 0 ? "No image fits." : visible < found ? `${visible} of ${count(found)}` : count(found);
    more.hidden = found <= shown;
    more.textContent = `Show ${Math.min(STEP, found - visible)} more`;
  }

  for (const control of [search, order, part, sure]) {
    if (control) control.addEventListener("input", () => { shown = STEP; show(); });
  }
  more.addEventListener("click", () => {
    const next = [...list.children].filter((card) => !card.hidden).length;
    shown += STEP;
    show();
    // The keyboard goes on where the new photos begin.
    const first = [...list.children].filter((card) => !card.hidden)[next];
    if (first) { first.tabIndex = -1; first.focus({ preventScroll: true }); }
  });
  tools.hidden = false;
  show();
}

document.querySelectorAll(".toolbar").forEach(serve);
