"""``make bench``: its tables, how it measures, what it leaves out, and that its pieces run."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmarks import bench
from benchmarks.measuring import Rounds, exponent, in_turn, run_process
from benchmarks.pieces import PIECES
from benchmarks.pieces.install import weigh
from benchmarks.pieces.scripted import number
from benchmarks.tables import Table, read_table, spelt
from benchmarks.targets import TARGETS, targets_table

ROOT = Path(__file__).resolve().parents[2]


def test_a_table_is_markdown_with_figures_to_the_right() -> None:
    rows = [["a|b", "1,234", "12%", ""], ["c", "0.5", "–", "yes"]]
    table = Table("Rates", ["what", "images/s", "share", "met"], rows, "A note.")
    assert table.markdown() == (
        "#### Rates\n\nA note.\n\n| what | images/s | share | met |\n| --- | ---: | ---: | --- |\n"
        "| a\\|b | 1,234 | 12% |  |\n| c | 0.5 | – | yes |"
    )


def test_the_table_that_a_script_prints_is_read_back() -> None:
    printed = "attend; 200 GFLOP/s\n\n| what | times |\n| --- | ---: |\n| one | 2.5 |\n| two |  |\n\nmore"
    assert read_table(printed) == (["what", "times"], [["one", "2.5"], ["two", ""]])
    with pytest.raises(ValueError, match="no table"):
        read_table("nothing | here")


def test_figures_are_written_with_three_digits_that_count_and_read_back() -> None:
    assert [spelt(value) for value in (12345.6, 123.4, 12.34, 1.234, 0.1234, 0)] == [
        *("12,346", "123", "12.3", "1.23", "0.123", "0"),
    ]
    assert [number(cell) for cell in ("1,234", "85%", "2.5")] == [1234.0, 0.85, 2.5]
    assert np.isnan(number(""))


def test_the_exponent_is_that_of_a_power() -> None:
    sizes = [100, 1_000, 10_000]
    assert exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert exponent(sizes, [7, 7, 7]) == pytest.approx(0)


@pytest.mark.parametrize(
    ("sizes", "figures"), [([1, 1], [1, 2]), ([1, 2], [0, 1]), ([1, 2], [1]), ([1], [1])]
)
def test_an_exponent_that_cannot_be_told_is_refused(sizes: list[int], figures: list[int]) -> None:
    with pytest.raises(ValueError, match="an exponent needs"):
        exponent(sizes, figures)


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    found = in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert calls == ["a", "b"] * 3
    assert [len(seconds) for seconds in found.seconds.values()] == [2, 2]


def test_the_peak_of_a_process_is_its_own_and_not_that_of_who_measures() -> None:
    ballast = np.ones(300 * 2**20, np.uint8)
    small = run_process([sys.executable, "-c", "print('done')"])
    large = run_process([sys.executable, "-c", f"len(b'x' * {200 * 2**20})"])
    assert small.output.strip() == "done"
    assert small.peak < 100 < 200 < large.peak < 300
    assert len(ballast)


def test_a_process_that_fails_is_told_by_its_last_line() -> None:
    with pytest.raises(RuntimeError, match="no such photo"):
        run_process([sys.executable, "-c", "raise SystemExit('first\\nno such photo')"])


def test_packages_are_weighed_apart_from_what_every_environment_has(tmp_path: Path) -> None:
    inside = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in (
        "numpy/core.so",
        "numpy.libs/blas.so",
        "PIL/x.py",
        "pillow-1.dist-info/METADATA",
        "pip/pip.py",
    ):
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_bytes(b"x" * 2**20)
    (inside / "numpy" / "core.pyc").write_bytes(b"x" * 2**20)
    sizes, compiled = weigh(tmp_path)
    assert {name: round(size) for name, size in sizes.items()} == {
        "numpy": 3,
        "pillow": 2,
        "what the environment came with (pip, setuptools)": 1,
    }
    assert round(compiled) == 1


def test_what_is_wanted_is_compared_with_what_was_found() -> None:
    values = {"cold_start": {"seconds": 2.0, "peak": 200.0}}
    rows = {row[0]: row[1:] for row in targets_table(values).rows}
    assert rows == {
        "one photo, cold: seconds": ["≤ 1.30", "2.00", "no"],
        "one photo, cold: peak memory, MiB": ["≤ 260", "200", "yes"],
    }
    assert {target.place[0].split("/")[0] for target in TARGETS} <= set(PIECES)


def test_every_piece_is_a_module_and_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(PIECES)


@pytest.mark.parametrize("name", ["making", *(f"pieces.{name}" for name in PIECES)])
def test_every_piece_finds_what_it_needs_of_cutline(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(getattr(module, "main" if name == "making" else "run"))


def test_a_run_writes_tables_and_says_why_a_topic_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "results.md"
    page.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n", encoding="utf-8")
    only = ["--only", "ceilings", "--only", "confidence", "--only", "install"]
    assert bench.main([*only, "--quick", "--out", str(tmp_path), "--write", str(page)]) == 0
    text = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert "| product of matrices, bfloat16 | TensorFlow |" in text
    assert "Left out: needs a trained model and photos: --model MODEL --images PHOTOS." in text
    assert "Left out: an installation has no tiny size." in text
    assert page.read_text(encoding="utf-8") == f"before\n{bench.BEGIN}\n\n{text}\n{bench.END}\nafter\n"
    kept = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in kept["found"]] == ["ceilings", "install", "confidence"]
    assert kept["found"][0]["tables"][0]["values"]["gemm_float32"] > 0
    captured = capsys.readouterr()
    assert captured.out.strip() == text.strip()
    assert "confidence: left out: needs a trained model" in captured.err


def test_a_topic_that_fails_stops_no_other_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ["--only", "parity", "--only", "confidence", "--quick", "--out", str(tmp_path)]
    assert bench.main([*only, "--model", str(tmp_path), "--images", str(tmp_path)]) == 1
    text = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert text.count("Failed: ") == 2
    # Why is told where it happens: the page may be published, and reasons name folders.
    told = capsys.readouterr().err
    assert "neither a run folder nor a bundle" not in text
    assert "parity: failed" in told
    assert "neither a run folder nor a bundle" in told


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def running_commands() -> str:
    commands = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            commands.append(process.read_text(errors="replace"))
    return "\n".join(commands)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "bench.py"), "--only", "ceilings", "--minutes", "1"]
    run = subprocess.Popen(
        [*command, "--rounds", "9999", "--out", str(tmp_path)],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: f"--work\0{tmp_path}" in running_commands())
    finally:
        run.send_signal(number)
        run.wait()
    wait_until(lambda: str(tmp_path) not in running_commands())
    assert number == signal.SIGKILL or not list(tmp_path.iterdir())


def test_no_topic_is_begun_when_the_time_is_over(tmp_path: Path) -> None:
    assert bench.main(["--only", "ceilings", "--minutes", "0.1", "--out", str(tmp_path)]) == 0
    assert "Left out: the 0.1 minutes were over" in (tmp_path / "bench.md").read_text(encoding="utf-8")


def test_a_page_without_a_place_for_tables_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(SystemExit, match="no place for the tables"):
        bench.main(["--only", "ceilings", "--out", str(tmp_path), "--write", str(page)])
    assert page.read_text(encoding="utf-8") == "no marks"
    assert not (tmp_path / "bench.md").exists()


def test_the_page_of_results_has_a_place_for_the_tables() -> None:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert text.index(bench.BEGIN) < text.index(bench.END)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_topics_run_at_tiny_sizes(tmp_path: Path) -> None:
    names = [name for name in PIECES if name != "peers"]
    only = [part for name in names for part in ("--only", name)]
    assert bench.main([*only, "--quick", "--out", str(tmp_path)]) == 0


def test_a_share_of_several_is_the_median_of_what_rounds_say() -> None:
    found = Rounds({"a": [1.0, 1.0, 2.0], "b": [3.0, 1.0, 2.0], "c": [0.0, 0.0, 4.0]})
    assert found.share_of("a", ["a", "b"]) == 0.5
    assert found.share_of("a", ["a", "b", "c"]) == 0.25
