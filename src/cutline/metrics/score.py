"""All scores of a set of hypotheses at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cutline.metrics.bleu import Bleu
from cutline.metrics.cider import Cider, CiderD
from cutline.metrics.ptb import tokenise_ptb
from cutline.metrics.references import ReferenceSet, Tokenise
from cutline.metrics.rouge import RougeL
from cutline.records import Scores


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
    ) -> None:
        """Tokenise and count the references.

        Args:
            references: One or more references for each image.
            tokenise: Applied to both sides; COCO's tokenisation when None.
            tokenizer_name: What :attr:`Scores.tokenizer` will say. ``"ptb"`` names COCO's tokenisation
                alone: beside another ``tokenise`` it becomes ``"custom"``.

        Raises:
            DataError: There is no image, or an image has no reference.
        """
        self.references = ReferenceSet(references, tokenise)
        foreign = tokenise is not None and tokenise is not tokenise_ptb
        self._tokenizer_name = "custom" if foreign and tokenizer_name == "ptb" else tokenizer_name
        self._bleu = Bleu(self.references)
        self._rouge = RougeL(self.references)
        self._cider = Cider(self.references)
        self._cider_d = CiderD(self.references)

    def score(self, hypotheses: Mapping[str, str]) -> Scores:
        """Score one hypothesis per image; blank ones are allowed and score 0.

        Raises:
            DataError: Hypotheses and references are not of the same images; both differences are listed.
        """
        cooked = self.references.cook(hypotheses)
        bleu = self._bleu.score(cooked)[0].tolist()
        return Scores(
            bleu_1=bleu[0],
            bleu_2=bleu[1],
            bleu_3=bleu[2],
            bleu_4=bleu[3],
            rouge_l=self._rouge.score(cooked)[0],
            cider=self._cider.score(cooked)[0],
            cider_d=self._cider_d.score(cooked)[0],
            images=len(self.references),
            references=len(self.references.image_of),
            tokenizer=self._tokenizer_name,
        )

    def cider_d_per_image(self, hypotheses: Mapping[str, str]) -> dict[str, float]:
        """Return image_id → CIDEr-D of its hypothesis, ×100, in the order of the references."""
        return dict(zip(self.references.image_ids, self._cider_d.score(hypotheses)[1].tolist(), strict=True))


def score(
    hypotheses: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    tokenise: Tokenise | None = None,
    tokenizer_name: str = "ptb",
) -> Scores:
    """Score one hypothesis per image against its references; see :class:`Scorer`.

    Example:
        >>> result = score({"a.png": "A red dot on blue."}, {"a.png": ["a red dot on blue", "one dot"]})
        >>> round(result.bleu_4, 1), result.images, result.references, result.tokenizer
        (100.0, 1, 2, 'ptb')
    """
    return Scorer(references, tokenise, tokenizer_name).score(hypotheses)
