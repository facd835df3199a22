from __future__ import annotations

from pathlib import Path

import pytest

from cutline.errors import ConfigError
from cutline.text import Tokenizer
from cutline.text.glossary import Glossary, read_glossary

WORDS = Tokenizer()


def test_the_longest_term_counts_and_nothing_is_replaced_twice():
    glossary = Glossary({"Dog": "puppy", "puppy": "whelp", "brown dog": "Rex"}, WORDS)
    assert glossary.apply(["a", "brown", "dog", "and", "a", "dog", "and", "a", "puppy"]) == [
        *("a", "Rex", "and", "a", "puppy", "and", "a", "whelp"),
    ]
    assert glossary.apply([]) == []


def test_a_term_of_characters_is_found_in_a_caption_of_characters():
    tokenizer = Tokenizer("character")
    pieces = Glossary({"小狗": "柴犬"}, tokenizer).apply(tokenizer.tokenise("一只小狗在跑"))
    assert tokenizer.detokenise(pieces) == "一只柴犬在跑"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"!": "x"}, "'!' = 'x'; a word is needed on both sides"),
        ({"dog": " "}, "a word is needed on both sides"),
        ({"dog": "a", "Dog": "b"}, "'dog' is 'a' and 'b'; keep one"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        Glossary(table, WORDS)


def test_toml_and_csv_give_the_same_table(tmp_path: Path):
    toml, table = tmp_path / "g.toml", tmp_path / "g.csv"
    toml.write_text('dog = "Labrador"\n"a man" = "Jörg, 40"\n', encoding="utf-8")
    table.write_text('\ufeffword,preferred\ndog,Labrador\n\na man,"Jörg, 40"\n', encoding="utf-8")
    assert read_glossary(toml) == read_glossary(table) == {"dog": "Labrador", "a man": "Jörg, 40"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.txt", "", "unknown ending '.txt'; allowed: .toml, .csv"),
        ("g.toml", "dog = 3", "dog is not text"),
        ("g.toml", "dog = ", "not a readable TOML file"),
        ("g.csv", "", "first line must be word,preferred; found nothing"),
        ("g.csv", "dog,cat\n", "first line must be word,preferred; found dog,cat"),
        ("g.csv", "word,preferred\ndog\n", "row 2 has 1 columns, expected 2"),
        ("g.csv", "word,preferred\ndog,a\ndog,b\n", "row 3 gives 'dog' a second preferred word"),
        ("g.csv", 'word,preferred\n"dog,a\n', "not a readable CSV file"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, name: str, text: str, message: str):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_glossary(tmp_path / name)


@pytest.mark.parametrize("name", ["none.toml", "none.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match=rf"{name}: no such"):
        read_glossary(tmp_path / name)
