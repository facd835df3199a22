"""Stand-ins for parts that are slow or heavy."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cutline.progress import Progress, Silent
from cutline.records import (
    MOST_COMMON,
    Alternative,
    Baseline,
    Calibration,
    CaptionedImage,
    CoveragePoint,
    Diversity,
    EpochRecord,
    EvaluationResult,
    ExplainedToken,
    Explanation,
    Hypothesis,
    Interval,
    LearningCurve,
    LearningPoint,
    LookingTest,
    ReliabilityBin,
    Scores,
    SimilarImage,
    Slice,
    UnlikeTraining,
)
from cutline.wishes import NO_WISHES, Wishes


class ScriptedStepModel:
    """A StepModel whose next-token probabilities are looked up, not computed.

    The state of a row is what was written in it, so a wrong reorder makes the script answer for the wrong
    beginning, and a state out of step with the tokens is noticed at once.

    Attributes:
        batches: Rows of each step so far, to see which captions were still being written.
    """

    def __init__(self, script: Callable[[int, tuple[int, ...]], Sequence[float]], start_id: int) -> None:
        """Take a function from (image number, ids written) to the probabilities of all V tokens."""
        self._script = script
        self._start_id = start_id
        self.batches: list[int] = []

    def start(self, features: np.ndarray) -> list[tuple[int, ...]]:
        """Read the image number from the first feature of each row."""
        return [(int(row[0]),) for row in features]

    def step(
        self, token_ids: np.ndarray, state: list[tuple[int, ...]]
    ) -> tuple[np.ndarray, list[tuple[int, ...]]]:
        """Look the next tokens up."""
        assert token_ids.dtype == np.int32
        assert token_ids.shape == (len(state),)
        self.batches.append(len(state))
        written = [(*row, int(token)) for row, token in zip(state, token_ids, strict=True)]
        assert all(row[1] == self._start_id for row in written), "captions begin with the start marker"
        with np.errstate(divide="ignore"):
            answers = np.log([self._script(row[0], row[2:]) for row in written])
        answers = answers.astype(np.float32)
        answers.setflags(write=False)  # as a framework's arrays may be
        return answers, written

    def reorder(self, state: list[tuple[int, ...]], rows: np.ndarray) -> list[tuple[int, ...]]:
        """Pick rows."""
        return [state[row] for row in rows]


def made_up_captions(images: int, seed: int = 0) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Make hypotheses and 1 to 5 references per image that share words and some word order."""
    rng = random.Random(seed)
    openings = ["a dog", "two dogs", "a small red ball", "the man", "a man and a woman", "three kids"]
    actions = ["runs", "is running", "jumps over a log", "sits", "are playing", "holds the small ball"]
    places = [
        "on the grass",
        "in the water",
        "near a big red car",
        "at night",
        "",
        "on the grass in the park",
    ]

    def sentence() -> str:
        return " ".join(rng.choice(part) for part in (openings, actions, places)).strip()

    references = {f"{number}.jpg": [sentence() for _ in range(rng.randint(1, 5))] for number in range(images)}
    hypotheses = {}
    for image_id, captions in references.items():
        tokens = rng.choice([*captions, sentence()]).split()
        change = rng.random()
        if change < 0.2:
            rng.shuffle(tokens)
        elif change < 0.5:
            tokens = [token for token in tokens if rng.random() > 0.3]
        elif change < 0.6:
            tokens = [*tokens, "zebra", *tokens[:2], "zebra"]
        hypotheses[image_id] = " ".join(tokens)
    return hypotheses, references


CAPTIONS_IN_MANY_SCRIPTS = {
    "dog.jpg": (
        "A dog, a \"good\" one; it runs | 'fast'",
        "Two lines:\na dog\nin the snow",
        "كلبٌ أسودُ، يلعب؟",
    ),
    "कुत्ता.png": ("काला कुत्ता और चित्तीदार कुत्ता लड़ रहे हैं।",),
    "bus 3.jpeg": ("รถบัสสีแดง 3 คัน", "一辆红色的巴士，停在路边。", "a bus 🚌👩🏽‍🚀🇫🇷", "un café"),
}
"""Image name → captions with what readers get wrong: scripts, quotes, delimiters, line ends, emoji."""


