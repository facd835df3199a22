"""Progress on standard error: bars on a terminal, plain lines elsewhere, or only warnings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

from cutline.progress import Progress, Silent, Stage

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_SOON: Final = 10.0
"""Seconds after which a plain stage tells again, when another tenth is done."""
_AT_LEAST: Final = 60.0
"""Seconds after which it tells again anyway."""
_TENTH: Final = 0.1


def choose_progress(stream: TextIO, *, quiet: bool = False, stages: bool = True) -> Progress:
    """Return the progress that suits a stream.

    Args:
        stream: Standard error.
        quiet: Tell warnings only.
        stages: Draw bars; without them notes and warnings are still told.
    """
    if quiet:
        return QuietProgress(stream)
    if not stages:
        return NotesOnly(stream)
    if stream.isatty():
        from rich.console import Console

        console = Console(file=stream)
        if not console.is_dumb_terminal:
            return RichProgress(console)
    return PlainProgress(stream)


def spell_seconds(seconds: float) -> str:
    """Write a duration for people.

    Example:
        >>> [spell_seconds(seconds) for seconds in (0.4, 59.6, 3600.0, 5000.0)]
        ['0.4 s', '1 min 00 s', '1 h 00 min', '1 h 23 min']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def spell_count(count: int, unit: str) -> str:
    """Write a number of things; ``unit`` is their plural.

    Example:
        >>> spell_count(1, "images"), spell_count(1, "batches"), spell_count(2000, "images")
        ('1 image', '1 batch', '2,000 images')
    """
    if count == 1:
        unit = unit.removesuffix("es" if unit.endswith("ches") else "s")
    return f"{count:,} {unit}"


def spell_rate(count: float, seconds: float, unit: str) -> str:
    """Write how fast work goes, ``""`` when that is unknown.

    Example:
        >>> spell_rate(1234, 2.0, "images"), spell_rate(5, 4.0, "batches"), spell_rate(0, 0.0, "rows")
        ('617 images/s', '1.2 batches/s', '')
    """
    if seconds <= 0 or count <= 0:
        return ""
    rate = count / seconds
    digits = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"
    return f"{digits} {unit}/s"


def spell_values(values: Mapping[str, float]) -> str:
    """Write live values.

    Example:
        >>> spell_values({"loss": 2.13456, "word_accuracy": 0.5})
        'loss 2.135, word accuracy 0.500'
    """
    return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in values.items())


class NotesOnly(Silent):
    """Tells notes and warnings, one per line, and no stages."""

    def __init__(self, stream: TextIO) -> None:
        """Write on ``stream``."""
        self._stream = stream

    def note(self, message: str) -> None:
        """Tell one line."""
        self._tell(message)

    def warn(self, message: str) -> None:
        """Tell one line that deserves attention."""
        self._tell(f"warning: {message}")

    def _tell(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class QuietProgress(NotesOnly):
    """Tells warnings and nothing else."""

    def note(self, message: str) -> None:
        """Do nothing."""


class PlainProgress(NotesOnly):
    """Tells stages in plain lines, few enough for a log file.

    A line when a stage starts; one when at least ten seconds and a tenth of the work have passed since the
    last one, or a minute; and one at the end with the rate.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Write on ``stream``; ``clock`` gives seconds."""
        super().__init__(stream)
        self._clock = clock

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str) -> Iterator[Stage]:
        """Open a stage."""
        size = f" {spell_count(total, unit)}" if total is not None else ""
        self._tell(f"{name}:{size} ...")
        stage = _PlainStage(self._tell, self._clock, name, total, unit)
        yield stage
        stage.finish()


