"""A folder of photos: from files to captions, beside what the encoder alone does with decoded pixels.

Reading files and searching from features are timed alone, too, each with all cores, and say which share of
the encoder's rate would be left if the three were done one after the other. A folder that has more
gains by doing them side by side: the rest of a core that one leaves is used by another.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.made_up import model, photos, pixels_of, what_model, what_photos
from benchmarks.measuring import alone, in_turn
from benchmarks.pieces import Asked
from benchmarks.tables import Table, spelt

BEAMS = 3
_FIRST = 64
_ENCODERS = {"efficientnet_lite0": 1000, "resnet50": 128}
_PRECISIONS = {"float32": "float32", "int8-encoder": "encoder int8, decoder float32", "int8": "int8"}
_ALONE = {"float32": "float32", "int8-encoder": "int8", "int8": "int8"}
"""Precision of a model → the one whose encoder it has."""
_PARTS = ("encoder alone, images/s", "reading alone, images/s", "search alone, images/s")


def run(asked: Asked) -> list[Table]:
    """Caption folders with each encoder in each precision."""
    rows: list[list[str]] = []
    values: dict[str, float] = {}
    for encoder, count in list(_ENCODERS.items())[: asked.size(len(_ENCODERS), 1)]:
        paths = photos(asked, asked.size(count, 8))
        rows += _measured(asked, encoder, paths, values)
    most = photos(asked, asked.size(1000, 8))
    few = most[: max(1, len(most) // 10)]
    folder = model(asked, "efficientnet_lite0", "int8")
    peaks = [alone("benchmarks.pieces.folder:caption", model=str(folder), paths=p).peak for p in (few, most)]
    values["peak"] = peaks[1]
    note = (
        f"{what_photos(asked, len(most))}{_fewer(asked)}, {BEAMS} beams, {what_model(asked)}{_other(asked)}; "
        f"median of {asked.rounds} rounds, in turn. {_weights(asked)}A process that captions "
        f"{len(few):,} of the images in int8 holds {peaks[0]:,.0f} MiB of memory at most, "
        f"one that captions {len(most):,} holds {peaks[1]:,.0f}. One after the "
        "other, the three things that are timed alone would leave the last column's share."
    )
    columns = ["encoder", "precision", "files to captions, images/s", *_PARTS, "share", "one after the other"]
    return [Table("", columns, rows, note, values)]


def _measured(asked: Asked, encoder: str, paths: list[str], values: dict[str, float]) -> list[list[str]]:
    from cutline.captioner import Captioner

    works: dict[str, Any] = {}
    pixels = features = None
    for precision in _PRECISIONS:
        captioner = Captioner.load(model(asked, encoder, precision))
        if pixels is None:
            pixels = pixels_of(paths, captioner.session.input_size)
        works[f"{precision} folder"] = partial(_all, captioner, paths)
        works.setdefault("reading", partial(_read, captioner, paths))
        if precision in _ALONE.values():
            features = captioner.session.encode(pixels)
            works[f"{precision} alone"] = partial(captioner.session.encode, pixels)
        works[f"{precision} search"] = partial(_search, captioner, features)
        # So much fills caches; a round more of everything would take minutes.
        _all(captioner, paths[:_FIRST])
        captioner.session.encode(pixels[:_FIRST])
        _search(captioner, features[:_FIRST])
    asked.tell(f"captioning {len(paths):,} images with {encoder}")
    found = in_turn(works, asked.rounds, warm=0)
    rows = []
    for precision in _PRECISIONS:
        whole, encoding = f"{precision} folder", f"{_ALONE[precision]} alone"
        parts = [encoding, "reading", f"{precision} search"]
        rates = [len(paths) / found.median(name) for name in (whole, *parts)]
        share, in_line = found.times_as_fast(whole, encoding), found.share_of(encoding, parts)
        values |= {
            f"{encoder}_{precision}": rates[0],
            f"{encoder}_{precision}_share": share,
            f"{encoder}_{precision}_share_one_after_the_other": in_line,
        }
        rows.append([encoder, _PRECISIONS[precision], *map(spelt, rates), f"{share:.0%}", f"{in_line:.0%}"])
    return rows


def _fewer(asked: Asked) -> str:
    """Say how many photos the larger encoder gets, where it is measured."""
    return "" if asked.quick else f" ({_ENCODERS['resnet50']} for ResNet-50)"


def _weights(asked: Asked) -> str:
    """Say what the larger encoder knows, where it is measured."""
    if asked.quick:
        return ""
    return f"ResNet-50 has {'the weights that were given' if asked.encoder_weights else 'random weights'}. "


def _other(asked: Asked) -> str:
    """Say what decodes behind an encoder that is not that of the model that was given."""
    if asked.model is None or asked.quick:
        return ""
    return " (behind its own encoder; behind the other, random weights)"


def _all(captioner: Any, paths: list[str]) -> int:
    return sum(1 for _ in captioner.caption_all(paths, BEAMS))


def _read(captioner: Any, paths: list[str]) -> int:
    from cutline.data.reading_ahead import read_ahead
    from cutline.ensembles import read_image

    read = partial(read_image, captioner.session)
    return sum(len(pixels.result()) for _, pixels in read_ahead(read, paths, _FIRST))


def _search(captioner: Any, features: Any) -> int:
    """Search as a folder's captions are searched for: several batches side by side."""
    from cutline.data.reading_ahead import read_ahead

    options = captioner.bundle.decoding.model_copy(update={"beam_size": BEAMS, "consensus_beams": 0})
    write = partial(captioner.writer.write, options=options)
    batches = [features[at : at + options.batch_size] for at in range(0, len(features), options.batch_size)]
    threads = captioner.session.side_by_side
    return sum(len(found.result()) for _, found in read_ahead(write, batches, threads - 1, threads))


def caption(model: str, paths: list[str]) -> int:
    """Caption images in this process; returns how many."""
    from cutline.captioner import Captioner

    return _all(Captioner.load(Path(model)), paths)
