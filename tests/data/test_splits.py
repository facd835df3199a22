from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.config import DataOptions
from cutline.data.splits import assign_splits, load_splits, parse_split, require_split, save_splits
from cutline.errors import DataError, SplitError
from cutline.records import Dataset, Example


def a_dataset(splits: dict[str, str | None]) -> Dataset:
    examples = [Example(name, f"/{name}", ("dog",), split) for name, split in splits.items()]
    return Dataset(tuple(examples), "table.csv", "table")


def undecided(count: int) -> Dataset:
    return a_dataset({f"{number}.jpg": None for number in range(count)})


def splits_of(dataset: Dataset) -> dict[str, str | None]:
    return {example.image_id: example.split for example in dataset.examples}


def counts_of(dataset: Dataset) -> tuple[int, int, int]:
    return len(dataset.of_split("train")), len(dataset.of_split("val")), len(dataset.of_split("test"))


seeds = st.integers(0, 2**31)


@pytest.mark.parametrize(
    ("count", "expected"), [(1000, (800, 100, 100)), (10, (8, 1, 1)), (3, (1, 1, 1)), (4, (2, 1, 1))]
)
def test_undecided_images_are_drawn_in_the_fractions(count: int, expected: tuple[int, int, int]) -> None:
    assert counts_of(assign_splits(undecided(count))) == expected


