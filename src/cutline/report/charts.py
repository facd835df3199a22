"""Where things stand in a line chart, so that a template can draw it as SVG inside the page.

The page is light or dark, narrow or printed, so its charts take their colours and letters from the page's
style. Pictures of a plotting library cannot, and are larger; what is needed here is a scale and ticks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cutline.records import Interval

WIDTH: Final = 360
HEIGHT: Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 26, 38
_MOST_MARKS: Final = 40
# Values that differ by less cannot be told apart by ticks: there are not enough numbers between them.
_FLAT_RELATIVE: Final = 1e-9
_FLAT: Final = 1e-300

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """What an axis measures and from where to where; ``ticks`` are values on it."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]


@dataclass(frozen=True)
class Series:
    """A line: points (x, y) in the units of the axes; a NaN leaves a gap. Intervals are of y."""

    name: str
    points: tuple[Point, ...]
    intervals: tuple[Interval | None, ...] = ()


@dataclass(frozen=True)
class Tick:
    """A value written beside an axis, with its place in pixels."""

    at: str
    text: str


@dataclass(frozen=True)
class Line:
    """A series as drawn: ``paths`` of an SVG, and the pixels of its marks and whiskers."""

    name: str
    paths: tuple[str, ...]
    marks: tuple[tuple[str, str], ...]
    whiskers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Chart:
    """A line chart ready for ``charts.html.j2``; every coordinate is in pixels of its view box.

    Attributes:
        title: What it shows.
        description: The same for those who do not see it, with its first and last values.
        x_label: Name and unit of the horizontal axis; likewise ``y_label``.
        x_ticks: Values below the horizontal axis; likewise ``y_ticks``.
        lines: One per series, at most two.
        ideal: SVG path of a line to compare with, or ``""``.
        ahead: A line that goes on where measurements end: its name, its SVG path, and that of its band.
        marked: Pixel of a marked place on the horizontal axis, or ``""``, and what it is.
    """

    title: str
    description: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    ideal: str = ""
    ahead: tuple[str, str, str] | None = None
    marked: tuple[str, str] = ("", "")
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def axis(label: str, values: Iterable[float], *, zero: bool = True, whole: bool = False) -> Axis:
    """Make an axis that holds all values, with up to six round ticks.

    Args:
        label: Its name and unit.
        values: What must fit; NaN is passed over.
        zero: Begin at 0 when nothing is below it.
        whole: Have ticks at whole numbers only, as for epochs, and end at the values.

    Example:
        >>> axis("CIDEr-D", [12.0, 47.0]).ticks
        (0.0, 10.0, 20.0, 30.0, 40.0, 50.0)
        >>> axis("epoch", [1, 2, 3], zero=False, whole=True).ticks
        (1.0, 2.0, 3.0)
    """
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if zero:
        low = min(low, 0.0)
    largest = max(abs(low), abs(high))
    if high - low <= max(_FLAT, _FLAT_RELATIVE * largest):
        room = max(0.5, _FLAT_RELATIVE * 1e3 * largest)
        low, high = (low - room, high + room) if whole or not zero else (low, low + 2 * room)
    step = _round_step((high - low) / 5)
    if whole:
        step = max(1.0, math.ceil(step))
        first, last = math.ceil(low / step), math.floor(high / step)
        if first > last:  # no whole number lies between the values
            first, last = math.floor(low / step), math.ceil(high / step)
            low, high = first * step, last * step
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        low, high = first * step, last * step
    return Axis(label, low, high, tuple(number * step for number in range(first, last + 1)))


def percent_axis(label: str) -> Axis:
    """Make an axis from 0 to 100 %."""
    return Axis(label, 0.0, 100.0, (0.0, 20.0, 40.0, 60.0, 80.0, 100.0))


def chart(
    title: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    *,
    ideal: tuple[Point, Point] | None = None,
    ahead: Series | None = None,
    marked: tuple[float, str] | None = None,
) -> Chart:
    """Place series on two axes.

    Args:
        title: What the chart shows.
        x: Horizontal axis.
        y: Vertical axis.
        series: One or two.
        ideal: Ends of a line to compare with.
        ahead: What is expected beyond the measurements, with an interval at each point.
        marked: A place on the horizontal axis, and what it is.
    """

    def place(point: Point) -> tuple[str, str]:
        return _across(x, point[0]), _up(y, point[1])

    return Chart(
        title=title,
        description=_describe(title, x, [*series, *([ahead] if ahead else [])]),
        x_label=x.label,
        y_label=y.label,
        x_ticks=tuple(Tick(_across(x, value), _text(value)) for value in x.ticks),
        y_ticks=tuple(Tick(_up(y, value), _text(value)) for value in y.ticks),
        lines=tuple(_line(one, x, y) for one in series),
        ideal=_path([place(end) for end in ideal]) if ideal else "",
        ahead=_ahead(ahead, x, y) if ahead else None,
        marked=(_across(x, marked[0]), marked[1]) if marked else ("", ""),
    )


def _ahead(series: Series, x: Axis, y: Axis) -> tuple[str, str, str]:
    line = [(_across(x, point[0]), _up(y, point[1])) for point in series.points]
    known = [(p[0], i) for p, i in zip(series.points, series.intervals, strict=False) if i is not None]
    above = [(_across(x, at), _up(y, interval.high)) for at, interval in known]
    below = [(_across(x, at), _up(y, interval.low)) for at, interval in reversed(known)]
    return series.name, _path(line), f"{_path([*above, *below])}Z" if known else ""


def _line(series: Series, x: Axis, y: Axis) -> Line:
    runs: list[list[tuple[str, str]]] = [[]]
    for point in series.points:
        if all(math.isfinite(value) for value in point):
            runs[-1].append((_across(x, point[0]), _up(y, point[1])))
        elif runs[-1]:
            runs.append([])
    marks = [mark for run in runs for mark in run]
    intervals = zip(series.points, series.intervals, strict=False)
    return Line(
        name=series.name,
        paths=tuple(_path(run) for run in runs if len(run) > 1),
        # A mark at every epoch of a long training would hide the line.
        marks=tuple(marks if len(marks) <= _MOST_MARKS else ()),
        whiskers=tuple(
            (_across(x, point[0]), _up(y, interval.low), _up(y, interval.high))
            for point, interval in intervals
            if interval is not None
        ),
    )


def _path(places: Sequence[tuple[str, str]]) -> str:
    return "M" + "L".join(f"{across} {up}" for across, up in places)


def _across(axis: Axis, value: float) -> str:
    return _pixel(_LEFT + _share(axis, value) * (WIDTH - _LEFT - _RIGHT))


def _up(axis: Axis, value: float) -> str:
    return _pixel(HEIGHT - _BOTTOM - _share(axis, value) * (HEIGHT - _TOP - _BOTTOM))


def _share(axis: Axis, value: float) -> float:
    return (value - axis.low) / (axis.high - axis.low)


def _pixel(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def _round_step(step: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below ``step``."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * (1 - 1e-9))


def _describe(title: str, x: Axis, series: Sequence[Series]) -> str:
    parts = []
    for one in series:
        known = [point for point in one.points if all(math.isfinite(value) for value in point)]
        if known:
            (first_x, first_y), (last_x, last_y) = known[0], known[-1]
            parts.append(
                f"{one.name}: {first_y:.4g} at {_text(first_x)}"
                + (f", {last_y:.4g} at {_text(last_x)}" if len(known) > 1 else "")
            )
    return f"{title}, over {x.label}. {'; '.join(parts)}." if parts else f"{title}: nothing to draw."
