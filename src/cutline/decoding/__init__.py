"""Turning next-token log-probabilities into captions, with NumPy alone.

Decoding sees a :class:`StepModel`, never a framework.
"""

from cutline.decoding.agreement import agreement
from cutline.decoding.beam import beam
from cutline.decoding.budget import CharacterBudget
from cutline.decoding.choosing import Groups
from cutline.decoding.ensemble import Ensemble
from cutline.decoding.filters import Filters
from cutline.decoding.greedy import greedy
from cutline.decoding.narrowing import Narrowing
from cutline.decoding.reading import TokenReading, read
from cutline.decoding.rescore import TokenScores, rescore
from cutline.decoding.rules import Rules
from cutline.decoding.sampling import sample
from cutline.decoding.step_model import Attentive, DecodeResult, Shortlisting, State, StepModel

__all__ = [
    "Attentive",
    "CharacterBudget",
    "DecodeResult",
    "Ensemble",
    "Filters",
    "Groups",
    "Narrowing",
    "Rules",
    "Shortlisting",
    "State",
    "StepModel",
    "TokenReading",
    "TokenScores",
    "agreement",
    "beam",
    "greedy",
    "read",
    "rescore",
    "sample",
]