def made_up_history(epochs: int = 4) -> tuple[EpochRecord, ...]:
    """Make a history whose CIDEr-D is highest in the last epoch but one."""
    return tuple(
        EpochRecord(
            epoch=epoch,
            learning_rate=0.001,
            train_loss=4.0 / epoch,
            train_accuracy=0.2 + 0.05 * epoch,
            val_loss=4.2 / epoch,
            val_accuracy=0.2 + 0.04 * epoch,
            bleu_4=4.0 * epoch,
            cider_d=10.0 * min(epoch, 2 * (epochs - 1) - epoch),
            unique_captions=0.1 * epoch,
            seconds=12.5,
        )
        for epoch in range(1, epochs + 1)
    )


def made_up_evaluation(folder: Path, count: int = 3, split: str = "test", **changes: Any) -> EvaluationResult:
    """Draw images into ``folder`` and make an evaluation of them; ``changes`` replace its fields."""
    paths = {}
    for number in range(count):
        path = folder / f"{number}.jpg"
        if number < 10:
            Image.new("RGB", (40, 30), (20 * number, 90, 200)).save(path)
        paths[path.name] = str(path)
    model = Scores(61.2, 43.4, 30.8, 21.1, 44.9, 150.1, 142.3, count, 2 * count, "ptb")
    baseline = Scores(31.2, 13.4, 6.8, 2.1, 24.9, 14.2, 12.3, count, 2 * count, "ptb")
    result = EvaluationResult(
        split=split,
        scores=model,
        baselines=(Baseline(MOST_COMMON, baseline, 2.0, "a most common dog"),),
        diversity=Diversity(0.1, 0.4, 120, 0.75, None, 9.5, None),
        loss=1.734,
        word_accuracy=0.612,
        captions={name: f"hypothesis for {name}" for name in paths},
        references={name: (f"first of {name}", f"second of {name}") for name in paths},
        images=paths,
        image_scores=dict.fromkeys(paths, 142.3),
        model="runs/first/bundle",
        data_fingerprint="0123456789abcdef",
        decoding="greedy, at most 40 tokens",
    )
    return replace(result, **changes)


class FakeCaptioner:
    """Captions a file with its name; files with "broken" in their name cannot be read."""

    def __init__(self, caption: str = "a picture called {}") -> None:
        """Take the pattern of the captions."""
        self.caption = caption
        self.asked: list[tuple[int | None, int]] = []
        self.wishes = NO_WISHES

    def with_wishes(self, wishes: Wishes) -> FakeCaptioner:
        """Remember what was wished for."""
        self.wishes = wishes
        return self

    def caption_all(
        self, images: Iterable[str], beam_size: int | None = None, n_best: int = 1
    ) -> Iterator[CaptionedImage]:
        """Caption one by one, as late as possible."""
        self.asked.append((beam_size, n_best))
        for image in images:
            name = Path(image).stem
            if "broken" in name:
                yield CaptionedImage(image, error=f"{image}: damaged; copy it again")
                continue
            text = self.caption.format(name)
            tokens = tuple(text.split())
            yield CaptionedImage(
                image,
                tuple(
                    Hypothesis(
                        text if rank == 0 else f"{text} {rank}", tokens, (4,) * len(tokens), -1.25 - rank
                    )
                    for rank in range(n_best)
                ),
            )


class StubRecipe:
    """Stands in for a recipe's module, so that a command can be tested without what the recipe loads.

    Attributes:
        calls: Positional and keyword arguments of every call, without the progress.
    """

    def __init__(self, result: object, note: str | None, warning: str | None) -> None:
        """Answer with ``result``, or raise it, after telling ``note`` and ``warning``."""
        self._result, self._note, self._warning = result, note, warning
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    @classmethod
    def put(
        cls,
        monkeypatch: pytest.MonkeyPatch,
        module: str,
        function: str,
        result: object,
        note: str | None = None,
        warning: str | None = None,
    ) -> StubRecipe:
        """Put a stub in the place of ``cutline.recipes.MODULE``."""
        stub = cls(result, note, warning)
        fake = ModuleType(f"cutline.recipes.{module}")
        setattr(fake, function, stub)
        monkeypatch.setitem(sys.modules, fake.__name__, fake)
        # Commands look for the model before they load what takes long.
        monkeypatch.setattr("cutline.runtime.bundle.find_bundle", Path)
        return stub

    def __call__(self, *arguments: Any, progress: Progress, **options: Any) -> Any:
        """Answer."""
        self.calls.append((arguments, options))
        if self._note is not None:
            progress.note(self._note)
        if self._warning is not None:
            progress.warn(self._warning)
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


