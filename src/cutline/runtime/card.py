"""The card of a bundle: what it is, for people, as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from cutline.config import DecodingOptions
from cutline.errors import BundleError
from cutline.runtime.bundle_files import MANIFEST, BundleFiles, FolderFiles, zip_files
from cutline.runtime.manifest import CARD, manifest_of, require_list

if TYPE_CHECKING:
    from cutline.runtime.bundle import Bundle

_FREQUENT = 8


def card_of(bundle: Bundle) -> str:
    """Return the content of ``card.md``: what is known of a bundle when it is saved.

    Args:
        bundle: Its details are read; what they lack is said to be unknown.
    """
    details = bundle.details
    return _template().substitute(
        name=_line(details.get("name")) or f"{_encoder_name(bundle)} with {bundle.decoder.name}",
        cutline=_line(details.get("cutline")) or "of an unknown version",
        date=_line(details.get("created")).partition("T")[0] or "an unknown day",
        encoder=_encoder(bundle),
        install="cutline" if bundle.graphs else "'cutline[train]'",
        decoder=_decoder(bundle),
        captions=_captions(bundle),
        decoding=_decoding(bundle.decoding),
        carries=_carries(bundle),
        data=_data(details.get("data")) + _start(details.get("started_from")),
        licence=bundle.licence.strip() or "nobody stated one; ask whoever gave you the model.",
        data_notes=bundle.data_notes.strip() or "nobody stated any.",
        scores="\n".join(f"- {line}" for line in _scores(details)) or "Nothing was measured.",
    )


def read_card(place: Path) -> str:
    """Return the card of a bundle as it was written, Markdown, compared with what the manifest says of it.

    Args:
        place: The folder or zip file.

    Raises:
        BundleError: The place holds no bundle, one that is damaged, or one from before there were cards.
    """
    if place.is_file():
        with zip_files(place) as packed:
            return _card_in(packed)
    return _card_in(FolderFiles(place))


def _card_in(found: BundleFiles) -> str:
    listed = require_list(found.named(MANIFEST), manifest_of(found))
    if CARD not in listed:
        raise BundleError(
            f"{found.place}: has no card, since it was written before bundles had one; write it anew with: "
            "cutline export MODEL --format bundle --out FILE.zip"
        )
    found.check(CARD, listed[CARD], keep=False)
    return found.read(CARD).decode("utf-8")


@cache
def _template() -> Template:
    return Template((files("cutline.runtime") / "card_template.md").read_text(encoding="utf-8"))


def _line(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def _cell(value: object) -> str:
    """Return a value as one line that does not end a cell of a table."""
    return _line(value).replace("|", "\\|")


def _encoder_name(bundle: Bundle) -> str:
    return _cell(bundle.encoder_spec.get("name")) or "an encoder"


def _encoder(bundle: Bundle) -> str:
    grid = len(bundle.feature_shape) == 2
    depth = f"{bundle.feature_shape[-1]:,} numbers"
    what = f"{bundle.feature_shape[0]} regions of {depth}" if grid else f"the whole picture as {depth}"
    size = bundle.encoder_spec.get("input_size")
    of = f" of images of {size[1]} × {size[0]} pixels" if isinstance(size, list) and len(size) == 2 else ""
    return f"{_encoder_name(bundle)}, {what}{of}{_precision(bundle, 'encoder')}"


def _decoder(bundle: Bundle) -> str:
    options = bundle.decoder
    return f"{options.name}, {options.lstm_units} LSTM units{_precision(bundle, 'decoder')}"


def _precision(bundle: Bundle, part: str) -> str:
    found = _cell(_group(bundle.details.get("precision")).get(part))
    return f", {found}" if found else ""


def _captions(bundle: Bundle) -> str:
    tokenizer, tokens = bundle.vocabulary.tokenizer, bundle.vocabulary.tokens[4:]
    case = "lower case" if tokenizer.lowercase else "upper and lower case"
    frequent = _cell(", ".join(tokens[:_FREQUENT]))
    return f"of {len(tokens):,} {tokenizer.level}s, {case}; the most frequent are: {frequent}"


def _decoding(options: DecodingOptions) -> str:
    usual = DecodingOptions()
    changed = (name for name in type(options).model_fields if getattr(options, name) != getattr(usual, name))
    told = ", ".join(f"{name} {getattr(options, name)}" for name in changed)
    return told or "greedy"


def _carries(bundle: Bundle) -> str:
    parts = {
        "graphs to caption with": bundle.graphs,
        "a confidence for each caption": bundle.confidence,
        "what tells images unlike the training images": bundle.domain,
        "captions of training images, word by word": bundle.neighbours,
        "what people usually write about such images, n-gram by n-gram": bundle.expected,
    }
    return ", ".join(name for name, part in parts.items() if part) or "weights"


def _data(facts: object) -> str:
    known = _group(facts)
    if not known:
        return "Nothing is known of the images it was trained on."
    splits = _group(known.get("images_per_split"))
    counts = ", ".join(f"{_line(name)} {_count(count)}" for name, count in splits.items())
    return (
        f"{_line(known.get('source'))}: {_count(known.get('images'))} images ({counts}), "
        f"{_count(known.get('captions'))} captions; fingerprint {_line(known.get('fingerprint'))}."
    )


def _start(facts: object) -> str:
    """Name the model that training started from, whose data and licence concern this one, too."""
    if not isinstance(facts, Mapping):
        return ""
    licence = _line(facts.get("licence"))
    name = _line(facts.get("name")) or "another model"
    return f"\nTraining started from {name}" + (f" (its licence: {licence})." if licence else ".")


def _scores(details: Mapping[str, Any]) -> Iterator[str]:
    validation, precision = _group(details.get("validation")), _group(details.get("precision"))
    # What an export made int8 is another network than the one that was scored; a graph in int8 that training
    # started from is the same.
    made = _group(precision.get("measured"))
    scored = " (in float32)" if any(precision.get(part) == "int8" for part in made) else ""
    if "cider_d" in validation:
        bleu = _score(validation.get("bleu_4"))
        yield f"val, in training: CIDEr-D {_score(validation['cider_d'])}, BLEU-4 {bleu}{scored}"
    for split, found in _group(details.get("scores")).items():
        scores = _group(found)
        ends = _group(scores.get("cider_d_interval"))
        interval = f" ({_score(ends.get('low'))} to {_score(ends.get('high'))})" if ends else ""
        yield (
            f"{_line(split)}, {_count(scores.get('images'))} images: CIDEr-D {_score(scores.get('cider_d'))}"
            f"{interval}, BLEU-4 {_score(scores.get('bleu_4'))}{'' if scores.get('exact') else scored}; "
            f"`{_line(scores.get('signature'))}`"
        )
    for part, measured in _group(precision.get("measured")).items():
        figures = _group(measured)
        told = ", ".join(
            f"{_score(value)} with {_line(name)}" for name, value in _group(figures.get("cider_d")).items()
        )
        yield f"{_line(part)} by precision: CIDEr-D on {_count(figures.get('images'))} val images {told}"


def _group(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "an unknown number of"


def _score(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else "unknown"
