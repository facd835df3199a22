"""Saving what an epoch of training produced."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cutline.errors import ExportError
from cutline.evaluation import most_common_caption
from cutline.exporting import decoder_files, encoder_file, with_graphs
from cutline.models.decoders import Decoder
from cutline.models.encoders import Encoder
from cutline.models.sessions import decoder_arrays
from cutline.progress import Progress
from cutline.recipes import run_folder as layout
from cutline.recipes.corridor import Corridor
from cutline.records import EpochRecord
from cutline.report.curves import curves_png
from cutline.runtime import Bundle, load_bundle, save_bundle
from cutline.runtime.bundle import STARTED_FROM
from cutline.runtime.onnx_session import OnnxEncoder
from cutline.runtime.saving import save_encoder, update_bundle
from cutline.training.checkpoints import Checkpoint, save_checkpoint
from cutline.training.history import save_history
from cutline.training.tensorboard import TensorBoardLog


class EpochKeeper:
    """Saves what an epoch produced: the bundle when it is the best, then the checkpoint, then the pictures.

    In this order, because a kill after the bundle repeats the epoch and writes the same bundle again.
    """

    def __init__(self, corridor: Corridor, decoder: Decoder, log: TensorBoardLog, start: Checkpoint) -> None:
        """Save into the run folder from now on; ``last`` is where the run stands."""
        self.last = start
        self._corridor = corridor
        self._decoder = decoder
        self._log = log
        self._details = _details(corridor)

    def __call__(self, checkpoint: Checkpoint, is_best: bool) -> None:
        """Save an epoch; the decoder has the weights that were validated."""
        folder, record = self._corridor.folder, checkpoint.history[-1]
        if is_best or not (folder / layout.BUNDLE).exists():
            save_bundle(self._bundle(record), folder / layout.BUNDLE, self._encoder_file(record))
        save_checkpoint(folder / layout.CHECKPOINT, checkpoint)
        self.last = checkpoint
        save_history(folder / layout.HISTORY, checkpoint.history)
        layout.write_bytes(folder / "curves.png", curves_png(checkpoint.history))
        self._log.add(record)

    def _encoder_file(self, record: EpochRecord) -> Path | None:
        """Return a file with the weights that the encoder has now; None when there is none yet."""
        folder = self._corridor.folder
        if record.objective == "fine_tune" or isinstance(self._corridor.encoder, OnnxEncoder):
            return None
        # Later phases start from the encoder of the best bundle and leave it as it is.
        kept = folder / layout.BUNDLE / layout.ENCODER
        return kept if record.objective != "cross_entropy" and kept.exists() else folder / layout.ENCODER

    def _graphs(self, record: EpochRecord, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Path | bytes]:
        """Return the graphs of the bundle, that of the encoder as a file where it was written before."""
        encoder, options = self._corridor.encoder, self._corridor.options.decoder
        weights = self._encoder_file(record)
        beside = weights.with_name(layout.ENCODER_GRAPH) if weights is not None else None
        try:
            if isinstance(encoder, OnnxEncoder):
                written: Path | bytes = self._corridor.folder / layout.ENCODER_GRAPH
            else:
                written = beside if beside is not None and beside.exists() else encoder_file(encoder)
        except ExportError:
            return {}
        return {layout.ENCODER_GRAPH: written, **decoder_files(options, arrays, encoder.feature_shape)}

    def _bundle(self, record: EpochRecord) -> Bundle:
        corridor, encoder = self._corridor, self._corridor.encoder
        arrays = decoder_arrays(self._decoder)
        return Bundle(
            encoder_spec=encoder.spec(),
            encoder_arrays=corridor.network.weights() if record.objective == "fine_tune" else {},
            encoder_weights=not isinstance(encoder, OnnxEncoder),
            decoder=corridor.options.decoder,
            decoder_arrays=arrays,
            feature_shape=encoder.feature_shape,
            vocabulary=corridor.vocabulary,
            decoding=corridor.options.decoding,
            graphs=self._graphs(record, arrays),
            details={
                **self._details,
                "encoder_fingerprint": encoder.fingerprint(),
                "epoch": record.epoch,
                "validation": _validation_facts(record),
            },
        )


def keep_encoder(folder: Path, encoder: Encoder | OnnxEncoder, progress: Progress) -> None:
    """Write an encoder into a run, as weights and as a graph, to be linked into its bundles.

    Args:
        folder: The run; what it holds already is left as it is.
        encoder: Before training; one that is a graph is copied.
        progress: Told when there can be no graph.
    """
    if isinstance(encoder, OnnxEncoder):
        if not (folder / layout.ENCODER_GRAPH).exists():
            graph = encoder.graph
            layout.write_bytes(
                folder / layout.ENCODER_GRAPH, graph if isinstance(graph, bytes) else graph.read_bytes()
            )
        return
    if not (folder / layout.ENCODER).exists():
        save_encoder(folder / layout.ENCODER, encoder.weights())
    if not (folder / layout.ENCODER_GRAPH).exists():
        try:
            content = encoder_file(encoder)
        except ExportError as error:
            progress.note(f"captioning will need TensorFlow: the encoder has no graph for ONNX: {error}")
            return
        layout.write_bytes(folder / layout.ENCODER_GRAPH, content)


def keep_graphs(folder: Path) -> None:
    """Put graphs into the best bundle of a run where it has none, as one that an older cutline wrote.

    An encoder that cannot be written as a graph leaves it as it is.

    Raises:
        BundleError: The bundle is missing or damaged.
    """
    bundle = load_bundle(folder / layout.BUNDLE)
    if not bundle.graphs:
        with contextlib.suppress(ExportError):
            update_bundle(with_graphs(bundle), folder / layout.BUNDLE)


def _validation_facts(record: EpochRecord) -> dict[str, float]:
    return {
        "loss": record.val_loss,
        "word_accuracy": record.val_accuracy,
        "bleu_4": record.bleu_4,
        "cider_d": record.cider_d,
        "unique_captions": record.unique_captions,
    }


def _details(corridor: Corridor) -> dict[str, Any]:
    dataset, start = corridor.dataset, corridor.start
    return {
        **({STARTED_FROM: start.facts(), **start.encoder_facts()} if start is not None else {}),
        **layout.environment(),
        "name": corridor.folder.resolve().name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": layout.data_facts(dataset),
        "data_options": corridor.options.data.model_dump(),
        "text_options": corridor.options.text.model_dump(),
        "most_common_caption": most_common_caption(dataset.of_split("train"), corridor.vocabulary.tokenizer),
    }
