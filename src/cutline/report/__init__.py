"""The report: one HTML page and one picture, made from saved results. It pulls; nothing pushes into it."""

from __future__ import annotations

from cutline.report.curves import curves_png
from cutline.report.demo_page import CaptionedPhoto, render_demo_photos
from cutline.report.explain_page import render_explanations
from cutline.report.explain_picture import draw_explanations
from cutline.report.page import render_report
from cutline.report.verdict import judge

__all__ = [
    "CaptionedPhoto",
    "curves_png",
    "draw_explanations",
    "judge",
    "render_demo_photos",
    "render_explanations",
    "render_report",
]
