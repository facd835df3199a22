// From a decoded photo to the pixels an encoder sees, computed as Pillow does it in Python: bicubic scaling with
// antialiasing, along one axis and then along the other, each rounded to whole grey levels.
(function (root) {
  "use strict";

  const BITS = 22; // of the fraction of a weight

  function cubic(x) {
    const a = -0.5;
    x = Math.abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
  }

  // For each of `wanted` places: where its source pixels begin, and their weights.
  function weights(length, wanted) {
    const scale = length / wanted;
    const stretch = Math.max(scale, 1);
    const support = 2 * stretch;
    const places = [];
    for (let place = 0; place < wanted; place++) {
      const centre = (place + 0.5) * scale;
      const from = Math.max(0, Math.trunc(centre - support + 0.5));
      const to = Math.min(length, Math.trunc(centre + support + 0.5));
      const own = [];
      let sum = 0;
      for (let x = from; x < to; x++) {
        const weight = cubic((x - centre + 0.5) / stretch);
        own.push(weight);
        sum += weight;
      }
      places.push({
        from,
        of: own.map((weight) => {
          const whole = (weight / sum) * 2 ** BITS;
          return Math.trunc(whole < 0 ? whole - 0.5 : whole + 0.5);
        }),
      });
    }
    return places;
  }

  function level(sum) {
    const value = Math.floor(sum / 2 ** BITS);
    return value < 0 ? 0 : value > 255 ? 255 : value;
  }

  // Scale along one axis. `rgb` holds `lines` lines of `length` pixels; `along` and `across` are the distances, in
  // numbers, between neighbours in a line and between lines.
  function scaled(rgb, lines, length, wanted, along, across, newAlong, newAcross) {
    const found = new Uint8Array(lines * wanted * 3);
    const places = weights(length, wanted);
    for (let line = 0; line < lines; line++) {
      for (let place = 0; place < wanted; place++) {
        const { from, of } = places[place];
        for (let channel = 0; channel < 3; channel++) {
          let sum = 2 ** (BITS - 1);
          let at = line * across + from * along + channel;
          for (let n = 0; n < of.length; n++, at += along) sum += rgb[at] * of[n];
          found[line * newAcross + place * newAlong + channel] = level(sum);
        }
      }
    }
    return found;
  }

  // RGBA (height × width × 4), transparency laid on white, to RGB of the wanted size.
  function resize(rgba, width, height, wantedWidth, wantedHeight) {
    let rgb = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
      const alpha = rgba[from + 3];
      for (let channel = 0; channel < 3; channel++) {
        const value = rgba[from + channel];
        rgb[to + channel] =
          alpha === 255 ? value : Math.round((value * alpha + 255 * (255 - alpha)) / 255);
      }
    }
    const across = (rows) => {
      if (width !== wantedWidth) rgb = scaled(rgb, rows, width, wantedWidth, 3, 3 * width, 3, 3 * wantedWidth);
    };
    const down = (columns) => {
      const row = 3 * columns;
      if (height !== wantedHeight) rgb = scaled(rgb, columns, height, wantedHeight, row, 3, row, 3);
    };
    // As Pillow 13 does: first down, where so many more rows than columns have to go.
    if (height > wantedHeight && height - wantedHeight > 2 * (width - wantedWidth)) {
      down(width);
      across(wantedHeight);
    } else {
      across(height);
      down(wantedWidth);
    }
    return rgb;
  }

  root.cutlinePixels = { resize };
})(typeof module === "object" ? module.exports : self);
