"""All benchmarks in one run, as one page of tables: ``make bench``.

    python benchmarks/bench.py [--only NAME] [--model MODEL] [--images PHOTOS] [--encoder-weights FILE]

Without options everything is made up: pictures, features, and a model with random weights, on which speed
does not depend. Contestants are measured in turn, in one run, and medians are printed: look at ratios, since
seconds depend on the machine and on what else it does. Each topic runs in a process of its own; one that
cannot be measured here is left out with a line that says why. Written are bench.md and bench.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from benchmarks.measuring import cores, own_environment  # noqa: E402
from benchmarks.pieces import PIECES, Asked, Skipped  # noqa: E402
from benchmarks.tables import Table  # noqa: E402
from benchmarks.targets import targets_table  # noqa: E402

from cutline.files import replacing, write_json, write_text  # noqa: E402

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
_SHORTEST = 30.0
_LOOK = 1.0
_NOTE = "note: "
_PACKAGES = ("cutline", "numpy", "onnxruntime", "tensorflow-cpu", "tensorflow", "keras", "pillow")


@dataclass(frozen=True)
class Found:
    """What came of one topic.

    Attributes:
        name: Of the piece.
        seconds: How long it took.
        tables: What it found.
        skipped: Why it was left out; empty when it was not.
        failed: What went wrong; empty when nothing did.
    """

    name: str
    seconds: float
    tables: Sequence[Table] = ()
    skipped: str = ""
    failed: str = ""

    def markdown(self) -> str:
        """Return it with its heading."""
        parts = [f"### {PIECES[self.name]}", *(table.markdown() for table in self.tables)]
        if self.skipped:
            parts.append(f"Left out: {self.skipped}.")
        if self.failed:
            # The page may be published; the reason may name folders of this machine.
            parts.append("Failed: what was printed says why.")
        return "\n\n".join(parts)


@dataclass(frozen=True)
class Bench:
    """A whole run.

    Attributes:
        found: Of each topic.
        facts: About the machine and the packages.
    """

    found: Sequence[Found]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, dict[str, float]]:
        """All figures: name of the piece → name → value; those of later tables are ``name/title``."""
        return {
            f"{one.name}{f'/{table.title}' if place else ''}": dict(table.values)
            for one in self.found
            for place, table in enumerate(one.tables)
        }

    def markdown(self) -> str:
        """Return the page."""
        facts = self.facts
        about = (
            f"Made by `make bench` on {facts['day']} with {facts['processor']}, {facts['cores']} cores, "
            f"{facts['memory']}; {facts['packages']}. The load of the machine was {facts['load']} before, "
            f"and all took {facts['minutes']:.0f} minutes."
        )
        wanted = targets_table(self.values)
        last = [f"### What is wanted\n\n{wanted.markdown()}"] if wanted.rows else []
        return "\n\n".join([about, *(one.markdown() for one in self.found), *last]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"facts": dict(self.facts), "found": [asdict(one) for one in self.found]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; returns the exit code."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.list:
        print("\n".join(f"{name:12} {heading}" for name, heading in PIECES.items()))
        return 0
    if asked.piece:
        return _run_piece(asked)
    for given in (asked.model, asked.images, asked.encoder_weights):
        if given is not None and not given.exists():
            parser.error(f"{given}: no such file or folder")
    if asked.write is not None:
        _marked(asked.write)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return _run_all(asked)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, _: object) -> None:
    """End as after Ctrl-C: processes that were started end, too, and what was made up is removed."""
    raise SystemExit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--only", action="append", choices=PIECES, metavar="NAME", help="of --list; several times"
    )
    parser.add_argument("--list", action="store_true", help="name the topics")
    parser.add_argument("--model", type=Path, help="a trained run or bundle, instead of random weights")
    parser.add_argument("--images", type=Path, help="a folder of photos, instead of made-up pictures")
    parser.add_argument("--encoder-weights", type=Path, help="weights of ResNet-50, instead of random ones")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="a Python with torch and transformers")
    parser.add_argument("--rounds", type=int, default=5, help="how often contestants are measured (5)")
    parser.add_argument("--minutes", type=float, default=28, help="when the last topic has to be done (28)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: to see that all runs, not how fast")
    parser.add_argument("--out", type=Path, default=Path(), help="folder of bench.md and bench.json")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="put the tables into a page, too, between its marks"
    )
    parser.add_argument("--piece", choices=PIECES, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    return parser


def _run_piece(asked: argparse.Namespace) -> int:
    """Measure one topic in this process, and leave tables in the working folder."""

    def tell(line: str) -> None:
        print(f"{_NOTE}{line}", flush=True)

    if asked.parent is not None:
        threading.Thread(target=_end_with, args=(asked.parent,), daemon=True).start()
    own = Asked(
        *(asked.work, asked.model, asked.images, asked.encoder_weights, asked.peers),
        rounds=1 if asked.quick else asked.rounds,
        quick=asked.quick,
        tell=tell,
    )
    found: dict[str, Any] = {}
    try:
        module = importlib.import_module(f"benchmarks.pieces.{asked.piece}")
        found["tables"] = [table.to_dict() for table in module.run(own)]
    except Skipped as reason:
        found["skipped"] = str(reason)
    write_json(asked.work / f"{asked.piece}.json", found)
    return 0


def _end_with(parent: int) -> None:
    """End this process and those it has started when the one that started it has ended, however it did."""
    while hasattr(os, "killpg") and os.getppid() == parent:
        time.sleep(_LOOK)
    if hasattr(os, "killpg"):
        os.killpg(os.getpid(), signal.SIGKILL)


def _run_all(asked: argparse.Namespace) -> int:
    from cutline.cli.progress import choose_progress

    names = [name for name in PIECES if not asked.only or name in asked.only]
    begin, facts = time.perf_counter(), _facts()
    progress = choose_progress(sys.stderr)
    found: list[Found] = []
    with tempfile.TemporaryDirectory(prefix="cutline-bench-") as work:
        with progress.stage("benchmarks", len(names), "topics") as stage:
            for name in names:
                left = 60 * asked.minutes - (time.perf_counter() - begin)
                found.append(_measured(name, asked, Path(work), progress, left))
                stage.advance()
        facts["minutes"] = (time.perf_counter() - begin) / 60
    bench = Bench(found, facts)
    text = bench.markdown()
    write_text(asked.out / "bench.md", text)
    write_json(asked.out / "bench.json", bench.to_dict())
    if asked.write is not None:
        _put_between_marks(asked.write, text)
    print(text)
    return 1 if any(one.failed for one in found) else 0


def _measured(name: str, asked: argparse.Namespace, work: Path, progress: Any, left: float) -> Found:
    """Measure one topic in a process of its own, which has ``left`` seconds."""
    if left < _SHORTEST:
        reason = f"the {asked.minutes:g} minutes were over; measure it with --only {name}, or raise --minutes"
        progress.note(f"{name}: left out: {reason}")
        return Found(name, 0.0, skipped=reason)
    command = [sys.executable, str(Path(__file__).resolve()), "--piece", name, "--work", str(work)]
    command += ["--parent", str(os.getpid())]
    for option in ("model", "images", "encoder_weights", "peers"):
        if (given := getattr(asked, option)) is not None:
            # A Python of an environment must keep its name: what a link points to is another one.
            command += [f"--{option.replace('_', '-')}", str(given.absolute())]
    command += ["--rounds", str(asked.rounds), *(["--quick"] if asked.quick else [])]
    begin = time.perf_counter()
    progress.note(f"{name}: begun")
    code, told = _followed(command, work, left, lambda line: progress.note(f"{name}: {line}"))
    seconds = time.perf_counter() - begin
    result = work / f"{name}.json"
    if code or not result.exists():
        progress.warn(f"{name}: failed: {told}")
        return Found(name, seconds, failed=told)
    values = json.loads(result.read_text(encoding="utf-8"))
    if "skipped" in values:
        progress.note(f"{name}: left out: {values['skipped']}")
        return Found(name, seconds, skipped=values["skipped"])
    progress.note(f"{name}: done in {seconds:.0f} s")
    return Found(name, seconds, [Table.from_dict(table) for table in values["tables"]])


def _followed(command: list[str], work: Path, left: float, tell: Any) -> tuple[int, str]:
    """Run a command and pass on its notes; returns its code and the last line of its errors."""
    errors = work / "errors.txt"
    late = threading.Event()
    process = _started(command, errors)

    def end() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(left, end)
    try:
        timer.start()
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.startswith(_NOTE):
                    tell(line.removeprefix(_NOTE).rstrip())
        code = process.wait()
    finally:
        timer.cancel()
        _kill(process)
        process.wait()
    if late.is_set():
        return 1, f"it was not done after {left / 60:.1f} minutes, when the time was over; raise --minutes"
    told = [line for line in errors.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    return code, (told or ["nothing was told"])[-1]


def _started(command: list[str], errors: Path) -> subprocess.Popen[str]:
    """Start a command; who is told to end meanwhile ends when there is a process to take along."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        with errors.open("wb") as stream:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                cwd=ROOT,
                env=own_environment(),
                start_new_session=True,
            )
    finally:
        signal.signal(signal.SIGTERM, before)
    if told:
        _kill(process)
        process.wait()
        signal.raise_signal(signal.SIGTERM)
    return process


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process and those it has started; nothing happens when they have ended."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError:
            return
    elif process.poll() is None:
        process.kill()


def _facts() -> dict[str, Any]:
    """Describe the machine and the packages; nothing that tells whose machine it is."""
    packages = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {
        "day": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": cores(),
        "memory": _memory(),
        "packages": ", ".join(packages),
        "load": load,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    known = {"avx2": "AVX2", "avx512_vnni": "AVX-512 VNNI", "avx512_bf16": "AVX-512 BF16", "amx_int8": "AMX"}
    able = [name for flag, name in known.items() if flag in flags]
    return " with ".join([(names or [platform.machine()])[0], *([", ".join(able)] if able else [])])


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"
    except (AttributeError, ValueError, OSError):
        return "unknown memory"


def _marked(page: Path) -> tuple[str, str]:
    """Return what stands before and after the place for the tables, marks included."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise SystemExit(f"--write {page}: cannot be read ({error.strerror})") from None
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise SystemExit(f"--write {page}: has no place for the tables; mark it with {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN, END + rest.partition(END)[2]


def _put_between_marks(page: Path, text: str) -> None:
    before, after = _marked(page)
    with replacing(page) as stream:
        stream.write(f"{before}\n\n{text}\n{after}")


if __name__ == "__main__":
    sys.exit(main())
