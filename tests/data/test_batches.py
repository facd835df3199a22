from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cutline.data.batches import (
    CaptionTable,
    ImageBatches,
    caption_table,
    plan_batches,
    plan_together,
    teacher_forcing_batches,
)
from cutline.data.feature_store import FeatureStore
from cutline.data.packed_texts import PackedTexts
from cutline.data.text_vectorization import vectorization_layer
from cutline.records import Example
from cutline.text import Tokenizer, build_vocabulary

EXAMPLES = [
    Example(
        f"{number}.png", f"/x/{number}.png", captions, "train", hashlib.sha256(bytes([number])).hexdigest()
    )
    for number, captions in enumerate(
        [
            ("a red dot", "one dot", "a very big red dot in the middle of everything"),
            ("two dots",),
            ("three green dots", "dots", "green dots everywhere one two three"),
            ("...",),
        ]
    )
]
VOCABULARY = build_vocabulary([caption for e in EXAMPLES[:3] for caption in e.captions], Tokenizer())
MAX_LENGTH = 6
lengths_lists = st.lists(st.integers(2, 42), min_size=1, max_size=300).map(lambda n: np.array(n, np.int32))


@pytest.fixture
def store(tmp_path) -> Iterator[FeatureStore]:
    """Features of all images, in another order; each is the image's number and its square."""
    with FeatureStore.open(tmp_path / "store", {"encoder": "toy"}, (2,)) as store:
        for number in (2, 3, 0, 1):
            store.append([EXAMPLES[number].digest], np.array([[number, number**2]], np.float32))
        yield store


def batches(store: FeatureStore, batch_size: int = 3, seed: int | None = 0, epoch: int = 1) -> list:
    table = caption_table(EXAMPLES, store, VOCABULARY.tokenizer, MAX_LENGTH)
    plan = plan_batches(table.lengths, batch_size, seed, epoch)
    dataset = teacher_forcing_batches(table, store, vectorization_layer(VOCABULARY, MAX_LENGTH), plan)
    assert len(dataset) == len(plan)
    return list(dataset.as_numpy_iterator())


