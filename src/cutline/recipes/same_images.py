"""Bringing hypotheses and references together: the images that all files have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cutline.data.caption_files import (
    MENDED_ROW,
    CaptionFile,
    Matching,
    differ_in_case,
    match_images,
    some,
)
from cutline.errors import DataError, ImageMismatchError

_SHOWN: Final = 3


@dataclass(frozen=True)
class SameImages:
    """The images that are scored.

    Attributes:
        references: image_id → references.
        texts: For each file of hypotheses, image_id → captions, best first, of the same images in the same
            order.
        missing: Images with references that a file has no hypothesis for.
        extra: Names of images with a hypothesis in some file and no references.
        wanted: Number of images with references.
    """

    references: Mapping[str, tuple[str, ...]]
    texts: tuple[Mapping[str, tuple[str, ...]], ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    wanted: int

    @property
    def share(self) -> str:
        """How many images of how many are scored, for the signature; empty when all are."""
        return f"{len(self.references)} of {self.wanted}" if self.missing else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence about images left out, if there are any."""
        counts = {"a hypothesis": len(self.missing), "references": len(self.extra)}
        lost = [f"{count:,} without {what}" for what, count in counts.items() if count]
        left_out = f"images left out: {', '.join(lost)}; scored: {len(self.references):,}"
        return (left_out,) if lost else ()


def same_images(
    files: Sequence[CaptionFile], references: CaptionFile, allow_missing: bool = False
) -> SameImages:
    """Find the images that all files of hypotheses have, and their references.

    Args:
        files: One or more.
        references: Of the images that should be scored.
        allow_missing: Score the images in common when they are not all.

    Raises:
        ImageMismatchError: Images are missing or extra, and that is not allowed; all of them are listed.
        DataError: No image is in all files, or it cannot be told which image is which.
    """
    matchings = [match_images(file, references) for file in files]
    if not allow_missing:
        for file, matching in zip(files, matchings, strict=True):
            if matching.missing or matching.extra:
                raise _mismatch(file, references, matching)
    common = [image for image in references.captions if all(image in one.pairs for one in matchings)]
    if not common:
        raise DataError(_nothing_in_common(files, references))
    present = set(common)
    return SameImages(
        references={image: references.captions[image] for image in common},
        texts=tuple(
            {image: file.captions[one.pairs[image]] for image in common}
            for file, one in zip(files, matchings, strict=True)
        ),
        missing=tuple(image for image in references.captions if image not in present),
        extra=tuple(dict.fromkeys(key for one in matchings for key in one.extra)),
        wanted=len(references),
    )


def _mismatch(file: CaptionFile, references: CaptionFile, matching: Matching) -> ImageMismatchError:
    faults = []
    if matching.missing:
        count = f"{len(matching.missing):,} of the {len(references):,} images of {references.source}"
        faults.append(f"no hypothesis for {count} ({some(matching.missing)})")
    if matching.extra:
        plural = "" if len(matching.extra) == 1 else "s"
        faults.append(
            f"no references for {len(matching.extra):,} image{plural} of it ({some(matching.extra)})"
        )
    if not matching.pairs:
        return ImageMismatchError(_nothing_in_common([file], references), matching.missing, matching.extra)
    broken = [*(_unused(file) if matching.missing else ()), *(_unused(references) if matching.extra else ())]
    faults += [f"rows that could not be used: {'; '.join(broken)}"] if broken else []
    return ImageMismatchError(
        f"{file.source}: {'; '.join(faults)}; {_advice(file, references, matching, broken)}",
        matching.missing,
        matching.extra,
    )


def _nothing_in_common(files: Sequence[CaptionFile], references: CaptionFile) -> str:
    broken = [line for file in (*files, references) for line in _unused(file)]
    rows = f"; rows that could not be used: {'; '.join(broken)}" if broken else ""
    case = differ_in_case(files[0].names.values(), references.names.values())
    return (
        f"{', '.join(file.source for file in files)}: no image in common with {references.source}; images "
        f"are called {some(files[0].names.values())} here and {some(references.names.values())} there{rows}; "
        + (
            case
            or "an image is known by its id, its file name, or the last part of its path: name images alike"
        )
    )


def _unused(file: CaptionFile) -> list[str]:
    """Return the first rows of a file that could not be used, one line each, and the number of the others."""
    lost = [problem for problem in file.problems if problem.kind != MENDED_ROW]
    lines = [f"{problem.where} ({problem.message})" for problem in lost[:_SHOWN]]
    return [*lines, f"and {len(lost) - _SHOWN:,} more"] if len(lost) > _SHOWN else lines


def _advice(file: CaptionFile, references: CaptionFile, matching: Matching, broken: Sequence[str]) -> str:
    """Name the split that the hypotheses are of, or the case of letters, where that is what went wrong."""
    missing = (references.names[key] for key in matching.missing)
    case = differ_in_case((file.names[key] for key in matching.extra), missing)
    if case:
        return case
    if broken:
        return "correct these rows, or score the images in both files with --allow-missing"
    found = {references.splits.get(image) for image in matching.pairs}
    lacking = {references.splits.get(image) for image in matching.missing}
    if len(found) == 1 and None not in found and not found & lacking and not matching.extra:
        return f"they are those of one split: --split {found.pop()} scores it alone"
    return "give both files the same images, or score those in both with --allow-missing"
