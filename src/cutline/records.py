"""The frozen records that flow down the corridor from reader to report.

reader → Dataset of Example → split → vocabulary; image → Captioner → Hypothesis;
hypotheses + references → Scores → EvaluationResult → report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPLITS: Final = ("train", "val", "test")
"""Names of the three splits, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Example:
    """One image with everything people wrote about it.

    Attributes:
        image_id: Stable key of the image inside its data set (the file name unless the table has ids).
        image: Path of the image file, absolute.
        captions: One or more captions, NFC-normalised, never blank.
        split: ``"train"``, ``"val"``, ``"test"``, or None while undecided.
        digest: SHA-256 of the file's bytes in hexadecimal, or ``""`` while the file was not read.

    Example:
        >>> Example("dog.jpg", "/photos/dog.jpg", ("a dog runs",)).split is None
        True
    """

    image_id: str
    image: str
    captions: tuple[str, ...]
    split: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one row or image that did not stop the rest.

    Attributes:
        kind: Short stable name, e.g. ``"missing image"`` or ``"empty caption"``.
        where: File with row, or the image_id.
        message: One line saying what was found and what was done about it.
    """

    kind: str
    where: str
    message: str


@dataclass(frozen=True)
class Dataset:
    """All examples of one source, in the order of the source.

    Attributes:
        examples: One entry per image.
        source: The path that was read.
        format: Name of the reader that read it, e.g. ``"table"`` or ``"coco"``.
        problems: Rows and images that were left out or mended, each with the reason.

    Example:
        >>> data = Dataset((Example("a.png", "/a.png", ("red dot",), "train"),), "table.csv", "table")
        >>> len(data), data.count_captions(), [e.image_id for e in data.of_split("train")]
        (1, 1, ['a.png'])
    """

    examples: tuple[Example, ...]
    source: str
    format: str
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        """Count images."""
        return len(self.examples)

    def of_split(self, split: str) -> tuple[Example, ...]:
        """Return the examples of one split, in order."""
        return tuple(example for example in self.examples if example.split == split)

    def count_captions(self) -> int:
        """Count captions over all images."""
        return sum(len(example.captions) for example in self.examples)

    def fingerprint(self) -> str:
        """Hash image contents, captions and splits: equal fingerprints mean equal training data.

        Returns:
            16 hexadecimal digits, independent of the order of the examples and of where files lie.
        """
        lines = sorted(
            "\x1f".join((example.digest or example.image_id, example.split or "", *example.captions))
            for example in self.examples
        )
        return hashlib.sha256("\x1e".join(lines).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Hypothesis:
    """A caption the model gives.

    Attributes:
        text: The caption as a person reads it.
        tokens: Its tokens, without start and end markers.
        token_ids: Their ids in the vocabulary.
        log_probability: Natural log, summed over the tokens and the end marker; ≤ 0.
        attention: Attention weights (T, R), float32, each row summing to 1; None without attention.
    """

    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    log_probability: float
    attention: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Scores:
    """Caption scores over a set of images, all ×100, markers stripped from both sides.

    Attributes:
        bleu_1: BLEU-1, corpus level, closest reference length. Likewise ``bleu_2`` to ``bleu_4``.
        rouge_l: ROUGE-L, mean over images.
        cider_d: CIDEr-D, mean over images (what COCO's evaluation code prints as CIDEr).
        images: Number of images scored.
        references: Number of references over all images.
        tokenizer: Name of the tokenisation applied to both sides.
    """

    bleu_1: float
    bleu_2: float
    bleu_3: float
    bleu_4: float
    rouge_l: float
    cider_d: float
    images: int
    references: int
    tokenizer: str

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as a plain dictionary in a fixed order."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class CaptionedImage:
    """One line of ``cutline caption``: hypotheses for an image, or the reason there are none."""

    image: str
    hypotheses: tuple[Hypothesis, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class EpochRecord:
    """One row of ``history.csv``.

    Losses are nats per token over non-padding tokens, accuracies the share (0..1) of those tokens
    predicted right; both are teacher-forced. Scores are of generated captions, ×100.
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    bleu_4: float
    cider_d: float
    unique_captions: float
    seconds: float


@dataclass(frozen=True)
class EvaluationResult:
    """What ``cutline evaluate`` found on one split.

    Attributes:
        split: The split that was captioned.
        scores: Of the generated captions.
        baseline: Of the most common training caption given to every image, on the same images.
        baseline_caption: That caption.
        loss: Teacher-forced, nats per non-padding token.
        word_accuracy: Teacher-forced, share of non-padding tokens predicted right, 0..1.
        unique_captions: Distinct hypotheses ÷ all hypotheses, 0..1.
        captions: image_id → hypothesis text.
        references: image_id → reference captions.
        images: image_id → path of the image.
        model: Where the model came from.
        data_fingerprint: Of the data set that was evaluated.
        decoding: One line naming the decoding options.
        problems: Images that could not be captioned.
    """

    split: str
    scores: Scores
    baseline: Scores
    baseline_caption: str
    loss: float
    word_accuracy: float
    unique_captions: float
    captions: Mapping[str, str]
    references: Mapping[str, tuple[str, ...]]
    images: Mapping[str, str]
    model: str
    data_fingerprint: str
    decoding: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Run:
    """A finished or interrupted training run on disk.

    Attributes:
        folder: The run folder; pass it wherever a MODEL is asked for.
        history: One record per finished epoch.
        best_epoch: 1-based epoch whose bundle is kept, 0 before the first one.
        problems: Rows and images that were left out.
        interrupted: True when Ctrl-C ended it early.
        epochs: Epochs that were asked for, 0 when unknown.
    """

    folder: str
    history: tuple[EpochRecord, ...]
    best_epoch: int
    problems: tuple[Problem, ...] = ()
    interrupted: bool = False
    epochs: int = 0


def problem_lines(problems: Iterable[Problem]) -> list[str]:
    """Return one printable line per problem."""
    return [f"{problem.kind}: {problem.where}: {problem.message}" for problem in problems]
