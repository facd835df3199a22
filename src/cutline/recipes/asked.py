"""What somebody asked a training for, looked at before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutline.config import EncoderOptions, RunConfig, asked_values, named_preset, resolve
from cutline.models.encoder_specs import find_specs, is_own_file, refuse_input_size
from cutline.models.presets import (
    DEFAULT_PRESET,
    FROZEN_PRESET,
    GRID_PRESET,
    preset_of,
    preset_values,
)


@dataclass(frozen=True)
class Asked:
    """What somebody asked for.

    Attributes:
        preset: Named options to start from; None for the file's, the resumed run's or the default.
        config: TOML file of options.
        assignments: ``"group.key=value"`` items, over the file.
        overrides: ``{"group.key": value}``, over everything.
    """

    preset: str | None = None
    config: Path | None = None
    assignments: Sequence[str] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, object]:
        """Return ``{"group.key": value}`` of what was asked for apart from a preset.

        Raises:
            ConfigError: The file cannot be read, or an item is no ``group.key=value``.
        """
        return asked_values(self.config, self.assignments, self.overrides)

    def named_preset(self) -> str | None:
        """Return the preset that was named, or None.

        Raises:
            ConfigError: Two were.
        """
        return named_preset(self.preset, self.config, self.assignments)

    def over(self, preset: str, values: Mapping[str, Any]) -> RunConfig:
        """Return what was asked for over the values of a preset.

        Raises:
            ConfigError: Options are unknown or out of range.
        """
        return resolve(preset, values, self.config, self.assignments, self.overrides)

    def from_nothing(self) -> RunConfig:
        """Return the options of a new run that starts from no model.

        Raises:
            ConfigError: Options are unknown, out of range, or name two presets or an unknown encoder.

        Example:
            >>> Asked(overrides={"decoder.name": "merge"}).from_nothing().preset
            'merge'
        """
        preset = self.named_preset() or default_preset(self.values())
        options = self.over(preset, preset_values(preset))
        # Misspelt names are told before thousands of images are read.
        if is_own_file(options.encoder.name):
            refuse_input_size(options.encoder.name, options.encoder.input_size)
        else:
            find_specs(options.encoder.name)
        return options

    def require_valid(self) -> None:
        """Raise what :meth:`from_nothing` raises; with a model to start from, nothing can be said without it.

        Example:
            >>> Asked(assignments=["training.epoch=3"]).require_valid()
            Traceback (most recent call last):
            cutline.errors.ConfigError: unknown option training.epoch; did you mean training.epochs?
        """
        if not self.values().get("start.model"):
            self.from_nothing()


def default_preset(values: Mapping[str, object]) -> str:
    """Return the preset where none is named and training starts from no model.

    It is that of the decoder asked for, or the one for a grid of features where that is asked for. Else it is
    :data:`DEFAULT_PRESET`, which was measured with the default encoder, its own weights and its own input
    size; with any other, :data:`FROZEN_PRESET`. So it is where epochs are asked for, of the decoder alone or
    none of the encoder: who says how many there shall be wants no others behind them.

    Example:
        >>> default_preset({"decoder.name": "up_down"}), default_preset({"encoder.features": "grid"})
        ('up_down', 'attend')
        >>> default_preset({}), default_preset({"training.epochs": 3})
        ('fine_tuned', 'pooled')
    """
    decoder = values.get("decoder.name")
    if isinstance(decoder, str) and (preset := preset_of(decoder)):
        return preset
    if values.get("encoder.features") == "grid":
        return GRID_PRESET
    usual = EncoderOptions()
    as_usual = (
        values.get("encoder.name") in (None, usual.name)
        and values.get("encoder.weights") in (None, usual.weights)
        and values.get("encoder.input_size") in (None, 0, *find_specs(usual.name)[0].input_size)
    )
    counted = values.get("training.epochs") is not None or values.get("fine_tune.epochs") == 0
    return DEFAULT_PRESET if as_usual and not counted else FROZEN_PRESET
