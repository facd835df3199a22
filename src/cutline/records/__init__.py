"""The frozen records that flow down the corridor from reader to report.

reader → Dataset of Example → split → vocabulary; image → Captioner → Hypothesis;
hypotheses + references → Scores → EvaluationResult → report.
"""

from cutline.records.captions import (
    Alternative,
    CaptionedImage,
    ExplainedToken,
    Explanation,
    Hypothesis,
    SimilarImage,
)
from cutline.records.data import LOST_IMAGES, LOST_ROWS, SPLITS, Dataset, Example, Problem, problem_lines
from cutline.records.evaluation import (
    BY_LENGTH,
    BY_RARE_WORDS,
    CONSENSUS,
    HUMAN,
    MOST_COMMON,
    NEAREST,
    RANDOM,
    Baseline,
    Calibration,
    CoveragePoint,
    EvaluationResult,
    LearningCurve,
    LearningPoint,
    LookingTest,
    ReliabilityBin,
    Slice,
    UnlikeTraining,
)
from cutline.records.runs import EpochRecord, Run, best_epoch
from cutline.records.score_report import ScoredCaptions, ScoreReport
from cutline.records.scores import SCORE_NAMES, Comparison, Diversity, Interval, Scores

__all__ = [
    "BY_LENGTH",
    "BY_RARE_WORDS",
    "CONSENSUS",
    "HUMAN",
    "LOST_IMAGES",
    "LOST_ROWS",
    "MOST_COMMON",
    "NEAREST",
    "RANDOM",
    "SCORE_NAMES",
    "SPLITS",
    "Alternative",
    "Baseline",
    "Calibration",
    "CaptionedImage",
    "Comparison",
    "CoveragePoint",
    "Dataset",
    "Diversity",
    "EpochRecord",
    "EvaluationResult",
    "Example",
    "ExplainedToken",
    "Explanation",
    "Hypothesis",
    "Interval",
    "LearningCurve",
    "LearningPoint",
    "LookingTest",
    "Problem",
    "ReliabilityBin",
    "Run",
    "ScoreReport",
    "ScoredCaptions",
    "Scores",
    "SimilarImage",
    "Slice",
    "UnlikeTraining",
    "best_epoch",
    "problem_lines",
]
