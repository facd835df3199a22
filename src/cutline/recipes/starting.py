"""The model that a training starts from: what it fixes, and what is taken of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from cutline.config import EncoderOptions, RunConfig, TextOptions
from cutline.data.splits import load_splits
from cutline.errors import BundleError, ConfigError, RunError
from cutline.evaluation.adapted_ngrams import LearnedBefore
from cutline.files import write_json
from cutline.models.encoder_specs import described_size, find_specs
from cutline.models.encoders import Encoder, encoder_from_spec
from cutline.models.new_tokens import with_new_tokens
from cutline.models.presets import preset_of
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.records import Dataset
from cutline.runtime import Bundle, load_bundle
from cutline.runtime.bundle import PRECISION, find_bundle, fingerprint_of
from cutline.runtime.onnx_session import OnnxEncoder
from cutline.text import Vocabulary
from cutline.voters import restored_frequencies

Values = Mapping[str, Mapping[str, Any]]

_SCORE: Final = "val_cider_d"

_FIXED: Final[Mapping[str, tuple[str, ...]]] = {
    "decoder": ("name", "embedding_units", "lstm_units", "attention_units", "sentinel"),
    "encoder": ("name", "features", "input_size"),
    "text": ("level", "lowercase"),
}
"""Options that are a model's own; a training that starts from it cannot have others."""


@dataclass(frozen=True)
class StartModel:
    """A model that training starts from.

    Attributes:
        bundle: With the decoder's weights, also where it was read with graphs alone.
        fingerprint: SHA-256 of the bundle's manifest.
    """

    bundle: Bundle
    fingerprint: str

    def encoder(self, options: EncoderOptions) -> Encoder | OnnxEncoder:
        """Return its encoder: a network, or its graph where it comes without weights."""
        spec = {**self.bundle.encoder_spec, "batch_size": options.batch_size}
        if self.bundle.encoder_weights:
            return encoder_from_spec(spec, self.bundle.encoder_arrays)
        return OnnxEncoder(replace(self.bundle, encoder_spec=spec))

    def vocabulary(self, dataset: Dataset, options: TextOptions) -> Vocabulary:
        """Return its vocabulary, extended by the frequent tokens of the train captions."""
        captions = [caption for example in dataset.of_split("train") for caption in example.captions]
        return self.bundle.vocabulary.extended(captions, options.min_count, options.max_size)

    def decoder_arrays(self, counts: Sequence[int], seed: int) -> dict[str, NDArray[Any]]:
        """Return its decoder's weights for the extended vocabulary, of whose tokens ``counts`` are."""
        return with_new_tokens(self.bundle.decoder_arrays, counts, seed)

    def facts(self) -> dict[str, Any]:
        """Return what a bundle that comes of it tells of it."""
        details = self.bundle.details
        known = {"name": details.get("name"), "licence": self.bundle.licence}
        return {"manifest_sha256": self.fingerprint, **{key: value for key, value in known.items() if value}}

    def encoder_facts(self) -> dict[str, Any]:
        """Return what a bundle with its encoder tells of that beside the fingerprint."""
        known = self.bundle.details.get(PRECISION)
        if self.bundle.encoder_weights or not isinstance(known, Mapping) or "encoder" not in known:
            return {}
        # What was measured then was measured with another decoder.
        return {PRECISION: {"encoder": known["encoder"]}}


def load_start(options: RunConfig) -> StartModel | None:
    """Load the model that a run starts from; None when it starts from none.

    Raises:
        BundleError: There is no such model, or it is damaged.
        ConfigError: The encoder is to be trained and has no weights.
        ExportError: The weights of its decoder can be read neither from a file nor from its graphs.
    """
    if not options.start.model:
        return None
    place = find_bundle(Path(options.start.model))
    bundle = load_bundle(place)
    if options.fine_tune.epochs and not bundle.encoder_weights:
        raise ConfigError(
            f"fine_tune.epochs is {options.fine_tune.epochs}, and {options.start.model} has its encoder as a "
            "graph, without weights that could be trained; set fine_tune.epochs=0, or start from the model "
            "that it was made from"
        )
    known = bundle.details.get(PRECISION)
    if not options.fine_tune.epochs and isinstance(known, Mapping) and known.get("encoder") == "int8":
        # Weights beside it are those that it was made from: another encoder, with other features.
        bundle = replace(bundle, encoder_arrays={}, encoder_weights=False)
    if bundle.expected is not None:
        # It is needed at the end; damage is told at the beginning.
        restored_frequencies(bundle.expected.frequencies)
    if not bundle.decoder_arrays:
        # Only now: most models have them.
        from cutline.exporting.decoder_weights import decoder_weights

        bundle = replace(bundle, decoder_arrays=decoder_weights(bundle))
    return StartModel(bundle, fingerprint_of(place))


