"""From presets, files and assignments to options; every fault is reported at once."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cutline.config.options import RunConfig
from cutline.errors import ConfigError

Options = TypeVar("Options", bound=BaseModel)


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
    for key, value in read_assignments(assignments).items():
        _assign(values, key, value)
    for key, value in (overrides or {}).items():
        if value is not None:
            _assign(values, key, value)
    values["preset"] = preset
    return validate(RunConfig, values)


def read_assignments(assignments: Iterable[str]) -> dict[str, object]:
    """Read ``"group.key=value"`` items; the value is read as TOML, else as a string.

    Raises:
        ConfigError: An item has another form.

    Example:
        >>> read_assignments(["decoding.beam_size=3", "encoder.name=resnet50"])
        {'decoding.beam_size': 3, 'encoder.name': 'resnet50'}
    """
    found: dict[str, object] = {}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"--set {assignment!r}: expected group.key=value, e.g. decoding.beam_size=5")
        found[key.strip()] = _read_value(text.strip())
    return found


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


def asked_values(
    file: Path | None, assignments: Iterable[str] = (), overrides: Mapping[str, object] | None = None
) -> dict[str, object]:
    """Return what a file, assignments and overrides ask for, as ``group.key`` → value; later ones win.

    Example:
        >>> asked_values(None, ["decoder.name=merge"], {"training.epochs": None})
        {'decoder.name': 'merge'}
    """
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    return {
        **(_flatten(read_toml(file)) if file is not None else {}),
        **_flatten(read_assignments(assignments)),
        **_flatten(given),
    }


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
