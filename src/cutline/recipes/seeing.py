"""What ``check`` uses when it is to look at images with an encoder, or at captions with a trained model.

TensorFlow is loaded for this and for nothing else in a check.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray

from cutline.config import RunConfig
from cutline.data.checks.finding import Finding, Occurrence, found
from cutline.data.splits import load_splits
from cutline.errors import ConfigError, WeightsError
from cutline.models.encoder_specs import find_specs, is_own_file
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.records import Dataset, Example
from cutline.runtime.bundle import find_bundle

if TYPE_CHECKING:
    from cutline.captioner import Captioner
    from cutline.evaluation.unlikely import Likelihood
    from cutline.runtime.sessions import ImageEncoder

_UNLIKELY: Final = 0.5
_HELD_OUT: Final = ("val", "test")


@dataclass(frozen=True)
class Eyes:
    """The data set without the images that could not be encoded, and what was learned of the others.

    Attributes:
        dataset: What is left, with a problem for each image that is not.
        read_features: Digests of N images to their features; None when nobody asked for an encoder.
        captioner: The model that was named, if one was.
    """

    dataset: Dataset
    read_features: Callable[[Sequence[str]], NDArray[Any]] | None = None
    captioner: Captioner | None = None


def refuse_unknown(encoder: str | None, model: str | Path | None) -> None:
    """Refuse misspelt names before thousands of images are read and TensorFlow is loaded.

    Raises:
        ConfigError: Both are named; the features are then those of the model's encoder, or not.
            UnknownNameError when no encoder has this name.
        WeightsError: The encoder is a file, and there is none.
        BundleError: There is no such model.
    """
    if encoder is not None and model is not None:
        raise ConfigError(
            f"encoder {encoder!r} and model {str(model)!r}: a model brings its own encoder; give one of them"
        )
    if model is not None:
        find_bundle(Path(model))
    if encoder is not None and not is_own_file(encoder):
        find_specs(encoder)
    elif encoder is not None and not Path(encoder).is_file():
        raise WeightsError(f"{encoder}: no such encoder file; expected a network saved by keras as .keras")


@contextlib.contextmanager
def seeing(
    encoder: str | None, model: str | Path | None, dataset: Dataset, options: RunConfig, progress: Progress
) -> Iterator[Eyes]:
    """Encode the images that are not in the feature store yet, if an encoder or a model was named.

    Raises:
        BundleError: The model cannot be loaded.
        WeightsError: The encoder cannot be.
        FeatureStoreError: Features cannot be kept.
    """
    if encoder is None and model is None:
        yield Eyes(dataset)
        return
    from cutline.recipes.extract import extract_features, feature_reader

    built, captioner = _encoder(model, options, progress)
    store, readable = extract_features(built, dataset, progress)
    with store:
        yield Eyes(readable, feature_reader(store), captioner)


def _encoder(
    model: str | Path | None, options: RunConfig, progress: Progress
) -> tuple[ImageEncoder, Captioner | None]:
    from cutline.captioner import Captioner
    from cutline.models.encoders import build_encoder

    if model is None:
        return build_encoder(options.encoder, progress), None
    captioner = Captioner.load(model)
    return captioner.session.encoder, captioner


def unlikely_captions(model: Path, eyes: Eyes, progress: Progress) -> list[Finding]:
    """List captions that the model finds less likely for their own image than for most others.

    Only images that the model was not trained on are asked about, whatever this table says of them: training
    one model per part of the data, so that every caption meets one that has not seen it, would take as many
    trainings.
    """
    from cutline.evaluation.unlikely import measure_likelihoods

    if eyes.captioner is None or eyes.read_features is None:
        return []
    examples = _unseen(model, eyes.dataset, progress)
    measured = measure_likelihoods(
        eyes.captioner.session,
        eyes.read_features,
        examples,
        eyes.captioner.vocabulary,
        _longest(model, eyes.captioner),
        progress,
    )
    odd = sorted((each for each in measured if each.fits_worse < _UNLIKELY), key=lambda each: each.fits_worse)
    return [found("unlikely caption", map(_place, odd))] if odd else []


def _unseen(model: Path, dataset: Dataset, progress: Progress) -> list[Example]:
    run = layout.run_of(model)
    if (run / layout.SPLIT).exists():
        known = load_splits(run / layout.SPLIT, key="digest")
        return [example for example in dataset.examples if known.get(example.digest) != "train"]
    progress.warn(
        "the model does not say which images it was trained on; val and test images of this table are taken "
        "for ones that it has not seen"
    )
    return [example for example in dataset.examples if example.split in _HELD_OUT]


def _longest(model: Path, captioner: Captioner) -> int:
    """Return how many tokens of a caption the model was trained with; a lone bundle tells what it writes."""
    run = layout.run_of(model)
    if (run / layout.CONFIG).exists():
        return layout.require_run(run).text.max_length
    return captioner.bundle.decoding.max_length


def _place(each: Likelihood) -> Occurrence:
    image_id = each.example.image_id
    return Occurrence(
        image_id, f"fits {1 - each.fits_worse:.0%} of other images better", each.caption, (image_id,)
    )
