"""An encoder or decoder of 8 bits for a model, if its captions stay as good."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from cutline.data.features import FeatureStore, extract
from cutline.data.images import decode_image
from cutline.errors import ConfigError, DataError, ExportError, ImageError, MissingDependencyError
from cutline.evaluation import caption_examples, make_scorer, texts_of
from cutline.progress import Progress
from cutline.recipes.evaluate import load_for_model
from cutline.recipes.extract import feature_reader
from cutline.records import Dataset, Example
from cutline.runtime import Bundle
from cutline.runtime.bundle import ENCODER_GRAPH, PRECISION, require_weights
from cutline.runtime.onnx_session import OnnxSession
from cutline.voters import Voters
from cutline.writing import Writer

Precision = Literal["float32", "int8"]
Part = Literal["encoder", "decoder"]

PRECISIONS: Final[tuple[Precision, ...]] = ("float32", "int8")
PARTS: Final[tuple[Part, ...]] = ("encoder", "decoder")

MOST_LOST: Final = 0.5
"""Points of CIDEr-D that val captions may lose for a part of 8 bits to be kept, unless more is allowed."""

_CALIBRATION_IMAGES: Final = 256
_VAL_IMAGES: Final = 1000


@dataclass(frozen=True)
class PartPrecision:
    """What an exported encoder or decoder computes with.

    Attributes:
        name: ``"float32"`` or ``"int8"``.
        reason: Why, in one line; empty where nothing else was asked for.
        images: Val images that were captioned to decide, 0 when there was nothing to decide.
        cider_d: Their CIDEr-D with that part in float32.
        cider_d_int8: With it in int8.
    """

    name: Precision = "float32"
    reason: str = ""
    images: int = 0
    cider_d: float = 0.0
    cider_d_int8: float = 0.0


def precision_of(bundle: Bundle, part: Part) -> Precision:
    """Return what a part of a bundle computes with."""
    known = bundle.details.get(PRECISION)
    return "int8" if isinstance(known, Mapping) and known.get(part) == "int8" else "float32"


def with_precisions(
    bundle: Bundle,
    wanted: Mapping[Part, Precision],
    model: Path,
    data: Dataset | str | Path | None,
    images: str | Path | None,
    progress: Progress,
    most_lost: float = MOST_LOST,
) -> tuple[Bundle, dict[Part, PartPrecision]]:
    """Make those parts of a bundle int8 that are to be, one after the other, if val captions stay as good.

    Args:
        bundle: With graphs where something is to be int8, and with the decoder's weights for that part.
        wanted: What each part is to compute with. A part that is int8 already stays so.
        model: The run folder or bundle it is of, which knows what it was trained on.
        data: The data set.
        images: Folder of its images.
        progress: Told about every image.
        most_lost: Points of CIDEr-D that val captions may lose for each part to be kept in int8.

    Returns:
        The bundle, whose details tell what each part computes with, and the same with the reasons.

    Raises:
        ConfigError: There is no data set.
        BundleError: The decoder is to be int8, and the bundle has no weights.
        DataError: It has no images that can be read.
        MissingDependencyError: TensorFlow is not installed.
        ExportError: The bundle has no graphs, or the encoder cannot be quantised.
    """
    found: dict[Part, PartPrecision] = {}
    dataset: Dataset | None = None
    for part in PARTS:
        now = precision_of(bundle, part)
        found[part] = PartPrecision(now)
        if wanted.get(part) != "int8":
            continue
        if now == "int8":
            found[part] = PartPrecision("int8", f"int8 {part}: the model's own is one already")
            continue
        require_tensorflow("int8")
        if not bundle.graphs:
            raise ExportError(f"{bundle.folder}: has no graph of its {part}, which cannot be made int8")
        if dataset is None:
            dataset = _dataset(data, part, model, images, bundle, progress)
        if part == "encoder":
            small = _with_int8_encoder(bundle, dataset, progress)
        else:
            small = _with_int8_decoder(bundle)
        found[part] = _compared(bundle, small, part, dataset, progress, most_lost)
        bundle = _telling(small if found[part].name == "int8" else bundle, part, found[part])
    return bundle, found


def require_tensorflow(target: str) -> None:
    """Raise MissingDependencyError where graphs cannot be made: TensorFlow and onnx come together."""
    if find_spec("tensorflow") is None:
        raise MissingDependencyError(
            f"exporting to {target} needs TensorFlow; install it: pip install 'cutline[train]'"
        )


def _telling(bundle: Bundle, part: Part, found: PartPrecision) -> Bundle:
    """Say in a bundle what a part of it computes with, and what was measured to decide that."""
    known = dict(bundle.details.get(PRECISION, {}))
    figures = {"images": found.images, "cider_d": {"float32": found.cider_d, "int8": found.cider_d_int8}}
    told = {**known, part: found.name, "measured": {**known.get("measured", {}), part: figures}}
    details: dict[str, Any] = {**bundle.details, PRECISION: told}
    if part == "encoder" and found.name == "int8":
        details["encoder_fingerprint"] = _own_fingerprint(bundle)
    return replace(bundle, details=details)


def _own_fingerprint(bundle: Bundle) -> dict[str, Any]:
    """Tell an encoder apart: its features must not be mixed with those of float32."""
    known = dict(bundle.details.get("encoder_fingerprint") or {"encoder": bundle.encoder_spec.get("name")})
    graph = bundle.graphs[ENCODER_GRAPH]
    content = graph.read_bytes() if isinstance(graph, Path) else graph
    return {**known, PRECISION: "int8", "graph_sha256": hashlib.sha256(content).hexdigest()}


def _with_int8_encoder(bundle: Bundle, dataset: Dataset, progress: Progress) -> Bundle:
    """Quantise a bundle's encoder on train images."""
    # Its room loads Keras.
    from cutline.exporting.quantising import quantise_encoder

    train = dataset.of_split("train")
    if not train:
        raise DataError(
            f"{dataset.source}: has no train images to measure ranges on; name what was trained on"
        )
    session = OnnxSession(bundle)
    batches = _calibration(train, session, progress)
    encoder = quantise_encoder(bundle.graphs[ENCODER_GRAPH], batches)
    return replace(bundle, graphs={**bundle.graphs, ENCODER_GRAPH: encoder})


