"""The captions of a data set, cut into tokens once, with what is usual among them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cutline.config import TextOptions
from cutline.data.checks.finding import Occurrence
from cutline.data.checks.languages import main_language, scripts_of
from cutline.errors import DataError
from cutline.records import Dataset, Example
from cutline.text import Tokenizer, Vocabulary, build_vocabulary, choose_level


@dataclass(frozen=True, slots=True)
class Sentence:
    """One caption of one image.

    Attributes:
        example: The image it describes.
        caption: As it was read.
        tokens: By the rules of the vocabulary.
    """

    example: Example
    caption: str
    tokens: tuple[str, ...]

    @property
    def key(self) -> str:
        """The tokens joined: equal for captions that differ in case, spaces and punctuation only."""
        return " ".join(self.tokens)

    def place(self, detail: str = "") -> Occurrence:
        """Name this caption as the place of a fault."""
        return Occurrence(self.example.image_id, detail, self.caption, (self.example.image_id,))


@dataclass(frozen=True)
class Sentences:
    """All captions of the images that can be used.

    Attributes:
        all: One entry per caption, in the order of the data set.
        tokenizer: What cut them.
        options: Rules of the vocabulary.
        vocabulary: Of the train captions, as training will build it; None when no token is frequent enough.
    """

    all: tuple[Sentence, ...]
    tokenizer: Tokenizer
    options: TextOptions
    vocabulary: Vocabulary | None

    def of_split(self, split: str) -> list[Sentence]:
        """Return the captions of one split."""
        return [sentence for sentence in self.all if sentence.example.split == split]

    @cached_property
    def median_length(self) -> float:
        """Median number of tokens; 0 without captions."""
        return statistics.median(len(sentence.tokens) for sentence in self.all) if self.all else 0.0

    @cached_property
    def language(self) -> str:
        """The language of most captions, where it is one of a few that are known, else ``""``."""
        if self.tokenizer.level != "word" or self.script != "LATIN":
            return ""
        return main_language([word.lower() for word in sentence.tokens] for sentence in self.all)

    @cached_property
    def script(self) -> str:
        """The script of most letters, ``""`` without any."""
        return max(self.scripts, key=lambda name: self.scripts[name], default="")

    @cached_property
    def scripts(self) -> dict[str, int]:
        """Script → captions that are mostly written in it."""
        counts: dict[str, int] = {}
        for sentence in self.all:
            letters = scripts_of(sentence.caption)
            if letters:
                name = max(letters, key=lambda script: letters[script])
                counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


def tokenizer_for(dataset: Dataset, options: TextOptions) -> Tokenizer:
    """Return the tokenizer that training will choose: by the train captions, by all where there are none."""
    train = [caption for example in dataset.of_split("train") for caption in example.captions]
    every = train or [caption for example in dataset.examples for caption in example.captions]
    return Tokenizer(choose_level(every) if options.level == "auto" else options.level, options.lowercase)


def cut_sentences(dataset: Dataset, usable: Sequence[Example], options: TextOptions) -> Sentences:
    """Tokenise the captions of usable images, by the rules that training will choose.

    The vocabulary comes from the train captions. Training counts images that cannot be decoded, too, so this
    does.
    """
    tokenizer = tokenizer_for(dataset, options)
    train = [caption for example in dataset.of_split("train") for caption in example.captions]
    try:
        vocabulary = build_vocabulary(train, tokenizer, options.min_count, options.max_size)
    except DataError:
        vocabulary = None
    sentences = tuple(
        Sentence(example, caption, tuple(tokenizer.tokenise(caption)))
        for example in usable
        for caption in example.captions
    )
    return Sentences(sentences, tokenizer, options, vocabulary)
