"""Captioners that a user would otherwise take, in their published sizes, with random weights: speed only."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.made_up import model, photos, what_photos
from benchmarks.measuring import ROOT, cores, in_turn, own_environment
from benchmarks.pieces import Asked, Skipped
from benchmarks.tables import Table, spelt

from cutline.captioner import Captioner

BEAMS = 3


def run(asked: Asked) -> list[Table]:
    """Caption the same images with cutline and with each peer in turn."""
    python = _python(asked)
    # A folder keeps both cores busy only while there is a batch for each: cutline gets a thousand photos, as
    # in the folder piece. Peers caption so slowly that what starts and ends a call does not show.
    count, own_count = asked.size(4, 1), asked.size(1000, 2)
    rounds = max(1, min(asked.rounds, 3))
    paths = photos(asked, own_count)
    own = Captioner.load(model(asked, "efficientnet_lite0", "int8"))
    rows, values = [], {}
    with Worker(python) as worker:
        for name in worker.ask({"list": True})["names"]:
            asked.tell(f"captioning {count} images with {name}")
            facts = worker.ask({"load": name})
            works: dict[str, Callable[[], object]] = {
                "own": lambda: list(own.caption_all(paths, BEAMS)),
                "peer": lambda: worker.ask({"caption": paths[:count]}),
            }
            found = in_turn(works, rounds)
            theirs, ours = count / found.median("peer"), len(paths) / found.median("own")
            values[name] = found.times_as_fast("own", "peer") * len(paths) / count
            rows.append([name, facts["what"], *map(spelt, (theirs, ours, values[name]))])
    note = (
        f"Random weights in the published configuration, hence **speed only**; {what_photos(asked, count)} "
        f"together for a peer, {own_count:,} for cutline (efficientnet_lite0 in int8, {BEAMS} beams), from "
        f"files to captions, {cores()} threads; median of {rounds} rounds, in turn. Peers write 10 tokens "
        "for each image, since random weights would not stop by themselves."
    )
    columns = ["peer", "decoding", "peer, images/s", "cutline, images/s", "times"]
    return [Table("", columns, rows, note, values)]


def _python(asked: Asked) -> str:
    """Return a Python with what peers need; Skipped without one."""
    if asked.peers is not None:
        if not asked.peers.exists():
            raise Skipped(f"{asked.peers} is not there")
        return str(asked.peers)
    if find_spec("torch") and find_spec("transformers"):
        return sys.executable
    raise Skipped("torch and transformers are not installed; make bench PEERS=1 installs them, about 7 GB")


class Worker:
    """A process that captions with peers, asked in lines of JSON.

    Args:
        python: Its interpreter.
    """

    def __init__(self, python: str) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            [python, str(Path(ROOT) / "benchmarks" / "peers_worker.py"), str(cores())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=own_environment() | {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"},
        )

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; RuntimeError with the last line it told when it has ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):  # it has ended: what it told is below
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        assert self._process.stderr is not None
        told = [one for one in self._process.stderr.read().splitlines() if one.strip()]
        raise RuntimeError(f"peers: {(told or ['ended without a word'])[-1]}")

    def __enter__(self) -> Worker:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
