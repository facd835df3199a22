"""Models that caption together: each looks at the image with its own encoder, all write one caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cutline.data.feature_store import as_stored
from cutline.data.images import decode_image
from cutline.decoding import Ensemble
from cutline.decoding.ensemble import pack, views
from cutline.errors import BundleError, ConfigError
from cutline.runtime import Bundle, Session, open_session
from cutline.runtime.sessions import ImageEncoder
from cutline.text import Vocabulary
from cutline.voters import Voters


class EnsembleSession(Ensemble):
    """A session over several bundles that share a vocabulary.

    Members with the same encoder share what it computes. Where all do, features are those of one model;
    else those of each encoder are packed side by side.

    Attributes:
        members: Sessions, in the order of the bundles.
        encoding: The sessions of the different encoders, in order.
        input_size: Height and width of the first member's images; those of others may differ.
        side_by_side: Batches that every member can work on at the same time.
    """

    members: tuple[Session, ...]

    def __init__(self, bundles: Sequence[Bundle], sessions: Sequence[Session]) -> None:
        """Put sessions together.

        Args:
            bundles: At least one, over the same vocabulary.
            sessions: The session of each bundle.

        Raises:
            ConfigError: There is none.
        """
        if not bundles:
            raise ConfigError("no model was named; name at least one")
        first = _first_with_same_encoder(bundles)
        different = sorted(set(first))
        places = views([bundles[place].feature_shape for place in different])
        chosen = [places[different.index(place)] for place in first] if len(different) > 1 else None
        super().__init__(sessions, chosen)
        self.encoding = tuple(sessions[place] for place in different)
        self.input_size = sessions[0].input_size
        self.side_by_side = min(getattr(session, "side_by_side", 1) for session in sessions)

    @classmethod
    def open(cls, bundles: Sequence[Bundle]) -> EnsembleSession:
        """Open a session of each bundle; vocabularies are compared first, for that takes no time.

        Raises:
            BundleError: Vocabularies differ.
            MissingDependencyError: The runtime's package is not installed.
            ConfigError: There is none.
        """
        for bundle in bundles[1:]:
            require_same_vocabulary(bundles[0], bundle)
        return cls(bundles, [open_session(bundle) for bundle in bundles])

    @property
    def encoder(self) -> ImageEncoder:
        """The encoder of the first member; those of all are in ``encoding``."""
        return self.encoding[0].encoder

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (B, H, W, 3), 0..255, to features; only where all encoders take images of this size."""
        parts = [session.encode(images) for session in self.encoding]
        return parts[0] if len(parts) == 1 else pack(parts)


class VotersOfFirst(Voters):
    """Voters that look with the first of several encoders whose features are packed."""

    def __init__(self, first: Bundle) -> None:
        """Take the voters of the first member and the shape of its features."""
        super().__init__(first.neighbours, first.vocabulary.tokenizer, first.expected)
        (self._view,) = views([first.feature_shape])

    def votes(
        self,
        features: NDArray[Any],
        candidates: Sequence[Sequence[str]],
        count: int,
        by: Literal["both", "learned", "neighbours"] = "both",
    ) -> list[NDArray[np.float64]]:
        """As of :class:`Voters`; features are packed, (B, F)."""
        return super().votes(self._view.of(features), candidates, count, by)


def voters_of(bundle: Bundle, session: Session) -> Voters | None:
    """Return the voters that a bundle carries, for the features that a session gives; None without any."""
    if not bundle.has_voters or len(encoding_sessions(session)) == 1:
        return Voters.of(bundle)
    return VotersOfFirst(bundle)


def together(bundles: Sequence[Bundle]) -> Bundle:
    """Return a bundle that stands for an ensemble: options and voters of the first, nothing fitted.

    How sure one model is of its captions was fitted to the captions and probabilities of that model: it says
    nothing about those of an ensemble. Images unlike the training images are told by the features of one
    encoder, and an ensemble has those of several.
    """
    if len(bundles) == 1:
        return bundles[0]
    folder = " + ".join(bundle.folder for bundle in bundles)
    return replace(bundles[0], confidence=None, domain=None, folder=folder)


def require_same_vocabulary(one: Bundle, other: Bundle) -> None:
    """Raise BundleError unless two bundles write the same tokens with the same ids."""
    difference = _difference(one.vocabulary, other.vocabulary)
    if difference:
        raise BundleError(
            f"{one.folder} and {other.folder} have different vocabularies: {difference}; models caption "
            "together when they were trained on the same train captions with the same [text] options"
        )


def _difference(one: Vocabulary, other: Vocabulary) -> str | None:
    """Name the first difference; None when there is none."""
    rules = one.tokenizer.to_dict(), other.tokenizer.to_dict()
    for name in sorted({*rules[0], *rules[1]}):
        if rules[0].get(name) != rules[1].get(name):
            return f"{name} of the tokenizer is {rules[0].get(name)!r} and {rules[1].get(name)!r}"
    for number, (token, twin) in enumerate(zip_longest(one.tokens, other.tokens)):
        if token != twin:
            return f"token {number} is {_told(token)} and {_told(twin)}"
    return None


def _told(token: str | None) -> str:
    return "none" if token is None else repr(token)


def _first_with_same_encoder(bundles: Sequence[Bundle]) -> list[int]:
    """Return for each bundle the place of the first one whose encoder gives the same features."""
    prints = [(bundle.details.get("encoder_fingerprint"), bundle.feature_shape) for bundle in bundles]
    return [
        prints.index(own) if own[0] is not None else place  # a bundle made by hand may not say
        for place, own in enumerate(prints)
    ]


Pixels = tuple[NDArray[np.uint8], ...]
"""One image, (H, W, 3) as each encoder needs it."""


def encoding_sessions(session: Session) -> tuple[Session, ...]:
    """Return the sessions that encode: one for each different encoder, a session alone for its own."""
    return session.encoding if isinstance(session, EnsembleSession) else (session,)


def read_image(session: Session, image: Any) -> Pixels:
    """Decode an image at the input size of each encoder of a session; ImageError when it cannot be read."""
    sizes = [one.input_size for one in encoding_sessions(session)]
    read = {size: decode_image(image, size) for size in set(sizes)}
    return tuple(read[size] for size in sizes)


def encode_images(session: Session, images: Sequence[Pixels]) -> NDArray[np.float16]:
    """Return the features of images, at least one, rounded as in a store.

    Training and evaluation read features from a store, which rounds them. Without the same rounding two
    tokens that are all but equally likely could change places, and the caption of an image would not be the
    one that was scored.
    """
    columns = zip(*images, strict=True)
    parts = [
        as_stored(one.encode(np.stack(column)))
        for one, column in zip(encoding_sessions(session), columns, strict=True)
    ]
    return parts[0] if len(parts) == 1 else pack(parts)
