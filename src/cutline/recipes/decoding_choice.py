"""Choose beam size and length penalty of a run on val when it ends, and keep them in its bundle."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Final

from cutline.captioner import require_voters, with_its_voters
from cutline.config import DecodingOptions, validate
from cutline.decoding import StepModel
from cutline.evaluation import ReadFeatures
from cutline.evaluation.confidence import FEWEST_IMAGES
from cutline.evaluation.decoding_choice import (
    DecodingChoice,
    DecodingTrial,
    choose_decoding,
    in_words,
    setting_of,
)
from cutline.files import write_text
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.records import Dataset
from cutline.runtime import Bundle, load_bundle, open_session
from cutline.runtime.saving import update_bundle
from cutline.voters import Voters
from cutline.writing import Writer

TABLE: Final = "decoding.csv"
CHOICE: Final = "decoding_choice"
"""Key of a bundle's details: what was chosen, on how many images, and what it scored on others."""


def keep_decoding(folder: Path, dataset: Dataset, read: ReadFeatures, progress: Progress) -> None:
    """Choose for the best bundle of a run, once: a bundle for which it was done is left as it is.

    Args:
        folder: The run.
        dataset: All examples, with splits and digests.
        read: Their features.
        progress: Told about every image, what was chosen, and when nothing can be.

    Raises:
        BundleError: The bundle is missing or damaged.
    """
    bundle_folder = folder / layout.BUNDLE
    bundle = load_bundle(bundle_folder)
    val = dataset.of_split("val")
    if CHOICE in bundle.details:
        return
    if bundle.decoding.temperature or len(val) < FEWEST_IMAGES:
        why = f"it takes {FEWEST_IMAGES} val images, found {len(val):,}"
        if bundle.decoding.temperature:
            why = "captions are drawn, with a temperature, and not searched for"
        progress.note(f"beam size and length penalty are not chosen: {why}")
        return
    choice, tuned = choose_on_val(bundle, open_session(bundle), dataset, read, progress)
    # The table first: with the bundle the choice is made, and nothing would write the table later.
    write_text(folder / TABLE, as_csv(choice))
    update_bundle(tuned, bundle_folder)
    progress.note(in_words(choice))


def with_options(bundle: Bundle, named: Mapping[str, Any]) -> Bundle:
    """Return a bundle with other options of decoding; without confidence when that makes a difference.

    Raises:
        ConfigError: An option is unknown or out of range, or asks for a consensus that cannot be had.
    """
    options = validate(DecodingOptions, {**bundle.decoding.model_dump(), **named})
    if named.get("consensus") or "consensus_by" in named:
        require_voters(bundle, options)
    same = options == bundle.decoding
    return replace(bundle, decoding=options, confidence=bundle.confidence if same else None)


def choose_on_val(
    bundle: Bundle,
    session: StepModel[Any],
    dataset: Dataset,
    read: ReadFeatures,
    progress: Progress,
    named: frozenset[str] = frozenset(),
) -> tuple[DecodingChoice, Bundle]:
    """Return what was chosen on the val images, and the bundle with it; ``named`` options are not chosen.

    When the setting is another one the bundle comes back without confidence: that was one of other captions.
    """
    val, decoding = dataset.of_split("val"), bundle.decoding
    writer = Writer(session, bundle.vocabulary, Voters.of(bundle))
    asked = with_its_voters(bundle, decoding)
    choice = choose_decoding(writer, read, val, asked, progress, named)
    chosen = choice.chosen
    setting = {**setting_of(asked, chosen.beam_size), "length_penalty": chosen.length_penalty}
    facts = {
        "beam_size": chosen.beam_size,
        "length_penalty": chosen.length_penalty,
        "images": choice.images,
        "cider_d": chosen.cider_d,
        "other_images": choice.other_images,
        "other_cider_d": chosen.other_cider_d,
    }
    if chosen == choice.before:
        setting = {}
    return choice, replace(
        bundle,
        decoding=validate(DecodingOptions, {**decoding.model_dump(), **setting}),
        confidence=None if setting else bundle.confidence,
        details={**bundle.details, CHOICE: facts},
    )


def as_csv(choice: DecodingChoice) -> str:
    """Write one row per setting, cheapest first."""
    text = io.StringIO()
    names = [field.name for field in fields(DecodingTrial)]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for trial in choice.trials:
        row = {name: _rounded(value) for name, value in asdict(trial).items()}
        writer.writerow({**row, "chosen": "yes" if trial.chosen else ""})
    return text.getvalue()


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
