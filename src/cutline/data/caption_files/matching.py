"""Which hypothesis belongs to which references, when the two files name images in their own ways."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cutline.data.caption_files.contents import CaptionFile
from cutline.data.image_paths import IMAGE_SUFFIXES
from cutline.errors import DataError

_SHOWN: Final = 5
# What pandas makes of the id 7 in a column with gaps.
_WHOLE: Final = re.compile(r"\d+\.0+")


@dataclass(frozen=True)
class Matching:
    """Images of two files.

    Attributes:
        pairs: Key in the references → key in the hypotheses, for images in both, in the references' order.
        missing: Keys of references without a hypothesis.
        extra: Keys of hypotheses without references.
    """

    pairs: Mapping[str, str]
    missing: tuple[str, ...]
    extra: tuple[str, ...]


def match_images(hypotheses: CaptionFile, references: CaptionFile) -> Matching:
    """Find the references of each hypothesis.

    An image is the same when its id is the same and no name speaks against that; else when its name is;
    else when the path in one file ends in the path in the other (``holiday/dog.jpg`` is ``dog.jpg``) or
    folders differ and the name is the only one of its kind in both files; else when that is so without the
    ending of the file (``dog`` is ``dog.jpg``, ``7.0`` is ``7``).

    Raises:
        DataError: A name fits several images of the other file.

    Example:
        >>> ours = CaptionFile("h.csv", {"out/a.png": ("a dog",)}, {"out/a.png": "out/a.png"})
        >>> theirs = CaptionFile("r.json", {"1": ("a dog",), "2": ("a cat",)}, {"1": "a.png", "2": "b.png"})
        >>> match_images(ours, theirs)
        Matching(pairs={'1': 'out/a.png'}, missing=('2',), extra=())
    """
    found: dict[str, str] = {}
    for find in (_by_id, _by_name, _by_tail, _by_stem):
        left = _without(hypotheses, found.values())
        for image, key in find(left, _without(references, found)):
            if image in found:
                raise _ambiguous(references, image, hypotheses, (found[image], key))
            found[image] = key
    taken = set(found.values())
    return Matching(
        {image: found[image] for image in references.captions if image in found},
        tuple(image for image in references.captions if image not in found),
        tuple(key for key in hypotheses.captions if key not in taken),
    )


def some(keys: Iterable[str]) -> str:
    """List the first five of some images.

    Example:
        >>> some(["a", "b"]), some("abcdefg")
        ('a, b', 'a, b, c, d, e and 2 more')
    """
    keys = list(keys)
    more = f" and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def differ_in_case(ours: Iterable[str], theirs: Iterable[str]) -> str:
    """Say which names would be the same if upper and lower case were; ``""`` when none would.

    Example:
        >>> differ_in_case(["in/DOG.JPG", "cat.png"], ["dog.jpg", "1.png"])
        "names differ in upper and lower case ('in/DOG.JPG', 'dog.jpg'): write them alike"
        >>> differ_in_case(["dog.jpg"], ["cat.jpg"])
        ''
    """
    folded = {_stem(name).casefold(): name for name in theirs}
    pair = next(((name, folded[key]) for name in ours if (key := _stem(name).casefold()) in folded), None)
    return (
        f"names differ in upper and lower case ({pair[0]!r}, {pair[1]!r}): write them alike" if pair else ""
    )


@dataclass(frozen=True)
class _Side:
    """The images of one file that have not been found yet, by key, and the names of all of its images."""

    source: str
    names: Mapping[str, str]
    all_names: Mapping[str, str]

    def keys_by(self, word: Callable[[str], str]) -> dict[str, list[str]]:
        """Return what ``word`` makes of a name → keys of the images."""
        keys: dict[str, list[str]] = {}
        for key, name in self.names.items():
            keys.setdefault(word(name), []).append(key)
        return keys


_Pairs = list[tuple[str, str]]


def _without(file: CaptionFile, found: Iterable[str]) -> _Side:
    taken = set(found)
    names = {key: file.names[key] for key in file.captions if key not in taken}
    return _Side(file.source, names, file.names)


def _by_id(hypotheses: _Side, references: _Side) -> _Pairs:
    """Pair equal keys, but not where both files name the image and the names differ."""

    def agree(key: str) -> bool:
        ours, theirs = hypotheses.names[key], references.names[key]
        return key in (ours, theirs) or _stem(ours) == _stem(theirs)

    return [(key, key) for key in hypotheses.names if key in references.names and agree(key)]


def _by_name(hypotheses: _Side, references: _Side) -> _Pairs:
    theirs = references.keys_by(str)
    pairs = []
    for key, name in hypotheses.names.items():
        # A file without ids may hold ids of the other one where it has names, and the other way round.
        found = theirs.get(name) or ([name] if name in references.names else None) or theirs.get(key)
        if found and len(found) > 1:
            raise _ambiguous(hypotheses, name, references, found)
        if found:
            pairs.append((found[0], key))
    return pairs


def _by_tail(hypotheses: _Side, references: _Side) -> _Pairs:
    return _by_last_part(hypotheses, references, _tail)


def _by_stem(hypotheses: _Side, references: _Side) -> _Pairs:
    return _by_last_part(hypotheses, references, _stem)


def _by_last_part(hypotheses: _Side, references: _Side, word: Callable[[str], str]) -> _Pairs:
    ours, theirs = hypotheses.keys_by(word), references.keys_by(word)
    # Names such as 1.png that stand in several folders say nothing without them.
    counts = [Counter(map(word, side.all_names.values())) for side in (hypotheses, references)]
    pairs = []
    for last, keys in ours.items():
        images = theirs.get(last, [])
        only = len(images) == counts[0][last] == counts[1][last] == 1
        folders = _Folders({} if only else {image: references.names[image] for image in images})
        for key in keys:
            name = hypotheses.names[key]
            fitting = images if only else folders.nearest(name)
            if len(fitting) > 1:
                raise _ambiguous(hypotheses, name, references, fitting)
            pairs += [(image, key) for image in fitting]
    return pairs


class _Folders:
    """Images by the last folders of their paths: by the last one, by the last two, and so on."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._all = list(names)
        self._without_folder: list[str] = []
        self._ending: dict[str, list[str]] = {}
        for image, name in names.items():
            endings = _endings(name)
            for ending in endings:
                self._ending.setdefault(ending, []).append(image)
            if not endings:
                self._without_folder.append(image)

    def nearest(self, name: str) -> list[str]:
        """Return the images whose folders agree with those of a name, from the last one up, in most places.

        An image in other folders does not agree; one that is given without any does, in none.
        """
        endings = _endings(name)
        longest = next((ending for ending in reversed(endings) if ending in self._ending), None)
        if longest is not None:
            return self._ending[longest]
        return self._without_folder if endings else self._all


def _endings(name: str) -> list[str]:
    """Return the last folder of a path, its last two, and so on.

    Example:
        >>> _endings("a/b/1.png"), _endings("1.png")
        (['b/', 'a/b/'], [])
    """
    endings: list[str] = []
    for folder in reversed(name.split("/")[:-1]):
        endings.append(f"{folder}/{endings[-1] if endings else ''}")
    return endings


def _tail(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _stem(name: str) -> str:
    tail = _tail(name)
    if _WHOLE.fullmatch(tail):
        return tail.partition(".")[0]
    lower = tail.lower()
    return next((tail[: -len(suffix)] for suffix in IMAGE_SUFFIXES if lower.endswith(suffix)), tail)


def _ambiguous(
    one: _Side | CaptionFile, name: str, other: _Side | CaptionFile, keys: Iterable[str]
) -> DataError:
    return DataError(
        f"{one.source}: {name!r} fits several images of {other.source} ({some(keys)}); name the images alike "
        "in both files"
    )
