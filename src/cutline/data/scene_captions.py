"""Five differently worded captions of a scene, all of them true."""

from __future__ import annotations

import random
from typing import Final

from cutline.data.scenes import Scene, Thing

CAPTIONS_PER_SCENE: Final = 5

_NUMBERS: Final = {2: "two", 3: "three"}
_OTHER_SIZE: Final = {"large": "big", "small": "little"}
_LINES: Final = {
    (2, "row"): "side by side",
    (2, "column"): "one above the other",
    (3, "row"): "in a row",
    (3, "column"): "in a column",
}


def describe_scene(scene: Scene, chance: random.Random) -> list[str]:
    """Return :data:`CAPTIONS_PER_SCENE` different captions, the plainest first.

    Args:
        scene: What the picture shows.
        chance: Chooses and orders the other wordings.

    Example:
        >>> blue, red = Thing("blue", "star", (0.3, 0.5), 0.1, 0), Thing("red", "heart", (0.7, 0.5), 0.1, 0)
        >>> scene = Scene("two", (blue, red), "left of", "", "plain", "sky")
        >>> describe_scene(scene, random.Random(0))[0]
        'a blue star to the left of a red heart'
    """
    plainest, *others = {"one": _of_one, "group": _of_group, "two": _of_two}[scene.form](scene)
    return [plainest, *chance.sample(others, CAPTIONS_PER_SCENE - 1)]


def with_article(words: str) -> str:
    """Put "a" or "an" before words.

    Example:
        >>> with_article("orange star"), with_article("small orange star")
        ('an orange star', 'a small orange star')
    """
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _named(thing: Thing) -> str:
    return with_article(f"{thing.colour} {thing.shape}")


def _of_one(scene: Scene) -> list[str]:
    thing, place = scene.things[0], scene.arrangement
    name, sized = f"{thing.colour} {thing.shape}", f"{scene.size} {thing.colour} {thing.shape}"
    other_size = _OTHER_SIZE[scene.size]
    return [
        f"{with_article(sized)} {place}",
        f"there is {with_article(sized)} {place}",
        f"{with_article(name)} {place} of the picture",
        f"{with_article(sized)} on a {scene.pattern} background",
        f"a single {name} {place}",
        f"one {other_size} {name} {place}",
        f"the {name} is {scene.size} and {place}",
        f"a picture of {with_article(sized)}",
    ]


def _of_group(scene: Scene) -> list[str]:
    thing, count = scene.things[0], len(scene.things)
    number, line = _NUMBERS[count], _LINES[count, scene.arrangement]
    names = f"{thing.colour} {thing.shape}s"
    return [
        f"{number} {names} {line}",
        f"there are {number} {names} {line}",
        f"{number} {names} on a {scene.pattern} background",
        f"{'a pair' if count == 2 else 'a group of three'} {'of ' if count == 2 else ''}{names}",
        f"{number} {thing.shape}s and {'both' if count == 2 else 'all'} of them are {thing.colour}",
        f"a picture of {number} {names}",
        f"{number} {names} of the same size",
        f"there are exactly {number} {names}",
    ]


def _of_two(scene: Scene) -> list[str]:
    first, second = (_named(thing) for thing in scene.things)
    plain_first, plain_second = (f"{thing.colour} {thing.shape}" for thing in scene.things)
    background = f"on a {scene.pattern} background"
    if scene.arrangement == "inside":
        return [
            f"{first} inside {second}",
            f"there is {first} inside {second}",
            f"{second} with {first} inside it",
            f"{with_article(f'small {plain_first}')} inside {with_article(f'large {plain_second}')}",
            f"{second} around {first}",
            f"{first} inside {second} {background}",
            f"the {plain_first} is inside the {plain_second}",
        ]
    if scene.arrangement == "above":
        return [
            f"{first} above {second}",
            f"there is {first} above {second}",
            f"{second} below {first}",
            f"{first} at the top and {second} at the bottom",
            f"{second} under {first}",
            f"{first} above {second} {background}",
            f"the {plain_first} is above the {plain_second}",
        ]
    return [
        f"{first} to the left of {second}",
        f"there is {first} to the left of {second}",
        f"{second} to the right of {first}",
        f"{first} on the left and {second} on the right",
        f"{first} next to {second}",
        f"{first} next to {second} {background}",
        f"the {plain_first} is to the left of the {plain_second}",
    ]
