"""Decoding from features: cutline's search on its graphs, the same on Keras, and a plain one on Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from benchmarks.made_up import (
    OPTIONS,
    REGIONS,
    SPREAD,
    VOCABULARY,
    WORDS,
    decoder_arrays,
    made_up_features,
    made_up_vocabulary,
    options_for,
)
from benchmarks.measuring import cores, in_turn
from benchmarks.pieces import Asked
from benchmarks.pieces.ceilings import onnx_product
from benchmarks.plain_search import plain_search
from benchmarks.tables import Table, spelt
from numpy.typing import NDArray

from cutline.config import DecodingOptions
from cutline.evaluation import caption_examples
from cutline.progress import Silent
from cutline.records import Example
from cutline.writing import Writer

WAYS = {"greedy": 1, "3 beams": 3, "5 beams": 5}
DEPTHS = {1280: "EfficientNet-Lite0", 2048: "ResNet-50"}


def run(asked: Asked) -> list[Table]:
    """Decode features of both depths."""
    return [_decoded(asked, depth) for depth in DEPTHS]


@dataclass(frozen=True)
class _Contest:
    """What is decoded, and who decodes it."""

    features: NDArray[np.float32]
    batch: int
    float32: Writer
    int8: Writer
    keras: Writer
    decoder: Any

    def works(self, beams: int, few: int, plainly: int) -> dict[str, Callable[[], object]]:
        """Return what is timed: what all images, one batch, and images one by one take."""
        writers = {"float32": self.float32, "int8": self.int8, "keras": self.keras}
        whole, batch, single = self.features, self.features[: self.batch], self.features[:few]
        works: dict[str, Callable[[], object]] = {}
        for name, writer in writers.items():
            works[f"{name} cores"] = partial(_by_cores, writer, whole, options_for(beams, self.batch))
            works[f"{name} batch"] = partial(writer.write, batch, options_for(beams, self.batch))
            works[f"{name} single"] = partial(writer.write, single, options_for(beams, 1))
        del works["keras cores"]  # which is asked by one thread at a time
        return works | {"plain": partial(_plain, self.decoder, self.features[:plainly], beams)}


def _decoded(asked: Asked, depth: int) -> Table:
    batch, few, plainly = asked.size(64, 4), asked.size(16, 2), asked.size(3, 1)
    contest = _contest(depth, batch, min(max(2, cores()), 8) * asked.size(2, 1))
    side = asked.size(2048, 64)
    counts = {"batch": batch, "cores": len(contest.features), "single": few}
    shown = {"batch": f"{batch}", "cores": f"{batch} on each core", "single": "1"}
    rows: list[list[str]] = []
    values: dict[str, float] = {}
    for way, beams in WAYS.items():
        asked.tell(f"decoding features of depth {depth:,}, {way}")
        works = {"product": onnx_product("float32", side)} | contest.works(beams, few, plainly)
        found = in_turn(works, asked.rounds)
        plain = plainly / found.median("plain")
        ceiling = 2 * side**3 / found.median("product")
        operated = operations(contest.float32, contest.features, beams)
        for how, count in counts.items():
            rates = {name: count / found.median(f"{name} {how}") for name in ("float32", "int8")}
            keras = spelt(count / found.median(f"keras {how}")) if how != "cores" else ""
            useful = operated / len(contest.features) * rates["float32"] / ceiling
            best = max(rates.values())
            last = (spelt(plain), spelt(best / plain), f"{useful:.0%}")
            rows.append([way, shown[how], *map(spelt, rates.values()), keras, *last])
            values |= {f"{beams} {how} {name}": rate for name, rate in rates.items()}
            values |= {f"{beams} {how} times": best / plain, f"{beams} {how} useful": useful}
        values[f"{beams} same"] = _same(contest, beams, plainly)
    columns = [
        *("way", "images at once", "float32, images/s", "int8, images/s"),
        *("same search on Keras, images/s", "plain Keras, images/s", "times plain"),
        "useful share of ceiling, float32",
    ]
    title = f"{REGIONS} × {depth:,} features, as of {DEPTHS[depth]}"
    return Table(title, columns, rows, _note(asked, values), values)


def _note(asked: Asked, values: Mapping[str, float]) -> str:
    same = min(values[f"{beams} same"] for beams in WAYS.values())
    return (
        f"`{OPTIONS.name}`, H {OPTIONS.lstm_units}, E {OPTIONS.embedding_units}, A "
        f"{OPTIONS.attention_units}, V {VOCABULARY:,}; features are made up, weights random, captions have "
        f"{WORDS:.0f} ± {SPREAD:.1f} words; median of {asked.rounds} rounds, in turn. float32 and int8 are "
        "cutline's search on the graphs of its decoder. The plain search is what tutorials show: one "
        "image after the other, the Keras decoder called for each beam and each word (with that word "
        "alone, not with all before it), not compiled. It has the same weights, and of its captions "
        f"{same:.0%} are those of float32. Useful are the operations of the products of matrices that "
        "cannot be avoided, the projection of the features included; the ceiling is that of float32 "
        "products, measured in the same rounds."
    )


def _contest(depth: int, batch: int, batches: int) -> _Contest:
    from cutline.exporting.bundles import decoder_files
    from cutline.models.sessions import DecoderSession, load_decoder
    from cutline.runtime.bundle import DECODER_START, DECODER_STEP
    from cutline.runtime.onnx_session import OnnxDecoder

    features = made_up_features(batch * batches, depth)
    arrays = decoder_arrays(OPTIONS, VOCABULARY, depth, features)
    vocabulary = made_up_vocabulary()
    own = {}
    for int8 in (False, True):
        files = decoder_files(OPTIONS, arrays, (REGIONS, depth), int8=int8)
        graphs: Any = OnnxDecoder(files[DECODER_START], files[DECODER_STEP])
        graphs.side_by_side = cores()  # as a whole session says
        own[int8] = Writer(graphs, vocabulary)
    decoder = load_decoder(OPTIONS, VOCABULARY, (REGIONS, depth), arrays)
    keras = Writer(DecoderSession(decoder), vocabulary)
    return _Contest(features, batch, own[False], own[True], keras, decoder)


def _by_cores(writer: Writer, features: NDArray[Any], options: DecodingOptions) -> object:
    """Caption as `cutline evaluate` does, a batch on each core."""
    examples = [Example(f"{row}", "", ("a",), digest=f"{row}") for row in range(len(features))]
    rows = {example.digest: row for row, example in enumerate(examples)}

    def read(digests: Sequence[str]) -> NDArray[Any]:
        return features[[rows[digest] for digest in digests]]

    return caption_examples(writer, read, examples, options, Silent())


def _plain(decoder: Any, features: NDArray[Any], beams: int) -> list[list[int]]:
    return [plain_search(decoder, row, beams) for row in features]


def _same(contest: _Contest, beams: int, plainly: int) -> float:
    """Return the share of images for which the plain search finds the same caption."""
    features = contest.features[:plainly]
    found = contest.float32.write(features, options_for(beams))
    plain = _plain(contest.decoder, features, beams)
    return float(np.mean([list(a[0].token_ids) == ids for a, ids in zip(found, plain, strict=True)]))


def operations(writer: Writer, features: NDArray[Any], beams: int) -> float:
    """Return the useful operations of captioning: two per multiplication in products of matrices."""
    depth, units = features.shape[2], OPTIONS.lstm_units
    width, keys = OPTIONS.embedding_units, OPTIONS.attention_units
    image = REGIONS * (depth * units + units * keys) + units * 2 * units
    gates = 2 * units * 4 * units + units * units
    looking = units * keys + REGIONS * (keys + units)
    word = gates + looking + 2 * units * width + width * VOCABULARY
    # The end marker is computed like a word; of the first word there is one beam.
    lengths = [len(found[0].token_ids) for found in writer.write(features, options_for(beams))]
    steps = sum(1 + beams * length for length in lengths)
    return 2.0 * (len(features) * image + steps * word)
