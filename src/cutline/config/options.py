"""The options of a run: frozen, one group per room, each with its range and what it is for."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from cutline.config.decoding import DecodingOptions
from cutline.config.frozen import Frozen

MIN_INPUT_SIZE: Final = 64
MAX_INPUT_SIZE: Final = 1024
"""Smallest and largest side in pixels of the images that a named encoder can be asked to take."""


class DataOptions(Frozen):
    """How a data set is read and split."""

    format: str | None = Field(None, description="reader to use; detected when absent")
    image_column: str | None = Field(None, description="column holding the image file")
    caption_column: str | None = Field(None, description="column holding the caption")
    group_column: str | None = Field(None, description="column by which scores are given apart")
    train_fraction: float = Field(0.8, gt=0, lt=1, description="share of images to train on")
    val_fraction: float = Field(0.1, gt=0, lt=1, description="share of images to choose by; the rest is test")
    split_seed: int = Field(0, ge=0, description="seed of the random split")

    @model_validator(mode="after")
    def _leave_room_for_test(self) -> DataOptions:
        if self.train_fraction + self.val_fraction > 1:
            raise ValueError("train_fraction + val_fraction must be at most 1")
        return self


class TextOptions(Frozen):
    """How captions become tokens, and which tokens enter the vocabulary."""

    level: Literal["auto", "word", "character"] = Field("auto", description="unit of the vocabulary")
    lowercase: bool = Field(True, description="fold case")
    min_count: int = Field(3, ge=1, description="drop tokens seen less often in the train split")
    max_size: int = Field(20_000, ge=5, description="largest vocabulary, markers included")
    max_length: int = Field(40, ge=1, description="longest caption in tokens; longer ones are cut")


class EncoderOptions(Frozen):
    """Which CNN looks at the image."""

    name: str = Field(
        "efficientnet_lite0",
        description="name in the encoder registry, several joined by +, or a .keras file",
    )
    weights: str = Field(
        "imagenet", description="'imagenet', a weights file, or 'random'; of joined encoders joined by +, too"
    )
    features: Literal["pooled", "grid"] = Field("pooled", description="one vector or one per region")
    input_size: int = Field(
        0,
        ge=0,
        le=MAX_INPUT_SIZE,
        description=f"side of the images it takes, at least {MIN_INPUT_SIZE} pixels; 0: its usual one",
    )
    batch_size: int = Field(32, ge=1, description="images encoded at once")

    @model_validator(mode="after")
    def _see_more_than_one_region(self) -> EncoderOptions:
        if 0 < self.input_size < MIN_INPUT_SIZE:
            raise ValueError(
                f"input_size must be 0, for the usual one, or {MIN_INPUT_SIZE} to {MAX_INPUT_SIZE} pixels"
            )
        return self


class DecoderOptions(Frozen):
    """The LSTM that writes the caption."""

    name: str = Field("show_tell", description="name in the decoder registry")
    embedding_units: int = Field(256, ge=1, description="width of the token embedding")
    lstm_units: int = Field(512, ge=1, description="width of the LSTM's state")
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout on the LSTM's output")
    feature_dropout: float = Field(0.3, ge=0, lt=1, description="dropout on the normalised features")
    attention_units: int = Field(256, ge=1, description="width in which regions and state are compared")
    embedding_dropout: float = Field(0.3, ge=0, lt=1, description="dropout on the words read, with attention")
    word_dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the words read that training replaces by <unk>"
    )
    sentinel: bool = Field(
        False, description="let attention look away from the picture, at what the LSTM remembers"
    )


class StartOptions(Frozen):
    """What training starts from."""

    model: str = Field(
        "",
        description="model (a run, a bundle, a name of cutline models) whose encoder and decoder training "
        "starts from and whose vocabulary it extends; blank: initial weights, and encoder.weights",
    )


class TrainingOptions(Frozen):
    """How the decoder is trained."""

    epochs: int = Field(
        5, ge=0, description="passes over the captions at the most; 0 leaves them out, with start.model alone"
    )
    batch_size: int = Field(64, ge=1, description="captions per step at the most")
    captions_together: int = Field(
        1,
        ge=1,
        description="captions of an image that share a step at the most, so that regions are prepared once",
    )
    flip: Literal["auto", "never"] = Field(
        "never",
        description="train every second time on the features of the mirrored image, whose captions must be "
        "English and name no side; never mirror",
    )
    learning_rate: float = Field(2e-3, gt=0, description="highest rate of the schedule")
    schedule: Literal["constant", "cosine"] = Field("cosine", description="rate over the epochs")
    warmup_steps: int = Field(
        100, ge=0, description="steps until the highest rate is reached, at most a tenth of the run"
    )
    weight_decay: float = Field(1e-4, ge=0, description="decoupled decay of the weights (AdamW)")
    clip_norm: float = Field(5.0, gt=0, description="largest gradient norm")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of a target's probability that all tokens get"
    )
    weight_average: float = Field(
        0.0, ge=0, lt=1, description="share of the old average in the averaged weights; 0 averages nothing"
    )
    scheduled_sampling: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the words read that are the model's own in the last epoch; it grows from 0",
    )
    attention_penalty: float = Field(
        0.0, ge=0, description="weight of the penalty on looking at a region more or less than once in all"
    )
    precision: Literal["float32", "bfloat16", "auto"] = Field(
        "float32",
        description="what the decoder computes with; 'auto': bfloat16 where the processor has it",
    )
    patience: int = Field(5, ge=1, description="epochs without a better one, by val CIDEr-D, before stopping")
    validation_images: int = Field(
        1000, ge=1, description="val images captioned after each epoch at the most"
    )
    keep_captions: bool = Field(
        True,
        description="keep training captions in the bundle: to show similar images, and for them to choose",
    )
    choose_decoding: bool = Field(
        False, description="at the end, choose beam size and length penalty on val, as cutline tune does"
    )
    seed: int = Field(0, ge=0, description="seed of weights, dropout and shuffling")

    @model_validator(mode="after")
    def _hold_what_belongs_together(self) -> TrainingOptions:
        if self.captions_together > self.batch_size:
            raise ValueError(f"captions_together must be at most batch_size, which is {self.batch_size}")
        return self


class FineTuneOptions(Frozen):
    """Training the encoder together with the decoder, on augmented images, after teacher forcing."""

    epochs: int = Field(0, ge=0, description="passes over the images; 0 leaves it out")
    stages: Literal["last", "last_two", "last_three", "all"] = Field(
        "last", description="which stages of the encoder are trained, by the size of their maps"
    )
    learning_rate: float = Field(5e-5, gt=0, description="highest rate of the encoder's schedule")
    decoder_learning_rate: float = Field(3e-4, gt=0, description="highest rate of the decoder's schedule")
    images: int = Field(16, ge=1, description="images per step")
    captions: int = Field(5, ge=1, description="captions per image in a step, all when it has fewer")
    batch_norm: Literal["frozen", "trained"] = Field(
        "frozen", description="whether batch normalisation in the trained stages learns, statistics included"
    )
    crop: float = Field(0.7, gt=0, le=1, description="smallest share of the area a crop keeps; 1 never crops")
    colour: float = Field(
        0.2, ge=0, lt=1, description="how far brightness, contrast and saturation go up or down; 0 keeps them"
    )
    flip: Literal["auto", "never"] = Field(
        "auto", description="mirror half of the images whose English captions name no side; never mirror"
    )
    patience: int = Field(3, ge=1, description="epochs without a better one, by val CIDEr-D, before stopping")


class SelfCriticalOptions(Frozen):
    """Training on the score of captions the model writes itself, after teacher forcing."""

    epochs: int = Field(0, ge=0, description="passes over the images; 0 leaves it out")
    images: int = Field(16, ge=1, description="images per step")
    samples: int = Field(5, ge=2, description="captions drawn for each image")
    learning_rate: float = Field(1e-4, gt=0, description="highest rate of the schedule")
    temperature: float = Field(1.0, gt=0, le=10, description="of the draws: above 1 bolder, below 1 safer")
    cross_entropy: float = Field(0.2, ge=0, le=1, description="share of cross-entropy kept in the objective")
    bleu_4: float = Field(
        0.0, ge=0, description="what a BLEU-4 of 1 is worth in the reward beside CIDEr-D (of 10)"
    )
    neighbours: int = Field(
        0, ge=0, description="training images most like an image whose captions judge its draws, too; 0: none"
    )
    neighbours_weight: float = Field(
        4.0, ge=0, description="what CIDEr-D with their captions weighs beside that with the image's own"
    )
    references: int = Field(2, ge=1, description="captions by people per image in that share")
    max_length: int = Field(
        0,
        ge=0,
        description="longest caption drawn, in tokens; 0: 22, or as long as 99 of 100 train captions where "
        "they are longer",
    )
    min_length: int = Field(0, ge=0, description="shortest caption drawn, in tokens")
    no_repeat_ngram: int = Field(
        0,
        ge=0,
        description="tokens in a row that a draw holds once at the most; 0 for no such rule",
    )
    patience: int = Field(5, ge=1, description="epochs without a better one, by val CIDEr-D, before stopping")

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> SelfCriticalOptions:
        if 0 < self.max_length < self.min_length:
            raise ValueError(f"min_length must be at most max_length, which is {self.max_length}")
        return self


class RunConfig(Frozen):
    """Everything that defines a run."""

    preset: str = Field("show_tell", description="named options that were the starting point")
    data: DataOptions = DataOptions()
    text: TextOptions = TextOptions()
    encoder: EncoderOptions = EncoderOptions()
    decoder: DecoderOptions = DecoderOptions()
    start: StartOptions = StartOptions()
    training: TrainingOptions = TrainingOptions()
    fine_tune: FineTuneOptions = FineTuneOptions()
    self_critical: SelfCriticalOptions = SelfCriticalOptions()
    decoding: DecodingOptions = DecodingOptions()

    @model_validator(mode="after")
    def _leave_something_to_train(self) -> RunConfig:
        if not self.training.epochs and not self.start.model:
            raise ValueError("training.epochs is 0, which only a start.model allows; set it to 1 or more")
        if not (self.training.epochs or self.fine_tune.epochs or self.self_critical.epochs):
            raise ValueError(
                "training.epochs, fine_tune.epochs and self_critical.epochs are all 0; set one to 1 or more"
            )
        return self

    @model_validator(mode="after")
    def _keep_those_who_vote(self) -> RunConfig:
        asked = self.decoding.consensus and self.decoding.consensus_by == "neighbours"
        if asked and not self.training.keep_captions:
            raise ValueError(
                "decoding.consensus_by=neighbours needs the captions that training.keep_captions keeps"
            )
        return self
