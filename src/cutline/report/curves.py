"""Training curves as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cutline.errors import MissingDependencyError
from cutline.records import EpochRecord, best_epoch

_BLUE: Final = "#0b5cad"
_ORANGE: Final = "#b8500b"
_GREY: Final = "#6b6b6b"


def curves_png(history: Sequence[EpochRecord]) -> bytes:
    """Draw loss, word accuracy and caption scores over the epochs, side by side.

    The first two are teacher-forced, for train and val; the scores are CIDEr-D and BLEU-4 (×100) of captions
    generated for val images. The best epoch is marked. Equal histories give equal bytes.

    Args:
        history: One record per epoch, at least one; values that are NaN leave a gap.

    Returns:
        A PNG, 1650 × 440 pixels, on white.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ValueError: ``history`` is empty.
    """
    return _draw(_panels(history), history)


@dataclass(frozen=True)
class _Panel:
    title: str
    unit: str
    lines: Mapping[str, Sequence[float]]


def _draw(panels: Sequence[_Panel], history: Sequence[EpochRecord]) -> bytes:
    try:
        # The object interface leaves the backend and the figures of a notebook alone.
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "curves need matplotlib; install it with: pip install 'cutline[train]'"
        ) from None
    if not history:
        raise ValueError("no epoch to draw; draw curves after the first one")
    epochs = [record.epoch for record in history]
    figure = Figure(figsize=(5.5 * len(panels), 4.4), dpi=100, facecolor="white")
    # Margins that are known: to measure all letters first takes as long as to draw them, after every epoch.
    figure.subplots_adjust(left=0.05, right=0.985, bottom=0.24, top=0.9, wspace=0.25)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for (label, values), colour, marker in zip(panel.lines.items(), (_BLUE, _ORANGE), "os", strict=True):
            axes.plot(epochs, values, color=colour, marker=marker, markersize=5, linewidth=2, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        _label(axes, panel)
        _mark_best(axes, best_epoch(history))
        # Below the axes no line is covered; looking for the best place among many epochs is slow.
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, frameon=False, fontsize=13,
            columnspacing=1.2, handlelength=1.6,
        )  # fmt: skip
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    return picture.getvalue()


def _panels(history: Sequence[EpochRecord]) -> list[_Panel]:
    return [
        _Panel(
            "Loss",
            "nats per token",
            {"train": [r.train_loss for r in history], "val": [r.val_loss for r in history]},
        ),
        _Panel(
            "Word accuracy",
            "% of tokens",
            {
                "train": [100 * r.train_accuracy for r in history],
                "val": [100 * r.val_accuracy for r in history],
            },
        ),
        _Panel(
            "Generated val captions",
            "score × 100",
            {"CIDEr-D": [r.cider_d for r in history], "BLEU-4": [r.bleu_4 for r in history]},
        ),
    ]


def _label(axes: Any, panel: _Panel) -> None:
    axes.set_title(panel.title, fontsize=16)
    axes.set_xlabel("epoch", fontsize=14)
    axes.set_ylabel(panel.unit, fontsize=14)
    axes.tick_params(labelsize=13)
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _mark_best(axes: Any, epoch: int) -> None:
    if epoch:
        axes.axvline(epoch, color=_GREY, linestyle="--", linewidth=1.2, label=f"best epoch ({epoch})")
