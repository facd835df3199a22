"""Write a clean bundle out of a run or a bundle: with graphs, as a folder or as one zip file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from cutline import __version__
from cutline.captioner import with_its_voters
from cutline.errors import BundleError, ConfigError, DataError, ExportError, RunError
from cutline.files import replacing, replacing_folder
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.recipes.measure import describe_decoding
from cutline.recipes.quantising import (
    MOST_LOST,
    Part,
    PartPrecision,
    Precision,
    precision_of,
    require_tensorflow,
    with_precisions,
)
from cutline.recipes.results import EVALUATION, load_evaluation
from cutline.records import Dataset, EvaluationResult
from cutline.runtime import Bundle, load_bundle
from cutline.runtime.bundle import STARTED_FROM, find_bundle, require_weights
from cutline.runtime.bundle_files import ZIP, is_zip
from cutline.runtime.onnx_session import OnnxSession
from cutline.runtime.saving import write_files, write_zipped
from cutline.text.vocabulary import SPECIALS

EXPORTED: Final = "exported_by"
"""Key of a bundle's details by which an export knows what it may replace."""


@dataclass(frozen=True)
class BundleContent:
    """What an exported bundle holds and says.

    Attributes:
        captions: The captions of training images, with which a consensus chooses and explanations compare.
        weights: What further training and captioning with Keras need.
        licence: Under what the model may be used; None keeps what the model says.
        data_notes: What to know of the training data; likewise.
        vocabulary_size: Keep so many of the tokens at the most, markers included: the most frequent ones of
            the training that made the vocabulary. None keeps all.
        evaluations: Folders that ``cutline evaluate`` wrote of this very model, whose scores it is to tell;
            those of its run are found without.
    """

    captions: bool = True
    weights: bool = True
    licence: str | None = None
    data_notes: str | None = None
    vocabulary_size: int | None = None
    evaluations: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a vocabulary without words."""
        if self.vocabulary_size is not None and self.vocabulary_size <= len(SPECIALS):
            raise ConfigError(
                f"--vocabulary-size is {self.vocabulary_size}, allowed is {len(SPECIALS) + 1} or more, "
                "markers included"
            )


def export_bundle(
    model: Path,
    out: Path,
    content: BundleContent,
    *,
    precisions: Mapping[Part, Precision],
    data: Dataset | str | Path | None,
    images: str | Path | None,
    overwrite: bool,
    progress: Progress,
    most_lost: float = MOST_LOST,
) -> tuple[dict[str, int], dict[Part, PartPrecision]]:
    """Write a bundle; arguments are those of :func:`cutline.recipes.export.export`.

    What is written is read back, every file checked, and must be what was to be written; it is then moved
    into place. Equal models give equal zip files.

    Returns:
        Name of each file → its size in bytes, and what each part computes with.

    Raises:
        ExportError: Weights are to be left out and there can be no graphs, or what was read back differs.
        RunError: Something else than such an export is in the way.
    """
    _require_free(out, overwrite)
    evaluations = _named_evaluations(content, precisions)
    with progress.stage("exporting to bundle", 2, "steps") as stage:
        whole = _with_graphs(load_bundle(find_bundle(model)), content, progress)
        bundle = _with_fewer_tokens(_without_captions(whole, content), content)
        cut = bundle.vocabulary != whole.vocabulary
        bundle, found = with_precisions(bundle, precisions, model, data, images, progress, most_lost)
        bundle = _trimmed(bundle, content)
        scores = _own_scores(evaluations, bundle) or ({} if cut else _scores(model, bundle))
        known = {key: value for key, value in bundle.details.items() if key != "scores"}
        if not cut and describe_decoding(bundle.decoding) == describe_decoding(whole.decoding):
            small = any(part.images and part.name == "int8" for part in found.values())
            known |= _kept_scores(bundle, small)
        details = {**known, EXPORTED: f"cutline {__version__}", **scores}
        details.setdefault("name", _name(model, out))
        bundle = replace(bundle, details=details)
        stage.advance(1)
        sizes = _write(bundle, out)
        stage.advance(1)
    return sizes, found


def _require_free(out: Path, overwrite: bool) -> None:
    if out.is_file() and out.suffix.lower() != ZIP:
        raise RunError(f"{out}: a file; name a folder, or a file that ends in .zip, with --out")
    if overwrite or not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        found = load_bundle(out, weights=False)
    except BundleError:
        found = None
    if found is None or EXPORTED not in found.details:
        raise RunError(
            f"{out}: is there, and no bundle that an export wrote; choose another --out, or let it be "
            "replaced with --overwrite"
        )


def _with_graphs(bundle: Bundle, content: BundleContent, progress: Progress) -> Bundle:
    """Add graphs where there are none and the encoder can be written as one."""
    if bundle.graphs:
        return bundle
    require_tensorflow("a bundle of graphs")
    from cutline.exporting import with_graphs

    try:
        return with_graphs(bundle)
    except ExportError as error:
        if not content.weights:
            raise ExportError(f"{error}; without weights there is then nothing to caption with") from None
        progress.warn(f"the bundle captions through Keras, for it has no graphs: {error}")
        return bundle


def _without_captions(bundle: Bundle, content: BundleContent) -> Bundle:
    if content.captions:
        return bundle
    decoding = bundle.decoding
    if bundle.expected is None or decoding.consensus_by == "neighbours":
        # Nobody is left to vote.
        decoding = decoding.model_copy(update={"consensus": 0, "consensus_by": "both"})
    return replace(bundle, neighbours=None, decoding=decoding)


def _with_fewer_tokens(bundle: Bundle, content: BundleContent) -> Bundle:
    size = content.vocabulary_size
    if size is None or size >= bundle.vocabulary_size:
        return bundle
    require_weights(bundle, encoder=False)
    if precision_of(bundle, "decoder") == "int8":
        raise ExportError(
            f"{bundle.folder}: its decoder is int8 already, and --vocabulary-size is for float32; take the "
            "model that it was made from"
        )
    if STARTED_FROM in bundle.details:
        raise ExportError(
            f"{bundle.folder}: its vocabulary was extended when training started from another model: the "
            "last tokens are new words, not rare ones; leave --vocabulary-size out"
        )
    require_tensorflow("a bundle with fewer tokens")
    from cutline.exporting import decoder_files
    from cutline.models.new_tokens import with_first_tokens

    arrays = with_first_tokens(bundle.decoder_arrays, size)
    vocabulary = replace(bundle.vocabulary, tokens=bundle.vocabulary.tokens[:size])
    graphs = decoder_files(bundle.decoder, arrays, bundle.feature_shape) if bundle.graphs else {}
    return replace(bundle, vocabulary=vocabulary, decoder_arrays=arrays, graphs={**bundle.graphs, **graphs})


def _trimmed(bundle: Bundle, content: BundleContent) -> Bundle:
    """Leave out weights that are not wanted, and say what is."""
    if not content.weights:
        bundle = replace(bundle, encoder_arrays={}, decoder_arrays={})
    if content.licence is not None:
        bundle = replace(bundle, licence=content.licence)
    if content.data_notes is not None:
        bundle = replace(bundle, data_notes=content.data_notes)
    # Not linked: what is given away shares no file with the run.
    return replace(bundle, graphs={name: _content(graph) for name, graph in bundle.graphs.items()})


def _content(graph: Path | bytes) -> bytes:
    return graph.read_bytes() if isinstance(graph, Path) else graph


def _scores(model: Path, exported: Bundle) -> dict[str, Any]:
    """Return what the evaluations of a run found.

    Left out are those that are older than its bundle, of other data, or of captions that the exported bundle
    would not write: searched for in another way, or chosen by voters that stay at home.
    """
    run = layout.run_of(model)
    if not (run / layout.CONFIG).exists():
        return {}
    bundle = run / layout.BUNDLE / "manifest.json"
    data = exported.details.get("data", {}).get("fingerprint")
    own = describe_decoding(with_its_voters(exported, exported.decoding))
    found = {}
    for path in sorted(run.glob(f"evaluation-*/{EVALUATION}")):
        if path.stat().st_mtime_ns >= bundle.stat().st_mtime_ns:
            with contextlib.suppress(DataError):
                result = load_evaluation(path)
                if (result.decoding, result.data_fingerprint) == (own, data):
                    found[result.split] = _facts(result)
    return {"scores": found} if found else {}


def _named_evaluations(
    content: BundleContent, precisions: Mapping[Part, Precision]
) -> dict[Path, EvaluationResult]:
    """Read the evaluations that were named; they must be of the model as it is exported."""
    if content.evaluations and ("int8" in precisions.values() or content.vocabulary_size is not None):
        raise ConfigError(
            "--evaluation is of the model as it is, and this export makes another one of it; export first, "
            "evaluate what was exported, and export that with its evaluation"
        )
    return {folder: load_evaluation(folder / EVALUATION) for folder in content.evaluations}


def _own_scores(evaluations: Mapping[Path, EvaluationResult], bundle: Bundle) -> dict[str, Any]:
    """Return what the evaluations that were named found."""
    found = {}
    own = describe_decoding(with_its_voters(bundle, bundle.decoding))
    for folder, result in evaluations.items():
        if result.decoding != own:
            raise ConfigError(
                f"{folder}: captions were made by {result.decoding}, the model's own way is {own}; "
                "evaluate it without --set"
            )
        # As it is, whatever its precision.
        found[result.split] = {**_facts(result), "exact": True}
    return {"scores": found} if found else {}


def _kept_scores(bundle: Bundle, small: bool) -> dict[str, Any]:
    """Return the scores that a bundle tells already; made smaller, it is no longer what was scored."""
    known = bundle.details.get("scores")
    if not isinstance(known, Mapping):
        return {}
    if not small:
        return {"scores": known}
    plain = {
        split: {name: value for name, value in facts.items() if name != "exact"}
        for split, facts in known.items()
        if isinstance(facts, Mapping)
    }
    return {"scores": plain}


def _facts(result: EvaluationResult) -> dict[str, Any]:
    scores = result.scores
    interval = scores.intervals.get("cider_d")
    ends = {"cider_d_interval": {"low": interval.low, "high": interval.high}} if interval else {}
    return {
        "images": scores.images,
        "references": scores.references,
        **{name: getattr(scores, name) for name in scores.computed()},
        **ends,
        "signature": scores.signature,
    }


def _name(model: Path, out: Path) -> str:
    """Return what a model is called that does not say so itself: as its run, else as what is written."""
    run = layout.run_of(model)
    return run.resolve().name if (run / layout.CONFIG).exists() else out.stem


def _write(bundle: Bundle, out: Path) -> dict[str, int]:
    with _written(bundle, out) as place:
        again = load_bundle(place, weights=True)
        if not _same(bundle, again):
            raise ExportError(f"{out}: what was read back is not what was written; nothing was kept")
        if again.graphs:
            OnnxSession(again)
        if is_zip(place):
            return {out.name: place.stat().st_size}
        return {path.name: path.stat().st_size for path in sorted(place.iterdir())}


@contextlib.contextmanager
def _written(bundle: Bundle, out: Path) -> Iterator[Path]:
    """Write a bundle beside its place, and move it there when the block ends without an error."""
    if not is_zip(out):
        with replacing_folder(out) as place:
            write_files(bundle, place)
            yield place
        return
    with replacing(out, "wb") as stream:
        write_zipped(bundle, stream, out.parent)
        stream.flush()
        yield Path(stream.name)


def _same(one: Bundle, other: Bundle) -> bool:
    """Compare what captions: graphs, weights, vocabulary, options."""
    if {name: _content(graph) for name, graph in other.graphs.items()} != one.graphs:
        return False
    for ours, theirs in (
        (one.encoder_arrays, other.encoder_arrays),
        (one.decoder_arrays, other.decoder_arrays),
    ):
        if ours.keys() != theirs.keys() or not all(np.array_equal(ours[key], theirs[key]) for key in ours):
            return False
    return (one.vocabulary, one.decoding, one.decoder) == (other.vocabulary, other.decoding, other.decoder)
