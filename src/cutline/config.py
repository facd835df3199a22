"""Frozen options, one group per room; every fault is reported at once.

Options come from a preset, then a TOML file, then ``--set group.key=value``, later ones winning.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cutline.errors import ConfigError

Options = TypeVar("Options", bound=BaseModel)


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataOptions(_Frozen):
    """How a data set is read and split."""

    format: str | None = Field(None, description="reader to use; detected when absent")
    image_column: str | None = Field(None, description="column holding the image file")
    caption_column: str | None = Field(None, description="column holding the caption")
    group_column: str | None = Field(None, description="column by which scores are given apart")
    train_fraction: float = Field(0.8, gt=0, lt=1, description="share of images to train on")
    val_fraction: float = Field(0.1, gt=0, lt=1, description="share of images to choose by; the rest is test")
    split_seed: int = Field(0, ge=0, description="seed of the random split")

    @model_validator(mode="after")
    def _leave_room_for_test(self) -> DataOptions:
        if self.train_fraction + self.val_fraction > 1:
            raise ValueError("train_fraction + val_fraction must be at most 1")
        return self


class TextOptions(_Frozen):
    """How captions become tokens, and which tokens enter the vocabulary."""

    level: Literal["auto", "word", "character"] = Field("auto", description="unit of the vocabulary")
    lowercase: bool = Field(True, description="fold case")
    min_count: int = Field(3, ge=1, description="drop tokens seen less often in the train split")
    max_size: int = Field(20_000, ge=5, description="largest vocabulary, markers included")
    max_length: int = Field(40, ge=1, description="longest caption in tokens; longer ones are cut")


class EncoderOptions(_Frozen):
    """Which CNN looks at the image."""

    name: str = Field("efficientnet_lite0", description="name in the encoder registry, or a .keras file")
    weights: str = Field("imagenet", description="'imagenet', a weights file, or 'random'")
    features: Literal["pooled", "grid"] = Field("pooled", description="one vector or one per region")
    batch_size: int = Field(32, ge=1, description="images encoded at once")


class DecoderOptions(_Frozen):
    """The LSTM that writes the caption."""

    name: str = Field("show_tell", description="name in the decoder registry")
    embedding_units: int = Field(256, ge=1, description="width of the token embedding")
    lstm_units: int = Field(512, ge=1, description="width of the LSTM's state")
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout on the LSTM's output")
    feature_dropout: float = Field(0.3, ge=0, lt=1, description="dropout on the normalised features")
    attention_units: int = Field(256, ge=1, description="width in which regions and state are compared")
    embedding_dropout: float = Field(0.3, ge=0, lt=1, description="dropout on the words read, with attention")


class TrainingOptions(_Frozen):
    """How the decoder is trained."""

    epochs: int = Field(5, ge=1, description="passes over the captions at the most")
    batch_size: int = Field(64, ge=1, description="captions per step")
    learning_rate: float = Field(2e-3, gt=0, description="highest rate of the schedule")
    schedule: Literal["constant", "cosine"] = Field("cosine", description="rate over the epochs")
    warmup_steps: int = Field(
        100, ge=0, description="steps until the highest rate is reached, at most a tenth of the run"
    )
    weight_decay: float = Field(1e-4, ge=0, description="decoupled decay of the weights (AdamW)")
    clip_norm: float = Field(5.0, gt=0, description="largest gradient norm")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of a target's probability that all tokens get"
    )
    weight_average: float = Field(
        0.0, ge=0, lt=1, description="share of the old average in the averaged weights; 0 averages nothing"
    )
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="what the decoder computes with; 'auto': bfloat16 where the processor has it",
    )
    patience: int = Field(5, ge=1, description="epochs without a better val CIDEr-D before stopping")
    validation_images: int = Field(
        1000, ge=1, description="val images captioned after each epoch at the most"
    )
    seed: int = Field(0, ge=0, description="seed of weights, dropout and shuffling")


class SelfCriticalOptions(_Frozen):
    """Training on the score of captions the model writes itself, after teacher forcing."""

    epochs: int = Field(0, ge=0, description="passes over the images; 0 leaves it out")
    images: int = Field(16, ge=1, description="images per step")
    samples: int = Field(5, ge=2, description="captions drawn for each image")
    learning_rate: float = Field(1e-4, gt=0, description="highest rate of the schedule")
    temperature: float = Field(1.0, gt=0, le=10, description="of the draws: above 1 bolder, below 1 safer")
    cross_entropy: float = Field(0.2, ge=0, le=1, description="share of cross-entropy kept in the objective")
    references: int = Field(2, ge=1, description="captions by people per image in that share")
    max_length: int = Field(22, ge=1, description="longest caption drawn, in tokens")
    patience: int = Field(5, ge=1, description="epochs without a better val CIDEr-D before stopping")


class DecodingOptions(_Frozen):
    """How step probabilities become a caption."""

    beam_size: int = Field(1, ge=1, le=100, description="beams kept; 1 is greedy decoding")
    length_penalty: float = Field(
        0.0, ge=0, le=2, description="exponent of the length the log-probability is divided by"
    )
    max_length: int = Field(40, ge=1, description="longest caption in tokens")
    min_length: int = Field(0, ge=0, description="shortest caption in tokens")
    no_repeat_ngram: int = Field(
        0, ge=0, description="tokens in a row that come in a caption once at the most; 0 for no such rule"
    )
    end_in_function_word: bool = Field(
        True, description="let captions end in a word such as 'a' or 'with'; false is known for English alone"
    )
    groups: int = Field(1, ge=1, description="groups of beams that avoid each other's words; they share them")
    diversity: float = Field(
        0.5, ge=0, description="with groups, what a word costs, in nats, for each beam that has just taken it"
    )
    temperature: float = Field(
        0.0,
        ge=0,
        le=10,
        description="above 0 draws captions at random, below 1 the likelier ones; 0 does not",
    )
    top_k: int = Field(0, ge=0, description="draw from so many most probable tokens; 0 for all")
    top_p: float = Field(
        1.0, gt=0, le=1, description="draw from the most probable tokens that have this share of probability"
    )
    seed: int = Field(0, ge=0, description="seed of the draws")
    batch_size: int = Field(64, ge=1, description="images decoded at once")

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> DecodingOptions:
        if self.min_length > self.max_length:
            raise ValueError(f"min_length must be at most max_length, which is {self.max_length}")
        if self.beam_size % self.groups:
            raise ValueError(f"groups must divide beam_size, which is {self.beam_size}")
        if self.temperature and self.beam_size > 1:
            raise ValueError(
                "a temperature draws captions and a beam_size searches for them: set one of them"
            )
        if not self.temperature and (self.top_k or self.top_p < 1):
            raise ValueError("top_k and top_p narrow what is drawn: they need a temperature, such as 1")
        return self


class RunConfig(_Frozen):
    """Everything that defines a run."""

    preset: str = Field("show_tell", description="named options that were the starting point")
    data: DataOptions = DataOptions()
    text: TextOptions = TextOptions()
    encoder: EncoderOptions = EncoderOptions()
    decoder: DecoderOptions = DecoderOptions()
    training: TrainingOptions = TrainingOptions()
    self_critical: SelfCriticalOptions = SelfCriticalOptions()
    decoding: DecodingOptions = DecodingOptions()


def resolve(
    preset: str,
    preset_values: Mapping[str, Any],
    file: Path | None = None,
    assignments: Iterable[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Merge a preset, a TOML file, ``key=value`` assignments and direct overrides into one RunConfig.

    Args:
        preset: Name of the preset, kept for the record.
        preset_values: Nested options of the preset.
        file: TOML file with the same groups, or None.
        assignments: Items such as ``"training.epochs=20"``; the value is read as TOML, else as a string.
        overrides: Flat ``"group.key" → value``; None values are skipped.

    Returns:
        The validated, frozen options.

    Raises:
        ConfigError: Every unknown key and bad value in one message, each with what is allowed.

    Example:
        >>> resolve("show_tell", {}, assignments=["training.epochs=2"]).training.epochs
        2
    """
    values: dict[str, Any] = {}
    _merge(values, preset_values)
    if file is not None:
        _merge(values, read_toml(file))
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"--set {assignment!r}: expected group.key=value, e.g. training.epochs=20")
        _assign(values, key.strip(), _read_value(text.strip()))
    for key, value in (overrides or {}).items():
        if value is not None:
            _assign(values, key, value)
    values["preset"] = preset
    return validate(RunConfig, values)