class ActingProgress(Silent):
    """Does something in the middle of a stage: raises, or kills the process.

    Attributes:
        notes: What was noted.
        warnings: What was warned of.
        stages: Names and totals of the stages, in order.
    """

    def __init__(self, stage: str = "", after: int = 0, act: Callable[[], object] = int) -> None:
        """Call ``act`` when ``after`` items of the first stage whose name starts with ``stage`` are done."""
        self._stage, self._after, self._act = stage, after, act
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.stages: list[tuple[str, int | None]] = []

    @contextmanager
    def stage(self, name: str, total: int | None, unit: str) -> Iterator[Any]:
        """Count, and act in the stage that was asked for."""
        self.stages.append((name, total))
        counted = itertools.count(1)

        def advance(count: int = 1, **values: float) -> None:
            if self._stage and name.startswith(self._stage) and next(counted) == self._after:
                self._act()

        yield SimpleNamespace(advance=advance)

    def note(self, message: str) -> None:
        """Keep a note."""
        self.notes.append(message)

    def warn(self, message: str) -> None:
        """Keep a warning."""
        self.warnings.append(message)


def made_up_scores(cider_d: float, images: int, references: int = 5, half_width: float = 2.0) -> Scores:
    """Make scores that stand to each other as real ones do, with an interval each."""
    shares = {"bleu_1": 1.3, "bleu_2": 0.9, "bleu_3": 0.6, "bleu_4": 0.4, "rouge_l": 0.95, "cider": 1.05}
    values = {name: share * cider_d for name, share in shares.items()} | {"cider_d": cider_d}
    return Scores(
        **values,
        images=images,
        references=references * images,
        tokenizer="ptb",
        intervals={name: Interval(value - half_width, value + half_width) for name, value in values.items()},
        signature=f"metrics:1|tok:ptb|case:lower|markers:stripped|refs:{references}|split:test|data:0123456789abcdef",
    )


def made_up_whole_evaluation(
    folder: Path, count: int = 40, split: str = "test", **changes: Any
) -> EvaluationResult:
    """Make an evaluation in which everything was measured; its captions and scores differ by image."""
    result = made_up_evaluation(folder, count, split)
    rng = random.Random(0)
    hypotheses, references = made_up_captions(count)
    names = list(result.images)
    captions = dict(zip(names, hypotheses.values(), strict=True))
    confidences = {name: round(rng.random(), 3) for name in names}
    half = len(names) // 2
    whole = replace(
        result,
        scores=made_up_scores(48.2, count),
        baselines=(
            Baseline(
                "human",
                made_up_scores(83.0, count, 4),
                4.0,
                model_scores=made_up_scores(45.0, count, 4),
                note="each caption by a person against the four others of its image",
            ),
            Baseline("consensus of neighbours", made_up_scores(36.1, count), 5.0, note="of 10 neighbours"),
            Baseline("nearest neighbour", made_up_scores(27.4, count), 5.0),
            Baseline("random training caption", made_up_scores(6.0, count), 5.0, note="drawn by lot"),
            Baseline(MOST_COMMON, made_up_scores(7.9, count), 5.0, "a dog runs on the grass"),
        ),
        diversity=Diversity(
            0.1, 0.4, 320, 0.75, 0.61, 9.5, 0.02, (("a dog runs", 7), ("two", 3)), 0.55, 40.0
        ),
        captions=captions,
        references=dict(zip(names, map(tuple, references.values()), strict=True)),
        image_scores={name: round(200 * rng.random() ** 2, 2) for name in names},
        confidences=confidences,
        looking=LookingTest(48.2, 9.1, looking=True),
        slices=(
            Slice("caption length", "up to 8 words", half, 55.0, 20.0, Interval(50, 60), tuple(names[:half])),
            Slice("caption length", "9 words or more", count - half, 41.0, 15.0, None, tuple(names[half:])),
            Slice("rare words", "no rare word", count, 48.2, 18.0, Interval(45, 51)),
        ),
        calibration=made_up_calibration(count),
        unlike_training=UnlikeTraining(count, tuple(names[:2]), 0.03),
        learning_curve=made_up_learning_curve(),
    )
    return replace(whole, **changes)


