"""One word for one thing: names in the source keep to docs/glossary.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "cutline"
GLOSSARY = SOURCE.parents[1] / "docs" / "glossary.md"
FORBIDDEN = {
    "alphas": "attention_weights",
    "backbone": "encoder",
    "cand": "hypothesis",
    "cands": "hypotheses",
    "criterion": "objective",
    "dirname": "folder",
    "feats": "features",
    "filename": "image or path",
    "fname": "image",
    "gt": "reference",
    "gts": "references",
    "hyp": "hypothesis",
    "hyps": "hypotheses",
    "imgs": "images",
    "infer": "caption",
    "inference": "decoding or captioning",
    "itow": "vocabulary",
    "opts": "options",
    "pkl": "feature store",
    "preds": "hypotheses",
    "refs": "references",
    "seq": "token_ids",
    "seqs": "token_ids",
    "vocab": "vocabulary",
    "wordtoix": "vocabulary",
    "wtoi": "vocabulary",
}
"""Word → the one to use instead. Strings, such as names of columns in people's files, are free."""


def identifiers(source: str) -> Iterator[tuple[int, str]]:
    """Yield every name that a module gives to a class, function, argument or variable, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr


def words(identifier: str) -> list[str]:
    """Cut ``snake_case`` and ``CamelCase`` into words."""
    return re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)


def forbidden_names(source: str) -> list[str]:
    return [
        f"line {line}: {name}: say {FORBIDDEN[word.lower()]}"
        for line, name in identifiers(source)
        for word in words(name)
        if word.lower() in FORBIDDEN
    ]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_names_keep_to_the_glossary(path: Path) -> None:
    assert forbidden_names(path.stem + " = 0\n" + path.read_text(encoding="utf-8")) == []


def test_a_forbidden_word_is_found_wherever_it_hides() -> None:
    assert len(forbidden_names("def f(gts): pass\nclass VocabFile: pass\nx.img_feats = 1\nseq = 1")) == 4
    assert forbidden_names("sequence = 'fname'\nreferences = gts\n") == []


def test_every_forbidden_word_is_explained_in_the_glossary() -> None:
    text = GLOSSARY.read_text(encoding="utf-8")
    assert [word for word in FORBIDDEN if not re.search(rf"`{word}`", text)] == []
