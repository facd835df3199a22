"""How time and memory grow with the number of images, the vocabulary, beams and the length of captions."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.made_up import OPTIONS, REGIONS, VOCABULARY, WORDS
from benchmarks.measuring import ROOT, Alone, alone, exponent
from benchmarks.pieces import Asked
from benchmarks.tables import Table, spelt

_DEPTH, _BATCH = 1280, 64
_USUAL = {"images": 256, "vocabulary": VOCABULARY, "beams": 3, "words": int(WORDS)}
_SIZES: dict[str, tuple[int, ...]] = {
    "images": (100, 1_000, 10_000),
    "vocabulary": (2_000, 10_000, 50_000),
    "beams": (1, 2, 3, 5, 7, 10),
    "words": (5, 10, 20, 40),
}
_HEADINGS = {
    "images": "images captioned from features",
    "vocabulary": "vocabulary",
    "beams": "beams",
    "words": "words per caption",
    "scored": "captions scored",
}


def run(asked: Asked) -> list[Table]:
    """Measure each size in a process of its own."""
    rows: list[list[str]] = []
    values: dict[str, float] = {}
    for what in _SIZES:
        sizes = _SIZES[what][: asked.size(len(_SIZES[what]), 2)]
        _add(what, sizes, [_captioned(asked, what, size) for size in sizes], rows, values)
    sizes = _SIZES["images"] if not asked.quick else (10, 20)
    _add("scored", sizes, [_scored(asked, size) for size in sizes], rows, values)
    note = (
        f"The other sizes are {_USUAL['images']} images, {VOCABULARY:,} tokens, {_USUAL['beams']} beams "
        f"and {WORDS:.0f} words (captions of one length); `{OPTIONS.name}` on {REGIONS} × {_DEPTH:,} "
        f"features, {_BATCH} images at once. Every size in a process of its own: seconds of the work "
        f"alone, median of {_rounds(asked)}, after one that does not count; memory is the peak of the "
        "whole process, packages included. An exponent of 1 is growth in proportion (least squares on "
        "logarithms); of memory it is near 0 where packages and networks outweigh what grows."
    )
    columns = ["what grows", "sizes", "seconds", "peak memory, MiB", "exponent of time", "of memory"]
    return [Table("", columns, rows, note, values)]


def _rounds(asked: Asked) -> int:
    return asked.size(3, 1)


def _captioned(asked: Asked, what: str, size: int) -> Alone:
    asked.tell(f"{_HEADINGS[what]}: {size:,}")
    sizes: dict[str, Any] = {**_USUAL, "images": asked.size(_USUAL["images"], 8), what: size}
    graphs = _graphs(asked, sizes["vocabulary"], sizes["words"])
    rounds = _rounds(asked)
    return alone("benchmarks.pieces.growth:caption_features", graphs=graphs, **sizes, rounds=rounds)


def _scored(asked: Asked, size: int) -> Alone:
    asked.tell(f"{_HEADINGS['scored']}: {size:,}")
    return alone("benchmarks.pieces.growth:score_captions", images=size, rounds=_rounds(asked))


def _add(
    what: str,
    sizes: tuple[int, ...],
    found: list[Alone],
    rows: list[list[str]],
    values: dict[str, float],
) -> None:
    seconds, peaks = [statistics.median(one.result) for one in found], [one.peak for one in found]
    rows.append(_row(_HEADINGS[what], sizes, seconds, peaks))
    values |= {what: exponent(sizes, seconds), f"{what}_memory": exponent(sizes, peaks)}


def _row(heading: str, sizes: tuple[int, ...], seconds: list[float], peaks: list[float]) -> list[str]:
    return [
        heading,
        " · ".join(f"{size:,}" for size in sizes),
        " · ".join(map(spelt, seconds)),
        " · ".join(f"{peak:,.0f}" for peak in peaks),
        f"{exponent(sizes, seconds):.2f}",
        f"{exponent(sizes, peaks):.2f}",
    ]


def _graphs(asked: Asked, vocabulary: int, words: int) -> str:
    """Write the graphs of a decoder; who measures must not hold what it takes to write them."""
    from benchmarks.made_up import decoder_arrays, made_up_features

    from cutline.exporting.bundles import decoder_files

    folder = asked.work / f"decoder-{vocabulary}-{words}"
    if not folder.exists():
        features = made_up_features(_BATCH, _DEPTH)
        arrays = decoder_arrays(OPTIONS, vocabulary, _DEPTH, features, words, 0.0)
        folder.mkdir()
        for name, content in decoder_files(OPTIONS, arrays, (REGIONS, _DEPTH)).items():
            (folder / name).write_bytes(content)
    return str(folder)


def caption_features(
    graphs: str, images: int, vocabulary: int, beams: int, words: int, rounds: int
) -> list[float]:
    """Caption made-up features, 64 at once, the same 64 again and again; returns the seconds."""
    from benchmarks.made_up import made_up_features, made_up_vocabulary, options_for

    from cutline.runtime.bundle import DECODER_START, DECODER_STEP
    from cutline.runtime.onnx_session import OnnxDecoder
    from cutline.writing import Writer

    features = made_up_features(_BATCH, _DEPTH)
    decoder = OnnxDecoder(Path(graphs, DECODER_START), Path(graphs, DECODER_STEP))
    writer = Writer(decoder, made_up_vocabulary(vocabulary))
    options = options_for(beams, _BATCH).model_copy(update={"max_length": max(40, words)})
    writer.write(features[: min(images, _BATCH)], options)
    seconds = []
    for _ in range(rounds):
        begin, found = time.perf_counter(), []
        for at in range(0, images, _BATCH):
            found += writer.write(features[: min(_BATCH, images - at)], options)
        seconds.append(time.perf_counter() - begin)
    lengths = {len(one[0].token_ids) for one in found}
    assert lengths == {words}, f"captions have {lengths} words"
    return seconds


def score_captions(images: int, rounds: int) -> list[float]:
    """Score made-up captions, five references each, prepared anew each time; returns the seconds of each."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from score_speed import made_up  # type: ignore[import-not-found]

    from cutline.metrics import Scorer

    references = made_up(images)
    hypotheses = {image: captions[0] for image, captions in made_up(images, seed=1).items()}
    Scorer(dict(list(references.items())[:10])).score(dict(list(hypotheses.items())[:10]))
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        Scorer(references).score(hypotheses)
        seconds.append(time.perf_counter() - begin)
    return seconds
