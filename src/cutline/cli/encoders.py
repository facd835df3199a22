"""``cutline encoders``: the networks that can look at images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cutline.cli.door import door
from cutline.cli.failures import DONE
from cutline.cli.screen import Screen

if TYPE_CHECKING:
    from cutline.models.encoder_specs import EncoderSpec


@door()
def encoders(screen: Screen) -> int:
    """List the encoders that can be named in training, those that need no network first.

    Two of them together are named A+B.
    """
    from cutline.models.encoder_specs import ENCODERS

    specs = sorted(ENCODERS.values(), key=lambda spec: (spec.family != "efficientnet_lite", spec.name))
    width = max(len(spec.name) for spec in specs)
    for spec in specs:
        screen.lines(f"{spec.name:{width}}  {_sizes(spec)}  {spec.note}")
    screen.document([_facts(spec) for spec in specs])
    return DONE


def _sizes(spec: EncoderSpec) -> str:
    (height, width), (regions, depth) = spec.input_size, spec.grid_shape
    return f"images {height} x {width}, features {regions:3} x {depth:<4}"


def _facts(spec: EncoderSpec) -> dict[str, object]:
    return {
        "name": spec.name,
        "input_size": list(spec.input_size),
        "grid_shape": list(spec.grid_shape),
        "weights": spec.note,
    }
