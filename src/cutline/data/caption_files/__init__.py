"""Captions in files, to be scored: hypotheses of any program, and the references they are compared with.

No image files are looked for, and references are kept as people wrote them: a duplicate counts as often as it
stands there, as in COCO's evaluation code, while readers of training data keep it once.
"""

from cutline.data.caption_files.contents import MENDED_ROW, CaptionFile, refuse_unheeded
from cutline.data.caption_files.endings import ends_alike
from cutline.data.caption_files.hypotheses import read_hypotheses
from cutline.data.caption_files.matching import Matching, differ_in_case, match_images, some
from cutline.data.caption_files.references import read_references, select_split

__all__ = [
    "MENDED_ROW",
    "CaptionFile",
    "Matching",
    "differ_in_case",
    "ends_alike",
    "match_images",
    "read_hypotheses",
    "read_references",
    "refuse_unheeded",
    "select_split",
    "some",
]
