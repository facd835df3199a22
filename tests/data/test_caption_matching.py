"""Images of two files of captions are told apart by id, name, path and ending, never by guessing."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutline.data.caption_files import CaptionFile, match_images
from cutline.errors import DataError


def file(source: str, *images: str, **names: str) -> CaptionFile:
    """Make a file of images that go by their names, or by ids with names."""
    known = {**{image: image for image in images}, **{key.lstrip("_"): name for key, name in names.items()}}
    return CaptionFile(source, dict.fromkeys(known, ("a dog",)), known)


def pairs(hypotheses: CaptionFile, references: CaptionFile) -> dict[str, str]:
    return dict(match_images(hypotheses, references).pairs)


@pytest.mark.parametrize(
    ("hypothesis", "reference"),
    [
        ("dog.jpg", "dog.jpg"),
        ("holiday/dog.jpg", "dog.jpg"),
        ("dog.jpg", "photos/dog.jpg"),
        ("/srv/ann/photos/a/dog.jpg", "a/dog.jpg"),
        ("out/dog.jpg", "photos/dog.jpg"),
        ("dog", "dog.jpg"),
        ("out/dog.png", "dog"),
        ("1.2.dog", "photos/1.2.dog.JPEG"),
        ("7.0", "7"),
    ],
)
def test_one_image_under_two_names(hypothesis: str, reference: str) -> None:
    hypotheses, references = file("h.csv", hypothesis, "cat.jpg"), file("r.csv", "cat.jpg", reference)
    assert pairs(hypotheses, references) == {"cat.jpg": "cat.jpg", reference: hypothesis}


def test_ids_and_names_meet_on_either_side() -> None:
    by_id, by_name = file("a", _1="x/dog.jpg", _2="x/cat.jpg"), file("b", "dog.jpg", "cat.jpg")
    assert pairs(by_name, by_id) == {"1": "dog.jpg", "2": "cat.jpg"}
    assert pairs(by_id, by_name) == {"dog.jpg": "1", "cat.jpg": "2"}
    assert pairs(file("c", "2", "1"), by_id) == {"1": "1", "2": "2"}


def test_names_are_believed_where_two_files_number_in_their_own_way() -> None:
    ours, theirs = file("h", _1="dog.jpg", _2="cat.jpg"), file("r", _1="cat.jpg", _2="dog.jpg")
    assert pairs(ours, theirs) == {"1": "2", "2": "1"}


def test_folders_part_images_of_the_same_name() -> None:
    hypotheses = file("h", "out/beach/1.png", "out/hill/1.png")
    assert pairs(hypotheses, file("r", "in/hill/1.png", "in/beach/1.png")) == {
        "in/hill/1.png": "out/hill/1.png",
        "in/beach/1.png": "out/beach/1.png",
    }
    matching = match_images(hypotheses, file("r", "in/hill/1.png", "in/town/1.png"))
    assert matching.pairs == {"in/hill/1.png": "out/hill/1.png"}
    assert (matching.missing, matching.extra) == (("in/town/1.png",), ("out/beach/1.png",))


class Counted(str):
    """A name that counts how often it is taken apart."""

    times = 0

    def split(self, *arguments):  # type: ignore[no-untyped-def]
        Counted.times += 1
        return super().split(*arguments)


def test_files_of_one_name_in_many_folders_are_each_taken_apart_a_few_times() -> None:
    count = 300
    ours = {str(number): Counted(f"t/{number}/image.jpg") for number in range(count)}
    theirs = {f"r{number}": Counted(f"/data/t/{number}/image.jpg") for number in range(count)}
    captions = [dict.fromkeys(names, ("a dog",)) for names in (ours, theirs)]
    Counted.times = 0
    matching = match_images(CaptionFile("h", captions[0], ours), CaptionFile("r", captions[1], theirs))
    assert matching.pairs == {f"r{number}": str(number) for number in range(count)}
    assert Counted.times <= 4 * count


folders = st.lists(st.sampled_from("ab"), max_size=4).map(lambda parts: "".join(f"{part}/" for part in parts))


def agreeing_one_by_one(name: str, others: list[str]) -> list[str]:
    """Compare the folders of a name with those of every other one, from the last one up."""
    ours, shared = name.split("/")[:-1][::-1], {}
    for other in others:
        theirs = other.split("/")[:-1][::-1]
        count = next(
            (at for at, (one, two) in enumerate(zip(ours, theirs, strict=False)) if one != two), None
        )
        count = min(len(ours), len(theirs)) if count is None else count
        if count or not ours or not theirs:
            shared[other] = count
    return [other for other, count in shared.items() if count == max(shared.values())]


@given(folders, st.lists(folders, min_size=2, max_size=6, unique=True))
def test_folders_that_agree_in_most_places_are_found_as_by_comparing_all(
    folder: str, others: list[str]
) -> None:
    name, names_there = f"x/{folder}1.png", [f"{other}1.png" for other in others]
    expected = agreeing_one_by_one(name, names_there)
    try:
        found = [*match_images(file("h", name), file("r", *names_there)).pairs]
    except DataError:
        assert len(expected) > 1
    else:
        assert found == expected


def test_the_same_name_wins_over_the_same_ending_of_the_path() -> None:
    matching = match_images(file("h", "sub/dog.jpg", "dog.jpg"), file("r", "dog.jpg"))
    assert matching.pairs == {"dog.jpg": "dog.jpg"}
    assert matching.extra == ("sub/dog.jpg",)


@pytest.mark.parametrize(
    ("hypotheses", "references", "named"),
    [
        (("1.png",), ("a/1.png", "b/1.png"), "h: '1.png' fits several images of r (a/1.png, b/1.png)"),
        (("a/1.png", "b/1.png"), ("1.png",), "r: '1.png' fits several images of h (a/1.png, b/1.png)"),
        (("dog",), ("dog.jpg", "dog.png"), "h: 'dog' fits several images of r (dog.jpg, dog.png)"),
    ],
)
def test_a_name_that_fits_several_images_is_refused(
    hypotheses: tuple[str, ...], references: tuple[str, ...], named: str
) -> None:
    with pytest.raises(DataError) as caught:
        match_images(file("h", *hypotheses), file("r", *references))
    assert str(caught.value) == f"{named}; name the images alike in both files"


def test_two_ids_of_one_file_name_are_refused() -> None:
    with pytest.raises(DataError, match=r"'dog.jpg' fits several"):
        match_images(file("h", "dog.jpg"), file("r", _1="dog.jpg", _2="dog.jpg"))


names = st.lists(st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=3), unique=True)


@given(names, names, st.sampled_from(["", "out/", "a/b/"]), st.sampled_from(["", ".jpg", ".PNG"]))
def test_every_image_is_paired_missing_or_extra(
    ours: list[str], theirs: list[str], folder: str, ending: str
) -> None:
    hypotheses = file("h", *(f"{folder}{name}{ending}" for name in ours))
    matching = match_images(hypotheses, file("r", *theirs))
    assert {*matching.pairs} == {*ours} & {*theirs}
    assert [*matching.pairs] == [name for name in theirs if name in ours]
    assert all(key == f"{folder}{image}{ending}" for image, key in matching.pairs.items())
    assert {*matching.pairs, *matching.missing} == {*theirs}
    assert {*matching.pairs.values(), *matching.extra} == {*hypotheses.captions}