class _PlainStage:
    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float], name: str, total: int | None, unit: str
    ) -> None:
        self._tell, self._clock = tell, clock
        self._name, self._total, self._unit = name, total, unit
        self._done = self._told = 0
        self._started = self._told_at = clock()
        self._values: dict[str, float] = {}

    def advance(self, count: int = 1, **values: float) -> None:
        self._done += count
        self._values.update(values)
        now = self._clock()
        waited = now - self._told_at
        if self._total is not None and self._done >= self._total:
            return  # the line at the end says so
        tenth = self._total is None or self._done - self._told >= _TENTH * self._total
        if waited >= _AT_LEAST or (waited >= _SOON and tenth):
            self._told, self._told_at = self._done, now
            self._tell(self._line(now - self._started))

    def _line(self, seconds: float) -> str:
        parts = [f"{self._name}: {spell_count(self._done, self._unit)}"]
        if self._total:
            share = min(self._done / self._total, 1.0)
            parts = [f"{self._name}: {self._done:,} of {self._total:,} {self._unit} ({share:.0%})"]
        parts.append(spell_rate(self._done, seconds, self._unit))
        if self._total and self._done:
            left = seconds * max(self._total - self._done, 0) / self._done
            parts.append(f"{spell_seconds(left)} left")
        parts.append(spell_values(self._values))
        return ", ".join(part for part in parts if part)

    def finish(self) -> None:
        seconds = self._clock() - self._started
        parts = [
            f"{self._name}: {spell_count(self._done, self._unit)} in {spell_seconds(seconds)}",
            spell_rate(self._done, seconds, self._unit),
            spell_values(self._values),
        ]
        self._tell(", ".join(part for part in parts if part))


class RichProgress:
    """Draws a bar per stage with rate, time left and live values; notes appear above the bars."""

    def __init__(self, console: Console) -> None:
        """Draw on ``console``."""
        self._console = console
        self._bars: Bars | None = None

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str) -> Iterator[Stage]:
        """Open a stage; one inside another gets a bar of its own, which goes when it ends."""
        if self._bars is not None:
            task = _new_task(self._bars, name, total, unit)
            try:
                yield _Bar(self._bars, task)
            finally:
                self._bars.remove_task(task)
            return
        self._bars = _new_bars(self._console)
        try:
            with self._bars:
                bar = _Bar(self._bars, _new_task(self._bars, name, total, unit))
                yield bar
                bar.finish()
        finally:
            self._bars = None

    def note(self, message: str) -> None:
        """Tell one line above the bars."""
        self._tell(message)

    def warn(self, message: str) -> None:
        """Tell one line that deserves attention."""
        self._tell(f"warning: {message}", style="yellow")

    def _tell(self, line: str, style: str | None = None) -> None:
        # Lines stay whole, so that a path can be copied; captions may have brackets that are no markup.
        self._console.print(line, style=style, markup=False, emoji=False, highlight=False, soft_wrap=True)


class _Bar:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars, self._task = bars, task
        self._done = 0
        self._values: dict[str, float] = {}

    def advance(self, count: int = 1, **values: float) -> None:
        self._done += count
        self._values.update(values)
        self._bars.update(self._task, completed=self._done, values=spell_values(self._values))

    def finish(self) -> None:
        # Without a total the bar would go on pulsing in what stays on the screen.
        self._bars.update(self._task, total=max(self._done, 1), completed=max(self._done, 1))


def _new_task(bars: Bars, name: str, total: int | None, unit: str) -> TaskID:
    return bars.add_task(name, total=total, unit=unit, values="")


def _new_bars(console: Console) -> Bars:
    from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Counts(ProgressColumn):
        """Finished items, and how many come in a second."""

        def render(self, task: Any) -> Text:
            total = f"/{task.total:,.0f}" if task.total is not None else ""
            rate = spell_rate(task.finished_speed or task.speed or 0.0, 1.0, task.fields["unit"])
            return Text(f"{task.completed:,.0f}{total} {task.fields['unit']}  {rate}")

    return Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        Counts(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[values]}", markup=False),
        console=console,
        expand=True,
        # Results are written to standard output directly; nothing may take them to standard error.
        redirect_stdout=False,
        redirect_stderr=False,
    )
