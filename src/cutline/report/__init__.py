"""The report: one HTML page and one picture, made from saved results. It pulls; nothing pushes into it."""

from __future__ import annotations

from cutline.report.curves import curves_png
from cutline.report.page import render_report
from cutline.report.verdict import judge

__all__ = ["curves_png", "judge", "render_report"]
