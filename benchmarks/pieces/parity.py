"""Whether graphs write what Keras writes: what ``benchmarks/onnx_parity.py`` prints."""

from __future__ import annotations

from benchmarks.made_up import model
from benchmarks.pieces import Asked, Skipped
from benchmarks.pieces.scripted import number, table_of
from benchmarks.tables import Table


def run(asked: Asked) -> list[Table]:
    """Run it with the model and photos that were given."""
    if asked.model is None or asked.images is None:
        raise Skipped("needs a trained model and photos: --model MODEL --images PHOTOS")
    images = asked.size(256, 4)
    folder = model(asked)
    asked.tell(f"captioning {images} photos with both")
    _, rows, _ = table_of("onnx_parity.py", str(folder), str(asked.images), "--images", str(images))
    note = f"`benchmarks/onnx_parity.py`: each encodes and decodes {images} photos for itself."
    return [Table("", ["what", "found"], rows, note, {"same": number(rows[1][1])})]
