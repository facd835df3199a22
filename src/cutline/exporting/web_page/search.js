// Beam search over a step model, as in Python's cutline.decoding.beam: the same beginnings are followed, the same
// captions are kept, and equal ones are told apart in the same way.
(function (root) {
  "use strict";

  const IMPOSSIBLE = -Infinity;

  // What may be written next, as in cutline.decoding.rules.
  class Rules {
    constructor(options) {
      this.options = options;
      this.endWords = new Set(options.end_words);
      this.never = options.never;
    }

    mayEnd(tokens) {
      if (tokens.length < this.options.min_length) return false;
      return !tokens.length || !this.endWords.has(tokens[tokens.length - 1]);
    }

    // Set to -Infinity, in place, what may not follow `tokens`.
    strike(scores, tokens) {
      const { end_id: end, max_length: most } = this.options;
      for (const id of this.never) scores[id] = IMPOSSIBLE;
      if (!this.mayEnd(tokens)) scores[end] = IMPOSSIBLE;
      // A word that must not be last needs one behind it.
      if (tokens.length + 1 >= most) for (const id of this.endWords) scores[id] = IMPOSSIBLE;
      for (const id of this.repeats(tokens)) scores[id] = IMPOSSIBLE;
    }

    // Tokens that would write an n-gram again.
    repeats(tokens) {
      const size = this.options.no_repeat_ngram;
      const found = [];
      if (!size || tokens.length < size) return found;
      const last = tokens.slice(tokens.length - size + 1);
      for (let at = 0; at + size <= tokens.length; at++) {
        if (last.every((token, place) => tokens[at + place] === token)) found.push(tokens[at + size - 1]);
      }
      return found;
    }

    cutBack(tokens) {
      let kept = tokens.length;
      while (kept && this.endWords.has(tokens[kept - 1])) kept--;
      return kept;
    }
  }

  class Finished {
    constructor(options) {
      this.options = options;
      this.ranked = [];
    }

    rank(total, length) {
      return total / Math.max(length, 1) ** this.options.length_penalty;
    }

    add(beam, tokens, logs) {
      const total = logs.reduce((sum, log) => sum + log, 0);
      const known = this.ranked.some(
        (other) => other.logs.length === logs.length && other.tokens.join() === tokens.join(),
      );
      if (known) return;
      this.ranked.push({ tokens, logs, looks: beam.looks, total, rank: this.rank(total, logs.length) });
      this.ranked.sort((one, other) => other.rank - one.rank);
      this.ranked.length = Math.min(this.ranked.length, this.options.beam_size);
    }

    settled(best, length) {
      if (best === IMPOSSIBLE) return true;
      const wanted = this.options.length_penalty ? this.options.beam_size : 1;
      return this.ranked.length >= wanted && this.rank(best, length) <= this.ranked[wanted - 1].rank;
    }
  }

  // The `wanted` highest continuations of all beams, best first; of equal ones the first.
  function bestFirst(totals, size, wanted) {
    const found = [];
    totals.forEach((row, beam) => {
      for (let token = 0; token < size; token++) {
        const total = row[token];
        if (found.length === wanted && !(total > found[wanted - 1].total)) continue;
        let place = found.length;
        while (place && found[place - 1].total < total) place--;
        found.splice(place, 0, { beam, token, total });
        if (found.length > wanted) found.pop();
      }
    });
    return found;
  }

  function greedyAmong(chosen, beams, totals) {
    const at = beams.findIndex((beam) => beam.greedy);
    if (at < 0) return;
    let token = 0;
    for (let id = 1; id < totals[at].length; id++) if (totals[at][id] > totals[at][token]) token = id;
    const total = totals[at][token];
    if (total === IMPOSSIBLE) return;
    let found = chosen.find((one) => one.beam === at && one.token === token);
    if (!found) {
      found = { beam: at, token, total };
      chosen[chosen.length - 1] = found;
    }
    found.greedy = true;
  }

  function giveUp(beams, finished, rules) {
    const unwanted = finished.ranked.length > 0;
    for (const beam of beams) {
      if (beam.total === IMPOSSIBLE) continue;
      if (rules.mayEnd(beam.tokens)) finished.add(beam, beam.tokens, beam.logs);
      else if (!unwanted) {
        const kept = rules.cutBack(beam.tokens);
        finished.add(beam, beam.tokens.slice(0, kept), beam.logs.slice(0, kept));
      }
    }
  }

  // Search for captions of one image.
  //
  // model.start() → the state before the first token; model.step(tokenIds, state) → {scores, looks, state}, scores
  // one Float32Array (V) and looks one Float32Array (R), or null, per row; model.reorder(state, rows) → state.
  // Returns captions, best first: {tokens, logs, looks, total}, looks one per token and end marker.
  async function search(model, options) {
    const rules = new Rules(options);
    const finished = new Finished(options);
    const width = options.beam_size;
    let beams = [{ tokens: [], logs: [], looks: [], total: 0, greedy: true }];
    let state = await model.start();
    for (let length = 1; length <= options.max_length; length++) {
      const last = beams.map((beam) => (beam.tokens.length ? beam.tokens[beam.tokens.length - 1] : options.start_id));
      const step = await model.step(last, state);
      const totals = beams.map((beam, row) => {
        const sums = Float64Array.from(step.scores[row], (score) => beam.total + score);
        rules.strike(sums, beam.tokens);
        return sums;
      });
      const size = step.scores[0].length;
      const chosen = bestFirst(totals, size, Math.min(2 * width, beams.length * size));
      greedyAmong(chosen, beams, totals);
      if (chosen[0].total === IMPOSSIBLE) {
        giveUp(beams, finished, rules);
        break;
      }
      const longer = chosen.map(({ beam, token, total, greedy }) => ({
        tokens: [...beams[beam].tokens, token],
        logs: [...beams[beam].logs, step.scores[beam][token]],
        looks: [...beams[beam].looks, step.looks && step.looks[beam]],
        total,
        greedy: Boolean(greedy),
        row: beam,
      }));
      const ends = (beam) => beam.tokens[beam.tokens.length - 1] === options.end_id;
      longer.forEach((beam, rank) => {
        if (ends(beam) && (beam.greedy || rank < width) && beam.total > IMPOSSIBLE) {
          finished.add(beam, beam.tokens.slice(0, -1), beam.logs);
        }
      });
      const open = longer.filter((beam) => !ends(beam) && beam.total > IMPOSSIBLE);
      const followed = open.slice(0, width);
      const greedy = open.find((beam) => beam.greedy);
      if (greedy && !followed.includes(greedy)) followed[followed.length - 1] = greedy;
      if (length === options.max_length) {
        for (const beam of followed) finished.add(beam, beam.tokens, beam.logs);
        break;
      }
      const best = followed.reduce((most, beam) => Math.max(most, beam.total), IMPOSSIBLE);
      if (finished.settled(best, length)) break;
      state = await model.reorder(step.state, followed.map((beam) => beam.row));
      beams = followed;
    }
    return finished.ranked;
  }

  root.cutlineSearch = { search };
})(typeof module === "object" ? module.exports : self);