@given(lengths_lists, st.integers(1, 64), st.one_of(st.none(), st.integers(0, 99)), st.integers(0, 9))
@settings(deadline=None)
def test_a_plan_holds_every_caption_once(lengths, batch_size, seed, epoch):
    plan = plan_batches(lengths, batch_size, seed, epoch)
    assert len(plan) == -(-len(lengths) // batch_size)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(lengths)))
    assert max(map(len, plan)) <= batch_size


@given(lengths_lists, st.integers(1, 16), st.integers(0, 99), st.integers(0, 9))
@settings(deadline=None)
def test_a_plan_is_a_function_of_seed_and_epoch(lengths, batch_size, seed, epoch):
    one, other = (plan_batches(lengths, batch_size, seed, epoch) for _ in range(2))
    assert [batch.tolist() for batch in one] == [batch.tolist() for batch in other]


def test_epochs_and_seeds_differ():
    lengths = np.full(100, 9, np.int32)
    plans = [plan_batches(lengths, 10, seed, epoch) for seed, epoch in [(0, 1), (0, 2), (1, 1)]]
    orders = {tuple(np.concatenate(plan).tolist()) for plan in plans}
    assert len(orders) == 3
    # Not only the order of the batches changes but also who is in one.
    assert len({frozenset(batch.tolist()) for plan in plans for batch in plan}) > 20


def test_little_of_a_batch_is_padding():
    lengths = np.random.default_rng(0).integers(5, 25, 5000).astype(np.int32)

    def padding(plan: list[np.ndarray]) -> float:
        cells = sum(len(batch) * int(lengths[batch].max()) for batch in plan)
        return 1 - int(lengths.sum()) / cells

    shuffled = list(np.array_split(np.random.default_rng(1).permutation(5000), 5000 // 64))
    assert padding(shuffled) > 0.3
    assert padding(plan_batches(lengths, 64, seed=0)) < 0.03
    assert padding(plan_batches(lengths, 64, seed=None)) < 0.01


def test_a_table_has_a_row_per_caption_whose_image_is_stored(store):
    unseen = Example("new.png", "/x/new.png", ("a new dot",), "train", "ff" * 32)
    table = caption_table([EXAMPLES[1], unseen, EXAMPLES[0]], store, VOCABULARY.tokenizer, MAX_LENGTH)
    assert table.rows.tolist() == [3, 2, 2, 2]
    assert list(table.texts[:2]) == ["<start> two dots <end>", "<start> a red dot <end>"]
    assert table.lengths.tolist() == [4, 5, 4, 8]
    assert len(table) == 4


@pytest.mark.parametrize("seed", [None, 0])
def test_every_caption_comes_with_the_features_of_its_image(store, seed):
    found = []
    for (features, inputs), targets, weights in batches(store, seed=seed):
        assert features.dtype == weights.dtype == np.float32
        assert inputs.dtype == targets.dtype == np.int32
        assert inputs.shape == targets.shape == weights.shape
        for row, tokens, target in zip(features, inputs, targets, strict=True):
            assert row[1] == row[0] ** 2
            found.append((int(row[0]), VOCABULARY.text([*tokens.tolist(), target.tolist()[-1]])))
    cut = [
        (number, VOCABULARY.text(VOCABULARY.encode(caption, MAX_LENGTH)))
        for number, example in enumerate(EXAMPLES)
        for caption in example.captions
    ]
    assert sorted(found) == sorted(cut)


def test_targets_are_the_inputs_one_token_ahead_and_weights_leave_out_padding(store):
    padded = 0
    for (_, inputs), targets, weights in batches(store):
        assert (inputs[:, 0] == 2).all()
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        np.testing.assert_array_equal(weights, (targets != 0).astype(np.float32))
        for target, weight in zip(targets, weights, strict=True):
            length = int(weight.sum())
            assert target[length - 1] == 3, "the end marker is the last target that counts"
            assert not weight[length:].any()
        assert weights.all(axis=1).any(), "the longest caption of a batch is not padded"
        padded += int((weights == 0).sum())
    assert padded


def test_equal_arguments_give_equal_batches(store):
    for one, other in zip(batches(store), batches(store), strict=True):
        for left, right in zip((*one[0], *one[1:]), (*other[0], *other[1:]), strict=True):
            np.testing.assert_array_equal(left, right)
    first, second = batches(store, epoch=1), batches(store, epoch=2)
    assert [b[1].tolist() for b in first] != [b[1].tolist() for b in second]


def test_fewer_captions_than_a_batch_make_one_batch(store):
    ((_, inputs), _, _) = batches(store, batch_size=500)[0]
    assert len(inputs) == 8
    assert len(batches(store, batch_size=500)) == 1


def test_an_image_is_read_once_for_all_its_captions_in_a_batch(store, monkeypatch):
    asked = []
    read = FeatureStore.read

    def counting(self: FeatureStore, rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return read(self, rows)

    monkeypatch.setattr(FeatureStore, "read", counting)
    batches(store, batch_size=500)
    assert asked == [4]


def table_of(rows: list[int], lengths: list[int]) -> CaptionTable:
    texts = PackedTexts(" ".join(["a"] * length) for length in lengths)
    return CaptionTable(np.array(rows, np.int64), texts, np.array(lengths, np.int32))


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(2, 42)), min_size=1, max_size=200),
    st.integers(1, 5),
    st.integers(5, 64),
    st.integers(0, 9),
)
def test_a_plan_of_captions_together_holds_every_caption_once(captions, together, batch_size, epoch):
    table = table_of(*map(list, zip(*captions, strict=True)))
    plan = plan_together(table, together, batch_size, seed=0, epoch=epoch)
    assert sorted(np.concatenate(plan).tolist()) == list(range(len(table)))
    assert max(map(len, plan)) <= batch_size
    again = plan_together(table, together, batch_size, seed=0, epoch=epoch)
    assert [batch.tolist() for batch in plan] == [batch.tolist() for batch in again]


def test_captions_of_an_image_share_batches_and_little_of_them_is_padding():
    lengths = np.random.default_rng(0).integers(5, 25, 5000)
    table = table_of(np.repeat(np.arange(1000), 5).tolist(), lengths.tolist())
    plan = plan_together(table, 2, 64, seed=0, epoch=1)
    images = np.array([len(np.unique(table.rows[batch])) for batch in plan])
    assert images.max() <= 32
    assert np.array([len(batch) for batch in plan]).sum() / images.sum() > 1.6
    cells = sum(len(batch) * int(table.lengths[batch].max()) for batch in plan)
    assert 1 - int(lengths.sum()) / cells < 0.12


def test_shared_features_are_given_once_with_the_place_of_each_captions_image(store):
    table = caption_table(EXAMPLES, store, VOCABULARY.tokenizer, MAX_LENGTH)
    plan = plan_together(table, 2, 4, seed=0, epoch=1)
    layer = vectorization_layer(VOCABULARY, MAX_LENGTH)
    alone = teacher_forcing_batches(table, store, layer, plan)
    shared = teacher_forcing_batches(table, store, layer, plan, share=True)
    fewer = 0
    for (features, inputs), ((images, same_inputs, rows), _, _) in zip(
        [batch[0] for batch in alone.as_numpy_iterator()], shared.as_numpy_iterator(), strict=True
    ):
        assert rows.dtype == np.int32
        np.testing.assert_array_equal(images[rows], features)
        np.testing.assert_array_equal(inputs, same_inputs)
        fewer += len(images) < len(features)
    assert fewer


def test_batches_are_read_by_their_number_when_a_reader_is_given(store):
    table = caption_table(EXAMPLES, store, VOCABULARY.tokenizer, MAX_LENGTH)
    layer = vectorization_layer(VOCABULARY, MAX_LENGTH)

    def numbered(number: int, rows: np.ndarray) -> np.ndarray:
        return np.full((len(rows), 2), number, np.float16)

    plan = plan_batches(table.lengths, 3, seed=0)
    forced = teacher_forcing_batches(table, store, layer, plan, numbered)
    assert [set(batch[0][0].ravel().tolist()) for batch in forced.as_numpy_iterator()] == [{0}, {1}, {2}]
    drawn = ImageBatches(table, store, layer, 2, 1, 0, 1, numbered)
    assert [set(batch.features.ravel().tolist()) for batch in drawn] == [{0}, {1}]


def image_batches(store: FeatureStore, images: int = 2, captions: int = 2, seed: int = 0, epoch: int = 1):
    table = caption_table(EXAMPLES, store, VOCABULARY.tokenizer, MAX_LENGTH)
    layer = vectorization_layer(VOCABULARY, MAX_LENGTH)
    return table, ImageBatches(table, store, layer, images, captions, seed, epoch)


def test_batches_of_images_hold_every_image_once_with_captions_of_its_own(store):
    table, batches = image_batches(store)
    found = list(batches)
    assert len(batches) == len(found) == 2
    assert sorted(np.concatenate([batch.rows for batch in found]).tolist()) == sorted(
        set(table.rows.tolist())
    )
    for batch in found:
        np.testing.assert_array_equal(batch.features, store.read(batch.rows).astype(np.float32))
        assert np.bincount(batch.image_of).max() <= 2
        own = {
            row: {
                tuple(VOCABULARY.encode(caption, MAX_LENGTH))
                for caption in EXAMPLES[int(store.read(np.array([row]))[0, 0])].captions
            }
            for row in batch.rows.tolist()
        }
        for ids, image in zip(batch.token_ids.tolist(), batch.image_of.tolist(), strict=True):
            assert tuple(token for token in ids if token) in own[batch.rows[image]]
        assert (batch.token_ids != 0).any(axis=0).all()


def test_batches_of_images_follow_from_seed_and_epoch(store):
    def flat(**changes: int) -> list[list[int]]:
        return [
            batch.token_ids.tolist() for batch in image_batches(store, images=4, captions=1, **changes)[1]
        ]

    assert flat() == flat()
    assert any(flat(epoch=epoch) != flat() for epoch in range(2, 9))
    assert any(flat(seed=seed) != flat() for seed in range(1, 9))


def test_the_same_images_in_other_rows_of_a_store_give_the_same_batches(store, tmp_path):
    layer = vectorization_layer(VOCABULARY, MAX_LENGTH)

    def drawn(some: FeatureStore) -> list[np.ndarray]:
        table = caption_table(EXAMPLES, some, VOCABULARY.tokenizer, MAX_LENGTH)
        plan = plan_together(table, 2, 6, seed=0, epoch=1)
        forced = teacher_forcing_batches(table, some, layer, plan, share=True).as_numpy_iterator()
        arrays = [array for (shown, targets, weights) in forced for array in (*shown, targets, weights)]
        for epoch in range(4):
            for batch in ImageBatches(table, some, layer, 2, 2, seed=0, epoch=epoch):
                arrays += [batch.features, batch.token_ids, batch.image_of]
        return arrays

    with FeatureStore.open(tmp_path / "other", {"encoder": "toy"}, (2,)) as other:
        for number in (1, 0, 3, 2):
            other.append([EXAMPLES[number].digest], np.array([[number, number**2]], np.float32))
        pairs = list(zip(drawn(store), drawn(other), strict=True))
    assert all(np.array_equal(one, another) for one, another in pairs)
