"""An encoder of 8 bits for a model, if its captions stay as good."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from cutline.data.features import FeatureStore, extract
from cutline.data.images import decode_image
from cutline.errors import ConfigError, DataError, ImageError
from cutline.evaluation import caption_examples, make_scorer, texts_of
from cutline.progress import Progress
from cutline.recipes.evaluate import load_for_model
from cutline.recipes.extract import feature_reader
from cutline.records import Dataset, Example
from cutline.runtime import Bundle
from cutline.runtime.bundle import ENCODER_GRAPH
from cutline.runtime.onnx_session import OnnxSession
from cutline.writing import Writer

Precision = Literal["float32", "int8"]

PRECISIONS: Final[tuple[Precision, ...]] = ("float32", "int8")

MOST_LOST: Final = 0.5
"""Points of CIDEr-D that val captions may lose for an encoder of 8 bits to be kept."""

_CALIBRATION_IMAGES: Final = 256
_VAL_IMAGES: Final = 1000


@dataclass(frozen=True)
class EncoderPrecision:
    """What an exported encoder computes with.

    Attributes:
        name: ``"float32"`` or ``"int8"``.
        reason: Why, in one line; empty where nothing else was asked for.
        images: Val images that were captioned to decide, 0 when there was nothing to decide.
        cider_d: Their CIDEr-D with the encoder in float32.
        cider_d_int8: With the encoder in int8.
    """

    name: Precision = "float32"
    reason: str = ""
    images: int = 0
    cider_d: float = 0.0
    cider_d_int8: float = 0.0


def with_int8_encoder(
    bundle: Bundle,
    model: Path,
    data: Dataset | str | Path | None,
    images: str | Path | None,
    progress: Progress,
) -> tuple[Bundle, EncoderPrecision]:
    """Quantise a bundle's encoder on train images, and keep it if val captions stay as good.

    Args:
        bundle: With graphs.
        model: The run folder or bundle it is of, which knows what it was trained on.
        data: The data set.
        images: Folder of its images.
        progress: Told about every image.

    Returns:
        The bundle, with the encoder that is kept, and what was found.

    Raises:
        ConfigError: There is no data set.
        DataError: It has no train images that can be read, or no val images.
        ExportError: The encoder cannot be quantised.
    """
    if data is None:
        raise ConfigError(
            "an int8 encoder is measured on images: name what the model was trained on with --data"
        )
    # Its room loads Keras.
    from cutline.exporting.quantising import quantise_encoder

    dataset = load_for_model(model, data, images, {}, bundle, "val", progress)
    train, val = dataset.of_split("train"), dataset.of_split("val")[:_VAL_IMAGES]
    if not train:
        raise DataError(
            f"{dataset.source}: has no train images to measure ranges on; name what was trained on"
        )
    session = OnnxSession(bundle)
    batches = _calibration(train, session, progress)
    small = replace(
        bundle,
        graphs={**bundle.graphs, ENCODER_GRAPH: quantise_encoder(bundle.graphs[ENCODER_GRAPH], batches)},
    )
    before, after = (_cider_d(one, val, progress) for one in (bundle, small))
    told = f"CIDEr-D on {len(val):,} val images {before:.1f} with float32, {after:.1f} with int8"
    if before - after > MOST_LOST:
        reason = f"the encoder stays in float32: {told}, a loss of more than {MOST_LOST}"
        return bundle, EncoderPrecision("float32", reason, len(val), before, after)
    return small, EncoderPrecision("int8", f"int8 encoder: {told}", len(val), before, after)


def _calibration(
    examples: tuple[Example, ...], session: OnnxSession, progress: Progress
) -> Iterator[NDArray[np.uint8]]:
    """Yield batches of evenly chosen train images; DataError when none can be read."""
    wanted, size = min(_CALIBRATION_IMAGES, len(examples)), session.encoder.batch_size
    places = np.linspace(0, len(examples) - 1, wanted).round().astype(int).tolist()
    found = iter(_decoded([examples[place] for place in places], session.input_size))
    with progress.stage("measuring ranges", wanted, "images") as stage:
        while wanted and (batch := list(islice(found, min(size, wanted)))):
            yield np.stack(batch)
            wanted -= len(batch)
            stage.advance(len(batch))


def _decoded(examples: Sequence[Example], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    read = 0
    for example in examples:
        try:
            pixels = decode_image(example.image, size)
        except ImageError:
            continue
        read += 1
        yield pixels
    if not read:
        raise DataError("no train image can be read; name the folder of the images with --images DIR")


def _cider_d(bundle: Bundle, examples: tuple[Example, ...], progress: Progress) -> float:
    """Return the CIDEr-D of what a bundle's graphs write, without a consensus, as exports do."""
    session = OnnxSession(bundle)
    encoder = session.encoder
    with tempfile.TemporaryDirectory() as scratch:
        store = FeatureStore.open(
            Path(scratch) / "features", {"encoder": "to compare"}, encoder.feature_shape
        )
        with store:
            extract(examples, store, encoder.encode, encoder.input_size, encoder.batch_size, progress)
            readable = [example for example in examples if example.digest in store]
            if not readable:
                raise DataError("no val image can be read; name the folder of the images with --images DIR")
            writer = Writer(session, bundle.vocabulary)
            options = bundle.decoding.model_copy(update={"consensus": 0})
            found = caption_examples(writer, feature_reader(store), readable, options, progress)
    scorer = make_scorer(readable, bundle.vocabulary.tokenizer)
    return scorer.score(texts_of(found)).cider_d
