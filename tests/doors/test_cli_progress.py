"""Progress on standard error."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cutline.cli.progress import (
    NotesOnly,
    PlainProgress,
    QuietProgress,
    RichProgress,
    choose_progress,
    spell_rate,
    spell_seconds,
    spell_values,
)


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def told(total: int | None, steps: int, seconds: float, **values: float) -> list[str]:
    stream, clock = io.StringIO(), Clock()
    with PlainProgress(stream, clock).stage("encoding images", total, "images") as stage:
        for _ in range(steps):
            clock.now += seconds
            stage.advance(1, **values)
    return stream.getvalue().splitlines()


def test_a_quick_stage_has_a_line_at_its_start_and_one_at_its_end() -> None:
    assert told(1000, 1000, 0.001) == [
        "encoding images: 1,000 images ...",
        "encoding images: 1,000 images in 1.0 s, 1,000 images/s",
    ]


def test_a_stage_of_one_item_is_told_in_the_singular() -> None:
    assert told(1, 1, 1.0)[0] == "encoding images: 1 image ..."
    assert told(1, 1, 1.0)[-1].startswith("encoding images: 1 image in 1.0 s")


def test_a_slow_stage_tells_every_tenth_with_rate_time_left_and_values() -> None:
    lines = told(100, 100, 2.0, loss=2.13456)
    assert len(lines) == 1 + 9 + 1
    assert lines[1] == "encoding images: 10 of 100 images (10%), 0.5 images/s, 3 min 00 s left, loss 2.135"
    assert lines[-1] == "encoding images: 100 images in 3 min 20 s, 0.5 images/s, loss 2.135"


def test_a_very_slow_stage_tells_once_a_minute() -> None:
    lines = told(100_000, 600, 1.0)
    assert len(lines) == 1 + 10 + 1


def test_a_stage_of_unknown_length_tells_every_ten_seconds() -> None:
    lines = told(None, 35, 1.0)
    assert lines[0] == "encoding images: ..."
    assert [line.split()[2] for line in lines[1:]] == ["10", "20", "30", "35"]
    assert not any("left" in line or "%" in line for line in lines)


def test_a_stage_that_fails_does_not_claim_its_end() -> None:
    stream = io.StringIO()

    def fail() -> None:
        with PlainProgress(stream).stage("encoding images", 3, "images"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert stream.getvalue() == "encoding images: 3 images ...\n"


def test_a_stage_without_anything_to_do_ends() -> None:
    assert told(0, 0, 0.0) == ["encoding images: 0 images ...", "encoding images: 0 images in 0.0 s"]


def test_quiet_keeps_warnings_only() -> None:
    stream = io.StringIO()
    quiet = QuietProgress(stream)
    quiet.note("a note")
    with quiet.stage("encoding images", 3, "images") as stage:
        stage.advance(3)
    quiet.warn("a warning")
    assert stream.getvalue() == "warning: a warning\n"


def test_the_stream_decides() -> None:
    assert type(choose_progress(io.StringIO())) is PlainProgress
    assert type(choose_progress(io.StringIO(), quiet=True)) is QuietProgress
    assert type(choose_progress(Terminal(), stages=False)) is NotesOnly


@pytest.mark.parametrize(("term", "expected"), [("xterm", RichProgress), ("dumb", PlainProgress)])
def test_bars_are_for_terminals_that_can_draw(
    monkeypatch: pytest.MonkeyPatch, term: str, expected: type
) -> None:
    monkeypatch.setenv("TERM", term)
    assert type(choose_progress(Terminal())) is expected


def drawn(width: int = 120) -> tuple[io.StringIO, RichProgress]:
    stream = io.StringIO()
    return stream, RichProgress(Console(file=stream, force_terminal=True, width=width, no_color=True))


def test_a_bar_ends_full_with_its_values() -> None:
    stream, progress = drawn()
    with progress.stage("epoch 1/5", 4, "batches") as stage:
        for _ in range(4):
            stage.advance(loss=2.5, word_accuracy=0.25)
    last = stream.getvalue().splitlines()[-2]
    assert "epoch 1/5" in last
    assert "4/4 batches" in last
    assert "loss 2.500, word accuracy 0.250" in last


def test_notes_beside_bars_are_whole_and_without_markup() -> None:
    stream, progress = drawn(width=40)
    with progress.stage("epoch 1/5", 4, "batches"):
        progress.note("photos/[red]dog[/red] :dog: " + "x" * 60)
        progress.warn("a [warning]")
    assert "photos/[red]dog[/red] :dog: " + "x" * 60 in stream.getvalue()
    assert "warning: a [warning]" in stream.getvalue()


def test_one_stage_after_another_and_one_inside_another_work() -> None:
    stream, progress = drawn()
    with progress.stage("outer", 2, "epochs") as outer:
        for _ in range(2):
            with progress.stage("inner", None, "batches") as inner:
                inner.advance(3)
            outer.advance()
    with progress.stage("later", 1, "images") as stage:
        stage.advance()
    assert "2/2 epochs" in stream.getvalue()
    assert "1/1 images" in stream.getvalue()


def test_a_failing_stage_lets_the_next_one_draw() -> None:
    stream, progress = drawn()

    def fail() -> None:
        with progress.stage("first", 2, "images"):
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    with progress.stage("second", 1, "images") as stage:
        stage.advance()
    assert "1/1 images" in stream.getvalue()


def test_durations_rates_and_values_are_spelt_for_people() -> None:
    assert [spell_seconds(s) for s in (0.04, 9.96, 59.4, 61, 7261)] == [
        "0.0 s",
        "10 s",
        "59 s",
        "1 min 01 s",
        "2 h 01 min",
    ]
    assert spell_rate(12345, 1.0, "images") == "12,345 images/s"
    assert spell_rate(1, 0.0, "images") == ""
    assert spell_values({}) == ""