def _with_int8_decoder(bundle: Bundle) -> Bundle:
    """Write a bundle's decoder in 8 bits."""
    from cutline.exporting import decoder_files

    require_weights(bundle, encoder=False)
    files = decoder_files(
        bundle.decoder, bundle.decoder_arrays, bundle.feature_shape, largest_table=0, int8=True
    )
    return replace(bundle, graphs={**bundle.graphs, **files})


def _dataset(
    data: Dataset | str | Path | None,
    part: Part,
    model: Path,
    images: str | Path | None,
    bundle: Bundle,
    progress: Progress,
) -> Dataset:
    if data is None:
        raise ConfigError(
            f"an int8 {part} is judged by captions of images: name what the model was trained on with --data"
        )
    return load_for_model(model, data, images, {}, bundle, "val", progress)


def _compared(
    bundle: Bundle, small: Bundle, part: Part, dataset: Dataset, progress: Progress, most_lost: float
) -> PartPrecision:
    """Tell whether a part stays in int8, by val captions of the bundle without and with it."""
    val = dataset.of_split("val")[:_VAL_IMAGES]
    before, after = (_cider_d(one, val, progress) for one in (bundle, small))
    told = f"CIDEr-D on {len(val):,} val images {before:.1f} with float32, {after:.1f} with int8"
    if before - after > most_lost:
        reason = f"the {part} stays in float32: {told}, a loss of more than {most_lost:g}"
        return PartPrecision("float32", reason, len(val), before, after)
    return PartPrecision("int8", f"int8 {part}: {told}", len(val), before, after)


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
    """Return the CIDEr-D of what a bundle's graphs write, in its own way."""
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
            writer = Writer(session, bundle.vocabulary, Voters.of(bundle))
            found = caption_examples(writer, feature_reader(store), readable, bundle.decoding, progress)
    scorer = make_scorer(readable, bundle.vocabulary.tokenizer)
    return scorer.score(texts_of(found)).cider_d
