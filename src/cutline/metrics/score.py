"""All scores of a set of hypotheses at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from cutline.metrics.bleu import Bleu, bleu_of
from cutline.metrics.cider import CiderD
from cutline.metrics.contributions import METRICS, corpus_scores
from cutline.metrics.document_frequencies import DocumentFrequencies
from cutline.metrics.java import JavaScores, java_scores
from cutline.metrics.ptb import tokenise_ptb
from cutline.metrics.references import CookedHypotheses, Floats, ReferenceSet, Tokenise
from cutline.metrics.rouge import RougeL
from cutline.metrics.signature import signature
from cutline.metrics.significance import intervals_of_scores
from cutline.records import Scores
from cutline.text.markers import has_marker

_NO_FACTS: Final[Mapping[str, str]] = MappingProxyType({})


class Scorer:
    """Scores many sets of hypotheses against the same references, which are cooked once.

    Example:
        >>> references = {"a.png": ["a red dot on blue"], "b.png": ["two squares touch here"]}
        >>> scorer = Scorer(references)
        >>> scorer.score({"a.png": "a red dot on blue", "b.png": ""}).rouge_l
        50.0
    """

    def __init__(
        self,
        references: Mapping[str, Sequence[str]],
        tokenise: Tokenise | None = None,
        tokenizer_name: str = "ptb",
        frequencies: DocumentFrequencies | None = None,
    ) -> None:
        """Tokenise and count the references.

        Args:
            references: One or more references for each image.
            tokenise: Applied to both sides; COCO's tokenisation when None.
            tokenizer_name: What :attr:`Scores.tokenizer` will say. ``"ptb"`` names COCO's tokenisation
                alone: beside another ``tokenise`` it becomes ``"custom"``.
            frequencies: For CIDEr and CIDEr-D, as in :class:`CiderD`; of these references when None.

        Raises:
            DataError: There is no image, or an image has no reference.
        """
        self.references = ReferenceSet(references, tokenise)
        foreign = tokenise is not None and tokenise is not tokenise_ptb
        self._tokenizer_name = "custom" if foreign and tokenizer_name == "ptb" else tokenizer_name
        self._bleu = Bleu(self.references)
        self._rouge = RougeL(self.references)
        self._cider = CiderD(self.references, frequencies=frequencies)
        self._markers = any(has_marker(text) for captions in references.values() for text in captions)
        self._facts: dict[str, object] = {
            "tokenizer": self._tokenizer_name,
            "case": _case(tokenise or tokenise_ptb),
            "references": _per_image(self.references),
            "document frequencies": _corpus(frequencies) if frequencies else "references",
        }

    def score(
        self,
        hypotheses: Mapping[str, str],
        *,
        intervals: bool = False,
        java: bool = False,
        facts: Mapping[str, str] = _NO_FACTS,
    ) -> Scores:
        """Score one hypothesis per image; blank ones are allowed and score 0.

        Args:
            hypotheses: image_id → hypothesis.
            intervals: Fill :attr:`Scores.intervals`: 95 %, percentile bootstrap over images, 1,000 samples
                from seed 0, document frequencies held fixed.
            java: Ask for METEOR and SPICE as well, which takes a minute; where they cannot be had,
                :attr:`Scores.not_computed` says why.
            facts: For the signature, what cannot be seen from here: ``"decoding"``, ``"split"``, ``"data"``
                (a fingerprint), or any other.

        Raises:
            DataError: Hypotheses and references are not of the same images; both differences are listed.
        """
        contributions = self.contributions(hypotheses)
        found = corpus_scores(contributions.sum(0), len(self.references)).tolist()
        asked = self._ask_java(hypotheses) if java else JavaScores()
        markers = self._markers or any(map(has_marker, hypotheses.values()))
        return Scores(
            **dict(zip(METRICS, found, strict=True)),
            images=len(self.references),
            references=len(self.references.image_of),
            tokenizer=self._tokenizer_name,
            meteor=asked.meteor,
            spice=asked.spice,
            not_computed=asked.notes,
            intervals=intervals_of_scores(contributions) if intervals else {},
            signature=signature({**self._facts, "markers": "left in" if markers else "stripped", **facts}),
        )

    def contributions(self, hypotheses: Mapping[str, str]) -> Floats:
        """Return what each image adds to the corpus scores, float64 (N, 13): see :func:`corpus_scores`.

        Rows are in the order of the references. DataError as in :meth:`score`.
        """
        cooked = self.references.cook(hypotheses)
        return np.vstack([self._bleu.statistics(cooked), *self._means(cooked)]).T

    def per_image(self, hypotheses: Mapping[str, str]) -> dict[str, Floats]:
        """Return score → its value for each image, ×100, float64 (N,) in the order of the references.

        BLEU of single captions is that of COCO's code: without smoothing, so near 0 for a caption that
        shares no 4-gram. DataError as in :meth:`score`.
        """
        cooked = self.references.cook(hypotheses)
        values = [*bleu_of(self._bleu.statistics(cooked)), *self._means(cooked)]
        return dict(zip(METRICS, values, strict=True))

    def cider_d_per_image(self, hypotheses: Mapping[str, str]) -> dict[str, float]:
        """Return image_id → CIDEr-D of its hypothesis, ×100, in the order of the references."""
        return dict(zip(self.references.image_ids, self._cider.score(hypotheses)[1].tolist(), strict=True))

    def _ask_java(self, hypotheses: Mapping[str, str]) -> JavaScores:
        if self._tokenizer_name != "ptb":
            reason = f"it is for English; these captions were tokenised as {self._tokenizer_name!r}"
            return JavaScores(notes={"meteor": reason, "spice": reason})
        return java_scores(self.references.joined(hypotheses), self.references.joined_references())

    def _means(self, cooked: CookedHypotheses) -> tuple[Floats, Floats, Floats]:
        """Return ROUGE-L, CIDEr and CIDEr-D of each image."""
        return self._rouge.score(cooked)[1], *self._cider.both(cooked)


def score(
    hypotheses: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    tokenise: Tokenise | None = None,
    tokenizer_name: str = "ptb",
    *,
    intervals: bool = False,
    java: bool = False,
) -> Scores:
    """Score one hypothesis per image against its references; see :class:`Scorer`.

    Example:
        >>> result = score({"a.png": "A red dot on blue."}, {"a.png": ["a red dot on blue", "one dot"]})
        >>> round(result.bleu_4, 1), result.images, result.references, result.tokenizer
        (100.0, 1, 2, 'ptb')
        >>> result.signature
        'cutline:1|tokenizer:ptb|case:lower|markers:stripped|references:2|document frequencies:references'
    """
    scorer = Scorer(references, tokenise, tokenizer_name)
    return scorer.score(hypotheses, intervals=intervals, java=java)


def _case(tokenise: Tokenise) -> str:
    return "lower" if tokenise("A Dog") == tokenise("a dog") else "kept"


def _corpus(frequencies: DocumentFrequencies) -> str:
    return f"{frequencies.images} images ({frequencies.fingerprint})"


def _per_image(references: ReferenceSet) -> str:
    """Return the number of references per image, or the least and the most."""
    sizes = np.bincount(references.image_of)
    low, high = int(sizes.min()), int(sizes.max())
    return str(low) if low == high else f"{low}-{high}"
