"""The data set's doctor: what is wrong with images, captions and splits, and what helps."""

from __future__ import annotations

from cutline.data.checks.doctor import check_dataset
from cutline.data.checks.finding import Finding, Occurrence
from cutline.data.checks.kinds import KINDS, Kind
from cutline.data.checks.report import CheckReport, Spread

__all__ = ["KINDS", "CheckReport", "Finding", "Kind", "Occurrence", "Spread", "check_dataset"]
