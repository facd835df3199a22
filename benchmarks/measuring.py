"""Measuring: contestants in turn, processes with their peak of memory, and how figures grow with a size."""

from __future__ import annotations

import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_LAUNCHER = Path(__file__).with_name("launcher.py")
# Threads of the contestant before go on looking for work for a moment.
_REST = 0.05


@dataclass(frozen=True)
class Rounds:
    """Seconds of each contestant in each round.

    Attributes:
        seconds: Name → one value per round.
    """

    seconds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """Return the median of a contestant's seconds."""
        return statistics.median(self.seconds[name])

    def times_as_fast(self, name: str, other: str) -> float:
        """Return how many times as fast a contestant is as another: the median of what rounds say."""
        pairs = zip(self.seconds[other], self.seconds[name], strict=True)
        return statistics.median(slow / fast for slow, fast in pairs)

    def share_of(self, name: str, names: Sequence[str]) -> float:
        """Return the share (0..1) of one contestant in the sum of several: the median of what rounds say."""
        rounds = zip(self.seconds[name], *(self.seconds[one] for one in names), strict=True)
        return statistics.median(own / sum(others) for own, *others in rounds)


def in_turn(contestants: Mapping[str, Callable[[], object]], rounds: int, warm: int = 1) -> Rounds:
    """Call contestants one after the other, round by round, so that other work slows all of them alike.

    Args:
        contestants: Name → what is timed.
        rounds: How often.
        warm: Rounds before those, which do not count: they compile, and fill caches.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(warm + rounds):
        for name, work in contestants.items():
            time.sleep(_REST)
            begin = time.perf_counter()
            work()
            if number >= warm:
                seconds[name].append(time.perf_counter() - begin)
    return Rounds(seconds)


@dataclass(frozen=True)
class Process:
    """What a process of its own took.

    Attributes:
        seconds: From its start to its end.
        peak: Most memory it held, MiB.
        output: What it printed.
    """

    seconds: float
    peak: float
    output: str


def run_process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
    """Run a command from beginning to end.

    Raises:
        RuntimeError: It failed; the message is the end of what it told.
    """
    done = subprocess.run(
        [sys.executable, "-S", str(_LAUNCHER), *command],
        capture_output=True,
        text=True,
        check=False,
        env=own_environment() | dict(environment or {}),
    )
    output, _, facts = done.stdout.rstrip("\n").rpartition("\n")
    if done.returncode or json.loads(facts)["code"]:
        told = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing was told"]
        raise RuntimeError(f"{' '.join(command[:4])} ...: {told[-1]}")
    measured = json.loads(facts)
    return Process(measured["seconds"], measured["peak"], output)


def own_environment() -> dict[str, str]:
    """Return the environment in which pieces and their helpers run: with this checkout's cutline.

    NumPy's products have one thread each, as ``cutline caption`` has it.
    """
    paths = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    own = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **own}


@dataclass(frozen=True)
class Alone:
    """What a function gave in a process of its own.

    Attributes:
        result: What it returned.
        peak: Most memory of the process, MiB.
    """

    result: Any
    peak: float


def alone(function: str, **arguments: Any) -> Alone:
    """Call ``module:function`` with plain JSON values in a process of its own; it returns such values."""
    command = [sys.executable, "-m", "benchmarks.measuring", function, json.dumps(arguments)]
    done = run_process(command)
    return Alone(json.loads(done.output.strip().splitlines()[-1]), done.peak)


def _called_alone(function: str, arguments: str) -> None:
    module, name = function.split(":")
    result = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    print("\n" + json.dumps(result))


def exponent(sizes: Sequence[float], figures: Sequence[float]) -> float:
    """Return b of figure = a · size^b, by least squares on the logarithms.

    Raises:
        ValueError: Fewer than two sizes, or a value that is not above 0.

    Example:
        >>> round(exponent([1, 10, 100], [3, 30, 300]), 6)
        1.0
    """
    if len(sizes) != len(figures) or len(set(sizes)) < 2:
        raise ValueError("an exponent needs at least two different sizes, and a figure for each")
    if min(*sizes, *figures) <= 0:
        raise ValueError("an exponent needs sizes and figures above 0")
    xs, ys = [math.log(size) for size in sizes], [math.log(figure) for figure in figures]
    return statistics.linear_regression(xs, ys).slope


def cores() -> int:
    """Return how many processor cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


if __name__ == "__main__":
    _called_alone(*sys.argv[1:])
