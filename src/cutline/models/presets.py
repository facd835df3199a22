"""Presets: named options to start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cutline.registry import require_known

_VOTED: Final[Mapping[str, Any]] = {
    "training": {
        "epochs": 10,
        "learning_rate": 1e-3,
        "label_smoothing": 0.1,
        "weight_average": 0.999,
        "precision": "auto",
    },
    "decoding": {
        "beam_size": 5,
        "consensus": 40,
        "consensus_beams": 40,
        "consensus_draws": 0,
        "consensus_likelihood": 0.06,
        "consensus_length_penalty": 0.5,
        "consensus_rarity": 0.04,
        "end_in_function_word": False,
    },
}

_WITH_ATTENTION: Final[Mapping[str, Any]] = {"encoder": {"features": "grid"}, **_VOTED}

_POOLED: Final[Mapping[str, Any]] = {
    **_VOTED,
    "decoder": {"name": "show_tell", "embedding_units": 512, "lstm_units": 512},
}

DEFAULT_PRESET: Final = "fine_tuned"
"""The one for the encoder that options have by themselves, as it comes."""

FROZEN_PRESET: Final = "pooled"
"""The one for other encoders, and where somebody says how many epochs there shall be."""

GRID_PRESET: Final = "attend"
"""The one to start from with one vector per region."""

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    # The classic recipe: 2048-d features when --encoder names such an encoder, 5 epochs, greedy decoding.
    "show_tell": {
        "decoder": {"name": "show_tell", "embedding_units": 256, "lstm_units": 512},
        "training": {"epochs": 5},
        "decoding": {"beam_size": 1},
    },
    # The design of the classic notebooks.
    "merge": {
        "decoder": {"name": "merge", "embedding_units": 256, "lstm_units": 256},
        "training": {"epochs": 5},
        "decoding": {"beam_size": 1},
    },
    # The decoder of show_tell, trained and voted on as those with attention are.
    "pooled": _POOLED,
    # The same decoder and votes; after fewer epochs on stored features the encoder learns, too.
    "fine_tuned": {
        **_POOLED,
        "training": {**_POOLED["training"], "epochs": 6},
        "fine_tune": {"epochs": 8, "stages": "last_two"},
    },
    # Looks at the regions of the picture anew for every word.
    "attend": {**_WITH_ATTENTION, "decoder": {"name": "attend", "embedding_units": 512, "lstm_units": 512}},
    # The same with one LSTM to look and one to speak.
    "up_down": {**_WITH_ATTENTION, "decoder": {"name": "up_down", "embedding_units": 512, "lstm_units": 512}},
}


def preset_values(name: str) -> Mapping[str, Any]:
    """Return the options of a preset; UnknownNameError when there is none of that name.

    Example:
        >>> preset_values("show_tell")["training"]
        {'epochs': 5}
    """
    require_known("preset", name, PRESETS)
    return PRESETS[name]


def preset_of(decoder: str, *, votes: bool | None = None) -> str | None:
    """Return the preset to train a decoder, and no encoder, with, or None when it has none of its own.

    Args:
        decoder: Name of the decoder.
        votes: Whether its captions are voted on, where presets of one decoder differ in that; None: whatever
            the preset of the decoder's name does.

    Example:
        >>> preset_of("show_tell"), preset_of("show_tell", votes=True), preset_of("attend", votes=False)
        ('show_tell', 'pooled', 'attend')
    """
    frozen = {name: values for name, values in PRESETS.items() if "fine_tune" not in values}
    named = [name for name, values in frozen.items() if values["decoder"]["name"] == decoder]
    fitting = [name for name in named if bool(PRESETS[name]["decoding"].get("consensus", 0)) is votes]
    own = [name for name in named if name == decoder]
    return next(iter([*fitting, *own, *named]), None)
