"""The options of decoding: frozen, each with its range and what it is for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from cutline.config.frozen import Frozen


class DecodingOptions(Frozen):
    """How step probabilities become a caption."""

    beam_size: int = Field(1, ge=1, le=100, description="beams kept; 1 is greedy decoding")
    length_penalty: float = Field(
        0.0, ge=0, le=2, description="exponent of the length the log-probability is divided by"
    )
    max_length: int = Field(40, ge=1, description="longest caption in tokens")
    min_length: int = Field(0, ge=0, description="shortest caption in tokens")
    no_repeat_ngram: int = Field(
        0, ge=0, description="tokens in a row that come in a caption once at the most; 0 for no such rule"
    )
    end_in_function_word: bool = Field(
        True, description="let captions end in a word such as 'a' or 'with'; false is known for English alone"
    )
    groups: int = Field(1, ge=1, description="groups of beams that avoid each other's words; they share them")
    diversity: float = Field(
        0.5, ge=0, description="with groups, what a word costs, in nats, for each beam that has just taken it"
    )
    temperature: float = Field(
        0.0,
        ge=0,
        le=10,
        description="above 0 draws captions at random, below 1 the likelier ones; 0 does not",
    )
    top_k: int = Field(0, ge=0, description="draw from so many most probable tokens; 0 for all")
    top_p: float = Field(
        1.0, gt=0, le=1, description="draw from the most probable tokens that have this share of probability"
    )
    seed: int = Field(0, ge=0, description="seed of the draws")
    batch_size: int = Field(64, ge=1, description="images decoded at once")
    consensus: int = Field(
        0,
        ge=0,
        description="training images most like the picture whose captions vote on the model's; any number "
        "above 0 where only what was learned votes; 0: the most probable caption is taken",
    )
    consensus_by: Literal["both", "learned", "neighbours"] = Field(
        "both",
        description="what votes, as far as the model carries it: what was learned of all training captions, "
        "and the captions of the nearest training images; one of them alone",
    )
    consensus_beams: int = Field(
        0,
        ge=0,
        le=100,
        description="with consensus, beams searched for captions to choose from; 0: as many as beam_size",
    )
    consensus_draws: int = Field(
        20, ge=0, description="with consensus, captions drawn to choose from, beside the beams"
    )
    consensus_own: float = Field(
        0.0,
        ge=0,
        description="with consensus, what agreement with the captions drawn weighs beside the votes",
    )
    consensus_likelihood: float = Field(
        0.2,
        ge=0,
        description="with consensus, what a nat of log-probability, after its length penalty, weighs against "
        "a point of CIDEr-D (of 10)",
    )
    consensus_length_penalty: float = Field(
        0.7,
        ge=0,
        le=2,
        description="with consensus, exponent of the length that log-probability is divided by",
    )
    consensus_rarity: float = Field(
        0.0,
        ge=0,
        description="with consensus, what a nat of a caption's rarest word, log(images / images with the "
        "word), weighs against a point of CIDEr-D (of 10): more makes captions more varied",
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> DecodingOptions:
        if self.min_length > self.max_length:
            raise ValueError(f"min_length must be at most max_length, which is {self.max_length}")
        for name, beams in (("beam_size", self.beam_size), ("consensus_beams", self.consensus_beams)):
            if beams % self.groups:
                raise ValueError(f"groups must divide {name}, which is {beams}")
        if self.temperature and self.beam_size > 1:
            raise ValueError(
                "a temperature draws captions and a beam_size searches for them: set one of them"
            )
        if self.temperature and self.consensus:
            raise ValueError("a temperature draws captions and a consensus chooses one: set one of them")
        if not self.temperature and (self.top_k or self.top_p < 1):
            raise ValueError("top_k and top_p narrow what is drawn: they need a temperature, such as 1")
        return self

    @property
    def searched_beams(self) -> int:
        """Beams that a search keeps: ``beam_size``, or ``consensus_beams`` where its captions are voted on.

        Example:
            >>> DecodingOptions(beam_size=5, consensus=40, consensus_beams=20).searched_beams
            20
        """
        return (self.consensus and self.consensus_beams) or self.beam_size