def made_up_calibration(images: int = 40) -> Calibration:
    """Make a calibration that is nearly right."""
    edges = [number / 5 for number in range(6)]
    return Calibration(
        definition="CIDEr-D at least that of the lower quarter of people's captions",
        threshold=38.4,
        acceptable=0.55,
        expected_calibration_error=0.031,
        fitted_on=images,
        measured_on=images,
        bins=tuple(
            ReliabilityBin(low, high, (low + high) / 2, min(1.0, (low + high) / 2 + 0.03), images // 5)
            for low, high in itertools.pairwise(edges)
        ),
        coverage=tuple(
            CoveragePoint(share, 1 - share, 80 - 32 * share, 0.95 - 0.4 * share)
            for share in (1.0, 0.8, 0.6, 0.4, 0.2)
        ),
    )


def made_up_learning_curve() -> LearningCurve:
    """Make a curve of three runs that rises ever more slowly."""
    points = (
        LearningPoint(0.25, 1500, 7500, 36.0, Interval(34.0, 38.0)),
        LearningPoint(0.5, 3000, 15000, 43.1, Interval(41.0, 45.2)),
        LearningPoint(1.0, 6000, 30000, 48.2, Interval(46.0, 50.4)),
    )
    return LearningCurve(points, 0.4, 500, "500 more captions buy about +0.4 CIDEr-D (between 0.1 and 0.7)")


def made_up_explanation(folder: Path) -> Explanation:
    """Explain a photo, drawn into ``folder``: the model looks left, and for "dog" at the top right."""
    path = folder / "dog in the snow.png"
    Image.radial_gradient("L").resize((400, 300)).convert("RGB").save(path)
    words = ("a", "brown", "dog", "runs", "<end>")
    others = ("the", "two", "<unk>", "grass")

    def looked(word: str) -> np.ndarray:
        attention = np.full((7, 7), 0.5 / 48, np.float32)
        attention[(0, 6) if word == "dog" else (3, 0)] = 0.5
        return attention

    return Explanation(
        image=str(path),
        hypothesis=Hypothesis("a brown dog runs", words[:-1], (4, 5, 6, 7), -3.25, confidence=0.62),
        steps=tuple(
            ExplainedToken(
                word,
                0.4 + place / 10,
                tuple(
                    Alternative(token, 0.4 + place / 10 if token == word else 0.1)
                    for token in (word, *others)
                ),
                looked(word),
            )
            for place, word in enumerate(words)
        ),
        similar=(
            SimilarImage("train/0.jpg", 0.91, ("a dog in snow", "a brown dog")),
            SimilarImage("train/1.jpg", 0.82, ("two dogs run",)),
        ),
    )


def onnx_decoder(options: Any, arrays: Any, shape: tuple[int, ...], int8: bool = False) -> Any:
    """Return the step model over the graphs of a decoder with these weights."""
    from cutline.exporting import decoder_files
    from cutline.runtime.bundle import DECODER_START, DECODER_STEP
    from cutline.runtime.onnx_session import OnnxDecoder

    files = decoder_files(options, arrays, shape, int8=int8)
    return OnnxDecoder(files[DECODER_START], files[DECODER_STEP])


def pooling_encoder(size: tuple[int, int], pool: int, scale: float) -> Any:
    """Return an encoder of an own network: the mean colours of squares, times a scale, as regions."""
    import keras

    from cutline.models.encoders import Encoder

    image = keras.Input((*size, 3))
    network = keras.Model(image, keras.layers.AveragePooling2D(pool)(keras.layers.Rescaling(scale)(image)))
    config = keras.saving.serialize_keras_object(network)
    taking_bytes = keras.Input((*size, 3), dtype="uint8")
    return Encoder("means.keras", keras.Model(taking_bytes, network(taking_bytes)), "grid", 2, config)


def photos_with_captions(
    folder: Path, words: Sequence[str], blocks: tuple[int, int] = (4, 3), size: tuple[int, int] = (24, 32)
) -> Any:
    """Return a data set of twelve train and six val photos of coloured blocks, drawn into a folder."""
    from PIL import Image

    from cutline.data.images import digest_file
    from cutline.records import Dataset, Example

    generator = np.random.default_rng(5)
    examples = []
    for number in range(18):
        path = folder / f"{number}.png"
        colours = generator.integers(0, 256, (*blocks, 3), dtype=np.uint8)
        Image.fromarray(colours).resize(size, Image.Resampling.NEAREST).save(path)
        caption = " ".join(generator.choice(list(words), 4))
        split = "train" if number < 12 else "val"
        examples.append(Example(path.name, str(path), (caption,), split, digest_file(path)))
    return Dataset(tuple(examples), str(folder), "table")
