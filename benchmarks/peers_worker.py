"""Captions images with models of transformers, made from their configuration; asked by ``pieces/peers.py``.

    python peers_worker.py THREADS

Reads lines of JSON, writes lines of JSON. Needs torch, transformers and Pillow, and nothing of cutline.
Nothing is downloaded: weights are random.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

TOKENS = 10


def blip() -> tuple[Any, int]:
    """Build BLIP-base: Li et al., 2022 (arXiv:2201.12086)."""
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipTextConfig, BlipVisionConfig

    text = BlipTextConfig(vocab_size=30524, num_attention_heads=12, encoder_hidden_size=768)
    vision = BlipVisionConfig(image_size=384)
    config = BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict())
    return BlipForConditionalGeneration(config), 384


def git() -> tuple[Any, int]:
    """Build GIT-base: Wang et al., 2022 (arXiv:2205.14100)."""
    from transformers import GitConfig, GitForCausalLM

    return GitForCausalLM(GitConfig()), 224


def vit_gpt2() -> tuple[Any, int]:
    """Build ViT-GPT2: a base-sized ViT of 16 × 16 patches, and GPT-2 with cross-attention."""
    from transformers import GPT2Config, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig

    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(), GPT2Config())
    config.decoder_start_token_id = config.pad_token_id = 50256
    return VisionEncoderDecoderModel(config=config), 224


PEERS: dict[str, tuple[Callable[[], tuple[Any, int]], int]] = {
    "BLIP-base": (blip, 3),
    "GIT-base": (git, 4),
    "ViT-GPT2": (vit_gpt2, 4),
}
"""Name → what builds the model, and the beams it was published with."""


class Peer:
    """One model, ready to caption."""

    def __init__(self, name: str) -> None:
        """Build it with random weights."""
        build, self.beams = PEERS[name]
        torch.manual_seed(0)
        self.model, self.side = build()
        self.model.eval()
        self.start = 50256 if name == "ViT-GPT2" else None

    @property
    def what(self) -> str:
        """Return in a few words how it decodes, and how large it is."""
        millions = sum(weight.numel() for weight in self.model.parameters()) / 1e6
        return f"{self.beams} beams, {self.side} pixels, {millions:.0f} million weights"

    @torch.inference_mode()
    def caption(self, paths: list[str]) -> int:
        """Caption images together, from files on; return how many captions there are."""
        pixels = torch.from_numpy(np.stack([self._read(path) for path in paths]))
        lengths = {"max_new_tokens": TOKENS, "min_new_tokens": TOKENS}
        found = self.model.generate(pixel_values=pixels, num_beams=self.beams, do_sample=False, **lengths)
        return len(found)

    def _read(self, path: str) -> Any:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((self.side, self.side), Image.Resampling.BICUBIC)
        return ((np.asarray(small, np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]))
    transformers.logging.set_verbosity_error()
    peer: Peer | None = None
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, Any] = {}
        if "list" in question:
            answer = {"names": list(PEERS)}
        elif "load" in question:
            peer = None  # the one before makes room
            peer = Peer(question["load"])
            answer = {"what": peer.what}
        elif peer is not None:
            answer = {"captions": peer.caption(question["caption"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
