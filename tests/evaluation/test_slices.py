from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import made_up_captions

from cutline.errors import DataError
from cutline.evaluation.slices import RARE, mean_lengths, slices
from cutline.metrics import Scorer, bleu
from cutline.records import Example, Slice
from cutline.text import Tokenizer, Vocabulary
from cutline.text.vocabulary import build_vocabulary


def world(images: int = 60, **groups: str) -> tuple[list[Example], dict[str, str], Scorer, Vocabulary]:
    hypotheses, references = made_up_captions(images)
    examples = [
        Example(image_id, f"/{image_id}", tuple(captions), group=groups.get(f"g{number}", ""))
        for number, (image_id, captions) in enumerate(references.items())
    ]
    words = build_vocabulary([text for captions in references.values() for text in captions], Tokenizer())
    return examples, hypotheses, Scorer(references), words


def of_kind(found: tuple[Slice, ...], kind: str) -> dict[str, Slice]:
    return {part.name: part for part in found if part.kind.startswith(kind)}


def grouped(groups: list[str], group_name: str = "") -> dict[str, Slice]:
    examples, hypotheses, scorer, words = world(
        len(groups), **{f"g{number}": group for number, group in enumerate(groups)}
    )
    return of_kind(slices(examples, hypotheses, scorer, words, group_name=group_name), group_name or "group")


def test_the_parts_of_a_kind_are_all_images_and_their_mean_is_the_whole():
    examples, hypotheses, scorer, words = world(80, **{f"g{n}": "xy"[n % 2] for n in range(80)})
    found = slices(examples, hypotheses, scorer, words, training=["a dog runs"] * RARE)
    kinds = {part.kind for part in found}
    assert kinds == {"caption length", f"rare words (fewer than {RARE} in training)", "group"}
    per_image = scorer.cider_d_per_image(hypotheses)
    whole = scorer.score(hypotheses).cider_d
    for kind in kinds:
        parts = [part for part in found if part.kind == kind]
        members = [image_id for part in parts for image_id in part.image_ids]
        assert sorted(members) == sorted(per_image)
        assert sum(part.cider_d * part.images for part in parts) / 80 == pytest.approx(whole)
        for part in parts:
            assert part.images == len(part.image_ids)
            assert part.cider_d == pytest.approx(
                np.mean([per_image[image_id] for image_id in part.image_ids])
            )


def test_bleu_of_a_part_is_that_of_its_images_alone():
    examples, hypotheses, scorer, words = world()
    references = {example.image_id: example.captions for example in examples}
    for part in slices(examples, hypotheses, scorer, words):
        own = {image_id: hypotheses[image_id] for image_id in part.image_ids}
        corpus, _ = bleu(own, {image_id: references[image_id] for image_id in own})
        assert part.bleu_4 == pytest.approx(corpus[3])


def test_intervals_hold_the_score_and_one_image_has_none():
    found = grouped(["x"] * 30 + ["y"] * 29 + ["z"])
    assert found["z"].interval is None
    for name in "xy":
        part = found[name]
        assert part.interval is not None
        assert part.interval.low < part.cider_d < part.interval.high


def test_lengths_are_cut_into_parts_of_about_as_many_images():
    examples, hypotheses, scorer, words = world(400)
    found = of_kind(slices(examples, hypotheses, scorer, words), "caption length")
    lengths = dict(zip(scorer.references.image_ids, mean_lengths(scorer).tolist(), strict=True))
    assert 2 <= len(found) <= 4
    edges = [(min(held), max(held)) for held in ([lengths[i] for i in p.image_ids] for p in found.values())]
    assert all(before[1] < after[0] for before, after in pairwise(edges))
    first, *_, last = found
    assert first == f"up to {edges[0][1]} words"
    assert last == f"{edges[-1][0]} words or more"


def test_length_is_the_mean_over_the_references_of_an_image():
    scorer = Scorer({"a": ["one two three"], "b": ["one", "one two three four five"], "c": ["...", "a b c"]})
    assert mean_lengths(scorer).tolist() == [3, 3, 2]


@pytest.mark.parametrize("images", [1, 19])
def test_few_images_are_not_cut_by_numbers(images):
    examples, hypotheses, scorer, words = world(images)
    assert slices(examples, hypotheses, scorer, words) == ()


def test_equal_lengths_and_words_make_no_parts():
    references = {str(n): ["a red dot"] for n in range(50)}
    examples = [Example(key, key, tuple(captions)) for key, captions in references.items()]
    words = build_vocabulary(["a red dot"], Tokenizer())
    assert slices(examples, dict.fromkeys(references, "a dot"), Scorer(references), words) == ()


