"""Tokens ↔ ids: built on the train split, saved as plain JSON, readable without any framework."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cutline.errors import BundleError, DataError
from cutline.files import FileInMemory, write_json
from cutline.text.tokenizer import Tokenizer

PAD: Final = "<pad>"
UNK: Final = "<unk>"
START: Final = "<start>"
END: Final = "<end>"
SPECIALS: Final = (PAD, UNK, START, END)
"""Markers in the order of their ids; Keras' TextVectorization fixes 0 for padding and 1 for unknown."""

PAD_ID: Final = 0
UNK_ID: Final = 1
START_ID: Final = 2
END_ID: Final = 3


@dataclass(frozen=True)
class Vocabulary:
    """A frozen list of tokens, each with its place as id, and the tokenizer that makes them.

    Attributes:
        tokens: All V tokens, ``<pad>``, ``<unk>``, ``<start>``, ``<end>`` first, then by falling frequency.
        tokenizer: Cuts captions the way the tokens were cut.

    Example:
        >>> words = Vocabulary((*SPECIALS, "a", "dog"), Tokenizer())
        >>> words.encode("A dog barks.", max_length=10)
        [2, 4, 5, 1, 3]
        >>> words.decode([2, 4, 5, 1, 3, 0, 0])
        ['a', 'dog', '<unk>']
    """

    tokens: tuple[str, ...]
    tokenizer: Tokenizer
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the tokens; raise DataError when markers are missing or a token comes twice."""
        if self.tokens[: len(SPECIALS)] != SPECIALS:
            raise DataError(f"a vocabulary starts with {' '.join(SPECIALS)}; found {self.tokens[:4]!r}")
        object.__setattr__(self, "_ids", {token: index for index, token in enumerate(self.tokens)})
        if len(self._ids) != len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise DataError(f"the vocabulary holds {twice!r} more than once; each token needs one id")

    def __len__(self) -> int:
        """Return V, markers included."""
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        """Tell whether a token is known."""
        return token in self._ids

    def id_of(self, token: str) -> int:
        """Return the id of a token, that of ``<unk>`` when it is unknown."""
        return self._ids.get(token, UNK_ID)

    def encode(self, caption: str, max_length: int) -> list[int]:
        """Return the ids of a caption between start and end marker.

        Args:
            caption: Text in any case and form; it is normalised and tokenised here.
            max_length: Most caption tokens kept, markers not counted; the rest is cut.

        Returns:
            2 to ``max_length + 2`` ids, each in 0..V-1.
        """
        known = self._ids
        ids = [known.get(token, UNK_ID) for token in self.tokenizer.tokenise(caption)[:max_length]]
        return [START_ID, *ids, END_ID]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the tokens of ids up to the first end marker, without padding and start markers.

        Unknown tokens stay visible as ``<unk>``. Raises DataError for an id outside 0..V-1.
        """
        tokens: list[str] = []
        for token_id in ids:
            if token_id == END_ID:
                break
            if not 0 <= token_id < len(self.tokens):
                raise DataError(f"token id {token_id} is not in 0..{len(self.tokens) - 1}; wrong vocabulary?")
            if token_id not in (PAD_ID, START_ID):
                tokens.append(self.tokens[token_id])
        return tokens

    def text(self, ids: Sequence[int]) -> str:
        """Return ids as the caption a person reads."""
        return self.tokenizer.detokenise(self.decode(ids))

    def coverage(self, captions: Iterable[str]) -> float:
        """Return the share (0..1) of the captions' tokens that are known; 1 when there are none."""
        known = total = 0
        for caption in captions:
            tokens = self.tokenizer.tokenise(caption)
            total += len(tokens)
            known += sum(token in self._ids for token in tokens)
        return known / total if total else 1.0

    def extended(
        self, captions: Iterable[str], min_count: int = 1, max_size: int | None = None
    ) -> Vocabulary:
        """Return a vocabulary in which every token keeps its id, and frequent new tokens come behind.

        Args:
            captions: Captions of the train split only, cut by this vocabulary's tokenizer.
            min_count: New tokens seen less often are left out.
            max_size: Largest V, markers included; None for no limit. No token of now is dropped for it.

        Returns:
            The tokens of now, then new ones by falling frequency, equally frequent ones in code point order.

        Example:
            >>> words = Vocabulary((*SPECIALS, "a", "dog"), Tokenizer())
            >>> words.extended(["a cat", "a cat", "an owl"], min_count=2).tokens[4:]
            ('a', 'dog', 'cat')
        """
        counts = _counted(captions, self.tokenizer)
        unknown = {token: count for token, count in counts.items() if token not in self._ids}
        room = None if max_size is None else max(max_size - len(self.tokens), 0)
        return Vocabulary((*self.tokens, *_most_frequent(unknown, min_count, room)), self.tokenizer)

    def to_dict(self) -> dict[str, Any]:
        """Return tokenisation rules and tokens as plain JSON values."""
        return {"tokenizer": self.tokenizer.to_dict(), "tokens": list(self.tokens)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Vocabulary:
        """Rebuild a vocabulary from :meth:`to_dict`; raise BundleError when the values do not fit."""
        tokens, rules = values.get("tokens"), values.get("tokenizer")
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise BundleError("the vocabulary has no list of 'tokens'; restore the file or train again")
        if not isinstance(rules, Mapping):
            raise BundleError("the vocabulary has no 'tokenizer' settings; restore the file or train again")
        try:
            return cls(tuple(tokens), Tokenizer.from_dict(rules))
        except DataError as error:
            raise BundleError(str(error)) from error

    def save(self, path: Path | str) -> None:
        """Write the vocabulary as readable JSON, atomically."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: Path | str | FileInMemory) -> Vocabulary:
        """Read what :meth:`save` wrote; raise BundleError when the file is missing or damaged."""
        file = Path(path) if isinstance(path, str) else path
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BundleError(
                f"{path}: the vocabulary cannot be read ({error}); restore it or train again"
            ) from None
        if not isinstance(values, dict):
            raise BundleError(f"{path}: the vocabulary must be a JSON object, found {type(values).__name__}")
        try:
            return cls.from_dict(values)
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from None


def build_vocabulary(
    captions: Iterable[str],
    tokenizer: Tokenizer,
    min_count: int = 1,
    max_size: int | None = None,
) -> Vocabulary:
    """Count the tokens of the train captions and keep the frequent ones.

    Args:
        captions: Captions of the train split only.
        tokenizer: Cuts them.
        min_count: Tokens seen less often are left out.
        max_size: Largest V, markers included; None for no limit.

    Returns:
        Markers, then tokens by falling frequency, equally frequent ones in code point order.

    Raises:
        DataError: Nothing is left after filtering.

    Example:
        >>> build_vocabulary(["a dog", "a cat"], Tokenizer()).tokens[4:]
        ('a', 'cat', 'dog')
    """
    return select_tokens(_counted(captions, tokenizer), tokenizer, min_count, max_size)


def select_tokens(
    counts: Mapping[str, int], tokenizer: Tokenizer, min_count: int, max_size: int | None
) -> Vocabulary:
    """Make a vocabulary of counted tokens by the rules of :func:`build_vocabulary`."""
    room = None if max_size is None else max(max_size - len(SPECIALS), 0)
    chosen = _most_frequent(counts, min_count, room)
    if not chosen:
        most = max(counts.values(), default=0)
        raise DataError(
            f"the vocabulary is empty: of {len(counts)} different tokens in the train captions the most "
            f"frequent occurs {most} times, text.min_count is {min_count} and text.max_size {max_size}; "
            "lower min_count, raise max_size or add captions"
        )
    return Vocabulary((*SPECIALS, *chosen), tokenizer)


def _counted(captions: Iterable[str], tokenizer: Tokenizer) -> Counter[str]:
    counts: Counter[str] = Counter()
    for caption in captions:
        counts.update(tokenizer.tokenise(caption))
    return counts


def _most_frequent(counts: Mapping[str, int], min_count: int, room: int | None) -> list[str]:
    """Return the most frequent tokens, at most ``room`` of them, equally frequent ones in their order."""
    kept = [
        (-count, token) for token, count in counts.items() if count >= min_count and token not in SPECIALS
    ]
    return [token for _, token in sorted(kept)[:room]]
