"""TensorFlow's chatter is kept back, and nothing else."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from cutline.cli.quiet_loading import quieten_loading

NAME = "a_noisy_module"
CHATTER = "I0000 00:00:1.2 port.cc:153] oneDNN custom operations are on. You may see"


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    return tmp_path / f"{NAME}.py"


def test_chatter_is_kept_back_and_everything_else_passed_on(
    noisy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noisy.write_text(f"import os\nos.write(2, b'{CHATTER}\\nout of disk\\n')\nVALUE = 7\n")
    quieten_loading(NAME)
    module = importlib.import_module(NAME)
    assert module.VALUE == 7
    assert capfd.readouterr().err == "out of disk\n"


def test_after_loading_standard_error_is_itself_again(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noisy.write_text("")
    quieten_loading(NAME)
    importlib.import_module(NAME)
    print(CHATTER, file=sys.stderr)
    assert capfd.readouterr().err == CHATTER + "\n"


def test_a_module_that_fails_to_load_says_why(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noisy.write_text("import os\nos.write(2, b'half loaded\\n')\nraise ImportError('wrong version')\n")
    quieten_loading(NAME)
    with pytest.raises(ImportError, match="wrong version"):
        importlib.import_module(NAME)
    assert capfd.readouterr().err == "half loaded\n"


def test_a_module_that_is_missing_stays_missing(noisy: Path) -> None:
    quieten_loading(NAME)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(NAME)


def test_the_loaded_module_has_its_own_loader(noisy: Path) -> None:
    noisy.write_text("")
    quieten_loading(NAME)
    module = importlib.import_module(NAME)
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__
    assert "Quiet" not in type(module.__loader__).__name__


def test_asking_where_the_module_is_does_not_use_the_quiet_up(
    noisy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noisy.write_text(f"import os\nos.write(2, b'{CHATTER}\\n')\n")
    quieten_loading(NAME)
    assert find_spec(NAME) is not None
    importlib.import_module(NAME)
    assert capfd.readouterr().err == ""


def test_asking_twice_changes_the_import_system_once(noisy: Path) -> None:
    before = len(sys.meta_path)
    quieten_loading(NAME)
    quieten_loading(NAME)
    assert len(sys.meta_path) == before + 1
    noisy.write_text("")
    importlib.import_module(NAME)
    assert len(sys.meta_path) == before
