"""A cleaned table: what is certainly wrong is mended or left out, and every change is told."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cutline.data.checks.captions import useless_caption
from cutline.data.checks.damage import damage_in, mended
from cutline.data.checks.finding import Finding
from cutline.data.checks.kinds import KINDS
from cutline.files import replacing
from cutline.records import Dataset, Example, Problem
from cutline.text import Tokenizer

LEFT_OUT: Final = "left out"
MENDED: Final = "mended"
MOVED: Final = "moved"
MERGED: Final = "merged"

_ACROSS: Final = "near-duplicates across splits"
_MOVED_KINDS: Final = ("image in two splits",)
_MENDED_KINDS: Final = ("mended row", "column left out", "two groups")
_SAME_TWICE: Final = "same image twice"
_CHANGES: Final = ("change", "kind", "where", "caption", "now", "why")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different in the cleaned table.

    Attributes:
        change: ``"left out"``, ``"mended"``, ``"moved"`` or ``"merged"``.
        kind: The kind of fault that was the reason.
        where: The image_id, or file and row.
        caption: The caption as it was, or ``""`` when the change concerns no caption.
        now: The caption as it is now, the split that the image was moved to, the image that the caption was
            merged into, or ``""``.
        why: The reason in words.
    """

    change: str
    kind: str
    where: str
    caption: str = ""
    now: str = ""
    why: str = ""


@dataclass(frozen=True)
class Cleaned:
    """The cleaned data set.

    Attributes:
        examples: What is left, captions mended.
        changes: Everything that is different from what was read, reader's own changes included.
    """

    examples: tuple[Example, ...]
    changes: tuple[Change, ...]

    def counts(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return (change, kind) → number of changes, and of captions among them; most changes first."""
        changes = Counter((each.change, each.kind) for each in self.changes)
        captions = Counter((each.change, each.kind) for each in self.changes if each.caption)
        return {key: (count, captions[key]) for key, count in changes.most_common()}


def clean(
    dataset: Dataset, findings: Sequence[Finding], problems: Sequence[Problem], tokenizer: Tokenizer
) -> Cleaned:
    """Mend and leave out what is certainly wrong; what is only suspicious stays.

    Left out are files that are missing or broken, rows that say nothing, texts that are no captions, captions
    that differ from another one of the image in case and punctuation only, and of nearly equal images in
    different splits all but the one that is farthest from training. Mended is damage that can be undone.

    Args:
        dataset: What was checked.
        findings: Of the check.
        problems: Of reading and decoding.
        tokenizer: Tells which captions are the same.
    """
    changes = [change for problem in problems for change in _of_problem(problem)]
    broken = {problem.where for problem in problems if problem.kind == "unreadable image"}
    repeated = _repeated_images(findings, {example.image_id: example.split for example in dataset.examples})
    examples = []
    for example in dataset.examples:
        if example.image_id in broken:
            continue
        if example.image_id in repeated:
            kept = repeated[example.image_id]
            why = f"nearly equal to {kept}"
            changes += [
                Change(LEFT_OUT, _ACROSS, example.image_id, caption, why=why) for caption in example.captions
            ]
            continue
        captions = tuple(_kept_captions(example, tokenizer, changes))
        if captions:
            examples.append(_with(example, captions))
        else:
            why = "none of its captions can be used"
            changes.append(Change(LEFT_OUT, "image without caption", example.image_id, why=why))
    return Cleaned(tuple(examples), tuple(changes))


def _of_problem(problem: Problem) -> Iterator[Change]:
    """Yield a change for each caption that a problem is about, or one if it is about none."""
    kind, where, why = problem.kind, problem.where, problem.message
    if kind in _MOVED_KINDS:
        yield Change(MOVED, kind, where, now=problem.now, why=why)
        yield from (Change(MERGED, _SAME_TWICE, where, text, where, why) for text in problem.captions)
        return
    done = MENDED if kind in _MENDED_KINDS else MERGED if kind == _SAME_TWICE else LEFT_OUT
    for text in problem.captions or ("",):
        yield Change(done, kind, where, text, problem.now, why)


def _repeated_images(findings: Sequence[Finding], splits: Mapping[str, str | None]) -> dict[str, str]:
    """Return the images to leave out, each with the one in another split that is kept in its place."""
    return {
        image_id: place.images[-1]
        for finding in findings
        if finding.kind == _ACROSS
        for place in finding.occurrences
        for image_id in place.images[:-1]
        if splits[image_id] != splits[place.images[-1]]
    }


def _kept_captions(example: Example, tokenizer: Tokenizer, changes: list[Change]) -> Iterator[str]:
    seen: dict[tuple[str, ...], str] = {}
    for caption in example.captions:
        damage = damage_in(caption)
        text = mended(caption) if damage else caption
        useless = useless_caption(text, example.image_id)
        tokens = tuple(tokenizer.tokenise(text))
        if useless or not tokens:
            kind = useless or "caption of only punctuation"
            changes.append(Change(LEFT_OUT, kind, example.image_id, caption, why=KINDS[kind].meaning))
        elif tokens in seen:
            why = f"as {seen[tokens]!r}"
            changes.append(Change(LEFT_OUT, "same caption twice", example.image_id, caption, why=why))
        else:
            seen[tokens] = text
            if text != caption:
                kind, why = next(iter(damage.items()))
                changes.append(Change(MENDED, kind, example.image_id, caption, text, why))
            yield text


def _with(example: Example, captions: tuple[str, ...]) -> Example:
    return Example(example.image_id, example.image, captions, example.split, example.digest, example.group)


def changes_beside(path: Path) -> Path:
    """Return where the list of changes of a cleaned table is written.

    Example:
        >>> changes_beside(Path("clean.csv")).name
        'clean.changes.csv'
    """
    return path.with_name(f"{path.stem}.changes.csv")


def write_cleaned(cleaned: Cleaned, path: Path, images: Path | None = None) -> Path:
    """Write the cleaned table, and beside it ``NAME.changes.csv`` with every change.

    One row per caption: image, caption, split; also image_id where the data set has ids of its own, and group
    where it has groups. Names of images are relative to ``images``, or to the folder of ``path``, so that the
    table is read as the old one was.

    Args:
        cleaned: What to write.
        path: The CSV file; it and the list of changes are replaced.
        images: Folder of the images, where one was named.

    Returns:
        Path of the list of changes.
    """
    root = (images or path.parent).absolute()
    names = {example.image_id: _name(example.image, root) for example in cleaned.examples}
    columns = ["image", "caption", "split"]
    with_ids = any(not _is_name(image_id, name) for image_id, name in names.items())
    columns += ["image_id"] if with_ids else []
    columns += ["group"] if any(example.group for example in cleaned.examples) else []
    with replacing(path) as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for example in cleaned.examples:
            writer.writerows(_rows(example, names[example.image_id]))
    changes = changes_beside(path)
    with replacing(changes) as stream:
        plain = csv.writer(stream, lineterminator="\n")
        plain.writerow(_CHANGES)
        plain.writerows([getattr(change, name) for name in _CHANGES] for change in cleaned.changes)
    return changes


def _rows(example: Example, name: str) -> Iterator[Mapping[str, str]]:
    for caption in example.captions:
        yield {
            "image": name,
            "caption": caption,
            "split": example.split or "",
            "image_id": example.image_id,
            "group": example.group,
        }


def _name(path: str, root: Path) -> str:
    try:
        return os.path.relpath(path, root).replace(os.sep, "/")
    except ValueError:  # On another drive there is no way from here to there.
        return path


def _is_name(image_id: str, name: str) -> bool:
    return name == image_id or name.endswith(f"/{image_id}")
