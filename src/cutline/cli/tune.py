"""``cutline tune``: choose beam size and length penalty of a trained model on val."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cutline.cli.door import door
from cutline.cli.failures import DONE
from cutline.cli.options import (
    Assignments,
    CaptionColumn,
    Data,
    Format,
    ImageColumn,
    Images,
    Model,
    reading_overrides,
)
from cutline.cli.screen import Screen

if TYPE_CHECKING:
    from cutline.evaluation.decoding_choice import DecodingChoice


@door(captions=True)
def tune(
    screen: Screen,
    model: Model,
    data: Data,
    images: Images = None,
    format: Format = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    assignments: Assignments = None,
) -> int:
    """Choose beam size and length penalty on the val images, and keep them in the model.

    Captions half of val with every setting of a grid and takes the cheapest that is about as good as the
    best. The other half tells what it brings. Options of decoding given with --set are kept as they are.
    """
    from cutline.config import read_assignments
    from cutline.runtime.bundle import find_bundle
    from cutline.runtime.released import refuse_released

    # Before TensorFlow, which takes seconds to import, is asked for.
    refuse_released(find_bundle(Path(model)))
    from cutline.evaluation.decoding_choice import in_words
    from cutline.recipes.tune import tune as run_tuning

    choice = run_tuning(
        model,
        data,
        images=images,
        overrides={
            **reading_overrides(format, image_column, caption_column),
            **read_assignments(assignments or ()),
        },
        progress=screen.progress,
    )
    screen.lines(_table(choice))
    screen.lines(in_words(choice))
    screen.document(choice)
    return DONE


def _table(choice: DecodingChoice) -> str:
    """Write one line per setting: what it scores, and how far behind the best it is."""
    head = (
        f"{'':2}{'beam size':>9}{'length penalty':>16}{f'CIDEr-D on {choice.images:,}':>18}"
        f"{'behind the best':>22}{f'on {choice.other_images:,} others':>18}"
    )
    rows = [
        f"{'*' if trial.chosen else '':2}{trial.beam_size:9}{trial.length_penalty:16g}{trial.cider_d:18.1f}"
        f"{f'{trial.behind:.1f} ± {trial.standard_error:.1f}':>22}{trial.other_cider_d:18.1f}"
        for trial in choice.trials
    ]
    return "\n".join([head, *rows, "* chosen: ± is one standard error"])
