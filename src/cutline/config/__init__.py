"""Frozen options, one group per room.

They come from a preset, then a TOML file, then ``--set group.key=value``, later ones winning.
"""

from cutline.config.decoding import DecodingOptions
from cutline.config.options import (
    MAX_INPUT_SIZE,
    DataOptions,
    DecoderOptions,
    EncoderOptions,
    FineTuneOptions,
    RunConfig,
    SelfCriticalOptions,
    StartOptions,
    TextOptions,
    TrainingOptions,
)
from cutline.config.resolving import (
    asked_values,
    differences,
    named_preset,
    read_assignments,
    read_toml,
    resolve,
    to_toml,
    validate,
)

__all__ = [
    "MAX_INPUT_SIZE",
    "DataOptions",
    "DecoderOptions",
    "DecodingOptions",
    "EncoderOptions",
    "FineTuneOptions",
    "RunConfig",
    "SelfCriticalOptions",
    "StartOptions",
    "TextOptions",
    "TrainingOptions",
    "asked_values",
    "differences",
    "named_preset",
    "read_assignments",
    "read_toml",
    "resolve",
    "to_toml",
    "validate",
]