def reload_start(folder: Path, options: RunConfig) -> StartModel | None:
    """Load the model that the run in ``folder`` started from, to go on with it.

    Raises:
        RunError: It is gone, or another one now.
    """
    try:
        start = load_start(options)
    except BundleError as error:
        raise RunError(
            f"{folder}: --resume needs the model that training started from: {error}; put it back, or start "
            "a new run"
        ) from None
    if start is not None and not start.facts().items() <= layout.saved_facts(folder / layout.START).items():
        raise RunError(
            f"{folder}: --resume with another start: {options.start.model} has changed; put it back as it "
            "was, or start a new run"
        )
    return start


def warn_of_known_images(model: str, dataset: Dataset, progress: Progress) -> None:
    """Warn when a model was trained on images that are now to be chosen by, or scored.

    Args:
        model: That training starts from; one without the run that it comes from cannot tell.
        dataset: With splits and digests.
        progress: Told the warning.
    """
    known = _splits_of(model)
    seen = [one for one in dataset.examples if one.split != "train" and known.get(one.digest) == "train"]
    if seen:
        progress.warn(
            f"{len(seen):,} val or test images, such as {seen[0].image_id}, were train images of {model}: it "
            "knows them, so that scores on them say too much; split the images as they were split then"
        )


def learned_before(start: StartModel | None, options: RunConfig) -> LearnedBefore | None:
    """Return what the model learned of its training captions; None where it tells nothing of this run's.

    Its features have to be those of the run: an encoder that is trained gets features of its own.
    """
    if start is None or start.bundle.expected is None or options.fine_tune.epochs:
        return None
    known = _splits_of(options.start.model)
    digests = frozenset(digest for digest, split in known.items() if split == "train")
    return LearnedBefore(start.bundle.expected, digests)


def _splits_of(model: str) -> Mapping[str, str]:
    """Return digest → split of the images of the run that a model comes from; none without the run."""
    path = layout.run_of(Path(model)) / layout.SPLIT
    return load_splits(path, key="digest") if path.exists() else {}


def keep_start(folder: Path, start: StartModel | None) -> None:
    """Write into a run what it starts from, for :func:`reload_start`."""
    if start is not None:
        write_json(folder / layout.START, start.facts())


def score_of_start(folder: Path) -> float | None:
    """Return the val CIDEr-D of the model that a run started from; None when it was not measured yet."""
    found = layout.saved_facts(folder / layout.START).get(_SCORE)
    return float(found) if isinstance(found, int | float) else None


def keep_score_of_start(folder: Path, cider_d: float) -> None:
    """Write the val CIDEr-D of the model that a run started from beside what it is."""
    path = folder / layout.START
    write_json(path, {**layout.saved_facts(path), _SCORE: cider_d})


def start_values(model: str) -> tuple[str | None, Values]:
    """Return the preset of a model's kind, if it has one, and the options that it brings along, by group.

    Raises:
        BundleError: There is no such model, or it is damaged.
    """
    bundle = load_bundle(find_bundle(Path(model)), weights=False)
    spec = bundle.encoder_spec
    encoder = {"name": spec.get("name"), "features": "grid" if len(bundle.feature_shape) == 2 else "pooled"}
    if "batch_size" in spec:
        encoder["batch_size"] = spec["batch_size"]
    # A network of somebody's own takes one size, which is not asked for.
    encoder["input_size"] = 0 if spec.get("own_network") is not None else _side_of(spec)
    tokenizer = bundle.vocabulary.tokenizer
    preset = preset_of(bundle.decoder.name, votes=bundle.decoding.consensus > 0)
    return preset, {
        "decoder": bundle.decoder.model_dump(),
        "encoder": encoder,
        "text": {"level": tokenizer.level, "lowercase": tokenizer.lowercase},
    }


def _side_of(spec: Mapping[str, Any]) -> int:
    """Return the side of the images that a named encoder takes; descriptions did not always say it."""
    described = described_size(spec)
    return described[0] if described else max(one.input_size[0] for one in find_specs(str(spec.get("name"))))


def require_fixed(model: str, values: Values, options: RunConfig, asked: Mapping[str, object]) -> None:
    """Raise ConfigError when options are asked for that a model brings along and cannot change.

    Args:
        model: As it was named.
        values: From :func:`start_values`.
        options: Of the run.
        asked: ``group.key`` → value of what was asked for.
    """
    found = options.model_dump()
    # Whatever it is there.
    if asked.get("text.level") == "auto":
        found["text"]["level"] = values["text"]["level"]
    if asked.get("encoder.input_size") == 0:
        found["encoder"]["input_size"] = values["encoder"]["input_size"]
    changed = [
        f"{group}.{key} is {values[group][key]!r} there, asked for {found[group][key]!r}"
        for group, keys in _FIXED.items()
        for key in keys
        if found[group][key] != values[group][key]
    ]
    if asked.get("encoder.weights", "imagenet") != "imagenet":
        changed.append(f"encoder.weights are its own, asked for {asked['encoder.weights']!r}")
    if changed:
        raise ConfigError(
            f"{model}: training starts from its encoder and decoder, which stay what they are: "
            f"{'; '.join(changed)}; leave these options out, or train without --from"
        )
