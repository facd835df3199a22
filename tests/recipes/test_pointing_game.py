"""Attention lies on the object that is named, where the features are local."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.pointing_game import play_all, write_encoder

from cutline.data.sample import draw_sample
from cutline.recipes.train import train


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_attention_points_at_the_named_object_in_eight_of_ten_words(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CUTLINE_CACHE", str(tmp_path / "cache"))
    table, encoder = draw_sample(tmp_path / "sample"), tmp_path / "fine.keras"
    write_encoder(encoder)
    options = {
        "encoder.name": str(encoder),
        "training.epochs": 5,
        "self_critical.epochs": 0,
        "training.batch_size": 32,
        "decoder.embedding_units": 128,
        "decoder.lstm_units": 128,
        "decoding.beam_size": 1,
        "decoding.consensus": 0,
    }
    run = train(table, "attend", tmp_path / "run", overrides=options)
    played = play_all(run.folder, table, "test")["all scenes"]
    assert len(played) > 100
    assert np.mean([one.hit for one in played]) >= 0.8
    assert np.mean([one.chance for one in played]) < 0.3, "or hitting would be no art"
