"""Captions ↔ tokens ↔ ids, in plain Python: training and captioning share it, no framework needed."""

from __future__ import annotations

from cutline.text.tokenizer import Level, Tokenizer, choose_level
from cutline.text.vocabulary import (
    END,
    END_ID,
    PAD,
    PAD_ID,
    SPECIALS,
    START,
    START_ID,
    UNK,
    UNK_ID,
    Vocabulary,
    build_vocabulary,
)

__all__ = [
    "END",
    "END_ID",
    "PAD",
    "PAD_ID",
    "SPECIALS",
    "START",
    "START_ID",
    "UNK",
    "UNK_ID",
    "Level",
    "Tokenizer",
    "Vocabulary",
    "build_vocabulary",
    "choose_level",
]
