from __future__ import annotations

from cutline.evaluation import most_common_caption
from cutline.records import Example
from cutline.text import Tokenizer

WORD, CHARACTER = Tokenizer(level="word"), Tokenizer(level="character")


def example(key: str, *captions: str) -> Example:
    return Example(f"{key}.png", f"/x/{key}.png", captions, "val", key * 4)


def test_the_most_common_caption_is_compared_token_by_token():
    examples = [
        example("a", "A dog!", "two dots"),
        example("b", "a dog"),
        example("c", "a  cat", "two dots."),
    ]
    assert most_common_caption(examples, WORD) == "a dog"
    assert most_common_caption([example("a", "b", "a")], WORD) == "a"
    assert (
        most_common_caption([example("a", "两只狗", "一只猫"), example("b", "两只狗。")], CHARACTER)
        == "两只狗"
    )
