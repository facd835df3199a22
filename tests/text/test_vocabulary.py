from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.errors import BundleError, DataError
from cutline.text import SPECIALS, Tokenizer, Vocabulary, build_vocabulary

captions_lists = st.lists(
    st.text(alphabet="abcde दौ़狗ก่ .,'", min_size=1, max_size=20), min_size=1, max_size=12
).filter(lambda captions: any(Tokenizer().tokenise(caption) for caption in captions))
levels = st.sampled_from(["word", "character"])


def test_markers_come_first_then_frequent_tokens_then_alphabet() -> None:
    vocabulary = build_vocabulary(["b a c", "b a", "b <end>"], Tokenizer())
    assert vocabulary.tokens == (*SPECIALS, "b", "a", "c", "end")


def test_rare_tokens_are_left_out() -> None:
    vocabulary = build_vocabulary(["a dog", "a cat"], Tokenizer(), min_count=2)
    assert vocabulary.tokens[4:] == ("a",)
    assert vocabulary.encode("a dog", 10) == [2, 4, 1, 3]


def test_largest_size_counts_the_markers() -> None:
    assert len(build_vocabulary(["a b c d e"], Tokenizer(), max_size=6)) == 6


def test_nothing_left_says_what_to_change() -> None:
    with pytest.raises(DataError) as caught:
        build_vocabulary(["a dog", "a cat"], Tokenizer(), min_count=5)
    assert str(caught.value) == (
        "the vocabulary is empty: of 3 different tokens in the train captions the most frequent "
        "occurs 2 times, text.min_count is 5 and text.max_size None; lower "
        "min_count, raise max_size or add captions"
    )


def test_no_caption_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="the vocabulary is empty: of 0 different tokens"):
        build_vocabulary([], Tokenizer())


@given(captions_lists, captions_lists, levels, st.integers(1, 3), st.none() | st.integers(5, 12))
def test_a_vocabulary_is_extended_behind_its_tokens(
    before: list[str], after: list[str], level: str, min_count: int, max_size: int | None
) -> None:
    tokenizer = Tokenizer(level)  # type: ignore[arg-type]
    old = build_vocabulary(before, tokenizer)
    new = old.extended(after, min_count, max_size)
    assert new.tokens[: len(old)] == old.tokens
    assert new.tokenizer == tokenizer
    counts = Counter(token for caption in after for token in tokenizer.tokenise(caption))
    added = new.tokens[len(old) :]
    wanted = {token for token, count in counts.items() if count >= min_count and token not in old}
    assert set(added) <= wanted
    assert [(-counts[token], token) for token in added] == sorted((-counts[token], token) for token in added)
    if max_size is None:
        assert set(added) == wanted
    else:
        assert len(new) == max(len(old), min(len(old) + len(wanted), max_size))
    left = [counts[token] for token in wanted - set(added)]
    assert not left or not added or max(left) <= counts[added[-1]]
    assert new.extended(after, min_count, max_size) == new


@given(captions_lists, levels)
def test_known_tokens_survive_encoding_and_decoding(captions: list[str], level: str) -> None:
    tokenizer = Tokenizer(level)  # type: ignore[arg-type]
    vocabulary = build_vocabulary(captions, tokenizer)
    for caption in captions:
        ids = vocabulary.encode(caption, max_length=100)
        assert (ids[0], ids[-1]) == (2, 3)
        assert vocabulary.decode(ids) == tokenizer.tokenise(caption)
        assert tokenizer.tokenise(vocabulary.text(ids)) == tokenizer.tokenise(caption)


@given(captions_lists, st.integers(1, 4))
def test_coverage_is_the_share_of_counted_tokens_that_were_kept(captions: list[str], min_count: int) -> None:
    counts = Counter(token for caption in captions for token in Tokenizer().tokenise(caption))
    kept = sum(count for count in counts.values() if count >= min_count)
    if not kept:
        return
    vocabulary = build_vocabulary(captions, Tokenizer(), min_count=min_count)
    assert vocabulary.coverage(captions) == kept / sum(counts.values())


def test_coverage_without_tokens_is_full() -> None:
    assert build_vocabulary(["a"], Tokenizer()).coverage(["..."]) == 1.0


def test_long_captions_are_cut_but_still_end() -> None:
    vocabulary = build_vocabulary(["a b c d"], Tokenizer())
    assert vocabulary.decode(vocabulary.encode("a b c d", max_length=2)) == ["a", "b"]
    assert vocabulary.encode("a b c d", max_length=2)[-1] == 3


def test_decoding_stops_at_the_end_marker_and_keeps_unknown() -> None:
    vocabulary = build_vocabulary(["a b"], Tokenizer())
    assert vocabulary.decode([2, 4, 0, 1, 3, 5]) == ["a", "<unk>"]


@pytest.mark.parametrize("token_id", [-1, 6])
def test_ids_outside_the_vocabulary_are_refused(token_id: int) -> None:
    with pytest.raises(DataError, match=rf"token id {token_id} is not in 0\.\.5"):
        build_vocabulary(["a b"], Tokenizer()).decode([token_id])


def test_membership_and_ids_agree() -> None:
    vocabulary = build_vocabulary(["a b"], Tokenizer())
    assert "a" in vocabulary
    assert vocabulary.id_of("a") == 4
    assert "z" not in vocabulary
    assert vocabulary.id_of("z") == 1


def test_a_saved_vocabulary_comes_back_and_is_readable(tmp_path: Path) -> None:
    vocabulary = build_vocabulary(["狗 कुत्ता 🐶"], Tokenizer("character"))
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary
    assert "कुत्ता" in (tmp_path / "vocabulary.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"tokens": ["<pad>"', "cannot be read"),
        ("[]", "must be a JSON object, found list"),
        ("{}", "has no list of 'tokens'"),
        (json.dumps({"tokens": [1]}), "has no list of 'tokens'"),
        (json.dumps({"tokens": [*SPECIALS, "a"]}), "has no 'tokenizer' settings"),
        (
            json.dumps({"tokens": ["a"], "tokenizer": Tokenizer().to_dict()}),
            "starts with <pad> <unk> <start> <end>",
        ),
        (
            json.dumps({"tokens": [*SPECIALS, "a", "a"], "tokenizer": Tokenizer().to_dict()}),
            "holds 'a' more than once",
        ),
        (json.dumps({"tokens": [*SPECIALS, "a"], "tokenizer": {}}), "needed: level and lowercase"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(content)
    with pytest.raises(BundleError) as caught:
        Vocabulary.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent\.json: the vocabulary cannot be read"):
        Vocabulary.load(tmp_path / "absent.json")
