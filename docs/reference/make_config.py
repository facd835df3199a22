"""Write config.md from the options themselves: python docs/reference/make_config.py"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cutline.config import EncoderOptions, RunConfig, to_toml
from cutline.models.presets import DEFAULT_PRESET, FROZEN_PRESET, GRID_PRESET, PRESETS

_HEAD = """\
# Options

Written by `python docs/reference/make_config.py`; edit the modules in `src/cutline/config` instead.

Options come from the defaults below, then the preset (`--preset`), then the model that training starts from
(`--from`), then a TOML file (`--config`), then `--set group.key=value`, then flags such as `--epochs`;
later ones win. `config.toml` in a run folder holds all of them as they were used, and can be given to
`--config` as it is. Unknown keys and bad values are refused, all of them in one message.

```console
$ cutline train captions.csv --images photos --set training.epoch=3 --set decoding.beam_size=0
error: unknown option training.epoch; did you mean training.epochs?; decoding.beam_size: input should be
greater than or equal to 1 (found 0)
$ echo $?
2
```
"""


def config_reference() -> str:
    """Return the whole page."""
    parts = [_HEAD, *_groups(), _presets(), _file()]
    return "\n".join(parts)


def _groups() -> Iterator[str]:
    for name, field in RunConfig.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            yield f"## {name}\n\n{group.__doc__}\n"
            yield "| key | default | allowed | meaning |\n| --- | --- | --- | --- |"
            yield "\n".join(_row(name, key, option) for key, option in group.model_fields.items()) + "\n"


def _row(group: str, key: str, option: FieldInfo) -> str:
    default = "none" if option.default is None else f"`{_toml(option.default)}`"
    return f"| `{group}.{key}` | {default} | {_allowed(option)} | {option.description} |"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _allowed(option: FieldInfo) -> str:
    choices = [choice for choice in get_args(option.annotation) if isinstance(choice, str)]
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    kind = {int: "whole number", float: "number", bool: "true or false"}.get(option.annotation, "text")
    signs = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
    limits = [
        f"{sign} {getattr(rule, name):g}"
        for rule in option.metadata
        for name, sign in signs
        if getattr(rule, name, None) is not None
    ]
    return " ".join([kind, ", ".join(limits)]).strip()


def _presets() -> str:
    lines = [
        "## Presets",
        "",
        "Where none is named, the decoder asked for chooses (`decoder.name`), or that of the model to start",
        f'from; `encoder.features = "grid"` means `{GRID_PRESET}`. Without any of these it is',
        f"`{DEFAULT_PRESET}`, which trains the encoder, too. With another encoder than",
        f"`{EncoderOptions().name}` with its own weights and input size, where `fine_tune.epochs` is 0, or",
        f"where epochs are asked for (`--epochs`), it is `{FROZEN_PRESET}`, which does not. `attend` and",
        f"`up_down` differ from `{FROZEN_PRESET}` in the decoder and in having one vector per region;",
        "[why the default has no attention](../results.md#with-attention-and-without).",
        "",
        "| preset | what it sets |",
        "| --- | --- |",
    ]
    for name, groups in sorted(PRESETS.items()):
        values = [
            f"`{group}.{key} = {_toml(value)}`"
            for group, keys in groups.items()
            for key, value in keys.items()
        ]
        lines.append(f"| `{name}` | {', '.join(values)} |")
    return "\n".join(lines) + "\n"


def _file() -> str:
    told = "The defaults of the tables above, in the layout of `--config`. They are what `show_tell` sets:"
    return f"## As a file\n\n{told}\n\n```toml\n{to_toml(RunConfig())}```\n"


if __name__ == "__main__":
    Path(__file__).with_name("config.md").write_text(config_reference(), encoding="utf-8")