@given(st.integers(3, 200), seeds, st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_every_image_has_one_split_and_none_needed_is_empty(
    count: int, seed: int, train: float, val: float
) -> None:
    scale = max(train + val, 1.0) * 1.001
    options = DataOptions(split_seed=seed, train_fraction=train / scale, val_fraction=val / scale)
    assigned = assign_splits(undecided(count), options)
    assert [e.image_id for e in assigned.examples] == [f"{number}.jpg" for number in range(count)]
    assert sum(counts_of(assigned)) == count
    assert min(counts_of(assigned)) >= 1
    ideal = count * options.train_fraction
    assert abs(counts_of(assigned)[0] - ideal) <= 2


@given(st.integers(3, 60), seeds, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(count: int, seed: int, shuffler: random.Random) -> None:
    data = undecided(count)
    shuffled = list(data.examples)
    shuffler.shuffle(shuffled)
    options = DataOptions(split_seed=seed)
    other = assign_splits(Dataset(tuple(shuffled), "table.csv", "table"), options)
    assert splits_of(other) == splits_of(assign_splits(data, options))


def test_another_seed_draws_other_images() -> None:
    one, other = (assign_splits(undecided(100), DataOptions(split_seed=seed)) for seed in (0, 1))
    assert splits_of(one) != splits_of(other)
    assert counts_of(one) == counts_of(other)


@given(st.lists(st.sampled_from(["train", "val", "test", None]), min_size=3, max_size=40), seeds)
def test_given_splits_are_honoured(given_splits: list[str | None], seed: int) -> None:
    data = a_dataset({f"{number}.jpg": split for number, split in enumerate(given_splits)})
    assigned = assign_splits(data, DataOptions(split_seed=seed), needed=())
    changed = [
        (before, after.split)
        for before, after in zip(given_splits, assigned.examples, strict=True)
        if before and before != after.split
    ]
    assert None not in splits_of(assigned).values()
    if "val" in given_splits:
        assert changed == []
    else:
        assert set(changed) <= {("train", "val")}


def test_given_val_and_test_are_complete_so_that_the_rest_is_train() -> None:
    data = a_dataset({f"{n}.jpg": {0: "val", 1: "test"}.get(n) for n in range(50)})
    assert counts_of(assign_splits(data)) == (48, 1, 1)


def test_given_train_leaves_the_rest_to_val_and_test_alike() -> None:
    data = a_dataset({f"{n}.jpg": "train" if n < 40 else None for n in range(50)})
    assert counts_of(assign_splits(data)) == (40, 5, 5)


def test_val_is_taken_out_of_train_when_the_table_has_none() -> None:
    data = a_dataset({f"{n}.jpg": "train" if n < 40 else "test" for n in range(50)})
    assigned = assign_splits(data)
    assert counts_of(assigned) == (36, 4, 10)
    assert {e.image_id for e in assigned.of_split("test")} == {f"{n}.jpg" for n in range(40, 50)}


def test_only_train_given_leaves_test_empty() -> None:
    assert counts_of(assign_splits(a_dataset({f"{n}.jpg": "train" for n in range(20)}))) == (18, 2, 0)


def test_fractions_that_leave_nothing_for_test_are_obeyed() -> None:
    options = DataOptions(train_fraction=0.75, val_fraction=0.25)
    assert counts_of(assign_splits(undecided(20), options)) == (15, 5, 0)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(SplitError) as caught:
        assign_splits(undecided(2))
    assert str(caught.value) == "table.csv: 2 usable images are too few to train; give at least 3"


def test_no_train_image_is_said_plainly() -> None:
    with pytest.raises(SplitError) as caught:
        assign_splits(a_dataset({"a": "val", "b": "test", "c": "test"}))
    assert str(caught.value) == (
        "table.csv: no image is in split 'train' (found: test 2, val 1); name images 'train' in the split "
        "column, or remove the column to have them drawn"
    )


def test_data_that_is_only_evaluated_on_may_lack_train() -> None:
    assert counts_of(assign_splits(a_dataset({"a": "test"}), needed=("test",))) == (0, 0, 1)


def test_a_wanted_split_without_image_is_refused() -> None:
    with pytest.raises(SplitError, match=r"no image is in split 'test' \(found: train 2, val 1\)"):
        require_split(a_dataset({"a": "train", "b": "train", "c": "val"}), "test")


@pytest.mark.parametrize(
    ("splits", "wanted", "offered"), [("tv", "test", True), ("tt", "test", False), ("vv", "train", False)]
)
def test_another_split_is_offered_where_evaluating_can_take_it(
    splits: str, wanted: str, offered: bool
) -> None:
    names = {"t": "train", "v": "val"}
    with pytest.raises(SplitError) as caught:
        require_split(a_dataset({str(at): names[key] for at, key in enumerate(splits)}), wanted)
    assert str(caught.value).endswith("; or name another split with --split val") is offered


def test_one_image_in_two_splits_is_refused() -> None:
    examples = tuple(Example("a", "/a", ("dog",), split) for split in ("train", "test", "val"))
    with pytest.raises(SplitError, match=r"1 image is in two splits: a \(test, train, val\)"):
        assign_splits(Dataset(examples, "table.csv", "table"))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("VALID", "val"),
        ("validation", "val"),
        ("dev", "val"),
        ("development", "val"),
        ("Training", "train"),
        ("restval", "train"),
        (" testing\n", "test"),
        ("  ", None),
        (None, None),
    ],
)
def test_usual_split_names_are_understood(name: str | None, split: str | None) -> None:
    assert parse_split(name, "row 2") == split


def test_an_unknown_split_names_its_row_and_what_is_allowed() -> None:
    with pytest.raises(DataError) as caught:
        parse_split("fold3", "table.csv row 7")
    assert str(caught.value) == (
        "table.csv row 7: split 'fold3' is unknown; allowed: train, training, restval, val, valid, "
        "validation, dev, development, test, testing, or empty for undecided"
    )


def test_saved_splits_come_back(tmp_path: Path) -> None:
    data = a_dataset({"a,1.jpg": "train", 'b"\n.jpg': "val", "狗.jpg": "test", "later.jpg": None})
    save_splits(data, tmp_path / "splits.csv")
    assert load_splits(tmp_path / "splits.csv") == {"a,1.jpg": "train", 'b"\n.jpg': "val", "狗.jpg": "test"}


@pytest.mark.parametrize(
    "content", ["image_id,split\na.jpg,fold3\n", "name\na.jpg\n", 'image_id,split\n"a,train']
)
def test_damaged_saved_splits_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "splits.csv").write_text(content)
    with pytest.raises(DataError, match=r"splits\.csv"):
        load_splits(tmp_path / "splits.csv")


def test_missing_saved_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"splits\.csv: the saved splits cannot be read"):
        load_splits(tmp_path / "splits.csv")
