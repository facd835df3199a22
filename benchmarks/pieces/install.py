"""How much room the light install takes: a fresh environment with nothing but cutline."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from collections import defaultdict
from pathlib import Path

from benchmarks.measuring import ROOT
from benchmarks.pieces import Asked, Skipped
from benchmarks.tables import Table

LIMIT = 200
_MANY = 8
_INSTALLERS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
_OWN_OF_VENV = "what the environment came with (pip, setuptools)"


def run(asked: Asked) -> list[Table]:
    """Install into a fresh environment and weigh it."""
    if asked.quick:
        raise Skipped("an installation has no tiny size")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "light"
        venv.create(folder, with_pip=True)
        asked.tell("installing cutline, with no extra, into a fresh environment")
        quiet = ["--quiet", "--disable-pip-version-check", "--no-cache-dir"]
        done = subprocess.run(
            [folder / _BIN / "python", "-m", "pip", "install", *quiet, str(_copy_of_source(Path(scratch)))],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise Skipped(f"pip could not install it ({(told or ['no reason was given'])[0]})")
        return _weighed(folder)


_BIN = "Scripts" if sys.platform == "win32" else "bin"


def _copy_of_source(scratch: Path) -> Path:
    """Copy what a build needs: building must not leave anything in the checkout."""
    target = scratch / "source"
    target.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, target / name)
    shutil.copytree(ROOT / "src", target / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return target


def _weighed(folder: Path) -> list[Table]:
    sizes, compiled = weigh(folder)
    whole = sum(sizes.values())
    largest = sorted(sizes.items(), key=lambda item: -item[1])
    alone = whole - sizes[_OWN_OF_VENV]
    shown = [(name, size) for name, size in largest if name != _OWN_OF_VENV][:_MANY]
    rest = alone - sum(size for _, size in shown)
    figures = [
        *shown,
        ("the rest", rest),
        ("**cutline and what it needs**", alone),
        (_OWN_OF_VENV, sizes[_OWN_OF_VENV]),
        ("**whole environment**", whole),
        ("of it, compiled by pip (`__pycache__`)", compiled),
    ]
    rows = [[name, f"{size:.1f}"] for name, size in figures]
    note = f"Room on the disk, as `du` counts it. At most {LIMIT} MiB are wanted."
    values = {"whole": whole, "alone": alone, "compiled": compiled}
    return [Table("", ["package", "MiB"], rows, note, values)]


def weigh(folder: Path) -> tuple[dict[str, float], float]:
    """Return package → MiB of its files on the disk, and the MiB of compiled modules among them."""
    sizes: dict[str, float] = defaultdict(float)
    compiled = 0.0
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        room = path.stat().st_blocks * 512 / 2**20
        parts = path.relative_to(folder).parts
        inside = parts[parts.index("site-packages") + 1 :] if "site-packages" in parts else ()
        sizes[_package(inside)] += room
        compiled += room * (path.suffix == ".pyc")
    return sizes, compiled


def _package(parts: tuple[str, ...]) -> str:
    """Name the package that a file of site-packages belongs to."""
    if len(parts) < 2:
        return _OWN_OF_VENV if not parts or parts[0] == "distutils-precedence.pth" else "single modules"
    first = parts[0].split("-")[0].removesuffix(".libs")
    if first in _INSTALLERS:
        return _OWN_OF_VENV
    return {"PIL": "pillow", "google": "protobuf", "pillow": "pillow"}.get(first, first)
