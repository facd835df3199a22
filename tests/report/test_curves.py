from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest
from PIL import Image
from tests.fakes import made_up_history

from cutline.errors import MissingDependencyError
from cutline.report.curves import curves_png


def picture(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_curves_are_one_wide_png() -> None:
    png = curves_png(made_up_history())
    assert picture(png).format == "PNG"
    assert picture(png).size == (1650, 440)


def test_equal_histories_give_equal_bytes_and_others_do_not() -> None:
    history = made_up_history()
    changed = (replace(history[0], val_loss=9.0), *history[1:])
    assert curves_png(history) == curves_png(made_up_history())
    assert curves_png(history) != curves_png(changed)


def test_the_best_epoch_is_marked_in_every_panel() -> None:
    history = made_up_history()
    unmarked = tuple(replace(record, cider_d=float("nan")) for record in history)
    before, after = picture(curves_png(unmarked)), picture(curves_png(history))
    for left in (0, 550):
        panel = (left, 0, left + 550, 440)
        assert before.crop(panel).tobytes() != after.crop(panel).tobytes()


def test_no_place_for_the_legend_is_searched_among_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.legend import Legend

    # The search takes longer the more epochs there are, and then warns.
    monkeypatch.setattr(Legend, "_find_best_position", lambda *_: pytest.fail("a place was searched"))
    curves_png(made_up_history())


def test_one_epoch_can_be_drawn() -> None:
    assert picture(curves_png(made_up_history()[:1])).size == (1650, 440)


def test_scores_that_are_not_numbers_leave_a_gap() -> None:
    history = tuple(replace(r, cider_d=float("nan"), bleu_4=float("nan")) for r in made_up_history())
    assert picture(curves_png(history)).size == (1650, 440)


def test_without_an_epoch_there_is_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="no epoch to draw"):
        curves_png(())


def test_a_missing_matplotlib_is_named_with_its_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'cutline\[train\]'"):
        curves_png(made_up_history())


def test_pyplot_is_left_alone() -> None:
    loaded = "matplotlib.pyplot" in sys.modules
    curves_png(made_up_history())
    assert ("matplotlib.pyplot" in sys.modules) == loaded
