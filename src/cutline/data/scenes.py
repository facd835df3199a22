"""What the scenes of the sample data set show: shapes on paper, in combinations some of which are held out.

A scene is one thing somewhere, two or three equal things in a line, or two different things in a
relation. Positions and sizes are shares of the picture's side, so nothing here knows of pixels.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeAlias, TypeVar

Kind: TypeAlias = tuple[str, str]
"""A colour and a shape."""

COLOURS: Final = ("red", "yellow", "green", "blue", "pink", "black")
SHAPES: Final = ("circle", "square", "triangle", "star", "heart")
PATTERNS: Final = ("plain", "striped", "dotted")
TINTS: Final = ("grey", "cream", "rose", "mint", "sky")

HELD_OUT_KINDS: Final[frozenset[Kind]] = frozenset(
    {("pink", "circle"), ("black", "square"), ("green", "triangle"), ("blue", "star"), ("yellow", "heart")}
)
"""Kinds of things that no training scene shows, each colour and each shape being common in others."""

HELD_OUT_COUNTS: Final[frozenset[tuple[int, Kind]]] = frozenset(
    {
        (2, ("red", "star")),
        (2, ("yellow", "triangle")),
        (2, ("blue", "heart")),
        (3, ("blue", "circle")),
        (3, ("green", "square")),
        (3, ("black", "star")),
    }
)
"""Counts that no training scene shows of that kind, though it shows the other count."""

PLACES: Final = {
    "on the left": (-1, 0),
    "on the right": (1, 0),
    "at the top": (0, -1),
    "at the bottom": (0, 1),
    "in the centre": (0, 0),
    "in the top left corner": (-1, -1),
    "in the top right corner": (1, -1),
    "in the bottom left corner": (-1, 1),
    "in the bottom right corner": (1, 1),
}
"""Where a single thing stands, with the direction from the middle, y pointing down."""

RELATIONS: Final = ("left of", "above", "inside")


@dataclass(frozen=True)
class Thing:
    """One coloured shape.

    Attributes:
        colour: One of :data:`COLOURS`.
        shape: One of :data:`SHAPES`.
        centre: (x, y), 0..1 from the top left corner.
        radius: About half its extent, as a share of the picture's side.
        angle: Clockwise turn in degrees.
    """

    colour: str
    shape: str
    centre: tuple[float, float]
    radius: float
    angle: float

    @property
    def kind(self) -> Kind:
        """Colour and shape."""
        return self.colour, self.shape


@dataclass(frozen=True)
class Scene:
    """What one picture shows.

    Attributes:
        form: ``"one"`` thing, a ``"group"`` of equal things, or ``"two"`` different things.
        things: In the order in which captions name them.
        arrangement: A key of :data:`PLACES`; ``"row"`` or ``"column"``; or one of :data:`RELATIONS`, in
            which the first thing stands to the second.
        size: ``"small"`` or ``"large"`` for one thing, else ``""``.
        pattern: Of the background, one of :data:`PATTERNS`.
        tint: Of the background, one of :data:`TINTS`.
    """

    form: Literal["one", "group", "two"]
    things: tuple[Thing, ...]
    arrangement: str
    size: str
    pattern: str
    tint: str

    @property
    def held_out(self) -> bool:
        """Whether training must not see it."""
        grouped = self.form == "group" and (len(self.things), self.things[0].kind) in HELD_OUT_COUNTS
        return grouped or any(thing.kind in HELD_OUT_KINDS for thing in self.things)


Card = TypeVar("Card")


class Deck(Generic[Card]):
    """Cards dealt in random order, each as often as any other.

    Example:
        >>> deck = Deck("ab", random.Random(0))
        >>> sorted(deck.deal() for _ in range(4))
        ['a', 'a', 'b', 'b']
    """

    def __init__(self, cards: Iterable[Card], chance: random.Random) -> None:
        """Take the cards; ``chance`` shuffles them whenever all were dealt."""
        self._cards = list(cards)
        self._chance = chance
        self._left: list[Card] = []

    def deal(self) -> Card:
        """Return the next card."""
        if not self._left:
            self._left = self._chance.sample(self._cards, len(self._cards))
        return self._left.pop()


class Imagination:
    """Makes up scenes, balanced over forms, kinds, counts, places and relations.

    Example:
        >>> Imagination(held_out=True, chance=random.Random(0)).imagine().held_out
        True
    """

    def __init__(self, held_out: bool, chance: random.Random) -> None:
        """Make up held-out scenes only, or none."""
        seen = [(colour, shape) for colour in COLOURS for shape in SHAPES]
        seen = [kind for kind in seen if kind not in HELD_OUT_KINDS]
        kinds = sorted(HELD_OUT_KINDS) if held_out else seen
        counted = [(count, kind) for count in (2, 3) for kind in kinds]
        counted = (
            [*counted, *sorted(HELD_OUT_COUNTS)]
            if held_out
            else [card for card in counted if card not in HELD_OUT_COUNTS]
        )
        self._chance = chance
        # Two or three of a kind are learnt from fewest pictures.
        self._forms = Deck([*["one"] * 3, *["group"] * 2, *["two"] * 3], chance)
        self._kinds = Deck(kinds, chance)
        self._others = Deck(seen, chance)
        self._counted = Deck(counted, chance)
        self._places = Deck([(place, size) for place in PLACES for size in ("small", "large")], chance)
        self._lines = Deck(["row", "column"], chance)
        self._relations = Deck(RELATIONS, chance)
        self._papers = Deck([(pattern, tint) for pattern in PATTERNS for tint in TINTS], chance)

    def imagine(self) -> Scene:
        """Return the next scene."""
        return {"one": self._one, "group": self._group, "two": self._two}[self._forms.deal()]()

    def _one(self) -> Scene:
        place, size = self._places.deal()
        radius = self._about(0.235 if size == "large" else 0.11, 0.012)
        x, y = (
            0.5 + direction * (0.46 - radius - abs(self._about(0, 0.03))) + self._about(0, 0.01)
            for direction in PLACES[place]
        )
        return self._scene("one", [self._thing(self._kinds.deal(), (x, y), radius)], place, size)

    def _group(self) -> Scene:
        count, kind = self._counted.deal()
        line = self._lines.deal()
        radius = self._about(0.165 if count == 2 else 0.125, 0.01)
        across, along = self._about(0.5, 0.1), 0.44 if count == 2 else 0.31
        things = []
        for number in range(count):
            position = 0.5 + (number - (count - 1) / 2) * along + self._about(0, 0.012)
            centre = (position, across + self._about(0, 0.015))
            things.append(self._thing(kind, centre if line == "row" else (centre[1], centre[0]), radius))
        return self._scene("group", things, line)

    def _two(self) -> Scene:
        first, second = self._kinds.deal(), self._others.deal()
        while first[0] == second[0] or first[1] == second[1]:
            second = self._others.deal()
        if self._chance.random() < 0.5:
            first, second = second, first
        relation = self._relations.deal()
        if relation == "inside":
            middle = (self._about(0.5, 0.05), self._about(0.5, 0.05))
            things = [self._thing(first, middle, self._about(0.12, 0.01)), self._thing(second, middle, 0.37)]
            return self._scene("two", things, relation)
        things = []
        for kind, position in ((first, 0.27), (second, 0.73)):
            centre = (self._about(position, 0.02), self._about(0.5, 0.08))
            flipped = centre if relation == "left of" else (centre[1], centre[0])
            things.append(self._thing(kind, flipped, self._about(0.175, 0.015)))
        return self._scene("two", things, relation)

    def _scene(
        self, form: Literal["one", "group", "two"], things: list[Thing], arrangement: str, size: str = ""
    ) -> Scene:
        pattern, tint = self._papers.deal()
        return Scene(form, tuple(things), arrangement, size, pattern, tint)

    def _thing(self, kind: Kind, centre: tuple[float, float], radius: float) -> Thing:
        return Thing(*kind, centre, radius, self._about(0, 9))

    def _about(self, value: float, spread: float) -> float:
        return value + self._chance.uniform(-spread, spread)
