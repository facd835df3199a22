from __future__ import annotations

import subprocess
import sys

import pytest

from cutline.config import DecoderOptions, DecodingOptions
from cutline.errors import MissingDependencyError, UnknownNameError
from cutline.runtime import Bundle, open_session, sessions
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import SPECIALS

BUNDLE = Bundle({}, {}, DecoderOptions(), {}, (1,), Vocabulary(SPECIALS, Tokenizer()), DecodingOptions())


def test_a_missing_package_comes_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(sessions, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError) as error:
        open_session(BUNDLE)
    assert str(error.value) == (
        "captioning with the keras runtime needs tensorflow; install it: pip install 'cutline[train]'"
    )


def test_an_unknown_runtime_suggests_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"unknown runtime 'kera'; known: keras, onnx; did you mean 'keras'\?"
    ):
        open_session(BUNDLE, "kera")


def test_a_session_is_imported_when_it_is_opened(monkeypatch):
    opened = []
    module = type(sys)("session_of_the_test")
    module.Session = opened.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "session_of_the_test", module)
    monkeypatch.setitem(sessions.SESSIONS, "toy", ("session_of_the_test", "Session", "json"))
    open_session(BUNDLE, "toy")
    assert opened == [BUNDLE]


def test_the_room_is_light():
    code = "import cutline.runtime, cutline.captioner, sys; print({'tensorflow', 'keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
