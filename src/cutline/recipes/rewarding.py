"""What the captions drawn in self-critical training are worth, by what people wrote about train images."""

from __future__ import annotations

import numpy as np

from cutline.data.batches import CaptionTable, captions_by_image
from cutline.evaluation.training_features import collect_neighbours
from cutline.recipes.corridor import Corridor
from cutline.recipes.extract import feature_reader
from cutline.training.rewards import CaptionReward

_BLOCK = 64


def caption_reward(corridor: Corridor, table: CaptionTable) -> CaptionReward:
    """Return the reward that the run's options ask for.

    Args:
        corridor: Its features tell which images are alike, when neighbours judge, too.
        table: Captions of the train split.
    """
    options = corridor.options.self_critical
    references = {
        row: [table.texts[place].partition(" ")[2] for place in own.tolist()]
        for row, own in captions_by_image(table).items()
    }
    neighbours = neighbours_of(corridor, options.neighbours) if options.neighbours else None
    return CaptionReward(references, options.bleu_4, neighbours, options.neighbours_weight)


def neighbours_of(corridor: Corridor, count: int) -> dict[int, list[int]]:
    """Return, for each row of a train image, the rows of the train images most like it.

    Likeness is that by which voters are found for a consensus; an image is not its own neighbour.

    Args:
        corridor: Data and features.
        count: Images wanted for each, all others when there are fewer.
    """
    examples = {example.image_id: example for example in corridor.dataset.of_split("train")}
    read, store = feature_reader(corridor.store), corridor.store
    neighbours = collect_neighbours(read, list(examples.values()))
    judges = store.rows([examples[image_id].digest for image_id in neighbours.image_ids])
    rows = np.unique(store.rows([example.digest for example in examples.values()]))
    found: dict[int, list[int]] = {}
    for at in range(0, len(rows), _BLOCK):
        block = rows[at : at + _BLOCK]
        places, likeness = neighbours.nearest(store.read(block), count + 1)
        for row, others, known in zip(block.tolist(), judges[places], likeness > -np.inf, strict=True):
            found[row] = others[known & (others != row)][:count].tolist()
    return found
