"""``cutline models``: what comes with cutline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cutline.cli.door import door
from cutline.cli.failures import DONE
from cutline.cli.screen import Screen
from cutline.errors import ConfigError

if TYPE_CHECKING:
    from cutline.runtime.released import ReleasedModel

_SHOW: Final = "show"

Action = Annotated[
    str | None, typer.Argument(metavar="show", show_default=False, help="Print the card of a model.")
]
Model = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL", show_default=False, help="A name from the list, a run folder, or a bundle."
    ),
]


@door()
def models(screen: Screen, action: Action = None, model: Model = None) -> int:
    """List the models that come with cutline, or show what a model is.

    A name of the list can be given wherever a MODEL is asked for.
    """
    from cutline.runtime.bundle import find_bundle
    from cutline.runtime.card import read_card
    from cutline.runtime.released import released_models

    if action is None:
        found = released_models()
        for released in found:
            screen.lines(_line(released))
        if not found:
            screen.lines("no model comes with this cutline; train one: cutline train")
        screen.document([{**asdict(released), "path": str(released.path)} for released in found])
        return DONE
    if action != _SHOW or model is None:
        given = " ".join(filter(None, (action, model)))
        raise ConfigError(f"cutline models {given}: to see a card, say cutline models show MODEL")
    card = read_card(find_bundle(Path(model)))
    screen.lines(card)
    screen.document({"model": model, "card": card})
    return DONE


def _line(model: ReleasedModel) -> str:
    scores = ", ".join(
        f"{split} CIDEr-D {found['cider_d']:.1f}{_interval(found)}"
        for split, found in model.scores.items()
        if "cider_d" in found
    )
    # All of it stands on the card.
    licence = " ".join(model.licence.split(";")[0].split()) or "no licence was stated"
    return f"{model.name}: {model.bytes / 2**20:.1f} MiB, {model.encoder}; {scores or 'no scores'}; {licence}"


def _interval(found: Mapping[str, Any]) -> str:
    ends = found.get("cider_d_interval")
    return f" ({ends['low']:.1f} to {ends['high']:.1f})" if ends else ""