def rare_world() -> tuple[list[Example], dict[str, str], Scorer]:
    references = {f"{n}": ["a dog runs here" if n % 2 else "a zebu runs here"] for n in range(40)}
    examples = [Example(key, key, tuple(captions)) for key, captions in references.items()]
    return examples, dict.fromkeys(references, "a dog runs here"), Scorer(references)


def test_rare_words_are_those_training_has_seldom():
    words = build_vocabulary(["a dog zebu runs here"], Tokenizer())
    training = ["a dog runs here"] * RARE + ["a zebu"] * (RARE - 1)
    found = of_kind(slices(*rare_world(), words, training=training), "rare words")
    assert set(found) == {"0 %", "25 % or more"}
    assert set(found["25 % or more"].image_ids) == {str(n) for n in range(0, 40, 2)}
    enough = [*training, "zebu"]
    assert not of_kind(slices(*rare_world(), words, training=enough), "rare words")


def test_without_the_training_captions_rare_is_what_the_vocabulary_lacks():
    words = build_vocabulary(["a dog runs here"], Tokenizer())
    found = [part for part in slices(*rare_world(), words) if part.kind.startswith("rare")]
    assert {part.kind for part in found} == {"rare words (unknown to the model)"}
    assert {part.name: part.images for part in found} == {"0 %": 20, "25 % or more": 20}


def test_groups_are_shown_by_size_under_the_name_of_their_column():
    found = grouped(["beach"] * 5 + ["street"] * 20 + ["park"] * 9 + [""] * 3, "Place")
    assert [(name, part.images) for name, part in found.items()] == [
        ("street", 20),
        ("park", 9),
        ("beach", 5),
        ("not given", 3),
    ]


def test_few_numbers_are_groups_in_their_order_and_many_are_cut():
    few = grouped(["10"] * 30 + ["2"] * 20 + ["0"] * 10, "people")
    assert [(name, part.images) for name, part in few.items()] == [("0", 10), ("2", 20), ("10", 30)]
    many = grouped([str(number) for number in range(40)] * 2 + [""] * 4, "people")
    assert sum(part.images for part in many.values()) == 84
    assert list(many) == ["up to 9", "10 to 19", "20 to 29", "30 or more", "not given"]


def test_many_small_groups_become_one():
    groups = [name for name in "abcdefghijklmnop" for _ in range(3)] + ["a"]
    found = grouped(groups)
    assert list(found) == [*"abcdefghijkl", "other"]
    assert (found["a"].images, found["other"].images) == (4, 12)


def test_a_group_may_be_called_other():
    found = grouped(["other"] * 3 + [name for name in "abcdefghijklm" for _ in range(2)])
    assert found["other"].images == 7
    assert sum(part.images for part in found.values()) == 29


@pytest.mark.parametrize("groups", [["x"] * 30, [""] * 30, [f"text {number}" for number in range(30)]])
def test_one_group_no_groups_and_free_texts_are_left_out(groups):
    assert grouped(groups) == {}


def test_characters_are_counted_where_words_are_not_parted():
    captions = ["两只狗", "一辆红色的巴士停在路边"]
    references = {str(n): [captions[n % 2]] for n in range(40)}
    tokenizer = Tokenizer("character")
    examples = [Example(key, key, tuple(texts)) for key, texts in references.items()]
    scorer = Scorer(references, tokenizer.tokenise, "character")
    words = build_vocabulary(captions, tokenizer)
    found = slices(examples, dict.fromkeys(references, captions[0]), scorer, words)
    assert [part.name for part in found] == ["up to 3 characters", "11 characters or more"]


def test_hypotheses_of_other_images_are_refused():
    examples, hypotheses, scorer, words = world(30)
    hypotheses.popitem()
    with pytest.raises(DataError, match="no hypothesis for 1 image"):
        slices(examples, hypotheses, scorer, words)


@given(st.lists(st.integers(-3, 40).map(str) | st.sampled_from(["", "a", "b"]), min_size=1, max_size=70))
def test_parts_never_overlap_and_lose_no_image(groups):
    examples, hypotheses, scorer, words = world(len(groups), **{f"g{n}": g for n, g in enumerate(groups)})
    random.Random(len(groups)).shuffle(examples)
    found = slices(examples, hypotheses, scorer, words)
    for kind in {part.kind for part in found}:
        parts = [part for part in found if part.kind == kind]
        members = [image_id for part in parts for image_id in part.image_ids]
        assert len(parts) > 1
        assert sorted(members) == sorted(hypotheses)
