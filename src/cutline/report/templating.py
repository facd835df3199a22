"""What the pages share: the template engine, the style, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from cutline.records import Interval

_WHOLE: Final = re.compile(r"--[a-z]+(?:-[a-z]+)*|\b(?:BLEU|ROUGE|CIDEr)-\w\b|\b[\d.]+ %")
_PARTING: Final = re.compile(r"(?<=\w)[_/|]+(?=\S)|(?<=\w{6})(?=\.\w{2,4}\b)")
_LAST_MARK: Final = re.compile(r" (?=[.!?…。！？]+\s*$)")


def render_page(template: str, *, script: str = "", **values: Any) -> str:
    """Render a template that extends ``base.html.j2`` as one HTML page that needs nothing else.

    The page loads nothing and says so in its content security policy: pictures must be data URIs, the style
    is inside, and the one script, if any, is allowed by its hash. Values are escaped.

    Args:
        template: Name of a file in ``templates``.
        script: Name of a JavaScript file in ``templates``, or ``""`` for a page without a script.
        values: What the template uses; ``title`` is always needed.

    Returns:
        The HTML text.
    """
    style, code = _read("report.css"), _read(script) if script else ""
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(style),
            style_source=_source(style),
            script=Markup(code),
            script_source=_source(code),
            **values,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cutline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": score,
        "percent": _unbroken_percent,
        "points": points,
        "chance": _unbroken_chance,
        "kept": keep_whole,
        "parted": part_names,
        "sentence": end_together,
        "loss": loss,
        "count": count,
        "between": between,
    }
    return environment


def _read(name: str) -> str:
    return files("cutline.report").joinpath("templates", name).read_text(encoding="utf-8")


def _source(text: str) -> Markup:
    """Return the policy's word for one inline text, which is safe inside an attribute as it stands."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(f"'sha256-{digest}'")


def score(value: float | None) -> str:
    """Write a score ×100 with one digit; a dash for none.

    Example:
        >>> score(21.06), score(None), score(float("nan"))
        ('21.1', '–', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{value:.1f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share (0..1) in percent.

    Example:
        >>> percent(0.614), percent(0.614, 0), percent(None)
        ('61.4 %', '61 %', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def points(value: float) -> str:
    """Write a distance between two shares (0..1), which is no percentage of either.

    Example:
        >>> points(0.034), points(0.01)
        ('3.4 percentage points', '1.0 percentage points')
    """
    return f"{100 * value:.1f} percentage points"


def _unbroken_percent(value: float | None, digits: int = 1) -> str:
    """Keep figure and sign on one line of the page."""
    return percent(value, digits).replace(" ", "\u00a0")


def chance(value: float) -> str:
    """Write a probability (0..1) in whole percent, without making the improbable impossible or sure.

    Example:
        >>> chance(0.436), chance(0.004), chance(0.9999), chance(0.0)
        ('44 %', '< 1 %', '> 99 %', '0 %')
    """
    if 0 < value < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= value < 1 else percent(value, 0)


def _unbroken_chance(value: float) -> str:
    return chance(value).replace(" ", "\u00a0")


def keep_whole(text: str) -> Markup:
    """Keep on one line what is read as one word but would be broken: options, names of metrics, percentages.

    Example:
        >>> keep_whole("BLEU-4 < 5; use --fix")
        Markup('<span class="whole">BLEU-4</span> &lt; 5; use <span class="whole">--fix</span>')
    """
    return Markup(_WHOLE.sub(r'<span class="whole">\g<0></span>', str(escape(text))))


def part_names(text: str) -> Markup:
    """Let names of files, and lines of facts, be broken behind what parts their words, before anywhere else.

    Example:
        >>> part_names("photos/a_dog.jpg")
        Markup('photos/<wbr>a_<wbr>dog.jpg')
    """
    return Markup(_PARTING.sub(r"\g<0><wbr>", str(escape(text))))


def end_together(text: str) -> str:
    """Keep a final mark from standing on a line alone where, as in many data sets, a blank precedes it.

    Example:
        >>> end_together("a dog runs .")
        'a dog runs\\xa0.'
    """
    return _LAST_MARK.sub("\u00a0", text)


def loss(value: float) -> str:
    """Write a loss (nats per token) with three digits."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def count(number: int, singular: str, plural: str = "") -> str:
    """Write a number with its noun.

    Example:
        >>> count(1, "image"), count(1200, "image"), count(2, "child", "children")
        ('1 image', '1,200 images', '2 children')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def between(interval: Interval | None) -> str:
    """Write the two ends of an interval; nothing for none.

    Example:
        >>> between(Interval(40.04, 44.0)), between(None)
        ('40.0 to 44.0', '')
    """
    return "" if interval is None else f"{score(interval.low)} to {score(interval.high)}"
