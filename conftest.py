"""Runs the examples of the README, of docs/ and of the docstrings in src/ as tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser
from tests.doc_examples import (
    FLAGS,
    Docstrings,
    NamedFileParser,
    Workshop,
    console_parser,
    prepare_environment,
    trains,
)

# TensorFlow reads both when it is imported, which the first heavy example does.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


_LONGEST_FIRST = ("README.md", "tests/recipes/", "docs/", "tests/training/", "tests/models/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where processes share the tests, begin with files that train: none must be left alone at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST_FIRST))


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Make folders for the examples of the documentation."""
    return Workshop(tmp_path_factory.mktemp("examples"))


@pytest.fixture
def at_work(
    request: pytest.FixtureRequest,
    workshop: Workshop,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run an example in the folder of its document, as a reader would who follows it from the top."""
    cache = tmp_path_factory.getbasetemp() / "examples-cache"
    for name, value in prepare_environment(cache).items():
        monkeypatch.setenv(name, value)
    document = Path(request.node.path)
    if trains(document):
        monkeypatch.setattr("cutline.models.presets.PRESETS", workshop.presets_for(document))
    monkeypatch.chdir(workshop.folder_of(document))


_documents = Sybil(
    parsers=[
        NamedFileParser(),
        console_parser(),
        PythonCodeBlockParser(doctest_optionflags=FLAGS),
        SkipParser(),
    ],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
    fixtures=["at_work"],
)
_docstrings = Sybil(
    parsers=[DocTestParser(optionflags=FLAGS)],
    patterns=["src/cutline/*.py", "src/cutline/*/*.py", "src/cutline/*/*/*.py"],
    document_types={".py": Docstrings},
)

pytest_collect_file = (_documents + _docstrings).pytest()
