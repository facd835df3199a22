"""What saying how sure a model is costs: what ``benchmarks/confidence_cost.py`` prints."""

from __future__ import annotations

from benchmarks.pieces import Asked, Skipped
from benchmarks.pieces.scripted import number, table_of
from benchmarks.tables import Table


def run(asked: Asked) -> list[Table]:
    """Run it with the model and photos that were given."""
    if asked.model is None or asked.images is None:
        raise Skipped("needs a trained model and photos: --model MODEL --images PHOTOS")
    images, rounds = asked.size(256, 8), asked.size(asked.rounds, 1)
    sizes = ["--images", str(images), "--rounds", str(rounds)]
    try:
        columns, rows, _ = table_of("confidence_cost.py", str(asked.model), str(asked.images), *sizes)
    except RuntimeError as error:
        if "carries no confidence" in str(error):
            raise Skipped(f"{asked.model} carries no confidence; train it with a larger val split") from None
        raise
    note = (
        f"`benchmarks/confidence_cost.py`: {images} photos from files to captions; median of {rounds} "
        "rounds, in turn."
    )
    return [Table("", columns, rows, note, {"ratio": number(rows[-1][-1])})]
