"""Trained networks for runtimes other than Keras."""

from __future__ import annotations

from cutline.exporting.bundles import decoder_files, encoder_file, with_graphs
from cutline.exporting.decoders import DecoderParts, decoder_graphs
from cutline.exporting.encoder import encoder_graph

__all__ = [
    "DecoderParts",
    "decoder_files",
    "decoder_graphs",
    "encoder_file",
    "encoder_graph",
    "with_graphs",
]
