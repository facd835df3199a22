"""Decoders without attention see one vector per image, whatever the encoder gives."""

from __future__ import annotations

from keras import ops

from cutline.models.decoders.base import Tensor


def pool_regions(features: Tensor) -> Tensor:
    """Average grid features (B, R, D) over the regions; leave pooled ones (B, D) as they are."""
    return ops.mean(features, axis=1) if len(features.shape) == 3 else features
