"""Which preset a run starts from when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutline.errors import ConfigError
from cutline.recipes.run_options import Asked, new_options


@pytest.mark.parametrize(
    ("assignments", "preset"),
    [
        ((), "attend"),
        (("training.epochs=3",), "attend"),
        (("decoder.name=merge",), "merge"),
        (("decoder.name=up_down",), "up_down"),
        (('decoder={name="merge"}',), "merge"),
        (("encoder.features=pooled",), "show_tell"),
        (("preset=show_tell", "decoder.lstm_units=8"), "show_tell"),
    ],
)
def test_the_decoder_or_features_asked_for_choose_the_preset(assignments, preset):
    assert new_options(Asked(assignments=assignments)).preset == preset


def test_a_file_chooses_as_well(tmp_path: Path):
    file = tmp_path / "mine.toml"
    file.write_text('[decoder]\nname = "show_tell"\n')
    assert new_options(Asked(config=file)).preset == "show_tell"


def test_a_decoder_that_is_no_name_is_told_in_one_line():
    with pytest.raises(ConfigError, match=r"decoder\.name"):
        new_options(Asked(assignments=("decoder.name=[1]",)))