def named_preset(asked: str | None, file: Path | None, assignments: Iterable[str] = ()) -> str | None:
    """Return the preset that is named: directly, by ``preset=NAME`` among the assignments, or in the file.

    Raises:
        ConfigError: Two places name different presets.

    Example:
        >>> named_preset(None, None, ["preset=merge", "training.epochs=2"])
        'merge'
    """
    named = {"--preset": asked}
    for assignment in assignments:
        key, _, text = assignment.partition("=")
        if key.strip() == "preset":
            named["--set"] = str(_read_value(text.strip()))
    if file is not None and "preset" in (values := read_toml(file)):
        named[str(file)] = str(values["preset"])
    found = {place: name for place, name in named.items() if name is not None}
    if len(set(found.values())) > 1:
        places = " but ".join(f"{name!r} in {place}" for place, name in found.items())
        raise ConfigError(f"preset is {places}; name one")
    return next(iter(found.values()), None)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file or raise ConfigError with line and column."""
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from None


def validate(options: type[Options], values: Mapping[str, Any]) -> Options:
    """Build ``options`` from plain values, gathering every fault into one ConfigError."""
    try:
        return options.model_validate(values)
    except ValidationError as error:
        faults = [_describe(options, fault) for fault in error.errors()]
        raise ConfigError("; ".join(faults)) from None


def to_toml(config: BaseModel) -> str:
    """Write options as TOML, one group per table; options that are None are left out.

    Example:
        >>> print(to_toml(RunConfig()).splitlines()[0])
        preset = "show_tell"
    """
    lines: list[str] = []
    groups: list[str] = []
    for name, value in config.model_dump().items():
        if isinstance(value, dict):
            rows = [f"{key} = {_toml_value(item)}" for key, item in value.items() if item is not None]
            groups.append("\n".join([f"\n[{name}]", *rows]))
        elif value is not None:
            lines.append(f"{name} = {_toml_value(value)}")
    return "\n".join([*lines, *groups]) + "\n"


def differences(before: BaseModel, after: BaseModel) -> list[str]:
    """List the keys in which two configurations differ, each with both values.

    Example:
        >>> differences(RunConfig(), resolve("show_tell", {}, assignments=["training.seed=1"]))
        ['training.seed was 0, is now 1']
    """
    old, new = _flatten(before.model_dump()), _flatten(after.model_dump())
    return [f"{key} was {old.get(key)!r}, is now {new.get(key)!r}" for key in new if old.get(key) != new[key]]


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, Mapping):
            child = target.setdefault(key, {})
            if isinstance(child, dict):
                _merge(child, value)
                continue
        target[key] = value


def _assign(values: dict[str, Any], dotted: str, value: object) -> None:
    *groups, key = dotted.split(".")
    for group in groups:
        child = values.setdefault(group, {})
        if not isinstance(child, dict):
            raise ConfigError(f"{dotted}: {group!r} is an option, not a group")
        values = child
    values[key] = value


def _read_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON escapes strings the way TOML does, except that TOML wants DEL escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _describe(options: type[BaseModel], fault: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _known_keys(options)
        # A key without a dot may be a misspelt group rather than an option.
        names = [*known, *options.model_fields] if "." not in key else known
        near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
        return f"unknown option {key}{hint}"
    message = str(fault["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if fault["type"] == "model_type":
        message = "expected a group of options, of which one is set by group.key=value"
    found = "" if isinstance(fault.get("input"), Mapping) else f" (found {fault.get('input')!r})"
    return f"{key + ': ' if key else ''}{message}{found}"


def _known_keys(options: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in options.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            keys += _known_keys(group, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys
